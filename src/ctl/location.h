// Where things are: the control socket of a store, and the store behind a path on a mount.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

// The socket that a daemon running as `uid` listens on: /run/pailfs/UUID.sock for uid 0; for others in
// $XDG_RUNTIME_DIR/pailfs, /run/user/UID/pailfs or, where neither exists, /tmp/pailfs-UID. Where the daemon of another
// store with that UUID has it (one was restored from a backup of the other), it is UUID-1.sock, and so on.
std::string control_socket_path(uint32_t uid, std::string_view uuid, unsigned copy = 0);
inline constexpr unsigned kMaxStoreCopies = 16;
// Where a client looks, in this order: root's daemon, the client's own, the store owner's; of each, that of the one
// store there mostly is with the UUID, before those of its copies.
std::vector<std::string> control_socket_candidates(uint32_t own_uid, uint32_t store_owner, std::string_view uuid);

struct MountEntry {
  std::string root;        // of the mount within the file system: "/" but for bind mounts
  std::string mountpoint;  //
  std::string type;        // "fuse.pailfs"
  std::string source;      // the store directory
};
// One line per mount of /proc/PID/mountinfo (proc(5)), with its octal escapes undone. Lines that make no sense are
// left out.
std::vector<MountEntry> parse_mountinfo(std::string_view text);

// A path on a mount of a pailfs.
struct MountedPath {
  std::string store;   // its directory
  std::string inside;  // the path within the file system, beginning with '/': "/" is the root of the mount
  std::string mountpoint;
};
// The mount that `absolute` (without . and ..) lies on; nullopt when that is no pailfs.
std::optional<MountedPath> find_mount(const std::vector<MountEntry>& mounts, std::string_view absolute);

// The same for any path as typed. Symbolic links are followed but for the last component, and what does not exist
// (any more) is taken as written, so that deleted files have versions to list.
Result<std::optional<MountedPath>> locate(const std::string& path);
// Without a look at the path or at what it is on, which may answer nobody: symbolic links are not followed.
std::optional<MountedPath> locate_as_written(const std::string& path);

// A mount outlives a daemon that was killed: every call on it fails then, until it is unmounted.
bool is_dead_mount(const std::string& mountpoint);
// The mounts of a store of which this is so.
std::vector<std::string> dead_mounts(std::string_view store);
// What is wrong with one, and what to do.
std::string dead_mount_text(std::string_view mountpoint);

}  // namespace pailfs
