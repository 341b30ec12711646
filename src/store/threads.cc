// What goes on in the background: the commit every second, the checkpoint of full memtables, reclaiming.
#include "base/logging.h"
#include "store/impl.h"

namespace pailfs {

namespace {
constexpr int64_t kReclaimInterval = 1'000'000'000;
constexpr int64_t kReclaimPause = 1'000'000;  // between two parts of what there is to reclaim
constexpr uint64_t kWorthOnFullDisk = uint64_t{64} << 10;
constexpr uint64_t kWorthReclaiming = uint64_t{4} << 20;  // bytes released before reclaiming starts by itself
}  // namespace

void Store::Impl::want_frame() {
  const MutexLock lock(thread_mutex);
  frame_wanted = true;
  wake_commit.notify_one();
}

void Store::Impl::want_checkpoint() {
  const MutexLock lock(thread_mutex);
  checkpoint_wanted = true;
  wake_checkpoint.notify_one();
}

void Store::Impl::commit_loop() {
  bool complained = false;
  while (true) {
    {
      const MutexLock lock(thread_mutex);
      if (!stopping && !frame_wanted)
        wake_commit.wait_for(thread_mutex, std::chrono::nanoseconds(options.commit_interval));
      if (stopping) return;
      frame_wanted = false;
    }
    if (failed) continue;
    uint64_t target = 0;
    {
      const MutexLock lock(state_mutex);
      target = seq;
    }
    const Status status = sync(target);
    if (!status && !failed && !complained) log_error("a commit has to wait: {}", status.error().message);
    complained = !status;
    bool ready = false;
    {
      const MutexLock lock(state_mutex);
      ready = !waiting.empty();
    }
    if (ready) want_checkpoint();
    if (reserve.spent()) reserve.replenish();
  }
}

void Store::Impl::checkpoint_loop() {
  bool complained = false;
  while (true) {
    {
      const MutexLock lock(thread_mutex);
      if (!stopping && !checkpoint_wanted) wake_checkpoint.wait_for(thread_mutex, std::chrono::seconds(2));
      if (stopping) return;
      checkpoint_wanted = false;
    }
    if (failed) continue;
    bool old = false;
    {
      const MutexLock lock(state_mutex);
      old = active->begun != 0 && env.monotonic() - active->begun >= options.checkpoint_interval;
    }
    Status status;
    if (old) status = write_frame(true);
    if (status) status = checkpoint_waiting();
    if (!status && !failed && !complained) log_error("a checkpoint has to wait: {}", status.error().message);
    complained = !status;
  }
}

void Store::Impl::reclaim_loop() {
  bool more = false;
  while (true) {
    {
      const MutexLock lock(thread_mutex);
      const auto pause = std::chrono::nanoseconds(more ? kReclaimPause : kReclaimInterval);
      if (!stopping) wake_reclaim.wait_for(thread_mutex, pause);
      if (stopping) return;
    }
    // Reclaiming makes frames, and frames make room to reclaim: an idle store must come to rest.
    const uint64_t worth = reserve.spent() ? kWorthOnFullDisk : kWorthReclaiming;
    if (failed) continue;
    if (!more && released_waiting.load() < worth) {
      const MutexLock lock(reclaim_mutex);
      if (const Status renewed = renew_copy(); !renewed) {
        log_warning("the second copy of the index has to wait: {}", renewed.error().message);
      }
      continue;
    }
    const auto done = reclaim_some();
    Status status = done ? Status{} : Status(std::unexpected(done.error()));
    more = done && done->more;
    // All of it is in quarantine: only further checkpoints bring it out, and an idle store makes none by itself.
    if (done && !more && done->given_back == 0) status = advance_epoch();
    if (!status && !failed) log_warning("reclaiming space has to wait: {}", status.error().message);
  }
}

Status Store::Impl::advance_epoch() {
  Transaction nothing;
  nothing.erase(internal::key2(internal::kReleased, 0));
  PAILFS_TRY(commit(std::move(nothing)));
  return checkpoint_everything();
}

void Store::Impl::start_threads() {
  const auto start = [this](const char* name, void (Impl::*loop)()) {
    threads.emplace_back([this, loop] { (this->*loop)(); });
    pthread_setname_np(threads.back().native_handle(), name);
  };
  start("commit", &Impl::commit_loop);
  start("checkpoint", &Impl::checkpoint_loop);
  start("reclaim", &Impl::reclaim_loop);
}

void Store::Impl::stop_threads() {
  stop_requested = true;
  {
    const MutexLock lock(thread_mutex);
    stopping = true;
    wake_commit.notify_all();
    wake_checkpoint.notify_all();
    wake_reclaim.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

}  // namespace pailfs
