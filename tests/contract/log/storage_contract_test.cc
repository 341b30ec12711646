// What log_storage.h promises, on every implementation.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "io/memory_env.h"
#include "log/log_storage.h"
#include "log/memory_log_storage.h"
#include "support/temporary_directory.h"

namespace pailfs::test {
namespace {

// A storage and what it stands on.
struct Medium {
  virtual ~Medium() = default;
  std::unique_ptr<LogStorage> storage;
};

struct InMemory : Medium {
  InMemory() { storage = std::make_unique<MemoryLogStorage>(); }
};

struct FilesInMemory : Medium {
  FilesInMemory() {
    EXPECT_TRUE(env.make_dir("/segments"));
    storage = make_file_log_storage(env, "/segments");
  }
  MemoryEnv env;
};

struct FilesOnDisk : Medium {
  FilesOnDisk() { storage = make_file_log_storage(posix_env(), directory.path()); }
  TemporaryDirectory directory;
};

struct Backend {
  const char* name;
  std::function<std::unique_ptr<Medium>()> make;
};

class LogStorageTest : public testing::TestWithParam<Backend> {
 protected:
  LogStorage& storage() { return *medium_->storage; }
  std::unique_ptr<SegmentWriter> create(uint64_t id) {
    auto writer = storage().create(id);
    EXPECT_TRUE(writer) << writer.error().message;
    return writer ? std::move(*writer) : nullptr;
  }
  std::string read(uint64_t id, uint64_t offset, size_t size) {
    std::string out(size, '?');
    const auto got = storage().read(id, offset, out);
    EXPECT_TRUE(got) << got.error().message;
    out.resize(got.value_or(0));
    return out;
  }

 private:
  std::unique_ptr<Medium> medium_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Contract, LogStorageTest,
                         testing::Values(Backend{"Memory", [] { return std::make_unique<InMemory>(); }},
                                         Backend{"FilesInMemory", [] { return std::make_unique<FilesInMemory>(); }},
                                         Backend{"FilesOnDisk", [] { return std::make_unique<FilesOnDisk>(); }}),
                         [](const auto& test) { return test.param.name; });

TEST_P(LogStorageTest, ANewSegmentIsEmptyAndListed) {
  create(7);
  create(0x1f00000000000002);
  create(3);
  EXPECT_EQ(storage().list(), (std::vector<uint64_t>{3, 7, 0x1f00000000000002}));
  EXPECT_EQ(storage().size(7), 0U);
  EXPECT_EQ(read(7, 0, 10), "");
}

TEST_P(LogStorageTest, CreatingASegmentTwiceFails) {
  create(7)->write_at(0, "kept").value();
  const auto again = storage().create(7);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kExists);
  EXPECT_EQ(read(7, 0, 10), "kept");
}

TEST_P(LogStorageTest, ReadsWhatWasWrittenAlsoOutOfOrderAndBeforeSync) {
  const auto writer = create(1);
  ASSERT_TRUE(writer->write_at(6, "world"));
  ASSERT_TRUE(writer->write_at(0, "hello "));
  EXPECT_EQ(read(1, 0, 11), "hello world");
  EXPECT_EQ(read(1, 3, 4), "lo w");
  EXPECT_TRUE(writer->sync());
  EXPECT_EQ(read(1, 0, 11), "hello world");
}

TEST_P(LogStorageTest, ReadsAreShortOnlyAtTheEnd) {
  ASSERT_TRUE(create(1)->write_at(0, "hello"));
  EXPECT_EQ(read(1, 2, 100), "llo");
  EXPECT_EQ(read(1, 5, 100), "");
  EXPECT_EQ(read(1, 500, 100), "");
}

TEST_P(LogStorageTest, RoomThatIsReservedReadsAsZeros) {
  const auto writer = create(1);
  ASSERT_TRUE(writer->reserve(8192));
  ASSERT_TRUE(writer->write_at(0, "abc"));
  EXPECT_EQ(read(1, 0, 5), std::string("abc\0\0", 5));
  ASSERT_TRUE(writer->reserve(4096));  // less than before: nothing to do
  EXPECT_EQ(read(1, 0, 3), "abc");
}

TEST_P(LogStorageTest, SealingGivesBackTheRoomBehind) {
  const auto writer = create(1);
  ASSERT_TRUE(writer->reserve(1 << 20));
  ASSERT_TRUE(writer->write_at(0, std::string(5000, 'x')));
  ASSERT_TRUE(storage().seal(1, 5000));
  EXPECT_EQ(storage().size(1), 5000U);
  EXPECT_LE(storage().allocated(1).value(), 16384U);
  EXPECT_EQ(read(1, 0, 9000), std::string(5000, 'x'));
  ASSERT_TRUE(storage().seal(1, 6000));  // longer than the segment: nothing to do
  EXPECT_EQ(storage().size(1), 5000U);
}

TEST_P(LogStorageTest, PunchingTakesWholeBlocksOnly) {
  const auto writer = create(1);
  ASSERT_TRUE(writer->write_at(0, std::string(20000, 'x')));
  ASSERT_TRUE(writer->sync());
  const Status punched = storage().punch(1, 100, 12300);
  if (!punched && punched.error().code == Code::kNotSupported) GTEST_SKIP() << "the medium cannot punch";
  ASSERT_TRUE(punched) << punched.error().message;
  EXPECT_EQ(read(1, 0, 4096), std::string(4096, 'x'));
  EXPECT_EQ(read(1, 4096, 8192), std::string(8192, '\0'));
  EXPECT_EQ(read(1, 12288, 20000), std::string(20000 - 12288, 'x'));
  EXPECT_EQ(storage().size(1), 20000U);
  EXPECT_TRUE(storage().punch(1, 4097, 4095));  // no whole block
  EXPECT_TRUE(storage().punch(1, 13000, 100));
  EXPECT_EQ(read(1, 12288, 20000), std::string(20000 - 12288, 'x'));
}

TEST_P(LogStorageTest, PunchingGivesRoomBack) {
  const auto writer = create(1);
  ASSERT_TRUE(writer->write_at(0, std::string(1 << 20, 'x')));
  ASSERT_TRUE(writer->sync());
  const uint64_t before = storage().allocated(1).value();
  const Status punched = storage().punch(1, 0, 1 << 19);
  if (!punched && punched.error().code == Code::kNotSupported) GTEST_SKIP() << "the medium cannot punch";
  EXPECT_LE(storage().allocated(1).value(), before - (1 << 19) + 8192);
}

TEST_P(LogStorageTest, ARemovedSegmentIsGone) {
  create(1);
  create(2)->write_at(0, "x").value();
  EXPECT_EQ(read(2, 0, 1), "x");
  ASSERT_TRUE(storage().remove(2));
  EXPECT_EQ(storage().list(), std::vector<uint64_t>{1});
  std::string out(1, '?');
  EXPECT_EQ(storage().read(2, 0, out).error().code, Code::kNotFound);
  ASSERT_TRUE(create(2)->write_at(0, "y"));
  EXPECT_EQ(read(2, 0, 1), "y");
}

TEST_P(LogStorageTest, EveryCallOnAMissingSegmentSaysNotFound) {
  std::string out(1, '?');
  EXPECT_EQ(storage().read(9, 0, out).error().code, Code::kNotFound);
  EXPECT_EQ(storage().size(9).error().code, Code::kNotFound);
  EXPECT_EQ(storage().allocated(9).error().code, Code::kNotFound);
  EXPECT_EQ(storage().seal(9, 0).error().code, Code::kNotFound);
  EXPECT_EQ(storage().sync(9).error().code, Code::kNotFound);
  EXPECT_EQ(storage().punch(9, 0, 8192).error().code, Code::kNotFound);
  EXPECT_EQ(storage().remove(9).error().code, Code::kNotFound);
  EXPECT_EQ(storage().list(), std::vector<uint64_t>{});
}

TEST_P(LogStorageTest, SyncingAClosedSegmentKeepsItsContent) {
  create(1)->write_at(0, std::string(10000, 'x')).value();
  ASSERT_TRUE(storage().sync(1));
  EXPECT_EQ(read(1, 0, 20000), std::string(10000, 'x'));
}

TEST_P(LogStorageTest, ManySegmentsAreReadableAtOnceByManyThreads) {
  constexpr uint64_t kSegments = 300;  // more than are kept open
  for (uint64_t id = 1; id <= kSegments; ++id) create(id)->write_at(0, std::to_string(id)).value();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 2 * kSegments; ++i) {
        const uint64_t id = (i * (2 * t + 1)) % kSegments + 1;
        std::string out(10, '?');
        const auto got = storage().read(id, 0, out);
        if (!got || out.substr(0, *got) != std::to_string(id)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(LogStorageTest, ThreadsWriteDisjointRangesOfOneSegment) {
  constexpr size_t kPiece = 1000;
  const auto writer = create(1);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < 80; i += 4) {
        EXPECT_TRUE(writer->write_at(i * kPiece, std::string(kPiece, static_cast<char>('a' + i % 26))));
        EXPECT_TRUE(writer->reserve((i + 1) * kPiece));
        writer->start_writeback(0, i * kPiece);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < 80; ++i) {
    EXPECT_EQ(read(1, i * kPiece, kPiece), std::string(kPiece, static_cast<char>('a' + i % 26)));
  }
}

TEST(FileLogStorageTest, OtherNamesInTheDirectoryAreNoSegments) {
  MemoryEnv env;
  ASSERT_TRUE(env.make_dir("/s"));
  for (const char* name : {"lost+found", "0000000000000001.seg.tmp", "000000000000001.seg", "000000000000000A.seg",
                           "0000000000000000.seg", "g000000000000001.seg", "0000000000000002.seg"}) {
    ASSERT_TRUE(env.open(std::string("/s/") + name, OpenMode::kCreate));
  }
  EXPECT_EQ(make_file_log_storage(env, "/s")->list(), std::vector<uint64_t>{2});
}

TEST(FileLogStorageTest, TheNameOfANewSegmentSurvivesAPowerCut) {
  MemoryEnv env;
  ASSERT_TRUE(env.make_dir("/s"));
  ASSERT_TRUE(env.sync_dir("/"));
  const auto storage = make_file_log_storage(env, "/s");
  const auto writer = storage->create(5).value();
  ASSERT_TRUE(writer->write_at(0, "synced"));
  ASSERT_TRUE(writer->sync());
  ASSERT_TRUE(writer->write_at(6, "lost"));
  const auto after = env.crash_image({});
  const auto found = make_file_log_storage(*after, "/s");
  EXPECT_EQ(found->list(), std::vector<uint64_t>{5});
  EXPECT_EQ(found->size(5), 6U);
}

}  // namespace
}  // namespace pailfs::test
