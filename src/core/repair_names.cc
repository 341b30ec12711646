// Repairing names. What has lost its name goes into the directory lost+found of its bucket: there its content, its
// versions and, of a directory, everything below stay what they are; in a bucket of its own they would have other keys.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/codec.h"
#include "core/repair.h"
#include "core/scan.h"

namespace pailfs {

Repair::Node* Repair::node(Ino ino) {
  const Ino first = Ino{bucket_} << kBucketShift;
  if (bucket_of(ino) != bucket_ || is_virtual(ino) || ino - first >= nodes_.size()) return nullptr;
  Node& found = nodes_[ino - first];
  return found.type == 0 ? nullptr : &found;
}

Repair::Node& Repair::make_node(Ino ino, uint32_t mode) {
  const Ino at = ino - (Ino{bucket_} << kBucketShift);
  if (at >= nodes_.size()) nodes_.resize(std::max<size_t>(at + 1, nodes_.size() + nodes_.size() / 4));
  nodes_[at] = Node{};
  nodes_[at].type = static_cast<uint8_t>((mode & S_IFMT) >> 12);
  return nodes_[at];
}

Status Repair::scan_inodes(Scope bucket) {
  return each_of(
      'i', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const InodeRecord record, decode_inode(entry.value));
        const Ino ino = ino_of_key(entry.key);
        make_node(ino, record.mode).stray = strays_.contains(ino);
        return {};
      },
      [](const std::string&, const Error&) -> Status { return {}; });
}

// Takes an entry out of its group of slots; names above it in the group must still be found.
Status Repair::erase_entry(Ino parent, uint64_t slot) {
  const uint64_t group_end = slot - slot % 8 + 8;
  PAILFS_ASSIGN(const auto above,
                store_.view().seek_key(keys::dirent(parent, slot + 1), keys::dirent(parent, group_end)));
  if (!above) return erase(keys::dirent(parent, slot));
  Dirent holder;
  holder.collided = true;
  return put(keys::dirent(parent, slot), encode_dirent(holder), bucket_of(parent));
}

Status Repair::drop_entry(Ino parent, uint64_t slot, const Dirent& entry, std::string why) {
  report_.problem_at(parent, entry.name, std::move(why));
  if (bucket_of(entry.ino) == bucket_) PAILFS_TRY(erase(keys::parent_pointer(entry.ino, parent, slot)));
  return erase_entry(parent, slot);
}

Status Repair::insert(Ino parent, const std::string& name, Ino ino, uint32_t type) {
  MutexLock lock(impl_.tree);
  Transaction tx;
  const Dirent entry{.ino = ino, .type = type, .since = impl_.stamp(tx), .name = name};
  PAILFS_ASSIGN(auto where, impl_.place(parent, name));
  if (where.found) return fail(Code::kExists, fmt::format("the name {} is taken", name));
  PAILFS_TRY(impl_.insert_entry(parent, std::move(where), entry, tx));
  return commit(std::move(tx));
}

// The directory lost+found of a bucket, made where there is none; another name where a user has that one.
Result<Ino> Repair::lost_found(Scope bucket) {
  if (lost_found_ != 0) return lost_found_;
  const Ino root = bucket_root(bucket);
  for (int number = 1;; ++number) {
    const std::string name = number == 1 ? std::string(kLostFound) : fmt::format("{}-{}", kLostFound, number);
    PAILFS_ASSIGN(const auto found, impl_.find(root, name));
    if (found) {
      PAILFS_ASSIGN(const auto record, inode(found->entry.ino));
      if (!record || !S_ISDIR(record->mode) || record->uid != 0 || (record->mode & 077) != 0) continue;
      lost_found_ = found->entry.ino;
      return lost_found_;
    }
    Transaction none;
    PAILFS_ASSIGN(lost_found_, impl_.new_number(bucket, none));
    PAILFS_TRY(make_directory(lost_found_, root));
    PAILFS_TRY(insert(root, name, lost_found_, S_IFDIR));
    make_node(lost_found_, S_IFDIR).names = 1;
    if (Node* above = node(root)) ++above->subdirectories;
    return lost_found_;
  }
}

Status Repair::entry(const StoreView::Entry& found) {
  Decoder key(std::string_view(found.key).substr(1));
  const Ino parent = key.be64();
  const uint64_t slot = key.be64();
  PAILFS_ASSIGN(Dirent dirent, decode_dirent(found.value));
  const Node* above = node(parent);
  if (dirent.name.empty()) return above != nullptr ? Status{} : erase(found.key);
  if (above == nullptr) {
    fixed("name", parent, "the directory's inode is lost: made anew, for root alone (0700); its entries are kept");
    PAILFS_TRY(make_directory(parent, 0));
    make_node(parent, S_IFDIR);
  } else if (above->type != S_IFDIR >> 12) {
    return drop_entry(parent, slot, dirent, "an entry of what is no directory: dropped");
  }
  const bool top = parent == kRootIno;
  if (impl_.slot_group(parent, dirent.name) != slot - slot % 8) {
    return drop_entry(parent, slot, dirent, "the entry lies where no lookup finds it: dropped");
  }
  if (top) {
    if (dirent.ino == bucket_root(bucket_of(dirent.ino)) && impl_.bucket_record(bucket_of(dirent.ino))) {
      ++node(parent)->subdirectories;
      return {};
    }
    ++result_.lost_names;
    return drop_entry(parent, slot, dirent, "the entry of a bucket that is gone: dropped");
  }
  if (bucket_of(dirent.ino) != bucket_ || is_virtual(dirent.ino)) {
    return drop_entry(parent, slot, dirent, "the entry names an inode of another bucket: dropped");
  }
  Node* target = node(dirent.ino);
  if (target == nullptr && S_ISDIR(dirent.type)) {
    fixed("name", dirent.ino, "the directory's inode is lost: made anew, for root alone (0700); its entries are kept");
    PAILFS_TRY(make_directory(dirent.ino, parent));
    target = &make_node(dirent.ino, S_IFDIR);
  }
  if (target == nullptr) {
    ++result_.lost_names;
    return drop_entry(parent, slot, dirent,
                      fmt::format("lost: its inode {} is gone, with owner, mode and content", dirent.ino));
  }
  if (target->stray) {
    // Its versions stay under the name, as after a removal.
    ++result_.lost_names;
    Transaction tx;
    {
      MutexLock lock(impl_.tree);
      const Core::Impl::Found ended{slot, dirent};
      impl_.write_history(parent, ended, EndKind::kDeleted, 0, impl_.stamp(tx), tx);
    }
    if (!tx.empty()) {
      target->history = true;
      PAILFS_TRY(commit(std::move(tx)));
    }
    return drop_entry(parent, slot, dirent,
                      "its current content is lost with its inode: the name ends as if it were deleted; its versions "
                      "are in .versions");
  }
  const uint32_t type = uint32_t{target->type} << 12;
  if (S_ISDIR(type) && target->names > 0) return drop_entry(parent, slot, dirent, "a directory's second name: dropped");
  if (S_ISDIR(type)) {
    PAILFS_ASSIGN(auto record, inode(dirent.ino));
    if (record && record->parent != parent) {
      if (record->parent != 0) fixed("name", dirent.ino, "the directory said that it is elsewhere: put right");
      record->parent = parent;
      PAILFS_TRY(put(keys::inode(dirent.ino), encode_inode(*record), bucket_));
    }
    ++node(parent)->subdirectories;
  }
  ++target->names;
  if (type == dirent.type) return {};
  fixed("name", dirent.ino, "entry and inode were of different types: the entry put right");
  dirent.type = type;
  return put(found.key, encode_dirent(dirent), bucket_);
}

Status Repair::scan_entries(Scope bucket) {
  return each_of(
      'd', bucket, [&](const StoreView::Entry& found) { return entry(found); },
      [](const std::string&, const Error&) -> Status { return {}; });
}

// What else leads to an inode, or belongs to one.
Status Repair::scan_rest(Scope bucket) {
  const Bad nothing = [](const std::string&, const Error&) -> Status { return {}; };
  PAILFS_TRY(each_of(
      'h', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const EndedDirent ended, decode_ended(entry.value));
        if (Node* named = node(ended.ino)) named->history = true;
        return {};
      },
      nothing));
  PAILFS_TRY(each_of(
      'o', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        Node* unnamed = node(ino_of_key(entry.key));
        if (unnamed != nullptr && unnamed->names == 0) {
          unnamed->orphan = true;
          return {};
        }
        fixed("name", ino_of_key(entry.key), "was listed as without a name, and has one or is gone: no longer listed");
        return erase(entry.key);
      },
      nothing));
  for (const char kind : {'a', 'y'}) {
    PAILFS_TRY(each_of(
        kind, bucket,
        [&](const StoreView::Entry& entry) -> Status {
          if (node(ino_of_key(entry.key)) != nullptr) return {};
          fixed("name", 0, fmt::format("former attributes of inode {}, which is gone: dropped", ino_of_key(entry.key)));
          return erase(entry.key);
        },
        nothing));
  }
  return each_of(
      'x', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        if (Node* owner = node(ino_of_key(entry.key))) {
          owner->xattrs = true;
          return {};
        }
        fixed("name", 0,
              fmt::format("an extended attribute of inode {}, which is gone: dropped", ino_of_key(entry.key)));
        return erase(entry.key);
      },
      nothing);
}

// Names for what has none and should.
Status Repair::give_names(Scope bucket) {
  std::vector<Ino> unnamed;
  PAILFS_TRY(each_of(
      'i', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const InodeRecord record, decode_inode(entry.value));
        const Ino ino = ino_of_key(entry.key);
        const Node* found = node(ino);
        if (ino == bucket_root(bucket) || ino == kRootIno || found == nullptr || found->names > 0) return {};
        if (record.nlink == 0 && (found->history || found->orphan)) return {};
        if (found->stray && found->history) return {};
        unnamed.push_back(ino);
        return {};
      },
      [](const std::string&, const Error&) -> Status { return {}; }));
  for (const Ino ino : unnamed) {
    PAILFS_ASSIGN(auto record, inode(ino));
    PAILFS_ASSIGN(const Ino place, lost_found(bucket));
    if (!record || ino == place) continue;
    const std::string name = fmt::format("inode-{}", ino);
    PAILFS_TRY(insert(place, name, ino, record->mode & S_IFMT));
    ++result_.found;
    fixed("name", ino,
          record->nlink == 0 ? "was deleted, and nothing told of it any more: it is here with its versions"
                             : "had lost its name: put here");
    Node* found = node(ino);
    ++found->names;
    if (S_ISDIR(record->mode)) {
      record->parent = place;
      PAILFS_TRY(put(keys::inode(ino), encode_inode(*record), bucket));
      ++node(place)->subdirectories;
    }
  }
  return {};
}

// Link counts, and whether there are attributes.
Status Repair::fix_links(Scope bucket) {
  return each_of(
      'i', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(InodeRecord record, decode_inode(entry.value));
        const Ino ino = ino_of_key(entry.key);
        const Node* found = node(ino);
        if (found == nullptr) return {};
        const bool root = ino == bucket_root(bucket) || ino == kRootIno;
        uint32_t links = found->names;
        if (S_ISDIR(record.mode) && (root || links > 0)) links = 2 + found->subdirectories;
        const bool xattrs = record.has_xattrs || found->xattrs;
        if (links == record.nlink && xattrs == record.has_xattrs) return {};
        // Of what this repair made or moved it has spoken already.
        if (links != record.nlink && record.nlink != 0 && !found->stray && ino != lost_found_) {
          fixed("name", ino, fmt::format("counted {} links, and there are {}: put right", record.nlink, links));
        }
        if (xattrs != record.has_xattrs) fixed("name", ino, "had an extended attribute it did not know: put right");
        record.nlink = links;
        record.has_xattrs = xattrs;
        return put(entry.key, encode_inode(record), bucket_of(ino));
      },
      [](const std::string&, const Error&) -> Status { return {}; });
}

// After all entries are right: of each inode, which entries name it.
Status Repair::parent_pointers(Scope bucket, bool told) {
  const Bad nothing = [](const std::string&, const Error&) -> Status { return {}; };
  PAILFS_TRY(each_of(
      'w', bucket,
      [&](const StoreView::Entry& found) -> Status {
        Decoder key(std::string_view(found.key).substr(1));
        const Ino ino = key.be64(), parent = key.be64();
        PAILFS_ASSIGN(const auto value, store_.get(bucket, keys::dirent(parent, key.be64())));
        const auto dirent = value ? decode_dirent(*value) : Result<Dirent>(Dirent());
        if (dirent && dirent->ino == ino) return {};
        if (told) fixed("name", ino, "pointed to an entry that is not its own: put right");
        return erase(found.key);
      },
      nothing));
  return each_of(
      'd', bucket,
      [&](const StoreView::Entry& found) -> Status {
        PAILFS_ASSIGN(const Dirent dirent, decode_dirent(found.value));
        if (dirent.name.empty()) return {};
        Decoder key(std::string_view(found.key).substr(1));
        const Ino parent = key.be64();
        const std::string pointer = keys::parent_pointer(dirent.ino, parent, key.be64());
        PAILFS_ASSIGN(const auto there, store_.get(bucket, pointer));
        if (there) return {};
        if (told) report_.problem_at(parent, dirent.name, "its inode did not know of this name: put right");
        return put(pointer, {}, bucket);
      },
      nothing);
}

Status Repair::names(Scope bucket) {
  nodes_.clear();
  PAILFS_TRY(scan_inodes(bucket));
  PAILFS_TRY(scan_entries(bucket));
  PAILFS_TRY(scan_rest(bucket));
  PAILFS_TRY(give_names(bucket));
  PAILFS_TRY(fix_links(bucket));
  auto record = impl_.bucket_record(bucket);
  if (!record) return {};
  PAILFS_TRY(parent_pointers(bucket, record->parent_pointers));
  if (record->parent_pointers) return {};
  record->parent_pointers = true;  // of a build that kept none, or made anew
  impl_.set_bucket(*record);
  return put(keys::bucket(bucket), encode_bucket(*record), kStoreScope);
}

}  // namespace pailfs
