#include "fault/core/power_cut.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/logging.h"
#include "fault/core/nonce_watch.h"

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
  const NonceReport nonces = nonce_report();
  EXPECT_EQ(nonces.reused, 0U) << "of " << nonces.texts;
  EXPECT_GT(nonces.texts, 1000U);
}

}  // namespace
}  // namespace pailfs::test
