// What is mounted where: lines of /proc/self/mountinfo (proc_pid_mountinfo(5)). Reading it touches no mounted file
// system, so it is safe where one of them is ours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

struct MountLine {
  std::string device;      // "major:minor"
  std::string mountpoint;  //
  std::string type;        // "fuse.pailfs"
  std::string source;      // for ours: the store's directory
};

// In the order of the kernel: of several lines for one mountpoint the last one is on top.
Result<std::vector<MountLine>> read_mount_table();
std::vector<MountLine> parse_mount_table(std::string_view text);

inline constexpr std::string_view kMountType = "fuse.pailfs";

}  // namespace pailfs
