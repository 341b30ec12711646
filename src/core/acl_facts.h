// What the ACL's half of the gate goes by beyond the object and the ids of the caller: in which buckets ACLs decide
// nothing, and who is authenticated.
#pragma once

#include <atomic>
#include <functional>
#include <set>

#include "base/mutex.h"
#include "core/principals.h"
#include "core/types.h"

namespace pailfs {

class AclFacts {
 public:
  // `monotonic`: ns.
  AclFacts(Principals& principals, std::function<Time()> monotonic)
      : principals_(principals), monotonic_(std::move(monotonic)) {}

  // Whether the bucket is BucketOwnerEnforced.
  bool acls_off(Scope bucket) const {
    if (count_off_.load(std::memory_order_acquire) == 0) return false;
    return finds(bucket);
  }
  void set_acls_off(std::set<Scope> buckets);

  // Whether policies would not call the caller anonymous. Whoever nobody knows is not.
  bool authenticated(const Caller& caller) const;
  // Before locks are taken, and where an ACL was met that asks: to find out who somebody is may take long.
  void know(const Caller& caller) const {
    if (asked_.load(std::memory_order_relaxed)) static_cast<void>(authenticated(caller));
  }

 private:
  bool finds(Scope bucket) const;

  Principals& principals_;
  const std::function<Time()> monotonic_;
  mutable std::atomic<bool> asked_ = false;
  mutable SharedMutex lock_;
  std::set<Scope> off_ GUARDED_BY(lock_);
  std::atomic<size_t> count_off_ = 0;
};

}  // namespace pailfs
