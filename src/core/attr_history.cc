// The history of attributes: what an inode's record and its extended attributes were, each until the stamp in its key.
// Written by whatever changes them, in the transaction that does; read by moments (moment.h). Changes of content write
// none: versions are their history.
#include "core/impl.h"
#include "core/scan.h"

namespace pailfs {

namespace {

// Entries that change within so short a time leave one record of their directory's times.
constexpr Stamp kDirectoryStep = 1'000'000;

}  // namespace

void Core::Impl::keep_attributes(Inode& inode, Stamp at, Transaction& tx) {
  const Scope scope = bucket_of(inode.ino);
  if (versioning(scope) == Versioning::kOff) return;
  tx.put(scope, keys::past_inode(inode.ino, at), encode_past_inode(inode.record));
  inode.history_end = at;
}

void Core::Impl::keep_directory(Inode& directory, Stamp at, Transaction& tx) {
  if (at - directory.history_end >= kDirectoryStep) keep_attributes(directory, at, tx);
}

Status Core::Impl::keep_xattr(Ino ino, std::string_view name, Stamp at, Transaction& tx) {
  const Scope scope = bucket_of(ino);
  if (versioning(scope) == Versioning::kOff) return {};
  const std::array<char, 16> bytes = store.token(scope, name);
  const std::string_view token(bytes.data(), bytes.size());
  PAILFS_ASSIGN(const auto value, store.get(scope, keys::xattr(ino, token)));
  PastXattr past{std::string(name), std::nullopt};
  if (value) {
    PAILFS_ASSIGN(Xattr xattr, decode_xattr(*value));
    past.value = std::move(xattr.value);
  }
  tx.put(scope, keys::past_xattr(ino, token, at), encode_past_xattr(past));
  return {};
}

Status Core::Impl::erase_attribute_history(Ino ino, Transaction& tx) {
  for (const char kind : {'a', 'y'}) {
    PAILFS_TRY(scan_prefix(store, bucket_of(ino), keys::numbered(kind, ino),
                           [&](const StoreView::Entry& entry) -> Result<bool> {
                             tx.erase(entry.key);
                             return true;
                           }));
  }
  return {};
}

}  // namespace pailfs
