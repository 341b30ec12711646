// The model of durability, room, time and randomness that other tests rely on.
#include "io/memory_env.h"

#include <gtest/gtest.h>

#include <set>

namespace pailfs {
namespace {

constexpr CrashPolicy kDropAll{};
constexpr CrashPolicy kKeepAll{.data = Unsynced::kKeep, .names = Unsynced::kKeep};

CrashPolicy random_policy(uint64_t seed) {
  return {.data = Unsynced::kRandom, .names = Unsynced::kRandom, .seed = seed};
}

std::unique_ptr<File> create(Env& env, const std::string& path) {
  auto file = env.open(path, OpenMode::kCreate);
  EXPECT_TRUE(file) << file.error().message;
  return std::move(*file);
}

// The content, or "(none)".
std::string content(Env& env, const std::string& path) {
  const auto text = env.read_file(path, 1 << 20);
  if (text) return *text;
  EXPECT_EQ(text.error().code, Code::kNotFound);
  return "(none)";
}

TEST(MemoryEnvCrash, KeepsSyncedDataUnderSyncedNames) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(file->write_at(0, "synced"));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(file->write_at(0, "UNSYNC"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "synced");
  EXPECT_EQ(content(*env.crash_image(kKeepAll), "/f"), "UNSYNC");
  EXPECT_EQ(content(env, "/f"), "UNSYNC") << "taking images changes nothing";
}

TEST(MemoryEnvCrash, LosesFilesWhoseNameWasNotSynced) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(file->write_at(0, "synced"));
  ASSERT_TRUE(file->sync_data());
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "(none)");
}

TEST(MemoryEnvCrash, LeavesAnEmptyFileWhereOnlyTheNameWasSynced) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(file->write_at(0, "text"));
  ASSERT_TRUE(env.sync_dir("/"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "");
}

TEST(MemoryEnvCrash, BringsBackWhatWasRemovedWithoutASync) {
  MemoryEnv env;
  ASSERT_TRUE(env.replace_file("/f", "text"));
  ASSERT_TRUE(env.remove("/f"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "text");
  ASSERT_TRUE(env.sync_dir("/"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "(none)");
}

TEST(MemoryEnvCrash, ADirectoryThatWasNotSyncedIntoItsParentTakesItsFilesWithIt) {
  MemoryEnv env;
  ASSERT_TRUE(env.make_dir("/d"));
  ASSERT_TRUE(env.replace_file("/d/f", "text"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/d/f"), "(none)");
  ASSERT_TRUE(env.sync_dir("/"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/d/f"), "text");
}

TEST(MemoryEnvCrash, ReplaceFileGivesOldOrNewAtEveryMoment) {
  MemoryEnv env;
  ASSERT_TRUE(env.replace_file("/f", "old"));
  const auto file = create(env, "/f.new");
  for (uint64_t seed = 0; seed < 50; ++seed) EXPECT_EQ(content(*env.crash_image(random_policy(seed)), "/f"), "old");
  ASSERT_TRUE(file->write_at(0, "new"));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(env.rename("/f.new", "/f"));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) seen.insert(content(*env.crash_image(random_policy(seed)), "/f"));
  EXPECT_EQ(seen, (std::set<std::string>{"old", "new"}));
  ASSERT_TRUE(env.sync_dir("/"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "new");
}

TEST(MemoryEnvCrash, RenameWithoutSyncingTheDataCanLeaveAnEmptyFile) {
  MemoryEnv env;
  ASSERT_TRUE(env.replace_file("/f", "old"));
  ASSERT_TRUE(create(env, "/t")->write_at(0, "new"));
  ASSERT_TRUE(env.rename("/t", "/f"));
  ASSERT_TRUE(env.sync_dir("/"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/f"), "");
}

TEST(MemoryEnvCrash, SectorsLandOneByOneAndEachInOrder) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(file->write_at(0, std::string(2048, '0')));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(file->write_at(0, std::string(2048, '1')));
  ASSERT_TRUE(file->write_at(100, std::string(10, '2')));
  std::set<std::string> firsts;
  std::set<std::string> patterns;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const std::string text = content(*env.crash_image(random_policy(seed)), "/f");
    ASSERT_EQ(text.size(), 2048u);
    for (size_t sector = 1; sector < 4; ++sector) {
      const std::string part = text.substr(sector * 512, 512);
      ASSERT_TRUE(part == std::string(512, '0') || part == std::string(512, '1')) << "torn inside a sector";
    }
    firsts.insert(text.substr(0, 512));
    patterns.insert({text[0], text[100], text[512], text[1024], text[1536]});
  }
  const std::string newest = std::string(100, '1') + std::string(10, '2') + std::string(402, '1');
  EXPECT_EQ(firsts, (std::set<std::string>{std::string(512, '0'), std::string(512, '1'), newest}));
  EXPECT_EQ(patterns.size(), 3u * 8u) << "every combination is reached";
}

TEST(MemoryEnvCrash, TheSizeLandsOnItsOwn) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(file->write_at(0, std::string(600, 'a')));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) seen.insert(content(*env.crash_image(random_policy(seed)), "/f"));
  const std::string zeros(600, '\0');
  const std::string a(600, 'a');
  EXPECT_EQ(seen, (std::set<std::string>{"", zeros, a, a.substr(0, 512) + zeros.substr(512),
                                         zeros.substr(0, 512) + a.substr(512)}));
}

TEST(MemoryEnvCrash, TruncationAndPunchingMayOrMayNotHaveHappened) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(file->write_at(0, std::string(8192, 'a')));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(file->punch(0, 4096));
  ASSERT_TRUE(file->truncate(4096 + 512));
  std::set<size_t> sizes;
  std::set<char> firsts;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::string text = content(*env.crash_image(random_policy(seed)), "/f");
    sizes.insert(text.size());
    firsts.insert(text[0]);
    EXPECT_EQ(text.substr(4096, 512), std::string(512, 'a'));
  }
  EXPECT_EQ(sizes, (std::set<size_t>{8192, 4608}));
  EXPECT_EQ(firsts, (std::set<char>{'a', '\0'}));
  ASSERT_TRUE(file->sync_data());
  const auto image = env.crash_image(kDropAll);
  EXPECT_EQ(content(*image, "/f"), std::string(4096, '\0') + std::string(512, 'a'));
  EXPECT_EQ(image->used(), 4096u);
}

TEST(MemoryEnvCrash, ReservedRoomSurvivesASync) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(file->allocate(0, 1 << 20));
  EXPECT_EQ(env.crash_image(kDropAll)->used(), 0u);
  ASSERT_TRUE(file->sync_data());
  EXPECT_EQ(env.crash_image(kDropAll)->used(), 1u << 20);
  for (uint64_t seed = 0; seed < 10; ++seed) EXPECT_EQ(env.crash_image(random_policy(seed))->used(), 1u << 20);
}

TEST(MemoryEnvCrash, AMoveBetweenDirectoriesNeverLosesTheFile) {
  MemoryEnv env;
  ASSERT_TRUE(env.make_dir("/a"));
  ASSERT_TRUE(env.replace_file("/a/f", "text"));
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(env.make_dir("/b"));
  ASSERT_TRUE(env.rename("/a/f", "/b/f"));
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto image = env.crash_image(random_policy(seed));
    const bool old_place = content(*image, "/a/f") == "text";
    const bool new_place = content(*image, "/b/f") == "text";
    EXPECT_NE(old_place, new_place) << "seed " << seed;
  }
  ASSERT_TRUE(env.sync_dir("/a"));
  EXPECT_EQ(content(*env.crash_image(kDropAll), "/b/f"), "text");
}

TEST(MemoryEnvCrash, ChangesToOneNameLandInOrder) {
  MemoryEnv env;
  for (int i = 0; i < 5; ++i) {
    const auto file = create(env, "/f");
    ASSERT_TRUE(file->write_at(0, std::to_string(i)));
    ASSERT_TRUE(file->sync_data());
    ASSERT_TRUE(env.rename("/f", "/g"));
  }
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto image = env.crash_image(random_policy(seed));
    const std::string f = content(*image, "/f");
    const std::string g = content(*image, "/g");
    // f is created after the rename before it, so at most one step ahead of g.
    if (f == "(none)") continue;
    EXPECT_EQ(g, f == "0" ? "(none)" : std::to_string(std::stoi(f) - 1)) << "seed " << seed;
  }
}

TEST(MemoryEnvCrash, TheSameSeedGivesTheSameImage) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(env.sync_dir("/"));
  ASSERT_TRUE(file->write_at(0, std::string(20'000, 'a')));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(content(*env.crash_image(random_policy(seed)), "/f"),
              content(*env.crash_image(random_policy(seed)), "/f"));
  }
}

TEST(MemoryEnvCrash, ImagesDoNotDrawTheSameRandomBytes) {
  MemoryEnv env(7);
  MemoryEnv twin(7);
  const auto a = env.crash_image(kDropAll);
  const auto b = env.crash_image(kDropAll);
  const std::string own = env.random_bytes(16);
  EXPECT_EQ(own, twin.random_bytes(16)) << "taking an image must not change the run";
  const std::set<std::string> drawn = {own, a->random_bytes(16), b->random_bytes(16),
                                       a->crash_image(kDropAll)->random_bytes(16)};
  EXPECT_EQ(drawn.size(), 4u);
}

TEST(MemoryEnvCrash, ImagesAreIndependentOfTheirOrigin) {
  MemoryEnv env;
  ASSERT_TRUE(env.replace_file("/f", "shared"));
  const auto image = env.crash_image(kDropAll);
  ASSERT_TRUE((*env.open("/f", OpenMode::kReadWrite))->write_at(0, "ORIGIN"));
  EXPECT_EQ(content(*image, "/f"), "shared");
  ASSERT_TRUE((*image->open("/f", OpenMode::kReadWrite))->write_at(0, "image!"));
  EXPECT_EQ(content(env, "/f"), "ORIGIN");
}

TEST(MemoryEnvCrash, InPlaceEndsOpenFilesAndLocks) {
  MemoryEnv env;
  ASSERT_TRUE(env.replace_file("/f", "text"));
  const auto file = env.open("/f", OpenMode::kReadWrite);
  auto lock = env.lock_file("/lock");
  ASSERT_TRUE(lock);
  env.crash(kDropAll);
  const auto written = (*file)->write_at(0, "x");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kIo);
  EXPECT_FALSE((*file)->sync_data());
  const auto again = env.lock_file("/lock");
  EXPECT_TRUE(again);
  lock->reset();  // of the old life: must not release the new one
  EXPECT_FALSE(env.lock_file("/lock"));
  EXPECT_EQ(content(env, "/f"), "text");
}

TEST(MemoryEnvRoom, WritesStopAtTheCapacityWithWhatFitsWritten) {
  MemoryEnv env(1, 3 * 65536);
  const auto file = create(env, "/f");
  const auto written = file->write_at(0, std::string(4 * 65536, 'a'));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kNoSpace);
  EXPECT_EQ(file->size(), 3u * 65536);
  EXPECT_EQ(env.space("/")->available, 0u);
  EXPECT_TRUE(file->write_at(0, "overwriting needs no room"));
  EXPECT_TRUE(env.open("/empty", OpenMode::kCreate)) << "names are free";
}

TEST(MemoryEnvRoom, ReservedRoomIsThereWhenTheRestIsUsedUp) {
  MemoryEnv env(1, 40 * 4096);
  const auto reserved = create(env, "/reserved");
  ASSERT_TRUE(reserved->allocate(0, 30 * 4096));
  const auto filler = create(env, "/filler");
  ASSERT_TRUE(filler->write_at(0, std::string(10 * 4096, 'f')));
  EXPECT_FALSE(filler->write_at(10 * 4096, "x"));
  EXPECT_TRUE(reserved->write_at(0, std::string(30 * 4096, 'r')));
  EXPECT_FALSE(reserved->write_at(30 * 4096, "x"));
  const auto more = reserved->allocate(0, 31 * 4096);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::kNoSpace);
  EXPECT_EQ(reserved->size(), 30u * 4096) << "a failed reservation changes nothing";
}

TEST(MemoryEnvRoom, PunchTruncateRemoveAndReplaceGiveRoomBack) {
  MemoryEnv env(1, 10 * 4096);
  const auto file = create(env, "/f");
  ASSERT_TRUE(file->write_at(0, std::string(10 * 4096, 'a')));
  ASSERT_TRUE(file->punch(0, 4 * 4096));
  EXPECT_EQ(env.used(), 6u * 4096);
  ASSERT_TRUE(file->truncate(8 * 4096));
  EXPECT_EQ(env.used(), 4u * 4096);
  ASSERT_TRUE(create(env, "/g")->write_at(0, std::string(4096, 'g')));
  ASSERT_TRUE(env.rename("/f", "/g"));
  EXPECT_EQ(env.used(), 4u * 4096);
  ASSERT_TRUE(env.remove("/g"));
  EXPECT_EQ(env.used(), 4u * 4096) << "still open";
}

TEST(MemoryEnvRoom, ARemovedFileHoldsItsRoomUntilItIsClosed) {
  MemoryEnv env(1, 10 * 4096);
  auto file = create(env, "/f");
  ASSERT_TRUE(file->write_at(0, std::string(4096, 'a')));
  ASSERT_TRUE(env.remove("/f"));
  ASSERT_TRUE(file->write_at(4096, std::string(4096, 'a')));
  EXPECT_EQ(env.used(), 2u * 4096);
  file.reset();
  EXPECT_EQ(env.used(), 0u);
}

TEST(MemoryEnvRoom, CapacityBelowUseStopsOnlyWhatNeedsRoom) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  ASSERT_TRUE(file->write_at(0, std::string(4 * 4096, 'a')));
  env.set_capacity(4096);
  EXPECT_EQ(env.space("/")->available, 0u);
  EXPECT_FALSE(file->write_at(4 * 4096, "x"));
  EXPECT_TRUE(file->write_at(0, "x"));
  EXPECT_TRUE(env.lock_file("/lock")) << "a lock needs no room";
}

TEST(MemoryEnvClock, MovesOnlyWhenTold) {
  MemoryEnv env;
  const int64_t now = env.now();
  const int64_t monotonic = env.monotonic();
  EXPECT_EQ(env.now(), now);
  env.advance(5);
  EXPECT_EQ(env.now(), now + 5);
  EXPECT_EQ(env.monotonic(), monotonic + 5);
  env.set_now(42);
  EXPECT_EQ(env.now(), 42);
  EXPECT_EQ(env.monotonic(), monotonic + 5);
}

TEST(MemoryEnvRandom, TheSameSeedGivesTheSameBytes) {
  MemoryEnv a(3);
  MemoryEnv b(3);
  MemoryEnv c(4);
  EXPECT_EQ(a.random_bytes(100), b.random_bytes(100));
  EXPECT_NE(a.random_bytes(100), c.random_bytes(100));
}

TEST(MemoryEnv, RefusesSizesThatNoFileHas) {
  MemoryEnv env;
  const auto file = create(env, "/f");
  const auto written = file->write_at(UINT64_MAX - 2, "text");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kTooBig);
  EXPECT_FALSE(file->truncate(UINT64_MAX));
  EXPECT_TRUE(file->truncate(uint64_t{1} << 60)) << "sparse";
  EXPECT_EQ(env.used(), 0u);
  const auto image = env.crash_image(random_policy(1));
  EXPECT_TRUE(file->truncate(0));
}

}  // namespace
}  // namespace pailfs
