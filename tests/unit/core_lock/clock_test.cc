// The retention clock: what the system's clock is set to ends no lock.
#include "core/records.h"
#include "core/retention_clock.h"
#include "unit/core_lock/lock_fixture.h"

namespace pailfs::test {
namespace {

class Clock : public LockFixture {
 protected:
  Time time() { return core->retention_time().value_or(0); }
  ClockRecord stored_clock() {
    const auto value = store->get(kStoreScope, keys::retention_clock());
    EXPECT_TRUE(value && *value);
    if (!value || !*value) return {};
    return decode_clock(**value).value_or(ClockRecord{});
  }
};

TEST_F(Clock, BeginsAtTheWallClockWhenItIsFirstNeeded) {
  EXPECT_EQ(time(), env.now());
  CoreOnMemory without;
  EXPECT_FALSE(without.core->retention_time());
  without.env.advance(kDay);
  EXPECT_OK(without.core->enable_object_lock(without.account, "bucket"));
  EXPECT_EQ(without.core->retention_time(), without.env.now());
}

TEST_F(Clock, GoesWithTheMonotonicClockAlone) {
  const Time begin = time();
  env.advance(kSecond);
  EXPECT_EQ(time(), begin + kSecond);
  for (const Time wall : {begin + 3650 * kDay, begin - 3650 * kDay, begin}) {
    env.set_now(wall);
    EXPECT_EQ(time(), begin + kSecond);
    EXPECT_OK(core->keep_retention_clock());
    EXPECT_EQ(time(), begin + kSecond);
  }
}

TEST_F(Clock, ADateThatTheSystemsClockReachesEndsNothing) {
  standard(LockMode::kCompliance, 10);
  put("file", "content");
  EXPECT_OK(core->unlink(root, locked(), "file"));
  const std::string name = versions("file").at(1).name;
  env.set_now(env.now() + 20 * kDay);
  expect_every_door_shut("file", name, "content");
  reopen();
  expect_every_door_shut("file", name, "content");
  env.set_now(env.now() + 20 * kDay);  // while it is closed, as far as it can tell
  open();
  expect_every_door_shut("file", name, "content");
  env.advance(10 * kDay + kSecond);
  EXPECT_OK(core->purge_version(root, "locked", "file", name));
}

TEST_F(Clock, StandsStillWhileTheStoreIsClosed) {
  EXPECT_OK(core->keep_retention_clock(true));
  const Time closed = time();
  EXPECT_OK(store->sync());
  core.reset();
  store.reset();
  env.advance(5 * kDay);
  open();
  EXPECT_EQ(time(), closed);
  env.advance(kSecond);
  EXPECT_EQ(time(), closed + kSecond);
}

TEST_F(Clock, IsWrittenDownEveryMinute) {
  const Time begin = stored_clock().clock;
  env.advance(59 * kSecond);
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(stored_clock().clock, begin);
  env.advance(kSecond);
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(stored_clock().clock, begin + 60 * kSecond);
  EXPECT_OK(store->sync());
  env.advance(30 * kSecond);
  crash();
  EXPECT_EQ(time(), begin + 60 * kSecond);  // never ahead of what was
}

TEST_F(Clock, AJumpIsWrittenDownAtOnceAndSmallCorrectionsAreNot) {
  const ClockRecord begin = stored_clock();
  env.set_now(env.now() + 200 * kSecond);
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(stored_clock().wall, begin.wall);
  const uint64_t before = store->status().sequence;
  env.set_now(env.now() + 400 * kSecond);
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(stored_clock().wall, begin.wall + 600 * kSecond);
  EXPECT_EQ(stored_clock().clock, begin.clock);
  EXPECT_EQ(store->status().sequence, before + 1);
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(store->status().sequence, before + 1);  // told once
  env.set_now(env.now() - 400 * kSecond);
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(store->status().sequence, before + 2);
}

TEST_F(Clock, GoingBackWhileTheStoreWasClosedIsNoticed) {
  reopen();
  const Time wall = stored_clock().wall;
  env.set_now(wall - kDay);
  open();
  const Time begin = time();
  EXPECT_OK(core->keep_retention_clock());
  EXPECT_EQ(stored_clock().wall, wall - kDay);
  EXPECT_EQ(stored_clock().clock, begin);
}

TEST_F(Clock, OneThatIsUnreadableEndsNoLock) {
  standard(LockMode::kCompliance, 1);
  put("file", "1");
  put("file", "2");
  const std::string old = id("file", 1);
  Transaction tx;
  tx.put(kStoreScope, keys::retention_clock(), "?");
  EXPECT_OK(store->commit(std::move(tx)));
  restart();
  env.advance(30 * kDay);
  EXPECT_FALSE(core->retention_time());
  EXPECT_CODE(core->purge_version(root, "locked", "file", old), Code::kAccessDenied);
  put("file", "3");
  EXPECT_GT(versions("file")[0].retention.until, env.now());
  const auto checked = core->check(false, {});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->problem_count, 1u);
  // Once a repair has dropped it, it begins anew.
  Transaction dropped;
  dropped.erase(keys::retention_clock());
  EXPECT_OK(store->commit(std::move(dropped)));
  restart();
  EXPECT_EQ(time(), env.now());
  expect_sound();
}

TEST_F(Clock, ItsRecordDecodesToWhatWasEncoded) {
  const auto decoded = decode_clock(encode_clock({-5, 7}));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->clock, -5);
  EXPECT_EQ(decoded->wall, 7);
  EXPECT_CODE(decode_clock(""), Code::kCorrupt);
  EXPECT_CODE(decode_clock(encode_clock({1, 2}) + "x"), Code::kCorrupt);
}

}  // namespace
}  // namespace pailfs::test
