// The index: an ordered map from byte keys to byte values, durable, with atomic batches and snapshots. Narrow on
// purpose: LMDB implements it now, PostgreSQL can later. tests/contract/index runs on every implementation. Keys: 1 to
// 511 bytes, compared as unsigned bytes. Values: 0 bytes to 1 MiB; below 1.9 KiB is what LMDB likes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

inline constexpr size_t kMaxIndexKey = 511;                // bytes
inline constexpr size_t kMaxIndexValue = size_t{1} << 20;  // bytes
// What one apply() takes at most: it keeps an LMDB transaction below the size at which it spills dirty pages. Callers
// split far earlier (20,000 changes are a good batch).
inline constexpr size_t kMaxBatchChanges = 50'000;
inline constexpr size_t kMaxBatchBytes = size_t{64} << 20;  // keys and values

// One change of a batch: value, or nullopt to delete (deleting what is not there is no error).
struct IndexChange {
  std::string key;
  std::optional<std::string> value;
};

// A consistent view of the index. Cheap to make; hold it for less than a second (it keeps old pages alive). Used by one
// thread at a time. Views that get() and seek() return are valid until the next call on the snapshot or its end.
// A thread that holds one asks for no second one and applies no batch: while the index makes room, new snapshots and
// the batch wait until the old snapshots have ended.
class IndexSnapshot {
 public:
  virtual ~IndexSnapshot() = default;
  virtual Result<std::optional<std::string_view>> get(std::string_view key) = 0;
  struct Entry {
    std::string_view key;
    std::string_view value;
  };
  // The first entry with key >= `from`; nullopt at the end.
  virtual Result<std::optional<Entry>> seek(std::string_view from) = 0;
  // The entry after the one that the last seek() or next() returned; nullopt when that returned none.
  virtual Result<std::optional<Entry>> next() = 0;
  // The last entry with key < `before`; nullopt if there is none. Does not move the position of next().
  virtual Result<std::optional<Entry>> last_before(std::string_view before) = 0;
};

struct IndexStats {
  uint64_t entries = 0;
  uint64_t used_bytes = 0;  // pages in use
  uint64_t file_bytes = 0;  // size of the file
  uint64_t map_bytes = 0;   // address space reserved for the file; 0 where there is no such thing
};

class Index {
 public:
  virtual ~Index() = default;
  virtual Result<std::unique_ptr<IndexSnapshot>> snapshot() = 0;
  // Applies all changes or none, durably: after success they survive a power cut. Of several changes of one key the
  // last one counts. One caller at a time. kNoSpace (also for a quota): nothing was applied, the same batch may be
  // applied again later. kInvalid: the batch breaks the limits above, nothing was applied. Any other error is final:
  // the index refuses further batches until it is opened anew, and goes on answering snapshots.
  virtual Status apply(const std::vector<IndexChange>& changes) = 0;
  virtual Result<IndexStats> stats() = 0;
};

// What apply() checks first: kInvalid, naming the offending change, when a limit above is broken.
Status check_batch(const std::vector<IndexChange>& changes);

}  // namespace pailfs
