// Recovery for a repair: damage ends the stream only where a commit frame is lost.
//
// Every frame names the one before it by its hash. So a record that cannot be read, or a segment that is gone, costs
// the units in it and no more, as long as the next frame that verifies names the last one that was reached: no commit
// is missing between the two. Which data records lie there does not matter: a unit is verified by whoever reads it.
// Behind a frame that is lost nothing can be taken: what came later was made on top of it, and a file that shows some
// of its changes and not others is wrong data.
#include <fmt/format.h>

#include <algorithm>

#include "log/recovery.h"

namespace pailfs {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 20;

}  // namespace

// The stream from the top down, over segments that are missing or unreadable.
Status Recovery::link_salvage() {
  const uint64_t first = start_.position.segment;
  for (auto at = headers_.rbegin(); at != headers_.rend();) {
    const SegmentHeader& header = at->second;
    parts_.push_back({.header = header, .gaps = {}});
    if (header.id == first || header.kind == SegmentKind::kFirst) break;
    at = std::make_reverse_iterator(headers_.upper_bound(std::min(header.previous, header.id - 1)));
  }
  std::ranges::reverse(parts_);
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    const uint64_t id = part.header.id;
    PAILFS_ASSIGN(part.end, storage_.size(id));
    if (i + 1 < parts_.size() && parts_[i + 1].header.previous == id) {
      part.end = std::min(part.end, parts_[i + 1].header.previous_end);
    }
    for (size_t next = i + 1; next < parts_.size() && next <= i + 2; ++next) {
      std::ranges::copy_if(parts_[next].header.gaps, std::back_inserter(part.gaps),
                           [id](const Gap& gap) { return gap.segment == id; });
    }
    if (id == first) part.begin = std::min(start_.position.offset, part.end);
  }
  return {};
}

// The next frame of the part from `from` on that verifies and is wanted, found without following the records.
Result<std::optional<RawRecord>> Recovery::find_frame(const Part& part, const Aead& cipher, uint64_t from,
                                                      const Wanted& wanted) const {
  const uint64_t id = part.header.id;
  for (uint64_t chunk = from; chunk + kRecordHeaderSize <= part.end;) {
    std::string bytes(std::min(kChunk, part.end - chunk), '\0');
    PAILFS_ASSIGN(const size_t got, storage_.read(id, chunk, bytes));
    if (got < kRecordHeaderSize) break;
    const size_t candidates = got - kRecordHeaderSize + 1;
    for (size_t i = 0; i < candidates; ++i) {
      if (bytes[i] != kFrameRecord) continue;
      const Position begin{id, chunk + i};
      const std::string_view header_bytes = std::string_view(bytes).substr(i, kRecordHeaderSize);
      const auto header = decode_record_header(header_bytes, begin);
      if (!header || header->length > part.end - begin.offset - kRecordHeaderSize) continue;
      RawRecord record{.begin = begin, .header = *header, .bytes = {}};
      std::ranges::copy(header_bytes, record.bytes.begin());
      const auto stored = read_payload(storage_, record);
      if (!stored && stored.error().code != Code::kCorrupt) return std::unexpected(stored.error());
      if (!stored) continue;
      const auto clear = decode_frame_clear(*stored);
      if (clear && wanted(*clear) && open_frame(cipher, begin, *stored)) return record;
    }
    chunk += candidates;
  }
  return std::nullopt;
}

Status Recovery::salvage_part(const Part& part) {
  const std::unique_ptr<Aead> cipher = keys_.frame_cipher(part.header.salt);
  for (uint64_t at = part.begin; at < part.end;) {
    damage_.reset();
    PAILFS_TRY(survey_part({.header = part.header, .begin = at, .end = part.end, .gaps = part.gaps}));
    if (!damage_) return {};
    unproven_data_.clear();  // whoever reads a unit verifies it
    PAILFS_ASSIGN(const auto frame,
                  find_frame(part, *cipher, damage_->position.offset + 1,
                             [this](const FrameClear& clear) { return clear.previous_chain == walked_.chain; }));
    if (!frame) return {};
    damage_.reset();
    PAILFS_TRY(accept(*frame, *cipher));
    if (damage_) return {};  // it makes no sense where it stands
    at = frame->end().offset;
  }
  return {};
}

Status Recovery::survey_salvage() {
  PAILFS_TRY(link_salvage());
  for (const Part& part : parts_) PAILFS_TRY(salvage_part(part));
  damage_.reset();
  PAILFS_TRY(verify_unsynced_data());
  report_.torn = true;
  report_.cut = good_.end;
  return {};
}

Status Recovery::replay_salvaged(const Log::FrameSink& sink) {
  for (const RawRecord& record : salvaged_) {
    if (record.end() > good_.end) break;
    const auto cipher = keys_.frame_cipher(headers_.at(record.begin.segment).salt);
    PAILFS_TRY(replay_frame(record, *cipher, sink));
    ++report_.frames;
  }
  return {};
}

Status Recovery::replay_lost(const Log::FrameSink& sink) const {
  for (const Part& part : parts_) {
    if (part.header.id < good_.end.segment) continue;
    const auto cipher = keys_.frame_cipher(part.header.salt);
    uint64_t at = part.header.id == good_.end.segment ? std::max(part.begin, good_.end.offset) : part.begin;
    while (true) {
      PAILFS_ASSIGN(const auto frame, find_frame(part, *cipher, at, [](const FrameClear&) { return true; }));
      if (!frame) break;
      PAILFS_TRY(replay_frame(*frame, *cipher, sink));
      at = frame->end().offset;
    }
  }
  return {};
}

}  // namespace pailfs
