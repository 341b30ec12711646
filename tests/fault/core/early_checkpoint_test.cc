// A checkpoint right after changes that nobody synced, with the power cut at every call: what the index holds by then
// is durable in the log.
#include <gtest/gtest.h>

#include "base/logging.h"
#include "fault/core/power_cut.h"

namespace pailfs::test {
namespace {

TEST(EarlyCheckpointTest, TheIndexIsNeverAheadOfTheLog) {
  set_log_level(LogLevel::kError);
  const World world;
  PowerCutCounters counters;
  for (const char* change : {"rename", "unlink-plain"}) {
    cut_power_everywhere(world, {&operation(change), &operation("checkpoint")}, 1, counters);
    if (HasFailure()) return;
  }
  EXPECT_GT(counters.images, 300U);
}

}  // namespace
}  // namespace pailfs::test
