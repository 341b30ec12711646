#include "core/file_paths.h"

#include <fmt/format.h>

#include "core/path.h"
#include "core/scan.h"
#include "core/verify.h"

namespace pailfs {

namespace {

constexpr int kMaxDepth = 4096;  // damage can make circles

}  // namespace

// Live names first: one that an inode had counts only where it has none.
void FilePaths::look_in(Scope bucket, const std::set<Ino>& wanted) {
  for (const char kind : {'d', 'h'}) {
    // What cannot be read here is a finding of its own.
    static_cast<void>(scan_range(core_.store, bucket, kind_begin(kind, bucket), kind_end(kind, bucket),
                                 [&](const StoreView::Entry& entry) -> Result<bool> {
                                   Ino ino = 0;
                                   Name name{ino_of_key(entry.key), {}, kind == 'h'};
                                   if (kind == 'd') {
                                     PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry.value));
                                     ino = dirent.ino;
                                     name.name = std::move(dirent.name);
                                   } else {
                                     PAILFS_ASSIGN(EndedDirent ended, decode_ended(entry.value));
                                     ino = ended.ino;
                                     name.name = ended.name + " (deleted)";
                                   }
                                   if (!wanted.contains(ino)) return true;
                                   std::vector<Name>& names = names_[ino];
                                   if (kind == 'd' ? names.size() < kMaxNames : names.empty())
                                     names.push_back(std::move(name));
                                   return true;
                                 }));
  }
}

void FilePaths::look_for(const std::set<Ino>& inodes) {
  std::map<Scope, std::set<Ino>> wanted;
  for (const Ino ino : inodes) {
    const Scope bucket = bucket_of(ino);
    if (ino == 0 || bucket == kStoreScope || ino == bucket_root(bucket) || !core_.store.has_scope(bucket)) continue;
    const auto record = core_.bucket_record(bucket);
    const auto known =
        record && record->parent_pointers ? core_.names_of(ino) : Result<std::vector<Core::Impl::Name>>();
    for (const Core::Impl::Name& name : known.value_or(std::vector<Core::Impl::Name>())) {
      if (names_[ino].size() < kMaxNames) names_[ino].push_back({name.parent, name.name, false});
    }
    if (names_[ino].empty()) wanted[bucket].insert(ino);
  }
  for (const auto& [bucket, of_bucket] : wanted) {
    look_in(bucket, of_bucket);
  }
}

const std::vector<FilePaths::Name>& FilePaths::names_of(Ino ino) const {
  static const std::vector<Name> kNone;
  const auto found = names_.find(ino);
  return found == names_.end() ? kNone : found->second;
}

std::vector<std::string> FilePaths::paths_of(Ino ino) {
  std::vector<std::string> paths;
  for (const Name& name : names_of(ino)) paths.push_back(path(name.parent, name.name));
  if (paths.empty()) paths.push_back(directory(ino));
  return paths;
}

std::string FilePaths::path(Ino parent, const std::string& name) {
  std::string path = directory(parent);
  directories_.emplace(parent, path);
  add_name(path, name);
  return path;
}

std::string FilePaths::name_in(Ino parent, Ino ino) {
  if (auto known = core_.names_of(ino); known && !known->empty()) return std::move(known->front().name);
  std::string name = fmt::format("inode {}", ino);
  static_cast<void>(scan_range(core_.store, bucket_of(ino), keys::dirent(parent, 0), keys::dirent(parent + 1, 0),
                               [&](const StoreView::Entry& entry) -> Result<bool> {
                                 PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry.value));
                                 if (dirent.ino != ino) return true;
                                 name = std::move(dirent.name);
                                 return false;
                               }));
  return name;
}

std::string FilePaths::directory(Ino ino) {
  std::vector<std::string> names;
  for (int depth = 0; ino != 0 && ino != kRootIno && depth < kMaxDepth; ++depth) {
    if (const auto known = directories_.find(ino); known != directories_.end()) {
      names.push_back(known->second);
      break;
    }
    if (ino == bucket_root(bucket_of(ino))) {
      const auto bucket = core_.bucket_record(bucket_of(ino));
      names.push_back(bucket ? bucket->name : fmt::format("bucket {}", bucket_of(ino)));
      break;
    }
    const auto value = core_.store.get(bucket_of(ino), keys::inode(ino));
    const auto record = value && *value ? decode_inode(**value) : Result<InodeRecord>(fail(Code::kNotFound, ""));
    const Ino parent = record ? record->parent : 0;
    names.push_back(parent != 0 ? name_in(parent, ino) : fmt::format("inode {}", ino));
    ino = parent;
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) add_name(path, *name);
  return path;
}

}  // namespace pailfs
