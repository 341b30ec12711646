// Moving durable memtables into the index, in bounded batches, the position in the last one.
#include "base/logging.h"
#include "store/impl.h"

namespace pailfs {

namespace {
constexpr size_t kBatchChanges = 8192;
constexpr size_t kBatchBytes = size_t{8} << 20;
}  // namespace

Status Store::Impl::apply_with_reserve(const std::vector<IndexChange>& changes) {
  Status status = index->apply(changes);
  if (!status && (status.error().code == Code::kNoSpace || status.error().code == Code::kQuota) && reserve.release()) {
    status = index->apply(changes);
  }
  if (!status && status.error().code != Code::kNoSpace && status.error().code != Code::kQuota) {
    set_failed(status.error().message);
  }
  return status;
}

void Store::Impl::finish_batch(const Generation& generation, const IndexPosition& position,
                               const std::vector<Range>& frames, std::vector<IndexChange>& batch) {
  if (!frames.empty()) {
    std::string key = internal::key3(internal::kReleased, generation.epoch, release_counter.fetch_add(1));
    for (const Range& frame : frames) released_waiting += frame.length;
    std::string sealed = seal(kStoreScope, key, internal::encode_ranges(frames));
    batch.push_back({std::move(key), std::move(sealed)});
  }
  const std::string key = internal::key1(internal::kPosition);
  batch.push_back({key, seal(kStoreScope, key, internal::encode_position(position))});
}

Status Store::Impl::checkpoint_one(const GenerationPtr& generation) {
  IndexPosition position;
  std::vector<Range> frames;
  {
    const MutexLock lock(state_mutex);
    position = generation->position;
    frames = generation->frames;
  }
  PAILFS_TRY(sync(position.last_seq));  // only what is durable in the log may be in the index

  std::vector<IndexChange> batch;
  size_t bytes = 0;
  Status status;
  generation->table->for_each([&](const std::string& key, const Memtable::Value& value) {
    if (!status) return;
    batch.push_back({key, value == nullptr ? std::nullopt : std::optional<std::string>(*value)});
    bytes += key.size() + (value == nullptr ? 0 : value->size());
    if (batch.size() < kBatchChanges && bytes < kBatchBytes) return;
    if (copy != nullptr) copy->add(batch);
    status = apply_with_reserve(batch);
    batch.clear();
    bytes = 0;
  });
  PAILFS_TRY(status);
  finish_batch(*generation, position, frames, batch);
  if (copy != nullptr) {
    // Before the index says so: what the index holds, its copy holds too.
    copy->add(batch);
    copy->end_checkpoint(index_position.last_seq, position.last_seq);
    if (copy->whole()) {
      const std::string key = internal::key1(internal::kCopied);
      Encoder value;
      value.u64(position.last_seq);
      batch.push_back({key, seal(kStoreScope, key, value.str())});
    }
  }
  PAILFS_TRY(apply_with_reserve(batch));

  index_position = position;
  quiet_segment = last_checkpoint_segment;
  last_checkpoint_segment = position.position.segment;
  completed_epoch = generation->epoch;
  ++checkpoints;
  const MutexLock lock(state_mutex);
  waiting.pop_front();
  publish_tables();
  memory_freed.notify_all();
  return {};
}

Status Store::Impl::checkpoint_waiting() {
  const MutexLock lock(checkpoint_mutex);
  while (true) {
    GenerationPtr generation;
    {
      const MutexLock state(state_mutex);
      if (waiting.empty() || !waiting.front()->complete) return {};
      generation = waiting.front();
    }
    PAILFS_TRY(checkpoint_one(generation));
  }
}

Status Store::Impl::checkpoint_everything() {
  if (options.repair == RepairMode::kRehearse) return {};
  PAILFS_TRY(writable());
  PAILFS_TRY(write_frame(true));
  return checkpoint_waiting();
}

}  // namespace pailfs
