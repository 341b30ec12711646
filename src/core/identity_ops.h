// Managing users, groups, roles, services and managed policies, and assuming roles: for the doors. What is changed
// holds from the next request on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/core.h"
#include "core/identities.h"
#include "core/principals.h"

namespace pailfs {

struct PrincipalInfo {
  std::string arn;   // or the name of a service; "anonymous"; empty: not known, as the name service fails
  std::string type;  // "Account", "User", "AssumedRole", "Service", "Anonymous"
  std::string userid;
  std::vector<std::string> policies;  // that are attached: "policy add-only of user alice"
  std::string boundary;
  uint32_t session_seconds = 0;  // that a role's session has left; 0: it is none
  std::string deleted_role;      // of the session, where that is why the principal is not known
};

class IdentityOps {
 public:
  explicit IdentityOps(Core::Impl& core) : core_(core) {}

  // Only for the account's root, as everything but assume(), leave() and principal(). In the order of kinds and names.
  Result<std::vector<IdentityPtr>> list(const Caller& caller) const;
  // kNotFound: NoSuchEntity.
  Result<IdentityPtr> get(const Caller& caller, IdentityKind kind, const std::string& name) const;
  // The same of one that the store has no record of, and the system knows: with its uid or gid, and nothing else. Null:
  // there is none, or its uid is another user's. Errors as those of is_system_name().
  Result<IdentityPtr> of_system(const Caller& caller, IdentityKind kind, const std::string& name) const;
  // Creates, changes and deletes: see Identities::Change, whose errors these are. All of it or nothing; no two steps
  // are about the same, and none depends on another.
  struct Step {
    IdentityKind kind = IdentityKind::kUser;
    std::string name;
    Identities::Change change;
  };
  Status change(const Caller& caller, const std::vector<Step>& steps);
  // Whether the system has a user or a group of the name. kInvalid for a login name of the account's root, which no
  // record of a user is about.
  Result<bool> is_system_name(IdentityKind kind, const std::string& name) const;
  // For Identity::inlined, trust and versions. kInvalid says where what is wrong.
  static Result<StoredPolicyPtr> compile(std::string text, policy::DocumentKind kind, bool accept_unknown_keys);

  // The caller's process, and all that descend from it, are this session of the role from now on, for `seconds`
  // (AWS STS API Reference, AssumeRole: 15 minutes up to the role's maximum). kAccessDenied: neither the role's trust
  // policy nor one of his own, where the former leaves it to the account, lets him.
  Result<PrincipalInfo> assume(const Caller& caller, const std::string& role, const std::string& session,
                               uint32_t seconds);
  // What the caller's process has assumed; nothing where it has not.
  void leave(const Caller& caller);
  PrincipalInfo principal(const Caller& caller) const;
  // The user, whatever his process has assumed; without a process (pid 0) also whatever service it is.
  PrincipalPtr own(const Caller& caller) const;

 private:
  Status check_manager(const Caller& caller) const;
  Status check_trust(const Caller& caller, const Identity& role, const std::string& session) const;

  Core::Impl& core_;
};

}  // namespace pailfs
