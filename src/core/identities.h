// The identities of a store, in memory: few, read at every request, and changed by an administrator.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "core/identity.h"

namespace pailfs {

class Store;
class Transaction;

// What decides about somebody.
struct AttachedPolicies {
  struct One {
    StoredPolicyPtr policy;
    std::string name;  // "policy add-only of user alice", "managed policy Backup"
  };
  std::vector<One> identity;
  std::optional<One> boundary;
  bool unreadable = false;  // one of them is; whom it is about is denied everything

  bool empty() const { return identity.empty() && !boundary && !unreadable; }
};

// As it is between two changes; never changed, only replaced.
struct Directory {
  using Key = std::pair<IdentityKind, std::string>;
  std::map<Key, IdentityPtr> all;
  std::unordered_map<uint32_t, IdentityPtr> users;  // by the uids that were given
  // Groups that have policies and whose members are not all named: those whose processes have the gid.
  struct GroupOfGid {
    IdentityPtr group;
    AttachedPolicies policies;
  };
  std::vector<GroupOfGid> groups;
  std::vector<IdentityPtr> services;
  uint64_t generation = 1;  // of Identities, when this was its directory
  bool policies = false;    // somebody has one
  bool damaged = false;     // a record cannot be read: nobody but the account's root is allowed anything

  IdentityPtr find(IdentityKind kind, std::string_view name) const;
  // Of a user with the groups that he is named in, of a group, or of a role.
  AttachedPolicies policies_of(const Identity& identity) const;
};
using DirectoryPtr = std::shared_ptr<const Directory>;

class Identities {
 public:
  explicit Identities(Store& store);
  Status load();

  DirectoryPtr directory() const;
  // Whether policies of identities take part in any decision, or any principal other than a user or root can ask.
  bool any() const { return any_.load(std::memory_order_acquire); }
  // That of the directory.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // What an identity becomes by a change; nullopt in and out: there is none. The result fits what else there is:
  // kInvalid (names what does not), kNotFound (what it names is not there), kExists, kBusy (it is in use).
  using Change = std::function<Result<std::optional<Identity>>(std::optional<Identity> before)>;
  Result<std::optional<Identity>> changed(IdentityKind kind, const std::string& name, const Change& change) const;
  void write(IdentityKind kind, const std::string& name, const std::optional<Identity>& identity,
             Transaction& tx) const;
  // From now on, once that is committed; all in one moment.
  using After = std::pair<Directory::Key, std::optional<Identity>>;
  void set(std::vector<After> changed);

 private:
  void replace(Directory directory);

  Store& store_;
  mutable SharedMutex lock_;
  DirectoryPtr directory_ GUARDED_BY(lock_);
  std::atomic<bool> any_ = false;
  std::atomic<uint64_t> generation_ = 1;
};

}  // namespace pailfs
