// Readers, writers, closers, pruning and the check at once: run under ThreadSanitizer.
#include <atomic>
#include <random>
#include <thread>

#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr size_t kBlock = 64 * 1024;
constexpr size_t kBlocks = 24;  // three chunks

// Every block of the file holds one letter throughout, whichever was written last.
bool is_whole(const std::string& block) {
  return block.size() == kBlock && block.find_first_not_of(block[0]) == std::string::npos;
}

TEST(Concurrency, ReadersSeeWholeWritesOnly) {
  ContentFixture f(Versioning::kEnabled, true);
  f.put("file", std::string(kBlock * kBlocks, 'a'));
  const Ino ino = f.lookup(f.bucket, "file");
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> torn = 0;
  std::vector<std::thread> threads;
  for (uint32_t n = 0; n < 3; ++n) {
    threads.emplace_back([&, n] {
      std::mt19937 random(n);
      const auto file = f.open_file(ino, {.read = true});
      while (!stop) {
        if (!is_whole(f.read(file, random() % kBlocks * kBlock, kBlock))) ++torn;
      }
      f.core->release(ino, file.handle);
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      for (const VersionEntry& entry : f.versions("file")) {
        if (entry.current) continue;
        // It may be pruned at any moment; what is read of it is whole.
        const auto view = f.core->lookup(f.root, f.versions_of({"file"}), entry.name);
        if (!view) continue;
        if (const auto open = f.core->open(f.root, view->ino, {.read = true})) {
          std::string block(kBlock, '?');
          const auto got = f.core->read(view->ino, open->handle, kBlock, block);
          if (got && !is_whole(block)) ++torn;
          f.core->release(view->ino, open->handle);
        }
        f.core->forget(view->ino, 1);
      }
    }
  });
  threads.emplace_back([&] {
    PruneOptions options;
    options.keep = 3;
    while (!stop) {
      EXPECT_OK(f.core->prune(f.root, "bucket", "", options, nullptr));
      f.expect_sound();
    }
  });
  std::mt19937 random(99);
  for (int round = 0; round < 40; ++round) {
    const auto file = f.open_file(ino);
    for (int i = 0; i < 8; ++i) {
      f.write(file, random() % kBlocks * kBlock, std::string(kBlock, static_cast<char>('a' + random() % 26)));
    }
    f.close(file);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(torn, 0u);
  f.expect_sound();
}

TEST(Concurrency, FilesComeAndGoWhileTheCheckRuns) {
  ContentFixture f(Versioning::kEnabled, true);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int n = 0; n < 3; ++n) {
    threads.emplace_back([&, n] {
      for (int i = 0; i < 120; ++i) {
        const std::string name = "file" + std::to_string(n) + "-" + std::to_string(i % 5);
        f.put(name, std::string(static_cast<size_t>(i) * 1000, 'x'));
        if (i % 3 == 0) EXPECT_OK(f.core->rename(f.root, f.bucket, name, f.bucket, name + "x", RenameMode::kReplace));
        if (i % 3 == 1) EXPECT_OK(f.core->unlink(f.root, f.bucket, name));
      }
    });
  }
  std::thread checker([&] {
    while (!stop) f.expect_sound();
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  checker.join();
  f.expect_sound();
}

TEST(Concurrency, CopiesShareAndPartWhileTheCheckRuns) {
  ContentFixture f(Versioning::kOff, true);
  std::vector<Ino> files;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    f.put(std::string(1, letter), std::string(kBlock * kBlocks, letter));
    files.push_back(f.lookup(f.bucket, std::string(1, letter)));
  }
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> torn = 0;
  std::vector<std::thread> threads;
  for (uint32_t n = 0; n < 3; ++n) {
    threads.emplace_back([&, n] {
      std::mt19937 random(n);
      for (int i = 0; i < 150; ++i) {
        const auto from = f.open_file(files[random() % 4]);
        const auto to = f.open_file(files[random() % 4], {.read = true, .write = true, .truncate = random() % 16 == 0});
        const uint64_t at = random() % kBlocks * kBlock;
        const uint64_t offset = random() % kBlocks * kBlock;
        if (i % 3 == 0) f.write(to, at, std::string(kBlock, static_cast<char>('a' + random() % 26)));
        f.copy(from, offset, to, at, kBlock * (1 + random() % 4));
        const std::string block = f.read(to, at, kBlock);
        if (!block.empty() && !is_whole(block)) ++torn;
        f.close(from);
        f.close(to);
      }
    });
  }
  std::thread checker([&] {
    while (!stop) f.expect_sound(false);
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  checker.join();
  EXPECT_EQ(torn, 0u);
  f.expect_sound();
}

TEST(Concurrency, WritersToOneFileLoseNothing) {
  ContentFixture f(Versioning::kOff, true);
  const auto file = f.create("file");
  std::vector<std::thread> threads;
  for (uint32_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      for (uint32_t i = 0; i < 300; ++i) {
        f.write(file, (i * 4 + n) * 1000, std::string(1000, static_cast<char>('a' + n)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint32_t i = 0; i < 1200; ++i) {
    ASSERT_EQ(f.read(file, i * 1000, 1000), std::string(1000, static_cast<char>('a' + i % 4))) << i;
  }
  f.close(file);
  f.expect_sound();
}

}  // namespace
}  // namespace pailfs::test
