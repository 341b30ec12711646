// std mutexes with Clang's thread-safety annotations (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html).
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define PAILFS_TSA(x) __attribute__((x))
#else
#define PAILFS_TSA(x)
#endif
#define CAPABILITY(x) PAILFS_TSA(capability(x))
#define SCOPED_CAPABILITY PAILFS_TSA(scoped_lockable)
#define GUARDED_BY(x) PAILFS_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) PAILFS_TSA(pt_guarded_by(x))
#define ACQUIRED_BEFORE(...) PAILFS_TSA(acquired_before(__VA_ARGS__))
#define ACQUIRED_AFTER(...) PAILFS_TSA(acquired_after(__VA_ARGS__))
#define REQUIRES(...) PAILFS_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) PAILFS_TSA(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) PAILFS_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) PAILFS_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) PAILFS_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) PAILFS_TSA(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) PAILFS_TSA(release_shared_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) PAILFS_TSA(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) PAILFS_TSA(try_acquire_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS PAILFS_TSA(no_thread_safety_analysis)

namespace pailfs {

class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }
  bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A readers-writer lock in which readers do not starve writers. glibc's default, which std::shared_mutex takes, lets
// readers pass a waiting writer: eight threads that read a memtable without pause kept its writer, and with it every
// commit, waiting for minutes. Here new readers queue behind a waiting writer, and readers that wait get their turn
// after it. A thread may not take the lock shared twice: a writer that comes in between would wait for the first, and
// the second for the writer.
class CAPABILITY("shared_mutex") SharedMutex {
 public:
  SharedMutex() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
#if defined(__GLIBC__)
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    pthread_rwlock_init(&lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }
  ~SharedMutex() { pthread_rwlock_destroy(&lock_); }
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() ACQUIRE() { pthread_rwlock_wrlock(&lock_); }
  void unlock() RELEASE() { pthread_rwlock_unlock(&lock_); }
  void lock_shared() ACQUIRE_SHARED() { pthread_rwlock_rdlock(&lock_); }
  void unlock_shared() RELEASE_SHARED() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

class SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriterLock() RELEASE() { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) ACQUIRE_SHARED(mutex) : mutex_(mutex) { mutex_.lock_shared(); }
  ~ReaderLock() RELEASE_GENERIC() { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

// Condition variable for Mutex. Callers hold the mutex and re-test their condition in a loop.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.native(), std::adopt_lock);
    cond_.wait(lock);
    lock.release();
  }
  // False when the time ran out.
  bool wait_for(Mutex& mutex, std::chrono::nanoseconds timeout) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.native(), std::adopt_lock);
    const bool signalled = cond_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }
  void notify_one() { cond_.notify_one(); }
  void notify_all() { cond_.notify_all(); }

 private:
  std::condition_variable cond_;
};

}  // namespace pailfs
