// The last denial of each process: the attribute user.s3.last-denial.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "core/core.h"
#include "core/decision_trace.h"

namespace pailfs {

class Denials {
 public:
  explicit Denials(Core::Impl& core) : core_(core) {}

  // Of this thread's request: what the gate denied on the way. The door begins each request, as some denials are no
  // refusal (a probe, or a right that is not the only one).
  static DecisionTrace& pending();
  static void begin_request() { pending().checks.clear(); }

  // The request was refused with kAccessDenied or kNotPermitted. `call`: its name; `ino`: what it named. Called without
  // locks.
  void note(const Caller& caller, std::string_view call, Ino ino, const Error& error) EXCLUDES(mutex_);

  // Two lines of text: of the caller's process, else of its parent, else the newest of the same uid in the last ten
  // minutes. Always of the same uid. kNoData: there is none.
  Result<std::string> last(const Caller& caller) EXCLUDES(mutex_);

 private:
  static constexpr size_t kProcesses = 4096;
  static constexpr Time kRecent = 600 * kSecond;
  // How long a thread is taken to be of the process that it was of.
  static constexpr Time kThreadTime = kSecond;

  // Processes, not threads: with when it started, as numbers are used again.
  struct Process {
    uint32_t pid = 0;
    uint64_t start = 0;
    auto operator<=>(const Process&) const = default;
  };
  using Key = std::pair<uint32_t, Process>;  // with the uid
  struct Denial {
    Key key;
    Time at = 0;         // for people
    Time monotonic = 0;  //
    std::string call;
    std::string path;
    std::optional<DecisionTrace::Check> check;  // without: the error's message says it
    Error error;
  };
  using Newest = std::list<Denial>;  // newest first

  struct Thread {
    Process process;
    Time asked = 0;  // monotonic
  };

  static Process process_of(uint32_t thread);
  Process known_process(uint32_t thread, Time monotonic) EXCLUDES(mutex_);
  std::string path_of(const Caller& caller, Ino ino, const DecisionTrace::Check* check) const;
  std::optional<Denial> find(const Caller& caller) EXCLUDES(mutex_);

  Core::Impl& core_;
  Mutex mutex_;
  Newest denials_ GUARDED_BY(mutex_);
  std::map<Key, Newest::iterator> by_process_ GUARDED_BY(mutex_);
  std::unordered_map<uint32_t, Thread> threads_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
