#include "core/object_tags.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/moment.h"
#include "policy/letters.h"

namespace pailfs {

Result<ObjectTags> object_tags(Core::Impl& core, const TagsOf& object) {
  const Moment then(core, object.at != 0 ? object.at : core.latest_stamp());
  InodeRecord any;
  any.has_xattrs = true;
  ObjectTags tags;
  PAILFS_ASSIGN(const auto names, then.xattr_names(object.ino, any));
  for (const std::string& name : names) {
    if (!is_tag_attribute(name)) continue;
    PAILFS_ASSIGN(auto value, then.xattr(object.ino, any, name));
    if (value) tags.emplace_back(name.substr(kTagPrefix.size()), std::move(*value));
  }
  std::ranges::sort(tags);
  return tags;
}

TagRequest::TagRequest(const ObjectTags& tags) {
  keys_.reserve(tags.size());
  for (const auto& [key, value] : tags) {
    keys_.push_back("s3:requestobjecttag/" + policy::lowered(key));
    conditions_.push_back({keys_.back(), value});
    conditions_.push_back({"s3:requestobjecttagkeys", key});
  }
}

Result<TagRequest> TagRequest::setting(Core::Impl& core, Ino ino, std::string_view attribute, std::string_view value) {
  const std::string_view key = attribute.substr(kTagPrefix.size());
  if (!is_tag(key, value) || policy::lowered(key).starts_with("aws:")) {
    return fail(Code::kInvalid,
                fmt::format("InvalidTag: {}={} is no tag: letters, digits, spaces and _.:/=+-@; keys of "
                            "up to 128 characters that do not begin with aws:, values of up to 256",
                            printable(key), printable(value.substr(0, 300))));
  }
  PAILFS_ASSIGN(ObjectTags tags, object_tags(core, {.ino = ino}));
  const auto same = std::ranges::find(tags, key, &ObjectTags::value_type::first);
  if (same != tags.end()) {
    same->second = value;
  } else {
    if (tags.size() >= kMaxObjectTags) {
      return fail(Code::kInvalid, fmt::format("BadRequest: an object has at most {} tags", kMaxObjectTags));
    }
    tags.emplace_back(key, value);
  }
  return TagRequest(tags);
}

}  // namespace pailfs
