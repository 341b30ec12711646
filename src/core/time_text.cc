#include "core/time_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <optional>

namespace pailfs {
namespace {

// Takes exactly `n` digits off the front.
std::optional<int> digits(std::string_view& text, size_t n) {
  int value = 0;
  if (text.size() < n) return std::nullopt;
  for (size_t i = 0; i < n; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::unexpected<Error> bad_time(std::string_view text) {
  return fail(Code::kInvalid, fmt::format("'{}' is no time: write a date in UTC (2026-11-23), or RFC 3339 with a zone "
                                          "(2026-11-23T14:56:00Z, 2026-11-23T14:56:00+01:00), from 1678 to 2261",
                                          printable(text)));
}

// The fraction of a second after its point, in nanoseconds; further digits are cut.
std::optional<int64_t> fraction(std::string_view& text) {
  int64_t value = 0;
  size_t n = 0;
  for (; n < text.size() && text[n] >= '0' && text[n] <= '9'; ++n) {
    if (n < 9) value = value * 10 + (text[n] - '0');
  }
  if (n == 0) return std::nullopt;
  for (size_t i = n; i < 9; ++i) value *= 10;
  text.remove_prefix(n);
  return value;
}

// "Z" or "+hh:mm": seconds east of UTC.
std::optional<int64_t> zone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  const bool west = text.starts_with('-');
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = digits(text, 2);
  if (!hours || *hours > 23 || !take(text, ":")) return std::nullopt;
  const auto minutes = digits(text, 2);
  if (!minutes || *minutes > 59 || !text.empty()) return std::nullopt;
  const int64_t seconds = *hours * 3600 + *minutes * 60;
  return west ? -seconds : seconds;
}

}  // namespace

std::string format_time(Time time) {
  using namespace std::chrono;
  // By hand: what floor() leaves cannot be told in nanoseconds within the first second of all.
  const int64_t rest = (time % kSecond + kSecond) % kSecond;
  const sys_seconds whole{seconds(time / kSecond - (time % kSecond < 0 ? 1 : 0))};
  const auto day = floor<days>(whole);
  const year_month_day date{day};
  const hh_mm_ss clock(whole - day);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (rest != 0) text += fmt::format(".{:09}", rest);
  return text + "Z";
}

namespace {

// 20261123T145600 with what follows, as RFC 3339 has it; empty: it is not of that form.
std::string with_separators(std::string_view text) {
  if (text.size() < 16 || text[8] != 'T') return {};
  for (size_t i = 0; i < 15; ++i) {
    if (i != 8 && (text[i] < '0' || text[i] > '9')) return {};
  }
  return fmt::format("{}-{}-{}T{}:{}:{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2), text.substr(9, 2),
                     text.substr(11, 2), text.substr(13));
}

}  // namespace

Result<Time> parse_time(std::string_view text) {
  using namespace std::chrono;
  const std::string separated = with_separators(text);
  std::string_view rest = separated.empty() ? text : separated;
  const auto y = digits(rest, 4);
  if (!y || !take(rest, "-")) return bad_time(text);
  const auto m = digits(rest, 2);
  if (!m || !take(rest, "-")) return bad_time(text);
  const auto d = digits(rest, 2);
  if (!d) return bad_time(text);
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*m)}, day{static_cast<unsigned>(*d)}};
  // What nanoseconds since 1970 can hold.
  if (!date.ok() || *y < 1678 || *y > 2261) return bad_time(text);
  const int64_t start = seconds(sys_days(date).time_since_epoch()).count();
  if (rest.empty()) return start * kSecond;
  if (!take(rest, "Tt ")) return bad_time(text);
  const auto hour = digits(rest, 2);
  if (!hour || *hour > 23 || !take(rest, ":")) return bad_time(text);
  const auto minute = digits(rest, 2);
  if (!minute || *minute > 59 || !take(rest, ":")) return bad_time(text);
  const auto second = digits(rest, 2);
  if (!second || *second > 60) return bad_time(text);
  int64_t nanoseconds_part = 0;
  if (take(rest, ".")) {
    const auto parsed = fraction(rest);
    if (!parsed) return bad_time(text);
    nanoseconds_part = *parsed;
  }
  const auto east = zone(rest);
  if (!east) return bad_time(text);
  return (start + int64_t{*hour} * 3600 + int64_t{*minute} * 60 + *second - *east) * kSecond + nanoseconds_part;
}

Result<int64_t> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view word, letter;
    int64_t seconds;
  };
  static constexpr auto kUnits = std::to_array<Unit>({{"second", "s", 1},
                                                      {"minute", "m", 60},
                                                      {"hour", "h", 3600},
                                                      {"day", "d", 86400},
                                                      {"week", "w", int64_t{7} * 86400},
                                                      {"year", "y", int64_t{365} * 86400}});
  int64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && count >= 0) {
    std::string_view unit = text.substr(static_cast<size_t>(stop - text.data()));
    if (unit.starts_with(' ')) unit.remove_prefix(1);
    for (const Unit& known : kUnits) {
      const bool word = unit.starts_with(known.word) && (unit == known.word || unit.substr(known.word.size()) == "s");
      if ((word || unit == known.letter) && count <= INT64_MAX / kSecond / known.seconds) {
        return count * known.seconds * kSecond;
      }
    }
  }
  return fail(Code::kInvalid,
              fmt::format("'{}' is no duration: a number and s, m, h, d, w or y (90m, 12h, 30d)", printable(text)));
}

Result<Time> parse_moment(std::string_view text, Time now) {
  std::string_view back = text;
  if (back.ends_with(" ago")) back.remove_suffix(4);
  if (auto duration = parse_duration(back)) return now - *duration;
  auto time = parse_time(text);
  if (time) return time;
  return fail(Code::kInvalid,
              fmt::format("'{}' is no time: a number and s, m, h, d, w or y, for so long ago (90m, 12h, "
                          "\"30d ago\"), a date in UTC (2026-11-23), or RFC 3339 (2026-11-23T14:56:00Z)",
                          printable(text)));
}

}  // namespace pailfs
