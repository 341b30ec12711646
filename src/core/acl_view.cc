#include "core/acl_view.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

namespace pailfs {
namespace {

constexpr uint8_t kR = 4, kW = 2, kX = 1;
constexpr uint32_t kNoId = ~uint32_t{0};

// What r, w and x are in S3's words. To read a directory takes searching it too, and so does changing it.
uint8_t grants_of(uint8_t bits, bool directory) {
  const bool usable = !directory || (bits & kX) != 0;
  uint8_t out = 0;
  if ((bits & kR) != 0 && usable) out |= kGrantRead;
  if ((bits & kW) != 0 && usable) out |= kGrantWrite;
  return out;
}

// READ_ACP is what everybody has who gets there: it is shown in FULL_CONTROL only.
uint8_t with_acp(uint8_t grants, bool write_acp) {
  if (!write_acp) return grants;
  const uint8_t all = kGrantRead | kGrantWrite;
  return (grants & all) == all ? kGrantFullControl : static_cast<uint8_t>(grants | kGrantWriteAcp);
}

Grantee group_grantee(uint32_t gid) {
  if (gid == kAuthenticatedUsersGid) return {GranteeKind::kAuthenticatedUsers};
  if (gid == kLogDeliveryGid) return {GranteeKind::kLogDelivery};
  return {GranteeKind::kGroup, gid};
}

// One entry of an ACL, or one class of a mode without one, by whom it is about.
struct Shown {
  uint8_t bits = 0;  // r, w and x that the mask leaves
  bool write_acp = false;
};
using ByGrantee = std::map<Grantee, Shown>;

ByGrantee entries_of(const Rights& rights) {
  ByGrantee out;
  const auto add = [&](Grantee grantee, uint32_t bits, bool write_acp) {
    Shown& shown = out[grantee];  // the owning group may be named, too: what one entry gives is given
    shown.bits |= static_cast<uint8_t>(bits & (kR | kW | kX));
    shown.write_acp |= write_acp;
  };
  add({GranteeKind::kUser, rights.uid}, rights.mode >> 6, true);
  if (rights.acl == nullptr) {
    add({GranteeKind::kGroup, rights.gid}, rights.mode >> 3, false);
    add({GranteeKind::kAllUsers}, rights.mode, false);
    return out;
  }
  uint8_t mask = kR | kW | kX;
  for (const AclEntry& entry : rights.acl->entries) {
    if (entry.tag == AclTag::kMask) mask = entry.permissions;
  }
  for (const AclEntry& entry : rights.acl->entries) {
    const bool write_acp = (entry.permissions & kWriteAcp) != 0;
    const auto masked = static_cast<uint8_t>(entry.permissions & mask);
    switch (entry.tag) {
      case AclTag::kUser:  // the owner is asked by his own bits
        if (entry.id != rights.uid) add({GranteeKind::kUser, entry.id}, masked, write_acp);
        break;
      case AclTag::kGroupObj:
        add({GranteeKind::kGroup, rights.gid}, masked, write_acp);
        break;
      case AclTag::kGroup:
        add(group_grantee(entry.id), masked, write_acp);
        break;
      case AclTag::kOther:
        add({GranteeKind::kAllUsers}, entry.permissions, write_acp);
        break;
      case AclTag::kUserObj:
      case AclTag::kMask:
        break;
    }
  }
  return out;
}

Status check_grant(const Grant& grant) {
  if (grant.permissions == 0 || (grant.permissions & ~kGrantFullControl) != 0) {
    return fail(Code::kInvalid, "a grant is of READ, WRITE, READ_ACP, WRITE_ACP or FULL_CONTROL");
  }
  if (grant.permissions == kGrantReadAcp) {
    return fail(
        Code::kInvalid,
        "READ_ACP alone cannot be granted: whoever can look a name up reads its ACL, and nobody else; grant READ "
        "with it, or leave it out");
  }
  const bool by_id = grant.grantee.kind == GranteeKind::kUser || grant.grantee.kind == GranteeKind::kGroup;
  if (by_id && grant.grantee.id == kNoId) return fail(Code::kInvalid, "4294967295 is no user's and no group's id");
  return {};
}

// The other way: entries out of grants.
class Entries {
 public:
  Entries(const Rights& before, const std::map<Grantee, uint8_t>& granted)
      : before_(before), had_(entries_of(before)), granted_(granted) {
    everybody_ = of({GranteeKind::kAllUsers});
  }

  uint8_t owner() const {
    const Grantee grantee{GranteeKind::kUser, before_.uid};
    const uint8_t grants = granted_.contains(grantee) ? of(grantee) : kGrantFullControl;
    return bits(static_cast<uint8_t>(grants | everybody_), (before_.mode & S_IXUSR) != 0);
  }

  AclEntry entry(AclTag tag, Grantee grantee, uint32_t id = 0) const {
    const uint8_t grants = of(grantee);
    // What AllUsers have everybody has: the first entry that matches decides, and it alone.
    uint8_t out = bits(static_cast<uint8_t>(grants | everybody_), runs(grantee));
    if ((grants & kGrantWriteAcp) != 0) out |= kWriteAcp;
    return {tag, out, id};
  }

 private:
  uint8_t of(Grantee grantee) const {
    const auto found = granted_.find(grantee);
    return found == granted_.end() ? uint8_t{0} : found->second;
  }
  // Whether who is granted READ of a file may run it: as it was where he could read it, and as the owner otherwise.
  bool runs(Grantee grantee) const {
    const auto had = had_.find(grantee);
    if (had != had_.end() && (had->second.bits & kR) != 0) return (had->second.bits & kX) != 0;
    return (before_.mode & S_IXUSR) != 0;
  }
  uint8_t bits(uint8_t grants, bool runs) const {
    const bool read = (grants & kGrantRead) != 0, write = (grants & kGrantWrite) != 0;
    const bool search = S_ISDIR(before_.mode) ? read || write : read && runs;
    return static_cast<uint8_t>((read ? kR : 0) | (write ? kW : 0) | (search ? kX : 0));
  }

  const Rights& before_;
  const ByGrantee had_;
  const std::map<Grantee, uint8_t>& granted_;
  uint8_t everybody_ = 0;
};

}  // namespace

AccessControlPolicy show_rights(const Rights& rights) {
  const bool directory = S_ISDIR(rights.mode);
  AccessControlPolicy out{rights.uid, {}, {}};
  const ByGrantee entries = entries_of(rights);
  const Grantee owner{GranteeKind::kUser, rights.uid};
  const uint8_t everybody = grants_of(entries.at({GranteeKind::kAllUsers}).bits, directory);
  for (const auto& [grantee, shown] : entries) {
    const uint8_t grants = grants_of(shown.bits, directory);
    const uint8_t all = with_acp(grants, shown.write_acp);
    if (all != 0) out.grants.insert(grantee == owner ? out.grants.begin() : out.grants.end(), {grantee, all});
    const auto lacks = static_cast<uint8_t>(everybody & ~grants);
    if (lacks != 0) out.withheld.push_back({grantee, lacks});
  }
  return out;
}

Result<Rights> grant_rights(const Rights& before, const std::vector<Grant>& grants) {
  std::map<Grantee, uint8_t> granted;
  for (const Grant& grant : grants) {
    PAILFS_TRY(check_grant(grant));
    const bool group = grant.grantee.kind == GranteeKind::kGroup;
    granted[group ? group_grantee(grant.grantee.id) : grant.grantee] |= grant.permissions;
  }
  const Entries entries(before, granted);
  std::vector<AclEntry> users, groups;
  for (const auto& [grantee, permissions] : granted) {
    switch (grantee.kind) {
      case GranteeKind::kUser:
        if (grantee.id != before.uid) users.push_back(entries.entry(AclTag::kUser, grantee, grantee.id));
        break;
      case GranteeKind::kGroup:
        if (grantee.id != before.gid) groups.push_back(entries.entry(AclTag::kGroup, grantee, grantee.id));
        break;
      case GranteeKind::kAuthenticatedUsers:
        groups.push_back(entries.entry(AclTag::kGroup, grantee, kAuthenticatedUsersGid));
        break;
      case GranteeKind::kLogDelivery:
        groups.push_back(entries.entry(AclTag::kGroup, grantee, kLogDeliveryGid));
        break;
      case GranteeKind::kAllUsers:
        break;
    }
  }
  std::ranges::sort(groups, {}, &AclEntry::id);
  Acl acl;
  acl.entries.push_back({AclTag::kUserObj, entries.owner()});
  acl.entries.insert(acl.entries.end(), users.begin(), users.end());
  acl.entries.push_back(entries.entry(AclTag::kGroupObj, {GranteeKind::kGroup, before.gid}));
  acl.entries.insert(acl.entries.end(), groups.begin(), groups.end());
  const AclEntry other = entries.entry(AclTag::kOther, {GranteeKind::kAllUsers});
  uint8_t mask = 0;
  bool needs_mask = !users.empty() || !groups.empty() || (other.permissions & kWriteAcp) != 0;
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == AclTag::kUserObj) continue;
    mask |= entry.permissions;
    needs_mask |= (entry.permissions & kWriteAcp) != 0;
  }
  if (needs_mask) acl.entries.push_back({AclTag::kMask, static_cast<uint8_t>(mask & (kR | kW | kX))});
  acl.entries.push_back(other);
  if (acl.entries.size() > kMaxAclEntries) {
    return fail(Code::kTooBig, fmt::format("an ACL has at most {} entries", kMaxAclEntries));
  }
  PAILFS_TRY(check_acl(acl));
  Rights after = before;
  after.mode = (before.mode & ~0777u) | acl_mode(acl);
  after.acl = acl_is_mode(acl) ? nullptr : std::make_shared<const Acl>(std::move(acl));
  return after;
}

Result<std::vector<Grant>> canned_grants(std::string_view name, uint32_t owner, uint32_t account, bool is_bucket) {
  std::vector<Grant> grants{{{GranteeKind::kUser, owner}, kGrantFullControl}};
  const auto also = [&](GranteeKind kind, unsigned permissions, uint32_t id = 0) {
    grants.push_back({{kind, id}, static_cast<uint8_t>(permissions)});
    return grants;
  };
  if (name == "private") return grants;
  if (name == "public-read") return also(GranteeKind::kAllUsers, kGrantRead);
  if (name == "public-read-write") return also(GranteeKind::kAllUsers, kGrantRead | kGrantWrite);
  if (name == "authenticated-read") return also(GranteeKind::kAuthenticatedUsers, kGrantRead);
  if (name == "bucket-owner-read") return also(GranteeKind::kUser, kGrantRead, account);
  if (name == "bucket-owner-full-control") return also(GranteeKind::kUser, kGrantFullControl, account);
  if (name == "log-delivery-write" && is_bucket) return also(GranteeKind::kLogDelivery, kGrantWrite | kGrantReadAcp);
  if (name == "log-delivery-write") {
    return fail(Code::kInvalid, "InvalidArgument: log-delivery-write is a canned ACL of buckets");
  }
  return fail(Code::kInvalid,
              fmt::format("InvalidArgument: '{}' is no canned ACL (known: private, public-read, public-read-write, "
                          "authenticated-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)",
                          name));
}

}  // namespace pailfs
