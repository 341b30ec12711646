// Who decides: the pages "Policy evaluation logic" and "Cross-account policy evaluation logic", row by row.
#include "policy_fixture.h"

namespace pailfs::policy::test {
namespace {

const std::string kAllow = "{'Effect':'Allow','Action':'s3:GetObject','Resource':'arn:aws:s3:::b/*'}";
const std::string kDeny = "{'Effect':'Deny','Action':'s3:GetObject','Resource':'arn:aws:s3:::b/*'}";
const std::string kAllowOther = "{'Effect':'Allow','Action':'s3:PutObject','Resource':'*'}";

std::string bucket_statement(const std::string& effect, const std::string& principal,
                             const std::string& element = "Principal", const std::string& action = "s3:GetObject") {
  return fmt::format("{{'Effect':'{}','{}':{},'Action':'{}','Resource':['arn:aws:s3:::b','arn:aws:s3:::b/*']}}", effect,
                     element, principal, action);
}
std::string aws(const std::string& value) { return "{'AWS':'" + value + "'}"; }
std::string allow_to(const std::string& value) { return bucket_statement("Allow", aws(value)); }

const std::string kRoleArn = "arn:aws:iam::111122223333:role/path/reader";
const std::string kSessionArn = "arn:aws:sts::111122223333:assumed-role/reader/session";
const std::string kForeigner = "arn:aws:iam::444455556666:user/alice";

Try as_session(Try one) {
  one.type = PrincipalType::kRole;
  one.name = "reader";
  one.arn = kSessionArn;
  return one;
}
Try as_role(Try one) {
  one.type = PrincipalType::kRole;
  one.name = "reader";
  one.arn = kRoleArn;
  return one;
}
Try as_federated(Try one) {
  one.arn = "arn:aws:sts::111122223333:federated-user/alice";
  return one;
}
Try as_foreigner(Try one) {
  one.arn = kForeigner;
  return one;
}
Try as_root(Try one, const std::string& account = kOwner) {
  one.type = PrincipalType::kRoot;
  one.name = "root";
  one.arn = "arn:aws:iam::" + account + ":root";
  return one;
}
Try as_service(Try one, const std::string& name = "logging.s3.amazonaws.com") {
  one.type = PrincipalType::kService;
  one.name = name;
  one.arn = "";
  return one;
}
Try as_anonymous(Try one) {
  one.type = PrincipalType::kAnonymous;
  one.name = one.arn = "";
  return one;
}

struct Row {
  const char* what;
  Try one;
  const char* outcome;
};

void check(std::vector<Row> rows) {
  for (Row& row : rows) EXPECT_EQ(row.one.outcome(), row.outcome) << row.what;
}

TEST(EvaluationTest, IdentityPoliciesAndBoundaryWithinTheAccount) {
  check({
      {"nothing", {}, "ImplicitDeny"},
      {"an Allow", {.identity = {kAllow}}, "Allow"},
      {"an Allow for something else", {.identity = {kAllowOther}}, "ImplicitDeny"},
      {"an Allow in the second policy", {.identity = {kAllowOther, kAllow}}, "Allow"},
      {"a Deny over an Allow", {.identity = {kAllow, kDeny}}, "ExplicitDeny"},
      {"a Deny before an Allow, in one policy", {.identity = {kDeny + "," + kAllow}}, "ExplicitDeny"},
      {"a Deny alone", {.identity = {kDeny}}, "ExplicitDeny"},
      {"inside the boundary", {.identity = {kAllow}, .boundary = kAllow}, "Allow"},
      {"outside the boundary", {.identity = {kAllow}, .boundary = kAllowOther}, "ImplicitDeny"},
      {"a boundary allows nothing by itself", {.boundary = kAllow}, "ImplicitDeny"},
      {"a boundary's Deny", {.identity = {kAllow}, .boundary = kAllow + "," + kDeny}, "ExplicitDeny"},
  });
}

TEST(EvaluationTest, BucketPolicyWithinTheAccount) {
  check({
      {"the user by ARN, without identity policy", {.bucket = allow_to(kAlice)}, "Allow"},
      {"another user", {.bucket = allow_to(kAlice + "x")}, "ImplicitDeny"},
      {"names of users have a case", {.bucket = allow_to("arn:aws:iam::111122223333:user/Alice")}, "ImplicitDeny"},
      {"the same name with a path", {.bucket = allow_to("arn:aws:iam::111122223333:user/team/alice")}, "ImplicitDeny"},
      {"everybody", {.bucket = bucket_statement("Allow", "'*'")}, "Allow"},
      {"everybody with an account", {.bucket = allow_to("*")}, "Allow"},
      {"the account delegates, and its policies are silent", {.bucket = allow_to(kOwner)}, "ImplicitDeny"},
      {"the account's root is the account", {.bucket = allow_to("arn:aws:iam::111122223333:root")}, "ImplicitDeny"},
      {"the account delegates, and a policy allows", {.identity = {kAllow}, .bucket = allow_to(kOwner)}, "Allow"},
      {"an Allow of either side is enough", {.identity = {kAllow}, .bucket = allow_to(kForeigner)}, "Allow"},
      {"a Deny for the user", {.identity = {kAllow}, .bucket = bucket_statement("Deny", aws(kAlice))}, "ExplicitDeny"},
      {"a Deny for the account is for all in it",
       {.identity = {kAllow}, .bucket = bucket_statement("Deny", aws(kOwner))},
       "ExplicitDeny"},
      {"a Deny for somebody else",
       {.identity = {kAllow}, .bucket = bucket_statement("Deny", aws(kForeigner))},
       "Allow"},
      {"an identity Deny over the bucket's Allow", {.identity = {kDeny}, .bucket = allow_to(kAlice)}, "ExplicitDeny"},
  });
}

// The table "Resource-based policies and implicit denies in other policy types (same account)".
TEST(EvaluationTest, ABoundaryBindsWhoIsNotNamedHimself) {
  check({
      {"user ARN", {.boundary = kAllowOther, .bucket = allow_to(kAlice)}, "Allow"},
      {"everybody", {.boundary = kAllowOther, .bucket = bucket_statement("Allow", "'*'")}, "Allow"},
      {"the account", {.identity = {kAllow}, .boundary = kAllowOther, .bucket = allow_to(kOwner)}, "ImplicitDeny"},
      {"role ARN", as_role({.boundary = kAllowOther, .bucket = allow_to(kRoleArn)}), "ImplicitDeny"},
      {"role ARN, for its session", as_session({.boundary = kAllowOther, .bucket = allow_to(kRoleArn)}),
       "ImplicitDeny"},
      {"role ARN inside the boundary", as_session({.boundary = kAllow, .bucket = allow_to(kRoleArn)}), "Allow"},
      {"role ARN without boundary or identity policy", as_session({.bucket = allow_to(kRoleArn)}), "Allow"},
      {"session ARN", as_session({.boundary = kAllowOther, .bucket = allow_to(kSessionArn)}), "Allow"},
      {"another session", as_session({.bucket = allow_to(kSessionArn + "2")}), "ImplicitDeny"},
      {"the role is not its session", as_role({.bucket = allow_to(kSessionArn)}), "ImplicitDeny"},
      {"federated session ARN",
       as_federated({.boundary = kAllowOther, .bucket = allow_to("arn:aws:sts::111122223333:federated-user/alice")}),
       "Allow"},
      {"the user who federated", as_federated({.boundary = kAllowOther, .bucket = allow_to(kAlice)}), "ImplicitDeny"},
      {"the user who federated, inside", as_federated({.boundary = kAllow, .bucket = allow_to(kAlice)}), "Allow"},
      {"a boundary's Deny binds everybody", {.boundary = kDeny, .bucket = allow_to(kAlice)}, "ExplicitDeny"},
  });
}

TEST(EvaluationTest, AcrossAccountsBothSidesAllow) {
  check({
      {"identity policy only", as_foreigner({.identity = {kAllow}}), "ImplicitDeny"},
      {"bucket policy only", as_foreigner({.bucket = allow_to(kForeigner)}), "ImplicitDeny"},
      {"both", as_foreigner({.identity = {kAllow}, .bucket = allow_to(kForeigner)}), "Allow"},
      {"both, by account", as_foreigner({.identity = {kAllow}, .bucket = allow_to("444455556666")}), "Allow"},
      {"both, by account root",
       as_foreigner({.identity = {kAllow}, .bucket = allow_to("arn:aws:iam::444455556666:root")}), "Allow"},
      {"both, everybody", as_foreigner({.identity = {kAllow}, .bucket = bucket_statement("Allow", "'*'")}), "Allow"},
      {"everybody alone", as_foreigner({.bucket = bucket_statement("Allow", "'*'")}), "ImplicitDeny"},
      {"the owner's account is not his", as_foreigner({.identity = {kAllow}, .bucket = allow_to(kOwner)}),
       "ImplicitDeny"},
      {"a boundary binds him although he is named",
       as_foreigner({.identity = {kAllow}, .boundary = kAllowOther, .bucket = allow_to(kForeigner)}), "ImplicitDeny"},
      {"his own Deny", as_foreigner({.identity = {kAllow, kDeny}, .bucket = allow_to(kForeigner)}), "ExplicitDeny"},
      {"the bucket's Deny",
       as_foreigner({.identity = {kAllow}, .bucket = allow_to(kForeigner) + "," + bucket_statement("Deny", "'*'")}),
       "ExplicitDeny"},
      {"the root of another account, allowed", as_root({.bucket = allow_to("444455556666")}, "444455556666"), "Allow"},
      {"the root of another account, not allowed", as_root({}, "444455556666"), "ImplicitDeny"},
  });
}

TEST(EvaluationTest, TheRootMayDoEverythingThatNothingDenies) {
  const std::string locked = bucket_statement("Deny", "'*'", "Principal", "s3:*");
  const auto at_policy = [&](const std::string& action, Try one) {
    one.action = action;
    one.resource = "arn:aws:s3:::b";
    return one;
  };
  check({
      {"by itself", as_root({}), "Allow"},
      {"a bucket policy's Deny binds it", as_root({.bucket = locked}), "ExplicitDeny"},
      {"it reads the policy that locks it out", at_policy("s3:GetBucketPolicy", as_root({.bucket = locked})), "Allow"},
      {"it replaces it", at_policy("s3:PutBucketPolicy", as_root({.bucket = locked})), "Allow"},
      {"it deletes it", at_policy("s3:deletebucketpolicy", as_root({.bucket = locked})), "Allow"},
      {"not its status", at_policy("s3:GetBucketPolicyStatus", as_root({.bucket = locked})), "ExplicitDeny"},
      {"the root of another account does not",
       at_policy("s3:GetBucketPolicy", as_root({.bucket = locked}, "444455556666")), "ExplicitDeny"},
      {"a user does not",
       at_policy("s3:GetBucketPolicy",
                 {.identity = {"{'Effect':'Allow','Action':'*','Resource':'*'}"}, .bucket = locked}),
       "ExplicitDeny"},
  });
}

TEST(EvaluationTest, ServicesAndAnonymousCallersHaveTheBucketPolicyOnly) {
  const std::string service = bucket_statement("Allow", "{'Service':'logging.s3.amazonaws.com'}");
  check({
      {"the service", as_service({.bucket = service}), "Allow"},
      {"another service", as_service({.bucket = service}, "backup.amazonaws.com"), "ImplicitDeny"},
      {"everybody is the service too", as_service({.bucket = bucket_statement("Allow", "'*'")}), "Allow"},
      {"who has an account is not", as_service({.bucket = allow_to("*")}), "ImplicitDeny"},
      {"a Deny for everybody binds it", as_service({.bucket = service + "," + bucket_statement("Deny", "'*'")}),
       "ExplicitDeny"},
      {"a user is no service", {.bucket = service}, "ImplicitDeny"},
      {"anonymous", as_anonymous({.bucket = bucket_statement("Allow", "'*'")}), "Allow"},
      {"anonymous by the other notation", as_anonymous({.bucket = allow_to("*")}), "Allow"},
      {"anonymous has no account", as_anonymous({.bucket = allow_to(kOwner)}), "ImplicitDeny"},
      {"no identity policy is an anonymous caller's", as_anonymous({.identity = {kAllow}}), "ImplicitDeny"},
      {"nobody's policy", as_anonymous({}), "ImplicitDeny"},
  });
}

TEST(EvaluationTest, NotPrincipalIsForEverybodyButWhoIsNamed) {
  const auto denied_but = [](const std::string& list) {
    return bucket_statement("Deny", "{'AWS':[" + list + "]}", "NotPrincipal");
  };
  const std::string bob = "arn:aws:iam::111122223333:user/bob", root = "'arn:aws:iam::111122223333:root'";
  const std::string role_chain = "'" + kSessionArn + "','" + kRoleArn + "'," + root;
  check({
      // "all principals except the user named Bob in AWS account 444455556666 are explicitly denied"
      {"the user and the account", {.identity = {kAllow}, .bucket = denied_but("'" + kAlice + "'," + root)}, "Allow"},
      {"another user of the account",
       {.identity = {kAllow}, .bucket = denied_but("'" + bob + "'," + root)},
       "ExplicitDeny"},
      {"it allows nothing", {.bucket = denied_but("'" + kAlice + "'," + root)}, "ImplicitDeny"},
      {"the root itself is named", as_root({.bucket = denied_but(root)}), "Allow"},
      {"the root is not named", as_root({.bucket = denied_but("'" + kAlice + "'")}), "ExplicitDeny"},
      // "all principals except the assumed-role user"
      {"the session", as_session({.identity = {kAllow}, .bucket = denied_but(role_chain)}), "Allow"},
      {"a session whose role alone is named",
       as_session({.identity = {kAllow}, .bucket = denied_but("'" + kRoleArn + "'," + root)}), "ExplicitDeny"},
      {"anonymous", as_anonymous({.bucket = bucket_statement("Allow", "'*'") + "," + denied_but(root)}),
       "ExplicitDeny"},
      {"NotPrincipal with Allow grants to all others",
       {.bucket = bucket_statement("Allow", aws(bob), "NotPrincipal")},
       "Allow"},
      {"and to anonymous callers", as_anonymous({.bucket = bucket_statement("Allow", aws(bob), "NotPrincipal")}),
       "Allow"},
      {"but not to the account that is named",
       {.bucket = bucket_statement("Allow", aws(kOwner), "NotPrincipal")},
       "ImplicitDeny"},
      {"nor to sessions of a role that is named",
       as_session({.bucket = bucket_statement("Allow", aws(kRoleArn), "NotPrincipal")}), "ImplicitDeny"},
  });
}

TEST(EvaluationTest, SaysWhatDecided) {
  Try one{
      .identity = {
          kAllowOther,
          "{'Effect':'Allow','Action':'*','Resource':'*'},{'Sid':'no','Effect':'Deny','Action':'*','Resource':'*'}"}};
  Decision decision = one.decide();
  ASSERT_NE(decision.document, nullptr);
  EXPECT_EQ(decision.ground, Ground::kStatement);
  EXPECT_EQ(decision.statement, 1U);
  EXPECT_EQ(decision.document->statements()[decision.statement].sid, "no");
  const auto ground = [](Try tried) { return tried.decide().ground; };
  EXPECT_EQ(ground({}), Ground::kNothingAllows);
  EXPECT_EQ(ground(as_root({})), Ground::kRoot);
  EXPECT_EQ(ground({.identity = {kAllow}, .boundary = kAllowOther}), Ground::kBoundary);
  EXPECT_EQ(ground({.bucket = allow_to(kOwner)}), Ground::kNotForAccount);
  EXPECT_EQ(ground(as_foreigner({.identity = {kAllow}})), Ground::kOnlyOneAccount);
  EXPECT_EQ(ground(as_foreigner({.bucket = allow_to(kForeigner)})), Ground::kOnlyOneAccount);
}

TEST(EvaluationTest, ActionsAndResources) {
  const auto with = [](const std::string& elements, const std::string& action = "s3:GetObject",
                       const std::string& resource = "arn:aws:s3:::b/k") {
    return Try{.identity = {"{'Effect':'Allow'," + elements + "}"}, .action = action, .resource = resource};
  };
  const std::string any = ",'Resource':'*'", get = "'Action':'s3:GetObject',";
  check({
      {"actions have no case", with("'Action':'S3:gEtObject'" + any), "Allow"},
      {"nor have those of requests", with("'Action':'s3:GetObject'" + any, "S3:GETOBJECT"), "Allow"},
      {"*", with("'Action':'*'" + any), "Allow"},
      {"s3:*", with("'Action':'s3:*'" + any), "Allow"},
      {"a wildcard inside", with("'Action':'s3:*t*ject'" + any), "Allow"},
      {"? is one character", with("'Action':'s3:?etObject'" + any), "Allow"},
      {"? is not none", with("'Action':'s3:GetObject?'" + any), "ImplicitDeny"},
      {"another service's action", with("'Action':'ec2:*'" + any), "ImplicitDeny"},
      {"an action that does not exist", with("'Action':'s3:GetObjekt'" + any), "ImplicitDeny"},
      {"one of a list", with("'Action':['ec2:*','s3:Get*']" + any), "Allow"},
      {"NotAction leaves out", with("'NotAction':'s3:Get*'" + any), "ImplicitDeny"},
      {"NotAction takes the rest", with("'NotAction':['s3:Put*','s3:List*']" + any), "Allow"},
      {"a resource by name", with(get + "'Resource':'arn:aws:s3:::b/k'"), "Allow"},
      {"resources have a case", with(get + "'Resource':'arn:aws:s3:::b/K'"), "ImplicitDeny"},
      {"the bucket is not its objects", with(get + "'Resource':'arn:aws:s3:::b'"), "ImplicitDeny"},
      {"* goes beyond slashes", with(get + "'Resource':'arn:aws:s3:::*/c'", "s3:GetObject", "arn:aws:s3:::b/a/b/c"),
       "Allow"},
      {"wildcards stay in their part", with(get + "'Resource':'arn:aws:s3:*:*:k'", "s3:GetObject", "arn:aws:s3:::b:k"),
       "ImplicitDeny"},
      {"? is one letter of UTF-8",
       with(get + "'Resource':'arn:aws:s3:::b/p?th'", "s3:GetObject", "arn:aws:s3:::b/päth"), "Allow"},
      {"keys hold colons", with(get + "'Resource':'arn:aws:s3:::b/a:*'", "s3:GetObject", "arn:aws:s3:::b/a:b:c"),
       "Allow"},
      {"any partition", with(get + "'Resource':'arn:*:s3:::b/*'"), "Allow"},
      {"another partition", with(get + "'Resource':'arn:aws-cn:s3:::b/*'"), "ImplicitDeny"},
      {"another service", with(get + "'Resource':'arn:aws:sqs:::b/*'"), "ImplicitDeny"},
      {"NotResource leaves out", with(get + "'NotResource':'arn:aws:s3:::b/*'"), "ImplicitDeny"},
      {"NotResource takes the rest", with(get + "'NotResource':['arn:aws:s3:::c/*','arn:aws:s3:::b']"), "Allow"},
      {"about no bucket",
       with("'Action':'s3:ListAllMyBuckets','Resource':'arn:aws:s3:::*'", "s3:ListAllMyBuckets", "*"), "Allow"},
      {"about no bucket, and one is asked for",
       with("'Action':'s3:ListAllMyBuckets','Resource':'arn:aws:s3:::b'", "s3:ListAllMyBuckets", "*"), "ImplicitDeny"},
  });
}

TEST(EvaluationTest, AnActionOfAnyLengthIsCompared) {
  const std::string long_action = "s3:" + std::string(300, 'a');
  Try one{.identity = {"{'Effect':'Allow','Action':'" + long_action + "','Resource':'*'}"}, .action = long_action};
  EXPECT_EQ(one.outcome(), "Allow");
  one.action += "b";
  EXPECT_EQ(one.outcome(), "ImplicitDeny");
}

}  // namespace
}  // namespace pailfs::policy::test
