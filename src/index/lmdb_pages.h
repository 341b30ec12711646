// The pages of an LMDB file, looked at without LMDB: it has no checksums, trusts what its pages say, and reads and
// writes wherever damaged ones lead it. What passes here it can be given. What the keys and values are is not looked
// at.
#pragma once

#include <string>

#include "base/error.h"
#include "index/lmdb_file.h"

namespace pailfs {

// Walks the free list and the database of the newest state: every page is of the kind that it should be, is used once,
// and holds whole entries; keys are in order and where a search looks for them; the counts agree. kCorrupt names the
// file and the page. Reads all that is in use, in about the order of the file.
Status check_lmdb_pages(const std::string& path, const LmdbMeta& meta);

}  // namespace pailfs
