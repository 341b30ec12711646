#include "store/internal_keys.h"

#include <algorithm>

namespace pailfs::internal {

namespace {
constexpr uint8_t kVersion = 1;
std::unexpected<Error> damaged(const char* what) {
  return fail(Code::kCorrupt, std::string("the index is damaged: unreadable record of ") + what);
}
}  // namespace

std::string encode_ranges(const std::vector<Range>& ranges) {
  Encoder out;
  out.u8(kVersion);
  out.varint(ranges.size());
  for (const Range& range : ranges) {
    out.varint(range.segment);
    out.varint(range.offset);
    out.varint(range.length);
  }
  return out.take();
}

Result<std::vector<Range>> decode_ranges(std::string_view value) {
  Decoder in(value);
  if (in.u8() != kVersion) return damaged("released room");
  std::vector<Range> ranges;
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    Range range;
    range.segment = in.varint();
    range.offset = in.varint();
    range.length = in.varint();
    ranges.push_back(range);
  }
  if (!in.done()) return damaged("released room");
  return ranges;
}

std::string encode_position(const IndexPosition& position) {
  Encoder out;
  out.u8(kVersion);
  out.varint(position.position.segment);
  out.varint(position.position.offset);
  out.varint(position.last_seq);
  out.raw(view(position.chain));
  out.varint(position.epoch);
  return out.take();
}

Result<IndexPosition> decode_position(std::string_view value) {
  Decoder in(value);
  IndexPosition position;
  if (in.u8() != kVersion) return damaged("its position");
  position.position.segment = in.varint();
  position.position.offset = in.varint();
  position.last_seq = in.varint();
  const std::string_view chain = in.raw(kDigestSize);
  position.epoch = in.varint();
  if (!in.done()) return damaged("its position");
  std::copy(chain.begin(), chain.end(), position.chain.begin());
  return position;
}

std::string encode_segment(const SegmentRecord& record) {
  Encoder out;
  out.u8(kVersion);
  out.varint(record.dead);
  out.u8(record.removed ? 1 : 0);
  if (record.removed) out.raw({record.salt.data(), record.salt.size()});
  return out.take();
}

Result<SegmentRecord> decode_segment(std::string_view value) {
  Decoder in(value);
  SegmentRecord record;
  if (in.u8() != kVersion) return damaged("a segment");
  record.dead = in.varint();
  const uint8_t removed = in.u8();
  record.removed = removed == 1;
  if (record.removed) {
    const std::string_view salt = in.raw(kSaltSize);
    std::copy(salt.begin(), salt.end(), record.salt.begin());
  }
  if (!in.done() || removed > 1) return damaged("a segment");
  return record;
}

std::string encode_moved(const Moved& moved) {
  Encoder out;
  out.u8(kVersion);
  out.varint(moved.length);
  out.varint(moved.segment);
  out.varint(moved.offset);
  return out.take();
}

Result<Moved> decode_moved(std::string_view value) {
  Decoder in(value);
  Moved moved;
  if (in.u8() != kVersion) return damaged("a relocation");
  moved.length = in.varint();
  moved.segment = in.varint();
  moved.offset = in.varint();
  if (!in.done()) return damaged("a relocation");
  return moved;
}

void BackupIds::add(uint64_t sequence, std::string id) {
  noted_.push_back({sequence, std::move(id)});
  if (noted_.size() <= kMax) return;
  noted_.erase(noted_.begin());
  forgotten_ = true;
}

bool BackupIds::knows(uint64_t sequence, std::string_view id) const {
  if (std::ranges::find(noted_, id, &Noted::id) != noted_.end()) return true;
  return forgotten_ && sequence <= noted_.front().sequence;
}

std::string encode_backup_ids(const BackupIds& backups) {
  Encoder out;
  out.u8(kVersion);
  out.u8(backups.forgotten_ ? 1 : 0);
  for (const auto& [sequence, id] : backups.noted_) {
    out.u64(sequence);
    out.raw(id);
  }
  return out.take();
}

Result<BackupIds> decode_backup_ids(std::string_view value) {
  constexpr size_t kIdSize = 16;
  Decoder in(value);
  BackupIds backups;
  const bool known = in.u8() == kVersion;
  backups.forgotten_ = in.u8() != 0;
  while (in.ok() && !in.done()) {
    const uint64_t sequence = in.u64();
    backups.noted_.push_back({sequence, std::string(in.raw(kIdSize))});
  }
  if (!known || !in.ok() || (backups.forgotten_ && backups.noted_.empty())) return damaged("the ids of backups");
  return backups;
}

std::string encode_frame(const FrameContent& frame) {
  Encoder out;
  out.u8(kVersion);
  out.i64(frame.time);
  out.varint(frame.changes.size());
  for (const FrameContent::Change& change : frame.changes) {
    out.u8(change.erase ? 0 : 1);
    out.bytes(change.key);
    if (!change.erase) out.bytes(change.value);
  }
  out.varint(frame.records.size());
  for (const FrameContent::Record& record : frame.records) {
    out.varint(record.seq);
    out.bytes(record.encoded);
  }
  return out.take();
}

Result<FrameContent> decode_frame(std::string_view payload) {
  Decoder in(payload);
  FrameContent frame;
  if (in.u8() != kVersion) return fail(Code::kTooNew, "a commit frame has an unknown version");
  frame.time = in.i64();
  bool known = true;
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    FrameContent::Change change;
    const uint8_t kind = in.u8();
    known = known && kind <= 1;
    change.erase = kind == 0;
    change.key = in.bytes();
    if (!change.erase) change.value = in.bytes();
    frame.changes.push_back(change);
  }
  for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    FrameContent::Record record;
    record.seq = in.varint();
    record.encoded = in.bytes();
    frame.records.push_back(record);
  }
  if (!in.done() || !known) return fail(Code::kCorrupt, "a commit frame verifies but cannot be read");
  return frame;
}

}  // namespace pailfs::internal
