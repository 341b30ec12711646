#include "posix_rules.h"

namespace pailfs::test {
namespace {

bool is_root(const Asker& asker) { return asker.uid == 0; }
bool is_bucket_owner(const Asker& asker) { return asker.uid == kOwnerUid; }

// acl(5), "Access check algorithm"; a mode alone is an ACL of three entries.
bool granted(const Asker& asker, const Rights& rights, uint32_t bits) {
  std::vector<AclLine> acl = rights.acl;
  if (acl.empty()) {
    acl = {{Who::kOwner, rights.mode >> 6 & 7, 0},
           {Who::kOwningGroup, rights.mode >> 3 & 7, 0},
           {Who::kOthers, rights.mode & 7, 0}};
  }
  uint32_t mask = 7;
  for (const AclLine& line : acl) {
    if (line.who == Who::kMask) mask = line.bits;
  }
  const auto has = [&](uint32_t given) { return (given & bits) == bits; };
  if (asker.uid == rights.uid) {
    for (const AclLine& line : acl) {
      if (line.who == Who::kOwner) return has(line.bits);
    }
  }
  for (const AclLine& line : acl) {
    if (line.who == Who::kNamedUser && line.id == asker.uid) return has(line.bits & mask);
  }
  bool in_a_group = false;
  for (const AclLine& line : acl) {
    const bool owning = line.who == Who::kOwningGroup && asker.has_group(rights.gid);
    const bool named = line.who == Who::kNamedGroup && asker.has_group(line.id);
    if (!owning && !named) continue;
    in_a_group = true;
    if (has(line.bits & mask)) return true;
  }
  if (in_a_group) return false;
  for (const AclLine& line : acl) {
    if (line.who == Who::kOthers) return has(line.bits);
  }
  return false;
}

}  // namespace

bool PosixRules::may(const Asker& asker, const Rights& rights, Kind kind, uint32_t bits) const {
  // Files are run where they have an x bit, in any bucket, by root too.
  if (kind == Kind::kFile && (bits & kX) != 0 && !has_x_bit(rights)) return false;
  if (is_root(asker)) return true;
  if (acls_off_) return is_bucket_owner(asker);
  return granted(asker, rights, bits);
}

// "His directories are as he has set them", those of others are open to him.
bool PosixRules::may_pass(const Asker& asker, const Thing& directory, uint32_t bit) const {
  if (is_bucket_owner(asker) && directory.rights.uid != asker.uid) return true;
  return may(asker, directory.rights, Kind::kDirectory, bit);
}

bool PosixRules::may_add(const Asker& asker, const Thing& directory) const {
  if (is_bucket_owner(asker) && directory.rights.uid != asker.uid) {
    return may(asker, directory.rights, Kind::kDirectory, kW);  // to search it he needs nothing
  }
  return may(asker, directory.rights, Kind::kDirectory, kW | kX);
}

Verdict PosixRules::remove(const Asker& asker, const Thing& directory, const Thing& victim, bool replaced) const {
  if (is_bucket_owner(asker) && !replaced && directory.rights.uid != asker.uid) return Verdict::kOk;
  if (!may_add(asker, directory)) return Verdict::kAccessDenied;
  const bool sticky = (directory.rights.mode & 01000) != 0;
  if (!sticky || acls_off_ || is_root(asker)) return Verdict::kOk;
  const bool his = asker.uid == victim.rights.uid || asker.uid == directory.rights.uid;
  return his ? Verdict::kOk : Verdict::kNotPermitted;
}

Verdict PosixRules::change_mode(const Asker& asker, const Rights& rights) const {
  const bool his = is_root(asker) || is_bucket_owner(asker) || asker.uid == rights.uid;
  return his ? Verdict::kOk : Verdict::kNotPermitted;
}

Verdict PosixRules::set_times(const Asker& asker, const Thing& thing) const {
  if (is_root(asker)) return Verdict::kOk;
  if (acls_off_) return is_bucket_owner(asker) ? Verdict::kOk : Verdict::kNotPermitted;
  return asker.uid == thing.rights.uid ? Verdict::kOk : Verdict::kNotPermitted;
}

Verdict PosixRules::touch(const Asker& asker, const Thing& thing) const {
  if (set_times(asker, thing) == Verdict::kOk || may(asker, thing.rights, thing.kind, kW)) return Verdict::kOk;
  return Verdict::kAccessDenied;
}

Verdict PosixRules::chown(const Asker& asker, const Rights& rights, uint32_t uid) const {
  if (is_root(asker)) return Verdict::kOk;
  return asker.uid == rights.uid && uid == rights.uid ? Verdict::kOk : Verdict::kNotPermitted;
}

Verdict PosixRules::chgrp(const Asker& asker, const Rights& rights, uint32_t gid) const {
  if (is_root(asker)) return Verdict::kOk;
  const bool own = gid == rights.gid || asker.has_group(gid);
  return asker.uid == rights.uid && own ? Verdict::kOk : Verdict::kNotPermitted;
}

}  // namespace pailfs::test
