// What the kernel may cache.
#include "fuse/session_impl.h"

namespace pailfs {

namespace {
constexpr double kLong = 86400;
constexpr double kBucketList = 1;
}  // namespace

// The kernel does not ask again for a directory entry that it holds: whoever reaches the mount walks through it,
// whatever the mode bits of the directory say to him (fuse_permission() sends ACCESS for access(2) and chdir(2) only).
// So entries may be kept only where the answer would be the same for every process:
//
// - Without allow_other the kernel itself lets nobody in but processes whose real, effective and saved uid and gid are
//   the mounting user's (fuse_allow_current_process()). When that user is uid 0 or the account, the ACL binds him
//   nowhere, so there is nothing that a cached entry could get round.
// - With allow_other entries are not kept. Keeping them needs a way to expire all of them in the moment a directory
//   stops being open to all: FUSE_NOTIFY_INC_EPOCH (protocol 7.44, libfuse 3.18).
//
// Attributes may be kept always: a stat by path still passes the lookup, and nothing changes the store behind the
// mount's back. But for two things: buckets are also made and removed by `pail`, so the list of buckets is kept for a
// second only, and missing ones not at all; and what .versions shows changes with every close of a file.
CacheTimes FuseSession::Impl::cache_times(Ino parent, Ino ino) const {
  if (is_virtual(parent) || is_virtual(ino)) return {0, 0};
  CacheTimes times{entries_cacheable ? kLong : 0, kLong};
  if (parent == kRootIno) times = {entries_cacheable && ino != 0 ? kBucketList : 0, kBucketList};
  if (ino == kRootIno) times.attributes = kBucketList;
  return times;
}

}  // namespace pailfs
