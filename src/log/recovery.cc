#include "log/recovery.h"

#include <fmt/format.h>

#include <algorithm>

namespace pailfs {

Recovery::Recovery(LogStorage& storage, const LogKeys& keys, const LogStart& start)
    : storage_(storage), keys_(keys), start_(start) {
  walked_ = good_ = {.end = start.position, .chain = start.chain, .last_seq = start.last_seq};
  durable_ = start.position;
}

Status Recovery::examine(Mode mode) {
  PAILFS_ASSIGN(const std::vector<uint64_t> ids, storage_.list());
  if (!ids.empty()) highest_id_ = ids.back();
  for (const uint64_t id : ids) {
    if (id < start_.position.segment) continue;
    if (mode.settle) PAILFS_TRY(storage_.sync(id));
    auto header = read_segment_header(storage_, keys_, id);
    if (header) {
      highest_epoch_ = std::max(highest_epoch_, header->epoch);
      headers_.emplace(id, std::move(*header));
    } else if (header.error().code == Code::kCorrupt) {
      broken_.emplace(id, header.error().message);
    } else {
      return std::unexpected(header.error());
    }
  }
  salvage_ = mode.salvage;
  if (salvage_) return survey_salvage();
  Status linked = link();
  if (linked) linked = bound_parts();
  if (!linked) {
    if (!mode.stop_at_damage || linked.error().code != Code::kCorrupt) return linked;
    parts_.clear();  // nothing behind the index's position can be trusted; what it refers to can still be read
    report_.torn = true;
    report_.cut = good_.end;
    return {};
  }
  PAILFS_TRY(survey());
  PAILFS_TRY(verify_unsynced_data());
  report_.cut = good_.end;
  if (corrupt()) {
    report_.torn = true;
    return mode.stop_at_damage ? Status{} : Status(corruption());
  }
  return account_for_tail();
}

// --- Which segments form the stream.

Status Recovery::link() {
  const uint64_t first = start_.position.segment;
  if (first != 0 && !headers_.contains(first)) {
    const auto broken = broken_.find(first);
    if (broken != broken_.end()) return fail(Code::kCorrupt, broken->second + "; run 'pail check'");
    if (first > highest_id_) {
      return fail(Code::kCorrupt,
                  fmt::format("the index is newer than the log: it continues at {}, and the last segment is {}",
                              describe(start_.position), highest_id_ == 0 ? "none" : segment_name(highest_id_)));
    }
    return fail(Code::kCorrupt,
                fmt::format("segment file {} is missing, or the index is an older one: it continues at {}",
                            segment_name(first), describe(start_.position)));
  }
  const uint64_t top = headers_.empty() ? 0 : headers_.rbegin()->first;
  for (auto it = broken_.upper_bound(top); it != broken_.end(); ++it) PAILFS_TRY(mark_unreachable(it->first));
  if (top == 0) return {};
  PAILFS_TRY(link_down_from(top));
  std::ranges::reverse(parts_);
  return {};
}

// Fills parts_ from the back.
Status Recovery::link_down_from(uint64_t id) {
  const uint64_t first = start_.position.segment;
  for (;;) {
    const SegmentHeader& header = headers_.at(id);
    parts_.push_back({.header = header, .gaps = {}});
    if (id == first) return {};
    // The start that wrote this had first made durable what it kept.
    if (header.kind == SegmentKind::kCut) note_durable({header.previous, header.previous_end});
    if (header.kind == SegmentKind::kFirst ? first != 0 : header.previous < first) {
      return fail(Code::kCorrupt, fmt::format("the index is newer than the log: it continues at {}, which lies in a "
                                              "tail that was cut (segment {} follows on segment {})",
                                              describe(start_.position), segment_name(id),
                                              header.previous == 0 ? "none" : segment_name(header.previous)));
    }
    if (header.kind == SegmentKind::kFirst) return {};
    id = header.previous;
    if (headers_.contains(id)) continue;
    // What lies above cannot be followed to. It still tells whether this is damage or a torn tail.
    for (const Part& part : parts_) PAILFS_TRY(mark_unreachable(part.header.id));
    parts_.clear();
    if (broken_.contains(id)) {
      PAILFS_TRY(mark_unreachable(id));
    } else {
      missing_ = fmt::format("segment file {} is missing", segment_name(id));
    }
    const auto below = headers_.lower_bound(id);
    if (below == headers_.begin()) return {};
    id = std::prev(below)->first;
  }
}

Status Recovery::mark_unreachable(uint64_t segment) {
  PAILFS_ASSIGN(const uint64_t size, storage_.size(segment));
  unreachable_.push_back({.segment = segment, .from = kSegmentHeaderSize, .to = size});
  return {};
}

Status Recovery::bound_parts() {
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    const uint64_t id = part.header.id;
    if (i + 1 < parts_.size()) {
      part.end = parts_[i + 1].header.previous_end;
    } else {
      PAILFS_ASSIGN(part.end, storage_.size(id));
    }
    for (size_t next = i + 1; next < parts_.size() && next <= i + 2; ++next) {
      std::ranges::copy_if(parts_[next].header.gaps, std::back_inserter(part.gaps),
                           [id](const Gap& gap) { return gap.segment == id; });
    }
    if (id == start_.position.segment) part.begin = start_.position.offset;
    if (part.begin > part.end) {
      return fail(Code::kCorrupt, fmt::format("the index is newer than the log: it continues at {}, and the log ends "
                                              "there at offset {}",
                                              describe({id, part.begin}), part.end));
    }
  }
  return {};
}

// --- How far it is whole.

Status Recovery::survey() {
  size_t at = 0;
  for (; at < parts_.size() && !damage_; ++at) PAILFS_TRY(survey_part(parts_[at]));
  if (!damage_ && !unreachable_.empty()) {
    const auto broken = broken_.find(unreachable_.back().segment);
    note_damage({unreachable_.back().segment, 0}, broken != broken_.end() ? broken->second : "unreachable segment");
  }
  return damage_ ? search_behind_damage(at) : Status{};
}

Status Recovery::survey_part(const Part& part) {
  const std::unique_ptr<Aead> cipher = keys_.frame_cipher(part.header.salt);
  SegmentReader reader(storage_, part.header.id, part.begin, part.end, part.gaps);
  while (!damage_) {
    const auto record = reader.next();
    if (!record) {
      if (record.error().code != Code::kCorrupt) return std::unexpected(record.error());
      note_damage(reader.position(), record.error().message);
      break;
    }
    if (!*record) break;
    if ((*record)->header.type == kFrameRecord) {
      PAILFS_TRY(accept(**record, *cipher));
    } else {
      append_digest_entry(entries_, (*record)->begin, (*record)->header_bytes());
      if ((*record)->header.type == kDataRecord) unproven_data_.push_back(**record);
    }
  }
  report_.bytes += reader.position().offset - part.begin;
  return {};
}

// A frame that the walk has come to. What a crash can leave is damage; what it cannot is forgery, wherever it stands.
Status Recovery::accept(const RawRecord& record, const Aead& cipher) {
  const auto damaged = [&](std::string_view what, bool forged) {
    note_damage(record.begin, fmt::format("{}: {}", describe(record.begin), what));
    forged_ = forged_ || forged;
    return Status{};
  };
  const auto stored = read_payload(storage_, record);
  if (!stored) {
    if (stored.error().code != Code::kCorrupt) return std::unexpected(stored.error());
    return damaged("the commit frame is cut short", false);
  }
  const Digest chain = sha256(*stored);
  if (!digest_matches(record.header, chain)) return damaged("the commit frame does not match its digest", false);
  const auto clear = decode_frame_clear(*stored);
  if (!clear || !open_frame(cipher, record.begin, *stored)) {
    return damaged("the commit frame does not verify under the log's key", true);
  }
  if (clear->previous_chain != walked_.chain) {
    return damaged("the commit frame does not follow on the one before it, or on what the index holds", true);
  }
  if (!salvage_ && clear->data_digest != sha256(entries_))
    return damaged("a data record before the commit frame is altered", false);
  if (clear->durable > record.begin || clear->first_seq <= walked_.last_seq) {
    return damaged("the commit frame makes no sense", true);
  }
  entries_.clear();
  walked_ = {.end = record.end(), .chain = chain, .last_seq = clear->last_seq};
  unproven_.push_back(walked_);
  if (salvage_) salvaged_.push_back(record);
  note_durable(clear->durable);
  return {};
}

void Recovery::note_durable(Position position) {
  durable_ = std::max(durable_, position);
  while (!unproven_.empty() && unproven_.front().end <= durable_) {
    good_ = unproven_.front();
    unproven_.pop_front();
  }
  while (!unproven_data_.empty() && unproven_data_.front().begin < durable_) unproven_data_.pop_front();
}

void Recovery::note_damage(Position position, std::string what) {
  if (!damage_ || position < damage_->position) damage_ = {.position = position, .what = std::move(what)};
}

// `next_part`: the first that the survey has not entered.
Status Recovery::search_behind_damage(size_t next_part) {
  std::vector<Region> regions;
  const Position at = damage_->position;
  if (next_part > 0 && parts_[next_part - 1].header.id == at.segment) {
    regions.push_back({.segment = at.segment, .from = at.offset, .to = parts_[next_part - 1].end});
  }
  for (size_t i = next_part; i < parts_.size(); ++i) {
    regions.push_back({.segment = parts_[i].header.id, .from = parts_[i].begin, .to = parts_[i].end});
  }
  regions.insert(regions.end(), unreachable_.begin(), unreachable_.end());
  for (const Region& region : regions) {
    if (durable_ > walked_.end) break;
    PAILFS_ASSIGN(const Position claim,
                  find_durable_claim(storage_, region.segment, region.from, region.to, walked_.end));
    note_durable(claim);
  }
  return {};
}

// Beyond what is known durable the headers may have reached the medium without the data.
Status Recovery::verify_unsynced_data() {
  while (!unproven_.empty()) {
    const Mark mark = unproven_.front();
    while (!unproven_data_.empty() && unproven_data_.front().begin < mark.end) {
      const RawRecord& record = unproven_data_.front();
      PAILFS_ASSIGN(const bool whole, payload_matches(storage_, record));
      if (!whole) {
        note_damage(record.begin, describe(record.begin) + ": the data does not match its digest");
        return {};
      }
      unproven_data_.pop_front();
    }
    good_ = mark;
    unproven_.pop_front();
  }
  return {};
}

std::unexpected<Error> Recovery::corruption() const {
  std::string what = missing_ ? *missing_ : damage_ ? damage_->what : "the log is shorter than it was";
  if (durable_ > good_.end) what += fmt::format("; all before {} was durable", describe(durable_));
  return fail(Code::kCorrupt,
              "the log is damaged: " + what + ". Nothing was changed; run 'pail check' and 'pail repair'");
}

// --- What follows from it.

// Parts that hold a piece of the good stream.
size_t Recovery::good_parts() const {
  size_t count = 0;
  while (count < parts_.size() && parts_[count].header.id <= good_.end.segment) ++count;
  return count;
}

Status Recovery::account_for_tail() {
  const size_t good = good_parts();
  std::set<uint64_t> kept;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    const uint64_t id = part.header.id;
    const bool last = i + 1 == good;
    if (i + 1 >= good) {
      const uint64_t from = last ? good_.end.offset : part.begin;
      PAILFS_ASSIGN(const uint64_t lost, count_nonzero(storage_, id, from, part.end));
      report_.lost_bytes += lost;
    }
    if (i >= good) continue;
    kept.insert(id);
    const uint64_t end = last ? good_.end.offset : part.end;
    PAILFS_ASSIGN(const uint64_t size, storage_.size(id));
    if (size > end) unsealed_.emplace_back(id, end);
  }
  for (const Region& region : unreachable_) {
    PAILFS_ASSIGN(const uint64_t lost, count_nonzero(storage_, region.segment, region.from, region.to));
    report_.lost_bytes += lost;
  }
  report_.torn = report_.lost_bytes > 0;
  for (const auto& [id, header] : headers_) {
    if (!kept.contains(id)) abandoned_.push_back(id);
  }
  for (const auto& [id, why] : broken_) abandoned_.push_back(id);
  return {};
}

Status Recovery::replay_frame(const RawRecord& record, const Aead& cipher, const Log::FrameSink& sink) const {
  PAILFS_ASSIGN(const std::string stored, read_payload(storage_, record));
  const auto clear = decode_frame_clear(stored);
  const auto payload = open_frame(cipher, record.begin, stored);
  if (!clear || !payload) return fail(Code::kCorrupt, describe(record.begin) + ": changed while it was read");
  const FrameInfo info{.begin = record.begin,
                       .end = record.end(),
                       .first_seq = clear->first_seq,
                       .last_seq = clear->last_seq,
                       .chain = sha256(stored)};
  return sink(info, *payload);
}

Status Recovery::replay(const Log::FrameSink& sink) {
  if (salvage_) return replay_salvaged(sink);
  const size_t good = good_parts();
  for (size_t i = 0; i < good; ++i) {
    const Part& part = parts_[i];
    const uint64_t end = i + 1 == good ? good_.end.offset : part.end;
    const std::unique_ptr<Aead> cipher = keys_.frame_cipher(part.header.salt);
    SegmentReader reader(storage_, part.header.id, part.begin, end, part.gaps);
    for (;;) {
      PAILFS_ASSIGN(const auto record, reader.next());
      if (!record) break;
      if (record->header.type != kFrameRecord) continue;
      PAILFS_TRY(replay_frame(*record, *cipher, sink));
      ++report_.frames;
    }
  }
  return {};
}

}  // namespace pailfs
