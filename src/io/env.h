// The one seam between pailfs and the operating system: files, clocks, randomness. Every byte that reaches a disk, but
// for LMDB's own, goes through an Env, so that tests can record, lose, tear and fail it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

// An open file. Thread-safe: calls carry their offset. Closed by the destructor.
class File {
 public:
  virtual ~File() = default;

  // Reads up to out.size() bytes at `offset` (bytes); fewer only at the end of the file.
  virtual Result<size_t> read_at(uint64_t offset, std::span<char> out) = 0;
  // Writes all of `data` or fails. A short write of the system's is continued; EINTR is retried.
  virtual Status write_at(uint64_t offset, std::string_view data) = 0;
  // fdatasync(2): when it returns, data and size are on the medium. A failure is final: never retried by the callee.
  virtual Status sync_data() = 0;
  // fallocate(2) mode 0: [offset, offset+length) has blocks, the size grows to cover it. kNotSupported where the file
  // system below cannot.
  virtual Status allocate(uint64_t offset, uint64_t length) = 0;
  // fallocate(2) FALLOC_FL_PUNCH_HOLE | KEEP_SIZE. kNotSupported where the file system below cannot.
  virtual Status punch(uint64_t offset, uint64_t length) = 0;
  virtual Status truncate(uint64_t size) = 0;
  virtual Result<uint64_t> size() = 0;
  // Bytes of blocks in use (st_blocks * 512).
  virtual Result<uint64_t> allocated() = 0;
  // sync_file_range(2) SYNC_FILE_RANGE_WRITE: starts write-out without waiting. A hint; promises nothing.
  virtual void start_writeback(uint64_t offset, uint64_t length) = 0;
  // Tells the page cache that the range will not be read again soon. A hint.
  virtual void drop_cache(uint64_t offset, uint64_t length) = 0;
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist, and be no symbolic link
  kCreate,     // must not exist; mode 0600
};

// Held until destroyed; see Env::lock_file.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct Space {
  uint64_t total = 0;      // bytes of the file system that holds the path
  uint64_t available = 0;  // bytes that may still be written
};

class Env {
 public:
  virtual ~Env() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;    // a file or an empty directory
  virtual Status make_dir(const std::string& path) = 0;  // mode 0700
  // fsync of the directory itself: creations, renames and removals in it are on the medium afterwards.
  virtual Status sync_dir(const std::string& path) = 0;
  // Names in the directory, without . and .., sorted.
  virtual Result<std::vector<std::string>> list_dir(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<Space> space(const std::string& path) = 0;
  // An exclusive lock (flock) on the file, created if missing; writes this process's pid into it. kInUse, with the pid
  // of the holder in the message, when another process (or another Env user in this one) holds it.
  virtual Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) = 0;

  // Nanoseconds since 1970, by the clock that the kernel stamps files with (CLOCK_REALTIME_COARSE): what it stamps
  // after a call of ours must not look older.
  virtual int64_t now() = 0;
  virtual int64_t monotonic() = 0;               // CLOCK_MONOTONIC, nanoseconds
  virtual void random(std::span<char> out) = 0;  // cryptographically secure in the real one; never fails

  // Helpers on top.
  // The whole file; kTooBig when it holds more than `limit` bytes.
  Result<std::string> read_file(const std::string& path, size_t limit);
  // Writes `path` so that after a crash it holds either the old or the new content: temporary file, sync, rename,
  // sync_dir.
  Status replace_file(const std::string& path, std::string_view content);
  std::string random_bytes(size_t n);
};

// The operating system. One instance, never destroyed.
Env& posix_env();

}  // namespace pailfs
