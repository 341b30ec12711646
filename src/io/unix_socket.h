// Unix stream sockets for the control door: a listener, connections with time limits, and who the peer is.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

// As the kernel recorded it when the peer connected.
struct PeerCredentials {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;              // 0: in another pid namespace
  std::vector<uint32_t> groups;  // supplementary ones, where the kernel tells (SO_PEERGROUPS, Linux 4.13)
};

// Used by one thread at a time, but for the last two calls.
class UnixConnection {
 public:
  explicit UnixConnection(int fd) : fd_(fd) {}  // takes the descriptor
  ~UnixConnection();
  UnixConnection(const UnixConnection&) = delete;
  UnixConnection& operator=(const UnixConnection&) = delete;

  // kNotFound: no such socket, or nobody listens on it. kAccessDenied.
  static Result<std::unique_ptr<UnixConnection>> connect(const std::string& path);

  // Reads what there is, at most out.size() bytes; 0: the peer has closed. kInterrupted when nothing came in time.
  Result<size_t> receive(std::span<char> out, std::chrono::milliseconds timeout);
  // Sends all of it; `timeout` is for the whole. kInterrupted when the peer does not take it in time.
  Status send(std::string_view data, std::chrono::milliseconds timeout);
  Result<PeerCredentials> peer() const;
  // From any thread: receive() returns 0 once it has returned what is there already; send() still works.
  void stop_receiving();
  // From any thread: the peer sees the end of the connection, though the descriptor stays until the destructor.
  void shut_down();

 private:
  const int fd_;
};

class UnixListener {
 public:
  // Binds `path` with `mode`. A socket there that nobody listens on is replaced; kInUse when somebody does, kExists
  // when it is no socket, kNameTooLong beyond what an address holds (107 bytes).
  static Result<std::unique_ptr<UnixListener>> open(const std::string& path, uint32_t mode);
  ~UnixListener();  // removes the socket file
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  // Waits for the next connection; null after stop().
  Result<std::unique_ptr<UnixConnection>> accept();
  // From any thread, once or more: accept() returns null from now on.
  void stop();

 private:
  UnixListener(int fd, int wake_fd, std::string path) : fd_(fd), wake_fd_(wake_fd), path_(std::move(path)) {}
  const int fd_;
  const int wake_fd_;  // eventfd
  const std::string path_;
};

// Removes a socket of this process's uid that nobody listens on; not a young one, which somebody may be about to listen
// on. `now`: ns since 1970.
void remove_dead_socket(const std::string& path, int64_t now);

// Makes a directory with exactly this mode, whatever the umask. When it exists already: kNotPermitted unless it is a
// directory (no symbolic link) of this process's uid that nobody else can write to.
Status make_owned_directory(const std::string& path, uint32_t mode);

}  // namespace pailfs
