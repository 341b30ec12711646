// Strings of a policy that may hold wildcards and policy variables.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/context.h"
#include "policy/refusal.h"

namespace pailfs::policy {

// Whether `text` is what `pattern` says, in which * stands for any characters and ? for one. The pattern is encoded:
// see Pattern.
bool matches_wildcards(std::string_view pattern, std::string_view text);

// What texts that begin with `beginning`, and are longer, have to do with such a pattern.
enum class Beginning : uint8_t {
  kNo,        // it matches none of them
  kMayGoOn,   // some
  kWhatever,  // all
};
Beginning matches_beginning(std::string_view pattern, std::string_view beginning);

// What a pattern becomes for one request; on the stack as long as it is short.
class Expansion {
 public:
  void append(std::string_view piece);
  std::string_view view() const { return long_.empty() ? std::string_view(short_.data(), size_) : long_; }

 private:
  std::array<char, 512> short_;
  size_t size_ = 0;
  std::string long_;
};

// How the special characters of a string are read.
struct PatternRules {
  bool wildcards = true;  // * and ? are; else they stand for themselves
  bool variables = true;  // ${key}, ${key, 'default'}, ${*}, ${?}, ${$}: version 2012-10-17
};

// Encoded so that a literal * cannot be taken for a wildcard: wildcards are bytes that UTF-8 does not have.
class Pattern {
 public:
  Pattern() = default;
  // The fault's offset is one in `source`.
  static Checked<Pattern> parse(std::string_view source, PatternRules rules);

  bool has_variables() const { return !variables_.empty(); }
  // Without variables and wildcards: just this string.
  bool is_literal() const { return variables_.empty() && !wildcards_; }
  std::string_view encoded() const { return tail_; }  // without variables

  // nullopt where a variable has no value: then nothing matches. Several values are none either, as it would not be
  // clear which one is meant.
  // (IAM User Guide, "IAM policy elements: Variables and tags": a value that is not present, "any attempt to match it
  // fails".)
  std::optional<std::string_view> expand(const Context& context, Expansion& room) const;

  // The names of the keys that its variables need, in lower case.
  std::vector<std::string_view> keys() const;

 private:
  struct Variable {
    std::string before;  // what stands in front of it
    std::string key;     // in lower case
    std::optional<std::string> fallback;
  };
  Checked<size_t> parse_variable(std::string_view source, size_t at);

  std::vector<Variable> variables_;
  std::string tail_;
  bool wildcards_ = false;
};

// Plain text as a piece of a pattern.
void append_literally(std::string_view text, std::string& pattern);

// Whether `name` is a condition key: "prefix:name", where what follows a slash may hold anything.
bool is_condition_key(std::string_view name);

}  // namespace pailfs::policy
