#include "log/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace pailfs {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 20;
// Small records are read many at a time; of large ones only the header.
constexpr uint64_t kReadAhead = uint64_t{256} << 10;
constexpr uint64_t kSmallRecord = uint64_t{32} << 10;

// Up to `size` bytes at `offset`.
Result<std::string> read_some(LogStorage& storage, uint64_t segment, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  PAILFS_ASSIGN(const size_t got, storage.read(segment, offset, bytes));
  bytes.resize(got);
  return bytes;
}

}  // namespace

Result<SegmentHeader> read_segment_header(LogStorage& storage, const LogKeys& keys, uint64_t id) {
  PAILFS_ASSIGN(const std::string bytes, read_some(storage, id, 0, kSegmentHeaderSize));
  return decode_segment_header(bytes, id, keys);
}

SegmentReader::SegmentReader(LogStorage& storage, uint64_t segment, uint64_t begin, uint64_t end, std::vector<Gap> gaps)
    : storage_(storage), segment_(segment), offset_(begin), end_(end), gaps_(std::move(gaps)) {}

bool SegmentReader::skip_gap() {
  const auto gap = std::ranges::find(gaps_, offset_, &Gap::offset);
  if (gap == gaps_.end() || gap->length == 0 || gap->length > end_ - offset_) return false;
  offset_ += gap->length;
  return true;
}

Status SegmentReader::fill(uint64_t offset) {
  if (offset >= buffer_begin_ && offset + kRecordHeaderSize <= buffer_begin_ + buffer_.size()) return {};
  const uint64_t ahead = last_length_ <= kSmallRecord ? kReadAhead : kRecordHeaderSize;
  PAILFS_ASSIGN(buffer_, read_some(storage_, segment_, offset, std::min(ahead, end_ - offset)));
  buffer_begin_ = offset;
  return {};
}

Result<std::optional<RawRecord>> SegmentReader::next() {
  while (offset_ < end_ && skip_gap()) {
  }
  if (offset_ == end_) return std::nullopt;
  const auto none = [this](std::string_view why) {
    return fail(Code::kCorrupt, fmt::format("{}: {}", describe(position()), why));
  };
  if (offset_ > end_ || end_ - offset_ < kRecordHeaderSize) return none("no room for a record");
  PAILFS_TRY(fill(offset_));
  const std::string_view bytes = std::string_view(buffer_).substr(offset_ - buffer_begin_);
  if (bytes.size() < kRecordHeaderSize) return none("the segment ends here");
  const auto header = decode_record_header(bytes, position());
  if (!header) return none("not a record header");
  if (header->length > end_ - offset_ - kRecordHeaderSize) return none("the record is longer than the segment");
  RawRecord record{.begin = position(), .header = *header, .bytes = {}};
  std::memcpy(record.bytes.data(), bytes.data(), kRecordHeaderSize);
  last_length_ = header->length;
  offset_ = record.end().offset;
  return record;
}

Result<std::string> read_payload(LogStorage& storage, const RawRecord& record) {
  const Position begin = record.payload();
  PAILFS_ASSIGN(std::string bytes, read_some(storage, begin.segment, begin.offset, record.header.length));
  if (bytes.size() != record.header.length) return fail(Code::kCorrupt, describe(record.begin) + ": cut short");
  return bytes;
}

Result<bool> payload_matches(LogStorage& storage, const RawRecord& record) {
  if (record.header.type == kPaddingRecord) return true;
  Sha256 hash;
  const uint64_t end = record.end().offset;
  for (uint64_t offset = record.payload().offset; offset < end;) {
    const uint64_t want = std::min(kChunk, end - offset);
    PAILFS_ASSIGN(const std::string bytes, read_some(storage, record.begin.segment, offset, want));
    if (bytes.size() != want) return false;
    hash.update(bytes);
    offset += want;
  }
  return digest_matches(record.header, hash.finish());
}

namespace {

// What a frame that begins at `begin`, if one does, calls durable.
Result<Position> durable_claim_at(LogStorage& storage, std::string_view header_bytes, Position begin, uint64_t to) {
  const auto header = decode_record_header(header_bytes, begin);
  if (!header || header->type != kFrameRecord) return Position{};
  if (header->length > to - begin.offset - kRecordHeaderSize) return Position{};
  const auto stored = read_payload(storage, {.begin = begin, .header = *header, .bytes = {}});
  if (!stored) return stored.error().code == Code::kCorrupt ? Result<Position>{} : std::unexpected(stored.error());
  if (!digest_matches(*header, sha256(*stored))) return Position{};
  const auto clear = decode_frame_clear(*stored);
  return clear && clear->durable <= begin ? clear->durable : Position{};
}

}  // namespace

Result<Position> find_durable_claim(LogStorage& storage, uint64_t segment, uint64_t from, uint64_t to,
                                    Position enough) {
  Position best;
  for (uint64_t chunk = from; chunk + kRecordHeaderSize <= to && best <= enough;) {
    PAILFS_ASSIGN(const std::string bytes, read_some(storage, segment, chunk, std::min(kChunk, to - chunk)));
    if (bytes.size() < kRecordHeaderSize) break;
    const size_t candidates = bytes.size() - kRecordHeaderSize + 1;
    for (size_t i = 0; i < candidates; ++i) {
      if (bytes[i] != kFrameRecord) continue;
      const Position begin{segment, chunk + i};
      PAILFS_ASSIGN(const Position claim, durable_claim_at(storage, std::string_view(bytes).substr(i), begin, to));
      best = std::max(best, claim);
    }
    chunk += candidates;
  }
  return best;
}

Result<uint64_t> count_nonzero(LogStorage& storage, uint64_t segment, uint64_t from, uint64_t to) {
  uint64_t count = 0;
  while (from < to) {
    PAILFS_ASSIGN(const std::string bytes, read_some(storage, segment, from, std::min(kChunk, to - from)));
    if (bytes.empty()) break;
    count += bytes.size() - static_cast<uint64_t>(std::ranges::count(bytes, '\0'));
    from += bytes.size();
  }
  return count;
}

}  // namespace pailfs
