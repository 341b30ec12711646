// The system's accounts: passwd(5), or whatever nsswitch.conf(5) names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace pailfs {

// The login name of a uid; nullopt: it has none. Fails where the name service does. May take as long as that does.
Result<std::optional<std::string>> system_user_name(uint32_t uid);

struct SystemUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // all, as after a login
};
// Who logs in by a name; nullopt: nobody does. Fails, and may take long, in the same way.
Result<std::optional<SystemUser>> system_user(const std::string& name);

}  // namespace pailfs
