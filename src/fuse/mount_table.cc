#include "fuse/mount_table.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace pailfs {

namespace {
// Space, tab, newline and backslash are written as backslash and three octal digits.
std::string unescape(std::string_view field) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size() && octal(field[i + 1]) && octal(field[i + 2]) && octal(field[i + 3])) {
      out.push_back(static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(field[i]);
    }
  }
  return out;
}
}  // namespace

std::vector<MountLine> parse_mount_table(std::string_view text) {
  std::vector<MountLine> mounts;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    // id, parent, device, root, mountpoint, options, optional fields…, "-", type, source, options
    std::istringstream fields(line);
    std::vector<std::string> words;
    for (std::string word; fields >> word;) words.push_back(std::move(word));
    size_t dash = 6;
    while (dash < words.size() && words[dash] != "-") ++dash;
    if (dash + 2 >= words.size()) continue;
    mounts.push_back({words[2], unescape(words[4]), unescape(words[dash + 1]), unescape(words[dash + 2])});
  }
  return mounts;
}

Result<std::vector<MountLine>> read_mount_table() {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return std::unexpected(system_error(EIO, "cannot read /proc/self/mountinfo"));
  return parse_mount_table(text.str());
}

}  // namespace pailfs
