#include "daemon/scrub_thread.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/logging.h"

namespace pailfs {

namespace {

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
