#include "io/child.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace pailfs {

namespace {

constexpr int kSignalled = 128;

// While a command runs: the signals that are for it are ignored or waited for here, and the command gets them as they
// were.
class CommandSignals {
 public:
  CommandSignals() {
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    for (size_t i = 0; i < kIgnored.size(); ++i) ::sigaction(kIgnored[i], &ignore, &before_[i]);
    ::sigaction(SIGCHLD, &standard, &child_before_);  // ignored, it would take the exit status away
    ::sigemptyset(&awaited_);
    for (const int number : {SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&awaited_, number);
    ::pthread_sigmask(SIG_BLOCK, &awaited_, &mask_before_);
  }
  ~CommandSignals() {
    for (size_t i = 0; i < kIgnored.size(); ++i) ::sigaction(kIgnored[i], &before_[i], nullptr);
    ::sigaction(SIGCHLD, &child_before_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  }
  CommandSignals(const CommandSignals&) = delete;
  CommandSignals& operator=(const CommandSignals&) = delete;

  const sigset_t& awaited() const { return awaited_; }
  // An error number.
  int start(pid_t& child, const std::vector<std::string>& command) const {
    std::vector<std::string> words = command;
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    for (size_t i = 0; i < kIgnored.size(); ++i) {
      if (before_[i].sa_handler != SIG_IGN) ::sigaddset(&defaults, kIgnored[i]);
    }
    posix_spawnattr_t attributes;
    if (const int error = ::posix_spawnattr_init(&attributes); error != 0) return error;
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setsigmask(&attributes, &mask_before_);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    const int error = ::posix_spawnp(&child, arguments[0], nullptr, &attributes, arguments.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    return error;
  }

 private:
  static constexpr std::array<int, 2> kIgnored{SIGINT, SIGQUIT};
  std::array<struct sigaction, kIgnored.size()> before_{};
  struct sigaction child_before_{};
  sigset_t awaited_{}, mask_before_{};
};

}  // namespace

Result<int> run_child(const std::vector<std::string>& command) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return std::unexpected(system_error(errno, "cannot keep the command's descendants"));
  }
  const CommandSignals signals;
  pid_t child = 0;
  if (const int error = signals.start(child, command); error != 0) {
    if (error == ENOENT) return fail(Code::kNotFound, command.front() + ": there is no such program");
    if (error == EACCES || error == ENOEXEC) return fail(Code::kAccessDenied, command.front() + ": it cannot be run");
    return std::unexpected(system_error(error, "cannot run " + command.front()));
  }
  for (;;) {
    const int signal = ::sigwaitinfo(&signals.awaited(), nullptr);
    if (signal < 0 && errno != EINTR) return std::unexpected(system_error(errno, "cannot wait for the command"));
    if (signal == SIGTERM || signal == SIGHUP) ::kill(child, signal);
    if (signal != SIGCHLD) continue;
    int status = 0;
    // One signal may stand for several children; the others are orphans that came here.
    for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended != child) continue;
      return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status);
    }
  }
}

}  // namespace pailfs
