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

// The gid of a group; nullopt: there is none of the name. As above.
Result<std::optional<uint32_t>> system_group_id(const std::string& name);

// The name of a gid; nullopt: it has none. As above.
Result<std::optional<std::string>> system_group_name(uint32_t gid);

struct SystemAccount {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // what a login gets: the gid and the supplementary ones
};
// By its login name, or else its uid. nullopt: there is none. As above.
Result<std::optional<SystemAccount>> system_account(const std::string& name);
Result<std::optional<SystemAccount>> system_account(uint32_t uid);

}  // namespace pailfs
