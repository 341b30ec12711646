// Listing directories. An entry's cookie is its slot, which it keeps for life, and entries are listed in the order of
// their slots: so what is there throughout is listed exactly once, whatever comes and goes, in one run or in many.
#include <sys/stat.h>

#include "base/codec.h"
#include "core/impl.h"
#include "core/versions_view.h"

namespace pailfs {
namespace {

constexpr uint64_t kDotCookie = 1, kDotDotCookie = 2;
constexpr size_t kListedAtOnce = 48;  // entries fetched at once: about what the kernel's buffer of a page takes

}  // namespace

Result<uint64_t> Core::opendir(const Caller& caller, Ino ino) {
  Impl& impl = *impl_;
  bool lists = false;
  if (is_virtual(ino)) {
    PAILFS_TRY(impl.view->opendir(caller, ino));
  } else {
    PAILFS_ASSIGN(const InodePtr inode, impl.existing(ino));
    ReaderLock lock(inode->lock);
    if (inode->gone) return fail(Code::kNotFound, "no such directory");
    if (!S_ISDIR(inode->record.mode)) return fail(Code::kNotDirectory, "not a directory");
    const Attributes attributes = Impl::attributes(ino, inode->record);
    const Action action = ino == kRootIno ? Action::kListAllMyBuckets : Action::kListBucket;
    PAILFS_TRY(impl.gate.check({caller, action, Need::kRead, attributes}));
    PAILFS_ASSIGN(lists, impl.gate.lists_all(caller, attributes, false));
  }
  auto handle = std::make_shared<Handle>();
  handle->ino = ino;
  handle->read = true;
  handle->lists = lists;
  handle->uid = caller.uid;
  return impl.handles.add(std::move(handle));
}

void Core::releasedir(uint64_t handle) { impl_->handles.remove(handle); }

// Entries after `cookie`, at most kListedAtOnce. Place holders of collided names are no entries.
Result<std::vector<DirectoryEntry>> Core::Impl::list_some(Ino directory, uint64_t cookie) {
  const Scope scope = bucket_of(directory);
  const std::string end = keys::dirent(directory + 1, 0);
  std::vector<DirectoryEntry> entries;
  StoreView range = store.view();
  PAILFS_ASSIGN(auto found, range.seek(scope, keys::dirent(directory, cookie + 1), end));
  while (found) {
    Decoder key(std::string_view(found->key).substr(1 + sizeof(uint64_t)));
    PAILFS_ASSIGN(Dirent dirent, decode_dirent(found->value));
    if (!dirent.name.empty()) {
      entries.push_back({.name = std::move(dirent.name),
                         .ino = dirent.ino,
                         .type = dirent.type,
                         .cookie = key.be64(),
                         .attributes = {}});
      if (entries.size() == kListedAtOnce) break;
    }
    PAILFS_ASSIGN(found, range.next(scope, end));
  }
  return entries;
}

// Attributes for a listing: from the inode in use, else straight from the store, so that a listing of a large directory
// does not push out what is in use. ino 0 where they cannot be had; lookup says why.
Attributes Core::Impl::listed_attributes(Ino ino) {
  if (const InodePtr inode = inodes.cached(ino)) {
    ReaderLock lock(inode->lock);
    return inode->gone || inode->record.nlink == 0 ? Attributes{} : attributes(ino, inode->record);
  }
  const auto value = store.get(bucket_of(ino), keys::inode(ino));
  if (!value || !*value) return {};
  const Result<InodeRecord> record = decode_inode(**value);
  return record && record->nlink > 0 ? attributes(ino, *record) : Attributes{};
}

Status Core::readdir(const Caller& caller, Ino ino, uint64_t handle, uint64_t cookie, bool plus,
                     const std::function<bool(const DirectoryEntry&)>& emit) {
  Impl& impl = *impl_;
  const HandlePtr open = impl.handles.get(handle);
  if (!open || open->ino != ino) return fail(Code::kBadHandle, "not an open directory");
  if (is_virtual(ino)) return impl.view->readdir(caller, ino, cookie, plus, emit);
  PAILFS_ASSIGN(const InodePtr directory, impl.existing(ino));
  Ino parent = 0;
  bool search = false, all = true;
  Attributes listed;
  {
    ReaderLock lock(directory->lock);
    if (directory->gone || directory->record.nlink == 0) return fail(Code::kNotFound, "no such directory");
    parent = directory->record.parent;
    // Names may be listed by who may read the directory, attributes seen only by who may search it.
    const Attributes attributes = Impl::attributes(ino, directory->record);
    search = plus && impl.gate.check({caller, Action::kListBucket, Need::kSearch, attributes}).has_value();
    PAILFS_ASSIGN(all, impl.gate.lists_all(caller, attributes, open->lists));
    listed = attributes;
  }
  if (cookie < kDotCookie) {
    const DirectoryEntry dot{.name = ".", .ino = ino, .type = S_IFDIR, .cookie = kDotCookie, .attributes = {}};
    if (!emit(dot)) return {};
  }
  if (cookie < kDotDotCookie) {
    const DirectoryEntry dots{.name = "..", .ino = parent, .type = S_IFDIR, .cookie = kDotDotCookie, .attributes = {}};
    if (!emit(dots)) return {};
    cookie = kDotDotCookie;
  }
  for (;;) {
    PAILFS_ASSIGN(std::vector<DirectoryEntry> entries, impl.list_some(ino, cookie));
    for (DirectoryEntry& entry : entries) {
      cookie = entry.cookie;
      if (ino == kRootIno && impl.deleting(bucket_of(entry.ino))) continue;
      if (!all) {
        PAILFS_ASSIGN(const bool shown, impl.gate.shows(caller, listed, entry.name));
        if (!shown) continue;
      }
      if (search) entry.attributes = impl.listed_attributes(entry.ino);
      // Counted first: once emitted, the kernel may forget it at any moment.
      const bool counted = entry.attributes.ino != 0;
      if (counted) impl.inodes.add_reference(entry.ino);
      if (!emit(entry)) {
        if (counted) forget(entry.ino, 1);
        return {};
      }
    }
    if (entries.size() < kListedAtOnce) return {};
  }
}

}  // namespace pailfs
