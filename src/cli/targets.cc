#include "cli/targets.h"

#include "ctl/client.h"
#include "ctl/commands.h"
#include "io/env.h"

namespace pailfs::cli {

namespace {

// A mount is asked only where nobody answers for it: one whose daemon is stopped would not answer either.
Status check_served(const Place& place) {
  const auto served = ControlClient::connect(posix_env(), place.store);
  if (served) return {};
  if (served.error().code == Code::kBusy) return std::unexpected(served.error());
  if (is_dead_mount(place.mountpoint)) return fail(Code::kNoDevice, dead_mount_text(place.mountpoint));
  return {};
}

}  // namespace

Result<Target> choose_path(const CommonOptions& common, const std::string& path) {
  PAILFS_ASSIGN(const Place place, choose_store(common, path));
  Target out{place.store, Json::object()};
  // Only its daemon knows which bucket a mount may be of.
  if (place.inside) PAILFS_TRY(check_served(place));
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
