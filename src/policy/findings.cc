#include "policy/findings.h"

#include <algorithm>
#include <array>
#include <span>

#include "policy/public.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// The keys that every request on a store has, and the values that they can have.
struct GivenKey {
  std::string_view key;
  std::array<std::string_view, 2> values;
};
constexpr auto kGiven = std::to_array<GivenKey>({{"aws:securetransport", {"true", "true"}},
                                                 {"aws:sourceip", {"127.0.0.1", "127.0.0.1"}},
                                                 {"pail:door", {"fuse", "control"}}});

class Search {
 public:
  Search(const Document& document, std::string_view text, std::string_view bucket)
      : document_(document), text_(text), bucket_(bucket) {}

  std::vector<Finding> run() {
    const auto& statements = document_.statements();
    for (size_t i = 0; i < statements.size(); ++i) {
      const Statement& statement = statements[i];
      look_at_principal(statement);
      look_at_actions(statement);
      look_at_targets(statement);
      look_at_versions(statement);
      look_at_bucket(statement);
      for (const Condition& condition : statement.conditions) look_at_condition(statement, condition);
      const auto first = std::ranges::find(statements, statement.sid, &Statement::sid);
      if (!statement.sid.empty() && first != statements.begin() + static_cast<std::ptrdiff_t>(i)) {
        add(statement.offset, "the Sid " + in_quotes(statement.sid) + " is that of another statement too");
      }
    }
    if (!document_.variables() && text_.contains("${")) {
      add(text_.find("${"), "${ stands for itself: policy variables need \"Version\": \"2012-10-17\"");
    }
    return std::move(found_);
  }

 private:
  void add(size_t offset, std::string message) { found_.push_back({place_of(text_, offset), std::move(message)}); }

  void look_at_principal(const Statement& statement) {
    if (!statement.principal) return;
    const PrincipalElement& principal = *statement.principal;
    const auto& entries = principal.entries();
    const bool everybody = std::ranges::any_of(entries, &PrincipalEntry::is_everybody);
    if (principal.negated() && everybody) {
      add(principal.offset(), "NotPrincipal names everybody: this statement is about nobody");
      return;
    }
    if (statement.allow && principal.negated()) {
      add(principal.offset(),
          "public: NotPrincipal with Allow is for everybody who is not named, anonymous callers too");
    }
    if (everybody && is_public(statement)) {
      add(principal.offset(), statement.conditions.empty()
                                  ? "public: this is for everybody, anonymous callers too"
                                  : "public: this is for everybody, anonymous callers too, where the condition holds, "
                                    "which does not say who asks");
    }
    if (statement.allow || !principal.negated()) return;
    // "When you use NotPrincipal with Deny, you must also specify the account ARN of the not-denied principal."
    for (const PrincipalEntry& entry : entries) {
      const auto is_its_account = [&](const auto& other) {
        return other.is_account() && other.account() == entry.account();
      };
      if (entry.is_below_account() && std::ranges::none_of(entries, is_its_account)) {
        add(principal.offset(), "AWS asks for the account's ARN in a NotPrincipal with Deny: add arn:aws:iam::" +
                                    entry.account() + ":root");
      }
    }
  }

  void look_at_actions(const Statement& statement) {
    if (statement.not_action) return;
    for (const ActionPattern& action : statement.actions) {
      if (!action.is_of_s3()) {
        add(statement.action_offset, in_quotes(action.text()) + " is of another service, and never matches here");
      } else if (!action.is_known()) {
        add(statement.action_offset, action.unknown_message());
      }
    }
  }

  // Amazon S3: "Action does not apply to any resource(s) in statement".
  void look_at_targets(const Statement& statement) {
    if (statement.not_action || statement.not_resource) return;
    bool buckets = false, objects = false;
    for (const ArnPattern& resource : statement.resources) {
      if (resource.is_everything()) return;
      const std::string_view rest = resource.part(kArnParts - 1).encoded();
      const bool slash = rest.contains('/') || resource.part(kArnParts - 1).has_variables();
      const bool wildcard = !resource.part(kArnParts - 1).is_literal();
      objects = objects || slash || wildcard;
      buckets = buckets || !slash || resource.part(kArnParts - 1).has_variables();
    }
    for (const ActionPattern& action : statement.actions) {
      const auto known = action.known();
      const auto all = [&](ActionTarget target) {
        return !known.empty() && std::ranges::all_of(known, [&](const auto* one) { return one->target == target; });
      };
      if (all(ActionTarget::kObject) && !objects) {
        add(statement.resource_offset,
            in_quotes(action.text()) + " never matches: it is about objects, and the resources are buckets; add /*");
      } else if (all(ActionTarget::kBucket) && !buckets) {
        add(statement.resource_offset,
            in_quotes(action.text()) + " never matches: it is about buckets, and the resources are objects");
      }
    }
  }

  // Older versions have actions of their own, as in Amazon S3.
  void look_at_versions(const Statement& statement) {
    if (statement.allow || statement.not_action) return;
    const auto names = [](const Statement& one, std::string_view action) {
      return std::ranges::any_of(one.actions, [&](const ActionPattern& pattern) { return pattern.matches(action); });
    };
    const auto misses = [&](std::string_view action, std::string_view of_versions) {
      return names(statement, action) && std::ranges::none_of(document_.statements(), [&](const Statement& one) {
               return !one.allow && names(one, of_versions) != one.not_action;
             });
    };
    if (misses("s3:getobject", "s3:getobjectversion")) {
      add(statement.action_offset,
          "s3:GetObject is denied and s3:GetObjectVersion is not: what is below .versions can still be read");
    }
    if (misses("s3:listbucket", "s3:listbucketversions")) {
      add(statement.action_offset,
          "s3:ListBucket is denied and s3:ListBucketVersions is not: what is below .versions can still be listed");
    }
  }

  void look_at_bucket(const Statement& statement) {
    if (bucket_.empty() || statement.not_resource) return;
    const std::string below = std::string(bucket_) + "/";
    const auto is_elsewhere = [&](const ArnPattern& resource) {
      const Pattern& rest = resource.part(kArnParts - 1);
      if (resource.is_everything() || resource.is_whole_variable() || rest.has_variables()) return false;
      return !matches_wildcards(resource.part(2).encoded(), "s3") ||
             (!matches_wildcards(rest.encoded(), bucket_) &&
              matches_beginning(rest.encoded(), below) == Beginning::kNo);
    };
    const auto elsewhere = std::ranges::count_if(statement.resources, is_elsewhere);
    if (elsewhere == 0) return;
    const bool all = static_cast<size_t>(elsewhere) == statement.resources.size();
    add(statement.resource_offset, (all ? "never matches: no resource is of the bucket "
                                        : "some of these resources never match: they are not of the bucket ") +
                                       in_quotes(bucket_));
  }

  // Of a key that every request has, with values that none has.
  static bool never_holds(const Condition& condition) {
    const auto given = std::ranges::find(kGiven, condition.key(), &GivenKey::key);
    if (given == kGiven.end() || !condition.variables().empty()) return false;
    return std::ranges::none_of(given->values, [&](std::string_view value) {
      Context context;
      context.add(condition.key(), value);
      return condition.holds(context);
    });
  }

  void look_at_condition(const Statement& statement, const Condition& condition) {
    const ConditionOperator& op = condition.op();
    if (!is_supplied_key(condition.key())) {
      add(condition.offset(), "no request here ever has the condition key " + in_quotes(condition.key()));
    }
    if (never_holds(condition)) {
      add(condition.offset(), "no request here ever fulfils the condition on " + in_quotes(condition.key()) +
                                  ": the statement never matches");
    }
    if (op.comparison == Comparison::kNull && op.set != SetOperator::kNone) {
      add(condition.offset(), op.set == SetOperator::kForAllValues ? "ForAllValues:Null is always true"
                                                                   : "ForAnyValue:Null is always false");
    }
    const auto has_null_check = [&] {
      return std::ranges::any_of(statement.conditions, [&](const Condition& other) {
        return other.key() == condition.key() && other.op().comparison == Comparison::kNull;
      });
    };
    if (statement.allow && op.set == SetOperator::kForAllValues && op.comparison != Comparison::kNull &&
        !has_null_check()) {
      add(condition.offset(), "ForAllValues is true where the key is absent too: add \"Null\": {" +
                                  in_quotes(condition.key()) + ": \"false\"}");
    }
    if (op.comparison == Comparison::kString && !op.wildcards && condition.has_literal_wildcard()) {
      add(condition.offset(), "* and ? stand for themselves here: wildcards need StringLike or StringNotLike");
    }
  }

  const Document& document_;
  std::string_view text_, bucket_;
  std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> find_doubtful(const Document& document, std::string_view text, std::string_view bucket) {
  return Search(document, text, bucket).run();
}

}  // namespace pailfs::policy
