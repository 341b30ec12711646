// Users, groups, roles, services and managed policies of a store, and their records (kind 'u'). IAM User Guide, "IAM
// identities", "Managed policies and inline policies", "Permissions boundaries for IAM entities".
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/stored_policy.h"
#include "core/types.h"

namespace pailfs {

enum class IdentityKind : uint8_t { kUser = 1, kGroup = 2, kRole = 3, kService = 4, kManagedPolicy = 5 };
std::string_view identity_kind_name(IdentityKind kind);  // "user", "group", "role", "service", "managed policy"

struct PolicyVersion {
  Time created = 0;
  StoredPolicyPtr policy;
};

// One of any kind; what its kind does not have is empty.
struct Identity {
  IdentityKind kind = IdentityKind::kUser;
  std::string name;
  // Users: the uids that are this user; groups: the gids. None: those that the system has under the name.
  std::vector<uint32_t> numbers;
  std::vector<std::string> groups;                 // users: those he is in, besides the ones that his process is in
  std::map<std::string, StoredPolicyPtr> inlined;  // policies of his own, by name
  std::vector<std::string> attached;               // names of managed policies
  std::string boundary;                            // users and roles: the name of a managed policy
  std::map<std::string, std::string> tags;         // users and roles: aws:PrincipalTag/KEY
  StoredPolicyPtr trust;                           // roles: who may assume it
  uint32_t max_session = 0;                        // roles: seconds
  // Services: control groups, as paths below the root of their hierarchy, and names of units of the system's systemd,
  // which have no slash in them; what runs in one or below it is the service.
  std::vector<std::string> cgroups;
  // Managed policies: up to five, by number, and the one in force.
  std::map<uint32_t, PolicyVersion> versions;
  uint32_t default_version = 0;
  uint32_t last_version = 0;  // that was given, where that one is no more; no number is given twice

  uint32_t next_version() const { return std::max(versions.empty() ? 0 : versions.rbegin()->first, last_version) + 1; }
};
using IdentityPtr = std::shared_ptr<const Identity>;

// IAM and AWS STS quotas, as far as they keep a store in bounds.
inline constexpr size_t kMaxVersions = 5;  // of a managed policy
inline constexpr size_t kMaxTags = 50;
inline constexpr uint32_t kMinSession = 900,
                          kMaxSession = 43200;  // seconds, IAM User Guide, "Maximum session duration"

// IAM API Reference, CreateUser: "upper and lowercase alphanumeric characters with no spaces […] _+=,.@-", 1 to 64.
bool is_iam_name(std::string_view name);

// Whether a process that is in these control groups (process_cgroups()) is the service.
bool runs_in(const Identity& service, const std::vector<std::string>& cgroups);

// Whether all of it is well-formed; that what it names exists is for Identities. kInvalid says what is wrong.
Status check_identity(const Identity& identity);

std::string encode_identity(const Identity& identity);
// kCorrupt. A policy in it that cannot be read does not fail it: see StoredPolicy::document.
Result<Identity> decode_identity(std::string_view value);

}  // namespace pailfs
