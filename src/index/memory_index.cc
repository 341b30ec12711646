#include "index/memory_index.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/mutex.h"

namespace pailfs {

namespace {

using Map = std::map<std::string, std::string, std::less<>>;

// One state of the index. Immutable while a snapshot reads it. std::char_traits<char> compares as unsigned bytes.
struct State {
  Map map;
  uint64_t bytes = 0;      // keys and values
  unsigned snapshots = 0;  // guarded by Shared::mutex
};

struct Shared {
  Mutex mutex;
  std::shared_ptr<State> current GUARDED_BY(mutex) = std::make_shared<State>();
};

class MemorySnapshot : public IndexSnapshot {
 public:
  explicit MemorySnapshot(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
    MutexLock lock(shared_->mutex);
    state_ = shared_->current;
    ++state_->snapshots;
  }
  ~MemorySnapshot() override {
    // An explicit count, not shared_ptr's: leaving under the mutex is what makes it safe to change the map in place.
    MutexLock lock(shared_->mutex);
    --state_->snapshots;
  }

  Result<std::optional<std::string_view>> get(std::string_view key) override {
    const auto it = state_->map.find(key);
    if (it == state_->map.end()) return std::nullopt;
    return std::string_view(it->second);
  }
  Result<std::optional<Entry>> seek(std::string_view from) override {
    position_ = state_->map.lower_bound(from);
    return entry_at_position();
  }
  Result<std::optional<Entry>> next() override {
    if (position_ && *position_ != state_->map.end()) ++*position_;
    return entry_at_position();
  }
  Result<std::optional<Entry>> last_before(std::string_view before) override {
    const auto it = state_->map.lower_bound(before);
    if (it == state_->map.begin()) return std::nullopt;
    const auto last = std::prev(it);
    return Entry{last->first, last->second};
  }

 private:
  std::optional<Entry> entry_at_position() const {
    if (!position_ || *position_ == state_->map.end()) return std::nullopt;
    return Entry{(*position_)->first, (*position_)->second};
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<State> state_;
  std::optional<Map::const_iterator> position_;
};

void apply_to(State& state, const std::vector<IndexChange>& changes) {
  for (const auto& [key, value] : changes) {
    const auto it = state.map.find(key);
    if (it != state.map.end()) state.bytes -= it->first.size() + it->second.size();
    if (value) {
      state.bytes += key.size() + value->size();
      state.map.insert_or_assign(key, *value);
    } else if (it != state.map.end()) {
      state.map.erase(it);
    }
  }
}

class MemoryIndex : public Index {
 public:
  Result<std::unique_ptr<IndexSnapshot>> snapshot() override { return std::make_unique<MemorySnapshot>(shared_); }

  Status apply(const std::vector<IndexChange>& changes) override {
    PAILFS_TRY(check_batch(changes));
    std::shared_ptr<State> base;
    {
      MutexLock lock(shared_->mutex);
      if (shared_->current->snapshots == 0) {
        apply_to(*shared_->current, changes);
        return {};
      }
      base = shared_->current;
    }
    // Somebody reads the current state: change a copy. Only apply() changes a state, and it has one caller at a time,
    // so that the current one is left alone while it is copied.
    auto copy = std::make_shared<State>();
    copy->map = base->map;
    copy->bytes = base->bytes;
    apply_to(*copy, changes);
    MutexLock lock(shared_->mutex);
    shared_->current = std::move(copy);
    return {};
  }

  Result<IndexStats> stats() override {
    MutexLock lock(shared_->mutex);
    const State& state = *shared_->current;
    return IndexStats{.entries = state.map.size(), .used_bytes = state.bytes, .file_bytes = state.bytes};
  }

 private:
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

std::unique_ptr<Index> make_memory_index() { return std::make_unique<MemoryIndex>(); }

}  // namespace pailfs
