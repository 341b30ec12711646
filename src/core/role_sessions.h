// Roles that processes have assumed. A session holds for the process that asked for it and for all that descend from
// it, for as long as that process lives and the session's time has not run out. Kept in memory only: a daemon that is
// started anew knows of none.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "core/types.h"

namespace pailfs {

struct RoleSession {
  uint32_t pid = 0;
  uint64_t process_start = 0;
  uint32_t uid = 0;  // of that process: others are not bound by what it asked for
  std::string role;
  std::string name;  // of the session
  Time ends = 0;     // monotonic, ns
};
using RoleSessionPtr = std::shared_ptr<const RoleSession>;

class RoleSessions {
 public:
  bool any() const { return count_.load(std::memory_order_acquire) != 0; }
  // In place of one that the process has.
  void add(RoleSession session, Time monotonic);
  void remove(uint32_t pid);
  // The session that a process is in: its own, or else that of the next of its ancestors that has one. Null: none.
  RoleSessionPtr of(uint32_t pid, uint32_t uid, Time monotonic);

 private:
  void drop_ended(Time monotonic) REQUIRES(mutex_);

  Mutex mutex_;
  std::vector<RoleSessionPtr> sessions_ GUARDED_BY(mutex_);
  std::atomic<size_t> count_ = 0;
};

}  // namespace pailfs
