// Disjoint ranges of one segment: what the repair of the store's tables counts with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

namespace pailfs {

using Ranges = std::map<uint64_t, uint64_t>;  // begin to end

inline void add_range(Ranges& ranges, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  auto it = ranges.upper_bound(begin);
  if (it != ranges.begin() && std::prev(it)->second >= begin) --it;
  while (it != ranges.end() && it->first <= end) {
    begin = std::min(begin, it->first);
    end = std::max(end, it->second);
    it = ranges.erase(it);
  }
  ranges[begin] = end;
}

// Calls visit(begin, end) for the pieces of [begin, end) that are not in `taken`.
template <typename Visit>
void without(const Ranges& taken, uint64_t begin, uint64_t end, const Visit& visit) {
  auto it = taken.upper_bound(begin);
  if (it != taken.begin() && std::prev(it)->second > begin) --it;
  for (; begin < end && it != taken.end() && it->first < end; ++it) {
    if (it->first > begin) visit(begin, it->first);
    begin = std::max(begin, it->second);
  }
  if (begin < end) visit(begin, end);
}

inline bool overlaps(const Ranges& ranges, uint64_t begin, uint64_t end) {
  uint64_t free = 0;
  without(ranges, begin, end, [&](uint64_t from, uint64_t to) { free += to - from; });
  return free != end - begin;
}

}  // namespace pailfs
