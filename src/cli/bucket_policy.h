// Only src/cli includes this.
#pragma once

#include <string>

#include "cli/invocation.h"

namespace pailfs::cli {

// A document from a file, or with "-" from standard input (policy.cc).
Result<std::string> read_policy(const std::string& file);
// To `pail policy` (bucket_policy.cc).
void add_bucket_policy_commands(CLI::App& group, Invocation& invocation);

}  // namespace pailfs::cli
