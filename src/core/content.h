// The content of regular files: which extents a content (cid, vseq) shows, and changing them so that older versions
// keep what they show. Inside the core; see records.h for the records and impl.h for the steps built on this.
//
// What holds between the versions of one cid, in the order of their vseq:
//   - in (p, v], where p is the next older surviving version (`prev`) of v, there is at most one 'c' record per chunk;
//   - a unit that two versions show, every version between them shows too, so that a version that changes or goes need
//     look only at its neighbours to know which units are its own;
//   - inline extents come before 'c' records: once a version is chunked, all newer ones are.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "core/extents.h"
#include "core/impl.h"

namespace pailfs {

// What a content shows of one chunk, and the vseq of the record that says so (0: none).
struct ChunkList {
  ExtentList extents;
  uint32_t at = 0;
};

Result<ChunkList> load_chunk(const Store& store, const InodeRecord& content, uint64_t chunk);

// The record with its key, as a scan over 'c' finds it.
struct ChunkKey {
  Ino cid = 0;
  uint64_t chunk = 0;
  uint32_t vseq = 0;
};
ChunkKey parse_chunk_key(std::string_view key);

// The next chunk >= `chunk` of which the content has a record, whatever it shows; nullopt: none.
Result<std::optional<uint64_t>> next_chunk(const Store& store, const InodeRecord& content, uint64_t chunk);

// Whether two contents of one bucket show the same units in the same places, and so the same bytes; nothing is read.
// Equal bytes that were written twice are two contents.
Result<bool> same_units(const Store& store, const InodeRecord& one, const InodeRecord& other);

// A version's 'v' record. kNotFound.
Result<InodeRecord> load_version(const Store& store, Ino ino, uint32_t vseq);

// What to read for a range of a content, found under the inode's lock; the data may be read after it was given up, as
// long as the ReadGuard taken before lives.
class ReadPlan {
 public:
  Status make(const Store& store, const InodeRecord& content, uint64_t offset, size_t length);
  // `out`: as long as the planned range. Holes become zeros.
  Status read(const Store& store, std::span<char> out) const;

 private:
  struct Piece {
    Run run;
    uint32_t skip = 0;
    uint32_t length = 0;
    uint64_t at = 0;  // in the output
  };
  void add(const ExtentList& list, uint64_t from, uint64_t to, uint64_t at);
  Scope scope_ = 0;
  std::vector<Piece> pieces_;
};

// Runs that were appended for a transaction: discarded unless it commits.
class AppendedRuns {
 public:
  AppendedRuns(Store& store, Scope scope) : store_(store), scope_(scope) {}
  ~AppendedRuns() {
    for (const Run& run : runs_) store_.discard(run);
  }
  AppendedRuns(const AppendedRuns&) = delete;
  AppendedRuns& operator=(const AppendedRuns&) = delete;
  Result<Run> append(std::string_view plaintext);
  void committed() { runs_.clear(); }

 private:
  Store& store_;
  const Scope scope_;
  std::vector<Run> runs_;
};

// Data appended for one write, cut into the extents of the chunks it falls into, in order.
struct ChunkExtent {
  uint64_t chunk = 0;
  Extent extent;
};
Result<std::vector<ChunkExtent>> append_data(AppendedRuns& runs, uint64_t offset, std::string_view data);

// A version whose seal is provisional is gone on with by who has closed it, and by nobody else. Null: who has no
// handle.
inline void settle_for(Inode& inode, const Handle* writer) REQUIRES(inode.lock) {
  if (writer == nullptr || writer->closed != inode.provisional) inode.provisional = 0;
}

// Changes the chunk lists of an inode's current content within one transaction. begin_change() has been called; the
// inode's lock is held; `record` is changed in memory and put by the caller. Touches each chunk at most once.
// `fresh`: the version began in this very transaction, so that the older one shows what the content shows now (and is
// not to be found in the store yet).
class ContentEdit {
 public:
  ContentEdit(Store& store, Ino ino, InodeRecord& record, bool fresh, AppendedRuns& runs, Transaction& tx)
      : store_(store), ino_(ino), record_(record), fresh_(fresh), runs_(runs), tx_(tx) {}

  Status write(std::span<const ChunkExtent> extents);
  // Makes a hole of [begin, end).
  Status punch(uint64_t begin, uint64_t end);
  // Whether the chunk may show units of another owner: not where older versions show something of it. They might show
  // the same units, with versions between them that do not.
  Result<bool> may_share(uint64_t chunk) const;
  // Shows `shared` and `own` in [begin, end) of the chunk, and holes where neither is. `own` was appended to `runs`;
  // the units of `shared` that this chunk did not show before are put into `added` (see Shares).
  Status show(uint64_t chunk, uint32_t begin, uint32_t end, const ExtentList& shared, const ExtentList& own,
              std::vector<Run>& added);

 private:
  Result<ChunkList> load(uint64_t chunk);
  Status put(uint64_t chunk, const ChunkList& before, ExtentList now, const ExtentList& dropped);
  Status put_chunk_record(uint64_t chunk, uint32_t at, bool shown_before, const ExtentList& now);
  Status punch_chunk(uint64_t chunk, uint64_t begin, uint64_t end);
  // Ends the inline form: from here on chunk lists are records of their own.
  void become_chunked();
  Result<ExtentList> coalesce(uint64_t chunk, const ExtentList& list);
  // `older`: what the next older version shows of the chunk, where that is known already.
  Status release(uint64_t chunk, const ExtentList& dropped, const ExtentList& now, const ExtentList* older);

  Store& store_;
  const Ino ino_;
  InodeRecord& record_;
  const bool fresh_;
  AppendedRuns& runs_;
  Transaction& tx_;
  std::optional<ChunkList> first_;  // chunk 0 as this edit left it, when it became chunked in it
};

// A change of an inode's content in one transaction: `change(edit, added)` does it, sets the record's size, and puts
// into `added` what it shows of other owners (shares.h). `strip`: the privileges of the mode go. When anything fails,
// the record is what the store has.
template <typename Change>
Status change_content(Core::Impl& impl, Inode& inode, bool strip, AppendedRuns& runs, const Change& change)
    REQUIRES(inode.lock) {
  const auto commit = [&]() REQUIRES(inode.lock) -> Status {
    InodeRecord& record = inode.record;
    const uint32_t vseq = record.vseq;
    const Time now = impl.now();
    Transaction tx;
    PAILFS_TRY(impl.begin_change(inode, tx));
    ContentEdit edit(impl.store, inode.ino, record, record.vseq != vseq, runs, tx);
    std::vector<Run> added;
    PAILFS_TRY(change(edit, added));
    record.mtime = record.ctime = now;
    if (strip && mode_without_privileges(record.mode) != record.mode) {
      impl.keep_attributes(inode, impl.stamp(tx), tx);
      record.mode = mode_without_privileges(record.mode);
    }
    impl.put_inode(inode.ino, record, tx);
    return added.empty() ? impl.commit(std::move(tx)) : impl.commit(std::move(tx), added);
  };
  Status done = commit();
  if (done) {
    runs.committed();
  } else {
    impl.reload(inode);
  }
  return done;
}

// The version of that number that was sealed then. kNotFound: it was removed or replaced, also where another has got
// its number, or is being written under it.
Result<InodeRecord> sealed_version(const Store& store, const Inode& inode, uint32_t vseq, Stamp sealed)
    REQUIRES_SHARED(inode.lock);
// The one that a handle reads.
Result<InodeRecord> version_content(const Store& store, const Handle& handle, Inode& inode) REQUIRES_SHARED(inode.lock);

// What an older version (greatest vseq `prev`, 0: none) shows of a chunk of the content `cid`.
Result<ExtentList> shown_by_version(const Store& store, Ino ino, Ino cid, uint32_t prev, uint64_t chunk);

// Drops the content of `version` (of inode `ino`), except what its neighbours with the same cid show: the older one,
// `version.prev`, and `next` (null: none).
Status drop_content(const Store& store, Ino ino, const InodeRecord& version, const InodeRecord* next, Transaction& tx);
// Erases a content that no older version shares.
Status erase_content(const Store& store, const InodeRecord& record, Transaction& tx);

}  // namespace pailfs
