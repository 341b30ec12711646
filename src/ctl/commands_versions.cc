#include <fmt/format.h>

#include "core/time_text.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {

Result<ObjectPath> target(const CommandContext& context, const Json& args) {
  if (!args.contains("mount_path")) {
    PAILFS_ASSIGN(std::string bucket, string_argument(args, "bucket", ""));
    PAILFS_ASSIGN(const std::string path, string_argument(args, "path", ""));
    if (bucket.empty() && !path.empty()) return fail(Code::kInvalid, "a path without its bucket");
    ObjectPath out = split_object_path("/" + bucket + "/" + path);
    if (!bucket.empty() && out.bucket != bucket) return fail(Code::kInvalid, "a bucket's name holds no slash");
    return out;
  }
  PAILFS_ASSIGN(std::string path, string_argument(args, "mount_path"));
  if (context.daemon != nullptr) {
    const std::string bucket = context.daemon->daemon_status().bucket;
    if (!bucket.empty()) path = "/" + bucket + "/" + path;
  }
  return split_object_path(path);
}

Json describe_version(const VersionEntry& entry) {
  Json out = {{"name", entry.name},     {"id", entry.id},          {"sealed", format_time(entry.sealed)},
              {"size", entry.size},     {"mode", entry.mode},      {"uid", entry.uid},
              {"marker", entry.marker}, {"current", entry.current}};
  if (entry.retention != Retention()) out["lock"] = describe_lock(entry);
  return out;
}

Result<ObjectPath> object_target(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(ObjectPath object, target(context, args));
  if (object.bucket.empty() || object.path.empty()) {
    return fail(Code::kInvalid, "name a file or directory inside a bucket");
  }
  return object;
}

namespace {

// Everything that was changed is durable, and seen on the mount.
Status settle(const CommandContext& context) {
  PAILFS_TRY(context.core.sync());
  if (context.daemon != nullptr) context.daemon->settle_names();
  return {};
}

Json describe(const RewindResult& result, const ObjectPath& object, bool dry_run) {
  Json differences = Json::array();
  for (const TreeDifference& one : result.differences) {
    Json item = {{"what", difference_name(one.what)}, {"path", bytes_to_json(one.path)}, {"directory", one.directory}};
    if (!one.directory) {
      item["size_before"] = one.size_before;
      item["size_after"] = one.size_after;
    }
    if (!one.why.empty()) item["why"] = one.why;
    differences.push_back(std::move(item));
  }
  Json out = {{"bucket", object.bucket},      {"path", bytes_to_json(object.path)},
              {"to", format_time(result.to)}, {"dry_run", dry_run},
              {"added", result.added},        {"removed", result.removed},
              {"content", result.content},    {"attributes", result.attributes},
              {"unknown", result.unknown},    {"denied", result.denied},
              {"bytes", result.bytes},        {"differences", std::move(differences)}};
  if (result.from) out["from"] = format_time(*result.from);
  return out;
}

}  // namespace

Result<Json> versions_show(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, object_target(context, args));
  PAILFS_ASSIGN(const std::string version, string_argument(args, "version"));
  PAILFS_ASSIGN(const auto entries, context.core.versions(context.caller, object.bucket, object.path));
  for (const VersionEntry& entry : entries) {
    if (entry.name != version && entry.id != version) continue;
    Json out = describe_version(entry);
    out["bucket"] = object.bucket;
    out["path"] = bytes_to_json(object.path);
    return out;
  }
  return fail(Code::kNotFound, fmt::format("{} has no version {} ('pail versions list' names those there are)",
                                           printable(object.path), printable(version)));
}

Result<Json> versions_restore(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, object_target(context, args));
  PAILFS_ASSIGN(const std::string version, string_argument(args, "version"));
  PAILFS_TRY(context.core.restore_version(context.caller, object.bucket, object.path, version));
  PAILFS_TRY(settle(context));
  return Json{{"bucket", object.bucket}, {"path", bytes_to_json(object.path)}, {"restored", version}};
}

Result<Json> versions_rewind(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  if (object.bucket.empty()) return fail(Code::kInvalid, "name a bucket, or something inside one");
  RewindOptions options;
  PAILFS_ASSIGN(options.to, integer_argument(args, "to", context.core.latest_time()));
  PAILFS_ASSIGN(const bool relative, bool_argument(args, "relative", false));
  if (const auto until = context.core.times_ahead(); relative && until) {
    return fail(Code::kInvalid,
                fmt::format("the store's times are ahead of the clock until {}: there is no saying how long ago "
                            "something was. Give the time itself: 'pail versions list' shows it",
                            format_time(*until)));
  }
  if (args.contains("from")) {
    PAILFS_ASSIGN(options.from, integer_argument(args, "from", 0));
  }
  PAILFS_ASSIGN(options.dry_run, bool_argument(args, "dry_run", false));
  PAILFS_ASSIGN(const bool keep_newer, bool_argument(args, "keep_newer", false));
  options.remove_newer = !keep_newer;
  PAILFS_ASSIGN(const RewindResult result,
                context.core.rewind(context.caller, object.bucket, object.path, options, context.progress));
  if (!options.dry_run && !options.from) PAILFS_TRY(settle(context));
  return describe(result, object, options.dry_run);
}

Result<Json> versions_undelete(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, object_target(context, args));
  RewindOptions options;
  PAILFS_ASSIGN(options.to, context.core.before_removal(context.caller, object.bucket, object.path));
  PAILFS_ASSIGN(options.dry_run, bool_argument(args, "dry_run", false));
  options.remove_newer = false;
  PAILFS_ASSIGN(const RewindResult result,
                context.core.rewind(context.caller, object.bucket, object.path, options, context.progress));
  if (!options.dry_run) PAILFS_TRY(settle(context));
  return describe(result, object, options.dry_run);
}

Result<Json> versions_purge(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, object_target(context, args));
  PAILFS_ASSIGN(const std::string version, string_argument(args, "version"));
  PAILFS_ASSIGN(const Consent consent, consent_argument(context, args));
  PAILFS_TRY(or_say(context, "removing versions for good",
                    context.core.purge_version(context.caller, object.bucket, object.path, version, consent)));
  PAILFS_TRY(settle(context));
  return Json{{"bucket", object.bucket}, {"path", bytes_to_json(object.path)}, {"purged", version}};
}

Result<Json> versions_list(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  if (object.bucket.empty() || object.path.empty()) {
    return fail(Code::kInvalid, "name a file inside a bucket: a bucket as a whole has no versions");
  }
  PAILFS_ASSIGN(const std::vector<VersionEntry> entries,
                context.core.versions(context.caller, object.bucket, object.path));
  Json versions = Json::array();
  for (const VersionEntry& entry : entries) versions.push_back(describe_version(entry));
  return Json{{"bucket", object.bucket}, {"path", bytes_to_json(object.path)}, {"versions", std::move(versions)}};
}

Result<Json> versions_prune(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "removing versions for good"));
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  PruneOptions options;
  PAILFS_ASSIGN(options.dry_run, bool_argument(args, "dry_run", false));
  if (args.contains("older_than")) {
    PAILFS_ASSIGN(options.older_than, integer_argument(args, "older_than", 0));
  }
  if (args.contains("keep")) {
    PAILFS_ASSIGN(const int64_t keep, integer_argument(args, "keep", 0));
    if (keep < 0) return fail(Code::kInvalid, "the argument 'keep' must not be negative");
    options.keep = static_cast<uint64_t>(keep);
  }
  PAILFS_ASSIGN(const Consent consent, consent_argument(context, args));
  options.mfa = consent.mfa;
  std::vector<std::string> buckets{object.bucket};
  if (object.bucket.empty()) {
    buckets.clear();
    PAILFS_ASSIGN(const std::vector<BucketInfo> all, context.core.buckets(context.caller));
    for (const BucketInfo& info : all) {
      if (info.mfa_delete && !options.mfa && !options.dry_run) {
        return fail(Code::kAccessDenied, fmt::format("AccessDenied: MFA delete is on in the bucket {}: give a code of "
                                                     "the account's device with --mfa, or name another bucket",
                                                     info.name));
      }
      buckets.push_back(info.name);
    }
  }
  PruneResult total;
  for (const std::string& bucket : buckets) {
    PAILFS_ASSIGN(const PruneResult result,
                  context.core.prune(context.caller, bucket, object.path, options, context.progress));
    total.versions += result.versions;
    total.markers += result.markers;
    total.bytes += result.bytes;
    total.locked += result.locked;
  }
  if (!options.dry_run) PAILFS_TRY(context.core.sync());
  return Json{{"dry_run", options.dry_run},
              {"versions", total.versions},
              {"markers", total.markers},
              {"bytes", total.bytes},
              {"locked", total.locked}};
}

}  // namespace pailfs::commands
