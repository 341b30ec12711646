// POSIX access control lists: acl(5), POSIX.1e draft 17, with the errors and the inheritance of Linux (fs/posix_acl.c).
// Values and rules only; who may read or set one is decided in xattr_ops.cc, what one allows in the gate.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";

// In the order in which a list has them. The numbers are those of pailfs-format(5).
enum class AclTag : uint8_t { kUserObj = 0, kUser = 1, kGroupObj = 2, kGroup = 3, kMask = 4, kOther = 5 };

// A fourth permission, S3's WRITE_ACP: chmod and setfacl. Of anybody but the owner, who has it always; the mask leaves
// it alone. It is part of what is stored, and of no attribute: chmod keeps it, and an ACL set as an attribute has none.
inline constexpr uint8_t kWriteAcp = 8;
// Groups of S3 as named groups: every caller whom policies do not call anonymous, and the service that delivers logs.
inline constexpr uint32_t kAuthenticatedUsersGid = 4294967290;
inline constexpr uint32_t kLogDeliveryGid = 4294967289;

struct AclEntry {
  AclTag tag = AclTag::kUserObj;
  uint8_t permissions = 0;  // r 4, w 2, x 1, kWriteAcp
  uint32_t id = 0;          // of kUser and kGroup
  bool operator==(const AclEntry&) const = default;
};

struct Acl {
  std::vector<AclEntry> entries;
  bool operator==(const Acl&) const = default;
};
// Shared by the inode, its older versions and what is shown of them: never changed, only replaced.
using AclPtr = std::shared_ptr<const Acl>;

// The value of the extended attributes, <linux/posix_acl_xattr.h>: version 2, then entries. No entries (also an empty
// value) stand for no ACL. kInvalid; kNotSupported for another version.
Result<Acl> parse_acl(std::string_view value);
std::string format_acl(const Acl& acl);

// One entry each for owner, group and others, a mask where somebody is named or has kWriteAcp, nobody named twice, in
// the order of tags.
Status check_acl(const Acl& acl);

// The permission bits that stand for the ACL: its mask, where there is one, as those of the group.
uint32_t acl_mode(const Acl& acl);
// Whether these bits say everything: nobody is named, and there is no mask.
bool acl_is_mode(const Acl& acl);

// chmod(2): the entries that the bits of `mode` stand for are set to them.
Acl acl_with_mode(Acl acl, uint32_t mode);

// What a node made with `mode` gets from its directory's default ACL: permission bits, and an ACL unless they say
// everything.
struct InheritedAcl {
  uint32_t permissions = 0;  // 0777
  AclPtr acl;
};
InheritedAcl inherit_acl(const Acl& default_acl, uint32_t mode);

// As an inode's record has it.
std::string encode_acl(const Acl& acl);
// kCorrupt for what check_acl() refuses, and for everything that encode_acl() does not write.
Result<AclPtr> decode_acl(std::string_view value);

}  // namespace pailfs
