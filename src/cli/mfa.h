// Codes for MFA delete, as they are typed. Only src/cli includes this.
#pragma once

#include <string>

#include "cli/invocation.h"

namespace pailfs::cli {

// `--mfa CODE`: "-" asks for a line, on the terminal or from standard input.
Result<std::string> mfa_code(Invocation& invocation, const std::string& given);
// Adds the code to the arguments of a request, where one was given.
Status add_mfa(Invocation& invocation, const std::string& given, Json& args);
inline constexpr const char* kMfaHelp = "A code of the account's device, for a bucket with MFA delete; - asks for it";

}  // namespace pailfs::cli
