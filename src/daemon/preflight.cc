#include "daemon/preflight.h"

#include <filesystem>

#include "fuse/mount_table.h"

namespace pailfs {

namespace {

namespace fs = std::filesystem;

// What a mount answers whose daemon is gone, or just goes.
bool is_dead(const std::error_code& error) {
  return error == std::errc::not_connected || error == std::errc::connection_aborted;
}

std::unexpected<Error> dead_mount(const std::string& path) {
  return fail(Code::kBusy,
              fmt::format("{}: a daemon that has died left its mount there; 'umount -l {}' removes it", path, path));
}

Result<std::string> directory(const std::string& path, std::string_view what) {
  std::error_code error;
  const fs::path resolved = fs::canonical(path, error);
  if (is_dead(error)) return dead_mount(path);
  if (error) return std::unexpected(system_error(error.value(), fmt::format("{} {}", what, path)));
  const bool is_directory = fs::is_directory(resolved, error);
  if (is_dead(error)) return dead_mount(path);
  if (error) return std::unexpected(system_error(error.value(), fmt::format("{} {}", what, path)));
  if (!is_directory) return fail(Code::kNotDirectory, fmt::format("{} {} is not a directory", what, path));
  return resolved.string();
}

bool lies_in(const std::string& inner, const std::string& outer) {
  return inner == outer || outer == "/" || (inner.starts_with(outer) && inner[outer.size()] == '/');
}

}  // namespace

Result<Paths> check_paths(const DaemonOptions& options) {
  // Before any path below the mountpoint is touched: a dead mount answers with an error, a hung one not at all.
  std::error_code ignored;
  const std::string typed = fs::absolute(options.mountpoint, ignored).lexically_normal().string();
  PAILFS_ASSIGN(const std::vector<MountLine> mounts, read_mount_table());
  const auto check_free = [&mounts](std::string path) -> Status {
    if (path.size() > 1 && path.ends_with('/')) path.pop_back();
    const MountLine* top = nullptr;
    for (const MountLine& line : mounts) {
      if (line.mountpoint == path) top = &line;
    }
    if (top == nullptr || top->type != kMountType) return {};
    std::error_code error;
    (void)fs::space(path, error);  // stat(2) may be answered by the kernel's cache
    if (is_dead(error)) return dead_mount(path);
    return fail(Code::kBusy, fmt::format("mountpoint {} is busy: {} is mounted there", path, top->source));
  };
  PAILFS_TRY(check_free(typed));
  Paths paths;
  PAILFS_ASSIGN(paths.mountpoint, directory(options.mountpoint, "mountpoint"));
  PAILFS_TRY(check_free(paths.mountpoint));
  PAILFS_ASSIGN(paths.store, directory(options.store, "store"));
  if (paths.store == paths.mountpoint) {
    return fail(Code::kInvalid, fmt::format("the store and the mountpoint are both {}", paths.store));
  }
  if (lies_in(paths.mountpoint, paths.store)) {
    return fail(Code::kInvalid, fmt::format("the mountpoint {} lies in the store {}", paths.mountpoint, paths.store));
  }
  if (lies_in(paths.store, paths.mountpoint)) {
    return fail(Code::kInvalid, fmt::format("the store {} lies below the mountpoint {}, which would hide it",
                                            paths.store, paths.mountpoint));
  }
  return paths;
}

Status make_absolute(DaemonOptions& options) {
  for (std::string* path : {&options.key_file, &options.passphrase_file, &options.recovery_key_file, &options.log}) {
    if (path->empty() || (path == &options.log && (*path == "stderr" || *path == "syslog"))) continue;
    if (*path == "-") continue;
    std::error_code error;
    const fs::path absolute = fs::absolute(*path, error);
    if (error) return std::unexpected(system_error(error.value(), *path));
    *path = absolute.string();
  }
  return {};
}

bool is_mounted(const std::string& store) {
  const auto mounts = read_mount_table();
  if (!mounts) return true;
  for (const MountLine& line : *mounts) {
    if (line.type == kMountType && line.source == store) return true;
  }
  return false;
}

}  // namespace pailfs
