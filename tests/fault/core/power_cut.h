// A store killed and cut off from power at every call that changes its medium, LMDB's calls included. After each cut it
// opens by itself and shows a state that did exist: nothing that was acknowledged is missing, nothing is half there,
// and its check finds nothing. What a cut leaves is every choice of what no sync covered or, where these are too many,
// none, all, all but each one, each one alone, and random ones torn at sectors.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fault/core/operations.h"
#include "io/memory_env.h"
#include "support/temporary_directory.h"

namespace pailfs::test {

using Workload = std::vector<const Operation*>;
std::string name_of(const Workload& workload);

// A store in its first state, in memory; lives are begun on copies of it.
class World {
 public:
  World();
  const std::string& directory() const { return directory_.path(); }
  std::unique_ptr<MemoryEnv> copy() const;
  // Of the time at which lives begin; the world was made before.
  static constexpr Time kBegin = Time{1'800'000'000} * 1'000'000'000;

 private:
  const TemporaryDirectory directory_;
  std::unique_ptr<MemoryEnv> base_;
};

struct PowerCutCounters {
  uint64_t workloads = 0;
  uint64_t kills = 0;
  uint64_t images = 0;
  uint64_t recoveries_killed = 0;
  uint64_t with_lost_room = 0;  // images in whose log something belonged to nothing
  uint64_t repaired = 0;        // of these
};

// Fails the running test at the first violation.
void cut_power_everywhere(const World& world, const Workload& workload, uint64_t seed, PowerCutCounters& counters);

}  // namespace pailfs::test
