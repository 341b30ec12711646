// A key has at most one version whose id is null: while versioning is suspended, what is written, and what is deleted,
// takes its place ("Adding objects to versioning-suspended buckets" and "Deleting objects from versioning-suspended
// buckets", Amazon S3 user guide). Called after the change that made the newer one, which holds whatever becomes of
// this.
#include <sys/stat.h>

#include <algorithm>

#include "base/logging.h"
#include "core/history.h"

namespace pailfs {

namespace {

// The null versions of an inode but the one it shows now.
Status drop_older_nulls(Core::Impl& core, const Caller& caller, const NameSpan& span, bool current_too) {
  PAILFS_ASSIGN(const auto versions, object_versions(core, span.ino));
  for (const ObjectVersion& version : versions) {
    if (!version.record.version.null_id || (version.current && !current_too)) continue;
    const Status removed = remove_object_version(core, caller, span, version);
    if (!removed && removed.error().code != Code::kNotFound && removed.error().code != Code::kNotPermitted)
      return removed;
  }
  return {};
}

Status drop_null_marker(Core::Impl& core, const NameSpan& span) {
  const Scope scope = bucket_of(span.parent);
  std::string key = keys::ended(span.parent, span.slot, span.end);
  // Who removes the inode's last version sees whether there is a marker, and removes the record where there is none.
  const Result<InodePtr> inode = core.inodes.get(span.ino);
  std::optional<WriterLock> lock;
  if (inode) lock.emplace((*inode)->lock);
  PAILFS_ASSIGN(const auto value, core.store.get(scope, key));
  if (!value) return {};
  PAILFS_ASSIGN(EndedDirent ended, decode_ended(*value));
  ended.marker = {};
  ended.null_marker = false;
  Transaction tx;
  tx.put(scope, std::move(key), encode_ended(ended));
  return core.commit(std::move(tx));
}

// Leaves it to the last handle to drop what is open. False: there is none any more. Known in memory alone: what a crash
// leaves beside the newer null version or marker goes with the next one of the name.
bool leave_to_handles(Core::Impl& core, Ino ino, Ino parent, std::string_view name) {
  const Result<InodePtr> inode = core.inodes.get(ino);
  if (!inode) return false;
  WriterLock lock((*inode)->lock);
  if ((*inode)->handles == 0) return false;
  (*inode)->replaced = std::make_unique<std::pair<Ino, std::string>>(parent, name);
  return true;
}

Status keep_newest_null(Core::Impl& core, Ino parent, std::string_view name) {
  DirectorySpan directory;
  directory.ino = parent;
  PAILFS_ASSIGN(const auto spans, name_spans(core, {directory}, name));
  if (spans.empty()) return {};
  const Caller store{.uid = core.gate.account(), .door = Door::kInternal};
  const NameSpan& newest = spans.back();
  bool null_newest = newest.null_marker;  // whether what is newest is null, and takes the place of others
  if (newest.live() && !S_ISDIR(newest.type)) {
    PAILFS_ASSIGN(const InodePtr inode, core.existing(newest.ino));
    ReaderLock lock(inode->lock);
    null_newest = !inode->record.sealed || inode->record.version.null_id;
  }
  if (!null_newest) return {};
  for (const NameSpan& span : spans) {
    const bool is_newest = &span == &newest;
    if (!is_newest && span.null_marker) PAILFS_TRY(drop_null_marker(core, span));
    if (S_ISDIR(span.type) || (is_newest && span.live())) continue;
    PAILFS_ASSIGN(const auto value, core.store.get(bucket_of(span.ino), keys::inode(span.ino)));
    if (!value) continue;
    PAILFS_ASSIGN(const InodeRecord record, decode_inode(*value));
    if (record.nlink > 0 || !span.owns(record)) continue;  // it has another name, and its versions with it
    Status dropped = drop_older_nulls(core, store, span, true);
    if (!dropped && dropped.error().code == Code::kBusy) {
      if (leave_to_handles(core, span.ino, parent, name)) continue;
      dropped = drop_older_nulls(core, store, span, true);
    }
    PAILFS_TRY(std::move(dropped));
  }
  return {};
}

}  // namespace

void Core::Impl::settle_nulls(Ino parent, std::string_view name) {
  if (versioning(bucket_of(parent)) != Versioning::kSuspended) return;
  const Status done = keep_newest_null(*this, parent, name);
  // Not found: what was newest has gone meanwhile, and who took it away comes here too.
  if (!done && done.error().code != Code::kNotFound)
    log_warning("an older null version of a name in inode {} stays: {}", parent, done.error().message);
}

void Core::Impl::settle_replaced(const InodePtr& inode) {
  std::unique_ptr<std::pair<Ino, std::string>> name;
  {
    WriterLock lock(inode->lock);
    name = std::exchange(inode->replaced, nullptr);
  }
  if (name) settle_nulls(name->first, name->second);
}

void Core::Impl::settle_nulls(const InodePtr& inode) {
  if (versioning(bucket_of(inode->ino)) != Versioning::kSuspended) return;
  {
    ReaderLock lock(inode->lock);
    const InodeRecord& record = inode->record;
    // Without a name it is settled with that (settle_replaced()).
    if (record.nlink == 0 || record.vseq == 1 || !record.sealed || !record.version.null_id) return;
  }
  NameSpan span;
  span.ino = inode->ino;
  const Caller nobody{.uid = gate.account(), .door = Door::kInternal};
  const Status done = drop_older_nulls(*this, nobody, span, false);
  if (!done) log_warning("an older null version of inode {} stays: {}", inode->ino, done.error().message);
}

}  // namespace pailfs
