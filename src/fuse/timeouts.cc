// What the kernel may cache.
#include "base/logging.h"
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
// - Elsewhere only those of directories in which everybody may look names up. When such a directory is closed to some,
//   all entries have to go in that moment: FUSE_NOTIFY_INC_EPOCH (protocol 7.44, libfuse 3.18) expires whatever was
//   looked up before it, also by requests that are under way, and needs none of the kernel's locks. Without it no entry
//   is kept.
//
// Attributes may be kept always: a stat by path still passes the lookup, and nothing changes the store behind the
// mount's back. But buckets are also made and removed by `pail`, so the list of buckets is kept for a second only, and
// missing ones not at all.
CacheTimes FuseSession::Impl::cache_times(Ino parent, const Attributes& to) const {
  const Ino ino = to.ino;
  if (is_virtual(parent) || is_virtual(ino)) return version_times(to);
  CacheTimes times{parent != 0 && keeps_entries(parent) ? kLong : 0, kLong};
  if (parent == kRootIno) times = {times.entry != 0 && ino != 0 ? kBucketList : 0, kBucketList};
  if (ino == kRootIno) times.attributes = kBucketList;
  return times;
}

// What .versions shows changes with every close of a file, but for what was: that only goes, when versions are removed
// for good, and then all entries go with it. A kernel that cannot be told so asks again after a second.
CacheTimes FuseSession::Impl::version_times(const Attributes& to) const {
  CacheTimes times{0, to.fixed ? kLong : 0};
  const double lasts = can_expire ? kLong : kSoon;
  switch (entry_caching.load(std::memory_order_relaxed)) {
    case EntryCaching::kNone:
      break;
    case EntryCaching::kOpenDirectories:
      if (to.name == NameLasts::kForAll) times.entry = lasts;
      break;
    case EntryCaching::kAll:
      if (to.name != NameLasts::kNo) times.entry = lasts;
      break;
  }
  return times;
}

std::string FuseSession::entry_caching() const {
  switch (impl_->entry_caching.load()) {
    case EntryCaching::kNone:
      return "none";
    case EntryCaching::kOpenDirectories:
      return "open directories";
    case EntryCaching::kAll:
      return "all";
  }
  return "";
}

// Attributes are worth reading for a listing only where the kernel keeps the entries with them. And it takes the epoch
// of those when it has the reply, not when it asks: who holds its thread up meanwhile (his buffer may be a mapped file
// of his own) would keep entries of a directory that was closed to him. So they are for mounts of one user.
bool FuseSession::Impl::keeps_listed(Ino directory) const {
  return entry_caching.load(std::memory_order_relaxed) == EntryCaching::kAll && keeps_entries(directory);
}

bool FuseSession::Impl::keeps_entries(Ino directory) const {
  // Conditions may tell apart what ids do not: programs, times. Who finds a bucket by its name is no policy's matter.
  if (directory != kRootIno && core.has_policies(directory)) return false;
  switch (entry_caching.load(std::memory_order_relaxed)) {
    case EntryCaching::kNone:
      return false;
    case EntryCaching::kOpenDirectories:
      return core.open_to_all(directory);
    case EntryCaching::kAll:
      return true;
  }
  return false;
}

Status FuseSession::Impl::change_rights(Ino directory, const std::function<Status()>& change) {
  if (entry_caching != EntryCaching::kOpenDirectories) return change();
  // One at a time: who finds the directory closed by another must not answer before the entries are gone.
  MutexLock lock(closing);
  const bool kept = keeps_entries(directory);
  Status changed = change();
  if (kept && changed && !keeps_entries(directory)) expire_entries();
  return changed;
}

// The kernel moves its entry along with all that it knows of it: kept because the old directory was open to all, it
// would be kept in one that is not.
void FuseSession::Impl::moved(Ino from, Ino to) {
  if (from == to || entry_caching != EntryCaching::kOpenDirectories) return;
  if (keeps_entries(from) != keeps_entries(to)) expire_entries();  // either way: with RENAME_EXCHANGE both move
}

void FuseSession::Impl::expire_entries() {
  if (!can_expire) return;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
  const int result = fuse_lowlevel_notify_increment_epoch(session);
  if (result != 0 && result != -ENODEV) {  // ENODEV: it is unmounted
    entry_caching = EntryCaching::kNone;
    log_error("the kernel does not forget directory entries that have become private ({}): unmount, to be safe",
              system_error(-result, "notify").message);
  }
#endif
}

}  // namespace pailfs
