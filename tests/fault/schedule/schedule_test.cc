// A short, busy life of a store under schedules that a seed perturbs: writers with names of their own, readers of a
// file that is overwritten, and all that goes on in the background, pruning and checks. Whatever the order, nobody
// reads half a write, everybody finds what he wrote, and so does the next start.
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "base/logging.h"
#include "fault/schedule/perturb.h"
#include "support/figures.h"
#include "support/sanitizers.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr size_t kBlock = 8192;
constexpr int kRounds = 12;

class ScheduledLife {
 public:
  explicit ScheduledLife(uint64_t seed) : seed_(seed) {
    f_.options.log.segment_size = 256 << 10;
    f_.options.commit_interval = 2'000'000;
    f_.options.checkpoint_interval = 4'000'000;
    f_.options.memtable_bytes = 32 << 10;
    f_.options.frame_bytes = 4 << 10;
    f_.restart();
    f_.put("shared", std::string(4 * kBlock, 'a'));
    shared_ = f_.lookup(f_.bucket, "shared");
  }

  void run() {
    {
      const Perturbation perturbation(seed_);
      std::vector<std::thread> threads;
      for (size_t n = 0; n < kWriters; ++n) threads.emplace_back([this, n] { write_names(n); });
      threads.emplace_back([this] { overwrite(); });
      threads.emplace_back([this] { read_shared(); });
      threads.emplace_back([this] { keep_up(); });
      for (std::thread& thread : threads) thread.join();
      EXPECT_OK(f_.store->sync());
    }
    expect_written();
    f_.open();
    expect_written();
  }

 private:
  static constexpr size_t kWriters = 2;

  void write_names(size_t n) {
    std::mt19937_64 random(seed_ * kWriters + n);
    std::map<std::string, std::string>& mine = written_[n];
    for (int i = 0; i < kRounds; ++i) {
      const std::string name = std::to_string(n) + "-" + std::to_string(random() % 4);
      const std::string content(1 + random() % 20'000, static_cast<char>('a' + i));
      f_.put(name, content);
      mine[name] = content;
      if (i % 4 == 1) EXPECT_OK(f_.core->sync());
      if (i % 4 == 2) {
        const std::string other = name + "x";
        EXPECT_OK(f_.core->rename(f_.root, f_.bucket, name, f_.bucket, other, RenameMode::kReplace));
        mine[other] = content;
        mine.erase(name);
      }
      if (i % 4 == 3) {
        EXPECT_OK(f_.core->unlink(f_.root, f_.bucket, name));
        mine.erase(name);
      }
    }
  }

  void overwrite() {
    std::mt19937_64 random(seed_ + 17);
    for (int i = 0; i < kRounds; ++i) {
      const auto file = f_.open_file(shared_);
      f_.write(file, random() % 4 * kBlock, std::string(kBlock, static_cast<char>('b' + i)));
      f_.close(file);
    }
  }

  void read_shared() {
    std::mt19937_64 random(seed_ + 18);
    for (int i = 0; i < 3 * kRounds; ++i) {
      const auto file = f_.open_file(shared_, {.read = true});
      const std::string block = f_.read(file, random() % 4 * kBlock, kBlock);
      EXPECT_TRUE(block.size() == kBlock && block.find_first_not_of(block[0]) == std::string::npos) << "half a write";
      f_.core->release(shared_, file.handle);
    }
  }

  void keep_up() {
    PruneOptions options;
    options.keep = 1;
    for (int i = 0; i < 4; ++i) {
      EXPECT_OK(f_.core->prune(f_.root, "bucket", "", options, nullptr));
      EXPECT_OK(f_.store->checkpoint());
      EXPECT_OK(f_.store->reclaim());
      f_.expect_sound(i % 2 == 0);
    }
  }

  void expect_written() {
    f_.expect_sound();
    std::vector<std::string> names = {"shared"};
    for (const auto& mine : written_) {
      for (const auto& [name, content] : mine) {
        names.push_back(name);
        EXPECT_TRUE(f_.content(f_.lookup(f_.bucket, name)) == content) << name;
      }
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(f_.list(f_.bucket), names);
  }

  const uint64_t seed_;
  ContentFixture f_{Versioning::kEnabled, true};
  Ino shared_ = 0;
  std::array<std::map<std::string, std::string>, kWriters> written_;
};

void live(uint64_t seed) {
  const testing::ScopedTrace trace(__FILE__, __LINE__, "seed " + std::to_string(seed));
  ScheduledLife(seed).run();
}

void report(uint64_t seeds) {
  print_figures("G2", "seeded schedules of a short life", {{"seeds", seeds}, {"pauses", Perturbation::pauses()}});
  if (kSlowdown == 1) {
    EXPECT_GT(Perturbation::pauses(), 10 * seeds);
  }
}

TEST(Schedule, OfAFewHundredSeeds) {
  constexpr uint64_t kSeeds = 200 / kSlowdown;
  set_log_level(LogLevel::kError);
  for (uint64_t seed = 1; seed <= kSeeds && !testing::Test::HasFailure(); ++seed) live(seed);
  report(kSeeds);
}

// Of ctest's label soak.
TEST(Schedule, DISABLED_AsManyAsTimeAllows) {
  set_log_level(LogLevel::kError);
  const char* given = std::getenv("SOAK_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(given == nullptr ? 60 : std::atoi(given));
  const uint64_t first = std::random_device()();
  uint64_t seeds = 0;
  for (; std::chrono::steady_clock::now() < end && !testing::Test::HasFailure(); ++seeds) live(first + seeds + 1);
  report(seeds);
}

}  // namespace
}  // namespace pailfs::test
