// A clock that was in the future for a while, and what that leaves of moments afterwards.
#include "content_fixture.h"

namespace pailfs::test {
namespace {

constexpr Time kSecond = 1'000'000'000;
constexpr Time kYear = 365 * 86400 * kSecond;

class ClockTest : public testing::Test {
 protected:
  ClockTest() {
    f.put("file", "first");
    now = f.env.now();
    f.env.set_now(now + 10 * kYear);
    f.put("file", "second");
    f.env.set_now(now + 60 * kSecond);
    f.restart();
    f.put("file", "third");
  }
  Result<RewindResult> rewind(Time to, bool dry_run = false) {
    RewindOptions options;
    options.to = to;
    options.dry_run = dry_run;
    return f.core->rewind(f.root, "bucket", "", options, nullptr);
  }
  ContentFixture f;
  Time now = 0;
};

TEST_F(ClockTest, ItIsToldUntilWhenTheStoresTimesAreAhead) {
  const auto until = f.core->times_ahead();
  ASSERT_TRUE(until);
  EXPECT_GE(*until, now + 10 * kYear);
  EXPECT_LT(*until, now + 10 * kYear + 60 * kSecond);
  EXPECT_EQ(f.core->latest_time(), *until);
  f.env.set_now(*until);
  EXPECT_FALSE(f.core->times_ahead());
}

TEST_F(ClockTest, AStartAfterACrashIsNotCalledAhead) {
  ContentFixture other;
  other.put("file", "content");
  other.restart();
  EXPECT_FALSE(other.core->times_ahead());
}

TEST_F(ClockTest, WhatIsDeletedComesBack) {
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  const auto before = f.core->before_removal(f.root, "bucket", "file");
  ASSERT_TRUE(before);
  RewindOptions options;
  options.to = *before;
  options.remove_newer = false;
  EXPECT_OK(f.core->rewind(f.root, "bucket", "file", options, nullptr));
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "third");
}

TEST_F(ClockTest, EveryStateIsThereUnderItsTime) {
  EXPECT_EQ(rewind(*f.core->times_ahead() + kYear, true).error().code, Code::kInvalid);
  EXPECT_OK(rewind(now + 10 * kYear + kSecond));
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "second");
  EXPECT_OK(rewind(now + kSecond));
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "first");
}

// Whatever the stamp says that it got.
TEST_F(ClockTest, ASealIsFinalAfterAMinute) {
  const ContentFixture::OpenFile file = f.create("log");
  f.write(file, 0, "one");
  EXPECT_OK(f.core->flush(file.ino, file.handle));
  f.env.advance(61 * kSecond);
  f.write(file, 3, "two");
  f.close(file);
  EXPECT_EQ(f.versions("log").size(), 2u);
}

}  // namespace
}  // namespace pailfs::test
