// Where segments live. Narrow on purpose: append to an object, read a range, seal, delete. Files in a directory now,
// RADOS objects later. tests/contract/log runs on every implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace pailfs {

// One segment that is open for appending. Thread-safe.
class SegmentWriter {
 public:
  virtual ~SegmentWriter() = default;
  // Guarantees room for [0, end) where the medium can (no later write below `end` fails for want of space).
  // kNoSpace or kQuota: nothing changed, and writing below the last successful reserve() still works.
  virtual Status reserve(uint64_t end) = 0;
  virtual Status write_at(uint64_t offset, std::string_view data) = 0;
  virtual void start_writeback(uint64_t offset, uint64_t length) = 0;
  virtual Status sync() = 0;  // data and size durable; failure is final
};

class LogStorage {
 public:
  virtual ~LogStorage() = default;
  // Creates segment `id`; its name is durable when this returns. kExists if there is one.
  virtual Result<std::unique_ptr<SegmentWriter>> create(uint64_t id) = 0;
  // Bytes read: fewer than out.size() only at the end of the segment. kNotFound if there is no such segment.
  // Keeps a bounded number of segments open.
  virtual Result<size_t> read(uint64_t id, uint64_t offset, std::span<char> out) = 0;
  // No more appends: gives back room beyond `length` (bytes).
  virtual Status seal(uint64_t id, uint64_t length) = 0;
  // Gives the whole 4096-byte blocks inside [offset, offset + length) back to the medium; they read as zeros
  // afterwards. kNotSupported where the medium cannot.
  virtual Status punch(uint64_t id, uint64_t offset, uint64_t length) = 0;
  virtual Status remove(uint64_t id) = 0;
  virtual Result<std::vector<uint64_t>> list() = 0;     // ascending
  virtual Result<uint64_t> size(uint64_t id) = 0;       // bytes, holes and room reserved included
  virtual Result<uint64_t> allocated(uint64_t id) = 0;  // bytes that the segment occupies on the medium
};

class Env;
// Segments as files `<16 hex digits>.seg` in `directory`, through `env`.
std::unique_ptr<LogStorage> make_file_log_storage(Env& env, std::string directory);

}  // namespace pailfs
