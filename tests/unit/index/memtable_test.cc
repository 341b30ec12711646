#include "index/memtable.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <random>
#include <set>

namespace pailfs {
namespace {

using Model = std::map<std::string, std::optional<std::string>>;

IndexChange put(std::string key, std::string value) { return {std::move(key), std::move(value)}; }
IndexChange erase(std::string key) { return {std::move(key), std::nullopt}; }

std::optional<std::string> text(const Memtable::Value& value) {
  return value == nullptr ? std::nullopt : std::optional(*value);
}

Model taken(Memtable& table) {
  Model changes;
  std::string previous;
  for (const auto& [key, value] : table.take_changes()) {
    EXPECT_LT(previous, key) << "in key order, each key once";
    previous = key;
    changes[key] = text(value);
  }
  return changes;
}

TEST(Memtable, KnowsValuesTombstonesAndNothing) {
  Memtable table;
  table.apply({put("a", "1"), erase("b"), put("c", "")});
  EXPECT_EQ(**table.get("a"), "1");
  ASSERT_TRUE(table.get("b").has_value());
  EXPECT_EQ(*table.get("b"), nullptr);
  EXPECT_EQ(**table.get("c"), "");
  EXPECT_FALSE(table.get("d").has_value());
  EXPECT_EQ(table.entries(), 3U);
}

TEST(Memtable, TheLastChangeOfAKeyCounts) {
  Memtable table;
  table.apply({put("a", "1"), erase("a"), put("a", "2"), put("b", "1"), erase("b")});
  EXPECT_EQ(taken(table), (Model{{"a", "2"}, {"b", std::nullopt}}));
}

TEST(Memtable, SeekAndLastBeforeSeeTombstones) {
  Memtable table;
  table.apply({put("b", "1"), erase("d")});
  EXPECT_EQ(table.seek("a", false)->key, "b");
  EXPECT_EQ(table.seek("b", false)->key, "b");
  EXPECT_EQ(table.seek("b", true)->key, "d");
  EXPECT_EQ(table.seek("b", true)->value, nullptr);
  EXPECT_FALSE(table.seek("d", true).has_value());
  EXPECT_EQ(table.last_before("e")->key, "d");
  EXPECT_EQ(table.last_before("d")->key, "b");
  EXPECT_FALSE(table.last_before("b").has_value());
}

TEST(Memtable, TakenChangesStayReadableAndAreNotTakenAgain) {
  Memtable table;
  table.apply({put("a", "1"), erase("b")});
  EXPECT_EQ(taken(table), (Model{{"a", "1"}, {"b", std::nullopt}}));
  EXPECT_EQ(taken(table), Model{});
  EXPECT_EQ(**table.get("a"), "1");
  EXPECT_EQ(table.entries(), 2U);
}

TEST(Memtable, AKeyChangedAfterItWasTakenIsPendingAgain) {
  Memtable table;
  table.apply({put("a", "1"), put("b", "1")});
  table.take_changes();
  table.apply({put("a", "2")});
  EXPECT_EQ(table.pending_changes(), 1U);
  EXPECT_EQ(taken(table), (Model{{"a", "2"}}));
}

TEST(Memtable, ATakenValueSurvivesItsReplacement) {
  Memtable table;
  table.apply({put("a", "old")});
  const auto changes = table.take_changes();
  table.apply({put("a", "new")});
  EXPECT_EQ(*changes[0].second, "old");
}

TEST(Memtable, PendingBytesAreThoseOfTheNextFrame) {
  Memtable table;
  table.apply({put("key", "12345")});
  EXPECT_EQ(table.pending_bytes(), 8U);
  table.apply({put("key", "1")});
  EXPECT_EQ(table.pending_bytes(), 4U);
  table.apply({erase("key"), put("k2", "22")});
  EXPECT_EQ(table.pending_bytes(), 7U);
  table.take_changes();
  EXPECT_EQ(table.pending_bytes(), 0U);
  table.apply({put("key", "12")});
  EXPECT_EQ(table.pending_bytes(), 5U);
}

TEST(Memtable, ForEachVisitsAllInOrder) {
  Memtable table;
  table.apply({put("b", "2"), erase("c"), put("a", "1")});
  Model visited;
  table.for_each([&](const std::string& key, const Memtable::Value& value) { visited[key] = text(value); });
  EXPECT_EQ(visited, (Model{{"a", "1"}, {"b", "2"}, {"c", std::nullopt}}));
}

TEST(Memtable, RandomStepsMatchAModel) {
  Memtable table;
  Model model;
  std::set<std::string> pending;
  std::mt19937 random(1);
  const auto any_key = [&] { return fmt::format("{}", random() % 3000); };
  for (int step = 0; step < 100'000; ++step) {
    switch (random() % 8) {
      case 0:
      case 1: {
        std::vector<IndexChange> changes;
        for (size_t n = 1 + random() % 4; n > 0; --n) {
          std::string key = any_key();
          std::optional<std::string> value;
          if (random() % 3 != 0) value = std::string(random() % 64, static_cast<char>(random()));
          model[key] = value;
          pending.insert(key);
          changes.push_back({std::move(key), std::move(value)});
        }
        table.apply(std::move(changes));
        break;
      }
      case 2:
        if (random() % 20 == 0) {
          Model expected;
          for (const std::string& key : pending) expected[key] = model[key];
          ASSERT_EQ(taken(table), expected);
          pending.clear();
        }
        break;
      case 3: {
        const std::string key = any_key();
        const auto value = table.get(key);
        const auto known = model.find(key);
        ASSERT_EQ(value.has_value(), known != model.end());
        if (value) {
          ASSERT_EQ(text(*value), known->second);
        }
        break;
      }
      case 4:
      case 5: {
        const std::string key = any_key();
        const bool after = random() % 2 == 0;
        const auto found = table.seek(key, after);
        const auto known = after ? model.upper_bound(key) : model.lower_bound(key);
        ASSERT_EQ(found.has_value(), known != model.end());
        if (found) {
          ASSERT_EQ(std::pair(found->key, text(found->value)), std::pair(known->first, known->second));
        }
        break;
      }
      case 6: {
        const std::string key = any_key();
        const auto found = table.last_before(key);
        const auto known = model.lower_bound(key);
        ASSERT_EQ(found.has_value(), known != model.begin());
        if (found) {
          ASSERT_EQ(found->key, std::prev(known)->first);
        }
        break;
      }
      default: {
        size_t bytes = 0;
        ASSERT_EQ(table.pending_changes(), pending.size());
        if (step % 100 != 0) break;
        for (const std::string& key : pending) bytes += key.size() + (model[key] ? model[key]->size() : 0);
        ASSERT_EQ(table.pending_bytes(), bytes);
      }
    }
  }
  ASSERT_EQ(table.entries(), model.size());
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PAILFS_TEST_OTHER_MALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PAILFS_TEST_OTHER_MALLOC
#endif
#endif

#if !defined(PAILFS_TEST_OTHER_MALLOC)
// Against malloc's own account, which the sanitizers' allocators do not keep.
void expect_honest_estimate(size_t key_size, size_t value_size) {
  constexpr int kEntries = 20000;
  const size_t before = mallinfo2().uordblks;
  auto table = std::make_unique<Memtable>();
  for (int i = 0; i < kEntries; ++i) {
    std::string key = fmt::format("{:06}", i * 7919 % 1'000'000);
    key.resize(key_size, 'k');
    std::string value;
    for (size_t n = 0; n < value_size; ++n) value.push_back('v');  // with the slack that appending leaves
    std::vector<IndexChange> change;
    change.push_back(put(std::move(key), std::move(value)));
    table->apply(std::move(change));
    if (i % 1000 == 999) table->take_changes();
  }
  const auto truth = static_cast<double>(mallinfo2().uordblks - before);
  EXPECT_NEAR(static_cast<double>(table->memory_bytes()) / truth, 1.0, 0.05)
      << key_size << " + " << value_size << " bytes: " << truth / kEntries << " in truth";
  testing::Test::RecordProperty(fmt::format("bytes_per_entry_{}_{}", key_size, value_size),
                                static_cast<int>(truth / kEntries));
}

TEST(Memtable, MemoryEstimateIsWhatMallocGivesOut) {
  expect_honest_estimate(9, 0);
  expect_honest_estimate(17, 10);
  expect_honest_estimate(25, 150);
  expect_honest_estimate(100, 1000);
  expect_honest_estimate(511, 3000);
}
#endif

TEST(Memtable, MemoryFallsWhenValuesDo) {
  Memtable table;
  table.apply({put("a", std::string(100'000, 'x'))});
  EXPECT_GT(table.memory_bytes(), 100'000U);
  table.apply({erase("a")});
  EXPECT_LT(table.memory_bytes(), 1'000U);
}

}  // namespace
}  // namespace pailfs
