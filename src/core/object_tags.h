// The tags of objects, read and asked about. Only src/core includes this.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/impl.h"
#include "core/tags.h"

namespace pailfs {

// Of an inode, or what was of it: sorted by keys.
Result<ObjectTags> object_tags(Core::Impl& core, const TagsOf& object);

inline bool is_tag_attribute(std::string_view name) {
  return name.starts_with(kTagPrefix) && name.size() > kTagPrefix.size();
}

// What policies are told of a request that gives an object these tags: s3:RequestObjectTag/KEY, and the keys.
class TagRequest {
 public:
  TagRequest() = default;
  explicit TagRequest(const ObjectTags& tags);
  // It would have these, if the attribute was set so.
  static Result<TagRequest> setting(Core::Impl& core, Ino ino, std::string_view attribute, std::string_view value);

  std::span<const ConditionValue> conditions() const { return conditions_; }
  // kInvalid: it is no tag, one too many, or differs from another in case alone.
  const Status& allowed() const { return allowed_; }

 private:
  std::vector<std::string> keys_;  // that the conditions point to
  std::vector<ConditionValue> conditions_;
  Status allowed_;
};

}  // namespace pailfs
