// Commands that make, copy or mend a store, killed at every call that changes the medium: the store opens afterwards
// with all that was in it, or the command is simply run again and ends well.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/logging.h"
#include "fault/core/lmdb_medium.h"
#include "fault/core/power_cut.h"
#include "store/superblock.h"
#include "support/figures.h"
#include "support/sanitizers.h"
#include "support/tree_dump.h"

namespace pailfs::test {
namespace {

class CommandsTest : public testing::Test {
 protected:
  CommandsTest() {
    set_log_level(LogLevel::kError);
    world_tree_ = tree(*world_.copy(), store_);
  }

  using Command = std::function<Status(Env&)>;
  // `ended`: the command said that it did what it should.
  using Judge = std::function<void(const MemoryEnv& image, bool ended)>;

  // Runs the command on copies of `begin`, each time dying one call later, and shows the judge what is left then.
  void sweep(const MemoryEnv& begin, const std::string& directory, const Command& command, const Judge& judge) {
    for (uint64_t k = 0; !HasFailure(); k += kSlowdown) {
      const auto memory = same(begin);
      bool died = false;
      Status done;
      {
        LmdbMedium medium(*memory, directory);
        medium.faults().die_after(k);
        done = command(medium);
        died = medium.faults().dead();
      }
      ++kills_;
      for (const CrashPolicy& policy :
           {CrashPolicy{Unsynced::kKeep, Unsynced::kKeep}, CrashPolicy{Unsynced::kDrop, Unsynced::kDrop},
            CrashPolicy{Unsynced::kDrop, Unsynced::kKeep}, CrashPolicy{Unsynced::kRandom, Unsynced::kRandom, k}}) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, fmt::format("killed at call {}", k));
        ++states_;
        judge(*memory->crash_image(policy), done.has_value());
        if (HasFailure()) return;
      }
      if (died) continue;
      EXPECT_TRUE(done) << done.error().message;
      break;
    }
  }
  void report(std::string_view what) const {
    print_figures("B2", what, {{"kills", kills_}, {"states", states_}});
    EXPECT_GT(kills_, 8U / kSlowdown);
  }

  static std::unique_ptr<MemoryEnv> same(const MemoryEnv& memory) {
    return memory.crash_image({Unsynced::kKeep, Unsynced::kKeep});
  }
  // Runs something on a medium for a store in `directory`.
  static Status on(MemoryEnv& memory, const std::string& directory, const Command& command) {
    LmdbMedium medium(memory, directory);
    return command(medium);
  }
  // What a store shows; its check finds nothing.
  static Result<std::string> opened(Env& env, const std::string& directory) {
    PAILFS_ASSIGN(const auto life, Life::begin(env, directory));
    PAILFS_ASSIGN(const CheckResult checked, life->core().check(true, nullptr));
    for (const CheckProblem& problem : checked.problems) ADD_FAILURE() << problem.path << ": " << problem.what;
    return dump_tree(life->core());
  }
  static Result<std::string> try_tree(const MemoryEnv& image, const std::string& directory) {
    const auto memory = same(image);
    LmdbMedium medium(*memory, directory);
    return opened(medium, directory);
  }
  static std::string tree(const MemoryEnv& image, const std::string& directory) {
    const auto shown = try_tree(image, directory);
    EXPECT_TRUE(shown) << shown.error().message;
    return shown.value_or("");
  }
  Status rebuild(Env& env) const {
    auto rebuilt = Store::rebuild_index(env, store_, store_secret(), nullptr);
    return rebuilt ? Status{} : std::unexpected(rebuilt.error());
  }
  Status backup(Env& env) const {
    PAILFS_ASSIGN(const auto life, Life::begin(env, store_));
    auto taken = life->store().backup(copy_.path(), nullptr);
    return taken ? life->store().close() : std::unexpected(taken.error());
  }
  static Status restore(Env& env, const std::string& from, const std::string& to) {
    auto restored = Store::restore(env, from, to, nullptr);
    return restored ? Status{} : std::unexpected(restored.error());
  }
  const World world_;
  const std::string store_ = world_.directory();
  // For what is made beside the store; on the medium there is nothing yet.
  const TemporaryDirectory made_;
  const TemporaryDirectory copy_;
  std::string world_tree_;
  uint64_t kills_ = 0;
  uint64_t states_ = 0;
};

TEST_F(CommandsTest, Init) {
  const std::string made = made_.path();
  const Command init = [&](Env& env) { return Store::create(env, made, store_secret(), "test"); };
  for (const bool there : {false, true}) {
    const auto begin = world_.copy();
    if (there) {
      EXPECT_TRUE(begin->make_dir(made));
      EXPECT_TRUE(begin->sync_dir(made_.path().substr(0, made_.path().rfind('/'))));
    }
    sweep(*begin, made_.path(), init, [&](const MemoryEnv& image, bool ended) {
      const auto memory = same(image);
      LmdbMedium medium(*memory, made_.path());
      auto shown = opened(medium, made);
      if (!shown) {
        EXPECT_FALSE(ended) << shown.error().message;
        EXPECT_EQ(shown.error().code, Code::kNotFound) << shown.error().message;
        const Status again = init(medium);
        ASSERT_TRUE(again) << again.error().message;
        shown = opened(medium, made);
      }
      ASSERT_TRUE(shown) << shown.error().message;
    });
  }
  report("kills of init");
}

TEST_F(CommandsTest, RebuildingTheIndex) {
  const auto damaged = world_.copy();
  {
    const auto file = damaged->open(store_ + "/index/data.mdb", OpenMode::kReadWrite);
    ASSERT_TRUE(file && (*file)->write_at(0, std::string(8192, '\x7f')) && (*file)->sync_data());
  }
  const auto sound = world_.copy();
  for (const MemoryEnv* begin : {sound.get(), damaged.get()}) {
    sweep(
        *begin, store_, [&](Env& env) { return rebuild(env); },
        [&](const MemoryEnv& image, bool ended) {
          const auto shown = try_tree(image, store_);
          if (begin == sound.get() || ended) {
            ASSERT_TRUE(shown) << shown.error().message;
          }
          if (shown) {
            EXPECT_EQ(*shown, world_tree_);
          }
          const auto memory = same(image);
          const Status again = on(*memory, store_, [&](Env& env) { return rebuild(env); });
          ASSERT_TRUE(again) << again.error().message;
          EXPECT_EQ(tree(*memory, store_), world_tree_);
        });
  }
  report("kills of rebuild-index");
}

TEST_F(CommandsTest, TheRebuildOfAMissingIndexThatAStartBegins) {
  const auto begin = world_.copy();
  ASSERT_TRUE(begin->remove(store_ + "/index/data.mdb"));
  ASSERT_TRUE(begin->sync_dir(store_ + "/index"));
  const Command start = [&](Env& env) -> Status {
    PAILFS_ASSIGN(const auto life, Life::begin(env, store_));
    return life->store().close();
  };
  sweep(*begin, store_, start, [&](const MemoryEnv& image, bool) { EXPECT_EQ(tree(image, store_), world_tree_); });
  report("kills of a start without an index");
}

// Into an empty directory: the store is as it was, and the backup can be gone on with.
TEST_F(CommandsTest, TheFirstBackup) {
  const std::string copy = copy_.path();
  const auto begin = world_.copy();
  sweep(
      *begin, store_, [&](Env& env) { return backup(env); },
      [&](const MemoryEnv& image, bool ended) {
        const auto memory = same(image);
        if (!ended) {
          EXPECT_EQ(tree(image, store_), world_tree_);
          const Status again = on(*memory, store_, [&](Env& env) { return backup(env); });
          ASSERT_TRUE(again) << again.error().message;
        }
        const std::string place = made_.path();
        LmdbMedium medium(*memory, made_.path());
        ASSERT_TRUE(restore(medium, copy, place));
        const auto shown = opened(medium, place);
        ASSERT_TRUE(shown) << shown.error().message;
        EXPECT_EQ(*shown, world_tree_);
      });
  report("kills of a first backup");
}

// What there was of an earlier one can be restored at any moment, as the earlier state or as the new one.
TEST_F(CommandsTest, AFurtherBackup) {
  const std::string copy = copy_.path();
  const auto begin = world_.copy();
  ASSERT_TRUE(on(*begin, store_, [&](Env& env) { return backup(env); }));
  ASSERT_TRUE(on(*begin, store_, [&](Env& env) -> Status {
    PAILFS_ASSIGN(const auto life, Life::begin(env, store_));
    PAILFS_TRY(life->create("bucket/e/later", pattern("later", 200'000)));
    return life->store().close();
  }));
  const std::string later = tree(*begin, store_);
  ASSERT_NE(later, world_tree_);
  uint64_t earlier_ones = 0;
  sweep(
      *begin, store_, [&](Env& env) { return backup(env); },
      [&](const MemoryEnv& image, bool ended) {
        EXPECT_EQ(tree(image, store_), later);
        const auto memory = same(image);
        const std::string place = made_.path();
        LmdbMedium medium(*memory, made_.path());
        const Status restored = restore(medium, copy, place);
        ASSERT_TRUE(restored) << restored.error().message;
        const auto shown = opened(medium, place);
        ASSERT_TRUE(shown) << shown.error().message;
        if (ended || *shown != world_tree_) {
          EXPECT_EQ(*shown, later);
        } else {
          ++earlier_ones;
        }
      });
  EXPECT_GT(earlier_ones, 0U);
  report("kills of a further backup");
}

TEST_F(CommandsTest, Restore) {
  const std::string copy = copy_.path();
  const std::string place = made_.path();
  const auto begin = world_.copy();
  ASSERT_TRUE(on(*begin, store_, [&](Env& env) { return backup(env); }));
  const Command command = [&](Env& env) { return restore(env, copy, place); };
  sweep(*begin, made_.path(), command, [&](const MemoryEnv& image, bool ended) {
    const auto memory = same(image);
    LmdbMedium medium(*memory, made_.path());
    auto shown = opened(medium, place);
    if (!shown) {
      EXPECT_FALSE(ended) << shown.error().message;
      EXPECT_EQ(shown.error().code, Code::kNotFound) << shown.error().message;
      const Status again = command(medium);
      ASSERT_TRUE(again) << again.error().message;
      shown = opened(medium, place);
    }
    ASSERT_TRUE(shown) << shown.error().message;
    EXPECT_EQ(*shown, world_tree_);
  });
  report("kills of restore");
}

class KeysCommandsTest : public CommandsTest {
 protected:
  Result<std::unique_ptr<Keyring>> unlock(Env& env, const UnlockSecret& secret) const {
    PAILFS_ASSIGN(const Superblock superblock, read_superblock(env, store_));
    PAILFS_ASSIGN(const std::string id, uuid_bytes(superblock.uuid));
    return Keyring::unlock(env, store_, id, secret);
  }
  Status add(Env& env) const {
    PAILFS_ASSIGN(const auto keyring, unlock(env, store_secret()));
    auto added = keyring->add_slot(other(), "other", {});
    if (!added && added.error().code == Code::kExists) return {};  // it is there already
    return added ? Status{} : std::unexpected(added.error());
  }
  Status remove(Env& env) const {
    PAILFS_ASSIGN(const auto keyring, unlock(env, store_secret()));
    for (const SlotInfo& slot : keyring->slots()) {
      if (slot.label == "other") return keyring->remove_slot(slot.id);
    }
    return {};  // it has gone already
  }
  static UnlockSecret other() { return {SlotKind::kKeyFile, Secret("another key that opens the store")}; }
};

TEST_F(KeysCommandsTest, AddingAKey) {
  sweep(
      *world_.copy(), store_, [&](Env& env) { return add(env); },
      [&](const MemoryEnv& image, bool ended) {
        EXPECT_EQ(tree(image, store_), world_tree_);
        const auto memory = same(image);
        if (!ended) {
          const Status again = add(*memory);
          ASSERT_TRUE(again) << again.error().message;
        }
        EXPECT_TRUE(unlock(*memory, other()));
        EXPECT_TRUE(unlock(*memory, store_secret()));
      });
  report("kills of adding a key");
}

TEST_F(KeysCommandsTest, RemovingAKey) {
  const auto begin = world_.copy();
  ASSERT_TRUE(add(*begin));
  sweep(
      *begin, store_, [&](Env& env) { return remove(env); },
      [&](const MemoryEnv& image, bool ended) {
        EXPECT_EQ(tree(image, store_), world_tree_);
        const auto memory = same(image);
        if (!ended) {
          const Status again = remove(*memory);
          ASSERT_TRUE(again) << again.error().message;
        }
        const auto refused = unlock(*memory, other());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::kWrongKey);
        EXPECT_TRUE(unlock(*memory, store_secret()));
      });
  report("kills of removing a key");
}

}  // namespace
}  // namespace pailfs::test
