#include "policy/coverage.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/pattern.h"

namespace pailfs::policy::test {
namespace {

Pattern pattern_of(std::string_view source) {
  auto pattern = Pattern::parse(source, {.wildcards = true, .variables = false});
  EXPECT_TRUE(pattern);
  return pattern ? *pattern : Pattern();
}

TEST(Coverage, WhatAPatternSaysOfTextsThatBeginSo) {
  struct Case {
    std::string_view pattern, beginning;
    Beginning expected;
  };
  for (const Case& one : {
           Case{"b/*", "b/home/", Beginning::kWhatever},
           Case{"*", "b/", Beginning::kWhatever},
           Case{"b/home/*", "b/home/", Beginning::kWhatever},
           Case{"b/home/*", "b/home/alice/", Beginning::kWhatever},
           Case{"b/home/*", "b/", Beginning::kMayGoOn},
           Case{"b/home/*", "b/other/", Beginning::kNo},
           Case{"b/home/alice", "b/home/", Beginning::kMayGoOn},
           Case{"b/home/", "b/home/", Beginning::kNo},
           Case{"b/*.txt", "b/home/", Beginning::kMayGoOn},
           Case{"b/*/x/*", "b/a/", Beginning::kMayGoOn},
           Case{"b/*/x/*", "b/a/x/", Beginning::kWhatever},
           Case{"b/?/*", "b/ä/", Beginning::kWhatever},
           Case{"b/?/*", "b/ab/", Beginning::kNo},
           Case{"b/??", "b/a", Beginning::kMayGoOn},
           Case{"b/**", "b/", Beginning::kWhatever},
           Case{"c/*", "b/", Beginning::kNo},
           Case{"", "b/", Beginning::kNo},
           Case{"x*", "", Beginning::kMayGoOn},
       }) {
    EXPECT_EQ(matches_beginning(pattern_of(one.pattern).encoded(), one.beginning), one.expected)
        << one.pattern << " and " << one.beginning;
  }
}

// Against matches_wildcards() of every text of up to four letters behind the beginning.
TEST(Coverage, AgreesWithMatchingTextsOneByOne) {
  std::mt19937 random(1);
  const auto letters = [&](std::string_view of, size_t most) {
    std::string text;
    for (size_t i = random() % (most + 1); i > 0; --i) text += of[random() % of.size()];
    return text;
  };
  std::vector<std::string> rests;
  for (size_t first = 0; rests.size() < 2 + 4 + 8 + 16; ++first) {
    if (first == 0) {
      rests = {"a", "b"};
      continue;
    }
    const size_t known = rests.size();
    const size_t length = rests.back().size();
    for (size_t i = 0; i < known; ++i) {
      if (rests[i].size() != length) continue;
      rests.push_back(rests[i] + "a");
      rests.push_back(rests[i] + "b");
    }
  }
  for (int run = 0; run < 20'000; ++run) {
    const std::string source = letters("ab*?", 6), beginning = letters("ab", 3);
    const Pattern pattern = pattern_of(source);
    size_t matching = 0;
    for (const std::string& rest : rests) matching += matches_wildcards(pattern.encoded(), beginning + rest) ? 1 : 0;
    switch (matches_beginning(pattern.encoded(), beginning)) {
      case Beginning::kNo:
        EXPECT_EQ(matching, 0u) << source << " and " << beginning;
        break;
      case Beginning::kWhatever:
        EXPECT_EQ(matching, rests.size()) << source << " and " << beginning;
        break;
      case Beginning::kMayGoOn:  // six characters of a pattern may all be behind the beginning
        EXPECT_GE(source.size(), 1u);
        break;
    }
  }
}

}  // namespace
}  // namespace pailfs::policy::test
