// What only a durable index with a map has to show: reopening, growing, waiting for readers, refusing damage.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <map>
#include <random>
#include <thread>

#include "contract/index/backends.h"

namespace pailfs::test {
namespace {

class LmdbTest : public testing::Test {
 protected:
  std::unique_ptr<Index> open(const LmdbOptions& options = {}) {
    auto opened = open_lmdb_index(directory_.path(), options);
    if (opened) return std::move(*opened);
    ADD_FAILURE() << opened.error().message;
    return nullptr;
  }
  Error open_error() {
    auto opened = open_lmdb_index(directory_.path(), {});
    if (!opened) return opened.error();
    ADD_FAILURE() << "opened";
    return {};
  }
  // Overwrites bytes of the closed data file.
  void damage(std::streamoff offset, const std::string& bytes) {
    std::fstream file(directory_ / "data.mdb", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file << bytes;
  }

  TemporaryDirectory directory_;
};

std::vector<IndexChange> numbered(int from, int count, size_t value_size) {
  std::vector<IndexChange> changes;
  for (int i = from; i < from + count; ++i) {
    changes.push_back(put(fmt::format("{:08}", i), std::string(value_size, static_cast<char>('a' + i % 26))));
  }
  return changes;
}

TEST_F(LmdbTest, ReopeningKeepsEverything) {
  Pairs before;
  {
    const auto index = open();
    ASSERT_TRUE(index->apply(numbered(0, 1000, 150)));
    ASSERT_TRUE(index->apply({put("big", std::string(kMaxIndexValue, 'x')), erase("00000007")}));
    before = scan(**index->snapshot());
  }
  EXPECT_EQ(before.size(), 1000U);
  for (const uint64_t map_size : {uint64_t{1} << 16, uint64_t{1} << 30}) {
    const auto index = open({.map_size = map_size});
    EXPECT_EQ(scan(**index->snapshot()), before);
    EXPECT_EQ(index->stats()->entries, before.size());
  }
}

TEST_F(LmdbTest, StatsTellUsedPagesFromTheFileAndTheMap) {
  const auto index = open({.map_size = 1 << 24});
  ASSERT_TRUE(index->apply(numbered(0, 10000, 150)));
  const IndexStats full = *index->stats();
  std::vector<IndexChange> all;
  for (int i = 0; i < 10000; ++i) all.push_back(erase(fmt::format("{:08}", i)));
  ASSERT_TRUE(index->apply(all));
  const IndexStats empty = *index->stats();
  EXPECT_GT(full.used_bytes, 10000U * 150);
  EXPECT_LT(empty.used_bytes, full.used_bytes / 10) << "free pages are not used ones";
  EXPECT_GE(empty.file_bytes, full.used_bytes) << "the file never shrinks";
  EXPECT_EQ(full.map_bytes, uint64_t{1} << 24);
}

TEST_F(LmdbTest, FilesAreForTheOwnerAlone) {
  const auto index = open();
  for (const char* name : {"data.mdb", "lock.mdb"}) {
    struct stat attributes = {};
    ASSERT_EQ(::stat((directory_ / name).c_str(), &attributes), 0) << name;
    EXPECT_EQ(attributes.st_mode & 0777U, 0600U) << name;
  }
}

// Twice ten doublings, from 64 KiB to 64 MiB, with eight threads that always find whole batches.
TEST_F(LmdbTest, ATinyMapGrowsTwentyTimesUnderReaders) {
  constexpr int kBatch = 500;
  constexpr int kBatches = 80;
  for (const std::string round : {"first", "second"}) {
    const std::string place = directory_ / round;
    ASSERT_EQ(::mkdir(place.c_str(), 0700), 0);
    auto opened = open_lmdb_index(place, {.map_size = 1 << 16, .max_snapshots = 6});  // fewer than threads: some wait
    ASSERT_TRUE(opened) << opened.error().message;
    Index& index = **opened;
    std::atomic<bool> done = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> readers;
    for (int t = 0; t < 8; ++t) {
      readers.emplace_back([&, t] {
        do {
          auto view = index.snapshot();
          const auto last = view ? copy_of(*(*view)->last_before("9")) : std::nullopt;
          if (!view || (last && (std::stoi(last->first) + 1) % kBatch != 0)) ++wrong;
          if (!last) continue;
          auto entry = (*view)->seek(fmt::format("{:08}", std::stoi(last->first) * (t + 1) / 9));
          for (int step = 0; step < 50 && entry && *entry; ++step) {
            const std::string_view value = (*entry)->value;
            if (value.empty() || value.find_first_not_of(value[0]) != std::string_view::npos) ++wrong;
            entry = (*view)->next();
          }
          if (!entry) ++wrong;
        } while (!done);
      });
    }
    for (int batch = 0; batch < kBatches; ++batch) {
      const Status status = index.apply(numbered(batch * kBatch, kBatch, batch % 4 == 0 ? 2500 : 500));
      EXPECT_TRUE(status) << status.error().message;
    }
    done = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(index.stats()->entries, uint64_t{kBatch} * kBatches);
    EXPECT_GE(index.stats()->map_bytes, uint64_t{1} << 26) << "ten doublings";
  }
}

TEST_F(LmdbTest, ABatchLargerThanTheMapIsReplayedUntilItFits) {
  const auto index = open({.map_size = 1 << 16});
  ASSERT_TRUE(index->apply({put("a", "1")}));
  ASSERT_TRUE(index->apply(numbered(0, 20, size_t{1} << 20)));
  EXPECT_EQ(index->stats()->entries, 21U);
  EXPECT_GE(index->stats()->map_bytes, uint64_t{1} << 25);
}

TEST_F(LmdbTest, AFullMapWaitsForItsSnapshotsAndNewSnapshotsWaitForTheMap) {
  const auto index = open({.map_size = 1 << 16});
  ASSERT_TRUE(index->apply({put("a", "1")}));
  auto held = *index->snapshot();
  std::atomic<bool> applied = false;
  std::thread writer([&] {
    EXPECT_TRUE(index->apply(numbered(0, 20, size_t{1} << 20)));
    applied = true;
  });
  EXPECT_FALSE(applied) << "the batch cannot fit while the snapshot holds the map";
  EXPECT_EQ(**held->get("a"), "1");
  EXPECT_EQ(copy_of(*held->seek("")), Pair("a", "1"));
  held.reset();
  writer.join();
  EXPECT_EQ((*index->stats()).entries, 21U);
}

TEST_F(LmdbTest, AHeldSnapshotDoesNotStopBatchesThatFit) {
  const auto index = open({.map_size = 1 << 20});
  ASSERT_TRUE(index->apply({put("a", "1")}));
  const auto held = *index->snapshot();
  // The map passes 75 %, its growth is put off, and the batch is applied all the same.
  ASSERT_TRUE(index->apply(numbered(0, 5, 160000)));
  ASSERT_TRUE(index->apply({put("b", "1")}));
  EXPECT_EQ(index->stats()->map_bytes, uint64_t{1} << 20);
  EXPECT_EQ(scan(*held), (Pairs{{"a", "1"}}));
}

TEST_F(LmdbTest, MoreSnapshotsThanAllowedWaitForOthersToEnd) {
  const auto index = open({.max_snapshots = 3});
  ASSERT_TRUE(index->apply({put("a", "1")}));
  std::vector<std::unique_ptr<IndexSnapshot>> held;
  for (int i = 0; i < 3; ++i) held.push_back(*index->snapshot());
  std::latch asked(1);
  std::atomic<int> got = 0;
  std::vector<std::thread> waiting;
  for (int t = 0; t < 5; ++t) {
    waiting.emplace_back([&] {
      asked.wait();
      for (int i = 0; i < 50; ++i) {
        const auto view = index->snapshot();
        if (view && **(*view)->get("a") == "1") ++got;
      }
    });
  }
  asked.count_down();
  EXPECT_EQ(got, 0);
  held.clear();
  for (std::thread& thread : waiting) thread.join();
  EXPECT_EQ(got, 250);
}

TEST_F(LmdbTest, AMissingDirectoryIsNamedInTheError) {
  const auto opened = open_lmdb_index(directory_ / "nowhere", {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kNotFound);
  EXPECT_NE(opened.error().message.find(directory_ / "nowhere"), std::string::npos) << opened.error().message;
}

TEST_F(LmdbTest, AnEmptyDataFileIsANewIndex) {
  std::ofstream(directory_ / "data.mdb").close();
  const auto index = open();
  EXPECT_TRUE(index->apply({put("a", "1")}));
}

TEST_F(LmdbTest, AStartTakesAValueOfOnePageAtTheEndOfTheFile) {
  ASSERT_TRUE(open()->apply({put("last", std::string(3000, 'v'))}));
  EXPECT_NE(open(), nullptr);
}

// Whatever LMDB leaves, a start must take: values of every length, so that pages of their own end at the end of the
// file too; keys that come and go; long free lists.
TEST_F(LmdbTest, AStartTakesWhateverLmdbHasWritten) {
  const char* given = std::getenv("PAILFS_ROUNDS");
  const int rounds = given == nullptr ? 60 : std::atoi(given);
  std::mt19937_64 random(given == nullptr ? 1 : std::random_device()());
  const std::array<size_t, 8> sizes = {1, 100, 1900, 2100, 4080, 4081, 20'000, 200'000};
  for (int round = 0; round < rounds; ++round) {
    const auto index = open();
    ASSERT_NE(index, nullptr) << "round " << round;
    const bool grows = random() % 3 != 0;
    for (uint64_t batches = random() % 4; batches > 0; --batches) {
      std::vector<IndexChange> changes;
      for (uint64_t n = random() % 80; n > 0; --n) {
        std::string key = fmt::format("{:04}", random() % 600);
        key.resize(4 + random() % (kMaxIndexKey - 4), static_cast<char>('a' + key[3] % 3));
        if (random() % 4 == 0) key.resize(4);
        if (grows ? random() % 4 != 0 : random() % 4 == 0) {
          changes.push_back(put(key, std::string(1 + random() % sizes[random() % sizes.size()], 'v')));
        } else {
          changes.push_back(erase(key));
        }
      }
      std::map<std::string, size_t> last;
      for (size_t i = 0; i < changes.size(); ++i) last[changes[i].key] = i;
      std::vector<IndexChange> once;
      for (const auto& [key, i] : last) once.push_back(changes[i]);
      ASSERT_TRUE(index->apply(once));
    }
  }
}

TEST_F(LmdbTest, DamagedMetaPagesAreReportedNotFollowed) {
  {
    ASSERT_TRUE(open()->apply(numbered(0, 1000, 150)));
  }
  std::ifstream in(directory_ / "data.mdb", std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  // Offsets of mdb.c's MDB_page and MDB_meta: flags, magic, version, page size, flags and depth and root of the main
  // tree, last page; then each in the second meta page. Of trees, only those of the newer one count.
  const auto transaction = [&](size_t meta_page) { return std::string_view(good).substr(meta_page + 144, 8); };
  const std::streamoff newer = transaction(4096).front() > transaction(0).front() ? 4096 : 0;
  const std::string ones(8, '\xff');
  const std::string zeros(8, '\0');
  struct Damage {
    std::streamoff offset;
    std::string bytes;
  };
  const std::vector<Damage> damages = {
      {10, zeros.substr(0, 2)},
      {16, "nope"},
      {20, "\x02"},
      {40, zeros.substr(0, 4)},
      {40, "\x01\x10"},
      {92, "\x04"},
      {94, ones.substr(0, 2)},
      {128, std::string("\xff\xff\xff\x00\x00\x00\x00\x00", 8)},
      {136, ones},
  };
  const auto expect_corrupt = [&](std::streamoff offset) {
    const Error error = open_error();
    EXPECT_EQ(error.code, Code::kCorrupt) << "offset " << offset << ": " << error.message;
    EXPECT_NE(error.message.find(directory_.path()), std::string::npos) << error.message;
  };
  for (const Damage& each : damages) {
    const bool of_a_tree = each.offset >= 92 && each.offset < 136;
    for (const std::streamoff meta_page : {0, 4096}) {
      if (of_a_tree && meta_page != newer) continue;
      std::ofstream(directory_ / "data.mdb", std::ios::binary | std::ios::trunc) << good;
      damage(meta_page + each.offset, each.bytes);
      expect_corrupt(meta_page + each.offset);
    }
  }
  for (const size_t length : {1U, 151U, 4096U, 4200U}) {
    std::ofstream(directory_ / "data.mdb", std::ios::binary | std::ios::trunc) << good.substr(0, length);
    expect_corrupt(static_cast<std::streamoff>(length));
  }
  std::ofstream(directory_ / "data.mdb", std::ios::binary | std::ios::trunc) << std::string(100000, 'x');
  expect_corrupt(0);
  std::ofstream(directory_ / "data.mdb", std::ios::binary | std::ios::trunc) << good;
  EXPECT_EQ(open()->stats()->entries, 1000U);
}

TEST_F(LmdbTest, ATruncatedFileIsDamageNotACrash) {
  {
    ASSERT_TRUE(open()->apply(numbered(0, 5000, 150)));
  }
  ASSERT_EQ(::truncate((directory_ / "data.mdb").c_str(), 40960), 0);
  const Error error = open_error();
  EXPECT_EQ(error.code, Code::kCorrupt) << error.message;
  EXPECT_NE(error.message.find(directory_.path()), std::string::npos) << error.message;
}

// Whatever a bit of a page's structure says, LMDB is not given it, or what is in the index is found all the same.
TEST_F(LmdbTest, DamagedPagesAreReportedNotFollowed) {
  {
    const auto index = open();
    ASSERT_TRUE(index->apply(numbered(0, 1000, 20)));
    ASSERT_TRUE(index->apply({put("big", std::string(20'000, 'x')), erase("00000007")}));
  }
  std::ifstream in(directory_ / "data.mdb", std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  size_t refused = 0;
  for (size_t page = 8192; page < good.size(); page += 4096) {
    for (const size_t offset : {0U, 1U, 7U, 10U, 11U, 12U, 13U, 14U, 15U, 16U, 17U, 20U, 4050U, 4080U}) {
      for (const int bit : {0, 3, 7}) {
        damage(static_cast<std::streamoff>(page + offset), {static_cast<char>(good[page + offset] ^ (1 << bit))});
        const auto opened = open_lmdb_index(directory_.path(), {});
        if (opened) {
          EXPECT_EQ(scan(**(*opened)->snapshot()).size(), 1000U) << "page " << page / 4096 << ", byte " << offset;
        } else {
          EXPECT_EQ(opened.error().code, Code::kCorrupt) << opened.error().message;
          EXPECT_NE(opened.error().message.find(directory_.path()), std::string::npos) << opened.error().message;
          ++refused;
        }
        damage(static_cast<std::streamoff>(page + offset), {good[page + offset]});
      }
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_EQ(open()->stats()->entries, 1000U);
}

TEST_F(LmdbTest, AClosedStandardDescriptorIsRefused) {
  const int kept = ::dup(STDIN_FILENO);
  ::close(STDIN_FILENO);
  const auto opened = open_lmdb_index(directory_.path(), {});
  if (kept >= 0) {
    ::dup2(kept, STDIN_FILENO);
    ::close(kept);
  }
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace pailfs::test
