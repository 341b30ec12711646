#include "policy/arn.h"

#include <algorithm>

#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// Where the colons are that part an ARN from part to part; those in a variable's name are none.
std::vector<size_t> parting_colons(std::string_view source, bool variables) {
  std::vector<size_t> out;
  for (size_t i = 0; i < source.size() && out.size() + 1 < kArnParts; ++i) {
    if (variables && source.substr(i).starts_with("${")) {
      const size_t end = source.find('}', i);
      if (end == std::string_view::npos) break;
      i = end;
    } else if (source[i] == ':') {
      out.push_back(i);
    }
  }
  return out;
}

std::optional<std::array<std::string_view, kArnParts>> six_parts(std::string_view text) {
  std::array<std::string_view, kArnParts> parts;
  for (size_t i = 0; i + 1 < kArnParts; ++i) {
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    parts[i] = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  parts.back() = text;
  return parts;
}

}  // namespace

std::optional<std::array<std::string_view, kArnParts>> split_arn(std::string_view text) {
  if (!text.starts_with("arn:")) return std::nullopt;
  return six_parts(text);
}

bool is_account_id(std::string_view text) { return text.size() == 12 && std::ranges::all_of(text, is_digit); }

bool is_partition(std::string_view text) {
  return text.starts_with("aws") && (text.size() == 3 || (text[3] == '-' && text.size() > 4)) &&
         std::ranges::all_of(text.substr(3), [](char c) { return c == '-' || is_letter_or_digit(c); });
}

Checked<ArnPattern> ArnPattern::parse(std::string_view source, bool variables) {
  ArnPattern out;
  if (source == "*") {
    out.everything_ = true;
    return out;
  }
  const PatternRules rules{.wildcards = true, .variables = variables};
  const auto colons = parting_colons(source, variables);
  if (colons.size() + 1 < kArnParts) {
    auto whole = Pattern::parse(source, rules);
    if (!whole) return std::unexpected(whole.error());
    if (!whole->has_variables()) {
      return fault(0,
                   in_quotes(source) + " is no ARN: it has six parts, arn:partition:service:region:account:resource");
    }
    out.whole_ = std::move(*whole);
    return out;
  }
  size_t begin = 0;
  for (size_t i = 0; i < kArnParts; ++i) {
    const size_t end = i < colons.size() ? colons[i] : source.size();
    auto part = Pattern::parse(source.substr(begin, end - begin), rules);
    if (!part) return fault(begin + part.error().offset, part.error().message);
    out.parts_[i] = std::move(*part);
    begin = end + 1;
  }
  if (out.parts_[0].encoded() != "arn") return fault(0, in_quotes(source) + " is no ARN: it has to begin with arn:");
  return out;
}

Match ArnPattern::matches(const Arn& arn, const Context& context) const {
  if (everything_) return Match::kYes;
  if (arn.parts() == nullptr) return Match::kNo;
  const auto& parts = *arn.parts();
  Expansion room;
  if (whole_) {
    const auto expanded = whole_->expand(context, room);
    if (!expanded) return Match::kUnresolved;
    const auto patterns = six_parts(*expanded);
    if (!patterns) return Match::kNo;
    for (size_t i = 0; i < kArnParts; ++i) {
      if (!matches_wildcards((*patterns)[i], parts[i])) return Match::kNo;
    }
    return Match::kYes;
  }
  Match found = Match::kYes;
  for (size_t i = 0; i < kArnParts; ++i) {
    const Pattern& part = parts_[i];
    if (part.is_literal()) {
      if (part.encoded() != parts[i]) return Match::kNo;
      continue;
    }
    Expansion part_room;
    const auto expanded = part.expand(context, part_room);
    if (!expanded) {
      found = Match::kUnresolved;
    } else if (!matches_wildcards(*expanded, parts[i])) {
      return Match::kNo;
    }
  }
  return found;
}

std::vector<std::string_view> ArnPattern::keys() const {
  std::vector<std::string_view> out = whole_ ? whole_->keys() : std::vector<std::string_view>{};
  for (const Pattern& part : parts_) {
    for (const std::string_view key : part.keys()) out.push_back(key);
  }
  return out;
}

}  // namespace pailfs::policy
