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

// Whether the caller may be allowed one of the actions (in lower case) on some key that begins with `below`: a
// statement allows it on some, and none denies it on all.
bool may_allow_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                     std::string_view below, const Context& context);

// Whether a statement denies the caller the action (in lower case) on some key that begins with `below`.
bool may_deny_below(const Policies& policies, const Caller& caller, std::string_view action, std::string_view below,
                    const Context& context);

// Whether a statement that denies the caller one of the actions asks for one of the condition keys (is_among()).
bool denies_by(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
               std::span<const std::string_view> keys);

// The same of statements that allow.
bool allows_by(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
               std::span<const std::string_view> keys);
// And asks for one that it must not have: what it allows has exceptions.
bool allows_by_exception(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                         std::span<const std::string_view> keys);

// Whether one that denies is about the resource `from` and not about `to`, whatever its conditions.
bool denial_by_ends(const Policies& policies, const Caller& caller, std::string_view action,
                    std::span<const std::string_view> keys, std::string_view from, std::string_view to,
                    const Context& context);

// Whether a statement that allows it, and asks for one of the condition keys, is about `to` and not about `from`.
bool allowance_by_begins(const Policies& policies, const Caller& caller, std::string_view action,
                         std::span<const std::string_view> keys, std::string_view from, std::string_view to,
                         const Context& context);

// Whether every statement about the caller and one of the actions is about all keys that begin with `below`, or about
// none: then what is decided for one of them holds for each. Of the account's root, who is allowed everything, only
// denials and statements that name him count.
bool decides_alike_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                         std::string_view below, const Context& context);

}  // namespace pailfs::policy
