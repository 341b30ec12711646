// S3's documented rules for Object Lock, as a table: what may change a lock, and what a lock keeps from being removed.
#include "core/retention.h"

#include <gtest/gtest.h>

#include <vector>

namespace pailfs {
namespace {

constexpr Time kNow = Time{1'700'000'000} * 1'000'000'000;
constexpr Time kDay = Time{86400} * 1'000'000'000;

// "ok", or the name of S3's error, which a message begins with.
template <class R>
std::string outcome(const R& result) {
  return result ? "ok" : result.error().message.substr(0, result.error().message.find(':'));
}

Retention none() { return {}; }
Retention governance(int days) { return {LockMode::kGovernance, kNow + days * kDay}; }
Retention compliance(int days) { return {LockMode::kCompliance, kNow + days * kDay}; }
Retention held(Retention retention) {
  retention.legal_hold = true;
  return retention;
}

struct Change {
  const char* what;
  Retention is;
  Retention wanted;
  const char* plain;   // without, and
  const char* bypass;  // with x-amz-bypass-governance-retention
};

const Change kChanges[] = {
    {"a version without retention gets governance", none(), governance(1), "ok", "ok"},
    {"a version without retention gets compliance", none(), compliance(1), "ok", "ok"},
    {"a date in the past", none(), governance(-1), "InvalidArgument", "InvalidArgument"},
    {"this very moment", none(), compliance(0), "InvalidArgument", "InvalidArgument"},
    {"ending what there is not", none(), none(), "ok", "ok"},
    {"governance is extended", governance(2), governance(3), "ok", "ok"},
    {"governance is set to the date it has", governance(2), governance(2), "ok", "ok"},
    {"governance is shortened", governance(2), governance(1), "AccessDenied", "ok"},
    {"governance is ended", governance(2), none(), "AccessDenied", "ok"},
    {"governance becomes compliance", governance(2), compliance(3), "AccessDenied", "ok"},
    {"governance is shortened to the past", governance(2), governance(-1), "InvalidArgument", "InvalidArgument"},
    {"compliance is extended", compliance(2), compliance(3), "ok", "ok"},
    {"compliance is set to the date it has", compliance(2), compliance(2), "ok", "ok"},
    {"compliance is shortened", compliance(2), compliance(1), "AccessDenied", "AccessDenied"},
    {"compliance is ended", compliance(2), none(), "AccessDenied", "AccessDenied"},
    {"compliance becomes governance", compliance(2), governance(3), "AccessDenied", "AccessDenied"},
    {"what is over is ended", compliance(-1), none(), "ok", "ok"},
    {"what is over is set anew, in another mode", compliance(-1), governance(1), "ok", "ok"},
    {"what ends now is over", compliance(0), none(), "ok", "ok"},
    {"a legal hold changes nothing: extended", held(compliance(2)), compliance(3), "ok", "ok"},
    {"a legal hold changes nothing: shortened", held(governance(2)), governance(1), "AccessDenied", "ok"},
    {"a legal hold changes nothing: first set", held(none()), compliance(1), "ok", "ok"},
};

TEST(ObjectLockRules, PutObjectRetention) {
  for (const Change& change : kChanges) {
    EXPECT_EQ(outcome(check_retention_change(change.is, change.wanted, kNow, false)), change.plain) << change.what;
    EXPECT_EQ(outcome(check_retention_change(change.is, change.wanted, kNow, true)), change.bypass) << change.what;
  }
}

struct Removal {
  const char* what;
  Retention is;
  const char* plain;
  const char* bypass;
};

const Removal kRemovals[] = {
    {"no lock", none(), "ok", "ok"},
    {"governance", governance(1), "AccessDenied", "ok"},
    {"compliance", compliance(1), "AccessDenied", "AccessDenied"},
    {"governance that is over", governance(-1), "ok", "ok"},
    {"compliance that is over", compliance(-1), "ok", "ok"},
    {"compliance that ends now", compliance(0), "ok", "ok"},
    {"a legal hold", held(none()), "AccessDenied", "AccessDenied"},
    {"a legal hold beside governance", held(governance(1)), "AccessDenied", "AccessDenied"},
    {"a legal hold where retention is over", held(compliance(-1)), "AccessDenied", "AccessDenied"},
};

TEST(ObjectLockRules, DeleteObjectWithAVersionId) {
  for (const Removal& removal : kRemovals) {
    EXPECT_EQ(outcome(check_removal(removal.is, kNow, false)), removal.plain) << removal.what;
    EXPECT_EQ(outcome(check_removal(removal.is, kNow, true)), removal.bypass) << removal.what;
  }
}

TEST(ObjectLockRules, ARefusalSaysByWhatAndUntilWhen) {
  EXPECT_NE(check_removal(compliance(0), kNow - 1, false).error().message.find("compliance mode until 2023-11-14"),
            std::string::npos);
  EXPECT_NE(check_removal(held(none()), kNow, false).error().message.find("legal hold"), std::string::npos);
}

struct Standard {
  const char* what;
  DefaultRetention wanted;
  const char* expected;
};

const Standard kStandards[] = {
    {"none", {}, "ok"},
    {"days", {LockMode::kGovernance, 1, 0}, "ok"},
    {"years", {LockMode::kCompliance, 0, 7}, "ok"},
    {"the longest", {LockMode::kCompliance, 36500, 0}, "ok"},
    {"the longest in years", {LockMode::kCompliance, 0, 100}, "ok"},
    {"too many days", {LockMode::kCompliance, 36501, 0}, "InvalidRetentionPeriod"},
    {"too many years", {LockMode::kGovernance, 0, 101}, "InvalidRetentionPeriod"},
    {"a mode without a period", {LockMode::kGovernance, 0, 0}, "InvalidRetentionPeriod"},
    {"days and years", {LockMode::kGovernance, 1, 1}, "MalformedXML"},
    {"a period without a mode", {LockMode::kNone, 1, 0}, "MalformedXML"},
};

TEST(ObjectLockRules, PutObjectLockConfiguration) {
  for (const Standard& standard : kStandards) {
    EXPECT_EQ(outcome(check_default_retention(standard.wanted)), standard.expected) << standard.what;
  }
}

TEST(ObjectLockRules, PeriodsEndNeverBeforeTheyBegin) {
  EXPECT_EQ(retain_until(kNow, 1, 0), kNow + kDay);
  EXPECT_EQ(retain_until(kNow, 0, 1), kNow + 365 * kDay);
  EXPECT_EQ(retain_until(std::numeric_limits<Time>::max() - 1, 1, 0), std::numeric_limits<Time>::max());
  EXPECT_EQ(retain_until(kNow, UINT32_MAX, UINT32_MAX), std::numeric_limits<Time>::max());
}

}  // namespace
}  // namespace pailfs
