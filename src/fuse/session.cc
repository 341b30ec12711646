// Life of a mount: mounting, serving, and the shutdown that loses nothing.
#include "fuse/session.h"

#include <linux/fuse.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "base/logging.h"
#include "fuse/mount_table.h"
#include "fuse/request_loop.h"
#include "fuse/session_impl.h"

namespace pailfs {

namespace {

constexpr unsigned kMaxThreads = 64;  // each fsync that waits holds one
constexpr unsigned kIdleThreads = 8;

// libfuse's log function has no argument for a user: what it says while a mount is tried is collected per thread.
thread_local std::string* mount_messages = nullptr;

void on_library_log(fuse_log_level level, const char* format, va_list arguments) {
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  if (length <= 0) return;
  std::string_view text(line, std::min(static_cast<size_t>(length), sizeof line - 1));
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (mount_messages != nullptr && level <= FUSE_LOG_ERR) {
    if (!mount_messages->empty()) *mount_messages += "; ";
    *mount_messages += text;
    return;
  }
  const LogLevel ours = level <= FUSE_LOG_ERR       ? LogLevel::kError
                        : level <= FUSE_LOG_WARNING ? LogLevel::kWarning
                        : level <= FUSE_LOG_INFO    ? LogLevel::kInfo
                                                    : LogLevel::kDebug;
  log_line(ours, text);
}

fuse_lowlevel_ops make_operations() {
  fuse_lowlevel_ops operations{};
  operations.init = [](void* user, fuse_conn_info* connection) {
    static_cast<FuseSession::Impl*>(user)->negotiate(*connection);
  };
  add_name_operations(operations);
  add_attribute_operations(operations);
  add_xattr_operations(operations);
  add_content_operations(operations);
  add_directory_operations(operations);
  return operations;
}

// An option's value as libfuse wants it: commas separate options.
std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == ',' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::vector<std::string> library_arguments(const MountOptions& options, const UringPlan& uring) {
  std::vector<std::string> arguments{"pailfs", "-ofsname=" + escaped(options.store), "-osubtype=pailfs"};
  if (options.allow_other) arguments.emplace_back("-oallow_other");
  if (options.default_permissions) arguments.emplace_back("-odefault_permissions");
  for (const std::string& flag : options.general_flags) arguments.push_back("-o" + flag);
  if (options.read_only) arguments.emplace_back("-oro");
  if (uring.wanted) {
    arguments.emplace_back("-oio_uring");
    arguments.push_back(fmt::format("-oio_uring_q_depth={}", uring.queue_depth));
  }
  if (options.trace) arguments.emplace_back("-d");
  return arguments;
}

}  // namespace

Result<fuse_session*> new_session(FuseSession::Impl& impl) {
  static const fuse_lowlevel_ops operations = make_operations();
  fuse_set_log_func(on_library_log);
  std::vector<std::string> arguments = library_arguments(impl.options, impl.uring);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size());
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  fuse_args args{static_cast<int>(pointers.size()), pointers.data(), 0};
  std::string messages;
  mount_messages = &messages;
  fuse_session* session = fuse_session_new(&args, &operations, sizeof operations, &impl);
  mount_messages = nullptr;
  fuse_opt_free_args(&args);
  if (session == nullptr) return fail(Code::kInvalid, messages.empty() ? "libfuse refused the options" : messages);
  return session;
}

namespace {

// For users other than root, who may unmount only through the set-user-id program.
Status run_fusermount(const std::string& mountpoint) {
  std::string program = "fusermount3", flags = "-uz", dashes = "--", target = mountpoint;
  char* const arguments[] = {program.data(), flags.data(), dashes.data(), target.data(), nullptr};
  pid_t pid = 0;
  if (const int errnum = posix_spawnp(&pid, program.c_str(), nullptr, nullptr, arguments, environ); errnum != 0) {
    return std::unexpected(system_error(errnum, "cannot run fusermount3"));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(Code::kIo, "fusermount3 could not unmount " + mountpoint);
  }
  return {};
}

// Receives from /dev/fuse.
class DeviceWorker final : public RequestLoop::Worker {
 public:
  explicit DeviceWorker(fuse_session* session) : session_(session) {}
  ~DeviceWorker() override { free(buffer_.mem); }

  Result<bool> receive() override {
    for (;;) {
      const int length = fuse_session_receive_buf(session_, &buffer_);
      if (length > 0) return true;
      if (length == 0) return false;
      if (length != -EINTR && length != -EAGAIN) return std::unexpected(system_error(-length, "serving the mount"));
    }
  }

  bool waiting() override {
    pollfd device{.fd = fuse_session_fd(session_), .events = POLLIN, .revents = 0};
    return poll(&device, 1, 0) != 0;
  }

  bool brief() const override {
    const auto* header = static_cast<const fuse_in_header*>(buffer_.mem);
    switch (header->opcode) {
      case FUSE_READ: {
        const auto* read = reinterpret_cast<const fuse_read_in*>(header + 1);
        return buffer_.size >= sizeof *header + sizeof *read && read->size <= kBriefContent;
      }
      case FUSE_WRITE:
        return buffer_.size <= kBriefContent + 4096;
      case FUSE_FSYNC:
      case FUSE_FSYNCDIR:
      case FUSE_FALLOCATE:
      case FUSE_COPY_FILE_RANGE:
        return false;
      default:
        return true;
    }
  }

  void process() override {
    const bool init = static_cast<const fuse_in_header*>(buffer_.mem)->opcode == FUSE_INIT;
    fuse_session_process_buf(session_, &buffer_);
    if (!init) return;
    // What is agreed there decides how much room requests need.
    free(buffer_.mem);
    buffer_ = {};
  }

 private:
  static constexpr size_t kBriefContent = 16384;  // bytes

  fuse_session* const session_;
  fuse_buf buffer_{};
};

// Inside the process that mounted without root's help, the ACL binds nobody who can reach the mount: see timeouts.cc.
bool only_unbound_processes(const Core& core, const MountOptions& options) {
  const uid_t uid = geteuid();
  return !options.allow_other && (uid == 0 || uid == core.gate().account());
}

}  // namespace

FuseSession::Impl::~Impl() {
  notifier.reset();
  core.observe_names({});
  core.observe_removals({});
  if (session == nullptr) return;
  if (!served) fuse_session_unmount(session);  // closes the device first: nothing was served that could be lost
  fuse_session_destroy(session);
}

FuseSession::FuseSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FuseSession::~FuseSession() = default;

Result<std::unique_ptr<FuseSession>> FuseSession::mount(Core& core, MountOptions options) {
  auto impl = std::make_unique<Impl>(core, std::move(options));
  if (only_unbound_processes(core, impl->options)) impl->entry_caching = EntryCaching::kAll;
  impl->uring = plan_uring(impl->options.io_uring);
  PAILFS_ASSIGN(fuse_session * session, new_session(*impl));
  std::string messages;
  mount_messages = &messages;
  const int result = fuse_session_mount(session, impl->options.mountpoint.c_str());
  mount_messages = nullptr;
  if (result != 0) {
    fuse_session_destroy(session);
    return fail(Code::kIo, fmt::format("cannot mount on {}{}{}", impl->options.mountpoint, messages.empty() ? "" : ": ",
                                       messages));
  }
  impl->session = session;
  impl->notifier = std::make_unique<Notifier>(session);
  core.observe_names([to = impl.get()](Ino parent, const std::string& name, Ino ino) {
    to->notifier->add({to->node_of(parent), name, ino == 0 ? 0 : to->node_of(ino)});
  });
  core.observe_removals([to = impl.get()] { to->expire_entries(); });
  PAILFS_ASSIGN(const std::vector<MountLine> mounts, read_mount_table());
  for (const MountLine& line : mounts) {
    if (line.mountpoint == impl->options.mountpoint && line.type == kMountType) impl->device = line.device;
  }
  return std::unique_ptr<FuseSession>(new FuseSession(std::move(impl)));
}

Status FuseSession::serve() {
  impl_->served = true;
  return impl_->uring.wanted ? impl_->serve_uring() : impl_->serve_device();
}

Status FuseSession::Impl::serve_device() {
  RequestLoop::Options loop{.max_threads = kMaxThreads, .idle_threads = kIdleThreads};
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) loop.look_out = {};
  return RequestLoop([this] { return std::make_unique<DeviceWorker>(session); }, loop).run();
}

// libfuse has a thread per processor for the ring; these are for what still comes through the device.
Status FuseSession::Impl::serve_uring() {
  fuse_loop_config* config = fuse_loop_cfg_create();
  if (config == nullptr) return fail(Code::kNoMemory, "no memory for the request loop");
  // A device of each thread's own, where this process may open it: fewer threads wake for one request.
  fuse_loop_cfg_set_clone_fd(config, access("/dev/fuse", R_OK | W_OK) == 0 ? 1 : 0);
  fuse_loop_cfg_set_max_threads(config, kMaxThreads);
  fuse_loop_cfg_set_idle_threads(config, kIdleThreads);
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  if (result < 0) return std::unexpected(system_error(-result, "serving the mount"));
  return {};
}

Status FuseSession::detach() {
  if (geteuid() != 0) return run_fusermount(impl_->options.mountpoint);
  PAILFS_ASSIGN(const std::vector<MountLine> mounts, read_mount_table());
  // By the device: the mount may have been moved, bound elsewhere, or covered by another one. Deepest first. And by the
  // store: where ours is gone already, the kernel may have given its device number to the mount of somebody else.
  Status status;
  for (auto line = mounts.rbegin(); line != mounts.rend(); ++line) {
    if (line->device != impl_->device || line->type != kMountType || line->source != impl_->options.store) continue;
    const auto top = std::find_if(mounts.rbegin(), mounts.rend(),
                                  [&](const MountLine& other) { return other.mountpoint == line->mountpoint; });
    if (&*top != &*line) {
      status = fail(Code::kBusy, fmt::format("{} is covered by another mount ({})", line->mountpoint, top->type));
    } else if (umount2(line->mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      status = std::unexpected(system_error(errno, "unmounting " + line->mountpoint));
    }
  }
  return status;
}

// notify_inval_inode makes the kernel write the file's dirty pages before it drops them. It waits for requests that we
// answer, and takes page locks that requests may hold: so never from a worker, and without locks.
void FuseSession::push_writeback() {
  Ino last = 0;
  for (const auto& [ino, handle] : impl_->writers.all()) {
    if (std::exchange(last, ino) == ino) continue;  // handles of one inode stand together
    const int result = fuse_lowlevel_notify_inval_inode(impl_->session, impl_->node_of(ino), 0, 0);
    if (result != 0 && result != -ENOENT) {
      log_warning("cannot get the kernel's pages of inode {}: {}", ino, system_error(-result, "notify").message);
    }
  }
}

void FuseSession::settle_names() { impl_->notifier->settle(); }

void FuseSession::stop() {
  impl_->notifier->stop();
  impl_->refusing = true;
  for (uint64_t left = impl_->under_way.load(); left != 0; left = impl_->under_way.load()) impl_->under_way.wait(left);
}

void FuseSession::release_left_open() {
  for (const auto& [ino, handle] : impl_->writers.all()) {
    impl_->writers.remove(ino, handle);
    impl_->core.release(ino, handle);
  }
}

void FuseSession::abandon(std::unique_ptr<FuseSession> session) {
  // Its threads go on reading the device until the process ends, which ends the mount for those who still use it.
  (void)session.release();
}

std::vector<std::pair<std::string, uint64_t>> FuseSession::request_counts() const {
  std::vector<std::pair<std::string, uint64_t>> counts;
  for (size_t i = 0; i < impl_->counts.size(); ++i) {
    const uint64_t count = impl_->counts[i].load(std::memory_order_relaxed);
    if (count != 0) counts.emplace_back(operation_name(static_cast<Operation>(i)), count);
  }
  return counts;
}

uint64_t FuseSession::requests_answered() const {
  uint64_t sum = 0;
  for (const auto& count : impl_->counts) sum += count.load(std::memory_order_relaxed);
  return sum;
}

const MountOptions& FuseSession::options() const { return impl_->options; }

}  // namespace pailfs
