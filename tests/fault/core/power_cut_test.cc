#include "fault/core/power_cut.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/logging.h"

namespace pailfs::test {
namespace {

// The shortest sequences: each operation alone, then the store's own closing.
TEST(PowerCutTest, AnOperationIsThereWhollyOrNotAtAll) {
  set_log_level(LogLevel::kError);
  const World world;
  PowerCutCounters counters;
  for (const Operation& one : operations()) {
    cut_power_everywhere(world, {&one}, 1, counters);
    if (HasFailure()) return;
  }
  fmt::print("{} kills, {} images opened, {} recoveries killed\n", counters.kills, counters.images,
             counters.recoveries_killed);
  EXPECT_GT(counters.images, 10'000U);
  EXPECT_GT(counters.recoveries_killed, 300U);
}

}  // namespace
}  // namespace pailfs::test
