#include "core/acl_facts.h"

namespace pailfs {

bool AclFacts::finds(Scope bucket) const {
  ReaderLock lock(lock_);
  return off_.contains(bucket);
}

void AclFacts::set_acls_off(std::set<Scope> buckets) {
  WriterLock lock(lock_);
  off_ = std::move(buckets);
  count_off_.store(off_.size(), std::memory_order_release);
}

bool AclFacts::authenticated(const Caller& caller) const {
  asked_.store(true, std::memory_order_relaxed);
  const PrincipalPtr principal = caller.principal_known ? caller.principal : principals_.of(caller, monotonic_());
  return principal != nullptr && principal->caller.type() != policy::PrincipalType::kAnonymous;
}

}  // namespace pailfs
