#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace pailfs {
namespace {

struct Counter {
  Mutex mutex;
  CondVar changed;
  int value GUARDED_BY(mutex) = 0;
};

TEST(CondVar, WakesTheWaiterWhoThenHoldsTheMutex) {
  Counter counter;
  std::thread waiter([&] {
    MutexLock lock(counter.mutex);
    while (counter.value == 0) counter.changed.wait(counter.mutex);
    ++counter.value;
  });
  {
    MutexLock lock(counter.mutex);
    counter.value = 1;
    counter.changed.notify_all();
  }
  waiter.join();
  MutexLock lock(counter.mutex);
  EXPECT_EQ(counter.value, 2);
}

TEST(CondVar, WaitForEndsWithoutASignal) {
  Counter counter;
  MutexLock lock(counter.mutex);
  while (counter.changed.wait_for(counter.mutex, std::chrono::microseconds(1))) {
  }
  counter.value = 1;  // the mutex is held again
}

TEST(SharedMutex, ReadersShareAndWritersExclude) {
  SharedMutex mutex;
  int value = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        if (t % 2 == 0) {
          WriterLock lock(mutex);
          ++value;
        } else {
          ReaderLock lock(mutex);
          EXPECT_GE(value, 0);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(value, 2000);
}

}  // namespace
}  // namespace pailfs
