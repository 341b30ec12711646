// The log: one stream of records over a sequence of append-only segments. Data records hold encrypted units (the store
// encrypts them), frame records hold commits. The byte format is in pailfs-format(5), section "Segments".
//
// A segment is written front to back by one process in one run and never reopened for appending. Every start begins a
// new segment; its header names where the stream before it ends, so that a torn tail is cut once and for ever.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "crypto/crypto.h"
#include "io/env.h"
#include "log/log_storage.h"

namespace pailfs {

// A byte in the log. Segment ids start at 1 and only grow.
struct Position {
  uint64_t segment = 0;
  uint64_t offset = 0;
  auto operator<=>(const Position&) const = default;
};

inline constexpr size_t kSegmentHeaderSize = 4096;
inline constexpr size_t kRecordHeaderSize = 32;
inline constexpr size_t kSaltSize = 32;
using Salt = std::array<char, kSaltSize>;

// What a commit frame says. `payload` is the store's business (changes and change records), sealed on disk.
struct FrameInfo {
  Position begin;          // of the record header
  Position end;            // first byte after the frame
  uint64_t first_seq = 0;  // of the transactions in it
  uint64_t last_seq = 0;
  Digest chain{};  // hash over this frame and, through it, all frames before
};

// From where to replay: the end of the last frame that the index holds (FrameInfo::end, last_seq and chain). A zero
// segment: from the beginning. The segment of `position` must still be there, those before it need not.
struct LogStart {
  Position position;
  uint64_t last_seq = 0;
  Digest chain{};
};

struct LogOptions {
  uint64_t segment_size = uint64_t{64} << 20;   // a segment is closed when the next record would pass this (bytes)
  uint64_t reserve_step = uint64_t{4} << 20;    // room is reserved on the medium in steps of this (bytes)
  uint64_t writeback_step = uint64_t{1} << 20;  // write-out is started after this much (bytes)
  uint32_t writer = 1;                          // writer id in segment headers
};

struct RecoveryReport {
  uint64_t frames = 0;      // replayed
  uint64_t bytes = 0;       // of the log that were walked
  bool torn = false;        // a tail was cut
  Position cut;             // where
  uint64_t lost_bytes = 0;  // non-zero bytes behind the cut: what was appended and not yet durable
  std::string damage;       // that a salvage went around; empty: none
};

struct LogKeys;      // format.h
struct OpenSegment;  // log_impl.h

class Log {
 public:
  using FrameSink = std::function<Status(const FrameInfo&, std::string_view payload)>;

  // Replays every frame after `start` into `sink`, in order; cuts a torn tail; begins a new segment whose header names
  // the cut, and syncs it, before it returns. Idempotent: may be killed at any point and run again. What was replayed
  // is durable when it returns. The sink is called only when the whole log has been judged.
  // kCorrupt: something before a position that a frame calls durable is missing or does not verify, a frame does not
  // verify under `key` or does not follow on `start`, or the log ends before `start`; nothing was written and, but for
  // damage that happens meanwhile, nothing was replayed. The message names the segment file and the offset.
  // kTooNew: a newer pailfs wrote a segment. kNoSpace, kQuota: no room for the new segment (one block).
  // `key` is the log's key (frames and headers), `store_uuid` 16 bytes; storage and env outlive the log.
  static Result<std::unique_ptr<Log>> open(LogStorage& storage, Env& env, const Secret& key,
                                           std::string_view store_uuid, const LogOptions& options,
                                           const LogStart& start, const FrameSink& sink);
  // As open(), but writes nothing: for a store that is examined or served read-only. With `stop_at_damage` replays up
  // to the damage instead of failing with kCorrupt.
  static Result<std::unique_ptr<Log>> open_read_only(LogStorage& storage, Env& env, const Secret& key,
                                                     std::string_view store_uuid, const LogOptions& options,
                                                     const LogStart& start, const FrameSink& sink, bool stop_at_damage);
  // For a repair, of a log on which open() is kCorrupt: as open(), but goes on behind damage as long as the next frame
  // that verifies follows on the last one, and ends the log where none does. `lost` gets the frames behind that end:
  // they verify, and what they changed rests on frames that are gone. Removes nothing. Without `write`: changes nothing
  // either, and the log is open read-only.
  static Result<std::unique_ptr<Log>> salvage(LogStorage& storage, Env& env, const Secret& key,
                                              std::string_view store_uuid, const LogOptions& options,
                                              const LogStart& start, const FrameSink& sink, const FrameSink& lost,
                                              bool write);
  ~Log();

  const RecoveryReport& recovery() const;

  // --- Data. Positions are handed out in order; any number of threads write at once.

  // Room for one data record with `length` payload bytes. Destroying a reservation that was not written abandons it:
  // the record becomes padding. Until it is written or destroyed, no frame is written and no more than one further
  // segment is begun: a thread that holds one must not call append_frame(), nor reserve() for long.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();
    Position payload() const { return payload_; }  // of the first payload byte: the birth of the first unit in it
    const Salt& salt() const { return salt_; }     // of the segment: unit keys are derived with it

   private:
    friend class Log;
    void abandon();
    Log* log_ = nullptr;
    std::shared_ptr<OpenSegment> segment_;
    Position payload_;
    uint32_t length_ = 0;
    uint64_t ticket_ = 0;
    Salt salt_{};
  };
  // May begin a new segment. kNoSpace or kQuota: nothing was handed out. kReadOnly after a failure.
  // length: 1 to 8 MiB.
  Result<Reservation> reserve(size_t length);
  // `record` is kRecordHeaderSize bytes of room, filled in here, followed by the payload of exactly the reserved
  // length. Starts write-out early. On failure the error is the caller's, and an EIO makes the log read-only; ENOSPC
  // here (on a medium that cannot reserve) abandons the record and closes the segment.
  Status write(Reservation&& reservation, std::span<char> record);

  // --- Commits. One caller of append_frame() at a time, and one of sync(); the two may overlap.

  // Waits for the writes of all reservations made so far, then appends a frame. Not durable until sync().
  // kNoSpace or kQuota: nothing was appended, may be tried again. first_seq must be beyond the last_seq before;
  // last_seq = first_seq - 1 is a frame without transactions. The payload may have up to 512 MiB.
  Result<FrameInfo> append_frame(uint64_t first_seq, uint64_t last_seq, std::string_view payload);
  // One fdatasync of the active segment (and before it of older ones that still need it). When it succeeds, all that
  // was appended before the call is durable. Any failure makes the log read-only for good.
  Status sync();
  // The end of the last frame that is known to be durable.
  Position durable() const;
  // Bytes appended (data and frames) that no sync has covered yet.
  uint64_t unsynced_bytes() const;
  // Where the next record goes.
  Position tail() const;

  // --- Reading.

  // Reads exactly out.size() bytes; kCorrupt if the segment is missing or shorter. Reads what write() has completed,
  // also before it is durable.
  Status read(Position position, std::span<char> out) const;
  // The salt in the header of a segment, verified. Cached. kCorrupt if missing or not verifying.
  Result<Salt> salt(uint64_t segment) const;

  // --- Reclaiming; only on segments below the active one, except punch().

  struct RecordView {
    Position begin;       // of the record header
    uint32_t length = 0;  // payload bytes
    char type = 0;        // 'D' data, 'F' frame, 'P' padding
  };
  // Walks the record headers of one closed segment. The callback returns false to stop.
  Status walk(uint64_t segment, const std::function<bool(const RecordView&)>& visit) const;
  // Verifies, without any bucket's key, the digest of every data record and the frame chain of one closed segment.
  // kCorrupt names the first damage. A payload that holds whole blocks of zeros counts as punched, not as damaged.
  Status verify_segment(uint64_t segment) const;
  // Gives the range back to the medium (whole blocks; see LogStorage). Only what lies before the index's position may
  // go. Where the range holds record headers, walk() and verify_segment() of that segment fail from then on.
  Status punch(uint64_t segment, uint64_t offset, uint64_t length);
  // kBusy: the log needs it still (active, not yet synced, or holding the last frame). The segment that the index's
  // position names must stay too: see LogStart.
  Status remove_segment(uint64_t segment);
  Result<std::vector<uint64_t>> segments() const;  // ascending, the active one last
  LogStorage& storage();

  // Durable end: seals the active segment to its length. Called on a clean shutdown after the last sync().
  Status close();
  bool read_only() const;
  std::string read_only_reason() const;

 private:
  struct Impl;
  struct OpenMode {
    bool write = false;
    bool stop_at_damage = false;
    const FrameSink* lost = nullptr;  // of a salvage
  };
  explicit Log(std::unique_ptr<Impl> impl);
  static Result<std::unique_ptr<Log>> open_recovered(LogStorage& storage, Env& env, LogKeys keys,
                                                     const LogOptions& options, const LogStart& start,
                                                     const FrameSink& sink, OpenMode mode);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pailfs
