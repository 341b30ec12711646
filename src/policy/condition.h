// The Condition element: one operator, one key, its values. IAM User Guide, "IAM JSON policy elements: Condition
// operators" and "Creating a condition with multiple keys or values".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/arn.h"
#include "policy/context.h"
#include "policy/json_tree.h"
#include "policy/pattern.h"
#include "policy/values.h"

namespace pailfs::policy {

enum class Comparison : uint8_t {
  kString,            // equal, or by wildcards: the pattern says which
  kStringIgnoreCase,  //
  kNumber,
  kDate,
  kBoolean,
  kBinary,
  kAddress,
  kArn,
  kNull,
};
enum class Order : uint8_t { kEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };  // of numbers and dates
enum class SetOperator : uint8_t { kNone, kForAllValues, kForAnyValue };

// "ForAllValues:StringNotLikeIfExists", taken apart.
struct ConditionOperator {
  Comparison comparison = Comparison::kString;
  Order order = Order::kEqual;
  SetOperator set = SetOperator::kNone;
  bool negated = false;
  bool wildcards = false;  // of strings
  bool if_exists = false;

  // The message of a failure says what was meant.
  static std::expected<ConditionOperator, std::string> parse(std::string_view name);
};

class Condition {
 public:
  // `key` is a member of an operator's object: the key's name, and one value or a list of them.
  static Checked<Condition> parse(const JsonTree& tree, const JsonNode& key, ConditionOperator op, bool variables);

  bool holds(const Context& context) const;

  const ConditionOperator& op() const { return op_; }
  const std::string& key() const { return key_; }  // in lower case
  size_t offset() const { return offset_; }
  std::vector<std::string_view> variables() const;
  // Whether its key, or a variable of its values, is one of these (is_among()).
  bool goes_by(std::span<const std::string_view> keys) const;
  // Whether a string to compare with holds * or ?.
  bool has_literal_wildcard() const;

  // What is compared with; which of these, the operator says.
  using Value = std::variant<Pattern, ArnPattern, Number, Moment, AddressRange, bool, std::string>;
  const std::vector<Value>& values() const { return values_; }

 private:
  Checked<Value> parse_value(const JsonNode& node, bool variables) const;
  Match matches(const Value& value, std::string_view given, const Context& context) const;
  Match matches_text(const Value& value, std::string_view given, const Context& context) const;
  bool is_satisfied_by(std::string_view given, const Context& context) const;

  ConditionOperator op_;
  std::string key_;
  size_t offset_ = 0;
  std::vector<Value> values_;
};

}  // namespace pailfs::policy
