// Attributes: stat, chmod, chown, utimes, truncate, access, readlink.
#include <sys/stat.h>
#include <unistd.h>

#include "core/content.h"
#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/versions_view.h"

namespace pailfs {

Attributes Core::Impl::attributes(Ino ino, const InodeRecord& record) {
  return {.ino = ino,
          .mode = record.mode,
          .nlink = record.nlink,
          .uid = record.uid,
          .gid = record.gid,
          .rdev = record.rdev,
          .size = record.size,
          .blocks = (record.stored + 511) / 512,
          .atime = record.atime,
          .mtime = record.mtime,
          .ctime = record.ctime,
          .btime = record.btime,
          .acl = record.acl};
}

void Core::Impl::put_inode(Ino ino, const InodeRecord& record, Transaction& tx) {
  tx.put(bucket_of(ino), keys::inode(ino), encode_inode(record));
}

Result<Attributes> Core::getattr(const Caller& caller, Ino ino) {
  if (is_virtual(ino)) return impl_->view->getattr(caller, ino);
  PAILFS_ASSIGN(const InodePtr inode, impl_->existing(ino));
  ReaderLock lock(inode->lock);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  Attributes attributes = Impl::attributes(ino, inode->record);
  PAILFS_TRY(impl_->gate.check({caller, Action::kListBucket, Need::kNothing, attributes}));
  return attributes;
}

Result<std::string> Core::readlink(const Caller& caller, Ino ino) {
  if (is_virtual(ino)) return impl_->view->readlink(caller, ino);
  PAILFS_ASSIGN(const InodePtr inode, impl_->existing(ino));
  ReaderLock lock(inode->lock);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  if (!S_ISLNK(inode->record.mode)) return fail(Code::kInvalid, "not a symbolic link");
  // The kernel may hold it, and gives it to whoever looks the link up: so it is no more than the name.
  const Attributes attributes = Impl::attributes(ino, inode->record);
  PAILFS_TRY(impl_->gate.check({caller, Action::kListBucket, Need::kNothing, attributes}));
  return inode->record.target;
}

Status Core::access(const Caller& caller, Ino ino, int mask) {
  if (is_virtual(ino)) return impl_->view->access(caller, ino, mask);
  PAILFS_ASSIGN(const InodePtr inode, impl_->existing(ino));
  ReaderLock lock(inode->lock);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  const Attributes attributes = Impl::attributes(ino, inode->record);
  const Gate& gate = impl_->gate;
  // Every action that is asked for is checked, each with all that is asked for: no two groups add up.
  AccessRequest request{caller, S_ISDIR(attributes.mode) ? Action::kListBucket : Action::kGetObject, Need::kPermissions,
                        attributes};
  request.permissions = static_cast<uint32_t>(mask & (R_OK | W_OK | X_OK));
  if ((mask & (R_OK | X_OK)) != 0) PAILFS_TRY(gate.check(request));
  request.action = Action::kPutObject;
  if ((mask & W_OK) != 0) PAILFS_TRY(gate.check(request));
  return {};
}

namespace {

bool is_now(const std::optional<Time>& time, bool now, const std::optional<Time>& ctime) {
  // The kernel's write-back cache stamps files itself: "now" arrives as a time, equal to the new ctime.
  return now || (time && ctime && *time == *ctime);
}

// After a rename, link, chmod and the like the kernel's write-back cache sets the change time of a regular file to the
// moment at which it got the answer: in the caller's name, without a handle, and along with the modification time as it
// is. Refusing that would fail the file's next fsync. A utimensat(2) that asks for the time that the file already has
// looks the same: see changes_now().
bool is_change_time_only(const AttributeChange& change, const InodeRecord& record) {
  return change.ctime && change.mtime == record.mtime && !change.atime && !change.atime_now && !change.mtime_now &&
         !change.mode && !change.uid && !change.gid && !change.size;
}

// Whether such a change time is that of a change which was just made: once for each, or who may not set times would
// move it on for ever.
bool changes_now(const AttributeChange& change, const InodeRecord& record, Time brought) {
  constexpr Time kMoment = 2 * kSecond;
  return record.ctime != brought && *change.ctime <= record.ctime + kMoment;
}

// What one setattr asks for, judged by POSIX: chmod(2), chown(2), truncate(2), utimensat(2).
class AttributeCheck {
 public:
  AttributeCheck(const Gate& gate, const Caller& caller, const Attributes& object, const AttributeChange& change,
                 bool handle_writes)
      : gate_(gate), caller_(caller), object_(object), change_(change), handle_writes_(handle_writes) {}

  Status run() const {
    if (change_.size) PAILFS_TRY(size(*change_.size));
    if (change_.uid || change_.gid) PAILFS_TRY(owner());
    if (change_.mode) PAILFS_TRY(mode(*change_.mode));
    return times();
  }

 private:
  Status need(Action action, Need what) const { return gate_.check({caller_, action, what, object_}); }

  Status size(uint64_t wanted) const {
    if (S_ISDIR(object_.mode)) return fail(Code::kIsDirectory, "a directory has no size to set");
    if (!S_ISREG(object_.mode)) return fail(Code::kInvalid, "only regular files have a size to set");
    if (wanted > kMaxFileSize) return fail(Code::kTooBig, "beyond the greatest size of a file");
    if (handle_writes_) return {};
    return need(Action::kPutObject, Need::kWrite);
  }

  Status owner() const {
    return gate_.check({caller_, Action::kPutObjectAcl, Need::kChown, object_, nullptr, change_.uid.value_or(~0u),
                        change_.gid.value_or(~0u)});
  }

  Status mode(uint32_t mode) const {
    if (S_ISLNK(object_.mode)) return fail(Code::kNotSupported, "symbolic links have no mode of their own");
    Status owner = need(Action::kPutObjectAcl, Need::kWriteAcl);
    const uint32_t old = object_.mode & 07777, wanted = mode & 07777;
    // Whom a policy or WRITE_ACP lets change modes does not thereby run programs as somebody else.
    const bool others = caller_.uid != 0 && caller_.uid != object_.uid;
    if (owner && others && S_ISREG(object_.mode) && ((old | wanted) & (S_ISUID | S_ISGID)) != 0) {
      owner = fail(Code::kNotPermitted, "files with set-id bits are the owner's to change");
    }
    if (owner) return owner;
    // The kernel strips set-id bits for who writes to a file by a chmod in his name.
    const bool only_strips =
        old != wanted && (old & ~(S_ISUID | S_ISGID)) == (wanted & ~(S_ISUID | S_ISGID)) && (wanted & ~old) == 0;
    if (!only_strips) return owner;
    if (handle_writes_ || need(Action::kPutObject, Need::kWrite).has_value()) return {};
    return owner;
  }

  Status times() const {
    const bool any = change_.atime || change_.mtime || change_.atime_now || change_.mtime_now;
    // With a new size come the times that the kernel gave the file at that moment.
    if (!any || change_.from_kernel || change_.size) return {};
    const bool access = change_.atime || change_.atime_now, modification = change_.mtime || change_.mtime_now;
    // Under write-back caching the kernel sends what O_TRUNC did to the times so, in the caller's name and without a
    // handle. A utimensat(2) of the modification time alone, to now, looks the same.
    const bool pushed = !access && change_.mtime && change_.mtime == change_.ctime;
    if (pushed && need(Action::kPutObject, Need::kWrite)) return {};
    // Both at once to now is for whoever may write; one alone counts as choosing a time (Linux, vfs_utimes()).
    const bool explicit_time = access != modification ||
                               (change_.atime && !is_now(change_.atime, change_.atime_now, change_.ctime)) ||
                               (change_.mtime && !is_now(change_.mtime, change_.mtime_now, change_.ctime));
    if (explicit_time) return need(Action::kPutObjectAcl, Need::kOwner);
    if (handle_writes_) return {};
    return need(Action::kPutObjectAcl, Need::kOwnerOrWrite);
  }

  const Gate& gate_;
  const Caller& caller_;
  const Attributes& object_;
  const AttributeChange& change_;
  const bool handle_writes_;
};

// chown(2) and Linux's setattr_prepare(): which set-id bits survive.
uint32_t changed_mode(const Gate& gate, const Caller& caller, const InodeRecord& record,
                      const AttributeChange& change) {
  uint32_t mode = record.mode;
  const uint32_t gid = change.gid.value_or(record.gid);
  if (change.mode) {
    mode = (mode & S_IFMT) | (*change.mode & 07777);
    if ((mode & S_ISGID) != 0 && caller.uid != 0 && !gate.in_group(caller, gid)) mode &= ~uint32_t{S_ISGID};
  }
  if ((change.uid || change.gid) && !S_ISDIR(mode)) mode = mode_without_privileges(mode);
  if (change.size && caller.uid != 0) mode = mode_without_privileges(mode);
  return mode;
}

void apply_times(const AttributeChange& change, Time now, InodeRecord& record) {
  if (change.atime_now) record.atime = now;
  if (change.atime) record.atime = *change.atime;
  if (change.mtime_now) record.mtime = now;
  if (change.mtime) record.mtime = *change.mtime;
  record.ctime = change.ctime.value_or(now);
}

}  // namespace

Status Core::Impl::apply_attributes(const Caller& caller, Inode& inode, const AttributeChange& change,
                                    Transaction& tx) {
  InodeRecord& record = inode.record;
  const Time at = now();
  const uint32_t mode = changed_mode(gate, caller, record, change);
  // A new size is content, and so are the times that come with it. What the kernel says of times belongs to the change
  // that made them.
  const bool content_only = change.size && mode == record.mode && !change.uid && !change.gid;
  if (!content_only && !change.from_kernel) keep_attributes(inode, stamp(tx), tx);
  if (change.size) {
    if (*change.size != record.size) {
      PAILFS_TRY(resize(inode, *change.size, tx));
      if (change.handle == 0 && inode.writers == 0) PAILFS_TRY(seal(inode, false, tx));
    }
    record.mtime = at;
  }
  record.mode = mode;
  if (change.mode && record.acl) record.acl = std::make_shared<const Acl>(acl_with_mode(*record.acl, mode));
  if (change.uid) record.uid = *change.uid;
  if (change.gid) record.gid = *change.gid;
  apply_times(change, at, record);
  if (change.mtime || change.mtime_now) inode.untouched.reset();
  put_inode(inode.ino, record, tx);
  if (change.from_kernel) return {};  // what changed the file was recorded when it did
  const Action action = change.size ? Action::kPutObject : Action::kPutObjectAcl;
  tx.record(encode_change({action, caller, 0, {}, inode.ino}, at));
  return {};
}

Result<Attributes> Core::setattr(const Caller& caller, Ino ino, const AttributeChange& asked) {
  if (is_virtual(ino)) return fail(Code::kReadOnly, "versions are read-only");
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const InodePtr inode, impl.existing(ino));
  AttributeChange change = asked;
  bool handle_writes = false;
  HandlePtr handle;
  if (change.handle != 0) {
    handle = impl.handles.get(change.handle);
    handle_writes = handle && handle->ino == ino && handle->write;
    if (change.size && !handle_writes) return fail(Code::kBadHandle, "the file was not opened for writing");
  }
  LockedInodes locked({inode});
  assert_locked(*inode);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  const Attributes before = Impl::attributes(ino, inode->record);
  if (is_change_time_only(change, inode->record)) {
    change.from_kernel = true;
    const bool may = handle_writes || changes_now(change, inode->record, inode->brought_ctime) ||
                     impl.gate.check({caller, Action::kPutObjectAcl, Need::kOwnerOrWrite, before});
    if (!may) return Impl::attributes(ino, inode->record);
    inode->brought_ctime = *change.ctime;
  }
  PAILFS_TRY(AttributeCheck(impl.gate, caller, before, change, handle_writes).run());
  if (change.mode) PAILFS_TRY(impl.check_public_mode(ino, inode->record, *change.mode));
  PAILFS_TRY(unless_explained());
  if (change.size && *change.size != inode->record.size) settle_for(*inode, handle.get());
  Transaction tx;
  if (Status applied = impl.apply_attributes(caller, *inode, change, tx); !applied) {
    impl.reload(*inode);
    return std::unexpected(std::move(applied).error());
  }
  PAILFS_TRY(impl.commit(std::move(tx), locked));
  return Impl::attributes(ino, inode->record);
}

bool Core::open_to_all(Ino directory) {
  if (is_virtual(directory)) return false;
  const Result<InodePtr> inode = impl_->existing(directory);
  if (!inode) return false;
  ReaderLock lock((*inode)->lock);
  return !(*inode)->gone && impl_->gate.open_to_all(Impl::attributes(directory, (*inode)->record));
}

Result<Space> Core::statfs() const { return impl_->store.space(); }

}  // namespace pailfs
