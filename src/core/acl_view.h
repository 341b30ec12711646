// S3's view of mode bits and POSIX ACLs: who is granted READ, WRITE, READ_ACP, WRITE_ACP and FULL_CONTROL. One thing
// shown in two ways, so nothing of the view is stored but WRITE_ACP (kWriteAcp in acl.h). The rules are in
// pailfs-policy(7), "ACLS AS S3 HAS THEM". Values only: no store, no names.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/acl.h"

namespace pailfs {

// In the order in which grants are shown.
enum class GranteeKind : uint8_t { kUser, kGroup, kAuthenticatedUsers, kLogDelivery, kAllUsers };

struct Grantee {
  GranteeKind kind = GranteeKind::kUser;
  uint32_t id = 0;  // uid of kUser, gid of kGroup
  auto operator<=>(const Grantee&) const = default;
};

// Bits of Grant::permissions.
inline constexpr uint8_t kGrantRead = 1, kGrantWrite = 2, kGrantReadAcp = 4, kGrantWriteAcp = 8;
inline constexpr uint8_t kGrantFullControl = kGrantRead | kGrantWrite | kGrantReadAcp | kGrantWriteAcp;

struct Grant {
  Grantee grantee;
  uint8_t permissions = 0;
  bool operator==(const Grant&) const = default;
};

struct AccessControlPolicy {
  uint32_t owner = 0;         // uid
  std::vector<Grant> grants;  // the owner's first, then sorted by grantee, each grantee once
  // What an entry of their own keeps from these though AllUsers have it, which S3 has no word for. Of the permissions
  // kGrantRead and kGrantWrite.
  std::vector<Grant> withheld;
};

// What an inode says of its rights.
struct Rights {
  uint32_t mode = 0;  // as st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  AclPtr acl;  // null: the mode says everything
};

AccessControlPolicy show_rights(const Rights& rights);

// The rights with these grants in place of those that there are; owner, group, set-ID and sticky bits stay. An owner
// who is not named has FULL_CONTROL. kInvalid: a grant that cannot be one; kTooBig: more than kMaxAclEntries.
inline constexpr size_t kMaxAclEntries = 511;  // the kernel carries 4 KiB
Result<Rights> grant_rights(const Rights& before, const std::vector<Grant>& grants);

// The grants of a canned ACL (Amazon S3 User Guide, "Canned ACL"); `account`: the uid that owns the bucket. kInvalid
// for a name that is none, and for log-delivery-write on what is no bucket.
Result<std::vector<Grant>> canned_grants(std::string_view name, uint32_t owner, uint32_t account, bool is_bucket);

}  // namespace pailfs
