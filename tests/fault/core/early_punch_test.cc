// Reclaiming that runs at once after what gives room up, before anything is synced, with the power cut at every call:
// as long as a crash can bring back what referred to the room, the room holds what it held.
#include <gtest/gtest.h>

#include "base/logging.h"
#include "fault/core/power_cut.h"

namespace pailfs::test {
namespace {

const Operation& reclaim_at_once() {
  static const Operation operation{"reclaim-at-once", [](Life& life) -> Status {
                                     const auto done = life.store().reclaim();
                                     return done ? Status{} : std::unexpected(done.error());
                                   }};
  return operation;
}

TEST(EarlyPunchTest, RoomIsGivenBackOnlyAfterTheCommitThatGaveItUp) {
  set_log_level(LogLevel::kError);
  const World world;
  PowerCutCounters counters;
  cut_power_everywhere(world, {&operation("unlink-plain"), &reclaim_at_once()}, 1, counters);
  if (HasFailure()) return;
  // A checkpoint alone is no reason either: LMDB may fall back by one.
  cut_power_everywhere(world, {&operation("unlink-plain"), &operation("checkpoint"), &reclaim_at_once()}, 2, counters);
  EXPECT_GT(counters.images, 300U);
}

}  // namespace
}  // namespace pailfs::test
