#include <set>

#include "core/impl.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

TEST_F(CoreTest, InodeNumbersAreNeverUsedAgainOverCrashesAndRestarts) {
  std::set<Ino> used;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 50; ++i) {
      const std::string name = std::to_string(round) + "-" + std::to_string(i);
      EXPECT_TRUE(used.insert(file(name)).second);
      if (i == 30) EXPECT_OK(store->sync());
    }
    if (round % 2 == 0) {
      crash();
      // Those after the sync are lost with their numbers, which nothing durable ever named.
      for (const Ino ino : std::set<Ino>(used)) {
        if (!core->getattr(root, ino)) used.erase(ino);
      }
    } else {
      restart();
    }
  }
  expect_sound();
}

TEST_F(CoreTest, NumbersGoOnBeyondARange) {
  Ino last = 0;
  for (int i = 0; i < 9000; ++i) {
    const Ino ino = file("f" + std::to_string(i));
    EXPECT_GT(ino, last);
    last = ino;
    core->forget(ino, 1);
  }
}

class StampTest : public testing::Test, public CoreOnMemory {
 protected:
  Stamp stamp() {
    if (!impl) impl = std::make_unique<Core::Impl>(*store, kAccount);
    if (fresh) EXPECT_OK(impl->load_stamps());
    fresh = false;
    Transaction tx;
    return impl->stamp(tx);
  }
  void again() {
    impl.reset();
    fresh = true;
  }
  std::unique_ptr<Core::Impl> impl;
  bool fresh = true;
};

TEST_F(StampTest, NeverGoBackWhenTheClockDoes) {
  const Stamp before = stamp();
  EXPECT_GT(stamp(), before);
  env.set_now(before - 3'600'000'000'000);
  const Stamp during = stamp();
  EXPECT_GT(during, before);
  again();
  restart();
  EXPECT_GT(stamp(), during);
}

TEST_F(StampTest, NeverGoBackOverACrashOfWhatWasSynced) {
  Stamp last = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 20; ++i) {
      const Stamp next = stamp();
      EXPECT_GT(next, last);
      last = next;
      env.advance(300'000'000);
    }
    EXPECT_OK(store->sync());
    again();
    crash();
    env.set_now(env.now() - 1'000'000'000);
  }
}

TEST_F(StampTest, RunAheadOfTheClockByLittle) {
  stamp();
  EXPECT_OK(store->sync());
  again();
  crash();
  // A range of two seconds for each of the two that stamped in this store: the core and the one of the test.
  EXPECT_LE(stamp() - env.now(), 4'100'000'000);
}

TEST_F(StampTest, VersionIdsSortByTheirTime) {
  stamp();
  std::string last;
  for (Stamp at = 1'700'000'000'000'000'000; at < 1'700'000'000'100'000'000; at += 1'000'000) {
    const std::string id = format_version_id(impl->make_version_id(at));
    EXPECT_LT(last, id);
    last = id;
  }
}

TEST_F(CoreTest, TheTableKeepsWhatIsInUseAndForgetsTheRest) {
  const Ino first = file("a"), second = file("b"), third = file("c");
  InodeTable table(*store, 2);
  const auto held = table.get(first);
  ASSERT_TRUE(held);
  EXPECT_EQ(*table.get(first), *held);
  for (int i = 0; i < 3; ++i) {
    EXPECT_OK(table.get(second));
    EXPECT_OK(table.get(third));
  }
  EXPECT_EQ(*table.get(first), *held);
  EXPECT_CODE(table.get(third + 1000), Code::kNotFound);
  EXPECT_EQ(table.cached(third + 1000), nullptr);
  table.add_reference(first, 3);
  EXPECT_EQ(table.drop_reference(first, 2), 1u);
  EXPECT_EQ(table.drop_reference(first, 5), 0u);
  EXPECT_EQ(table.drop_reference(first, 1), 0u);
  EXPECT_EQ(table.reference_count(), 0u);
}

}  // namespace
}  // namespace pailfs::test
