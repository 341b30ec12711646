// The Condition element: "IAM JSON policy elements: Condition operators", "Creating a condition with multiple keys or
// values" and "IAM policy elements: Variables and tags".
#include "policy_fixture.h"

namespace pailfs::policy::test {
namespace {

using Given = std::vector<std::string>;

// Whether a condition holds for a key x:k that has these values; none: it is absent.
bool holds(const std::string& op, const std::string& value, const Given& given,
           std::vector<std::pair<std::string, Given>> more = {}) {
  more.emplace_back("x:k", given);
  Try one{.identity = {fmt::format("{{'Effect':'Allow','Action':'*','Resource':'*','Condition':{{'{}':{{'x:k':{}}}}}}}",
                                   op, value)},
          .context = std::move(more)};
  return one.outcome() == "Allow";
}

struct Row {
  const char* op;
  const char* value;
  Given given;
  bool expected;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(holds(row.op, row.value, row.given), row.expected)
        << row.op << " " << row.value << " given " << testing::PrintToString(row.given);
  }
}

TEST(ConditionTest, Strings) {
  check({
      {"StringEquals", "'a'", {"a"}, true},
      {"StringEquals", "'a'", {"A"}, false},
      {"StringEquals", "['a','b']", {"b"}, true},
      {"StringEquals", "'a*'", {"ab"}, false},
      {"StringEquals", "'a*'", {"a*"}, true},
      {"StringEquals", "''", {""}, true},
      {"StringEquals", "10", {"10"}, true},
      {"StringEquals", "true", {"true"}, true},
      {"StringNotEquals", "'a'", {"b"}, true},
      {"StringNotEquals", "'a'", {"a"}, false},
      {"StringNotEquals", "['a','b']", {"b"}, false},
      {"StringNotEquals", "['a','b']", {"c"}, true},
      {"StringEqualsIgnoreCase", "'aB'", {"Ab"}, true},
      {"StringEqualsIgnoreCase", "'ä'", {"Ä"}, true},
      {"StringEqualsIgnoreCase", "'×'", {"÷"}, false},
      {"StringEqualsIgnoreCase", "'a*'", {"ab"}, false},
      {"StringNotEqualsIgnoreCase", "'aB'", {"Ab"}, false},
      {"StringLike", "'a*c'", {"abbc"}, true},
      {"StringLike", "'a*c'", {"ac"}, true},
      {"StringLike", "'a?c'", {"abc"}, true},
      {"StringLike", "'a?c'", {"ac"}, false},
      {"StringLike", "'a?c'", {"aéc"}, true},
      {"StringLike", "'*a*b*'", {"xxaxxbxx"}, true},
      {"StringLike", "'*a*b'", {"abab"}, true},
      {"StringLike", "'*ab'", {"aab"}, true},
      {"StringLike", "'A*'", {"abc"}, false},
      {"StringLike", "'*'", {""}, true},
      {"StringLike", "'?*'", {""}, false},
      {"StringNotLike", "'a*'", {"abc"}, false},
      {"StringNotLike", "'a*'", {"b"}, true},
  });
}

TEST(ConditionTest, AnAbsentKey) {
  for (const char* op : {"StringEquals", "StringEqualsIgnoreCase", "StringLike"}) {
    EXPECT_FALSE(holds(op, "'a'", {})) << op;
    EXPECT_FALSE(holds(op, "'*'", {})) << op;
    EXPECT_TRUE(holds(std::string(op) + "IfExists", "'a'", {})) << op;
    EXPECT_FALSE(holds(std::string(op) + "IfExists", "'a'", {"b"})) << op;
  }
  check({
      {"StringNotEquals", "'a'", {}, true},
      {"StringNotEqualsIgnoreCase", "'a'", {}, true},
      {"StringNotLike", "'*'", {}, true},
      {"StringNotEqualsIfExists", "'a'", {}, true},
      {"StringNotEqualsIfExists", "'a'", {"a"}, false},
      {"NumericEquals", "1", {}, false},
      {"NumericNotEquals", "1", {}, true},
      {"NumericLessThan", "1", {}, false},
      {"DateNotEquals", "'2026'", {}, true},
      {"DateLessThan", "'2026'", {}, false},
      {"Bool", "false", {}, false},
      {"BoolIfExists", "true", {}, true},
      {"BinaryEquals", "'QQ=='", {}, false},
      {"IpAddress", "'0.0.0.0/0'", {}, false},
      {"NotIpAddress", "'10.0.0.0/8'", {}, true},
      {"ArnLike", "'*'", {}, false},
      {"ArnNotLike", "'*'", {}, true},
      {"ArnNotEquals", "'*'", {}, true},
      {"Null", "true", {}, true},
      {"Null", "false", {}, false},
      {"Null", "'true'", {"x"}, false},
      {"Null", "'false'", {"x"}, true},
      {"Null", "['true','false']", {}, true},
  });
}

TEST(ConditionTest, SetOperators) {
  check({
      {"ForAllValues:StringEquals", "['a','b']", {"a"}, true},
      {"ForAllValues:StringEquals", "['a','b']", {"a", "b"}, true},
      {"ForAllValues:StringEquals", "['a','b']", {"a", "c"}, false},
      {"ForAllValues:StringEquals", "'a'", {}, true},
      {"ForAllValues:StringEquals", "'a'", {""}, true},
      {"ForAllValues:StringNotEquals", "'a'", {"b", "c"}, true},
      {"ForAllValues:StringNotEquals", "'a'", {"b", "a"}, false},
      {"ForAllValues:StringNotEquals", "'a'", {}, true},
      {"ForAnyValue:StringEquals", "['a','b']", {"c", "b"}, true},
      {"ForAnyValue:StringEquals", "['a','b']", {"c", "d"}, false},
      {"ForAnyValue:StringEquals", "'a'", {}, false},
      {"ForAnyValue:StringLike", "'*'", {""}, false},
      {"ForAnyValue:StringNotEquals", "'a'", {"a", "b"}, true},
      {"ForAnyValue:StringNotEquals", "'a'", {"a"}, false},
      {"ForAnyValue:StringNotEquals", "'a'", {}, false},
      {"ForAnyValue:StringEqualsIfExists", "'a'", {}, true},
      {"ForAllValues:StringEqualsIfExists", "'a'", {"b"}, false},
      {"ForAllValues:NumericLessThan", "5", {"1", "4"}, true},
      {"ForAllValues:NumericLessThan", "5", {"1", "6"}, false},
      {"ForAllValues:Null", "true", {"x"}, true},
      {"ForAllValues:Null", "false", {}, true},
      {"ForAnyValue:Null", "true", {}, false},
      // Not said by AWS: several values and no set operator.
      {"StringEquals", "'a'", {"b", "a"}, true},
      {"StringNotEquals", "'a'", {"b", "a"}, false},
  });
}

TEST(ConditionTest, NumbersAndDates) {
  check({
      {"NumericEquals", "'10'", {"10"}, true},
      {"NumericEquals", "10", {"10.0"}, true},
      {"NumericEquals", "'1e1'", {"10"}, true},
      {"NumericEquals", "9007199254740993", {"9007199254740992"}, false},
      {"NumericNotEquals", "10", {"10.5"}, true},
      {"NumericLessThan", "10", {"9.99"}, true},
      {"NumericLessThan", "10", {"10"}, false},
      {"NumericLessThanEquals", "10", {"10"}, true},
      {"NumericGreaterThan", "-1", {"0"}, true},
      {"NumericGreaterThanEquals", "10", {"9"}, false},
      {"NumericEquals", "10", {"ten"}, false},
      {"NumericEquals", "10", {""}, false},
      {"NumericEquals", "10", {"10 "}, false},
      {"NumericLessThan", "10", {"nan"}, false},
      {"NumericNotEquals", "10", {"ten"}, true},
      {"DateEquals", "'2026-11-23T14:56:00Z'", {"2026-11-23T14:56:00Z"}, true},
      {"DateEquals", "'2026-11-23T14:56:00Z'", {"2026-11-23T15:56:00+01:00"}, true},
      {"DateEquals", "'2026-11-23T14:56:00Z'", {"1795445760"}, true},
      {"DateEquals", "1795445760", {"2026-11-23T14:56:00.000Z"}, true},
      {"DateEquals", "'2026-11-23'", {"2026-11-23T00:00:00Z"}, true},
      {"DateEquals", "'2026'", {"2026-01-01"}, true},
      {"DateEquals", "'2026-02'", {"2026-02-01T00:00Z"}, true},
      {"DateNotEquals", "'2026'", {"2026-01-02"}, true},
      {"DateLessThan", "'2026-11-23T14:56:00Z'", {"2026-11-23T14:55:59.999Z"}, true},
      {"DateLessThanEquals", "'2026-11-23T14:56:00Z'", {"2026-11-23T14:56:00Z"}, true},
      {"DateGreaterThan", "'2020-02-29'", {"2020-02-29T00:00:01Z"}, true},
      {"DateGreaterThanEquals", "'1969-12-31'", {"-86400"}, true},
      {"DateGreaterThan", "'1969'", {"yesterday"}, false},
      {"DateLessThan", "'2026'", {"2025-02-29"}, false},
  });
}

TEST(ConditionTest, BooleansBinariesAndAddresses) {
  check({
      {"Bool", "true", {"true"}, true},
      {"Bool", "'true'", {"TRUE"}, true},
      {"Bool", "'False'", {"false"}, true},
      {"Bool", "'false'", {"0"}, false},
      {"BinaryEquals", "'QUJD'", {"QUJD"}, true},
      {"BinaryEquals", "'QUJD'", {"ABC"}, true},
      {"BinaryEquals", "'QUJD'", {"QUJE"}, false},
      {"IpAddress", "'203.0.113.0/24'", {"203.0.113.255"}, true},
      {"IpAddress", "'203.0.113.0/24'", {"203.0.114.0"}, false},
      {"IpAddress", "'203.0.113.7'", {"203.0.113.7"}, true},
      {"IpAddress", "'203.0.113.7'", {"203.0.113.8"}, false},
      {"IpAddress", "'203.0.113.9/29'", {"203.0.113.15"}, true},
      {"IpAddress", "'0.0.0.0/0'", {"203.0.113.8"}, true},
      {"IpAddress", "'0.0.0.0/0'", {"::1"}, false},
      {"IpAddress", "'2001:DB8:1234:5678::/64'", {"2001:db8:1234:5678:9::1"}, true},
      {"IpAddress", "'2001:DB8:1234:5678::/64'", {"2001:db8:1234:5679::1"}, false},
      {"IpAddress", "'2001:db8::1'", {"2001:db8:0:0::1"}, true},
      {"IpAddress", "['203.0.113.0/24','2001:db8::/32']", {"2001:db8::1"}, true},
      {"IpAddress", "'203.0.113.0/24'", {"no address"}, false},
      {"NotIpAddress", "'203.0.113.0/24'", {"203.0.113.1"}, false},
      {"NotIpAddress", "['203.0.113.0/24','10.0.0.0/8']", {"192.0.2.1"}, true},
      {"NotIpAddress", "'203.0.113.0/24'", {"no address"}, true},
  });
}

TEST(ConditionTest, Arns) {
  const char* const finance = "'arn:aws:someservice:*:111122223333:finance/*'";
  const std::string trick = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt";
  check({
      // The example of the page on operators.
      {"StringLike", finance, {trick}, true},
      {"ArnLike", finance, {trick}, false},
      {"ArnEquals", finance, {"arn:aws:someservice:us-east-2:111122223333:finance/document.txt"}, true},
      {"ArnEquals", "'arn:aws:sns:r:1:a?c'", {"arn:aws:sns:r:1:abc"}, true},
      {"ArnLike", "'arn:aws:sns:r:1:T'", {"arn:aws:sns:r:1:t"}, false},
      {"ArnLike", "'arn:aws:sns:r:1:a:*'", {"arn:aws:sns:r:1:a:b:c"}, true},
      {"ArnLike", "'arn:aws:iam::1:user/*'", {"alice"}, false},
      {"ArnNotLike", "'arn:aws:iam::1:user/*'", {"alice"}, true},
      {"ArnNotEquals", "'arn:aws:iam::1:user/*'", {"arn:aws:iam::1:user/a"}, false},
      {"ArnLike", "'*'", {"arn:aws:iam::1:user/a"}, true},
  });
}

TEST(ConditionTest, KeysIgnoreCaseAndAllHaveToHold) {
  const auto with = [](const std::string& condition, Given given) {
    Try one{.identity = {"{'Effect':'Allow','Action':'*','Resource':'*','Condition':" + condition + "}"},
            .context = {{"aws:principaltag/team", std::move(given)}, {"s3:prefix", {"a"}}}};
    return one.outcome();
  };
  EXPECT_EQ(with("{'StringEquals':{'AWS:PrincipalTag/TEAM':'x'}}", {"x"}), "Allow");
  EXPECT_EQ(with("{'StringEquals':{'aws:PrincipalTag/team':'x','s3:prefix':'a'}}", {"x"}), "Allow");
  EXPECT_EQ(with("{'StringEquals':{'aws:PrincipalTag/team':'x','s3:prefix':'b'}}", {"x"}), "ImplicitDeny");
  EXPECT_EQ(with("{'StringEquals':{'aws:PrincipalTag/team':'x'},'Null':{'s3:prefix':true}}", {"x"}), "ImplicitDeny");
  EXPECT_EQ(with("{}", {"x"}), "Allow");
}

TEST(ConditionTest, TheDatesOfTwoConditionsAreARange) {
  const auto at = [](const char* time) {
    return holds("DateGreaterThan", "'2026-01-01'", {time}) && holds("DateLessThan", "'2026-07-01'", {time});
  };
  EXPECT_TRUE(at("2026-03-01T00:00:00Z"));
  EXPECT_FALSE(at("2026-08-01T00:00:00Z"));
}

TEST(VariableTest, ConditionValues) {
  const auto like = [](const std::string& op, const std::string& value, const std::string& given, Given user) {
    return holds(op, "'" + value + "'", {given}, {{"aws:username", std::move(user)}});
  };
  EXPECT_TRUE(like("StringLike", "home/${aws:username}/*", "home/alice/x", {"alice"}));
  EXPECT_FALSE(like("StringLike", "home/${aws:username}/*", "home/bob/x", {"alice"}));
  EXPECT_TRUE(like("StringEquals", "${AWS:UserName}", "alice", {"alice"}));
  EXPECT_TRUE(like("StringEquals", "${aws:username, `nobody`}", "nobody", {}));
  EXPECT_FALSE(like("StringEquals", "${aws:username, `nobody`}", "nobody", {"alice"}));
  EXPECT_TRUE(like("StringEquals", "${aws:username, `a}b`}", "a}b", {}));
  EXPECT_TRUE(like("StringEqualsIgnoreCase", "${aws:username}", "ALICE", {"alice"}));
  EXPECT_TRUE(like("StringLike", "a${*}b", "a*b", {}));
  EXPECT_FALSE(like("StringLike", "a${*}b", "axb", {}));
  EXPECT_TRUE(like("StringLike", "${?}${$}", "?$", {}));
  EXPECT_TRUE(like("StringEquals", "$5 {x}", "$5 {x}", {}));
  // What a value holds is no pattern.
  EXPECT_FALSE(like("StringLike", "${aws:username}", "anybody", {"*"}));
  EXPECT_TRUE(like("StringLike", "${aws:username}", "*", {"*"}));
  EXPECT_FALSE(like("StringLike", "${aws:username}", "anybody", {"\xFF"}));
  EXPECT_TRUE(like("StringLike", "${aws:username}x", "\xFFx", {"\xFF"}));
  EXPECT_TRUE(like("ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/alice", {"alice"}));
  EXPECT_TRUE(like("ArnEquals", "${aws:username}", "arn:aws:iam::1:user/a", {"arn:aws:iam::1:user/a"}));
  EXPECT_FALSE(like("ArnEquals", "${aws:username}", "arn:aws:iam::1:user/a", {"alice"}));
  EXPECT_TRUE(like("Bool", "${aws:username}", "true", {"True"}));
  EXPECT_TRUE(like("StringLike", "${aws:username}*", std::string(2000, 'a') + "b", {std::string(2000, 'a')}));
}

TEST(VariableTest, WithoutAValueNothingMatches) {
  const auto tried = [](const std::string& op, Given user) {
    return holds(op, "'${aws:username}'", {"alice"}, {{"aws:username", std::move(user)}});
  };
  EXPECT_FALSE(tried("StringEquals", {}));
  EXPECT_FALSE(tried("StringNotEquals", {}));
  EXPECT_FALSE(tried("StringNotLike", {}));
  EXPECT_FALSE(tried("StringEquals", {"alice", "bob"}));
  EXPECT_TRUE(holds("StringEquals", "['${aws:username}','alice']", {"alice"}));
  EXPECT_FALSE(holds("StringNotEquals", "['${aws:username}','bob']", {"alice"}));
  EXPECT_TRUE(holds("StringEqualsIfExists", "'${aws:username}'", {}));
}

TEST(VariableTest, Resources) {
  const auto reads = [](const std::string& element, const std::string& key, Given user,
                        const std::string& version = "'2012-10-17'") {
    Try one{.identity = {"{'Version':" + version + ",'Statement':{'Effect':'Allow','Action':'*'," + element + "}}"},
            .resource = "arn:aws:s3:::b/" + key,
            .context = {{"aws:username", std::move(user)}}};
    return one.outcome() == "Allow";
  };
  const std::string home = "'Resource':'arn:aws:s3:::b/home/${aws:username}/*'";
  EXPECT_TRUE(reads(home, "home/alice/x", {"alice"}));
  EXPECT_FALSE(reads(home, "home/bob/x", {"alice"}));
  EXPECT_FALSE(reads(home, "home//x", {}));
  EXPECT_FALSE(reads(home, "home/alice/x", {"*"}));
  EXPECT_FALSE(reads(home, "home/${aws:username}/x", {"alice"}));
  // Version 2008-10-17 has no variables, nor has a document without a version.
  EXPECT_TRUE(reads(home, "home/${aws:username}/x", {"alice"}, "'2008-10-17'"));
  EXPECT_FALSE(reads(home, "home/alice/x", {"alice"}, "'2008-10-17'"));
  Try one{.identity = {"{'Statement':{'Effect':'Allow','Action':'*'," + home + "}}"},
          .resource = "arn:aws:s3:::b/home/alice/x",
          .context = {{"aws:username", {"alice"}}}};
  EXPECT_EQ(one.outcome(), "ImplicitDeny");
  const std::string not_home = "'NotResource':'arn:aws:s3:::b/home/${aws:username}/*'";
  EXPECT_TRUE(reads(not_home, "x", {"alice"}));
  EXPECT_FALSE(reads(not_home, "home/alice/x", {"alice"}));
  EXPECT_FALSE(reads(not_home, "x", {}));
}

TEST(ContextTest, AKeyThatIsGivenAgainHasAllItsValues) {
  Context context;
  context.add("a:b", "1");
  context.add("c:d", "2");
  context.add("a:b", "3");
  ASSERT_EQ(context.find("a:b").size(), 2U);
  EXPECT_EQ(context.find("a:b")[0], "1");
  EXPECT_EQ(context.find("a:b")[1], "3");
  EXPECT_EQ(context.find("c:d").size(), 1U);
  context.clear();
  EXPECT_TRUE(context.find("a:b").empty());
}

}  // namespace
}  // namespace pailfs::policy::test
