// The system's accounts: passwd(5), or whatever nsswitch.conf(5) names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace pailfs {

// The login name of a uid; nullopt: it has none. Fails where the name service does. May take as long as that does.
Result<std::optional<std::string>> system_user_name(uint32_t uid);

// The uid of a login name; nullopt: there is none. As above.
Result<std::optional<uint32_t>> system_user_id(const std::string& name);

// The gid of a group; nullopt: there is none of the name. As above.
Result<std::optional<uint32_t>> system_group_id(const std::string& name);

}  // namespace pailfs
