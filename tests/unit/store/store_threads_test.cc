// The store with its threads: writers, readers and syncs at once, with checkpoints and reclaiming behind them.
#include <fmt/format.h>

#include <atomic>
#include <random>
#include <thread>

#include "base/codec.h"
#include "store_fixture.h"

namespace pailfs {
namespace {

class StoreThreadsTest : public StoreTest {
 protected:
  StoreThreadsTest() {
    options_.background = true;
    options_.commit_interval = 5'000'000;
    options_.memtable_bytes = 128 << 10;
    options_.log.segment_size = 256 << 10;
  }
};

TEST_F(StoreThreadsTest, ReadersSeeWhatWritersCommittedWhileEverythingMoves) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  constexpr int kWriters = 4;
  constexpr int kKeys = 20;
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> wrong = 0;
  std::atomic<uint64_t> reads = 0;
  std::array<std::array<std::atomic<int>, kKeys>, kWriters> written{};
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      std::minstd_rand random(static_cast<unsigned>(w + 1));
      std::vector<std::optional<pailfs::Run>> runs(kKeys);
      for (int i = 1; i <= 400; ++i) {
        const int k = static_cast<int>(random() % kKeys);
        auto run = store_->append(1, std::string(5000, static_cast<char>('a' + i % 26)));
        if (!run) {
          ++wrong;
          continue;
        }
        Encoder value;
        value.u32(static_cast<uint32_t>(i));
        value.u64(run->segment);
        value.u64(run->offset);
        Transaction tx;
        tx.put(1, fmt::format("w{}k{}", w, k), value.take());
        if (runs[k]) tx.release(*runs[k]);
        runs[k] = *run;
        if (!store_->commit(std::move(tx))) ++wrong;
        written[w][k] = i;
        if (i % 50 == 0 && !store_->sync()) ++wrong;
      }
    });
  }
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&, r] {
      std::minstd_rand random(static_cast<unsigned>(100 + r));
      while (!stop) {
        const int w = static_cast<int>(random() % kWriters);
        const int k = static_cast<int>(random() % kKeys);
        const int before = written[w][k];
        const Store::ReadGuard guard(*store_);
        const auto value = store_->get(1, fmt::format("w{}k{}", w, k));
        if (!value || (!*value && before > 0)) {
          ++wrong;
          continue;
        }
        if (!*value) continue;
        Decoder in(**value);
        const auto i = static_cast<int>(in.u32());
        pailfs::Run run;
        run.segment = in.u64();
        run.offset = in.u64();
        run.length = 5000;
        run.head = true;
        std::string out(5000, '\0');
        if (i < before || !store_->read(1, run, 0, out) || out != std::string(5000, static_cast<char>('a' + i % 26)))
          ++wrong;
        ++reads;
      }
    });
  }
  for (int w = 0; w < kWriters; ++w) threads[w].join();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(store_->checkpoint());
    EXPECT_TRUE(store_->reclaim());
  }
  stop = true;
  for (size_t t = kWriters; t < threads.size(); ++t) threads[t].join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(reads, 0u);
  ASSERT_TRUE(store_->close());
  open();
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

// A segment that gets holes, or goes, between the look at the records and the look at the segment is not damaged.
TEST_F(StoreThreadsTest, ACheckBesideReclaimingFindsNothing) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> wrong = 0;
  std::thread changer([&] {
    std::vector<pailfs::Run> runs;
    for (int i = 0; i < 400; ++i) {
      auto run = store_->append(1, std::string(20'000, 'x'));
      if (!run) ++wrong;
      if (!run) break;
      Transaction tx;
      tx.put(1, fmt::format("k{}", i % 16), std::to_string(i));
      runs.push_back(*run);
      if (runs.size() > 20) {
        tx.release(runs.front());
        runs.erase(runs.begin());
      }
      if (!store_->commit(std::move(tx))) ++wrong;
      if (i % 10 == 0 && (!store_->sync() || !store_->checkpoint() || !store_->reclaim())) ++wrong;
    }
    stop = true;
  });
  std::vector<std::string> found;
  do {
    const std::vector<std::string> now = problems();
    found.insert(found.end(), now.begin(), now.end());
  } while (!stop);
  changer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(found, std::vector<std::string>());
}

TEST_F(StoreThreadsTest, SyncsShareWorkAndEachIsDurable) {
  options_.commit_interval = 1'000'000'000;
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        Transaction tx;
        tx.put(1, fmt::format("t{}i{}", t, i), "x");
        const auto seq = store_->commit(std::move(tx));
        if (!seq || !store_->sync() || store_->status().durable_sequence < *seq) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  crash();
  for (int t = 0; t < 8; ++t) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(get(fmt::format("t{}i{}", t, i)), "x");
  }
}

}  // namespace
}  // namespace pailfs
