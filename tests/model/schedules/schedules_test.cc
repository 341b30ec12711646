// Everything at once under schedules that follow from a seed (row G2): PAILFS_SCHEDULES of them, from PAILFS_MODEL_SEED
// on. What each thread does follows from the seed too.
#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>

#include "model/schedules/sync_points.h"
#include "support/core_fixture.h"
#include "support/figures.h"
#include "support/sanitizers.h"
#include "support/tree_dump.h"

namespace pailfs::test {
namespace {

constexpr int kThreads = 4;
constexpr int kSteps = 20;
constexpr size_t kLength = 20'000;  // five units: a write of one letter

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* const given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

class Everything : public CoreOnMemory {
 public:
  explicit Everything(uint64_t seed) : CoreOnMemory(static_cast<Versioning>(seed % 3), true), seed_(seed) {
    // So little that all of it happens within a few milliseconds.
    options.log.segment_size = 256 << 10;
    options.log.reserve_step = 64 << 10;
    options.frame_bytes = 16 << 10;
    options.memtable_bytes = 24 << 10;
    options.commit_interval = 1'000'000;
    options.checkpoint_interval = 2'000'000;
    env.run_clock(1);
    restart();
    directories_ = {bucket, mkdir("one"), mkdir("two")};
    for (const Ino directory : directories_) {
      if (directory != bucket) core->forget(directory, 1);
    }
  }

  void run() {
    {
      const PerturbedSchedule schedule(seed_);
      std::vector<std::thread> threads;
      for (int i = 0; i < kThreads; ++i) threads.emplace_back([this, i] { work(i); });
      for (std::thread& thread : threads) thread.join();
    }
    expect_sound();
    EXPECT_EQ(core->in_use().handles, 0u);
    EXPECT_EQ(core->in_use().inodes, 0u);
    const std::string before = dump_tree(*core);
    restart();
    expect_sound();
    EXPECT_EQ(dump_tree(*core), before) << "after a restart";
  }

 private:
  using Random = std::minstd_rand;

  void work(int thread) {
    Random random(static_cast<uint32_t>(seed_ * kThreads + static_cast<uint64_t>(thread) + 1));
    Own own{"own" + std::to_string(thread), bucket, {}};
    for (int i = 0; i < kSteps && !testing::Test::HasFailure(); ++i) step(random, own);
  }

  // A file that one thread alone writes and renames, so that it knows what is in it.
  struct Own {
    std::string name;
    Ino directory = 0;
    std::optional<char> letter;
  };

  void step(Random& random, Own& own) {
    const auto one_of = [&](uint32_t n) { return static_cast<uint32_t>(random() / 7 % n); };
    const auto letter = static_cast<char>('a' + one_of(26));
    const Ino here = directories_[one_of(3)], there = directories_[one_of(3)];
    const std::string name(1, static_cast<char>('p' + one_of(5)));
    const std::string other(1, static_cast<char>('p' + one_of(5)));
    switch (one_of(17)) {
      case 0:
      case 1:
      case 2:
        return put(here, name, letter);
      case 3:
      case 4:
        return expect_whole(here, name);
      case 5:
        return static_cast<void>(core->unlink(root, here, name));
      case 6:
        return static_cast<void>(core->rename(root, here, name, there, other, RenameMode::kReplace));
      case 7:
        return static_cast<void>(core->rename(root, here, name, there, other, RenameMode::kExchange));
      case 8:
        return link(here, name, there, other);
      case 9:
        return expect_whole_versions(name);
      case 10:
        return copy(here, name, there, other);
      case 11:
        return set_attributes(here, name, one_of(8));
      case 12:
        return clean_up(one_of(4));
      case 13:
      case 14:
        put(own.directory, own.name, letter);
        own.letter = letter;
        return;
      case 15:
        if (own.letter) {
          EXPECT_OK(core->rename(root, own.directory, own.name, here, own.name, RenameMode::kReplace));
          EXPECT_EQ(at(own.directory, own.name) == 0, here != own.directory);
        }
        own.directory = here;
        return;
      default:
        EXPECT_EQ(letter_of(own.directory, own.name), own.letter) << own.name;
    }
  }

  void put(Ino directory, const std::string& name, char letter) {
    auto opened = core->create(root, directory, name, 0644, {.write = true});
    Ino ino = 0;
    uint64_t handle = 0;
    if (opened) {
      ino = opened->attributes.ino;
      handle = opened->open.handle;
    } else {
      const auto found = core->lookup(root, directory, name);
      if (!found) return;
      const auto again = core->open(root, found->ino, {.write = true});
      if (!again) return core->forget(found->ino, 1);
      ino = found->ino;
      handle = again->handle;
    }
    EXPECT_OK(core->write(ino, handle, 0, std::string(kLength, letter), false));
    if (letter % 4 == 0) EXPECT_OK(core->fsync(ino));
    EXPECT_OK(core->flush(ino, handle));
    core->release(ino, handle);
    core->forget(ino, 1);
  }

  // What all of the content is; 0: it is empty, or there is none.
  std::optional<char> letter_of(Ino directory, const std::string& name) {
    const auto found = core->lookup(root, directory, name);
    if (!found) return std::nullopt;
    std::optional<char> letter;
    if (const auto opened = core->open(root, found->ino, {.read = true})) {
      std::string bytes(kLength + 1, '?');
      const auto length = core->read(found->ino, opened->handle, 0, bytes);
      // A version may go while it is read.
      EXPECT_TRUE(length || length.error().code == Code::kNotFound) << length.error().message;
      if (length && *length != 0) {
        EXPECT_EQ(*length, kLength) << name;
        EXPECT_EQ(bytes.find_first_not_of(bytes[0]), kLength) << name << " is torn";
        letter = bytes[0];
      }
      core->release(found->ino, opened->handle);
    }
    core->forget(found->ino, 1);
    return letter;
  }
  void expect_whole(Ino directory, const std::string& name) { static_cast<void>(letter_of(directory, name)); }

  void expect_whole_versions(const std::string& name) {
    const auto versions = core->versions(root, "bucket", name);
    if (!versions) return;
    const auto top = core->lookup(root, bucket, ".versions");
    ASSERT_TRUE(top);
    if (const auto of = core->lookup(root, top->ino, name)) {
      for (const VersionEntry& version : *versions) {
        if (!version.marker) expect_whole(of->ino, version.name);
      }
      core->forget(of->ino, 1);
    }
    core->forget(top->ino, 1);
  }

  void link(Ino directory, const std::string& name, Ino there, const std::string& other) {
    const auto found = core->lookup(root, directory, name);
    if (!found) return;
    if (const auto linked = core->link(root, found->ino, there, other)) core->forget(linked->ino, 1);
    core->forget(found->ino, 1);
  }

  void copy(Ino directory, const std::string& name, Ino there, const std::string& other) {
    const auto from = core->lookup(root, directory, name);
    if (!from) return;
    if (const auto to = core->lookup(root, there, other)) {
      if (to->ino != from->ino) {
        const auto reader = core->open(root, from->ino, {.read = true});
        const auto writer = core->open(root, to->ino, {.write = true});
        // All of it at once: the target has one letter before and after.
        if (reader && writer) {
          EXPECT_OK(core->copy_range({from->ino, reader->handle, 0}, {to->ino, writer->handle, 0}, kLength));
        }
        if (writer) {
          EXPECT_OK(core->flush(to->ino, writer->handle));
          core->release(to->ino, writer->handle);
        }
        if (reader) core->release(from->ino, reader->handle);
      }
      core->forget(to->ino, 1);
    }
    core->forget(from->ino, 1);
  }

  void set_attributes(Ino directory, const std::string& name, uint32_t mode) {
    const auto found = core->lookup(root, directory, name);
    if (!found) return;
    AttributeChange change;
    change.mode = 0600 + mode;
    static_cast<void>(core->setattr(root, found->ino, change));
    static_cast<void>(core->setxattr(root, found->ino, "user.mode", std::to_string(mode), Core::XattrMode::kSet));
    core->forget(found->ino, 1);
  }

  void clean_up(uint32_t how) {
    if (how == 0) {
      PruneOptions all_but_one;
      all_but_one.keep = 1;
      EXPECT_OK(core->prune(root, "bucket", "", all_but_one, nullptr));
    } else if (how == 1) {
      expect_sound();
    } else if (how == 2) {
      EXPECT_OK(core->sync());
    } else {
      static_cast<void>(names(directories_[1]));
    }
  }

  const uint64_t seed_;
  std::array<Ino, 3> directories_{};
};

TEST(Schedules, NothingTearsAndNothingIsLost) {
  const uint64_t count = from_environment("PAILFS_SCHEDULES", 1000 / kSlowdown);
  const uint64_t first = from_environment("PAILFS_MODEL_SEED", 1);
  uint64_t seed = first;
  for (; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("PAILFS_MODEL_SEED=" + std::to_string(seed));
    Everything(seed).run();
  }
  EXPECT_GT(PerturbedSchedule::waits(), count) << "the locks do not go through sync_points.cc";
  print_figures("G2", "schedules that follow from seeds, four threads",
                {{"seeds", seed - first}, {"waits", PerturbedSchedule::waits()}});
}

}  // namespace
}  // namespace pailfs::test
