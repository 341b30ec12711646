// Inside the store: state and steps that its files share. Only src/store includes this.
//
// Locks, in this order: reclaim_mutex, frame_mutex, state_mutex, tables_mutex. None is held across a sync of the log or
// of the index, but for reclaim_mutex, which only reclaiming takes, and frame_mutex, which orders frames and is not
// held across a sync either.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/mutex.h"
#include "index/overlay.h"
#include "store/index_copy.h"
#include "store/internal_keys.h"
#include "store/key_cache.h"
#include "store/space_reserve.h"
#include "store/store.h"

namespace pailfs {

using internal::IndexPosition;
using internal::Range;
using internal::SegmentRecord;

// A memtable and what its checkpoint needs to know.
struct Generation {
  std::shared_ptr<Memtable> table = std::make_shared<Memtable>();
  uint64_t epoch = 0;
  int64_t begun = 0;          // monotonic ns of the first change
  std::vector<Range> frames;  // room of the frames that it came from: released when it is checkpointed
  // Set when the generation takes no more changes:
  bool complete = false;
  IndexPosition position;  // of its last frame
};
using GenerationPtr = std::shared_ptr<Generation>;

struct Store::Impl {
  Impl(Env& e, std::unique_ptr<Keyring> k, std::unique_ptr<Index> i, std::unique_ptr<LogStorage> s, std::string id,
       const StoreOptions& o, std::string reserve_path);
  ~Impl();

  Env& env;
  std::unique_ptr<FileLock> store_lock;
  const std::unique_ptr<Keyring> keyring;
  const std::unique_ptr<Index> index;
  const std::unique_ptr<LogStorage> storage;
  const std::string uuid;
  const StoreOptions options;
  std::string directory;  // empty where there is none (tests)
  SpaceReserve reserve;
  mutable KeyCache ciphers;
  std::unique_ptr<Log> log;
  std::unique_ptr<IndexCopy> copy;  // null in a store that is open read-only, and where there is no directory for it

  // --- sealing of values (values.cc)
  std::string value_salt;  // random per start
  std::atomic<uint64_t> value_counter = 0;
  std::string seal(Scope scope, std::string_view key, std::string_view value);
  Result<std::string> unseal(Scope scope, std::string_view key, std::string_view sealed) const;

  // --- commits (commit.cc)
  mutable Mutex state_mutex;
  CondVar memory_freed;
  GenerationPtr active GUARDED_BY(state_mutex);
  std::deque<GenerationPtr> waiting GUARDED_BY(state_mutex);  // complete, oldest first
  uint64_t seq GUARDED_BY(state_mutex) = 0;
  uint64_t framed_seq GUARDED_BY(state_mutex) = 0;  // last transaction that a frame has taken
  std::vector<std::pair<uint64_t, std::string>> records GUARDED_BY(state_mutex);
  uint64_t released_since_rotation GUARDED_BY(state_mutex) = 0;
  std::atomic<uint64_t> released_waiting = 0;  // bytes in released ranges not yet turned into dead ones (estimate)
  std::atomic<uint64_t> release_counter = 0;
  std::atomic<uint64_t> current_epoch = 0;       // of the active generation
  std::atomic<uint64_t> log_bytes_estimate = 0;  // room the segments occupy, as of the last look

  mutable Mutex tables_mutex;  // newest first: the active one, then the waiting ones
  std::shared_ptr<const std::vector<std::shared_ptr<const Memtable>>> tables GUARDED_BY(tables_mutex);
  void publish_tables() REQUIRES(state_mutex);

  Result<uint64_t> commit(Transaction&& transaction);
  Status wait_for_memory();

  Mutex frame_mutex;
  struct PendingFrame {
    std::string payload;
    uint64_t first_seq = 0;
    uint64_t last_seq = 0;
    GenerationPtr generation;
    bool completes = false;  // the generation takes no more changes after this frame
  };
  std::optional<PendingFrame> pending GUARDED_BY(frame_mutex);  // taken, and not yet appended for want of space
  // Appends a frame with everything committed so far. `rotate`: the memtable is handed to the checkpoint after it.
  Status write_frame(bool rotate) EXCLUDES(frame_mutex);
  void take_frame(bool rotate) REQUIRES(frame_mutex);
  Status append_pending() REQUIRES(frame_mutex);

  std::atomic<uint64_t> appended_seq = 0;  // last transaction in an appended frame

  mutable Mutex sync_mutex;
  CondVar synced;
  bool syncing GUARDED_BY(sync_mutex) = false;
  uint64_t durable_seq GUARDED_BY(sync_mutex) = 0;
  Status sync(uint64_t target);
  Status sync_all();
  uint64_t durable() const;

  mutable Mutex failure_mutex;
  std::string failure GUARDED_BY(failure_mutex);
  std::atomic<bool> failed = false;
  void set_failed(const std::string& why);
  Status writable() const;

  // --- checkpoints (checkpoint.cc)
  mutable Mutex checkpoint_mutex;  // one at a time
  IndexPosition index_position GUARDED_BY(checkpoint_mutex);
  std::atomic<uint64_t> completed_epoch = 0;
  std::atomic<uint64_t> checkpoints = 0;
  // Positions of the last two checkpoints: segments below both may be rewritten.
  std::atomic<uint64_t> quiet_segment = 0;
  uint64_t last_checkpoint_segment GUARDED_BY(checkpoint_mutex) = 0;
  Status checkpoint_waiting();  // all complete generations
  Status checkpoint_one(const GenerationPtr& generation) REQUIRES(checkpoint_mutex);
  Status apply_with_reserve(const std::vector<IndexChange>& changes);
  // What ends a checkpoint: its frames' room, and the position.
  void finish_batch(const Generation& generation, const IndexPosition& position, const std::vector<Range>& frames,
                    std::vector<IndexChange>& batch);
  Status checkpoint_everything();

  // --- content (content.cc)
  Result<Run> append(Scope scope, std::string_view plaintext);
  // Starts a sync when much is unsynced, and waits while it is too much.
  void pace();
  Status read(Scope scope, const Run& run, uint32_t skip, std::span<char> out) const;
  // Where the stored bytes of a birth range are now, in order.
  Result<std::vector<Range>> locate(const Range& birth) const;
  Result<Salt> salt_of(uint64_t segment) const;

  // --- reclaiming (reclaim.cc, rewrite.cc)
  mutable Mutex reclaim_mutex;
  mutable SharedMutex segments_mutex;
  std::unordered_map<uint64_t, SegmentRecord> segments GUARDED_BY(segments_mutex);
  bool is_moved(uint64_t segment) const;
  mutable std::atomic<unsigned> guard_epoch = 0;
  mutable std::array<std::atomic<int64_t>, 2> guards{};
  void wait_for_readers();
  Status load_segments();
  struct Reclaimed {
    uint64_t given_back = 0;  // bytes
    bool more = false;        // there may be more to rewrite
  };
  Result<Reclaimed> reclaim_some();
  Result<uint64_t> reclaim();
  int64_t copy_retry_at GUARDED_BY(reclaim_mutex) = 0;  // monotonic ns
  Status write_copy_base() REQUIRES(reclaim_mutex);
  // So that it leads to what is committed now.
  Status make_copy_whole() REQUIRES(reclaim_mutex);
  Status renew_copy() REQUIRES(reclaim_mutex);  // writes the base of the index copy anew when it is time
  // One pass over what was released in epochs up to `bound`; the bytes that are dead now and were not before.
  Result<uint64_t> settle_released(uint64_t bound) REQUIRES(reclaim_mutex);
  Result<uint64_t> add_dead(uint64_t segment, std::vector<Range> ranges, Transaction& tx) REQUIRES(reclaim_mutex);
  Result<uint64_t> rewrite_segments(uint64_t at_most) REQUIRES(reclaim_mutex);
  class Rewriting;
  std::set<uint64_t> unmovable GUARDED_BY(reclaim_mutex);  // segments that the medium does not give whole
  Status rewrite_segment(uint64_t segment) REQUIRES(reclaim_mutex);
  Status remove_rewritten();
  // As tx.release(), of room that is no run.
  void release_ranges(const std::vector<Range>& ranges, Transaction& tx);
  Result<std::map<uint64_t, uint64_t>> dead_ranges(uint64_t segment) const;
  Result<std::map<uint64_t, uint64_t>> dead_beside(uint64_t segment, const std::vector<Range>& ranges) const;
  // Bytes of a segment of `size` bytes that are not known to be dead.
  uint64_t live_bytes(uint64_t segment, uint64_t size) const;
  Status check(bool deep, const CheckSink& report, const std::function<Status()>& proceed) const;
  Result<std::vector<uint64_t>> segments_to_check() const;
  Result<std::optional<LiveRoom>> live_room() const EXCLUDES(reclaim_mutex, checkpoint_mutex);
  Result<uint64_t> waiting_room(const std::vector<uint64_t>& present) const REQUIRES(checkpoint_mutex);
  Status check_places(const CheckSink& report) const;
  Status verify_segment(uint64_t segment, const CheckSink& report) const EXCLUDES(reclaim_mutex);
  bool is_whole(uint64_t segment) const;
  void wait_for_writers(uint64_t segment) const;
  Result<std::string> copy_damage(const std::function<Status()>& proceed) const REQUIRES(reclaim_mutex);
  Status check_copy(const std::function<void(std::string)>& report, const std::function<Status()>& proceed) const
      EXCLUDES(reclaim_mutex);

  // --- repair (repair.cc)
  std::string log_damage;  // what a salvage of the log went around
  LostChanges lost_changes;
  std::set<uint64_t> damaged_segments;  // found by RoomRepair
  Status note_lost_frame(const FrameInfo& info, std::string_view payload);
  class TableRepair;
  class RoomRepair;
  Status finish_repair() EXCLUDES(reclaim_mutex);

  // --- threads (threads.cc)
  Mutex thread_mutex;
  CondVar wake_commit;
  CondVar wake_checkpoint;
  CondVar wake_reclaim;
  bool stopping GUARDED_BY(thread_mutex) = false;
  std::atomic<bool> stop_requested = false;  // for long passes
  bool frame_wanted GUARDED_BY(thread_mutex) = false;
  bool checkpoint_wanted GUARDED_BY(thread_mutex) = false;
  std::vector<std::thread> threads;
  void start_threads();
  void stop_threads();
  void commit_loop();
  void checkpoint_loop();
  void reclaim_loop();
  Status advance_epoch();  // a checkpoint also when nothing was changed
  void want_frame();
  void want_checkpoint();

  // --- life (store.cc)
  Result<LogStart> start_of_log();
  Status recover();
  Status history_is_lost(std::string_view why) const;
  Status open_copy();
  // The last transaction up to which the index says that its copy is whole; 0: of none.
  Result<uint64_t> copied() const;
  Result<bool> copy_is_current() const;
  bool copy_is_missing() const;
  bool closed = false;
};

}  // namespace pailfs
