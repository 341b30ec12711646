// What recovery makes of segments. An input is a list of steps that write a log, each as a correct writer would, or
// with some of its fields chosen by the input; all of it is sealed with the right keys, so that what stands behind the
// seals is reached. Then bytes are changed at will. Whatever comes of it: nothing is replayed that was not written as a
// frame, a log that is refused is left alone, and one that is opened goes on, with the same frames at the next start.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "fuzz/support/fuzz.h"
#include "io/memory_env.h"
#include "log/format.h"
#include "log/memory_log_storage.h"

namespace pailfs::test {
namespace {

const std::string kUuid = "0123456789abcdef";
Secret log_key() { return Secret(std::string(kKeySize, 'k')); }
constexpr int kMaxSteps = 100;
constexpr uint64_t kMaxSegments = 12;
constexpr uint64_t kMaxSegment = uint64_t{256} << 10;  // bytes

struct Frame {
  Position begin;
  Position end;
  uint64_t last_seq = 0;
  Digest chain{};
  std::string payload;
  bool operator==(const Frame&) const = default;
};

// Writes a log by steps.
class Builder {
 public:
  explicit Builder(Decoder& in) : in_(in), keys_(log_key(), kUuid) {}

  void run() {
    for (int i = 0; i < kMaxSteps && in_.remaining() > 0; ++i) step();
  }
  const MemoryLogStorage::Image& image() const { return image_; }
  // What was sealed as a frame anywhere.
  const std::vector<Frame>& frames() const { return frames_; }
  const LogKeys& keys() const { return keys_; }

 private:
  void step() {
    switch (in_.u8() % 10) {
      case 0:
        return begin_segment(false);
      case 1:
        return begin_segment(true);
      case 2:
      case 3:
        return append_data();
      case 4:
      case 5:
        return append_frame();
      case 6:
        return append_padding();
      case 7:
        return append(in_.bytes());
      case 8:
        return change();
      default:
        return drop();
    }
  }

  // A field of a header: what it should be, or what the input wants.
  uint64_t field(uint8_t mask, int bit, uint64_t right) { return (mask >> bit & 1) != 0 ? in_.varint() : right; }

  void begin_segment(bool cut) {
    if (image_.size() >= kMaxSegments) return;
    const uint8_t mask = in_.u8();
    SegmentHeader header;
    const uint64_t id = next_id_ + (in_.u8() & 3) % 3;
    const bool first = image_.empty();
    const Position previous = cut ? last_frame_end_ : Position{segment_, bytes().size()};
    header.id = id;
    header.writer = 1;
    header.epoch = static_cast<uint32_t>(field(mask, 0, cut ? ++epoch_ : epoch_));
    header.salt.fill(static_cast<char>(id));
    header.kind = first || previous.segment == 0 ? SegmentKind::kFirst : cut ? SegmentKind::kCut : SegmentKind::kRoll;
    header.kind = static_cast<SegmentKind>(field(mask, 1, static_cast<uint8_t>(header.kind)));
    header.previous = field(mask, 2, header.kind == SegmentKind::kFirst ? 0 : previous.segment);
    header.previous_end = field(mask, 3, header.kind == SegmentKind::kFirst ? 0 : previous.offset);
    header.chain = chain_;
    for (uint64_t gaps = field(mask, 4, 0) % 4; gaps > 0; --gaps) {
      header.gaps.push_back({in_.varint(), in_.varint(), in_.varint()});
    }
    image_[id] = encode_segment_header(header, keys_);
    check_header(image_[id], id);
    if (cut) entries_.clear();
    segment_ = id;
    next_id_ = id + 1;
  }

  void check_header(const std::string& bytes, uint64_t id) const {
    const auto decoded = decode_segment_header(bytes, id, keys_);
    if (!decoded) {
      FUZZ_CHECK(decoded.error().code == Code::kCorrupt || decoded.error().code == Code::kTooNew);
      return;
    }
    FUZZ_CHECK(encode_segment_header(*decoded, keys_) == bytes);
  }

  std::string& bytes() { return image_[segment_]; }
  Position here() { return {segment_, bytes().size()}; }
  void append(std::string_view what) {
    if (segment_ == 0 || bytes().size() + what.size() > kMaxSegment) return;
    bytes().append(what);
  }

  // The header's fields may lie about the payload.
  void append_record(char type, std::string_view payload, uint8_t mask) {
    RecordHeader header{.type = type, .length = 0, .digest = {}};
    header.length = static_cast<uint32_t>(field(mask, 0, payload.size()));
    const Digest digest = sha256(payload);
    std::copy_n(digest.begin(), header.digest.size(), header.digest.begin());
    if ((mask & 2) != 0) header.digest[0] = static_cast<char>(header.digest[0] + 1);
    std::string record(kRecordHeaderSize, '\0');
    encode_record_header(header, here(), record);
    if (type != kFrameRecord) append_digest_entry(entries_, here(), record);
    append(record + std::string(payload));
  }

  void append_data() {
    if (segment_ == 0) return;
    const uint8_t mask = in_.u8();
    append_record(kDataRecord, in_.bytes(), mask);
  }
  void append_padding() {
    if (segment_ == 0) return;
    const uint8_t mask = in_.u8();
    append_record(kPaddingRecord, std::string(in_.u8(), '\0'), mask);
  }

  void append_frame() {
    if (segment_ == 0) return;
    const uint8_t mask = in_.u8();
    FrameClear clear;
    clear.previous_chain = chain_;
    clear.data_digest = sha256(entries_);
    if ((mask & 1) != 0) clear.previous_chain[0] = static_cast<char>(clear.previous_chain[0] + 1);
    if ((mask & 2) != 0) clear.data_digest[0] = static_cast<char>(clear.data_digest[0] + 1);
    clear.durable.segment = field(mask, 2, last_frame_end_.segment);
    clear.durable.offset = field(mask, 3, last_frame_end_.offset);
    clear.first_seq = field(mask, 4, last_seq_ + 1);
    clear.last_seq = field(mask, 5, clear.first_seq + in_.u8() % 3);
    const std::string payload(in_.bytes());
    Salt salt{};
    salt.fill(static_cast<char>(segment_));
    const Position begin = here();
    const SealedFrame sealed = seal_frame(*keys_.frame_cipher(salt), begin, clear, payload);
    append(sealed.record);
    entries_.clear();
    chain_ = sealed.chain;
    last_seq_ = clear.last_seq;
    last_frame_end_ = here();
    frames_.push_back({begin, last_frame_end_, last_seq_, chain_, payload});
  }

  // Bytes of any segment written over, also to something longer.
  void change() {
    if (image_.empty()) return;
    std::string& target = any_segment();
    const uint64_t offset = in_.varint() % (target.size() + 1);
    const std::string_view with = in_.bytes().substr(0, 4096);
    target.resize(std::max<size_t>(target.size(), offset + with.size()));
    target.replace(offset, with.size(), with);
  }

  void drop() {
    if (image_.empty()) return;
    const uint8_t what = in_.u8();
    if (what % 4 == 0) {
      auto at = image_.begin();
      std::advance(at, in_.u8() % image_.size());
      if (at->first != segment_) image_.erase(at);
    } else {
      std::string& target = any_segment();
      target.resize(in_.varint() % (target.size() + 1));
    }
  }

  std::string& any_segment() {
    auto at = image_.begin();
    std::advance(at, in_.u8() % image_.size());
    return at->second;
  }

  Decoder& in_;
  const LogKeys keys_;
  MemoryLogStorage::Image image_;
  uint64_t segment_ = 0;
  uint64_t next_id_ = 1;
  uint32_t epoch_ = 1;
  std::string entries_;
  Digest chain_{};
  uint64_t last_seq_ = 0;
  Position last_frame_end_;
  std::vector<Frame> frames_;
};

class Check {
 public:
  Check(const Builder& built, const LogStart& start) : built_(built), start_(start) {
    options_.segment_size = 16 << 10;
    options_.reserve_step = 4 << 10;
    options_.writeback_step = 4 << 10;
  }

  void run() {
    std::vector<Frame> lenient, strict, replayed, again;
    const auto examined = open_read_only(true, lenient);
    const auto shown = open_read_only(false, strict);
    FUZZ_CHECK(!shown || (examined && lenient == strict));
    expect_written(lenient);
    MemoryLogStorage storage;
    storage.restore(built_.image());
    auto log = open(storage, replayed);
    FUZZ_CHECK(log.has_value() == shown.has_value(), log ? "" : log.error().message);
    if (!log) {
      FUZZ_CHECK(log.error().code == Code::kCorrupt || log.error().code == Code::kTooNew, log.error().message);
      FUZZ_CHECK(storage.image() == built_.image());
      return;
    }
    FUZZ_CHECK(replayed == strict);
    look_through(**log);
    const Frame added = go_on(**log, replayed.empty() ? start_.last_seq : replayed.back().last_seq);
    log->reset();
    log = open(storage, again);
    FUZZ_CHECK(log, log ? "" : log.error().message);
    replayed.push_back(added);
    FUZZ_CHECK(again == replayed);
  }

 private:
  static Log::FrameSink into(std::vector<Frame>& frames) {
    return [&frames](const FrameInfo& info, std::string_view payload) {
      frames.push_back({info.begin, info.end, info.last_seq, info.chain, std::string(payload)});
      return Status{};
    };
  }
  Result<std::unique_ptr<Log>> open(MemoryLogStorage& storage, std::vector<Frame>& frames) {
    return Log::open(storage, env_, log_key(), kUuid, options_, start_, into(frames));
  }
  Status open_read_only(bool stop_at_damage, std::vector<Frame>& frames) {
    MemoryLogStorage storage;
    storage.restore(built_.image());
    auto log = Log::open_read_only(storage, env_, log_key(), kUuid, options_, start_, into(frames), stop_at_damage);
    FUZZ_CHECK(storage.image() == built_.image());
    if (!log) return std::unexpected(log.error());
    look_through(**log);
    return {};
  }

  // In the order in which they were written, each with what was written.
  void expect_written(const std::vector<Frame>& frames) const {
    for (size_t i = 0; i < frames.size(); ++i) {
      FUZZ_CHECK(std::ranges::find(built_.frames(), frames[i]) != built_.frames().end());
      FUZZ_CHECK(i == 0 || frames[i - 1].end <= frames[i].begin);
    }
  }

  static void look_through(const Log& log) {
    const auto segments = log.segments();
    FUZZ_CHECK(segments);
    for (const uint64_t id : *segments) {
      size_t records = 0;
      (void)log.walk(id, [&](const Log::RecordView&) { return ++records < 10000; });
      (void)log.verify_segment(id);
      (void)log.salt(id);
    }
  }

  Frame go_on(Log& log, uint64_t last_seq) {
    auto reservation = log.reserve(5);
    FUZZ_CHECK(reservation, reservation ? "" : reservation.error().message);
    std::string record(kRecordHeaderSize, '\0');
    record += "after";
    FUZZ_CHECK(log.write(std::move(*reservation), record));
    const auto frame = log.append_frame(last_seq + 1, last_seq + 1, "and on");
    FUZZ_CHECK(frame, frame ? "" : frame.error().message);
    FUZZ_CHECK(log.sync());
    return {frame->begin, frame->end, frame->last_seq, frame->chain, "and on"};
  }

  const Builder& built_;
  const LogStart start_;
  MemoryEnv env_;
  LogOptions options_;
};

void run(std::string_view input) {
  Decoder in(input);
  const uint8_t start_at = in.u8();
  Builder built(in);
  built.run();
  for (const Frame& frame : built.frames()) {
    if (frame.last_seq > UINT64_MAX / 2) return;  // no store has made so many transactions
  }
  LogStart start;
  if (start_at > 0 && start_at <= built.frames().size()) {
    const Frame& frame = built.frames()[start_at - 1];
    start = {frame.end, frame.last_seq, frame.chain};
  }
  Check(built, start).run();
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pailfs::test::run(pailfs::test::input_of(data, size));
  return 0;
}
