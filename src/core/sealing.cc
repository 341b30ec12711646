// When content becomes a version, and when a change begins a new one. See pailfs-semantics(7), "Versions".
#include <algorithm>

#include "core/content.h"
#include "core/impl.h"
#include "core/scan.h"

namespace pailfs {

Status Core::Impl::begin_change(Inode& inode, Transaction& tx) {
  InodeRecord& record = inode.record;
  // A new file is dirty from the start, and has no content id yet.
  if (!record.dirty && record.sealed) {
    const Versioning state = versioning(bucket_of(inode.ino));
    // Who closed the version, and has the file open still, goes on writing: it grows. Not where it is locked, as that
    // never changes, nor where the next one gets an id and this one has none, or the other way round.
    const bool goes_on = inode.provisional != 0 &&
                         store.env().monotonic() - inode.provisional_since < kProvisionalTime &&
                         record.retention == Retention() && record.version.null_id == (state != Versioning::kEnabled);
    // While suspended, the null version is the one that is replaced (S3 user guide, "Adding objects to
    // versioning-suspended buckets").
    // What is written after the last unlink goes at the last close, and must leave the deleted version alone.
    const bool keeps = state == Versioning::kEnabled ||
                       (state == Versioning::kSuspended && (!record.version.null_id || record.nlink == 0));
    if (keeps && !goes_on) {
      tx.put(bucket_of(inode.ino), keys::version(inode.ino, record.vseq), encode_inode(record));
      record.prev = record.cid != 0 ? record.vseq : 0;
      ++record.vseq;
    } else if (!goes_on && state == Versioning::kSuspended) {
      PAILFS_TRY(end_older_version(inode.ino, record.vseq, record.version.sealed, tx));
    }
    record.retention = {};
    record.ceased = record.resumed = 0;
    record.sealed = false;
    record.version = {};
    inode.provisional = 0;
  }
  // The first content of an inode has the inode's number: both come from the same numbers, and no other content has it.
  if (record.cid == 0) record.cid = inode.ino;
  record.dirty = true;
  return {};
}

Status Core::Impl::end_older_version(Ino ino, uint32_t vseq, Stamp at, Transaction& tx) {
  if (vseq <= 1) return {};
  const Scope scope = bucket_of(ino);
  std::optional<StoreView::Entry> older;
  {
    PAILFS_ASSIGN(older, store.view().last_before(scope, keys::version(ino, vseq), keys::version(ino, 0)));
  }
  if (!older) return {};
  PAILFS_ASSIGN(InodeRecord version, decode_inode(older->value));
  if (version.ceased != 0 && version.resumed == 0) return {};
  if (version.ceased == 0) version.ceased = at;
  version.resumed = 0;
  tx.put(scope, older->key, encode_inode(version));
  return {};
}

Status Core::Impl::seal(Inode& inode, bool provisional, Transaction& tx) {
  InodeRecord& record = inode.record;
  if (!provisional) inode.provisional = 0;
  if (!record.dirty || record.nlink == 0) return {};
  PAILFS_ASSIGN(record.retention, new_retention(bucket_of(inode.ino)));
  const Stamp at = stamp(tx);
  record.version = {};
  record.version.sealed = at;
  record.version.null_id = versioning(bucket_of(inode.ino)) != Versioning::kEnabled;
  if (!record.version.null_id) record.version.id = make_version_id(at);
  record.sealed = true;
  record.dirty = false;
  inode.left_unsealed = false;
  if (provisional) {
    inode.provisional = at;
    inode.provisional_since = store.env().monotonic();
  }
  return {};
}

Status Core::Impl::resize(Inode& inode, uint64_t size, Transaction& tx) {
  if (size > kMaxFileSize) return fail(Code::kTooBig, "a file cannot be so long");
  InodeRecord& record = inode.record;
  if (size < record.size && inode.left_unsealed) PAILFS_TRY(seal(inode, false, tx));
  const uint32_t vseq = record.vseq;
  PAILFS_TRY(begin_change(inode, tx));
  const bool fresh = record.vseq != vseq;
  if (size == 0) {
    if (record.prev != 0) {
      // The older version keeps the content id, and the content but for what was changed since.
      if (!fresh) PAILFS_TRY(drop_content(store, inode.ino, record, nullptr, tx));
      PAILFS_ASSIGN(record.cid, new_number(bucket_of(inode.ino), tx));
      record.prev = 0;
    } else {
      PAILFS_TRY(erase_content(store, record, tx));
    }
    record.chunked = false;
    record.extents.clear();
    record.stored = 0;
  } else if (size < record.size) {
    AppendedRuns none(store, bucket_of(inode.ino));
    ContentEdit edit(store, inode.ino, record, fresh, none, tx);
    PAILFS_TRY(edit.punch(size, kMaxFileSize));
  }
  record.size = size;
  record.mtime = record.ctime = now();
  return {};
}

}  // namespace pailfs
