// Reclaiming while others go on releasing: a storage that lets them do so in the middle of every pass.
#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "store/internal_keys.h"
#include "store_fixture.h"

namespace pailfs {
namespace {

// Tells when space is punched out and when a segment goes; all else is the storage's below.
class WatchedStorage : public LogStorage {
 public:
  explicit WatchedStorage(std::unique_ptr<LogStorage> below) : below_(std::move(below)) {}
  std::function<void()> on_punch;
  std::function<void()> on_remove;
  std::set<uint64_t> unreadable;  // segments; from kBadFrom on
  static constexpr uint64_t kBadFrom = 100'000;

  Result<std::unique_ptr<SegmentWriter>> create(uint64_t id) override { return below_->create(id); }
  Result<size_t> read(uint64_t id, uint64_t offset, std::span<char> out) override {
    if (unreadable.contains(id) && offset >= kBadFrom) return fail(Code::kIo, "the medium does not answer");
    return below_->read(id, offset, out);
  }
  Status seal(uint64_t id, uint64_t length) override { return below_->seal(id, length); }
  Status sync(uint64_t id) override { return below_->sync(id); }
  Status punch(uint64_t id, uint64_t offset, uint64_t length) override {
    if (on_punch) on_punch();
    return below_->punch(id, offset, length);
  }
  Status remove(uint64_t id) override {
    if (on_remove) on_remove();
    return below_->remove(id);
  }
  Result<std::vector<uint64_t>> list() override { return below_->list(); }
  Result<uint64_t> size(uint64_t id) override { return below_->size(id); }
  Result<uint64_t> allocated(uint64_t id) override { return below_->allocated(id); }

 private:
  const std::unique_ptr<LogStorage> below_;
};

class SteadyLoadTest : public StoreTest {
 protected:
  static constexpr uint32_t kSize = 3000;  // what is dead between two live ones holds no whole block to punch
  static constexpr uint32_t kLarge = 20'000;

  void open_watched() {
    auto keyring = Keyring::unlock(env_, "/s", *uuid_bytes(uuid_), test_secret());
    ASSERT_TRUE(keyring);
    auto storage = std::make_unique<WatchedStorage>(make_file_log_storage(env_, "/s/log"));
    storage_ = storage.get();
    auto store = Store::open_with(env_, std::move(*keyring), std::make_unique<SharedIndex>(index_), std::move(storage),
                                  uuid_, options_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  pailfs::Run append(uint32_t size) {
    auto run = store_->append(1, std::string(size, 'x'));
    EXPECT_TRUE(run);
    return run.value_or(pailfs::Run{});
  }
  void release(const pailfs::Run& run) {
    Transaction tx;
    tx.release(run);
    EXPECT_TRUE(store_->commit(std::move(tx)));
  }
  // What is released now may be settled afterwards.
  void end_quarantine() {
    for (int i = 0; i < 3; ++i) {
      put("tick", std::to_string(i));
      EXPECT_TRUE(store_->checkpoint());
    }
  }

  WatchedStorage* storage_ = nullptr;  // the store's
};

TEST_F(SteadyLoadTest, RewritingTakesPlaceThoughReleasesNeverEnd) {
  constexpr int kSupply = 300;
  open_watched();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> small, large;
  for (int i = 0; i < 3000; ++i) small.push_back(append(kSize));
  for (int i = 0; i < kSupply; ++i) large.push_back(append(kLarge));
  for (size_t i = 0; i < small.size(); i += 2) release(small[i]);
  release(large.back());
  large.pop_back();
  end_quarantine();
  int rewritten = 0;
  size_t left_at_first = 0;
  storage_->on_remove = [&] {
    if (rewritten++ == 0) left_at_first = large.size();
  };
  // With every piece that is given back comes the next one to give back.
  storage_->on_punch = [&] {
    if (large.empty()) return;
    release(large.back());
    large.pop_back();
    end_quarantine();
  };
  ASSERT_TRUE(store_->reclaim());
  EXPECT_GT(rewritten, 0);
  EXPECT_GT(left_at_first, size_t{kSupply / 2}) << "segments were rewritten only when nobody released any more";
  storage_->on_punch = nullptr;
  storage_->on_remove = nullptr;
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

// And the other way round: however much there is to rewrite, what is released meanwhile is given back.
TEST_F(SteadyLoadTest, WhatIsReleasedIsGivenBackThoughThereIsMuchToRewrite) {
  options_.log.segment_size = 64 << 10;
  open_watched();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> small, large;
  for (int i = 0; i < 1000; ++i) small.push_back(append(kSize));
  for (int i = 0; i < 60; ++i) large.push_back(append(kLarge));
  for (size_t i = 0; i < small.size(); i += 3) release(small[i]);
  end_quarantine();
  int since_punch = 0;
  int longest = 0;
  int removed = 0;
  // With every segment that goes, something comes out of quarantine.
  storage_->on_remove = [&] {
    ++removed;
    if (large.empty()) return;
    longest = std::max(longest, ++since_punch);
    release(large.back());
    large.pop_back();
    end_quarantine();
  };
  storage_->on_punch = [&] { since_punch = 0; };
  ASSERT_TRUE(store_->reclaim());
  EXPECT_GT(removed, 20);
  EXPECT_LE(longest, 4) << "segments were rewritten before anything was given back";
  storage_->on_punch = nullptr;
  storage_->on_remove = nullptr;
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

// Ranges that come one by one, and that come many at once, are merged with those beside them alike.
TEST_F(SteadyLoadTest, RangesBecomeOneInWhateverOrderTheyCome) {
  open_watched();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> runs;
  for (int i = 0; i < 600; ++i) runs.push_back(append(kSize));
  const pailfs::Run last = append(kSize);
  std::minstd_rand random(5);
  std::shuffle(runs.begin(), runs.end(), random);
  for (size_t i = 0; i < runs.size();) {
    const size_t end = std::min(runs.size(), i + (i < 100 ? 1 : 1 + random() % 300));
    while (i < end) release(runs[i++]);
    end_quarantine();
    ASSERT_TRUE(store_->reclaim());
    ASSERT_EQ(problems(), std::vector<std::string>{}) << "after " << i << " of " << runs.size();
  }
  EXPECT_TRUE(read(last) == std::string(kSize, 'x'));
  // All that is left of them is one range, and what was between them of frames.
  EXPECT_LT(store_->status().log_bytes, uint64_t{600} * kSize / 2);
}

// However often what lives was moved, and from whatever it was moved.
TEST_F(SteadyLoadTest, NothingIsLeftOfSegmentsThatCameAndWent) {
  options_.log.segment_size = 128 << 10;
  open_watched();
  ASSERT_TRUE(store_->create_scope(1));
  const auto records = [this](char kind) {
    size_t count = 0;
    const auto snapshot = index_->snapshot();
    const std::string end(1, static_cast<char>(kind + 1));
    for (auto entry = (*snapshot)->seek(std::string(1, kind)); entry && *entry && (*entry)->key < end;
         entry = (*snapshot)->next()) {
      ++count;
    }
    return count;
  };
  std::vector<pailfs::Run> runs;
  std::minstd_rand random(3);
  size_t moved = 0;
  for (int round = 0; round < 30; ++round) {
    while (runs.size() < 200) runs.push_back(append(kSize));
    std::shuffle(runs.begin(), runs.end(), random);
    for (int i = 0; i < 100; ++i) {
      release(runs.back());
      runs.pop_back();
    }
    end_quarantine();
    ASSERT_TRUE(store_->reclaim());
    moved = std::max(moved, records(internal::kMoved));
    ASSERT_LE(records(internal::kMoved), 250u) << "in round " << round;
  }
  ASSERT_GT(moved, 20u);
  for (const pailfs::Run& run : runs) EXPECT_TRUE(read(run) == std::string(kSize, 'x'));
  for (const pailfs::Run& run : runs) release(run);
  runs.clear();
  // The segments that are written to now stay: the log goes on to others.
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 4; ++j) release(append(kLarge));
    end_quarantine();
    ASSERT_TRUE(store_->reclaim());
  }
  const auto segments = env_.list_dir("/s/log");
  ASSERT_TRUE(segments);
  EXPECT_EQ(records(internal::kMoved), 0u);
  EXPECT_EQ(records(internal::kMovedBack), 0u);
  EXPECT_LE(records(internal::kSegment), segments->size());
  EXPECT_LE(records(internal::kDead), 8 * segments->size());
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

// A crash between the table that says where everything went and the end of the file.
TEST_F(SteadyLoadTest, ASegmentThatWasRewrittenAndIsStillThereGoesWithTheNextStart) {
  options_.log.segment_size = 256 << 10;
  open_watched();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> runs;
  for (int i = 0; i < 300; ++i) runs.push_back(append(kSize));
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i % 3 != 0) release(runs[i]);
  }
  end_quarantine();
  std::map<std::string, std::string> before;
  const auto names = *env_.list_dir("/s/log");
  for (const std::string& name : names) before[name] = *env_.read_file("/s/log/" + name, 1 << 30);
  ASSERT_TRUE(store_->reclaim());
  std::vector<std::string> gone;
  const auto left = *env_.list_dir("/s/log");
  for (const auto& [name, bytes] : before) {
    if (std::ranges::find(left, name) != left.end()) continue;
    gone.push_back(name);
    auto file = env_.open("/s/log/" + name, OpenMode::kCreate);
    ASSERT_TRUE(file && (*file)->write_at(0, bytes) && (*file)->sync_data());
  }
  ASSERT_GT(gone.size(), 1u);
  ASSERT_TRUE(store_->sync());
  options_.read_only = true;
  open();
  EXPECT_EQ(problems(), std::vector<std::string>{});
  EXPECT_TRUE(*env_.exists("/s/log/" + gone.front()));
  options_.read_only = false;
  open();
  for (const std::string& name : gone) EXPECT_FALSE(*env_.exists("/s/log/" + name)) << name;
  EXPECT_EQ(problems(), std::vector<std::string>{});
  for (size_t i = 0; i < runs.size(); i += 3) EXPECT_TRUE(read(runs[i]) == std::string(kSize, 'x'));
}

// Nor is what was moved before the medium failed lost again with every pass.
TEST_F(SteadyLoadTest, ASegmentThatCannotBeReadKeepsNoOtherFromBeingRewritten) {
  options_.log.segment_size = 256 << 10;
  open_watched();
  ASSERT_TRUE(store_->create_scope(1));
  std::vector<pailfs::Run> runs;
  for (int i = 0; i < 300; ++i) runs.push_back(append(kSize));
  // The first one has most to give back, and is tried first.
  const uint64_t bad = runs.front().segment;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i % (runs[i].segment == bad ? 4 : 3) != 0) release(runs[i]);
  }
  end_quarantine();
  storage_->unreadable = {bad};
  int removed = 0;
  storage_->on_remove = [&] { ++removed; };
  ASSERT_TRUE(store_->reclaim());
  EXPECT_GT(removed, 1);
  for (int i = 0; i < 20; ++i) {
    end_quarantine();
    ASSERT_TRUE(store_->reclaim());
  }
  const StoreStatus status = store_->status();
  EXPECT_LT(status.log_bytes, uint64_t{3 * 256} << 10) << "what was moved in vain takes room";
  storage_->unreadable.clear();
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i % (runs[i].segment == bad ? 4 : 3) == 0) {
      EXPECT_TRUE(read(runs[i]) == std::string(kSize, 'x'));
    }
  }
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

}  // namespace
}  // namespace pailfs
