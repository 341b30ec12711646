// The threads that receive requests and process them.
//
// A program that works on files waits for each answer before it asks the next question, and most questions are answered
// within some ten microseconds: less than it takes to put a thread to sleep and to wake another one on another
// processor. So one thread at a time is the receiver. A request that is brief it processes itself and then receives the
// next one, for which it first looks out for some microseconds without going to sleep. Before anything that may take
// long (content, fsync), or when more requests are waiting, it appoints another receiver; and when a request that
// should have been brief is not, because a lock or the disk is slow, a watching thread does that for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/mutex.h"

namespace pailfs {

class RequestLoop {
 public:
  // What one thread receives with, and into: called by that thread only.
  class Worker {
   public:
    virtual ~Worker() = default;
    // Blocks until a request has come: true. False: there will be none any more.
    virtual Result<bool> receive() = 0;
    virtual bool waiting() = 0;      // whether receive() would find a request at once
    virtual bool brief() const = 0;  // whether the one that was received should take but microseconds
    virtual void process() = 0;
  };
  struct Options {
    unsigned max_threads = 64;
    unsigned idle_threads = 4;  // so many wait to be appointed, further ones end
    // Before a receiver goes to sleep; 0: never. Longer than the other side's processor takes to wake up, some 30 µs on
    // virtual machines, or it was all for nothing.
    std::chrono::nanoseconds look_out{60'000};
    std::chrono::nanoseconds patience{1'000'000};
  };

  RequestLoop(std::function<std::unique_ptr<Worker>()> make_worker, Options options)
      : make_worker_(std::move(make_worker)), options_(options) {}
  // Until a receive() says that it is over, and all requests have been processed. The error of the first receive() that
  // failed; kNoMemory if not even one thread can be started.
  Status run();

 private:
  Status start_thread() REQUIRES(mutex_);
  void work();
  void serve(Worker& worker);
  void receive(Worker& worker);
  void appoint();
  void look_out(Worker& worker);
  bool process_as_receiver(Worker& worker);
  void watch();
  void end(Status status);

  const std::function<std::unique_ptr<Worker>()> make_worker_;
  const Options options_;

  Mutex mutex_;
  CondVar appointed_;  // threads that wait to become the receiver
  CondVar ended_;      // run() waits for the last thread
  CondVar watch_;      // the watching thread
  bool has_receiver_ GUARDED_BY(mutex_) = false;
  bool over_ GUARDED_BY(mutex_) = false;
  unsigned threads_ GUARDED_BY(mutex_) = 0;
  unsigned idle_ GUARDED_BY(mutex_) = 0;
  Status status_ GUARDED_BY(mutex_);

  // Not zero: the number of the request that the receiver is processing itself. Who sets it back to zero is, or
  // appoints, the next receiver.
  std::atomic<uint64_t> brief_ = 0;
  std::atomic<bool> watcher_sleeps_ = false;
  // Of the receiver, passed on under the mutex.
  uint64_t brief_count_ = 0;
  int luck_ = 0;               // whether looking out has been worth it lately
  unsigned pauses_ = 0;        // without looking out
  unsigned retry_after_ = 32;  // so many of them, before the next try
};

}  // namespace pailfs
