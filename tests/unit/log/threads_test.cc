// Many writers, one committer. Worth most under ThreadSanitizer.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "unit/log/hooked_storage.h"
#include "unit/log/log_fixture.h"

namespace pailfs::test {
namespace {

using Call = HookedStorage::Call;

struct Written {
  Position position;
  std::string payload;
};

class LogThreadsTest : public LogTest {
 protected:
  static constexpr int kWriters = 4;

  // Writes records of all sizes, abandons some, reads some back.
  void write_many(Log& log, int writer, int count) {
    std::mt19937 random(static_cast<unsigned>(writer));
    for (int i = 0; i < count; ++i) {
      const size_t length = 1 + random() % (random() % 8 == 0 ? 20000 : 500);
      auto reservation = log.reserve(length);
      if (!reservation) {
        if (reservation.error().code != Code::kNoSpace) ++wrong_;
        continue;
      }
      if (random() % 16 == 0) continue;
      const Position position = reservation->payload();
      const std::string payload(length, static_cast<char>('a' + (writer + i) % 26));
      const Status status = LogTest::write(log, std::move(*reservation), payload);
      if (!status) {
        if (status.error().code != Code::kNoSpace) ++wrong_;
        continue;
      }
      std::string back(length, '?');
      if (!log.read(position, back) || back != payload) ++wrong_;
      const std::lock_guard lock(mutex_);
      written_.push_back({position, payload});
    }
  }

  // Runs the writers, and commits until they are done.
  void run(Log& log, int count) {
    std::atomic<int> running = kWriters;
    std::vector<std::thread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([&, w] {
        write_many(log, w, count);
        --running;
      });
    }
    for (bool last = false; !last;) {
      last = running == 0;
      const auto frame = log.append_frame(commits_ + 1, commits_ + 1, std::to_string(commits_ + 1));
      if (!frame) {
        if (frame.error().code != Code::kNoSpace) ++wrong_;
        continue;
      }
      ++commits_;
      if (!log.sync() || log.durable() != frame->end) ++wrong_;
    }
    for (auto& writer : writers) writer.join();
  }

  void expect_everything_is_there() {
    const auto log = open();
    ASSERT_TRUE(log);
    EXPECT_FALSE(log->recovery().torn);
    ASSERT_EQ(replayed_.size(), commits_);
    for (uint64_t i = 0; i < commits_; ++i) EXPECT_EQ(replayed_[i].payload, std::to_string(i + 1));
    for (const Written& record : written_) {
      EXPECT_TRUE(read(*log, record.position, record.payload.size()) == record.payload);
    }
    const auto ids = log->segments().value();
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Status verified = log->verify_segment(ids[i]);
      EXPECT_TRUE(verified) << verified.error().message;
    }
  }

  std::mutex mutex_;
  std::vector<Written> written_;
  uint64_t commits_ = 0;
  std::atomic<int> wrong_ = 0;
};

TEST_F(LogThreadsTest, NothingIsLostAndNothingOverlaps) {
  run(*open(), 500);
  EXPECT_EQ(wrong_, 0);
  expect_everything_is_there();
  std::ranges::sort(written_, {}, &Written::position);
  for (size_t i = 1; i < written_.size(); ++i) {
    const Written& before = written_[i - 1];
    const Position end{before.position.segment, before.position.offset + before.payload.size()};
    EXPECT_LE(end, written_[i].position);
  }
}

TEST_F(LogThreadsTest, WritesThatFindNoRoomAtAnyTimeLoseOnlyThemselves) {
  HookedStorage hooked(storage_);
  std::atomic<unsigned> calls = 0;
  auto log = try_open(hooked);
  ASSERT_TRUE(log);
  hooked.set([&calls](Call call, uint64_t, uint64_t) {
    if (call != Call::kWrite && call != Call::kReserve && call != Call::kCreate) return Status{};
    return calls.fetch_add(1) * 2654435761U % 23 == 0 ? Status(fail(Code::kNoSpace, "told to")) : Status{};
  });
  run(**log, 500);
  EXPECT_FALSE((*log)->read_only());
  EXPECT_EQ(wrong_, 0);
  hooked.set({});
  ++commits_;
  commit(**log, commits_, std::to_string(commits_));
  log->reset();
  expect_everything_is_there();
}

TEST_F(LogThreadsTest, AReservationHoldsUpTheFrameBehindIt) {
  const auto log = open();
  auto held = log->reserve(5);
  std::atomic<bool> appended = false;
  std::thread committer([&] {
    EXPECT_TRUE(log->append_frame(1, 1, "1"));
    appended = true;
  });
  write(*log, "goes on meanwhile");
  EXPECT_FALSE(appended);
  EXPECT_TRUE(LogTest::write(*log, std::move(*held), "hello"));
  committer.join();
  EXPECT_TRUE(log->sync());
  open();
  EXPECT_EQ(replayed_.size(), 1U);
}

// The frame has its place already when a record before it fails.
TEST_F(LogThreadsTest, AFrameThatWaitsBehindAGapMovesToTheNextSegment) {
  for (const bool listed_meanwhile : {false, true}) {
    storage_.restore({});
    HookedStorage hooked(storage_);
    auto log = try_open(hooked);
    ASSERT_TRUE(log);
    auto fails = (*log)->reserve(5);
    auto held = (*log)->reserve(5);
    const Position before = (*log)->tail();
    FrameInfo frame;
    std::thread committer([&] { frame = append(**log, 1, "1"); });
    while ((*log)->tail() == before) std::this_thread::yield();  // until it has its place
    hooked.set([](Call call, uint64_t, uint64_t) {
      return call == Call::kWrite ? Status(fail(Code::kNoSpace, "told to")) : Status{};
    });
    EXPECT_FALSE(LogTest::write(**log, std::move(*fails), "hello"));
    hooked.set({});
    if (listed_meanwhile) {
      EXPECT_EQ(LogTest::write(**log, "begins segment 2").segment, 2U);
    }
    EXPECT_TRUE(LogTest::write(**log, std::move(*held), "hello"));
    committer.join();
    EXPECT_EQ(frame.begin.segment, listed_meanwhile ? 3U : 2U);
    EXPECT_TRUE((*log)->sync());
    log->reset();
    open();
    EXPECT_EQ(replayed_.size(), 1U);
  }
}

TEST_F(LogThreadsTest, AFrameThatIsAppendedDuringASyncIsNotDurableYet) {
  HookedStorage hooked(storage_);
  auto log = try_open(hooked);
  ASSERT_TRUE(log);
  const FrameInfo first = append(**log, 1, "1");
  FrameInfo second;
  hooked.set([&](Call call, uint64_t, uint64_t) {
    if (call == Call::kSync) second = append(**log, 2, "2");
    return Status{};
  });
  ASSERT_TRUE((*log)->sync());
  hooked.set({});
  EXPECT_EQ((*log)->durable(), first.end);
  EXPECT_EQ((*log)->unsynced_bytes(), second.end.offset - second.begin.offset);
  int syncs = 0;
  hooked.set([&](Call call, uint64_t, uint64_t) { return syncs += call == Call::kSync, Status{}; });
  ASSERT_TRUE((*log)->sync());
  EXPECT_EQ(syncs, 1);
  EXPECT_EQ((*log)->durable(), second.end);
}

TEST_F(LogThreadsTest, AFailureWakesWhoeverWaits) {
  HookedStorage hooked(storage_);
  auto log = try_open(hooked);
  ASSERT_TRUE(log);
  auto held = (*log)->reserve(5);
  auto failing = (*log)->reserve(5);
  hooked.set([](Call call, uint64_t, uint64_t) {
    return call == Call::kWrite ? Status(fail(Code::kIo, "told to")) : Status{};
  });
  std::thread committer([&] { EXPECT_EQ((*log)->append_frame(1, 1, "1").error().code, Code::kReadOnly); });
  EXPECT_FALSE(LogTest::write(**log, std::move(*failing), "hello"));
  committer.join();
}

}  // namespace
}  // namespace pailfs::test
