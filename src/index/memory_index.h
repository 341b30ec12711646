// The index in memory: the reference for the contract suite, and what tests run the store on.
#pragma once

#include "index/index.h"

namespace pailfs {

std::unique_ptr<Index> make_memory_index();

}  // namespace pailfs
