#include "daemon/upkeep_threads.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

#include "base/logging.h"

namespace pailfs {

namespace {

constexpr std::chrono::seconds kRuleInterval{10};
constexpr int kNiceness = 10;
// linux/ioprio.h, which Debian 12 has no copy of: best effort, the lowest level of it.
constexpr int kIoWhoProcess = 1;
constexpr int kIoLowest = 2 << 13 | 7;

// Low, and not idle: a step holds guards and locks for a moment, and who never got the processor or the disk would keep
// others waiting for these. What keeps the scrub out of the way is its rate.
void lower_priority() {
  const auto thread = static_cast<id_t>(gettid());
  (void)setpriority(PRIO_PROCESS, thread, kNiceness);
  (void)syscall(SYS_ioprio_set, kIoWhoProcess, 0, kIoLowest);
}

}  // namespace

ScrubThread::ScrubThread(Scrub& scrub, std::function<uint64_t()> requests)
    : scrub_(scrub), requests_(std::move(requests)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "scrub");
}

ScrubThread::~ScrubThread() {
  scrub_.stop();
  thread_.join();
  if (const Status saved = scrub_.save(); !saved && saved.error().code != Code::kReadOnly) {
    log_warning("the scrub will read some of the store again: {}", saved.error().message);
  }
}

KeepThread::KeepThread(Core& core) : core_(core), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "keep rules");
}

KeepThread::~KeepThread() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

bool KeepThread::stopping() {
  MutexLock lock(mutex_);
  return stopping_;
}

void KeepThread::run() {
  lower_priority();
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stopping_) static_cast<void>(wake_.wait_for(mutex_, kRuleInterval));
      if (stopping_) return;
    }
    const Status applied = core_.apply_keep_rules([this](uint64_t, uint64_t) { return !stopping(); });
    if (!applied && applied.error().code != Code::kInterrupted) {
      log_error("a keep rule is not applied: {}", applied.error().message);
    }
  }
}

void ScrubThread::run() {
  lower_priority();
  uint64_t answered = requests_();
  for (int64_t delay = 0; scrub_.wait(delay);) {
    const uint64_t now = requests_();
    delay = scrub_.step(now != answered);
    answered = now;
  }
}

}  // namespace pailfs
