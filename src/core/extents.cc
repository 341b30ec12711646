#include "core/extents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "crypto/crypto.h"

namespace pailfs {

namespace {

constexpr uint64_t kStoredUnit = uint64_t{kUnitSize} + kTagSize;

// Puts `pieces` in the place of list[first, last).
void splice(ExtentList& list, size_t first, size_t last, std::span<const Extent> pieces) {
  const size_t common = std::min(last - first, pieces.size());
  std::copy_n(pieces.begin(), common, list.begin() + static_cast<ptrdiff_t>(first));
  const auto place = list.begin() + static_cast<ptrdiff_t>(first + common);
  if (pieces.size() > common) {
    list.insert(place, pieces.begin() + static_cast<ptrdiff_t>(common), pieces.end());
  } else {
    list.erase(place, list.begin() + static_cast<ptrdiff_t>(last));
  }
}

// Takes [begin, end) out of the list and puts `extent`, if there is one, there.
void substitute(ExtentList& list, uint32_t begin, uint32_t end, const Extent* extent, ExtentList& dropped) {
  const auto overlap =
      std::partition_point(list.begin(), list.end(), [&](const Extent& e) { return end_of(e) <= begin; });
  const auto behind = std::partition_point(overlap, list.end(), [&](const Extent& e) { return e.offset < end; });
  std::array<Extent, 3> pieces;
  size_t count = 0;
  if (overlap != behind && overlap->offset < begin) pieces[count++] = slice(*overlap, 0, begin - overlap->offset);
  if (extent != nullptr) pieces[count++] = *extent;
  if (overlap != behind) {
    const Extent& last = *std::prev(behind);
    if (end_of(last) > end) pieces[count++] = slice(last, end - last.offset, last.length);
  }
  dropped.insert(dropped.end(), overlap, behind);
  splice(list, static_cast<size_t>(overlap - list.begin()), static_cast<size_t>(behind - list.begin()),
         std::span(pieces).first(count));
}

bool before(const UnitRange& a, const UnitRange& b) {
  return a.segment != b.segment ? a.segment < b.segment : a.begin < b.begin;
}

// a ends at or below the beginning of b.
bool wholly_before(const UnitRange& a, const UnitRange& b) {
  return a.segment != b.segment ? a.segment < b.segment : a.end <= b.begin;
}

// Sorts, and joins what overlaps or continues within one log record.
void unite(std::vector<UnitRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(), before);
  size_t last = 0;
  for (size_t i = 1; i < ranges.size(); ++i) {
    UnitRange& a = ranges[last];
    const UnitRange& b = ranges[i];
    const bool continues = b.begin == a.end && !b.head && (a.end - a.begin) % kStoredUnit == 0;
    if (a.segment == b.segment && (b.begin < a.end || continues)) {
      a.end = std::max(a.end, b.end);
      a.head = a.head || (b.begin == a.begin && b.head);
    } else {
      ranges[++last] = b;
    }
  }
  if (!ranges.empty()) ranges.resize(last + 1);
}

}  // namespace

UnitRange range_of(const Run& run) { return {run.segment, run.offset, run.offset + run.stored_length(), run.head}; }

Run run_of(const UnitRange& range) {
  const uint64_t stored = range.end - range.begin;
  const uint64_t units = (stored + kStoredUnit - 1) / kStoredUnit;
  return {range.segment, range.begin, static_cast<uint32_t>(stored - units * kTagSize), range.head};
}

Extent slice(const Extent& extent, uint32_t from, uint32_t to) {
  Extent out{extent.offset + from, to - from, extent.skip + from, extent.run};
  if (const uint32_t front = out.skip / kUnitSize; front > 0) {
    out.run = out.run.drop_front(front);
    out.skip -= front * kUnitSize;
  }
  const uint32_t needed = (out.skip + out.length + kUnitSize - 1) / kUnitSize;
  if (needed < out.run.units()) out.run = out.run.keep_front(needed);
  return out;
}

void replace(ExtentList& list, const Extent& extent, ExtentList& dropped) {
  substitute(list, extent.offset, end_of(extent), &extent, dropped);
}

void punch(ExtentList& list, uint32_t begin, uint32_t end, ExtentList& dropped) {
  if (begin < end) substitute(list, begin, end, nullptr, dropped);
}

void cut(ExtentList& list, uint32_t end, ExtentList& dropped) {
  if (!list.empty() && end_of(list.back()) > end) substitute(list, end, end_of(list.back()), nullptr, dropped);
}

std::vector<Run> released(const ExtentList& dropped, std::initializer_list<const ExtentList*> kept) {
  std::vector<Run> out;
  if (dropped.empty()) return out;
  std::vector<UnitRange> old;
  old.reserve(dropped.size());
  for (const Extent& extent : dropped) {
    if (!is_lost(extent.run)) old.push_back(range_of(extent.run));
  }
  if (old.empty()) return out;
  unite(old);
  std::vector<UnitRange> live;
  for (const ExtentList* list : kept) {
    for (const Extent& extent : *list) {
      const UnitRange range = range_of(extent.run);
      if (!wholly_before(range, old.front()) && !wholly_before(old.back(), range)) live.push_back(range);
    }
  }
  unite(live);
  size_t next = 0;
  for (const UnitRange& range : old) {
    const auto release = [&](uint64_t begin, uint64_t end) {
      if (begin < end) out.push_back(run_of({range.segment, begin, end, range.head && begin == range.begin}));
    };
    while (next < live.size() && wholly_before(live[next], range)) ++next;
    uint64_t at = range.begin;
    for (size_t i = next; i < live.size() && !wholly_before(range, live[i]); ++i) {
      release(at, live[i].begin);
      at = std::max(at, live[i].end);
    }
    release(at, range.end);
  }
  return out;
}

Extent lost_extent(uint32_t begin, uint32_t end) { return {begin, end - begin, 0, {0, 0, end - begin, false}}; }

uint64_t lost_bytes(const ExtentList& list) {
  uint64_t bytes = 0;
  for (const Extent& extent : list) bytes += is_lost(extent.run) ? extent.length : 0;
  return bytes;
}

uint64_t covered(const ExtentList& list) {
  uint64_t bytes = 0;
  for (const Extent& extent : list) bytes += extent.length;
  return bytes;
}

std::string extents_fault(const ExtentList& list, uint32_t limit) {
  uint64_t at = 0;
  for (const Extent& extent : list) {
    if (extent.length == 0) return "an extent is empty";
    if (extent.offset < at) return "extents overlap or are out of order";
    at = uint64_t{extent.offset} + extent.length;
    if (at > limit) return fmt::format("an extent ends at {}, beyond {}", at, limit);
    const uint64_t shown = uint64_t{extent.skip} + extent.length;
    if (extent.skip >= kUnitSize || shown > extent.run.length) return "an extent shows bytes its run does not have";
    if ((shown + kUnitSize - 1) / kUnitSize != extent.run.units()) return "an extent holds units that it does not show";
  }
  return {};
}

}  // namespace pailfs
