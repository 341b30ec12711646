// Transactions, commit frames and group commit.
#include <algorithm>

#include "base/logging.h"
#include "store/impl.h"

namespace pailfs {

namespace {
Range released_range(const Run& run) {
  const uint64_t room = run.room();
  return {run.segment, run.offset + run.stored_length() - room, room};
}
}  // namespace

void Store::Impl::set_failed(const std::string& why) {
  {
    const MutexLock lock(failure_mutex);
    if (failure.empty()) {
      failure = why;
      log_error("the store is read-only until it is opened anew: {}", why);
    }
  }
  failed = true;
  memory_freed.notify_all();
  synced.notify_all();
}

Status Store::Impl::writable() const {
  if (!failed.load(std::memory_order_relaxed)) return {};
  const MutexLock lock(failure_mutex);
  return fail(Code::kReadOnly, fmt::format("the store is read-only: {}", failure));
}

void Store::Impl::publish_tables() {
  auto list = std::make_shared<std::vector<std::shared_ptr<const Memtable>>>();
  list->push_back(active->table);
  for (auto it = waiting.rbegin(); it != waiting.rend(); ++it) list->push_back((*it)->table);
  const MutexLock lock(tables_mutex);
  tables = std::move(list);
}

Status Store::Impl::wait_for_memory() {
  const auto in_use = [this]() REQUIRES(state_mutex) {
    size_t bytes = active->table->memory_bytes();
    for (const GenerationPtr& generation : waiting) bytes += generation->table->memory_bytes();
    return bytes;
  };
  const MutexLock lock(state_mutex);
  if (!options.background || in_use() < options.memtable_limit) return {};
  const int64_t give_up = env.monotonic() + 60'000'000'000;
  while (in_use() >= options.memtable_limit) {
    if (failed) return {};
    want_frame();
    memory_freed.wait_for(state_mutex, std::chrono::milliseconds(200));
    if (env.monotonic() > give_up) {
      return fail(Code::kNoSpace,
                  "changes cannot be moved to the index: the disk below the store is full or does not answer");
    }
  }
  return {};
}

Result<uint64_t> Store::Impl::commit(Transaction&& tx) {
  PAILFS_TRY(writable());
  PAILFS_TRY(wait_for_memory());
  uint64_t released = 0;
  if (!tx.released_.empty()) {
    std::vector<Range> ranges;
    ranges.reserve(tx.released_.size());
    for (const Run& run : tx.released_) {
      ranges.push_back(released_range(run));
      released += ranges.back().length;
    }
    const uint64_t epoch = current_epoch.load(std::memory_order_relaxed);
    tx.put(kStoreScope, internal::key3(internal::kReleased, epoch, release_counter.fetch_add(1)),
           internal::encode_ranges(ranges));
  }
  std::vector<IndexChange> changes;
  changes.reserve(tx.puts_.size() + tx.erased_.size());
  for (Transaction::Put& put : tx.puts_) {
    std::string sealed = seal(put.scope, put.key, put.value);
    if (sealed.empty()) {
      return fail(Code::kNotFound, fmt::format("bucket number {} has no keys: it was deleted", put.scope));
    }
    changes.push_back({std::move(put.key), std::move(sealed)});
  }
  for (std::string& key : tx.erased_) changes.push_back({std::move(key), std::nullopt});

  const MutexLock lock(state_mutex);
  const uint64_t number = ++seq;
  if (active->begun == 0) active->begun = env.monotonic();
  active->table->apply(std::move(changes));
  for (std::string& record : tx.records_) records.emplace_back(number, std::move(record));
  released_since_rotation += released;
  released_waiting += released;
  if (active->table->pending_bytes() >= options.frame_bytes ||
      active->table->memory_bytes() >= options.memtable_bytes) {
    want_frame();
  }
  return number;
}

void Store::Impl::take_frame(bool rotate) {
  std::vector<std::pair<std::string, Memtable::Value>> changes;
  std::vector<std::pair<uint64_t, std::string>> taken;
  PendingFrame frame;
  {
    const MutexLock lock(state_mutex);
    const bool old = active->begun != 0 && env.monotonic() - active->begun >= options.checkpoint_interval;
    const uint64_t released_limit =
        std::clamp<uint64_t>(log_bytes_estimate.load() / 32, uint64_t{8} << 20, uint64_t{256} << 20);
    rotate = active->begun != 0 && (rotate || old || active->table->memory_bytes() >= options.memtable_bytes ||
                                    released_since_rotation >= released_limit);
    changes = active->table->take_changes();
    taken = std::move(records);
    records.clear();
    frame.first_seq = framed_seq + 1;
    frame.last_seq = seq;
    frame.generation = active;
    framed_seq = seq;
    const bool empty = changes.empty() && taken.empty();
    frame.completes = rotate && !empty;
    if (rotate) {
      if (empty) active->complete = true;  // its last frame has been appended
      waiting.push_back(active);
      auto next = std::make_shared<Generation>();
      next->epoch = active->epoch + 1;
      current_epoch = next->epoch;
      active = std::move(next);
      released_since_rotation = 0;
      publish_tables();
    }
    if (empty) return;
  }
  internal::FrameContent content;
  content.time = env.now();
  content.changes.reserve(changes.size());
  for (const auto& [key, value] : changes) {
    content.changes.push_back(
        {key, value == nullptr, value == nullptr ? std::string_view() : std::string_view(*value)});
  }
  for (const auto& [number, record] : taken) content.records.push_back({number, record});
  frame.payload = internal::encode_frame(content);
  pending = std::move(frame);
}

Status Store::Impl::append_pending() {
  PendingFrame& frame = *pending;
  auto info = log->append_frame(frame.first_seq, frame.last_seq, frame.payload);
  if (!info && (info.error().code == Code::kNoSpace || info.error().code == Code::kQuota) && reserve.release()) {
    info = log->append_frame(frame.first_seq, frame.last_seq, frame.payload);
  }
  if (!info) {
    if (log->read_only()) set_failed(log->read_only_reason());
    return std::unexpected(info.error());
  }
  {
    const MutexLock lock(state_mutex);
    Generation& generation = *frame.generation;
    generation.frames.push_back({info->begin.segment, info->begin.offset, info->end.offset - info->begin.offset});
    generation.position = {info->end, info->last_seq, info->chain, generation.epoch};
    if (frame.completes) generation.complete = true;
  }
  appended_seq = frame.last_seq;
  pending.reset();
  return {};
}

Status Store::Impl::write_frame(bool rotate) {
  const MutexLock lock(frame_mutex);
  if (pending) PAILFS_TRY(append_pending());
  take_frame(rotate);
  if (pending) PAILFS_TRY(append_pending());
  return {};
}

uint64_t Store::Impl::durable() const {
  const MutexLock lock(sync_mutex);
  return durable_seq;
}

// Leader and followers: whoever finds no sync under way does one for everybody who waits.
Status Store::Impl::sync(uint64_t target) {
  if (options.repair == RepairMode::kRehearse) return {};
  sync_mutex.lock();
  while (durable_seq < target) {
    if (syncing) {
      synced.wait(sync_mutex);
      continue;
    }
    if (auto ok = writable(); !ok) {
      sync_mutex.unlock();
      return ok;
    }
    syncing = true;
    sync_mutex.unlock();
    Status status = write_frame(false);
    const uint64_t covered = appended_seq.load();
    if (status) {
      status = log->sync();
      if (!status) set_failed(status.error().message);
    }
    sync_mutex.lock();
    syncing = false;
    if (status) durable_seq = std::max(durable_seq, covered);
    synced.notify_all();
    if (!status) {
      sync_mutex.unlock();
      return status;
    }
  }
  sync_mutex.unlock();
  return {};
}

Status Store::Impl::sync_all() {
  uint64_t target = 0;
  {
    const MutexLock lock(state_mutex);
    target = seq;
  }
  return sync(target);
}

}  // namespace pailfs
