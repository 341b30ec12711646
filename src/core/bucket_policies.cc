#include "core/bucket_policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/codec.h"
#include "base/logging.h"
#include "core/records.h"
#include "policy/public.h"
#include "store/store.h"

namespace pailfs {

namespace {

constexpr uint8_t kFormat = 1;

// Names of condition keys have no case.
bool speaks_of(std::string text, std::string_view key) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.contains(key);
}

BucketPolicies::PolicyPtr made(std::string text, std::shared_ptr<const policy::Document> document) {
  auto out = std::make_shared<BucketPolicies::Policy>();
  out->wants_time = speaks_of(text, "aws:currenttime") || speaks_of(text, "aws:epochtime");
  out->wants_executable = speaks_of(text, "pail:executable");
  out->is_public = document != nullptr && policy::is_public(*document);
  out->text = std::move(text);
  out->document = std::move(document);
  return out;
}

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
  std::shared_ptr<const policy::Document> document;
  if (why.empty()) {
    policy::DocumentRules rules;
    rules.kind = policy::DocumentKind::kBucket;
    auto compiled = policy::Document::compile(text, rules);
    if (compiled) {
      document = std::move(*compiled);
    } else {
      why = compiled.error().to_string();
    }
  }
  if (document == nullptr) {
    log_error(
        "the policy of bucket number {} cannot be read ({}): the bucket is closed to all but root until 'pail "
        "policy put' or 'delete' replaces it",
        bucket, why);
  }
  set(bucket, made(std::move(text), std::move(document)));
}

BucketPolicies::PolicyPtr BucketPolicies::find(Scope bucket) const {
  ReaderLock lock(lock_);
  const auto found = policies_.find(bucket);
  return found == policies_.end() ? nullptr : found->second;
}

Result<BucketPolicies::PolicyPtr> BucketPolicies::compile(std::string text, const std::string& bucket_name,
                                                          bool accept_unknown_keys) {
  policy::DocumentRules rules;
  rules.kind = policy::DocumentKind::kBucket;
  rules.storing = true;
  rules.bucket = bucket_name;
  rules.accept_unknown_keys = accept_unknown_keys;
  auto document = policy::Document::compile(text, rules);
  if (!document) return fail(Code::kInvalid, "MalformedPolicy: " + document.error().to_string());
  return made(std::move(text), std::move(*document));
}

BucketPolicies::PolicyPtr BucketPolicies::closed(const std::string& bucket_name, const std::string& account_id) {
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

void BucketPolicies::write(Scope bucket, const PolicyPtr& policy, Transaction& tx) {
  if (policy == nullptr) return tx.erase(keys::bucket_policy(bucket));
  Encoder out;
  out.u8(kFormat);
  out.bytes(policy->text);
  tx.put(kStoreScope, keys::bucket_policy(bucket), out.take());
}

void BucketPolicies::set(Scope bucket, PolicyPtr policy) {
  WriterLock lock(lock_);
  if (policy == nullptr) {
    policies_.erase(bucket);
  } else {
    policies_[bucket] = std::move(policy);
  }
  count_.store(policies_.size(), std::memory_order_release);
}

}  // namespace pailfs
