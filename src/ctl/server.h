// The control socket's server: JSON lines over a Unix stream socket (protocol.h), one thread per connection. Who asks
// is what the kernel says of the peer (SO_PEERCRED, SO_PEERGROUPS); the operations are those of commands.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/core.h"

namespace pailfs {

// What `pail status` says of the daemon beyond the store's own status.
struct DaemonStatus {
  std::string store;       // its directory, absolute: clients check that they reached the store that they meant
  std::string mountpoint;  // absolute
  std::string bucket;      // of -o bucket=NAME: the root of the mount is that bucket; empty: the whole store
  std::string options;     // of the mount, as given
  bool io_uring = false;
  std::string transport;      // one line: "io_uring, 4 queues of depth 8", or "/dev/fuse: " and why not io_uring
  std::string entry_caching;  // which directory entries the kernel keeps: "all", "open directories", "none"
  std::string libfuse;        // version, "3.18.3"
  int64_t started = 0;        // ns since 1970
  std::vector<std::pair<std::string, uint64_t>> requests;  // name of the operation, how many; only those above 0
};

// The daemon implements it. Called by any thread of the server until stop() has returned.
class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual DaemonStatus daemon_status() = 0;
  // Waits until the kernel knows of names that an operation changed.
  virtual void settle_names() {}
};

class ControlServer {
 public:
  // Listens on `path` (see control_socket_path() in location.h; the directory is made, mode 0755, when missing); socket
  // mode 0666: credentials decide, not the file. A socket that nobody listens on any more is replaced; kInUse when
  // somebody does. `core` and `status` outlive the server. Starts threads: call after the daemon has forked.
  static Result<std::unique_ptr<ControlServer>> open(Core& core, StatusSource& status, std::string path);
  ~ControlServer();  // stop()
  // Removes the socket, refuses further requests, and waits for the operations that run; long ones end early
  // (kInterrupted). May be called twice.
  void stop();
  const std::string& path() const;

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pailfs
