#include "fuse/request_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace pailfs {
namespace {

struct FakeRequest {
  bool brief = true;
  std::function<void()> process;
};

// What the kernel's device is to the loop: a queue that blocks, and ends.
class FakeDevice {
 public:
  void send(FakeRequest request) {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(request));
    changed_.notify_one();
  }
  void finish(Status status = {}) {
    MutexLock lock(mutex_);
    finished_ = true;
    status_ = std::move(status);
    changed_.notify_all();
  }
  Result<bool> receive(FakeRequest& request) {
    MutexLock lock(mutex_);
    while (queue_.empty() && !finished_) changed_.wait(mutex_);
    if (queue_.empty()) return status_ ? Result<bool>(false) : std::unexpected(status_.error());
    request = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }
  bool waiting() {
    ++asked;
    std::this_thread::sleep_for(slowness.load());
    MutexLock lock(mutex_);
    return !queue_.empty();
  }

  std::atomic<int> asked = 0;                         // how often somebody asked whether a request is waiting
  std::atomic<std::chrono::microseconds> slowness{};  // as if another program had the processor meanwhile

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<FakeRequest> queue_ GUARDED_BY(mutex_);
  bool finished_ GUARDED_BY(mutex_) = false;
  Status status_ GUARDED_BY(mutex_);
};

class FakeWorker final : public RequestLoop::Worker {
 public:
  FakeWorker(FakeDevice& device, std::atomic<int>& alive) : device_(device), alive_(alive) { ++alive_; }
  ~FakeWorker() override { --alive_; }
  Result<bool> receive() override { return device_.receive(request_); }
  bool waiting() override { return device_.waiting(); }
  bool brief() const override { return request_.brief; }
  void process() override { request_.process(); }

 private:
  FakeDevice& device_;
  std::atomic<int>& alive_;
  FakeRequest request_;
};

// Runs a loop over a device in the background.
class RunningLoop {
 public:
  explicit RunningLoop(RequestLoop::Options options = {})
      : loop_([this] { return std::make_unique<FakeWorker>(device, alive); }, options),
        thread_([this] { status_ = loop_.run(); }) {}
  Status finish(Status status = {}) {
    device.finish(std::move(status));
    thread_.join();
    EXPECT_EQ(alive, 0);
    return status_;
  }
  FakeDevice device;
  std::atomic<int> alive = 0;

 private:
  RequestLoop loop_;
  Status status_;
  std::thread thread_;
};

// A count that can be waited for.
class Counter {
 public:
  void add() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void wait_for(int count) {
    MutexLock lock(mutex_);
    while (count_ < count) changed_.wait(mutex_);
  }
  int count() {
    MutexLock lock(mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ GUARDED_BY(mutex_) = 0;
};

TEST(RequestLoop, ProcessesEveryRequestOnce) {
  RunningLoop running;
  std::vector<std::atomic<int>> processed(2000);
  for (size_t i = 0; i < processed.size(); ++i) {
    running.device.send({i % 3 != 0, [&processed, i] { ++processed[i]; }});
    if (i % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 100));
  }
  EXPECT_TRUE(running.finish());
  EXPECT_TRUE(std::ranges::all_of(processed, [](const auto& count) { return count == 1; }));
}

TEST(RequestLoop, ASequenceOfBriefRequestsStaysWithOneThread) {
  RunningLoop running({.patience = std::chrono::hours(1)});
  Counter done;
  std::set<std::thread::id> threads;  // one at a time writes it: each request is sent after the one before
  for (int i = 0; i < 100; ++i) {
    running.device.send({true, [&] {
                           threads.insert(std::this_thread::get_id());
                           done.add();
                         }});
    done.wait_for(i + 1);
  }
  EXPECT_TRUE(running.finish());
  EXPECT_EQ(threads.size(), 1u);
}

TEST(RequestLoop, WhereLookingOutCostsTheProcessorItStops) {
  RunningLoop running({.look_out = std::chrono::microseconds(10), .patience = std::chrono::hours(1)});
  running.device.slowness = std::chrono::microseconds(500);
  constexpr int kRequests = 1000;
  Counter done;
  for (int i = 0; i < kRequests; ++i) {
    running.device.send({true, [&] { done.add(); }});
    done.wait_for(i + 1);
  }
  EXPECT_TRUE(running.finish());
  // Once for each request that was received, and after 32, 64, 128, 256 and 512 of them to look out for the next.
  EXPECT_LE(running.device.asked, kRequests + 6);
}

TEST(RequestLoop, ALongRequestKeepsNobodyWaiting) {
  RunningLoop running({.patience = std::chrono::hours(1)});
  Counter begun, done;
  for (int i = 0; i < 3; ++i) {
    running.device.send({false, [&] {
                           begun.add();
                           done.wait_for(1);
                         }});
  }
  begun.wait_for(3);
  running.device.send({true, [&] { done.add(); }});
  done.wait_for(1);
  EXPECT_TRUE(running.finish());
}

TEST(RequestLoop, ABriefRequestThatTakesLongKeepsNobodyWaiting) {
  RunningLoop running;
  Counter begun, done;
  running.device.send({true, [&] {
                         begun.add();
                         done.wait_for(2);
                       }});
  begun.wait_for(1);
  running.device.send({true, [&] {
                         done.add();
                         done.wait_for(2);
                       }});
  done.wait_for(1);
  running.device.send({true, [&] { done.add(); }});
  done.wait_for(2);
  EXPECT_TRUE(running.finish());
}

TEST(RequestLoop, TheWatchingThreadWakesUpAfterAPause) {
  RunningLoop running({.patience = std::chrono::microseconds(10)});
  Counter begun, done;
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than it watches a loop that has nothing to do
    running.device.send({true, [&, round] {
                           begun.add();
                           done.wait_for(round + 1);
                         }});
    begun.wait_for(round + 1);
    running.device.send({true, [&] { done.add(); }});
    done.wait_for(round + 1);
  }
  EXPECT_TRUE(running.finish());
}

TEST(RequestLoop, StartsNoMoreThreadsThanItMay) {
  RunningLoop running({.max_threads = 3, .idle_threads = 1});
  Counter begun, go;
  for (int i = 0; i < 10; ++i) {
    running.device.send({false, [&] {
                           begun.add();
                           go.wait_for(1);
                         }});
  }
  begun.wait_for(3);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(begun.count(), 3);
  EXPECT_EQ(running.alive, 3);
  go.add();
  begun.wait_for(10);
  EXPECT_TRUE(running.finish());
}

TEST(RequestLoop, FailsAsReceivingFailsAndFinishesWhatWasBegun) {
  RunningLoop running;
  Counter begun, go;
  std::atomic<bool> finished = false;
  running.device.send({false, [&] {
                         begun.add();
                         go.wait_for(1);
                         finished = true;
                       }});
  begun.wait_for(1);
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    go.add();
  });
  const Status status = running.finish(fail(Code::kIo, "the device is gone"));
  later.join();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "the device is gone");
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace pailfs
