// Whether a request is allowed: IAM User Guide, "Policy evaluation logic" and "Cross-account policy evaluation logic".
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "policy/context.h"
#include "policy/document.h"
#include "policy/principal.h"

namespace pailfs::policy {

// What a decision goes by. Nobody but the caller of evaluate() knows whose documents these are.
struct Policies {
  std::span<const Document* const> identity;  // of the user and its groups, or of the role
  const Document* boundary = nullptr;
  const Document* bucket = nullptr;
};

struct Request {
  const Caller& caller;
  std::string_view account;   // that owns the bucket
  std::string_view action;    // "s3:GetObject"
  std::string_view resource;  // "arn:aws:s3:::bucket/key"; "*" for what concerns no bucket
  const Context& context;
};

enum class Outcome : uint8_t { kAllow, kExplicitDeny, kImplicitDeny };

// What made the decision.
enum class Ground : uint8_t {
  kStatement,       // the statement that is named
  kRoot,            // the account's root may do everything that nothing denies
  kNothingAllows,   // no statement allows it
  kNotForAccount,   // the bucket's policy leaves it to the account, whose identity policies do not allow it
  kOnlyOneAccount,  // across accounts both sides have to allow it, and only one does; its statement is named
  kBoundary,        // it is allowed, by the statement that is named, but not inside the boundary
};

struct Decision {
  Outcome outcome = Outcome::kImplicitDeny;
  Ground ground = Ground::kNothingAllows;
  // The statement, if one decided: its document, and which of its statements. It has a Sid where its author gave one.
  const Document* document = nullptr;
  size_t statement = 0;
};

// Allocates nothing unless a variable's value is long; any number of threads may evaluate with the same documents.
Decision evaluate(const Policies& policies, const Request& request);

// "Allow", "ExplicitDeny", "ImplicitDeny".
std::string_view outcome_name(Outcome outcome);

}  // namespace pailfs::policy
