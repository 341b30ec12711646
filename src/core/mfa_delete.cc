// MFA delete (Amazon S3 user guide, "Configuring MFA delete"): in a bucket that has it, removing versions and markers
// for good and changing the state of versioning take a code of the account's device.
#include <fmt/format.h>

#include "core/impl.h"
#include "core/mfa.h"

namespace pailfs {

Status Core::Impl::check_mfa(Scope bucket, bool accepted) const {
  if (accepted) return {};
  PAILFS_ASSIGN(const BucketRecord record, bucket_record(bucket));
  if (!record.mfa_delete) return {};
  return fail(Code::kAccessDenied, fmt::format("AccessDenied: MFA delete is on in the bucket {}: give a code of the "
                                               "account's device with --mfa",
                                               record.name));
}

namespace {

Status check_account(const Core::Impl& core, const Caller& caller, Action action) {
  const Attributes root{.ino = kRootIno};
  return core.gate.check({caller, action, Need::kAccount, root});
}

}  // namespace

Result<std::optional<Time>> Core::mfa_enrolled() const { return impl_->mfa->enrolled(); }

Status Core::enroll_mfa(const Caller& caller, std::string_view secret, std::string_view code) {
  PAILFS_TRY(check_account(*impl_, caller, Action::kEnableMfaDevice));
  return impl_->mfa->enroll(caller, secret, code);
}

Status Core::remove_mfa(const Caller& caller, std::string_view code) {
  PAILFS_TRY(check_account(*impl_, caller, Action::kDeactivateMfaDevice));
  PAILFS_ASSIGN(const auto all, buckets(caller));
  for (const BucketInfo& bucket : all) {
    if (!bucket.mfa_delete) continue;
    return fail(Code::kBusy, fmt::format("the bucket {} has MFA delete, which needs the device: 'pail mfa disable {}' "
                                         "first",
                                         bucket.name, bucket.name));
  }
  return impl_->mfa->remove(caller, code);
}

Status Core::use_mfa_code(const Caller& caller, std::string_view code) {
  PAILFS_TRY(check_account(*impl_, caller, Action::kDeleteObjectVersion));
  return impl_->mfa->use(code);
}

Status Core::set_mfa_delete(const Caller& caller, std::string_view bucket, bool on, std::string_view code) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const BucketInfo before, this->bucket(caller, bucket));
  const Attributes root{.ino = bucket_root(before.number)};
  PAILFS_TRY(impl.gate.check({caller, Action::kPutBucketVersioning, Need::kAccount, root}));
  if (before.mfa_delete == on) return {};
  PAILFS_TRY(impl.mfa->use(code));
  MutexLock tree_lock(impl.tree);
  PAILFS_ASSIGN(BucketRecord record, impl.bucket_by_name(caller, bucket));
  if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
  if (on && record.versioning == Versioning::kOff) {
    return fail(Code::kInvalid, "InvalidBucketState: MFA delete is for buckets with versioning");
  }
  if (on && record.keep != KeepRule()) {
    return fail(Code::kInvalid,
                "InvalidBucketState: the bucket has a keep rule, which removes versions without a code: "
                "end it first");
  }
  record.mfa_delete = on;
  Transaction tx;
  tx.put(kStoreScope, keys::bucket(record.number), encode_bucket(record));
  tx.record(encode_change({Action::kPutBucketVersioning, caller, kRootIno, bucket, root.ino}, impl.now()));
  PAILFS_TRY(impl.commit(std::move(tx)));
  impl.set_bucket(record);
  return {};
}

}  // namespace pailfs
