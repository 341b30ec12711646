// Reading and replacing ACLs in S3's words: GetObjectAcl, PutObjectAcl, GetBucketAcl and PutBucketAcl. What the words
// mean for mode bits and POSIX ACLs is in acl_view.h.
#pragma once

#include <string>
#include <vector>

#include "core/acl_view.h"
#include "core/core.h"

namespace pailfs {

struct ObjectAcl {
  // In a bucket that is BucketOwnerEnforced: of the account alone, as in S3.
  AccessControlPolicy policy;
  ObjectOwnership ownership = ObjectOwnership::kObjectWriter;
};

// A canned ACL by its name, or the grants that take the place of all there are.
struct AclRequest {
  std::string canned;
  std::vector<Grant> grants;
};

}  // namespace pailfs
