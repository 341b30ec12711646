// What is agreed with the kernel when the mount begins, and whether io_uring can carry requests.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "base/logging.h"
#include "fuse/session_impl.h"

namespace pailfs {

namespace {
constexpr unsigned kMaxRequest = 1u << 20;    // bytes of a READ or WRITE
constexpr unsigned kMaxReadahead = 4u << 20;  // the kernel's own limit (bdi read_ahead_kb) may be lower
constexpr unsigned kMaxBackground = 64;

bool capable(const fuse_conn_info& connection, uint32_t flag) { return (connection.capable & flag) != 0; }

void want(fuse_conn_info& connection, uint32_t flag, bool on = true) {
  if (on && capable(connection, flag)) {
    connection.want |= flag;
  } else {
    connection.want &= ~flag;
  }
}
}  // namespace

// FUSE_CAP_POSIX_ACL is never asked for: it makes the kernel check permissions itself, and the core is the only gate.
// FUSE_CAP_DONT_MASK: whether the umask counts is known to the core, which knows the directory's default ACL. Splicing
// is off: content is decrypted into memory anyway, and pipes cost two more system calls per request.
void FuseSession::Impl::negotiate(fuse_conn_info& connection) {
  want(connection, FUSE_CAP_ASYNC_READ);
  want(connection, FUSE_CAP_ASYNC_DIO);
  want(connection, FUSE_CAP_ATOMIC_O_TRUNC);
  want(connection, FUSE_CAP_DONT_MASK);
  want(connection, FUSE_CAP_PARALLEL_DIROPS);
  want(connection, FUSE_CAP_WRITEBACK_CACHE, options.writeback);
  writeback = (connection.want & FUSE_CAP_WRITEBACK_CACHE) != 0;
  core.set_kernel_times(writeback);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
  can_expire = connection.proto_major == 7 && connection.proto_minor >= 44;
  if (entry_caching == EntryCaching::kNone && can_expire) entry_caching = EntryCaching::kOpenDirectories;
#endif
  const bool caching = entry_caching != EntryCaching::kNone;
  // Elsewhere attributes in listings would be looked up again by the next stat: see keeps_listed().
  want(connection, FUSE_CAP_READDIRPLUS, entry_caching == EntryCaching::kAll);
  want(connection, FUSE_CAP_READDIRPLUS_AUTO, entry_caching == EntryCaching::kAll);
  // A symbolic link's target is free to whoever may look the link up.
  want(connection, FUSE_CAP_CACHE_SYMLINKS, caching);
  // Nothing changes content behind the kernel's back: pages stay until we say otherwise, whatever mtime does.
  want(connection, FUSE_CAP_AUTO_INVAL_DATA, false);
  want(connection, FUSE_CAP_EXPLICIT_INVAL_DATA);
  want(connection, FUSE_CAP_SPLICE_READ, false);
  want(connection, FUSE_CAP_SPLICE_WRITE, false);
  want(connection, FUSE_CAP_SPLICE_MOVE, false);
  want(connection, FUSE_CAP_IOCTL_DIR, false);
  want(connection, FUSE_CAP_POSIX_LOCKS, false);
  want(connection, FUSE_CAP_FLOCK_LOCKS, false);
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
  // The core clears set-user-id bits on write, truncate and chown. Without this the kernel asks for
  // security.capability before every write(2).
  want(connection, FUSE_CAP_HANDLE_KILLPRIV, false);
  want(connection, FUSE_CAP_HANDLE_KILLPRIV_V2);
#endif
#ifdef FUSE_CAP_NO_EXPORT_SUPPORT
  want(connection, FUSE_CAP_NO_EXPORT_SUPPORT);  // inode numbers mean nothing to a kernel that forgot them
#endif
#ifdef FUSE_CAP_OVER_IO_URING
  uring_offered = capable(connection, static_cast<uint32_t>(FUSE_CAP_OVER_IO_URING));
  want(connection, static_cast<uint32_t>(FUSE_CAP_OVER_IO_URING), uring.wanted);
  connection.no_interrupt = 1;  // requests are short, or must finish once begun
#endif
  connection.max_write = std::min(connection.max_write, kMaxRequest);
  connection.max_readahead = std::min(connection.max_readahead, kMaxReadahead);
  connection.max_background = kMaxBackground;
  connection.congestion_threshold = kMaxBackground * 3 / 4;
  connection.time_gran = 1;
  initialised = true;
  log_info("protocol {}.{}, write-back caching {}, {}", connection.proto_major, connection.proto_minor,
           writeback ? "on" : "off", uring.wanted && uring_offered ? "io_uring" : "/dev/fuse");
}

#ifdef FUSE_CAP_OVER_IO_URING
namespace {
constexpr unsigned kUringMemory = 32u << 20;  // bytes of request buffers over all queues

// libfuse before 3.18.3 has the transport, with bugs that lose requests.
bool library_is_new_enough(const std::string& version) {
  unsigned major = 0, minor = 0, patch = 0;
  if (std::sscanf(version.c_str(), "%u.%u.%u", &major, &minor, &patch) < 2) return false;
  return std::tie(major, minor, patch) >= std::make_tuple(3u, 18u, 3u);
}
}  // namespace

UringPlan plan_uring(bool wanted) {
  UringPlan plan;
  const std::string version = FuseSession::library_version();
  std::string parameter;
  std::ifstream("/sys/module/fuse/parameters/enable_uring") >> parameter;
  if (!wanted) {
    plan.reason = "switched off by option";
  } else if (!library_is_new_enough(version)) {
    plan.reason = fmt::format("libfuse {} is older than 3.18.3", version);
  } else if (parameter.empty()) {
    plan.reason = "this kernel cannot carry fuse requests over io_uring (Linux 6.14 can)";
  } else if (parameter != "Y") {
    plan.reason =
        "the kernel's fuse module has enable_uring=N: echo Y > /sys/module/fuse/parameters/enable_uring, and mount "
        "anew";
  } else {
    plan.wanted = true;
    const long processors = std::max(1L, sysconf(_SC_NPROCESSORS_CONF));
    plan.queue_depth = std::clamp(static_cast<unsigned>(kUringMemory / kMaxRequest / processors), 2u, 8u);
  }
  return plan;
}
#else
UringPlan plan_uring(bool wanted) {
  UringPlan plan;
  plan.reason = !wanted ? "switched off by option"
                        : fmt::format("libfuse {} is older than 3.18.3", FuseSession::library_version());
  return plan;
}
#endif

TransportStatus FuseSession::transport() const {
  const UringPlan& plan = impl_->uring;
  if (!plan.wanted) return {false, "/dev/fuse: " + plan.reason};
  if (!impl_->initialised) return {false, "/dev/fuse: the kernel has not answered yet"};
  if (!impl_->uring_offered) return {false, "/dev/fuse: the kernel does not offer io_uring"};
  if (!impl_->uring_seen)
    return {false, "/dev/fuse: no request has come over io_uring yet, or its queues failed to start"};
  return {true, fmt::format("io_uring, {} queues of depth {}", sysconf(_SC_NPROCESSORS_CONF), plan.queue_depth)};
}

std::string FuseSession::library_version() { return fuse_pkgversion(); }

}  // namespace pailfs
