#include "io/users.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <vector>

namespace pailfs {

namespace {

// `ask` is getpwuid_r(3) or getpwnam_r(3), `use` makes the answer of what it found.
template <class Ask, class Use>
auto look_up(const Ask& ask, const Use& use) -> Result<std::optional<decltype(use(passwd()))>> {
  constexpr size_t kMost = size_t{1} << 20;
  passwd entry{};
  passwd* found = nullptr;
  for (std::vector<char> room(1024); room.size() <= kMost; room.resize(room.size() * 4)) {
    const int error = ask(&entry, room.data(), room.size(), &found);
    if (error == EINTR) continue;
    if (error == ERANGE) continue;
    // getpwuid_r(3): these, too, are said of what is not there.
    if (error != 0 && error != ENOENT && error != ESRCH) {
      return std::unexpected(system_error(error, "the name service does not answer"));
    }
    if (error != 0 || found == nullptr) return std::nullopt;
    return std::optional(use(*found));
  }
  return fail(Code::kTooBig, "the name service's answer is too long");
}

std::vector<uint32_t> groups_of(const passwd& entry) {
  // getgrouplist(3) says how many there are where they don't fit.
  std::vector<gid_t> groups(64);
  for (auto count = static_cast<int>(groups.size());;) {
    const bool all = ::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) >= 0;
    const bool grows = static_cast<size_t>(count) > groups.size();
    groups.resize(static_cast<size_t>(count));
    if (all || !grows) return {groups.begin(), groups.end()};
  }
}

}  // namespace

Result<std::optional<std::string>> system_user_name(uint32_t uid) {
  return look_up([uid](auto... room) { return ::getpwuid_r(uid, room...); },
                 [](const passwd& entry) { return std::string(entry.pw_name); });
}

Result<std::optional<SystemUser>> system_user(const std::string& name) {
  return look_up([&name](auto... room) { return ::getpwnam_r(name.c_str(), room...); },
                 [](const passwd& entry) { return SystemUser{entry.pw_uid, entry.pw_gid, groups_of(entry)}; });
}

}  // namespace pailfs
