#include "io/users.h"

#include <pwd.h>

#include <cerrno>
#include <vector>

namespace pailfs {

std::optional<std::string> system_user_name(uint32_t uid) {
  constexpr size_t kMost = size_t{1} << 20;
  passwd entry{};
  passwd* found = nullptr;
  for (std::vector<char> room(1024); room.size() <= kMost; room.resize(room.size() * 4)) {
    const int error = ::getpwuid_r(uid, &entry, room.data(), room.size(), &found);
    if (error == EINTR) continue;
    if (error == ERANGE) continue;
    if (error != 0 || found == nullptr) return std::nullopt;
    return std::string(found->pw_name);
  }
  return std::nullopt;
}

}  // namespace pailfs
