// Inside the core: state and steps that the operation families share. Only src/core includes this.
//
// Locks, in this order: tree (one namespace change at a time), then inodes (a namespace change may hold several; any
// other operation holds exactly one), then the tables' own. Nothing takes tree or a second inode while it holds an
// inode and not the tree. Lookups and listings take neither: each reads one record at a time.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "core/core.h"
#include "core/records.h"

namespace pailfs {

// An inode in memory: the one copy while anybody uses it.
struct Inode {
  explicit Inode(Ino number) : ino(number) {}
  const Ino ino;
  SharedMutex lock;
  InodeRecord record GUARDED_BY(lock);
  bool gone GUARDED_BY(lock) = false;  // removed for good: every further call is kNotFound
  // Sealed while another handle stayed open for writing: the next change within kProvisionalTime goes on in the same
  // version instead of beginning a new one.
  Stamp provisional GUARDED_BY(lock) = 0;  // when; 0: the seal is final
  std::atomic<uint32_t> handles = 0;       // open handles
  std::atomic<uint32_t> writers = 0;       // of these, open for writing
};
using InodePtr = std::shared_ptr<Inode>;
inline constexpr Time kProvisionalTime = 60'000'000'000;

// Inodes in use and a bounded number of recent ones; counts of the kernel's references.
class InodeTable {
 public:
  explicit InodeTable(Store& store, size_t recent = 8192) : store_(store), recent_limit_(recent) {}
  // kNotFound if there is none; kCorrupt if its record does not verify.
  Result<InodePtr> get(Ino ino);
  // For an inode whose record is about to be committed.
  InodePtr insert(Ino ino, InodeRecord record);
  void add_reference(Ino ino, uint64_t count = 1);
  // The references that are left.
  uint64_t drop_reference(Ino ino, uint64_t count);
  uint64_t references(Ino ino) const;
  void remove(Ino ino);  // forget the cached object of an inode that is gone
  size_t reference_count() const;

 private:
  struct Cached {
    InodePtr inode;
    std::list<Ino>::iterator place;
  };
  void trim() REQUIRES(mutex_);
  Store& store_;
  const size_t recent_limit_;
  mutable Mutex mutex_;
  std::unordered_map<Ino, Cached> inodes_ GUARDED_BY(mutex_);
  std::list<Ino> recent_ GUARDED_BY(mutex_);  // most recent first; those in use are passed over by trim()
  std::unordered_map<Ino, uint64_t> references_ GUARDED_BY(mutex_);
};

struct Handle {
  Ino ino = 0;
  InodePtr inode;  // null for directories and places in the .versions view
  bool read = false;
  bool write = false;
  bool append = false;
  uint32_t uid = 0;   // who opened it: change records of cached writes name him
  uint32_t vseq = 0;  // non-zero: reads this noncurrent version of `version_of`
  Ino version_of = 0;
};
using HandlePtr = std::shared_ptr<Handle>;

class HandleTable {
 public:
  uint64_t add(HandlePtr handle);
  HandlePtr get(uint64_t handle) const;  // null if unknown
  HandlePtr remove(uint64_t handle);
  std::vector<HandlePtr> all() const;

 private:
  mutable SharedMutex mutex_;
  uint64_t next_ GUARDED_BY(mutex_) = 1;
  std::unordered_map<uint64_t, HandlePtr> handles_ GUARDED_BY(mutex_);
};

class VersionsView;  // versions_view.h

struct ChangeRecord {
  Action action;
  const Caller& caller;
  Ino parent = 0;  // directory of the name, 0 where the change is to an inode alone
  std::string_view name;
  Ino ino = 0;
  VersionId before{};  // zero: none
  VersionId after{};
};
std::string encode_change(const ChangeRecord& change, Time time);

struct Core::Impl {
  Impl(Store& s, uint32_t account);
  ~Impl();
  Store& store;
  Gate gate;
  InodeTable inodes;
  HandleTable handles;
  Mutex tree;
  std::unique_ptr<VersionsView> view;

  // --- clock and numbers (numbers.cc)
  // A time later than every stamp before it; adds the new bound to the transaction when one is needed.
  Stamp stamp(Transaction& tx);
  Time now() const { return store.env().now(); }
  VersionId make_version_id(Stamp at);
  // An inode number (or content id) of the bucket that was never used.
  Result<Ino> new_number(Scope bucket, Transaction& tx);

  // --- buckets (bucket_ops.cc); the table is in memory, there are few
  Result<BucketRecord> bucket_record(Scope number) const;
  Versioning versioning(Scope number) const;
  Status load_buckets();

  // --- names (lookup.cc)
  struct Found {
    uint64_t slot = 0;
    Dirent entry;
  };
  Result<std::optional<Found>> find(Ino parent, std::string_view name);
  // Adds `entry` under a free slot of its name's group; the caller holds `tree` and knows the name is free.
  Result<uint64_t> insert_entry(Ino parent, Dirent entry, Transaction& tx) REQUIRES(tree);
  // Ends an entry: erases it (keeping place holders for collisions) and, when the bucket keeps versions, writes its
  // history. Returns the marker's id (zero when there is none).
  Result<VersionId> end_entry(Ino parent, const Found& found, EndKind kind, uint32_t uid, Stamp at, Transaction& tx)
      REQUIRES(tree);

  // --- attributes (attr_ops.cc)
  static Attributes attributes(Ino ino, const InodeRecord& record);
  void put_inode(Ino ino, const InodeRecord& record, Transaction& tx);
  // Takes one name from an inode whose lock is held; when the last is gone: keeps it for its versions, or makes it an
  // orphan while it is in use, or removes it with its content. Sets ctime.
  Status drop_link(Inode& inode, Stamp at, Transaction& tx) REQUIRES(inode.lock);
  // Removes an orphan for good when nothing uses it any more. Takes tree and inode.
  void reap(Ino ino);

  // --- content (read_write.cc, sealing.cc, content.cc); inode.lock is held
  // Begins a new version if the content is sealed and the bucket keeps versions, so that it may be changed. Marks
  // dirty.
  Status begin_change(Inode& inode, Stamp at, Transaction& tx) REQUIRES(inode.lock);
  // Names the content as a version if it is dirty. `provisional`: somebody may go on writing.
  Status seal(Inode& inode, bool provisional, Transaction& tx) REQUIRES(inode.lock);
  // Changes the size of the content, releasing what is cut off and no older version needs.
  Status resize(Inode& inode, uint64_t size, Transaction& tx) REQUIRES(inode.lock);
  // Removes the inode's current content, all its versions, its xattrs and its record.
  Status remove_inode(Inode& inode, Transaction& tx) REQUIRES(inode.lock);
  // Removes one noncurrent version (its 'v' record and what only it needs).
  Status remove_version(Inode& inode, uint32_t vseq, Transaction& tx) REQUIRES(inode.lock);
  Status read_content(const InodeRecord& content, uint64_t offset, std::span<char> out) const;

  Status commit(Transaction&& tx);
};

}  // namespace pailfs
