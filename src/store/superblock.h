// The superblock: the file STORE/pailfs.store, JSON that an administrator may read. Written once, never secret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/env.h"

namespace pailfs {

inline constexpr int kFormat = 1;

struct Superblock {
  int format = kFormat;
  std::string uuid;     // 8-4-4-4-12 hex digits
  int64_t created = 0;  // ns since 1970
  int64_t taken = 0;    // of a backup: when the last one was finished, ns since 1970; 0: none was
  // Of a backup that was finished; nothing in those of older builds.
  std::string id = {};        // a UUID, which the store takes note of
  uint64_t sequence = 0;      // of the last transaction
  uint64_t last_segment = 0;  // where the log ends
  uint64_t last_offset = 0;
  bool listed = false;  // its files are in a list (backup_files.h)
};

// kNotFound: no store there; kTooNew: made by a newer pailfs (the message names both formats); kCorrupt: not readable.
Result<Superblock> read_superblock(Env& env, const std::string& directory);
Status write_superblock(Env& env, const std::string& directory, const Superblock& superblock);
// The same file while a store is being made: whoever finds it may begin anew.
Status write_unfinished(Env& env, const std::string& directory);
Result<bool> is_unfinished(Env& env, const std::string& directory);
// The same file in a backup, so that it is not taken for a store. kNotFound: no backup there.
Result<Superblock> read_backup_marker(Env& env, const std::string& directory);
Status write_backup_marker(Env& env, const std::string& directory, const Superblock& superblock);

// What the directory holds, but for what is left of a superblock that was cut off while it was written.
Result<std::vector<std::string>> list_store(Env& env, const std::string& directory);

// A random UUID (RFC 9562, version 4) as text, and the 16 bytes behind the text.
std::string make_uuid(Env& env);
Result<std::string> uuid_bytes(std::string_view text);

}  // namespace pailfs
