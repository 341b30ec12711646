// The index on LMDB (one environment, one unnamed database, no DUPSORT, MDB_NOTLS | MDB_NORDAHEAD, durable commits).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "index/index.h"

namespace pailfs {

struct LmdbOptions {
  // Address space reserved at first (bytes); less where the process may not have as much (RLIMIT_AS), more where the
  // file is larger. Grown by doubling when 75 % is used, with all snapshots drained.
  uint64_t map_size = uint64_t{1} << 38;
  unsigned max_snapshots = 512;  // concurrent snapshots; more of them wait
};

// Opens or creates the environment in `directory` (which must exist). Needs a directory on a local file system; the
// caller holds the store's lock, so that no other process has it open, and opens it once in this process, after any
// fork. Syncs the directory after creating files. Descriptors 0 to 2 must be open (LMDB would get one of them, and what
// others print would land in the index). End all snapshots before the index; one that outlives it keeps the file open.
// kCorrupt: the file is damaged, or not an index.
Result<std::unique_ptr<Index>> open_lmdb_index(const std::string& directory, const LmdbOptions& options);

}  // namespace pailfs
