// Deleting a bucket with everything in it. Three steps, each of which a later call can go on with: the bucket is marked
// and shows nothing from then on; its inodes go one by one, each with its content and versions; then what is left in
// the index goes in bounded transactions, the bucket's own records last, and the keys after them.
#include <fmt/format.h>

#include "base/codec.h"
#include "base/logging.h"
#include "core/impl.h"

namespace pailfs {
namespace {

constexpr size_t kInodesAtOnce = 256;
constexpr size_t kKeysPerTransaction = 2000;
// A value that does not verify is stepped over; an index that fails altogether is not asked for ever.
constexpr int kUnreadableInARow = 1000;

}  // namespace

// Up to `limit` keys from `from` on. What does not verify is passed over: it cannot be read by anybody once the keys
// are gone.
Result<std::vector<std::string>> Core::Impl::purge_batch(Scope scope, const std::string& from, const std::string& end,
                                                         size_t limit) {
  std::vector<std::string> batch;
  StoreView range = store.view();
  auto entry = range.seek(scope, from, end);
  for (int unreadable = 0; batch.size() < limit; entry = range.next(scope, end)) {
    if (!entry) {
      if (entry.error().code != Code::kCorrupt || ++unreadable > kUnreadableInARow) {
        return std::unexpected(std::move(entry).error());
      }
      continue;
    }
    if (!*entry) break;
    unreadable = 0;
    batch.push_back(std::move((*entry)->key));
  }
  return batch;
}

Status Core::Impl::purge_inode(Ino ino) {
  const Result<InodePtr> inode = inodes.get(ino);
  Status removed;
  if (inode) {
    MutexLock tree_lock(tree);
    removed = remove_orphan(*inode);
  } else {
    removed = std::unexpected(inode.error());
  }
  if (removed || removed.error().code == Code::kNotFound) return {};
  if (removed.error().code != Code::kCorrupt) return removed;
  // Damaged: its space cannot be given back run by run, but nothing must keep a bucket from being deleted.
  log_warning("inode {} is deleted without giving back its space: {}", ino, removed.error().message);
  inodes.remove(ino);
  Transaction tx;
  tx.erase(keys::inode(ino));
  return commit(std::move(tx));
}

Status Core::Impl::purge_inodes(Scope number, const Progress& progress) {
  std::string from = keys::numbered('i', Ino{number} << kBucketShift);
  const std::string end = keys::numbered('i', (Ino{number} + 1) << kBucketShift);
  uint64_t done = 0;
  for (;;) {
    PAILFS_ASSIGN(const std::vector<std::string> batch, purge_batch(number, from, end, kInodesAtOnce));
    for (const std::string& key : batch) {
      const Ino ino = Decoder(std::string_view(key).substr(1)).be64();
      if (ino != bucket_root(number)) PAILFS_TRY(purge_inode(ino));
      ++done;
    }
    if (progress && !batch.empty() && !progress(done, 0)) return interrupted();
    if (batch.size() < kInodesAtOnce) return {};
    from = batch.back() + '\0';
  }
}

Status Core::Impl::purge_index(Scope number) {
  const Ino first = Ino{number} << kBucketShift, end = (Ino{number} + 1) << kBucketShift;
  for (const char kind : {'d', 'w', 'h', 'v', 'c', 'x', 'o', 'a', 'y', 'i'}) {
    std::string from = keys::numbered(kind, first);
    for (;;) {
      PAILFS_ASSIGN(std::vector<std::string> batch,
                    purge_batch(number, from, keys::numbered(kind, end), kKeysPerTransaction));
      if (batch.empty()) break;
      from = batch.back() + '\0';
      Transaction tx;
      for (std::string& key : batch) {
        if (key != keys::inode(bucket_root(number))) tx.erase(std::move(key));
      }
      if (!tx.empty()) PAILFS_TRY(commit(std::move(tx)));
    }
  }
  return {};
}

Status Core::purge_bucket(const Caller& caller, std::string_view name, const Progress& progress,
                          const Consent& consent) {
  Impl& impl = *impl_;
  Scope number = 0;
  {
    MutexLock tree_lock(impl.tree);
    PAILFS_ASSIGN(BucketRecord record, impl.bucket_by_name(caller, name));
    number = record.number;
    PAILFS_TRY(
        impl.gate.check({caller, Action::kDeleteBucket, Need::kAccount, Attributes{.ino = bucket_root(number)}}));
    if (!record.deleting) {
      for (const Action action : {Action::kDeleteObject, Action::kDeleteObjectVersion}) {
        PAILFS_TRY(impl.gate.check_whole(caller, number, {}, action));
      }
      PAILFS_TRY(impl.check_mfa(number, consent.mfa));
      const std::string whole;
      PAILFS_TRY(impl.check_bypass(caller, number, std::span(&whole, 1), consent));
      if (consent.bypass_governance) {
        PAILFS_TRY(impl.gate.check_whole(caller, number, {}, Action::kBypassGovernanceRetention));
      }
      if (record.object_lock) PAILFS_TRY(impl.check_nothing_locked(number, consent.bypass_governance));
      record.deleting = true;
      Transaction tx;
      tx.put(kStoreScope, keys::bucket(number), encode_bucket(record));
      tx.record(encode_change({Action::kDeleteBucket, caller, kRootIno, name, bucket_root(number)}, impl.now()));
      Status marked = impl.commit(std::move(tx));
      record.deleting = marked.has_value();
      impl.set_bucket(record);
      PAILFS_TRY(marked);
    }
  }
  // Nothing new comes from here on: every change of names looks at the mark, with the tree lock held.
  PAILFS_TRY(impl.purge_inodes(number, progress));
  PAILFS_TRY(impl.purge_index(number));
  {
    MutexLock tree_lock(impl.tree);
    PAILFS_ASSIGN(const auto found, impl.find(kRootIno, name));
    if (!found || bucket_of(found->entry.ino) != number) return {};  // another call has finished it
    PAILFS_TRY(impl.erase_bucket(caller, *found, {}));
  }
  impl.name_changed(kRootIno, std::string(name), 0);
  impl.names_ended();
  return impl.store.destroy_scope(number);
}

}  // namespace pailfs
