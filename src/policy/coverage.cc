#include "policy/coverage.h"

#include <algorithm>

namespace pailfs::policy {
namespace {

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
  Coverage most = Coverage::kNone;
  for (const ArnPattern& pattern : statement.resources) most = std::max(most, of_pattern(pattern, below, context));
  if (!statement.not_resource || most == Coverage::kSome) return most;
  return most == Coverage::kAll ? Coverage::kNone : Coverage::kAll;
}

bool may_allow_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                     std::string_view below, const Context& context) {
  const auto allows = [&](const Statement& statement) {
    return statement.allow && is_about(statement, actions) &&
           coverage_below(statement, below, context) != Coverage::kNone;
  };
  if (std::ranges::any_of(policies.identity, [&](const Document* document) {
        return std::ranges::any_of(document->statements(), allows);
      })) {
    return true;
  }
  if (policies.bucket == nullptr) return false;
  return std::ranges::any_of(policies.bucket->statements(), [&](const Statement& statement) {
    return statement.allows(caller) >= Naming::kRole && allows(statement);
  });
}

bool decides_alike_below(const Policies& policies, const Caller& caller, std::span<const std::string_view> actions,
                         std::string_view below, const Context& context) {
  const bool root = caller.type() == PrincipalType::kRoot;
  const auto alike = [&](const Document* document) {
    return document == nullptr || std::ranges::all_of(document->statements(), [&](const Statement& statement) {
             if (statement.allow && root) return true;
             if (statement.principal && !statement.denies(caller) && statement.allows(caller) == Naming::kNot)
               return true;
             return !is_about(statement, actions) || coverage_below(statement, below, context) != Coverage::kSome;
           });
  };
  return std::ranges::all_of(policies.identity, alike) && alike(policies.boundary) && alike(policies.bucket);
}

}  // namespace pailfs::policy
