#include "daemon/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "crypto/secret.h"
#include "daemon/bus_error.h"

namespace pailfs {

namespace {

// The frame on the pipe: one byte of status (kReadyByte: ready), then the message up to the end.
constexpr char kReadyByte = 'R';

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return std::unexpected(system_error(errno, "write to a pipe"));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
}

// What became of a child that said nothing.
int report_silent_child(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    complain("the daemon was killed by signal " + std::to_string(WTERMSIG(status)) + " before the mount was ready");
  } else {
    complain("the daemon ended before the mount was ready");
  }
  return kSystemError;
}

int wait_for_child(pid_t child, int fd, const std::string& mountpoint) {
  const std::string message = read_to_end(fd);
  ::close(fd);
  if (message.empty()) return report_silent_child(child);
  if (message[0] != kReadyByte) {
    complain(message.substr(1));
    return static_cast<int>(message[0]);
  }
  // Waits for the daemon's answer to the kernel's first question (FUSE INIT), and for an answer about the root.
  struct stat stat{};
  if (::stat(mountpoint.c_str(), &stat) != 0) {
    const Error error = system_error(errno, "the mount does not answer: " + mountpoint);
    complain(error.message + " (the daemon's log says more)");
    return kMountFailure;
  }
  return kMounted;
}

}  // namespace

void complain(const std::string& message) { (void)std::fprintf(stderr, "pailfs: %s\n", message.c_str()); }

int exit_status_of(Code code) {
  switch (code) {
    case Code::kInvalid:
    case Code::kAccessDenied:
    case Code::kNotPermitted:
      return kBadUsage;
    case Code::kNoMemory:
      return kSystemError;
    default:
      return kMountFailure;
  }
}

void Starter::ready() { send(kReadyByte, ""); }

void Starter::failed(int status, const std::string& message) {
  if (fd_ < 0) complain(message);
  send(status, message);
}

void Starter::send(int status, const std::string& message) {
  if (fd_ < 0) return;
  // A starter that has gone away does not matter.
  (void)write_all(fd_, std::string(1, static_cast<char>(status)) + message);
  close();
}

void Starter::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Forked> fork_daemon(const std::string& mountpoint, Starter& starter) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(system_error(errno, "pipe"));
  const pid_t child = fork();
  if (child < 0) {
    const int errnum = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    return std::unexpected(system_error(errnum, "fork"));
  }
  if (child == 0) {
    ::close(ends[0]);
    starter = Starter(ends[1]);
    return Forked{.child = true};
  }
  ::close(ends[1]);
  return Forked{.child = false, .parent_status = wait_for_child(child, ends[0], mountpoint)};
}

void open_standard_descriptors() {
  for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
    if (fd > STDERR_FILENO) {
      ::close(fd);
      return;
    }
  }
}

Status leave_surroundings(bool foreground) {
  // Fails only for the leader of a process group, which a forked child never is.
  if (!foreground) (void)setsid();
  if (chdir("/") != 0) return std::unexpected(system_error(errno, "chdir /"));
  umask(0);
  return {};
}

void detach_terminal(bool keep_stderr) {
  const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  dup2(fd, STDIN_FILENO);
  dup2(fd, STDOUT_FILENO);
  if (!keep_stderr) dup2(fd, STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

void harden_process() {
  if (!disable_core_dumps()) log_warning("core dumps could not be switched off: one would hold keys");
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  std::ofstream("/proc/self/oom_score_adj") << "-900";
#ifdef PR_SET_IO_FLUSHER
  (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
#endif
  // Dozens of threads would otherwise each keep an arena of freed memory.
  mallopt(M_ARENA_MAX, 4);  // NOLINT(concurrency-mt-unsafe): no other thread runs yet
}

Status open_log(const std::string& place, LogLevel level, bool foreground) {
  if (place == "syslog" || (place.empty() && !foreground)) {
    log_to_syslog("pailfs");
    report_bus_errors(true);
  } else if (place.empty() || place == "stderr") {
    log_to_stderr();
    report_bus_errors(false);
  } else {
    const int fd = open(place.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return std::unexpected(system_error(errno, "log file " + place));
    dup2(fd, STDERR_FILENO);
    ::close(fd);
    log_to_stderr();
    report_bus_errors(false);
  }
  set_log_level(level);
  return {};
}

}  // namespace pailfs
