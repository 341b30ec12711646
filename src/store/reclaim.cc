// Space whose last reference is gone. Transactions name released ranges; after the quarantine (two more checkpoints,
// and every reader that was there has left) they become dead ranges: merged, punched out of their segments, and
// counted, so that rewrite.cc knows which segments are worth rewriting. No key of any bucket is needed.
#include <algorithm>

#include "base/logging.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {
// Epochs between the checkpoint that holds a release and its settling: LMDB falls back by one commit at most, and then
// the log is replayed from there.
constexpr uint64_t kQuarantine = 2;
constexpr size_t kReleasedPerPass = 2048;
constexpr size_t kManyRanges = 128;  // of one segment in one pass: reading all its dead ranges costs less than looking
constexpr uint64_t kSegmentsAtOnce = 4;
constexpr int64_t kCopyRetry = 60'000'000'000;  // ns
}  // namespace

void Store::Impl::release_ranges(const std::vector<Range>& ranges, Transaction& tx) {
  if (ranges.empty()) return;
  tx.put(kStoreScope, internal::key3(internal::kReleased, current_epoch.load(), release_counter.fetch_add(1)),
         internal::encode_ranges(ranges));
  for (const Range& range : ranges) released_waiting += range.length;
}

Status Store::Impl::load_segments() {
  std::unordered_map<uint64_t, SegmentRecord> loaded;
  StoreView view(std::make_unique<StoreView::Impl>(*this));
  const std::string end = internal::key1(internal::kSegment + 1);
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key1(internal::kSegment), end));
  while (entry) {
    PAILFS_ASSIGN(const SegmentRecord record, internal::decode_segment(entry->value));
    loaded[internal::parse_key3(entry->key).a] = record;
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  const std::string released_end = internal::key1(internal::kReleased + 1);
  uint64_t bytes = 0;
  PAILFS_ASSIGN(auto released, view.seek(kStoreScope, internal::key1(internal::kReleased), released_end));
  while (released) {
    release_counter = std::max(release_counter.load(), internal::parse_key3(released->key).b + 1);
    PAILFS_ASSIGN(const std::vector<Range> ranges, internal::decode_ranges(released->value));
    for (const Range& range : ranges) bytes += range.length;
    PAILFS_ASSIGN(released, view.next(kStoreScope, released_end));
  }
  released_waiting = bytes;
  const WriterLock lock(segments_mutex);
  segments = std::move(loaded);
  return {};
}

uint64_t Store::Impl::live_bytes(uint64_t segment, uint64_t size) const {
  const ReaderLock lock(segments_mutex);
  const auto it = segments.find(segment);
  const uint64_t dead = kSegmentHeaderSize + (it == segments.end() ? 0 : it->second.dead);
  return size > dead ? size - dead : 0;
}

Result<std::map<uint64_t, uint64_t>> Store::Impl::dead_ranges(uint64_t segment) const {
  std::map<uint64_t, uint64_t> ranges;
  StoreView view(std::make_unique<StoreView::Impl>(*this));
  const std::string end = internal::key2(internal::kDead, segment + 1);
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key2(internal::kDead, segment), end));
  while (entry) {
    Decoder in(entry->value);
    ranges[internal::parse_key3(entry->key).b] = in.varint();
    if (!in.done()) return fail(Code::kCorrupt, "the index is damaged: unreadable dead range");
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  return ranges;
}

// The dead ranges of a segment that one of `ranges` overlaps or touches: a segment may have thousands of others.
Result<std::map<uint64_t, uint64_t>> Store::Impl::dead_beside(uint64_t segment,
                                                              const std::vector<Range>& ranges) const {
  if (ranges.size() >= kManyRanges) return dead_ranges(segment);
  std::map<uint64_t, uint64_t> found;
  StoreView view(std::make_unique<StoreView::Impl>(*this));
  const auto add = [&found](const StoreView::Entry& entry) -> Status {
    Decoder in(entry.value);
    found[internal::parse_key3(entry.key).b] = in.varint();
    return in.done() ? Status{} : fail(Code::kCorrupt, "the index is damaged: unreadable dead range");
  };
  for (const Range& range : ranges) {
    const std::string after = internal::key3(internal::kDead, segment, range.offset + 1);
    const std::string end = internal::key3(internal::kDead, segment, range.end() + 1);
    PAILFS_ASSIGN(const auto before, view.last_before(kStoreScope, after, internal::key3(internal::kDead, segment, 0)));
    if (before) PAILFS_TRY(add(*before));
    PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, after, end));
    while (entry) {
      PAILFS_TRY(add(*entry));
      PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
    }
  }
  return found;
}

// Merges ranges of one segment into its dead ranges, punches what has become whole blocks, and puts the differences
// into the transaction. Returns the bytes that are dead now and were not before.
Result<uint64_t> Store::Impl::add_dead(uint64_t segment, std::vector<Range> ranges, Transaction& tx) {
  std::ranges::sort(ranges, {}, &Range::offset);
  PAILFS_ASSIGN(const auto before, dead_beside(segment, ranges));
  auto after = before;
  uint64_t added = 0;
  std::vector<uint64_t> grown;  // begins of ranges to punch; may hold some that were merged away since
  for (const Range& range : ranges) {
    uint64_t begin = range.offset;
    uint64_t end = range.end();
    uint64_t covered = 0;  // of this range, dead already: only after a crash between punching and committing
    auto it = after.upper_bound(begin);
    if (it != after.begin() && std::prev(it)->first + std::prev(it)->second >= begin) --it;
    while (it != after.end() && it->first <= end) {
      const uint64_t overlap_begin = std::max(range.offset, it->first);
      const uint64_t overlap_end = std::min(range.end(), it->first + it->second);
      if (overlap_end > overlap_begin) covered += overlap_end - overlap_begin;
      begin = std::min(begin, it->first);
      end = std::max(end, it->first + it->second);
      it = after.erase(it);
    }
    after[begin] = end - begin;
    grown.push_back(begin);
    added += range.length - covered;
  }
  for (const uint64_t begin : grown) {
    const auto it = after.find(begin);
    if (it == after.end() || it->second < 4096) continue;
    if (auto punched = log->punch(segment, begin, it->second);
        !punched && punched.error().code != Code::kNotSupported) {
      log_warning("segment {:016x}: dead space cannot be punched out: {}", segment, punched.error().message);
    }
  }
  for (const auto& [begin, length] : before) {
    if (!after.contains(begin)) tx.erase(internal::key3(internal::kDead, segment, begin));
  }
  for (const auto& [begin, length] : after) {
    const auto old = before.find(begin);
    if (old != before.end() && old->second == length) continue;
    Encoder value;
    value.varint(length);
    tx.put(kStoreScope, internal::key3(internal::kDead, segment, begin), value.take());
  }
  const WriterLock lock(segments_mutex);
  SegmentRecord& record = segments[segment];
  record.dead += added;
  tx.put(kStoreScope, internal::key2(internal::kSegment, segment), internal::encode_segment(record));
  return added;
}

Result<uint64_t> Store::Impl::settle_released(uint64_t bound) {
  Transaction tx;
  std::map<uint64_t, std::vector<Range>> by_segment;
  uint64_t bytes = 0;
  {
    StoreView view(std::make_unique<StoreView::Impl>(*this));
    const std::string end = internal::key2(internal::kReleased, bound + 1);
    PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key1(internal::kReleased), end));
    for (size_t n = 0; entry && n < kReleasedPerPass; ++n) {
      PAILFS_ASSIGN(const std::vector<Range> ranges, internal::decode_ranges(entry->value));
      for (const Range& range : ranges) {
        bytes += range.length;
        PAILFS_ASSIGN(const std::vector<Range> places, locate(range));
        for (const Range& place : places) by_segment[place.segment].push_back(place);
      }
      tx.erase(std::move(entry->key));
      PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
    }
  }
  if (tx.empty()) return 0;
  wait_for_readers();
  PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
  uint64_t added = 0;
  for (auto& [segment, ranges] : by_segment) {
    if (!std::ranges::binary_search(present, segment)) continue;  // removed before a crash that forgot these releases
    PAILFS_ASSIGN(const uint64_t grown, add_dead(segment, std::move(ranges), tx));
    added += grown;
  }
  PAILFS_TRY(commit(std::move(tx)));
  released_waiting -= std::min(bytes, released_waiting.load());
  return added;
}

Status Store::Impl::write_copy_base() {
  const auto last_seq = [this]() NO_THREAD_SAFETY_ANALYSIS { return index_position.last_seq; };
  return copy->write_base(*index, checkpoint_mutex, last_seq, stop_requested);
}

Status Store::Impl::renew_copy() {
  if (copy == nullptr || !copy->wants_base() || env.monotonic() < copy_retry_at) return {};
  // Writing a base must not be what fills the disk.
  PAILFS_ASSIGN(const IndexStats stats, index->stats());
  const Result<Space> space = env.space(options.index_copy);
  Status written;
  if (!space || space->available > 2 * stats.used_bytes + options.reserve_bytes) {
    written = write_copy_base();
  }
  if (!copy->wants_base()) return {};
  copy_retry_at = env.monotonic() + kCopyRetry;
  return stop_requested ? Status{} : written;
}

// Little at once: moving segments takes long while others write, and what comes out of quarantine meanwhile has to be
// settled, the copy of the index renewed, and whoever waits for the lock let in.
Result<Store::Impl::Reclaimed> Store::Impl::reclaim_some() {
  const MutexLock lock(reclaim_mutex);
  PAILFS_TRY(writable());
  Reclaimed reclaimed;
  // Of this moment: what comes out of quarantine meanwhile waits for the next time, or there would be no end to it
  // while others release, and segments would never be rewritten.
  const uint64_t done = completed_epoch.load();
  while (done >= kQuarantine) {
    PAILFS_ASSIGN(const uint64_t settled, settle_released(done - kQuarantine));
    reclaimed.given_back += settled;
    if (settled == 0) break;
  }
  PAILFS_ASSIGN(const uint64_t rewritten, rewrite_segments(kSegmentsAtOnce));
  PAILFS_TRY(renew_copy());
  reclaimed.more = rewritten == kSegmentsAtOnce;
  return reclaimed;
}

Result<uint64_t> Store::Impl::reclaim() {
  PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
  uint64_t given_back = 0;
  // With an end, also where others write faster than this gets on.
  for (size_t rewritten = 0; rewritten <= present.size(); rewritten += kSegmentsAtOnce) {
    PAILFS_ASSIGN(const Reclaimed some, reclaim_some());
    given_back += some.given_back;
    if (!some.more) break;
  }
  return given_back;
}

}  // namespace pailfs
