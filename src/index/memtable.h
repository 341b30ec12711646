// The newest state of the index, in memory until a checkpoint moves it there: the latest value (or tombstone) per key.
// Writers put whole transactions; overlay.h merges memtables with the index. All members may be called by several
// threads at once unless they say otherwise.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "index/index.h"

namespace pailfs {

class Memtable {
 public:
  using Value = std::shared_ptr<const std::string>;  // null: tombstone

  // Applies the changes as one step: a reader sees all of them or none (within one lookup or one scan step). Of several
  // changes of one key the last one counts.
  void apply(std::vector<IndexChange>&& changes);
  // What was changed since the last take_changes(), each key once with its latest value, in key order: the content of a
  // commit frame. Values stay in the memtable. A key that is changed again later is reported again. Blocks readers and
  // writers of the memtable only while it collects pointers, not while it sorts and copies keys.
  std::vector<std::pair<std::string, Value>> take_changes();
  size_t pending_changes() const;  // keys that take_changes() would return
  size_t pending_bytes() const;    // their keys and values, bytes

  // nullopt: unknown here; a null Value: deleted.
  std::optional<Value> get(std::string_view key) const;
  struct Entry {
    std::string key;
    Value value;  // null: tombstone
  };
  // The first entry with key >= from (or > from when `after`).
  std::optional<Entry> seek(std::string_view from, bool after) const;
  // The last entry with key < before.
  std::optional<Entry> last_before(std::string_view before) const;
  // Visits all entries in key order. Only on a memtable that nobody applies to any more.
  void for_each(const std::function<void(const std::string& key, const Value& value)>& visit) const;

  // Heap in use, by what glibc's malloc hands out for nodes, keys and values: within some percent of the truth.
  size_t memory_bytes() const { return memory_.load(std::memory_order_relaxed); }
  size_t entries() const;

 private:
  struct Node {
    Value value;
    bool pending = false;
  };
  using Map = std::map<std::string, Node, std::less<>>;

  void put(std::string&& key, Value& value) REQUIRES(mutex_);

  mutable SharedMutex mutex_;
  // Nodes never move or go, so that an iterator, and the key behind it, stay good without the lock.
  Map map_ GUARDED_BY(mutex_);
  // Keys to report at the next take_changes(), each once.
  std::vector<Map::iterator> pending_ GUARDED_BY(mutex_);
  size_t pending_bytes_ GUARDED_BY(mutex_) = 0;
  size_t node_bytes_ GUARDED_BY(mutex_) = 0;  // memory_bytes() without the pending list
  std::atomic<size_t> memory_ = 0;
};

}  // namespace pailfs
