// Rewriting segments that are mostly dead: what lives is moved verbatim to the end of the log, a table keeps from birth
// to place, and the file goes. Segments in which nothing lives just go.
#include <algorithm>

#include "base/logging.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {
constexpr uint64_t kMoveBytes = uint64_t{1} << 20;  // per log record
constexpr size_t kSegmentsPerPass = 8;

// A live piece of a segment: where it is and where it was born.
struct Piece {
  Range place;
  Range birth;
};

// Every key with the given first byte and segment.
Result<std::vector<StoreView::Entry>> entries_of(const Store::Impl& store, char kind, uint64_t segment) {
  std::vector<StoreView::Entry> found;
  StoreView view(std::make_unique<StoreView::Impl>(store));
  const std::string end = internal::key2(kind, segment + 1);
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key2(kind, segment), end));
  while (entry) {
    found.push_back(std::move(*entry));
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  return found;
}

// Splits [begin, end) of a segment at the borders of what was moved into it before.
std::vector<Piece> split(uint64_t segment, uint64_t begin, uint64_t end,
                         const std::map<uint64_t, internal::Moved>& moved_in) {
  std::vector<Piece> pieces;
  const auto add = [&](uint64_t from, uint64_t to, uint64_t birth_segment, uint64_t birth_offset) {
    while (from < to) {
      const uint64_t length = std::min(to - from, kMoveBytes);
      pieces.push_back({{segment, from, length}, {birth_segment, birth_offset, length}});
      from += length;
      birth_offset += length;
    }
  };
  uint64_t at = begin;
  auto it = moved_in.upper_bound(at);
  if (it != moved_in.begin() && std::prev(it)->first + std::prev(it)->second.length > at) --it;
  for (; it != moved_in.end() && it->first < end; ++it) {
    const uint64_t from = std::max(at, it->first);
    const uint64_t to = std::min(end, it->first + it->second.length);
    if (from > at) add(at, from, segment, at);
    add(from, to, it->second.segment, it->second.offset + (from - it->first));
    at = to;
  }
  if (at < end) add(at, end, segment, at);
  return pieces;
}
}  // namespace

Result<uint64_t> Store::Impl::rewrite_segments() {
  PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
  struct Candidate {
    double share;
    uint64_t segment;
  };
  std::vector<Candidate> candidates;
  uint64_t occupied_total = 0;
  for (const uint64_t segment : present) {
    PAILFS_ASSIGN(const uint64_t occupied, storage->allocated(segment));
    occupied_total += occupied;
    if (segment >= quiet_segment.load()) continue;
    PAILFS_ASSIGN(const uint64_t size, storage->size(segment));
    uint64_t dead = 0;
    {
      const ReaderLock lock(segments_mutex);
      const auto it = segments.find(segment);
      if (it != segments.end()) dead = it->second.dead;
    }
    const uint64_t used = size > kSegmentHeaderSize ? size - kSegmentHeaderSize : 0;
    const uint64_t live = used > dead ? used - dead : 0;
    const uint64_t waste = occupied > live ? occupied - live : 0;
    const double share = occupied == 0 ? 1.0 : static_cast<double>(waste) / static_cast<double>(occupied);
    if (live == 0 || (dead > 0 && share > options.rewrite_threshold))
      candidates.push_back({live == 0 ? 2.0 : share, segment});
  }
  log_bytes_estimate = occupied_total;
  std::ranges::sort(candidates, std::greater{}, &Candidate::share);
  if (candidates.size() > kSegmentsPerPass) candidates.resize(kSegmentsPerPass);
  for (const Candidate& candidate : candidates) PAILFS_TRY(rewrite_segment(candidate.segment));
  return candidates.size();
}

Status Store::Impl::rewrite_segment(uint64_t segment) {
  PAILFS_ASSIGN(const uint64_t size, storage->size(segment));
  PAILFS_ASSIGN(const auto dead, dead_ranges(segment));
  PAILFS_ASSIGN(const auto moved_in_entries, entries_of(*this, internal::kMovedBack, segment));
  std::map<uint64_t, internal::Moved> moved_in;
  for (const auto& entry : moved_in_entries) {
    PAILFS_ASSIGN(moved_in[internal::parse_key3(entry.key).b], internal::decode_moved(entry.value));
  }
  std::vector<Piece> pieces;
  uint64_t at = kSegmentHeaderSize;
  const auto add_live = [&](uint64_t begin, uint64_t end) {
    for (Piece& piece : split(segment, begin, end, moved_in)) pieces.push_back(piece);
  };
  for (const auto& [begin, length] : dead) {
    if (begin > at) add_live(at, begin);
    at = std::max(at, begin + length);
  }
  if (at < size) add_live(at, size);

  Transaction tx;
  std::map<std::string, std::string> puts;  // so that an erase does not undo a put of the same key
  std::vector<char> buffer;
  bool native = false;  // something that was born here lives on
  for (size_t i = 0; i < pieces.size();) {
    size_t n = i;
    uint64_t bytes = 0;
    while (n < pieces.size() && bytes + pieces[n].place.length <= kMoveBytes) bytes += pieces[n++].place.length;
    PAILFS_ASSIGN(auto reservation, log->reserve(bytes));
    const Position target = reservation.payload();
    buffer.resize(kRecordHeaderSize + bytes);
    uint64_t filled = 0;
    for (; i < n; ++i) {
      const Piece& piece = pieces[i];
      PAILFS_TRY(log->read({segment, piece.place.offset},
                           std::span<char>(buffer).subspan(kRecordHeaderSize + filled, piece.place.length)));
      const Range now{target.segment, target.offset + filled, piece.place.length};
      puts[internal::key3(internal::kMoved, piece.birth.segment, piece.birth.offset)] =
          internal::encode_moved({now.length, now.segment, now.offset});
      puts[internal::key3(internal::kMovedBack, now.segment, now.offset)] =
          internal::encode_moved({now.length, piece.birth.segment, piece.birth.offset});
      native = native || piece.birth.segment == segment;
      filled += piece.place.length;
    }
    PAILFS_TRY(log->write(std::move(reservation), buffer));
  }
  for (const auto& [offset, moved] : moved_in) {
    const std::string key = internal::key3(internal::kMoved, moved.segment, moved.offset);
    if (!puts.contains(key)) tx.erase(key);
    tx.erase(internal::key3(internal::kMovedBack, segment, offset));
  }
  for (const auto& [begin, length] : dead) tx.erase(internal::key3(internal::kDead, segment, begin));
  SegmentRecord record;
  if (native) {
    PAILFS_ASSIGN(record.salt, log->salt(segment));
    record.removed = true;
    tx.put(kStoreScope, internal::key2(internal::kSegment, segment), internal::encode_segment(record));
  } else {
    tx.erase(internal::key2(internal::kSegment, segment));
  }
  for (auto& [key, value] : puts) tx.put(kStoreScope, key, std::move(value));
  // The table is durable before anybody reads through it, and the file goes after the last reader that did not.
  PAILFS_TRY(commit(std::move(tx)));
  PAILFS_TRY(sync_all());
  {
    const WriterLock lock(segments_mutex);
    if (native) {
      segments[segment] = record;
    } else {
      segments.erase(segment);
    }
  }
  wait_for_readers();
  return log->remove_segment(segment);
}

}  // namespace pailfs
