// The attributes user.s3.* (s3_xattrs.cc). Only src/core includes this.
#pragma once

#include <string>
#include <string_view>

#include "core/impl.h"

namespace pailfs {

inline constexpr std::string_view kS3Prefix = "user.s3.";
// Of any directory: Denials::last().
inline constexpr std::string_view kLastDenialName = "user.s3.last-denial";
inline constexpr std::string_view kPolicyName = "user.s3.policy";

// Of an inode, or of a version by its record. `latest`: it is what its name shows now. kNoData: there is none such.
Result<std::string> s3_xattr(Core::Impl& core, Ino ino, const InodeRecord& record, bool latest, std::string_view name);
// What setting the attribute asks for; kNotPermitted for those that only answer.
Result<Versioning> versioning_of_xattr(Ino ino, std::string_view name, std::string_view value);

}  // namespace pailfs
