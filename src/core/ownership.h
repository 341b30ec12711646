// Object Ownership, a setting of buckets: Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs
// for your bucket". The values are those of pailfs-format(5).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace pailfs {

enum class ObjectOwnership : uint8_t {
  kObjectWriter = 0,
  // What is given bucket-owner-full-control becomes the account's.
  kBucketOwnerPreferred = 1,
  // Mode bits and ACLs are kept, and decide nothing.
  kBucketOwnerEnforced = 2,
};

std::string_view ownership_name(ObjectOwnership ownership);      // "ObjectWriter"
Result<ObjectOwnership> parse_ownership(std::string_view name);  // kInvalid names those there are

}  // namespace pailfs
