// Times and durations as text: RFC 3339 out, RFC 3339 and short durations in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "core/types.h"

namespace pailfs {

// "2026-11-23T14:56:00.123456789Z"; without the fraction when it is zero.
std::string format_time(Time time);
// RFC 3339: "2026-11-23T14:56:00Z", with a fraction, with an offset ("+01:00"); or a date alone: its beginning in UTC;
// or without hyphens and colons, as the names of versions have it: "20261123T145600.123456789Z".
Result<Time> parse_time(std::string_view text);
// A whole number and s, m, h, d, w or y (365 days), or the word for it ("2 hours"): nanoseconds.
Result<int64_t> parse_duration(std::string_view text);
// Either of these; a duration, which may have " ago" behind it, counts back from `now`.
Result<Time> parse_moment(std::string_view text, Time now);

}  // namespace pailfs
