// The lines of `pail status` about the scrub. Only src/cli includes this.
#pragma once

#include <string>

#include "cli/invocation.h"

namespace pailfs::cli {

// `scrub`: the object that the daemon tells; at most so many lost objects.
std::string scrub_lines(const Json& scrub, size_t at_most);

}  // namespace pailfs::cli
