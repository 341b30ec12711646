#include "io/memory_env.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/mutex.h"

namespace pailfs {

namespace {

constexpr uint64_t kLargestSize = INT64_MAX;  // as off_t has it

Status check_range(uint64_t offset, uint64_t length) {
  if (offset > kLargestSize || length > kLargestSize - offset)
    return fail(Code::kTooBig, "beyond the largest file size");
  return {};
}

}  // namespace

// Shared by the Env and what it opened. `generation` counts crashes: a file or lock of an earlier one is dead.
struct MemoryEnv::State {
  mutable Mutex mutex;
  MemoryTree tree GUARDED_BY(mutex);
  std::mt19937_64 random GUARDED_BY(mutex);
  // For crash images, apart from `random`, so that taking one does not change what the run does next.
  mutable std::mt19937_64 image_seeds GUARDED_BY(mutex);
  std::map<std::string, uint64_t> locks GUARDED_BY(mutex);  // path to the lock's number
  uint64_t next_lock GUARDED_BY(mutex) = 1;
  uint64_t generation GUARDED_BY(mutex) = 0;
  uint64_t used_blocks GUARDED_BY(mutex) = 0;
  uint64_t capacity GUARDED_BY(mutex) = 0;
  int64_t now GUARDED_BY(mutex) = 1'767'225'600'000'000'000;  // 2026-01-01T00:00:00Z
  int64_t clock_step GUARDED_BY(mutex) = 0;
  int64_t monotonic GUARDED_BY(mutex) = 1'000'000'000;

  uint64_t spare_blocks() const REQUIRES(mutex) {
    const uint64_t total = capacity / MemoryContent::kBlockSize;
    return total > used_blocks ? total - used_blocks : 0;
  }
  // Runs a change of the file's content and keeps the count of blocks in use right.
  template <class Change>
  void change(MemoryNode& node, Change apply) REQUIRES(mutex) {
    used_blocks -= node.data.current().blocks();
    apply(node.data);
    used_blocks += node.data.current().blocks();
  }
  void unlink(const MemoryNodePtr& node) REQUIRES(mutex) {
    if (node == nullptr) return;
    node->linked = false;
    if (!node->in_use()) used_blocks -= node->data.current().blocks();
  }
  void close(MemoryNode& node) REQUIRES(mutex) {
    --node.handles;
    if (!node.in_use()) used_blocks -= node.data.current().blocks();
  }
};

class MemoryEnv::OpenFile : public File {
 public:
  // The caller has counted the handle in `node`, under the lock; this gives it back.
  OpenFile(std::shared_ptr<State> state, MemoryNodePtr node, std::string path, bool writable, uint64_t generation)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        generation_(generation) {}
  ~OpenFile() override {
    MutexLock lock(state_->mutex);
    if (generation_ == state_->generation) state_->close(*node_);
  }

  Result<size_t> read_at(uint64_t offset, std::span<char> out) override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(alive());
    return node_->data.current().read(offset, out);
  }

  // On a full medium writes what fits, as pwrite(2) does, and fails.
  Status write_at(uint64_t offset, std::string_view data) override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(may_write());
    PAILFS_TRY(check_range(offset, data.size()));
    while (!data.empty()) {
      const size_t n = std::min<size_t>(data.size(), kPiece - offset % kPiece);
      if (node_->data.current().missing_blocks(offset, n) > state_->spare_blocks()) return no_space("writing");
      state_->change(*node_, [&](MemoryFileData& file) { file.write(offset, data.substr(0, n)); });
      offset += n;
      data.remove_prefix(n);
    }
    return {};
  }

  Status sync_data() override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(alive());
    node_->data.sync();
    return {};
  }

  Status allocate(uint64_t offset, uint64_t length) override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(may_write());
    PAILFS_TRY(check_range(offset, length));
    if (length == 0) return {};
    if (node_->data.current().missing_blocks(offset, length) > state_->spare_blocks())
      return no_space("reserving room in");
    state_->change(*node_, [&](MemoryFileData& file) { file.reserve(offset, length); });
    return {};
  }

  Status punch(uint64_t offset, uint64_t length) override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(may_write());
    PAILFS_TRY(check_range(offset, length));
    if (length == 0) return {};
    state_->change(*node_, [&](MemoryFileData& file) { file.zero(offset, length); });
    return {};
  }

  Status truncate(uint64_t size) override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(may_write());
    PAILFS_TRY(check_range(0, size));
    state_->change(*node_, [&](MemoryFileData& file) { file.resize(size); });
    return {};
  }

  Result<uint64_t> size() override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(alive());
    return node_->data.current().size();
  }

  Result<uint64_t> allocated() override {
    MutexLock lock(state_->mutex);
    PAILFS_TRY(alive());
    return node_->data.current().blocks() * MemoryContent::kBlockSize;
  }

  void start_writeback(uint64_t, uint64_t) override {}
  void drop_cache(uint64_t, uint64_t) override {}

 private:
  // Room is checked and changes are recorded in pieces that end on multiples of this.
  static constexpr uint64_t kPiece = 16 * MemoryContent::kBlockSize;

  Status alive() const REQUIRES(state_->mutex) {
    if (generation_ == state_->generation) return {};
    return fail(Code::kIo, fmt::format("{} was opened before the power cut", path_));
  }
  Status may_write() const REQUIRES(state_->mutex) {
    PAILFS_TRY(alive());
    if (!writable_) return fail(Code::kBadHandle, fmt::format("{} is open for reading only", path_));
    return {};
  }
  std::unexpected<Error> no_space(std::string_view doing) const {
    return fail(Code::kNoSpace, fmt::format("{} {}: the capacity is used up", doing, path_));
  }

  const std::shared_ptr<State> state_;
  const MemoryNodePtr node_;
  const std::string path_;
  const bool writable_;
  const uint64_t generation_;
};

class MemoryEnv::Lock : public FileLock {
 public:
  Lock(std::shared_ptr<State> state, std::string path, uint64_t number)
      : state_(std::move(state)), path_(std::move(path)), number_(number) {}
  ~Lock() override {
    MutexLock lock(state_->mutex);
    const auto it = state_->locks.find(path_);
    if (it != state_->locks.end() && it->second == number_) state_->locks.erase(it);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string path_;
  const uint64_t number_;
};

MemoryEnv::MemoryEnv(uint64_t seed, uint64_t capacity) : state_(std::make_shared<State>()) {
  MutexLock lock(state_->mutex);
  state_->random.seed(seed);
  state_->image_seeds.seed(~seed);
  state_->capacity = capacity;
}

MemoryEnv::MemoryEnv(std::shared_ptr<State> state) : state_(std::move(state)) {}
MemoryEnv::~MemoryEnv() = default;

Result<std::unique_ptr<File>> MemoryEnv::open(const std::string& path, OpenMode mode) {
  MutexLock lock(state_->mutex);
  PAILFS_ASSIGN(MemoryNodePtr node,
                mode == OpenMode::kCreate ? state_->tree.create(path, false) : state_->tree.find(path));
  if (node->is_directory) return fail(Code::kIsDirectory, fmt::format("opening {}: is a directory", path));
  ++node->handles;
  return std::make_unique<OpenFile>(state_, std::move(node), path, mode != OpenMode::kRead, state_->generation);
}

Status MemoryEnv::rename(const std::string& from, const std::string& to) {
  MutexLock lock(state_->mutex);
  PAILFS_ASSIGN(const MemoryNodePtr replaced, state_->tree.rename(from, to));
  state_->unlink(replaced);
  return {};
}

Status MemoryEnv::remove(const std::string& path) {
  MutexLock lock(state_->mutex);
  PAILFS_ASSIGN(const MemoryNodePtr node, state_->tree.remove(path));
  state_->unlink(node);
  return {};
}

Status MemoryEnv::make_dir(const std::string& path) {
  MutexLock lock(state_->mutex);
  PAILFS_TRY(state_->tree.create(path, true));
  return {};
}

Status MemoryEnv::sync_dir(const std::string& path) {
  MutexLock lock(state_->mutex);
  return state_->tree.sync_directory(path);
}

Result<std::vector<std::string>> MemoryEnv::list_dir(const std::string& path) {
  MutexLock lock(state_->mutex);
  PAILFS_ASSIGN(const MemoryNodePtr node, state_->tree.find(path));
  if (!node->is_directory) return fail(Code::kNotDirectory, fmt::format("{}: not a directory", path));
  std::vector<std::string> names;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return names;
}

Result<bool> MemoryEnv::exists(const std::string& path) {
  MutexLock lock(state_->mutex);
  const auto node = state_->tree.find(path);
  if (node) return true;
  if (node.error().code == Code::kNotFound || node.error().code == Code::kNotDirectory) return false;
  return std::unexpected(node.error());
}

Result<Space> MemoryEnv::space(const std::string& path) {
  MutexLock lock(state_->mutex);
  PAILFS_TRY(state_->tree.find(path));
  return Space{.total = state_->capacity, .available = state_->spare_blocks() * MemoryContent::kBlockSize};
}

Result<std::unique_ptr<FileLock>> MemoryEnv::lock_file(const std::string& path) {
  const std::string pid = fmt::format("{:>10}\n", ::getpid());
  MutexLock lock(state_->mutex);
  auto node = state_->tree.find(path);
  if (!node && node.error().code == Code::kNotFound) node = state_->tree.create(path, false);
  if (!node) return std::unexpected(node.error());
  if ((*node)->is_directory) return fail(Code::kIsDirectory, fmt::format("locking {}: is a directory", path));
  const auto [it, free] = state_->locks.try_emplace(path, state_->next_lock);
  if (!free) return fail(Code::kInUse, fmt::format("{} is locked by process {}", path, ::getpid()));
  if ((*node)->data.current().missing_blocks(0, pid.size()) <= state_->spare_blocks()) {
    state_->change(**node, [&](MemoryFileData& file) { file.write(0, pid); });
  }
  return std::make_unique<Lock>(state_, path, state_->next_lock++);
}

int64_t MemoryEnv::now() {
  MutexLock lock(state_->mutex);
  return state_->now += state_->clock_step;
}

int64_t MemoryEnv::monotonic() {
  MutexLock lock(state_->mutex);
  return state_->monotonic;
}

void MemoryEnv::random(std::span<char> out) {
  MutexLock lock(state_->mutex);
  for (char& c : out) c = static_cast<char>(state_->random() >> 56);
}

std::unique_ptr<MemoryEnv> MemoryEnv::crash_image(const CrashPolicy& policy) const {
  auto image = std::make_shared<State>();
  MutexLock lock(state_->mutex);
  MutexLock image_lock(image->mutex);
  image->tree = state_->tree.after_crash(policy);
  image->used_blocks = image->tree.blocks();
  image->capacity = state_->capacity;
  image->now = state_->now;
  image->clock_step = state_->clock_step;
  image->random.seed(state_->image_seeds());
  image->image_seeds.seed(state_->image_seeds());
  return std::unique_ptr<MemoryEnv>(new MemoryEnv(std::move(image)));
}

void MemoryEnv::crash(const CrashPolicy& policy) {
  MutexLock lock(state_->mutex);
  state_->tree = state_->tree.after_crash(policy);
  state_->used_blocks = state_->tree.blocks();
  state_->locks.clear();
  ++state_->generation;
}

void MemoryEnv::set_now(int64_t nanoseconds) {
  MutexLock lock(state_->mutex);
  state_->now = nanoseconds;
}

void MemoryEnv::run_clock(int64_t nanoseconds_per_call) {
  MutexLock lock(state_->mutex);
  state_->clock_step = nanoseconds_per_call;
}

void MemoryEnv::advance(int64_t nanoseconds) {
  MutexLock lock(state_->mutex);
  state_->now += nanoseconds;
  state_->monotonic += nanoseconds;
}

void MemoryEnv::set_capacity(uint64_t bytes) {
  MutexLock lock(state_->mutex);
  state_->capacity = bytes;
}

MemoryEnv::UnsyncedChanges MemoryEnv::unsynced_changes() const {
  MutexLock lock(state_->mutex);
  return {.data = state_->tree.unsynced_data(), .names = state_->tree.unsynced_names()};
}

uint64_t MemoryEnv::used() const {
  MutexLock lock(state_->mutex);
  return state_->used_blocks * MemoryContent::kBlockSize;
}

}  // namespace pailfs
