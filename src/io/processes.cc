#include "io/processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace pailfs {

namespace {

// A file of proc(5), which are short; empty where it cannot be read.
std::string contents(const std::string& path) {
  constexpr size_t kMost = size_t{64} << 10;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string out;
  char piece[4096];
  for (ssize_t got = 0; out.size() < kMost && (got = ::read(fd, piece, sizeof piece)) > 0;) {
    out.append(piece, static_cast<size_t>(got));
  }
  ::close(fd);
  return out;
}

uint64_t number(std::string_view text) {
  uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

std::optional<ProcessStart> process_start(uint32_t pid) {
  const std::string text = contents(fmt::format("/proc/{}/stat", pid));
  // Field 2 is the program's name in parentheses, and may hold anything; 3 is the state, 4 the parent, 5 the group, 22
  // the start.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  ProcessStart out;
  std::string_view rest = std::string_view(text).substr(name_end + 1);
  for (int field = 3; field <= 22; ++field) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    if (field == 3) out.stopped = word == "T" || word == "t";
    if (field == 4) out.parent = static_cast<uint32_t>(number(word));
    if (field == 5) out.group = static_cast<uint32_t>(number(word));
    if (field == 22) out.start = number(word);
  }
  return out;
}

std::optional<uint32_t> process_of_thread(uint32_t tid) {
  constexpr std::string_view kField = "\nTgid:\t";
  const std::string text = contents(fmt::format("/proc/{}/status", tid));
  const size_t at = text.find(kField);
  if (at == std::string::npos) return std::nullopt;
  return static_cast<uint32_t>(number(std::string_view(text).substr(at + kField.size())));
}

namespace {

// Empty where it cannot be read.
std::string link_target(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<size_t>(length) == target.size()) return {};
  target.resize(static_cast<size_t>(length));
  return target;
}

}  // namespace

std::string process_executable(uint32_t pid) {
  if (pid == 0) return {};
  // In a user namespace of his own (user_namespaces(7)) anybody mounts what he likes over any path.
  const std::string users = link_target(fmt::format("/proc/{}/ns/user", pid));
  if (users.empty() || users != link_target("/proc/self/ns/user")) return {};
  return link_target(fmt::format("/proc/{}/exe", pid));
}

std::optional<std::vector<std::string>> process_cgroups(uint32_t pid) {
  // cgroups(7): lines of "hierarchy-ID:controllers:/path".
  const std::string text = pid == 0 ? std::string() : contents(fmt::format("/proc/{}/cgroup", pid));
  if (text.empty()) return std::nullopt;
  std::vector<std::string> out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t colon = line.find(':', line.find(':') + 1);
    if (colon == std::string_view::npos) continue;
    std::string_view path = line.substr(colon + 1);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (!path.empty()) out.emplace_back(path);
  }
  return out;
}

}  // namespace pailfs
