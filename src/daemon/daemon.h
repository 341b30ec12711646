// One mounted store, from its unlocking to its close.
#pragma once

#include <condition_variable>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "core/core.h"
#include "ctl/server.h"
#include "daemon/options.h"
#include "daemon/preflight.h"
#include "daemon/process.h"
#include "daemon/upkeep_threads.h"
#include "fuse/session.h"
#include "io/env.h"
#include "store/store.h"

namespace pailfs {

class Daemon final : public StatusSource {
 public:
  Daemon(DaemonOptions options, Paths paths);
  ~Daemon() override;

  // Opens, mounts, tells the starter, serves until the mount is gone or a signal (SIGTERM, SIGINT) ends it, and closes
  // the store. Blocks these signals in the calling thread and in all that it starts. Returns the exit status.
  int run(Starter& starter);

  // Threads of a session that would not end are left behind: leave the process without running destructors.
  bool threads_left() const { return threads_left_; }

  DaemonStatus daemon_status() override;
  void settle_names() override { session_->settle_names(); }

 private:
  // On failure nothing is mounted.
  Status start();
  Status open_store();
  Status mount();
  void open_control();
  void keep_clock(bool closing);
  void serve_until_ended();
  // The mount was asked to end; true when it did in time.
  bool end_session();
  bool wait_for_end(int milliseconds);
  int close_all(bool session_ended);

  const DaemonOptions options_;
  const Paths paths_;
  int signals_ = -1;  // signalfd
  int ended_ = -1;    // eventfd: serve() has returned
  int64_t started_ = 0;
  bool threads_left_ = false;

  // In the order of construction; destroyed backwards.
  std::unique_ptr<Env> env_;  // the rights of the store's owner, where root serves somebody else's; else null
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<FuseSession> session_;
  std::unique_ptr<ScrubThread> scrub_;  // none where the store is read-only
  std::unique_ptr<KeepThread> keep_;    // neither
  std::unique_ptr<ControlServer> control_;
  std::thread server_;
};

}  // namespace pailfs
