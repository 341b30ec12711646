#include "cli/targets.h"

#include "ctl/commands.h"

namespace pailfs::cli {

Result<Target> choose_path(const CommonOptions& common, const std::string& path) {
  PAILFS_ASSIGN(const Place place, choose_store(common, path));
  Target out{place.store, Json::object()};
  // Only its daemon knows which bucket a mount may be of.
  if (place.inside && is_dead_mount(place.mountpoint)) {
    return fail(Code::kNoDevice, dead_mount_text(place.mountpoint));
  }
  if (place.inside) {
    out.args["mount_path"] = bytes_to_json(*place.inside);
  } else {
    const ObjectPath object = split_object_path(path);
    if (!object.bucket.empty()) out.args["bucket"] = bytes_to_json(object.bucket);
    if (!object.path.empty()) out.args["path"] = bytes_to_json(object.path);
  }
  return out;
}

Result<Target> choose_bucket_or_path(Invocation& invocation, const std::string& target) {
  const bool path = target.find('/') != std::string::npos || target.starts_with('.');
  if (path) return choose_path(invocation.common, target);
  invocation.word_for_bucket = target;
  PAILFS_ASSIGN(const Place place, choose_store(invocation.common, std::nullopt));
  Target out{place.store, Json::object()};
  if (!target.empty()) out.args["bucket"] = bytes_to_json(target);
  return out;
}

}  // namespace pailfs::cli
