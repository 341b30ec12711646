#include "core/extents.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "crypto/crypto.h"
#include "support/sanitizers.h"

namespace pailfs {
namespace {

constexpr uint32_t kSpace = 96 * 1024;  // bytes of the chunk that the tests use
constexpr uint64_t kStoredUnit = kUnitSize + kTagSize;

// A byte of a unit: the unit's birth and the offset in it. birth 0: a hole.
struct Byte {
  uint64_t birth = 0;
  uint32_t at = 0;
  bool operator==(const Byte&) const = default;
};

using Units = std::map<uint64_t, std::pair<uint32_t, bool>>;  // birth -> plaintext length, head

Units units_of(const Run& run) {
  Units out;
  for (uint32_t i = 0; i < run.units(); ++i) {
    out[run.offset + i * kStoredUnit] = {std::min(kUnitSize, run.length - i * kUnitSize), run.head && i == 0};
  }
  return out;
}

Units units_of(const ExtentList& list) {
  Units out;
  for (const Extent& extent : list) out.merge(units_of(extent.run));
  return out;
}

Byte shown_at(const ExtentList& list, uint32_t offset) {
  for (const Extent& extent : list) {
    if (offset < extent.offset || offset >= extent.offset + extent.length) continue;
    const uint32_t in_run = extent.skip + (offset - extent.offset);
    return {extent.run.offset + in_run / kUnitSize * kStoredUnit, in_run % kUnitSize};
  }
  return {};
}

class ExtentModel {
 public:
  explicit ExtentModel(uint32_t seed) : random_(seed), bytes_(kSpace) {}

  uint32_t below(uint32_t limit) { return std::uniform_int_distribution<uint32_t>(0, limit - 1)(random_); }

  // A new log record: its own room, a header before its first unit.
  pailfs::Run new_run(uint32_t length) {
    const pailfs::Run run{1, position_, length, true};
    position_ += run.stored_length() + 32;
    return run;
  }

  void write(uint32_t offset, uint32_t length) {
    const Extent extent{offset, length, 0, new_run(length)};
    live_.merge(units_of(extent.run));
    replace(list, extent, dropped);
    for (uint32_t i = 0; i < length; ++i) {
      bytes_[offset + i] = {extent.run.offset + i / kUnitSize * kStoredUnit, i % kUnitSize};
    }
  }
  void hole(uint32_t begin, uint32_t end) {
    punch(list, begin, end, dropped);
    std::fill(bytes_.begin() + begin, bytes_.begin() + end, Byte{});
  }
  void shorten(uint32_t end) {
    cut(list, end, dropped);
    std::fill(bytes_.begin() + end, bytes_.end(), Byte{});
  }

  void step() {
    const uint32_t offset = below(kSpace);
    // Aligned ones are what the kernel's cache writes, small ones what splits units.
    const uint32_t size = below(4) == 0 ? below(kSpace) : below(3) == 0 ? below(300) : below(3 * kUnitSize);
    const uint32_t length = std::min(size + 1, kSpace - offset);
    switch (below(20)) {
      case 0:
        return shorten(offset);
      case 1:
      case 2:
      case 3:
        return hole(offset, offset + length);
      case 4:
      case 5:
      case 6:
      case 7: {
        const uint32_t aligned = offset / kUnitSize * kUnitSize;
        return write(aligned, std::min(kUnitSize * (1 + below(4)), kSpace - aligned));
      }
      default:
        return write(offset, length);
    }
  }

  // What was dropped in the last steps is released, but for what `older` holds.
  void settle() {
    for (const pailfs::Run& run : released(dropped, {&list, &older})) {
      for (const auto& [birth, unit] : units_of(run)) {
        ASSERT_TRUE(live_.contains(birth)) << "released twice, or never appended";
        ASSERT_EQ(unit, live_[birth]) << "the released unit is not the one that was appended";
        live_.erase(birth);
      }
    }
    dropped.clear();
  }

  void verify_units() {
    Units referenced = units_of(list);
    referenced.merge(units_of(older));
    ASSERT_EQ(referenced, live_);
    ASSERT_EQ(extents_fault(list, kSpace), "");
  }
  void verify_byte(uint32_t offset) { ASSERT_EQ(shown_at(list, offset), bytes_[offset]) << "at " << offset; }
  void verify_all() {
    uint64_t shown = 0;
    for (uint32_t offset = 0; offset < kSpace; ++offset) {
      if (bytes_[offset].birth != 0) ++shown;
    }
    ASSERT_EQ(covered(list), shown);
    for (uint32_t offset = 0; offset < kSpace; offset += 1 + below(7)) verify_byte(offset);
  }

  ExtentList list;
  ExtentList older;
  ExtentList dropped;

 private:
  std::mt19937 random_;
  uint64_t position_ = 4096;
  std::vector<Byte> bytes_;
  Units live_;  // appended and not released
};

TEST(Extents, RandomChangesShowWhatWasWrittenAndReleaseEachUnitOnce) {
  ExtentModel model(1);
  for (int i = 0; i < 100'000 / test::kSlowdown && !testing::Test::HasFatalFailure(); ++i) {
    model.step();
    if (model.below(3) != 0) {
      model.settle();
      model.verify_units();
    }
    for (int n = 0; n < 4; ++n) model.verify_byte(model.below(kSpace));
    if (i % 500 == 0) model.verify_all();
  }
}

TEST(Extents, WhatAnOlderListShowsIsNotReleased) {
  ExtentModel model(2);
  for (int i = 0; i < 20'000 / test::kSlowdown && !testing::Test::HasFatalFailure(); ++i) {
    model.step();
    model.settle();
    model.verify_units();
    if (i % 97 == 0) {
      // A version goes: what only it showed is released, then the present is the next older one.
      model.dropped = std::move(model.older);
      model.older.clear();
      model.settle();
      model.verify_units();
      model.older = model.list;
    }
  }
}

TEST(Extents, AWriteIntoTheMiddleOfAUnitLeavesTheUnitToBothSides) {
  ExtentList list, dropped;
  replace(list, {0, 4096, 0, {1, 100, 4096, true}}, dropped);
  replace(list, {1000, 10, 0, {1, 9000, 10, true}}, dropped);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0], (Extent{0, 1000, 0, {1, 100, 4096, true}}));
  EXPECT_EQ(list[2], (Extent{1010, 3086, 1010, {1, 100, 4096, true}}));
  EXPECT_TRUE(released(dropped, {&list}).empty());
}

TEST(Extents, TrimmingKeepsOnlyUnitsThatAreShown) {
  const Extent whole{0, 5 * 4096, 0, {1, 100, 5 * 4096, true}};
  const Extent middle = slice(whole, 4096 + 5, 3 * 4096);
  EXPECT_EQ(middle.skip, 5u);
  EXPECT_EQ(middle.run, (pailfs::Run{1, 100 + kStoredUnit, 2 * 4096, false}));
  const Extent front = slice(whole, 0, 1);
  EXPECT_EQ(front.run, (pailfs::Run{1, 100, 4096, true}));
}

TEST(Extents, ReleasedRunsEndAtTheBordersOfLogRecords) {
  const ExtentList dropped{{0, 4096, 0, {1, 100, 4096, true}},
                           {4096, 4096, 0, {1, 100 + kStoredUnit, 4096, false}},
                           {8192, 100, 0, {1, 100 + 2 * kStoredUnit + 32, 100, true}}};
  const std::vector<pailfs::Run> runs = released(dropped, {});
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0], (pailfs::Run{1, 100, 8192, true}));
  EXPECT_EQ(runs[1], (pailfs::Run{1, 100 + 2 * kStoredUnit + 32, 100, true}));
}

TEST(Extents, SegmentsAreToldApart) {
  const ExtentList dropped{{0, 10, 0, {1, 100, 10, true}}, {10, 10, 0, {2, 100, 10, true}}};
  const ExtentList kept{{0, 10, 0, {2, 100, 10, true}}};
  EXPECT_EQ(released(dropped, {&kept}), (std::vector<pailfs::Run>{{1, 100, 10, true}}));
}

TEST(Extents, FaultsAreNamed) {
  EXPECT_EQ(extents_fault({{0, 10, 0, {1, 100, 10, true}}}, 10), "");
  EXPECT_NE(extents_fault({{1, 10, 0, {1, 100, 10, true}}}, 10), "");
  EXPECT_NE(extents_fault({{0, 0, 0, {1, 100, 10, true}}}, 10), "");
  EXPECT_NE(extents_fault({{0, 10, 5, {1, 100, 10, true}}}, 10), "");
  EXPECT_NE(extents_fault({{0, 10, 0, {1, 100, 8192, true}}}, 10), "");
  EXPECT_NE(extents_fault({{5, 5, 0, {1, 100, 5, true}}, {0, 5, 0, {1, 200, 5, true}}}, 10), "");
}

}  // namespace
}  // namespace pailfs
