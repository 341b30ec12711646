// MFA delete: which calls demand a code, and what makes a code good.
#include "core/mfa.h"

#include "crypto/totp.h"
#include "unit/core_lock/lock_fixture.h"

namespace pailfs::test {
namespace {

class MfaTest : public CoreTest {
 protected:
  static constexpr std::string_view kSecret = "12345678901234567890";

  std::string code_at(Time time) { return totp_code(kSecret, time / kSecond / kTotpPeriod); }
  std::string code_now() { return code_at(env.now()); }
  // A fresh one: the step before it is over.
  std::string next_code() {
    env.advance(kTotpPeriod * kSecond);
    return code_now();
  }
  void enroll() { ASSERT_TRUE(core->enroll_mfa(account, kSecret, code_now())); }
  void demand() {
    enroll();
    ASSERT_TRUE(core->set_mfa_delete(account, "bucket", true, next_code()));
  }
  std::string wrong() {
    std::string code = code_now();
    code[0] = code[0] == '9' ? '0' : static_cast<char>(code[0] + 1);
    // Not that of a step nearby by chance.
    return totp_match(kSecret, code, env.now() / kSecond) ? wrong_again(code) : code;
  }
  std::string wrong_again(std::string code) {
    code[1] = code[1] == '9' ? '0' : static_cast<char>(code[1] + 1);
    return code;
  }
};

TEST_F(MfaTest, ADeviceTakesEffectWithAFirstCode) {
  EXPECT_EQ(core->mfa_enrolled().value(), std::nullopt);
  EXPECT_CODE(core->enroll_mfa(account, kSecret, wrong()), Code::kAccessDenied);
  EXPECT_CODE(core->enroll_mfa(account, "short", code_now()), Code::kInvalid);
  EXPECT_CODE(core->enroll_mfa(alice, kSecret, code_now()), Code::kAccessDenied);
  EXPECT_EQ(core->mfa_enrolled().value(), std::nullopt);
  EXPECT_CODE(core->use_mfa_code(account, code_now()), Code::kNotFound);
  enroll();
  EXPECT_EQ(core->mfa_enrolled().value(), env.now());
  EXPECT_CODE(core->enroll_mfa(account, kSecret, next_code()), Code::kExists);
  crash();
  EXPECT_TRUE(core->mfa_enrolled().value());
  expect_sound();
}

TEST_F(MfaTest, ACodeIsGoodOnceAndForAStepOfDrift) {
  enroll();
  EXPECT_CODE(core->use_mfa_code(account, code_now()), Code::kAccessDenied);  // it enrolled
  const std::string ahead = code_at(env.now() + kTotpPeriod * kSecond);
  EXPECT_OK(core->use_mfa_code(account, ahead));
  EXPECT_CODE(core->use_mfa_code(account, ahead), Code::kAccessDenied);
  crash();
  EXPECT_CODE(core->use_mfa_code(account, ahead), Code::kAccessDenied);
  env.advance(3 * kTotpPeriod * kSecond);
  const std::string behind = code_at(env.now() - kTotpPeriod * kSecond);
  const std::string present = code_now();
  EXPECT_OK(core->use_mfa_code(account, present));
  EXPECT_CODE(core->use_mfa_code(account, behind), Code::kAccessDenied);  // older than one that was used
  env.advance(10 * kTotpPeriod * kSecond);
  EXPECT_CODE(core->use_mfa_code(account, code_at(env.now() - 2 * kTotpPeriod * kSecond)), Code::kAccessDenied);
  EXPECT_CODE(core->use_mfa_code(account, code_at(env.now() + 2 * kTotpPeriod * kSecond)), Code::kAccessDenied);
  EXPECT_OK(core->use_mfa_code(account, code_at(env.now() - kTotpPeriod * kSecond)));
  EXPECT_CODE(core->use_mfa_code(account, "12345"), Code::kInvalid);
  EXPECT_CODE(core->use_mfa_code(account, "12345a"), Code::kInvalid);
  EXPECT_CODE(core->use_mfa_code(alice, code_now()), Code::kAccessDenied);
}

TEST_F(MfaTest, GuessingHasToWaitLongerEachTime) {
  enroll();
  env.advance(10 * kTotpPeriod * kSecond);
  for (int i = 0; i < 5; ++i) EXPECT_CODE(core->use_mfa_code(account, wrong()), Code::kAccessDenied);
  EXPECT_CODE(core->use_mfa_code(account, code_now()), Code::kAccessDenied);  // the right one, too early
  restart();
  EXPECT_CODE(core->use_mfa_code(account, code_now()), Code::kAccessDenied);
  env.advance(31 * kSecond);
  EXPECT_CODE(core->use_mfa_code(account, wrong()), Code::kAccessDenied);
  env.advance(31 * kSecond);
  EXPECT_CODE(core->use_mfa_code(account, code_now()), Code::kAccessDenied);  // a minute now
  env.advance(30 * kSecond);
  EXPECT_OK(core->use_mfa_code(account, code_now()));
  env.advance(kTotpPeriod * kSecond);
  EXPECT_CODE(core->use_mfa_code(account, wrong()), Code::kAccessDenied);
  EXPECT_OK(core->use_mfa_code(account, code_now()));  // it counts anew
}

TEST_F(MfaTest, WhatRemovesForGoodOrChangesVersioningDemandsACode) {
  stored(bucket, "file", "1");
  write(at(bucket, "file"), "2");
  write(at(bucket, "file"), "3");
  demand();
  const auto listed = *core->versions(root, "bucket", "file");
  ASSERT_EQ(listed.size(), 3u);
  const auto view = core->lookup(root, core->lookup(root, bucket, ".versions")->ino, "file");
  ASSERT_TRUE(view);
  EXPECT_CODE(core->unlink(root, view->ino, listed[2].name), Code::kAccessDenied);
  EXPECT_CODE(core->purge_version(root, "bucket", "file", listed[2].id), Code::kAccessDenied);
  EXPECT_CODE(core->prune(account, "bucket", {}, {}, {}), Code::kAccessDenied);
  EXPECT_CODE(core->set_versioning(account, "bucket", Versioning::kSuspended), Code::kAccessDenied);
  EXPECT_CODE(core->purge_bucket(account, "bucket", {}), Code::kAccessDenied);
  EXPECT_OK(core->prune(account, "bucket", {}, everything(true), {}));
  EXPECT_EQ(core->versions(root, "bucket", "file")->size(), 3u);
  // What can be undone does not.
  EXPECT_OK(core->unlink(root, bucket, "file"));
  EXPECT_OK(core->purge_version(root, "bucket", "file", listed[2].id, {.mfa = true}));
  EXPECT_OK(core->set_versioning(account, "bucket", Versioning::kSuspended, {.mfa = true}));
  EXPECT_OK(core->prune(account, "bucket", {}, everything(false, true), {}));
  EXPECT_OK(core->purge_bucket(account, "bucket", {}, {.mfa = true}));
  expect_sound();
}

TEST_F(MfaTest, TurningItOffAndRemovingTheDeviceDemandCodesToo) {
  EXPECT_CODE(core->set_mfa_delete(account, "bucket", true, "123456"), Code::kNotFound);
  demand();
  EXPECT_TRUE(core->bucket(root, "bucket")->mfa_delete);
  EXPECT_CODE(core->remove_mfa(account, next_code()), Code::kBusy);
  EXPECT_CODE(core->set_mfa_delete(account, "bucket", false, wrong()), Code::kAccessDenied);
  EXPECT_CODE(core->set_mfa_delete(alice, "bucket", false, next_code()), Code::kAccessDenied);
  restart();
  EXPECT_TRUE(core->bucket(root, "bucket")->mfa_delete);
  EXPECT_OK(core->set_mfa_delete(account, "bucket", false, next_code()));
  EXPECT_CODE(core->remove_mfa(account, wrong()), Code::kAccessDenied);
  EXPECT_OK(core->remove_mfa(account, next_code()));
  EXPECT_EQ(core->mfa_enrolled().value(), std::nullopt);
}

TEST_F(MfaTest, ItsRecordDecodesToWhatWasEncoded) {
  MfaRecord record;
  record.secret = Secret(kSecret);
  record.enrolled = 1;
  record.last_step = -2;
  record.failures = 3;
  record.failed = 4;
  const std::string encoded = encode_mfa(record);
  const auto decoded = decode_mfa(encoded);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(encode_mfa(*decoded), encoded);
  EXPECT_EQ(decoded->secret.view(), kSecret);
  EXPECT_CODE(decode_mfa(encoded + "x"), Code::kCorrupt);
  EXPECT_CODE(decode_mfa(encoded.substr(0, 9)), Code::kCorrupt);
}

}  // namespace
}  // namespace pailfs::test
