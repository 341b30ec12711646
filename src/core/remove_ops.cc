// Calls that take a name away, and what becomes of an inode that has none left.
#include <sys/stat.h>

#include "base/codec.h"
#include "base/logging.h"
#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/scan.h"
#include "core/versions_view.h"

namespace pailfs {

// Whether an inode that loses its last name is kept for what it was: a file for its versions, a directory because its
// entries' history is resolved through it (and guarded by its mode), what has no content because moments show it.
Result<bool> Core::Impl::kept_for_history(const Inode& inode) {
  if (versioning(bucket_of(inode.ino)) == Versioning::kOff) return false;
  if (!S_ISREG(inode.record.mode) || inode.record.sealed) return true;
  bool any = false;
  const std::string prefix = keys::numbered('v', inode.ino);
  PAILFS_TRY(scan_prefix(store, bucket_of(inode.ino), prefix, [&](const StoreView::Entry&) -> Result<bool> {
    any = true;
    return false;
  }));
  return any;
}

Status Core::Impl::drop_link(Inode& inode, Stamp at, Transaction& tx) {
  InodeRecord& record = inode.record;
  const uint32_t left = S_ISDIR(record.mode) ? 0 : record.nlink - 1;
  bool kept = left > 0;
  if (!kept) {
    PAILFS_ASSIGN(kept, kept_for_history(inode));
  }
  if (kept) keep_attributes(inode, at, tx);
  record.ctime = now();
  record.nlink = left;
  if (kept) {
    put_inode(inode.ino, record, tx);
    return {};
  }
  // First known as an orphan, then asked whether it is used: who drops the last use in between finds it there (and
  // waits in reap() for the tree lock).
  {
    MutexLock lock(orphans_lock);
    orphans.insert(inode.ino);
  }
  if (inode.handles > 0 || inodes.references(inode.ino) > 0) {
    put_inode(inode.ino, record, tx);
    tx.put(bucket_of(inode.ino), keys::orphan(inode.ino), std::string());
    return {};
  }
  {
    MutexLock lock(orphans_lock);
    orphans.erase(inode.ino);
  }
  return remove_inode(inode, tx);
}

void Core::Impl::add_orphan(Inode& inode, Transaction& tx) {
  tx.put(bucket_of(inode.ino), keys::orphan(inode.ino), std::string());
  MutexLock lock(orphans_lock);
  orphans.insert(inode.ino);
}

Result<bool> Core::Impl::leave_to_last_user(Inode& inode) {
  const Ino ino = inode.ino;
  Transaction tx;
  add_orphan(inode, tx);  // before it is asked who uses it, as in drop_link()
  if (inode.handles > 0 || inodes.references(ino) > 0) {
    Status done = commit(std::move(tx));
    if (done) return true;
    reload(inode);
    return std::unexpected(std::move(done).error());
  }
  MutexLock lock(orphans_lock);
  orphans.erase(ino);
  return false;
}

Status Core::Impl::remove_orphan(const InodePtr& inode) {
  LockedInodes locked({inode});
  assert_locked(*inode);
  if (inode->gone) return {};  // somebody was faster: what it had is released
  Transaction tx;
  if (Status removed = remove_inode(*inode, tx); !removed) {
    reload(*inode);
    return removed;
  }
  tx.erase(keys::orphan(inode->ino));
  PAILFS_TRY(commit(std::move(tx), locked));
  inodes.remove(inode->ino);
  MutexLock lock(orphans_lock);
  orphans.erase(inode->ino);
  return {};
}

void Core::Impl::reap(Ino ino) {
  {
    MutexLock lock(orphans_lock);
    if (!orphans.contains(ino)) return;
  }
  MutexLock tree_lock(tree);
  const Result<InodePtr> inode = inodes.get(ino);
  bool named = false;
  if (inode) {
    ReaderLock lock((*inode)->lock);
    named = (*inode)->gone || (*inode)->record.nlink > 0;  // its last name was not taken after all
    if (!named && ((*inode)->handles > 0 || inodes.references(ino) > 0)) return;
  } else {
    named = inode.error().code == Code::kNotFound;
  }
  if (named) {
    MutexLock lock(orphans_lock);
    orphans.erase(ino);
    return;
  }
  const Status removed = inode ? remove_orphan(*inode) : Status(std::unexpected(inode.error()));
  // It stays an orphan, and is tried again at the next start.
  if (!removed) log_error("inode {} without a name is not removed: {}", ino, removed.error().message);
}

Status Core::Impl::reap_leftovers() {
  if (store.status().read_only) return {};
  std::vector<Scope> numbers;
  {
    ReaderLock lock(buckets_lock);
    for (const auto& [number, record] : bucket_table) numbers.push_back(number);
  }
  for (const Scope number : numbers) {
    const std::string from = keys::orphan(Ino{number} << kBucketShift);
    const std::string end = keys::orphan((Ino{number} + 1) << kBucketShift);
    const Status reaped = scan_range(store, number, from, end, [this](const StoreView::Entry& entry) -> Result<bool> {
      Decoder key(std::string_view(entry.key).substr(1));
      const Ino ino = key.be64();
      {
        MutexLock lock(orphans_lock);
        orphans.insert(ino);
      }
      reap(ino);
      return true;
    });
    if (!reaped) log_error("files without a name in bucket {} are not removed: {}", number, reaped.error().message);
  }
  return {};
}

void Core::Impl::reload(Inode& inode) {
  const auto value = store.get(bucket_of(inode.ino), keys::inode(inode.ino));
  if (!value) return;  // unreadable now: the copy in memory is the better one
  inode.gone = !value->has_value();
  if (inode.gone) return;
  if (const auto orphan = store.get(bucket_of(inode.ino), keys::orphan(inode.ino)); orphan && !*orphan) {
    MutexLock lock(orphans_lock);
    orphans.erase(inode.ino);
  }
  if (auto record = decode_inode(**value)) inode.record = std::move(*record);
  inode.provisional = 0;
}

Status Core::Impl::remove_entry(const Caller& caller, Ino parent, std::string_view name, bool directory) {
  MutexLock tree_lock(tree);
  PAILFS_ASSIGN(const InodePtr above, existing(parent));
  PAILFS_ASSIGN(const Place where, place(parent, name));
  InodePtr victim;
  if (where.found) {
    PAILFS_ASSIGN(victim, target(parent, *where.found));
  }
  LockedInodes locked({above, victim});
  assert_locked(*above);
  PAILFS_TRY(check_directory(caller, *above, name));
  if (!victim) return fail(Code::kNotFound, "no such entry");
  assert_locked(*victim);
  const Attributes above_attributes = Impl::attributes(parent, above->record);
  const Attributes attributes = Impl::attributes(victim->ino, victim->record);
  AccessRequest removal{caller, Action::kDeleteObject, Need::kRemove, above_attributes, &attributes};
  removal.name = name;
  PAILFS_TRY(gate.check(removal));
  const bool is_directory = S_ISDIR(victim->record.mode);
  if (is_directory && !directory) return fail(Code::kIsDirectory, "a directory");
  if (!is_directory && directory) return fail(Code::kNotDirectory, "not a directory");
  PAILFS_TRY(unless_explained());

  Transaction tx;
  VersionId before{}, marker{};
  Status changed = is_directory ? clear_directory(*victim, tx) : seal(*victim, false, tx);
  if (changed) {
    const Stamp at = stamp(tx);
    before = victim->record.version.id;
    keep_directory(*above, at, tx);
    marker = end_entry(parent, *where.found, EndKind::kDeleted, caller.uid, at, tx);
    changed = drop_link(*victim, at, tx);
  }
  if (!changed) {
    reload(*victim);
    return changed;
  }
  if (is_directory) --above->record.nlink;
  above->record.mtime = above->record.ctime = now();
  put_inode(parent, above->record, tx);
  tx.record(encode_change({Action::kDeleteObject, caller, parent, name, victim->ino, before, marker}, now()));
  PAILFS_TRY(commit(std::move(tx), locked));
  if (victim->gone) inodes.remove(victim->ino);
  return {};
}

// An empty directory may still have place holders of names that collided: they go with it.
Status Core::Impl::clear_directory(Inode& directory, Transaction& tx) {
  std::string prefix = keys::dirent(directory.ino, 0);
  prefix.resize(prefix.size() - sizeof(uint64_t));
  std::vector<std::string> holders;
  PAILFS_TRY(scan_prefix(store, bucket_of(directory.ino), prefix, [&](const StoreView::Entry& entry) -> Result<bool> {
    PAILFS_ASSIGN(const Dirent dirent, decode_dirent(entry.value));
    if (!dirent.name.empty()) return fail(Code::kNotEmpty, "the directory is not empty");
    holders.push_back(entry.key);
    return true;
  }));
  for (std::string& key : holders) tx.erase(std::move(key));
  return {};
}

Status Core::unlink(const Caller& caller, Ino parent, std::string_view name) {
  if (is_virtual(parent)) return impl_->view->unlink(caller, parent, name);
  PAILFS_TRY(Impl::check_name(name));
  if (name == kVersionsName) return fail(Code::kReadOnly, "the versions of a directory stay");
  if (name == "." || name == "..") return fail(Code::kIsDirectory, "a directory");
  PAILFS_TRY(impl_->remove_entry(caller, parent, name, false));
  impl_->settle_nulls(parent, name);
  return {};
}

Status Core::rmdir(const Caller& caller, Ino parent, std::string_view name) {
  if (is_virtual(parent)) return fail(Code::kReadOnly, "versions are read-only");
  PAILFS_TRY(Impl::check_name(name));
  if (name == kVersionsName) return fail(Code::kReadOnly, "the versions of a directory stay");
  if (name == ".") return fail(Code::kInvalid, "'.' cannot be removed");
  if (name == "..") return fail(Code::kNotEmpty, "'..' cannot be removed");
  if (parent == kRootIno) return impl_->remove_bucket(caller, name);
  return impl_->remove_entry(caller, parent, name, true);
}

}  // namespace pailfs
