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
#include "core/types.h"
#include "policy/document.h"

namespace pailfs {

class Store;
class Transaction;

class BucketPolicies {
 public:
  struct Policy {
    std::string text;
    // Null: the record cannot be read. Then nobody but the account's root is allowed anything, until another policy is
    // put in its place or it is deleted.
    std::shared_ptr<const policy::Document> document;
    // What is costly to find out, and asked for only where a statement wants it.
    bool wants_time = false;
    bool wants_executable = false;
    bool is_public = false;  // as S3 has it: policy/public.h
  };
  using PolicyPtr = std::shared_ptr<const Policy>;

  explicit BucketPolicies(Store& store) : store_(store) {}

  // Reads the policy of a bucket, if it has one.
  void load(Scope bucket);
  bool any() const { return count_.load(std::memory_order_acquire) != 0; }
  // Null: the bucket has none.
  PolicyPtr of(Scope bucket) const {
    if (!any()) return nullptr;
    return find(bucket);
  }
  // kInvalid: what is wrong with the document, with line and column, and that it is malformed as S3 has it.
  static Result<PolicyPtr> compile(std::string text, const std::string& bucket_name, bool accept_unknown_keys);
  // In place of a policy that was lost: nobody but the account's root is allowed anything.
  static PolicyPtr closed(const std::string& bucket_name, const std::string& account_id);
  // What a change of the bucket's policy writes down; null: it has none any more.
  static void write(Scope bucket, const PolicyPtr& policy, Transaction& tx);
  // From now on, once that is committed.
  void set(Scope bucket, PolicyPtr policy);

 private:
  PolicyPtr find(Scope bucket) const;

  Store& store_;
  mutable SharedMutex lock_;
  std::map<Scope, PolicyPtr> policies_ GUARDED_BY(lock_);
  std::atomic<size_t> count_ = 0;
};

}  // namespace pailfs
