// Room kept back on the medium, as a preallocated file, so that commits, checkpoints and deletions work on a full disk.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "io/env.h"

namespace pailfs {

class SpaceReserve {
 public:
  // A null path: no reserve (tests on media without one).
  SpaceReserve(Env& env, std::string path, uint64_t bytes) : env_(env), path_(std::move(path)), bytes_(bytes) {}
  // Takes the room, if as much is free and some beyond. Called at start and from time to time.
  void replenish();
  // Gives the room back so that the caller may try again. False if there was none to give.
  bool release();
  // While the reserve is spent, new content is refused and only deletions go on.
  bool spent() const { return spent_.load(std::memory_order_relaxed); }
  // Free bytes from which on the reserve is taken (back): with so little beyond it that who frees what was used goes
  // on, and enough that the next write does not spend it again.
  uint64_t needed() const { return bytes_ + bytes_ / 4; }
  // Why content is refused while it is spent: how much must be free, and how much is.
  std::string refusal() const;

 private:
  Env& env_;
  const std::string path_;
  const uint64_t bytes_;
  Mutex mutex_;
  std::unique_ptr<File> file_ GUARDED_BY(mutex_);
  std::atomic<bool> spent_ = false;
};

}  // namespace pailfs
