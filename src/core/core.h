// The model: buckets, directories, files, versions, on a Store, behind the gate. Knows nothing of FUSE or sockets; runs
// in tests without a kernel. Thread-safe.
//
// Every call takes who asks, passes the gate, changes the store in one transaction and says what POSIX says: Result
// codes map to errno one to one in the door. Calls that name an inode that is gone answer kNotFound (ESTALE is not
// ours).
//
// One file per operation family: lookup.cc, dir_ops.cc (create, unlink, rename, link), attr_ops.cc, xattr_ops.cc,
// readdir.cc, bucket_ops.cc, handles.cc, read_write.cc, copy_range.cc, sealing.cc, versions_view.cc, prune.cc,
// object_lock.cc, mfa_delete.cc, check.cc, scrub.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/gate.h"
#include "core/ownership.h"
#include "core/retention.h"
#include "core/types.h"
#include "store/store.h"

namespace pailfs {

// What to change; absent members stay.
struct AttributeChange {
  std::optional<uint32_t> mode;  // permission bits 07777
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<Time> atime;
  std::optional<Time> mtime;
  std::optional<Time> ctime;  // only the kernel's write-back cache sets it
  bool atime_now = false;
  bool mtime_now = false;
  uint64_t handle = 0;       // ftruncate: the right is the handle's; 0: none
  bool from_kernel = false;  // times that the kernel's write-back cache pushes: no caller, no check
};

struct OpenFlags {
  bool read = false;
  bool write = false;
  bool append = false;
  bool truncate = false;
  bool execute = false;  // execve
};

struct OpenResult {
  uint64_t handle = 0;
  bool keep_cache = true;  // what the kernel holds of the file's pages is still right
};

struct DirectoryEntry {
  std::string name;
  Ino ino = 0;
  uint32_t type = 0;      // S_IFMT bits
  uint64_t cookie = 0;    // pass to readdir to go on after this entry; 1 to 2^63 - 1
  Attributes attributes;  // filled when asked for; ino 0 in it where it could not be
};

enum class RenameMode { kReplace, kNoReplace, kExchange };

struct BucketInfo {
  std::string name;
  Scope number = 0;
  Versioning versioning = Versioning::kEnabled;
  uint32_t owner = 0;
  Time created = 0;
  Stamp history_since = 0;  // 0: there is no history
  KeepRule keep = {};
  bool object_lock = false;
  DefaultRetention default_retention = {};
  bool mfa_delete = false;
  ObjectOwnership ownership = ObjectOwnership::kObjectWriter;
  // Filled by bucket_usage():
  uint64_t objects = 0;  // files, symlinks and special files that have a name
  uint64_t directories = 0;
  uint64_t noncurrent = 0;  // versions that are not current
  uint64_t current_bytes = 0;
  uint64_t noncurrent_bytes = 0;  // logical size of noncurrent versions
};

// One line of a version listing, newest first.
struct VersionEntry {
  std::string name;  // as in .versions: 20261123T145600.123456789Z-ID[.deleted]
  std::string id;    // 26 characters, or "null"
  Time sealed = 0;
  uint64_t size = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  bool marker = false;
  bool current = false;
  Retention retention = {};
  bool locked = false;  // by it, now
};

// What a permanent removal was asked with, beyond the right to it.
struct Consent {
  bool bypass_governance = false;  // governance mode does not count; takes Action::kBypassGovernanceRetention
  bool mfa = false;                // Core::use_mfa_code() has accepted a code for it
};

// A version of something; without `version`, which is its name in .versions or its id, the newest.
struct VersionName {
  std::string_view bucket;
  std::string_view path;
  std::string_view version = {};
};

// PutObjectRetention: until a time, or for a period from now on; mode kNone ends a retention.
struct RetentionRequest {
  LockMode mode = LockMode::kNone;
  std::optional<Time> until;
  uint32_t days = 0;
  uint32_t years = 0;
  bool bypass_governance = false;
};

struct PruneOptions {
  std::optional<Time> older_than;  // only versions that ceased to be current before this
  std::optional<uint64_t> keep;    // keep this many newest noncurrent versions per object
  bool dry_run = false;
  bool mfa = false;  // as in Consent
};
struct PruneResult {
  uint64_t versions = 0;
  uint64_t locked = 0;  // that stayed because of Object Lock, and would have gone
  uint64_t markers = 0;
  uint64_t bytes = 0;  // logical bytes of the versions removed
};

struct CheckProblem {
  std::string kind;     // "log", "space", "index", "bucket", "name" or "content"
  std::string what;     // one sentence
  std::string path;     // of the file touched, where known
  std::string version;  // of it, as in .versions, where one is touched that has a name
};
struct CheckResult {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t versions = 0;
  uint64_t bytes = 0;       // of content that was verified (deep) or referenced
  uint64_t lost_bytes = 0;  // of content that a repair marked as lost: no problem any more
  // Bytes of the log that nothing refers to and that are not known to be free: a crash leaves such, a repair gives them
  // back. nullopt: the store changed meanwhile, or there are problems.
  std::optional<uint64_t> unreferenced_bytes;
  std::vector<CheckProblem> problems;  // the first 1,000
  uint64_t problem_count = 0;
};

// How something differs between two moments, seen from the earlier to the later one (in a rewind: from what is to what
// will be).
enum class Difference : uint8_t {
  kAdded,
  kRemoved,
  kContent,     // another content, or another inode under the name
  kAttributes,  // mode, owner, times, ACL or extended attributes
  kUnknown,     // what it was is not known any more, as its version was removed, or none was sealed yet: left alone
  kDenied,      // the caller may not change it: left alone
};
std::string_view difference_name(Difference difference);  // "added"

struct TreeDifference {
  Difference what = Difference::kAdded;
  std::string path;  // in the bucket
  bool directory = false;
  uint64_t size_before = 0;  // bytes, of files
  uint64_t size_after = 0;
  std::string why;  // kDenied: the error's message
};

struct RewindOptions {
  Time to = 0;               // the moment
  std::optional<Time> from;  // compare with this moment instead of now; nothing is changed
  bool remove_newer = true;  // names that did not exist then are removed
  bool dry_run = false;
};

struct RewindResult {
  std::optional<Time> from;  // of a comparison; both moments as they were understood
  Time to = 0;
  uint64_t added = 0;    // names, directories too
  uint64_t removed = 0;  // names
  uint64_t content = 0;  // names that got another content
  uint64_t attributes = 0;
  uint64_t unknown = 0;
  uint64_t denied = 0;
  uint64_t bytes = 0;                       // logical bytes that came back
  std::vector<TreeDifference> differences;  // the first kKept
  static constexpr size_t kKept = 10'000;
};

// What those who use the model hold of it now.
struct InUse {
  uint64_t handles = 0;  // open files and directories
  uint64_t inodes = 0;   // with references that forget() has not taken back
};

// What a repair did, or, on a store whose changes stay in memory, what it is going to do.
struct RepairResult {
  std::vector<CheckProblem> fixes;  // `what` says what was wrong and what became of it; the first 100,000
  uint64_t fix_count = 0;           // 0: the store is sound
  uint64_t lost_bytes = 0;          // of content that cannot be read; each version that shows them counts
  uint64_t lost_versions = 0;       // that show such bytes, or are gone
  uint64_t lost_names = 0;          // whose inodes are gone
  uint64_t found = 0;               // what lost its name, and was put into lost+found
  uint64_t unreadable_values = 0;   // of the index, dropped
  LostChanges changes;              // commits that the log has lost
};

class Denials;        // denials.h
class IdentityOps;    // identity_ops.h
class Scrub;          // scrub.h
struct AclRequest;    // acl_ops.h
struct ObjectAcl;     //
struct PublicReport;  // public_report.h
struct PolicyLint;    // policy_lint.h

class Core {
 public:
  // Opens the model in an open store: makes the root directory in a new one, reaps what a crash left over. `account` is
  // the uid that owns the store.
  static Result<std::unique_ptr<Core>> open(Store& store, uint32_t account);
  ~Core();

  // --- Names (dir_ops.cc, lookup.cc). A successful lookup, create, mkdir, mknod, symlink, link counts one reference
  // that forget() takes back.
  Result<Attributes> lookup(const Caller& caller, Ino parent, std::string_view name);
  void forget(Ino ino, uint64_t count);
  Result<Attributes> mknod(const Caller& caller, Ino parent, std::string_view name, uint32_t mode, uint64_t rdev);
  Result<Attributes> mkdir(const Caller& caller, Ino parent, std::string_view name, uint32_t mode);
  Result<Attributes> symlink(const Caller& caller, Ino parent, std::string_view name, std::string_view target);
  Result<Attributes> link(const Caller& caller, Ino ino, Ino parent, std::string_view name);
  Status unlink(const Caller& caller, Ino parent, std::string_view name);
  Status rmdir(const Caller& caller, Ino parent, std::string_view name);
  Status rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                RenameMode mode);
  Result<std::string> readlink(const Caller& caller, Ino ino);

  // --- Attributes (attr_ops.cc, xattr_ops.cc)
  Result<Attributes> getattr(const Caller& caller, Ino ino);
  Result<Attributes> setattr(const Caller& caller, Ino ino, const AttributeChange& change);
  // mask: R_OK | W_OK | X_OK, or F_OK, as access(2).
  Status access(const Caller& caller, Ino ino, int mask);
  Result<std::string> getxattr(const Caller& caller, Ino ino, std::string_view name);
  enum class XattrMode { kSet, kCreate, kReplace };
  Status setxattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value, XattrMode mode);
  Result<std::vector<std::string>> listxattr(const Caller& caller, Ino ino);
  Status removexattr(const Caller& caller, Ino ino, std::string_view name);

  // --- Directories (readdir.cc)
  Result<uint64_t> opendir(const Caller& caller, Ino ino);
  // Calls `emit` for the entries after `cookie` (0: from the start) until it returns false (the entry it refused is the
  // first of the next call) or the end. `.` and `..` come first with cookies 1 and 2 of their own. With `plus`,
  // attributes are filled and every emitted entry except . and .. counts one reference (not the refused one).
  Status readdir(const Caller& caller, Ino ino, uint64_t handle, uint64_t cookie, bool plus,
                 const std::function<bool(const DirectoryEntry&)>& emit);
  void releasedir(uint64_t handle);

  // --- Content (handles.cc, read_write.cc, sealing.cc)
  Result<OpenResult> open(const Caller& caller, Ino ino, OpenFlags flags);
  struct Created {
    Attributes attributes;
    OpenResult open;
  };
  Result<Created> create(const Caller& caller, Ino parent, std::string_view name, uint32_t mode, OpenFlags flags);
  // A file without a name, open for writing: O_TMPFILE of open(2). It goes with its last handle, or in a crash, unless
  // link() names it before; with `linkable` false it cannot be named.
  Result<Created> create_unnamed(const Caller& caller, Ino directory, uint32_t mode, OpenFlags flags, bool linkable);
  // Appends up to `size` bytes to `out`; fewer only at the end of the file.
  Result<size_t> read(Ino ino, uint64_t handle, uint64_t offset, std::span<char> out);
  // `from_cache`: the kernel's write-back cache writes, on any handle: never stripped of set-user-id rights.
  Status write(Ino ino, uint64_t handle, uint64_t offset, std::string_view data, bool from_cache);
  // The kernel's write-back cache keeps the times of files, and says before flush() and release() what they are where
  // they changed: what it wrote in the same tick of the clock as the change before has that one's times.
  void set_kernel_times(bool kernel);
  // close(2) of one descriptor: seals a version if the content changed. More may follow on the same handle.
  Status flush(Ino ino, uint64_t handle);
  // The last descriptor is gone: seals, drops the handle, reaps the inode if nothing names it.
  void release(Ino ino, uint64_t handle);
  // Everything written before is durable, and so are the names that lead to it.
  Status fsync(Ino ino);
  // copy_file_range(2): the content of `from` shows in `to` what it has there, and shares the units where both are of
  // one bucket. Returns how many bytes, which may be fewer than asked for: ask again for the rest; 0 at the end of
  // `from`.
  struct RangeEnd {
    Ino ino = 0;
    uint64_t handle = 0;
    uint64_t offset = 0;
  };
  Result<uint64_t> copy_range(const RangeEnd& from, const RangeEnd& to, uint64_t length);
  // fallocate(2): kSupported modes are 0 and KEEP_SIZE (no preallocation is kept, the size grows),
  // PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE with or without KEEP_SIZE.
  Status fallocate(Ino ino, uint64_t handle, int mode, uint64_t offset, uint64_t length);
  // lseek(2) SEEK_DATA / SEEK_HOLE. kNoDevice beyond the end.
  Result<uint64_t> seek(Ino ino, uint64_t offset, bool data);
  Result<Space> statfs() const;
  // Files that are open for writing now: shutdown asks the kernel for their dirty pages.
  std::vector<Ino> writable_inodes() const;

  // --- Buckets (bucket_ops.cc). mkdir and rmdir at the root make and remove buckets too.
  Result<std::vector<BucketInfo>> buckets(const Caller& caller);
  Result<BucketInfo> bucket(const Caller& caller, std::string_view name);
  Result<BucketInfo> bucket_usage(const Caller& caller, std::string_view name, const Progress& progress);
  Result<Ino> bucket_directory(std::string_view name);
  Status create_bucket(const Caller& caller, std::string_view name, Versioning versioning, uint32_t mode,
                       bool object_lock = false);
  // Only the account. Deletes objects, versions and at last the bucket's keys. Resumable: a purge that was interrupted
  // is finished when called again. A locked version, and nothing has changed.
  Status purge_bucket(const Caller& caller, std::string_view name, const Progress& progress,
                      const Consent& consent = {});
  Status set_versioning(const Caller& caller, std::string_view name, Versioning state, const Consent& consent = {});
  Status set_keep_rule(const Caller& caller, std::string_view name, const KeepRule& keep);
  // Applies the keep rules that are new, or were last applied an hour ago (prune.cc).
  Status apply_keep_rules(const Progress& progress);

  // --- Policies (policy_ops.cc)
  // A bucket's policy, as it was given. kNoData: it has none. The account, or whom policies allow it.
  Result<std::string> bucket_policy(const Caller& caller, std::string_view bucket);
  // kInvalid says what is wrong with the document, and where. What it changes holds when this returns.
  Status put_bucket_policy(const Caller& caller, std::string_view bucket, std::string text,
                           bool accept_unknown_keys = false);
  Status delete_bucket_policy(const Caller& caller, std::string_view bucket);
  // Whether policies take part in what is decided about an inode: then no name in its bucket may be kept by the kernel.
  bool has_policies(Ino ino) const;
  std::string account_id() const;  // twelve digits
  IdentityOps& identities();       // users, groups, roles, services and managed policies
  Denials& denials();              // what was last denied to whom

  // --- S3's view of ACLs, and Object Ownership (acl_ops.h, acl_ops.cc). An empty path is the bucket itself.
  Result<ObjectAcl> object_acl(const Caller& caller, std::string_view bucket, std::string_view path);
  Status put_object_acl(const Caller& caller, std::string_view bucket, std::string_view path,
                        const AclRequest& request);
  Result<ObjectOwnership> bucket_ownership(const Caller& caller, std::string_view bucket);
  Status set_bucket_ownership(const Caller& caller, std::string_view bucket, ObjectOwnership ownership);
  // Of the principal that a uid maps to; empty: anonymous, or nobody knows.
  std::string principal_arn(uint32_t uid) const;
  // The uid that was given to a user; nullopt: none was. kInvalid: several were.
  Result<std::optional<uint32_t>> mapped_uid(const std::string& user) const;

  // --- Block Public Access (public_access_ops.cc). `bucket` empty: the whole store. Of a bucket for the account, or
  // whom its policy allows it; the switches are a set of PublicSwitch (public_access.h). What it changes holds when
  // this returns.
  struct PublicAccessBlock {
    uint8_t own = 0;
    uint8_t in_force = 0;  // with the store's
  };
  Result<PublicAccessBlock> public_access_block(const Caller& caller, std::string_view bucket);
  Status put_public_access_block(const Caller& caller, std::string_view bucket, uint8_t switches);
  // What is doubtful about the policy of a bucket; only the account (policy_lint.cc).
  Result<PolicyLint> lint_bucket_policy(const Caller& caller, std::string_view bucket, const Progress& progress);
  // The same without a look at what is in the bucket, for who may read the policy: it takes no time.
  Result<PolicyLint> lint_bucket_policy_alone(const Caller& caller, std::string_view bucket);
  // What is public in a bucket; only the account (public_report.cc).
  Result<PublicReport> public_report(const Caller& caller, std::string_view bucket, const Progress& progress);

  // --- Object Lock (object_lock.cc). Only the account.
  Status enable_object_lock(const Caller& caller, std::string_view bucket);
  Status set_default_retention(const Caller& caller, std::string_view bucket, const DefaultRetention& retention);
  // These answer with what the version is then.
  Result<VersionEntry> set_retention(const Caller& caller, const VersionName& name, const RetentionRequest& request);
  Result<VersionEntry> set_legal_hold(const Caller& caller, const VersionName& name, bool on);
  // What retention goes by; nullopt before there was any bucket with Object Lock.
  std::optional<Time> retention_time() const;
  // To be called every minute or more often, and with `closing` before the store is closed.
  Status keep_retention_clock(bool closing = false);

  // --- MFA delete (mfa_delete.cc). Only the account.
  Result<std::optional<Time>> mfa_enrolled() const;  // when the device was; nullopt: there is none
  Status enroll_mfa(const Caller& caller, std::string_view secret, std::string_view code);
  Status remove_mfa(const Caller& caller, std::string_view code);
  Status set_mfa_delete(const Caller& caller, std::string_view bucket, bool on, std::string_view code);
  // For one operation, whose Consent says so then. See MfaDevice::use() in mfa.h.
  Status use_mfa_code(const Caller& caller, std::string_view code);

  // --- Versions (versions_view.cc, prune.cc). `path`: of a file inside the bucket, without leading slash.
  Result<std::vector<VersionEntry>> versions(const Caller& caller, std::string_view bucket, std::string_view path);
  Result<PruneResult> prune(const Caller& caller, std::string_view bucket, std::string_view path,
                            const PruneOptions& options, const Progress& progress);

  // Puts one version back in place as the newest. `version`: its name in .versions, or its id.
  Status restore_version(const Caller& caller, std::string_view bucket, std::string_view path,
                         std::string_view version);
  // Makes a file, a directory with all below it, or a whole bucket (empty path) what it was at a moment, name by name
  // (rewind.cc). What was changed before a failure stays changed.
  Result<RewindResult> rewind(const Caller& caller, std::string_view bucket, std::string_view path,
                              const RewindOptions& options, const Progress& progress);
  // The moment before the removal of what the path last stood for: before the first of the removals that followed each
  // other closely, up to that of the path itself.
  Result<Time> before_removal(const Caller& caller, std::string_view bucket, std::string_view path);
  // Removes one version, or marker, for good; `version` as above.
  Status purge_version(const Caller& caller, std::string_view bucket, std::string_view path, std::string_view version,
                       const Consent& consent = {});
  // Told of every name that something else than a call of a door changed, with no lock held: the kernel may have it
  // cached. `ino`: what has the name now; 0: nothing.
  using NameObserver = std::function<void(Ino parent, const std::string& name, Ino ino)>;
  void observe_names(NameObserver observer);
  // Told, with no lock held and before the caller hears of it, that names that lasted may lead nowhere now, as versions
  // were removed for good; or that a directory's rights changed other than by a call of a door.
  void observe_removals(std::function<void()> observer);

  // --- Upkeep
  // The present, for who compares with it: now, or when the newest change was made by the store's times.
  Time latest_time() const;
  // Until when the store's times go on being ahead of the clock by more than minutes, as after a start with the clock
  // in the future: nothing can be said then by how long ago it was.
  std::optional<Time> times_ahead() const;
  Status sync();
  Result<CheckResult> check(bool deep, const Progress& progress);
  Scrub& scrub();
  InUse in_use() const;
  // Puts a store right that was opened with StoreOptions::repair, and on which no Core is open. See repair.h.
  static Result<RepairResult> repair(Store& store, uint32_t account, const Progress& progress);
  Store& store();
  const Gate& gate() const;
  // Whether the gate lets every caller there is look names up in this directory.
  bool open_to_all(Ino directory);

  struct Impl;

 private:
  explicit Core(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pailfs
