#include "log/memory_log_storage.h"

#include <algorithm>
#include <cstring>

namespace pailfs {

namespace {

constexpr uint64_t kBlock = 4096;

struct Segment {
  std::string bytes;
  uint64_t punched = 0;  // bytes given back
};

}  // namespace

struct MemoryLogStorage::Medium {
  mutable SharedMutex mutex;
  std::map<uint64_t, std::shared_ptr<Segment>> segments GUARDED_BY(mutex);
  uint64_t used GUARDED_BY(mutex) = 0;
  uint64_t capacity GUARDED_BY(mutex) = kUnlimited;
  bool can_reserve GUARDED_BY(mutex) = true;

  Result<Segment*> find(uint64_t id) REQUIRES_SHARED(mutex) {
    const auto found = segments.find(id);
    if (found == segments.end()) return fail(Code::kNotFound, "no segment " + segment_name(id));
    return found->second.get();
  }
  Status grow(Segment& segment, uint64_t size) REQUIRES(mutex) {
    if (size <= segment.bytes.size()) return {};
    const uint64_t more = size - segment.bytes.size();
    if (used > capacity || more > capacity - used) return fail(Code::kNoSpace, "the memory medium is full");
    segment.bytes.resize(size);
    used += more;
    return {};
  }
};

class MemoryLogStorage::Writer : public SegmentWriter {
 public:
  Writer(std::shared_ptr<Medium> medium, std::shared_ptr<Segment> segment)
      : medium_(std::move(medium)), segment_(std::move(segment)) {}

  Status reserve(uint64_t end) override {
    WriterLock lock(medium_->mutex);
    return medium_->can_reserve ? medium_->grow(*segment_, end) : Status{};
  }
  Status write_at(uint64_t offset, std::string_view data) override {
    WriterLock lock(medium_->mutex);
    PAILFS_TRY(medium_->grow(*segment_, offset + data.size()));
    std::memcpy(segment_->bytes.data() + offset, data.data(), data.size());
    return {};
  }
  void start_writeback(uint64_t, uint64_t) override {}
  Status sync() override { return {}; }

 private:
  const std::shared_ptr<Medium> medium_;
  const std::shared_ptr<Segment> segment_;
};

MemoryLogStorage::MemoryLogStorage() : medium_(std::make_shared<Medium>()) {}
MemoryLogStorage::~MemoryLogStorage() = default;

Result<std::unique_ptr<SegmentWriter>> MemoryLogStorage::create(uint64_t id) {
  WriterLock lock(medium_->mutex);
  const auto [place, added] = medium_->segments.emplace(id, nullptr);
  if (!added) return fail(Code::kExists, "segment " + segment_name(id) + " exists");
  place->second = std::make_shared<Segment>();
  return std::make_unique<Writer>(medium_, place->second);
}

Result<size_t> MemoryLogStorage::read(uint64_t id, uint64_t offset, std::span<char> out) {
  ReaderLock lock(medium_->mutex);
  PAILFS_ASSIGN(const Segment* segment, medium_->find(id));
  if (offset >= segment->bytes.size()) return size_t{0};
  const size_t size = std::min<uint64_t>(out.size(), segment->bytes.size() - offset);
  std::memcpy(out.data(), segment->bytes.data() + offset, size);
  return size;
}

Status MemoryLogStorage::seal(uint64_t id, uint64_t length) {
  WriterLock lock(medium_->mutex);
  PAILFS_ASSIGN(Segment * segment, medium_->find(id));
  if (segment->bytes.size() <= length) return {};
  medium_->used -= segment->bytes.size() - length;
  segment->bytes.resize(length);
  return {};
}

Status MemoryLogStorage::sync(uint64_t id) {
  ReaderLock lock(medium_->mutex);
  PAILFS_TRY(medium_->find(id));
  return {};
}

Status MemoryLogStorage::punch(uint64_t id, uint64_t offset, uint64_t length) {
  WriterLock lock(medium_->mutex);
  PAILFS_ASSIGN(Segment * segment, medium_->find(id));
  const uint64_t begin = (offset + kBlock - 1) / kBlock * kBlock;
  const uint64_t end = std::min<uint64_t>(offset + length, segment->bytes.size()) / kBlock * kBlock;
  if (begin >= end) return {};
  std::memset(segment->bytes.data() + begin, 0, end - begin);
  segment->punched += end - begin;
  return {};
}

Status MemoryLogStorage::remove(uint64_t id) {
  WriterLock lock(medium_->mutex);
  PAILFS_ASSIGN(const Segment* segment, medium_->find(id));
  medium_->used -= segment->bytes.size();
  medium_->segments.erase(id);
  return {};
}

Result<std::vector<uint64_t>> MemoryLogStorage::list() {
  ReaderLock lock(medium_->mutex);
  std::vector<uint64_t> ids;
  for (const auto& [id, segment] : medium_->segments) ids.push_back(id);
  return ids;
}

Result<uint64_t> MemoryLogStorage::size(uint64_t id) {
  ReaderLock lock(medium_->mutex);
  PAILFS_ASSIGN(const Segment* segment, medium_->find(id));
  return segment->bytes.size();
}

Result<uint64_t> MemoryLogStorage::allocated(uint64_t id) {
  ReaderLock lock(medium_->mutex);
  PAILFS_ASSIGN(const Segment* segment, medium_->find(id));
  return segment->bytes.size() - std::min<uint64_t>(segment->punched, segment->bytes.size());
}

void MemoryLogStorage::set_capacity(uint64_t bytes) {
  WriterLock lock(medium_->mutex);
  medium_->capacity = bytes;
}

void MemoryLogStorage::set_can_reserve(bool can) {
  WriterLock lock(medium_->mutex);
  medium_->can_reserve = can;
}

MemoryLogStorage::Image MemoryLogStorage::image() const {
  ReaderLock lock(medium_->mutex);
  Image image;
  for (const auto& [id, segment] : medium_->segments) image.emplace(id, segment->bytes);
  return image;
}

void MemoryLogStorage::restore(const Image& image) {
  WriterLock lock(medium_->mutex);
  medium_->segments.clear();
  medium_->used = 0;
  for (const auto& [id, bytes] : image) {
    medium_->segments.emplace(id, std::make_shared<Segment>(Segment{.bytes = bytes, .punched = 0}));
    medium_->used += bytes.size();
  }
}

}  // namespace pailfs
