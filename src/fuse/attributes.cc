// GETATTR, SETATTR, ACCESS and STATFS.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "fuse/session_impl.h"

namespace pailfs {

namespace {

// What is out of reach (from 1677 to 2262) becomes the nearest second that is not, as it does on the kernel's own file
// systems.
Time time_of(const timespec& time) {
  constexpr Time kLast = std::numeric_limits<Time>::max() / kSecond - 1;
  if (time.tv_sec > kLast) return kLast * kSecond;
  if (time.tv_sec < -kLast) return -kLast * kSecond;
  return Time{time.tv_sec} * kSecond + std::min<Time>(time.tv_nsec, kSecond - 1);
}

void on_getattr(fuse_req_t raw, fuse_ino_t node, fuse_file_info*) {
  Request request(raw, Operation::kGetattr, node);
  if (request) request.attributes(request.core().getattr(request.caller(), request.ino()));
}

// With write-back caching the kernel keeps the times of regular files itself and sends them when it writes the inode
// back: mtime and ctime, with some handle of the file that is open for writing, in whatever process just runs. A
// utimensat(2) looks the same but for the handle, which only ftruncate(2) brings along, and that has a size.
bool is_time_writeback(int to_set, const fuse_file_info* info) {
  return info != nullptr && to_set == (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME);
}

AttributeChange change_of(const struct stat& stat, int to_set, const fuse_file_info* info) {
  AttributeChange change;
  const auto sets = [to_set](int flag) { return (to_set & flag) != 0; };
  if (sets(FUSE_SET_ATTR_MODE)) change.mode = stat.st_mode & 07777;
  if (sets(FUSE_SET_ATTR_UID)) change.uid = stat.st_uid;
  if (sets(FUSE_SET_ATTR_GID)) change.gid = stat.st_gid;
  if (sets(FUSE_SET_ATTR_SIZE)) change.size = static_cast<uint64_t>(stat.st_size);
  change.atime_now = sets(FUSE_SET_ATTR_ATIME_NOW);
  change.mtime_now = sets(FUSE_SET_ATTR_MTIME_NOW);
  if (sets(FUSE_SET_ATTR_ATIME) && !change.atime_now) change.atime = time_of(stat.st_atim);
  if (sets(FUSE_SET_ATTR_MTIME) && !change.mtime_now) change.mtime = time_of(stat.st_mtim);
  if (sets(FUSE_SET_ATTR_CTIME)) change.ctime = time_of(stat.st_ctim);
  if (info != nullptr) change.handle = info->fh;
  change.from_kernel = is_time_writeback(to_set, info);
  return change;
}

void on_setattr(fuse_req_t raw, fuse_ino_t node, struct stat* stat, int to_set, fuse_file_info* info) {
  Request request(raw, Operation::kSetattr, node);
  if (!request) return;
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0 && stat->st_size < 0) return request.fail_errno(EINVAL);
  const AttributeChange change = change_of(*stat, to_set, info);
  if (!change.mode) return request.attributes(request.core().setattr(request.caller(), request.ino(), change));
  Result<Attributes> changed = pailfs::fail(Code::kIo, "");
  static_cast<void>(request.session().change_rights(request.ino(), [&]() -> Status {
    changed = request.core().setattr(request.caller(), request.ino(), change);
    return changed ? Status() : Status(std::unexpected(changed.error()));
  }));
  request.attributes(changed);
}

void on_access(fuse_req_t raw, fuse_ino_t node, int mask) {
  Request request(raw, Operation::kAccess, node);
  if (request) request.done(request.core().access(request.caller(), request.ino(), mask));
}

void on_statfs(fuse_req_t raw, fuse_ino_t node) {
  Request request(raw, Operation::kStatfs, node);
  if (!request) return;
  const Result<Space> space = request.core().statfs();
  if (!space) return request.fail(space.error());
  constexpr uint64_t kBlock = 4096;
  struct statvfs answer{};
  answer.f_bsize = kBlock;
  answer.f_frsize = kBlock;
  answer.f_blocks = space->total / kBlock;
  answer.f_bfree = space->available / kBlock;
  answer.f_bavail = answer.f_bfree;
  answer.f_namemax = kNameMax;
  fuse_reply_statfs(raw, &answer);  // no count of inodes: there is no limit but room
}

}  // namespace

void add_attribute_operations(fuse_lowlevel_ops& operations) {
  operations.getattr = on_getattr;
  operations.setattr = on_setattr;
  operations.access = on_access;
  operations.statfs = on_statfs;
}

}  // namespace pailfs
