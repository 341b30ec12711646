// Extended attributes: xattr(7). Who may do what follows xattr_permission() of Linux; names in user.s3. are the store's
// own (s3_xattrs.h). Two attributes of the namespace system. are the POSIX ACLs, which live in the
// inode's record; what is an error, and which, follows set_posix_acl() of Linux.
#include <sys/stat.h>

#include <algorithm>

#include "base/logging.h"
#include "core/acl.h"
#include "core/decision_trace.h"
#include "core/denials.h"
#include "core/impl.h"
#include "core/object_tags.h"
#include "core/s3_xattrs.h"
#include "core/scan.h"
#include "core/versions_view.h"

namespace pailfs {
namespace {

enum class Access { kRead, kSet, kRemove };

std::unexpected<Error> no_data() { return fail(Code::kNoData, "no such attribute"); }
std::unexpected<Error> not_permitted() { return fail(Code::kNotPermitted, "not permitted"); }

bool in_namespace(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) && name.size() > prefix.size();
}

bool sticky(const Attributes& object) { return S_ISDIR(object.mode) && (object.mode & S_ISVTX) != 0; }

// `version` null: of what is there now.
AccessRequest read_request(const Caller& caller, Need need, const Attributes& object, const VersionFacts* version,
                           bool tag = false) {
  const Action now = tag ? Action::kGetObjectTagging : Action::kGetObject;
  const Action then = tag ? Action::kGetObjectVersionTagging : Action::kGetObjectVersion;
  AccessRequest request{caller, version == nullptr ? now : then, need, object};
  if (version != nullptr) {
    request.keys = version->keys;
    request.conditions = version->conditions;
    request.tags = version->tags;
  }
  return request;
}

Action change_action(std::string_view name, Access access) {
  if (!is_tag_attribute(name)) return Action::kPutObject;
  return access == Access::kRemove ? Action::kDeleteObjectTagging : Action::kPutObjectTagging;
}

Status check_user(const Gate& gate, const Caller& caller, const Attributes& object, std::string_view name,
                  Access access, const VersionFacts* version, const TagRequest& asked) {
  const bool change = access != Access::kRead;
  const bool tag = is_tag_attribute(name);
  const bool bucket = object.ino == kRootIno || object.ino == bucket_root(bucket_of(object.ino));
  if ((name.starts_with(kS3Prefix) && (!tag || bucket)) || (!S_ISREG(object.mode) && !S_ISDIR(object.mode))) {
    if (change) return not_permitted();
    return no_data();
  }
  if (!change) return gate.check(read_request(caller, Need::kRead, object, version, tag));
  AccessRequest request{caller, change_action(name, access), Need::kOwner, object};
  request.conditions = asked.conditions();
  if (sticky(object)) PAILFS_TRY(gate.check(request));
  request.need = Need::kWrite;
  return gate.check(request);
}

Status check_attribute(const Gate& gate, const Caller& caller, const Attributes& object, std::string_view name,
                       Access access, const VersionFacts* version = nullptr, const TagRequest& asked = {}) {
  const bool change = access != Access::kRead;
  if (in_namespace(name, "user.")) return check_user(gate, caller, object, name, access, version, asked);
  if (in_namespace(name, "security.")) {
    if (change) return gate.check({caller, Action::kPutObjectAcl, Need::kOwner, object});
    return gate.check(read_request(caller, Need::kNothing, object, version));
  }
  if (in_namespace(name, "trusted.")) {
    if (caller.uid == 0) {
      if (change) return gate.check({caller, Action::kPutObject, Need::kNothing, object});
      return gate.check(read_request(caller, Need::kNothing, object, version));
    }
    if (change) return not_permitted();
    return no_data();
  }
  for (const std::string_view prefix : {"user.", "security.", "trusted."}) {
    if (name == prefix) return fail(Code::kInvalid, "an attribute's name does not end with its namespace");
  }
  return fail(Code::kNotSupported, "attributes of this namespace are not supported");
}

}  // namespace

Status check_xattr_read(const Gate& gate, const Caller& caller, const Attributes& object, std::string_view name,
                        const VersionFacts& version) {
  return check_attribute(gate, caller, object, name, Access::kRead, &version);
}

namespace {

std::string prefix_of(Ino ino) { return keys::xattr(ino, {}); }

std::string key_of(const Store& store, Ino ino, std::string_view name) {
  const std::array<char, 16> token = store.token(bucket_of(ino), name);
  return keys::xattr(ino, {token.data(), token.size()});
}

// The names an inode has, in no particular order.
Result<std::vector<std::string>> names_of(const Store& store, Ino ino) {
  std::vector<std::string> names;
  PAILFS_TRY(scan_prefix(store, bucket_of(ino), prefix_of(ino), [&](const StoreView::Entry& entry) -> Result<bool> {
    PAILFS_ASSIGN(Xattr xattr, decode_xattr(entry.value));
    names.push_back(std::move(xattr.name));
    return true;
  }));
  return names;
}

bool is_policy(Ino ino, std::string_view name) {
  return name == kPolicyName && bucket_of(ino) != kStoreScope && ino == bucket_root(bucket_of(ino));
}

// Where a record has the ACL that is shown as this attribute; null for other attributes.
AclPtr InodeRecord::* acl_of(std::string_view name) {
  if (name == kAccessAclName) return &InodeRecord::acl;
  if (name == kDefaultAclName) return &InodeRecord::default_acl;
  return nullptr;
}

// Bytes of a list that has both.
constexpr size_t kAclNames = kAccessAclName.size() + kDefaultAclName.size() + 2;

}  // namespace

Result<std::string> Core::Impl::get_acl(const Caller& caller, const Inode& inode, std::string_view name) const {
  if (S_ISLNK(inode.record.mode)) return fail(Code::kNotSupported, "symbolic links have no ACL");
  // As stat(2), which shows the mode to everybody who gets there.
  PAILFS_TRY(gate.check({caller, Action::kListBucket, Need::kNothing, attributes(inode.ino, inode.record)}));
  const AclPtr& acl = inode.record.*acl_of(name);
  if (acl == nullptr) return no_data();
  return format_acl(*acl);
}

// posix_acl_update_mode() of Linux: what a mode can say is said by the mode alone.
void Core::Impl::apply_access_acl(const Caller& caller, Acl acl, InodeRecord& record) const {
  record.mode = (record.mode & ~0777u) | acl_mode(acl);
  if (caller.uid != 0 && !gate.in_group(caller, record.gid)) record.mode &= ~uint32_t{S_ISGID};
  record.acl = acl_is_mode(acl) ? nullptr : std::make_shared<const Acl>(std::move(acl));
}

Status Core::Impl::check_acl_change(const Caller& caller, Ino ino, const InodeRecord& record,
                                    std::span<const ConditionValue> conditions) const {
  const Attributes object = attributes(ino, record);
  AccessRequest request{caller, Action::kPutObjectAcl, Need::kWriteAcl, object};
  request.conditions = conditions;
  PAILFS_TRY(gate.check(request));
  // Whom a policy or WRITE_ACP lets change ACLs does not thereby let himself run a program as somebody else.
  if (caller.uid != 0 && caller.uid != record.uid && S_ISREG(record.mode) && (record.mode & (S_ISUID | S_ISGID)) != 0) {
    return not_permitted();
  }
  return {};
}

Status Core::Impl::set_acl(const Caller& caller, Ino ino, std::string_view name, std::string_view value) {
  PAILFS_ASSIGN(Acl acl, parse_acl(value));
  const bool removes = acl.entries.empty();
  PAILFS_ASSIGN(const InodePtr inode, existing(ino));
  LockedInodes locked({inode});
  assert_locked(*inode);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  InodeRecord& record = inode->record;
  if (S_ISLNK(record.mode)) return fail(Code::kNotSupported, "symbolic links have no ACL");
  const bool is_default = name == kDefaultAclName;
  if (is_default && !S_ISDIR(record.mode)) {
    if (removes) return {};
    return fail(Code::kAccessDenied, "only directories have a default ACL");
  }
  PAILFS_TRY(check_acl_change(caller, ino, record));
  PAILFS_TRY(unless_explained());
  Transaction tx;
  if (removes) {
    // Not an error where there is none, other than with any other attribute.
    AclPtr& place = record.*acl_of(name);
    if (place == nullptr) return {};
    keep_attributes(*inode, stamp(tx), tx);
    place = nullptr;
  } else {
    PAILFS_TRY(check_acl(acl));
    const PublicGrant after = public_grant(acl_mode(acl), &acl);
    if (is_default) {
      const Acl* const old = record.default_acl.get();
      PAILFS_TRY(check_public_grant(bucket_of(ino), old ? public_grant(acl_mode(*old), old) : PublicGrant(), after));
    } else {
      PAILFS_TRY(check_public_grant(bucket_of(ino), public_grant(record.mode, record.acl.get()), after));
    }
    keep_attributes(*inode, stamp(tx), tx);
    if (is_default) {
      record.default_acl = std::make_shared<const Acl>(std::move(acl));
    } else {
      apply_access_acl(caller, std::move(acl), record);
    }
  }
  record.ctime = now();
  put_inode(ino, record, tx);
  tx.record(encode_change({Action::kPutObjectAcl, caller, 0, {}, ino}, record.ctime));
  return commit(std::move(tx), locked);
}

Result<std::string> Core::getxattr(const Caller& caller, Ino ino, std::string_view name) {
  if (is_virtual(ino)) return impl_->view->getxattr(caller, ino, name);
  if (is_policy(ino, name)) {
    PAILFS_ASSIGN(const BucketRecord bucket, impl_->bucket_record(bucket_of(ino)));
    return bucket_policy(caller, bucket.name);
  }
  PAILFS_ASSIGN(const InodePtr inode, impl_->existing(ino));
  if (name == kLastDenialName) {
    {
      ReaderLock lock(inode->lock);
      if (!S_ISDIR(inode->record.mode)) return no_data();
    }
    return impl_->denials->last(caller);
  }
  ReaderLock lock(inode->lock);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  if (acl_of(name) != nullptr) return impl_->get_acl(caller, *inode, name);
  if (name.starts_with(kS3Prefix) && !is_tag_attribute(name)) {
    PAILFS_TRY(impl_->gate.check({caller, Action::kGetObject, Need::kNothing, Impl::attributes(ino, inode->record)}));
    return s3_xattr(*impl_, ino, inode->record, true, name);
  }
  const Attributes attributes = Impl::attributes(ino, inode->record);
  PAILFS_TRY(check_attribute(impl_->gate, caller, attributes, name, Access::kRead));
  // The kernel asks for security.capability at every write: no store access for the many files without attributes.
  if (!inode->record.has_xattrs) return no_data();
  PAILFS_ASSIGN(const auto value, impl_->store.get(bucket_of(ino), key_of(impl_->store, ino, name)));
  if (!value) return no_data();
  PAILFS_ASSIGN(Xattr xattr, decode_xattr(*value));
  if (xattr.name != name) return no_data();
  return std::move(xattr.value);
}

Result<std::vector<std::string>> Core::listxattr(const Caller& caller, Ino ino) {
  if (is_virtual(ino)) return impl_->view->listxattr(caller, ino);
  PAILFS_ASSIGN(const InodePtr inode, impl_->existing(ino));
  ReaderLock lock(inode->lock);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  const Attributes attributes = Impl::attributes(ino, inode->record);
  PAILFS_TRY(impl_->gate.check({caller, Action::kListBucket, Need::kNothing, attributes}));
  std::vector<std::string> names;
  if (inode->record.has_xattrs) {
    PAILFS_ASSIGN(names, names_of(impl_->store, ino));
  }
  if (caller.uid != 0) std::erase_if(names, [](const std::string& name) { return name.starts_with("trusted."); });
  for (const std::string_view name : {kAccessAclName, kDefaultAclName}) {
    if (inode->record.*acl_of(name) != nullptr) names.emplace_back(name);
  }
  return names;
}

Status Core::setxattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value, XattrMode mode) {
  if (is_virtual(ino)) return fail(Code::kReadOnly, "versions are read-only");
  if (name.empty() || name.size() > kXattrNameMax) return fail(Code::kRange, "an attribute's name has 1 to 255 bytes");
  if (name.find('\0') != name.npos) return fail(Code::kInvalid, "an attribute's name holds no NUL");
  if (value.size() > kXattrSizeMax) return fail(Code::kTooBig, "an attribute's value has at most 64 KiB");
  Impl& impl = *impl_;
  if (acl_of(name) != nullptr) return impl.set_acl(caller, ino, name, value);
  if (is_policy(ino, name)) {
    PAILFS_ASSIGN(const BucketRecord bucket, impl.bucket_record(bucket_of(ino)));
    if (mode != XattrMode::kSet) {
      PAILFS_TRY(impl.check_policy_access(caller, bucket.number, Action::kPutBucketPolicy));
      const bool exists = impl.policies.of(bucket.number) != nullptr;
      if (exists && mode == XattrMode::kCreate) return fail(Code::kExists, "the bucket has a policy");
      if (!exists && mode == XattrMode::kReplace) return no_data();
    }
    return put_bucket_policy(caller, bucket.name, std::string(value));
  }
  if (name.starts_with(kS3Prefix) && !is_tag_attribute(name)) {
    PAILFS_ASSIGN(const Versioning state, versioning_of_xattr(ino, name, value));
    PAILFS_ASSIGN(const BucketRecord bucket, impl.bucket_record(bucket_of(ino)));
    return set_versioning(caller, bucket.name, state);
  }
  PAILFS_ASSIGN(const InodePtr inode, impl.existing(ino));
  LockedInodes locked({inode});
  assert_locked(*inode);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  InodeRecord& record = inode->record;
  const Attributes attributes = Impl::attributes(ino, record);
  TagRequest asked;
  if (is_tag_attribute(name)) {
    PAILFS_ASSIGN(asked, TagRequest::setting(impl, ino, name, value));
  }
  PAILFS_TRY(check_attribute(impl.gate, caller, attributes, name, Access::kSet, nullptr, asked));
  PAILFS_TRY(unless_explained());
  if (!asked.allowed()) {
    log_warning("a tag of inode {} is refused: {}", ino, asked.allowed().error().message);
    return asked.allowed();
  }
  std::vector<std::string> names;
  if (record.has_xattrs) {
    PAILFS_ASSIGN(names, names_of(impl.store, ino));
  }
  size_t listed = kAclNames + name.size() + 1;
  bool exists = false;
  for (const std::string& other : names) {
    if (other == name)
      exists = true;
    else
      listed += other.size() + 1;
  }
  if (exists && mode == XattrMode::kCreate) return fail(Code::kExists, "the attribute exists");
  if (!exists && mode == XattrMode::kReplace) return no_data();
  if (listed > kXattrSizeMax) return fail(Code::kNoSpace, "the list of the file's attributes would exceed 64 KiB");

  Transaction tx;
  const Stamp at = impl.stamp(tx);
  PAILFS_TRY(impl.keep_xattr(ino, name, at, tx));
  impl.keep_attributes(*inode, at, tx);
  tx.put(bucket_of(ino), key_of(impl.store, ino, name), encode_xattr({std::string(name), std::string(value)}));
  record.has_xattrs = true;
  record.ctime = impl.now();
  impl.put_inode(ino, record, tx);
  tx.record(encode_change({Action::kPutObjectAcl, caller, 0, {}, ino}, record.ctime));
  return impl.commit(std::move(tx), locked);
}

Status Core::removexattr(const Caller& caller, Ino ino, std::string_view name) {
  if (is_virtual(ino)) return fail(Code::kReadOnly, "versions are read-only");
  Impl& impl = *impl_;
  if (acl_of(name) != nullptr) return impl.set_acl(caller, ino, name, {});
  if (is_policy(ino, name)) {
    PAILFS_ASSIGN(const BucketRecord bucket, impl.bucket_record(bucket_of(ino)));
    PAILFS_TRY(impl.check_policy_access(caller, bucket.number, Action::kDeleteBucketPolicy));
    if (impl.policies.of(bucket.number) == nullptr) return no_data();
    return delete_bucket_policy(caller, bucket.name);
  }
  PAILFS_ASSIGN(const InodePtr inode, impl.existing(ino));
  LockedInodes locked({inode});
  assert_locked(*inode);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  InodeRecord& record = inode->record;
  const Attributes attributes = Impl::attributes(ino, record);
  PAILFS_TRY(check_attribute(impl.gate, caller, attributes, name, Access::kRemove));
  PAILFS_TRY(unless_explained());
  if (!record.has_xattrs) return no_data();
  PAILFS_ASSIGN(const std::vector<std::string> names, names_of(impl.store, ino));
  if (std::ranges::find(names, name) == names.end()) return no_data();

  Transaction tx;
  const Stamp at = impl.stamp(tx);
  PAILFS_TRY(impl.keep_xattr(ino, name, at, tx));
  impl.keep_attributes(*inode, at, tx);
  tx.erase(key_of(impl.store, ino, name));
  record.has_xattrs = names.size() > 1;
  record.ctime = impl.now();
  impl.put_inode(ino, record, tx);
  tx.record(encode_change({Action::kPutObjectAcl, caller, 0, {}, ino}, record.ctime));
  return impl.commit(std::move(tx), locked);
}

}  // namespace pailfs
