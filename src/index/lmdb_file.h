// What must hold of an LMDB data file before LMDB may open it: the library trusts the page size and the roots that the
// file names, and would divide by zero or read beyond its map where they are damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace pailfs {

// What a meta page says of one of the two trees of the file.
struct LmdbTree {
  uint64_t depth = 0;
  uint64_t branch_pages = 0;
  uint64_t leaf_pages = 0;
  uint64_t overflow_pages = 0;
  uint64_t entries = 0;
  uint64_t root = 0;
};

struct LmdbMeta {
  uint32_t page_size = 0;
  uint64_t last_page = 0;
  uint64_t transaction = 0;
  LmdbTree free_tree;  // lists of free pages
  LmdbTree main_tree;
};

// Checks the two meta pages of `path` (format of LMDB 0.9: mdb.c, MDB_page and MDB_meta). Success also for a file that
// is missing or empty, which LMDB creates. kCorrupt when it is damaged or something else. Returns the one that LMDB
// goes by, nullopt where there is none yet. Call it before the file is opened by LMDB only: closing a descriptor would
// drop this process's locks on the file.
Result<std::optional<LmdbMeta>> check_lmdb_file(const std::string& path);

// Makes the open data file `descriptor` as long as its meta pages say (`size` bytes). LMDB may leave free pages at the
// end unwritten, so a shorter file need not be damaged; but where it is, a read of the missing part would be a SIGBUS,
// and behind this call it is a page of zeros, which LMDB reports as damage.
Status extend_lmdb_file(int descriptor, uint64_t size, const std::string& path);

}  // namespace pailfs
