// Inside the door: the session's state and the frame around every request. Only src/fuse includes this.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"
#include "fuse/notifier.h"
#include "fuse/session.h"

namespace pailfs {

enum class Operation : uint8_t {
  kLookup,
  kForget,
  kGetattr,
  kSetattr,
  kReadlink,
  kMknod,
  kMkdir,
  kUnlink,
  kRmdir,
  kSymlink,
  kRename,
  kLink,
  kOpen,
  kRead,
  kWrite,
  kFlush,
  kRelease,
  kFsync,
  kOpendir,
  kReaddir,
  kReaddirplus,
  kReleasedir,
  kFsyncdir,
  kStatfs,
  kSetxattr,
  kGetxattr,
  kListxattr,
  kRemovexattr,
  kAccess,
  kCreate,
  kTmpfile,
  kFallocate,
  kCopyFileRange,
  kLseek,
  kCount,
};
const char* operation_name(Operation operation);  // as the kernel calls it

// Which directory entries the kernel may keep: timeouts.cc.
enum class EntryCaching : uint8_t {
  kNone,
  kOpenDirectories,  // those of directories in which everybody may look names up
  kAll,
};

constexpr double kSoon = 1;  // second: what may be kept although nothing tells when it ends

// What the kernel may keep, in seconds.
struct CacheTimes {
  double entry = 0;
  double attributes = 0;
};

// Whether requests may travel over io_uring, found out before the mount.
struct UringPlan {
  bool wanted = false;
  unsigned queue_depth = 0;
  std::string reason;  // why not
};

// The handles that are open for writing, by inode.
class OpenWriters {
 public:
  void add(Ino ino, uint64_t handle) EXCLUDES(mutex_);
  void remove(Ino ino, uint64_t handle) EXCLUDES(mutex_);
  bool contains(Ino ino) const EXCLUDES(mutex_);
  std::vector<std::pair<Ino, uint64_t>> all() const EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::unordered_multimap<Ino, uint64_t> handles_ GUARDED_BY(mutex_);
};

struct FuseSession::Impl {
  Impl(Core& c, MountOptions o) : core(c), options(std::move(o)) {}
  ~Impl();
  Core& core;
  const MountOptions options;
  std::atomic<EntryCaching> entry_caching = EntryCaching::kNone;
  std::atomic<bool> can_expire = false;  // FUSE_NOTIFY_INC_EPOCH is there
  Mutex closing;                         // held while a directory's rights change
  UringPlan uring;

  fuse_session* session = nullptr;
  std::string device;   // "major:minor" of the mount, as in mountinfo(5)
  bool served = false;  // serve() was called
  std::atomic<bool> initialised = false;
  std::atomic<bool> writeback = false;      // what was negotiated
  std::atomic<bool> uring_offered = false;  // by the kernel, in INIT
  std::atomic<bool> uring_seen = false;     // a request came over it
  OpenWriters writers;
  std::unique_ptr<Notifier> notifier;

  std::array<std::atomic<uint64_t>, static_cast<size_t>(Operation::kCount)> counts{};

  // The gate of stop(): requests under way, and whether further ones are refused.
  std::atomic<uint64_t> under_way = 0;
  std::atomic<bool> refusing = false;

  // At most a few lines a second about failed requests.
  std::atomic<int64_t> report_second = 0;
  std::atomic<uint32_t> reports = 0;
  std::atomic<int64_t> told_full = 0;  // monotonic ns
  void report(const Error& error, Operation operation, fuse_ino_t node);
  bool full_again();  // whether it is time to say again that the disk is full

  // With -o bucket=NAME the kernel's node 1 is the bucket's root directory. What lies above it (the .. of that
  // directory) is shown as node 1 too.
  Ino ino_of(fuse_ino_t node) const { return node == FUSE_ROOT_ID ? options.root : node; }
  fuse_ino_t node_of(Ino ino) const { return ino == options.root || ino == kRootIno ? FUSE_ROOT_ID : ino; }

  bool keeps_entries(Ino directory) const;
  bool keeps_listed(Ino directory) const;  // with the attributes of READDIRPLUS
  CacheTimes cache_times(Ino parent,
                         const Attributes& to) const;  // of an entry in `parent`; parent 0: attributes alone
  CacheTimes version_times(const Attributes& to) const;
  // Does what may close a directory to some, and lets the kernel forget what it found there before the reply.
  Status change_rights(Ino directory, const std::function<Status()>& change);
  // After a rename, before the reply.
  void moved(Ino from, Ino to);
  void expire_entries();
  struct stat stat_of(const Attributes& attributes) const;
  fuse_entry_param entry_of(const Attributes& attributes, Ino parent) const;
  fuse_entry_param listed_entry_of(const Attributes& attributes, Ino parent) const;

  Status serve_device();
  Status serve_uring();

  // fuse_lowlevel_ops.init
  void negotiate(fuse_conn_info& connection);
};

UringPlan plan_uring(bool wanted);

// libfuse's session over `impl`, not mounted yet. Also for a test that hands it requests of its own.
Result<fuse_session*> new_session(FuseSession::Impl& impl);

// The errno of a code.
int errno_of(Code code);

// The caller's supplementary groups, asked of the kernel when first needed: 20 microseconds in /proc.
class RequestGroups final : public GroupSource {
 public:
  explicit RequestGroups(fuse_req_t request) : request_(request) {}
  const std::vector<uint32_t>& groups() override;
  bool known() override {
    static_cast<void>(groups());
    return known_;
  }

 private:
  fuse_req_t request_;
  bool known_ = false;
  std::optional<std::vector<uint32_t>> groups_;
};

// One request, from its arrival to its reply: counts it, keeps stop() waiting, and knows who asks. A request that
// arrives after stop() is answered at once and false.
class Request {
 public:
  Request(fuse_req_t request, Operation operation, fuse_ino_t node);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  explicit operator bool() const { return admitted_; }

  fuse_req_t raw() const { return request_; }
  FuseSession::Impl& session() { return session_; }
  Core& core() { return session_.core; }
  const Caller& caller() const { return caller_; }
  Ino ino() const { return ino_; }  // of the node that was given

  // Exactly one reply per request.
  // `asked_for`: by a program; what the kernel asks of its own is nobody's denial.
  void fail(const Error& error, bool asked_for = true);
  void fail_errno(int errnum);
  void done(const Status& status);
  void entry(const Result<Attributes>& attributes);
  void attributes(const Result<Attributes>& attributes);

 private:
  fuse_req_t request_;
  FuseSession::Impl& session_;
  const Operation operation_;
  const fuse_ino_t node_;
  const Ino ino_;
  bool admitted_;
  RequestGroups groups_;
  Caller caller_;
};

// Each family adds its handlers.
void add_name_operations(fuse_lowlevel_ops& operations);
void add_attribute_operations(fuse_lowlevel_ops& operations);
void add_xattr_operations(fuse_lowlevel_ops& operations);
void add_content_operations(fuse_lowlevel_ops& operations);
void add_directory_operations(fuse_lowlevel_ops& operations);

}  // namespace pailfs
