#include "io/users.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <vector>

namespace pailfs {

namespace {

// Calls one of the getXbyY_r family with room that grows; whether it found something.
template <class Entry, class Ask>
Result<bool> ask(std::vector<char>& room, const Ask& call) {
  constexpr size_t kMost = size_t{1} << 20;
  Entry* found = nullptr;
  for (room.resize(1024); room.size() <= kMost;) {
    const int error = call(room.data(), room.size(), &found);
    if (error == EINTR) continue;
    if (error == ERANGE) {
      room.resize(room.size() * 4);
      continue;
    }
    // getpwuid_r(3): these, too, are said of a uid that is not there.
    if (error != 0 && error != ENOENT && error != ESRCH) {
      return std::unexpected(system_error(error, "the name service does not answer"));
    }
    return error == 0 && found != nullptr;
  }
  return fail(Code::kTooBig, "the name service's answer is too long");
}

}  // namespace

Result<std::optional<std::string>> system_user_name(uint32_t uid) {
  passwd entry{};
  std::vector<char> room;
  PAILFS_ASSIGN(const bool found, ask<passwd>(room, [&](char* at, size_t size, passwd** out) {
                  return ::getpwuid_r(uid, &entry, at, size, out);
                }));
  if (!found) return std::nullopt;
  return std::optional(std::string(entry.pw_name));
}

Result<std::optional<uint32_t>> system_user_id(const std::string& name) {
  passwd entry{};
  std::vector<char> room;
  PAILFS_ASSIGN(const bool found, ask<passwd>(room, [&](char* at, size_t size, passwd** out) {
                  return ::getpwnam_r(name.c_str(), &entry, at, size, out);
                }));
  if (!found) return std::nullopt;
  return std::optional(uint32_t{entry.pw_uid});
}

Result<std::optional<uint32_t>> system_group_id(const std::string& name) {
  group entry{};
  std::vector<char> room;
  PAILFS_ASSIGN(const bool found, ask<group>(room, [&](char* at, size_t size, group** out) {
                  return ::getgrnam_r(name.c_str(), &entry, at, size, out);
                }));
  if (!found) return std::nullopt;
  return std::optional(uint32_t{entry.gr_gid});
}

}  // namespace pailfs
