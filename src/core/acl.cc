#include "core/acl.h"

#include <algorithm>

#include "base/codec.h"

namespace pailfs {
namespace {

constexpr uint32_t kAttributeVersion = 2;   // POSIX_ACL_XATTR_VERSION
constexpr size_t kAttributeEntry = 8;       // bytes: tag, permissions, id
constexpr uint32_t kNobody = ~uint32_t{0};  // ACL_UNDEFINED_ID: the id of entries without one, and of no user
constexpr uint8_t kAllPermissions = 4 | 2 | 1;
constexpr uint8_t kStoredWriteAcp = 64;  // encode_acl()

bool is_named(AclTag tag) { return tag == AclTag::kUser || tag == AclTag::kGroup; }

// The tags of <linux/posix_acl.h> are bits, in the order of ours.
uint16_t attribute_tag(AclTag tag) { return static_cast<uint16_t>(1u << static_cast<unsigned>(tag)); }

std::unexpected<Error> invalid(std::string_view what) { return fail(Code::kInvalid, "an ACL " + std::string(what)); }

// The entry whose permissions the group bits of the mode are.
const AclEntry* group_class(const Acl& acl) {
  const AclEntry* found = nullptr;
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == AclTag::kMask || (entry.tag == AclTag::kGroupObj && found == nullptr)) found = &entry;
  }
  return found;
}

uint8_t bits_of(uint32_t mode, unsigned shift) { return static_cast<uint8_t>(mode >> shift & kAllPermissions); }

// Sets the three entries that stand for a mode, each to `change` of what it has and what the mode has.
template <class Change>
void set_classes(Acl& acl, uint32_t mode, Change change) {
  const AclEntry* const group = group_class(acl);
  for (AclEntry& entry : acl.entries) {
    if (entry.tag == AclTag::kUserObj) entry.permissions = change(entry.permissions, bits_of(mode, 6));
    if (&entry == group) entry.permissions = change(entry.permissions, bits_of(mode, 3));
    if (entry.tag == AclTag::kOther) entry.permissions = change(entry.permissions, bits_of(mode, 0));
  }
}

}  // namespace

Result<Acl> parse_acl(std::string_view value) {
  Acl acl;
  if (value.empty()) return acl;
  Decoder in(value);
  const uint32_t version = in.u32();
  if (!in.ok()) return invalid("has no header");
  if (version != kAttributeVersion) return fail(Code::kNotSupported, "an ACL of another version");
  if (in.remaining() % kAttributeEntry != 0) return invalid("ends within an entry");
  acl.entries.reserve(in.remaining() / kAttributeEntry);
  while (in.remaining() > 0) {
    const uint16_t tag = in.u16(), permissions = in.u16();
    const uint32_t id = in.u32();
    AclEntry entry;
    bool known = false;
    for (const AclTag one :
         {AclTag::kUserObj, AclTag::kUser, AclTag::kGroupObj, AclTag::kGroup, AclTag::kMask, AclTag::kOther}) {
      if (tag != attribute_tag(one)) continue;
      entry.tag = one;
      known = true;
    }
    if (!known) return invalid("has an entry of an unknown kind");
    if (is_named(entry.tag)) {
      if (id == kNobody) return invalid("names nobody");
      entry.id = id;
    }
    // What is no permission must still be seen by check_acl(): after the question who asks.
    entry.permissions = permissions > kAllPermissions ? uint8_t{0xff} : static_cast<uint8_t>(permissions);
    acl.entries.push_back(entry);
  }
  return acl;
}

std::string format_acl(const Acl& acl) {
  Encoder out;
  out.u32(kAttributeVersion);
  for (const AclEntry& entry : acl.entries) {
    out.u16(attribute_tag(entry.tag));
    out.u16(entry.permissions & kAllPermissions);
    out.u32(is_named(entry.tag) ? entry.id : kNobody);
  }
  return out.take();
}

Status check_acl(const Acl& acl) {
  bool needs_mask = false, masked = false;
  size_t single[6] = {};
  std::vector<uint64_t> names;
  for (size_t i = 0; i < acl.entries.size(); ++i) {
    const AclEntry& entry = acl.entries[i];
    if ((entry.permissions & ~(kAllPermissions | kWriteAcp)) != 0) {
      return invalid("has a permission other than r, w and x");
    }
    if ((entry.permissions & kWriteAcp) != 0) {
      if (entry.tag == AclTag::kUserObj || entry.tag == AclTag::kMask) return invalid("lets its owner change it");
      needs_mask = true;
    }
    if (i > 0 && entry.tag < acl.entries[i - 1].tag) return invalid("is not in order");
    masked |= entry.tag == AclTag::kMask;
    if (is_named(entry.tag)) {
      needs_mask = true;
      names.push_back(uint64_t{static_cast<uint8_t>(entry.tag)} << 32 | entry.id);
    } else if (++single[static_cast<size_t>(entry.tag)] > 1) {
      return invalid("has an entry twice");
    }
  }
  for (const AclTag tag : {AclTag::kUserObj, AclTag::kGroupObj, AclTag::kOther}) {
    if (single[static_cast<size_t>(tag)] == 0) return invalid("has entries for owner, group and others");
  }
  if (needs_mask && !masked) return invalid("that names somebody has a mask");
  // Linux takes somebody who is named twice; POSIX.1e and setfacl(1) don't, and which entry counts would be a guess.
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) return invalid("names somebody twice");
  return {};
}

uint32_t acl_mode(const Acl& acl) {
  uint32_t mode = 0;
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == AclTag::kUserObj) mode |= uint32_t{entry.permissions} << 6;
    if (entry.tag == AclTag::kOther) mode |= entry.permissions & kAllPermissions;
  }
  const AclEntry* const group = group_class(acl);
  return group == nullptr ? mode : mode | (uint32_t{group->permissions} & kAllPermissions) << 3;
}

bool acl_is_mode(const Acl& acl) {
  return std::ranges::none_of(acl.entries,
                              [](const AclEntry& entry) { return is_named(entry.tag) || entry.tag == AclTag::kMask; });
}

Acl acl_with_mode(Acl acl, uint32_t mode) {
  set_classes(acl, mode, [](uint8_t had, uint8_t wanted) { return static_cast<uint8_t>(wanted | (had & kWriteAcp)); });
  return acl;
}

InheritedAcl inherit_acl(const Acl& default_acl, uint32_t mode) {
  Acl acl = default_acl;
  set_classes(acl, mode, [](uint8_t had, uint8_t wanted) { return static_cast<uint8_t>(had & wanted); });
  InheritedAcl out;
  out.permissions = acl_mode(acl);
  if (!acl_is_mode(acl)) out.acl = std::make_shared<const Acl>(std::move(acl));
  return out;
}

// Per entry: tag << 3 | permissions (kWriteAcp as 64), and the id of a named one as a varint.
std::string encode_acl(const Acl& acl) {
  Encoder out;
  for (const AclEntry& entry : acl.entries) {
    out.u8(static_cast<uint8_t>(static_cast<uint8_t>(entry.tag) << 3 | (entry.permissions & kAllPermissions) |
                                ((entry.permissions & kWriteAcp) != 0 ? kStoredWriteAcp : 0)));
    if (is_named(entry.tag)) out.varint(entry.id);
  }
  return out.take();
}

Result<AclPtr> decode_acl(std::string_view value) {
  Decoder in(value);
  Acl acl;
  bool good = true;
  while (in.remaining() > 0) {
    const uint8_t byte = in.u8();
    AclEntry entry{.tag = static_cast<AclTag>((byte & ~kStoredWriteAcp) >> 3),
                   .permissions = static_cast<uint8_t>(byte & kAllPermissions)};
    if ((byte & kStoredWriteAcp) != 0) entry.permissions |= kWriteAcp;
    good = good && entry.tag <= AclTag::kOther;
    if (good && is_named(entry.tag)) {
      const uint64_t id = in.varint();
      good = id < kNobody;
      entry.id = static_cast<uint32_t>(id);
    }
    if (!good) break;
    acl.entries.push_back(entry);
  }
  if (!good || !in.done() || !check_acl(acl)) return fail(Code::kCorrupt, "an ACL of the index does not parse");
  return std::make_shared<const Acl>(std::move(acl));
}

}  // namespace pailfs
