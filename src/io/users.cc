#include "io/users.h"

#include <pwd.h>

#include <cerrno>
#include <vector>

namespace pailfs {

Result<std::optional<std::string>> system_user_name(uint32_t uid) {
  constexpr size_t kMost = size_t{1} << 20;
  passwd entry{};
  passwd* found = nullptr;
  for (std::vector<char> room(1024); room.size() <= kMost; room.resize(room.size() * 4)) {
    const int error = ::getpwuid_r(uid, &entry, room.data(), room.size(), &found);
    if (error == EINTR) continue;
    if (error == ERANGE) continue;
    // getpwuid_r(3): these, too, are said of a uid that is not there.
    if (error != 0 && error != ENOENT && error != ESRCH) {
      return std::unexpected(system_error(error, "the name service does not answer"));
    }
    if (error != 0 || found == nullptr) return std::nullopt;
    return std::optional(std::string(found->pw_name));
  }
  return fail(Code::kTooBig, "the name service's answer is too long");
}

}  // namespace pailfs
