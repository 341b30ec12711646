#include "policy/suggestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "policy/letters.h"

namespace pailfs::policy {
namespace {

constexpr size_t kLongestCompared = 64;

// How many letters have to be inserted, removed or replaced (Levenshtein), case aside.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view typed, std::span<const std::string_view> candidates) {
  if (typed.empty() || typed.size() > kLongestCompared) return "";
  size_t best = std::numeric_limits<size_t>::max();
  std::string_view nearest;
  for (const std::string_view candidate : candidates) {
    const size_t far = distance(typed, candidate);
    if (far < best) {
      best = far;
      nearest = candidate;
    }
  }
  if (nearest.empty() || best > std::max<size_t>(1, typed.size() / 3)) return "";
  return fmt::format("; did you mean {}?", in_quotes(nearest));
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string out = "\"";
  size_t end = std::min(text.size(), kShown);
  while (end > 0 && end < text.size() && (text[end] & 0xC0) == 0x80) --end;  // no half character
  for (const char c : text.substr(0, end)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return out + (end < text.size() ? "…\"" : "\"");
}

}  // namespace pailfs::policy
