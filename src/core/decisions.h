// Decisions of policies that are asked for again and again: what was decided about an inode for a principal, until a
// policy, an identity or a name changes. Nothing is kept that depends on the time or on the caller's program.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/mutex.h"
#include "core/gate.h"
#include "core/types.h"

namespace pailfs {

class Decisions {
 public:
  enum class About : uint8_t {
    kListing,   // to list the directory
    kChildren,  // the action, on whatever may be in the directory
    kObject,    // the request as a whole, which names the inode alone
  };
  struct Key {
    Ino ino = 0;
    uint64_t principal = 0;  // Principal::serial
    uint32_t uid = 0, gid = 0;
    About about = About::kListing;
    Action action = Action::kListBucket;
    Need need = Need::kNothing;
    Door door = Door::kFuse;
    bool operator==(const Key&) const = default;
  };
  // When a decision was begun: it is not kept if something changed meanwhile.
  struct Moment {
    uint64_t everything = 0;
    uint64_t names = 0;  // of the inode
    bool operator==(const Moment&) const = default;
  };

  Moment begin(Ino ino) const;
  std::optional<uint8_t> find(const Key& key) const;
  void keep(const Key& key, Moment begun, uint8_t decision);

  // Before the answer to who changed it: a policy, an identity, the place of a directory.
  void everything_changed() { everything_.fetch_add(1, std::memory_order_acq_rel); }
  // An inode got a name, or lost one.
  void names_changed(Ino ino) { names_of(ino).fetch_add(1, std::memory_order_acq_rel); }

 private:
  static constexpr size_t kShards = 16, kPerShard = 8192, kNames = 4096;
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  struct Kept {
    Moment begun;
    uint8_t decision = 0;
  };
  struct Shard {
    mutable Mutex mutex;
    std::unordered_map<Key, Kept, Hash> kept GUARDED_BY(mutex);
  };
  std::atomic<uint64_t>& names_of(Ino ino) { return names_[ino % kNames]; }

  std::array<Shard, kShards> shards_;
  std::array<std::atomic<uint64_t>, kNames> names_{};  // shared by the inodes that have the place
  std::atomic<uint64_t> everything_ = 0;
};

}  // namespace pailfs
