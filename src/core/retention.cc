#include "core/retention.h"

#include <fmt/format.h>

#include <limits>

#include "core/time_text.h"

namespace pailfs {

namespace {

constexpr Time kDay = Time{86400} * 1'000'000'000;
constexpr uint32_t kMaxDays = 36500;
constexpr uint32_t kMaxYears = 100;

bool in_force(const Retention& is, Time now) { return is.mode != LockMode::kNone && is.until > now; }

std::unexpected<Error> denied(const std::string& why) { return fail(Code::kAccessDenied, "AccessDenied: " + why); }

}  // namespace

std::string_view lock_mode_name(LockMode mode) {
  switch (mode) {
    case LockMode::kNone:
      return "none";
    case LockMode::kGovernance:
      return "governance";
    case LockMode::kCompliance:
      return "compliance";
  }
  return "unknown";
}

Result<LockMode> parse_lock_mode(std::string_view name) {
  for (const LockMode mode : {LockMode::kGovernance, LockMode::kCompliance}) {
    if (lock_mode_name(mode) == name) return mode;
  }
  return fail(Code::kInvalid, fmt::format("MalformedXML: '{}' is no mode of retention (known: governance, compliance)",
                                          printable(name)));
}

Time retain_until(Time from, uint32_t days, uint32_t years) {
  constexpr Time kEnd = std::numeric_limits<Time>::max();
  const Time all_days = Time{days} + Time{years} * 365;
  if (all_days > kEnd / kDay || from > kEnd - all_days * kDay) return kEnd;
  return from + all_days * kDay;
}

Status check_removal(const Retention& is, Time now, bool bypass) {
  if (is.legal_hold) return denied("a legal hold is on this version: nobody removes it before 'pail lock release'");
  if (!in_force(is, now)) return {};
  if (is.mode == LockMode::kCompliance) {
    return denied(fmt::format("this version is retained in compliance mode until {}: nobody removes it before",
                              format_time(is.until)));
  }
  if (bypass) return {};
  return denied(
      fmt::format("this version is retained in governance mode until {}: the owner of the store and root "
                  "remove it before with 'pail versions purge --bypass-governance'",
                  format_time(is.until)));
}

Status check_retention_change(const Retention& is, const Retention& wanted, Time now, bool bypass) {
  const bool ends = wanted.mode == LockMode::kNone;
  if (!ends && wanted.until <= now) {
    return fail(Code::kInvalid,
                fmt::format("InvalidArgument: the date {} is not in the future: it is {} by the store's "
                            "retention clock",
                            format_time(wanted.until), format_time(now)));
  }
  if (!in_force(is, now)) return {};
  const bool extends = wanted.mode == is.mode && wanted.until >= is.until;
  if (extends) return {};
  if (is.mode == LockMode::kCompliance) {
    return denied(
        fmt::format("this version is retained in compliance mode until {}: that can be extended, and neither "
                    "shortened, nor changed to another mode, nor ended",
                    format_time(is.until)));
  }
  if (bypass) return {};
  return denied(
      fmt::format("this version is retained in governance mode until {}: shortening that, ending it or "
                  "changing its mode takes --bypass-governance",
                  format_time(is.until)));
}

Status check_default_retention(const DefaultRetention& wanted) {
  const auto given = (wanted.days != 0 ? 1 : 0) + (wanted.years != 0 ? 1 : 0);
  if (wanted.mode == LockMode::kNone) {
    if (given == 0) return {};
    return fail(Code::kInvalid, "MalformedXML: a period goes with a mode, governance or compliance");
  }
  if (given == 2) return fail(Code::kInvalid, "MalformedXML: the period is either days or years, not both");
  if (given == 0) {
    return fail(Code::kInvalid, "InvalidRetentionPeriod: a default retention has a period of at least one day");
  }
  if (wanted.days > kMaxDays || wanted.years > kMaxYears) {
    return fail(
        Code::kInvalid,
        fmt::format("InvalidRetentionPeriod: a default retention is at most {} days or {} years", kMaxDays, kMaxYears));
  }
  return {};
}

}  // namespace pailfs
