// Locks in words. Only src/cli includes this.
#pragma once

#include <string>

#include "cli/invocation.h"

namespace pailfs::cli {

std::string lock_words(const Json& lock);           // of a version: the member "lock"
std::string bucket_lock_words(const Json& bucket);  // with the members object_lock and default_retention

}  // namespace pailfs::cli
