// Who a caller is to policies, and what is attached to that principal. In this order: the role that his process has
// assumed; the service that runs in the process's control group; and what his uid maps to. uid 0 and the account are
// the account's root; every other uid is the user that it was mapped to, or the one with its login name; one without a
// name is anonymous.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "core/identities.h"
#include "core/role_sessions.h"
#include "core/types.h"
#include "policy/principal.h"

namespace pailfs {

// Twelve digits, from the store's UUID: the same as long as the store lives.
std::string account_id_of(std::string_view store_uuid);

struct Principal {
  policy::Caller caller;
  std::string_view type;                                  // aws:PrincipalType
  std::string arn;                                        // aws:PrincipalArn: of a session the role's
  std::string username;                                   // of users
  std::string userid;                                     // empty: anonymous
  std::vector<std::pair<std::string, std::string>> tags;  // "aws:principaltag/key" in lower case, value
  AttachedPolicies policies;
  std::vector<const policy::Document*> documents;  // of `policies`, but for the boundary
  Wanted wants = {};
  uint64_t serial = 0;  // tells it from every other, and from what it was before a change

  // The ARN, a service's name, or "anonymous".
  std::string name() const;
  bool is_root() const { return caller.type() == policy::PrincipalType::kRoot; }
  const policy::Document* boundary() const {
    return policies.boundary ? policies.boundary->policy->document.get() : nullptr;
  }
};
using PrincipalPtr = std::shared_ptr<const Principal>;

// The system's users and groups.
struct SystemNames {
  std::function<Result<std::optional<std::string>>(uint32_t uid)> user_name;
  std::function<Result<std::optional<uint32_t>>(const std::string& group)> group_id;
};

class Principals {
 public:
  Principals(uint32_t account_uid, std::string account_id, const Identities& identities, SystemNames names);

  const std::string& account_id() const { return account_id_; }
  RoleSessions& sessions() { return sessions_; }
  // Names are asked for once in ten seconds; while the name service fails, who was known stays who he was. Null:
  // nobody knows who this is. `own`: passes over the role that his process has assumed; and without a
  // process (pid 0) over services.
  PrincipalPtr of(const Caller& caller, Time monotonic, bool own = false);

 private:
  // The groups by whose gids he has policies, as their places in Directory::groups.
  using GroupPlaces = std::vector<uint32_t>;
  struct Key {
    std::string who;  // of a role's session or a service; empty: the uid says it
    uint32_t uid = 0;
    GroupPlaces groups;
    auto operator<=>(const Key&) const = default;
  };
  struct Known {
    PrincipalPtr principal;
    uint64_t generation = 0;
    Time asked = 0;
  };
  // nullopt: it has to be found out (anew).
  std::optional<PrincipalPtr> find(const Key& key, uint64_t generation, Time monotonic) const;
  PrincipalPtr keep(Key key, uint64_t generation, Time monotonic, PrincipalPtr made);
  // Fails where it cannot be found out. `session`: the one that makes the key, if one does.
  Result<Key> key_of(const Caller& caller, const Directory& directory, Time monotonic, bool own,
                     RoleSessionPtr& session);
  Result<GroupPlaces> groups_of(const Caller& caller, const Directory& directory, Time monotonic);
  PrincipalPtr make_user(uint32_t uid, const Directory& directory, const GroupPlaces& groups) const;
  PrincipalPtr make_session(const RoleSession& session, const Directory& directory) const;
  PrincipalPtr completed(Principal principal, const Directory& directory) const;
  PrincipalPtr anonymous(const Directory& directory, const GroupPlaces& groups) const;

  const uint32_t account_uid_;
  const std::string account_id_;
  const Identities& identities_;
  const SystemNames names_;
  RoleSessions sessions_;
  mutable std::atomic<uint64_t> next_serial_ = 1;
  mutable SharedMutex lock_;
  std::map<Key, Known> known_ GUARDED_BY(lock_);
  // Of Directory::groups, as the system has them.
  std::vector<std::vector<uint32_t>> gids_ GUARDED_BY(lock_);
  uint64_t gids_generation_ GUARDED_BY(lock_) = 0;
  Time gids_asked_ GUARDED_BY(lock_) = 0;
};

}  // namespace pailfs
