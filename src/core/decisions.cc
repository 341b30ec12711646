#include "core/decisions.h"

namespace pailfs {

size_t Decisions::Hash::operator()(const Key& key) const {
  uint64_t hash = key.ino * 0x9E3779B97F4A7C15u;
  hash = (hash ^ hash >> 29 ^ key.principal) * 0xBF58476D1CE4E5B9u;
  hash ^= uint64_t{key.uid} << 32 ^ key.gid;
  hash = (hash ^ hash >> 32) * 0x94D049BB133111EBu;
  hash ^= static_cast<uint64_t>(key.about) << 24 ^ static_cast<uint64_t>(key.action) << 16 ^
          static_cast<uint64_t>(key.need) << 8 ^ static_cast<uint64_t>(key.door);
  return (hash ^ hash >> 31) * 0x9E3779B97F4A7C15u >> 7;
}

Decisions::Moment Decisions::begin(Ino ino) const {
  return {everything_.load(std::memory_order_acquire), names_[ino % kNames].load(std::memory_order_acquire)};
}

std::optional<uint8_t> Decisions::find(const Key& key) const {
  const Shard& shard = shards_[Hash()(key) % kShards];
  Kept kept;
  {
    MutexLock lock(shard.mutex);
    const auto found = shard.kept.find(key);
    if (found == shard.kept.end()) return std::nullopt;
    kept = found->second;
  }
  if (kept.begun != begin(key.ino)) return std::nullopt;
  return kept.decision;
}

void Decisions::keep(const Key& key, Moment begun, uint8_t decision) {
  if (begun != begin(key.ino)) return;
  Shard& shard = shards_[Hash()(key) % kShards];
  MutexLock lock(shard.mutex);
  if (shard.kept.size() >= kPerShard) shard.kept.clear();
  shard.kept[key] = {begun, decision};
}

}  // namespace pailfs
