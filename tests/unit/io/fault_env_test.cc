#include "io/fault_env.h"

#include <gtest/gtest.h>

#include "io/memory_env.h"

namespace pailfs {
namespace {

class FaultEnvTest : public ::testing::Test {
 protected:
  std::unique_ptr<File> create(const std::string& path) {
    auto file = env_.open(path, OpenMode::kCreate);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }
  MemoryEnv memory_;
  FaultEnv env_{memory_};
};

TEST_F(FaultEnvTest, CountsCallsByKind) {
  const auto file = create("/f");
  EXPECT_TRUE(file->write_at(0, "abc"));
  EXPECT_TRUE(file->write_at(3, "def"));
  EXPECT_TRUE(file->sync_data());
  EXPECT_TRUE(file->allocate(0, 10));
  EXPECT_TRUE(file->punch(0, 10));
  EXPECT_TRUE(file->truncate(1));
  EXPECT_TRUE(env_.make_dir("/d"));
  EXPECT_TRUE(env_.rename("/f", "/d/f"));
  EXPECT_TRUE(env_.sync_dir("/d"));
  EXPECT_TRUE(env_.remove("/d/f"));
  EXPECT_TRUE(file->size());
  EXPECT_EQ(env_.calls(CallKind::kOpen), 1u);
  EXPECT_EQ(env_.calls(CallKind::kWrite), 2u);
  for (const CallKind kind :
       {CallKind::kSync, CallKind::kAllocate, CallKind::kPunch, CallKind::kTruncate, CallKind::kMakeDir,
        CallKind::kRename, CallKind::kSyncDir, CallKind::kRemove, CallKind::kRead}) {
    EXPECT_EQ(env_.calls(kind), 1u) << static_cast<int>(kind);
  }
  EXPECT_EQ(env_.changes(), 11u);
  EXPECT_FALSE(env_.fired());
}

TEST_F(FaultEnvTest, FailsTheNthCallOfAKindOnce) {
  const auto file = create("/f");
  env_.inject({.kind = CallKind::kWrite, .nth = 2, .code = Code::kNoSpace});
  EXPECT_TRUE(file->write_at(0, "1"));
  EXPECT_TRUE(file->sync_data());
  const auto failed = file->write_at(1, "2");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kNoSpace);
  EXPECT_TRUE(env_.fired());
  EXPECT_TRUE(file->write_at(1, "3"));
  EXPECT_EQ(memory_.read_file("/f", 10), "13");
}

TEST_F(FaultEnvTest, FailsForEverUntilCleared) {
  const auto file = create("/f");
  env_.inject({.kind = CallKind::kSync, .nth = 1, .for_ever = true});
  EXPECT_FALSE(file->sync_data());
  EXPECT_FALSE(file->sync_data());
  EXPECT_TRUE(file->write_at(0, "other kinds go on"));
  env_.clear();
  EXPECT_TRUE(file->sync_data());
}

TEST_F(FaultEnvTest, AFaultOfAnyKindCountsAllButReads) {
  const auto file = create("/f");
  env_.inject({.kind = std::nullopt, .nth = 2});
  EXPECT_TRUE(file->size());
  EXPECT_TRUE(file->write_at(0, "1"));
  EXPECT_TRUE(file->size());
  EXPECT_FALSE(file->sync_data());
  EXPECT_TRUE(file->sync_data());
}

TEST_F(FaultEnvTest, ReadsCanFailToo) {
  const auto file = create("/f");
  env_.inject({.kind = CallKind::kRead});
  std::string out(1, 'x');
  EXPECT_FALSE(file->read_at(0, out));
  EXPECT_TRUE(file->read_at(0, out));
}

TEST_F(FaultEnvTest, APartialWriteLeavesWholeSectors) {
  const auto file = create("/f");
  env_.inject({.kind = CallKind::kWrite, .partial = true});
  EXPECT_FALSE(file->write_at(0, std::string(3000, 'a')));
  EXPECT_EQ(memory_.read_file("/f", 5000), std::string(1024, 'a'));
}

TEST_F(FaultEnvTest, APartialSyncHasSynced) {
  const auto file = create("/f");
  ASSERT_TRUE(env_.sync_dir("/"));
  ASSERT_TRUE(file->write_at(0, "text"));
  env_.inject({.kind = CallKind::kSync, .partial = true});
  EXPECT_FALSE(file->sync_data());
  EXPECT_EQ(memory_.crash_image({})->read_file("/f", 100), "text");
}

TEST_F(FaultEnvTest, NothingGetsThroughAfterDeath) {
  const auto file = create("/f");
  env_.die_after(1);
  EXPECT_TRUE(file->size()) << "reads do not count";
  EXPECT_TRUE(file->write_at(0, "last"));
  EXPECT_FALSE(env_.dead());
  EXPECT_TRUE(file->size()) << "dies with the next change";
  EXPECT_FALSE(file->write_at(0, "lost"));
  EXPECT_TRUE(env_.dead());
  EXPECT_FALSE(file->size());
  EXPECT_FALSE(env_.exists("/f"));
  EXPECT_FALSE(env_.open("/f", OpenMode::kRead));
  EXPECT_FALSE(env_.remove("/f"));
  EXPECT_FALSE(env_.lock_file("/lock"));
  EXPECT_EQ(memory_.read_file("/f", 10), "last");
}

TEST_F(FaultEnvTest, EveryKillPointOfReplaceFileLeavesOldOrNew) {
  ASSERT_TRUE(memory_.replace_file("/f", "old"));
  const uint64_t before = env_.changes();
  ASSERT_TRUE(env_.replace_file("/f", "old"));
  const uint64_t changes = env_.changes() - before;
  for (uint64_t kill = 0; kill <= changes; ++kill) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      MemoryEnv memory;
      ASSERT_TRUE(memory.replace_file("/f", "old"));
      FaultEnv dying(memory);
      dying.die_after(kill);
      const bool done = dying.replace_file("/f", "new").has_value();
      EXPECT_EQ(done, kill == changes);
      const auto image = memory.crash_image({.data = Unsynced::kRandom, .names = Unsynced::kRandom, .seed = seed});
      const auto text = image->read_file("/f", 10);
      ASSERT_TRUE(text) << "kill point " << kill;
      EXPECT_TRUE(*text == "new" || (*text == "old" && !done)) << "kill point " << kill;
    }
  }
}

TEST_F(FaultEnvTest, EveryFailureOfReplaceFileIsReportedAndLeavesOldOrNew) {
  for (uint64_t nth = 1;; ++nth) {
    MemoryEnv memory;
    ASSERT_TRUE(memory.replace_file("/f", "old"));
    FaultEnv failing(memory);
    failing.inject({.kind = std::nullopt, .nth = nth, .code = Code::kNoSpace});
    const auto done = failing.replace_file("/f", "new");
    const auto text = memory.read_file("/f", 10);
    ASSERT_TRUE(text);
    EXPECT_TRUE(*text == "old" || *text == "new");
    if (!failing.fired()) {
      EXPECT_TRUE(done);
      break;
    }
    ASSERT_FALSE(done) << "failure " << nth << " was swallowed";
    EXPECT_EQ(done.error().code, Code::kNoSpace);
    EXPECT_EQ(memory.exists("/f.new"), false);
  }
}

}  // namespace
}  // namespace pailfs
