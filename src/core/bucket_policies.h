// The bucket policies of a store: kept as they were given, compiled once, and looked up at every request. Record kind
// 'p'.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/mutex.h"
#include "core/stored_policy.h"
#include "core/types.h"

namespace pailfs {

class Store;
class Transaction;

class BucketPolicies {
 public:
  explicit BucketPolicies(Store& store) : store_(store) {}

  // Reads the policy of a bucket, if it has one. One that cannot be read closes the bucket to all but the account's
  // root, until another is put in its place or it is deleted.
  void load(Scope bucket);
  bool any() const { return count_.load(std::memory_order_acquire) != 0; }
  // Null: the bucket has none.
  StoredPolicyPtr of(Scope bucket) const {
    if (!any()) return nullptr;
    return find(bucket);
  }
  // kInvalid: what is wrong with the document, with line and column, and that it is malformed as S3 has it.
  static Result<StoredPolicyPtr> compile(std::string text, const std::string& bucket_name, bool accept_unknown_keys);
  // In place of a policy that was lost: nobody but the account's root is allowed anything.
  static StoredPolicyPtr closed(const std::string& bucket_name, const std::string& account_id);
  // What a change of the bucket's policy writes down; null: it has none any more.
  static void write(Scope bucket, const StoredPolicyPtr& policy, Transaction& tx);
  // From now on, once that is committed.
  void set(Scope bucket, StoredPolicyPtr policy);

 private:
  StoredPolicyPtr find(Scope bucket) const;

  Store& store_;
  mutable SharedMutex lock_;
  std::map<Scope, StoredPolicyPtr> policies_ GUARDED_BY(lock_);
  std::atomic<size_t> count_ = 0;
};

}  // namespace pailfs
