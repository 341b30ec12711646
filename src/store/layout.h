// Where things are in a store's directory, and the steps of building its index anew (rebuild.cc).
#pragma once

#include <string>

#include "store/index_copy.h"
#include "store/keyring.h"
#include "store/store.h"

namespace pailfs {

inline std::string index_directory(const std::string& directory) { return directory + "/index"; }
inline std::string new_index_directory(const std::string& directory) { return index_directory(directory) + ".new"; }
inline std::string log_directory(const std::string& directory) { return directory + "/log"; }
inline std::string copy_directory(const std::string& directory) { return directory + "/index-copy"; }
inline std::string reserve_file(const std::string& directory) { return directory + "/reserve"; }
inline std::string lock_path(const std::string& directory) { return directory + "/lock"; }

// Builds index.new from the copy. kNotFound, kCorrupt: see IndexCopy::replay(). The store's lock is held.
Result<IndexCopy::Found> build_index(Env& env, const std::string& directory, const Keyring& keyring,
                                     std::string_view uuid, const Progress& progress);
// Puts index.new in the place of the index. Returns the directory that what was there is in now, empty if nothing was:
// index.old, or index.old.2 and so on where that is taken. Without `keep_old` there was nothing in it, and it goes.
Result<std::string> install_index(Env& env, const std::string& directory, bool keep_old);
// There is a copy, and LMDB's file is not there or empty: somebody removed it, or a crash came between the two renames.
Result<bool> index_is_lost(Env& env, const std::string& directory);

}  // namespace pailfs
