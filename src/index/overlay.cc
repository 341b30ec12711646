#include "index/overlay.h"

#include <utility>

namespace pailfs {

namespace {
bool below(std::string_view key, std::string_view end) { return end.empty() || key < end; }

OverlayView::Entry copy_of(const IndexSnapshot::Entry& entry) {
  return OverlayView::Entry{std::string(entry.key), std::string(entry.value)};
}
}  // namespace

Result<std::optional<std::string>> OverlayView::get(std::string_view key) {
  for (const auto& table : tables_) {
    if (const std::optional<Memtable::Value> value = table->get(key)) {
      return *value == nullptr ? std::nullopt : std::optional(**value);
    }
  }
  PAILFS_ASSIGN(const std::optional<std::string_view> value, index_->get(key));
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

Result<std::optional<OverlayView::Entry>> OverlayView::seek(std::string_view from, std::string_view end) {
  position_ = from;
  after_ = false;
  index_position_ = {};
  return advance(end);
}

Result<std::optional<OverlayView::Entry>> OverlayView::next(std::string_view end) { return advance(end); }

// Takes the smallest key of all layers, the newest layer that has it, and goes on while that is a tombstone. The active
// memtable may change between any two steps, hence the search by key in every step; a key that lies behind the position
// and comes or goes in it is seen or not, as if the scan had run a moment later.
Result<std::optional<OverlayView::Entry>> OverlayView::advance(std::string_view end) {
  for (;;) {
    std::optional<Candidate> table_entry = first_in_tables(position_, after_);
    PAILFS_TRY(advance_index(position_, after_));
    std::optional<Entry>& index_entry = index_position_.entry;
    const bool from_index = index_entry && (!table_entry || index_entry->key < table_entry->key);
    if (!from_index && !table_entry) return std::nullopt;
    const std::string& key = from_index ? index_entry->key : table_entry->key;
    if (!below(key, end)) return std::nullopt;
    position_ = key;
    after_ = true;
    // The copy in index_position_ stays behind with its key, so that the next step knows that it is passed.
    if (from_index) return Entry{index_entry->key, std::move(index_entry->value)};
    if (table_entry->value != nullptr) return Entry{std::move(table_entry->key), *table_entry->value};
  }
}

// Moves the index to its first entry with key >= from (or > from when `after`), by the cursor where it can.
Status OverlayView::advance_index(std::string_view from, bool after) {
  if (!index_position_.started) {
    PAILFS_ASSIGN(const std::optional<IndexSnapshot::Entry> found, index_->seek(from));
    index_position_.started = true;
    index_position_.entry = found ? std::optional(copy_of(*found)) : std::nullopt;
  }
  // At most a few steps: every entry that a scan returns or hides was once the smallest key.
  while (index_position_.entry && after && index_position_.entry->key <= from) {
    PAILFS_ASSIGN(const std::optional<IndexSnapshot::Entry> found, index_->next());
    index_position_.entry = found ? std::optional(copy_of(*found)) : std::nullopt;
  }
  return {};
}

std::optional<OverlayView::Candidate> OverlayView::first_in_tables(std::string_view from, bool after) const {
  std::optional<Candidate> first;
  for (const auto& table : tables_) {
    std::optional<Memtable::Entry> found = table->seek(from, after);
    // Strictly smaller: of equal keys the newest table's, which was asked first, counts.
    if (found && (!first || found->key < first->key)) first = Candidate{std::move(found->key), std::move(found->value)};
  }
  return first;
}

std::optional<OverlayView::Candidate> OverlayView::last_in_tables(std::string_view before) const {
  std::optional<Candidate> last;
  for (const auto& table : tables_) {
    std::optional<Memtable::Entry> found = table->last_before(before);
    if (found && (!last || found->key > last->key)) last = Candidate{std::move(found->key), std::move(found->value)};
  }
  return last;
}

Result<std::optional<OverlayView::Entry>> OverlayView::last_before(std::string_view before, std::string_view floor) {
  std::string bound(before);
  std::optional<Entry> index_entry;
  bool ask_index = true;
  for (;;) {
    std::optional<Candidate> table_entry = last_in_tables(bound);
    if (ask_index) {
      PAILFS_ASSIGN(const std::optional<IndexSnapshot::Entry> found, index_->last_before(bound));
      index_entry = found ? std::optional(copy_of(*found)) : std::nullopt;
    }
    const bool from_index = index_entry && (!table_entry || index_entry->key > table_entry->key);
    if (!from_index && !table_entry) return std::nullopt;
    if ((from_index ? index_entry->key : table_entry->key) < floor) return std::nullopt;
    if (from_index) return index_entry;
    if (table_entry->value != nullptr) return Entry{std::move(table_entry->key), *table_entry->value};
    bound = std::move(table_entry->key);
    // The index's entry still holds unless the tombstone hides just that one.
    ask_index = index_entry && index_entry->key >= bound;
  }
}

}  // namespace pailfs
