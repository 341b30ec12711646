#include "core/object_keys.h"

#include <sys/stat.h>

#include "core/path.h"
#include "core/scan.h"

namespace pailfs {

namespace {

constexpr size_t kPathBytes = size_t{16} << 20;
constexpr size_t kMaxDepth = 65536;  // damage can make circles

}  // namespace

std::string ObjectKeys::bucket_name(Scope bucket) const {
  const auto record = core_.bucket_record(bucket);
  return record ? record->name : std::string();
}

Result<ObjectKeys::Step> ObjectKeys::step_up(Ino directory) const {
  PAILFS_ASSIGN(auto names, core_.names_of(directory));
  if (!names.empty()) return Step{names.front().parent, std::move(names.front().name)};
  const Scope scope = bucket_of(directory);
  PAILFS_ASSIGN(const auto value, core_.store.get(scope, keys::inode(directory)));
  if (!value) return fail(Code::kNotFound, "no such directory");
  PAILFS_ASSIGN(const InodeRecord record, decode_inode(*value));
  if (record.nlink > 0) return fail(Code::kCorrupt, "a directory that does not know its name: run 'pail repair'");
  Step last{record.parent, {}};
  if (record.parent == 0) return fail(Code::kNotFound, "a directory without a path");
  Stamp until = 0;
  PAILFS_TRY(scan_prefix(core_.store, scope, keys::numbered('h', record.parent),
                         [&](const StoreView::Entry& entry) -> Result<bool> {
                           PAILFS_ASSIGN(EndedDirent ended, decode_ended(entry.value));
                           if (ended.ino != directory || ended.end < until) return true;
                           until = ended.end;
                           last.name = std::move(ended.name);
                           return true;
                         }));
  if (last.name.empty()) return fail(Code::kNotFound, "a directory without a path");
  return last;
}

Result<std::string> ObjectKeys::path_of(Ino directory) const {
  uint64_t moves = 0;
  std::vector<std::string> names;
  std::string path;
  {
    MutexLock lock(mutex_);
    moves = moves_;
  }
  Ino at = directory;
  for (; at != bucket_root(bucket_of(at));) {
    {
      MutexLock lock(mutex_);
      const auto known = moves == moves_ ? paths_.find(at) : paths_.end();
      if (known != paths_.end()) {
        path = known->second;
        break;
      }
    }
    PAILFS_ASSIGN(Step up, step_up(at));
    names.push_back(std::move(up.name));
    at = up.parent;
    if (names.size() > kMaxDepth) return fail(Code::kCorrupt, "directories lead to each other in a circle");
  }
  for (auto name = names.rbegin(); name != names.rend(); ++name) add_name(path, *name);
  MutexLock lock(mutex_);
  // What was read before a rename and is written down after it would stay wrong.
  if (moves == moves_ && !names.empty() && path.size() <= kLongestPath) {
    constexpr size_t kEntry = 128;  // what else an entry takes
    if (path_bytes_ >= kPathBytes) {
      paths_.clear();
      path_bytes_ = 0;
    }
    if (paths_.try_emplace(directory, path).second) path_bytes_ += path.size() + kEntry;
  }
  return path;
}

Result<std::vector<std::string>> ObjectKeys::keys_of(Ino ino) const {
  std::vector<std::string> keys;
  PAILFS_ASSIGN(const auto names, core_.names_of(ino));
  for (const Core::Impl::Name& name : names) {
    PAILFS_ASSIGN(std::string path, path_of(name.parent));
    add_name(path, name.name);
    keys.push_back(std::move(path));
  }
  return keys;
}

Result<ObjectKeys::Named> ObjectKeys::find(Ino directory, std::string_view name) const {
  PAILFS_ASSIGN(const auto found, core_.find(directory, name));
  return found ? Named{found->entry.ino, S_ISDIR(found->entry.type)} : Named();
}

Time ObjectKeys::now() const { return core_.now(); }
Time ObjectKeys::monotonic() const { return core_.store.env().monotonic(); }

void ObjectKeys::directory_moved() {
  MutexLock lock(mutex_);
  ++moves_;
  paths_.clear();
  path_bytes_ = 0;
  core_.policy_gate->decisions().everything_changed();
}

}  // namespace pailfs
