// Media that are full, and media that fail.
#include <gmock/gmock.h>

#include <atomic>

#include "log/format.h"
#include "unit/log/hooked_storage.h"
#include "unit/log/log_fixture.h"

namespace pailfs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Call = HookedStorage::Call;

class LogFailureTest : public LogTest {
 protected:
  std::unique_ptr<Log> open_hooked() {
    auto log = try_open(hooked_);
    EXPECT_TRUE(log) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }
  // Fails the next `count` writes of records with `code`.
  void fail_writes(int count, Code code = Code::kNoSpace) {
    auto left = std::make_shared<std::atomic<int>>(count);
    hooked_.set([left, code](Call call, uint64_t, uint64_t offset) {
      if (call != Call::kWrite || offset == 0 || left->fetch_sub(1) <= 0) return Status{};
      return Status(fail(code, "told to"));
    });
  }
  void fail_calls(Call which, Code code) {
    hooked_.set([which, code](Call call, uint64_t, uint64_t) {
      return call == which ? Status(fail(code, "told to")) : Status{};
    });
  }
  void expect_replay(const std::vector<std::string>& expected) {
    auto log = try_open();
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(payloads(replayed_), expected);
    const auto ids = (*log)->segments().value();
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Status verified = (*log)->verify_segment(ids[i]);
      EXPECT_TRUE(verified) << verified.error().message;
    }
  }
  SegmentHeader header_of(uint64_t id) {
    const auto image = storage_.image();
    return decode_segment_header(image.at(id).substr(0, kSegmentHeaderSize), id, LogKeys(key_, kUuid)).value();
  }

  HookedStorage hooked_{storage_};
};

TEST_F(LogFailureTest, AFullMediumRefusesReservationsAndNothingElse) {
  const auto log = open();
  commit(*log, 1, "1");
  storage_.set_capacity(100000);
  int written = 0;
  for (; written < 100; ++written) {
    const auto reservation = log->reserve(5000);
    if (!reservation) {
      EXPECT_EQ(reservation.error().code, Code::kNoSpace);
      break;
    }
  }
  EXPECT_GT(written, 12);
  EXPECT_LT(written, 20);
  EXPECT_FALSE(log->read_only());
  EXPECT_EQ(log->append_frame(2, 2, std::string(50000, 'f')).error().code, Code::kNoSpace);
  storage_.set_capacity(MemoryLogStorage::kUnlimited);
  commit(*log, 2, "2");
  write(*log, std::string(50000, 'x'));
  commit(*log, 3, "3");
  expect_replay({"1", "2", "3"});
}

TEST_F(LogFailureTest, WhenAStepOfRoomIsNotThereExactlyWhatIsNeededWillDo) {
  const auto log = open();
  commit(*log, 1, "1");
  write(*log, std::string(options_.reserve_step - (log->tail().offset % options_.reserve_step) - 100, 'x'));
  storage_.set_capacity(storage_.size(1).value() + 1100);
  write(*log, std::string(900, 'y'));
  EXPECT_EQ(log->reserve(900).error().code, Code::kNoSpace);
  commit(*log, 2, "2");  // a small frame still goes in
  storage_.set_capacity(MemoryLogStorage::kUnlimited);
  expect_replay({"1", "2"});
}

TEST_F(LogFailureTest, ASegmentThatCannotBeginLeavesTheOldOneInUse) {
  options_.segment_size = 16 << 10;
  const auto log = open();
  write(*log, std::string(6000, 'x'));
  storage_.set_capacity(20000);
  EXPECT_EQ(log->reserve(8000).error().code, Code::kNoSpace);
  EXPECT_EQ(log->segments(), std::vector<uint64_t>{1});
  const Position small = write(*log, "fits");
  EXPECT_EQ(small.segment, 1U);
  storage_.set_capacity(MemoryLogStorage::kUnlimited);
  EXPECT_GT(write(*log, std::string(8000, 'y')).segment, 1U);
  commit(*log, 1, "1");
  expect_replay({"1"});
}

TEST_F(LogFailureTest, ASegmentThatCouldNotBeRemovedAgainIsIgnored) {
  options_.segment_size = 16 << 10;
  const auto log = open_hooked();
  write(*log, std::string(6000, 'x'));
  hooked_.set([](Call call, uint64_t segment, uint64_t offset) {
    const bool fails = segment == 2 && ((call == Call::kWrite && offset == 0) || call == Call::kRemove);
    return fails ? Status(fail(Code::kNoSpace, "told to")) : Status{};
  });
  EXPECT_EQ(log->reserve(8000).error().code, Code::kNoSpace);
  EXPECT_EQ(write(*log, "fits").segment, 1U);
  EXPECT_EQ(write(*log, std::string(8000, 'y')).segment, 3U);
  commit(*log, 1, "1");
  EXPECT_EQ(log->segments(), (std::vector<uint64_t>{1, 2, 3}));
  expect_replay({"1"});
  EXPECT_EQ(storage_.list(), (std::vector<uint64_t>{1, 3, 4}));  // 4: the start that expect_replay() made
}

TEST_F(LogFailureTest, AStartOnAFullMediumChangesNothing) {
  commit(*open(), 1, "1");
  storage_.set_capacity(0);
  const auto before = storage_.image();
  EXPECT_EQ(try_open().error().code, Code::kNoSpace);
  EXPECT_EQ(storage_.image(), before);
  storage_.set_capacity(before.at(1).size() + kSegmentHeaderSize);  // a block is enough
  commit(*open(), 2, "2");
}

// --- Media that cannot reserve.

TEST_F(LogFailureTest, ARecordThatFoundNoRoomBecomesAGap) {
  Position before;
  Position behind;
  {
    const auto log = open_hooked();
    before = write(*log, "before");
    auto fails = log->reserve(1000);
    auto in_flight = log->reserve(6);
    behind = in_flight->payload();
    fail_writes(1);
    EXPECT_EQ(write(*log, std::move(*fails), std::string(1000, 'x')).error().code, Code::kNoSpace);
    EXPECT_FALSE(log->read_only());
    ASSERT_TRUE(write(*log, std::move(*in_flight), "behind"));
    EXPECT_EQ(write(*log, "next").segment, 2U);
    commit(*log, 1, "1");
    commit(*log, 2, "2");
  }
  const SegmentHeader header = header_of(2);
  ASSERT_EQ(header.gaps.size(), 1U);
  EXPECT_EQ(header.gaps[0].segment, 1U);
  EXPECT_EQ(header.gaps[0].offset, before.offset + 6);
  EXPECT_EQ(header.gaps[0].length, 1000 + kRecordHeaderSize);
  expect_replay({"1", "2"});
  const auto log = open();
  EXPECT_EQ(read(*log, behind, 6), "behind");
  std::string types;
  ASSERT_TRUE(log->walk(1, [&](const Log::RecordView& record) {
    types += record.type;
    return true;
  }));
  EXPECT_EQ(types, "DD");
}

TEST_F(LogFailureTest, NoFrameStandsBehindAGapOfItsSegment) {
  const auto log = open_hooked();
  commit(*log, 1, "1");
  auto fails = log->reserve(1000);
  fail_writes(1);
  EXPECT_FALSE(write(*log, std::move(*fails), std::string(1000, 'x')));
  EXPECT_EQ(commit(*log, 2, "2").begin.segment, 2U);
  // A start that finds the gap at its cut must not trip over it.
  expect_replay({"1", "2"});
  expect_replay({"1", "2"});
}

TEST_F(LogFailureTest, AGapBeforeTheNextHeaderIsWrittenIsATornTail) {
  MemoryLogStorage::Image image;
  {
    const auto log = open_hooked();
    commit(*log, 1, "1");
    auto fails = log->reserve(1000);
    auto in_flight = log->reserve(6);
    fail_writes(1);
    EXPECT_FALSE(write(*log, std::move(*fails), std::string(1000, 'x')));
    ASSERT_TRUE(write(*log, std::move(*in_flight), "behind"));
    image = storage_.image();
  }
  storage_.restore(image);
  expect_replay({"1"});
}

TEST_F(LogFailureTest, AWriteThatFailsAfterItsSegmentWasRolledAwayIsListedOneHeaderLater) {
  {
    const auto log = open_hooked();
    auto late = log->reserve(1000);
    for (int i = 0; i < 5; ++i) write(*log, std::string(15000, 'x'));
    EXPECT_EQ(log->tail().segment, 2U);
    fail_writes(1);
    EXPECT_FALSE(write(*log, std::move(*late), std::string(1000, 'x')));
    EXPECT_EQ(commit(*log, 1, "1").begin.segment, 3U);
  }
  ASSERT_EQ(header_of(3).gaps.size(), 1U);
  EXPECT_EQ(header_of(3).gaps[0].segment, 1U);
  expect_replay({"1"});
}

TEST_F(LogFailureTest, AFrameThatFoundNoRoomCanBeTriedAgain) {
  const auto log = open_hooked();
  commit(*log, 1, "1");
  write(*log, "data of frame 2");
  fail_writes(1);
  EXPECT_EQ(log->append_frame(2, 2, "lost").error().code, Code::kNoSpace);
  EXPECT_FALSE(log->read_only());
  write(*log, "more data of frame 2");
  commit(*log, 2, "2");
  commit(*log, 3, "3");
  expect_replay({"1", "2", "3"});
}

TEST_F(LogFailureTest, AnAbandonedReservationThatFindsNoRoomBecomesAGap) {
  const auto log = open_hooked();
  fail_writes(1, Code::kQuota);
  {
    const auto abandoned = log->reserve(1000);
  }
  commit(*log, 1, "1");
  EXPECT_FALSE(log->read_only());
  ASSERT_EQ(header_of(2).gaps.size(), 1U);
  expect_replay({"1"});
}

TEST_F(LogFailureTest, NeighbouringGapsAreListedAsOne) {
  const auto log = open_hooked();
  std::vector<Log::Reservation> reservations;
  for (int i = 0; i < 500; ++i) reservations.push_back(std::move(*log->reserve(10)));
  fail_writes(500);
  for (auto& reservation : reservations) EXPECT_FALSE(write(*log, std::move(reservation), std::string(10, 'x')));
  commit(*log, 1, "1");
  EXPECT_EQ(header_of(2).gaps.size(), 1U);
  expect_replay({"1"});
}

TEST_F(LogFailureTest, MoreGapsThanAHeaderHoldsMakeTheLogReadOnly) {
  const auto log = open_hooked();
  commit(*log, 1, "1");
  std::vector<Log::Reservation> reservations;
  for (size_t i = 0; i < 2 * kMaxGaps + 2; ++i) reservations.push_back(std::move(*log->reserve(10)));
  for (size_t i = 0; i < reservations.size(); ++i) {
    fail_writes(i % 2 == 0 ? 1 : 0);
    EXPECT_EQ(write(*log, std::move(reservations[i]), std::string(10, 'x')).has_value(), i % 2 == 1);
  }
  EXPECT_EQ(log->append_frame(2, 2, "2").error().code, Code::kReadOnly);
  EXPECT_TRUE(log->read_only());
  expect_replay({"1"});
}

TEST_F(LogFailureTest, AMediumThatCannotReserveFillsUpAndRecovers) {
  storage_.set_can_reserve(false);
  storage_.set_capacity(30000);
  std::vector<std::string> expected;
  {
    const auto log = open();
    uint64_t seq = 0;
    const auto try_commit = [&] {
      const auto frame = log->append_frame(seq + 1, seq + 1, std::to_string(seq + 1));
      if (!frame) return frame.error().code;
      EXPECT_TRUE(log->sync());
      expected.push_back(std::to_string(++seq));
      return Code::kExists;
    };
    int full = 0;
    for (int i = 0; i < 100 && full < 4; ++i) {
      auto reservation = log->reserve(3000);
      if (reservation && write(*log, std::move(*reservation), std::string(3000, 'x'))) {
        try_commit();
        continue;
      }
      ++full;
      EXPECT_EQ(try_commit(), Code::kNoSpace);
      storage_.set_capacity(30000 + 20000 * static_cast<uint64_t>(full));
    }
    EXPECT_EQ(full, 4);
    EXPECT_FALSE(log->read_only());
  }
  EXPECT_GT(expected.size(), 12U);
  storage_.set_capacity(MemoryLogStorage::kUnlimited);
  expect_replay(expected);
}

// --- Media that fail.

TEST_F(LogFailureTest, AFailedWriteMakesTheLogReadOnlyForGood) {
  const auto log = open_hooked();
  commit(*log, 1, "1");
  auto other = log->reserve(10);
  auto failing = log->reserve(10);
  fail_writes(1, Code::kIo);
  EXPECT_EQ(write(*log, std::move(*failing), std::string(10, 'x')).error().code, Code::kIo);
  hooked_.set({});
  EXPECT_TRUE(log->read_only());
  EXPECT_THAT(log->read_only_reason(), HasSubstr("told to"));
  EXPECT_EQ(log->reserve(1).error().code, Code::kReadOnly);
  EXPECT_EQ(log->append_frame(2, 2, "2").error().code, Code::kReadOnly);
  EXPECT_EQ(log->sync().error().code, Code::kReadOnly);
  EXPECT_TRUE(log->close());
  expect_replay({"1"});
}

TEST_F(LogFailureTest, AFailedSyncIsFinal) {
  const auto log = open_hooked();
  const FrameInfo first = commit(*log, 1, "1");
  append(*log, 2, "2");
  int syncs = 0;
  hooked_.set([&](Call call, uint64_t, uint64_t) {
    return call == Call::kSync && ++syncs == 1 ? Status(fail(Code::kIo, "told to")) : Status{};
  });
  EXPECT_EQ(log->sync().error().code, Code::kIo);
  EXPECT_EQ(log->sync().error().code, Code::kReadOnly);
  EXPECT_EQ(syncs, 1);
  EXPECT_EQ(log->durable(), first.end);
  EXPECT_EQ(log->append_frame(3, 3, "3").error().code, Code::kReadOnly);
}

TEST_F(LogFailureTest, ASyncThatRunsOutOfSpaceIsAsFinal) {
  const auto log = open_hooked();
  append(*log, 1, "1");
  fail_calls(Call::kSync, Code::kNoSpace);
  EXPECT_EQ(log->sync().error().code, Code::kNoSpace);
  EXPECT_TRUE(log->read_only());
}

TEST_F(LogFailureTest, FailuresOfTheMediumWhileASegmentBeginsAreFinal) {
  for (const Call call : {Call::kCreate, Call::kReserve}) {
    hooked_.set({});
    const auto log = open_hooked();
    write(*log, "x");
    fail_calls(call, Code::kIo);
    EXPECT_EQ(log->reserve(100000).error().code, Code::kIo);
    EXPECT_TRUE(log->read_only());
  }
}

TEST_F(LogFailureTest, ASealThatFailsCostsOnlyRoom) {
  const auto log = open_hooked();
  fail_calls(Call::kSeal, Code::kIo);
  for (int i = 0; i < 5; ++i) write(*log, std::string(20000, 'x'));
  commit(*log, 1, "1");
  EXPECT_FALSE(log->read_only());
  EXPECT_EQ(storage_.size(1), options_.segment_size);
  expect_replay({"1"});
}

TEST_F(LogFailureTest, SegmentsThatWereRolledAwayAreSyncedFirst) {
  std::vector<std::pair<Call, uint64_t>> calls;
  const auto log = open_hooked();
  hooked_.set([&](Call call, uint64_t segment, uint64_t) {
    if (call == Call::kSync || call == Call::kSeal) calls.emplace_back(call, segment);
    return Status{};
  });
  for (int i = 0; i < 8; ++i) write(*log, std::string(20000, 'x'));
  append(*log, 1, "1");
  ASSERT_TRUE(log->sync());
  EXPECT_THAT(calls, ElementsAre(std::pair(Call::kSync, 1), std::pair(Call::kSync, 2), std::pair(Call::kSync, 3),
                                 std::pair(Call::kSeal, 1), std::pair(Call::kSeal, 2)));
  calls.clear();
  append(*log, 2, "2");
  ASSERT_TRUE(log->sync());
  EXPECT_THAT(calls, ElementsAre(std::pair(Call::kSync, 3)));
  calls.clear();
  ASSERT_TRUE(log->sync());
  EXPECT_THAT(calls, ElementsAre());
}

}  // namespace
}  // namespace pailfs::test
