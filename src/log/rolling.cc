// Beginning segments, syncing them, and the end of appending.
#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "log/log_impl.h"

namespace pailfs {
namespace {

bool is_full(const Error& error) { return error.code == Code::kNoSpace || error.code == Code::kQuota; }

uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// Neighbours become one, so that the list in a header lasts for many failed writes.
std::vector<Gap> merged(std::vector<Gap> gaps) {
  std::ranges::sort(gaps, {}, [](const Gap& gap) { return Position{gap.segment, gap.offset}; });
  std::vector<Gap> out;
  for (const Gap& gap : gaps) {
    if (!out.empty() && out.back().segment == gap.segment && out.back().offset + out.back().length == gap.offset) {
      out.back().length += gap.length;
    } else {
      out.push_back(gap);
    }
  }
  return out;
}

}  // namespace

Log::Impl::Impl(LogStorage& log_storage, Env& log_env, LogKeys log_keys, const LogOptions& log_options)
    : storage(log_storage), env(log_env), keys(std::move(log_keys)), options(log_options) {}

Status Log::Impl::reserve_room(SegmentWriter& writer, uint64_t end) {
  const uint64_t want = std::min(round_up(end, options.reserve_step), std::max(options.segment_size, end));
  Status reserved = writer.reserve(want);
  if (reserved) {
    room_end = want;
    return {};
  }
  if (is_full(reserved.error()) && want > end) {
    reserved = writer.reserve(end);
    if (reserved) room_end = end;
  }
  if (!reserved && !is_full(reserved.error())) {
    go_read_only("reserving room failed: " + reserved.error().message);
  }
  return reserved;
}

Result<std::shared_ptr<OpenSegment>> Log::Impl::create_segment(SegmentHeader& header, uint64_t first_total) {
  header.id = next_id++;
  header.writer = options.writer;
  header.epoch = epoch;
  header.created = env.now();
  env.random(header.salt);
  auto segment = std::make_shared<OpenSegment>();
  segment->id = header.id;
  segment->salt = header.salt;
  segment->frame_cipher = keys.frame_cipher(header.salt);
  const auto give_up = [&](Error error) {
    segment->writer.reset();
    (void)storage.remove(header.id);  // if it stays, no header names it and the next start removes it
    if (!is_full(error)) go_read_only("beginning a segment failed: " + error.message);
    return context(fmt::format("beginning segment {}", segment_name(header.id)), std::move(error));
  };
  auto writer = storage.create(header.id);
  if (!writer) return give_up(std::move(writer).error());
  segment->writer = std::move(*writer);
  const uint64_t room_before = room_end;
  Status begun = reserve_room(*segment->writer, kSegmentHeaderSize + first_total);
  if (begun) begun = segment->writer->write_at(0, encode_segment_header(header, keys));
  if (!begun) {
    room_end = room_before;  // the old segment stays the active one
    return give_up(std::move(begun).error());
  }
  return segment;
}

Status Log::Impl::begin_segment(SegmentHeader header, uint64_t first_total) {
  PAILFS_ASSIGN(auto segment, create_segment(header, first_total));
  {
    WriterLock lock(salts_mutex);
    salts[segment->id] = segment->salt;
  }
  MutexLock lock(mutex);
  if (active) {
    active->end = tail.offset;
    rolled.push_back(std::move(active));
  }
  active = std::move(segment);
  tail = {active->id, kSegmentHeaderSize};
  unsynced += kSegmentHeaderSize;
  return {};
}

Status Log::Impl::roll(uint64_t first_total) {
  SegmentHeader header{.kind = SegmentKind::kRoll, .gaps = {}};
  size_t listed = 0;
  {
    MutexLock lock(mutex);
    header.previous = tail.segment;
    header.previous_end = tail.offset;
    header.chain = chain;
    header.gaps = merged(gaps);
    listed = gaps.size();
  }
  if (header.gaps.size() > kMaxGaps) {
    go_read_only("too many writes failed for want of space at once");
    return writable();
  }
  const bool lists_gaps = !header.gaps.empty();
  PAILFS_TRY(begin_segment(std::move(header), first_total));
  MutexLock lock(mutex);
  gaps.erase(gaps.begin(), gaps.begin() + static_cast<ptrdiff_t>(listed));
  if (lists_gaps) gaps_listed_in = active->id;
  return {};
}

// Room that was reserved and never written is an unwritten extent: a sync after a write there has to commit the file
// system's journal too, three writes to the medium where one would do (ext4, XFS). When syncs follow each other closely
// and each brings little, as a program's that calls fsync(2) over and over, one that writes a piece of zeros ahead
// spares the next hundred the journal.
void Log::Impl::zero_ahead() {
  constexpr uint64_t kPiece = uint64_t{1} << 20, kEnough = uint64_t{64} << 10, kLittle = uint64_t{256} << 10;
  constexpr int64_t kClosely = 100'000'000;  // nanoseconds
  if (env.monotonic() - last_sync > kClosely) return;
  MutexLock no_places(alloc_mutex);  // nobody writes behind the tail meanwhile
  std::shared_ptr<OpenSegment> segment;
  uint64_t end = 0;
  {
    MutexLock lock(mutex);
    if (failed || unsynced > kLittle) return;
    segment = active;
    end = tail.offset;
  }
  if (std::exchange(zeroed_segment, segment->id) != segment->id) zeroed_end = 0;
  const uint64_t from = std::max(zeroed_end, end);
  const uint64_t to = std::min(room_end, round_up(end + kPiece, 4096));
  if (from - end >= kEnough || from >= to) return;
  // Where that fails the records themselves will say so.
  const Status written = segment->writer->write_at(from, std::string(to - from, '\0'));
  zeroed_end = written ? to : UINT64_MAX;
}

Status Log::Impl::sync() {
  PAILFS_TRY(writable());
  zero_ahead();
  struct Target {
    std::shared_ptr<OpenSegment> segment;
    bool dirty;
    bool last;  // nothing more will be written to it
  };
  std::vector<Target> targets;
  Position covered;
  uint64_t bytes = 0;
  {
    MutexLock lock(mutex);
    covered = last_frame_end;
    bytes = unsynced;
    const auto add = [&targets](const std::shared_ptr<OpenSegment>& segment, bool is_rolled) {
      targets.push_back({segment, std::exchange(segment->dirty, false), is_rolled && segment->in_flight == 0});
    };
    for (const auto& segment : rolled) add(segment, true);
    add(active, false);
  }
  for (const Target& target : targets) {
    if (!target.dirty) continue;
    if (Status synced = target.segment->writer->sync(); !synced) {
      go_read_only(
          fmt::format("syncing segment {} failed: {}", segment_name(target.segment->id), synced.error().message));
      return synced;
    }
  }
  last_sync = env.monotonic();
  {
    MutexLock lock(mutex);
    durable = std::max(durable, covered);
    unsynced -= bytes;
    for (const Target& target : targets) {
      if (!target.last) continue;
      std::erase(rolled, target.segment);
      target.segment->writer.reset();
    }
  }
  for (Target& target : targets) {
    if (!target.last) continue;
    const Status sealed = storage.seal(target.segment->id, target.segment->end);
    if (!sealed) log_warning("sealing segment {}: {}", segment_name(target.segment->id), sealed.error().message);
  }
  return {};
}

Status Log::Impl::close() {
  MutexLock no_more(alloc_mutex);
  Position end;
  {
    MutexLock lock(mutex);
    if (!active || failed) return {};
    if (!pending.empty()) return fail(Code::kBusy, "the log is closed while records are being written");
    failed = true;
    reason = "the log is closed";
    end = tail;
    progress.notify_all();
  }
  return storage.seal(end.segment, end.offset);
}

Status Log::Impl::writable() const {
  MutexLock lock(mutex);
  if (failed || !active) return fail(Code::kReadOnly, "the log is read-only: " + reason);
  return {};
}

void Log::Impl::go_read_only(std::string why) {
  {
    MutexLock lock(mutex);
    if (failed) return;
    failed = true;
    reason = why;
    progress.notify_all();
  }
  log_error("the log is read-only until it is opened again: {}", why);
}

}  // namespace pailfs
