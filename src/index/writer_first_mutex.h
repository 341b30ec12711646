// A readers-writer lock in which readers do not starve writers. glibc's default, which std::shared_mutex takes, lets
// readers pass a waiting writer: eight threads that read a memtable without pause kept its writer, and with it every
// commit, waiting for minutes. Here new readers queue behind a waiting writer, and readers that wait get their turn
// after it. For one writer at a time: several that never pause would starve the readers. A thread may not take the lock
// shared twice.
#pragma once

#include <pthread.h>

#include "base/mutex.h"

namespace pailfs {

class CAPABILITY("shared_mutex") WriterFirstMutex {
 public:
  WriterFirstMutex() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
#if defined(__GLIBC__)
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    pthread_rwlock_init(&lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }
  ~WriterFirstMutex() { pthread_rwlock_destroy(&lock_); }
  WriterFirstMutex(const WriterFirstMutex&) = delete;
  WriterFirstMutex& operator=(const WriterFirstMutex&) = delete;

  void lock() ACQUIRE() { pthread_rwlock_wrlock(&lock_); }
  void unlock() RELEASE() { pthread_rwlock_unlock(&lock_); }
  void lock_shared() ACQUIRE_SHARED() { pthread_rwlock_rdlock(&lock_); }
  void unlock_shared() RELEASE_SHARED() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

class SCOPED_CAPABILITY WriterFirstWrite {
 public:
  explicit WriterFirstWrite(WriterFirstMutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriterFirstWrite() RELEASE() { mutex_.unlock(); }
  WriterFirstWrite(const WriterFirstWrite&) = delete;
  WriterFirstWrite& operator=(const WriterFirstWrite&) = delete;

 private:
  WriterFirstMutex& mutex_;
};

class SCOPED_CAPABILITY WriterFirstRead {
 public:
  explicit WriterFirstRead(WriterFirstMutex& mutex) ACQUIRE_SHARED(mutex) : mutex_(mutex) { mutex_.lock_shared(); }
  ~WriterFirstRead() RELEASE_GENERIC() { mutex_.unlock_shared(); }
  WriterFirstRead(const WriterFirstRead&) = delete;
  WriterFirstRead& operator=(const WriterFirstRead&) = delete;

 private:
  WriterFirstMutex& mutex_;
};

}  // namespace pailfs
