// A policy document, compiled once: immutable, and shared by whoever evaluates it. IAM User Guide, "Grammar of the IAM
// JSON policy language".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/actions.h"
#include "policy/arn.h"
#include "policy/condition.h"
#include "policy/principal.h"
#include "policy/refusal.h"

namespace pailfs::policy {

enum class DocumentKind : uint8_t {
  kIdentity,  // of a user, a group or a role
  kBoundary,  // a permissions boundary
  kBucket,
  kTrust,  // of a role: who may assume it; without resources, as it is about the role alone
};

// How large a document may be, in characters without white space, which IAM does not count (IAM User Guide, "IAM and
// AWS STS quotas"). Identity: the largest that IAM takes anywhere, inline in a role; a managed policy has 6,144. A
// trust policy: 2,048, or up to 4,096 on request.
inline constexpr size_t kMaxIdentityCharacters = 10240;
inline constexpr size_t kMaxManagedCharacters = 6144;
inline constexpr size_t kMaxTrustCharacters = 4096;
// "Bucket policies are limited to 20 KB in size": all bytes.
inline constexpr size_t kMaxBucketBytes = 20480;

// What is checked. Evaluating takes what AWS takes; storing refuses more: what could never work here.
struct DocumentRules {
  DocumentKind kind = DocumentKind::kIdentity;
  bool storing = false;
  // Of a bucket policy that is to be stored: the bucket that it is for; empty: not known.
  std::string bucket;
  bool accept_unknown_keys = false;  // condition keys that this store never supplies, when storing
};

struct Statement {
  bool allow = false;
  std::string sid;
  std::optional<PrincipalElement> principal;  // of bucket and trust policies
  bool not_action = false;
  std::vector<ActionPattern> actions;
  bool not_resource = false;
  std::vector<ArnPattern> resources;
  std::vector<Condition> conditions;
  size_t offset = 0, action_offset = 0, resource_offset = 0;  // in the text

  // Whether its actions are about this one, in lower case.
  bool is_about(std::string_view action) const;
  // Whether its resources are about this one.
  bool is_about(const Arn& resource, const Context& context) const;
  // Whether it is about a request, whoever asks. `action` in lower case.
  bool applies(std::string_view action, const Arn& resource, const Context& context) const;
  // Whether a variable in its resources goes by one of the condition keys (is_among()).
  bool names_by(std::span<const std::string_view> keys) const;
  // Of a bucket or trust policy: whom it is about.
  bool denies(const Caller& caller) const { return principal && principal->denies(caller); }
  Naming allows(const Caller& caller) const { return principal ? principal->allows(caller) : Naming::kNot; }
};

class Document {
 public:
  static std::expected<std::shared_ptr<const Document>, Refusal> compile(std::string_view text,
                                                                         const DocumentRules& rules);

  DocumentKind kind() const { return kind_; }
  bool variables() const { return variables_; }  // version 2012-10-17
  const std::vector<Statement>& statements() const { return statements_; }
  // Whether a condition or a variable anywhere in it goes by one of the condition keys (is_among()).
  bool asks_for(std::span<const std::string_view> keys) const;

 private:
  friend class DocumentReader;
  Document() = default;

  DocumentKind kind_ = DocumentKind::kIdentity;
  bool variables_ = false;
  std::vector<Statement> statements_;
};

// Whether a kind of policy names principals.
inline constexpr bool has_principals(DocumentKind kind) {
  return kind == DocumentKind::kBucket || kind == DocumentKind::kTrust;
}

// Whether this store can ever supply a condition key, given in lower case.
bool is_supplied_key(std::string_view key);

}  // namespace pailfs::policy
