// What statements say of many keys at once: of all that begin with a prefix. For directories, which stand for the keys
// below them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "policy/evaluate.h"

namespace pailfs::policy {

enum class Coverage : uint8_t {
  kNone,  // the statement is about no key that begins so
  kSome,
  kAll,
};

// `below`: "bucket/directory/"; keys are longer. Conditions are not looked at, variables have their values from the
// context.
Coverage coverage_below(const Statement& statement, std::string_view below, const Context& context);

// Whether some statement allows the caller one of the actions (in lower case) on a key that begins with `below`,
// conditions, denials and boundaries aside.
bool may_allow_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                     std::string_view below, const Context& context);

// Whether every statement about the caller and one of the actions is about all keys that begin with `below`, or about
// none: then what is decided for one of them holds for each. Of the account's root only denials are asked for.
bool decides_alike_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                         std::string_view below, const Context& context);

}  // namespace pailfs::policy
