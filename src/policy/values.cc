#include "policy/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "policy/letters.h"

namespace pailfs::policy {

namespace {

// Reads a number at the beginning; how many bytes it has, 0 where there is none.
template <class T>
size_t read_number(std::string_view text, T& value) {
  const char* const begin = text.data();
  const auto read = std::from_chars(begin, begin + text.size(), value);
  return read.ec == std::errc{} ? static_cast<size_t>(read.ptr - begin) : 0;
}

template <class T>
bool read_whole(std::string_view text, T& value) {
  return !text.empty() && read_number(text, value) == text.size();
}

}  // namespace

std::optional<Number> Number::parse(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  // from_chars takes "inf" and "nan" too.
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || (!is_digit(digits[0]) && digits[0] != '.')) return std::nullopt;
  Number out;
  if (!read_whole(text, out.value) || !std::isfinite(out.value)) return std::nullopt;
  if (int64_t whole = 0; read_whole(text, whole)) out.whole = whole;
  return out;
}

std::partial_ordering Number::operator<=>(const Number& other) const {
  if (whole && other.whole) return *whole <=> *other.whole;
  return value <=> other.value;
}

namespace {

// A cursor over a text of fixed fields.
class Fields {
 public:
  explicit Fields(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  bool take(char c) {
    if (text_.empty() || lower(text_[0]) != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::optional<int> digits(size_t count) {
    if (text_.size() < count || !std::ranges::all_of(text_.substr(0, count), is_digit)) return std::nullopt;
    int value = 0;
    for (const char c : text_.substr(0, count)) value = value * 10 + (c - '0');
    text_.remove_prefix(count);
    return value;
  }
  // Behind a decimal point; digits beyond nanoseconds are dropped.
  std::optional<int32_t> fraction() {
    size_t count = 0;
    int32_t value = 0;
    while (count < text_.size() && is_digit(text_[count])) {
      if (count < 9) value = value * 10 + (text_[count] - '0');
      ++count;
    }
    if (count == 0) return std::nullopt;
    for (size_t i = count; i < 9; ++i) value *= 10;
    text_.remove_prefix(count);
    return value;
  }

 private:
  std::string_view text_;
};

// Seconds that the zone is ahead of UTC.
std::optional<int> zone(Fields& in) {
  if (in.done() || in.take('z')) return 0;
  const bool ahead = in.take('+');
  if (!ahead && !in.take('-')) return std::nullopt;
  const auto hours = in.digits(2);
  in.take(':');
  const auto minutes = in.digits(2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return (ahead ? 1 : -1) * (*hours * 3600 + *minutes * 60);
}

std::optional<Moment> time_of_day(Fields& in) {
  const auto hour = in.digits(2);
  if (!hour || *hour > 23 || !in.take(':')) return std::nullopt;
  const auto minute = in.digits(2);
  if (!minute || *minute > 59) return std::nullopt;
  Moment out{*hour * 3600 + *minute * 60, 0};
  if (in.take(':')) {
    const auto second = in.digits(2);
    if (!second || *second > 60) return std::nullopt;  // 60: a leap second
    out.seconds += *second;
    if (in.take('.')) {
      const auto fraction = in.fraction();
      if (!fraction) return std::nullopt;
      out.nanoseconds = *fraction;
    }
  }
  const auto ahead = zone(in);
  if (!ahead) return std::nullopt;
  out.seconds -= *ahead;
  return out;
}

std::optional<Moment> calendar(std::string_view text) {
  Fields in(text);
  const auto year = in.digits(4);
  if (!year) return std::nullopt;
  int month = 1, day = 1;
  Moment time;
  if (in.take('-')) {
    const auto m = in.digits(2);
    if (!m) return std::nullopt;
    month = *m;
    if (in.take('-')) {
      const auto d = in.digits(2);
      if (!d) return std::nullopt;
      day = *d;
      if (in.take('t')) {
        const auto of_day = time_of_day(in);
        if (!of_day) return std::nullopt;
        time = *of_day;
      }
    }
  }
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!in.done() || !date.ok()) return std::nullopt;
  time.seconds += int64_t{std::chrono::sys_days(date).time_since_epoch().count()} * 86400;
  return time;
}

std::optional<Moment> epoch(std::string_view text) {
  Moment out;
  const size_t digits = read_number(text, out.seconds);
  if (digits == 0) return std::nullopt;
  Fields in(text.substr(digits));
  if (in.take('.')) {
    const auto fraction = in.fraction();
    if (!fraction) return std::nullopt;
    out.nanoseconds = *fraction;
    if (text.starts_with('-') && out.nanoseconds > 0) {
      --out.seconds;
      out.nanoseconds = 1'000'000'000 - out.nanoseconds;
    }
  }
  if (!in.done()) return std::nullopt;
  return out;
}

}  // namespace

std::optional<Moment> Moment::parse(std::string_view text) {
  if (const auto moment = calendar(text)) return moment;
  return epoch(text);
}

std::optional<Address> Address::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.contains('\0')) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  Address out;
  out.v6 = text.contains(':');
  if (::inet_pton(out.v6 ? AF_INET6 : AF_INET, terminated.data(), out.bytes.data()) != 1) return std::nullopt;
  return out;
}

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned longest = address->v6 ? 128 : 32;
  AddressRange out{*address, longest};
  if (slash == std::string_view::npos) return out;
  if (!read_whole(text.substr(slash + 1), out.prefix) || out.prefix > longest) return std::nullopt;
  return out;
}

bool AddressRange::contains(const Address& other) const {
  if (address.v6 != other.v6) return false;
  const size_t bytes = prefix / 8;
  const unsigned bits = prefix % 8;
  if (!std::equal(address.bytes.begin(), address.bytes.begin() + static_cast<std::ptrdiff_t>(bytes),
                  other.bytes.begin())) {
    return false;
  }
  return bits == 0 || (address.bytes[bytes] ^ other.bytes[bytes]) >> (8 - bits) == 0;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (equal_ignoring_case(text, "true")) return true;
  if (equal_ignoring_case(text, "false")) return false;
  return std::nullopt;
}

namespace {
int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}
}  // namespace

std::optional<std::string> parse_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xFFFF;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>(bits >> held & 0xFF));
    }
  }
  if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;  // bits behind the last byte
  return out;
}

}  // namespace pailfs::policy
