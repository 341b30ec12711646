// What nobody syncs: pailfs-semantics(7) promises that of it at most the last second is missing after a crash. The
// interval is compared with that; that commits follow it is shown with a short one, by waiting for them.
#include <chrono>
#include <thread>

#include "store_fixture.h"

namespace pailfs {
namespace {

constexpr int64_t kPromised = 1'000'000'000;  // ns

class CommitIntervalTest : public StoreTest {
 protected:
  void wait_until_durable(uint64_t seq) {
    // As long as a slow machine may take; a commit that never comes is what this is about.
    for (int i = 0; i < 60'000 && store_->status().durable_sequence < seq; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_GE(store_->status().durable_sequence, seq) << "nothing committed it";
  }
};

TEST_F(CommitIntervalTest, WhatNobodySyncsIsDurableWithinTheInterval) {
  ASSERT_LE(StoreOptions{}.commit_interval, kPromised);
  open();
  ASSERT_TRUE(store_->create_scope(1));
  store_.reset();
  options_.background = true;
  options_.commit_interval = 2'000'000;
  open();
  for (int round = 0; round < 20; ++round) {
    // Changes that go on and on do not put the commit off: the one that was first is not the one that waits longest.
    put("first", std::to_string(round));
    const uint64_t first = store_->sequence();
    std::jthread writer([this](const std::stop_token& stop) {
      for (int i = 0; !stop.stop_requested(); ++i) {
        put("more", std::to_string(i));
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    });
    wait_until_durable(first);
    writer.request_stop();
    writer.join();
    if (round % 5 == 4) {
      crash();
      EXPECT_EQ(get("first"), std::to_string(round));
    }
  }
}

}  // namespace
}  // namespace pailfs
