#include "fault/schedule/perturb.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>

namespace pailfs::test {

namespace {

std::atomic<uint64_t> current = 0;  // the seed; 0: nobody pauses
std::atomic<uint64_t> threads = 0;  // that have come to a lock under it
std::atomic<uint64_t> paused = 0;

struct Drawing {
  uint64_t seed = 0;
  uint64_t state = 0;
};
thread_local Drawing drawing;

// SplitMix64.
uint64_t draw() {
  drawing.state += 0x9e3779b97f4a7c15;
  uint64_t z = drawing.state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Mostly nothing; often the processor is given away; now and then for so long that others do whole operations.
void maybe_pause() {
  const uint64_t seed = current.load(std::memory_order_relaxed);
  if (seed == 0) return;
  if (drawing.seed != seed) drawing = {seed, seed * 0x2545f4914f6cdd1d + threads.fetch_add(1)};
  const uint64_t drawn = draw();
  if (drawn % 8 != 0) return;
  paused.fetch_add(1, std::memory_order_relaxed);
  if (drawn % 128 != 0) {
    sched_yield();
    return;
  }
  const timespec time{0, static_cast<long>(20'000 + (drawn >> 32) % 300'000)};
  nanosleep(&time, nullptr);
}

// The C library's own. Not a static in the caller: its guard may take a lock.
template <typename Function>
Function* real(std::atomic<Function*>& slot, const char* name) {
  Function* function = slot.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
    slot.store(function, std::memory_order_relaxed);
  }
  return function;
}

std::atomic<int (*)(pthread_mutex_t*)> mutex_lock, mutex_unlock;
std::atomic<int (*)(pthread_rwlock_t*)> read_lock, write_lock, unlock;

}  // namespace

Perturbation::Perturbation(uint64_t seed) {
  threads = 0;
  current = seed;
}
Perturbation::~Perturbation() { current = 0; }
uint64_t Perturbation::pauses() { return paused; }

}  // namespace pailfs::test

// Sanitizers stand in the same place: under them the program's threads go as they please.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
extern "C" {

int perturbed_mutex_lock(pthread_mutex_t* mutex) __asm__("pthread_mutex_lock");
int perturbed_mutex_lock(pthread_mutex_t* mutex) {
  pailfs::test::maybe_pause();
  return pailfs::test::real(pailfs::test::mutex_lock, "pthread_mutex_lock")(mutex);
}
int perturbed_mutex_unlock(pthread_mutex_t* mutex) __asm__("pthread_mutex_unlock");
int perturbed_mutex_unlock(pthread_mutex_t* mutex) {
  const int done = pailfs::test::real(pailfs::test::mutex_unlock, "pthread_mutex_unlock")(mutex);
  pailfs::test::maybe_pause();
  return done;
}
int perturbed_read_lock(pthread_rwlock_t* lock) __asm__("pthread_rwlock_rdlock");
int perturbed_read_lock(pthread_rwlock_t* lock) {
  pailfs::test::maybe_pause();
  return pailfs::test::real(pailfs::test::read_lock, "pthread_rwlock_rdlock")(lock);
}
int perturbed_write_lock(pthread_rwlock_t* lock) __asm__("pthread_rwlock_wrlock");
int perturbed_write_lock(pthread_rwlock_t* lock) {
  pailfs::test::maybe_pause();
  return pailfs::test::real(pailfs::test::write_lock, "pthread_rwlock_wrlock")(lock);
}
int perturbed_unlock(pthread_rwlock_t* lock) __asm__("pthread_rwlock_unlock");
int perturbed_unlock(pthread_rwlock_t* lock) {
  const int done = pailfs::test::real(pailfs::test::unlock, "pthread_rwlock_unlock")(lock);
  pailfs::test::maybe_pause();
  return done;
}
}
#endif
