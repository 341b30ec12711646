// What condition operators compare: numbers, moments, addresses, binary values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pailfs::policy {

// A decimal number: whole ones are exact.
struct Number {
  std::optional<int64_t> whole;
  double value = 0;

  static std::optional<Number> parse(std::string_view text);
  std::partial_ordering operator<=>(const Number& other) const;
  bool operator==(const Number& other) const { return (*this <=> other) == 0; }
};

// A moment, of W3C's profile of ISO 8601 ("2026-11-23", "2026-11-23T14:56:00Z", "…+01:00", with a fraction; without a
// zone UTC) or in seconds since 1970. Four digits alone are a year.
struct Moment {
  int64_t seconds = 0;
  int32_t nanoseconds = 0;

  static std::optional<Moment> parse(std::string_view text);
  auto operator<=>(const Moment&) const = default;
};

struct Address {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // of IPv4, the first four

  static std::optional<Address> parse(std::string_view text);
};

// In CIDR notation, or one address: IAM takes /32 for it, and we /128 for one of IPv6.
struct AddressRange {
  Address address;
  unsigned prefix = 0;

  static std::optional<AddressRange> parse(std::string_view text);
  bool contains(const Address& other) const;
};

// "true" or "false", in any case.
std::optional<bool> parse_boolean(std::string_view text);

// Base64 of RFC 4648, padded.
std::optional<std::string> parse_base64(std::string_view text);

}  // namespace pailfs::policy
