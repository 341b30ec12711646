// What io/env.h promises, shown on the operating system and on the Env in memory.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "io/fault_env.h"
#include "io/memory_env.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

struct World {
  virtual ~World() = default;
  virtual Env& env() = 0;
  virtual std::string root() = 0;
};

struct PosixWorld : World {
  Env& env() override { return posix_env(); }
  std::string root() override { return directory.path(); }
  test::TemporaryDirectory directory;
};

struct MemoryWorld : World {
  Env& env() override { return memory; }
  std::string root() override { return ""; }
  MemoryEnv memory;
};

struct FaultWorld : MemoryWorld {
  Env& env() override { return fault; }
  FaultEnv fault{memory};
};

using MakeWorld = std::function<std::unique_ptr<World>()>;

class EnvContract : public ::testing::TestWithParam<std::pair<const char*, MakeWorld>> {
 protected:
  EnvContract() : world_(GetParam().second()), env_(world_->env()) {}
  std::string path(const std::string& name) { return world_->root() + "/" + name; }
  std::unique_ptr<File> create(const std::string& name) { return open(name, OpenMode::kCreate); }
  std::unique_ptr<File> open(const std::string& name, OpenMode mode) {
    auto file = env_.open(path(name), mode);
    EXPECT_TRUE(file) << file.error().message;
    return file ? std::move(*file) : nullptr;
  }
  static std::string content(File& file) {
    std::string out(file.size().value(), 'x');
    EXPECT_EQ(file.read_at(0, out), out.size());
    return out;
  }

  std::unique_ptr<World> world_;
  Env& env_;
};

#define EXPECT_OK(expr)                                            \
  do {                                                             \
    const auto& result_of_call = (expr);                           \
    EXPECT_TRUE(result_of_call) << result_of_call.error().message; \
  } while (0)
#define EXPECT_CODE(expr, expected)                     \
  do {                                                  \
    const auto& result_of_call = (expr);                \
    ASSERT_FALSE(result_of_call);                       \
    EXPECT_EQ(result_of_call.error().code, (expected)); \
  } while (0)

TEST_P(EnvContract, WritesAreReadBackAlsoPastTheEndAndInHoles) {
  const auto file = create("f");
  EXPECT_OK(file->write_at(10'000, "tail"));
  EXPECT_OK(file->write_at(3, "abc"));
  EXPECT_EQ(file->size(), 10'004u);
  std::string expected(10'004, '\0');
  expected.replace(3, 3, "abc").replace(10'000, 4, "tail");
  EXPECT_EQ(content(*file), expected);
}

TEST_P(EnvContract, ReadsAreShortOnlyAtTheEnd) {
  const auto file = create("f");
  EXPECT_OK(file->write_at(0, "0123456789"));
  std::string out(6, 'x');
  EXPECT_EQ(file->read_at(2, out), 6u);
  EXPECT_EQ(out, "234567");
  EXPECT_EQ(file->read_at(7, out), 3u);
  EXPECT_EQ(out.substr(0, 3), "789");
  EXPECT_EQ(file->read_at(10, out), 0u);
  EXPECT_EQ(file->read_at(1'000'000, out), 0u);
}

TEST_P(EnvContract, OpenModes) {
  EXPECT_CODE(env_.open(path("f"), OpenMode::kRead), Code::kNotFound);
  EXPECT_CODE(env_.open(path("f"), OpenMode::kReadWrite), Code::kNotFound);
  EXPECT_OK(create("f")->write_at(0, "text"));
  EXPECT_CODE(env_.open(path("f"), OpenMode::kCreate), Code::kExists);
  EXPECT_EQ(content(*open("f", OpenMode::kRead)), "text");
  EXPECT_CODE(open("f", OpenMode::kRead)->write_at(0, "x"), Code::kBadHandle);
  EXPECT_OK(open("f", OpenMode::kReadWrite)->write_at(0, "T"));
  EXPECT_EQ(content(*open("f", OpenMode::kRead)), "Text");
}

TEST_P(EnvContract, TruncateCutsAndGrowsWithZeros) {
  const auto file = create("f");
  EXPECT_OK(file->write_at(0, std::string(5000, 'a')));
  EXPECT_OK(file->truncate(100));
  EXPECT_OK(file->truncate(6000));
  EXPECT_EQ(content(*file), std::string(100, 'a') + std::string(5900, '\0'));
}

TEST_P(EnvContract, AllocateReservesRoomAndGrowsTheFile) {
  const auto file = create("f");
  EXPECT_OK(file->write_at(0, "head"));
  const auto reserved = file->allocate(0, 1 << 20);
  if (!reserved && reserved.error().code == Code::kNotSupported) GTEST_SKIP() << "no fallocate here";
  EXPECT_OK(reserved);
  EXPECT_EQ(file->size(), 1u << 20);
  EXPECT_GE(file->allocated().value(), 1u << 20);
  EXPECT_EQ(content(*file), "head" + std::string((1 << 20) - 4, '\0'));
}

TEST_P(EnvContract, PunchGivesRoomBackAndLeavesZeros) {
  const auto file = create("f");
  EXPECT_OK(file->write_at(0, std::string(64 * 1024, 'a')));
  EXPECT_OK(file->sync_data());
  const uint64_t before = file->allocated().value();
  const auto punched = file->punch(8192, 16384);
  if (!punched && punched.error().code == Code::kNotSupported) GTEST_SKIP() << "no hole punching here";
  EXPECT_OK(punched);
  EXPECT_EQ(file->allocated().value(), before - 16384);
  EXPECT_EQ(content(*file), std::string(8192, 'a') + std::string(16384, '\0') + std::string(40960, 'a'));
  EXPECT_OK(file->punch(60 * 1024, 1 << 20));
  EXPECT_EQ(file->size(), 64u * 1024);
}

TEST_P(EnvContract, RenameReplacesTheTarget) {
  EXPECT_OK(create("a")->write_at(0, "new"));
  EXPECT_OK(create("b")->write_at(0, "old"));
  EXPECT_OK(env_.rename(path("a"), path("b")));
  EXPECT_EQ(env_.exists(path("a")), false);
  EXPECT_EQ(content(*open("b", OpenMode::kRead)), "new");
  EXPECT_CODE(env_.rename(path("a"), path("b")), Code::kNotFound);
}

TEST_P(EnvContract, RenameMovesDirectoriesWithWhatTheyHold) {
  EXPECT_OK(env_.make_dir(path("d")));
  EXPECT_OK(env_.make_dir(path("d/sub")));
  create("d/sub/f");
  EXPECT_OK(env_.rename(path("d"), path("e")));
  EXPECT_EQ(env_.exists(path("e/sub/f")), true);
  EXPECT_CODE(env_.rename(path("e"), path("e/sub/e")), Code::kInvalid);
  create("plain");
  EXPECT_CODE(env_.rename(path("plain"), path("e")), Code::kIsDirectory);
  EXPECT_CODE(env_.rename(path("e"), path("plain")), Code::kNotDirectory);
  EXPECT_OK(env_.make_dir(path("other")));
  EXPECT_CODE(env_.rename(path("other"), path("e")), Code::kNotEmpty);
}

TEST_P(EnvContract, OpenFilesOutliveTheirNames) {
  const auto file = create("f");
  EXPECT_OK(file->write_at(0, "still here"));
  EXPECT_OK(env_.remove(path("f")));
  EXPECT_EQ(env_.exists(path("f")), false);
  EXPECT_EQ(content(*file), "still here");
  EXPECT_OK(file->write_at(0, "S"));
}

TEST_P(EnvContract, RemoveTakesFilesAndEmptyDirectories) {
  EXPECT_OK(env_.make_dir(path("d")));
  create("d/f");
  EXPECT_CODE(env_.remove(path("d")), Code::kNotEmpty);
  EXPECT_OK(env_.remove(path("d/f")));
  EXPECT_OK(env_.remove(path("d")));
  EXPECT_CODE(env_.remove(path("d")), Code::kNotFound);
}

TEST_P(EnvContract, DirectoriesAreListedSorted) {
  EXPECT_OK(env_.make_dir(path("d")));
  for (const char* name : {"d/c", "d/a", "d/b"}) create(name);
  EXPECT_EQ(env_.list_dir(path("d")), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_CODE(env_.list_dir(path("nowhere")), Code::kNotFound);
  EXPECT_CODE(env_.list_dir(path("d/a")), Code::kNotDirectory);
  EXPECT_CODE(env_.make_dir(path("d")), Code::kExists);
  EXPECT_CODE(env_.make_dir(path("nowhere/d")), Code::kNotFound);
  EXPECT_OK(env_.sync_dir(path("d")));
  EXPECT_CODE(env_.sync_dir(path("nowhere")), Code::kNotFound);
}

TEST_P(EnvContract, ExistsIsFalseBelowAFileAndInNoDirectory) {
  create("f");
  EXPECT_EQ(env_.exists(path("f")), true);
  EXPECT_EQ(env_.exists(path("f/below")), false);
  EXPECT_EQ(env_.exists(path("nowhere/f")), false);
}

TEST_P(EnvContract, ALockIsExclusiveAndEndsWithItsObject) {
  auto lock = env_.lock_file(path("lock"));
  EXPECT_OK(lock);
  const auto second = env_.lock_file(path("lock"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kInUse);
  EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos) << second.error().message;
  lock->reset();
  EXPECT_OK(env_.lock_file(path("lock")));
}

TEST_P(EnvContract, ReadFileHonoursItsLimit) {
  for (const size_t size : {0, 1, 4095, 4096, 4097, 100'000}) {
    const std::string text(size, 'a');
    EXPECT_OK(env_.replace_file(path("f"), text));
    EXPECT_EQ(env_.read_file(path("f"), size), text);
    EXPECT_EQ(env_.read_file(path("f"), size + 10), text);
    if (size > 0) {
      EXPECT_CODE(env_.read_file(path("f"), size - 1), Code::kTooBig);
    }
  }
  EXPECT_CODE(env_.read_file(path("none"), 10), Code::kNotFound);
}

TEST_P(EnvContract, ReplaceFileLeavesNoTemporaryAndClearsAnOldOne) {
  EXPECT_OK(create("f.new")->write_at(0, "left by a crash, and longer"));
  EXPECT_OK(env_.replace_file(path("f"), "one"));
  EXPECT_OK(env_.replace_file(path("f"), "two"));
  EXPECT_EQ(env_.read_file(path("f"), 100), "two");
  EXPECT_EQ(env_.exists(path("f.new")), false);
}

TEST_P(EnvContract, SpaceIsKnown) {
  const auto space = env_.space(world_->root() + "/");
  EXPECT_OK(space);
  EXPECT_GT(space->total, 0u);
  EXPECT_LE(space->available, space->total);
}

TEST_P(EnvContract, RandomBytesDiffer) {
  EXPECT_EQ(env_.random_bytes(1000).size(), 1000u);
  EXPECT_NE(env_.random_bytes(16), env_.random_bytes(16));
}

TEST_P(EnvContract, ClocksDoNotStandBeforeTheirPast) {
  EXPECT_GT(env_.now(), 1'600'000'000'000'000'000);
  const int64_t first = env_.monotonic();
  EXPECT_GE(env_.monotonic(), first);
}

TEST_P(EnvContract, ThreadsWriteTheirPartsOfOneFile) {
  const auto file = create("f");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&file, t] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(
            file->write_at(static_cast<uint64_t>(i * 4 + t) * 100, std::string(100, static_cast<char>('a' + t))));
        EXPECT_TRUE(i % 10 != 0 || file->sync_data());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string whole = content(*file);
  for (size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(whole[i], static_cast<char>('a' + i / 100 % 4)) << i;
}

INSTANTIATE_TEST_SUITE_P(
    All, EnvContract,
    ::testing::Values(std::pair<const char*, MakeWorld>("Posix", [] { return std::make_unique<PosixWorld>(); }),
                      std::pair<const char*, MakeWorld>("Memory", [] { return std::make_unique<MemoryWorld>(); }),
                      std::pair<const char*, MakeWorld>("Fault", [] { return std::make_unique<FaultWorld>(); })),
    [](const auto& param_info) { return param_info.param.first; });

}  // namespace
}  // namespace pailfs
