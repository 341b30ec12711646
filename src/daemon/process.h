// The daemon as a process: detaching from the terminal while whoever started it waits for the result, and what a
// process that holds keys and serves a file system owes the machine.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "base/logging.h"

namespace pailfs {

// As mount(8), section "Exit status".
enum ExitStatus : int {
  kMounted = 0,
  kBadUsage = 1,      // wrong arguments, or not permitted
  kSystemError = 2,   // fork, memory, …
  kMountFailure = 32  // the store, its key, or the mount itself
};
int exit_status_of(Code code);
// A line on standard error.
void complain(const std::string& message);

// The end of a pipe to the process that waits for the mount.
class Starter {
 public:
  Starter() = default;  // nobody waits: in the foreground
  explicit Starter(int fd) : fd_(fd) {}
  Starter(Starter&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Starter& operator=(Starter&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Starter() { close(); }
  // The mount serves: the starter looks at it and leaves with 0.
  void ready();
  // The starter prints the message and leaves with the status.
  void failed(int status, const std::string& message);

 private:
  void send(int status, const std::string& message);
  void close();
  int fd_ = -1;
};

// Forks. In the child returns what it reports by. In the parent returns the exit status: it has waited for the child,
// printed its message if it failed, and stat'ed `mountpoint` if it is ready: only a process other than the daemon may
// do that.
struct Forked {
  bool child = false;
  int parent_status = 0;
};
Result<Forked> fork_daemon(const std::string& mountpoint, Starter& starter);

// Descriptors 0 to 2 are open, to /dev/null if nothing else: what opened first would get their numbers, and messages
// would be written into it.
void open_standard_descriptors();
// Directory /, umask 0, and, unless in the foreground, a session of its own. The terminal stays for messages until
// detach_terminal(), which leaves standard error alone where the log goes there.
Status leave_surroundings(bool foreground);
void detach_terminal(bool keep_stderr);

// No core dumps, no debugger of the same user, as many descriptors as allowed, unlikely to be killed when memory is
// short, and no waiting for its own mount's write-back when it allocates. All but the first are best effort.
void harden_process();

// The log's place: see DaemonOptions::log. What a signal handler has to say goes there too (bus_error.h).
Status open_log(const std::string& place, LogLevel level, bool foreground);

}  // namespace pailfs
