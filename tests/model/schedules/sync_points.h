// Threads that wait at random wherever they take a lock or give one up, so that what the scheduler would do once in a
// million runs is done in every other one. The waits follow from a seed; what the threads make of them does not wholly.
#pragma once

#include <cstdint>

namespace pailfs::test {

// As long as it lives, threads wait.
class PerturbedSchedule {
 public:
  explicit PerturbedSchedule(uint64_t seed);
  ~PerturbedSchedule();
  PerturbedSchedule(const PerturbedSchedule&) = delete;
  PerturbedSchedule& operator=(const PerturbedSchedule&) = delete;
  // Locks and unlocks at which a thread yielded or waited.
  static uint64_t waits();
};

}  // namespace pailfs::test
