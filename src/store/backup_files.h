// Copying the files of a store into a backup and back: what is there already and the same is not copied again.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/env.h"
#include "store/store.h"
#include "store/superblock.h"

namespace pailfs {

// One file to copy: `length` bytes of it.
struct BackupItem {
  std::string name;  // below the directory, with a slash
  uint64_t length = 0;
};

// The files of a finished backup, how much of each belongs to it, and its keyring: TARGET/files.ID, JSON. What lies
// beside them or behind them is of a further backup that was cut off.
struct BackupList {
  std::map<std::string, uint64_t> files;  // by name
  std::string keyring;
};
Status write_backup_list(Env& env, const std::string& target, const std::string& id, const BackupList& list);
// kNotFound, kCorrupt.
Result<BackupList> read_backup_list(Env& env, const std::string& target, const std::string& id);
// Of those that older backups have, and others that never came to be finished.
Status remove_other_lists(Env& env, const std::string& target, const std::string& id);

// Whether a backup may have made a file of this name in its log or index-copy.
bool is_backup_name(std::string_view name);

// Where files are, and what they are reached through.
struct BackupPlace {
  Env& env;
  std::string directory;
};

class BackupCopier {
 public:
  // `earlier`: the list of the backup that the target holds, all of which is on the medium. Of other files there only
  // whole ones are known to be. `keep_longer`: a segment of the target that is longer than its item stays; what it has
  // more belongs to nothing, or is all that is left of it.
  BackupCopier(BackupPlace from, BackupPlace to, BackupList earlier, bool keep_longer, Progress progress)
      : from_(std::move(from)),
        to_(std::move(to)),
        earlier_(std::move(earlier)),
        keep_longer_(keep_longer),
        progress_(std::move(progress)) {}

  // Bytes of the item that are to be copied.
  Result<uint64_t> missing(const BackupItem& item);
  void expect(uint64_t bytes) { total_ += bytes; }
  Status copy(const BackupItem& item);
  uint64_t copied() const { return copied_; }

 private:
  Result<uint64_t> usable(const BackupItem& item);
  uint64_t on_medium(const BackupItem& item, uint64_t size) const;
  static Result<bool> same(File& ours, File& theirs, uint64_t length);
  static Status write(File& out, uint64_t at, std::string_view bytes);

  const BackupPlace from_;
  const BackupPlace to_;
  const BackupList earlier_;
  const bool keep_longer_;
  const Progress progress_;
  uint64_t total_ = 0;
  uint64_t copied_ = 0;
};

}  // namespace pailfs
