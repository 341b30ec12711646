// What POSIX and Linux say of one object, from acl(5), path_resolution(7), chmod(2), chown(2), utimensat(2), unlink(2),
// rename(2) and xattr(7), with what pailfs-semantics(7) and pailfs-policy(7) add for the bucket's owner and for buckets
// without ACLs.
#pragma once

#include "world.h"

namespace pailfs::test {

enum class Verdict : uint8_t { kOk, kAccessDenied, kNotPermitted };

inline constexpr uint32_t kR = 4, kW = 2, kX = 1;

class PosixRules {
 public:
  explicit PosixRules(Ownership ownership) : acls_off_(ownership == Ownership::kBucketOwnerEnforced) {}

  // All of `bits` at once.
  bool may(const Asker& asker, const Rights& rights, Kind kind, uint32_t bits) const;
  bool may_search(const Asker& asker, const Thing& directory) const { return may_pass(asker, directory, kX); }
  bool may_list(const Asker& asker, const Thing& directory) const { return may_pass(asker, directory, kR); }
  // Creating a name.
  bool may_add(const Asker& asker, const Thing& directory) const;
  // Taking a name away; `replaced`: by another thing of that name.
  Verdict remove(const Asker& asker, const Thing& directory, const Thing& victim, bool replaced) const;
  Verdict change_mode(const Asker& asker, const Rights& rights) const;
  Verdict set_times(const Asker& asker, const Thing& thing) const;
  Verdict touch(const Asker& asker, const Thing& thing) const;
  Verdict chown(const Asker& asker, const Rights& rights, uint32_t uid) const;
  Verdict chgrp(const Asker& asker, const Rights& rights, uint32_t gid) const;
  bool has_x_bit(const Rights& rights) const { return (rights.mode & 0111) != 0; }
  bool acls_off() const { return acls_off_; }

 private:
  bool may_pass(const Asker& asker, const Thing& directory, uint32_t bit) const;

  bool acls_off_;
};

}  // namespace pailfs::test
