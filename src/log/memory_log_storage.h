// Segments in memory, for tests and for trying things out: with a size limit, with or without reserving, and with
// access to the bytes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "log/log_storage.h"

namespace pailfs {

class MemoryLogStorage : public LogStorage {
 public:
  static constexpr uint64_t kUnlimited = ~uint64_t{0};

  MemoryLogStorage();
  ~MemoryLogStorage() override;

  Result<std::unique_ptr<SegmentWriter>> create(uint64_t id) override;
  Result<size_t> read(uint64_t id, uint64_t offset, std::span<char> out) override;
  Status seal(uint64_t id, uint64_t length) override;
  Status sync(uint64_t id) override;
  Status punch(uint64_t id, uint64_t offset, uint64_t length) override;
  Status remove(uint64_t id) override;
  Result<std::vector<uint64_t>> list() override;
  Result<uint64_t> size(uint64_t id) override;
  Result<uint64_t> allocated(uint64_t id) override;

  // Bytes that all segments together may hold, room included; growing beyond fails with kNoSpace. Writes inside a
  // segment's size never fail.
  void set_capacity(uint64_t bytes);
  // False: reserve() succeeds and guarantees nothing, as on a file system without fallocate.
  void set_can_reserve(bool can);

  // The bytes of all segments, and the way back: what a test keeps of a moment, damages and starts from.
  using Image = std::map<uint64_t, std::string>;
  Image image() const;
  void restore(const Image& image);

 private:
  struct Medium;
  class Writer;
  const std::shared_ptr<Medium> medium_;  // writers may outlive the storage
};

}  // namespace pailfs
