#include "fuse/request_loop.h"

#include <algorithm>
#include <system_error>
#include <thread>

namespace pailfs {

namespace {
constexpr int kMaxLuck = 8;
constexpr unsigned kRetryAfter = 32;   // sleeps without looking out
constexpr unsigned kRetryLast = 8192;  // the same, where looking out cost the processor again and again
constexpr int kLost = 8;               // times look_out: somebody else had the processor, and something to do
constexpr unsigned kQuietRounds = 50;  // of the watching thread, before it sleeps until something happens
}  // namespace

Status RequestLoop::run() {
  std::thread watcher;
  try {
    watcher = std::thread([this] { watch(); });
  } catch (const std::system_error& error) {
    return fail(Code::kNoMemory, std::string("cannot start a thread: ") + error.what());
  }
  {
    MutexLock lock(mutex_);
    if (Status started = start_thread(); !started) {
      over_ = true;
      status_ = std::move(started);
    }
    while (!over_ || threads_ > 0) ended_.wait(mutex_);
    watch_.notify_all();
  }
  watcher.join();
  MutexLock lock(mutex_);
  return status_;
}

Status RequestLoop::start_thread() {
  try {
    std::thread([this] { work(); }).detach();  // run() waits until threads_ is 0
  } catch (const std::system_error& error) {
    return fail(Code::kNoMemory, std::string("cannot start a thread: ") + error.what());
  }
  ++threads_;
  return {};
}

void RequestLoop::work() {
  {
    const std::unique_ptr<Worker> worker = make_worker_();
    serve(*worker);
  }
  MutexLock lock(mutex_);
  --threads_;
  ended_.notify_all();
}

// Until it is over, or enough other threads are idle.
void RequestLoop::serve(Worker& worker) {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (has_receiver_ && idle_ >= options_.idle_threads) return;
      ++idle_;
      while (!over_ && has_receiver_) appointed_.wait(mutex_);
      --idle_;
      if (over_) return;
      has_receiver_ = true;
    }
    receive(worker);
  }
}

// Until this thread is not the receiver any more.
void RequestLoop::receive(Worker& worker) {
  for (;;) {
    look_out(worker);
    Result<bool> received = worker.receive();
    if (!received || !*received) return end(received ? Status() : std::unexpected(std::move(received).error()));
    if (!worker.brief() || worker.waiting()) {
      appoint();
      return worker.process();
    }
    if (!process_as_receiver(worker)) return;
  }
}

void RequestLoop::appoint() {
  MutexLock lock(mutex_);
  has_receiver_ = false;
  if (idle_ > 0) {
    appointed_.notify_one();
  } else if (threads_ < options_.max_threads) {
    // If that fails, this thread or another one receives when it is done.
    static_cast<void>(start_thread());
  }
}

void RequestLoop::look_out(Worker& worker) {
  if (options_.look_out.count() == 0 || (luck_ == 0 && ++pauses_ < retry_after_)) return;
  pauses_ = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (auto last = begin;;) {
    std::this_thread::yield();  // whoever got the last answer may be waiting for this processor
    const bool found = worker.waiting();
    const auto now = std::chrono::steady_clock::now();
    if (now - last > kLost * options_.look_out) {
      // It went to a program that computes, for milliseconds. Who sleeps is woken up at once, so sleep for a good
      // while.
      luck_ = 0;
      retry_after_ = std::min(2 * retry_after_, kRetryLast);
      return;
    }
    if (found) {
      luck_ = std::min(luck_ + 1, kMaxLuck);
      retry_after_ = kRetryAfter;
      return;
    }
    if (now - begin >= options_.look_out) break;
    last = now;
  }
  luck_ = std::max(luck_ - 1, 0);
}

// False: the watching thread has appointed another receiver.
bool RequestLoop::process_as_receiver(Worker& worker) {
  uint64_t number = ++brief_count_;
  brief_ = number;
  if (watcher_sleeps_) {
    MutexLock lock(mutex_);
    watch_.notify_one();
  }
  worker.process();
  return brief_.compare_exchange_strong(number, 0);
}

void RequestLoop::watch() {
  uint64_t last = 0;
  unsigned quiet = 0;
  for (;;) {
    uint64_t number = brief_;
    if (number != 0 && number == last && brief_.compare_exchange_strong(number, 0)) {
      appoint();
      number = 0;
    }
    quiet = number == 0 ? quiet + 1 : 0;
    last = number;
    MutexLock lock(mutex_);
    if (over_) return;
    if (quiet < kQuietRounds) {
      watch_.wait_for(mutex_, options_.patience);
      continue;
    }
    // First said, then looked: who begins a brief request does it the other way round.
    watcher_sleeps_ = true;
    while (!over_ && brief_ == 0) watch_.wait(mutex_);
    watcher_sleeps_ = false;
    quiet = 0;
  }
}

void RequestLoop::end(Status status) {
  MutexLock lock(mutex_);
  over_ = true;
  if (status_) status_ = std::move(status);
  appointed_.notify_all();
  watch_.notify_all();
  ended_.notify_all();
}

}  // namespace pailfs
