// The scrub: reads everything that the store holds, slowly and over and over, so that what the medium loses is found
// while there are copies of it elsewhere, and not by whoever needs it years later.
//
// A pass goes through the index in the order of its keys and opens every value; where a value has extents, it reads
// their units. So it meets every record and every live unit, and one key says how far it is. What it finds lost
// becomes a change record (Action::kObjectLost), a line in the log, and a finding (scrub_findings.h), which stays as
// long as something shows what was lost, and it is lost still.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "core/core.h"

namespace pailfs {

struct ScrubOptions {
  bool automatic = true;              // false: a pass begins only when asked for
  uint64_t rate = uint64_t{8} << 20;  // bytes per second; while the store is in use an eighth of it
  int64_t interval = int64_t{30} * 24 * 3600 * 1'000'000'000;  // ns from the end of a pass to the next
};

// Something that was lost: a version of a file in part or whole, or a record.
struct LostObject {
  std::vector<std::string> paths;  // names of the file, or the one that it had; empty: no file is touched
  std::string version;             // as in .versions; empty: not sealed yet, or not known
  bool current = false;            // the file's content as it is now
  uint64_t bytes = 0;              // of it
  std::string why;
  Time found = 0;
};

struct ScrubStatus {
  ScrubOptions options;
  Time begun = 0;                // of the pass under way; 0: there is none
  uint64_t verified = 0;         // bytes, by it
  uint64_t expected = 0;         // bytes that it will have verified, roughly
  Time completed = 0;            // end of the last complete pass; 0: there was none
  uint64_t completed_bytes = 0;  // that it verified
  uint64_t lost_count = 0;
  uint64_t lost_records = 0;         // of them, records of the index
  std::set<uint64_t> lost_segments;  // in which the content of the others was born
  std::vector<LostObject> lost;      // the first 1,000, if asked for
};

class ScrubFindings;
struct ScrubState;  // scrub_findings.h

// One thread calls step(), wait() and save(); the rest is for everybody.
class Scrub {
 public:
  explicit Scrub(Core::Impl& core);
  ~Scrub();
  void set_options(const ScrubOptions& options) EXCLUDES(lock_);

  // Verifies a little, where it is time for it. `busy`: the store was in use since the last step. Returns in how many
  // nanoseconds it wants to be called again; failures are logged, and tried again later.
  int64_t step(bool busy) EXCLUDES(lock_);
  // Sleeps so long, or until there is something to do. False: stop() was called.
  bool wait(int64_t nanoseconds) EXCLUDES(lock_);
  // Writes down how far the pass is.
  Status save() EXCLUDES(lock_);

  // Somebody's read of content that the record with this key refers to failed: the next step looks at it, so that what
  // is lost is known at once. Each record once a minute, and a few of them.
  void suspect(const std::string& key) EXCLUDES(lock_);
  // A pass begins now, where none is under way.
  void start_now() EXCLUDES(lock_);
  // Ends step() and wait() soon.
  void stop() EXCLUDES(lock_);
  Result<ScrubStatus> status(bool with_objects) EXCLUDES(lock_);

 private:
  Status load() EXCLUDES(lock_);
  bool readable(Scope scope) const;  // the bucket is there
  Status proceed() const;
  int64_t until_due() EXCLUDES(lock_);
  Result<int64_t> advance(bool busy) EXCLUDES(lock_);
  Status begin() EXCLUDES(lock_);
  Status finish() EXCLUDES(lock_);
  Status look_at_suspects() EXCLUDES(lock_);
  Result<uint64_t> slice() EXCLUDES(lock_);
  Result<uint64_t> visit(Scope scope, const std::string& key, const std::string& value);
  Result<uint64_t> read_content(Scope scope, const std::string& key);

  Core::Impl& core_;
  const std::unique_ptr<ScrubFindings> findings_;
  std::atomic<bool> stopping_ = false;

  mutable Mutex lock_;
  CondVar wake_;
  ScrubOptions options_ GUARDED_BY(lock_);
  const std::unique_ptr<ScrubState> state_ PT_GUARDED_BY(lock_);
  bool loaded_ GUARDED_BY(lock_) = false;
  bool wanted_ GUARDED_BY(lock_) = false;  // start_now(), until the pass is complete
  bool woken_ GUARDED_BY(lock_) = false;   // by it, and wait() has not seen it yet
  std::vector<std::string> suspects_ GUARDED_BY(lock_);
  std::set<std::string> suspected_ GUARDED_BY(lock_);  // in the last minute
  int64_t suspected_since_ GUARDED_BY(lock_) = 0;      // monotonic

  // Of step() alone.
  int64_t next_step_ = 0;  // monotonic
  int64_t saved_at_ = 0;   // monotonic
  bool complained_ = false;
  struct Chunk;
  const std::unique_ptr<Chunk> chunk_;  // visited last
};

}  // namespace pailfs
