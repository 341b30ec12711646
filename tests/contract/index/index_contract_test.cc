// What index.h promises, on every implementation, by one thread.
#include <map>
#include <random>

#include "contract/index/backends.h"

namespace pailfs::test {
namespace {

INSTANTIATE_TEST_SUITE_P(Contract, IndexTest, testing::ValuesIn(all_backends()),
                         [](const auto& backend) { return backend.param.name; });

TEST_P(IndexTest, EmptyIndexHasNothingToFind) {
  const auto view = snapshot();
  EXPECT_EQ(*view->get("a"), std::nullopt);
  EXPECT_EQ(copy_of(*view->seek("")), std::nullopt);
  EXPECT_EQ(copy_of(*view->next()), std::nullopt);
  EXPECT_EQ(copy_of(*view->last_before("zzz")), std::nullopt);
  EXPECT_EQ(index_->stats()->entries, 0U);
}

TEST_P(IndexTest, KeysAreOrderedAsUnsignedBytes) {
  const std::string zero("\0", 1);
  const std::string zeros("\0\0", 2);
  apply({put("\xff", "5"), put("\x7f", "3"), put("a", "2"), put("\x80", "4"), put(zeros, "1"), put(zero, "0"),
         put("\xff\xff", "7"), put(std::string("\xff\0", 2), "6")});
  const Pairs expected = {{zero, "0"},
                          {zeros, "1"},
                          {"a", "2"},
                          {"\x7f", "3"},
                          {"\x80", "4"},
                          {"\xff", "5"},
                          {std::string("\xff\0", 2), "6"},
                          {"\xff\xff", "7"}};
  EXPECT_EQ(content(), expected);
}

TEST_P(IndexTest, GetFindsExactlyTheKey) {
  apply({put("ab", "1"), put("abc", "2")});
  EXPECT_EQ(get("ab"), "1");
  EXPECT_EQ(get("abc"), "2");
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_EQ(get("abcd"), std::nullopt);
}

TEST_P(IndexTest, GetOfAKeyThatCannotExistFindsNothing) {
  apply({put("a", "1")});
  EXPECT_EQ(get(""), std::nullopt);
  EXPECT_EQ(get(std::string(kMaxIndexKey + 1, 'a')), std::nullopt);
}

TEST_P(IndexTest, SeekFindsTheFirstKeyNotBelow) {
  apply({put("b", "1"), put("d", "2")});
  const auto view = snapshot();
  EXPECT_EQ(copy_of(*view->seek("")), Pair("b", "1"));
  EXPECT_EQ(copy_of(*view->seek("a")), Pair("b", "1"));
  EXPECT_EQ(copy_of(*view->seek("b")), Pair("b", "1"));
  EXPECT_EQ(copy_of(*view->seek(std::string("b\0", 2))), Pair("d", "2"));
  EXPECT_EQ(copy_of(*view->seek("d")), Pair("d", "2"));
  EXPECT_EQ(copy_of(*view->seek("e")), std::nullopt);
  EXPECT_EQ(copy_of(*view->seek(std::string(600, 'c'))), Pair("d", "2"));
}

TEST_P(IndexTest, NextEndsAndStaysAtTheEnd) {
  apply({put("a", "1"), put("b", "2")});
  const auto view = snapshot();
  EXPECT_EQ(copy_of(*view->next()), std::nullopt) << "nothing was sought";
  EXPECT_EQ(copy_of(*view->seek("b")), Pair("b", "2"));
  EXPECT_EQ(copy_of(*view->next()), std::nullopt);
  EXPECT_EQ(copy_of(*view->next()), std::nullopt);
  EXPECT_EQ(copy_of(*view->seek("c")), std::nullopt);
  EXPECT_EQ(copy_of(*view->next()), std::nullopt) << "the last seek found nothing";
  EXPECT_EQ(copy_of(*view->seek("a")), Pair("a", "1"));
  EXPECT_EQ(copy_of(*view->next()), Pair("b", "2"));
}

TEST_P(IndexTest, LastBeforeFindsTheLastKeyBelow) {
  apply({put("b", "1"), put("d", "2"), put("f", "3")});
  const auto view = snapshot();
  EXPECT_EQ(copy_of(*view->last_before("")), std::nullopt);
  EXPECT_EQ(copy_of(*view->last_before("b")), std::nullopt);
  EXPECT_EQ(copy_of(*view->last_before(std::string("b\0", 2))), Pair("b", "1"));
  EXPECT_EQ(copy_of(*view->last_before("d")), Pair("b", "1"));
  EXPECT_EQ(copy_of(*view->last_before("e")), Pair("d", "2"));
  EXPECT_EQ(copy_of(*view->last_before("f")), Pair("d", "2"));
  EXPECT_EQ(copy_of(*view->last_before("\xff")), Pair("f", "3"));
}

TEST_P(IndexTest, GetAndLastBeforeDoNotMoveAScan) {
  apply({put("a", "1"), put("b", "2"), put("c", "3")});
  const auto view = snapshot();
  EXPECT_EQ(copy_of(*view->seek("a")), Pair("a", "1"));
  EXPECT_EQ(copy_of(*view->last_before("c")), Pair("b", "2"));
  EXPECT_EQ(**view->get("c"), "3");
  EXPECT_EQ(copy_of(*view->next()), Pair("b", "2"));
  EXPECT_EQ(copy_of(*view->last_before("a")), std::nullopt);
  EXPECT_EQ(copy_of(*view->next()), Pair("c", "3"));
}

TEST_P(IndexTest, LongestKeysAreKeptApart) {
  const std::string stem(kMaxIndexKey - 1, '\xff');
  apply({put(stem + "a", "1"), put(stem + "b", "2"), put(stem, "0")});
  EXPECT_EQ(content(), (Pairs{{stem, "0"}, {stem + "a", "1"}, {stem + "b", "2"}}));
  EXPECT_EQ(copy_of(*snapshot()->last_before(stem + "b")), Pair(stem + "a", "1"));
  EXPECT_EQ(copy_of(*snapshot()->last_before(std::string(kMaxIndexKey + 1, '\xff'))), Pair(stem + "b", "2"));
}

TEST_P(IndexTest, ValuesMayBeEmptyOrAMegabyte) {
  const std::string big(kMaxIndexValue, '\x5a');
  apply({put("big", big), put("empty", "")});
  EXPECT_EQ(get("empty"), "");
  EXPECT_TRUE(get("big") == big);
  apply({put("big", ""), put("empty", big)});
  EXPECT_EQ(get("big"), "");
  EXPECT_TRUE(get("empty") == big);
}

TEST_P(IndexTest, DeletingWhatIsMissingIsNoError) {
  apply({erase("a")});
  apply({put("b", "1"), erase("a"), erase("c")});
  EXPECT_EQ(content(), (Pairs{{"b", "1"}}));
}

TEST_P(IndexTest, TheLastChangeOfAKeyInABatchCounts) {
  apply({put("a", "1"), put("a", "2"), put("b", "1"), erase("b"), erase("c"), put("c", "3")});
  EXPECT_EQ(content(), (Pairs{{"a", "2"}, {"c", "3"}}));
}

TEST_P(IndexTest, AnEmptyBatchChangesNothing) {
  apply({put("a", "1")});
  apply({});
  EXPECT_EQ(content(), (Pairs{{"a", "1"}}));
}

TEST_P(IndexTest, ABatchThatBreaksTheLimitsIsRefusedAsAWhole) {
  apply({put("a", "1")});
  const auto refused = [&](std::vector<IndexChange> changes) {
    const Status status = index_->apply(changes);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kInvalid) << status.error().message;
  };
  refused({put("a", "2"), put("", "x")});
  refused({put("a", "2"), put(std::string(kMaxIndexKey + 1, 'k'), "x")});
  refused({put("a", "2"), erase("")});
  refused({put("a", "2"), put("b", std::string(kMaxIndexValue + 1, 'v'))});
  refused(std::vector<IndexChange>(kMaxBatchChanges + 1, put("a", "2")));
  refused(std::vector<IndexChange>(65, put("a", std::string(kMaxIndexValue, 'v'))));
  EXPECT_EQ(content(), (Pairs{{"a", "1"}}));
  apply({put("a", "3")});  // and the index is none the worse for it
  EXPECT_EQ(get("a"), "3");
}

TEST_P(IndexTest, TheLargestBatchThatIsAllowedIsApplied) {
  std::vector<IndexChange> changes;
  for (size_t i = 0; i < kMaxBatchChanges; ++i) changes.push_back(put(std::to_string(i * 7919 % 1000003), "v"));
  apply(changes);
  EXPECT_EQ(index_->stats()->entries, kMaxBatchChanges);
}

TEST_P(IndexTest, ASnapshotStaysAsItWasWhileBatchesAreApplied) {
  apply({put("a", "1"), put("b", "1")});
  const auto before = snapshot();
  apply({put("a", "2"), erase("b"), put("c", "2")});
  const auto after = snapshot();
  for (int i = 0; i < 20; ++i) apply({put("d" + std::to_string(i), std::string(100, 'x')), put("a", "3")});
  EXPECT_EQ(scan(*before), (Pairs{{"a", "1"}, {"b", "1"}}));
  EXPECT_EQ(scan(*after), (Pairs{{"a", "2"}, {"c", "2"}}));
  EXPECT_EQ(copy_of(*before->last_before("c")), Pair("b", "1"));
  EXPECT_EQ(get("a"), "3");
}

TEST_P(IndexTest, StatsCountEntries) {
  apply({put("a", "1"), put("b", "1"), put("c", "1")});
  apply({erase("b"), put("a", "2")});
  const auto stats = index_->stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->entries, 2U);
  EXPECT_GT(stats->used_bytes, 0U);
  EXPECT_GE(stats->file_bytes, stats->used_bytes);
}

// One random walk compared with a model: whatever the batches were, each view of the index equals std::map.
TEST_P(IndexTest, RandomBatchesMatchAModel) {
  std::mt19937 random(20261123);
  std::map<std::string, std::string> model;
  const auto any_key = [&] {
    return std::string(1 + random() % 3, static_cast<char>(random() % 7 * 40)) + std::to_string(random() % 300);
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<IndexChange> changes;
    for (size_t n = random() % 40; n > 0; --n) {
      std::string key = any_key();
      if (random() % 3 == 0) {
        model.erase(key);
        changes.push_back(erase(std::move(key)));
      } else {
        const std::string value(random() % 50 == 0 ? random() % 9000 : random() % 200, static_cast<char>(random()));
        model[key] = value;
        changes.push_back(put(std::move(key), value));
      }
    }
    apply(changes);
    const auto view = snapshot();
    for (int i = 0; i < 20; ++i) {
      const std::string key = any_key();
      const auto at = model.lower_bound(key);
      const auto sought = copy_of(*view->seek(key));
      ASSERT_EQ(sought.has_value(), at != model.end());
      if (sought) {
        ASSERT_EQ(*sought, std::pair(at->first, at->second));
      }
      const auto last = copy_of(*view->last_before(key));
      ASSERT_EQ(last.has_value(), at != model.begin());
      if (last) {
        ASSERT_EQ(*last, std::pair(std::prev(at)->first, std::prev(at)->second));
      }
    }
    if (round % 25 == 0) {
      ASSERT_EQ(scan(*view), Pairs(model.begin(), model.end()));
    }
  }
}

}  // namespace
}  // namespace pailfs::test
