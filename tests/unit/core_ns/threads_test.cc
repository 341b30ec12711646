#include <atomic>
#include <set>
#include <thread>

#include "core/impl.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

void run_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

class ThreadsTest : public testing::Test, public CoreOnMemory {
 protected:
  ThreadsTest() : CoreOnMemory(Versioning::kOff, true) {}
};

TEST_F(ThreadsTest, OfRacingCreatorsOfOneNameOneWins) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> won = 0;
    run_threads(4, [&](int) {
      const Result<Attributes> made = core->mknod(root, bucket, "n" + std::to_string(round), S_IFREG | 0644, 0);
      if (made) {
        ++won;
      } else {
        EXPECT_EQ(made.error().code, Code::kExists);
      }
    });
    EXPECT_EQ(won, 1);
  }
  EXPECT_EQ(names(bucket).size(), 200u);
}

TEST_F(ThreadsTest, TheTableNeverHasTwoCopiesOfAnInode) {
  std::vector<Ino> inodes;
  for (int i = 0; i < 64; ++i) inodes.push_back(file("f" + std::to_string(i)));
  InodeTable table(*store, 8);
  run_threads(4, [&](int seed) {
    for (int i = 0; i < 5000; ++i) {
      const auto one = table.get(inodes[static_cast<size_t>(i * (seed + 1)) % inodes.size()]);
      ASSERT_TRUE(one);
      const auto two = table.get((*one)->ino);
      ASSERT_TRUE(two);
      EXPECT_EQ(*one, *two);
    }
  });
}

TEST_F(ThreadsTest, NamesStayConsistentUnderEverythingAtOnce) {
  std::vector<Ino> directories;
  for (int i = 0; i < 4; ++i) directories.push_back(mkdir("d" + std::to_string(i)));
  const auto pick = [&](int value) { return directories[static_cast<size_t>(value) % directories.size()]; };
  run_threads(4, [&](int thread) {
    for (int i = 0; i < 1500; ++i) {
      const std::string name = "n" + std::to_string((i * 7 + thread) % 23);
      const std::string other = "n" + std::to_string((i * 5 + thread) % 23);
      const Ino here = pick(i + thread), there = pick(i * 3 + thread);
      switch (i % 9) {
        case 0:
        case 1:
          if (const auto made = core->mknod(root, here, name, S_IFREG | 0644, 0)) core->forget(made->ino, 1);
          break;
        case 2:
          if (const auto made = core->mkdir(root, here, name, 0755)) core->forget(made->ino, 1);
          break;
        case 3:
          static_cast<void>(core->unlink(root, here, name));
          break;
        case 4:
          static_cast<void>(core->rmdir(root, here, name));
          break;
        case 5:
          static_cast<void>(core->rename(root, here, name, there, other, RenameMode::kReplace));
          break;
        case 6:
          static_cast<void>(core->rename(root, here, name, there, other, RenameMode::kExchange));
          break;
        case 7:
          if (const auto found = core->lookup(root, here, name)) {
            AttributeChange change;
            change.mode = 0600 + static_cast<uint32_t>(i % 8);
            static_cast<void>(core->setattr(root, found->ino, change));
            if (const auto linked = core->link(root, found->ino, there, other)) core->forget(linked->ino, 1);
            core->forget(found->ino, 1);
          }
          break;
        default:
          if (const auto handle = core->opendir(root, here)) {
            static_cast<void>(core->readdir(root, here, *handle, 0, true, [&](const DirectoryEntry& entry) {
              if (entry.attributes.ino != 0) core->forget(entry.ino, 1);
              return true;
            }));
            core->releasedir(*handle);
          }
      }
    }
  });
  expect_sound();
  restart();
  expect_sound();
}

TEST_F(ThreadsTest, AListingThatRunsAgainstChangesShowsWhatStaysOnce) {
  std::set<std::string> staying;
  for (int i = 0; i < 100; ++i) {
    staying.insert("stay" + std::to_string(i));
    core->forget(file("stay" + std::to_string(i)), 1);
  }
  std::atomic<bool> stop = false;
  std::thread changing([&] {
    for (int i = 0; !stop; ++i) {
      const std::string name = "come" + std::to_string(i % 50);
      if (const auto made = core->mknod(root, bucket, name, S_IFREG | 0644, 0)) core->forget(made->ino, 1);
      static_cast<void>(core->unlink(root, bucket, "come" + std::to_string((i + 25) % 50)));
    }
  });
  for (int round = 0; round < 50; ++round) {
    std::multiset<std::string> seen;
    for (const DirectoryEntry& entry : list(bucket, 9)) {
      if (entry.name.starts_with("stay")) seen.insert(entry.name);
    }
    EXPECT_EQ(seen, std::multiset<std::string>(staying.begin(), staying.end()));
  }
  stop = true;
  changing.join();
}

TEST_F(ThreadsTest, RacingDirectoryMovesMakeNoCircle) {
  const Ino one = mkdir("one"), two = mkdir("two");
  for (int round = 0; round < 300; ++round) {
    run_threads(2, [&](int thread) {
      static_cast<void>(thread == 0 ? core->rename(root, bucket, "one", two, "one", RenameMode::kReplace)
                                    : core->rename(root, bucket, "two", one, "two", RenameMode::kReplace));
    });
    static_cast<void>(core->rename(root, two, "one", bucket, "one", RenameMode::kReplace));
    static_cast<void>(core->rename(root, one, "two", bucket, "two", RenameMode::kReplace));
    ASSERT_EQ(names(bucket), (std::vector<std::string>{"one", "two"}));
  }
  expect_sound();
}

}  // namespace
}  // namespace pailfs::test
