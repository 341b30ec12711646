// Roles that processes have assumed. A session holds for the process that asked for it and for all that descend from
// it, for as long as that process lives and the session's time has not run out. Kept in memory only: a daemon that is
// started anew knows of none.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "core/types.h"

namespace pailfs {

struct RoleSession {
  uint32_t pid = 0;
  uint64_t process_start = 0;  // ProcessStart::start
  uint32_t uid = 0;            // of that process: others are not bound by what it asked for
  std::string role;
  std::string name;  // of the session
  Time ends = 0;     // monotonic, ns
};
using RoleSessionPtr = std::shared_ptr<const RoleSession>;

class RoleSessions {
 public:
  static constexpr size_t kMaxPerUser = 64;

  bool any() const { return count_.load(std::memory_order_acquire) != 0; }
  // In place of one that the process has. False: the user has too many.
  bool add(RoleSession session, Time monotonic);
  // What the process of the user has assumed.
  void remove(uint32_t pid, uint32_t uid);
  // The session that a process (or a thread of it) is in: its own, or else that of the next of its ancestors that has
  // one. Null: none. Fails where the user has sessions and it cannot be seen what the process descends from.
  Result<RoleSessionPtr> of(uint32_t tid, uint32_t uid, Time monotonic);

 private:
  using Sessions = std::vector<RoleSessionPtr>;
  void drop_ended(Sessions& sessions, Time monotonic) REQUIRES(mutex_);
  void count() REQUIRES(mutex_);

  Mutex mutex_;
  std::map<uint32_t, Sessions> by_uid_ GUARDED_BY(mutex_);
  std::atomic<size_t> count_ = 0;
};

}  // namespace pailfs
