// Rewriting segments that are mostly dead: what lives is moved verbatim to the end of the log, a table keeps from birth
// to place, and the file goes. Segments in which nothing lives just go.
#include <algorithm>

#include "base/logging.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {
constexpr uint64_t kMoveBytes = uint64_t{1} << 20;  // per log record
constexpr double kLeastShare = 0.05;                // dead share below which moving a segment wins too little

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

// Removes what is wholly dead. Then, while the log occupies more than its live bytes allow, takes the segment with the
// greatest dead share: the fewest bytes moved for each byte won.
Result<uint64_t> Store::Impl::rewrite_segments() {
  PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
  struct Candidate {
    double share = 0;
    uint64_t segment = 0;
    uint64_t waste = 0;
    uint64_t live = 0;
  };
  std::vector<Candidate> candidates;
  uint64_t occupied_total = 0;
  uint64_t live_total = 0;
  for (const uint64_t segment : present) {
    PAILFS_ASSIGN(const uint64_t occupied, storage->allocated(segment));
    PAILFS_ASSIGN(const uint64_t size, storage->size(segment));
    const uint64_t live = live_bytes(segment, size);
    const uint64_t waste = occupied > live ? occupied - live : 0;
    occupied_total += occupied;
    live_total += std::min(live, occupied);
    if (segment >= quiet_segment.load() || live + kSegmentHeaderSize == size) continue;
    const double share = occupied == 0 ? 1.0 : static_cast<double>(waste) / static_cast<double>(occupied);
    if (live == 0 || share > kLeastShare) candidates.push_back({share, segment, waste, live});
  }
  log_bytes_estimate = occupied_total;
  // What is released and still in quarantine counts as live above.
  live_total -= std::min(live_total, released_waiting.load());
  const auto allowed = static_cast<uint64_t>(static_cast<double>(live_total) * (1.0 + options.rewrite_threshold));
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    return (a.live == 0) != (b.live == 0) ? a.live == 0 : a.share > b.share;
  });
  uint64_t done = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.live > 0 && occupied_total <= allowed) break;
    if (stop_requested) break;
    PAILFS_TRY(rewrite_segment(candidate.segment));
    occupied_total -= std::min(occupied_total, candidate.waste);
    ++done;
  }
  return done;
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
