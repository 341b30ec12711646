#include "policy/coverage.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/pattern.h"
#include "unit/policy/policy_fixture.h"

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

// What a condition says of an object whose tags are not known: an Allow may hold, and a Deny may, and neither surely.
TEST(Coverage, WhatGoesByAnObjectsTagsIsNotKnownOfManyObjects) {
  const auto caller = Caller::make(PrincipalType::kUser, "alice", kAlice);
  ASSERT_TRUE(caller);
  constexpr std::string_view kReads[] = {"s3:getobject"};
  struct Said {
    bool may_allow, may_deny, alike;
    bool operator==(const Said&) const = default;
  };
  const auto said = [&](const std::string& statements) {
    const auto document = compile(with_statements(statements));
    EXPECT_TRUE(document) << statements;
    const Document* const identity[] = {document->get()};
    const Policies policies{.identity = identity};
    const Context context;
    return Said{may_allow_below(policies, *caller, kReads, "b/d/", context),
                may_deny_below(policies, *caller, kReads[0], "b/d/", context),
                decides_alike_below(policies, *caller, kReads, "b/d/", context)};
  };
  const std::string allow = "{'Effect':'Allow','Action':'s3:*','Resource':'*'}";
  const std::string reads = "'Action':'s3:GetObject','Resource':'arn:aws:s3:::b/";
  const std::string tagged = "'Condition':{'StringEquals':{'s3:ExistingObjectTag/a':'b'}}";
  const std::string untagged = "'Condition':{'StringNotEquals':{'s3:ExistingObjectTag/a':'b'}}";
  const std::string variable = "'Condition':{'StringEquals':{'aws:username':'${s3:ExistingObjectTag/a}'}}";
  EXPECT_EQ(said(allow), (Said{true, false, true}));
  for (const std::string& condition : {tagged, untagged, variable}) {
    EXPECT_EQ(said("{'Effect':'Allow'," + reads + "*'," + condition + "}"), (Said{true, false, false})) << condition;
    EXPECT_EQ(said(allow + ",{'Effect':'Deny'," + reads + "*'," + condition + "}"), (Said{true, true, false}))
        << condition;
    EXPECT_EQ(said(allow + ",{'Effect':'Deny'," + reads + "other/*'," + condition + "}"), (Said{true, false, true}));
  }
  EXPECT_EQ(said("{'Effect':'Allow'," + reads + "${s3:ExistingObjectTag/a}/*'}"), (Said{true, false, false}));
  EXPECT_EQ(said(allow + ",{'Effect':'Deny'," + reads + "${s3:ExistingObjectTag/a}'}"), (Said{true, true, false}));
}

}  // namespace
}  // namespace pailfs::policy::test
