#include "policy/evaluate.h"

#include <algorithm>
#include <array>

#include "policy/letters.h"

namespace pailfs::policy {
namespace {

// A statement that was found.
struct Found {
  const Document* document = nullptr;
  size_t statement = 0;

  explicit operator bool() const { return document != nullptr; }
};

Decision decided(Outcome outcome, Ground ground, Found found = {}) {
  return {outcome, ground, found.document, found.statement};
}

// One request, prepared for all statements.
class Evaluation {
 public:
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;
  Evaluation(const Policies& policies, const Request& request)
      : policies_(policies), request_(request), resource_(whole_resource(request)) {
    if (request.action.size() > short_action_.size()) {
      long_action_ = lowered(request.action);
      action_ = long_action_;
      return;
    }
    std::ranges::transform(request.action, short_action_.begin(), lower);
    action_ = {short_action_.data(), request.action.size()};
  }

  Decision decide() {
    if (const Found denial = find_denial()) return decided(Outcome::kExplicitDeny, Ground::kStatement, denial);
    const Caller& caller = request_.caller;
    // A service, or somebody unknown, has no account whose policies could allow anything.
    if (caller.account().empty()) {
      const auto [grant, naming] = find_grant();
      if (naming == Naming::kNot) return {};
      return decided(Outcome::kAllow, Ground::kStatement, grant);
    }
    return caller.account() == request_.account ? decide_in_account() : decide_across_accounts();
  }

 private:
  struct Grant {
    Found found;
    Naming naming = Naming::kNot;
  };

  // Examples in the AWS pages allow s3:ListAllMyBuckets on "arn:aws:s3:::*", so this is what a request about no bucket
  // is about.
  static std::string_view whole_resource(const Request& request) {
    return request.resource == "*" ? "arn:aws:s3:::*" : request.resource;
  }

  bool applies(const Statement& statement) const { return statement.applies(action_, resource_, request_.context); }

  Found find_in(const Document* document, bool allow) const {
    if (document == nullptr) return {};
    const auto& statements = document->statements();
    for (size_t i = 0; i < statements.size(); ++i) {
      if (statements[i].allow == allow && applies(statements[i])) return {document, i};
    }
    return {};
  }

  Found find_identity(bool allow) const {
    for (const Document* document : policies_.identity) {
      if (const Found found = find_in(document, allow)) return found;
    }
    return {};
  }

  // "If the code finds even one explicit deny that applies, the code returns a final decision of Deny."
  Found find_denial() const {
    if (const Found found = find_identity(false)) return found;
    if (const Found found = find_in(policies_.boundary, false)) return found;
    if (policies_.bucket == nullptr || is_root_at_policy()) return {};
    const auto& statements = policies_.bucket->statements();
    for (size_t i = 0; i < statements.size(); ++i) {
      const Statement& statement = statements[i];
      if (!statement.allow && statement.denies(request_.caller) && applies(statement)) {
        return {policies_.bucket, i};
      }
    }
    return {};
  }

  // "[…] the root principal in a bucket owner's AWS account can perform the GetBucketPolicy, PutBucketPolicy, and
  // DeleteBucketPolicy API actions, even if their bucket policy explicitly denies the root principal's access" (Amazon
  // S3 API Reference, PutBucketPolicy).
  bool is_root_at_policy() const {
    constexpr auto kActions =
        std::to_array<std::string_view>({"s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"});
    return request_.caller.type() == PrincipalType::kRoot && request_.caller.account() == request_.account &&
           std::ranges::find(kActions, action_) != kActions.end();
  }

  // The statement of the bucket's policy that allows most.
  Grant find_grant() const {
    Grant best;
    if (policies_.bucket == nullptr) return best;
    const auto& statements = policies_.bucket->statements();
    for (size_t i = 0; i < statements.size() && best.naming != Naming::kDirect; ++i) {
      if (!statements[i].allow) continue;
      const Naming naming = statements[i].allows(request_.caller);
      if (naming > best.naming && applies(statements[i])) best = {{policies_.bucket, i}, naming};
    }
    return best;
  }

  bool is_inside_boundary() const {
    return policies_.boundary == nullptr || static_cast<bool>(find_in(policies_.boundary, true));
  }

  // "If an action is allowed by an identity-based policy, a resource-based policy, or both, then AWS allows the
  // action."
  Decision decide_in_account() const {
    const auto [grant, naming] = find_grant();
    if (naming == Naming::kDirect) return decided(Outcome::kAllow, Ground::kStatement, grant);
    // "By default, all requests are implicitly denied with the exception of the AWS account root user, which has full
    // access."
    if (request_.caller.type() == PrincipalType::kRoot) return decided(Outcome::kAllow, Ground::kRoot);
    const Found identity = find_identity(true);
    const Found allowed = identity ? identity : naming == Naming::kRole ? grant : Found{};
    if (!allowed) {
      return decided(Outcome::kImplicitDeny,
                     naming == Naming::kAccount ? Ground::kNotForAccount : Ground::kNothingAllows, grant);
    }
    if (!is_inside_boundary()) return decided(Outcome::kImplicitDeny, Ground::kBoundary, allowed);
    return decided(Outcome::kAllow, Ground::kStatement, allowed);
  }

  // "The request is allowed only if both evaluations return a decision of Allow." In the caller's own account no bucket
  // policy takes part, so nothing gets him past his boundary.
  Decision decide_across_accounts() const {
    const auto [grant, naming] = find_grant();
    const bool root = request_.caller.type() == PrincipalType::kRoot;
    const Found identity = root ? Found{} : find_identity(true);
    if (naming == Naming::kNot && !identity) return {};
    if (naming == Naming::kNot) return decided(Outcome::kImplicitDeny, Ground::kOnlyOneAccount, identity);
    if (root) return decided(Outcome::kAllow, Ground::kStatement, grant);
    if (!identity) return decided(Outcome::kImplicitDeny, Ground::kOnlyOneAccount, grant);
    if (!is_inside_boundary()) return decided(Outcome::kImplicitDeny, Ground::kBoundary, identity);
    return decided(Outcome::kAllow, Ground::kStatement, grant);
  }

  const Policies& policies_;
  const Request& request_;
  const Arn resource_;
  std::string_view action_;  // in lower case
  std::array<char, 128> short_action_;
  std::string long_action_;
};

}  // namespace

Decision evaluate(const Policies& policies, const Request& request) { return Evaluation(policies, request).decide(); }

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAllow:
      return "Allow";
    case Outcome::kExplicitDeny:
      return "ExplicitDeny";
    case Outcome::kImplicitDeny:
      return "ImplicitDeny";
  }
  return "";
}

}  // namespace pailfs::policy
