// Memtable and OverlayView with writers, a frame taker, a checkpoint and readers at work at once; for TSan, too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "base/mutex.h"
#include "index/lmdb_index.h"
#include "index/memory_index.h"
#include "index/overlay.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

IndexChange put(std::string key, std::string value) { return {std::move(key), std::move(value)}; }

TEST(MemtableThreads, TakenChangesTogetherHoldTheLatestValueOfEveryKey) {
  constexpr int kWriters = 4;
  constexpr int kRounds = 3000;
  Memtable table;
  std::atomic<int> running = kWriters;
  std::atomic<int> takes = 0;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (int round = 0; round < kRounds || takes < 100; ++round) {
        // One transaction: both halves carry the same number.
        table.apply({put(fmt::format("a{}-{}", w, round % 50), std::to_string(round)),
                     put(fmt::format("b{}-{}", w, round % 50), std::to_string(round))});
      }
      --running;
    });
  }
  std::map<std::string, std::string> durable;
  std::atomic<int> torn = 0;
  const auto take = [&] {
    for (const auto& [key, value] : table.take_changes()) durable[key] = *value;
    for (const auto& [key, value] : durable) {
      if (key[0] == 'a' && durable["b" + key.substr(1)] != value) ++torn;
    }
    ++takes;
  };
  std::thread reader([&] {
    while (running > 0) {
      auto entry = table.seek("", false);
      std::string previous;
      while (entry) {
        if (entry->key <= previous && !previous.empty()) ++torn;
        previous = entry->key;
        entry = table.seek(previous, true);
      }
      const auto last = table.last_before("c");
      if (last && last->key[0] != 'b' && last->key[0] != 'a') ++torn;
    }
  });
  while (running > 0) take();
  for (std::thread& writer : writers) writer.join();
  reader.join();
  take();
  EXPECT_EQ(torn, 0) << "a frame holds whole transactions";
  ASSERT_EQ(durable.size(), size_t{kWriters} * 50 * 2);
  for (const auto& [key, value] : durable) EXPECT_EQ(value, **table.get(key)) << key;
}

// With a lock that prefers readers this did not end for minutes.
TEST(MemtableThreads, ReadersWithoutPauseDoNotStopTheWriter) {
  Memtable table;
  std::atomic<bool> done = false;
  std::atomic<int> reading = 0;
  std::vector<std::thread> readers;
  for (int t = 0; t < 8; ++t) {
    readers.emplace_back([&] {
      ++reading;
      while (!done) table.seek("", false);
    });
  }
  while (reading < 8) std::this_thread::yield();
  for (int i = 0; i < 500; ++i) table.apply({put(std::to_string(i), "x")});
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(table.entries(), 500U);
}

// The order that overlay.h prescribes: pin the tables, then the index; move a table into the index, then drop it.
class SmallStore {
 public:
  explicit SmallStore(std::unique_ptr<Index> index) : index_(std::move(index)) {}

  void apply(std::vector<IndexChange> changes) {
    MutexLock lock(mutex_);
    tables_.front()->apply(std::move(changes));
  }
  OverlayView view() {
    std::vector<std::shared_ptr<const Memtable>> pinned;
    {
      MutexLock lock(mutex_);
      pinned.assign(tables_.begin(), tables_.end());
    }
    return OverlayView(std::move(pinned), std::move(*index_->snapshot()));
  }
  void checkpoint() {
    std::shared_ptr<Memtable> sealed;
    {
      MutexLock lock(mutex_);
      tables_.insert(tables_.begin(), std::make_shared<Memtable>());
      sealed = tables_.back();
    }
    std::vector<IndexChange> changes;
    sealed->for_each([&](const std::string& key, const Memtable::Value& value) {
      changes.push_back({key, value == nullptr ? std::nullopt : std::optional(*value)});
    });
    EXPECT_TRUE(index_->apply(changes));
    MutexLock lock(mutex_);
    tables_.pop_back();
  }

 private:
  Mutex mutex_;
  std::vector<std::shared_ptr<Memtable>> tables_ GUARDED_BY(mutex_) = {std::make_shared<Memtable>()};
  const std::unique_ptr<Index> index_;
};

// Keys 0 to 99 always exist with growing numbers; keys between them come and go.
void rehearse(std::unique_ptr<Index> index) {
  SmallStore store(std::move(index));
  std::vector<IndexChange> initial;
  for (int k = 0; k < 100; ++k) initial.push_back(put(fmt::format("{:02}", k), "1000000"));
  store.apply(std::move(initial));
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::atomic<int> scans = 0;
  std::atomic<int> moved = 0;  // memtables into the index
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      std::map<std::string, std::string> newest;
      do {
        OverlayView view = store.view();
        int steady = 0;
        std::string previous;
        for (auto entry = view.seek("", ""); entry && *entry; entry = view.next("")) {
          const auto& [key, value] = **entry;
          if (key <= previous) ++wrong;
          previous = key;
          if (key.size() != 2) continue;
          ++steady;
          if (value < newest[key]) ++wrong;  // what was seen once is never older again
          newest[key] = value;
        }
        if (steady != 100) ++wrong;
        if (!*view.get("42")) ++wrong;
        const auto last = view.last_before("99x", "99");
        if (!last || !*last || (*last)->key != "99") ++wrong;
        ++scans;
      } while (!done);
    });
  }
  std::thread checkpoints([&] {
    while (!done) {
      store.checkpoint();
      ++moved;
    }
  });
  for (int i = 0; i < 4000 || scans < 200 || moved < 50; ++i) {
    const int k = i * 37 % 100;
    IndexChange passing = put(fmt::format("{:02}+", k), "x");
    if (i % 2 == 1) passing.value.reset();
    store.apply({put(fmt::format("{:02}", k), std::to_string(1'000'001 + i)), std::move(passing)});
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  checkpoints.join();
  EXPECT_EQ(wrong, 0);
}

TEST(OverlayThreads, NothingFallsBetweenTheLayersOverMemory) { rehearse(make_memory_index()); }

TEST(OverlayThreads, NothingFallsBetweenTheLayersOverLmdb) {
  const test::TemporaryDirectory directory;
  auto index = open_lmdb_index(directory.path(), {.map_size = 1 << 16});
  ASSERT_TRUE(index) << index.error().message;
  rehearse(std::move(*index));
}

}  // namespace
}  // namespace pailfs
