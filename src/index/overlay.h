// What is newer than the index, over the index: the merged view of memtables and an index snapshot.
//
// Readers pin the stack of memtables first and the index snapshot second, so that nothing falls between them when a
// checkpoint moves a memtable into the index and drops it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/index.h"
#include "index/memtable.h"

namespace pailfs {

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
  // The live entry after the one that seek() or next() returned last, again below `end`. Other calls may come between.
  Result<std::optional<Entry>> next(std::string_view end);
  // The last live entry with key < before and key >= floor.
  Result<std::optional<Entry>> last_before(std::string_view before, std::string_view floor);

 private:
  struct Candidate {
    std::string key;
    Memtable::Value value;  // null: tombstone
  };
  // The index's next entry that the scan has not passed. A copy: the snapshot's views end with its next call.
  struct IndexPosition {
    bool started = false;  // false: index_ has no position for this scan yet
    std::optional<Entry> entry;
  };

  Result<std::optional<Entry>> advance(std::string_view end);
  Status advance_index(std::string_view from, bool after);
  std::optional<Candidate> first_in_tables(std::string_view from, bool after) const;
  std::optional<Candidate> last_in_tables(std::string_view before) const;

  std::vector<std::shared_ptr<const Memtable>> tables_;
  std::unique_ptr<IndexSnapshot> index_;
  // Where the scan stands: on `position_` (then `after_` is false) or behind it.
  std::string position_;
  bool after_ = false;
  IndexPosition index_position_;
};

}  // namespace pailfs
