// Many damages, one after the other, in a process of their own: what crashes there, or never comes back, is a violation
// like others, and the sweep goes on behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "fault/flips/judge.h"

namespace pailfs::test {

// `damage(i)` for every i below `count`. Violations fail the running test; the first ones are printed. PAILFS_STATE=i
// runs that one alone, in this process, for a debugger. With SOAK_SECONDS in the environment: in an order of chance,
// for a fifth of that, as there are five sweeps. `row` and `what` stand in the figures.
void sweep(const Specimen& specimen, const std::string& row, const std::string& what, uint64_t count,
           const std::function<Damage(uint64_t)>& damage);
// Every how many states one is tried: `of_a_commit`, or what PAILFS_SHARE in the environment says (1: all are); all
// with SOAK_SECONDS.
uint64_t sweep_share(uint64_t of_a_commit);
// SplitMix64: a choice that is the same in every run.
uint64_t mixed(uint64_t number);

}  // namespace pailfs::test
