// Reading and changing the policies of buckets.
#include <fmt/format.h>

#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/policy_gate.h"
#include "core/s3_xattrs.h"

namespace pailfs {

Status Core::Impl::check_policy_access(const Caller& caller, Scope bucket, Action action) {
  PAILFS_ASSIGN(const InodePtr root, existing(bucket_root(bucket)));
  ReaderLock lock(root->lock);
  const Attributes object = attributes(root->ino, root->record);
  return gate.check({caller, action, Need::kAccount, object});
}

Status Core::Impl::change_bucket_policy(const Caller& caller, std::string_view bucket, Action action,
                                        const std::function<Result<StoredPolicyPtr>()>& make) {
  {
    // One change at a time, and none while the bucket goes.
    MutexLock tree_lock(tree);
    PAILFS_ASSIGN(const BucketRecord record, bucket_by_name(caller, bucket));
    if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
    PAILFS_TRY(check_policy_access(caller, record.number, action));
    PAILFS_TRY(unless_explained());
    PAILFS_ASSIGN(StoredPolicyPtr policy, make());
    if (policy == nullptr && policies.of(record.number) == nullptr) return {};
    if (policy != nullptr) PAILFS_TRY(check_public_policy(record.number, *policy));
    Transaction tx;
    BucketPolicies::write(record.number, policy, tx);
    tx.record(encode_change({action, caller, kRootIno, bucket, bucket_root(record.number)}, now()));
    PAILFS_TRY(commit(std::move(tx)));
    policies.set(record.number, std::move(policy));
    policy_gate->decisions().everything_changed();
  }
  names_ended();  // what the kernel holds was looked up under the policy before
  return store.sync();
}

Result<std::string> Core::bucket_policy(const Caller& caller, std::string_view bucket) {
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, bucket));
  PAILFS_TRY(impl_->check_policy_access(caller, record.number, Action::kGetBucketPolicy));
  const auto policy = impl_->policies.of(record.number);
  if (policy == nullptr) {
    return fail(Code::kNoData, fmt::format("NoSuchBucketPolicy: the bucket {} has no policy", printable(bucket)));
  }
  if (policy->document == nullptr && policy->text.empty()) {
    return fail(Code::kCorrupt, fmt::format("the policy of bucket {} cannot be read: 'pail policy put' replaces it",
                                            printable(bucket)));
  }
  return policy->text;
}

Status Core::put_bucket_policy(const Caller& caller, std::string_view bucket, std::string text,
                               bool accept_unknown_keys) {
  return impl_->change_bucket_policy(caller, bucket, Action::kPutBucketPolicy, [&] {
    return BucketPolicies::compile(std::move(text), std::string(bucket), accept_unknown_keys);
  });
}

Status Core::delete_bucket_policy(const Caller& caller, std::string_view bucket) {
  return impl_->change_bucket_policy(caller, bucket, Action::kDeleteBucketPolicy,
                                     []() -> Result<StoredPolicyPtr> { return nullptr; });
}

bool Core::has_policies(Ino ino) const { return impl_->gate.has_policies(bucket_of(ino)); }

std::string Core::account_id() const { return impl_->principals.account_id(); }

}  // namespace pailfs
