// Putting the store's own records right: what was moved where, what is dead, what is released. What they say can always
// be found out from something else: a relocation from its way back, dead room from what content refers to.
//
// Everything goes through transactions, as any change: a repair that is interrupted has done some of it, and the next
// one finds the rest.
#include <algorithm>

#include "store/repair_ranges.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {

constexpr size_t kChangesAtOnce = 4096;  // of one transaction
constexpr size_t kViewEntries = 512;     // that are read through one view
constexpr size_t kLostKeys = 100'000;

}  // namespace

Status Store::Impl::note_lost_frame(const FrameInfo& info, std::string_view payload) {
  const auto content = internal::decode_frame(payload);
  if (!content) return {};
  LostChanges& lost = lost_changes;
  if (lost.frames++ == 0) {
    lost.first_sequence = info.first_seq;
    lost.first_time = content->time;
  }
  lost.last_sequence = std::max(lost.last_sequence, info.last_seq);
  lost.last_time = content->time;
  for (const auto& change : content->changes) {
    if (lost.keys.size() < kLostKeys) lost.keys.emplace_back(change.key);
  }
  std::ranges::sort(lost.keys);
  const auto twice = std::ranges::unique(lost.keys);
  lost.keys.erase(twice.begin(), twice.end());
  return {};
}

// --- Tables

class Store::Impl::TableRepair {
 public:
  TableRepair(Impl& store, const Report& report) : store_(store), report_(report) {}

  Status run() {
    PAILFS_TRY(sizes());
    PAILFS_TRY(drop_unreadable());
    PAILFS_TRY(relocations());
    PAILFS_TRY(segments());
    return flush();
  }

 private:
  using Place = std::pair<uint64_t, uint64_t>;  // segment, offset
  using Table = std::map<Place, internal::Moved>;

  Status sizes() {
    PAILFS_ASSIGN(const std::vector<uint64_t> present, store_.log->segments());
    for (const uint64_t segment : present) {
      PAILFS_ASSIGN(sizes_[segment], store_.storage->size(segment));
    }
    return {};
  }

  void erase(std::string key) {
    tx_.erase(std::move(key));
    ++changes_;
  }
  void put(std::string key, std::string value) {
    tx_.put(kStoreScope, std::move(key), std::move(value));
    ++changes_;
  }
  Status flush() {
    changes_ = 0;
    if (tx_.empty()) return {};
    auto committed = store_.commit(std::move(tx_));
    tx_ = Transaction();
    if (!committed) return std::unexpected(std::move(committed).error());
    return {};
  }
  Status flush_many() { return changes_ < kChangesAtOnce ? Status{} : flush(); }

  // Every entry of a kind. What does not verify or parse (visit says so) is erased; returns how many were.
  Result<uint64_t> each(char kind, const std::function<Status(const StoreView::Entry&)>& visit) {
    uint64_t bad = 0;
    std::string from = internal::key1(kind);
    const std::string end = internal::key1(static_cast<char>(kind + 1));
    for (bool finished = false; !finished;) {
      StoreView view(std::make_unique<StoreView::Impl>(store_));
      auto entry = view.seek(kStoreScope, from, end);
      for (size_t n = 0; entry && *entry && n < kViewEntries; ++n) {
        const Status good = visit(**entry);
        if (!good && good.error().code != Code::kCorrupt) return std::unexpected(good.error());
        if (!good) erase((*entry)->key);
        bad += good ? 0 : 1;
        from = (*entry)->key + '\0';
        entry = view.next(kStoreScope, end);
      }
      finished = entry && !*entry;
      if (entry) continue;
      if (entry.error().code != Code::kCorrupt) return std::unexpected(entry.error());
      PAILFS_ASSIGN(const auto key, view.seek_key(from, end));
      if (!key) break;
      erase(*key);
      ++bad;
      from = *key + '\0';
    }
    PAILFS_TRY(flush());
    return bad;
  }

  Status drop_unreadable() {
    const auto say = [&](uint64_t count, std::string_view what) {
      if (count > 0) report_(fmt::format("{} {}: found out anew", count, what));
    };
    PAILFS_ASSIGN(const uint64_t released, each(internal::kReleased, [&](const StoreView::Entry& entry) -> Status {
                    PAILFS_ASSIGN(const auto ranges, internal::decode_ranges(entry.value));
                    const uint64_t counter = internal::parse_key3(entry.key).b;
                    store_.release_counter = std::max(store_.release_counter.load(), counter + 1);
                    return {};
                  }));
    say(released, "unreadable records of released room");
    PAILFS_ASSIGN(const uint64_t dead, each(internal::kDead, [&](const StoreView::Entry& entry) -> Status {
                    Decoder in(entry.value);
                    const uint64_t length = in.varint();
                    if (!in.done()) return fail(Code::kCorrupt, "unreadable dead range");
                    dead_[internal::parse_key3(entry.key).a].emplace_back(internal::parse_key3(entry.key).b, length);
                    return {};
                  }));
    say(dead, "unreadable records of dead room");
    PAILFS_ASSIGN(const uint64_t segments, each(internal::kSegment, [&](const StoreView::Entry& entry) -> Status {
                    PAILFS_ASSIGN(const SegmentRecord record, internal::decode_segment(entry.value));
                    records_[internal::parse_key3(entry.key).a] = record;
                    return {};
                  }));
    say(segments, "unreadable records of segments");
    const auto table = [&](char kind, Table& into) {
      return each(kind, [&](const StoreView::Entry& entry) -> Status {
        const internal::Key3 key = internal::parse_key3(entry.key);
        PAILFS_ASSIGN(into[Place(key.a, key.b)], internal::decode_moved(entry.value));
        return {};
      });
    };
    PAILFS_ASSIGN(const uint64_t moved, table(internal::kMoved, moved_));
    say(moved, "unreadable relocations");
    PAILFS_ASSIGN(const uint64_t back, table(internal::kMovedBack, back_));
    say(back, "unreadable relocations read backwards");
    return {};
  }

  // Both tables say the same, and what is not there is not said to be.
  Status relocations() {
    uint64_t restored = 0;
    uint64_t gone = 0;
    const auto lay = [&](Place birth, Place place, uint64_t length) {
      put(internal::key3(internal::kMoved, birth.first, birth.second),
          internal::encode_moved({length, place.first, place.second}));
      put(internal::key3(internal::kMovedBack, place.first, place.second),
          internal::encode_moved({length, birth.first, birth.second}));
    };
    Table all = moved_;
    for (const auto& [place, from] : back_) {
      all.try_emplace(Place(from.segment, from.offset), internal::Moved{from.length, place.first, place.second});
    }
    for (const auto& [birth, to] : all) {
      const Place place(to.segment, to.offset);
      const auto forth = moved_.find(birth);
      const auto back = back_.find(place);
      const auto size = sizes_.find(to.segment);
      const uint64_t there =
          size == sizes_.end() || size->second <= to.offset ? 0 : std::min(to.length, size->second - to.offset);
      const bool agree = forth != moved_.end() && back != back_.end() && back->second.length == to.length &&
                         Place(back->second.segment, back->second.offset) == birth;
      if (agree && there == to.length) continue;
      ++(there < to.length ? gone : restored);
      if (there > 0) {
        lay(birth, place, there);
      } else {
        erase(internal::key3(internal::kMoved, birth.first, birth.second));
        erase(internal::key3(internal::kMovedBack, place.first, place.second));
      }
      PAILFS_TRY(flush_many());
    }
    // Ways back that lead elsewhere than the relocation they belong to.
    for (const auto& [place, from] : back_) {
      const internal::Moved& to = all.at(Place(from.segment, from.offset));
      if (Place(to.segment, to.offset) == place) continue;
      erase(internal::key3(internal::kMovedBack, place.first, place.second));
      ++restored;
      PAILFS_TRY(flush_many());
    }
    PAILFS_TRY(flush());
    if (restored > 0) report_(fmt::format("{} relocations of content contradict each other: put right", restored));
    if (gone > 0) report_(fmt::format("{} relocations lead to room that is gone: dropped", gone));
    return {};
  }

  Status segments() {
    std::vector<uint64_t> known;
    known.reserve(records_.size() + dead_.size());
    for (const auto& [segment, record] : records_) known.push_back(segment);
    for (const auto& [segment, ranges] : dead_) known.push_back(segment);
    std::ranges::sort(known);
    const auto twice = std::ranges::unique(known);
    known.erase(twice.begin(), twice.end());
    for (const uint64_t segment : known) {
      PAILFS_TRY(one_segment(segment));
      PAILFS_TRY(flush_many());
    }
    const WriterLock lock(store_.segments_mutex);
    store_.segments.clear();
    for (const auto& [segment, record] : records_) store_.segments[segment] = record;
    return {};
  }

  Status one_segment(uint64_t segment) {
    const auto size = sizes_.find(segment);
    const auto record = records_.find(segment);
    const std::string key = internal::key2(internal::kSegment, segment);
    // One that is there still goes when the store is opened.
    if (record != records_.end() && record->second.removed) return {};
    Ranges good;
    uint64_t total = 0;
    bool wrong = false;
    uint64_t end = kSegmentHeaderSize;
    for (const auto& [begin, length] : dead_[segment]) {
      wrong = wrong || size == sizes_.end() || begin < end || begin + length > size->second;
      end = begin + length;
      if (size != sizes_.end()) {
        add_range(good, std::max<uint64_t>(begin, kSegmentHeaderSize), std::min(begin + length, size->second));
      }
    }
    for (const auto& [begin, stop] : good) total += stop - begin;
    if (size == sizes_.end()) {
      for (const auto& [begin, length] : dead_[segment]) erase(internal::key3(internal::kDead, segment, begin));
      if (record != records_.end()) {
        erase(key);
        records_.erase(record);
        report_(fmt::format("segment {:016x} is missing: nothing is kept about its room", segment));
      }
      return {};
    }
    if (wrong) {
      for (const auto& [begin, length] : dead_[segment]) erase_unless_put(segment, begin, good);
      for (const auto& [begin, stop] : good) put_dead(segment, begin, stop);
    }
    const uint64_t recorded = record == records_.end() ? 0 : record->second.dead;
    if (wrong || recorded != total) {
      records_[segment].dead = total;
      put(key, internal::encode_segment(records_[segment]));
      report_(
          fmt::format("segment {:016x}: {} bytes are dead, and {} were recorded: put right", segment, total, recorded));
    }
    return {};
  }

  void erase_unless_put(uint64_t segment, uint64_t begin, const Ranges& good) {
    if (!good.contains(begin)) erase(internal::key3(internal::kDead, segment, begin));
  }
  void put_dead(uint64_t segment, uint64_t begin, uint64_t end) {
    Encoder value;
    value.varint(end - begin);
    put(internal::key3(internal::kDead, segment, begin), value.take());
  }

  Impl& store_;
  const Report& report_;
  Transaction tx_;
  size_t changes_ = 0;
  std::map<uint64_t, uint64_t> sizes_;
  std::map<uint64_t, std::vector<std::pair<uint64_t, uint64_t>>> dead_;  // begin, length; as they are written down
  std::map<uint64_t, SegmentRecord> records_;
  Table moved_;
  Table back_;
};

// Three checkpoints, so that what was released has passed its quarantine. Then damaged segments, of which only what
// lives is left, are written anew: they go.
Status Store::Impl::finish_repair() {
  if (options.repair != RepairMode::kRepair) return {};
  PAILFS_TRY(sync_all());
  for (int i = 0; i < 4; ++i) PAILFS_TRY(advance_epoch());
  auto reclaimed = reclaim();
  if (!reclaimed) return std::unexpected(reclaimed.error());
  PAILFS_TRY(sync_all());
  {
    const MutexLock lock(reclaim_mutex);
    for (const uint64_t segment : damaged_segments) {
      PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
      if (std::ranges::binary_search(present, segment)) PAILFS_TRY(rewrite_segment(segment));
    }
    if (copy != nullptr && copy->wants_base()) PAILFS_TRY(write_copy_base());
  }
  return checkpoint_everything();
}

const LostChanges& Store::lost_changes() const { return impl_->lost_changes; }

Status Store::repair_tables(const Report& report) {
  if (!impl_->log_damage.empty()) {
    report(fmt::format("{}: {}", impl_->log_damage,
                       impl_->lost_changes.frames > 0 ? "it ends there, and what was changed later is lost"
                                                      : "it goes on behind that"));
  }
  if (!keyring().fault().empty()) report(keyring().fault() + ": written anew from the other one");
  if (impl_->copy_is_missing()) report("the index's second copy (index-copy) is gone: written anew");
  PAILFS_TRY(impl_->check_copy([&](std::string problem) { report(std::move(problem)); }, nullptr));
  return Impl::TableRepair(*impl_, report).run();
}

Status Store::finish_repair() { return impl_->finish_repair(); }

}  // namespace pailfs
