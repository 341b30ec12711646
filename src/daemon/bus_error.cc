// Everything that the handler does is safe in a signal handler: system calls, and memory of its own.
#include "daemon/bus_error.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "daemon/process.h"

namespace pailfs {

namespace {

int syslog_socket = -1;

// A line that is put together without allocating.
class Line {
 public:
  Line& add(std::string_view text) {
    const size_t count = std::min(text.size(), buffer_.size() - size_);
    std::memcpy(buffer_.data() + size_, text.data(), count);
    size_ += count;
    return *this;
  }
  Line& add(uint64_t number) {
    std::array<char, 20> digits{};
    size_t at = digits.size();
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    return add({digits.data() + at, digits.size() - at});
  }
  std::string_view text() const { return {buffer_.data(), size_}; }

 private:
  std::array<char, 1024> buffer_{};
  size_t size_ = 0;
};

// Reads /proc/self/maps line by line. Lines: "begin-end perms offset device inode   path", numbers in hexadecimal.
class Maps {
 public:
  Maps() : fd_(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~Maps() {
    if (fd_ >= 0) close(fd_);
  }
  Maps(const Maps&) = delete;
  Maps& operator=(const Maps&) = delete;

  // The path of the file that is mapped at the address; empty: none is.
  std::string_view path_at(uintptr_t address) {
    for (std::string_view line = next(); !line.empty(); line = next()) {
      const uint64_t begin = hexadecimal(line);
      if (line.empty()) continue;
      line.remove_prefix(1);  // the dash
      const uint64_t end = hexadecimal(line);
      if (address < begin || address >= end) continue;
      const size_t path = line.find('/');
      return path == std::string_view::npos ? std::string_view() : line.substr(path);
    }
    return {};
  }

 private:
  // What is longer than the buffer is cut off, and goes on as a line of its own, which names no range.
  std::string_view next() {
    size_ = 0;
    char c = 0;
    while (fd_ >= 0 && size_ < line_.size() && take(c) && c != '\n') line_[size_++] = c;
    return {line_.data(), size_};
  }
  bool take(char& c) {
    if (at_ == filled_) {
      const ssize_t got = read(fd_, chunk_.data(), chunk_.size());
      if (got <= 0) return false;
      filled_ = static_cast<size_t>(got);
      at_ = 0;
    }
    c = chunk_[at_++];
    return true;
  }
  static uint64_t hexadecimal(std::string_view& text) {
    uint64_t value = 0;
    while (!text.empty()) {
      const char c = text.front();
      if (c >= '0' && c <= '9') {
        value = value << 4 | static_cast<uint64_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value << 4 | static_cast<uint64_t>(c - 'a' + 10);
      } else {
        break;
      }
      text.remove_prefix(1);
    }
    return value;
  }

  const int fd_;
  std::array<char, 4096> chunk_{};
  size_t filled_ = 0;
  size_t at_ = 0;
  std::array<char, 768> line_{};
  size_t size_ = 0;
};

void on_bus_error(int /*signal*/, siginfo_t* info, void* /*context*/) {
  const bool of_a_map = info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR;
  Maps maps;
  const std::string_view path =
      of_a_map ? maps.path_at(reinterpret_cast<uintptr_t>(info->si_addr)) : std::string_view();
  if (path.empty()) {
    // The instruction is tried again, and then ends the process as it would have without a handler.
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &action, nullptr);
    return;
  }
  Line line;
  line.add("<").add(LOG_DAEMON | LOG_CRIT).add(">pailfs[").add(static_cast<uint64_t>(getpid())).add("]: ");
  const size_t prefix = line.text().find('>') + 1;
  line.add("a page of ")
      .add(path)
      .add(
          " cannot be read (SIGBUS): the disk below the store failed, or the file was cut short. pailfs ends here, as "
          "in a "
          "crash, and the next start goes on from what was synced: see to the disk first");
  if (syslog_socket >= 0) (void)send(syslog_socket, line.text().data(), line.text().size(), MSG_NOSIGNAL);
  line.add("\n");
  const std::string_view shown = line.text().substr(prefix);
  (void)!write(STDERR_FILENO, shown.data(), shown.size());
  _exit(kSystemError);
}

}  // namespace

void report_bus_errors(bool to_syslog) {
  if (to_syslog && syslog_socket < 0) {
    syslog_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, "/dev/log", sizeof address.sun_path - 1);
    if (syslog_socket >= 0 &&
        connect(syslog_socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(syslog_socket);
      syslog_socket = -1;
    }
  }
  struct sigaction action{};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace pailfs
