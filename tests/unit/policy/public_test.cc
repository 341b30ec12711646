#include "policy/public.h"

#include "unit/policy/policy_fixture.h"

namespace pailfs::policy::test {
namespace {

bool is_public_policy(const std::string& statements) {
  const auto document = compile(with_statements(statements), DocumentKind::kBucket);
  EXPECT_TRUE(document) << statements << ": " << (document ? "" : document.error().to_string());
  return document && is_public(**document);
}

std::string statement(const std::string& effect, const std::string& principal, const std::string& more = "") {
  return "{'Effect':'" + effect + "'," + principal + ",'Action':'s3:GetObject','Resource':'arn:aws:s3:::b/*'" +
         (more.empty() ? "" : "," + more) + "}";
}
bool is_public_for(const std::string& principal) { return is_public_policy(statement("Allow", principal)); }
// With one operator, and keys with their values.
bool is_public_if(const std::string& op, const std::string& keys) {
  return is_public_policy(statement("Allow", "'Principal':'*'", "'Condition':{'" + op + "':{" + keys + "}}"));
}

TEST(PublicTest, WhoIsNamedIsFixed) {
  EXPECT_TRUE(is_public_for("'Principal':'*'"));
  EXPECT_TRUE(is_public_for("'Principal':{'AWS':'*'}"));
  EXPECT_TRUE(is_public_for("'Principal':{'AWS':['" + kAlice + "','*']}"));
  EXPECT_TRUE(is_public_for("'NotPrincipal':{'AWS':'" + kAlice + "'}"));
  EXPECT_FALSE(is_public_for("'Principal':{'AWS':'" + kAlice + "'}"));
  EXPECT_FALSE(is_public_for("'Principal':{'AWS':['" + kAlice + "','444455556666']}"));
  EXPECT_FALSE(is_public_for("'Principal':{'Service':'backup.amazonaws.com'}"));
  EXPECT_FALSE(is_public_for("'NotPrincipal':'*'"));  // nobody at all
}

TEST(PublicTest, ADenialNeitherMakesAPolicyPublicNorKeepsItFromBeing) {
  EXPECT_FALSE(is_public_policy(statement("Deny", "'Principal':'*'")));
  EXPECT_FALSE(is_public_policy(statement("Deny", "'NotPrincipal':{'AWS':'" + kAlice + "'}")));
  EXPECT_TRUE(is_public_policy(statement("Allow", "'Principal':'*'") + "," + statement("Deny", "'Principal':'*'")));
}

TEST(PublicTest, FixedValuesOfTheKeysThatCount) {
  for (const char* const fixed :
       {"'aws:SourceVpc':'vpc-91237329'", "'aws:SourceVpce':['vpce-1','vpce-2']", "'aws:SourceOwner':'111122223333'",
        "'aws:SourceAccount':'111122223333'", "'aws:SourceArn':'arn:aws:sns:us-east-1:111122223333:topic'",
        "'aws:PrincipalOrgID':'o-1234567890'", "'aws:PrincipalAccount':'111122223333'",
        "'aws:PrincipalArn':'arn:aws:iam::111122223333:user/alice'", "'aws:userid':'AIDAEXAMPLE'",
        "'s3:DataAccessPointAccount':'111122223333'", "'pail:uid':'1000'", "'pail:gid':['100','101']",
        "'s3:DataAccessPointArn':'arn:aws:s3:us-west-2:111122223333:accesspoint/one'"}) {
    EXPECT_FALSE(is_public_if("StringEquals", fixed)) << fixed;
    EXPECT_FALSE(is_public_if("StringLike", fixed)) << fixed;
    EXPECT_FALSE(is_public_if("ForAnyValue:StringEquals", fixed)) << fixed;
    for (const char* const loose : {"StringNotEquals", "StringNotLike", "StringEqualsIfExists",
                                    "ForAllValues:StringEquals", "StringNotEqualsIgnoreCase"}) {
      EXPECT_TRUE(is_public_if(loose, fixed)) << loose << " " << fixed;
    }
  }
  EXPECT_FALSE(is_public_if("NumericEquals", "'pail:uid':['1000','1001']"));
  EXPECT_TRUE(is_public_if("NumericLessThan", "'pail:uid':'1001'"));
  EXPECT_TRUE(is_public_if("Null", "'aws:SourceVpc':'false'"));
  EXPECT_FALSE(is_public_if("ArnLike", "'aws:SourceArn':'arn:aws:sns:us-east-1:111122223333:topic'"));
  EXPECT_FALSE(is_public_if("ArnEquals", "'aws:PrincipalArn':'" + kAlice + "'"));
}

TEST(PublicTest, AWildcardOrAVariableIsNoFixedValue) {
  EXPECT_TRUE(is_public_if("StringLike", "'aws:SourceVpc':'vpc-*'"));  // the user guide's first example
  EXPECT_TRUE(is_public_if("StringLike", "'aws:SourceVpc':['vpc-91237329','vpc-?']"));
  EXPECT_TRUE(is_public_if("StringEquals", "'aws:SourceVpc':'vpc-*'"));
  EXPECT_TRUE(is_public_if("StringEquals", "'aws:SourceVpc':'${aws:PrincipalTag/vpc}'"));
  EXPECT_TRUE(is_public_if("ArnLike", "'aws:PrincipalArn':'arn:aws:iam::111122223333:user/*'"));
  EXPECT_TRUE(is_public_if("ArnLike", "'aws:PrincipalArn':'*'"));
  EXPECT_TRUE(is_public_if("ArnLike", "'aws:PrincipalArn':'${aws:PrincipalArn}'"));
  EXPECT_TRUE(is_public_if("StringLike", "'aws:userid':'AROAEXAMPLE:*'"));
  EXPECT_TRUE(is_public_if("StringEquals", "'aws:userid':'AROAEXAMPLE:session'"));
  EXPECT_TRUE(is_public_if("StringEquals", "'aws:userid':'anonymous'"));
}

TEST(PublicTest, AnAccessPointMayHaveAnyNameInAFixedAccount) {
  const std::string any = "'s3:DataAccessPointArn':'arn:aws:s3:us-west-2:111122223333:accesspoint/*'";
  EXPECT_FALSE(is_public_if("StringLike", any));
  EXPECT_FALSE(is_public_if("ArnLike", any));
  for (const char* const op : {"StringLike", "ArnLike"}) {
    EXPECT_TRUE(is_public_if(op, "'s3:DataAccessPointArn':'arn:aws:s3:us-west-2:*:accesspoint/one'"));
    EXPECT_TRUE(is_public_if(op, "'s3:DataAccessPointArn':'arn:aws:s3:*:111122223333:accesspoint/one'"));
    EXPECT_TRUE(is_public_if(op, "'s3:DataAccessPointArn':'*'"));
  }
}

TEST(PublicTest, RangesOfAddressesAreNotTooBroadAndNotThisMachine) {
  const auto with = [](const std::string& range) { return is_public_if("IpAddress", "'aws:SourceIp':" + range); };
  EXPECT_FALSE(with("'203.0.113.0/24'"));
  EXPECT_FALSE(with("'203.0.113.7'"));
  EXPECT_FALSE(with("['10.0.0.0/8','2001:db8::/32']"));
  EXPECT_TRUE(with("'0.0.0.0/1'"));
  EXPECT_TRUE(with("'0.0.0.0/0'"));
  EXPECT_TRUE(with("['203.0.113.0/24','8.0.0.0/7']"));
  EXPECT_TRUE(with("'2001::/31'"));
  EXPECT_TRUE(with("'::/0'"));
  EXPECT_TRUE(with("'127.0.0.1'"));
  EXPECT_TRUE(with("'127.0.0.0/8'"));
  EXPECT_TRUE(is_public_if("NotIpAddress", "'aws:SourceIp':'203.0.113.0/24'"));
  EXPECT_TRUE(is_public_if("IpAddressIfExists", "'aws:SourceIp':'203.0.113.0/24'"));
  EXPECT_TRUE(is_public_if("StringLike", "'aws:SourceIp':'203.0.113.7'"));
}

TEST(PublicTest, OtherKeysSayNothingAboutWhoAsks) {
  for (const char* const key : {"pail:executable", "pail:door", "s3:prefix", "aws:username", "aws:PrincipalType",
                                "aws:PrincipalTag/team", "s3:x-amz-acl"}) {
    EXPECT_TRUE(is_public_if("StringEquals", std::string("'") + key + "':'fixed'")) << key;
  }
  EXPECT_TRUE(is_public_if("Bool", "'aws:SecureTransport':'true'"));
  EXPECT_TRUE(is_public_if("DateLessThan", "'aws:CurrentTime':'2026-11-23'"));
}

TEST(PublicTest, AllConditionsHoldSoOneThatCountsIsEnough) {
  EXPECT_FALSE(is_public_policy(statement("Allow", "'Principal':'*'",
                                          "'Condition':{'StringLike':{'aws:SourceVpc':'vpc-*','s3:prefix':'a'},"
                                          "'StringEquals':{'aws:SourceAccount':'111122223333'}}")));
}

TEST(PublicTest, SaysWhichStatement) {
  const auto document = compile(with_statements(statement("Deny", "'Principal':'*'") + "," +
                                                statement("Allow", "'Principal':{'AWS':'" + kAlice + "'}") + "," +
                                                statement("Allow", "'Principal':'*'", "'Sid':'Everybody'") + "," +
                                                statement("Allow", "'Principal':'*'")),
                                DocumentKind::kBucket);
  ASSERT_TRUE(document);
  EXPECT_EQ(public_statement(**document), 2u);
  EXPECT_EQ(statement_name(**document, 2), "statement 3 (\"Everybody\")");
  EXPECT_EQ(statement_name(**document, 3), "statement 4");
}

// A policy of an identity says who it is by whom it is attached to.
TEST(PublicTest, OnlyBucketPoliciesCanBe) {
  const auto document = compile(with_statements("{'Effect':'Allow','Action':'*','Resource':'*'}"));
  ASSERT_TRUE(document);
  EXPECT_FALSE(is_public(**document));
}

}  // namespace
}  // namespace pailfs::policy::test
