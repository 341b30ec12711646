#include "index/overlay.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "index/memory_index.h"

namespace pailfs {
namespace {

using Pair = std::pair<std::string, std::string>;
using Pairs = std::vector<Pair>;
using Model = std::map<std::string, std::string>;

IndexChange put(std::string key, std::string value) { return {std::move(key), std::move(value)}; }
IndexChange erase(std::string key) { return {std::move(key), std::nullopt}; }

std::shared_ptr<Memtable> table_of(std::vector<IndexChange> changes) {
  auto table = std::make_shared<Memtable>();
  table->apply(std::move(changes));
  return table;
}

std::unique_ptr<IndexSnapshot> index_of(const std::vector<IndexChange>& changes) {
  const auto index = make_memory_index();
  EXPECT_TRUE(index->apply(changes));
  return std::move(*index->snapshot());
}

std::optional<std::pair<std::string, std::string>> pair_of(const Result<std::optional<OverlayView::Entry>>& entry) {
  EXPECT_TRUE(entry.has_value());
  if (!entry || !*entry) return std::nullopt;
  return std::pair((*entry)->key, (*entry)->value);
}

Pairs scan(OverlayView& view, std::string_view from = {}, std::string_view end = {}) {
  Pairs all;
  for (auto entry = pair_of(view.seek(from, end)); entry; entry = pair_of(view.next(end))) all.push_back(*entry);
  return all;
}

// Three layers in which the newest has the last word: "a" deleted, "b" brought back, "c" only old, and so on.
OverlayView layered() {
  auto newest = table_of({erase("a"), put("b", "new"), put("e", "new"), erase("g"), erase("z")});
  auto older = table_of({put("a", "mid"), erase("b"), put("d", "mid"), erase("e"), erase("f")});
  auto index = index_of({put("a", "old"), put("b", "old"), put("c", "old"), put("d", "old"), put("f", "old"),
                         put("g", "old"), put("h", "old")});
  return OverlayView({newest, older}, std::move(index));
}

TEST(OverlayView, TheNewestLayerThatKnowsAKeyDecides) {
  OverlayView view = layered();
  EXPECT_EQ(*view.get("a"), std::nullopt);
  EXPECT_EQ(*view.get("b"), "new");
  EXPECT_EQ(*view.get("c"), "old");
  EXPECT_EQ(*view.get("d"), "mid");
  EXPECT_EQ(*view.get("e"), "new");
  EXPECT_EQ(*view.get("f"), std::nullopt);
  EXPECT_EQ(*view.get("x"), std::nullopt);
}

TEST(OverlayView, ScansMergeTheLayers) {
  OverlayView view = layered();
  EXPECT_EQ(scan(view), (Pairs{{"b", "new"}, {"c", "old"}, {"d", "mid"}, {"e", "new"}, {"h", "old"}}));
  EXPECT_EQ(scan(view, "c", "e"), (Pairs{{"c", "old"}, {"d", "mid"}}));
  EXPECT_EQ(scan(view, "f", "h"), Pairs{});
  EXPECT_EQ(scan(view, "i"), Pairs{});
}

TEST(OverlayView, AScanThatReachedItsEndGoesOnBehindIt) {
  OverlayView view = layered();
  EXPECT_EQ(scan(view, "b", "d"), (Pairs{{"b", "new"}, {"c", "old"}}));
  EXPECT_EQ(pair_of(view.next("e")), Pair("d", "mid"));
  EXPECT_EQ(pair_of(view.next("e")), std::nullopt);
  EXPECT_EQ(pair_of(view.next("")), Pair("e", "new"));
}

TEST(OverlayView, LastBeforeSkipsTombstonesOfNewerLayers) {
  OverlayView view = layered();
  EXPECT_EQ(pair_of(view.last_before("zz", "")), Pair("h", "old"));
  EXPECT_EQ(pair_of(view.last_before("h", "")), Pair("e", "new"));
  EXPECT_EQ(pair_of(view.last_before("h", "f")), std::nullopt);
  EXPECT_EQ(pair_of(view.last_before("e", "d")), Pair("d", "mid"));
  EXPECT_EQ(pair_of(view.last_before("b", "")), std::nullopt);
}

TEST(OverlayView, GetAndLastBeforeDoNotDisturbAScan) {
  OverlayView view = layered();
  EXPECT_EQ(pair_of(view.seek("", "")), Pair("b", "new"));
  EXPECT_EQ(*view.get("h"), "old");
  EXPECT_EQ(pair_of(view.last_before("zz", "")), Pair("h", "old"));
  EXPECT_EQ(pair_of(view.next("")), Pair("c", "old"));
}

TEST(OverlayView, AScanSeesWhatChangesAheadOfItInTheActiveMemtable) {
  auto active = table_of({put("c", "1")});
  OverlayView view({active}, index_of({put("a", "1"), put("b", "1"), put("e", "1"), put("f", "1")}));
  EXPECT_EQ(pair_of(view.seek("", "")), Pair("a", "1"));
  // Between the position and what the index cursor already holds; on it; and deletions of what comes.
  active->apply({put("aa", "2"), put("b", "2"), erase("e"), erase("c"), put("d", "2"), put("A", "behind")});
  EXPECT_EQ(scan(view), (Pairs{{"A", "behind"}, {"a", "1"}, {"aa", "2"}, {"b", "2"}, {"d", "2"}, {"f", "1"}}));
  EXPECT_EQ(pair_of(view.seek("a", "")), Pair("a", "1"));
  active->apply({put("ab", "3")});
  EXPECT_EQ(pair_of(view.next("")), Pair("aa", "2"));
  EXPECT_EQ(pair_of(view.next("")), Pair("ab", "3"));
}

TEST(OverlayView, AnIndexEntryHiddenAfterItWasReachedIsNotReturned) {
  auto active = std::make_shared<Memtable>();
  OverlayView view({active}, index_of({put("a", "1"), put("b", "1"), put("c", "1")}));
  EXPECT_EQ(pair_of(view.seek("", "b")), Pair("a", "1"));
  EXPECT_EQ(pair_of(view.next("b")), std::nullopt);  // the index cursor stands on "b" now
  active->apply({erase("b")});
  EXPECT_EQ(pair_of(view.next("")), Pair("c", "1"));
}

TEST(OverlayView, ALongRunOfTombstonesIsPassed) {
  std::vector<IndexChange> live;
  std::vector<IndexChange> dead;
  for (int i = 0; i < 20000; ++i) {
    live.push_back(put(fmt::format("{:05}", i), "x"));
    if (i > 0 && i < 19999) dead.push_back(erase(fmt::format("{:05}", i)));
  }
  OverlayView view({table_of(std::move(dead))}, index_of(live));
  EXPECT_EQ(scan(view), (Pairs{{"00000", "x"}, {"19999", "x"}}));
  EXPECT_EQ(pair_of(view.last_before("19999", "")), Pair("00000", "x"));
}

// The life of a store in small: changes go to the newest memtable, memtables are sealed, the oldest is moved into the
// index, and views of every age are compared with std::map.
class Rehearsal {
 public:
  explicit Rehearsal(unsigned seed) : random_(seed) {}

  void step() {
    const auto action = random_() % 100;
    if (action < 40) return change();
    if (action < 42) return tables_.insert(tables_.begin(), std::make_shared<Memtable>()), void();
    if (action < 47) return checkpoint();
    if (action < 60) return compare_get();
    if (action < 80) return compare_last_before();
    compare_scan();
  }
  void compare_all() {
    OverlayView now = view();
    ASSERT_EQ(scan(now), Pairs(model_.begin(), model_.end()));
  }

 private:
  std::string any_key() { return fmt::format("{:03}", random_() % 400); }

  OverlayView view() {
    std::vector<std::shared_ptr<const Memtable>> pinned(tables_.begin(), tables_.end());
    return OverlayView(std::move(pinned), std::move(*index_->snapshot()));
  }

  void change() {
    std::vector<IndexChange> changes;
    for (size_t n = 1 + random_() % 3; n > 0; --n) {
      std::string key = any_key();
      if (random_() % 2 == 0) {
        model_.erase(key);
        changes.push_back(erase(std::move(key)));
      } else {
        std::string value = std::to_string(random_());
        model_[key] = value;
        changes.push_back(put(std::move(key), std::move(value)));
      }
    }
    tables_.front()->apply(std::move(changes));
  }

  void checkpoint() {
    if (tables_.size() < 2) return;
    std::vector<IndexChange> changes;
    tables_.back()->for_each([&](const std::string& key, const Memtable::Value& value) {
      changes.push_back({key, value == nullptr ? std::nullopt : std::optional(*value)});
    });
    ASSERT_TRUE(index_->apply(changes));
    tables_.pop_back();
  }

  void compare_get() {
    const std::string key = any_key();
    const auto known = model_.find(key);
    const auto expected = known == model_.end() ? std::nullopt : std::optional(known->second);
    ASSERT_EQ(*view().get(key), expected);
  }

  void compare_last_before() {
    const std::string before = any_key();
    const std::string floor = any_key();
    const auto known = model_.lower_bound(before);
    std::optional<std::pair<std::string, std::string>> expected;
    if (known != model_.begin() && std::prev(known)->first >= floor) expected = *std::prev(known);
    OverlayView now = view();
    ASSERT_EQ(pair_of(now.last_before(before, floor)), expected) << before << " " << floor;
  }

  // Changes go on between the steps: every step must find what the model has behind the position at that moment.
  void compare_scan() {
    const std::string from = any_key();
    const std::string end = random_() % 4 == 0 ? "" : any_key();
    OverlayView now = view();
    auto known = model_.lower_bound(from);
    auto found = pair_of(now.seek(from, end));
    for (int steps = 0; steps < 20; ++steps) {
      const bool in_range = known != model_.end() && (end.empty() || known->first < end);
      ASSERT_EQ(found.has_value(), in_range);
      if (!found) return;
      ASSERT_EQ(*found, std::pair(known->first, known->second));
      if (random_() % 3 == 0) change();
      known = model_.upper_bound(found->first);
      found = pair_of(now.next(end));
    }
  }

  std::mt19937 random_;
  Model model_;
  std::unique_ptr<Index> index_ = make_memory_index();
  std::vector<std::shared_ptr<Memtable>> tables_ = {std::make_shared<Memtable>()};  // newest first
};

TEST(OverlayView, RandomStepsMatchAModel) {
  Rehearsal rehearsal(20261123);
  for (int step = 0; step < 120'000; ++step) {
    rehearsal.step();
    if (testing::Test::HasFatalFailure()) FAIL() << "at step " << step;
    if (step % 1000 == 0) rehearsal.compare_all();
  }
}

}  // namespace
}  // namespace pailfs
