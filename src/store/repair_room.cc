// Room that content refers to and room that nothing does, in a repair: see Store::repair_room().
#include <algorithm>

#include "store/repair_ranges.h"
#include "store/view_impl.h"

namespace pailfs {

class Store::Impl::RoomRepair {
 public:
  RoomRepair(Impl& store, const Report& report, const std::function<Status()>& proceed)
      : store_(store), report_(report), proceed_(proceed) {}

  Status run(const std::vector<Run>& referenced) {
    for (const Run& run : referenced) PAILFS_TRY(refer(run));
    PAILFS_ASSIGN(const std::vector<uint64_t> present, store_.log->segments());
    for (const uint64_t segment : present) {
      PAILFS_ASSIGN(sizes_[segment], store_.storage->size(segment));
    }
    PAILFS_TRY(take_back_released());
    for (const uint64_t segment : present) {
      if (store_.is_moved(segment)) continue;  // its file goes when the store is opened
      if (proceed_) PAILFS_TRY(proceed_());
      PAILFS_TRY(take_back_dead(segment));
      PAILFS_TRY(release_unreferenced(segment));
    }
    return {};
  }

 private:
  Status refer(const Run& run) {
    PAILFS_ASSIGN(const auto places, store_.locate({run.segment, run.offset, run.stored_length()}));
    for (const Range& place : places) add_range(used_[place.segment], place.offset, place.end());
    if (!run.head) return {};
    const auto header = store_.locate({run.segment, run.offset - kRecordHeaderSize, kRecordHeaderSize});
    if (!header && header.error().code == Code::kCorrupt) return {};  // it was not moved along
    if (!header) return std::unexpected(header.error());
    for (const Range& place : *header) add_range(used_[place.segment], place.offset, place.end());
    return {};
  }

  Status commit(Transaction&& tx) {
    if (tx.empty()) return {};
    auto committed = store_.commit(std::move(tx));
    if (!committed) return std::unexpected(std::move(committed).error());
    return {};
  }

  // Room in quarantine that content refers to stays.
  Status take_back_released() {
    uint64_t bytes = 0;
    std::string from = internal::key1(internal::kReleased);
    const std::string end = internal::key1(internal::kReleased + 1);
    while (true) {
      std::optional<StoreView::Entry> entry;
      {
        StoreView view(std::make_unique<StoreView::Impl>(store_));
        PAILFS_ASSIGN(entry, view.seek(kStoreScope, from, end));
      }
      if (!entry) break;
      from = entry->key + '\0';
      PAILFS_ASSIGN(const std::vector<Range> ranges, internal::decode_ranges(entry->value));
      std::vector<Range> kept;
      bool changed = false;
      for (const Range& range : ranges) {
        const auto places = store_.locate(range);
        if (!places) {  // nothing is there any more
          changed = true;
          continue;
        }
        for (const Range& place : *places) {
          const Ranges& used = used_[place.segment];
          // Of a segment that is missing, or was cut, there is nothing to give back.
          const auto size = sizes_.find(place.segment);
          const uint64_t end_there = size == sizes_.end() ? 0 : std::min(place.end(), size->second);
          if (end_there < place.end() || overlaps(used, place.offset, place.end())) changed = true;
          if (end_there <= place.offset) continue;
          without(used, place.offset, end_there, [&](uint64_t begin, uint64_t stop) {
            kept.push_back({place.segment, begin, stop - begin});
            add_range(waiting_[place.segment], begin, stop);
            bytes += stop - begin;
          });
        }
      }
      if (!changed) continue;
      ++taken_back_;
      Transaction tx;
      if (kept.empty()) {
        tx.erase(entry->key);
      } else {
        tx.put(kStoreScope, entry->key, internal::encode_ranges(kept));
      }
      PAILFS_TRY(commit(std::move(tx)));
    }
    if (taken_back_ > 0) {
      report_(fmt::format("{} records of released room name room that is in use or gone: put right", taken_back_));
    }
    store_.released_waiting = bytes;
    const MutexLock lock(store_.state_mutex);
    // Room of frames that the index does not hold yet: released when it does.
    for (const Range& frame : store_.active->frames) add_range(waiting_[frame.segment], frame.offset, frame.end());
    return {};
  }

  Status take_back_dead(uint64_t segment) {
    PAILFS_ASSIGN(const auto dead, store_.dead_ranges(segment));
    const Ranges& used = used_[segment];
    Transaction tx;
    Ranges after;
    uint64_t total = 0;
    bool changed = false;
    for (const auto& [begin, length] : dead) {
      changed = changed || overlaps(used, begin, begin + length);
      without(used, begin, begin + length, [&](uint64_t from, uint64_t to) { after[from] = to; });
    }
    for (const auto& [begin, end] : after) {
      total += end - begin;
      add_range(waiting_[segment], begin, end);
    }
    if (!changed) return {};
    report_(fmt::format("segment {:016x}: room that content refers to was recorded as dead: put right", segment));
    for (const auto& [begin, length] : dead) {
      if (!after.contains(begin)) tx.erase(internal::key3(internal::kDead, segment, begin));
    }
    for (const auto& [begin, end] : after) {
      Encoder value;
      value.varint(end - begin);
      tx.put(kStoreScope, internal::key3(internal::kDead, segment, begin), value.take());
    }
    {
      const WriterLock lock(store_.segments_mutex);
      SegmentRecord& record = store_.segments[segment];
      record.dead = total;
      tx.put(kStoreScope, internal::key2(internal::kSegment, segment), internal::encode_segment(record));
    }
    return commit(std::move(tx));
  }

  // Why the room of a segment is to be looked through; empty: it is sound.
  Result<std::string> fault(uint64_t segment) const {
    if (auto salt = store_.log->salt(segment); !salt) return salt.error().message;
    const RecoveryReport& recovery = store_.log->recovery();
    if (!store_.log_damage.empty() && segment >= recovery.cut.segment) {
      return fmt::format("segment {:016x}, in which the log is damaged", segment);
    }
    {
      const ReaderLock lock(store_.segments_mutex);
      const auto record = store_.segments.find(segment);
      // Segments with holes have lost record headers: what lives there was verified by whoever refers to it.
      if (record != store_.segments.end() && record->second.dead > 0) return std::string();
    }
    const Status verified = store_.log->verify_segment(segment);
    if (verified) return std::string();
    if (verified.error().code != Code::kCorrupt) return std::unexpected(verified.error());
    return verified.error().message;
  }

  Status release_unreferenced(uint64_t segment) {
    const bool writing = store_.options.repair == RepairMode::kRepair;
    if (writing && segment >= store_.log->tail().segment) return {};
    const RecoveryReport& recovery = store_.log->recovery();
    uint64_t size = sizes_.at(segment);
    if (store_.log_damage.empty()) {
      if (segment > recovery.cut.segment) return {};
      if (segment == recovery.cut.segment) size = std::min(size, recovery.cut.offset);
    }
    Ranges taken = used_[segment];
    for (const auto& [begin, end] : waiting_[segment]) add_range(taken, begin, end);
    std::vector<Range> free;
    uint64_t bytes = 0;
    without(taken, kSegmentHeaderSize, size, [&](uint64_t begin, uint64_t end) {
      free.push_back({segment, begin, end - begin});
      bytes += end - begin;
    });
    PAILFS_ASSIGN(const std::string why, fault(segment));
    if (why.empty() && bytes == 0) return {};
    if (bytes > 0) {
      report_(why.empty() ? fmt::format("segment {:016x}: {} bytes that nothing refers to: given back", segment, bytes)
                          : fmt::format("{}: what nothing refers to there is given back ({} bytes)", why, bytes));
      Transaction tx;
      store_.release_ranges(free, tx);
      PAILFS_TRY(commit(std::move(tx)));
    } else if (!why.empty()) {
      // Nothing is left to give back, and the damage would be found again: a header of a record, of which the units
      // live. It is dead to whoever walks the segment.
      report_(fmt::format("{}: the units there are whole; the segment is written anew", why));
    }
    if (!why.empty()) store_.damaged_segments.insert(segment);
    return {};
  }

  Impl& store_;
  const Report& report_;
  const std::function<Status()>& proceed_;
  std::map<uint64_t, Ranges> used_;     // by segment: where content lies
  std::map<uint64_t, Ranges> waiting_;  // dead, or released and not yet dead
  std::map<uint64_t, uint64_t> sizes_;
  uint64_t taken_back_ = 0;
};

Status Store::repair_room(const std::vector<Run>& referenced, const Report& report,
                          const std::function<Status()>& proceed) {
  return Impl::RoomRepair(*impl_, report, proceed).run(referenced);
}

}  // namespace pailfs
