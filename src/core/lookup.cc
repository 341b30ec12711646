// Names: from (directory, name) to entry, and the slots that entries live in.
//
// A name's token gives a group of eight slots. Names whose tokens share their first 60 bits share the group: such an
// entry lies in the first free slot, and every slot before it is marked `collided`, so that a lookup of any name reads
// one record unless names collide. A collided entry that ends leaves a place holder with an empty name.
#include <sys/stat.h>

#include "core/impl.h"
#include "core/versions_view.h"

namespace pailfs {

namespace {

constexpr uint32_t kMassDeletion = 100;         // names
constexpr Stamp kDeletionGap = 60'000'000'000;  // between two of them

}  // namespace

Status Core::Impl::check_name(std::string_view name) {
  if (name.size() > kNameMax) return fail(Code::kNameTooLong, "a name has at most 255 bytes");
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) {
    return fail(Code::kInvalid, "a name is not empty and holds neither '/' nor NUL");
  }
  return {};
}

Result<InodePtr> Core::Impl::existing(Ino ino) {
  if (deleting(bucket_of(ino))) return fail(Code::kNotFound, "bucket is purged");
  return inodes.get(ino);
}

uint64_t Core::Impl::slot_group(Ino parent, std::string_view name) const {
  const std::array<char, 16> token = store.token(bucket_of(parent), name);
  uint64_t bits = 0;
  for (size_t i = 0; i < 8; ++i) bits = bits << 8 | static_cast<uint8_t>(token[i]);
  const uint64_t group = bits >> 4 << 3;
  return group == 0 ? 8 : group;
}

Result<Core::Impl::Place> Core::Impl::place(Ino parent, std::string_view name) {
  const Scope scope = bucket_of(parent);
  const uint64_t group = slot_group(parent, name), end = group + 8;
  Place place;
  for (uint64_t slot = group; slot < end; ++slot) {
    PAILFS_ASSIGN(const std::optional<std::string> value, store.get(scope, keys::dirent(parent, slot)));
    if (!value) {
      if (place.free == 0) place.free = slot;
      return place;
    }
    PAILFS_ASSIGN(Dirent entry, decode_dirent(*value));
    if (entry.name == name) {
      place.found = Found{slot, std::move(entry)};
      return place;
    }
    if (entry.name.empty() && place.free == 0) {
      place.free = slot;
      place.holder = true;
    }
    if (!entry.collided) {
      if (place.free == 0 && slot + 1 < end) {
        place.free = slot + 1;
        place.uncollided = std::move(entry);
      }
      return place;
    }
  }
  return place;
}

Result<std::optional<Core::Impl::Found>> Core::Impl::find(Ino parent, std::string_view name) {
  PAILFS_ASSIGN(Place where, place(parent, name));
  return std::move(where.found);
}

Status Core::Impl::insert_entry(Ino parent, Place where, Dirent entry, Transaction& tx) {
  if (where.free == 0) return fail(Code::kNoSpace, "eight names of the directory share a token");
  const Scope scope = bucket_of(parent);
  entry.collided = where.holder;
  tx.put(scope, keys::dirent(parent, where.free), encode_dirent(entry));
  put_parent_pointer(entry.ino, parent, where.free, tx);
  if (where.uncollided) {
    where.uncollided->collided = true;
    tx.put(scope, keys::dirent(parent, where.free - 1), encode_dirent(*where.uncollided));
  }
  return {};
}

VersionId Core::Impl::write_history(Ino parent, const Found& found, EndKind kind, uint32_t uid, Stamp at,
                                    Transaction& tx) {
  const Scope scope = bucket_of(parent);
  VersionId marker{};
  if (versioning(scope) == Versioning::kOff) return marker;
  if (kind != EndKind::kReplaced) marker = make_version_id(at);
  const EndedDirent ended{.ino = found.entry.ino,
                          .type = found.entry.type,
                          .since = found.entry.since,
                          .end = at,
                          .kind = kind,
                          .marker = marker,
                          .uid = uid,
                          .name = found.entry.name,
                          .null_marker = marker != VersionId{} && versioning(scope) == Versioning::kSuspended};
  tx.put(scope, keys::ended(parent, found.slot, at), encode_ended(ended));
  if (kind != EndKind::kRenamed) note_ending(scope, at, tx);
  return marker;
}

// Names that end in quick succession make a mass deletion: .versions offers the moment before the last one.
void Core::Impl::note_ending(Scope bucket, Stamp at, Transaction& tx) {
  Endings& endings = endings_[bucket];
  if (at - endings.last > kDeletionGap) endings = {at, at, 0};
  endings.last = at;
  if (++endings.count != kMassDeletion) return;
  Result<BucketRecord> record = bucket_record(bucket);
  if (!record || record->deleting) return;
  record->mass_deletion = endings.first;
  tx.put(kStoreScope, keys::bucket(bucket), encode_bucket(*record));
  set_bucket(*record);  // a hint: where the transaction fails, no harm is done
}

VersionId Core::Impl::end_entry(Ino parent, const Found& found, EndKind kind, uint32_t uid, Stamp at, Transaction& tx) {
  std::string key = keys::dirent(parent, found.slot);
  erase_parent_pointer(found.entry.ino, parent, found.slot, tx);
  if (found.entry.collided) {
    Dirent holder;
    holder.collided = true;
    tx.put(bucket_of(parent), std::move(key), encode_dirent(holder));
  } else {
    tx.erase(std::move(key));
  }
  return write_history(parent, found, kind, uid, at, tx);
}

void Core::Impl::replace_entry(Ino parent, const Found& found, Dirent entry, Transaction& tx) {
  entry.collided = found.entry.collided;
  if (entry.ino != found.entry.ino) {
    erase_parent_pointer(found.entry.ino, parent, found.slot, tx);
    put_parent_pointer(entry.ino, parent, found.slot, tx);
  }
  tx.put(bucket_of(parent), keys::dirent(parent, found.slot), encode_dirent(entry));
}

Result<Attributes> Core::Impl::reference(const InodePtr& inode) {
  ReaderLock lock(inode->lock);
  if (inode->gone || inode->record.nlink == 0) return fail(Code::kNotFound, "no such entry");
  inodes.add_reference(inode->ino);
  return attributes(inode->ino, inode->record);
}

// The inode that an entry names. An entry without one is damage, unless the entry went at the same moment.
Result<InodePtr> Core::Impl::target(Ino parent, const Found& found) {
  Result<InodePtr> inode = inodes.get(found.entry.ino);
  if (inode || inode.error().code != Code::kNotFound) return inode;
  PAILFS_ASSIGN(const std::optional<Found> still, find(parent, found.entry.name));
  if (!still || still->entry.ino != found.entry.ino) return inode;
  return fail(Code::kCorrupt,
              "a directory entry names inode " + std::to_string(found.entry.ino) + ", which is missing");
}

Result<Attributes> Core::lookup(const Caller& caller, Ino parent, std::string_view name) {
  Impl& impl = *impl_;
  if (is_virtual(parent)) return impl.view->lookup(caller, parent, name);
  PAILFS_TRY(Impl::check_name(name));
  PAILFS_ASSIGN(const InodePtr directory, impl.existing(parent));
  Ino up = 0;
  std::optional<Impl::Found> found;
  {
    ReaderLock lock(directory->lock);
    if (directory->gone) return fail(Code::kNotFound, "no such entry");
    if (!S_ISDIR(directory->record.mode)) return fail(Code::kNotDirectory, "not a directory");
    const Attributes attributes = Impl::attributes(parent, directory->record);
    AccessRequest request{caller, Action::kListBucket, Need::kSearch, attributes};
    if (name != "." && name != ".." && name != kVersionsName && parent != kRootIno) request.name = name;
    PAILFS_TRY(impl.gate.check(request));
    up = directory->record.parent;
    // Before somebody else gets the name, about whom the gate was not asked.
    if (!request.name.empty()) {
      PAILFS_ASSIGN(found, impl.find(parent, name));
    }
  }
  if (name == "." || name == "..") {
    PAILFS_ASSIGN(const InodePtr inode, impl.existing(name == "." ? parent : up));
    return impl.reference(inode);
  }
  if (name == kVersionsName) {
    if (parent == kRootIno) return fail(Code::kNotFound, "no such entry");
    return impl.view->enter(caller, parent);
  }
  if (parent == kRootIno) {
    PAILFS_ASSIGN(found, impl.find(parent, name));
  }
  if (!found) return fail(Code::kNotFound, "no such entry");
  if (parent == kRootIno && impl.deleting(bucket_of(found->entry.ino)))
    return fail(Code::kNotFound, "bucket is purged");
  PAILFS_ASSIGN(const InodePtr inode, impl.target(parent, *found));
  return impl.reference(inode);
}

void Core::forget(Ino ino, uint64_t count) {
  if (is_virtual(ino)) return impl_->view->forget(ino, count);
  if (impl_->inodes.drop_reference(ino, count) == 0) impl_->reap(ino);
}

}  // namespace pailfs
