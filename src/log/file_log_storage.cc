// Segments as files. Reading keeps a bounded number of descriptors; appending has its own, held by the SegmentWriter.
#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <unordered_map>

#include "base/logging.h"
#include "base/mutex.h"
#include "io/env.h"
#include "log/log_storage.h"

namespace pailfs {
namespace {

constexpr size_t kMaxOpenFiles = 128;
constexpr uint64_t kBlock = 4096;
constexpr std::string_view kSuffix = ".seg";
constexpr size_t kDigits = 16;

class FileSegmentWriter : public SegmentWriter {
 public:
  explicit FileSegmentWriter(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Status reserve(uint64_t end) override {
    MutexLock lock(mutex_);
    if (!can_reserve_ || end <= reserved_) return {};
    const Status allocated = file_->allocate(reserved_, end - reserved_);
    if (!allocated && allocated.error().code == Code::kNotSupported) {
      can_reserve_ = false;  // every write below has to be ready for ENOSPC
      return {};
    }
    if (allocated) reserved_ = end;
    return allocated;
  }
  Status write_at(uint64_t offset, std::string_view data) override { return file_->write_at(offset, data); }
  void start_writeback(uint64_t offset, uint64_t length) override { file_->start_writeback(offset, length); }
  Status sync() override { return file_->sync_data(); }

 private:
  const std::unique_ptr<File> file_;
  Mutex mutex_;
  uint64_t reserved_ GUARDED_BY(mutex_) = 0;
  bool can_reserve_ GUARDED_BY(mutex_) = true;
};

class FileLogStorage : public LogStorage {
 public:
  FileLogStorage(Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  Result<std::unique_ptr<SegmentWriter>> create(uint64_t id) override {
    PAILFS_ASSIGN(auto file, env_.open(path(id), OpenMode::kCreate));
    PAILFS_TRY(env_.sync_dir(directory_));
    return std::make_unique<FileSegmentWriter>(std::move(file));
  }

  Result<size_t> read(uint64_t id, uint64_t offset, std::span<char> out) override {
    PAILFS_ASSIGN(const std::shared_ptr<File> file, open_cached(id));
    return file->read_at(offset, out);
  }

  Status seal(uint64_t id, uint64_t length) override {
    PAILFS_ASSIGN(const auto file, env_.open(path(id), OpenMode::kReadWrite));
    PAILFS_ASSIGN(const uint64_t size, file->size());
    return size > length ? file->truncate(length) : Status{};
  }

  Status sync(uint64_t id) override {
    PAILFS_ASSIGN(const auto file, env_.open(path(id), OpenMode::kReadWrite));
    PAILFS_TRY(file->sync_data());
    PAILFS_ASSIGN(const uint64_t size, file->size());
    file->drop_cache(0, size);
    return {};
  }

  Status punch(uint64_t id, uint64_t offset, uint64_t length) override {
    PAILFS_ASSIGN(const auto file, env_.open(path(id), OpenMode::kReadWrite));
    const uint64_t begin = (offset + kBlock - 1) / kBlock * kBlock;
    const uint64_t end = (offset + length) / kBlock * kBlock;
    return begin < end ? file->punch(begin, end - begin) : Status{};
  }

  Status remove(uint64_t id) override {
    forget(id);
    PAILFS_TRY(env_.remove(path(id)));
    forget(id);  // a reader may have opened it again in between
    return env_.sync_dir(directory_);
  }

  Result<std::vector<uint64_t>> list() override {
    PAILFS_ASSIGN(const auto names, env_.list_dir(directory_));
    std::vector<uint64_t> ids;
    for (const std::string& name : names) {
      if (const uint64_t id = parse_segment_name(name); id != 0) ids.push_back(id);
    }
    std::ranges::sort(ids);
    return ids;
  }

  Result<uint64_t> size(uint64_t id) override {
    PAILFS_ASSIGN(const std::shared_ptr<File> file, open_cached(id));
    return file->size();
  }

  Result<uint64_t> allocated(uint64_t id) override {
    PAILFS_ASSIGN(const std::shared_ptr<File> file, open_cached(id));
    return file->allocated();
  }

 private:
  struct Cached {
    uint64_t id;
    std::shared_ptr<File> file;
  };

  std::string path(uint64_t id) const { return directory_ + "/" + segment_name(id); }

  std::shared_ptr<File> find(uint64_t id) REQUIRES(mutex_) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return nullptr;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return found->second->file;
  }

  // Files are opened and closed without the lock. A file that is dropped here is closed by its last reader.
  Result<std::shared_ptr<File>> open_cached(uint64_t id) {
    {
      MutexLock lock(mutex_);
      if (auto file = find(id)) return file;
    }
    PAILFS_ASSIGN(std::shared_ptr<File> file, env_.open(path(id), OpenMode::kRead));
    std::shared_ptr<File> dropped;
    MutexLock lock(mutex_);
    if (auto other = find(id)) return other;
    by_use_.push_front({id, file});
    by_id_[id] = by_use_.begin();
    if (by_use_.size() > kMaxOpenFiles) {
      dropped = std::move(by_use_.back().file);
      by_id_.erase(by_use_.back().id);
      by_use_.pop_back();
    }
    return file;
  }

  void forget(uint64_t id) {
    MutexLock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return;
    by_use_.erase(found->second);
    by_id_.erase(found);
  }

  Env& env_;
  const std::string directory_;
  Mutex mutex_;
  std::list<Cached> by_use_ GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<uint64_t, std::list<Cached>::iterator> by_id_ GUARDED_BY(mutex_);
};

}  // namespace

std::string segment_name(uint64_t id) { return fmt::format("{:016x}{}", id, kSuffix); }

uint64_t parse_segment_name(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return 0;
  uint64_t id = 0;
  for (const char c : name.substr(0, kDigits)) {
    uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a') + 10;
    } else {
      return 0;
    }
    id = id << 4 | digit;
  }
  return id;
}

std::unique_ptr<LogStorage> make_file_log_storage(Env& env, std::string directory) {
  return std::make_unique<FileLogStorage>(env, std::move(directory));
}

}  // namespace pailfs
