#include "index/memtable.h"

#include <algorithm>
#include <iterator>

namespace pailfs {

namespace {

// What glibc's malloc takes from the heap for `n` bytes: a word of header, rounded up to 16, at least 32.
size_t heap_chunk(size_t n) { return std::max<size_t>(32, (n + 8 + 15) & ~size_t{15}); }

// Short strings live in the object itself (std::string's small buffer holds 15 characters).
size_t heap_of(const std::string& s) { return s.capacity() <= 15 ? 0 : heap_chunk(s.capacity() + 1); }

size_t heap_of(const Memtable::Value& value) {
  if (value == nullptr) return 0;
  // make_shared puts the string behind a vtable pointer and two counters.
  return heap_chunk(2 * sizeof(void*) + sizeof(std::string)) + heap_of(*value);
}

// Strings that were built by appending can hold twice what they need; here they stay for minutes.
std::string without_slack(std::string&& s) {
  if (s.capacity() > 15 && s.capacity() - s.size() > 16 + s.size() / 8) return std::string(s.data(), s.size());
  return std::move(s);
}

size_t size_of(const Memtable::Value& value) { return value == nullptr ? 0 : value->size(); }

}  // namespace

void Memtable::apply(std::vector<IndexChange>&& changes) {
  // Allocating here and freeing replaced values at the end keeps malloc out of the lock as far as it goes.
  std::vector<Value> values;
  values.reserve(changes.size());
  for (IndexChange& change : changes) {
    change.key = without_slack(std::move(change.key));
    values.push_back(change.value ? std::make_shared<const std::string>(without_slack(std::move(*change.value)))
                                  : nullptr);
  }
  WriterLock lock(mutex_);
  for (size_t i = 0; i < changes.size(); ++i) put(std::move(changes[i].key), values[i]);
  memory_.store(node_bytes_ + pending_.capacity() * sizeof(Map::iterator), std::memory_order_relaxed);
}

// Leaves the value that it replaces in `value`.
void Memtable::put(std::string&& key, Value& value) {
  constexpr size_t kTreeLinks = 4 * sizeof(void*);  // colour, parent, left, right
  const auto [it, inserted] = map_.try_emplace(std::move(key));
  Node& node = it->second;
  if (inserted) node_bytes_ += heap_chunk(kTreeLinks + sizeof(Map::value_type)) + heap_of(it->first);
  node_bytes_ += heap_of(value);
  node_bytes_ -= heap_of(node.value);
  if (node.pending) {
    pending_bytes_ -= size_of(node.value);
  } else {
    node.pending = true;
    pending_.push_back(it);
    pending_bytes_ += it->first.size();
  }
  pending_bytes_ += size_of(value);
  node.value.swap(value);
}

std::vector<std::pair<std::string, Memtable::Value>> Memtable::take_changes() {
  std::vector<std::pair<Map::iterator, Value>> taken;
  std::vector<Map::iterator> pending;
  {
    WriterLock lock(mutex_);
    pending.swap(pending_);
    pending_bytes_ = 0;
    memory_.store(node_bytes_, std::memory_order_relaxed);
    taken.reserve(pending.size());
    for (const Map::iterator it : pending) {
      it->second.pending = false;
      taken.emplace_back(it, it->second.value);
    }
  }
  // Keys of map nodes are constant and stay, so reading them needs no lock.
  const auto by_key = [](const auto& a, const auto& b) { return a.first->first < b.first->first; };
  if (!std::is_sorted(taken.begin(), taken.end(), by_key)) std::sort(taken.begin(), taken.end(), by_key);
  std::vector<std::pair<std::string, Value>> changes;
  changes.reserve(taken.size());
  for (auto& [it, value] : taken) changes.emplace_back(it->first, std::move(value));
  return changes;
}

size_t Memtable::pending_changes() const {
  ReaderLock lock(mutex_);
  return pending_.size();
}

size_t Memtable::pending_bytes() const {
  ReaderLock lock(mutex_);
  return pending_bytes_;
}

std::optional<Memtable::Value> Memtable::get(std::string_view key) const {
  ReaderLock lock(mutex_);
  const auto it = map_.find(key);
  if (it == map_.end()) return std::nullopt;
  return it->second.value;
}

std::optional<Memtable::Entry> Memtable::seek(std::string_view from, bool after) const {
  ReaderLock lock(mutex_);
  const auto it = after ? map_.upper_bound(from) : map_.lower_bound(from);
  if (it == map_.end()) return std::nullopt;
  return Entry{it->first, it->second.value};
}

std::optional<Memtable::Entry> Memtable::last_before(std::string_view before) const {
  ReaderLock lock(mutex_);
  const auto it = map_.lower_bound(before);
  if (it == map_.begin()) return std::nullopt;
  const auto last = std::prev(it);
  return Entry{last->first, last->second.value};
}

void Memtable::for_each(const std::function<void(const std::string& key, const Value& value)>& visit) const {
  ReaderLock lock(mutex_);
  for (const auto& [key, node] : map_) visit(key, node.value);
}

size_t Memtable::entries() const {
  ReaderLock lock(mutex_);
  return map_.size();
}

}  // namespace pailfs
