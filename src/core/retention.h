// S3 Object Lock (Amazon S3 user guide, "Locking objects with Object Lock"): what keeps a version from being removed,
// and the rules for changing that. Pure; times are those of the store's retention clock (retention_clock.h).
//
// Messages begin with the name of S3's error.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "core/types.h"

namespace pailfs {

enum class LockMode : uint8_t { kNone = 0, kGovernance = 1, kCompliance = 2 };
std::string_view lock_mode_name(LockMode mode);  // "none", "governance", "compliance"
Result<LockMode> parse_lock_mode(std::string_view name);

struct Retention {
  LockMode mode = LockMode::kNone;
  Time until = 0;
  bool legal_hold = false;  // also without a mode
  bool operator==(const Retention&) const = default;
};

// The retention that new versions of a bucket with Object Lock get.
struct DefaultRetention {
  LockMode mode = LockMode::kNone;
  uint32_t days = 0;  // either of the two
  uint32_t years = 0;
  bool operator==(const DefaultRetention&) const = default;
};

// So long after `from`. A year is 365 days.
Time retain_until(Time from, uint32_t days, uint32_t years);

// DeleteObject with a version id. kAccessDenied while the version is locked; `bypass` passes over governance mode.
Status check_removal(const Retention& is, Time now, bool bypass);
// PutObjectRetention: mode and date of `wanted` (no mode: it ends).
Status check_retention_change(const Retention& is, const Retention& wanted, Time now, bool bypass);
// PutObjectLockConfiguration.
Status check_default_retention(const DefaultRetention& wanted);

}  // namespace pailfs
