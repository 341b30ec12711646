// The store's own keys in the index: first byte below 0x20, sealed with scope 0.
//
//   0x01                                   position: what the index holds (written by checkpoints only)
//   0x02 epoch(be64) counter(be64)         released ranges that wait for their quarantine
//   0x03 segment(be64) offset(be64)        dead range: length
//   0x04 segment(be64)                     what is known of a segment: dead bytes; its salt once it is removed
//   0x05 segment(be64) offset(be64)        births that were moved: length, where to
//   0x06 segment(be64) offset(be64)        the same seen from where they are now: length, birth
//   0x07                                   last_seq of the checkpoint up to which the index copy is whole
//   0x08                                   ids of the backups that were begun
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/error.h"
#include "log/log.h"

namespace pailfs::internal {

inline constexpr char kPosition = 0x01;
inline constexpr char kReleased = 0x02;
inline constexpr char kDead = 0x03;
inline constexpr char kSegment = 0x04;
inline constexpr char kMoved = 0x05;
inline constexpr char kMovedBack = 0x06;
inline constexpr char kCopied = 0x07;
inline constexpr char kBackups = 0x08;

inline std::string key1(char kind) { return std::string(1, kind); }
inline std::string key2(char kind, uint64_t a) {
  Encoder out;
  out.u8(static_cast<uint8_t>(kind));
  out.be64(a);
  return out.take();
}
inline std::string key3(char kind, uint64_t a, uint64_t b) {
  Encoder out;
  out.u8(static_cast<uint8_t>(kind));
  out.be64(a);
  out.be64(b);
  return out.take();
}
struct Key3 {
  uint64_t a = 0;
  uint64_t b = 0;
};
inline Key3 parse_key3(std::string_view key) {
  Decoder in(key);
  in.u8();
  Key3 out;
  out.a = in.be64();
  out.b = in.be64();
  return out;
}

// Stored bytes [offset, offset + length) of a segment.
struct Range {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t end() const { return offset + length; }
  bool operator==(const Range&) const = default;
};
std::string encode_ranges(const std::vector<Range>& ranges);
Result<std::vector<Range>> decode_ranges(std::string_view value);

// What the index holds: everything up to this frame.
struct IndexPosition {
  Position position;
  uint64_t last_seq = 0;
  Digest chain{};
  uint64_t epoch = 0;  // number of the last checkpoint
};
std::string encode_position(const IndexPosition& position);
Result<IndexPosition> decode_position(std::string_view value);

struct SegmentRecord {
  uint64_t dead = 0;     // bytes in dead ranges
  bool removed = false;  // the file is gone; some of its births live elsewhere
  Salt salt{};           // when removed
};
std::string encode_segment(const SegmentRecord& record);
Result<SegmentRecord> decode_segment(std::string_view value);

// Where a birth range is now, or the other way round.
struct Moved {
  uint64_t length = 0;
  uint64_t segment = 0;
  uint64_t offset = 0;
};
std::string encode_moved(const Moved& moved);
Result<Moved> decode_moved(std::string_view value);

// A backup has its own id in what it copies: a store that does not know the id lacks something that the backup has.
class BackupIds {
 public:
  static constexpr size_t kMax = 256;
  // `sequence`: of the store when the backup begins.
  void add(uint64_t sequence, std::string id);
  // Also of a backup so old, as of `sequence`, that it may have been forgotten.
  bool knows(uint64_t sequence, std::string_view id) const;

 private:
  friend std::string encode_backup_ids(const BackupIds& backups);
  friend Result<BackupIds> decode_backup_ids(std::string_view value);
  struct Noted {
    uint64_t sequence = 0;
    std::string id;  // 16 bytes
  };
  bool forgotten_ = false;    // there were more
  std::vector<Noted> noted_;  // the newest last
};
std::string encode_backup_ids(const BackupIds& backups);
Result<BackupIds> decode_backup_ids(std::string_view value);

// The content of a commit frame before it is sealed.
struct FrameContent {
  int64_t time = 0;
  struct Change {
    std::string_view key;
    bool erase = false;
    std::string_view value;  // sealed
  };
  std::vector<Change> changes;
  struct Record {
    uint64_t seq = 0;
    std::string_view encoded;
  };
  std::vector<Record> records;
};
std::string encode_frame(const FrameContent& frame);
Result<FrameContent> decode_frame(std::string_view payload);  // views into payload

}  // namespace pailfs::internal
