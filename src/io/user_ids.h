// Names and numbers of the system's accounts and groups: passwd(5) and group(5), or whatever nsswitch.conf(5) names.
// May take as long as that does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace pailfs {

// nullopt: there is none of the name. Fails where the name service does.
Result<std::optional<uint32_t>> system_user_id(const std::string& login);
// The name of a group; nullopt: it has none.
Result<std::optional<std::string>> system_group_name(uint32_t gid);

}  // namespace pailfs
