#include "core/ownership.h"

#include <fmt/format.h>

namespace pailfs {

std::string_view ownership_name(ObjectOwnership ownership) {
  switch (ownership) {
    case ObjectOwnership::kObjectWriter:
      return "ObjectWriter";
    case ObjectOwnership::kBucketOwnerPreferred:
      return "BucketOwnerPreferred";
    case ObjectOwnership::kBucketOwnerEnforced:
      return "BucketOwnerEnforced";
  }
  return "";
}

Result<ObjectOwnership> parse_ownership(std::string_view name) {
  for (const ObjectOwnership one : {ObjectOwnership::kObjectWriter, ObjectOwnership::kBucketOwnerPreferred,
                                    ObjectOwnership::kBucketOwnerEnforced}) {
    if (ownership_name(one) == name) return one;
  }
  return fail(Code::kInvalid, fmt::format("'{}' is no object ownership (known: ObjectWriter, BucketOwnerPreferred, "
                                          "BucketOwnerEnforced)",
                                          name));
}

}  // namespace pailfs
