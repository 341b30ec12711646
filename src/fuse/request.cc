// The frame around a request, and the words of its reply.
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>

#include "base/logging.h"
#include "base/memory_reserve.h"
#include "core/denials.h"
#include "fuse/session_impl.h"

namespace pailfs {

namespace {
constexpr uint32_t kReportsPerSecond = 10;
constexpr int64_t kFullInterval = int64_t{60} * 1'000'000'000;  // ns between two lines on a disk that is full

timespec timespec_of(Time time) {
  Time seconds = time / kSecond;
  Time rest = time % kSecond;
  if (rest < 0) {
    rest += kSecond;
    --seconds;
  }
  return {.tv_sec = seconds, .tv_nsec = rest};
}

FuseSession::Impl& session_of(fuse_req_t request) {
  return *static_cast<FuseSession::Impl*>(fuse_req_userdata(request));
}

// What ends something, gives something back or carries what a program has already written (its times too) is done also
// when memory is short.
bool begins_something(Operation operation) {
  switch (operation) {
    case Operation::kForget:
    case Operation::kSetattr:
    case Operation::kWrite:
    case Operation::kFlush:
    case Operation::kRelease:
    case Operation::kReleasedir:
    case Operation::kFsync:
    case Operation::kFsyncdir:
      return false;
    default:
      return true;
  }
}

// As people call it: "open".
std::string word_for(Operation operation) {
  std::string out = operation_name(operation);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}
}  // namespace

const char* operation_name(Operation operation) {
  switch (operation) {
    case Operation::kLookup:
      return "LOOKUP";
    case Operation::kForget:
      return "FORGET";
    case Operation::kGetattr:
      return "GETATTR";
    case Operation::kSetattr:
      return "SETATTR";
    case Operation::kReadlink:
      return "READLINK";
    case Operation::kMknod:
      return "MKNOD";
    case Operation::kMkdir:
      return "MKDIR";
    case Operation::kUnlink:
      return "UNLINK";
    case Operation::kRmdir:
      return "RMDIR";
    case Operation::kSymlink:
      return "SYMLINK";
    case Operation::kRename:
      return "RENAME";
    case Operation::kLink:
      return "LINK";
    case Operation::kOpen:
      return "OPEN";
    case Operation::kRead:
      return "READ";
    case Operation::kWrite:
      return "WRITE";
    case Operation::kFlush:
      return "FLUSH";
    case Operation::kRelease:
      return "RELEASE";
    case Operation::kFsync:
      return "FSYNC";
    case Operation::kOpendir:
      return "OPENDIR";
    case Operation::kReaddir:
      return "READDIR";
    case Operation::kReaddirplus:
      return "READDIRPLUS";
    case Operation::kReleasedir:
      return "RELEASEDIR";
    case Operation::kFsyncdir:
      return "FSYNCDIR";
    case Operation::kStatfs:
      return "STATFS";
    case Operation::kSetxattr:
      return "SETXATTR";
    case Operation::kGetxattr:
      return "GETXATTR";
    case Operation::kListxattr:
      return "LISTXATTR";
    case Operation::kRemovexattr:
      return "REMOVEXATTR";
    case Operation::kAccess:
      return "ACCESS";
    case Operation::kTmpfile:
      return "TMPFILE";
    case Operation::kCreate:
      return "CREATE";
    case Operation::kFallocate:
      return "FALLOCATE";
    case Operation::kCopyFileRange:
      return "COPY_FILE_RANGE";
    case Operation::kLseek:
      return "LSEEK";
    case Operation::kCount:
      break;
  }
  return "?";
}

const std::vector<uint32_t>& RequestGroups::groups() {
  if (groups_) return *groups_;
  groups_.emplace();
  // Fails where the caller is gone, or in another pid name space (pid 0).
  std::vector<gid_t> list(64);
  int count = fuse_req_getgroups(request_, static_cast<int>(list.size()), list.data());
  if (count > static_cast<int>(list.size())) {
    list.resize(static_cast<size_t>(count));
    count = std::min(count, fuse_req_getgroups(request_, count, list.data()));
  }
  known_ = count >= 0;
  if (count > 0) groups_->assign(list.begin(), list.begin() + count);
  return *groups_;
}

Request::Request(fuse_req_t request, Operation operation, fuse_ino_t node)
    : request_(request),
      session_(session_of(request)),
      operation_(operation),
      node_(node),
      ino_(session_.ino_of(node)),
      admitted_(true),
      groups_(request) {
  session_.counts[static_cast<size_t>(operation)].fetch_add(1, std::memory_order_relaxed);
  session_.under_way.fetch_add(1);
  if (session_.refusing.load()) {
    admitted_ = false;
    if (operation == Operation::kForget) {
      fuse_reply_none(request);
    } else {
      fuse_reply_err(request, EIO);
    }
    return;
  }
  if (memory_is_short() && begins_something(operation)) {
    admitted_ = false;
    fail_errno(ENOMEM);
    return;
  }
#ifdef FUSE_CAP_OVER_IO_URING
  if (session_.uring.wanted && !session_.uring_seen.load(std::memory_order_relaxed) && fuse_req_is_uring(request)) {
    session_.uring_seen = true;
  }
#endif
  const fuse_ctx* context = fuse_req_ctx(request);
  caller_.uid = context->uid;
  caller_.gid = context->gid;
  caller_.pid = static_cast<uint32_t>(context->pid);
  caller_.umask = context->umask;
  caller_.door = Door::kFuse;
  caller_.groups = &groups_;
  Denials::begin_request();
  core().gate().know(caller_);
}

Request::~Request() {
  if (session_.under_way.fetch_sub(1) == 1 && session_.refusing.load()) session_.under_way.notify_all();
}

void Request::fail(const Error& error, bool asked_for) {
  if (asked_for && (error.code == Code::kAccessDenied || error.code == Code::kNotPermitted)) {
    core().denials().note(caller_, word_for(operation_), ino_, error);
  }
  session_.report(error, operation_, node_);
  fuse_reply_err(request_, errno_of(error.code));
}

void Request::fail_errno(int errnum) { fuse_reply_err(request_, errnum); }

void Request::done(const Status& status) {
  if (!status) return fail(status.error());
  fuse_reply_err(request_, 0);
}

void Request::entry(const Result<Attributes>& attributes) {
  if (!attributes) {
    // An entry without an inode: the kernel may remember that there is nothing.
    if (attributes.error().code == Code::kNotFound && operation_ == Operation::kLookup) {
      const CacheTimes times = session_.cache_times(ino_, {});
      if (times.entry > 0) {
        fuse_entry_param nothing{};
        nothing.entry_timeout = times.entry;
        fuse_reply_entry(request_, &nothing);
        return;
      }
    }
    return fail(attributes.error());
  }
  const fuse_entry_param entry = session_.entry_of(*attributes, ino_);
  // -ENOENT: the caller was interrupted, and the kernel never saw the entry (fuse_lowlevel.h).
  if (fuse_reply_entry(request_, &entry) == -ENOENT) core().forget(attributes->ino, 1);
}

void Request::attributes(const Result<Attributes>& attributes) {
  if (!attributes) return fail(attributes.error());
  const struct stat stat = session_.stat_of(*attributes);
  fuse_reply_attr(request_, &stat, session_.cache_times(0, *attributes).attributes);
}

struct stat FuseSession::Impl::stat_of(const Attributes& attributes) const {
  struct stat stat{};
  stat.st_ino = node_of(attributes.ino);
  stat.st_mode = attributes.mode;
  stat.st_nlink = attributes.nlink;
  stat.st_uid = attributes.uid;
  stat.st_gid = attributes.gid;
  stat.st_rdev = attributes.rdev;
  stat.st_size = static_cast<off_t>(attributes.size);
  stat.st_blocks = static_cast<blkcnt_t>(attributes.blocks);
  stat.st_blksize = 4096;
  stat.st_atim = timespec_of(attributes.atime);
  stat.st_mtim = timespec_of(attributes.mtime);
  stat.st_ctim = timespec_of(attributes.ctime);
  return stat;
}

fuse_entry_param FuseSession::Impl::entry_of(const Attributes& attributes, Ino parent) const {
  const CacheTimes times = cache_times(parent, attributes);
  fuse_entry_param entry{};
  entry.ino = node_of(attributes.ino);
  entry.generation = 0;  // inode numbers are never used again
  entry.attr = stat_of(attributes);
  entry.attr_timeout = times.attributes;
  entry.entry_timeout = times.entry;
  return entry;
}

// For READDIRPLUS the kernel takes the epoch when it has the reply, entry by entry: names that ended meanwhile are
// kept, if not for long.
fuse_entry_param FuseSession::Impl::listed_entry_of(const Attributes& attributes, Ino parent) const {
  fuse_entry_param entry = entry_of(attributes, parent);
  if (is_virtual(attributes.ino)) entry.entry_timeout = std::min(entry.entry_timeout, kSoon);
  return entry;
}

bool FuseSession::Impl::full_again() {
  const int64_t now = core.store().env().monotonic();
  int64_t last = told_full.load();
  return (last == 0 || now - last >= kFullInterval) && told_full.compare_exchange_strong(last, now);
}

// What the person who keeps the store should see; refusals and missing files are the programs' own business.
void FuseSession::Impl::report(const Error& error, Operation operation, fuse_ino_t node) {
  LogLevel level = LogLevel::kDebug;
  std::string_view hint;
  switch (error.code) {
    case Code::kIo:
    case Code::kCorrupt:
    case Code::kNoMemory:
    case Code::kWrongKey:
    case Code::kTooNew:
      level = LogLevel::kError;
      break;
    case Code::kNoSpace:
    case Code::kQuota:
      // Every write says so until there is room.
      if (core.store().is_full() || !full_again()) break;
      level = LogLevel::kError;
      hint = "; 'pail versions prune' removes old versions and gives their room back";
      break;
    default:
      break;
  }
  if (level != LogLevel::kDebug) {
    const int64_t second = core.store().env().monotonic() / 1'000'000'000;
    if (report_second.exchange(second) != second) reports = 0;
    if (reports.fetch_add(1) >= kReportsPerSecond) return;
  }
  if (level == LogLevel::kDebug) {
    log_debug("{} of inode {}: {}: {}", operation_name(operation), ino_of(node), code_name(error.code), error.message);
  } else {
    log_line(level, fmt::format("{} of inode {}: {}{}", operation_name(operation), ino_of(node), error.message, hint));
  }
}

}  // namespace pailfs
