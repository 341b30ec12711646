// Who a caller is to policies: the principal that his uid maps to. uid 0 and the account are the account's root; every
// other uid is the user with its login name; one without a name is anonymous.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/mutex.h"
#include "core/types.h"
#include "policy/principal.h"

namespace pailfs {

// Twelve digits, from the store's UUID: the same as long as the store lives.
std::string account_id_of(std::string_view store_uuid);

class Principals {
 public:
  struct Principal {
    policy::Caller caller;
    std::string_view type;  // aws:PrincipalType
    std::string username;   // of users
    std::string userid;     // empty: anonymous
  };
  using PrincipalPtr = std::shared_ptr<const Principal>;
  // The login name of a uid.
  using Names = std::function<Result<std::optional<std::string>>(uint32_t uid)>;

  Principals(uint32_t account_uid, std::string account_id, Names names);
  const std::string& account_id() const { return account_id_; }
  // Login names are asked for once in ten seconds; while the name service fails, who was known stays who he was. Null:
  // nobody knows who this is.
  PrincipalPtr of(uint32_t uid, Time monotonic);

 private:
  struct Known {
    PrincipalPtr principal;
    Time asked = 0;
  };
  PrincipalPtr make(uint32_t uid) const;

  const uint32_t account_uid_;
  const std::string account_id_;
  const Names names_;
  SharedMutex lock_;
  std::unordered_map<uint32_t, Known> known_ GUARDED_BY(lock_);
};

}  // namespace pailfs
