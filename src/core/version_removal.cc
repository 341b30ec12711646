// Removing content for good: versions, and inodes with all they have. What only the removed version shows is released;
// by the rules in content.h its neighbours in the chain decide that.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/content.h"
#include "core/history.h"
#include "core/scan.h"

namespace pailfs {

namespace {

void release_all(const std::vector<Run>& runs, Transaction& tx) {
  for (const Run& run : runs) tx.release(run);
}

std::string chunks_begin(Ino cid) { return keys::chunk(cid, 0, 0); }
std::string chunks_end(Ino cid) { return keys::chunk(cid, kMaxFileSize / kChunkSize + 1, 0); }

// Erases every 'c' record of a content and releases what they and `inline_extents` (of its versions from before it was
// chunked) refer to.
Status erase_chunks(const Store& store, Ino cid, ExtentList inline_extents, Transaction& tx) {
  uint64_t chunk = 0;
  ExtentList gathered = std::move(inline_extents);  // all that any version shows of `chunk`
  PAILFS_TRY(scan_range(store, bucket_of(cid), chunks_begin(cid), chunks_end(cid),
                        [&](const StoreView::Entry& entry) -> Result<bool> {
                          const ChunkKey key = parse_chunk_key(entry.key);
                          if (key.chunk != chunk) {
                            release_all(released(gathered, {}), tx);
                            gathered.clear();
                            chunk = key.chunk;
                          }
                          PAILFS_ASSIGN(const ExtentList extents, decode_extents(entry.value));
                          gathered.insert(gathered.end(), extents.begin(), extents.end());
                          tx.erase(entry.key);
                          return true;
                        }));
  release_all(released(gathered, {}), tx);
  return {};
}

// One chunk's records of a content, as far as removing version `vseq` is concerned.
struct ChunkHistory {
  struct Record {
    std::string key;
    uint32_t vseq = 0;
    ExtentList extents;
  };
  std::vector<Record> records;  // ascending
};

// Drops what version `vseq` shows of one chunk, after the version `prev` (0: none) and before `next` (0: none).
void drop_chunk(const ChunkHistory& history, uint32_t prev, uint32_t vseq, uint32_t next, const ExtentList& prev_inline,
                Transaction& tx) {
  const ExtentList* older = &prev_inline;
  const ExtentList* newer = nullptr;
  std::vector<const ChunkHistory::Record*> own;
  for (const ChunkHistory::Record& record : history.records) {
    if (record.vseq <= prev) older = &record.extents;
    if (record.vseq > prev && record.vseq <= vseq) own.push_back(&record);
    if (record.vseq > vseq && record.vseq <= next) newer = &record.extents;
  }
  if (own.empty()) return;
  if (next != 0 && newer == nullptr) return;  // the next version shows this record too
  static const ExtentList kNone;
  for (const ChunkHistory::Record* record : own) {
    tx.erase(record->key);
    release_all(released(record->extents, {older, newer != nullptr ? newer : &kNone}), tx);
  }
}

}  // namespace

Status drop_content(const Store& store, Ino ino, const InodeRecord& version, const InodeRecord* next, Transaction& tx) {
  const Ino cid = version.cid;
  if (cid == 0) return {};
  const uint32_t next_vseq = next != nullptr ? next->vseq : 0;
  ExtentList prev_first;  // what the older neighbour shows of chunk 0
  PAILFS_ASSIGN(prev_first, shown_by_version(store, ino, cid, version.prev, 0));
  if (!version.chunked) {
    ExtentList next_first;
    if (next != nullptr) {
      PAILFS_ASSIGN(ChunkList shown, load_chunk(store, *next, 0));
      next_first = std::move(shown.extents);
    }
    release_all(released(version.extents, {&prev_first, &next_first}), tx);
    return {};
  }
  static const ExtentList kNone;
  uint64_t chunk = 0;
  ChunkHistory history;
  const auto drop = [&] {
    drop_chunk(history, version.prev, version.vseq, next_vseq, chunk == 0 ? prev_first : kNone, tx);
    history.records.clear();
  };
  PAILFS_TRY(scan_range(store, bucket_of(cid), chunks_begin(cid), chunks_end(cid),
                        [&](const StoreView::Entry& entry) -> Result<bool> {
                          const ChunkKey key = parse_chunk_key(entry.key);
                          if (key.chunk != chunk) {
                            drop();
                            chunk = key.chunk;
                          }
                          PAILFS_ASSIGN(ExtentList extents, decode_extents(entry.value));
                          history.records.push_back({entry.key, key.vseq, std::move(extents)});
                          return true;
                        }));
  drop();
  return {};
}

Status erase_content(const Store& store, const InodeRecord& record, Transaction& tx) {
  if (record.cid == 0) return {};
  if (record.chunked) return erase_chunks(store, record.cid, {}, tx);
  release_all(released(record.extents, {}), tx);
  return {};
}

Status Core::Impl::remove_inode(Inode& inode, Transaction& tx) {
  const Scope scope = bucket_of(inode.ino);
  InodeRecord& record = inode.record;
  std::map<Ino, ExtentList> contents;  // cid -> inline extents of its versions
  if (record.cid != 0) contents[record.cid] = record.extents;
  PAILFS_TRY(check_removable(scope, record));
  std::map<Ino, bool> chunked{{record.cid, record.chunked}};
  if (record.vseq > 1) {
    PAILFS_TRY(scan_range(store, scope, keys::version(inode.ino, 0), keys::version(inode.ino, ~0u),
                          [&](const StoreView::Entry& entry) -> Result<bool> {
                            PAILFS_ASSIGN(const InodeRecord version, decode_inode(entry.value));
                            if (const Status free = check_removable(scope, version); !free) {
                              return std::unexpected(free.error());
                            }
                            tx.erase(entry.key);
                            if (version.cid == 0) return true;
                            ExtentList& extents = contents[version.cid];
                            extents.insert(extents.end(), version.extents.begin(), version.extents.end());
                            if (version.chunked) chunked[version.cid] = true;
                            return true;
                          }));
  }
  for (auto& [cid, extents] : contents) {
    if (chunked[cid]) {
      PAILFS_TRY(erase_chunks(store, cid, std::move(extents), tx));
    } else {
      release_all(released(extents, {}), tx);
    }
  }
  PAILFS_TRY(erase_attribute_history(inode.ino, tx));
  if (record.has_xattrs) {
    const std::string prefix = keys::xattr(inode.ino, {});
    PAILFS_TRY(scan_prefix(store, scope, prefix, [&](const StoreView::Entry& entry) -> Result<bool> {
      tx.erase(entry.key);
      return true;
    }));
  }
  tx.erase(keys::inode(inode.ino));
  inode.gone = true;
  return {};
}

Status Core::Impl::remove_version(Inode& inode, uint32_t vseq, Transaction& tx, bool bypass_governance) {
  const Ino ino = inode.ino;
  const Scope scope = bucket_of(ino);
  InodeRecord& current = inode.record;
  if (vseq == current.vseq) {
    if (current.nlink != 0) {
      return fail(Code::kNotPermitted, "this version is the current content of a file: remove the file itself first");
    }
    // unlink(2): what a descriptor refers to stays until that is closed.
    if (inode.handles > 0) return fail(Code::kBusy, "the file was deleted and is still open: its last version stays");
    std::optional<StoreView::Entry> older;
    {
      PAILFS_ASSIGN(older, store.view().last_before(scope, keys::version(ino, vseq), keys::version(ino, 0)));
    }
    PAILFS_TRY(check_removable(scope, current, bypass_governance));
    if (!older) {
      current.retention = {};  // looked at
      return remove_inode(inode, tx);
    }
    PAILFS_ASSIGN(InodeRecord heir, decode_inode(older->value));
    PAILFS_TRY(drop_content(store, ino, current, nullptr, tx));
    if (heir.ceased == 0 && current.sealed) heir.ceased = current.version.sealed;
    heir.resumed = 0;
    heir.nlink = 0;
    heir.parent = current.parent;
    heir.has_xattrs = current.has_xattrs;
    tx.erase(older->key);
    current = std::move(heir);
    inode.provisional = 0;
    put_inode(ino, current, tx);
    return {};
  }
  PAILFS_ASSIGN(const InodeRecord version, load_version(store, ino, vseq));
  PAILFS_TRY(check_removable(scope, version, bypass_governance));
  std::optional<StoreView::Entry> newer;
  {
    PAILFS_ASSIGN(newer, store.view().seek(scope, keys::version(ino, vseq + 1), keys::version(ino, ~0u)));
  }
  std::optional<InodeRecord> next;
  if (newer) {
    PAILFS_ASSIGN(next, decode_inode(newer->value));
  }
  const InodeRecord& neighbour = next ? *next : current;
  const bool same = neighbour.cid == version.cid;
  PAILFS_TRY(drop_content(store, ino, version, same ? &neighbour : nullptr, tx));
  PAILFS_TRY(end_older_version(ino, vseq, version.version.sealed, tx));
  tx.erase(keys::version(ino, vseq));
  if (!next && current.nlink == 0 && !current.sealed) {
    // What was written after the last unlink is no version, and goes with its last user. Names that ended lead to
    // versions: when there are none, nothing else would lead to the inode after a crash.
    PAILFS_ASSIGN(const auto older, store.view().last_before(scope, keys::version(ino, vseq), keys::version(ino, 0)));
    if (!older) add_orphan(inode, tx);
  }
  if (!same) return {};
  if (next) {
    next->prev = version.prev;
    tx.put(scope, newer->key, encode_inode(*next));
  } else {
    current.prev = version.prev;
    put_inode(ino, current, tx);
  }
  return {};
}

// --- By name

namespace {

// What is left to do for the names of an inode that is gone: a span without a marker shows nothing any more. Under the
// inode's lock, as who removes a marker holds it.
Status drop_bare_span(const Store& store, const NameSpan& span, Transaction& tx) {
  if (span.live() || span.derived) return {};
  std::string key = keys::ended(span.parent, span.slot, span.end);
  PAILFS_ASSIGN(const auto value, store.get(bucket_of(span.parent), key));
  if (!value) return {};
  PAILFS_ASSIGN(const EndedDirent ended, decode_ended(*value));
  if (ended.marker == VersionId{}) tx.erase(std::move(key));
  return {};
}

}  // namespace

Status remove_object_version(Core::Impl& core, const Caller& caller, const NameSpan& span, const ObjectVersion& version,
                             bool bypass_governance) {
  PAILFS_ASSIGN(const InodePtr found, core.existing(span.ino));
  Inode& inode = *found;
  {
    WriterLock lock(inode.lock);
    PAILFS_TRY(sealed_version(core.store, inode, version.vseq, version.record.version.sealed));
    Transaction tx;
    Status done = core.remove_version(inode, version.vseq, tx, bypass_governance);
    if (done && (inode.gone || core.is_orphan(span.ino))) done = drop_bare_span(core.store, span, tx);
    if (done) {
      ChangeRecord change{Action::kDeleteObjectVersion, caller, span.parent, {}, span.ino};
      change.before = version.record.version.id;
      tx.record(encode_change(change, core.now()));
      done = core.commit(std::move(tx));
    }
    if (!done) {
      core.reload(inode);
      return done;
    }
    if (!inode.gone) return {};
  }
  core.inodes.remove(span.ino);
  return {};
}

}  // namespace pailfs
