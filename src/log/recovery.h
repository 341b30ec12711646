// Finding out what the log holds: which segments form the stream, how far it is whole, and what behind that was
// promised to be durable. Internal to the log.
//
// Two kinds of damage look alike at the place itself: a torn tail (the machine stopped while it was being written) and
// damage to what was acknowledged. They are told apart by what stands behind: every frame names a position before which
// all was durable. So the stream is walked to the first damage, the rest is searched for frames that make such a claim,
// and only then is anything replayed.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "log/format.h"
#include "log/log.h"
#include "log/segment_reader.h"

namespace pailfs {

class Recovery {
 public:
  Recovery(LogStorage& storage, const LogKeys& keys, const LogStart& start);

  struct Mode {
    bool settle = true;           // make what can be read durable first; the caller may write
    bool stop_at_damage = false;  // instead of failing with kCorrupt
    // For a repair: goes on behind damage wherever a frame that verifies follows on the last one, and what cannot be
    // followed to is no failure.
    bool salvage = false;
  };
  // Everything but the replay. Changes nothing in the log.
  Status examine(Mode mode);
  // Hands the frames that were found good to the sink, in order. After examine().
  Status replay(const Log::FrameSink& sink);

  // The end of the good stream: of its last frame, or `start`. Zero if there is nothing.
  Position end() const { return good_.end; }
  Digest chain() const { return good_.chain; }
  uint64_t last_seq() const { return good_.last_seq; }
  // Beyond every segment that the index may refer to, also where the last files are gone.
  uint64_t next_id() const { return std::max(highest_id_, start_.position.segment) + 1; }
  uint32_t next_epoch() const { return highest_epoch_ + 1; }
  const RecoveryReport& report() const { return report_; }
  // Segments of the good stream with room behind their end: id and end.
  const std::vector<std::pair<uint64_t, uint64_t>>& unsealed() const { return unsealed_; }
  // Frames of a salvage that verify and follow on nothing: what was lost with the damage before them.
  Status replay_lost(const Log::FrameSink& sink) const;
  // Segments from the start on that are not in the good stream.
  const std::vector<uint64_t>& abandoned() const { return abandoned_; }

 private:
  // A segment of the stream and the part of it that counts.
  struct Part {
    SegmentHeader header;
    uint64_t begin = kSegmentHeaderSize;
    uint64_t end = 0;
    std::vector<Gap> gaps;
  };
  struct Mark {  // the stream as of the end of a frame
    Position end;
    Digest chain{};
    uint64_t last_seq = 0;
  };
  struct Region {  // where frames may stand that cannot be followed to
    uint64_t segment;
    uint64_t from;
    uint64_t to;
  };
  struct Damage {
    Position position;
    std::string what;
  };

  Status load();
  Status link();
  Status link_down_from(uint64_t id);
  Status mark_unreachable(uint64_t segment);
  Status bound_parts();
  Status survey();
  Status survey_part(const Part& part);
  Status accept(const RawRecord& record, const Aead& cipher);
  void note_durable(Position position);
  void note_damage(Position position, std::string what);
  Status search_behind_damage(size_t damaged_part);
  // salvage.cc
  Status replay_salvaged(const Log::FrameSink& sink);
  Status link_salvage();
  Status survey_salvage();
  Status salvage_part(const Part& part);
  using Wanted = std::function<bool(const FrameClear&)>;
  Result<std::optional<RawRecord>> find_frame(const Part& part, const Aead& cipher, uint64_t from,
                                              const Wanted& wanted) const;
  Status replay_frame(const RawRecord& record, const Aead& cipher, const Log::FrameSink& sink) const;
  Status verify_unsynced_data();
  bool corrupt() const { return forged_ || missing_ || durable_ > good_.end; }
  std::unexpected<Error> corruption() const;
  size_t good_parts() const;
  Status account_for_tail();

  LogStorage& storage_;
  const LogKeys& keys_;
  const LogStart start_;
  RecoveryReport report_;
  uint64_t highest_id_ = 0;
  uint32_t highest_epoch_ = 0;

  std::map<uint64_t, SegmentHeader> headers_;  // that verify, from the start's segment on
  std::map<uint64_t, std::string> broken_;     // segments from there on whose header does not; why
  std::vector<Part> parts_;                    // the stream, in order
  std::vector<Region> unreachable_;            // behind segments whose header is broken

  // The survey's state.
  Mark walked_;                          // the end of the last whole frame
  Mark good_;                            // the end of the last frame that is also known to have its data
  Position durable_;                     // the furthest that any frame calls durable
  std::string entries_;                  // digest entries of the records since walked_
  std::deque<Mark> unproven_;            // frames beyond durable_
  std::deque<RawRecord> unproven_data_;  // data records beyond durable_
  std::optional<Damage> damage_;         // the first
  bool forged_ = false;                  // the damage cannot come from a crash
  bool salvage_ = false;
  std::vector<RawRecord> salvaged_;     // the frames that a salvage accepted, in order
  std::optional<std::string> missing_;  // a segment that the stream needs
  std::vector<std::pair<uint64_t, uint64_t>> unsealed_;
  std::vector<uint64_t> abandoned_;
};

}  // namespace pailfs
