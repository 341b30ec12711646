// Copying the files of a store into a backup and back: what is there already and the same is not copied again.
#pragma once

#include <string>
#include <utility>

#include "io/env.h"
#include "store/store.h"

namespace pailfs {

// One file to copy: `length` bytes of it.
struct BackupItem {
  std::string name;  // below the directory, with a slash
  uint64_t length = 0;
};

class BackupCopier {
 public:
  // `keep_longer`: a segment of the target that is longer than its item stays; what it has more belongs to nothing, or
  // is all that is left of it.
  BackupCopier(Env& env, std::string from, std::string to, bool keep_longer, const Progress& progress)
      : env_(env), from_(std::move(from)), to_(std::move(to)), keep_longer_(keep_longer), progress_(progress) {}

  // Bytes of the item that are to be copied.
  Result<uint64_t> missing(const BackupItem& item);
  void expect(uint64_t bytes) { total_ += bytes; }
  Status copy(const BackupItem& item);
  uint64_t copied() const { return copied_; }

 private:
  Result<uint64_t> usable(const BackupItem& item);
  static Result<bool> same(File& ours, File& theirs, uint64_t length);
  static Status write(File& out, uint64_t at, std::string_view bytes);

  Env& env_;
  const std::string from_;
  const std::string to_;
  const bool keep_longer_;
  const Progress& progress_;
  uint64_t total_ = 0;
  uint64_t copied_ = 0;
};

}  // namespace pailfs
