// The index's map grows from next to nothing while transactions are committed, checkpointed and read: nobody fails,
// nobody reads anything but what was written, and all of it is there after a close and after a power cut.
//
// PAILFS_GROWTHS=N: so many doublings of the map (20).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <random>
#include <thread>

#include "index/lmdb_index.h"
#include "io/memory_env.h"
#include "log/log_storage.h"
#include "store/store.h"
#include "store/superblock.h"
#include "support/figures.h"
#include "support/shared_index.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

constexpr uint64_t kSmallestMap = uint64_t{64} << 10;
constexpr uint64_t kLargestMap = uint64_t{16} << 20;
constexpr unsigned kWriters = 3;
constexpr unsigned kReaders = 3;
constexpr Scope kScope = 1;

std::string last_key(unsigned writer) { return fmt::format("l{}", writer); }
std::string key_of(unsigned writer, uint64_t number) { return fmt::format("k{}:{:08}", writer, number); }
// Some values need pages of their own.
std::string value_of(unsigned writer, uint64_t number) {
  return fmt::format("{}/{}:", writer, number) + std::string(number % 16 == 0 ? 9000 : 100 + number % 900, 'v');
}

// One store from its smallest map to its largest.
class Round {
 public:
  explicit Round(const std::string& directory) : directory_(directory) {
    EXPECT_EQ(::mkdir(directory.c_str(), 0700), 0);
    for (const char* made : {"/s", "/s/log"}) EXPECT_TRUE(env_.make_dir(made));
    EXPECT_TRUE(env_.sync_dir("/"));
    EXPECT_TRUE(env_.sync_dir("/s"));
    uuid_ = make_uuid(env_);
    EXPECT_TRUE(Keyring::create(env_, "/s", *uuid_bytes(uuid_), secret(), "test", {}));
    open(kSmallestMap);
    EXPECT_TRUE(store_->create_scope(kScope));
  }

  // Returns how often the map has doubled.
  uint64_t grow() {
    std::vector<std::thread> threads;
    for (unsigned writer = 0; writer < kWriters; ++writer) threads.emplace_back([this, writer] { write(writer); });
    for (unsigned reader = 0; reader < kReaders; ++reader) threads.emplace_back([this, reader] { read(reader); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong_, 0u);
    EXPECT_GT(reads_, 0u);
    return static_cast<uint64_t>(std::bit_width(map_bytes() / kSmallestMap)) - 1;
  }
  void end(bool power_cut) {
    EXPECT_TRUE(store_->sync());
    if (!power_cut) {
      EXPECT_TRUE(store_->close());
    }
    store_.reset();
    index_.reset();
    if (power_cut) env_.crash({});
    open(kSmallestMap);
    for (unsigned writer = 0; writer < kWriters; ++writer) {
      const uint64_t last = last_of(writer);
      EXPECT_EQ(last, written_[writer]);
      for (uint64_t number = 1; number <= last; ++number) EXPECT_TRUE(as_written(writer, number)) << number;
    }
    std::vector<std::string> problems;
    EXPECT_TRUE(
        store_->check(true, [&](std::string_view, std::string problem) { problems.push_back(std::move(problem)); }));
    EXPECT_EQ(problems, std::vector<std::string>());
    EXPECT_TRUE(store_->close());
  }

 private:
  static UnlockSecret secret() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }

  void open(uint64_t map_size) {
    auto index =
        open_lmdb_index(directory_, {.map_size = map_size, .max_snapshots = 4});  // fewer than threads: some wait
    ASSERT_TRUE(index) << index.error().message;
    index_ = std::move(*index);
    auto keyring = Keyring::unlock(env_, "/s", *uuid_bytes(uuid_), secret());
    ASSERT_TRUE(keyring) << keyring.error().message;
    StoreOptions options;
    options.log.segment_size = 8 << 20;
    options.log.reserve_step = 256 << 10;
    options.memtable_bytes = 512 << 10;  // many checkpoints
    auto store = Store::open_with(env_, std::move(*keyring), std::make_unique<SharedIndex>(index_),
                                  make_file_log_storage(env_, "/s/log"), uuid_, options);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  uint64_t map_bytes() const {
    const auto stats = index_->stats();
    EXPECT_TRUE(stats);
    return stats ? stats->map_bytes : 0;
  }
  uint64_t last_of(unsigned writer) const {
    const auto value = store_->get(kScope, last_key(writer));
    EXPECT_TRUE(value) << value.error().message;
    return value && *value ? std::stoull(**value) : 0;
  }
  bool as_written(unsigned writer, uint64_t number) const {
    const auto value = store_->get(kScope, key_of(writer, number));
    return value && *value && **value == value_of(writer, number);
  }

  void write(unsigned writer) {
    uint64_t& number = written_[writer];
    while (number % 64 != 0 || map_bytes() < kLargestMap) {
      ++number;
      Transaction tx;
      tx.put(kScope, key_of(writer, number), value_of(writer, number));
      tx.put(kScope, last_key(writer), std::to_string(number));
      const auto committed = store_->commit(std::move(tx));
      ASSERT_TRUE(committed) << committed.error().message;
      if (number % 100 == 0) {
        EXPECT_TRUE(store_->sync());
      }
    }
    ++writers_done_;
  }
  // What a writer says is its last, and all before it, is there.
  void read(unsigned reader) {
    std::mt19937_64 random(reader);
    while (writers_done_ < kWriters) {
      const auto writer = static_cast<unsigned>(random() % kWriters);
      const uint64_t last = last_of(writer);
      if (last == 0) continue;
      if (!as_written(writer, last) || !as_written(writer, 1 + random() % last)) ++wrong_;
      StoreView view = store_->view();
      const std::string end = key_of(writer, last) + '\0';
      uint64_t number = 1 + random() % last;
      auto entry = view.seek(kScope, key_of(writer, number), end);
      for (int step = 0; step < 30 && entry && *entry; ++step, ++number) {
        if ((*entry)->key != key_of(writer, number) || (*entry)->value != value_of(writer, number)) ++wrong_;
        entry = view.next(kScope, end);
      }
      if (!entry) ++wrong_;
      ++reads_;
    }
  }

  const std::string directory_;
  MemoryEnv env_;
  std::string uuid_;
  std::shared_ptr<Index> index_;
  std::unique_ptr<Store> store_;
  std::array<uint64_t, kWriters> written_{};  // each of its writer's thread
  std::atomic<unsigned> writers_done_ = 0;
  std::atomic<uint64_t> reads_ = 0;
  std::atomic<uint64_t> wrong_ = 0;
};

TEST(MapGrowth, UnderWritersAndReadersNobodyFailsAndNothingIsLost) {
  const char* const wanted = std::getenv("PAILFS_GROWTHS");
  const uint64_t target = wanted != nullptr ? std::stoull(wanted) : 20;
  const test::TemporaryDirectory directory;
  uint64_t growths = 0;
  for (int number = 0; growths < target && !testing::Test::HasFailure(); ++number) {
    const std::string place = directory / std::to_string(number);
    Round round(place);
    const uint64_t grown = round.grow();
    EXPECT_GE(grown, 8u);
    growths += grown;
    round.end(number % 2 == 1);
    std::filesystem::remove_all(place);
  }
  test::print_figures("D5", "growth of the index's map under writers and readers",
                      {{"growths", growths}, {"violations", testing::Test::HasFailure() ? 1u : 0u}});
}

}  // namespace
}  // namespace pailfs
