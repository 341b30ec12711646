#include "daemon/daemon.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "base/logging.h"
#include "core/time_text.h"
#include "ctl/location.h"
#include "daemon/unlock.h"
#include "io/unix_socket.h"
#include "io/user_env.h"

namespace pailfs {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kClockInterval = 30'000;  // ms between looks at the retention clock
constexpr auto kEndLimit = 30s;         // for programs to close their files after a signal
constexpr auto kPushInterval = 500;     // ms between asking for dirty pages meanwhile
constexpr auto kLockPatience = 30s;     // for an earlier daemon of this store that is just closing it
constexpr auto kLockInterval = 50ms;

// Blocked in every thread, and read from the descriptor.
Result<int> take_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  sigaction(SIGHUP, &ignore, nullptr);
  const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return std::unexpected(system_error(errno, "signalfd"));
  return fd;
}

// With a hint for what root or others have made in it.
std::unexpected<Error> not_his(const FileUser& owner, const std::string& store, Error error) {
  if (error.code == Code::kAccessDenied) {
    error.message += fmt::format(
        "; the store belongs to uid {0}, and root uses it with that user's rights: what of it "
        "is others' he gets with 'chown -R {0} {1}'",
        owner.uid, store);
  }
  return std::unexpected(std::move(error));
}

}  // namespace

Daemon::Daemon(DaemonOptions options, Paths paths) : options_(std::move(options)), paths_(std::move(paths)) {}

Daemon::~Daemon() {
  for (const int fd : {signals_, ended_}) {
    if (fd >= 0) ::close(fd);
  }
}

// Another daemon of the same store may have been unmounted a moment ago: umount(8) returns before it has closed.
Status Daemon::open_store() {
  PAILFS_ASSIGN(const UnlockSecret secret, read_unlock_secret(options_));
  PAILFS_TRY(leave_surroundings(options_.foreground));
  PAILFS_ASSIGN(const FileUser owner, owner_of_directory(paths_.store));
  std::unique_ptr<AsFileUser> as_owner;  // for what LMDB opens by itself
  if (::geteuid() == 0 && owner.uid != 0) {
    env_ = make_user_env(posix_env(), owner);
    PAILFS_ASSIGN(as_owner, AsFileUser::begin(owner));
  }
  Env& env = env_ ? *env_ : posix_env();
  StoreOptions store_options;
  store_options.read_only = options_.read_only;
  const auto deadline = Clock::now() + kLockPatience;
  for (;;) {
    auto store = Store::open(env, paths_.store, secret, store_options);
    if (store) {
      store_ = std::move(*store);
      break;
    }
    if (store.error().code != Code::kInUse || is_mounted(paths_.store) || Clock::now() >= deadline) {
      if (env_) return not_his(owner, paths_.store, std::move(store).error());
      return std::unexpected(std::move(store).error());
    }
    std::this_thread::sleep_for(kLockInterval);
  }
  PAILFS_ASSIGN(core_, Core::open(*store_, owner.uid));
  if (const auto until = core_->times_ahead()) {
    log_warning(
        "the store's times are ahead of the clock until {}: the clock was wrong when it was mounted before, or is "
        "wrong "
        "now. Until then versions get times after that one, moments are named by their times and not by how long ago "
        "they were, and 'prune --older-than' spares them (pailfs-semantics(7), CLOCKS AND TIMES)",
        format_time(*until));
  }
  return {};
}

Status Daemon::mount() {
  MountOptions mount;
  mount.store = paths_.store;
  mount.mountpoint = paths_.mountpoint;
  mount.allow_other = options_.allow_other;
  mount.default_permissions = options_.default_permissions;
  mount.read_only = options_.read_only;
  mount.writeback = options_.writeback;
  mount.io_uring = options_.io_uring;
  mount.general_flags = options_.general_flags;
  mount.trace = options_.trace;
  if (!options_.bucket.empty()) {
    auto directory = core_->bucket_directory(options_.bucket);
    if (!directory) return context("-o bucket=" + options_.bucket, std::move(directory).error());
    mount.root = *directory;
  }
  PAILFS_ASSIGN(session_, FuseSession::mount(*core_, std::move(mount)));
  return {};
}

// Without the socket the mount is as good; `pail` says that it cannot reach the daemon.
void Daemon::open_control() {
  Result<std::unique_ptr<ControlServer>> control = fail(Code::kInUse, "");
  for (unsigned copy = 0; copy < kMaxStoreCopies; ++copy) {  // a restored store has the UUID of the original
    control = ControlServer::open(*core_, *this, control_socket_path(geteuid(), store_->status().uuid, copy));
    if (control || control.error().code != Code::kInUse) break;
  }
  if (control) {
    control_ = std::move(*control);
    for (unsigned copy = 0; copy < kMaxStoreCopies; ++copy) {  // of daemons of this store that were killed
      const std::string path = control_socket_path(geteuid(), store_->status().uuid, copy);
      if (path != control_->path()) remove_dead_socket(path, store_->env().now());
    }
  } else {
    log_error("'pail' will not reach this daemon: {}", control.error().message);
  }
}

Status Daemon::start() {
  PAILFS_ASSIGN(signals_, take_signals());
  ended_ = eventfd(0, EFD_CLOEXEC);
  if (ended_ < 0) return std::unexpected(system_error(errno, "eventfd"));
  PAILFS_TRY(open_store());
  started_ = store_->env().now();
  PAILFS_TRY(mount());
  if (!options_.read_only) {
    core_->scrub().set_options(options_.scrub);
    scrub_ = std::make_unique<ScrubThread>(core_->scrub(), [this] { return session_->requests_answered(); });
    keep_ = std::make_unique<KeepThread>(*core_);
  }
  open_control();
  server_ = std::thread([this] {
    if (const Status served = session_->serve(); !served) log_error("{}", served.error().message);
    const uint64_t one = 1;
    (void)!write(ended_, &one, sizeof one);
  });
  return {};
}

void Daemon::keep_clock(bool closing) {
  if (const Status kept = core_->keep_retention_clock(closing); !kept) {
    log_warning("the retention clock is not written down: {}", kept.error().message);
  }
}

bool Daemon::wait_for_end(int milliseconds) {
  pollfd wait{ended_, POLLIN, 0};
  return poll(&wait, 1, milliseconds) > 0;
}

// Stays in the name space of those who have files open, so they can go on and close them; what they wrote so far is
// pushed out of the kernel at once, and again, as long as they write.
bool Daemon::end_session() {
  if (const Status detached = session_->detach(); !detached) log_warning("{}", detached.error().message);
  const auto deadline = Clock::now() + kEndLimit;
  while (Clock::now() < deadline) {
    session_->push_writeback();
    if (wait_for_end(kPushInterval)) return true;
  }
  log_warning("files of the mount are still open after {} seconds: their users will get errors",
              std::chrono::seconds(kEndLimit).count());
  return false;
}

void Daemon::serve_until_ended() {
  std::array<pollfd, 2> waits{{{signals_, POLLIN, 0}, {ended_, POLLIN, 0}}};
  bool ended = false;
  for (;;) {
    const int ready = poll(waits.data(), waits.size(), kClockInterval);
    keep_clock(false);
    if (ready <= 0) continue;
    if (waits[1].revents != 0) {
      ended = true;
      break;
    }
    signalfd_siginfo signal{};
    if (read(signals_, &signal, sizeof signal) != sizeof signal) continue;
    log_info("signal {}: unmounting {}", signal.ssi_signo, paths_.mountpoint);
    ended = end_session();
    break;
  }
  if (ended) {
    server_.join();
  } else {
    session_->stop();
    server_.detach();
    threads_left_ = true;
  }
}

int Daemon::close_all(bool served) {
  if (control_) control_->stop();
  scrub_.reset();
  keep_.reset();
  int status = kMounted;
  if (session_ && served) session_->release_left_open();
  if (threads_left_ && session_) FuseSession::abandon(std::move(session_));
  session_.reset();
  if (store_ && served) {
    if (core_) keep_clock(true);
    if (const Status closed = store_->close(); !closed) {
      log_error("closing the store {}: {}", paths_.store, closed.error().message);
      status = kSystemError;
    }
  }
  return status;
}

int Daemon::run(Starter& starter) {
  const Status started = start();
  if (!started) {
    close_all(store_ != nullptr);
    starter.failed(exit_status_of(started.error().code), started.error().message);
    return exit_status_of(started.error().code);
  }
  log_info("{} is mounted on {}{}", paths_.store, paths_.mountpoint,
           options_.bucket.empty() ? "" : " (bucket " + options_.bucket + ")");
  if (!options_.foreground) detach_terminal(!options_.log.empty() && options_.log != "syslog");
  starter.ready();
  serve_until_ended();
  const int status = close_all(true);
  log_info("{} is unmounted and closed", paths_.store);
  return status;
}

DaemonStatus Daemon::daemon_status() {
  const TransportStatus transport = session_->transport();
  DaemonStatus status;
  status.store = paths_.store;
  status.mountpoint = paths_.mountpoint;
  status.bucket = options_.bucket;
  status.options = options_.given;
  status.io_uring = transport.io_uring;
  status.transport = transport.description;
  status.entry_caching = session_->entry_caching();
  status.libfuse = FuseSession::library_version();
  status.started = started_;
  status.requests = session_->request_counts();
  return status;
}

}  // namespace pailfs
