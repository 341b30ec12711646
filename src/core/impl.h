// Inside the core: state and steps that the operation families share. Only src/core includes this.
//
// Locks, in this order: tree (one namespace change at a time), then inodes (several only through LockedInodes, and only
// by a namespace change and by the copying of a range; any other operation holds exactly one), then shares.lock, then
// the tables' own. Nothing takes tree while it holds an inode. Lookups and listings take neither: each reads one record
// at a time.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "core/acl_facts.h"
#include "core/bucket_policies.h"
#include "core/core.h"
#include "core/identities.h"
#include "core/principals.h"
#include "core/public_access.h"
#include "core/records.h"
#include "core/retention_clock.h"
#include "core/shares.h"

namespace pailfs {

class MfaDevice;

// An inode in memory: the one copy while anybody uses it.
struct Inode {
  explicit Inode(Ino number) : ino(number) {}
  const Ino ino;
  SharedMutex lock;
  InodeRecord record GUARDED_BY(lock);
  bool gone GUARDED_BY(lock) = false;      // removed for good: every further call is kNotFound
  bool linkable GUARDED_BY(lock) = false;  // made without a name, and may still get one
  // When a close sealed it after which the handle stayed: what is written through that within kProvisionalTime goes on
  // in the same version. 0: the seal is final. And when that was by the monotonic clock.
  Stamp provisional GUARDED_BY(lock) = 0;
  int64_t provisional_since GUARDED_BY(lock) = 0;
  // Changed when a writer's handle was released while others were open: perhaps through a mapping, after its close.
  bool left_unsealed GUARDED_BY(lock) = false;
  // What mtime and ctime were before the kernel's write-back cache wrote pages and had not said what they are now.
  std::optional<std::pair<Time, Time>> untouched GUARDED_BY(lock);
  Time brought_ctime GUARDED_BY(lock) = 0;  // by the kernel's write-back cache, last
  Stamp history_end GUARDED_BY(lock) = 0;   // until when the last record of its former attributes tells; 0: not known
  std::unique_ptr<std::pair<Ino, std::string>> replaced GUARDED_BY(lock);  // its name, until the last close: nulls.cc
  std::atomic<uint32_t> handles = 0;                                       // open handles
  std::atomic<uint32_t> writers = 0;                                       // of these, open for writing
};
using InodePtr = std::shared_ptr<Inode>;
inline constexpr Time kProvisionalTime = 60'000'000'000;

// Inodes in use and a bounded number of recent ones; counts of the kernel's references.
class InodeTable {
 public:
  explicit InodeTable(Store& store, size_t recent = 8192) : store_(store), recent_limit_(recent) {}
  // kNotFound if there is none; kCorrupt if its record does not verify.
  Result<InodePtr> get(Ino ino);
  // The cached object, or null: for listings, which must not push out what is in use.
  InodePtr cached(Ino ino);
  std::vector<InodePtr> cached_of(Scope bucket);
  // For an inode whose record is about to be committed; remove() it when that fails.
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
    bool loading = false;  // get() reads its record now; nobody else has the object
  };
  Result<InodeRecord> read_record(Ino ino) const;
  static void set_record(Inode& inode, InodeRecord record);
  void add(InodePtr inode, bool loading) REQUIRES(mutex_);
  void trim() REQUIRES(mutex_);
  Store& store_;
  const size_t recent_limit_;
  mutable Mutex mutex_;
  CondVar loaded_;
  std::unordered_map<Ino, Cached> inodes_ GUARDED_BY(mutex_);
  std::list<Ino> recent_ GUARDED_BY(mutex_);  // most recent first; those in use are passed over by trim()
  std::unordered_map<Ino, uint64_t> references_ GUARDED_BY(mutex_);
};

struct Handle {
  Ino ino = 0;
  InodePtr inode;  // null for directories and places in the .versions view
  bool read = false;
  bool lists = false;  // a directory: all that is in it, as was decided when it was opened
  bool write = false;
  bool append = false;
  uint32_t uid = 0;   // who opened it: change records of cached writes name him
  Stamp closed = 0;   // the provisional seal that its last close made or found there; under the inode's lock
  uint32_t vseq = 0;  // non-zero: reads this noncurrent version of `version_of`
  Stamp sealed = 0;   // by which it is known: numbers are used again
  Ino version_of = 0;
};
using HandlePtr = std::shared_ptr<Handle>;

class HandleTable {
 public:
  uint64_t add(HandlePtr handle);
  HandlePtr get(uint64_t handle) const;  // null if unknown
  HandlePtr remove(uint64_t handle);
  std::vector<HandlePtr> all() const;
  size_t size() const;

 private:
  mutable SharedMutex mutex_;
  uint64_t next_ GUARDED_BY(mutex_) = 1;
  std::unordered_map<uint64_t, HandlePtr> handles_ GUARDED_BY(mutex_);
};

class VersionsView;  // versions_view.h

// By S3's name: the tools tell by it that a word is no bucket's name.
std::unexpected<Error> no_bucket(std::string_view name);

// For code that holds an inode's lock through LockedInodes: tells the analysis so.
inline void assert_locked(Inode& inode) PAILFS_TSA(assert_capability(inode.lock)) { static_cast<void>(inode); }

// Exclusive locks on several inodes, taken in the order of their numbers; null ones and repetitions are passed over.
// Only for who holds the tree lock, for a single inode, and for regular files.
class LockedInodes {
 public:
  LockedInodes(std::initializer_list<InodePtr> inodes);
  ~LockedInodes();
  LockedInodes(const LockedInodes&) = delete;
  LockedInodes& operator=(const LockedInodes&) = delete;
  const std::vector<InodePtr>& all() const { return inodes_; }

 private:
  std::vector<InodePtr> inodes_;
};

// Permission bits after a write or truncation by somebody without privileges: no set-user-id, and no set-group-id where
// the group may execute (where it may not, the bit does not mean a right).
inline uint32_t mode_without_privileges(uint32_t mode) { return mode & ~((mode & 00010) != 0 ? 06000u : 04000u); }

// Whether the caller may read an extended attribute (not an ACL) of the object; kNoData for what nobody has.
// Of a version, by its keys and id.
struct VersionFacts {
  std::span<const std::string> keys;
  std::span<const ConditionValue> conditions;
  TagsOf tags;
};
Status check_xattr_read(const Gate& gate, const Caller& caller, const Attributes& object, std::string_view name,
                        const VersionFacts& version);

// A node to make.
struct NewNode {
  uint32_t mode = 0;  // type and permission bits
  uint64_t rdev = 0;
  std::string_view target = {};  // symlinks
  bool open = false;             // counts a handle on the inode before anybody else can see it
  bool write = false;            // and a writer
};

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

class ObjectKeys;
class PolicyGate;

struct Core::Impl {
  Impl(Store& s, uint32_t account);
  ~Impl();
  Store& store;
  Gate gate;
  InodeTable inodes;
  HandleTable handles;
  Shares shares;
  std::atomic<bool> kernel_times = false;  // set_kernel_times()
  RetentionClock clock;
  Mutex tree;
  std::unique_ptr<VersionsView> view;
  std::unique_ptr<Scrub> scrub;
  std::unique_ptr<MfaDevice> mfa;
  BucketPolicies policies;
  Identities identities;
  PublicAccess public_access;
  Principals principals;
  AclFacts acl_facts;
  std::unique_ptr<ObjectKeys> keys;
  std::unique_ptr<PolicyGate> policy_gate;
  std::unique_ptr<IdentityOps> identity_ops;
  std::unique_ptr<Denials> denials;
  Core::NameObserver name_observer;  // set before anything uses the core
  void name_changed(Ino parent, const std::string& name, Ino ino) {
    if (name_observer) name_observer(parent, name, ino);
  }
  std::function<void()> removal_observer;  // set before anything uses the core
  void names_ended() {
    if (removal_observer) removal_observer();
  }

  // --- making (create_ops.cc)
  // Makes a node of any type, and its name, in one transaction: passes the gate, takes tree, counts one reference (that
  // forget() takes back) and the handle that `node.open` asks for. kExists if the name is taken.
  Result<InodePtr> make_node(const Caller& caller, Ino parent, std::string_view name, const NewNode& node)
      EXCLUDES(tree);
  Created opened(const Caller& caller, const InodePtr& made, OpenFlags flags);  // with a handle that was counted
  Result<InodePtr> make_unnamed(const Caller& caller, Ino parent, const NewNode& node, bool linkable);
  // The record of a new node in a directory: owner, group, set-group-id bit, umask and ACLs as mkdir(2) and open(2)
  // have them.
  InodeRecord new_record(const Caller& caller, const InodeRecord& directory, const NewNode& node) const;
  // For every call that changes what a directory holds. The name can be given to something new there:
  Status check_new_name(Ino parent, std::string_view name) const;
  // The inode is a directory, has a name, and the caller may look `name` (empty: whatever) up in it.
  Status check_directory(const Caller& caller, const Inode& directory, std::string_view name) const
      REQUIRES_SHARED(directory.lock);
  // The same for a name that is to be made: kAccessDenied where a policy hides it.
  Status check_new_entry(const Caller& caller, const Inode& directory, std::string_view name) const
      REQUIRES_SHARED(directory.lock);
  // To make the name, as a new object or in place of another.
  Status check_put(const Caller& caller, const Inode& directory, std::string_view name) const
      REQUIRES_SHARED(directory.lock);

  // --- clock and numbers (numbers.cc)
  // A time later than every stamp before it, also over restarts. Stamps order history; attributes show now().
  Stamp stamp(Transaction& tx);
  Stamp latest_stamp();  // that was handed out
  Time now() const { return store.env().now(); }
  VersionId make_version_id(Stamp at);
  // An inode number (or content id) of the bucket that was never used.
  Result<Ino> new_number(Scope bucket, Transaction& tx);
  void forget_numbers(Scope bucket);  // of a bucket that is gone
  Status load_stamps();

  // --- buckets (bucket_ops.cc); the table is in memory, there are few
  Result<BucketRecord> bucket_record(Scope number) const;
  Versioning versioning(Scope number) const;  // kOff for the store's root
  bool deleting(Scope number) const;          // a purge has begun: the bucket shows nothing and takes nothing
  Result<BucketRecord> bucket_by_name(const Caller& caller, std::string_view name);
  Status load_buckets();
  Status make_root();
  void set_bucket(const BucketRecord& record);
  void forget_bucket(Scope number);
  Result<Scope> new_bucket_number();
  Result<InodePtr> make_bucket(const Caller& caller, std::string_view name, Versioning state, uint32_t mode,
                               bool object_lock = false) EXCLUDES(tree);
  // rmdir(2) of a bucket: kNotEmpty while it holds anything.
  Status remove_bucket(const Caller& caller, std::string_view name) EXCLUDES(tree);
  // Steps of these, and of purge_bucket() (purge.cc).
  struct Place;
  struct Found;
  Status check_new_bucket(const Caller& caller, std::string_view name, const Inode& root, Place& where)
      REQUIRES_SHARED(root.lock);
  Result<InodePtr> install_bucket(const Caller& caller, std::string_view name, const InodePtr& root, Scope number,
                                  Versioning state, uint32_t mode, bool object_lock) EXCLUDES(tree);
  Status check_bucket_empty(Scope number, std::vector<std::string>& leftovers) REQUIRES(tree);
  Status reap_bucket(Scope number) REQUIRES(tree);
  Status check_no_history(Scope number) REQUIRES(tree);
  Status erase_bucket(const Caller& caller, const Found& found, std::vector<std::string> leftovers) REQUIRES(tree);
  Result<std::vector<std::string>> purge_batch(Scope scope, const std::string& from, const std::string& end,
                                               size_t limit);
  Status purge_inode(Ino ino) EXCLUDES(tree);
  Status purge_inodes(Scope number, const Progress& progress) EXCLUDES(tree);
  Status purge_index(Scope number);
  mutable SharedMutex buckets_lock;
  std::map<Scope, BucketRecord> bucket_table GUARDED_BY(buckets_lock);
  Scope next_bucket GUARDED_BY(buckets_lock) = 1;
  std::map<Scope, std::pair<KeepRule, Time>> kept_by GUARDED_BY(buckets_lock);  // rules that were applied, and when
  std::atomic<uint32_t> buckets_deleting = 0;                                   // spares deleting() the lock
  std::atomic<uint32_t> buckets_locking = 0;  // with Object Lock; spares new_retention() the lock
  void count_states() REQUIRES(buckets_lock);

  // --- Object Lock (object_lock.cc)
  // What a version that is sealed now gets. kNotFound in a bucket with Object Lock that is being deleted: see there.
  Result<Retention> new_retention(Scope bucket) const;
  // kAccessDenied for a version that is locked.
  Status check_removable(Scope bucket, const InodeRecord& version, bool bypass_governance = false) const;
  // `path`: of the object; empty: the bucket.
  Status check_bypass(const Caller& caller, Scope bucket, std::span<const std::string> paths, const Consent& consent,
                      std::span<const ConditionValue> conditions = {}, TagsOf tags = {}) const;
  // Whether the bucket's state of versioning can be that.
  Status change_versioning(const Caller& caller, std::string_view name, Versioning state, const Consent& consent)
      EXCLUDES(tree);
  Status check_versioning(const BucketRecord& bucket, Versioning state, const Consent& consent) const;
  // For a purge, which the bucket is marked for in memory alone: kAccessDenied when any version is locked.
  Status check_nothing_locked(Scope number, bool bypass_governance) REQUIRES(tree);
  void begin_clock();  // where a repair has dropped it
  Status find_locked(Scope number, bool bypass_governance) const;
  // kAccessDenied in a bucket with MFA delete, unless a code was accepted (mfa_delete.cc).
  Status check_mfa(Scope bucket, bool accepted) const;

  // --- bucket policies (policy_ops.cc)
  Status check_policy_access(const Caller& caller, Scope bucket, Action action);
  Status change_bucket_policy(const Caller& caller, std::string_view bucket, Action action,
                              const std::function<Result<StoredPolicyPtr>()>& make) EXCLUDES(tree);

  // --- Block Public Access (public_access_ops.cc)
  // kAccessDenied for a policy that is public where the bucket takes none.
  Status check_public_policy(Scope bucket, const StoredPolicy& policy) const;
  // kAccessDenied where a bucket that lets nothing public in would give the public more than `before`.
  Status check_public_grant(Scope bucket, const PublicGrant& before, const PublicGrant& after) const;
  // The same for a chmod.
  Status check_public_mode(Ino ino, const InodeRecord& record, uint32_t mode) const;
  // Something new in the bucket: without what is public, where that is blocked.
  void close_new_record(Scope bucket, InodeRecord& record) const;

  // --- names (lookup.cc)
  // kNotFound, kNotDirectory, kNameTooLong; a name that no directory can hold is kInvalid.
  static Status check_name(std::string_view name);
  // An inode that exists, for a call that names it: `gone` and purged buckets are kNotFound. Never for virtual ones.
  Result<InodePtr> existing(Ino ino);
  struct Found {
    uint64_t slot = 0;
    Dirent entry;
  };
  // Where a name is or would go in its group of slots.
  struct Place {
    std::optional<Found> found;
    uint64_t free = 0;                 // slot for a new entry; 0: the group is full
    bool holder = false;               // a place holder is in it
    std::optional<Dirent> uncollided;  // the entry before the free slot, which must be marked
  };
  // The first slot of the group that the name belongs to; 8 at least, so that cookies 0 to 2 stay free.
  uint64_t slot_group(Ino parent, std::string_view name) const;
  Result<Place> place(Ino parent, std::string_view name);
  Result<std::optional<Found>> find(Ino parent, std::string_view name);
  // The inode that an entry names; kCorrupt if it is missing.
  Result<InodePtr> target(Ino parent, const Found& found);
  // Counts a reference on an inode that has a name.
  Result<Attributes> reference(const InodePtr& inode);
  // Puts `entry` where place() found its name free.
  Status insert_entry(Ino parent, Place where, Dirent entry, Transaction& tx) REQUIRES(tree);
  // Writes down what a name stood for until now, where the bucket keeps versions. Returns the marker's id (zero when
  // there is none).
  VersionId write_history(Ino parent, const Found& found, EndKind kind, uint32_t uid, Stamp at, Transaction& tx)
      REQUIRES(tree);
  void note_ending(Scope bucket, Stamp at, Transaction& tx) REQUIRES(tree);
  // Erases an entry (leaving a place holder where names collide) and writes its history.
  VersionId end_entry(Ino parent, const Found& found, EndKind kind, uint32_t uid, Stamp at, Transaction& tx)
      REQUIRES(tree);
  // Puts another inode (or name of the same group) in the slot of an entry.
  void replace_entry(Ino parent, const Found& found, Dirent entry, Transaction& tx) REQUIRES(tree);

  // --- from an inode to its names (parent_pointers.cc)
  struct Name {
    Ino parent = 0;
    uint64_t slot = 0;
    std::string name;
  };
  // All names of an inode that is no bucket's root, in one moment. Takes no locks.
  Result<std::vector<Name>> names_of(Ino ino) const;
  Result<std::vector<Name>> search_names(Ino ino) const;
  static void put_parent_pointer(Ino ino, Ino parent, uint64_t slot, Transaction& tx);
  static void erase_parent_pointer(Ino ino, Ino parent, uint64_t slot, Transaction& tx);
  Status add_parent_pointers(Scope bucket);

  // --- listing (readdir.cc)
  Result<std::vector<DirectoryEntry>> list_some(Ino directory, uint64_t cookie);
  Attributes listed_attributes(Ino ino);

  // --- renaming (rename.cc)
  struct Move;
  Status move(const Caller& caller, Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
              RenameMode mode) EXCLUDES(tree);
  Status find_both_ends(Move& move) REQUIRES(tree);
  Status check_move(const Move& move) const REQUIRES(tree);
  Status check_move_permission(const Move& move) const REQUIRES(tree);
  Status check_new_place(const Caller& caller, const Attributes& moved, Ino from, std::string_view name, Ino to,
                         std::string_view new_name) const;
  // Whether `directory` is `ancestor` or lies below it.
  Result<bool> is_within(Ino directory, Ino ancestor) REQUIRES(tree);
  Status replace_name(Move& move, Transaction& tx) REQUIRES(tree);
  Status exchange_names(Move& move, Transaction& tx) REQUIRES(tree);

  // --- attributes (attr_ops.cc)
  static Attributes attributes(Ino ino, const InodeRecord& record);
  void put_inode(Ino ino, const InodeRecord& record, Transaction& tx);
  Status apply_attributes(const Caller& caller, Inode& inode, const AttributeChange& change, Transaction& tx)
      REQUIRES(inode.lock);
  // Before a change at `at` of what an inode's record says but for its content: writes down what it was until then,
  // where the bucket keeps history (attr_history.cc). The second for a directory that only an entry of it changes.
  void keep_attributes(Inode& inode, Stamp at, Transaction& tx) REQUIRES(inode.lock);
  void keep_directory(Inode& directory, Stamp at, Transaction& tx) REQUIRES(directory.lock);
  Status keep_xattr(Ino ino, std::string_view name, Stamp at, Transaction& tx);
  Status erase_attribute_history(Ino ino, Transaction& tx);
  // The ACLs as attributes (xattr_ops.cc); `name` is kAccessAclName or kDefaultAclName. An empty value removes.
  Result<std::string> get_acl(const Caller& caller, const Inode& inode, std::string_view name) const
      REQUIRES_SHARED(inode.lock);
  Status set_acl(const Caller& caller, Ino ino, std::string_view name, std::string_view value);
  void apply_access_acl(const Caller& caller, Acl acl, InodeRecord& record) const;
  // Whether the caller may replace the ACL. kNotPermitted also where that would let him run a set-ID file of others.
  Status check_acl_change(const Caller& caller, Ino ino, const InodeRecord& record,
                          std::span<const ConditionValue> conditions = {}) const;
  // Takes one name from an inode whose lock is held (a directory: all of them); when the last is gone: keeps it for its
  // versions and for moments that show it, or makes it an orphan while it is in use, or removes it
  // with its content and marks it gone. Sets ctime. After the commit, call inodes.remove() for what is gone.
  Status drop_link(Inode& inode, Stamp at, Transaction& tx) REQUIRES(inode.lock);
  // Makes an orphan of an inode without a name that is in use, in a transaction of its own; false: nobody uses it.
  Result<bool> leave_to_last_user(Inode& inode) REQUIRES(inode.lock);
  void add_orphan(Inode& inode, Transaction& tx) REQUIRES(inode.lock);  // reload() takes it back
  // Removes an orphan for good when nothing uses it any more; cheap for what is no orphan. Takes tree and inode.
  void reap(Ino ino) EXCLUDES(tree);
  // Removes what an earlier run left without a name.
  Status reap_leftovers();
  Result<bool> kept_for_history(const Inode& inode) REQUIRES(inode.lock);
  // unlink and rmdir.
  Status remove_entry(const Caller& caller, Ino parent, std::string_view name, bool directory) EXCLUDES(tree);
  // kNotEmpty, or erases what an empty directory still has in the index below its own record.
  Status clear_directory(Inode& directory, Transaction& tx) REQUIRES(directory.lock);
  // The last part of reap(): removes the inode, whoever knows its number still.
  Status remove_orphan(const InodePtr& inode) REQUIRES(tree);
  // Sets the record in memory to what the store has: after a commit that failed.
  void reload(Inode& inode) REQUIRES(inode.lock);
  Mutex orphans_lock;
  std::unordered_set<Ino> orphans GUARDED_BY(orphans_lock);  // nlink 0, kept only because they are in use
  bool is_orphan(Ino ino) {
    MutexLock lock(orphans_lock);
    return orphans.contains(ino);
  }

  // --- content (read_write.cc, sealing.cc, content.cc); inode.lock is held
  // These change inode.record in memory and add to the transaction everything but the inode's own record: the caller
  // puts that (put_inode) once it has made its own changes, and when the commit (or one of these) fails calls reload().
  // Within one transaction at most one of resize, remove_inode and remove_version is called for an inode: they read
  // what is committed.

  // Before a change: a new version if the content is sealed and the bucket keeps versions. Marks dirty, if it is not.
  Status begin_change(Inode& inode, Transaction& tx) REQUIRES(inode.lock);
  // Names the content as a version if it is dirty. `provisional`: somebody may go on writing. Does nothing to an inode
  // without a name: what is written to it after its last unlink never becomes a version.
  Status seal(Inode& inode, bool provisional, Transaction& tx) REQUIRES(inode.lock);
  // Changes the size of the content (begin_change included), releasing what is cut off and no older version needs. Sets
  // mtime and ctime to now. A caller without a handle seals afterwards if no writer has the inode open.
  Status resize(Inode& inode, uint64_t size, Transaction& tx) REQUIRES(inode.lock);
  // Removes the inode's current content, all its versions, its xattrs and its record, and sets `gone`.
  Status remove_inode(Inode& inode, Transaction& tx) REQUIRES(inode.lock);
  // Removes one noncurrent version (its 'v' record and what only it needs); of an inode without a name also the last
  // one: then an older one takes its place, or the inode goes. Puts what it changes, the inode record included.
  // A locked one is kAccessDenied; a bypass passes over governance mode.
  Status remove_version(Inode& inode, uint32_t vseq, Transaction& tx, bool bypass_governance = false)
      REQUIRES(inode.lock);
  // The content of the inode as of `vseq` went at `at` without becoming an older version: from then on the version
  // before it is not what the file shows.
  Status end_older_version(Ino ino, uint32_t vseq, Stamp at, Transaction& tx);
  // Under suspended versioning: what has just become the newest of the name, or the inode's newest version, takes the
  // place of the null version there was (nulls.cc). No lock is held.
  void settle_nulls(Ino parent, std::string_view name) EXCLUDES(tree);
  void settle_nulls(const InodePtr& inode) EXCLUDES(tree);
  // After the last handle was closed.
  void settle_replaced(const InodePtr& inode) EXCLUDES(tree);
  // Where nobody has the content open any more: makes a version of what was left unsealed (by a crash, mknod(2), or
  // truncate(2)), or drops what was written after the last name went. Logs failures.
  void settle(const InodePtr& inode);
  // copy_file_range(2) between two handles. Pieces of at least so many bytes share their units (copy_range.cc).
  Result<uint64_t> copy_content(const Handle& reader, uint64_t from, const Handle& writer, uint64_t to, uint64_t length,
                                uint32_t least_shared);
  Status read_content(const InodeRecord& content, uint64_t offset, std::span<char> out) const;

  Status commit(Transaction&& tx);
  Status commit_names(Transaction&& tx);
  // The same for one that makes content show units of another one: `added`, once for every owner (shares.h).
  Status commit(Transaction&& tx, std::span<const Run> added);
  // Commits the change of inodes whose locks are held; when that fails, reloads them.
  Status commit(Transaction&& tx, const LockedInodes& changed);

 private:
  // Names that ended in a bucket, with less than a minute between one and the next.
  struct Endings {
    Stamp first = 0;
    Stamp last = 0;
    uint32_t count = 0;
  };
  std::map<Scope, Endings> endings_ GUARDED_BY(tree);
  Mutex numbers_lock;
  Stamp last_stamp GUARDED_BY(numbers_lock) = 0;
  Stamp stamp_bound GUARDED_BY(numbers_lock) = 0;  // persisted: no stamp handed out reaches it
  struct NumberRange {
    Ino next = 0;
    Ino end = 0;
  };
  std::map<Scope, NumberRange> number_ranges GUARDED_BY(numbers_lock);
  friend class Core;
};

}  // namespace pailfs
