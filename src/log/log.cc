// Opening, and the calls that need no more than a line.
#include "log/log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "log/log_impl.h"
#include "log/recovery.h"

namespace pailfs {
namespace {

Status check_options(const LogOptions& options, std::string_view store_uuid, const Secret& key) {
  if (store_uuid.size() != kStoreUuidSize) return fail(Code::kInvalid, "a store's UUID has 16 bytes");
  if (key.size() != kKeySize) return fail(Code::kInvalid, "the log's key has 32 bytes");
  if (options.segment_size <= kSegmentHeaderSize + kRecordHeaderSize || options.reserve_step == 0 ||
      options.writeback_step == 0) {
    return fail(Code::kInvalid, "impossible log options");
  }
  return {};
}

// What the cut left: room behind the end of segments, and segments that are not in the stream. Only after the cut is
// durable. Failing costs room, until the next start.
void clear_away(LogStorage& storage, const Recovery& recovery) {
  for (const auto& [id, end] : recovery.unsealed()) {
    const Status sealed = storage.seal(id, end);
    if (!sealed) log_warning("sealing segment {}: {}", segment_name(id), sealed.error().message);
  }
  for (const uint64_t id : recovery.abandoned()) {
    const Status removed = storage.remove(id);
    if (!removed) log_warning("removing abandoned segment {}: {}", segment_name(id), removed.error().message);
  }
}

}  // namespace

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::open_recovered(LogStorage& storage, Env& env, LogKeys keys, const LogOptions& options,
                                                 const LogStart& start, const FrameSink& sink, OpenMode mode) {
  auto impl = std::make_unique<Impl>(storage, env, std::move(keys), options);
  Recovery recovery(storage, impl->keys, start);
  const bool salvage = mode.lost != nullptr;
  PAILFS_TRY(recovery.examine({.settle = mode.write, .stop_at_damage = mode.stop_at_damage, .salvage = salvage}));
  PAILFS_TRY(recovery.replay(sink));
  if (salvage) PAILFS_TRY(recovery.replay_lost(*mode.lost));
  impl->recovery = recovery.report();
  impl->recovered_end = recovery.end();
  impl->epoch = recovery.next_epoch();
  {
    MutexLock lock(impl->mutex);
    impl->chain = recovery.chain();
    impl->last_seq = recovery.last_seq();
    impl->tail = impl->last_frame_end = impl->durable = recovery.end();
    if (!mode.write) impl->reason = "it was opened read-only";
  }
  if (mode.write) {
    const Position cut = recovery.end();
    SegmentHeader header{.kind = cut.segment == 0 ? SegmentKind::kFirst : SegmentKind::kCut,
                         .previous = cut.segment,
                         .previous_end = cut.offset,
                         .chain = recovery.chain(),
                         .gaps = {}};
    {
      MutexLock no_appends(impl->alloc_mutex);
      impl->next_id = recovery.next_id();
      PAILFS_TRY(impl->begin_segment(std::move(header), 0));
    }
    PAILFS_TRY(impl->sync());
    if (!salvage) clear_away(storage, recovery);
  }
  if (impl->recovery.torn) {
    log_warning("the log was cut at {}: {} bytes behind it were not yet durable", describe(recovery.end()),
                impl->recovery.lost_bytes);
  }
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

Result<std::unique_ptr<Log>> Log::open(LogStorage& storage, Env& env, const Secret& key, std::string_view store_uuid,
                                       const LogOptions& options, const LogStart& start, const FrameSink& sink) {
  PAILFS_TRY(check_options(options, store_uuid, key));
  return open_recovered(storage, env, LogKeys(key, store_uuid), options, start, sink, {.write = true});
}

Result<std::unique_ptr<Log>> Log::open_read_only(LogStorage& storage, Env& env, const Secret& key,
                                                 std::string_view store_uuid, const LogOptions& options,
                                                 const LogStart& start, const FrameSink& sink, bool stop_at_damage) {
  PAILFS_TRY(check_options(options, store_uuid, key));
  return open_recovered(storage, env, LogKeys(key, store_uuid), options, start, sink,
                        {.write = false, .stop_at_damage = stop_at_damage});
}

Result<std::unique_ptr<Log>> Log::salvage(LogStorage& storage, Env& env, const Secret& key, std::string_view store_uuid,
                                          const LogOptions& options, const LogStart& start, const FrameSink& sink,
                                          const FrameSink& lost, bool write) {
  PAILFS_TRY(check_options(options, store_uuid, key));
  return open_recovered(storage, env, LogKeys(key, store_uuid), options, start, sink,
                        {.write = write, .stop_at_damage = false, .lost = &lost});
}

const RecoveryReport& Log::recovery() const { return impl_->recovery; }

Status Log::sync() { return impl_->sync(); }

Position Log::durable() const {
  MutexLock lock(impl_->mutex);
  return impl_->durable;
}

uint64_t Log::unsynced_bytes() const {
  MutexLock lock(impl_->mutex);
  return impl_->unsynced;
}

Position Log::tail() const {
  MutexLock lock(impl_->mutex);
  return impl_->tail;
}

Status Log::read(Position position, std::span<char> out) const {
  const auto got = impl_->storage.read(position.segment, position.offset, out);
  if (!got && got.error().code == Code::kNotFound) {
    return fail(Code::kCorrupt, fmt::format("segment file {} is missing", segment_name(position.segment)));
  }
  if (!got) return std::unexpected(got.error());
  if (*got != out.size()) {
    return fail(Code::kCorrupt, fmt::format("{}: the segment ends before the {} bytes that should be there",
                                            describe(position), out.size()));
  }
  return {};
}

Result<Salt> Log::salt(uint64_t segment) const { return impl_->salt(segment); }

Status Log::walk(uint64_t segment, const std::function<bool(const RecordView&)>& visit) const {
  return impl_->walk(segment, visit);
}

Status Log::verify_segment(uint64_t segment) const { return impl_->verify_segment(segment); }

Status Log::punch(uint64_t segment, uint64_t offset, uint64_t length) {
  PAILFS_TRY(impl_->writable());
  return impl_->storage.punch(segment, offset, length);
}

Status Log::remove_segment(uint64_t segment) {
  PAILFS_TRY(impl_->writable());
  {
    MutexLock lock(impl_->mutex);
    const bool open = segment == impl_->active->id ||
                      std::ranges::any_of(impl_->rolled, [segment](const auto& s) { return s->id == segment; });
    if (open || segment == impl_->last_frame_end.segment) {
      return fail(Code::kBusy, fmt::format("segment {} is still in use by the log", segment_name(segment)));
    }
  }
  PAILFS_TRY(impl_->storage.remove(segment));
  WriterLock lock(impl_->salts_mutex);
  impl_->salts.erase(segment);
  return {};
}

Result<std::vector<uint64_t>> Log::segments() const { return impl_->storage.list(); }

LogStorage& Log::storage() { return impl_->storage; }

Status Log::close() { return impl_->close(); }

bool Log::read_only() const { return !impl_->writable(); }

std::string Log::read_only_reason() const {
  MutexLock lock(impl_->mutex);
  return impl_->reason;
}

}  // namespace pailfs
