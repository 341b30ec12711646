// Extent lists: pure functions on the map from the bytes of one chunk to units in the log. See records.h for Extent.
//
// An extent keeps only units that it still shows: whoever shortens one trims its run to them, so that what is cut off
// can be released. A unit of which two extents show different bytes stays in both (a write into the middle of a unit
// splits the extent, not the unit). A unit is known by its birth, (segment, offset).
#pragma once

#include <initializer_list>
#include <vector>

#include "core/records.h"

namespace pailfs {

// First byte of the chunk behind the extent.
inline uint32_t end_of(const Extent& extent) { return extent.offset + extent.length; }

// Makes `extent` the content of [extent.offset, extent.offset + extent.length). Extents that are changed or removed are
// added to `dropped` as they were.
void replace(ExtentList& list, const Extent& extent, ExtentList& dropped);
// Makes a hole of [begin, end).
void punch(ExtentList& list, uint32_t begin, uint32_t end, ExtentList& dropped);
// Makes a hole of everything from `end` on.
void cut(ExtentList& list, uint32_t end, ExtentList& dropped);

// Bytes [from, to) of the extent, 0 <= from < to <= length, with its run trimmed.
Extent slice(const Extent& extent, uint32_t from, uint32_t to);

// The units of `dropped` that no list in `kept` refers to, as runs; each unit once. Lost extents have none.
std::vector<Run> released(const ExtentList& dropped, std::initializer_list<const ExtentList*> kept);

// Consecutive units of one log record, as ciphertext bytes [begin, end) of a segment.
struct UnitRange {
  uint64_t segment = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
  bool head = false;  // as in Run
};
UnitRange range_of(const Run& run);
Run run_of(const UnitRange& range);

// Bytes [begin, end) of a chunk, which damage took; and how many bytes of a list are such.
Extent lost_extent(uint32_t begin, uint32_t end);
uint64_t lost_bytes(const ExtentList& list);

// Bytes that the list covers.
uint64_t covered(const ExtentList& list);

// Sorted, not overlapping, within [0, limit), trimmed: what decode_extents() cannot know. Empty when all is well, or
// what is wrong.
std::string extents_fault(const ExtentList& list, uint32_t limit);

}  // namespace pailfs
