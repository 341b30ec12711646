#include "policy/context.h"

#include <algorithm>

namespace pailfs::policy {

bool is_among(std::string_view key, std::span<const std::string_view> keys) {
  return std::ranges::any_of(
      keys, [&](std::string_view one) { return one.ends_with('/') ? key.starts_with(one) : key == one; });
}

void Context::add(std::string_view key, std::span<const std::string_view> values) {
  const auto same = std::ranges::find(entries_, key, &Entry::key);
  const size_t first = values_.size();
  if (same != entries_.end()) {
    // All values of a key stand together, so those from before move to the end.
    for (size_t i = 0; i < same->count; ++i) values_.push_back(std::string_view(values_[same->first + i]));
    values_.insert(values_.end(), values.begin(), values.end());
    *same = {key, first, values_.size() - first};
    return;
  }
  values_.insert(values_.end(), values.begin(), values.end());
  entries_.push_back({key, first, values.size()});
}

std::span<const std::string_view> Context::find(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return std::span(values_).subspan(entry.first, entry.count);
  }
  return {};
}

void Context::clear() {
  entries_.clear();
  values_.clear();
}

}  // namespace pailfs::policy
