#include "fault/core/power_cut.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>

#include "base/logging.h"
#include "fault/core/nonce_watch.h"
#include "support/figures.h"
#include "support/sanitizers.h"

namespace pailfs::test {
namespace {

class PowerCutTest : public testing::Test {
 protected:
  PowerCutTest() { set_log_level(LogLevel::kError); }

  void TearDown() override {
    const NonceReport after = nonce_report();
    EXPECT_EQ(after.reused, 0U) << "of " << after.texts << " texts";
    EXPECT_GT(after.texts, nonces_.texts);
  }

  void report(std::string_view what) const {
    print_figures("C2", what,
                  {{"workloads", counters_.workloads},
                   {"kills", counters_.kills},
                   {"states", counters_.images},
                   {"recoveries_killed", counters_.recoveries_killed},
                   {"with_lost_room", counters_.with_lost_room},
                   {"repaired", counters_.repaired},
                   {"texts_encrypted", nonce_report().texts - nonces_.texts}});
  }

  // In an order of chance, until all are done or SOAK_SECONDS are over.
  void cut_until_time_is_over(std::string_view what, std::vector<Workload> workloads) {
    const char* given = std::getenv("SOAK_SECONDS");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(given == nullptr ? 60 : std::atoi(given));
    const uint64_t seed = std::random_device()();
    std::mt19937_64 random(seed);
    std::ranges::shuffle(workloads, random);
    for (const Workload& workload : workloads) {
      if (std::chrono::steady_clock::now() >= end) break;
      cut_power_everywhere(world_, workload, random(), counters_);
      if (HasFailure()) {
        ADD_FAILURE() << "of seed " << seed;
        break;
      }
    }
    report(fmt::format("{} ({} there are)", what, workloads.size()));
  }

  const World world_;
  const NonceReport nonces_ = nonce_report();
  PowerCutCounters counters_;
};

// The shortest sequences: each operation alone, then the store's own closing.
TEST_F(PowerCutTest, AnOperationIsThereWhollyOrNotAtAll) {
  for (size_t i = 0; i < operations().size() && !HasFailure(); ++i) {
    if (i % kSlowdown == 0) cut_power_everywhere(world_, {&operations()[i]}, 1, counters_);
  }
  report("power cuts: each operation alone");
  EXPECT_GT(counters_.images, 10'000U / kSlowdown);
  EXPECT_GT(counters_.recoveries_killed, 300U / kSlowdown);
  EXPECT_GT(counters_.repaired, 20U / kSlowdown);
}

// Those below are of ctest's label soak.
TEST_F(PowerCutTest, DISABLED_SequencesOfTwo) {
  std::vector<Workload> pairs;
  for (const Operation& first : operations()) {
    for (const Operation& second : operations()) pairs.push_back({&first, &second});
  }
  cut_until_time_is_over("power cuts: sequences of two", std::move(pairs));
}

TEST_F(PowerCutTest, DISABLED_LongerSequences) {
  std::mt19937_64 random{std::random_device()()};
  std::vector<Workload> some;
  for (size_t i = 0; i < 10'000; ++i) {
    Workload workload;
    for (size_t length = 3 + i % 6; length > 0; --length)
      workload.push_back(&operations()[random() % operations().size()]);
    some.push_back(std::move(workload));
  }
  cut_until_time_is_over("power cuts: sampled sequences of three to eight", std::move(some));
}

}  // namespace
}  // namespace pailfs::test
