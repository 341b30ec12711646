#include "io/memory_content.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

namespace pailfs {

namespace {

constexpr uint64_t kBlock = MemoryContent::kBlockSize;
constexpr uint64_t kSector = MemoryContent::kSectorSize;

uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step; }

}  // namespace

size_t MemoryContent::read(uint64_t offset, std::span<char> out) const {
  if (offset >= size_) return 0;
  const auto total = static_cast<size_t>(std::min<uint64_t>(out.size(), size_ - offset));
  for (size_t done = 0; done < total;) {
    const uint64_t at = offset + done;
    const size_t n = std::min<size_t>(total - done, kBlock - at % kBlock);
    const auto it = blocks_.find(at / kBlock);
    if (it == blocks_.end() || it->second == nullptr) {
      std::memset(out.data() + done, 0, n);
    } else {
      std::memcpy(out.data() + done, it->second->bytes.data() + at % kBlock, n);
    }
    done += n;
  }
  return total;
}

uint64_t MemoryContent::missing_blocks(uint64_t offset, uint64_t length) const {
  const uint64_t begin = offset / kBlock;
  const uint64_t end = round_up(offset + length, kBlock);
  const auto present = std::distance(blocks_.lower_bound(begin), blocks_.lower_bound(end));
  return end - begin - static_cast<uint64_t>(present);
}

MemoryContent::MemoryContent(const MemoryContent& other) : blocks_(other.blocks_), size_(other.size_) {
  other.owner_ = new_owner();
}

uint64_t MemoryContent::new_owner() {
  static std::atomic<uint64_t> next = 1;
  return next.fetch_add(1, std::memory_order_relaxed);
}

std::string& MemoryContent::writable(uint64_t block) {
  auto& slot = blocks_[block];
  if (slot == nullptr) {
    slot = std::make_shared<Block>(Block{owner_, std::string(kBlock, '\0')});
  } else if (slot->owner != owner_) {
    slot = std::make_shared<Block>(Block{owner_, slot->bytes});
  }
  return slot->bytes;
}

void MemoryContent::write(uint64_t offset, std::string_view data) {
  while (!data.empty()) {
    const size_t n = std::min<size_t>(data.size(), kBlock - offset % kBlock);
    std::memcpy(writable(offset / kBlock).data() + offset % kBlock, data.data(), n);
    offset += n;
    data.remove_prefix(n);
    size_ = std::max(size_, offset);
  }
}

void MemoryContent::reserve(uint64_t offset, uint64_t length) {
  for (uint64_t block = offset / kBlock; block < round_up(offset + length, kBlock); ++block) blocks_.try_emplace(block);
  size_ = std::max(size_, offset + length);
}

void MemoryContent::zero(uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  auto it = blocks_.lower_bound(offset / kBlock);
  while (it != blocks_.end() && it->first * kBlock < end) {
    const uint64_t first = std::max(offset, it->first * kBlock);
    const uint64_t last = std::min(end, (it->first + 1) * kBlock);
    if (last - first == kBlock) {
      it = blocks_.erase(it);
      continue;
    }
    if (it->second != nullptr) std::memset(writable(it->first).data() + first % kBlock, 0, last - first);
    ++it;
  }
}

void MemoryContent::resize(uint64_t size) {
  if (size < size_) {
    // The rest of the last block that stays must read as zeros when the file grows again.
    zero(size, round_up(size, kBlock) * kBlock - size);
    blocks_.erase(blocks_.lower_bound(round_up(size, kBlock)), blocks_.end());
  }
  size_ = size;
}

std::vector<uint64_t> MemoryContent::written_blocks(uint64_t begin, uint64_t end) const {
  std::vector<uint64_t> out;
  for (auto it = blocks_.lower_bound(begin); it != blocks_.end() && it->first < end; ++it) {
    if (it->second != nullptr) out.push_back(it->first);
  }
  return out;
}

void MemoryContent::release_zero_blocks(uint64_t offset, uint64_t length) {
  for (const uint64_t block : written_blocks(round_up(offset, kBlock), (offset + length) / kBlock)) {
    if (blocks_[block]->bytes.find_first_not_of('\0') == std::string::npos) blocks_.erase(block);
  }
}

void MemoryContent::copy_range(const MemoryContent& from, uint64_t offset, uint64_t length) {
  const uint64_t begin = offset / kBlock;
  const uint64_t end = length > UINT64_MAX - kBlock - offset ? UINT64_MAX : round_up(offset + length, kBlock);
  blocks_.erase(blocks_.lower_bound(begin), blocks_.lower_bound(end));
  blocks_.insert(from.blocks_.lower_bound(begin), from.blocks_.lower_bound(end));
  size_ = from.size_;
  from.owner_ = new_owner();
}

void MemoryFileData::record(Change change) {
  change.size_after = current_.size();
  pending_.push_back(std::move(change));
}

void MemoryFileData::write(uint64_t offset, std::string_view data) {
  current_.write(offset, data);
  record({.kind = Change::Kind::kWrite, .offset = offset, .length = data.size(), .data = std::string(data)});
}
void MemoryFileData::reserve(uint64_t offset, uint64_t length) {
  current_.reserve(offset, length);
  record({.kind = Change::Kind::kReserve, .offset = offset, .length = length, .data = {}});
}
void MemoryFileData::zero(uint64_t offset, uint64_t length) {
  current_.zero(offset, length);
  record({.kind = Change::Kind::kZero, .offset = offset, .length = length, .data = {}});
}
void MemoryFileData::resize(uint64_t size) {
  const uint64_t cut = current_.size() > size ? current_.size() - size : 0;
  current_.resize(size);
  record({.kind = Change::Kind::kResize, .offset = size, .length = cut, .data = {}});
}

void MemoryFileData::sync() {
  for (const Change& change : pending_) durable_.copy_range(current_, change.offset, change.length);
  pending_.clear();
}

void MemoryFileData::apply_to_sector(const Change& change, uint64_t sector, MemoryContent& content) {
  const uint64_t first = std::max(change.offset, sector * kSector);
  const uint64_t last = std::min(change.offset + change.length, (sector + 1) * kSector);
  if (first >= last) return;
  if (change.kind == Change::Kind::kWrite) {
    content.write(first, std::string_view(change.data).substr(first - change.offset, last - first));
  } else {
    content.zero(first, last - first);
  }
}

std::map<uint64_t, std::vector<size_t>> MemoryFileData::sector_histories() const {
  std::map<uint64_t, std::vector<size_t>> histories;
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Change& change = pending_[i];
    if (change.kind == Change::Kind::kReserve) continue;
    const uint64_t first = change.offset / kSector;
    const uint64_t last = round_up(change.offset + change.length, kSector);
    if (change.kind != Change::Kind::kWrite) {
      // Zeroing touches the sectors that hold something: on the medium, or by an earlier change.
      const uint64_t end = round_up(change.offset + change.length, kBlock);
      for (const uint64_t block : durable_.written_blocks(change.offset / kBlock, end)) {
        for (uint64_t s = block * kBlock / kSector; s < (block + 1) * kBlock / kSector; ++s) {
          if (s >= first && s < last) histories.try_emplace(s);
        }
      }
      for (auto it = histories.lower_bound(first); it != histories.end() && it->first < last; ++it) {
        it->second.push_back(i);
      }
      continue;
    }
    for (uint64_t sector = first; sector < last; ++sector) histories[sector].push_back(i);
  }
  return histories;
}

MemoryContent MemoryFileData::with_chosen(const std::vector<bool>& landed) const {
  const auto lands = [&](size_t i) { return i < landed.size() && landed[i]; };
  MemoryContent out = durable_;
  for (const auto& [sector, history] : sector_histories()) {
    for (const size_t i : history) {
      if (!lands(i)) break;
      apply_to_sector(pending_[i], sector, out);
    }
  }
  uint64_t size = durable_.size();
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (!lands(i)) continue;
    const Change& change = pending_[i];
    if (change.kind == Change::Kind::kZero) out.release_zero_blocks(change.offset, change.length);
    if (change.kind == Change::Kind::kReserve) out.reserve(change.offset, change.length);
    if (change.kind == Change::Kind::kResize) size = change.offset;
    if (change.kind == Change::Kind::kWrite || change.kind == Change::Kind::kReserve) {
      size = std::max(size, change.offset + change.length);
    }
  }
  out.resize(size);
  return out;
}

MemoryContent MemoryFileData::after_crash(Unsynced unsynced, std::mt19937_64& random,
                                          const std::vector<bool>& landed) const {
  if (unsynced == Unsynced::kKeep) return current_;
  if (unsynced == Unsynced::kChosen) return with_chosen(landed);
  MemoryContent out = durable_;
  if (unsynced == Unsynced::kDrop) return out;
  for (const auto& [sector, history] : sector_histories()) {
    const size_t done = random() % (history.size() + 1);
    for (size_t i = 0; i < done; ++i) apply_to_sector(pending_[history[i]], sector, out);
  }
  for (const Change& change : pending_) {
    if (change.kind == Change::Kind::kZero) out.release_zero_blocks(change.offset, change.length);
    if (change.kind == Change::Kind::kReserve && random() % 2 == 0) out.reserve(change.offset, change.length);
  }
  const size_t sizes = random() % (pending_.size() + 1);
  out.resize(sizes == 0 ? durable_.size() : pending_[sizes - 1].size_after);
  return out;
}

}  // namespace pailfs
