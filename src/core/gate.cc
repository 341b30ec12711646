#include "core/gate.h"

#include <sys/stat.h>

#include <algorithm>

#include "core/acl.h"
#include "core/policy_gate.h"

namespace pailfs {
namespace {

constexpr uint32_t kR = 4, kW = 2, kX = 1;

std::unexpected<Error> denied() { return fail(Code::kAccessDenied, "access denied"); }
std::unexpected<Error> not_permitted() { return fail(Code::kNotPermitted, "not permitted"); }

// acl(5), "Access Check Algorithm", for who is neither the superuser nor the owner.
bool acl_allows(const Gate& gate, const Caller& caller, const Attributes& object, uint32_t wanted) {
  const std::vector<AclEntry>& entries = object.acl->entries;
  uint32_t mask = kR | kW | kX;
  bool by_other = false;
  for (const AclEntry& entry : entries) {
    if (entry.tag == AclTag::kMask) mask = entry.permissions;
    if (entry.tag == AclTag::kOther) by_other = (entry.permissions & wanted) == wanted;
  }
  bool by_some_group = false, by_every_group = true;
  const auto grants = [&](const AclEntry& entry) { return (entry.permissions & mask & wanted) == wanted; };
  const auto is_group = [](const AclEntry& entry) {
    return entry.tag == AclTag::kGroupObj || entry.tag == AclTag::kGroup;
  };
  for (const AclEntry& entry : entries) {
    if (entry.tag == AclTag::kUser && entry.id == caller.uid) return grants(entry);
    if (!is_group(entry)) continue;
    by_some_group |= grants(entry);
    by_every_group &= grants(entry);
  }
  // As below: the groups of the process only where they can decide.
  if (!by_some_group && !by_other) return false;
  if (by_every_group && by_other) return true;
  bool member = false;
  for (const AclEntry& entry : entries) {
    if (!is_group(entry) || !gate.in_group(caller, entry.tag == AclTag::kGroup ? entry.id : object.gid)) continue;
    if (grants(entry)) return true;
    member = true;
  }
  return !member && by_other;
}

// POSIX.1-2017, 4.5 "File Access Permissions": the first class that matches decides, and it alone.
bool allows(const Gate& gate, const Caller& caller, const Attributes& object, uint32_t wanted) {
  if (caller.uid == 0) {
    return (wanted & kX) == 0 || S_ISDIR(object.mode) || (object.mode & 0111) != 0;
  }
  if (caller.uid == object.uid) return (object.mode >> 6 & wanted) == wanted;
  if (object.acl != nullptr) [[unlikely]]
    return acl_allows(gate, caller, object, wanted);
  const bool by_group = (object.mode >> 3 & wanted) == wanted;
  const bool by_other = (object.mode & wanted) == wanted;
  // Asking for the groups of a process costs a read of /proc: only where the answer differs.
  if (by_group == by_other) return by_group;
  return gate.in_group(caller, object.gid) ? by_group : by_other;
}

bool owns(const Caller& caller, const Attributes& object) { return caller.uid == 0 || caller.uid == object.uid; }

// chown(2): only the superuser gives files away; an owner may choose among his groups.
bool may_chown(const Gate& gate, const AccessRequest& request) {
  if (request.caller.uid == 0) return true;
  const Attributes& object = request.object;
  if (request.new_uid != ~0u && (request.caller.uid != object.uid || request.new_uid != object.uid)) return false;
  if (request.new_gid == ~0u) return true;
  if (request.caller.uid != object.uid) return false;
  return request.new_gid == object.gid || gate.in_group(request.caller, request.new_gid);
}

}  // namespace

std::string_view action_name(Action action) {
  switch (action) {
    case Action::kListAllMyBuckets:
      return "s3:ListAllMyBuckets";
    case Action::kCreateBucket:
      return "s3:CreateBucket";
    case Action::kDeleteBucket:
      return "s3:DeleteBucket";
    case Action::kListBucket:
      return "s3:ListBucket";
    case Action::kGetObject:
      return "s3:GetObject";
    case Action::kPutObject:
      return "s3:PutObject";
    case Action::kDeleteObject:
      return "s3:DeleteObject";
    case Action::kPutObjectAcl:
      return "s3:PutObjectAcl";
    case Action::kListBucketVersions:
      return "s3:ListBucketVersions";
    case Action::kGetObjectVersion:
      return "s3:GetObjectVersion";
    case Action::kDeleteObjectVersion:
      return "s3:DeleteObjectVersion";
    case Action::kPutLifecycleConfiguration:
      return "s3:PutLifecycleConfiguration";
    case Action::kPutBucketVersioning:
      return "s3:PutBucketVersioning";
    case Action::kObjectLost:
      return "s3:ReducedRedundancyLostObject";
    case Action::kPutBucketObjectLockConfiguration:
      return "s3:PutBucketObjectLockConfiguration";
    case Action::kPutObjectRetention:
      return "s3:PutObjectRetention";
    case Action::kPutObjectLegalHold:
      return "s3:PutObjectLegalHold";
    case Action::kBypassGovernanceRetention:
      return "s3:BypassGovernanceRetention";
    case Action::kClockJump:
      return "pailfs:ClockJump";
    case Action::kEnableMfaDevice:
      return "iam:EnableMFADevice";
    case Action::kDeactivateMfaDevice:
      return "iam:DeactivateMFADevice";
    case Action::kGetBucketPolicy:
      return "s3:GetBucketPolicy";
    case Action::kPutBucketPolicy:
      return "s3:PutBucketPolicy";
    case Action::kDeleteBucketPolicy:
      return "s3:DeleteBucketPolicy";
    case Action::kPutIdentity:
      return "pailfs:PutIdentity";
    case Action::kDeleteIdentity:
      return "pailfs:DeleteIdentity";
  }
  return "s3:unknown";
}

bool Gate::in_group(const Caller& caller, uint32_t gid) const {
  if (caller.gid == gid) return true;
  if (caller.groups == nullptr) return false;
  const std::vector<uint32_t>& groups = caller.groups->groups();
  return std::ranges::find(groups, gid) != groups.end();
}

bool Gate::has_policies(Scope bucket) const { return policies_ != nullptr && policies_->concerns(bucket); }

Result<bool> Gate::lists_all(const Caller& caller, const Attributes& directory) const {
  if (!has_policies(bucket_of(directory.ino))) return true;
  PAILFS_ASSIGN(const auto answer, policies_->lists(caller, directory.ino));
  if (answer != PolicyGate::Answer::kSilent) return answer == PolicyGate::Answer::kAllow;
  return allows(*this, caller, directory, kR);
}

Result<bool> Gate::shows(const Caller& caller, const Attributes& directory, std::string_view name) const {
  AccessRequest request{caller, Action::kListBucket, Need::kSearch, directory};
  request.name = name;
  PAILFS_ASSIGN(const auto answer, policies_->answer(request, {}));
  return answer == PolicyGate::Answer::kAllow;
}

Status Gate::check_tree(const Caller& caller, Ino from, std::string_view name, Ino to,
                        std::string_view new_name) const {
  return policies_ == nullptr ? Status() : policies_->check_tree(caller, from, name, to, new_name);
}

Status Gate::check_link(const Caller& caller, const Attributes& old, Ino directory, std::string_view name) const {
  if (!has_policies(bucket_of(directory))) return {};
  PAILFS_ASSIGN(const auto gained, policies_->gained(caller, old.ino, directory, name));
  for (const Action action : gained) {
    // By policies he has it not; perhaps by the ACL. To remove the new name takes nothing from the old one.
    Need need = Need::kRead;
    if (action == Action::kDeleteObject) continue;
    if (action == Action::kPutObject) need = Need::kWrite;
    if (action == Action::kPutObjectAcl) need = Need::kOwner;
    if (action == Action::kDeleteObjectVersion) need = Need::kAccount;
    if (!check({caller, action, need, old})) return fail(Code::kAccessDenied, "a policy allows more by the new name");
  }
  return {};
}

Status Gate::check_whole(const Caller& caller, Scope bucket, const std::string& path, Action action) const {
  return policies_ == nullptr ? Status() : policies_->check_whole(caller, bucket, path, action);
}

void Gate::know(const Caller& caller) const {
  if (policies_ != nullptr) policies_->know(caller);
}

bool Gate::open_to_all(const Attributes& directory) const {
  // No policy decides who finds a bucket by its name.
  if (directory.ino != kRootIno && has_policies(bucket_of(directory.ino))) return false;
  if (!S_ISDIR(directory.mode) || (directory.mode & 0111) != 0111) return false;
  // The mode has the owner, the mask and the others.
  return directory.acl == nullptr || std::ranges::all_of(directory.acl->entries, [](const AclEntry& entry) {
           return (entry.permissions & kX) != 0;
         });
}

Status Gate::check(const AccessRequest& request) const {
  if (policies_ == nullptr) return check_acl(request);
  PAILFS_ASSIGN(const auto answer, policies_->answer(request, [&] { return check_acl(request).has_value(); }));
  switch (answer) {
    case PolicyGate::Answer::kSilent:
      break;
    case PolicyGate::Answer::kDeny:
      return denied();
    case PolicyGate::Answer::kHidden:
      return fail(Code::kNotFound, "no such entry");
    case PolicyGate::Answer::kAllow:
      // To give files away, and to run what nobody may run, is no right that S3 has.
      if (request.need == Need::kChown) break;
      if (request.need == Need::kExecute && (request.object.mode & 0111) == 0) break;
      if (request.need == Need::kPermissions && (request.permissions & kX) != 0 && !S_ISDIR(request.object.mode) &&
          (request.object.mode & 0111) == 0) {
        break;
      }
      // Nor to be somebody else.
      if (request.need == Need::kExecute && (request.object.mode & (S_ISUID | S_ISGID)) != 0) break;
      return {};
  }
  return check_acl(request);
}

Status Gate::check_acl(const AccessRequest& request) const {
  const Caller& caller = request.caller;
  const Attributes& object = request.object;
  const auto acl = [&](uint32_t wanted) -> Status {
    if (allows(*this, caller, object, wanted)) return {};
    return denied();
  };
  switch (request.need) {
    case Need::kNothing:
      return {};
    case Need::kSearch:
      return acl(kX);
    case Need::kRead:
      return acl(kR);
    case Need::kWrite:
      return acl(kW);
    case Need::kReadWrite:
      return acl(kR | kW);
    case Need::kPermissions:
      return acl(request.permissions);
    case Need::kExecute:
      return acl(kX);
    case Need::kChangeDirectory:
      return acl(kW | kX);
    case Need::kRemove: {
      if (auto changeable = acl(kW | kX); !changeable) return changeable;
      // unlink(2): in a sticky directory only the owner of the file or of the directory may remove a name.
      const bool sticky = (object.mode & S_ISVTX) != 0;
      if (sticky && request.victim != nullptr && !owns(caller, object) && !owns(caller, *request.victim)) {
        return not_permitted();
      }
      return {};
    }
    case Need::kOwner:
      if (owns(caller, object)) return {};
      return not_permitted();
    case Need::kChown:
      if (may_chown(*this, request)) return {};
      return not_permitted();
    case Need::kOwnerOrWrite:
      if (owns(caller, object)) return {};
      return acl(kW);
    case Need::kAccount:
      if (caller.uid == 0 || caller.uid == account_) return {};
      return denied();
  }
  return denied();
}

}  // namespace pailfs
