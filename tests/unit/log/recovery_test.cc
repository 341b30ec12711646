// What a start makes of a log that was damaged or torn. The storage is damaged byte by byte; a frame claims that what
// was durable before it was durable.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

#include "base/codec.h"
#include "log/format.h"
#include "unit/log/log_fixture.h"

namespace pailfs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Image = MemoryLogStorage::Image;

class LogRecoveryTest : public LogTest {
 protected:
  // Commits 1 to 4, each durable when the next is appended. Then data, frame 5, data, unsynced: three records.
  struct Story {
    std::vector<FrameInfo> frames;
    Position known_durable;  // as the last frame says: the end of frame 4
    Position tail;
    Image image;
  };
  Story tell() {
    Story story;
    const auto log = open();
    for (uint64_t seq = 1; seq <= 4; ++seq) {
      write(*log, fmt::format("data {}", seq));
      story.frames.push_back(commit(*log, seq, std::to_string(seq)));
    }
    story.known_durable = log->durable();
    write(*log, "data of frame 5");
    story.frames.push_back(append(*log, 5, "5"));
    write(*log, "data of no frame");
    story.tail = log->tail();
    story.image = storage_.image();
    return story;
  }
  static void flip(Image& image, Position position) {
    char& byte = image.at(position.segment).at(position.offset);
    byte = static_cast<char>(byte ^ 0x10);
  }
  static std::vector<std::string> first(uint64_t count) {
    std::vector<std::string> out;
    for (uint64_t i = 1; i <= count; ++i) out.push_back(std::to_string(i));
    return out;
  }
  // Starts from the image; what is replayed must be a prefix of at least `at_least` frames, and every later start must
  // agree. Then goes on.
  void expect_prefix(const Image& image, uint64_t at_least, uint64_t at_most, const std::string& what) {
    storage_.restore(image);
    auto log = try_open();
    ASSERT_TRUE(log) << what << ": " << log.error().message;
    const uint64_t count = replayed_.size();
    ASSERT_GE(count, at_least) << what;
    ASSERT_LE(count, at_most) << what;
    ASSERT_EQ(payloads(replayed_), first(count)) << what;
    commit(**log, count + 1, std::to_string(count + 1));
    log->reset();
    log = try_open();
    ASSERT_TRUE(log) << what << ": " << log.error().message;
    ASSERT_EQ(payloads(replayed_), first(count + 1)) << what;
  }
};

TEST_F(LogRecoveryTest, ATailTornAtAnyByteIsCutAtTheLastWholeFrame) {
  const Story story = tell();
  const uint64_t frame_end = story.frames.back().end.offset;
  for (uint64_t at = story.known_durable.offset; at < story.tail.offset; ++at) {
    const uint64_t survives = at < frame_end ? 4 : 5;
    Image truncated = story.image;
    truncated[1].resize(at);
    expect_prefix(truncated, survives, survives, fmt::format("truncated at {}", at));
    Image zeroed = story.image;
    std::fill(zeroed[1].begin() + static_cast<ptrdiff_t>(at), zeroed[1].end(), '\0');
    const bool was_zero = zeroed == story.image;
    // Bytes that were zero anyway may be the whole loss.
    expect_prefix(zeroed, was_zero || at + 1 >= frame_end ? survives : 4, 5, fmt::format("zeroed from {}", at));
    Image flipped = story.image;
    flip(flipped, {1, at});
    expect_prefix(flipped, survives, survives, fmt::format("flipped at {}", at));
    if (HasFatalFailure()) return;
  }
}

TEST_F(LogRecoveryTest, ATornTailIsReported) {
  Story story = tell();
  flip(story.image, {1, story.known_durable.offset + 40});
  storage_.restore(story.image);
  const auto log = open();
  EXPECT_TRUE(log->recovery().torn);
  EXPECT_EQ(log->recovery().cut, story.known_durable);
  EXPECT_EQ(log->recovery().frames, 4U);
  EXPECT_GT(log->recovery().lost_bytes, 100U);
  EXPECT_LE(log->recovery().lost_bytes, story.tail.offset - story.known_durable.offset);
  EXPECT_EQ(storage_.size(1), story.known_durable.offset);
  const auto again = open();
  EXPECT_FALSE(again->recovery().torn);
  EXPECT_EQ(again->recovery().lost_bytes, 0U);
}

TEST_F(LogRecoveryTest, AnUnsyncedSectorInTheMiddleOfTheTailCutsAllBehindIt) {
  Story story;
  Position hole;
  {
    const auto log = open();
    commit(*log, 1, "1");
    story.known_durable = log->durable();
    append(*log, 2, "2");
    hole = write(*log, std::string(3000, 'h'));
    for (uint64_t seq = 3; seq <= 8; ++seq) append(*log, seq, std::to_string(seq));
    story.image = storage_.image();
  }
  for (const uint64_t inside : {0U, 500U, 2999U}) {
    Image image = story.image;
    image[1][hole.offset + inside] = 0;
    expect_prefix(image, 2, 2, "payload");
  }
  for (uint64_t i = 1; i <= kRecordHeaderSize; ++i) {
    Image image = story.image;
    flip(image, {1, hole.offset - i});
    expect_prefix(image, 2, 2, "header");
  }
}

TEST_F(LogRecoveryTest, DamageBeforeADurablePositionIsCorruption) {
  const Story story = tell();
  uint64_t found = 0;
  for (uint64_t at = kSegmentHeaderSize; at < story.known_durable.offset; ++at) {
    Image image = story.image;
    flip(image, {1, at});
    storage_.restore(image);
    const auto log = try_open();
    if (log) {
      // Payloads of data records are verified by whoever reads them.
      ASSERT_EQ(payloads(replayed_), first(5)) << at;
      ASSERT_FALSE((*log)->verify_segment(1)) << at;
      continue;
    }
    ++found;
    ASSERT_EQ(log.error().code, Code::kCorrupt) << at;
    ASSERT_THAT(log.error().message, HasSubstr("0000000000000001.seg"));
    ASSERT_THAT(log.error().message, HasSubstr("pail check"));
    ASSERT_TRUE(replayed_.empty()) << at;
    ASSERT_EQ(storage_.image(), image) << at;
  }
  EXPECT_EQ(found, story.known_durable.offset - kSegmentHeaderSize - 4 * std::string("data 1").size());
}

TEST_F(LogRecoveryTest, TruncationBeforeADurablePositionIsCorruptionWhereALaterSegmentTells) {
  Story story = tell();
  storage_.restore(story.image);
  open();
  const Image image = storage_.image();
  for (uint64_t at = kSegmentHeaderSize; at < story.frames[4].end.offset; ++at) {
    Image cut = image;
    cut[1].resize(at);
    storage_.restore(cut);
    const auto log = try_open();
    ASSERT_FALSE(log) << at;
    ASSERT_EQ(log.error().code, Code::kCorrupt);
  }
}

TEST_F(LogRecoveryTest, ACutIsHonouredForEver) {
  Story story;
  Position damaged;
  {
    const auto log = open();
    for (uint64_t seq = 1; seq <= 3; ++seq) commit(*log, seq, std::to_string(seq));
    damaged = write(*log, "data of frame 4");
    append(*log, 4, "4 of the old tail");
    append(*log, 5, "5 of the old tail");
    story.image = storage_.image();
  }
  Image torn = story.image;
  flip(torn, damaged);
  storage_.restore(torn);
  {
    const auto log = open();
    EXPECT_EQ(payloads(replayed_), first(3));
    commit(*log, 4, "4");
  }
  // The sector that was unreadable comes back, and with it a tail that verifies.
  for (uint64_t seq = 5; seq <= 8; ++seq) {
    Image image = storage_.image();
    image[1] = story.image[1];
    storage_.restore(image);
    const auto log = open();
    EXPECT_EQ(payloads(replayed_), first(seq - 1));
    commit(*log, seq, std::to_string(seq));
  }
}

TEST_F(LogRecoveryTest, SegmentsOfAnAbandonedTailAreIgnoredAndRemoved) {
  Position damaged;
  {
    const auto log = open();
    commit(*log, 1, "1");
    damaged = write(*log, "data");
    for (int i = 0; i < 8; ++i) write(*log, std::string(30000, 'x'));
    append(*log, 2, "2 of the old tail");
    ASSERT_GE(log->tail().segment, 4U);
  }
  Image image = storage_.image();
  flip(image, damaged);
  storage_.restore(image);
  EXPECT_EQ(open()->segments()->size(), 2U);
  EXPECT_EQ(payloads(replayed_), first(1));
  // Removing did not reach the medium.
  Image after = storage_.image();
  for (const auto& [id, bytes] : image) after.emplace(id, bytes);
  storage_.restore(after);
  commit(*open(), 2, "2");
  EXPECT_EQ(payloads(replayed_), first(1));
  EXPECT_EQ(open()->segments()->size(), 3U);
  EXPECT_EQ(payloads(replayed_), first(2));
}

// --- Segment headers.

TEST_F(LogRecoveryTest, ASegmentThatWasBeingCreatedIsAbandoned) {
  commit(*open(), 1, "1");
  const Image before = storage_.image();
  open();
  const Image after = storage_.image();
  for (uint64_t size = 0; size < kSegmentHeaderSize; size += 5) {
    Image image = before;
    image[2] = after.at(2).substr(0, size) + std::string(size % 2 == 0 ? 0 : 9000, '\0');
    storage_.restore(image);
    commit(*open(), 2, "2");
    EXPECT_EQ(payloads(replayed_), first(1));
    EXPECT_EQ(open()->segments()->size(), 3U);
    EXPECT_EQ(payloads(replayed_), first(2));
  }
}

TEST_F(LogRecoveryTest, ALostHeaderOfTheNewestSegmentIsATornTailUnlessAFrameTellsOtherwise) {
  commit(*open(), 1, "1");
  {
    const auto log = open();
    write(*log, "data");
    append(*log, 2, "2");
  }
  Image image = storage_.image();
  flip(image, {2, 50});
  expect_prefix(image, 1, 1, "one frame, never called durable");
  storage_.restore(image);
  flip(image, {2, 50});
  storage_.restore(image);
  {
    const auto log = open();  // makes frame 2 durable, and says so
    EXPECT_EQ(payloads(replayed_), first(2));
  }
  image = storage_.image();
  flip(image, {2, 50});
  storage_.restore(image);
  const auto log = try_open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Code::kCorrupt);
  EXPECT_THAT(log.error().message, HasSubstr("0000000000000002.seg"));
}

TEST_F(LogRecoveryTest, ADurableFrameInTheNewestSegmentMakesItsLostHeaderCorruption) {
  commit(*open(), 1, "1");
  {
    const auto log = open();
    commit(*log, 2, "2");
    commit(*log, 3, "3");
  }
  Image image = storage_.image();
  flip(image, {2, 4095});
  storage_.restore(image);
  const auto log = try_open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Code::kCorrupt);
  EXPECT_EQ(storage_.image(), image);
}

TEST_F(LogRecoveryTest, LostHeadersOfSeveralUnsyncedSegmentsAreATornTail) {
  {
    const auto log = open();
    commit(*log, 1, "1");
    for (uint64_t i = 0; i < 10; ++i) {
      write(*log, std::string(25000, 'x'));
      append(*log, i + 2, std::to_string(i + 2));
    }
    ASSERT_GE(log->tail().segment, 4U);
  }
  const Image whole = storage_.image();
  for (uint64_t id = 2; id <= whole.rbegin()->first; ++id) {
    for (uint64_t also = id; also <= whole.rbegin()->first; ++also) {
      Image image = whole;
      flip(image, {id, 100});
      if (also != id) flip(image, {also, 100});
      storage_.restore(image);
      const auto log = try_open();
      ASSERT_TRUE(log) << id << ": " << log.error().message;
      ASSERT_EQ(payloads(replayed_), first(replayed_.size()));
      ASSERT_GE(replayed_.size(), 1U);
      ASSERT_LT(replayed_.back().info.end.segment, id);
    }
  }
}

TEST_F(LogRecoveryTest, AMissingSegmentIsNamed) {
  FrameInfo old;
  for (uint64_t seq = 1; seq <= 4; ++seq) {
    const FrameInfo frame = commit(*open(), seq, std::to_string(seq));
    if (seq == 2) old = frame;
  }
  const Image whole = storage_.image();
  for (const uint64_t id : {1, 2, 3}) {
    Image image = whole;
    image.erase(id);
    storage_.restore(image);
    const auto log = try_open();
    ASSERT_FALSE(log) << id;
    EXPECT_EQ(log.error().code, Code::kCorrupt);
    EXPECT_THAT(log.error().message, HasSubstr(segment_name(id) + " is missing"));
    EXPECT_EQ(storage_.image(), image);
  }
  Image reclaimed = whole;
  reclaimed.erase(1);
  storage_.restore(reclaimed);
  open(after(old));
  EXPECT_THAT(payloads(replayed_), ElementsAre("3", "4"));
}

TEST_F(LogRecoveryTest, AnIndexThatIsNewerThanTheLogIsRefused) {
  FrameInfo last;
  {
    const auto log = open();
    commit(*log, 1, "1");
    last = append(*log, 2, "2");
  }
  const Image whole = storage_.image();
  const auto expect_refused = [&](const LogStart& start) {
    const Image image = storage_.image();
    const auto log = try_open(start);
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code, Code::kCorrupt);
    EXPECT_THAT(log.error().message, HasSubstr("index"));
    EXPECT_EQ(storage_.image(), image);
  };
  LogStart later_segment = after(last);
  later_segment.position.segment = 9;
  expect_refused(later_segment);
  LogStart later_offset = after(last);
  later_offset.position.offset = options_.segment_size + 1;
  expect_refused(later_offset);
  Image torn = whole;
  flip(torn, last.begin);
  storage_.restore(torn);
  open();
  expect_refused(after(last));  // its segment was cut before
  storage_.restore({});
  expect_refused(after(last));
}

TEST_F(LogRecoveryTest, AFrameThatDoesNotFollowOnTheStartIsCorruption) {
  FrameInfo first_frame;
  {
    const auto log = open();
    first_frame = commit(*log, 1, "1");
    append(*log, 2, "2");
  }
  LogStart start = after(first_frame);
  start.chain[0] = static_cast<char>(start.chain[0] ^ 1);
  EXPECT_EQ(try_open(start).error().code, Code::kCorrupt);
  start = after(first_frame);
  start.last_seq = 2;
  EXPECT_EQ(try_open(start).error().code, Code::kCorrupt);
  EXPECT_TRUE(try_open(after(first_frame)));
}

TEST_F(LogRecoveryTest, AFormatFromTheFutureIsRefused) {
  commit(*open(), 1, "1");
  Image image = storage_.image();
  for (const size_t field : {8, 12}) {  // format, flags
    std::string header = image[1].substr(0, kSegmentHeaderSize - kDigestSize);
    header[field] = static_cast<char>(header[field] + 1);
    const Digest mac = hmac_sha256(LogKeys(key_, kUuid).header_key.view(), header);
    header.append(view(mac));
    storage_.restore({{1, header + image[1].substr(kSegmentHeaderSize)}});
    EXPECT_EQ(try_open().error().code, Code::kTooNew);
  }
}

TEST_F(LogRecoveryTest, RecordsThatWereCopiedElsewhereAreNotReplayed) {
  FrameInfo two;
  FrameInfo three;
  {
    const auto log = open();
    commit(*log, 1, "1");
    two = commit(*log, 2, "2");
    three = commit(*log, 3, "3");
  }
  Image image = storage_.image();
  const size_t size = two.end.offset - two.begin.offset;
  ASSERT_EQ(three.end.offset - three.begin.offset, size);
  image[1].replace(three.begin.offset, size, image[1], two.begin.offset, size);  // an old frame over a newer one
  expect_prefix(image, 2, 2, "replaced");
  image[1].replace(three.end.offset, size, image[1], two.begin.offset, size);  // and behind the end
  expect_prefix(image, 2, 2, "appended");
}

TEST_F(LogRecoveryTest, AForgedFrameIsCorruptionAlsoInTheTail) {
  const FrameInfo one = commit(*open(), 1, "1");
  const LogKeys wrong(Secret(std::string(kKeySize, 'w')), kUuid);
  FrameClear clear{
      .previous_chain = one.chain, .data_digest = sha256(""), .durable = {}, .first_seq = 2, .last_seq = 2};
  const SealedFrame forged = seal_frame(*wrong.frame_cipher(Salt{}), one.end, clear, "forged");
  Image image = storage_.image();
  image[1].replace(one.end.offset, forged.record.size(), forged.record);
  storage_.restore(image);
  const auto log = try_open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Code::kCorrupt);
  EXPECT_TRUE(replayed_.empty());
}

// --- Read-only starts.

TEST_F(LogRecoveryTest, AReadOnlyStartServesUpToTheDamageWhenAsked) {
  Story story = tell();
  flip(story.image, {1, story.frames[2].begin.offset + 50});
  storage_.restore(story.image);
  EXPECT_EQ(try_open_read_only(false).error().code, Code::kCorrupt);
  const auto log = try_open_read_only(true);
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(payloads(replayed_), first(2));
  EXPECT_TRUE((*log)->recovery().torn);
  EXPECT_EQ((*log)->recovery().cut, story.frames[1].end);
  EXPECT_EQ(read(**log, story.frames[3].begin, 1), "F");
  EXPECT_EQ(storage_.image(), story.image);
}

TEST_F(LogRecoveryTest, AReadOnlyStartServesAlsoWhenSegmentsAreMissing) {
  for (uint64_t seq = 1; seq <= 4; ++seq) commit(*open(), seq, std::to_string(seq));
  Image image = storage_.image();
  image.erase(3);
  storage_.restore(image);
  ASSERT_TRUE(try_open_read_only(true));
  EXPECT_EQ(payloads(replayed_), first(2));
  LogStart lost;
  lost.position = {3, 5000};
  EXPECT_EQ(try_open_read_only(false, lost).error().code, Code::kCorrupt);
  ASSERT_TRUE(try_open_read_only(true, lost));
  EXPECT_TRUE(replayed_.empty());
}

TEST_F(LogRecoveryTest, AFailingSinkFailsTheStart) {
  commit(*open(), 1, "1");
  const Image before = storage_.image();
  const auto log = Log::open(storage_, env_, key_, kUuid, options_, {},
                             [](const FrameInfo&, std::string_view) { return Status(fail(Code::kNoMemory, "sink")); });
  EXPECT_EQ(log.error().code, Code::kNoMemory);
  EXPECT_EQ(storage_.image(), before);
}

// Row E1 of a store's life: any byte of any segment.
TEST_F(LogRecoveryTest, AnyFlippedByteLeadsToAPrefixOrARefusal) {
  options_.segment_size = 6000;
  options_.reserve_step = 1024;
  {
    const auto log = open();
    for (uint64_t seq = 1; seq <= 6; ++seq) {
      write(*log, std::string(700, 'd'));
      commit(*log, seq, std::to_string(seq));
    }
  }
  open();
  const Image whole = storage_.image();
  ASSERT_GE(whole.size(), 4U);
  for (const auto& [id, bytes] : whole) {
    for (uint64_t at = 0; at < bytes.size(); at += at < kSegmentHeaderSize ? 7 : 1) {
      Image image = whole;
      flip(image, {id, at});
      storage_.restore(image);
      const auto log = try_open();
      if (log) {
        ASSERT_EQ(payloads(replayed_), first(6)) << id << " " << at;
      } else {
        ASSERT_TRUE(log.error().code == Code::kCorrupt) << log.error().message;
        ASSERT_TRUE(replayed_.empty());
      }
    }
  }
}

}  // namespace
}  // namespace pailfs::test
