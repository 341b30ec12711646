#include "core/principals.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "core/groups.h"
#include "io/processes.h"
#include "policy/letters.h"

namespace pailfs {

namespace {

using policy::PrincipalType;

constexpr Time kNameTime = 10'000'000'000;
constexpr size_t kKnown = 65536;

}  // namespace

std::string account_id_of(std::string_view store_uuid) {
  uint64_t number = 0;
  for (const char c : store_uuid) number = number * 1099511628211u ^ static_cast<uint8_t>(c);
  return fmt::format("{:012}", number % 900'000'000'000u + 100'000'000'000u);
}

Principals::Principals(uint32_t account_uid, std::string account_id, const Identities& identities, SystemNames names)
    : account_uid_(account_uid),
      account_id_(std::move(account_id)),
      identities_(identities),
      names_(std::move(names)) {}

std::string Principal::name() const {
  if (!caller.arn().empty()) return caller.arn();
  return caller.name().empty() ? "anonymous" : caller.name();
}

PrincipalPtr Principals::completed(Principal principal, const Directory& directory) const {
  AttachedPolicies& policies = principal.policies;
  policies.unreadable |= directory.damaged;
  const auto add = [&](const AttachedPolicies::One& one) {
    if (one.policy == nullptr) return;  // unreadable
    principal.wants |= one.policy->wants;
  };
  for (const AttachedPolicies::One& one : policies.identity) {
    add(one);
    if (one.policy != nullptr && one.policy->document != nullptr) {
      principal.documents.push_back(one.policy->document.get());
    }
  }
  if (policies.boundary) add(*policies.boundary);
  // Unless he is root, whom a policy that cannot be read does not bind: he has to be able to replace it.
  if (policies.unreadable && !principal.is_root()) return nullptr;
  principal.serial = next_serial_.fetch_add(1, std::memory_order_relaxed);
  return std::make_shared<const Principal>(std::move(principal));
}

PrincipalPtr Principals::make_user(uint32_t uid, const Directory& directory, const GroupPlaces& groups) const {
  Principal out;
  if (uid == 0 || uid == account_uid_) {
    auto root = policy::Caller::make(PrincipalType::kRoot, {}, fmt::format("arn:aws:iam::{}:root", account_id_));
    if (!root) return nullptr;
    out.caller = std::move(*root);
    out.type = "Account";
    out.arn = out.caller.arn();
    out.userid = account_id_;
    return completed(std::move(out), directory);
  }
  IdentityPtr identity;
  if (const auto mapped = directory.users.find(uid); mapped != directory.users.end()) {
    identity = mapped->second;
    out.username = identity->name;
  } else {
    const auto name = names_.user_name(uid);
    if (!name) {
      log_warning("uid {}: {}", uid, name.error().message);
      return nullptr;
    }
    if (*name && is_iam_name(**name)) {
      identity = directory.find(IdentityKind::kUser, **name);
      // Who was given uids is nobody else.
      if (identity == nullptr || identity->numbers.empty()) out.username = **name;
    }
    if (*name && out.username.empty()) {
      log_debug("uid {} is anonymous to policies: its login name is that of a user with other uids, or no user's", uid);
    }
  }
  if (out.username.empty()) return anonymous(directory, groups);
  auto caller = policy::Caller::make(PrincipalType::kUser, out.username,
                                     fmt::format("arn:aws:iam::{}:user/{}", account_id_, out.username));
  if (!caller) return anonymous(directory, groups);
  out.caller = std::move(*caller);
  out.type = "User";
  out.arn = out.caller.arn();
  out.userid = std::to_string(uid);
  if (identity != nullptr) {
    out.policies = directory.policies_of(*identity);
    for (const auto& [key, value] : identity->tags)
      out.tags.emplace_back("aws:principaltag/" + policy::lowered(key), value);
  }
  for (const uint32_t place : groups) {
    const Directory::GroupOfGid& group = directory.groups[place];
    // He may be named in it as well.
    const bool named =
        identity != nullptr && std::ranges::find(identity->groups, group.group->name) != identity->groups.end();
    if (named) continue;
    out.policies.unreadable |= group.policies.unreadable;
    out.policies.identity.insert(out.policies.identity.end(), group.policies.identity.begin(),
                                 group.policies.identity.end());
  }
  return completed(std::move(out), directory);
}

// A group's policies bind whoever has its gid; what they allow counts for users only.
PrincipalPtr Principals::anonymous(const Directory& directory, const GroupPlaces& groups) const {
  Principal out;
  auto caller = policy::Caller::make(PrincipalType::kAnonymous, {}, {});
  if (!caller) return nullptr;
  out.caller = std::move(*caller);
  out.type = "Anonymous";
  for (const uint32_t place : groups) {
    const AttachedPolicies& policies = directory.groups[place].policies;
    out.policies.unreadable |= policies.unreadable;
    out.policies.identity.insert(out.policies.identity.end(), policies.identity.begin(), policies.identity.end());
  }
  return completed(std::move(out), directory);
}

PrincipalPtr Principals::make_session(const RoleSession& session, const Directory& directory) const {
  const IdentityPtr role = directory.find(IdentityKind::kRole, session.role);
  if (role == nullptr) return nullptr;  // it was deleted meanwhile: its sessions may do nothing
  Principal out;
  auto caller =
      policy::Caller::make(PrincipalType::kRole, session.role,
                           fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", account_id_, session.role, session.name));
  if (!caller) return nullptr;
  out.caller = std::move(*caller);
  out.type = "AssumedRole";
  out.arn = fmt::format("arn:aws:iam::{}:role/{}", account_id_, session.role);
  out.userid = fmt::format("{}:{}", session.role, session.name);
  out.policies = directory.policies_of(*role);
  for (const auto& [key, value] : role->tags) out.tags.emplace_back("aws:principaltag/" + policy::lowered(key), value);
  return completed(std::move(out), directory);
}

Result<Principals::GroupPlaces> Principals::groups_of(const Caller& caller, const Directory& directory,
                                                      Time monotonic) {
  GroupPlaces out;
  if (directory.groups.empty()) return out;
  // Policies of groups deny as well.
  if (caller.groups != nullptr && !caller.groups->known()) {
    return fail(Code::kNotFound, "the groups of the process are not known: it has ended, or cannot be seen from here");
  }
  std::vector<std::vector<uint32_t>> gids;
  bool fresh = false;
  {
    ReaderLock lock(lock_);
    if (gids_generation_ == directory.generation) gids = gids_;
    fresh = !gids.empty() && monotonic - gids_asked_ < kNameTime;
  }
  if (!fresh) {
    std::vector<std::vector<uint32_t>> asked;
    for (const Directory::GroupOfGid& group : directory.groups) {
      std::vector<uint32_t> numbers = group.group->numbers;
      if (numbers.empty()) {
        const auto gid = names_.group_id(group.group->name);
        if (!gid && gids.empty()) return std::unexpected(gid.error());
        if (!gid) {  // as before
          numbers = gids[asked.size()];
        } else if (*gid) {
          numbers.push_back(**gid);
        }
      }
      asked.push_back(std::move(numbers));
    }
    gids = std::move(asked);
    WriterLock lock(lock_);
    gids_ = gids;
    gids_generation_ = directory.generation;
    gids_asked_ = monotonic;
  }
  for (uint32_t place = 0; place < gids.size(); ++place) {
    if (std::ranges::any_of(gids[place], [&](uint32_t gid) { return is_member(caller, gid); })) out.push_back(place);
  }
  return out;
}

std::optional<PrincipalPtr> Principals::find(const Key& key, uint64_t generation, Time monotonic) const {
  ReaderLock lock(lock_);
  const auto known = known_.find(key);
  const bool fresh =
      known != known_.end() && known->second.generation == generation && monotonic - known->second.asked < kNameTime;
  return fresh ? std::optional(known->second.principal) : std::nullopt;
}

PrincipalPtr Principals::keep(Key key, uint64_t generation, Time monotonic, PrincipalPtr made) {
  WriterLock lock(lock_);
  if (known_.size() >= kKnown) known_.clear();
  Known& known = known_[std::move(key)];
  // The same as before keeps its serial number, by which decisions are kept. While the name service fails he stays who
  // he was, unless something was changed.
  const bool current = known.principal != nullptr && known.generation == generation;
  const bool same = current && made != nullptr && made->caller.arn() == known.principal->caller.arn() &&
                    made->caller.type() == known.principal->caller.type();
  if (!same && !(current && made == nullptr)) known.principal = std::move(made);
  known.generation = generation;
  known.asked = monotonic;
  return known.principal;
}

Result<Principals::Key> Principals::key_of(const Caller& caller, const Directory& directory, Time monotonic, bool own,
                                           RoleSessionPtr& session) {
  Key key;
  key.uid = caller.uid;
  const bool root = caller.uid == 0 || caller.uid == account_uid_;
  if (!own && sessions_.any()) {
    auto found = sessions_.of(caller.pid, caller.uid, monotonic);
    if (!found && !root) return std::unexpected(found.error());
    if (found) session = std::move(*found);
  }
  if (session != nullptr) {
    key.who = fmt::format("role {}/{}", session->role, session->name);
    return key;
  }
  if (!directory.services.empty() && !(own && caller.pid == 0)) {
    const auto cgroups = process_cgroups(caller.pid);
    if (!cgroups && !root) {
      return fail(Code::kNotFound, "the control group of the process is not known: it has ended, or cannot be seen");
    }
    for (const IdentityPtr& service : directory.services) {
      if (cgroups && key.who.empty() && runs_in(*service, *cgroups)) key.who = service->name;
    }
  }
  if (key.who.empty() && !root) {
    PAILFS_ASSIGN(key.groups, groups_of(caller, directory, monotonic));
  }
  return key;
}

PrincipalPtr Principals::of(const Caller& caller, Time monotonic, bool own) {
  const DirectoryPtr directory = identities_.directory();
  RoleSessionPtr session;
  auto key = key_of(caller, *directory, monotonic, own, session);
  if (!key) {
    log_debug("uid {} is denied what policies have a say in: {}", caller.uid, key.error().message);
    return nullptr;
  }
  if (auto known = find(*key, directory->generation, monotonic)) return std::move(*known);
  PrincipalPtr made;  // without the lock: a name service may be slow
  if (session != nullptr) {
    made = make_session(*session, *directory);
  } else if (!key->who.empty()) {
    Principal service;
    if (auto it = policy::Caller::make(PrincipalType::kService, key->who, {})) {
      service.caller = std::move(*it);
      service.type = "Service";
      service.userid = key->who;
      made = completed(std::move(service), *directory);
    }
  } else {
    made = make_user(caller.uid, *directory, key->groups);
  }
  return keep(std::move(*key), directory->generation, monotonic, std::move(made));
}

}  // namespace pailfs
