// The clock that retention goes by. It begins at the wall clock when the first bucket gets Object Lock; from then on
// only the monotonic clock moves it, while the store is open. So it never goes back and never jumps, whatever the
// system's clock is set to; it stands still while the store is closed and while the machine sleeps, and is then behind
// the wall clock, which makes retention last longer, never shorter. A crash takes back the last minute at most.
//
// Thread-safe.
#pragma once

#include <optional>

#include "base/mutex.h"
#include "core/types.h"
#include "store/store.h"

namespace pailfs {

// What is stored: the record 'r'.
struct ClockRecord {
  Time clock = 0;  // the retention clock
  Time wall = 0;   // and the wall clock beside it
};
std::string encode_clock(const ClockRecord& record);
Result<ClockRecord> decode_clock(std::string_view value);

class RetentionClock {
 public:
  explicit RetentionClock(Store& store) : store_(store) {}

  // Goes on where the store has it; one that is unreadable stands at 0, so that everything stays locked.
  Status load();
  // Begins, unless it runs already.
  Status start();
  // Writes down where it is, every minute or when `now` is set; notes a jump of the wall clock against it in the log
  // and as a change record. To be called every minute or more often, and before the store closes.
  Status keep(bool now);

  bool runs() const;
  Time time() const;  // 0 where it does not run

 private:
  struct Reading {
    int64_t monotonic = 0;
    Time wall = 0;
  };
  Reading read() const { return {store_.env().monotonic(), store_.env().now()}; }
  Time at(const Reading& reading) const REQUIRES(mutex_) { return begin_ + (reading.monotonic - begun_); }
  Status save(const Reading& reading) REQUIRES(mutex_);

  Store& store_;
  mutable Mutex mutex_;
  bool runs_ GUARDED_BY(mutex_) = false;
  bool unreadable_ GUARDED_BY(mutex_) = false;
  Time begin_ GUARDED_BY(mutex_) = 0;     // the clock at
  int64_t begun_ GUARDED_BY(mutex_) = 0;  // this reading of the monotonic one
  int64_t saved_ GUARDED_BY(mutex_) = 0;  // the monotonic clock when it was last written down
  Reading last_ GUARDED_BY(mutex_);       // when keep() last looked
};

}  // namespace pailfs
