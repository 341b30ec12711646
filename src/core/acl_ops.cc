#include "core/acl_ops.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/impl.h"

namespace pailfs {
namespace {

constexpr std::string_view kFullControlOfBucketOwner = "bucket-owner-full-control";

// What a path leads to, looked up name by name as the caller, and referred to as long as this lives.
class Found {
 public:
  explicit Found(Core& core) : core_(core) {}
  ~Found() { forget(); }
  Found(const Found&) = delete;
  Found& operator=(const Found&) = delete;

  Status step(const Caller& caller, std::string_view name) {
    PAILFS_ASSIGN(const Attributes next, core_.lookup(caller, ino_, name));
    forget();
    ino_ = next.ino;
    return {};
  }
  Ino ino() const { return ino_; }

 private:
  void forget() const {
    if (ino_ != kRootIno) core_.forget(ino_, 1);
  }
  Core& core_;
  Ino ino_ = kRootIno;
};

Status find(Found& found, const Caller& caller, std::string_view bucket, std::string_view path) {
  if (bucket.empty()) return fail(Code::kInvalid, "name a bucket, or something in one");
  if (const Status there = found.step(caller, bucket); !there) {
    if (there.error().code == Code::kNotFound) return no_bucket(bucket);
    return there;
  }
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (name == "." || name == "..") return fail(Code::kInvalid, "a key has no '.' and no '..' between its slashes");
    if (!name.empty()) PAILFS_TRY(found.step(caller, name));
  }
  return {};
}

bool is_bucket(Ino ino) { return ino == bucket_root(bucket_of(ino)); }

// "The bucket owner automatically owns" what somebody else made and gave bucket-owner-full-control. Here it is he, root
// or the account who does so; who only may change the ACL takes nothing from its owner.
bool becomes_accounts(const Caller& caller, const AclRequest& request, const InodeRecord& record,
                      ObjectOwnership ownership, uint32_t account) {
  return ownership == ObjectOwnership::kBucketOwnerPreferred && request.canned == kFullControlOfBucketOwner &&
         record.uid != account && (caller.uid == 0 || caller.uid == account || caller.uid == record.uid);
}

Status grant(const Core::Impl& core, const Caller& caller, const AclRequest& request, ObjectOwnership ownership,
             Ino ino, InodeRecord& record) {
  const uint32_t account = core.gate.account();
  const uint32_t owner = becomes_accounts(caller, request, record, ownership, account) ? account : record.uid;
  std::vector<Grant> grants = request.grants;
  if (!request.canned.empty()) {
    PAILFS_ASSIGN(grants, canned_grants(request.canned, owner, account, is_bucket(ino)));
  }
  PAILFS_ASSIGN(const Rights after, grant_rights({record.mode, owner, record.gid, record.acl}, grants));
  record.mode = after.mode;
  record.acl = after.acl;
  if (caller.uid != 0 && !core.gate.in_group(caller, record.gid)) record.mode &= ~uint32_t{S_ISGID};
  if (owner != record.uid && !S_ISDIR(record.mode)) record.mode = mode_without_privileges(record.mode);
  record.uid = owner;
  return {};
}

}  // namespace

Result<ObjectAcl> Core::object_acl(const Caller& caller, std::string_view bucket, std::string_view path) {
  Found found(*this);
  PAILFS_TRY(find(found, caller, bucket, path));
  PAILFS_ASSIGN(const Attributes shown, getattr(caller, found.ino()));
  if (S_ISLNK(shown.mode)) return fail(Code::kNotSupported, "symbolic links have no ACL");
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_record(bucket_of(found.ino())));
  if (record.ownership == ObjectOwnership::kBucketOwnerEnforced) {
    const uint32_t account = impl_->gate.account();
    return ObjectAcl{{account, {{{GranteeKind::kUser, account}, kGrantFullControl}}, {}}, record.ownership};
  }
  return ObjectAcl{show_rights({shown.mode, shown.uid, shown.gid, shown.acl}), record.ownership};
}

Status Core::put_object_acl(const Caller& caller, std::string_view bucket, std::string_view path,
                            const AclRequest& request) {
  Impl& impl = *impl_;
  Found found(*this);
  PAILFS_TRY(find(found, caller, bucket, path));
  const Ino ino = found.ino();
  if (is_virtual(ino)) return fail(Code::kReadOnly, "versions are read-only");
  bool directory = false;
  {
    PAILFS_ASSIGN(const InodePtr inode, impl.existing(ino));
    LockedInodes locked({inode});
    assert_locked(*inode);
    if (inode->gone) return fail(Code::kNotFound, "no such inode");
    InodeRecord& record = inode->record;
    if (S_ISLNK(record.mode)) return fail(Code::kNotSupported, "symbolic links have no ACL");
    PAILFS_ASSIGN(const BucketRecord of, impl.bucket_record(bucket_of(ino)));
    if (of.ownership == ObjectOwnership::kBucketOwnerEnforced) {
      return fail(Code::kNotSupported,
                  fmt::format("AccessControlListNotSupported: the bucket {} is BucketOwnerEnforced, so ACLs decide "
                              "nothing in it: use its policy ('pail policy edit {}'), or change that with 'pail "
                              "ownership {} ObjectWriter'",
                              of.name, of.name, of.name));
    }
    const ConditionValue canned{"s3:x-amz-acl", request.canned};
    const std::span<const ConditionValue> conditions(&canned, request.canned.empty() ? 0 : 1);
    if (const Status may = impl.check_acl_change(caller, ino, record, conditions); !may) {
      if (may.error().code != Code::kNotPermitted) return may;
      return fail(
          Code::kNotPermitted,
          fmt::format("AccessDenied: the ACL is changed by its owner (uid {}), by root, by the owner of the store, "
                      "and, where no set-ID bit is on it, by whom it or a policy allows that",
                      record.uid));
    }
    InodeRecord after = record;
    PAILFS_TRY(grant(impl, caller, request, of.ownership, ino, after));
    PAILFS_TRY(impl.check_public_grant(bucket_of(ino), public_grant(record.mode, record.acl.get()),
                                       public_grant(after.mode, after.acl.get())));
    Transaction tx;
    impl.keep_attributes(*inode, impl.stamp(tx), tx);
    record = std::move(after);
    record.ctime = impl.now();
    impl.put_inode(ino, record, tx);
    tx.record(encode_change({Action::kPutObjectAcl, caller, 0, {}, ino}, record.ctime));
    PAILFS_TRY(impl.commit(std::move(tx), locked));
    directory = S_ISDIR(record.mode);
  }
  impl.name_changed(ino, {}, ino);
  if (directory) impl.names_ended();  // it may be closed to some now
  return {};
}

Result<ObjectOwnership> Core::bucket_ownership(const Caller& caller, std::string_view bucket) {
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, bucket));
  const Attributes root{.ino = bucket_root(record.number)};
  PAILFS_TRY(impl_->gate.check({caller, Action::kGetBucketOwnershipControls, Need::kNothing, root}));
  return record.ownership;
}

Status Core::set_bucket_ownership(const Caller& caller, std::string_view bucket, ObjectOwnership ownership) {
  Impl& impl = *impl_;
  {
    MutexLock tree_lock(impl.tree);
    PAILFS_ASSIGN(BucketRecord record, impl.bucket_by_name(caller, bucket));
    if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
    const Attributes root{.ino = bucket_root(record.number)};
    PAILFS_TRY(impl.gate.check({caller, Action::kPutBucketOwnershipControls, Need::kAccount, root}));
    if (record.ownership == ownership) return {};
    record.ownership = ownership;
    Transaction tx;
    tx.put(kStoreScope, keys::bucket(record.number), encode_bucket(record));
    tx.record(encode_change({Action::kPutBucketOwnershipControls, caller, kRootIno, bucket, root.ino}, impl.now()));
    PAILFS_TRY(impl.commit(std::move(tx)));
    impl.set_bucket(record);
  }
  impl.names_ended();  // what the kernel holds was looked up by ACLs that may not count any more
  return {};
}

std::string Core::principal_arn(uint32_t uid) const {
  Caller who;
  who.uid = who.gid = uid;
  const PrincipalPtr principal = impl_->principals.of(who, impl_->store.env().monotonic(), true);
  return principal == nullptr ? std::string() : principal->caller.arn();
}

Result<std::optional<uint32_t>> Core::mapped_uid(const std::string& user) const {
  const IdentityPtr identity = impl_->identities.directory()->find(IdentityKind::kUser, user);
  if (identity == nullptr || identity->numbers.empty()) return std::nullopt;
  if (identity->numbers.size() == 1) return identity->numbers.front();
  return fail(Code::kInvalid, fmt::format("InvalidArgument: the user {} is more than one uid: name the one", user));
}

}  // namespace pailfs
