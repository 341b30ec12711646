#include "policy/pattern.h"

#include <algorithm>

#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// Documents are UTF-8 and hold none of these. Values of variables may: names of files are bytes.
constexpr char kAnyCharacters = '\xFF';
constexpr char kOneCharacter = '\xFE';
constexpr char kQuote = '\xFD';  // the next byte stands for itself

constexpr bool is_special(char c) { return static_cast<unsigned char>(c) >= 0xFD; }

// Bytes of the character that begins at `at`; 1 for what is not UTF-8.
size_t character_size(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 1;
  if (at + size > text.size()) return 1;
  for (size_t i = 1; i < size; ++i) {
    if ((text[at + i] & 0xC0) != 0x80) return 1;
  }
  return size;
}

}  // namespace

bool matches_wildcards(std::string_view pattern, std::string_view text) {
  constexpr size_t kNone = std::string_view::npos;
  size_t p = 0, t = 0;
  // Only the last * has to be tried again: an earlier one could only leave less to it.
  size_t behind_star = kNone, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == kAnyCharacters) {
      behind_star = ++p;
      star_text = t;
      if (p == pattern.size()) return true;
      continue;
    }
    if (p < pattern.size() && pattern[p] == kOneCharacter) {
      ++p;
      t += character_size(text, t);
      continue;
    }
    const size_t quoted = p < pattern.size() && pattern[p] == kQuote ? 1 : 0;
    if (p + quoted < pattern.size() && pattern[p + quoted] == text[t]) {
      p += quoted + 1;
      ++t;
      continue;
    }
    if (behind_star == kNone) return false;
    star_text += character_size(text, star_text);
    t = star_text;
    p = behind_star;
  }
  while (p < pattern.size() && pattern[p] == kAnyCharacters) ++p;
  return p == pattern.size();
}

Beginning matches_beginning(std::string_view pattern, std::string_view beginning) {
  // Where in the pattern one may be once the text so far is matched, ascending.
  std::vector<size_t> places, next;
  const auto reach = [&](std::vector<size_t>& set, size_t place) {
    for (;; ++place) {
      set.push_back(place);
      if (place >= pattern.size() || pattern[place] != kAnyCharacters) return;
    }
  };
  reach(places, 0);
  for (size_t t = 0; t < beginning.size() && !places.empty();) {
    const size_t size = character_size(beginning, t);
    next.clear();
    for (const size_t place : places) {
      if (place >= pattern.size()) continue;
      if (pattern[place] == kAnyCharacters) {
        reach(next, place);
        continue;
      }
      size_t behind = place + 1;
      if (pattern[place] != kOneCharacter) {
        behind = place;
        size_t same = 0;
        for (; same < size && behind < pattern.size(); ++same) {
          const size_t quoted = pattern[behind] == kQuote ? 1 : 0;
          if (!quoted && is_special(pattern[behind])) break;
          if (behind + quoted >= pattern.size() || pattern[behind + quoted] != beginning[t + same]) break;
          behind += quoted + 1;
        }
        if (same < size) continue;
      }
      reach(next, behind);
    }
    std::ranges::sort(next);
    next.erase(std::ranges::unique(next).begin(), next.end());
    places.swap(next);
    t += size;
  }
  Beginning most = Beginning::kNo;
  for (const size_t place : places) {
    const std::string_view rest = pattern.substr(std::min(place, pattern.size()));
    if (rest.empty()) continue;  // matches the beginning itself, and nothing longer
    most = Beginning::kMayGoOn;
    if (rest.find_first_not_of(kAnyCharacters) == std::string_view::npos) return Beginning::kWhatever;
  }
  return most;
}

void Expansion::append(std::string_view piece) {
  if (long_.empty() && size_ + piece.size() <= short_.size()) {
    std::ranges::copy(piece, short_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += piece.size();
    return;
  }
  if (long_.empty()) long_.assign(short_.data(), size_);
  long_ += piece;
}

void append_literally(std::string_view text, std::string& pattern) {
  for (const char c : text) {
    if (is_special(c)) pattern += kQuote;
    pattern += c;
  }
}

bool is_condition_key(std::string_view name) {
  const size_t colon = name.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == name.size()) return false;
  const std::string_view fixed = name.substr(0, name.find('/', colon));
  if (fixed.size() == colon + 1) return false;
  // Prefixes are names of services or of hosts: "s3:prefix", "www.amazon.com:user_id".
  return std::ranges::all_of(fixed,
                             [](char c) { return is_letter_or_digit(c) || std::string_view(":-_.").contains(c); }) &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// From the `{` of `${` on; returns where the text goes on. The faults are those of IAM Access Analyzer's reference of
// policy checks: missing brace, missing quote, unsupported space, empty variable.
Checked<size_t> Pattern::parse_variable(std::string_view source, size_t at) {
  const size_t end = [&] {
    const size_t quote = source.find(", '", at);
    const size_t brace = source.find('}', at);
    if (quote == std::string_view::npos || quote > brace) return brace;
    const size_t closing = source.find("'}", quote + 3);  // a default may hold a brace
    return closing == std::string_view::npos ? brace : closing + 1;
  }();
  if (end == std::string_view::npos) return fault(at - 1, "a policy variable has no closing brace");
  std::string_view inside = source.substr(at + 1, end - at - 1);
  if (inside == "*" || inside == "?" || inside == "$") {
    append_literally(inside, tail_);
    return end + 1;
  }
  std::optional<std::string> fallback;
  if (const size_t comma = inside.find(','); comma != std::string_view::npos) {
    const std::string_view rest = inside.substr(comma + 1);
    if (rest.size() < 3 || !rest.starts_with(" '") || !rest.ends_with('\'') || rest.size() == 2) {
      return fault(at - 1, "the default of a policy variable is written ${key, 'default'}");
    }
    append_literally(rest.substr(2, rest.size() - 3), fallback.emplace());
    inside = inside.substr(0, comma);
  }
  if (inside.empty()) return fault(at - 1, "a policy variable is empty");
  if (!is_condition_key(inside) || inside.contains(' ')) {
    return fault(at - 1, in_quotes(inside) + " is no policy variable: ${aws:username} is one, or ${*}, ${?} and ${$}");
  }
  variables_.push_back({std::move(tail_), lowered(inside), std::move(fallback)});
  tail_.clear();
  return end + 1;
}

Checked<Pattern> Pattern::parse(std::string_view source, PatternRules rules) {
  Pattern out;
  for (size_t i = 0; i < source.size();) {
    const char c = source[i];
    if (rules.variables && c == '$' && i + 1 < source.size() && source[i + 1] == '{') {
      const auto behind = out.parse_variable(source, i + 1);
      if (!behind) return std::unexpected(behind.error());
      i = *behind;
      continue;
    }
    if (rules.wildcards && (c == '*' || c == '?')) {
      out.tail_ += c == '*' ? kAnyCharacters : kOneCharacter;
      out.wildcards_ = true;
    } else {
      append_literally(source.substr(i, 1), out.tail_);
    }
    ++i;
  }
  return out;
}

std::optional<std::string_view> Pattern::expand(const Context& context, Expansion& room) const {
  if (variables_.empty()) return tail_;
  for (const Variable& variable : variables_) {
    room.append(variable.before);
    const auto values = context.find(variable.key);
    if (values.size() > 1) return std::nullopt;
    if (values.empty()) {
      if (!variable.fallback) return std::nullopt;
      room.append(*variable.fallback);
      continue;
    }
    if (std::ranges::none_of(values[0], is_special)) {
      room.append(values[0]);
      continue;
    }
    std::string value;
    append_literally(values[0], value);
    room.append(value);
  }
  room.append(tail_);
  return room.view();
}

std::vector<std::string_view> Pattern::keys() const {
  std::vector<std::string_view> out;
  out.reserve(variables_.size());
  for (const Variable& variable : variables_) out.push_back(variable.key);
  return out;
}

}  // namespace pailfs::policy
