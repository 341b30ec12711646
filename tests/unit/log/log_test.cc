// Appending, reading back, replaying, and what can be done with closed segments.
#include "log/log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "log/format.h"
#include "unit/log/log_fixture.h"

namespace pailfs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(LogTest, ReadsBackWhatWasWrittenBeforeItIsDurable) {
  const auto log = open();
  const Position a = write(*log, "first");
  const Position b = write(*log, std::string(10000, 'b'));
  EXPECT_EQ(a, (Position{1, kSegmentHeaderSize + kRecordHeaderSize}));
  EXPECT_EQ(b.offset, a.offset + 5 + kRecordHeaderSize);
  EXPECT_EQ(read(*log, a, 5), "first");
  EXPECT_EQ(read(*log, b, 10000), std::string(10000, 'b'));
}

TEST_F(LogTest, ReplaysEveryFrameInOrder) {
  std::vector<FrameInfo> frames;
  {
    const auto log = open();
    for (uint64_t seq = 1; seq <= 20; ++seq) {
      write(*log, std::string(100 * seq, 'd'));
      frames.push_back(commit(*log, seq, fmt::format("frame {}", seq)));
    }
  }
  const auto log = open();
  ASSERT_EQ(replayed_.size(), 20U);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(replayed_[i].payload, fmt::format("frame {}", i + 1));
    EXPECT_EQ(replayed_[i].info.begin, frames[i].begin);
    EXPECT_EQ(replayed_[i].info.end, frames[i].end);
    EXPECT_EQ(replayed_[i].info.first_seq, i + 1);
    EXPECT_EQ(replayed_[i].info.last_seq, i + 1);
    EXPECT_EQ(replayed_[i].info.chain, frames[i].chain);
  }
  EXPECT_EQ(log->recovery().frames, 20U);
  EXPECT_FALSE(log->recovery().torn);
  EXPECT_EQ(log->durable(), frames.back().end);
}

TEST_F(LogTest, ReplaysOnlyWhatFollowsTheStart) {
  LogStart start;
  for (uint64_t run = 0; run < 5; ++run) {
    const auto log = open(start);
    EXPECT_EQ(replayed_.size(), run == 0 ? 0U : 2U);
    for (uint64_t i = 1; i <= 3; ++i) {
      const FrameInfo frame = commit(*log, run * 3 + i, std::to_string(run * 3 + i));
      if (i == 1) start = after(frame);
    }
  }
  const auto log = open(start);
  EXPECT_THAT(payloads(replayed_), ElementsAre("14", "15"));
}

TEST_F(LogTest, EveryStartBeginsANewSegmentWithItsOwnSalt) {
  std::vector<Salt> salts;
  for (uint64_t run = 1; run <= 4; ++run) {
    const auto log = open();
    EXPECT_EQ(log->tail(), (Position{run, kSegmentHeaderSize}));
    commit(*log, run, "x");
    auto reservation = log->reserve(10);
    salts.push_back(reservation->salt());
    EXPECT_EQ(log->salt(run), reservation->salt());
  }
  const auto log = open();
  for (uint64_t id = 1; id <= 4; ++id) {
    EXPECT_EQ(log->salt(id), salts[id - 1]);
    for (uint64_t other = 1; other < id; ++other) EXPECT_NE(salts[id - 1], salts[other - 1]);
  }
  EXPECT_EQ(log->salt(99).error().code, Code::kCorrupt);
}

TEST_F(LogTest, StartsWithoutCommitsLeaveNoSegmentsBehind) {
  commit(*open(), 1, "x");
  for (int run = 0; run < 10; ++run) write(*open(), "never committed");
  EXPECT_EQ(open()->segments()->size(), 2U);
  EXPECT_THAT(payloads(replayed_), ElementsAre("x"));
}

TEST_F(LogTest, RollsWhenTheNextRecordWouldPassTheSegmentSize) {
  std::vector<std::pair<Position, std::string>> written;
  const auto check = [&](const Log& log) {
    for (const auto& [position, payload] : written) EXPECT_TRUE(read(log, position, payload.size()) == payload);
  };
  {
    const auto log = open();
    for (uint64_t i = 0; i < 100; ++i) {
      const std::string payload(1 + i * 97 % 5000, static_cast<char>('a' + i % 26));
      const Position position = write(*log, payload);
      EXPECT_LE(position.offset + payload.size(), options_.segment_size);
      written.emplace_back(position, payload);
      if (i % 7 == 0) append(*log, i + 1, std::to_string(i));
      if (i % 21 == 0) {
        EXPECT_TRUE(log->sync());
      }
    }
    commit(*log, 101, "last");
    EXPECT_GE(log->segments()->size(), 4U);
    check(*log);
  }
  const auto log = open();
  EXPECT_EQ(replayed_.size(), 16U);
  check(*log);
}

TEST_F(LogTest, RecordsLargerThanASegmentGetOneOfTheirOwnSize) {
  const std::string payload(1 << 20, 'p');
  Position big;
  {
    const auto log = open();
    write(*log, "small");
    big = write(*log, std::string(1 << 20, 'q'));
    commit(*log, 1, payload);
    commit(*log, 2, "after");
    EXPECT_EQ(log->segments()->size(), 4U);
  }
  const auto log = open();
  EXPECT_THAT(payloads(replayed_), ElementsAre(payload, "after"));
  EXPECT_EQ(read(*log, big, 1 << 20), std::string(1 << 20, 'q'));
}

TEST_F(LogTest, FramesOf64MiBWork) {
  const std::string payload(64 << 20, 'p');
  commit(*open(), 1, payload);
  const auto log = open();
  ASSERT_EQ(replayed_.size(), 1U);
  EXPECT_TRUE(replayed_[0].payload == payload);
}

TEST_F(LogTest, FramesAreSealed) {
  commit(*open(), 1, "a secret that must not be readable");
  for (const auto& [id, bytes] : storage_.image()) EXPECT_EQ(bytes.find("must not be readable"), std::string::npos);
}

TEST_F(LogTest, AnotherKeyOrStoreIsRefused) {
  commit(*open(), 1, "x");
  const Secret other(std::string(kKeySize, 'o'));
  LogStart start;
  start.position = {1, kSegmentHeaderSize};
  EXPECT_EQ(Log::open(storage_, env_, other, kUuid, options_, start, sink()).error().code, Code::kCorrupt);
  EXPECT_EQ(Log::open(storage_, env_, key_, "fedcba9876543210", options_, start, sink()).error().code, Code::kCorrupt);
  EXPECT_EQ(Log::open(storage_, env_, key_, "short", options_, start, sink()).error().code, Code::kInvalid);
  EXPECT_TRUE(replayed_.empty());
}

TEST_F(LogTest, AbandonedReservationsBecomePadding) {
  {
    const auto log = open();
    write(*log, "before");
    {
      const auto abandoned = log->reserve(5000);
    }
    write(*log, "behind");
    auto moved_over = log->reserve(10);
    moved_over = log->reserve(20);
    {
      const auto last = std::move(moved_over);
    }
    commit(*log, 1, "x");
  }
  const auto log = open();
  EXPECT_THAT(payloads(replayed_), ElementsAre("x"));
  std::string types;
  ASSERT_TRUE(log->walk(1, [&](const Log::RecordView& record) {
    types += record.type;
    return true;
  }));
  EXPECT_EQ(types, "DPDPPF");
  EXPECT_TRUE(log->verify_segment(1));
}

TEST_F(LogTest, ARecordOfAnotherLengthThanReservedIsRefusedAndBecomesPadding) {
  const auto log = open();
  auto reservation = log->reserve(10);
  EXPECT_EQ(write(*log, std::move(*reservation), "too long for it").error().code, Code::kInvalid);
  EXPECT_EQ(log->reserve(0).error().code, Code::kInvalid);
  EXPECT_EQ(log->reserve((8 << 20) + 1).error().code, Code::kInvalid);
  commit(*log, 1, "x");
  open();
  EXPECT_THAT(payloads(replayed_), ElementsAre("x"));
}

TEST_F(LogTest, SequenceNumbersOnlyGrow) {
  const auto log = open();
  EXPECT_TRUE(log->append_frame(1, 5, "a"));
  EXPECT_EQ(log->append_frame(5, 6, "b").error().code, Code::kInvalid);
  EXPECT_EQ(log->append_frame(8, 6, "b").error().code, Code::kInvalid);
  EXPECT_TRUE(log->append_frame(6, 5, "no transactions"));
  EXPECT_TRUE(log->append_frame(6, 6, "b"));
}

TEST_F(LogTest, DurableIsTheLastFrameBeforeTheSync) {
  const auto log = open();
  EXPECT_EQ(log->durable(), Position{});
  EXPECT_EQ(log->unsynced_bytes(), 0U);
  const FrameInfo first = append(*log, 1, "a");
  EXPECT_EQ(log->durable(), Position{});
  EXPECT_EQ(log->unsynced_bytes(), first.end.offset - first.begin.offset);
  ASSERT_TRUE(log->sync());
  EXPECT_EQ(log->durable(), first.end);
  write(*log, "data without a frame");
  ASSERT_TRUE(log->sync());
  EXPECT_EQ(log->durable(), first.end);
  EXPECT_EQ(log->unsynced_bytes(), 0U);
}

TEST_F(LogTest, ClosingGivesBackTheRoomAndEndsAppending) {
  const auto log = open();
  const FrameInfo frame = commit(*log, 1, "a");
  EXPECT_GT(storage_.size(1).value(), frame.end.offset);
  ASSERT_TRUE(log->close());
  EXPECT_EQ(storage_.size(1), frame.end.offset);
  EXPECT_EQ(log->reserve(1).error().code, Code::kReadOnly);
  EXPECT_EQ(log->append_frame(2, 2, "b").error().code, Code::kReadOnly);
  EXPECT_TRUE(log->close());
}

TEST_F(LogTest, RolledSegmentsAreSealedOnceSynced) {
  const auto log = open();
  for (int i = 0; i < 5; ++i) write(*log, std::string(20000, 'x'));
  const FrameInfo frame = append(*log, 1, "a");
  ASSERT_GT(frame.begin.segment, 1U);
  EXPECT_EQ(storage_.size(1), options_.segment_size);
  ASSERT_TRUE(log->sync());
  EXPECT_LT(storage_.size(1).value(), options_.segment_size);
}

TEST_F(LogTest, ReadOnlyOpenWritesNothing) {
  {
    const auto log = open();
    commit(*log, 1, "a");
    write(*log, "tail");
  }
  const auto before = storage_.image();
  const auto log = try_open_read_only(false);
  ASSERT_TRUE(log);
  EXPECT_THAT(payloads(replayed_), ElementsAre("a"));
  EXPECT_TRUE((*log)->read_only());
  EXPECT_EQ((*log)->reserve(1).error().code, Code::kReadOnly);
  EXPECT_EQ((*log)->append_frame(2, 2, "b").error().code, Code::kReadOnly);
  EXPECT_EQ((*log)->sync().error().code, Code::kReadOnly);
  EXPECT_EQ((*log)->punch(1, 0, 8192).error().code, Code::kReadOnly);
  EXPECT_EQ((*log)->remove_segment(1).error().code, Code::kReadOnly);
  EXPECT_TRUE((*log)->verify_segment(1));
  EXPECT_TRUE((*log)->close());
  EXPECT_EQ(storage_.image(), before);
}

// --- Closed segments.

TEST_F(LogTest, WalkSeesEveryRecordAndStopsOnRequest) {
  Position data;
  FrameInfo frame;
  {
    const auto log = open();
    data = write(*log, "payload");
    frame = commit(*log, 1, "a");
    EXPECT_EQ(log->walk(1, [](const auto&) { return true; }).error().code, Code::kInvalid);
  }
  const auto log = open();
  std::vector<Log::RecordView> seen;
  ASSERT_TRUE(log->walk(1, [&](const Log::RecordView& record) {
    seen.push_back(record);
    return true;
  }));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].begin.offset + kRecordHeaderSize, data.offset);
  EXPECT_EQ(seen[0].length, 7U);
  EXPECT_EQ(seen[1].begin, frame.begin);
  int calls = 0;
  ASSERT_TRUE(log->walk(1, [&](const auto&) { return ++calls, false; }));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(log->walk(77, [](const auto&) { return true; }).error().code, Code::kCorrupt);
}

TEST_F(LogTest, VerifyFindsEveryFlippedByteOfAClosedSegment) {
  FrameInfo last;
  {
    const auto log = open();
    for (uint64_t seq = 1; seq <= 3; ++seq) {
      write(*log, "data " + std::to_string(seq));
      last = commit(*log, seq, std::to_string(seq));
    }
    ASSERT_TRUE(log->close());
  }
  const auto log = open(after(last));
  ASSERT_TRUE(log->verify_segment(1));
  const auto good = storage_.image();
  for (size_t i = kSegmentHeaderSize; i < good.at(1).size(); ++i) {
    auto image = good;
    image[1][i] = static_cast<char>(image[1][i] ^ 4);
    storage_.restore(image);
    const Status verified = log->verify_segment(1);
    ASSERT_FALSE(verified) << "byte " << i;
    EXPECT_EQ(verified.error().code, Code::kCorrupt);
    EXPECT_THAT(verified.error().message, HasSubstr("0000000000000001.seg"));
  }
}

TEST_F(LogTest, VerifyFollowsTheChainAcrossSegments) {
  {
    const auto log = open();
    for (uint64_t i = 1; i <= 40; ++i) {
      write(*log, std::string(9000, static_cast<char>('a' + i % 26)));
      if (i % 10 == 0) commit(*log, i, std::to_string(i));
    }
  }
  const auto log = open();
  const auto ids = log->segments().value();
  ASSERT_GE(ids.size(), 5U);
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const Status verified = log->verify_segment(ids[i]);
    EXPECT_TRUE(verified) << verified.error().message;
  }
  // Once the segments before are reclaimed, a segment verifies by itself.
  ASSERT_TRUE(log->remove_segment(ids[0]));
  ASSERT_TRUE(log->remove_segment(ids[1]));
  EXPECT_TRUE(log->verify_segment(ids[2]));
  EXPECT_EQ(log->verify_segment(ids[0]).error().code, Code::kCorrupt);
}

TEST_F(LogTest, PunchedPayloadsAreNotDamage) {
  Position data;
  {
    const auto log = open();
    data = write(*log, std::string(20000, 'x'));
    commit(*log, 1, "a");
  }
  const auto log = open();
  ASSERT_TRUE(log->punch(1, data.offset, 20000));
  EXPECT_EQ(read(*log, {1, 8192}, 4096), std::string(4096, '\0'));
  EXPECT_TRUE(log->verify_segment(1));
  ASSERT_TRUE(open());
  EXPECT_THAT(payloads(replayed_), ElementsAre("a"));
}

TEST_F(LogTest, SegmentsThatTheLogNeedsCannotBeRemoved) {
  const FrameInfo frame = commit(*open(), 1, "a");
  const auto log = open();
  EXPECT_EQ(log->remove_segment(2).error().code, Code::kBusy);
  EXPECT_EQ(log->remove_segment(1).error().code, Code::kBusy);
  const FrameInfo next = commit(*log, 2, "b");
  EXPECT_TRUE(log->remove_segment(1));
  EXPECT_EQ(log->salt(1).error().code, Code::kCorrupt);
  std::string out(10, '?');
  EXPECT_EQ(log->read(frame.begin, out).error().code, Code::kCorrupt);
  EXPECT_TRUE(try_open(after(next)));
}

TEST_F(LogTest, ReadingBehindTheEndIsDamageNotZeros) {
  const auto log = open();
  const Position data = write(*log, "abc");
  ASSERT_TRUE(log->close());
  std::string out(4, '?');
  EXPECT_EQ(log->read(data, out).error().code, Code::kCorrupt);
}

TEST_F(LogTest, HeadersNameTheRunThatWroteThem) {
  options_.writer = 7;
  env_.set_now(1234567890);
  commit(*open(), 1, "a");
  commit(*open(), 2, "b");
  const LogKeys keys(key_, kUuid);
  const auto image = storage_.image();
  const auto first = decode_segment_header(image.at(1).substr(0, kSegmentHeaderSize), 1, keys);
  const auto second = decode_segment_header(image.at(2).substr(0, kSegmentHeaderSize), 2, keys);
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(first->kind, SegmentKind::kFirst);
  EXPECT_EQ(first->epoch, 1U);
  EXPECT_EQ(first->writer, 7U);
  EXPECT_EQ(first->created, 1234567890);
  EXPECT_EQ(second->kind, SegmentKind::kCut);
  EXPECT_EQ(second->epoch, 2U);
  EXPECT_EQ(second->previous, 1U);
  EXPECT_EQ(second->previous_end, replayed_.at(0).info.end.offset);
  EXPECT_EQ(second->chain, replayed_.at(0).info.chain);
  EXPECT_EQ(decode_segment_header(image.at(2).substr(0, kSegmentHeaderSize), 1, keys).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace pailfs::test
