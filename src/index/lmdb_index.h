// The index on LMDB (one environment, one unnamed database, no DUPSORT, MDB_NOTLS | MDB_NORDAHEAD, durable commits).
#pragma once

#include "index/index.h"
#include "io/env.h"

namespace pailfs {

struct LmdbOptions {
  // Address space reserved at first (bytes); grown by doubling when 75 % is used, with all snapshots drained.
  uint64_t map_size = uint64_t{1} << 38;
  unsigned max_snapshots = 512;  // concurrent snapshots; more of them wait
};

// Opens or creates the environment in `directory` (which must exist). Needs a directory on a local file system; the
// caller holds the store's lock, so that no other process has it open. Syncs the directory after creating files.
Result<std::unique_ptr<Index>> open_lmdb_index(const std::string& directory, const LmdbOptions& options);

}  // namespace pailfs
