#include <fmt/format.h>

#include <map>
#include <random>

#include "store_fixture.h"

namespace pailfs {
namespace {

std::string pattern(size_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(generator());
  return out;
}

TEST_F(StoreTest, WhatWasSyncedSurvivesACrashAndTheRestIsAPrefix) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("a", "1");
  ASSERT_TRUE(store_->sync());
  put("b", "2");
  crash();
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "(none)");
}

TEST_F(StoreTest, ATransactionIsSeenWholeAtOnceAndErasesWin) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("a", "old");
  Transaction tx;
  tx.put(1, "a", "new");
  tx.put(1, "b", "1");
  tx.erase("a");
  ASSERT_TRUE(store_->commit(std::move(tx)));
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(get("b"), "1");
}

TEST_F(StoreTest, CheckpointedAndReplayedStateAreTheSame) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::map<std::string, std::string> model;
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "k" + std::to_string(random() % 200);
    Transaction tx;
    if (random() % 4 == 0) {
      tx.erase(key);
      model.erase(key);
    } else {
      model[key] = std::to_string(i);
      tx.put(1, key, model[key]);
    }
    ASSERT_TRUE(store_->commit(std::move(tx)));
    if (random() % 100 == 0) {
      ASSERT_TRUE(store_->sync());
    }
    if (random() % 300 == 0) {
      ASSERT_TRUE(store_->checkpoint());
    }
    if (random() % 500 == 0) {
      ASSERT_TRUE(store_->sync());
      crash({Unsynced::kRandom, Unsynced::kRandom, random()});
    }
  }
  StoreView view = store_->view();
  auto entry = view.seek(1, "k", "l");
  for (const auto& [key, value] : model) {
    ASSERT_TRUE(entry && *entry) << key;
    EXPECT_EQ((*entry)->key, key);
    EXPECT_EQ((*entry)->value, value);
    entry = view.next(1, "l");
  }
  EXPECT_TRUE(entry && !*entry);
}

TEST_F(StoreTest, RunsReadBackWholeAndInPart) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  for (const size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, size_t{70000}, size_t{kMaxRun}}) {
    const std::string data = pattern(size, static_cast<unsigned>(size));
    auto run = store_->append(1, data);
    ASSERT_TRUE(run) << run.error().message;
    EXPECT_EQ(read(*run), data);
    std::mt19937 random(3);
    for (int i = 0; i < 50; ++i) {
      const size_t from = random() % size;
      const size_t count = 1 + random() % (size - from);
      std::string part(count, '\0');
      const Store::ReadGuard guard(*store_);
      ASSERT_TRUE(store_->read(1, *run, static_cast<uint32_t>(from), part));
      EXPECT_EQ(part, data.substr(from, count));
    }
    if (run->units() > 2) {
      EXPECT_EQ(read(run->drop_front(1)), data.substr(kUnitSize));
      EXPECT_EQ(read(run->keep_front(2)), data.substr(0, 2 * kUnitSize));
    }
  }
}

TEST_F(StoreTest, DamagedContentIsAnErrorAndNeverOtherData) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  const std::string data = pattern(10000, 1);
  auto run = store_->append(1, data);
  ASSERT_TRUE(run);
  auto file = env_.open(fmt::format("/s/log/{:016x}.seg", run->segment), OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  char byte = 0;
  ASSERT_TRUE((*file)->read_at(run->offset + 5000, {&byte, 1}));
  byte = static_cast<char>(byte ^ 1);
  ASSERT_TRUE((*file)->write_at(run->offset + 5000, {&byte, 1}));
  std::string out(data.size(), '\0');
  const auto status = store_->read(1, *run, 0, out);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kCorrupt);
  std::string first(4096, '\0');
  EXPECT_TRUE(store_->read(1, *run, 0, first)) << "the units that are whole can still be read";
}

TEST_F(StoreTest, AnotherScopesKeyReadsNothing) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  ASSERT_TRUE(store_->create_scope(2));
  put("a", "1", 1);
  auto run = store_->append(1, "secret content");
  ASSERT_TRUE(run);
  std::string out(run->length, '\0');
  EXPECT_FALSE(store_->read(2, *run, 0, out));
  EXPECT_FALSE(store_->get(2, "a"));
}

TEST_F(StoreTest, ADestroyedScopeIsGoneForGood) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("a", "1");
  ASSERT_TRUE(store_->destroy_scope(1));
  EXPECT_FALSE(store_->get(1, "a"));
  open();
  EXPECT_FALSE(store_->get(1, "a"));
  EXPECT_FALSE(store_->has_scope(1));
}

TEST_F(StoreTest, NoPlaintextReachesTheMedium) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("k", "a value that must not be seen on the medium");
  ASSERT_TRUE(store_->append(1, "content that must not be seen on the medium"));
  Transaction tx;
  tx.record("a change record that must not be seen");
  ASSERT_TRUE(store_->commit(std::move(tx)));
  ASSERT_TRUE(store_->sync());
  const auto names = env_.list_dir("/s/log");
  ASSERT_TRUE(names);
  for (const auto& name : *names) {
    EXPECT_EQ(env_.read_file("/s/log/" + name, 1 << 24)->find("must not be seen"), std::string::npos);
  }
}

TEST_F(StoreTest, AClosedStoreReplaysNothing) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("a", "1");
  ASSERT_TRUE(store_->close());
  open();
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(store_->status().recovery.frames, 0u);
}

// Overwrites and deletes with everything released at once, as a bucket without versions does.
TEST_F(StoreTest, OverwritingForLongStaysWithin1Point3TimesTheLiveData) {
  options_.memtable_bytes = 256 << 10;
  options_.log.segment_size = 512 << 10;
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> live(2000);
  std::vector<unsigned> seeds(live.size());
  std::minstd_rand random(11);
  uint64_t live_bytes = 0;
  const auto write = [&](size_t i, unsigned seed) {
    auto run = store_->append(1, pattern(4096 + seed % 8192, seed));
    ASSERT_TRUE(run);
    Transaction tx;
    tx.put(1, "f" + std::to_string(i), std::to_string(seed));
    if (live[i].length > 0) {
      tx.release(live[i]);
      live_bytes -= live[i].length;
    }
    live[i] = *run;
    seeds[i] = seed;
    live_bytes += run->length;
    ASSERT_TRUE(store_->commit(std::move(tx)));
  };
  for (size_t i = 0; i < live.size(); ++i) write(i, static_cast<unsigned>(random()));
  double worst = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 60; ++i) write(random() % live.size(), static_cast<unsigned>(random()));
    ASSERT_TRUE(store_->checkpoint());
    auto reclaimed = store_->reclaim();
    ASSERT_TRUE(reclaimed) << reclaimed.error().message;
    if (round >= 10)
      worst = std::max(worst, static_cast<double>(store_->status().log_bytes) / static_cast<double>(live_bytes));
    if (round == 100) crash();
  }
  for (size_t i = 0; i < live.size(); ++i) {
    EXPECT_EQ(read(live[i]), pattern(live[i].length, seeds[i]).substr(0, live[i].length)) << i;
  }
  std::cerr << "room on the medium is at most " << worst << " times the live data\n";
  EXPECT_EQ(problems(), std::vector<std::string>{});
  open();
  for (size_t i = 0; i < live.size(); ++i) EXPECT_EQ(read(live[i]).size(), live[i].length);
  EXPECT_EQ(problems(), std::vector<std::string>{});
  EXPECT_LT(worst, 1.3);
}

TEST_F(StoreTest, DeletingEverythingGivesTheRoomBack) {
  options_.log.segment_size = 256 << 10;
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> runs;
  for (unsigned i = 0; i < 500; ++i) runs.push_back(*store_->append(1, pattern(10000, i)));
  ASSERT_TRUE(store_->sync());
  const uint64_t full = store_->status().log_bytes;
  Transaction tx;
  for (const pailfs::Run& run : runs) tx.release(run);
  ASSERT_TRUE(store_->commit(std::move(tx)));
  for (int i = 0; i < 6; ++i) {
    put("tick", std::to_string(i));
    ASSERT_TRUE(store_->checkpoint());
    ASSERT_TRUE(store_->reclaim());
  }
  EXPECT_LT(store_->status().log_bytes, full / 8);
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

TEST_F(StoreTest, AFullMediumRefusesContentAndLosesNothing) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("a", "1");
  ASSERT_TRUE(store_->sync());
  env_.set_capacity(env_.used() + (300 << 10));
  std::vector<pailfs::Run> runs;
  while (true) {
    auto run = store_->append(1, pattern(50000, 1));
    if (!run) {
      EXPECT_EQ(run.error().code, Code::kNoSpace) << run.error().message;
      break;
    }
    runs.push_back(*run);
    ASSERT_LT(runs.size(), 1000u);
  }
  EXPECT_FALSE(store_->status().read_only);
  EXPECT_EQ(get("a"), "1");
  env_.set_capacity(MemoryEnv::kUnlimited);
  ASSERT_TRUE(store_->append(1, "more"));
  put("b", "2");
  ASSERT_TRUE(store_->sync());
  crash();
  EXPECT_EQ(get("b"), "2");
  for (const pailfs::Run& run : runs) EXPECT_EQ(read(run), pattern(50000, 1));
}

}  // namespace
}  // namespace pailfs
