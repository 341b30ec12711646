// Where segments live. Narrow on purpose: append to an object, read a range, seal, delete. Files in a directory now,
// RADOS objects later. tests/contract/log runs on every implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
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
  // Room may read as zeros before it is written.
  virtual Status reserve(uint64_t end) = 0;
  // All of `data` or a failure, after which the range holds anything. kNoSpace or kQuota: later writes may succeed.
  virtual Status write_at(uint64_t offset, std::string_view data) = 0;
  virtual void start_writeback(uint64_t offset, uint64_t length) = 0;
  virtual Status sync() = 0;  // data and size durable; failure is final
};

// Thread-safe. Calls on a segment that is not there return kNotFound.
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
  // For recovery: what an earlier process wrote to the segment and this one can read is durable afterwards, and later
  // reads show what the medium holds, not copies of pages whose write-out failed.
  virtual Status sync(uint64_t id) = 0;
  // Gives the whole 4096-byte blocks inside [offset, offset + length) back to the medium; they read as zeros
  // afterwards. kNotSupported where the medium cannot.
  virtual Status punch(uint64_t id, uint64_t offset, uint64_t length) = 0;
  // Durable when it returns. A read under way still sees the segment. kNotFound if there is none.
  virtual Status remove(uint64_t id) = 0;
  virtual Result<std::vector<uint64_t>> list() = 0;     // ascending
  virtual Result<uint64_t> size(uint64_t id) = 0;       // bytes, holes and room reserved included
  virtual Result<uint64_t> allocated(uint64_t id) = 0;  // bytes that the segment occupies on the medium
};

// The name of a segment on the medium and in messages: 16 lower-case hex digits and ".seg".
std::string segment_name(uint64_t id);
// The id in such a name; 0 for any other name.
uint64_t parse_segment_name(std::string_view name);

class Env;
// Segments as files in `directory`, which exists, through `env`. Other names in the directory are left alone.
std::unique_ptr<LogStorage> make_file_log_storage(Env& env, std::string directory);

}  // namespace pailfs
