// The system's accounts: passwd(5), or whatever nsswitch.conf(5) names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pailfs {

// The login name of a uid; nullopt: it has none, or the name service does not answer now. May take as long as that
// does.
std::optional<std::string> system_user_name(uint32_t uid);

}  // namespace pailfs
