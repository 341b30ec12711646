// Tells the kernel of names that something else than its own requests changed: a restore, an undeletion, `pail`. A
// thread of its own, without locks: the kernel takes the directory's lock for that, which a request that we have to
// answer may hold.
#pragma once

#include <deque>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "core/types.h"

struct fuse_session;

namespace pailfs {

class Notifier {
 public:
  struct Change {
    Ino parent = 0;    // as the kernel numbers it
    std::string name;  // empty: only `ino` changed
    Ino ino = 0;       // whose attributes and pages changed; 0: none
  };
  // Starts with the first change.
  explicit Notifier(fuse_session* session) : session_(session) {}
  ~Notifier();  // stop()
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void add(Change change);
  // Waits until the kernel was told of everything that was added before. Not for a thread that answers requests.
  void settle();
  // Forgets what is left, and waits for the thread. What is added later is dropped.
  void stop();

 private:
  void run();

  fuse_session* const session_;
  Mutex mutex_;
  CondVar work_, told_;
  std::deque<Change> queue_ GUARDED_BY(mutex_);
  bool busy_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
