#include "model/schedules/sync_points.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <ctime>

namespace pailfs::test {
namespace {

// Nothing here may take a lock. 0: nobody waits.
std::atomic<uint64_t> schedule = 0;
std::atomic<uint32_t> threads = 0;
std::atomic<uint64_t> waited = 0;

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
uint64_t next(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void sync_point() {
  const uint64_t seed = schedule.load(std::memory_order_relaxed);
  if (seed == 0) return;
  static thread_local uint64_t followed = 0, state = 0;
  static thread_local uint64_t patience = 0;  // a thread that seldom waits waits longer
  if (followed != seed) {
    followed = seed;
    state = seed ^ (uint64_t{1} + threads.fetch_add(1, std::memory_order_relaxed)) << 40;
    patience = next(state) % 6;
  }
  const uint64_t dice = next(state);
  if (dice % (uint64_t{8} << patience) != 0) return;
  waited.fetch_add(1, std::memory_order_relaxed);
  if (dice >> 62 != 0) {
    sched_yield();
    return;
  }
  const timespec pause{.tv_sec = 0, .tv_nsec = static_cast<long>((dice >> 32) % (uint64_t{2000} << patience))};
  nanosleep(&pause, nullptr);
}

}  // namespace

PerturbedSchedule::PerturbedSchedule(uint64_t seed) {
  threads = 0;
  schedule = seed * 2 + 1;
}
PerturbedSchedule::~PerturbedSchedule() { schedule = 0; }
uint64_t PerturbedSchedule::waits() { return waited; }

}  // namespace pailfs::test

// ld(1), --wrap: an undefined reference to NAME is to __wrap_NAME, and one to __real_NAME is to NAME.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
#define PAILFS_SYNC_POINT_BEFORE(call, type) \
  extern "C" int __real_##call(type* lock);  \
  extern "C" int __wrap_##call(type* lock);  \
  extern "C" int __wrap_##call(type* lock) { \
    pailfs::test::sync_point();              \
    return __real_##call(lock);              \
  }
#define PAILFS_SYNC_POINT_AFTER(call, type)  \
  extern "C" int __real_##call(type* lock);  \
  extern "C" int __wrap_##call(type* lock);  \
  extern "C" int __wrap_##call(type* lock) { \
    const int result = __real_##call(lock);  \
    pailfs::test::sync_point();              \
    return result;                           \
  }
PAILFS_SYNC_POINT_BEFORE(pthread_mutex_lock, pthread_mutex_t)
PAILFS_SYNC_POINT_AFTER(pthread_mutex_unlock, pthread_mutex_t)
PAILFS_SYNC_POINT_BEFORE(pthread_rwlock_rdlock, pthread_rwlock_t)
PAILFS_SYNC_POINT_BEFORE(pthread_rwlock_wrlock, pthread_rwlock_t)
PAILFS_SYNC_POINT_AFTER(pthread_rwlock_unlock, pthread_rwlock_t)
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
