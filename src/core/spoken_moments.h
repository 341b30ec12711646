// What "2h ago" is: the moment that it was when a job first looked it up, as programs look a path up once per call, and
// a copy that took one file from now and the next one from a minute later would be of no moment at all.
//
// A job is the processes of one process group (credentials(7)) that run for one uid: a pipeline of a shell, a
// script, a unit of the service manager. The next one gets a moment of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "core/types.h"

namespace pailfs {

class SpokenMoments {
 public:
  static constexpr Time kKept = 900 * kSecond;  // after the last use
  static constexpr size_t kPerUser = 256;
  static constexpr size_t kAll = 4096;

  struct Key {
    uint32_t uid = 0;
    uint32_t group = 0;  // of processes; 0: not known here
    Scope bucket = 0;
    std::string text;
    auto operator<=>(const Key&) const = default;
  };

  // `monotonic`: now. nullopt: it has none, or had none for too long.
  std::optional<Stamp> find(const Key& key, Time monotonic) EXCLUDES(mutex_);
  // Returns what counts: the moment that another process of the job has kept meanwhile, if one has. Where there are
  // many, the user's one that was not used for the longest time goes, or anybody's.
  Stamp keep(const Key& key, Stamp at, Time monotonic) EXCLUDES(mutex_);

 private:
  struct Kept {
    Stamp at = 0;
    Time used = 0;  // monotonic
  };
  using Moments = std::map<Key, Kept>;

  Mutex mutex_;
  Moments moments_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
