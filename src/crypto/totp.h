// One-time codes by time: RFC 6238 with HMAC-SHA-1, as every authenticator makes them, and base 32 (RFC 4648) for
// showing secrets to people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pailfs {

inline constexpr int64_t kTotpPeriod = 30;  // seconds of a step
inline constexpr int kTotpDigits = 6;

// The code of a step (seconds since 1970 / kTotpPeriod), with leading zeros. HOTP of RFC 4226 has the step as counter.
std::string totp_code(std::string_view secret, int64_t step, int digits = kTotpDigits);
// The step whose code it is: that of `seconds` (since 1970), the one before or the one after. Compares in constant
// time.
std::optional<int64_t> totp_match(std::string_view secret, std::string_view code, int64_t seconds);

// Upper case, without padding.
std::string base32(std::string_view data);

}  // namespace pailfs
