// What the store can verify by itself: dead ranges, relocations and segments agree with each other and with the log.
#include <algorithm>
#include <chrono>
#include <thread>

#include "store/superblock.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {
using Report = Store::Report;

Status check_dead(const Store::Impl& store, uint64_t segment, uint64_t size, uint64_t recorded, const Report& report) {
  PAILFS_ASSIGN(const auto dead, store.dead_ranges(segment));
  uint64_t total = 0;
  uint64_t end = kSegmentHeaderSize;
  for (const auto& [begin, length] : dead) {
    if (begin < end || begin + length > size) {
      report(fmt::format("segment {:016x}: dead range {}+{} overlaps another or lies outside", segment, begin, length));
    }
    end = begin + length;
    total += length;
  }
  if (total != recorded) {
    report(fmt::format("segment {:016x}: {} bytes are dead, and {} are recorded", segment, total, recorded));
  }
  return {};
}

// Each birth that was moved is where the table says, and the table read backwards agrees.
Status check_moved(const Store::Impl& store, const std::map<uint64_t, uint64_t>& sizes, const Report& report) {
  StoreView view(std::make_unique<StoreView::Impl>(store));
  const std::string end = internal::key1(internal::kMoved + 1);
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key1(internal::kMoved), end));
  while (entry) {
    const internal::Key3 birth = internal::parse_key3(entry->key);
    PAILFS_ASSIGN(const internal::Moved moved, internal::decode_moved(entry->value));
    const auto size = sizes.find(moved.segment);
    if (size == sizes.end() || moved.offset + moved.length > size->second) {
      report(fmt::format(
          "what was born in segment {:016x} at {} should be in segment {:016x}, which is missing or too short", birth.a,
          birth.b, moved.segment));
    }
    PAILFS_ASSIGN(const auto back,
                  view.get(kStoreScope, internal::key3(internal::kMovedBack, moved.segment, moved.offset)));
    if (!back) {
      report(fmt::format("segment {:016x}, byte {}: moved from segment {:016x}, with no way back", moved.segment,
                         moved.offset, birth.a));
    }
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  return {};
}
}  // namespace

// That somebody removed it. A store that takes changes writes it anew.
bool Store::Impl::copy_is_missing() const {
  if (options.index_copy.empty() || copy != nullptr || copied().value_or(0) == 0) return false;
  const auto names = env.list_dir(options.index_copy);
  return names ? names->empty() : names.error().code == Code::kNotFound;
}

// What is wrong with the copy of the index, which should be whole; empty: nothing.
Result<std::string> Store::Impl::copy_damage(const std::function<Status()>& proceed) const {
  PAILFS_ASSIGN(const std::string id, uuid_bytes(uuid));
  PAILFS_ASSIGN(const uint64_t whole_to, copied());
  const IndexCopy reader(env, options.index_copy, *keyring, id);
  const auto found = reader.replay([](const std::vector<IndexChange>&) -> Status { return {}; },
                                   [&](uint64_t, uint64_t) { return proceed ? proceed() : Status{}; });
  if (found && found->last_seq < whole_to) {
    return fmt::format("{} ends at transaction {}, and was whole up to {}", options.index_copy, found->last_seq,
                       whole_to);
  }
  if (found) return std::string();
  switch (found.error().code) {
    case Code::kCorrupt:
    case Code::kIo:  // the disk does not give it back
      return found.error().message;
    case Code::kNotFound:  // what is begun with the store cannot be missing
      return copy != nullptr ? found.error().message : std::string();
    default:
      return std::unexpected(found.error());
  }
}

// That the index could be built anew. A copy that is damaged is written anew where the store takes changes.
Status Store::Impl::check_copy(const Report& report, const std::function<Status()>& proceed) const {
  if (options.index_copy.empty() || (copy != nullptr && !copy->whole())) return {};
  if (copy == nullptr) {
    PAILFS_ASSIGN(const bool there, env.exists(options.index_copy));
    if (!there) return {};
    PAILFS_ASSIGN(const bool current, copy_is_current());
    if (!current) return {};
  }
  const MutexLock lock(reclaim_mutex);  // no file of it goes meanwhile
  PAILFS_ASSIGN(const std::string damage, copy_damage(proceed));
  if (damage.empty()) return {};
  report(fmt::format("the second copy of the index is damaged: {}{}", damage,
                     copy != nullptr ? "; it is written anew" : ""));
  if (copy != nullptr) copy->distrust();
  return {};
}

// Up to the one that is being written; one beyond it is just being made. What lies behind the end of a sound log that
// was opened for reading is a start that came to nothing: the next one removes it.
Result<std::vector<uint64_t>> Store::Impl::segments_to_check() const {
  uint64_t last = ~uint64_t{0};
  if (!log->read_only()) {
    last = log->tail().segment;
  } else if (options.read_only && log_damage.empty()) {
    last = log->recovery().cut.segment;
  }
  PAILFS_ASSIGN(std::vector<uint64_t> present, log->segments());
  std::erase_if(present, [last](uint64_t segment) { return segment > last; });
  return present;
}

// What was released and is not dead yet, and what frames will be when their changes are in the index.
Result<uint64_t> Store::Impl::waiting_room(const std::vector<uint64_t>& present) const {
  uint64_t bytes = 0;
  StoreView view(std::make_unique<StoreView::Impl>(*this));
  const std::string end = internal::key1(internal::kReleased + 1);
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key1(internal::kReleased), end));
  while (entry) {
    PAILFS_ASSIGN(const std::vector<Range> ranges, internal::decode_ranges(entry->value));
    for (const Range& range : ranges) {
      PAILFS_ASSIGN(const std::vector<Range> places, locate(range));
      for (const Range& place : places) {
        if (std::ranges::binary_search(present, place.segment)) bytes += place.length;
      }
    }
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  const MutexLock lock(state_mutex);
  const auto add = [&bytes](const Generation& generation) {
    for (const Range& frame : generation.frames) bytes += frame.length;
  };
  add(*active);
  for (const GenerationPtr& generation : waiting) add(*generation);
  return bytes;
}

Result<std::optional<Store::LiveRoom>> Store::Impl::live_room() const {
  const MutexLock reclaiming(reclaim_mutex);
  const MutexLock checkpointing(checkpoint_mutex);
  LiveRoom room;
  {
    const MutexLock lock(state_mutex);
    room.sequence = seq;
  }
  const bool writing = !log->read_only();
  if (writing) room.tail = log->tail();
  // Nothing was appended since the last frame, nor since the log was opened.
  const bool at_rest = !writing || log->durable() == room.tail || room.tail.offset == kSegmentHeaderSize;
  if (!log_damage.empty() || !at_rest) return std::nullopt;
  PAILFS_ASSIGN(const std::vector<uint64_t> present, segments_to_check());
  const Position cut = log->recovery().cut;
  for (const uint64_t segment : present) {
    if (is_moved(segment)) continue;  // its file is about to go
    PAILFS_ASSIGN(uint64_t size, storage->size(segment));
    if (writing && segment == room.tail.segment) size = room.tail.offset;
    if (segment == cut.segment) size = std::min(size, cut.offset);
    room.bytes += live_bytes(segment, size);
  }
  PAILFS_ASSIGN(const uint64_t waiting_bytes, waiting_room(present));
  room.bytes -= std::min(room.bytes, waiting_bytes);
  return room;
}

Status Store::Impl::check_places(const CheckSink& report) const {
  PAILFS_ASSIGN(const std::vector<uint64_t> present, segments_to_check());
  std::map<uint64_t, uint64_t> sizes;
  for (const uint64_t segment : present) {
    PAILFS_ASSIGN(sizes[segment], storage->size(segment));
    if (auto salt = log->salt(segment); !salt) report("log", salt.error().message);
  }
  std::unordered_map<uint64_t, SegmentRecord> known;
  {
    const ReaderLock lock(segments_mutex);
    known = segments;
  }
  const Report space = [&](std::string problem) { report("space", std::move(problem)); };
  // An unreadable record ends its part, and not the rest.
  const auto part = [&](Status done) -> Status {
    if (done || done.error().code != Code::kCorrupt) return done;
    report("index", "what is known of the log's room: " + done.error().message);
    return {};
  };
  for (const auto& [segment, record] : known) {
    const auto size = sizes.find(segment);
    if (record.removed) continue;  // where a crash kept its file, the next start removes it
    if (size != sizes.end()) {
      PAILFS_TRY(part(check_dead(*this, segment, size->second, record.dead, space)));
    } else {
      report("log", fmt::format("segment file {} is missing", segment_name(segment)));
    }
  }
  return part(check_moved(*this, sizes, space));
}

// Segments with holes have lost record headers; their live units are verified by whoever refers to them.
bool Store::Impl::is_whole(uint64_t segment) const {
  const ReaderLock lock(segments_mutex);
  const auto record = segments.find(segment);
  return record == segments.end() || (!record->second.removed && record->second.dead == 0);
}

// Records that were reserved before the log went on to its next segment may be written yet. A frame behind them waits
// for that; where none comes, nobody writes.
void Store::Impl::wait_for_writers(uint64_t segment) const {
  constexpr auto kStep = std::chrono::milliseconds(10);
  auto left = std::chrono::nanoseconds(3 * options.commit_interval);
  for (; options.background && log->durable().segment <= segment && left.count() > 0; left -= kStep) {
    std::this_thread::sleep_for(kStep);
  }
}

// Reclaiming may have punched holes into the segment while it was read, or removed it: what looks wrong is looked at
// again where that cannot be.
Status Store::Impl::verify_segment(uint64_t segment, const CheckSink& report) const {
  if (!is_whole(segment) || log->verify_segment(segment)) return {};
  wait_for_writers(segment);
  const MutexLock lock(reclaim_mutex);
  PAILFS_ASSIGN(const std::vector<uint64_t> present, log->segments());
  if (!is_whole(segment) || !std::ranges::binary_search(present, segment)) return {};
  const Status verified = log->verify_segment(segment);
  if (!verified && verified.error().code != Code::kCorrupt) return verified;
  if (!verified) report("log", verified.error().message);
  return {};
}

Status Store::Impl::check(bool deep, const CheckSink& report, const std::function<Status()>& proceed) const {
  size_t found = 0;
  const Status looked = check_places([&](std::string_view, const std::string&) { ++found; });
  if (!looked || found > 0) {
    // Was it reclaiming that changed one thing before the other? Nobody changes them while the lock is held.
    const MutexLock lock(reclaim_mutex);
    PAILFS_TRY(check_places(report));
  }
  if (options.read_only && !keyring->fault().empty()) {
    report("index", keyring->fault() + ": the next mount writes it anew from the other one");
  }
  if (copy_is_missing()) report("index", "the index's second copy (index-copy) is gone: the next mount writes it anew");
  if (!deep) return {};
  PAILFS_TRY(check_copy([&](std::string problem) { report("index", std::move(problem)); }, proceed));
  PAILFS_ASSIGN(const std::vector<uint64_t> present, segments_to_check());
  for (const uint64_t segment : present) {
    if (proceed) PAILFS_TRY(proceed());
    if (segment != present.back()) PAILFS_TRY(verify_segment(segment, report));
  }
  return {};
}

Result<bool> Store::run_is_live(const Run& run) const {
  PAILFS_ASSIGN(const auto places, impl_->locate({run.segment, run.offset, run.stored_length()}));
  for (const Range& place : places) {
    const auto size = impl_->storage->size(place.segment);
    if (!size || place.end() > *size) return false;
    StoreView view = this->view();
    PAILFS_ASSIGN(const auto before,
                  view.last_before(kStoreScope, internal::key3(internal::kDead, place.segment, place.end()),
                                   internal::key3(internal::kDead, place.segment, 0)));
    if (!before) continue;
    Decoder in(before->value);
    if (internal::parse_key3(before->key).b + in.varint() > place.offset) return false;
  }
  return true;
}

}  // namespace pailfs
