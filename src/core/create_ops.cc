// Calls that give a name to something: mknod, mkdir, symlink, link. A new node is one transaction with three puts:
// entry, inode, directory.
#include <sys/stat.h>

#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/versions_view.h"

namespace pailfs {

Status Core::Impl::check_new_name(Ino parent, std::string_view name) const {
  PAILFS_TRY(check_name(name));
  if (is_virtual(parent)) return fail(Code::kReadOnly, "versions are read-only");
  if (name == "." || name == ".." || name == kVersionsName) return fail(Code::kExists, "the name is taken");
  return {};
}

Status Core::Impl::check_directory(const Caller& caller, const Inode& directory, std::string_view name) const {
  if (directory.gone || directory.record.nlink == 0 || deleting(bucket_of(directory.ino))) {
    return fail(Code::kNotFound, "no such directory");
  }
  if (!S_ISDIR(directory.record.mode)) return fail(Code::kNotDirectory, "not a directory");
  const Attributes attributes = Impl::attributes(directory.ino, directory.record);
  AccessRequest request{caller, Action::kListBucket, Need::kSearch, attributes};
  request.name = name;
  return gate.check(request);
}

Status Core::Impl::check_new_entry(const Caller& caller, const Inode& directory, std::string_view name) const {
  const Status found = check_directory(caller, directory, name);
  // What there may be of a name that a policy hides is not told: it is in the way, or it is not.
  const bool gone = directory.gone || directory.record.nlink == 0 || deleting(bucket_of(directory.ino));
  if (!found && found.error().code == Code::kNotFound && !gone) return fail(Code::kAccessDenied, "access denied");
  return found;
}

Status Core::Impl::check_put(const Caller& caller, const Inode& directory, std::string_view name) const {
  const Attributes attributes = Impl::attributes(directory.ino, directory.record);
  AccessRequest request{caller, Action::kPutObject, Need::kChangeDirectory, attributes};
  request.name = name;
  return gate.check(request);
}

InodeRecord Core::Impl::new_record(const Caller& caller, const InodeRecord& directory, const NewNode& node) const {
  InodeRecord record;
  const bool is_directory = S_ISDIR(node.mode);
  record.mode = node.mode;
  record.uid = caller.uid;
  record.gid = caller.gid;
  if ((directory.mode & S_ISGID) != 0) {  // inode_init_owner() of Linux
    record.gid = directory.gid;
    if (is_directory) {
      record.mode |= S_ISGID;
    } else if ((record.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && caller.uid != 0 &&
               !gate.in_group(caller, record.gid)) {
      record.mode &= ~uint32_t{S_ISGID};
    }
  }
  // posix_acl_create() of Linux: a default ACL takes the place of the umask. Symbolic links have neither.
  if (directory.default_acl && !S_ISLNK(record.mode)) {
    InheritedAcl inherited = inherit_acl(*directory.default_acl, record.mode);
    record.mode = (record.mode & ~0777u) | inherited.permissions;
    record.acl = std::move(inherited.acl);
    if (is_directory) record.default_acl = directory.default_acl;
  } else if (!S_ISLNK(record.mode)) {
    record.mode &= ~(caller.umask & 0777u);
  }
  record.nlink = is_directory ? 2 : 1;
  record.rdev = node.rdev;
  record.target = node.target;
  record.size = node.target.size();
  record.atime = record.mtime = record.ctime = record.btime = now();
  record.dirty = S_ISREG(node.mode);
  return record;
}

Result<InodePtr> Core::Impl::make_node(const Caller& caller, Ino parent, std::string_view name, const NewNode& node) {
  PAILFS_TRY(check_new_name(parent, name));
  if (parent == kRootIno) return fail(Code::kNotPermitted, "the store's root holds buckets only");
  const bool is_directory = S_ISDIR(node.mode);
  MutexLock tree_lock(tree);
  PAILFS_ASSIGN(const InodePtr directory, existing(parent));
  LockedInodes locked({directory});
  assert_locked(*directory);
  PAILFS_TRY(check_new_entry(caller, *directory, name));
  PAILFS_ASSIGN(Place where, place(parent, name));
  if (where.found) return fail(Code::kExists, "the name is taken");
  InodeRecord& above = directory->record;
  PAILFS_TRY(check_put(caller, *directory, name));
  if (is_directory && above.nlink >= kLinkMax) return fail(Code::kTooManyLinks, "too many directories");
  PAILFS_TRY(unless_explained());

  Transaction tx;
  PAILFS_ASSIGN(const Ino ino, new_number(bucket_of(parent), tx));
  InodeRecord record = new_record(caller, above, node);
  close_new_record(bucket_of(parent), record);
  if (S_ISLNK(node.mode)) {
    PAILFS_ASSIGN(record.retention, new_retention(bucket_of(parent)));
  }
  const Stamp since = stamp(tx);
  keep_directory(*directory, since, tx);
  if (is_directory) {
    record.parent = parent;
    ++above.nlink;
  }
  above.mtime = above.ctime = record.ctime;
  if (S_ISLNK(node.mode)) {  // what a link leads to never changes: it is a version from the start
    record.sealed = true;
    record.version.sealed = since;
    record.version.null_id = versioning(bucket_of(parent)) != Versioning::kEnabled;
    if (!record.version.null_id) record.version.id = make_version_id(since);
  }
  Dirent entry{.ino = ino, .type = node.mode & S_IFMT, .since = since, .name = std::string(name)};
  if (Status inserted = insert_entry(parent, std::move(where), std::move(entry), tx); !inserted) {
    reload(*directory);
    return std::unexpected(std::move(inserted).error());
  }
  put_inode(ino, record, tx);
  put_inode(parent, above, tx);
  tx.record(encode_change({Action::kPutObject, caller, parent, name, ino}, record.ctime));
  InodePtr inode = inodes.insert(ino, std::move(record));
  inode->handles = node.open ? 1 : 0;
  inode->writers = node.open && node.write ? 1 : 0;
  if (Status committed = commit(std::move(tx), locked); !committed) {
    inodes.remove(ino);
    return std::unexpected(std::move(committed).error());
  }
  inodes.add_reference(ino);
  return inode;
}

// As make_node(), but what it makes is an orphan from the start.
Result<InodePtr> Core::Impl::make_unnamed(const Caller& caller, Ino parent, const NewNode& node, bool linkable) {
  if (is_virtual(parent)) return fail(Code::kReadOnly, "versions are read-only");
  if (parent == kRootIno) return fail(Code::kNotPermitted, "the store's root holds buckets only");
  PAILFS_ASSIGN(const InodePtr directory, existing(parent));
  InodeRecord record;
  {
    ReaderLock lock(directory->lock);
    PAILFS_TRY(check_directory(caller, *directory, {}));
    PAILFS_TRY(check_put(caller, *directory, {}));
    record = new_record(caller, directory->record, node);
  }
  close_new_record(bucket_of(parent), record);
  record.nlink = 0;
  Transaction tx;
  PAILFS_ASSIGN(const Ino ino, new_number(bucket_of(parent), tx));
  put_inode(ino, record, tx);
  tx.put(bucket_of(ino), keys::orphan(ino), std::string());
  tx.record(encode_change({Action::kPutObject, caller, 0, {}, ino}, record.ctime));
  InodePtr inode = inodes.insert(ino, std::move(record));
  inode->handles = 1;
  inode->writers = node.write ? 1 : 0;
  {
    WriterLock lock(inode->lock);
    inode->linkable = linkable;
  }
  {
    MutexLock lock(orphans_lock);
    orphans.insert(ino);
  }
  if (Status committed = commit(std::move(tx)); !committed) {
    inodes.remove(ino);
    MutexLock lock(orphans_lock);
    orphans.erase(ino);
    return std::unexpected(std::move(committed).error());
  }
  inodes.add_reference(ino);
  return inode;
}

namespace {

Result<Attributes> shown(const Result<InodePtr>& made) {
  if (!made) return std::unexpected(made.error());
  Inode& inode = **made;
  ReaderLock lock(inode.lock);
  return Core::Impl::attributes(inode.ino, inode.record);
}

}  // namespace

Result<Attributes> Core::mknod(const Caller& caller, Ino parent, std::string_view name, uint32_t mode, uint64_t rdev) {
  NewNode node{.mode = mode & (S_IFMT | 07777)};
  if ((mode & S_IFMT) == 0) node.mode |= S_IFREG;
  switch (node.mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    case S_IFCHR:
    case S_IFBLK:
      if (caller.uid != 0) return fail(Code::kNotPermitted, "only the superuser makes device files");
      node.rdev = rdev;
      break;
    case S_IFDIR:
      return fail(Code::kNotPermitted, "mknod makes no directories");
    default:
      return fail(Code::kInvalid, "not a type of file that mknod makes");
  }
  const auto made = impl_->make_node(caller, parent, name, node);
  if (made) impl_->settle_nulls(parent, name);
  return shown(made);
}

Result<Attributes> Core::mkdir(const Caller& caller, Ino parent, std::string_view name, uint32_t mode) {
  if (parent == kRootIno) return shown(impl_->make_bucket(caller, name, Versioning::kEnabled, mode));
  return shown(impl_->make_node(caller, parent, name, {.mode = S_IFDIR | (mode & 07777)}));
}

Result<Attributes> Core::symlink(const Caller& caller, Ino parent, std::string_view name, std::string_view target) {
  if (target.empty()) return fail(Code::kNotFound, "a symbolic link to nothing");
  if (target.size() > kSymlinkMax) return fail(Code::kNameTooLong, "the target has more than 4095 bytes");
  const auto made = impl_->make_node(caller, parent, name, {.mode = S_IFLNK | 0777, .target = target});
  if (made) impl_->settle_nulls(parent, name);
  return shown(made);
}

namespace {

// What fs.protected_hardlinks demands (proc_sys_fs(5)): the kernel cannot see our mode bits for its read and write
// test.
Status check_link_source(const Gate& gate, const Caller& caller, const Attributes& source) {
  if (caller.uid == 0 || caller.uid == source.uid) return {};
  const bool privileged = (source.mode & S_ISUID) != 0 || (source.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (S_ISREG(source.mode) && !privileged &&
      gate.check({caller, Action::kPutObject, Need::kReadWrite, source}).has_value()) {
    return {};
  }
  return fail(Code::kNotPermitted, "only files that one owns, or may read and write, get another name");
}

}  // namespace

Result<Attributes> Core::link(const Caller& caller, Ino ino, Ino parent, std::string_view name) {
  Impl& impl = *impl_;
  PAILFS_TRY(impl.check_new_name(parent, name));
  MutexLock tree_lock(impl.tree);
  PAILFS_ASSIGN(const InodePtr directory, impl.existing(parent));
  InodePtr source;
  if (!is_virtual(ino)) {
    PAILFS_ASSIGN(source, impl.existing(ino));
  }
  LockedInodes locked({directory, source});
  assert_locked(*directory);
  PAILFS_TRY(impl.check_new_entry(caller, *directory, name));
  PAILFS_ASSIGN(Impl::Place where, impl.place(parent, name));
  if (where.found) return fail(Code::kExists, "the name is taken");
  if (bucket_of(ino) != bucket_of(parent) || !source) return fail(Code::kCrossDevice, "a link stays in its bucket");
  assert_locked(*source);
  InodeRecord& record = source->record;
  const bool first_name = record.nlink == 0 && source->linkable;
  if (source->gone || (record.nlink == 0 && !first_name)) return fail(Code::kNotFound, "no such file");
  if (S_ISDIR(record.mode)) return fail(Code::kNotPermitted, "directories have one name");
  const Attributes old = Impl::attributes(ino, record);
  PAILFS_TRY(check_link_source(impl.gate, caller, old));
  PAILFS_TRY(impl.gate.check({caller, Action::kGetObject, Need::kNothing, old}));
  PAILFS_TRY(impl.check_put(caller, *directory, name));
  if (!first_name) PAILFS_TRY(impl.gate.check_link(caller, old, parent, name));
  if (record.nlink >= kLinkMax) return fail(Code::kTooManyLinks, "too many names");
  PAILFS_TRY(unless_explained());

  Transaction tx;
  const Stamp at = impl.stamp(tx);
  Dirent entry{.ino = ino, .type = record.mode & S_IFMT, .since = at, .name = std::string(name)};
  PAILFS_TRY(impl.insert_entry(parent, std::move(where), std::move(entry), tx));
  impl.keep_directory(*directory, at, tx);
  if (!first_name) impl.keep_attributes(*source, at, tx);
  ++record.nlink;
  if (first_name) tx.erase(keys::orphan(ino));
  record.ctime = directory->record.mtime = directory->record.ctime = impl.now();
  impl.put_inode(ino, record, tx);
  impl.put_inode(parent, directory->record, tx);
  tx.record(encode_change({Action::kPutObject, caller, parent, name, ino}, record.ctime));
  PAILFS_TRY(impl.commit(std::move(tx), locked));
  if (first_name) {
    source->linkable = false;
    MutexLock lock(impl.orphans_lock);
    impl.orphans.erase(ino);
  }
  impl.inodes.add_reference(ino);
  return Impl::attributes(ino, record);
}

}  // namespace pailfs
