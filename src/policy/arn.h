// Amazon Resource Names: arn:partition:service:region:account:resource.
#pragma once

#include <array>
#include <concepts>
#include <optional>
#include <string_view>

#include "policy/pattern.h"

namespace pailfs::policy {

inline constexpr size_t kArnParts = 6;

// The six parts; the last one holds what colons it has. Nothing where the text is no ARN.
std::optional<std::array<std::string_view, kArnParts>> split_arn(std::string_view text);

// Twelve digits.
bool is_account_id(std::string_view text);
// "aws", "aws-cn", "aws-us-gov".
bool is_partition(std::string_view text);

// An ARN that is asked about, taken apart once for all the patterns.
class Arn {
 public:
  // Has views of the text, which must outlive it.
  explicit Arn(std::string_view text) : parts_(split_arn(text)) {}
  template <std::same_as<std::string> Temporary>
  explicit Arn(Temporary&&) = delete;
  // Null where it is no ARN.
  const std::array<std::string_view, kArnParts>* parts() const { return parts_ ? &*parts_ : nullptr; }

 private:
  std::optional<std::array<std::string_view, kArnParts>> parts_;
};

enum class Match : uint8_t { kNo, kYes, kUnresolved };  // kUnresolved: a variable has no value

// ARNs with wildcards, each of which stays within its part: "Each of the six colon-delimited components of the ARN is
// checked separately" (IAM User Guide, "IAM JSON policy elements: Condition operators", ARN condition operators; for
// Resource: "wildcard characters within ARN segments").
class ArnPattern {
 public:
  // "*" is a pattern for everything.
  static Checked<ArnPattern> parse(std::string_view source, bool variables);

  Match matches(const Arn& arn, const Context& context) const;

  bool is_everything() const { return everything_; }
  // One of the six; an empty pattern where a variable stands for several of them.
  const Pattern& part(size_t number) const { return parts_[number]; }
  bool is_whole_variable() const { return whole_.has_value(); }
  std::vector<std::string_view> keys() const;

 private:
  bool everything_ = false;
  std::optional<Pattern> whole_;  // where a variable stands for several parts, as in "${aws:PrincipalArn}"
  std::array<Pattern, kArnParts> parts_;
};

}  // namespace pailfs::policy
