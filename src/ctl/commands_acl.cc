// acl.get, acl.put and ownership: ACLs in S3's words, with people and groups by name.
#include <fmt/format.h>

#include <array>
#include <charconv>

#include "core/acl_ops.h"
#include "ctl/commands_internal.h"
#include "io/users.h"

namespace pailfs::commands {
namespace {

struct KnownGroup {
  GranteeKind kind;
  std::string_view name;
  std::string_view uri;  // Amazon S3 User Guide, "Amazon S3 predefined groups"
};
constexpr std::array<KnownGroup, 3> kGroups{{
    {GranteeKind::kAllUsers, "AllUsers", "http://acs.amazonaws.com/groups/global/AllUsers"},
    {GranteeKind::kAuthenticatedUsers, "AuthenticatedUsers",
     "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"},
    {GranteeKind::kLogDelivery, "LogDelivery", "http://acs.amazonaws.com/groups/s3/LogDelivery"},
}};

struct KnownPermission {
  uint8_t bits;
  std::string_view name;
};
constexpr std::array<KnownPermission, 5> kPermissions{{
    {kGrantFullControl, "FULL_CONTROL"},
    {kGrantRead, "READ"},
    {kGrantWrite, "WRITE"},
    {kGrantReadAcp, "READ_ACP"},
    {kGrantWriteAcp, "WRITE_ACP"},
}};

// FULL_CONTROL, or the others that there are.
Json describe_permissions(uint8_t bits) {
  Json out = Json::array();
  for (const KnownPermission& known : kPermissions) {
    if ((bits & known.bits) != known.bits) continue;
    out.push_back(known.name);
    bits &= static_cast<uint8_t>(~known.bits);
  }
  return out;
}

Json describe_user(const Core& core, uint32_t uid) {
  Json out = {{"type", "user"}, {"uid", uid}};
  // Without a name service there are numbers.
  if (const auto name = system_user_name(uid); name && *name) out["name"] = **name;
  if (const std::string arn = core.principal_arn(uid); !arn.empty()) out["arn"] = arn;
  return out;
}

Json describe_grantee(const Core& core, const Grantee& grantee) {
  if (grantee.kind == GranteeKind::kUser) return describe_user(core, grantee.id);
  if (grantee.kind == GranteeKind::kGroup) {
    Json out = {{"type", "group"}, {"gid", grantee.id}};
    if (const auto name = system_group_name(grantee.id); name && *name) out["name"] = **name;
    return out;
  }
  for (const KnownGroup& known : kGroups) {
    if (known.kind == grantee.kind) return {{"type", known.name}, {"uri", known.uri}};
  }
  return Json::object();
}

Json describe_grants(const Core& core, const std::vector<Grant>& grants) {
  Json out = Json::array();
  for (const Grant& grant : grants) {
    out.push_back(
        {{"grantee", describe_grantee(core, grant.grantee)}, {"permissions", describe_permissions(grant.permissions)}});
  }
  return out;
}

// A number as it stands, or what `look_up` finds.
Result<uint32_t> parse_id(std::string_view what, const std::string& text,
                          Result<std::optional<uint32_t>> (*look_up)(const std::string&)) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  PAILFS_ASSIGN(const auto found, look_up(text));
  if (found) return *found;
  return fail(Code::kInvalid, fmt::format("InvalidArgument: the system has no {} '{}'", what, printable(text)));
}

Result<uint32_t> parse_arn(const Core& core, const std::string& arn) {
  const std::string account = fmt::format("arn:aws:iam::{}:", core.account_id()), user = account + "user/";
  if (arn == account + "root") return core.gate().account();
  if (arn.starts_with(user)) {
    const std::string name = arn.substr(user.size());
    PAILFS_ASSIGN(const auto mapped, core.mapped_uid(name));
    return mapped ? *mapped : parse_id("user", name, system_user_id);
  }
  return fail(Code::kInvalid, fmt::format("InvalidArgument: {} is no user of this store's account ({}USER, or {}root)",
                                          printable(arn), user, account));
}

Result<Grantee> parse_grantee(const Core& core, const std::string& who) {
  for (const KnownGroup& known : kGroups) {
    if (who == known.name || who == known.uri) return Grantee{known.kind};
  }
  constexpr std::string_view kGroup = "group:", kUser = "user:";
  Grantee out;
  if (who.starts_with(kGroup)) {
    out.kind = GranteeKind::kGroup;
    PAILFS_ASSIGN(out.id, parse_id("group", who.substr(kGroup.size()), system_group_id));
  } else if (who.starts_with("arn:")) {
    PAILFS_ASSIGN(out.id, parse_arn(core, who));
  } else {
    PAILFS_ASSIGN(out.id, parse_id("user", who.starts_with(kUser) ? who.substr(kUser.size()) : who, system_user_id));
  }
  return out;
}

Result<uint8_t> parse_permission(const Json& json) {
  if (json.is_string()) {
    for (const KnownPermission& known : kPermissions) {
      if (json.get<std::string>() == known.name) return known.bits;
    }
  }
  return fail(Code::kInvalid,
              fmt::format("InvalidArgument: {} is no permission (known: READ, WRITE, READ_ACP, WRITE_ACP, "
                          "FULL_CONTROL)",
                          dump(json)));
}

// [{"grantee": "alice", "permissions": ["READ"]}, …]
Result<std::vector<Grant>> parse_grants(const Core& core, const Json& args) {
  std::vector<Grant> grants;
  const auto listed = args.find("grants");
  if (listed == args.end()) return grants;
  if (!listed->is_array()) return fail(Code::kInvalid, "the argument 'grants' must be a list");
  for (const Json& one : *listed) {
    if (!one.is_object()) return fail(Code::kInvalid, "an element of 'grants' must be an object");
    PAILFS_ASSIGN(const std::string who, string_argument(one, "grantee"));
    Grant grant;
    PAILFS_ASSIGN(grant.grantee, parse_grantee(core, who));
    const auto permissions = one.find("permissions");
    if (permissions == one.end() || !permissions->is_array()) {
      return fail(Code::kInvalid, "the argument 'permissions' of a grant must be a list");
    }
    for (const Json& permission : *permissions) {
      PAILFS_ASSIGN(const uint8_t bits, parse_permission(permission));
      grant.permissions |= bits;
    }
    grants.push_back(grant);
  }
  return grants;
}

}  // namespace

Result<Json> acl_get(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  PAILFS_ASSIGN(const ObjectAcl acl, context.core.object_acl(context.caller, object.bucket, object.path));
  Json out = {{"bucket", object.bucket},
              {"path", bytes_to_json(object.path)},
              {"ownership", ownership_name(acl.ownership)},
              {"owner", describe_user(context.core, acl.policy.owner)},
              {"grants", describe_grants(context.core, acl.policy.grants)}};
  if (!acl.policy.withheld.empty()) out["withheld"] = describe_grants(context.core, acl.policy.withheld);
  return out;
}

Result<Json> acl_put(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  AclRequest request;
  PAILFS_ASSIGN(request.canned, string_argument(args, "canned", ""));
  PAILFS_ASSIGN(request.grants, parse_grants(context.core, args));
  if (request.canned.empty() == request.grants.empty()) {
    return fail(Code::kInvalid, "InvalidRequest: give a canned ACL or grants, and not both");
  }
  PAILFS_TRY(context.core.put_object_acl(context.caller, object.bucket, object.path, request));
  PAILFS_TRY(context.core.sync());
  if (context.daemon != nullptr) context.daemon->settle_names();
  return acl_get(context, args);
}

// With the member "ownership": sets it.
Result<Json> ownership(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket"));
  PAILFS_ASSIGN(const std::string wanted, string_argument(args, "ownership", ""));
  if (!wanted.empty()) {
    PAILFS_ASSIGN(const ObjectOwnership value, parse_ownership(wanted));
    PAILFS_TRY(context.core.set_bucket_ownership(context.caller, bucket, value));
    PAILFS_TRY(context.core.sync());
    return Json{{"bucket", bucket}, {"ownership", ownership_name(value)}};
  }
  PAILFS_ASSIGN(const ObjectOwnership is, context.core.bucket_ownership(context.caller, bucket));
  return Json{{"bucket", bucket}, {"ownership", ownership_name(is)}};
}

}  // namespace pailfs::commands
