// Rewriting segments that are mostly dead: what lives is moved verbatim to the end of the log, a table keeps from birth
// to place, and the file goes. Segments in which nothing lives just go.
#include <algorithm>
#include <set>

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
Result<uint64_t> Store::Impl::rewrite_segments(uint64_t at_most) {
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
    if (segment >= quiet_segment.load() || live + kSegmentHeaderSize == size || unmovable.contains(segment)) continue;
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
    if (stop_requested || done == at_most) break;
    if (Status status = rewrite_segment(candidate.segment); !status) {
      const Code code = status.error().code;
      if (failed || (code != Code::kIo && code != Code::kCorrupt)) return std::unexpected(std::move(status).error());
      log_warning("segment {:016x} stays where it is until the store is opened anew: {}", candidate.segment,
                  status.error().message);
      unmovable.insert(candidate.segment);
      continue;
    }
    occupied_total -= std::min(occupied_total, candidate.waste);
    ++done;
  }
  return done;
}

// Of one segment.
class Store::Impl::Rewriting {
 public:
  Rewriting(Store::Impl& store, uint64_t segment) : store_(store), segment_(segment) {}

  Status run() {
    PAILFS_TRY(find());
    Status done = move();
    if (done) done = end_births();
    if (done) done = commit();
    if (!done) {
      give_back();
      return done;
    }
    return store_.log->remove_segment(segment_);
  }

 private:
  Status find();
  Status move();
  Status move_some(size_t first, size_t last, uint64_t bytes);
  Status end_births();
  Result<bool> lives(uint64_t birth) const;
  Status commit();
  void give_back();

  Store::Impl& store_;
  const uint64_t segment_;
  std::map<uint64_t, uint64_t> dead_;
  std::map<uint64_t, internal::Moved> moved_in_;
  std::vector<Piece> pieces_;
  std::map<std::string, std::string> puts_;  // so that an erase does not undo a put of the same key
  std::vector<Range> records_;               // that it is moved in: all of them, and their headers, which serve nothing
  std::vector<Range> headers_;
  std::vector<char> buffer_;
  std::set<std::string> ended_;      // places of births that are dead
  std::vector<uint64_t> forgotten_;  // segments of which nothing lives any more
  bool native_ = false;              // something that was born here lives on
};

// What lives in the segment, and where it was born.
Status Store::Impl::Rewriting::find() {
  PAILFS_ASSIGN(const uint64_t size, store_.storage->size(segment_));
  PAILFS_ASSIGN(dead_, store_.dead_ranges(segment_));
  PAILFS_ASSIGN(const auto entries, entries_of(store_, internal::kMovedBack, segment_));
  for (const auto& entry : entries) {
    PAILFS_ASSIGN(moved_in_[internal::parse_key3(entry.key).b], internal::decode_moved(entry.value));
  }
  uint64_t at = kSegmentHeaderSize;
  const auto add_live = [&](uint64_t begin, uint64_t end) {
    for (Piece& piece : split(segment_, begin, end, moved_in_)) pieces_.push_back(piece);
  };
  for (const auto& [begin, length] : dead_) {
    if (begin > at) add_live(at, begin);
    at = std::max(at, begin + length);
  }
  if (at < size) add_live(at, size);
  return {};
}

Status Store::Impl::Rewriting::move() {
  for (size_t i = 0; i < pieces_.size();) {
    size_t n = i;
    uint64_t bytes = 0;
    while (n < pieces_.size() && bytes + pieces_[n].place.length <= kMoveBytes) bytes += pieces_[n++].place.length;
    PAILFS_TRY(move_some(i, n, bytes));
    i = n;
  }
  return {};
}

// Pieces [first, last) into one record.
Status Store::Impl::Rewriting::move_some(size_t first, size_t last, uint64_t bytes) {
  buffer_.resize(kRecordHeaderSize + bytes);
  uint64_t filled = kRecordHeaderSize;
  for (size_t i = first; i < last; ++i) {
    const Range& place = pieces_[i].place;
    PAILFS_TRY(store_.log->read({segment_, place.offset}, std::span<char>(buffer_).subspan(filled, place.length)));
    filled += place.length;
  }
  PAILFS_ASSIGN(auto reservation, store_.log->reserve(bytes));
  const Position target = reservation.payload();
  const uint64_t begin = target.offset - kRecordHeaderSize;
  headers_.push_back({target.segment, begin, kRecordHeaderSize});
  records_.push_back({target.segment, begin, kRecordHeaderSize + bytes});
  uint64_t at = target.offset;
  for (size_t i = first; i < last; ++i) {
    const Range& birth = pieces_[i].birth;
    puts_[internal::key3(internal::kMoved, birth.segment, birth.offset)] =
        internal::encode_moved({birth.length, target.segment, at});
    puts_[internal::key3(internal::kMovedBack, target.segment, at)] =
        internal::encode_moved({birth.length, birth.segment, birth.offset});
    native_ = native_ || birth.segment == segment_;
    at += birth.length;
  }
  return store_.log->write(std::move(reservation), buffer_);
}

// What was moved in and is dead is nowhere any more; where it was the last of its segment, nobody asks for that.
Status Store::Impl::Rewriting::end_births() {
  std::set<uint64_t> births;
  for (const auto& [offset, moved] : moved_in_) {
    std::string key = internal::key3(internal::kMoved, moved.segment, moved.offset);
    if (puts_.contains(key)) continue;
    ended_.insert(std::move(key));
    births.insert(moved.segment);
  }
  for (const uint64_t birth : births) {
    if (!store_.is_moved(birth)) continue;
    PAILFS_ASSIGN(const bool any, lives(birth));
    if (!any) forgotten_.push_back(birth);
  }
  return {};
}

Result<bool> Store::Impl::Rewriting::lives(uint64_t birth) const {
  const std::string begin = internal::key2(internal::kMoved, birth);
  const std::string end = internal::key2(internal::kMoved, birth + 1);
  const auto put = puts_.lower_bound(begin);
  if (put != puts_.end() && put->first < end) return true;
  StoreView view(std::make_unique<StoreView::Impl>(store_));
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, begin, end));
  while (entry && ended_.contains(entry->key)) {
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  return entry.has_value();
}

// The table is durable before anybody reads through it, and the file goes after the last reader that did not.
Status Store::Impl::Rewriting::commit() {
  Transaction tx;
  for (const auto& [offset, moved] : moved_in_) tx.erase(internal::key3(internal::kMovedBack, segment_, offset));
  for (const std::string& key : ended_) tx.erase(key);
  for (const uint64_t birth : forgotten_) tx.erase(internal::key2(internal::kSegment, birth));
  for (const auto& [begin, length] : dead_) tx.erase(internal::key3(internal::kDead, segment_, begin));
  for (auto& [key, value] : puts_) tx.put(kStoreScope, key, std::move(value));
  SegmentRecord record;
  if (native_) {
    PAILFS_ASSIGN(record.salt, store_.log->salt(segment_));
    record.removed = true;
    tx.put(kStoreScope, internal::key2(internal::kSegment, segment_), internal::encode_segment(record));
  } else {
    tx.erase(internal::key2(internal::kSegment, segment_));
  }
  store_.release_ranges(headers_, tx);
  PAILFS_ASSIGN(const uint64_t committed, store_.commit(std::move(tx)));
  records_.clear();
  PAILFS_TRY(store_.sync(committed));
  {
    const WriterLock lock(store_.segments_mutex);
    if (native_) {
      store_.segments[segment_] = record;
    } else {
      store_.segments.erase(segment_);
    }
    for (const uint64_t birth : forgotten_) store_.segments.erase(birth);
  }
  store_.wait_for_readers();
  return {};
}

// What was appended in vain.
void Store::Impl::Rewriting::give_back() {
  Transaction tx;
  store_.release_ranges(records_, tx);
  if (!tx.empty()) (void)store_.commit(std::move(tx));  // a store that takes no transaction gives nothing back either
}

// A crash that came between the table and the removal of the file. What lived there is elsewhere, and durable.
Status Store::Impl::remove_rewritten() {
  PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
  for (const uint64_t segment : present) {
    if (!is_moved(segment)) continue;
    if (const Status removed = log->remove_segment(segment); !removed) {
      log_warning("segment {:016x} was rewritten and could not be removed; the next start tries again: {}", segment,
                  removed.error().message);
    }
  }
  return {};
}

Status Store::Impl::rewrite_segment(uint64_t segment) { return Rewriting(*this, segment).run(); }

}  // namespace pailfs
