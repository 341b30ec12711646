#include "ctl/location.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace pailfs {
namespace {

namespace fs = std::filesystem;

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Directories a daemon of this uid may have its socket in, best first.
std::vector<std::string> socket_directories(uint32_t uid) {
  if (uid == 0) return {"/run/pailfs"};
  std::vector<std::string> out;
  if (uid == ::geteuid()) {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe): nothing sets variables
    if (runtime != nullptr && runtime[0] == '/' && is_directory(runtime))
      out.push_back(std::string(runtime) + "/pailfs");
  }
  if (const std::string usual = fmt::format("/run/user/{}", uid); is_directory(usual)) out.push_back(usual + "/pailfs");
  out.push_back(fmt::format("/tmp/pailfs-{}", uid));
  return out;
}

std::string socket_in(const std::string& directory, std::string_view uuid, unsigned copy) {
  return copy == 0 ? fmt::format("{}/{}.sock", directory, uuid) : fmt::format("{}/{}-{}.sock", directory, uuid, copy);
}

// mountinfo writes space, tab, newline and backslash as \ and three octal digits.
std::string unescape(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const size_t end = std::min(line.find(separator), line.size());
    if (end > 0) out.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return out;
}

// What follows `prefix` in `path`, where prefix is path itself or a directory above it.
std::optional<std::string_view> below(std::string_view path, std::string_view prefix) {
  if (prefix == "/") return path;
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  if (!path.empty() && path.front() != '/') return std::nullopt;
  return path;
}

}  // namespace

std::string control_socket_path(uint32_t uid, std::string_view uuid, unsigned copy) {
  return socket_in(socket_directories(uid).front(), uuid, copy);
}

std::vector<std::string> control_socket_candidates(uint32_t own_uid, uint32_t store_owner, std::string_view uuid) {
  std::vector<std::string> out;
  for (const uint32_t uid : {uint32_t{0}, own_uid, store_owner}) {
    for (const std::string& directory : socket_directories(uid)) {
      for (unsigned copy = 0; copy < kMaxStoreCopies; ++copy) {
        std::string path = socket_in(directory, uuid, copy);
        if (std::find(out.begin(), out.end(), path) == out.end()) out.push_back(std::move(path));
      }
    }
  }
  return out;
}

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> out;
  for (const std::string_view line : split(text, '\n')) {
    // 36 35 98:0 /root /mountpoint options [optional fields] - type source super-options
    const std::vector<std::string_view> fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 3) continue;
    out.push_back({unescape(fields[3]), unescape(fields[4]), std::string(*(dash + 1)), unescape(*(dash + 2))});
  }
  return out;
}

std::optional<MountedPath> find_mount(const std::vector<MountEntry>& mounts, std::string_view absolute) {
  const MountEntry* best = nullptr;
  for (const MountEntry& mount : mounts) {
    // Of several mounts on one directory the last one is on top.
    if (below(absolute, mount.mountpoint) && (!best || mount.mountpoint.size() >= best->mountpoint.size()))
      best = &mount;
  }
  if (best == nullptr || best->type != "fuse.pailfs" || !best->root.starts_with('/')) return std::nullopt;
  std::string inside = best->root == "/" ? "" : best->root;
  inside += *below(absolute, best->mountpoint);
  if (inside.empty()) inside = "/";
  return MountedPath{best->source, inside, best->mountpoint};
}

namespace {

// What a mount answers whose daemon is gone, or whose connection just ends: with io_uring that is a moment later.
bool says_dead(const std::error_code& error) {
  return error == std::errc::not_connected || error == std::errc::connection_aborted;
}

Result<std::vector<MountEntry>> mounts_here() {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return fail(Code::kIo, "/proc/self/mountinfo cannot be read: is /proc mounted?");
  return parse_mountinfo(text.str());
}

}  // namespace

bool is_dead_mount(const std::string& mountpoint) {
  std::error_code error;
  static_cast<void>(fs::space(mountpoint, error));  // stat(2) may be answered by the kernel's cache
  return says_dead(error);
}

std::vector<std::string> dead_mounts(std::string_view store) {
  std::vector<std::string> out;
  for (const MountEntry& mount : mounts_here().value_or(std::vector<MountEntry>())) {
    if (mount.type == "fuse.pailfs" && mount.source == store && is_dead_mount(mount.mountpoint)) {
      out.push_back(mount.mountpoint);
    }
  }
  return out;
}

std::string dead_mount_text(std::string_view mountpoint) {
  return fmt::format("the daemon of the mount {0} is gone, killed or crashed: 'umount {0}', and mount the store again",
                     mountpoint);
}

std::optional<MountedPath> locate_as_written(const std::string& path) {
  std::error_code error;
  fs::path written = fs::absolute(path.empty() ? "." : path, error).lexically_normal();
  if (error) return std::nullopt;
  if (!written.has_filename()) written = written.parent_path();  // a trailing slash
  return find_mount(mounts_here().value_or(std::vector<MountEntry>()), written.string());
}

Result<std::optional<MountedPath>> locate(const std::string& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path.empty() ? "." : path, error);
  if (error) return fail(Code::kNotFound, fmt::format("{}: {}", path, error.message()));
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // a trailing slash
  fs::path resolved;
  const fs::path last = absolute.filename();
  if (last.empty() || last == "." || last == "..") {
    resolved = fs::weakly_canonical(absolute, error);
  } else {
    resolved = fs::weakly_canonical(absolute.parent_path(), error) / last;
  }
  if (says_dead(error)) return locate_as_written(path);  // below a dead mount nothing can be looked at
  if (error) return fail(Code::kNotFound, fmt::format("{}: {}", path, error.message()));
  PAILFS_ASSIGN(const std::vector<MountEntry> mounts, mounts_here());
  std::optional<MountedPath> found = find_mount(mounts, resolved.string());
  if (!found) {
    // A symbolic link elsewhere that leads onto a mount.
    const fs::path target = fs::weakly_canonical(absolute, error);
    if (!error) found = find_mount(mounts, target.string());
  }
  return found;
}

}  // namespace pailfs
