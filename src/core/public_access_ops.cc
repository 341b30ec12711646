// Changing Block Public Access, and what it keeps from becoming public.
#include <fmt/format.h>
#include <sys/stat.h>

#include "core/impl.h"
#include "core/policy_gate.h"
#include "policy/public.h"

namespace pailfs {

Status Core::Impl::check_public_policy(Scope bucket, const StoredPolicy& policy) const {
  if (!policy.is_public || !public_access.is_on(PublicSwitch::kBlockPublicPolicy, bucket)) return {};
  const auto statement = policy::public_statement(*policy.document);
  return fail(Code::kAccessDenied,
              fmt::format("AccessDenied: {} makes the policy public, and the bucket takes no public policy "
                          "(BlockPublicPolicy: 'pail public-access-block get')",
                          policy::statement_name(*policy.document, *statement)));
}

Status Core::Impl::check_public_grant(Scope bucket, const PublicGrant& before, const PublicGrant& after) const {
  if (!after.exceeds(before) || !public_access.is_on(PublicSwitch::kBlockPublicAcls, bucket)) return {};
  return fail(Code::kAccessDenied, "AccessDenied: it would be public, which the bucket blocks (BlockPublicAcls)");
}

Status Core::Impl::check_public_mode(Ino ino, const InodeRecord& record, uint32_t mode) const {
  const PublicGrant before = public_grant(record.mode, record.acl.get());
  if (record.acl == nullptr) return check_public_grant(bucket_of(ino), before, public_grant(mode, nullptr));
  const Acl changed = acl_with_mode(*record.acl, mode);
  return check_public_grant(bucket_of(ino), before, public_grant(mode, &changed));
}

void Core::Impl::close_new_record(Scope bucket, InodeRecord& record) const {
  // The mode of a symbolic link means nothing.
  if (S_ISLNK(record.mode) || !public_access.is_on(PublicSwitch::kBlockPublicAcls, bucket)) return;
  close_to_public(record);
}

namespace {

Status check_access(Core::Impl& core, const Caller& caller, Scope bucket, bool change) {
  const bool store = bucket == kStoreScope;
  Action action = change ? Action::kPutBucketPublicAccessBlock : Action::kGetBucketPublicAccessBlock;
  if (store) action = change ? Action::kPutAccountPublicAccessBlock : Action::kGetAccountPublicAccessBlock;
  const Attributes object{.ino = store ? kRootIno : bucket_root(bucket)};
  return core.gate.check({caller, action, Need::kAccount, object});
}

}  // namespace

Result<Core::PublicAccessBlock> Core::public_access_block(const Caller& caller, std::string_view bucket) {
  if (bucket.empty()) {
    PAILFS_TRY(check_access(*impl_, caller, kStoreScope, false));
    const uint8_t switches = impl_->public_access.of_store();
    return PublicAccessBlock{switches, switches};
  }
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, bucket));
  PAILFS_TRY(check_access(*impl_, caller, record.number, false));
  return PublicAccessBlock{record.public_access, impl_->public_access.in_force(record.number)};
}

Status Core::put_public_access_block(const Caller& caller, std::string_view bucket, uint8_t switches) {
  Impl& impl = *impl_;
  if (switches > kAllPublicSwitches) return fail(Code::kInvalid, "there are four switches of Block Public Access");
  {
    // One change at a time, and no policy that is put meanwhile.
    MutexLock tree_lock(impl.tree);
    BucketRecord record;
    if (!bucket.empty()) {
      PAILFS_ASSIGN(record, impl.bucket_by_name(caller, bucket));
      if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
    }
    PAILFS_TRY(check_access(impl, caller, record.number, true));
    Transaction tx;
    Action action = Action::kPutAccountPublicAccessBlock;
    if (bucket.empty()) {
      PublicAccess::write(switches, tx);
    } else {
      action = Action::kPutBucketPublicAccessBlock;
      record.public_access = switches;
      tx.put(kStoreScope, keys::bucket(record.number), encode_bucket(record));
    }
    const Ino ino = bucket.empty() ? kRootIno : bucket_root(record.number);
    tx.record(encode_change({action, caller, bucket.empty() ? 0 : kRootIno, bucket, ino}, impl.now()));
    PAILFS_TRY(impl.commit(std::move(tx)));
    if (bucket.empty()) {
      impl.public_access.set_store(switches);
    } else {
      impl.set_bucket(record);
    }
    impl.policy_gate->decisions().everything_changed();
  }
  impl.names_ended();  // what the kernel holds was looked up under the switches before
  return impl.store.sync();
}

}  // namespace pailfs
