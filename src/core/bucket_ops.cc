// Buckets: making, removing when empty, listing, versioning. A bucket is a record and a directory in the store's root,
// with inodes, names and keys of its own.
//
// Crashes: a bucket's keys are durable before the transaction that makes the bucket, and destroyed after the one that
// removes it is durable; load_buckets() destroys keys that no bucket has.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/logging.h"
#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/scan.h"
#include "core/versions_view.h"

namespace pailfs {

std::unexpected<Error> no_bucket(std::string_view name) {
  return fail(Code::kNotFound, fmt::format("NoSuchBucket: there is no bucket '{}'", printable(name)));
}

std::string keyless_bucket(std::string_view name) {
  return fmt::format(
      "bucket {} has no keys: the keyring is an older one, from before the bucket was made. Put the newer "
      "keyring.0 and keyring.1 back; nothing of the bucket can be read without them",
      printable(name));
}

Result<BucketRecord> Core::Impl::bucket_record(Scope number) const {
  ReaderLock lock(buckets_lock);
  const auto it = bucket_table.find(number);
  if (it == bucket_table.end()) return fail(Code::kNotFound, "no such bucket");
  return it->second;
}

Versioning Core::Impl::versioning(Scope number) const {
  ReaderLock lock(buckets_lock);
  const auto it = bucket_table.find(number);
  return it == bucket_table.end() ? Versioning::kOff : it->second.versioning;
}

bool Core::Impl::deleting(Scope number) const {
  if (buckets_deleting.load(std::memory_order_relaxed) == 0) return false;
  ReaderLock lock(buckets_lock);
  const auto it = bucket_table.find(number);
  return it != bucket_table.end() && it->second.deleting;
}

void Core::Impl::set_bucket(const BucketRecord& record) {
  public_access.set_bucket(record.number, record.public_access);
  WriterLock lock(buckets_lock);
  bucket_table.insert_or_assign(record.number, record);
  count_states();
}

void Core::Impl::forget_bucket(Scope number) {
  {
    WriterLock lock(buckets_lock);
    bucket_table.erase(number);
    count_states();
  }
  policies.set(number, nullptr);
  public_access.set_bucket(number, 0);
  forget_numbers(number);
}

void Core::Impl::count_states() {
  uint32_t are_deleting = 0, are_locking = 0;
  std::set<Scope> without_acls;
  for (const auto& [number, record] : bucket_table) {
    are_deleting += record.deleting ? 1 : 0;
    are_locking += record.object_lock ? 1 : 0;
    if (record.ownership == ObjectOwnership::kBucketOwnerEnforced) without_acls.insert(number);
  }
  buckets_deleting = are_deleting;
  buckets_locking = are_locking;
  acl_facts.set_acls_off(std::move(without_acls));
}

namespace {

// Keys are there before the bucket's record and go after it.
void report_keyless_buckets(const Store& store) {
  const auto visit = [&store](const StoreView::Entry& entry) -> Result<bool> {
    const auto record = decode_bucket(entry.value);
    if (record && !store.has_scope(record->number)) log_error("{}", keyless_bucket(record->name));
    return true;
  };
  (void)scan_range(store, kStoreScope, "b", "c", visit);  // damage is the check's business
}

}  // namespace

// The keyring says which buckets there may be, so that a record that does not verify costs its own bucket only.
Status Core::Impl::load_buckets() {
  PAILFS_ASSIGN(const auto counter, store.get(kStoreScope, keys::numbers(kStoreScope)));
  uint64_t next = 1;
  if (counter) {
    PAILFS_ASSIGN(next, decode_counter(*counter));
  }
  const bool read_only = store.status().read_only;
  for (const Scope scope : store.keyring().scopes()) {
    if (scope == kStoreScope) continue;
    next = std::max<uint64_t>(next, uint64_t{scope} + 1);
    const auto value = store.get(kStoreScope, keys::bucket(scope));
    if (value && !*value) {
      PAILFS_ASSIGN(const auto inode, store.view().seek_key(keys::inode(Ino{scope} << kBucketShift),
                                                            keys::inode((Ino{scope} + 1) << kBucketShift)));
      if (inode) {  // a bucket leaves nothing behind: this is damage
        log_error("bucket number {} has content and no record: run 'pail check'", scope);
        continue;
      }
      log_info("keys of bucket number {}, which is not there (any more), are destroyed", scope);
      if (!read_only) PAILFS_TRY(store.destroy_scope(scope));
      continue;
    }
    Result<BucketRecord> record = value ? decode_bucket(**value) : std::unexpected(value.error());
    if (record) {
      set_bucket(*record);
      policies.load(scope);
    } else {
      log_error("bucket number {} cannot be used: its record is unreadable ({})", scope, record.error().message);
      // Nobody knows which policies speak of it.
      policies.set(scope, std::make_shared<const StoredPolicy>());
    }
  }
  report_keyless_buckets(store);
  WriterLock lock(buckets_lock);
  next_bucket = static_cast<Scope>(next);
  return {};
}

Result<Ino> Core::bucket_directory(std::string_view name) {
  PAILFS_TRY(Impl::check_name(name));
  PAILFS_ASSIGN(const auto found, impl_->find(kRootIno, name));
  if (!found || impl_->deleting(bucket_of(found->entry.ino))) return no_bucket(name);
  return found->entry.ino;
}

Status Core::Impl::check_new_bucket(const Caller& caller, std::string_view name, const Inode& root, Place& where) {
  PAILFS_TRY(check_directory(caller, root, {}));
  PAILFS_ASSIGN(where, place(kRootIno, name));
  if (where.found) return fail(Code::kExists, "the bucket exists");
  const Attributes attributes = Impl::attributes(kRootIno, root.record);
  AccessRequest request{caller, Action::kCreateBucket, Need::kChangeDirectory, attributes};
  request.name = name;
  return gate.check(request);
}

Result<InodePtr> Core::Impl::make_bucket(const Caller& caller, std::string_view name, Versioning state, uint32_t mode,
                                         bool object_lock) {
  PAILFS_TRY(check_name(name));
  if (name == "." || name == "..") return fail(Code::kExists, "the name is taken");
  if (Status valid = check_bucket_name(name); !valid) {
    log_warning("bucket '{}' is refused: {}", printable(name), valid.error().message);
    return std::unexpected(std::move(valid).error());
  }
  PAILFS_ASSIGN(const InodePtr root, inodes.get(kRootIno));
  {
    ReaderLock lock(root->lock);
    Place where;
    PAILFS_TRY(check_new_bucket(caller, name, *root, where));
    PAILFS_TRY(unless_explained());
  }
  if (object_lock) PAILFS_TRY(clock.start());
  // The keys are made, which syncs, before any lock is taken.
  PAILFS_ASSIGN(const Scope number, new_bucket_number());
  PAILFS_TRY(store.create_scope(number));
  Result<InodePtr> made = install_bucket(caller, name, root, number, state, mode, object_lock);
  if (!made) {
    if (const Status destroyed = store.destroy_scope(number); !destroyed) {
      log_error("keys of a bucket that could not be made stay: {}", destroyed.error().message);
    }
  }
  return made;
}

Result<InodePtr> Core::Impl::install_bucket(const Caller& caller, std::string_view name, const InodePtr& root,
                                            Scope number, Versioning state, uint32_t mode, bool object_lock) {
  MutexLock tree_lock(tree);
  LockedInodes locked({root});
  assert_locked(*root);
  Place where;
  PAILFS_TRY(check_new_bucket(caller, name, *root, where));
  if (root->record.nlink >= kLinkMax) return fail(Code::kTooManyLinks, "too many buckets");

  Transaction tx;
  const Ino ino = bucket_root(number);
  InodeRecord record = new_record(caller, root->record, {.mode = S_IFDIR | (mode & 07777)});
  close_new_record(number, record);
  record.parent = kRootIno;
  const Stamp since = stamp(tx);
  const BucketRecord bucket{.name = std::string(name),
                            .number = number,
                            .versioning = state,
                            .owner = gate.account(),
                            .created = record.ctime,
                            .history_since = state == Versioning::kOff ? 0 : since,
                            .object_lock = object_lock,
                            .parent_pointers = true};
  Dirent entry{.ino = ino, .type = S_IFDIR, .since = since, .name = std::string(name)};
  PAILFS_TRY(insert_entry(kRootIno, std::move(where), std::move(entry), tx));
  ++root->record.nlink;
  root->record.mtime = root->record.ctime = record.ctime;
  put_inode(ino, record, tx);
  put_inode(kRootIno, root->record, tx);
  tx.put(kStoreScope, keys::bucket(number), encode_bucket(bucket));
  tx.record(encode_change({Action::kCreateBucket, caller, kRootIno, name, ino}, record.ctime));
  InodePtr inode = inodes.insert(ino, std::move(record));
  set_bucket(bucket);
  if (Status committed = commit(std::move(tx), locked); !committed) {
    inodes.remove(ino);
    forget_bucket(number);
    return std::unexpected(std::move(committed).error());
  }
  inodes.add_reference(ino);
  return inode;
}

Status Core::create_bucket(const Caller& caller, std::string_view name, Versioning versioning, uint32_t mode,
                           bool object_lock) {
  if (object_lock && versioning != Versioning::kEnabled) {
    return fail(Code::kInvalid, "InvalidBucketState: Object Lock needs versioning enabled");
  }
  PAILFS_ASSIGN(const InodePtr made, impl_->make_bucket(caller, name, versioning, mode, object_lock));
  forget(made->ino, 1);
  impl_->name_changed(kRootIno, std::string(name), made->ino);
  return {};
}

// Whether the bucket holds anything but its root: entries, their history, files kept for their versions. Collects the
// keys that an empty bucket still has: place holders, attributes of its root.
Status Core::Impl::check_bucket_empty(Scope number, std::vector<std::string>& leftovers) {
  const Ino first = Ino{number} << kBucketShift, end = (Ino{number} + 1) << kBucketShift;
  const auto not_empty = [](std::string_view what) {
    return fail(Code::kNotEmpty, fmt::format("the bucket still holds {}", what));
  };
  for (const char kind : {'d', 'w', 'h', 'v', 'i', 'c', 'x', 'o', 'a', 'y'}) {
    const auto visit = [&](const StoreView::Entry& entry) -> Result<bool> {
      if (kind == 'd') {
        PAILFS_ASSIGN(const Dirent dirent, decode_dirent(entry.value));
        if (!dirent.name.empty()) return not_empty("objects");
      } else if (kind == 'h') {
        // Without a marker it is what is left of a name whose file has no versions any more.
        PAILFS_ASSIGN(const EndedDirent ended, decode_ended(entry.value));
        if (ended.marker != VersionId{}) return not_empty("delete markers");
      } else if (kind == 'v' || (kind == 'i' && entry.key != keys::inode(bucket_root(number)))) {
        return not_empty("versions");
      }
      leftovers.push_back(entry.key);
      return true;
    };
    PAILFS_TRY(scan_range(store, number, keys::numbered(kind, first), keys::numbered(kind, end), visit));
  }
  return {};
}

// Files of the bucket that have no name, and that only the kernel still knows.
Status Core::Impl::reap_bucket(Scope number) {
  std::vector<Ino> unnamed;
  {
    MutexLock lock(orphans_lock);
    for (const Ino ino : orphans) {
      if (bucket_of(ino) == number) unnamed.push_back(ino);
    }
  }
  for (const Ino ino : unnamed) {
    const Result<InodePtr> inode = inodes.get(ino);
    if (!inode && inode.error().code == Code::kNotFound) continue;
    if (!inode) return std::unexpected(inode.error());
    if ((*inode)->handles > 0) return fail(Code::kBusy, "deleted files of the bucket are still open");
    PAILFS_TRY(remove_orphan(*inode));
  }
  return {};
}

Status Core::Impl::remove_bucket(const Caller& caller, std::string_view name) {
  Scope number = 0;
  {
    MutexLock tree_lock(tree);
    PAILFS_ASSIGN(const InodePtr root, inodes.get(kRootIno));
    PAILFS_ASSIGN(const Place where, place(kRootIno, name));
    InodePtr bucket;
    if (where.found) {
      PAILFS_ASSIGN(bucket, target(kRootIno, *where.found));
      number = bucket_of(bucket->ino);
    }
    {
      LockedInodes checked({root, bucket});
      assert_locked(*root);
      PAILFS_TRY(check_directory(caller, *root, {}));
      if (!bucket || deleting(number)) return no_bucket(name);
      assert_locked(*bucket);
      const Attributes above = attributes(kRootIno, root->record), victim = attributes(bucket->ino, bucket->record);
      PAILFS_TRY(gate.check({caller, Action::kDeleteBucket, Need::kRemove, above, &victim}));
      PAILFS_TRY(unless_explained());
    }
    std::vector<std::string> leftovers;
    if (const Status empty = check_bucket_empty(number, leftovers); !empty) {
      // Deleted files that the kernel has not forgotten yet are no reason to refuse.
      if (empty.error().code != Code::kNotEmpty) return empty;
      PAILFS_TRY(reap_bucket(number));
      leftovers.clear();
      PAILFS_TRY(check_bucket_empty(number, leftovers));
    }
    PAILFS_TRY(erase_bucket(caller, *where.found, std::move(leftovers)));
  }
  return store.destroy_scope(number);
}

Status Core::Impl::erase_bucket(const Caller& caller, const Found& found, std::vector<std::string> leftovers) {
  const Ino ino = found.entry.ino;
  const Scope number = bucket_of(ino);
  PAILFS_ASSIGN(const InodePtr root, inodes.get(kRootIno));
  const Result<InodePtr> bucket = inodes.get(ino);  // a purge goes on without it
  LockedInodes locked({root, bucket ? *bucket : nullptr});
  assert_locked(*root);
  Transaction tx;
  for (std::string& key : leftovers) tx.erase(std::move(key));
  tx.erase(keys::inode(ino));
  tx.erase(keys::numbers(number));
  tx.erase(keys::bucket(number));
  tx.erase(keys::bucket_policy(number));
  end_entry(kRootIno, found, EndKind::kDeleted, caller.uid, stamp(tx), tx);
  --root->record.nlink;
  root->record.mtime = root->record.ctime = now();
  put_inode(kRootIno, root->record, tx);
  tx.record(encode_change({Action::kDeleteBucket, caller, kRootIno, found.entry.name, ino}, root->record.ctime));
  if (bucket) {
    assert_locked(**bucket);
    (*bucket)->gone = true;
  }
  PAILFS_TRY(commit(std::move(tx), locked));
  inodes.remove(ino);
  forget_bucket(number);
  return {};
}

namespace {

BucketInfo info_of(const BucketRecord& record) {
  return {.name = record.name,
          .number = record.number,
          .versioning = record.versioning,
          .owner = record.owner,
          .created = record.created,
          .history_since = record.history_since,
          .keep = record.keep,
          .object_lock = record.object_lock,
          .default_retention = record.default_retention,
          .mfa_delete = record.mfa_delete,
          .ownership = record.ownership};
}

}  // namespace

Result<std::vector<BucketInfo>> Core::buckets(const Caller& caller) {
  PAILFS_ASSIGN(const Attributes root, getattr(caller, kRootIno));
  PAILFS_TRY(impl_->gate.check({caller, Action::kListAllMyBuckets, Need::kRead, root}));
  std::vector<BucketInfo> infos;
  {
    ReaderLock lock(impl_->buckets_lock);
    for (const auto& [number, record] : impl_->bucket_table) infos.push_back(info_of(record));
  }
  std::ranges::sort(infos, {}, &BucketInfo::name);
  return infos;
}

// Also a bucket whose purge was interrupted.
Result<BucketRecord> Core::Impl::bucket_by_name(const Caller& caller, std::string_view name) {
  PAILFS_TRY(check_name(name));
  PAILFS_ASSIGN(const InodePtr root, inodes.get(kRootIno));
  {
    ReaderLock lock(root->lock);
    PAILFS_TRY(check_directory(caller, *root, {}));
  }
  PAILFS_ASSIGN(const auto found, find(kRootIno, name));
  if (!found) return no_bucket(name);
  return bucket_record(bucket_of(found->entry.ino));
}

Result<BucketInfo> Core::bucket(const Caller& caller, std::string_view name) {
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, name));
  return info_of(record);
}

Result<BucketInfo> Core::bucket_usage(const Caller& caller, std::string_view name, const Progress& progress) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(BucketInfo info, bucket(caller, name));
  PAILFS_ASSIGN(const Attributes root, getattr(caller, bucket_root(info.number)));
  PAILFS_TRY(impl.gate.check({caller, Action::kListBucketVersions, Need::kRead, root}));
  const Ino first = Ino{info.number} << kBucketShift, end = (Ino{info.number} + 1) << kBucketShift;
  uint64_t done = 0;
  for (const char kind : {'i', 'v'}) {
    const auto count = [&](const StoreView::Entry& entry) -> Result<bool> {
      PAILFS_ASSIGN(const InodeRecord record, decode_inode(entry.value));
      if (S_ISDIR(record.mode)) {
        if (record.nlink > 0 && entry.key != keys::inode(root.ino)) ++info.directories;
      } else if (kind == 'i' && record.nlink > 0) {
        ++info.objects;
        if (S_ISREG(record.mode)) info.current_bytes += record.size;
      } else if (kind == 'v' || record.sealed) {
        ++info.noncurrent;
        info.noncurrent_bytes += record.size;
      }
      ++done;
      if (done % 1024 == 0 && progress && !progress(done, 0)) return interrupted();
      return true;
    };
    PAILFS_TRY(scan_range(impl.store, info.number, keys::numbered(kind, first), keys::numbered(kind, end), count));
  }
  if (progress) progress(done, done);
  return info;
}

Status Core::set_versioning(const Caller& caller, std::string_view name, Versioning state, const Consent& consent) {
  PAILFS_TRY(impl_->change_versioning(caller, name, state, consent));
  impl_->names_ended();  // what lasted while old versions were kept may not any more
  return {};
}

Status Core::Impl::change_versioning(const Caller& caller, std::string_view name, Versioning state,
                                     const Consent& consent) {
  Impl& impl = *this;
  MutexLock tree_lock(impl.tree);
  PAILFS_ASSIGN(BucketRecord record, impl.bucket_by_name(caller, name));
  if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
  const Attributes root{.ino = bucket_root(record.number)};
  PAILFS_TRY(impl.gate.check({caller, Action::kPutBucketVersioning, Need::kAccount, root}));
  if (record.versioning == state) return {};
  PAILFS_TRY(impl.check_versioning(record, state, consent));
  if (state == Versioning::kOff) PAILFS_TRY(impl.check_no_history(record.number));
  record.versioning = state;
  Transaction tx;
  if (state == Versioning::kOff) {
    record.history_since = 0;
  } else if (record.history_since == 0) {
    record.history_since = impl.stamp(tx);
  }
  tx.put(kStoreScope, keys::bucket(record.number), encode_bucket(record));
  tx.record(encode_change({Action::kPutBucketVersioning, caller, kRootIno, name, root.ino}, impl.now()));
  PAILFS_TRY(impl.commit(std::move(tx)));
  impl.set_bucket(record);
  return {};
}

Status Core::set_keep_rule(const Caller& caller, std::string_view name, const KeepRule& keep) {
  Impl& impl = *impl_;
  MutexLock tree_lock(impl.tree);
  PAILFS_ASSIGN(BucketRecord record, impl.bucket_by_name(caller, name));
  if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
  PAILFS_ASSIGN(const Attributes root, getattr(caller, bucket_root(record.number)));
  PAILFS_TRY(impl.gate.check({caller, Action::kPutLifecycleConfiguration, Need::kAccount, root}));
  if (record.keep == keep) return {};
  if (record.mfa_delete && keep != KeepRule()) {
    return fail(Code::kNotPermitted, "InvalidBucketState: the bucket has MFA delete, and a rule gives no code");
  }
  record.keep = keep;
  Transaction tx;
  tx.put(kStoreScope, keys::bucket(record.number), encode_bucket(record));
  tx.record(encode_change({Action::kPutLifecycleConfiguration, caller, kRootIno, name, root.ino}, impl.now()));
  PAILFS_TRY(impl.commit(std::move(tx)));
  impl.set_bucket(record);
  return {};
}

// With versioning off nothing old is kept: turning it off must not be the way to lose what is there.
Status Core::Impl::check_no_history(Scope number) {
  const Ino first = Ino{number} << kBucketShift, end = (Ino{number} + 1) << kBucketShift;
  for (const char kind : {'h', 'v'}) {
    const auto refuse = [](const StoreView::Entry&) -> Result<bool> {
      return fail(Code::kNotEmpty,
                  "the bucket holds old versions or delete markers: suspend versioning instead, or prune them first");
    };
    PAILFS_TRY(scan_range(store, number, keys::numbered(kind, first), keys::numbered(kind, end), refuse));
  }
  return {};
}

}  // namespace pailfs
