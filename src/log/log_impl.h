// The state of an open log. Internal: the functions are in append.cc (records), rolling.cc (segments and syncing) and
// verify.cc (closed segments).
//
// Appending in one paragraph: a record gets its place and a ticket under `alloc_mutex`; its bytes are hashed and
// written without any lock; then it completes. `pending` holds the records from the oldest incomplete one on, in stream
// order. Only whole prefixes leave it, so a frame, which takes a ticket like any record, may be written once it stands
// at the front, and `entries` then holds exactly the records that it covers.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "log/format.h"
#include "log/log.h"

namespace pailfs {

// A segment of this run. The fields from `writer` on are guarded by Log::Impl::mutex; who has a place in the segment
// that has not completed may use the writer without it, since only a segment with none in flight loses its writer.
struct OpenSegment {
  uint64_t id = 0;
  Salt salt{};
  std::unique_ptr<Aead> frame_cipher;
  std::shared_ptr<SegmentWriter> writer;
  uint64_t in_flight = 0;     // records with a place here that have not completed
  bool dirty = true;          // something completed that no sync has covered
  uint64_t written_back = 0;  // write-out was started up to here
  uint64_t end = 0;           // where the stream ends in it, once it is rolled away
};

struct Log::Impl {
  Impl(LogStorage& storage, Env& env, LogKeys keys, const LogOptions& options);

  // A record's place.
  struct Slot {
    std::shared_ptr<OpenSegment> segment;
    Position begin;
    uint64_t total = 0;  // bytes, header included
    uint64_t ticket = 0;
  };
  enum class Outcome {
    kRecord,  // data or padding: covered by the next frame's digest
    kFrame,
    kGap,  // nothing readable is there
  };
  struct Pending {
    Position begin;
    uint64_t total = 0;
    bool done = false;
    Outcome outcome = Outcome::kRecord;
    std::array<char, kRecordHeaderSize> header{};
  };

  // append.cc
  Result<Slot> place(uint64_t total) EXCLUDES(alloc_mutex, mutex);
  Result<Slot> try_place(uint64_t total) REQUIRES(alloc_mutex) EXCLUDES(mutex);
  Status write_record(const Slot& slot, std::span<char> record) EXCLUDES(mutex);
  void abandon(const Slot& slot) EXCLUDES(mutex);
  void complete(const Slot& slot, Outcome outcome, std::string_view header) EXCLUDES(mutex);
  Status write_failed(const Slot& slot, Error error) EXCLUDES(mutex);
  Result<FrameInfo> append_frame(uint64_t first_seq, uint64_t last_seq, std::string_view payload)
      EXCLUDES(alloc_mutex, mutex);
  // False: the slot cannot hold a frame and was given up.
  Result<bool> wait_to_front(const Slot& slot, FrameClear& clear) EXCLUDES(mutex);

  // rolling.cc
  // Creates a segment with room for a record of `first_total` bytes and makes it the active one.
  Status begin_segment(SegmentHeader header, uint64_t first_total) REQUIRES(alloc_mutex) EXCLUDES(mutex);
  Result<std::shared_ptr<OpenSegment>> create_segment(SegmentHeader& header, uint64_t first_total) REQUIRES(alloc_mutex)
      EXCLUDES(mutex);
  Status roll(uint64_t first_total) REQUIRES(alloc_mutex) EXCLUDES(mutex);
  // Guarantees room up to `end` in the active segment, and some more if that is to be had.
  Status reserve_room(SegmentWriter& writer, uint64_t end) REQUIRES(alloc_mutex);
  Status sync() EXCLUDES(alloc_mutex, mutex);
  // Writes zeros where the next records will go.
  void zero_ahead() EXCLUDES(alloc_mutex, mutex);
  Status close() EXCLUDES(alloc_mutex, mutex);
  Status writable() const EXCLUDES(mutex);
  void go_read_only(std::string reason) EXCLUDES(mutex);

  // verify.cc
  struct Extent {
    SegmentHeader header;
    uint64_t end = 0;
    std::vector<Gap> gaps;
  };
  // What a frame's chain and data digest refer to.
  struct Context {
    bool known = false;
    Digest chain{};
    std::string entries;
  };
  Result<Extent> extent(uint64_t segment) const EXCLUDES(mutex);
  Status walk(uint64_t segment, const std::function<bool(const RecordView&)>& visit) const;
  Result<Context> context_at_begin(const SegmentHeader& header) const;
  Status verify_segment(uint64_t segment) const;
  Result<Salt> salt(uint64_t segment) const;

  LogStorage& storage;
  Env& env;
  const LogKeys keys;
  const LogOptions options;
  RecoveryReport recovery;
  Position recovered_end;  // of the good stream when the log was opened
  uint32_t epoch = 0;

  mutable SharedMutex salts_mutex;
  mutable std::map<uint64_t, Salt> salts GUARDED_BY(salts_mutex);

  // Held while places are handed out, also while the medium makes room or a segment begins: whoever needs a place has
  // to wait for that. Taken before `mutex`.
  Mutex alloc_mutex;
  uint64_t next_id GUARDED_BY(alloc_mutex) = 1;
  uint64_t room_end GUARDED_BY(alloc_mutex) = 0;  // reserved in the active segment

  uint64_t zeroed_segment GUARDED_BY(alloc_mutex) = 0;
  uint64_t zeroed_end GUARDED_BY(alloc_mutex) = 0;

  // Never held across I/O.
  mutable Mutex mutex ACQUIRED_AFTER(alloc_mutex);
  CondVar progress;  // a record left `pending`, or the log became read-only
  // Replaced, and `tail` moved, only with alloc_mutex held too. Null in a log that was opened read-only.
  std::shared_ptr<OpenSegment> active GUARDED_BY(mutex);
  std::vector<std::shared_ptr<OpenSegment>> rolled GUARDED_BY(mutex);  // rolled away, not yet synced; ascending
  Position tail GUARDED_BY(mutex);
  std::deque<Pending> pending GUARDED_BY(mutex);
  uint64_t first_ticket GUARDED_BY(mutex) = 0;  // of pending.front()
  std::string entries GUARDED_BY(mutex);    // digest entries of the records that left `pending` since the last frame
  std::vector<Gap> gaps GUARDED_BY(mutex);  // that no segment header lists yet
  uint64_t gaps_listed_in GUARDED_BY(mutex) = 0;  // the last segment whose header lists gaps
  Digest chain GUARDED_BY(mutex){};
  uint64_t last_seq GUARDED_BY(mutex) = 0;
  Position last_frame_end GUARDED_BY(mutex);
  Position durable GUARDED_BY(mutex);
  uint64_t unsynced GUARDED_BY(mutex) = 0;  // bytes
  bool failed GUARDED_BY(mutex) = false;    // read-only
  std::string reason GUARDED_BY(mutex);

  int64_t last_sync = 0;  // of sync()'s caller: Env::monotonic() when the last one ended

  // Of append_frame()'s caller: digest entries of records since the last frame that was written.
  std::string frame_entries;
};

}  // namespace pailfs
