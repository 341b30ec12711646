// What keeps a backup from taking the place of a better one: the store is damaged, or the backup has changes that it
// has not. Only looks; neither the store nor the backup is changed.
#pragma once

#include <map>
#include <set>
#include <string>

#include "log/format.h"
#include "store/backup_files.h"
#include "store/impl.h"
#include "store/superblock.h"

namespace pailfs {

class BackupGuard {
 public:
  // `end`: of what is on the medium now. The caller holds the store's reclaim_mutex while it uses this: no segment
  // goes.
  BackupGuard(const Store::Impl& store, const BackupPlace& target, Position end, const BackupRequest& request);

  // Reads the headers of all segments. First.
  Status look();
  // kExists: the backup, of which `found` is the marker, has changes that the store as of `sequence` has not.
  Status has_all_of(const Superblock& found, uint64_t sequence) const;
  // kCorrupt: content lies in a segment of the store that is missing, too short or does not verify. `finished`: the
  // target holds a backup, and segments that it has not are not asked for.
  Status is_whole(bool finished) const;
  // kCorrupt: content is lost in the store, and the backup has segments that the store has rewritten.
  Status loses_nothing() const;

 private:
  struct Segment {
    Salt salt{};
    int64_t created = 0;
    uint64_t size = 0;  // of the file
    uint64_t end = 0;   // where the stream in it ends
  };
  using Segments = std::map<uint64_t, Segment>;

  Status look_at_target();
  Result<bool> knows(const Superblock& found) const;
  Result<std::map<uint64_t, uint64_t>> doubtful(bool finished) const;
  Status moved_is_there() const;
  bool is_removed(uint64_t segment) const;
  std::unexpected<Error> newer(const Superblock& found, uint64_t sequence, const std::string& why) const;
  std::unexpected<Error> damaged(uint64_t segment, uint64_t wanted, const std::string& what) const;

  const Store::Impl& store_;
  Env& target_env_;
  const std::string target_;
  const Position end_;
  const BackupRequest& request_;
  const LogKeys keys_;
  Segments ours_;
  Segments theirs_;                         // those whose headers verify
  std::set<uint64_t> names_;                // of segments in the target
  std::map<uint64_t, std::string> broken_;  // ours that do not verify, and why
};

}  // namespace pailfs
