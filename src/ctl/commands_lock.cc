#include <fmt/format.h>

#include "core/time_text.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

Result<uint32_t> count_argument(const Json& args, const char* name) {
  PAILFS_ASSIGN(const int64_t count, integer_argument(args, name, 0));
  if (count < 0 || count > UINT32_MAX) {
    return fail(Code::kInvalid,
                fmt::format("InvalidRetentionPeriod: the argument '{}' is no number of days or years", name));
  }
  return static_cast<uint32_t>(count);
}

Result<LockMode> mode_argument(const Json& args) {
  PAILFS_ASSIGN(const std::string mode, string_argument(args, "mode", ""));
  if (mode.empty()) return LockMode::kNone;
  return parse_lock_mode(mode);
}

struct Target {
  ObjectPath object;
  std::string version;
  VersionName name() const { return {object.bucket, object.path, version}; }
};

Result<Target> version_target(const CommandContext& context, const Json& args) {
  Target out;
  PAILFS_ASSIGN(out.object, object_target(context, args));
  PAILFS_ASSIGN(out.version, string_argument(args, "version", ""));
  return out;
}

Json describe(const Target& target, const VersionEntry& entry) {
  Json out = describe_version(entry);
  out["bucket"] = target.object.bucket;
  out["path"] = bytes_to_json(target.object.path);
  return out;
}

Result<Json> describe_bucket(const CommandContext& context, std::string_view name) {
  PAILFS_ASSIGN(const BucketInfo info, context.core.bucket(context.caller, name));
  Json out = {{"bucket", info.name}, {"object_lock", info.object_lock}};
  if (info.default_retention.mode != LockMode::kNone) out["default_retention"] = describe_retention(info);
  if (const auto time = context.core.retention_time()) out["retention_time"] = format_time(*time);
  return out;
}

}  // namespace

Json describe_lock(const VersionEntry& entry) {
  Json out = {{"locked", entry.locked}, {"legal_hold", entry.retention.legal_hold}};
  if (entry.retention.mode != LockMode::kNone) {
    out["mode"] = lock_mode_name(entry.retention.mode);
    out["until"] = format_time(entry.retention.until);
  }
  return out;
}

Json describe_retention(const BucketInfo& info) {
  const DefaultRetention& retention = info.default_retention;
  Json out = {{"mode", lock_mode_name(retention.mode)}};
  if (retention.days != 0) out["days"] = retention.days;
  if (retention.years != 0) out["years"] = retention.years;
  return out;
}

Result<Json> lock_enable(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  PAILFS_TRY(or_say(context, "giving a bucket Object Lock", context.core.enable_object_lock(context.caller, name)));
  PAILFS_TRY(context.core.sync());
  return describe_bucket(context, name);
}

Result<Json> lock_default(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  DefaultRetention retention;
  PAILFS_ASSIGN(retention.mode, mode_argument(args));
  PAILFS_ASSIGN(retention.days, count_argument(args, "days"));
  PAILFS_ASSIGN(retention.years, count_argument(args, "years"));
  PAILFS_TRY(or_say(context, "changing the default retention of a bucket",
                    context.core.set_default_retention(context.caller, name, retention)));
  PAILFS_TRY(context.core.sync());
  return describe_bucket(context, name);
}

Result<Json> lock_status(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  if (object.path.empty()) return describe_bucket(context, object.bucket);
  PAILFS_ASSIGN(const Target version, version_target(context, args));
  PAILFS_ASSIGN(const auto entries, context.core.versions(context.caller, object.bucket, object.path));
  for (const VersionEntry& entry : entries) {
    if (version.version.empty() || entry.name == version.version || entry.id == version.version) {
      return describe(version, entry);
    }
  }
  return fail(Code::kNotFound, fmt::format("{} has no such version ('pail versions list' names those there are)",
                                           printable(object.path)));
}

Result<Json> lock_retain(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const Target version, version_target(context, args));
  RetentionRequest request;
  PAILFS_ASSIGN(request.mode, mode_argument(args));
  if (args.contains("until")) {
    PAILFS_ASSIGN(request.until, integer_argument(args, "until", 0));
  }
  PAILFS_ASSIGN(request.days, count_argument(args, "days"));
  PAILFS_ASSIGN(request.years, count_argument(args, "years"));
  PAILFS_ASSIGN(request.bypass_governance, bool_argument(args, "bypass_governance", false));
  PAILFS_ASSIGN(const VersionEntry entry, or_say(context, "changing how long a version is retained",
                                                 context.core.set_retention(context.caller, version.name(), request)));
  PAILFS_TRY(context.core.sync());
  return describe(version, entry);
}

Result<Json> lock_hold(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const Target version, version_target(context, args));
  PAILFS_ASSIGN(const bool on, bool_argument(args, "on", true));
  PAILFS_ASSIGN(const VersionEntry entry, or_say(context, "changing a legal hold",
                                                 context.core.set_legal_hold(context.caller, version.name(), on)));
  PAILFS_TRY(context.core.sync());
  return describe(version, entry);
}

}  // namespace pailfs::commands
