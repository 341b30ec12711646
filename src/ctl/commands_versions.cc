#include <fmt/format.h>

#include "ctl/commands_internal.h"
#include "core/time_text.h"

namespace pailfs::commands {
namespace {

// Which bucket, or path in it, the arguments mean; both empty: the whole store.
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

Json describe(const VersionEntry& entry) {
  return {{"name", entry.name},     {"id", entry.id},          {"sealed", format_time(entry.sealed)},
          {"size", entry.size},     {"mode", entry.mode},      {"uid", entry.uid},
          {"marker", entry.marker}, {"current", entry.current}};
}

}  // namespace

Result<Json> versions_list(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  if (object.bucket.empty() || object.path.empty()) {
    return fail(Code::kInvalid, "name a file inside a bucket: a bucket as a whole has no versions");
  }
  PAILFS_ASSIGN(const std::vector<VersionEntry> entries,
                context.core.versions(context.caller, object.bucket, object.path));
  Json versions = Json::array();
  for (const VersionEntry& entry : entries) versions.push_back(describe(entry));
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
  std::vector<std::string> buckets{object.bucket};
  if (object.bucket.empty()) {
    buckets.clear();
    PAILFS_ASSIGN(const std::vector<BucketInfo> all, context.core.buckets(context.caller));
    for (const BucketInfo& info : all) buckets.push_back(info.name);
  }
  PruneResult total;
  for (const std::string& bucket : buckets) {
    PAILFS_ASSIGN(const PruneResult result,
                  context.core.prune(context.caller, bucket, object.path, options, context.progress));
    total.versions += result.versions;
    total.markers += result.markers;
    total.bytes += result.bytes;
  }
  if (!options.dry_run) PAILFS_TRY(context.core.sync());
  return Json{
      {"dry_run", options.dry_run}, {"versions", total.versions}, {"markers", total.markers}, {"bytes", total.bytes}};
}

}  // namespace pailfs::commands
