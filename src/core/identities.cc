#include "core/identities.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "core/records.h"
#include "core/scan.h"
#include "store/store.h"

namespace pailfs {

namespace {

std::string described(IdentityKind kind, std::string_view name) {
  return fmt::format("{} {}", identity_kind_name(kind), printable(name));
}

// Derives from `all` what is asked for often.
void complete(Directory& directory) {
  directory.users.clear();
  directory.groups.clear();
  directory.services.clear();
  directory.policies = directory.damaged;
  for (const auto& [key, identity] : directory.all) {
    for (const uint32_t number : identity->numbers) {
      if (identity->kind == IdentityKind::kUser) directory.users[number] = identity;
    }
    if (identity->kind == IdentityKind::kService) directory.services.push_back(identity);
    if (identity->kind == IdentityKind::kManagedPolicy || identity->kind == IdentityKind::kService) continue;
    AttachedPolicies policies = directory.policies_of(*identity);
    directory.policies |= !policies.empty();
    if (identity->kind == IdentityKind::kGroup && !policies.empty()) {
      directory.groups.push_back({identity, std::move(policies)});
    }
  }
}

void add_policies(const Directory& directory, const Identity& identity, AttachedPolicies& out) {
  const std::string owner = described(identity.kind, identity.name);
  const auto add = [&](StoredPolicyPtr policy, std::string name) {
    out.unreadable |= policy == nullptr || policy->document == nullptr;
    out.identity.push_back({std::move(policy), std::move(name)});
  };
  for (const auto& [name, policy] : identity.inlined) add(policy, fmt::format("policy {} of {}", name, owner));
  for (const std::string& name : identity.attached) {
    const IdentityPtr managed = directory.find(IdentityKind::kManagedPolicy, name);
    add(managed == nullptr ? nullptr : managed->versions.at(managed->default_version).policy,
        fmt::format("{} of {}", described(IdentityKind::kManagedPolicy, name), owner));
  }
}

// Whether a user, group or role goes by the managed policy, or a user is in the group.
bool uses(const Identity& identity, IdentityKind kind, const std::string& name) {
  if (kind == IdentityKind::kGroup) return std::ranges::find(identity.groups, name) != identity.groups.end();
  return kind == IdentityKind::kManagedPolicy &&
         (identity.boundary == name || std::ranges::find(identity.attached, name) != identity.attached.end());
}

Status check_removal(const Directory& directory, IdentityKind kind, const std::string& name) {
  for (const auto& [key, other] : directory.all) {
    if (uses(*other, kind, name)) {
      return fail(Code::kBusy, fmt::format("DeleteConflict: {} is in use by {}", described(kind, name),
                                           described(other->kind, other->name)));
    }
  }
  return {};
}

// That what it names is there, and that nobody else has its uids and gids. What it named before may be lost, by damage.
Status check_references(const Directory& directory, const Identity* before, const Identity& identity) {
  const auto exists = [&](IdentityKind kind, const std::string& name) -> Status {
    if (directory.find(kind, name) != nullptr || (before != nullptr && uses(*before, kind, name))) return {};
    return fail(Code::kNotFound, fmt::format("NoSuchEntity: there is no {}", described(kind, name)));
  };
  for (const std::string& group : identity.groups) PAILFS_TRY(exists(IdentityKind::kGroup, group));
  for (const std::string& policy : identity.attached) PAILFS_TRY(exists(IdentityKind::kManagedPolicy, policy));
  if (!identity.boundary.empty()) PAILFS_TRY(exists(IdentityKind::kManagedPolicy, identity.boundary));
  for (const auto& [key, other] : directory.all) {
    if (other->kind != identity.kind || other->name == identity.name) continue;
    for (const uint32_t number : identity.numbers) {
      if (std::ranges::find(other->numbers, number) == other->numbers.end()) continue;
      return fail(Code::kExists, fmt::format("{} is {} already", number, described(other->kind, other->name)));
    }
  }
  return {};
}

}  // namespace

IdentityPtr Directory::find(IdentityKind kind, std::string_view name) const {
  const auto found = all.find(Key(kind, name));
  return found == all.end() ? nullptr : found->second;
}

AttachedPolicies Directory::policies_of(const Identity& identity) const {
  AttachedPolicies out;
  add_policies(*this, identity, out);
  for (const std::string& name : identity.groups) {
    if (const IdentityPtr group = find(IdentityKind::kGroup, name)) {
      add_policies(*this, *group, out);
    } else {
      out.unreadable = true;
    }
  }
  if (!identity.boundary.empty()) {
    const IdentityPtr managed = find(IdentityKind::kManagedPolicy, identity.boundary);
    StoredPolicyPtr policy = managed == nullptr ? nullptr : managed->versions.at(managed->default_version).policy;
    out.unreadable |= policy == nullptr || policy->document == nullptr;
    out.boundary = AttachedPolicies::One{std::move(policy), fmt::format("boundary {} of {}", identity.boundary,
                                                                        described(identity.kind, identity.name))};
  }
  return out;
}

Identities::Identities(Store& store) : store_(store), directory_(std::make_shared<const Directory>()) {}

Status Identities::load() {
  Directory directory;
  const auto read = [&](const StoreView::Entry& entry) -> Result<bool> {
    auto identity = decode_identity(entry.value);
    if (!identity) {
      directory.damaged = true;
      log_error("{}: all but root are denied everything until 'pail repair' was run", identity.error().message);
      return true;
    }
    Directory::Key key(identity->kind, identity->name);
    directory.all[std::move(key)] = std::make_shared<const Identity>(std::move(*identity));
    return true;
  };
  const Status scanned = scan_prefix(store_, kStoreScope, keys::identities(), read);
  if (!scanned && scanned.error().code != Code::kCorrupt) return scanned;
  if (!scanned) {
    directory.damaged = true;
    log_error(
        "users, groups and roles cannot be read ({}): all but root are denied everything until 'pail repair' was "
        "run",
        scanned.error().message);
  }
  replace(std::move(directory));
  return {};
}

DirectoryPtr Identities::directory() const {
  ReaderLock lock(lock_);
  return directory_;
}

void Identities::replace(Directory directory) {
  complete(directory);
  const bool any = directory.policies || !directory.services.empty();
  WriterLock lock(lock_);
  directory.generation = generation_.load(std::memory_order_relaxed) + 1;
  directory_ = std::make_shared<const Directory>(std::move(directory));
  any_.store(any, std::memory_order_release);
  generation_.store(directory_->generation, std::memory_order_release);
}

Result<std::optional<Identity>> Identities::changed(IdentityKind kind, const std::string& name,
                                                    const Change& change) const {
  const DirectoryPtr directory = this->directory();
  if (directory->damaged) {  // what cannot be read may be what is changed, or have what is asked for
    return fail(Code::kCorrupt,
                "some users, groups, roles, services or managed policies cannot be read: run 'pail repair'");
  }
  const IdentityPtr found = directory->find(kind, name);
  PAILFS_ASSIGN(std::optional<Identity> after, change(found == nullptr ? std::nullopt : std::optional(*found)));
  if (!after) {
    if (found != nullptr) PAILFS_TRY(check_removal(*directory, kind, name));
    return after;
  }
  PAILFS_TRY(check_identity(*after));
  PAILFS_TRY(check_references(*directory, found.get(), *after));
  return after;
}

void Identities::write(IdentityKind kind, const std::string& name, const std::optional<Identity>& identity,
                       Transaction& tx) const {
  const std::array<char, 16> token = store_.token(kStoreScope, name);
  const std::string key = keys::identity(static_cast<uint8_t>(kind), std::string_view(token.data(), token.size()));
  if (!identity) return tx.erase(key);
  tx.put(kStoreScope, key, encode_identity(*identity));
}

void Identities::set(std::vector<After> changed) {
  Directory next = *directory();
  for (auto& [key, identity] : changed) {
    if (identity) {
      next.all[key] = std::make_shared<const Identity>(std::move(*identity));
    } else {
      next.all.erase(key);
    }
  }
  replace(std::move(next));
}

}  // namespace pailfs
