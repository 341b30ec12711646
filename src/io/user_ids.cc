#include "io/user_ids.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <vector>

namespace pailfs {
namespace {

// One of the calls getpwnam_r(3) and getgrgid_r(3): `look` gets room for strings, and returns an errno
// with the entry or null. `take` is called with an entry.
template <class Entry, class Look, class Take>
Status look_up(Look look, Take take) {
  constexpr size_t kMost = size_t{1} << 24;  // a group may have many members
  Entry entry{};
  Entry* found = nullptr;
  for (std::vector<char> room(1024); room.size() <= kMost; room.resize(room.size() * 4)) {
    int error = EINTR;
    while (error == EINTR) error = look(entry, room, found);
    if (error == ERANGE) continue;
    // These, too, are said of what is not there.
    if (error != 0 && error != ENOENT && error != ESRCH) {
      return std::unexpected(system_error(error, "the name service does not answer"));
    }
    if (error == 0 && found != nullptr) take(*found);
    return {};
  }
  return fail(Code::kTooBig, "the name service's answer is too long");
}

}  // namespace

Result<std::optional<uint32_t>> system_user_id(const std::string& login) {
  std::optional<uint32_t> uid;
  PAILFS_TRY(look_up<passwd>(
      [&](passwd& entry, std::vector<char>& room, passwd*& found) {
        return ::getpwnam_r(login.c_str(), &entry, room.data(), room.size(), &found);
      },
      [&](const passwd& entry) { uid = entry.pw_uid; }));
  return uid;
}

Result<std::optional<std::string>> system_group_name(uint32_t gid) {
  std::optional<std::string> name;
  PAILFS_TRY(
      look_up<::group>([&](::group& entry, std::vector<char>& room,
                           ::group*& found) { return ::getgrgid_r(gid, &entry, room.data(), room.size(), &found); },
                       [&](const ::group& entry) { name = entry.gr_name; }));
  return name;
}

}  // namespace pailfs
