// Who asks, and whom the Principal element of a bucket policy names. IAM User Guide, "AWS JSON policy elements:
// Principal" and "…: NotPrincipal"; Amazon S3 User Guide, "Principals".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/json_tree.h"

namespace pailfs::policy {

enum class PrincipalType : uint8_t { kUser, kRole, kRoot, kService, kAnonymous };

// Who asks; made once for each identity, and not changed afterwards.
class Caller {
 public:
  // `arn`: of the user, the role or its session, the account's root; empty for a service, whose name says all, and for
  // anonymous callers. kInvalid where that does not fit together.
  static Result<Caller> make(PrincipalType type, std::string_view name, std::string_view arn);

  PrincipalType type() const { return type_; }
  // Twelve digits; empty for services and anonymous callers.
  const std::string& account() const { return account_; }
  const std::string& arn() const { return arn_; }
  // Of a service.
  const std::string& name() const { return name_; }

 private:
  friend class PrincipalEntry;
  enum class Session : uint8_t { kNone, kRole, kFederatedUser };

  PrincipalType type_ = PrincipalType::kAnonymous;
  std::string name_, arn_, account_;
  Session session_ = Session::kNone;
  std::string session_of_;  // the role's or user's name, without its path
};

// How an entry of a Principal element names a caller: this decides which other policies bind what it allows.
enum class Naming : uint8_t {
  kNot,
  // By his account, which is thereby free to allow it: "The account ARN and the shortened account ID […] delegate
  // permissions to the account". For himself he needs an identity policy.
  kAccount,
  // By the role whose session he is: not limited by an implicit denial of identity policies, but by that of a boundary.
  kRole,
  // Himself, or everybody: "If a resource-based policy grants permission directly to the IAM user or the session
  // principal that is making the request, then an implicit deny in an identity-based policy, a permissions boundary, or
  // a session policy does not impact the final decision."
  kDirect,
};

class PrincipalEntry {
 public:
  // The string "*" in place of the element's object.
  static PrincipalEntry everybody();
  // One value below "AWS", "Service" or "CanonicalUser". The fault's offset is 0.
  static Checked<PrincipalEntry> parse(std::string_view type, std::string_view value);

  Naming names(const Caller& caller) const;
  // Whether it names exactly this caller and nobody who stands for him, or everybody.
  bool is_exactly(const Caller& caller) const;

  bool is_everybody() const { return kind_ == Kind::kEverybody || kind_ == Kind::kAnyAws; }
  bool is_canonical_user() const { return kind_ == Kind::kCanonicalUser; }
  bool is_account() const { return kind_ == Kind::kAccount; }
  bool is_below_account() const { return !account_.empty() && kind_ != Kind::kAccount; }
  const std::string& account() const { return account_; }
  // The name of the user that it names, without its path; empty: it names no user.
  std::string_view user() const { return kind_ == Kind::kUser ? std::string_view(name_) : std::string_view(); }

 private:
  enum class Kind : uint8_t {
    kEverybody,  // "*": services too
    kAnyAws,     // {"AWS": "*"}: whoever has an account, and anonymous callers
    kAccount,
    kUser,
    kRole,
    kRoleSession,
    kFederatedUser,
    kService,
    kCanonicalUser,  // of an account of Amazon's: names nobody here
  };
  static Checked<PrincipalEntry> parse_arn(std::string_view value);

  Kind kind_ = Kind::kEverybody;
  std::string text_;     // the ARN or the service as it stands
  std::string account_;  // of an ARN
  std::string name_;     // of a user or a role: without its path
};

// The element Principal or NotPrincipal.
class PrincipalElement {
 public:
  static Checked<PrincipalElement> parse(const JsonTree& tree, const JsonNode& node, bool negated);

  // How an Allow statement names the caller.
  Naming allows(const Caller& caller) const;
  // Whether a Deny statement is about the caller.
  bool denies(const Caller& caller) const;

  bool negated() const { return negated_; }
  size_t offset() const { return offset_; }
  const std::vector<PrincipalEntry>& entries() const { return entries_; }

 private:
  Checked<void> parse_type(const JsonTree& tree, const JsonNode& node);

  bool negated_ = false;
  size_t offset_ = 0;
  std::vector<PrincipalEntry> entries_;
};

}  // namespace pailfs::policy
