// Reading segments record by record, with no key but that of the headers. Everything that looks at a whole segment uses
// this: recovery, verification, reclaiming.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "log/format.h"
#include "log/log_storage.h"

namespace pailfs {

// kNotFound: no such segment. kCorrupt, kTooNew: see decode_segment_header().
Result<SegmentHeader> read_segment_header(LogStorage& storage, const LogKeys& keys, uint64_t id);

struct RawRecord {
  Position begin;
  RecordHeader header;
  std::array<char, kRecordHeaderSize> bytes{};  // of the header, as stored

  Position payload() const { return {begin.segment, begin.offset + kRecordHeaderSize}; }
  Position end() const { return {begin.segment, payload().offset + header.length}; }
  std::string_view header_bytes() const { return {bytes.data(), bytes.size()}; }
};

class SegmentReader {
 public:
  // Reads records in [begin, end). `gaps`, those in this segment, are skipped.
  SegmentReader(LogStorage& storage, uint64_t segment, uint64_t begin, uint64_t end, std::vector<Gap> gaps);

  // The next record; nothing at `end`. kCorrupt: there is none at position(), and reading cannot go on.
  Result<std::optional<RawRecord>> next();
  // Where the next record is expected; after a failure, where it was not found.
  Position position() const { return {segment_, offset_}; }

 private:
  bool skip_gap();
  Status fill(uint64_t offset);

  LogStorage& storage_;
  const uint64_t segment_;
  uint64_t offset_;
  const uint64_t end_;
  const std::vector<Gap> gaps_;
  uint64_t last_length_ = 0;  // of the record before: says whether reading ahead pays
  std::string buffer_;        // the bytes at buffer_begin_
  uint64_t buffer_begin_ = 0;
};

// The payload as stored. kCorrupt when the segment is shorter.
Result<std::string> read_payload(LogStorage& storage, const RawRecord& record);
// Whether the payload is what the record header's digest says; padding always is. False also when the segment is
// shorter.
Result<bool> payload_matches(LogStorage& storage, const RawRecord& record);

// The greatest durable position that a frame in [from, to) claims, found without following the records: damage before
// may hide where they begin. Zero if there is none. Stops early at a position beyond `enough`.
Result<Position> find_durable_claim(LogStorage& storage, uint64_t segment, uint64_t from, uint64_t to, Position enough);
// Non-zero bytes in [from, to).
Result<uint64_t> count_nonzero(LogStorage& storage, uint64_t segment, uint64_t from, uint64_t to);

}  // namespace pailfs
