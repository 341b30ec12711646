#include "policy/public.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// S3 user guide, "The meaning of public": an address range that is broader than this limits nothing.
constexpr unsigned kBroadestV4 = 8, kBroadestV6 = 32;

// In lower case. The account or the organization of a principal is part of who he is; his tags are not.
constexpr auto kKeysOfWho = std::to_array<std::string_view>(
    {"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount",
     "aws:sourcearn", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce", "s3:dataaccesspointaccount"});

bool is_fixed(const Pattern& text) {
  // A * that stands for itself: S3 looks at the value, whatever the operator makes of it.
  return text.is_literal() && text.encoded().find_first_of("*?") == std::string_view::npos;
}

bool is_fixed(const Condition::Value& value) {
  if (const auto* const text = std::get_if<Pattern>(&value)) return is_fixed(*text);
  if (std::holds_alternative<Number>(value)) return true;
  const auto* const arn = std::get_if<ArnPattern>(&value);
  if (arn == nullptr || arn->is_everything() || arn->is_whole_variable()) return false;
  for (size_t i = 0; i < kArnParts; ++i) {
    if (!is_fixed(arn->part(i))) return false;
  }
  return true;
}

bool is_narrow(const Condition::Value& value) {
  const auto* const range = std::get_if<AddressRange>(&value);
  if (range == nullptr || range->prefix < (range->address.v6 ? kBroadestV6 : kBroadestV4)) return false;
  return !range->contains(*Address::parse("127.0.0.1"));
}

// The names of sessions, behind the colon, are chosen by who opens one; and one word stands for whoever is nobody.
bool is_fixed_user(const Condition::Value& value) {
  const auto* const text = std::get_if<Pattern>(&value);
  return text != nullptr && is_fixed(*text) && !text->encoded().contains(':') && text->encoded() != "anonymous";
}

// The same section, of s3:DataAccessPointArn: the access point's name may hold wildcards, its account none.
bool is_access_point(const Condition::Value& value) {
  if (const auto* const arn = std::get_if<ArnPattern>(&value)) {
    if (arn->is_everything() || arn->is_whole_variable() || arn->part(kArnParts - 1).has_variables()) return false;
    for (size_t i = 0; i + 1 < kArnParts; ++i) {
      if (!is_fixed(arn->part(i))) return false;
    }
    return is_account_id(arn->part(4).encoded());
  }
  const auto* const text = std::get_if<Pattern>(&value);
  if (text == nullptr || text->has_variables()) return false;
  const auto parts = split_arn(text->encoded());
  if (!parts || !is_account_id((*parts)[4])) return false;
  // Wildcards are no ASCII when they are encoded.
  return std::all_of(parts->begin(), parts->end() - 1, [](std::string_view part) {
    return std::ranges::all_of(part, [](char c) { return c > ' ' && c <= '~' && c != '*' && c != '?'; });
  });
}

// Whether what holds there is only for requests with a fixed value of a key that counts.
bool fixes_who(const Condition& condition) {
  const ConditionOperator& op = condition.op();
  // What holds where the key is absent too is for everybody who comes without it.
  if (op.negated || op.if_exists || op.set == SetOperator::kForAllValues || op.order != Order::kEqual) return false;
  const auto all = [&](bool (*counts)(const Condition::Value&)) {
    return std::ranges::all_of(condition.values(), counts);
  };
  const std::string& key = condition.key();
  if (key == "aws:sourceip") return all(is_narrow);
  const bool compares = op.comparison == Comparison::kString || op.comparison == Comparison::kStringIgnoreCase ||
                        op.comparison == Comparison::kArn || op.comparison == Comparison::kNumber;
  if (!compares) return false;
  if (key == "aws:userid") return all(is_fixed_user);
  if (key == "s3:dataaccesspointarn") return all(is_access_point);
  if (key == "pail:uid" || key == "pail:gid" || std::ranges::find(kKeysOfWho, key) != kKeysOfWho.end()) {
    return all(is_fixed);
  }
  return false;
}

}  // namespace

bool is_public(const Statement& statement) {
  if (!statement.allow || !statement.principal) return false;
  const PrincipalElement& principal = *statement.principal;
  const bool everybody = std::ranges::any_of(principal.entries(), &PrincipalEntry::is_everybody);
  if (principal.negated() == everybody) return false;  // who is named; or everybody but everybody
  return std::ranges::none_of(statement.conditions, fixes_who);
}

std::optional<size_t> public_statement(const Document& document) {
  const auto& statements = document.statements();
  const auto found = std::ranges::find_if(statements, [](const Statement& one) { return is_public(one); });
  if (found == statements.end()) return std::nullopt;
  return static_cast<size_t>(found - statements.begin());
}

bool is_public(const Document& document) { return public_statement(document).has_value(); }

std::string statement_name(const Document& document, size_t statement) {
  const std::string& sid = document.statements()[statement].sid;
  return fmt::format("statement {}{}", statement + 1, sid.empty() ? "" : " (" + in_quotes(sid) + ")");
}

}  // namespace pailfs::policy
