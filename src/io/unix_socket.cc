#include "io/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pailfs {
namespace {

using Clock = std::chrono::steady_clock;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return fail(Code::kNameTooLong, fmt::format("{} is too long for the address of a socket ({} bytes at most)", path,
                                                sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int connect_to(int fd, const sockaddr_un& address) {
  int result = 0;
  do {
    result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  } while (result != 0 && errno == EINTR);
  return result;
}

// Waits until the socket is ready for `events`, up to the deadline.
Status wait_ready(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return fail(Code::kInterrupted, "the other side of the control socket did not answer in time");
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min<long long>(left, 1'000'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return std::unexpected(system_error(errno, "waiting for the control socket"));
  }
}

}  // namespace

UnixConnection::~UnixConnection() { ::close(fd_); }

Result<std::unique_ptr<UnixConnection>> UnixConnection::connect(const std::string& path) {
  PAILFS_ASSIGN(const sockaddr_un address, address_of(path));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(system_error(errno, "making a socket"));
  auto connection = std::make_unique<UnixConnection>(fd);
  if (connect_to(fd, address) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT || errno == ENOTDIR) {
      return fail(Code::kNotFound, fmt::format("nobody listens on {}", path));
    }
    return std::unexpected(system_error(errno, "connecting to " + path));
  }
  return connection;
}

Result<size_t> UnixConnection::receive(std::span<char> out, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    PAILFS_TRY(wait_ready(fd_, POLLIN, deadline));
    const ssize_t n = ::recv(fd_, out.data(), out.size(), MSG_DONTWAIT);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == ECONNRESET) return size_t{0};
    if (errno != EINTR && errno != EAGAIN) return std::unexpected(system_error(errno, "reading the control socket"));
  }
}

Status UnixConnection::send(std::string_view data, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!data.empty()) {
    PAILFS_TRY(wait_ready(fd_, POLLOUT, deadline));
    const ssize_t n = ::send(fd_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      data.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR && errno != EAGAIN) {
      return std::unexpected(system_error(errno, "writing to the control socket"));
    }
  }
  return {};
}

Result<PeerCredentials> UnixConnection::peer() const {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return std::unexpected(system_error(errno, "asking who is at the other end of the control socket"));
  }
  PeerCredentials peer{credentials.uid, credentials.gid, static_cast<uint32_t>(credentials.pid), {}};
#ifdef SO_PEERGROUPS
  static_assert(sizeof(gid_t) == sizeof(uint32_t));
  for (;;) {
    length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
    if (::getsockopt(fd_, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) == 0) {
      peer.groups.resize(length / sizeof(gid_t));
      break;
    }
    if (errno != ERANGE || length <= peer.groups.size() * sizeof(gid_t)) {
      peer.groups.clear();  // an old kernel: only the primary group counts, which can only deny more
      break;
    }
    peer.groups.resize(length / sizeof(gid_t));
  }
#endif
  return peer;
}

void UnixConnection::shut_down() { ::shutdown(fd_, SHUT_RDWR); }

void UnixConnection::stop_receiving() { ::shutdown(fd_, SHUT_RD); }

Result<std::unique_ptr<UnixListener>> UnixListener::open(const std::string& path, uint32_t mode) {
  PAILFS_ASSIGN(const sockaddr_un address, address_of(path));
  struct stat old{};
  if (::lstat(path.c_str(), &old) == 0) {
    if (!S_ISSOCK(old.st_mode)) return fail(Code::kExists, fmt::format("{} exists and is no socket", path));
    if (auto other = UnixConnection::connect(path)) {
      return fail(Code::kInUse, fmt::format("another process listens on {}", path));
    } else if (other.error().code != Code::kNotFound) {
      return std::unexpected(std::move(other).error());
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return std::unexpected(system_error(errno, "removing " + path));
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return std::unexpected(system_error(errno, "making a socket"));
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    const int error = errno;
    ::close(fd);
    return std::unexpected(system_error(error, "making an event descriptor"));
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    ::close(fd);
    ::close(wake_fd);
    return std::unexpected(system_error(error, "making the socket " + path));
  }
  // From here on the destructor cleans up. The mode is set before anybody can connect.
  std::unique_ptr<UnixListener> listener(new UnixListener(fd, wake_fd, path));
  if (::chmod(path.c_str(), mode) != 0) return std::unexpected(system_error(errno, "changing the mode of " + path));
  if (::listen(fd, 32) != 0) return std::unexpected(system_error(errno, "listening on " + path));
  return listener;
}

UnixListener::~UnixListener() {
  ::unlink(path_.c_str());
  ::close(fd_);
  ::close(wake_fd_);
}

Result<std::unique_ptr<UnixConnection>> UnixListener::accept() {
  for (;;) {
    pollfd waiting[2] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(system_error(errno, "waiting for connections on " + path_));
    }
    if (waiting[1].revents != 0) return nullptr;
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) return std::make_unique<UnixConnection>(fd);
    if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
      return std::unexpected(system_error(errno, "accepting a connection on " + path_));
    }
  }
}

void UnixListener::stop() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(wake_fd_, &one, sizeof(one));
}

void remove_dead_socket(const std::string& path, int64_t now) {
  constexpr int64_t kAge = 60;  // seconds
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode) || found.st_uid != ::geteuid()) return;
  if (now / 1'000'000'000 - found.st_mtime < kAge) return;
  const auto living = UnixConnection::connect(path);
  if (!living && living.error().code == Code::kNotFound) ::unlink(path.c_str());
}

Status make_owned_directory(const std::string& path, uint32_t mode) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (::chmod(path.c_str(), mode) != 0) return std::unexpected(system_error(errno, "changing the mode of " + path));
    return {};
  }
  if (errno != EEXIST) return std::unexpected(system_error(errno, "making the directory " + path));
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return std::unexpected(system_error(errno, "looking at " + path));
  if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() || (found.st_mode & 022) != 0) {
    return fail(Code::kNotPermitted,
                fmt::format("{} must be a directory that belongs to uid {} and that nobody else can write to", path,
                            ::geteuid()));
  }
  return {};
}

}  // namespace pailfs
