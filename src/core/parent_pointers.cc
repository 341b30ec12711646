// Parent pointers: from an inode to the entries that name it, so that its paths are known without a search. They change
// with the entries, in the same transaction (lookup.cc).
#include "base/codec.h"
#include "base/logging.h"
#include "core/impl.h"
#include "core/scan.h"
#include "core/verify.h"

namespace pailfs {

namespace {

constexpr size_t kPointersPerTransaction = 2000;

}  // namespace

void Core::Impl::put_parent_pointer(Ino ino, Ino parent, uint64_t slot, Transaction& tx) {
  if (parent != kRootIno) tx.put(bucket_of(ino), keys::parent_pointer(ino, parent, slot), std::string());
}

void Core::Impl::erase_parent_pointer(Ino ino, Ino parent, uint64_t slot, Transaction& tx) {
  if (parent != kRootIno) tx.erase(keys::parent_pointer(ino, parent, slot));
}

Result<std::vector<Core::Impl::Name>> Core::Impl::names_of(Ino ino) const {
  const Scope scope = bucket_of(ino);
  const auto bucket = bucket_record(scope);
  if (bucket && !bucket->parent_pointers) return search_names(ino);
  std::vector<Name> names;
  const std::string end = keys::after_prefix(keys::numbered('w', ino));
  StoreView now = store.view();
  PAILFS_ASSIGN(auto found, now.seek(scope, keys::numbered('w', ino), end));
  while (found) {
    Decoder key(std::string_view(found->key).substr(1 + sizeof(Ino)));
    const Ino parent = key.be64();
    const uint64_t slot = key.be64();
    names.push_back({parent, slot, {}});
    PAILFS_ASSIGN(found, now.next(scope, end));
  }
  for (Name& name : names) {
    PAILFS_ASSIGN(const auto value, now.get(scope, keys::dirent(name.parent, name.slot)));
    if (!value) continue;
    PAILFS_ASSIGN(Dirent entry, decode_dirent(*value));
    if (entry.ino == ino) name.name = std::move(entry.name);
  }
  std::erase_if(names, [](const Name& name) { return name.name.empty(); });
  return names;
}

// Where they could not be made: in a store that is open for reading only, or damaged.
Result<std::vector<Core::Impl::Name>> Core::Impl::search_names(Ino ino) const {
  std::vector<Name> names;
  const Scope scope = bucket_of(ino);
  PAILFS_TRY(scan_range(store, scope, kind_begin('d', scope), kind_end('d', scope),
                        [&](const StoreView::Entry& entry) -> Result<bool> {
                          PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry.value));
                          if (dirent.ino != ino || dirent.name.empty()) return true;
                          Decoder key(std::string_view(entry.key).substr(1));
                          const Ino parent = key.be64();
                          names.push_back({parent, key.be64(), std::move(dirent.name)});
                          return true;
                        }));
  return names;
}

// A bucket of a build that kept none. Nothing else uses the core yet.
Status Core::Impl::add_parent_pointers(Scope bucket) {
  Result<BucketRecord> found = bucket_record(bucket);
  if (!found || found->parent_pointers || found->deleting) return {};
  BucketRecord record = std::move(*found);
  log_info("noting in bucket {}, once, what its names stand for", record.name);
  Transaction tx;
  size_t pending = 0;
  const auto note = [&](const StoreView::Entry& entry) -> Result<bool> {
    PAILFS_ASSIGN(const Dirent dirent, decode_dirent(entry.value));
    if (dirent.name.empty()) return true;
    Decoder key(std::string_view(entry.key).substr(1));
    const Ino parent = key.be64();
    put_parent_pointer(dirent.ino, parent, key.be64(), tx);
    if (++pending < kPointersPerTransaction) return true;
    pending = 0;
    PAILFS_TRY(commit(std::exchange(tx, Transaction())));
    return true;
  };
  PAILFS_TRY(scan_range(store, bucket, kind_begin('d', bucket), kind_end('d', bucket), note));
  record.parent_pointers = true;
  tx.put(kStoreScope, keys::bucket(bucket), encode_bucket(record));
  PAILFS_TRY(commit(std::move(tx)));
  set_bucket(record);
  return {};
}

}  // namespace pailfs
