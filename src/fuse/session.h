// The kernel's door: one mount of a store over libfuse's low-level interface. Requests become calls of the Core, its
// codes become errno; nothing is decided here but what the kernel may cache (timeouts.cc says why).
//
// Every request is answered by the thread that received it: over io_uring released libfuse races otherwise
// (libfuse commit 6910b07a), and an fsync that waits in place costs a thread, of which there are enough.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/core.h"

namespace pailfs {

struct MountOptions {
  std::string store;       // absolute path; shown as the source of the mount
  std::string mountpoint;  // absolute, without symbolic links
  Ino root = kRootIno;     // inode shown as the root: of the store, or of one bucket
  bool allow_other = false;
  bool default_permissions = false;  // the kernel checks mode bits too, before it asks
  bool read_only = false;
  bool writeback = true;
  bool io_uring = true;                    // where library and kernel have it
  std::vector<std::string> general_flags;  // as in mount(8): suid, dev, noexec, noatime, sync, dirsync, …
  bool trace = false;                      // libfuse logs every request
};

struct TransportStatus {
  bool io_uring = false;
  std::string description;  // "io_uring, 2 queues of depth 8", or "/dev/fuse: " and why not io_uring
};

class FuseSession {
 public:
  // Mounts; requests wait in the kernel until serve(). `core` outlives the session. nodev and nosuid hold unless
  // general_flags say dev or suid. kIo with libfuse's own words when the kernel or fusermount3 refuses.
  static Result<std::unique_ptr<FuseSession>> mount(Core& core, MountOptions options);
  // Unmounts if serve() never ran; otherwise serve() must have returned, or stop() and abandon() been called.
  ~FuseSession();

  // Answers requests until the mount is gone (ENODEV). Call once, on a thread of its own.
  Status serve();

  // The shutdown, in this order, from a thread that is no worker and holds no locks:
  // 1. Takes the mount out of the name space of everybody who has no file of it open, while requests are served on.
  Status detach();
  // 2. Asks the kernel for the dirty pages of every file that is open for writing; returns when they were written. May
  //    be repeated while programs still write.
  void push_writeback();
  // 3. From here on requests are refused (EIO); returns when those under way have been answered. Nothing calls the core
  //    afterwards.
  void stop();
  // 4. After serve() has returned, or stop(): the kernel sends RELEASE in the background, and drops it when the mount
  //    goes. What was open for writing is sealed and closed here.
  void release_left_open();
  // 5. For a session that would not end: its threads are left behind. The process must leave without running
  //    destructors.
  static void abandon(std::unique_ptr<FuseSession> session);

  // Waits until the kernel knows of every name that something else than its requests changed. From no worker.
  void settle_names();

  TransportStatus transport() const;
  // Which directory entries the kernel keeps (timeouts.cc): "all", "open directories" or "none".
  std::string entry_caching() const;
  static std::string library_version();  // of libfuse: "3.18.3"
  // Requests answered so far, by operation ("LOOKUP", …), those that occurred.
  std::vector<std::pair<std::string, uint64_t>> request_counts() const;
  // All of them; cheap.
  uint64_t requests_answered() const;
  const MountOptions& options() const;

  struct Impl;

 private:
  explicit FuseSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pailfs
