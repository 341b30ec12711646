#include "core/gate.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/acl.h"
#include "core/acl_facts.h"
#include "core/decision_trace.h"
#include "core/groups.h"
#include "core/policy_gate.h"
#include "core/public_access.h"

namespace pailfs {
namespace {

constexpr uint32_t kR = 4, kW = 2, kX = 1;

using Class = DecisionTrace::Class;

bool is_traced() { return TracedDecisions::current != nullptr; }

std::unexpected<Error> denied() { return fail(Code::kAccessDenied, "access denied"); }
std::unexpected<Error> not_permitted() { return fail(Code::kNotPermitted, "not permitted"); }

// Whether the caller is in the class of an entry for a group; the groups of S3 are nobody's group ids.
bool in_class(const Gate& gate, const Caller& caller, const Attributes& object, const AclEntry& entry) {
  if (entry.tag == AclTag::kGroupObj) return gate.in_group(caller, object.gid);
  if (entry.id == kAuthenticatedUsersGid) return gate.authenticated(caller);
  return entry.id != kLogDeliveryGid && gate.in_group(caller, entry.id);
}

bool is_group(const AclEntry& entry) { return entry.tag == AclTag::kGroupObj || entry.tag == AclTag::kGroup; }

// acl(5), "Access Check Algorithm", for who is neither the superuser nor the owner.
bool acl_allows(const Gate& gate, const Caller& caller, const Attributes& object, uint32_t wanted) {
  const std::vector<AclEntry>& entries = object.acl->entries;
  const bool ignores_public = gate.ignores_public(caller, object);
  const auto counts = [&](const AclEntry& entry) { return !ignores_public || !is_public_entry(entry); };
  uint32_t mask = kR | kW | kX;
  uint32_t other = 0;
  for (const AclEntry& entry : entries) {
    if (!counts(entry)) continue;
    if (entry.tag == AclTag::kMask) mask = entry.permissions;
    if (entry.tag == AclTag::kOther) other = entry.permissions;
  }
  const bool by_other = (other & wanted) == wanted;
  bool by_some_group = false, by_every_group = true;
  const auto grants = [&](const AclEntry& entry) { return (entry.permissions & mask & wanted) == wanted; };
  const auto note = [&](const AclEntry& entry, Class by) {
    note_class(by, entry.permissions & mask, wanted, entry.id);
    return grants(entry);
  };
  for (const AclEntry& entry : entries) {
    if (entry.tag == AclTag::kUser && entry.id == caller.uid) return note(entry, Class::kUser);
    if (!is_group(entry) || !counts(entry)) continue;
    by_some_group |= grants(entry);
    by_every_group &= grants(entry);
  }
  // As below: the groups of the process only where they can decide.
  // An explanation tells which class it was, also where all say the same.
  if (!only_explains()) {
    if (!by_some_group && !by_other) {
      note_class(Class::kNobodyElse, 0, wanted);
      return false;
    }
    if (by_every_group && by_other) return true;
  }
  bool member = false;
  for (const AclEntry& entry : entries) {
    if (!is_group(entry) || !counts(entry) || !in_class(gate, caller, object, entry)) continue;
    if (note(entry, entry.tag == AclTag::kGroup ? Class::kGroup : Class::kOwningGroup)) return true;
    member = true;
  }
  if (member) return false;
  note_class(Class::kOther, other, wanted);
  return by_other;
}

// Grants of S3 add up: no entry keeps from anybody what another one gives.
bool acl_lets_change(const Gate& gate, const Caller& caller, const Attributes& object) {
  return object.acl != nullptr && std::ranges::any_of(object.acl->entries, [&](const AclEntry& entry) {
           if ((entry.permissions & kWriteAcp) == 0) return false;
           if (is_public_entry(entry) && gate.ignores_public(caller, object)) return false;
           if (is_group(entry)) return in_class(gate, caller, object, entry);
           return entry.tag == AclTag::kOther || (entry.tag == AclTag::kUser && entry.id == caller.uid);
         });
}

// "The bucket owner […] can deny access to any objects, or delete any objects in the bucket, regardless of who owns
// them" (Amazon S3 User Guide, "Access control list (ACL) overview"): the account, where that is not uid 0.
bool owns_bucket(const Gate& gate, const Caller& caller, const Attributes& object) {
  return caller.uid == gate.account() && bucket_of(object.ino) != kStoreScope;
}

// To find what he may delete he lists and searches the directories of others. His own are as he has set them.
bool passes_directory(const Gate& gate, const Caller& caller, const Attributes& object) {
  return S_ISDIR(object.mode) && caller.uid != object.uid && owns_bucket(gate, caller, object);
}

// POSIX.1-2017, 4.5 "File Access Permissions": the first class that matches decides, and it alone.
bool allows(const Gate& gate, const Caller& caller, const Attributes& object, uint32_t wanted) {
  const auto by = [&](Class which, uint32_t bits) {
    note_class(which, bits & 7, wanted);
    return (bits & wanted) == wanted;
  };
  const bool off = gate.acls_off(bucket_of(object.ino));
  if (caller.uid == 0 || (off && caller.uid == gate.account())) {
    note_class(Class::kSuperuser, object.mode >> 6 & 7, wanted);
    return (wanted & kX) == 0 || S_ISDIR(object.mode) || (object.mode & 0111) != 0;
  }
  if (off) {
    note_class(Class::kAclsOff, 0, wanted);
    return false;
  }
  if (passes_directory(gate, caller, object)) wanted &= kW;
  if (caller.uid == object.uid) return by(Class::kOwner, object.mode >> 6);
  if (object.acl != nullptr) [[unlikely]]
    return acl_allows(gate, caller, object, wanted);
  const bool by_group = (object.mode >> 3 & wanted) == wanted;
  const uint32_t others = gate.ignores_public(caller, object) ? 0 : object.mode & 7;
  const bool by_other = (others & wanted) == wanted;
  // Asking for the groups of a process costs a read of /proc: only where the answer differs.
  if (by_group == by_other && !only_explains()) {
    note_class(Class::kNobodyElse, (object.mode & 070) | others, wanted);
    return by_group;
  }
  return gate.in_group(caller, object.gid) ? by(Class::kOwningGroup, object.mode >> 3) : by(Class::kOther, others);
}

void note_answer(PolicyGate::Answer answer) {
  DecisionTrace::Check& check = TracedDecisions::current->checks.back();
  check.by_policy = answer != PolicyGate::Answer::kSilent;
  check.hidden = answer == PolicyGate::Answer::kHidden;
}

bool changes_locks(Action action) {
  return action == Action::kPutObjectRetention || action == Action::kPutObjectLegalHold ||
         action == Action::kBypassGovernanceRetention;
}

bool changes_tags(Action action) {
  return action == Action::kPutObjectTagging || action == Action::kDeleteObjectTagging;
}

bool owns(const Caller& caller, const Attributes& object) { return caller.uid == 0 || caller.uid == object.uid; }

// execve(2), and access(2) that asks for it.
bool runs(const AccessRequest& request) {
  if (request.need == Need::kExecute) return true;
  return request.need == Need::kPermissions && (request.permissions & kX) != 0 && !S_ISDIR(request.object.mode);
}

// Of a file that is to be read and written at once, by open(2) or access(2): the request for the other action, and for
// what is this one's own alone. The request itself where it is about one action.
std::pair<AccessRequest, AccessRequest> halves(const AccessRequest& request) {
  AccessRequest other = request, own = request;
  const bool writes = request.action == Action::kPutObject;
  if ((!writes && request.action != Action::kGetObject) || S_ISDIR(request.object.mode)) return {other, own};
  other.action = writes ? Action::kGetObject : Action::kPutObject;
  if (request.need == Need::kReadWrite) own.need = writes ? Need::kWrite : Need::kRead;
  if (request.need == Need::kPermissions) {
    own.permissions &= writes ? kW : kR | kX;
    other.permissions &= ~own.permissions;
  }
  return {other, own};
}

// unlink(2): in a sticky directory only the owner of the file or of the directory may remove a name.
bool is_stuck(const AccessRequest& request) {
  return (request.object.mode & S_ISVTX) != 0 && request.victim != nullptr && !owns(request.caller, request.object) &&
         !owns(request.caller, *request.victim);
}

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
    case Action::kPutBucketOwnershipControls:
      return "s3:PutBucketOwnershipControls";
    case Action::kGetBucketOwnershipControls:
      return "s3:GetBucketOwnershipControls";
    case Action::kGetBucketPublicAccessBlock:
      return "s3:GetBucketPublicAccessBlock";
    case Action::kPutBucketPublicAccessBlock:
      return "s3:PutBucketPublicAccessBlock";
    case Action::kGetAccountPublicAccessBlock:
      return "s3:GetAccountPublicAccessBlock";
    case Action::kPutAccountPublicAccessBlock:
      return "s3:PutAccountPublicAccessBlock";
    case Action::kGetObjectTagging:
      return "s3:GetObjectTagging";
    case Action::kGetObjectVersionTagging:
      return "s3:GetObjectVersionTagging";
    case Action::kPutObjectTagging:
      return "s3:PutObjectTagging";
    case Action::kDeleteObjectTagging:
      return "s3:DeleteObjectTagging";
  }
  return "s3:unknown";
}

bool Gate::in_group(const Caller& caller, uint32_t gid) const { return is_member(caller, gid); }

bool Gate::acls_off(Scope bucket) const { return facts_ != nullptr && facts_->acls_off(bucket); }

bool Gate::authenticated(const Caller& caller) const { return facts_ != nullptr && facts_->authenticated(caller); }

bool Gate::has_policies(Scope bucket) const { return policies_ != nullptr && policies_->concerns(bucket); }

Result<bool> Gate::lists_all(const Caller& caller, const Attributes& directory, bool opened) const {
  if (!has_policies(bucket_of(directory.ino))) return opened || allows(*this, caller, directory, kR);
  PAILFS_ASSIGN(const auto answer, policies_->lists(caller, directory.ino));
  if (answer == PolicyGate::Answer::kAllow) return true;
  if (answer == PolicyGate::Answer::kSilent) return opened || allows(*this, caller, directory, kR);
  const Action action = directory.ino == kRootIno ? Action::kListAllMyBuckets : Action::kListBucket;
  PAILFS_TRY(check({caller, action, Need::kRead, directory}));
  return false;
}

Result<bool> Gate::shows(const Caller& caller, const Attributes& directory, std::string_view name) const {
  AccessRequest request{caller, Action::kListBucket, Need::kRead, directory};
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
    if (action == Action::kPutObject || changes_tags(action)) need = Need::kWrite;
    if (action == Action::kPutObjectAcl) need = Need::kWriteAcl;
    if (action == Action::kDeleteObjectVersion || changes_locks(action)) need = Need::kAccount;
    if (!check({caller, action, need, old})) return fail(Code::kAccessDenied, "a policy allows more by the new name");
  }
  return {};
}

Status Gate::check_whole(const Caller& caller, Scope bucket, const std::string& path, Action action) const {
  return policies_ == nullptr ? Status() : policies_->check_whole(caller, bucket, path, action);
}

void Gate::know(Caller& caller) const {
  if (policies_ != nullptr) policies_->know(caller);
  if (facts_ != nullptr) facts_->know(caller);
}

bool Gate::ignores_public(const Attributes& object) const {
  return public_access_ != nullptr && public_access_->is_on(PublicSwitch::kIgnorePublicAcls, bucket_of(object.ino));
}

bool Gate::ignores_public(const Caller& caller, const Attributes& object) const {
  return caller.uid != account_ && ignores_public(object);
}

bool Gate::open_to_all(const Attributes& directory) const {
  // No policy decides who finds a bucket by its name.
  if (directory.ino != kRootIno && has_policies(bucket_of(directory.ino))) return false;
  if (!S_ISDIR(directory.mode) || (directory.mode & 0111) != 0111) return false;
  if (acls_off(bucket_of(directory.ino))) return false;
  if (ignores_public(directory)) return false;
  // The mode has the owner, the mask and the others.
  return directory.acl == nullptr || std::ranges::all_of(directory.acl->entries, [](const AclEntry& entry) {
           return (entry.permissions & kX) != 0;
         });
}

Status Gate::check(const AccessRequest& request) const {
  if (is_traced()) return check_traced(request);
  Status decided = decide(request);
  if (!decided && request.caller.door == Door::kFuse) [[unlikely]]
    note_denial(request);
  return decided;
}

Status Gate::decide(const AccessRequest& request) const {
  if (policies_ == nullptr) return check_acl(request);
  PAILFS_ASSIGN(const auto answer, policies_->answer(request, [&] { return check_acl(request).has_value(); }));
  if (is_traced()) note_answer(answer);
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
      // Nor to be somebody else.
      if (runs(request) && ((request.object.mode & 0111) == 0 || (request.object.mode & (S_ISUID | S_ISGID)) != 0))
        break;
      return {};
  }
  if (is_traced()) note_answer(PolicyGate::Answer::kSilent);
  if (request.need != Need::kReadWrite && request.need != Need::kPermissions) [[likely]]
    return check_acl(request);
  // What is asked for at once is two actions: the ACL has to give what no policy does.
  const auto [other, own] = halves(request);
  if (own.need == request.need && own.permissions == request.permissions) return check_acl(request);
  PAILFS_ASSIGN(const auto others, policies_->answer(other, {}));
  return check_acl(others == PolicyGate::Answer::kAllow ? own : request);
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
      const bool removes = request.action == Action::kDeleteObject;  // and puts nothing in its place
      if (!removes || !passes_directory(*this, caller, object)) PAILFS_TRY(acl(kW | kX));
      if (acls_off(bucket_of(object.ino)) || !is_stuck(request)) return {};
      if (removes && owns_bucket(*this, caller, object)) return {};
      return not_permitted();
    }
    case Need::kOwner:
      if (owns(caller, object)) return {};
      // Without ACLs what is not said is the account's, as everything.
      if (acls_off(bucket_of(object.ino)) && owns_bucket(*this, caller, object)) return {};
      return not_permitted();
    case Need::kWriteAcl:
      if (owns(caller, object) || owns_bucket(*this, caller, object)) return {};
      if (!acls_off(bucket_of(object.ino)) && acl_lets_change(*this, caller, object)) return {};
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
