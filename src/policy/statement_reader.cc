#include "policy/statement_reader.h"

#include <algorithm>

#include "policy/letters.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

constexpr auto kElements = std::to_array<std::string_view>(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"});

std::string not_kind(std::string_view what, const JsonNode& node) {
  return std::string(what) + ", and not " + std::string(kind_name(node.kind));
}

// Both of a pair cannot be there, and one has to be.
Checked<void> check_pair(const JsonNode& statement, const JsonNode* plain, const JsonNode* negated,
                         std::string_view name) {
  const std::string element(name);
  if (plain != nullptr && negated != nullptr) {
    return fault(negated->name_begin, element + " and Not" + element + " cannot both be in a statement");
  }
  if (plain == nullptr && negated == nullptr) {
    return fault(statement.begin, "the statement has no element " + element + " or Not" + element);
  }
  return {};
}

}  // namespace

Checked<void> find_members(const JsonTree& tree, const JsonNode& object, std::span<const std::string_view> names,
                           std::span<const JsonNode*> found, std::string_view what) {
  for (const JsonNode& member : tree.children(object)) {
    const auto name = std::ranges::find(names, member.name);
    if (name == names.end()) {
      return fault(member.name_begin,
                   "unknown " + std::string(what) + " " + in_quotes(member.name) + did_you_mean(member.name, names));
    }
    const auto index = static_cast<size_t>(name - names.begin());
    if (found[index] != nullptr) return fault(member.name_begin, in_quotes(member.name) + " is there twice");
    found[index] = &member;
  }
  return {};
}

Checked<Statement> StatementReader::read(const JsonNode& node) {
  if (!node.is(JsonKind::kObject)) return fault(node.begin, not_kind("a statement is an object", node));
  const auto found = find_members(tree_, node, kElements, "element");
  if (!found) return std::unexpected(found.error());
  if (auto done = read_elements(node, *found); !done) return std::unexpected(done.error());
  out_.offset = node.begin;
  return std::move(out_);
}

Checked<void> StatementReader::read_elements(const JsonNode& node, const Elements& elements) {
  const auto& [sid, effect, principal, not_principal, action, not_action, resource, not_resource, condition] = elements;
  if (sid != nullptr) {
    if (auto done = read_sid(*sid); !done) return done;
  }
  if (effect == nullptr) return fault(node.begin, "the statement has no element Effect");
  if (auto done = read_effect(*effect); !done) return done;
  if (auto done = read_principal(node, principal, not_principal); !done) return done;
  if (auto done = check_pair(node, action, not_action, "Action"); !done) return done;
  if (auto done = read_actions(action != nullptr ? *action : *not_action, action == nullptr); !done) return done;
  if (rules_.kind == DocumentKind::kTrust) {
    const JsonNode* const given = resource != nullptr ? resource : not_resource;
    if (given != nullptr) return fault(given->name_begin, "a trust policy is about its role and names no resources");
    out_.not_resource = true;  // than none
  } else {
    if (auto done = check_pair(node, resource, not_resource, "Resource"); !done) return done;
    if (auto done = read_resources(resource != nullptr ? *resource : *not_resource, resource == nullptr); !done) {
      return done;
    }
  }
  return condition != nullptr ? read_conditions(*condition) : Checked<void>{};
}

// "Valid values for Effect are Allow and Deny. The Effect value is case sensitive."
Checked<void> StatementReader::read_effect(const JsonNode& node) {
  constexpr auto kEffects = std::to_array<std::string_view>({"Allow", "Deny"});
  if (!node.is(JsonKind::kString) || std::ranges::find(kEffects, node.text) == kEffects.end()) {
    const std::string meant = node.is(JsonKind::kString) ? did_you_mean(node.text, kEffects) : "";
    return fault(node.begin, R"(the Effect is "Allow" or "Deny")" + meant);
  }
  out_.allow = node.text == "Allow";
  return {};
}

// "For IAM policies, basic alphanumeric characters (A-Z,a-z,0-9) are the only allowed characters"; examples of the
// Amazon S3 User Guide have sentences.
Checked<void> StatementReader::read_sid(const JsonNode& node) {
  if (!node.is(JsonKind::kString)) return fault(node.begin, not_kind("the Sid is a string", node));
  if (!has_principals(rules_.kind) && !std::ranges::all_of(node.text, is_letter_or_digit)) {
    return fault(node.begin, "the Sid " + in_quotes(node.text) + " may hold the characters A-Z, a-z and 0-9 only");
  }
  out_.sid = node.text;
  return {};
}

Checked<void> StatementReader::read_principal(const JsonNode& statement, const JsonNode* principal,
                                              const JsonNode* not_principal) {
  const JsonNode* const given = principal != nullptr ? principal : not_principal;
  if (!has_principals(rules_.kind)) {
    if (given == nullptr) return {};
    return fault(given->name_begin, std::string(given->name) +
                                        " is for bucket and trust policies: this policy is for whom it is attached to");
  }
  if (auto pair = check_pair(statement, principal, not_principal, "Principal"); !pair) return pair;
  auto element = PrincipalElement::parse(tree_, *given, principal == nullptr);
  if (!element) return std::unexpected(element.error());
  const bool foreign = std::ranges::any_of(element->entries(), &PrincipalEntry::is_canonical_user);
  if (rules_.storing && foreign) {
    return fault(given->begin, "there are no canonical user IDs here: name the account by its twelve digits");
  }
  out_.principal = std::move(*element);
  return {};
}

template <class Add>
Checked<void> StatementReader::for_each_string(const JsonNode& node, std::string_view what, Add add) {
  const auto checked = [&](const JsonNode& value) -> Checked<void> {
    if (!value.is(JsonKind::kString)) return fault(value.begin, not_kind(std::string(what) + " is a string", value));
    return add(value);
  };
  if (!node.is(JsonKind::kArray)) return checked(node);
  // "Arrays can take one or more values."
  if (tree_.children(node).empty()) return fault(node.begin, "the list " + std::string(node.name) + " is empty");
  for (const JsonNode& value : tree_.children(node)) {
    if (auto done = checked(value); !done) return done;
  }
  return {};
}

Checked<void> StatementReader::read_actions(const JsonNode& node, bool negated) {
  out_.not_action = negated;
  out_.action_offset = node.name_begin;
  return for_each_string(node, "an action", [&](const JsonNode& value) { return add_action(value); });
}

// Amazon S3 refuses a bucket policy with actions that it does not have ("Policy has invalid action"), IAM takes an
// identity policy with them ("Invalid actions do not affect the permissions granted by the policy"). Neither is stored
// here.
Checked<void> StatementReader::add_action(const JsonNode& node) {
  auto pattern = ActionPattern::parse(node.text);
  if (!pattern) return fault(node.begin, pattern.error().message);
  const bool must_exist = rules_.storing || rules_.kind == DocumentKind::kBucket;
  if (must_exist && pattern->is_of_s3() && !pattern->is_known()) {
    return fault(node.begin, pattern->unknown_message());
  }
  out_.actions.push_back(std::move(*pattern));
  return {};
}

Checked<void> StatementReader::read_resources(const JsonNode& node, bool negated) {
  out_.not_resource = negated;
  out_.resource_offset = node.name_begin;
  return for_each_string(node, "a resource", [&](const JsonNode& value) { return add_resource(value); });
}

Checked<void> StatementReader::add_resource(const JsonNode& node) {
  auto pattern = ArnPattern::parse(node.text, variables_);
  if (!pattern) return fault(node.begin, pattern.error().message + "; a resource is an ARN or \"*\"");
  if (!pattern->is_everything()) {
    // "You can't use a variable to replace parts of the ARN before the fifth colon".
    bool early = pattern->is_whole_variable();
    for (size_t part = 0; part + 1 < kArnParts; ++part) early = early || pattern->part(part).has_variables();
    if (early) {
      return fault(node.begin, "a resource has policy variables only behind the fifth colon of its ARN");
    }
    const auto parts = split_arn(node.text).value_or(std::array<std::string_view, kArnParts>{});
    // "You can't use a wildcard in the service segment that identifies the AWS product."
    if (parts[2].empty() || parts[2].find_first_of("*?") != std::string_view::npos) {
      return fault(node.begin, "the service in " + in_quotes(node.text) + " is written out: arn:aws:s3:::BUCKET/KEY");
    }
    if (!is_partition(parts[1]) && parts[1].find_first_of("*?") == std::string_view::npos) {
      return fault(node.begin, in_quotes(parts[1]) + " is no partition: write arn:aws:s3:::BUCKET/KEY");
    }
    if (parts[5].empty()) return fault(node.begin, in_quotes(node.text) + " names no resource behind its last colon");
  }
  if (auto checked = check_bucket(node, *pattern); !checked) return checked;
  out_.resources.push_back(std::move(*pattern));
  return {};
}

// A bucket policy is about its bucket ("Policy has invalid resource"). This takes the name of the bucket, which a
// document does not tell, so that evaluating asks for it no more than for the account.
Checked<void> StatementReader::check_bucket(const JsonNode& node, const ArnPattern& pattern) const {
  if (!rules_.storing || rules_.kind != DocumentKind::kBucket || rules_.bucket.empty()) return {};
  const auto parts = split_arn(node.text);
  const std::string_view name = parts ? (*parts)[5].substr(0, (*parts)[5].find('/')) : "";
  const bool here = !pattern.is_everything() && parts && (*parts)[2] == "s3" && (*parts)[3].empty() &&
                    (*parts)[4].empty() && name == rules_.bucket;
  if (here) return {};
  return fault(node.begin, in_quotes(node.text) + " is not of the policy's bucket: write arn:aws:s3:::" +
                               rules_.bucket + " or arn:aws:s3:::" + rules_.bucket + "/*");
}

Checked<void> StatementReader::read_conditions(const JsonNode& node) {
  if (!node.is(JsonKind::kObject)) return fault(node.begin, not_kind("the Condition is an object", node));
  std::vector<std::string_view> seen;
  for (const JsonNode& op : tree_.children(node)) {
    if (std::ranges::find(seen, op.name) != seen.end()) {
      return fault(op.name_begin, in_quotes(op.name) + " is there twice: give its keys together");
    }
    seen.push_back(op.name);
    if (auto done = read_operator(op); !done) return done;
  }
  return {};
}

Checked<void> StatementReader::read_operator(const JsonNode& node) {
  const auto op = ConditionOperator::parse(node.name);
  if (!op) return fault(node.name_begin, op.error());
  if (!node.is(JsonKind::kObject)) {
    return fault(node.begin, not_kind("a condition operator has an object of keys and values", node));
  }
  const size_t first = out_.conditions.size();
  for (const JsonNode& key : tree_.children(node)) {
    auto condition = Condition::parse(tree_, key, *op, variables_);
    if (!condition) return std::unexpected(condition.error());
    // Policy check "Duplicate keys with different case".
    for (size_t i = first; i < out_.conditions.size(); ++i) {
      if (out_.conditions[i].key() != condition->key()) continue;
      return fault(key.name_begin, "the condition key " + in_quotes(key.name) + " is there twice: keys ignore case");
    }
    if (auto known = check_key(key, *condition); !known) return known;
    out_.conditions.push_back(std::move(*condition));
  }
  return {};
}

Checked<void> StatementReader::check_key(const JsonNode& node, const Condition& condition) const {
  if (!rules_.storing || rules_.accept_unknown_keys) return {};
  std::vector<std::string_view> keys = condition.variables();
  keys.push_back(condition.key());
  for (const std::string_view key : keys) {
    if (is_supplied_key(key)) continue;
    return fault(node.name_begin, "no request here ever has the condition key " + in_quotes(key) +
                                      ": --accept-unknown-keys stores it all the same");
  }
  return {};
}

}  // namespace pailfs::policy
