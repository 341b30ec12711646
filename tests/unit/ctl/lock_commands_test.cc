// The operations of Object Lock and MFA delete: their arguments, their answers, and who may.
#include <gmock/gmock.h>

#include "core_fixture.h"
#include "crypto/crypto.h"
#include "crypto/totp.h"

namespace pailfs {
namespace {

using testing::HasSubstr;

class LockCommandsTest : public CoreFixture {
 protected:
  LockCommandsTest() {
    EXPECT_TRUE(run(kAccount, "bucket.create", {{"bucket", "vault"}, {"object_lock", true}}));
    write_file("vault", "file", "one");
    write_file("vault", "file", "two");
  }
  Json retain(const char* mode, int days) {
    return {{"bucket", "vault"}, {"path", "file"}, {"mode", mode}, {"days", days}};
  }
  std::string code() {
    env_.advance(kTotpPeriod * 1'000'000'000);
    return totp_code(kSecret, env_.now() / 1'000'000'000 / kTotpPeriod);
  }
  static constexpr std::string_view kSecret = "12345678901234567890";
};

TEST_F(LockCommandsTest, AreForTheAccountAlone) {
  const std::vector<std::pair<std::string, Json>> requests = {
      {"bucket.create", {{"bucket", "other"}, {"object_lock", true}}},
      {"lock.enable", {{"bucket", "vault"}}},
      {"lock.default", {{"bucket", "vault"}}},
      {"lock.retain", retain("governance", 1)},
      {"lock.hold", {{"bucket", "vault"}, {"path", "file"}, {"on", true}}},
      {"mfa.status", Json::object()},
      {"mfa.enroll", {{"secret", base64(kSecret)}, {"code", "123456"}}},
      {"mfa.remove", {{"code", "123456"}}},
      {"mfa.set", {{"bucket", "vault"}, {"on", true}, {"code", "123456"}}},
  };
  for (const auto& [op, args] : requests) {
    const auto result = run(kStranger, op, args);
    ASSERT_FALSE(result) << op;
    EXPECT_EQ(result.error().code, Code::kAccessDenied) << op;
  }
  EXPECT_TRUE(run(kStranger, "lock.status", {{"bucket", "vault"}}));
}

TEST_F(LockCommandsTest, AnswerWithWhatIsLockedThen) {
  const auto standard = run(kAccount, "lock.default", {{"bucket", "vault"}, {"mode", "compliance"}, {"years", 1}});
  ASSERT_TRUE(standard) << standard.error().message;
  EXPECT_EQ((*standard)["default_retention"], Json({{"mode", "compliance"}, {"years", 1}}));
  EXPECT_TRUE(standard->contains("retention_time"));
  EXPECT_EQ((*run(0, "bucket.show", {{"bucket", "vault"}}))["default_retention"]["years"], 1);
  const auto retained = run(0, "lock.retain", retain("governance", 2));
  ASSERT_TRUE(retained) << retained.error().message;
  EXPECT_EQ((*retained)["lock"]["mode"], "governance");
  EXPECT_EQ((*retained)["lock"]["locked"], true);
  EXPECT_EQ((*retained)["current"], true);
  const auto status = run(0, "lock.status", {{"bucket", "vault"}, {"path", "file"}});
  EXPECT_EQ((*status)["lock"], (*retained)["lock"]);
  EXPECT_EQ((*run(kAccount, "versions.list", {{"bucket", "vault"}, {"path", "file"}}))["versions"][0]["lock"],
            (*retained)["lock"]);
  EXPECT_THAT(run(0, "lock.retain", retain("forever", 2)).error().message, HasSubstr("MalformedXML"));
  EXPECT_THAT(run(0, "lock.retain", retain("governance", -2)).error().message, HasSubstr("InvalidRetentionPeriod"));
  EXPECT_EQ(run(0, "lock.retain", {{"bucket", "vault"}}).error().code, Code::kInvalid);
  EXPECT_EQ(run(0, "lock.status", {{"bucket", "vault"}, {"path", "file"}, {"version", "null"}}).error().code,
            Code::kNotFound);
}

TEST_F(LockCommandsTest, OneCodeServesOneOperationOnAllItsBuckets) {
  for (const std::string bucket : {"photos", "papers"}) {
    ASSERT_TRUE(run(kAccount, "bucket.create", {{"bucket", bucket}}));
    write_file(bucket, "file", "one");
    write_file(bucket, "file", "two");
  }
  ASSERT_TRUE(run(kAccount, "mfa.enroll", {{"secret", base64(kSecret)}, {"code", code()}}));
  for (const char* bucket : {"photos", "papers"}) {
    ASSERT_TRUE(run(kAccount, "mfa.set", {{"bucket", bucket}, {"on", true}, {"code", code()}}));
  }
  EXPECT_EQ((*run(kAccount, "mfa.status"))["buckets"], Json({"papers", "photos"}));
  const auto without = run(kAccount, "versions.prune", Json::object());
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().message, HasSubstr("--mfa"));
  EXPECT_EQ((*run(kAccount, "versions.prune", {{"dry_run", true}}))["versions"], 3);
  const std::string good = code();
  const auto pruned = run(kAccount, "versions.prune", {{"mfa", good}});
  ASSERT_TRUE(pruned) << pruned.error().message;
  EXPECT_EQ((*pruned)["versions"], 3);
  EXPECT_EQ(run(kAccount, "bucket.delete", {{"bucket", "photos"}, {"purge", true}, {"mfa", good}}).error().code,
            Code::kAccessDenied);
  EXPECT_TRUE(run(kAccount, "bucket.delete", {{"bucket", "photos"}, {"purge", true}, {"mfa", code()}}));
  EXPECT_TRUE(run(kAccount, "versioning.set", {{"bucket", "papers"}, {"state", "suspended"}, {"mfa", code()}}));
}

}  // namespace
}  // namespace pailfs
