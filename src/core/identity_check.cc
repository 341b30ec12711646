// Checking the records of users, groups, roles, services and managed policies, and what a repair does about those that
// cannot be read.
#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "core/repair.h"

namespace pailfs {

namespace {

// "the user alice"
std::string the(const Identity& identity) {
  return fmt::format("the {} {}", identity_kind_name(identity.kind), identity.name);
}

// Policies that are no policies any more, and the names of what is not there.
std::vector<std::string> problems_of(const Identity& identity, const Directory& directory) {
  std::vector<std::string> out;
  const auto policy = [&](const StoredPolicyPtr& stored, std::string_view which) {
    if (stored == nullptr || stored->document != nullptr) return;
    out.push_back(
        fmt::format("{} of {} cannot be read: put it anew, or delete it; until then who goes by it is denied "
                    "everything",
                    which, the(identity)));
  };
  const std::string_view own = identity_kind_name(identity.kind);
  const auto named = [&](IdentityKind kind, const std::string& name, const std::string& leave) {
    if (name.empty() || directory.find(kind, name) != nullptr) return;
    const char* const command = kind == IdentityKind::kGroup ? "group" : "managed-policy";
    out.push_back(fmt::format(
        "{} goes by the {} {}, which is lost: make it anew ('pail {} create'), or do without it ('pail {}'); "
        "until then all that policies speak of is denied",
        the(identity), identity_kind_name(kind), name, command, leave));
  };
  for (const auto& [name, stored] : identity.inlined) policy(stored, "policy " + name);
  for (const auto& [number, version] : identity.versions) policy(version.policy, fmt::format("version v{}", number));
  policy(identity.trust, "the trust policy");
  for (const std::string& name : identity.attached) {
    named(IdentityKind::kManagedPolicy, name, fmt::format("{} detach {} {}", own, identity.name, name));
  }
  named(IdentityKind::kManagedPolicy, identity.boundary, fmt::format("{} boundary {} --none", own, identity.name));
  for (const std::string& name : identity.groups) {
    named(IdentityKind::kGroup, name, fmt::format("group remove {} {}", name, identity.name));
  }
  return out;
}

// The kind is all that is left of a record that cannot be read: it is in the key.
std::string_view kind_of_key(std::string_view key) {
  const size_t at = keys::identities().size();
  const std::string_view name =
      key.size() > at ? identity_kind_name(static_cast<IdentityKind>(key[at])) : std::string_view();
  return name.empty() ? "user, group or role" : name;
}

}  // namespace

Status check_identities(Core::Impl& core, CheckReport& report) {
  Directory found;
  PAILFS_TRY(scan_for_check(
      report, core.store, kStoreScope, keys::identities(), keys::after_prefix(keys::identities()),
      [&](const StoreView::Entry& entry) -> Status {
        auto identity = decode_identity(entry.value);
        if (!identity) {
          report.problem("index", 0, fmt::format("a {}: {}", kind_of_key(entry.key), identity.error().message));
          return {};
        }
        Directory::Key key(identity->kind, identity->name);
        found.all[std::move(key)] = std::make_shared<const Identity>(std::move(*identity));
        return {};
      }));
  for (const auto& [key, identity] : found.all) {
    for (std::string& problem : problems_of(*identity, found)) report.problem("index", 0, std::move(problem));
  }
  return {};
}

// Whom a lost policy denied something he may do it now; whoever goes by a lost managed policy or group is denied
// everything, as its name is all that is left of it.
Status Repair::identities() {
  return each(
      kStoreScope, keys::identities(), keys::after_prefix(keys::identities()),
      [](const StoreView::Entry& entry) -> Status {
        const auto identity = decode_identity(entry.value);
        return identity ? Status() : Status(std::unexpected(identity.error()));
      },
      [&](const std::string& key, const Error& why) -> Status {
        ++result_.unreadable_values;
        fixed("index", 0,
              fmt::format(
                  "the record of a {} cannot be read ({}): dropped; its policies, which may have denied something, "
                  "hold no more: see what is left, and make anew what is missing",
                  kind_of_key(key), why.message));
        return erase(key);
      });
}

}  // namespace pailfs
