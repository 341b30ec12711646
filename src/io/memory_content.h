// The bytes of one file of MemoryEnv, and the history between them and the medium. Not thread-safe: MemoryEnv locks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pailfs {

// What became of changes that no sync covered, when the power failed.
enum class Unsynced {
  kDrop,    // none reached the medium
  kKeep,    // all did
  kRandom,  // some did, as a seed decides
  kChosen,  // those that are named
};

// Sparse content. Room is counted in blocks: a block is present when it was written or reserved.
class MemoryContent {
 public:
  static constexpr uint64_t kBlockSize = 4096;
  static constexpr uint64_t kSectorSize = 512;  // what a medium writes whole or not at all

  // Copies share their blocks until one of them writes, and may then live on different threads.
  MemoryContent() = default;
  MemoryContent(const MemoryContent& other);
  MemoryContent& operator=(const MemoryContent& other) = delete;
  MemoryContent(MemoryContent&&) = default;
  MemoryContent& operator=(MemoryContent&&) = default;

  uint64_t size() const { return size_; }
  uint64_t blocks() const { return blocks_.size(); }
  size_t read(uint64_t offset, std::span<char> out) const;
  // Blocks in the range that have no room yet.
  uint64_t missing_blocks(uint64_t offset, uint64_t length) const;

  void write(uint64_t offset, std::string_view data);
  void reserve(uint64_t offset, uint64_t length);  // the size grows to cover the range
  void zero(uint64_t offset, uint64_t length);     // whole blocks lose their room; the size stays
  void resize(uint64_t size);
  // The written blocks (not those only reserved) in [begin, end), as block numbers.
  std::vector<uint64_t> written_blocks(uint64_t begin, uint64_t end) const;
  // Makes the blocks that touch [offset, offset + length), and the size, the same as in `from`.
  void copy_range(const MemoryContent& from, uint64_t offset, uint64_t length);
  // Takes their room from the blocks wholly inside the range that hold nothing but zeros.
  void release_zero_blocks(uint64_t offset, uint64_t length);

 private:
  // Written only by the content that `owner` names; another that shares the block makes its own first. So no block is
  // written while a second content may read it.
  struct Block {
    uint64_t owner = 0;
    std::string bytes;
  };
  std::string& writable(uint64_t block);
  static uint64_t new_owner();

  std::map<uint64_t, std::shared_ptr<Block>> blocks_;  // null: reserved, reads as zeros
  uint64_t size_ = 0;
  mutable uint64_t owner_ = new_owner();  // changes when blocks get shared
};

// What programs see (`current`), and what a power cut leaves of it.
class MemoryFileData {
 public:
  MemoryFileData() = default;
  explicit MemoryFileData(MemoryContent durable) : current_(durable), durable_(std::move(durable)) {}

  const MemoryContent& current() const { return current_; }
  void write(uint64_t offset, std::string_view data);
  void reserve(uint64_t offset, uint64_t length);
  void zero(uint64_t offset, uint64_t length);
  void resize(uint64_t size);
  void sync();
  uint64_t unsynced_changes() const { return pending_.size(); }

  // With kRandom each sector stops at a moment of its own in its history: later writes to a sector never land without
  // earlier ones, because a page cache writes the sector as it then is. The size does so too, on its own; so it may
  // cover sectors that did not land (zeros), or leave out sectors that did.
  // With kChosen, `landed` says it of each unsynced change, in order (those it is too short for did not land); what is
  // in a sector behind a change that did not land has not landed there either.
  MemoryContent after_crash(Unsynced unsynced, std::mt19937_64& random, const std::vector<bool>& landed = {}) const;

 private:
  struct Change {
    enum class Kind { kWrite, kReserve, kZero, kResize } kind;
    uint64_t offset = 0;
    uint64_t length = 0;
    std::string data;
    uint64_t size_after = 0;
  };
  // Applies what the change does to one sector.
  static void apply_to_sector(const Change& change, uint64_t sector, MemoryContent& content);
  std::map<uint64_t, std::vector<size_t>> sector_histories() const;
  MemoryContent with_chosen(const std::vector<bool>& landed) const;
  void record(Change change);

  MemoryContent current_;
  MemoryContent durable_;
  std::vector<Change> pending_;  // since the last sync, in order
};

}  // namespace pailfs
