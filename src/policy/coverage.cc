#include "policy/coverage.h"

#include <algorithm>

namespace pailfs::policy {
namespace {

// What these say is that of one object: of others below a prefix it is not known.
constexpr std::array<std::string_view, 1> kOfOneObject{"s3:existingobjecttag/"};

Coverage of_pattern(const ArnPattern& pattern, std::string_view below, const Context& context) {
  if (pattern.is_everything()) return Coverage::kAll;
  if (pattern.is_whole_variable()) return Coverage::kSome;
  constexpr std::array<std::string_view, kArnParts - 1> kBeginning{"arn", "aws", "s3", "", ""};
  for (size_t i = 0; i < kBeginning.size(); ++i) {
    Expansion room;
    const auto expanded = pattern.part(i).expand(context, room);
    if (!expanded || !matches_wildcards(*expanded, kBeginning[i])) return Coverage::kNone;
  }
  Expansion room;
  const auto expanded = pattern.part(kArnParts - 1).expand(context, room);
  if (!expanded) return Coverage::kNone;
  switch (matches_beginning(*expanded, below)) {
    case Beginning::kNo:
      return Coverage::kNone;
    case Beginning::kMayGoOn:
      return Coverage::kSome;
    case Beginning::kWhatever:
      return Coverage::kAll;
  }
  return Coverage::kSome;
}

bool is_about(const Statement& statement, std::span<const std::string_view> actions) {
  return std::ranges::any_of(actions, [&](std::string_view action) { return statement.is_about(action); });
}

}  // namespace

Coverage coverage_below(const Statement& statement, std::string_view below, const Context& context) {
  if (statement.names_by(kOfOneObject)) return Coverage::kSome;
  Coverage most = Coverage::kNone;
  // As in Statement::applies(): then it is about nothing.
  if (statement.not_resource && std::ranges::any_of(statement.resources, [&](const ArnPattern& pattern) {
        const std::string text = "arn:aws:s3:::" + std::string(below);
        return pattern.matches(Arn(text), context) == Match::kUnresolved;
      })) {
    return Coverage::kNone;
  }
  for (const ArnPattern& pattern : statement.resources) most = std::max(most, of_pattern(pattern, below, context));
  if (!statement.not_resource || most == Coverage::kSome) return most;
  return most == Coverage::kAll ? Coverage::kNone : Coverage::kAll;
}

namespace {

// Calls visit(statement) for those that deny the caller something, until it returns true; whether it did.
template <class Visit>
bool any_denial(const Policies& policies, const Caller& caller, const Visit& visit) {
  const auto look_in = [&](const Document* document) {
    return document != nullptr && std::ranges::any_of(document->statements(), [&](const Statement& statement) {
             return !statement.allow && (!statement.principal || statement.denies(caller)) && visit(statement);
           });
  };
  return std::ranges::any_of(policies.identity, look_in) || look_in(policies.boundary) || look_in(policies.bucket);
}

// `unknown`: what is taken of a condition that goes by the object.
bool conditions_hold(const Statement& statement, const Context& context, bool unknown) {
  return std::ranges::all_of(statement.conditions, [&](const Condition& condition) {
    return condition.goes_by(kOfOneObject) ? unknown : condition.holds(context);
  });
}

bool may_hold(const Statement& statement, const Context& context) { return conditions_hold(statement, context, true); }
bool always_holds(const Statement& statement, const Context& context) {
  return conditions_hold(statement, context, false);
}

}  // namespace

bool may_allow_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                     std::string_view below, const Context& context) {
  return std::ranges::any_of(actions, [&](std::string_view action) {
    const auto allows = [&](const Statement& statement) {
      return statement.allow && statement.is_about(action) &&
             coverage_below(statement, below, context) != Coverage::kNone && may_hold(statement, context);
    };
    const auto any_allows = [&](const Document* document) {
      return document != nullptr && std::ranges::any_of(document->statements(), allows);
    };
    bool limited = !caller.account().empty() && std::ranges::any_of(policies.identity, any_allows);
    bool allowed = false;
    if (policies.bucket != nullptr) {
      for (const Statement& statement : policies.bucket->statements()) {
        const Naming naming = statement.allows(caller);
        if (naming < Naming::kRole || !allows(statement)) continue;
        (naming == Naming::kRole ? limited : allowed) = true;
      }
    }
    allowed = allowed || (limited && (policies.boundary == nullptr || any_allows(policies.boundary)));
    return allowed && !any_denial(policies, caller, [&](const Statement& statement) {
             return statement.is_about(action) && coverage_below(statement, below, context) == Coverage::kAll &&
                    always_holds(statement, context);
           });
  });
}

bool may_deny_below(const Policies& policies, const Caller& caller, std::string_view action, std::string_view below,
                    const Context& context) {
  return any_denial(policies, caller, [&](const Statement& statement) {
    return statement.is_about(action) && coverage_below(statement, below, context) != Coverage::kNone &&
           may_hold(statement, context);
  });
}

namespace {

bool goes_by(const Statement& statement, std::span<const std::string_view> keys) {
  return statement.names_by(keys) ||
         std::ranges::any_of(statement.conditions, [&](const Condition& condition) { return condition.goes_by(keys); });
}

}  // namespace

bool denies_by(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
               std::span<const std::string_view> keys) {
  return any_denial(policies, caller, [&](const Statement& statement) {
    return is_about(statement, actions) && goes_by(statement, keys);
  });
}

namespace {

// Calls visit(statement) for those that allow the caller something, until it returns true; whether it did.
template <class Visit>
bool any_allowance(const Policies& policies, const Caller& caller, const Visit& visit) {
  const auto look_in = [&](const Document* document) {
    return std::ranges::any_of(document->statements(), [&](const Statement& statement) {
      return statement.allow && (!statement.principal || statement.allows(caller) != Naming::kNot) && visit(statement);
    });
  };
  return std::ranges::any_of(policies.identity, look_in) || (policies.bucket != nullptr && look_in(policies.bucket));
}

}  // namespace

bool allows_by(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
               std::span<const std::string_view> keys) {
  return any_allowance(policies, caller, [&](const Statement& statement) {
    return is_about(statement, actions) && goes_by(statement, keys);
  });
}

bool allows_by_exception(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                         std::span<const std::string_view> keys) {
  return any_allowance(policies, caller, [&](const Statement& statement) {
    return is_about(statement, actions) && std::ranges::any_of(statement.conditions, [&](const Condition& condition) {
             return condition.op().negated && condition.goes_by(keys);
           });
  });
}

bool denial_by_ends(const Policies& policies, const Caller& caller, std::string_view action,
                    std::span<const std::string_view> keys, std::string_view from, std::string_view to,
                    const Context& context) {
  const Arn before(from), after(to);
  return any_denial(policies, caller, [&](const Statement& statement) {
    return statement.is_about(action) && goes_by(statement, keys) && statement.is_about(before, context) &&
           !statement.is_about(after, context);
  });
}

bool allowance_by_begins(const Policies& policies, const Caller& caller, std::string_view action,
                         std::span<const std::string_view> keys, std::string_view from, std::string_view to,
                         const Context& context) {
  const Arn before(from), after(to);
  return any_allowance(policies, caller, [&](const Statement& statement) {
    return statement.is_about(action) && goes_by(statement, keys) && statement.is_about(after, context) &&
           !statement.is_about(before, context);
  });
}

bool decides_alike_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                         std::string_view below, const Context& context) {
  const bool root = caller.type() == PrincipalType::kRoot;
  const auto alike = [&](const Document* document) {
    return document == nullptr || std::ranges::all_of(document->statements(), [&](const Statement& statement) {
             if (statement.allow && root && statement.allows(caller) != Naming::kDirect) return true;
             if (statement.principal && !statement.denies(caller) && statement.allows(caller) == Naming::kNot)
               return true;
             if (!is_about(statement, actions)) return true;
             const Coverage coverage = coverage_below(statement, below, context);
             return coverage == Coverage::kNone || (coverage == Coverage::kAll && !goes_by(statement, kOfOneObject));
           });
  };
  return std::ranges::all_of(policies.identity, alike) && alike(policies.boundary) && alike(policies.bucket);
}

}  // namespace pailfs::policy
