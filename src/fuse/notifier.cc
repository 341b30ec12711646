#include "fuse/notifier.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <utility>

namespace pailfs {

Notifier::~Notifier() { stop(); }

void Notifier::add(Change change) {
  MutexLock lock(mutex_);
  if (stopping_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  queue_.push_back(std::move(change));
  work_.notify_one();
}

void Notifier::settle() {
  MutexLock lock(mutex_);
  while (!stopping_ && (busy_ || !queue_.empty())) told_.wait(mutex_);
}

void Notifier::stop() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    queue_.clear();
    thread = std::move(thread_);
    work_.notify_all();
    told_.notify_all();
  }
  if (thread.joinable()) thread.join();
}

void Notifier::run() {
  for (;;) {
    Change change;
    {
      MutexLock lock(mutex_);
      busy_ = false;
      if (queue_.empty()) told_.notify_all();
      while (!stopping_ && queue_.empty()) work_.wait(mutex_);
      if (stopping_) return;
      change = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
    }
    // What the kernel does not know (ENOENT) needs no telling; a mount that is gone neither.
    if (!change.name.empty()) {
      fuse_lowlevel_notify_inval_entry(session_, change.parent, change.name.c_str(), change.name.size());
    }
    // The directory's times changed with its entry; its listing may be cached.
    if (change.parent != 0) fuse_lowlevel_notify_inval_inode(session_, change.parent, 0, 0);
    if (change.ino != 0) fuse_lowlevel_notify_inval_inode(session_, change.ino, 0, 0);
  }
}

}  // namespace pailfs
