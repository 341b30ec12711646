// acl.get, acl.put and ownership: their arguments, their answers, and who may.
#include <gmock/gmock.h>

#include "core_fixture.h"

namespace pailfs {
namespace {

using testing::HasSubstr;

class AclCommandsTest : public CoreFixture {
 protected:
  AclCommandsTest() {
    EXPECT_TRUE(run(kAccount, "bucket.create", {{"bucket", "shared"}}));
    write_file("shared", "file", "content");
  }
  Json args(Json more = Json::object()) {
    more["bucket"] = "shared";
    more["path"] = "file";
    return more;
  }
  Json grant(const std::string& who, const Json& permissions) {
    return args({{"grants", Json::array({{{"grantee", who}, {"permissions", permissions}}})}});
  }
  std::string arn(const std::string& who) { return "arn:aws:iam::" + core_->account_id() + ":" + who; }
};

TEST_F(AclCommandsTest, GrantsAreAnsweredAsTheyWereGiven) {
  const int settled = daemon_.settled;
  const auto result = run(kAccount, "acl.put",
                          args({{"grants",
                                 {{{"grantee", "2000"}, {"permissions", {"READ", "WRITE"}}},
                                  {{"grantee", "group:3000"}, {"permissions", {"READ"}}},
                                  {{"grantee", "LogDelivery"}, {"permissions", {"READ"}}},
                                  {{"grantee", arn("root")}, {"permissions", {"FULL_CONTROL"}}}}}}));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(daemon_.settled, settled + 1);
  EXPECT_EQ((*result)["owner"]["uid"], kAccount);
  EXPECT_EQ((*result)["owner"]["arn"], arn("root"));
  EXPECT_EQ((*result)["ownership"], "ObjectWriter");
  EXPECT_FALSE(result->contains("withheld"));
  std::vector<std::string> grants;
  for (const Json& one : (*result)["grants"]) {
    const Json& grantee = one["grantee"];
    std::string text = grantee["type"];
    for (const char* id : {"uid", "gid"}) {
      if (grantee.contains(id)) text += " " + std::to_string(grantee[id].get<uint32_t>());
    }
    grants.push_back(text + " " + one["permissions"].dump());
  }
  EXPECT_EQ(grants, (std::vector<std::string>{R"(user 1000 ["FULL_CONTROL"])", R"(user 2000 ["READ","WRITE"])",
                                              R"(group 3000 ["READ"])", R"(LogDelivery ["READ"])"}));
  EXPECT_EQ(*run(kStranger, "acl.get", args()), *result);
  const auto canned = run(kAccount, "acl.put", args({{"canned", "public-read"}}));
  ASSERT_TRUE(canned);
  EXPECT_EQ(canned->at("grants").back()["grantee"]["uri"], "http://acs.amazonaws.com/groups/global/AllUsers");
}

TEST_F(AclCommandsTest, WhatMakesNoSenseSaysWhy) {
  const std::vector<std::pair<Json, std::string>> wrong = {
      {args(), "canned ACL or grants"},
      {args({{"canned", "private"}, {"grants", grant("2000", {"READ"})["grants"]}}), "not both"},
      {args({{"canned", "secret"}}), "known: private"},
      {args({{"grants", "alice"}}), "list"},
      {args({{"grants", {"alice"}}}), "object"},
      {grant("2000", "READ"), "list"},
      {grant("2000", Json::array()), "READ_ACP"},
      {grant("2000", {"LIST"}), "known: READ"},
      {grant("2000", {7}), "known: READ"},
      {grant("4294967295", {"READ"}), "no user's"},
      {grant("no-such-user", {"READ"}), "no user 'no-such-user'"},
      {grant("user:", {"READ"}), "no user ''"},
      {grant("group:no-such-group", {"READ"}), "no group"},
      {grant(arn("role/x"), {"READ"}), "no user of this store's account"},
  };
  for (const auto& [arguments, why] : wrong) {
    const auto result = run(kAccount, "acl.put", arguments);
    ASSERT_FALSE(result) << arguments;
    EXPECT_EQ(result.error().code, Code::kInvalid) << arguments;
    EXPECT_THAT(result.error().message, HasSubstr(why)) << arguments;
  }
  EXPECT_EQ(run(kStranger, "acl.put", args({{"canned", "private"}})).error().code, Code::kNotPermitted);
}

TEST_F(AclCommandsTest, OwnershipIsSetByTheAccountAndAnsweredToAll) {
  const Json bucket = {{"bucket", "shared"}};
  EXPECT_EQ(run(kStranger, "ownership", bucket)->at("ownership"), "ObjectWriter");
  const Json enforced = {{"bucket", "shared"}, {"ownership", "BucketOwnerEnforced"}};
  EXPECT_EQ(run(kStranger, "ownership", enforced).error().code, Code::kAccessDenied);
  EXPECT_EQ(run(kAccount, "ownership", enforced)->at("ownership"), "BucketOwnerEnforced");
  EXPECT_EQ(run(kAccount, "bucket.show", bucket)->at("ownership"), "BucketOwnerEnforced");
  EXPECT_THAT(run(kAccount, "acl.put", args({{"canned", "private"}})).error().message,
              HasSubstr("AccessControlListNotSupported"));
  EXPECT_EQ(run(kAccount, "ownership", {{"bucket", "shared"}, {"ownership", "Mine"}}).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace pailfs
