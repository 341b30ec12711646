// The gate: the one function that decides every operation through every door, in the order of pailfs-policy(7): an
// explicit Deny of the bucket's policy (policy_gate.h), an Allow of it, and otherwise the ACL (mode bits, or the POSIX
// ACL of an object that has one), that is the check POSIX prescribes for the call.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "core/tags.h"
#include "core/types.h"

namespace pailfs {

// S3 actions (Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3").
enum class Action : uint8_t {
  kListAllMyBuckets,
  kCreateBucket,
  kDeleteBucket,
  kListBucket,    // lookup, stat, readdir
  kGetObject,     // open for reading, readlink, getxattr
  kPutObject,     // create, write, truncate, mkdir, symlink, mknod, rename target, setxattr
  kDeleteObject,  // unlink, rmdir, rename source
  kPutObjectAcl,  // chmod, chown, setfacl, times
  kListBucketVersions,
  kGetObjectVersion,
  kDeleteObjectVersion,
  kPutBucketVersioning,
  kObjectLost,                 // nobody asks for it: in the change record of what the scrub found lost
  kPutLifecycleConfiguration,  // change records have the numbers: new ones come last
  kPutBucketObjectLockConfiguration = 16,
  kPutObjectRetention,
  kPutObjectLegalHold,
  kBypassGovernanceRetention,
  kClockJump,  // nobody asks for it: the system's clock was set (retention_clock.h)
  kEnableMfaDevice,
  kDeactivateMfaDevice,
  kGetBucketPolicy,
  kPutBucketPolicy,
  kDeleteBucketPolicy,
  kPutIdentity,
  kDeleteIdentity,
  kPutBucketOwnershipControls,
  kGetBucketOwnershipControls,
  kGetBucketPublicAccessBlock,
  kPutBucketPublicAccessBlock,
  kGetAccountPublicAccessBlock,
  kPutAccountPublicAccessBlock,
  kGetObjectTagging,
  kGetObjectVersionTagging,
  kPutObjectTagging,
  kDeleteObjectTagging,
};
std::string_view action_name(Action action);  // "s3:GetObject"; of what nobody asks for the name of an event

// What POSIX wants for the call. A request names one of these and the facts it needs.
enum class Need : uint8_t {
  kNothing,          // the action alone decides (policies, later); the ACL allows
  kSearch,           // x on the directory `object`
  kRead,             // r on `object`
  kWrite,            // w on `object`
  kReadWrite,        // both at once: one entry of an ACL has to give both
  kPermissions,      // all of `permissions` on `object`, at once in the same way
  kExecute,          // x on `object`: somebody's x bit at least, also for uid 0
  kChangeDirectory,  // w and x on the directory `object`: create in it, or link, or rename into it
  kRemove,           // w and x on the directory `object`, and its sticky rule for `victim`
  kOwner,            // be the owner of `object`, or uid 0
  kWriteAcl,         // chmod and setfacl: the same, or the bucket's owner, or have WRITE_ACP of its ACL
  kChown,            // change `object`'s owner to new_uid and group to new_gid (~0u: unchanged)
  kOwnerOrWrite,     // owner, or w: utimes to now
  kAccount,          // be the account (or uid 0): what belongs to the bucket owner alone
};

// What one request alone has: a condition key in lower case, and its value.
struct ConditionValue {
  std::string_view key;
  std::string value;
};
inline constexpr std::string_view kVersionIdKey = "s3:versionid";
// All of them (policy::is_among()): what is decided without one may be decided otherwise with it.
inline constexpr std::array<std::string_view, 8> kRequestKeys{kVersionIdKey,
                                                              "s3:object-lock-legal-hold",
                                                              "s3:object-lock-mode",
                                                              "s3:object-lock-remaining-retention-days",
                                                              "s3:object-lock-retain-until-date",
                                                              "s3:requestobjecttag/",
                                                              "s3:requestobjecttagkeys",
                                                              "s3:x-amz-acl"};

struct AccessRequest {
  const Caller& caller;
  Action action;
  Need need;
  const Attributes& object;
  const Attributes* victim = nullptr;  // kRemove: what the name stands for
  uint32_t new_uid = ~0u;
  uint32_t new_gid = ~0u;
  uint32_t permissions = 0;  // kPermissions: r 4, w 2, x 1
  // What policies decide about: the entry `name` of the directory `object`; or what has these keys, of a version or of
  // what was at a moment; else `object` itself, by each of its names.
  std::string_view name = {};
  std::span<const std::string> keys = {};
  // Of versions their id, of changes to ACLs, tags and locks what they ask for.
  std::span<const ConditionValue> conditions = {};
  // Whose tags they are, where it is about `keys`; otherwise `name` or `object` says it.
  TagsOf tags = {};
};

class AclFacts;
class PolicyGate;
class PublicAccess;

class Gate {
 public:
  explicit Gate(uint32_t account) : account_(account) {}
  // Without: the ACL alone decides.
  void set_policies(const PolicyGate* policies) { policies_ = policies; }
  // Without: no bucket is BucketOwnerEnforced, and nobody is authenticated.
  void set_acl_facts(const AclFacts* facts) { facts_ = facts; }
  // Without: what is public in modes and ACLs counts everywhere.
  void set_public_access(const PublicAccess* access) { public_access_ = access; }
  // Allowed, or kAccessDenied / kNotPermitted as POSIX has it for the call (EPERM: kOwner, kWriteAcl, kChown, sticky;
  // kAccount is EACCES).
  // kNotFound where a policy says that the caller is not to know whether there is anything.
  Status check(const AccessRequest& request) const;
  // Whether all that is in a directory which was opened is listed, or only what shows() says. `opened`: what it said
  // then, which holds where policies are silent. kAccessDenied where a policy has closed it since.
  Result<bool> lists_all(const Caller& caller, const Attributes& directory, bool opened) const;
  Result<bool> shows(const Caller& caller, const Attributes& directory, std::string_view name) const;
  // Whether a directory may be renamed in one change: kCrossDevice where policies tell apart what is below it.
  Status check_tree(const Caller& caller, Ino from, std::string_view name, Ino to, std::string_view new_name) const;
  // Whether no policy denies the action on any of what is at or below a path of the bucket (empty: all).
  Status check_whole(const Caller& caller, Scope bucket, const std::string& path, Action action) const;
  // Before locks are taken: to find out who somebody is may take long.
  void know(Caller& caller) const;
  // Whether a new name would give rights that the caller does not have by the old ones.
  Status check_link(const Caller& caller, const Attributes& old, Ino directory, std::string_view name) const;
  // Whether policies take part in what is decided about the bucket.
  bool has_policies(Scope bucket) const;
  // The same without a message: for access(2) and for chmod's set-group-id rule.
  bool in_group(const Caller& caller, uint32_t gid) const;
  // Whether mode bits and ACLs decide nothing in the bucket: what no policy allows is for uid 0 and the account.
  bool acls_off(Scope bucket) const;
  // For the entry AuthenticatedUsers of an ACL.
  bool authenticated(const Caller& caller) const;
  // Whether every caller there is may look names up in the directory: then the kernel may keep what it found there.
  bool open_to_all(const Attributes& directory) const;
  // Whether what an object's mode and ACL give to the public does not count for the caller: everybody but the account.
  bool ignores_public(const Caller& caller, const Attributes& object) const;
  uint32_t account() const { return account_; }

 private:
  bool ignores_public(const Attributes& object) const;
  Status decide(const AccessRequest& request) const;
  Status check_traced(const AccessRequest& request) const;
  void note_denial(const AccessRequest& request) const;
  Status check_acl(const AccessRequest& request) const;

  const uint32_t account_;  // uid of the account root; uid 0 has its rights too
  const PolicyGate* policies_ = nullptr;
  const AclFacts* facts_ = nullptr;
  const PublicAccess* public_access_ = nullptr;
};

}  // namespace pailfs
