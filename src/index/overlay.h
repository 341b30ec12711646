// What is newer than the index: memtables, and the merged view of memtables over the index.
//
// A Memtable holds the latest value (or tombstone) per key. Writers put whole transactions; readers pin the stack of
// memtables first and the index snapshot second, so that nothing falls between them when a checkpoint moves a memtable
// into the index and drops it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "index/index.h"

namespace pailfs {

class Memtable {
 public:
  using Value = std::shared_ptr<const std::string>;  // null: tombstone

  // Applies the changes as one step: a reader sees all of them or none (within one lookup or one scan step).
  // Returns the growth of memory_bytes().
  void apply(std::vector<IndexChange>&& changes);
  // What was changed since the last take_changes(), each key once with its latest value, in key order: the content of a
  // commit frame. Values stay in the memtable.
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

  size_t memory_bytes() const { return memory_.load(std::memory_order_relaxed); }  // an estimate of heap use
  size_t entries() const;

 private:
  struct Node {
    Value value;
    bool pending = false;
  };
  mutable SharedMutex mutex_;
  std::map<std::string, Node, std::less<>> map_ GUARDED_BY(mutex_);
  // Keys to report at the next take_changes(); pointers into map_, whose nodes never move or go.
  std::vector<std::map<std::string, Node, std::less<>>::iterator> pending_ GUARDED_BY(mutex_);
  size_t pending_bytes_ GUARDED_BY(mutex_) = 0;
  std::atomic<size_t> memory_ = 0;
};

// The merged view: newest memtable first, index last. Used by one thread at a time. Not a point-in-time snapshot of the
// active memtable: a scan sees changes that are made behind its position; each step is consistent.
class OverlayView {
 public:
  // `tables` newest first; `index` opened after the tables were pinned.
  OverlayView(std::vector<std::shared_ptr<const Memtable>> tables, std::unique_ptr<IndexSnapshot> index)
      : tables_(std::move(tables)), index_(std::move(index)) {}

  Result<std::optional<std::string>> get(std::string_view key);
  struct Entry {
    std::string key;
    std::string value;
  };
  // The first live entry with key >= from and key < end (empty `end`: no bound).
  Result<std::optional<Entry>> seek(std::string_view from, std::string_view end);
  // The live entry after `entry`, again below `end`. Call in sequence after seek().
  Result<std::optional<Entry>> next(std::string_view end);
  // The last live entry with key < before and key >= floor.
  Result<std::optional<Entry>> last_before(std::string_view before, std::string_view floor);

 private:
  Result<std::optional<Entry>> advance(std::string_view from, bool after, std::string_view end);
  std::vector<std::shared_ptr<const Memtable>> tables_;
  std::unique_ptr<IndexSnapshot> index_;
  std::string position_;
};

}  // namespace pailfs
