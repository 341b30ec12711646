// Tags: a key and a value each, of identities (aws:PrincipalTag) and of objects (s3:ExistingObjectTag). Those of an
// object are extended attributes, user.s3.tag.KEY, so that copies and versions have them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/types.h"

namespace pailfs {

inline constexpr std::string_view kTagPrefix = "user.s3.tag.";
inline constexpr size_t kMaxObjectTags = 10;  // S3 user guide, "Categorizing your objects using tags"

using ObjectTags = std::vector<std::pair<std::string, std::string>>;

// Whose: an inode's, as they were at a stamp (0: as they are).
struct TagsOf {
  Ino ino = 0;  // 0: nothing has any
  Stamp at = 0;
};

// IAM user guide, "Tags for IAM resources", and S3's for objects: letters, digits, spaces and _.:/=+-@, keys of 1 to
// 128 characters, values of up to 256.
bool is_tag(std::string_view key, std::string_view value);

}  // namespace pailfs
