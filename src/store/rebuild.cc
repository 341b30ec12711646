// Building the index anew from its copy. The log has what came after the copy's last checkpoint: opening the store
// replays it, as after a crash.
#include <fmt/format.h>

#include "base/logging.h"
#include "index/lmdb_index.h"
#include "store/index_copy.h"
#include "store/internal_keys.h"
#include "store/layout.h"
#include "store/superblock.h"

namespace pailfs {

namespace {

constexpr size_t kBatchChanges = 20'000;
constexpr size_t kBatchBytes = size_t{16} << 20;

// Removes a directory of plain files, if it is there.
Status remove_directory(Env& env, const std::string& path) {
  PAILFS_ASSIGN(const bool there, env.exists(path));
  if (!there) return {};
  PAILFS_ASSIGN(const auto names, env.list_dir(path));
  for (const std::string& name : names) PAILFS_TRY(env.remove(fmt::format("{}/{}", path, name)));
  return env.remove(path);
}

class Batches {
 public:
  explicit Batches(Index& index) : index_(index) {}
  Status add(std::vector<IndexChange> changes) {
    for (IndexChange& change : changes) {
      bytes_ += change.key.size() + (change.value ? change.value->size() : 0);
      batch_.push_back(std::move(change));
      if (batch_.size() >= kBatchChanges || bytes_ >= kBatchBytes) PAILFS_TRY(apply());
    }
    return {};
  }
  Status apply() {
    PAILFS_TRY(index_.apply(batch_));
    batch_.clear();
    bytes_ = 0;
    return {};
  }

 private:
  Index& index_;
  std::vector<IndexChange> batch_;
  size_t bytes_ = 0;
};

}  // namespace

Result<IndexCopy::Found> build_index(Env& env, const std::string& directory, const Keyring& keyring,
                                     std::string_view uuid, const Progress& progress) {
  const std::string made = index_directory(directory) + ".new";
  PAILFS_TRY(remove_directory(env, made));
  const IndexCopy copy(env, copy_directory(directory), keyring, std::string(uuid));
  const auto proceed = [&](uint64_t done, uint64_t total) -> Status {
    if (progress && !progress(done, total)) return interrupted();
    return {};
  };
  const auto build = [&]() -> Result<IndexCopy::Found> {
    PAILFS_TRY(env.make_dir(made));
    PAILFS_ASSIGN(const auto index, open_lmdb_index(made, {}));
    Batches batches(*index);
    PAILFS_ASSIGN(
        const IndexCopy::Found found,
        copy.replay([&](std::vector<IndexChange> changes) { return batches.add(std::move(changes)); }, proceed));
    // What the copy says of itself may be older than it is: the next run writes it anew.
    PAILFS_TRY(batches.add({{internal::key1(internal::kCopied), std::nullopt}}));
    PAILFS_TRY(batches.apply());
    return found;
  };
  auto found = build();
  if (!found) {
    (void)remove_directory(env, made);
    return found;
  }
  PAILFS_TRY(env.sync_dir(made));
  return found;
}

Result<std::string> install_index(Env& env, const std::string& directory, bool keep_old) {
  const std::string place = index_directory(directory);
  std::string old;
  PAILFS_ASSIGN(const bool there, env.exists(place));
  if (!keep_old) {
    PAILFS_TRY(remove_directory(env, place));
  } else if (there) {
    // What was kept once is worth more than what was built since, which may be what takes its place now.
    old = place + ".old";
    for (int number = 2;; ++number) {
      PAILFS_ASSIGN(const bool taken, env.exists(old));
      if (!taken) break;
      old = fmt::format("{}.old.{}", place, number);
    }
    PAILFS_TRY(env.rename(place, old));
  }
  PAILFS_TRY(env.rename(new_index_directory(directory), place));
  PAILFS_TRY(env.sync_dir(directory));
  return old;
}

Result<bool> index_is_lost(Env& env, const std::string& directory) {
  const std::string data = index_directory(directory) + "/data.mdb";
  PAILFS_ASSIGN(const bool index, env.exists(data));
  if (index) {
    // LMDB takes an empty file for a new index. There is no copy before the first pages are on the disk.
    PAILFS_ASSIGN(const auto file, env.open(data, OpenMode::kRead));
    PAILFS_ASSIGN(const uint64_t size, file->size());
    if (size > 0) return false;
  }
  PAILFS_ASSIGN(const bool copy, env.exists(copy_directory(directory)));
  if (!copy) return false;
  PAILFS_ASSIGN(const auto names, env.list_dir(copy_directory(directory)));
  return !names.empty();
}

Status Store::build_new_index(Env& env, const std::string& directory, const UnlockSecret& secret,
                              const Progress& progress) {
  PAILFS_ASSIGN(const Superblock superblock, read_superblock(env, directory));
  PAILFS_ASSIGN(const std::string id, uuid_bytes(superblock.uuid));
  PAILFS_ASSIGN(const auto lock, env.lock_file(lock_path(directory)));
  PAILFS_ASSIGN(const auto keyring, Keyring::unlock(env, directory, id, secret, true));
  auto built = build_index(env, directory, *keyring, id, progress);
  if (!built) return std::unexpected(std::move(built).error());
  return {};
}

Status Store::install_new_index(Env& env, const std::string& directory) {
  PAILFS_ASSIGN(const auto lock, env.lock_file(lock_path(directory)));
  PAILFS_TRY(install_index(env, directory, true));
  return {};
}

Status Store::discard_new_index(Env& env, const std::string& directory) {
  PAILFS_ASSIGN(const auto lock, env.lock_file(lock_path(directory)));
  return remove_directory(env, new_index_directory(directory));
}

Result<RebuildReport> Store::rebuild_index(Env& env, const std::string& directory, const UnlockSecret& secret,
                                           const Progress& progress) {
  RebuildReport report;
  {
    PAILFS_ASSIGN(const Superblock superblock, read_superblock(env, directory));
    PAILFS_ASSIGN(const std::string id, uuid_bytes(superblock.uuid));
    PAILFS_ASSIGN(const auto lock, env.lock_file(lock_path(directory)));
    PAILFS_ASSIGN(const auto keyring, Keyring::unlock(env, directory, id, secret));
    PAILFS_ASSIGN(const IndexCopy::Found found, build_index(env, directory, *keyring, id, progress));
    report.entries = found.entries;
    report.bytes = found.bytes;
    PAILFS_ASSIGN(report.old_index, install_index(env, directory, true));
  }
  StoreOptions options;
  options.background = false;
  auto opened = open(env, directory, secret, options);
  if (!opened) {
    const std::string why = opened.error().message;
    return fail(opened.error().code,
                fmt::format("the index was built anew, but the log does not follow on it: {}{}", why,
                            report.old_index.empty() ? "" : "; the index that was there is in " + report.old_index));
  }
  report.frames = (*opened)->status().recovery.frames;
  PAILFS_TRY((*opened)->close());
  return report;
}

}  // namespace pailfs
