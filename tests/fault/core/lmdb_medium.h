// A medium for the whole store, LMDB included: what LMDB writes to its real file is done to a file of the same path in
// an Env too, call by call, so that power cuts, kills and failures there hold for LMDB as for everything else. It
// stands between LMDB and the C library by defining the calls that LMDB changes files with. One medium at a time, one
// thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "io/env.h"
#include "io/fault_env.h"
#include "io/memory_env.h"

namespace pailfs::test {

// Everything below `directory` (a real directory, used for LMDB's files only) lives in `memory`.
class LmdbMedium : public Env {
 public:
  LmdbMedium(MemoryEnv& memory, std::string directory);
  ~LmdbMedium() override;

  FaultEnv& faults() { return faults_; }
  // How often a meta page was written before the pages it leads to were synced: never, if LMDB does what it says.
  uint64_t early_meta_pages() const { return early_meta_pages_; }

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return faults_.open(path, mode);
  }
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_dir(const std::string& path) override;
  Status sync_dir(const std::string& path) override { return faults_.sync_dir(path); }
  Result<std::vector<std::string>> list_dir(const std::string& path) override { return faults_.list_dir(path); }
  Result<bool> exists(const std::string& path) override { return faults_.exists(path); }
  Result<Space> space(const std::string& path) override { return faults_.space(path); }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override { return faults_.lock_file(path); }
  int64_t now() override { return memory_.now(); }
  int64_t monotonic() override { return memory_.monotonic(); }
  void random(std::span<char> out) override { memory_.random(out); }

  // What LMDB does, by the path that its descriptor has. Each returns 0 or an errno.
  bool has(const std::string& path) const { return path.starts_with(directory_); }
  int write(int fd, const std::string& path, uint64_t offset, std::string_view data, bool synchronous);
  int sync(const std::string& path);
  int allocate(const std::string& path, uint64_t length);

 private:
  Result<File*> file(const std::string& path);
  bool is_index(const std::string& path) const;
  void copy_out(const std::string& path);

  MemoryEnv& memory_;
  FaultEnv faults_;
  const std::string directory_;
  std::map<std::string, std::unique_ptr<File>> files_;  // open in faults_
  std::map<std::string, uint64_t> unsynced_;            // writes since the last sync, by path
  uint64_t early_meta_pages_ = 0;
};

}  // namespace pailfs::test
