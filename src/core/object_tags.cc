#include "core/object_tags.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/moment.h"
#include "core/scan.h"
#include "policy/letters.h"

namespace pailfs {

namespace {

Result<ObjectTags> tags_now(const Store& store, Ino ino) {
  ObjectTags tags;
  PAILFS_TRY(
      scan_prefix(store, bucket_of(ino), keys::xattr(ino, {}), [&](const StoreView::Entry& entry) -> Result<bool> {
        PAILFS_ASSIGN(Xattr xattr, decode_xattr(entry.value));
        if (is_tag_attribute(xattr.name))
          tags.emplace_back(xattr.name.substr(kTagPrefix.size()), std::move(xattr.value));
        return true;
      }));
  std::ranges::sort(tags);
  return tags;
}

}  // namespace

Result<ObjectTags> object_tags(Core::Impl& core, const TagsOf& object) {
  if (object.at == 0) return tags_now(core.store, object.ino);  // its history may be long
  const Moment then(core, object.at);
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

namespace {

// `others`: that the object has.
Status check_tag(std::string_view key, std::string_view value, const ObjectTags& others) {
  if (!is_tag(key, value) || policy::lowered(key).starts_with("aws:")) {
    return fail(Code::kInvalid,
                fmt::format("InvalidTag: {}={} is no tag: letters, digits, spaces and _.:/=+-@; keys of "
                            "up to 128 characters that do not begin with aws:, values of up to 256",
                            printable(key), printable(value.substr(0, 300))));
  }
  for (const auto& [other, unused] : others) {
    // Condition keys ignore case.
    if (policy::lowered(other) == policy::lowered(key)) {
      return fail(Code::kInvalid,
                  fmt::format("InvalidTag: it has the tag {} already, which differs from {} in case alone",
                              printable(other), printable(key)));
    }
  }
  if (others.size() >= kMaxObjectTags) {
    return fail(Code::kInvalid, fmt::format("BadRequest: an object has at most {} tags", kMaxObjectTags));
  }
  return {};
}

}  // namespace

Result<TagRequest> TagRequest::setting(Core::Impl& core, Ino ino, std::string_view attribute, std::string_view value) {
  const std::string_view key = attribute.substr(kTagPrefix.size());
  PAILFS_ASSIGN(ObjectTags tags, object_tags(core, {.ino = ino}));
  std::erase_if(tags, [&](const auto& tag) { return tag.first == key; });
  Status allowed = check_tag(key, value, tags);
  tags.emplace_back(key, value);
  TagRequest out(tags);
  out.allowed_ = std::move(allowed);
  return out;
}

}  // namespace pailfs
