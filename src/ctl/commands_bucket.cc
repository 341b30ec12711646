#include <fmt/format.h>

#include "core/time_text.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

Json describe(const KeepRule& keep) {
  Json out = Json::object();
  if (keep.days) out["days"] = *keep.days;
  if (keep.count) out["count"] = *keep.count;
  return out;
}

Json describe(const BucketInfo& info) {
  Json out = {{"name", info.name},
              {"number", info.number},
              {"versioning", versioning_name(info.versioning)},
              {"owner", info.owner},
              {"created", format_time(info.created)},
              {"history_since", info.history_since == 0 ? Json() : Json(format_time(info.history_since))},
              {"keep", describe(info.keep)},
              {"object_lock", info.object_lock},
              {"mfa_delete", info.mfa_delete},
              {"ownership", ownership_name(info.ownership)}};
  if (info.default_retention.mode != LockMode::kNone) out["default_retention"] = describe_retention(info);
  return out;
}

void settle_names(const CommandContext& context) {
  if (context.daemon != nullptr) context.daemon->settle_names();
}

}  // namespace

Result<Versioning> parse_versioning(std::string_view name) {
  for (const Versioning state : {Versioning::kOff, Versioning::kEnabled, Versioning::kSuspended}) {
    if (versioning_name(state) == name) return state;
  }
  return fail(Code::kInvalid, fmt::format("'{}' is no state of versioning (known: enabled, suspended, off)", name));
}

Result<Json> bucket_list(const CommandContext& context, const Json& /*args*/) {
  PAILFS_ASSIGN(const std::vector<BucketInfo> buckets, context.core.buckets(context.caller));
  Json out = Json::array();
  for (const BucketInfo& info : buckets) out.push_back(describe(info));
  return Json{{"buckets", std::move(out)}};
}

Result<Json> bucket_show(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const BucketInfo info, context.core.bucket_usage(context.caller, name, context.progress));
  Json out = describe(info);
  out["objects"] = info.objects;
  out["directories"] = info.directories;
  out["noncurrent_versions"] = info.noncurrent;
  out["current_bytes"] = info.current_bytes;
  out["noncurrent_bytes"] = info.noncurrent_bytes;
  return out;
}

Result<Json> bucket_create(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const std::string state, string_argument(args, "versioning", "enabled"));
  PAILFS_ASSIGN(const Versioning versioning, parse_versioning(state));
  PAILFS_ASSIGN(const int64_t mode, integer_argument(args, "mode", 0755));
  if (mode < 0 || mode > 07777) return fail(Code::kInvalid, "the argument 'mode' must be permission bits");
  PAILFS_ASSIGN(const bool object_lock, bool_argument(args, "object_lock", false));
  if (object_lock) PAILFS_TRY(require_account(context, "making a bucket with Object Lock"));
  PAILFS_TRY(context.core.create_bucket(context.caller, name, versioning, static_cast<uint32_t>(mode), object_lock));
  PAILFS_TRY(context.core.sync());
  settle_names(context);
  PAILFS_ASSIGN(const BucketInfo info, context.core.bucket(context.caller, name));
  return describe(info);
}

Result<Json> bucket_delete(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const bool purge, bool_argument(args, "purge", false));
  Status done;
  if (purge) {
    PAILFS_TRY(require_account(context, "deleting a bucket with all its versions"));
    PAILFS_ASSIGN(const Consent consent, consent_argument(context, args));
    done = context.core.purge_bucket(context.caller, name, context.progress, consent);
  } else {
    done = context.core.rmdir(context.caller, kRootIno, name);
  }
  settle_names(context);  // also after a purge that failed half-way
  if (!done && done.error().code == Code::kNotEmpty && !purge) {
    return fail(Code::kNotEmpty, fmt::format("the bucket {} still holds objects or versions; `pail bucket delete {} "
                                             "--purge` says what and deletes it all",
                                             name, name));
  }
  if (!done) return std::unexpected(std::move(done).error());
  PAILFS_TRY(context.core.sync());
  return Json{{"deleted", name}, {"purged", purge}};
}

Result<Json> versioning_get(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const BucketInfo info, context.core.bucket(context.caller, name));
  return Json{{"bucket", info.name}, {"versioning", versioning_name(info.versioning)}};
}

Result<Json> versioning_set(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const std::string state, string_argument(args, "state"));
  PAILFS_ASSIGN(const Versioning versioning, parse_versioning(state));
  PAILFS_ASSIGN(const Consent consent, consent_argument(context, args));
  PAILFS_TRY(or_say(context, "changing the versioning of a bucket",
                    context.core.set_versioning(context.caller, name, versioning, consent)));
  PAILFS_TRY(context.core.sync());
  return versioning_get(context, args);
}

// No days and no count: the rule goes.
Result<Json> versioning_keep(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string name, string_argument(args, "bucket"));
  KeepRule keep;
  for (const auto& [member, place] : {std::pair("days", &keep.days), std::pair("count", &keep.count)}) {
    if (!args.contains(member)) continue;
    PAILFS_ASSIGN(const int64_t value, integer_argument(args, member, 0));
    if (value < 1 || value > 1'000'000) {  // as in S3's NoncurrentVersionExpiration
      return fail(Code::kInvalid, fmt::format("InvalidArgument: --{} of a keep rule must be 1 to 1000000 (leave it out "
                                              "where it is not to count)",
                                              member));
    }
    *place = static_cast<uint32_t>(value);
  }
  PAILFS_TRY(or_say(context, "a rule by which versions go", context.core.set_keep_rule(context.caller, name, keep)));
  PAILFS_TRY(context.core.sync());
  PAILFS_ASSIGN(const BucketInfo info, context.core.bucket(context.caller, name));
  return describe(info);
}

// What every bucket that the caller may list holds.
Result<Json> usage(const CommandContext& context, const Json& /*args*/) {
  PAILFS_ASSIGN(const std::vector<BucketInfo> buckets, context.core.buckets(context.caller));
  Json out = Json::array();
  for (const BucketInfo& bucket : buckets) {
    const auto info = context.core.bucket_usage(context.caller, bucket.name, context.progress);
    if (!info && info.error().code == Code::kAccessDenied) continue;
    if (!info) return std::unexpected(info.error());
    out.push_back({{"name", info->name},
                   {"objects", info->objects},
                   {"current_bytes", info->current_bytes},
                   {"noncurrent_versions", info->noncurrent},
                   {"noncurrent_bytes", info->noncurrent_bytes}});
  }
  const StoreStatus store = context.core.store().status();
  return Json{{"buckets", std::move(out)},
              {"log_bytes", store.log_bytes},
              {"dead_bytes", store.dead_bytes},
              {"index_bytes", store.index_bytes + store.index_copy_bytes}};
}

}  // namespace pailfs::commands
