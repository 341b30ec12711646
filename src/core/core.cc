#include "core/core.h"

#include <sys/stat.h>

#include "base/logging.h"
#include "core/denials.h"
#include "core/identity_ops.h"
#include "core/impl.h"
#include "core/mfa.h"
#include "core/object_keys.h"
#include "core/policy_gate.h"
#include "core/scrub.h"
#include "core/versions_view.h"
#include "io/users.h"

namespace pailfs {

Core::Impl::Impl(Store& s, uint32_t account)
    : store(s),
      gate(account),
      inodes(s),
      shares(s),
      clock(s),
      view(std::make_unique<VersionsView>(*this)),
      scrub(std::make_unique<Scrub>(*this)),
      mfa(std::make_unique<MfaDevice>(s)),
      policies(s),
      identities(s),
      public_access(s),
      principals(account, account_id_of(s.status().uuid), identities, {system_user_name, system_group_id}),
      acl_facts(principals, [&s] { return s.env().monotonic(); }),
      keys(std::make_unique<ObjectKeys>(*this)),
      policy_gate(std::make_unique<PolicyGate>(policies, identities, principals, *keys, public_access)),
      identity_ops(std::make_unique<IdentityOps>(*this)),
      denials(std::make_unique<Denials>(*this)) {
  gate.set_policies(policy_gate.get());
  gate.set_acl_facts(&acl_facts);
  gate.set_public_access(&public_access);
}
Core::Impl::~Impl() = default;

Core::Core(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Core::~Core() = default;

// The root directory of a new store: the account's, open to all for looking.
Status Core::Impl::make_root() {
  PAILFS_ASSIGN(const auto existing, store.get(kStoreScope, keys::inode(kRootIno)));
  if (existing) return {};
  InodeRecord root;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  root.uid = root.gid = gate.account();
  root.atime = root.mtime = root.ctime = root.btime = now();
  root.parent = kRootIno;
  Transaction tx;
  put_inode(kRootIno, root, tx);
  PAILFS_TRY(commit(std::move(tx)));
  return store.sync();
}

Result<std::unique_ptr<Core>> Core::open(Store& store, uint32_t account) {
  auto impl = std::make_unique<Impl>(store, account);
  PAILFS_TRY(impl->load_stamps());
  PAILFS_TRY(impl->clock.load());
  PAILFS_TRY(impl->load_buckets());
  PAILFS_TRY(impl->identities.load());
  impl->public_access.load();
  impl->begin_clock();
  PAILFS_TRY(impl->shares.load());
  PAILFS_TRY(impl->make_root());
  PAILFS_TRY(impl->reap_leftovers());
  if (!store.status().read_only) {
    for (const Scope scope : store.keyring().scopes()) {
      // Neither damage nor a full disk keeps a store from opening: names are searched for until the next time.
      const Status added = impl->add_parent_pointers(scope);
      if (!added) log_warning("what names stand for could not be noted: {}", added.error().message);
    }
  }
  return std::unique_ptr<Core>(new Core(std::move(impl)));
}

InUse Core::in_use() const { return {impl_->handles.size(), impl_->inodes.reference_count()}; }
Store& Core::store() { return impl_->store; }
Denials& Core::denials() { return *impl_->denials; }
IdentityOps& Core::identities() { return *impl_->identity_ops; }
Scrub& Core::scrub() { return *impl_->scrub; }
const Gate& Core::gate() const { return impl_->gate; }

}  // namespace pailfs
