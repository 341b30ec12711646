// Schedules that hardly ever happen by themselves: every lock that is taken or given up in this program, by whatever
// library, is a place where the thread may pause, as a seed says. It stands between callers and the C library by
// defining their calls; the code that is tested is the code that ships.
#pragma once

#include <cstdint>

namespace pailfs::test {

// From the construction to the end, pauses are drawn from `seed` and the order in which threads come to their first
// lock. The system's own choices come on top: the same seed makes a similar run, not the same one.
class Perturbation {
 public:
  explicit Perturbation(uint64_t seed);
  ~Perturbation();
  Perturbation(const Perturbation&) = delete;
  Perturbation& operator=(const Perturbation&) = delete;
  static uint64_t pauses();  // since the program began
};

}  // namespace pailfs::test
