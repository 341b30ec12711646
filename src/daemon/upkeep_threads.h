// The threads that look after what is stored: the scrub, and the keep rules of buckets.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

#include "base/mutex.h"
#include "core/core.h"
#include "core/scrub.h"

namespace pailfs {

class ScrubThread {
 public:
  // `requests`: how many the mount has answered so far; while that grows, the scrub gives way. `scrub` outlives this.
  ScrubThread(Scrub& scrub, std::function<uint64_t()> requests);
  // Waits for the step under way, and writes down how far the pass is. Nothing of the store is used afterwards.
  ~ScrubThread();
  ScrubThread(const ScrubThread&) = delete;
  ScrubThread& operator=(const ScrubThread&) = delete;

 private:
  void run();

  Scrub& scrub_;
  const std::function<uint64_t()> requests_;
  std::thread thread_;
};

// Applies keep rules while it lives.
class KeepThread {
 public:
  explicit KeepThread(Core& core);
  ~KeepThread();
  KeepThread(const KeepThread&) = delete;
  KeepThread& operator=(const KeepThread&) = delete;

 private:
  void run();
  bool stopping();

  Core& core_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pailfs
