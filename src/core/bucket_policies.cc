#include "core/bucket_policies.h"

#include <fmt/format.h>

#include "base/codec.h"
#include "base/logging.h"
#include "core/records.h"
#include "store/store.h"

namespace pailfs {

namespace {

constexpr uint8_t kFormat = 1;

}  // namespace

void BucketPolicies::load(Scope bucket) {
  const auto value = store_.get(kStoreScope, keys::bucket_policy(bucket));
  if (value && !*value) return;
  std::string text;
  std::string why = value ? "" : value.error().message;
  if (value) {
    Decoder in(**value);
    if (in.u8() == kFormat) text = in.bytes();
    if (!in.done() || text.empty()) why = "it does not parse";
  }
  StoredPolicyPtr policy;
  if (why.empty()) {
    policy = read_policy(std::move(text), policy::DocumentKind::kBucket, why);
  } else {
    policy = std::make_shared<const StoredPolicy>(StoredPolicy{std::move(text), nullptr});
  }
  if (policy->document == nullptr) {
    log_error(
        "the policy of bucket number {} cannot be read ({}): the bucket is closed to all but root until 'pail "
        "policy put' or 'delete' replaces it",
        bucket, why);
  }
  set(bucket, std::move(policy));
}

StoredPolicyPtr BucketPolicies::find(Scope bucket) const {
  ReaderLock lock(lock_);
  const auto found = policies_.find(bucket);
  return found == policies_.end() ? nullptr : found->second;
}

Result<StoredPolicyPtr> BucketPolicies::compile(std::string text, const std::string& bucket_name,
                                                bool accept_unknown_keys) {
  policy::DocumentRules rules;
  rules.kind = policy::DocumentKind::kBucket;
  rules.storing = true;
  rules.bucket = bucket_name;
  rules.accept_unknown_keys = accept_unknown_keys;
  return compile_policy(std::move(text), rules);
}

StoredPolicyPtr BucketPolicies::closed(const std::string& bucket_name, const std::string& account_id) {
  auto policy = compile(fmt::format(R"({{
  "Version": "2012-10-17",
  "Id": "InPlaceOfALostPolicy",
  "Statement": [
    {{
      "Effect": "Deny",
      "NotPrincipal": {{"AWS": "arn:aws:iam::{}:root"}},
      "Action": "s3:*",
      "Resource": ["arn:aws:s3:::{}", "arn:aws:s3:::{}/*"]
    }}
  ]
}}
)",
                                    account_id, bucket_name, bucket_name),
                        bucket_name, false);
  return policy ? std::move(*policy) : nullptr;
}

void BucketPolicies::write(Scope bucket, const StoredPolicyPtr& policy, Transaction& tx) {
  if (policy == nullptr) return tx.erase(keys::bucket_policy(bucket));
  Encoder out;
  out.u8(kFormat);
  out.bytes(policy->text);
  tx.put(kStoreScope, keys::bucket_policy(bucket), out.take());
}

void BucketPolicies::set(Scope bucket, StoredPolicyPtr policy) {
  WriterLock lock(lock_);
  if (policy == nullptr) {
    policies_.erase(bucket);
  } else {
    policies_[bucket] = std::move(policy);
  }
  count_.store(policies_.size(), std::memory_order_release);
}

}  // namespace pailfs
