#include "policy/condition.h"

#include <algorithm>
#include <array>

#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

struct NamedOperator {
  std::string_view name;
  Comparison comparison;
  Order order = Order::kEqual;
  bool negated = false;
  bool wildcards = false;
};

constexpr auto kOperators = std::to_array<NamedOperator>({
    {"StringEquals", Comparison::kString},
    {"StringNotEquals", Comparison::kString, Order::kEqual, true},
    {"StringEqualsIgnoreCase", Comparison::kStringIgnoreCase},
    {"StringNotEqualsIgnoreCase", Comparison::kStringIgnoreCase, Order::kEqual, true},
    {"StringLike", Comparison::kString, Order::kEqual, false, true},
    {"StringNotLike", Comparison::kString, Order::kEqual, true, true},
    {"NumericEquals", Comparison::kNumber},
    {"NumericNotEquals", Comparison::kNumber, Order::kEqual, true},
    {"NumericLessThan", Comparison::kNumber, Order::kLess},
    {"NumericLessThanEquals", Comparison::kNumber, Order::kLessOrEqual},
    {"NumericGreaterThan", Comparison::kNumber, Order::kGreater},
    {"NumericGreaterThanEquals", Comparison::kNumber, Order::kGreaterOrEqual},
    {"DateEquals", Comparison::kDate},
    {"DateNotEquals", Comparison::kDate, Order::kEqual, true},
    {"DateLessThan", Comparison::kDate, Order::kLess},
    {"DateLessThanEquals", Comparison::kDate, Order::kLessOrEqual},
    {"DateGreaterThan", Comparison::kDate, Order::kGreater},
    {"DateGreaterThanEquals", Comparison::kDate, Order::kGreaterOrEqual},
    {"Bool", Comparison::kBoolean},
    {"BinaryEquals", Comparison::kBinary},
    {"IpAddress", Comparison::kAddress},
    {"NotIpAddress", Comparison::kAddress, Order::kEqual, true},
    {"ArnEquals", Comparison::kArn},
    {"ArnNotEquals", Comparison::kArn, Order::kEqual, true},
    {"ArnLike", Comparison::kArn},
    {"ArnNotLike", Comparison::kArn, Order::kEqual, true},
    {"Null", Comparison::kNull},
});

constexpr std::string_view kForAllValues = "ForAllValues:", kForAnyValue = "ForAnyValue:", kIfExists = "IfExists";

template <class T>
bool in_order(Order order, const T& given, const T& value) {
  switch (order) {
    case Order::kEqual:
      return given == value;
    case Order::kLess:
      return given < value;
    case Order::kLessOrEqual:
      return given <= value;
    case Order::kGreater:
      return given > value;
    case Order::kGreaterOrEqual:
      return given >= value;
  }
  return false;
}

// ASCII and the Latin-1 letters, which are all that IAM takes in a document ("characters in the range U+0020 to
// U+00FF").
std::string folded(std::string_view text) {
  std::string out = lowered(text);
  for (size_t i = 1; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    if (out[i - 1] == '\xC3' && c >= 0x80 && c <= 0x9E && c != 0x97) out[i] = static_cast<char>(c + 0x20);
  }
  return out;
}

Match yes_if(bool matches) { return matches ? Match::kYes : Match::kNo; }

}  // namespace

std::expected<ConditionOperator, std::string> ConditionOperator::parse(std::string_view name) {
  ConditionOperator out;
  std::string_view base = name;
  if (base.starts_with(kForAllValues)) {
    out.set = SetOperator::kForAllValues;
    base.remove_prefix(kForAllValues.size());
  } else if (base.starts_with(kForAnyValue)) {
    out.set = SetOperator::kForAnyValue;
    base.remove_prefix(kForAnyValue.size());
  }
  if (base.ends_with(kIfExists)) {
    out.if_exists = true;
    base.remove_suffix(kIfExists.size());
  }
  const auto* const found = std::ranges::find(kOperators, base, &NamedOperator::name);
  if (found == kOperators.end()) {
    std::vector<std::string_view> names;
    names.reserve(kOperators.size());
    for (const NamedOperator& known : kOperators) names.push_back(known.name);
    return std::unexpected("unknown condition operator " + in_quotes(name) + did_you_mean(base, names));
  }
  out.comparison = found->comparison;
  out.order = found->order;
  out.negated = found->negated;
  out.wildcards = found->wildcards;
  if (out.comparison == Comparison::kNull && out.if_exists) {
    return std::unexpected("IfExists cannot be added to Null, which asks for just that");
  }
  return out;
}

Checked<Condition> Condition::parse(const JsonTree& tree, const JsonNode& key, ConditionOperator op, bool variables) {
  Condition out;
  out.op_ = op;
  out.offset_ = key.name_begin;
  if (!is_condition_key(key.name)) {
    return fault(key.name_begin, in_quotes(key.name) + " is no condition key: one is written service:name");
  }
  out.key_ = lowered(key.name);
  const auto add = [&](const JsonNode& node) -> Checked<void> {
    if (!node.is_scalar()) {
      return fault(node.begin, "a condition's value is a string, a number or a boolean, and not " +
                                   std::string(kind_name(node.kind)));
    }
    auto value = out.parse_value(node, variables);
    if (!value) return std::unexpected(value.error());
    out.values_.push_back(std::move(*value));
    return {};
  };
  if (key.kind == JsonKind::kArray) {
    for (const JsonNode& node : tree.children(key)) {
      if (auto added = add(node); !added) return std::unexpected(added.error());
    }
  } else if (auto added = add(key); !added) {
    return std::unexpected(added.error());
  }
  // "Arrays can take one or more values" (IAM User Guide, "Grammar of the IAM JSON policy language").
  if (out.values_.empty()) return fault(key.begin, "the list of values for " + in_quotes(key.name) + " is empty");
  return out;
}

Checked<Condition::Value> Condition::parse_value(const JsonNode& node, bool variables) const {
  const auto malformed = [&](std::string_view what) {
    return fault(node.begin, in_quotes(node.text) + " is no " + std::string(what));
  };
  const auto placed = [&](const Fault& inner) { return fault(node.begin, inner.message); };
  switch (op_.comparison) {
    case Comparison::kString:
    case Comparison::kStringIgnoreCase: {
      auto pattern = Pattern::parse(node.text, {.wildcards = op_.wildcards, .variables = variables});
      if (!pattern) return placed(pattern.error());
      return Value(std::move(*pattern));
    }
    case Comparison::kArn: {
      auto pattern = ArnPattern::parse(node.text, variables);
      if (!pattern) return placed(pattern.error());
      return Value(std::move(*pattern));
    }
    case Comparison::kNumber:
      if (const auto number = Number::parse(node.text)) return Value(*number);
      return malformed("number");
    case Comparison::kDate:
      if (const auto moment = Moment::parse(node.text)) return Value(*moment);
      return malformed("date: one is written 2026-11-23T14:56:00Z, 2026-11-23, or in seconds since 1970");
    case Comparison::kAddress:
      if (const auto range = AddressRange::parse(node.text)) return Value(*range);
      return malformed("range of addresses: one is written 192.0.2.0/24 or 2001:db8::/32");
    case Comparison::kBinary:
      if (auto bytes = parse_base64(node.text)) return Value(std::move(*bytes));
      return malformed("binary value in base64");
    case Comparison::kBoolean:
      // "You can use a policy variable with the Boolean condition operator."
      if (variables && node.text.contains("${")) {
        auto pattern = Pattern::parse(node.text, {.wildcards = false, .variables = true});
        if (!pattern) return placed(pattern.error());
        if (pattern->has_variables()) return Value(std::move(*pattern));
      }
      [[fallthrough]];
    case Comparison::kNull:
      if (const auto value = parse_boolean(node.text)) return Value(*value);
      return malformed("boolean: write true or false");
  }
  return malformed("value");
}

Match Condition::matches_text(const Value& value, std::string_view given, const Context& context) const {
  const auto& pattern = std::get<Pattern>(value);
  Expansion room;
  const auto expanded = pattern.expand(context, room);
  if (!expanded) return Match::kUnresolved;
  if (op_.comparison == Comparison::kStringIgnoreCase) {
    return yes_if(matches_wildcards(folded(*expanded), folded(given)));
  }
  if (op_.comparison == Comparison::kBoolean) {
    const auto wanted = parse_boolean(*expanded);
    return yes_if(wanted && parse_boolean(given) == wanted);
  }
  return yes_if(pattern.is_literal() ? *expanded == given : matches_wildcards(*expanded, given));
}

Match Condition::matches(const Value& value, std::string_view given, const Context& context) const {
  if (std::holds_alternative<Pattern>(value)) return matches_text(value, given, context);
  switch (op_.comparison) {
    case Comparison::kArn:
      return std::get<ArnPattern>(value).matches(Arn(given), context);
    case Comparison::kNumber: {
      const auto number = Number::parse(given);
      return yes_if(number && in_order(op_.order, *number, std::get<Number>(value)));
    }
    case Comparison::kDate: {
      const auto moment = Moment::parse(given);
      return yes_if(moment && in_order(op_.order, *moment, std::get<Moment>(value)));
    }
    case Comparison::kAddress: {
      const auto address = Address::parse(given);
      return yes_if(address && std::get<AddressRange>(value).contains(*address));
    }
    case Comparison::kBoolean:
      return yes_if(parse_boolean(given) == std::get<bool>(value));
    case Comparison::kBinary: {
      // A context of text, as JSON is, has the bytes in base64 too.
      const auto& bytes = std::get<std::string>(value);
      return yes_if(given == bytes || parse_base64(given) == bytes);
    }
    case Comparison::kString:
    case Comparison::kStringIgnoreCase:
    case Comparison::kNull:
      break;
  }
  return Match::kNo;
}

// "When multiple values are listed in a policy for negated matching condition operators […], the effective permissions
// work like a logical AND." A variable without a value lets nothing match, by its absence too.
bool Condition::is_satisfied_by(std::string_view given, const Context& context) const {
  bool unresolved = false;
  for (const Value& value : values_) {
    const Match match = matches(value, given, context);
    if (match == Match::kYes) return !op_.negated;
    unresolved = unresolved || match == Match::kUnresolved;
  }
  return op_.negated && !unresolved;
}

bool Condition::holds(const Context& context) const {
  const auto given = context.find(key_);
  if (op_.comparison == Comparison::kNull) {
    // "[…] because they always return a true or false respectively" (policy check "Null with qualifier").
    if (op_.set != SetOperator::kNone) return op_.set == SetOperator::kForAllValues;
    return std::ranges::any_of(values_, [&](const Value& value) { return std::get<bool>(value) == given.empty(); });
  }
  if (given.empty()) {
    // "If the key is not present, evaluate the condition element as true."
    if (op_.if_exists) return true;
    // ForAllValues "also returns true if there are no keys in the request", ForAnyValue: "For no matching key or a null
    // dataset, the condition returns false". Without them: "the values do not match and the condition is false. If the
    // policy condition requires that the key is not matched […] the condition is true."
    return op_.set == SetOperator::kNone ? op_.negated : op_.set == SetOperator::kForAllValues;
  }
  const auto satisfies = [&](std::string_view value) { return is_satisfied_by(value, context); };
  if (op_.set != SetOperator::kNone) {
    // "[…] or if the key values resolve to a null data set, such as an empty string".
    const bool all = op_.set == SetOperator::kForAllValues;
    if (std::ranges::all_of(given, &std::string_view::empty)) return all;
    return all ? std::ranges::all_of(given, satisfies) : std::ranges::any_of(given, satisfies);
  }
  // AWS asks for a set operator where a key has several values, and does not say what happens without: any of them may
  // match, and for negated operators none.
  return op_.negated ? std::ranges::all_of(given, satisfies) : std::ranges::any_of(given, satisfies);
}

std::vector<std::string_view> Condition::variables() const {
  std::vector<std::string_view> out;
  for (const Value& value : values_) {
    if (const auto* text = std::get_if<Pattern>(&value)) {
      for (const std::string_view key : text->keys()) out.push_back(key);
    } else if (const auto* arn = std::get_if<ArnPattern>(&value)) {
      for (const std::string_view key : arn->keys()) out.push_back(key);
    }
  }
  return out;
}

bool Condition::goes_by(std::span<const std::string_view> keys) const {
  const auto among = [&](std::string_view key) { return is_among(key, keys); };
  return among(key_) || std::ranges::any_of(variables(), among);
}

bool Condition::has_literal_wildcard() const {
  return std::ranges::any_of(values_, [](const Value& value) {
    const auto* const text = std::get_if<Pattern>(&value);
    return text != nullptr && text->encoded().find_first_of("*?") != std::string_view::npos;
  });
}

}  // namespace pailfs::policy
