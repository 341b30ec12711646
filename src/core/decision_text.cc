#include "core/decision_text.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "io/users.h"

namespace pailfs {

namespace {

using Class = DecisionTrace::Class;

std::string user_name(uint32_t uid) {
  const auto name = system_user_name(uid);
  return name && *name ? **name : fmt::format("uid {}", uid);
}

std::string group_name(uint32_t gid) {
  const auto name = system_group_name(gid);
  return name && *name ? **name : fmt::format("gid {}", gid);
}

std::string permissions(uint32_t bits) {
  std::string out = "rwx";
  for (size_t i = 0; i < out.size(); ++i) {
    if ((bits >> (2 - i) & 1) == 0) out[i] = '-';
  }
  return out;
}

std::string letters(uint32_t bits) {
  std::string out = permissions(bits);
  std::erase(out, '-');
  return out;
}

std::string object_text(const DecisionTrace::Check& check, const std::string& path) {
  return fmt::format("mode {:04o}{} of {} (owner {}, group {})", check.mode & 07777, check.has_acl ? " and ACL" : "",
                     path, user_name(check.uid), group_name(check.gid));
}

std::string class_text(const DecisionTrace::Check& check, const std::string& path) {
  std::string who;
  switch (check.by) {
    case Class::kNone:
      return "mode bits and ACLs were not asked";
    case Class::kSuperuser:
      if (!check.refused) return "uid 0 passes mode bits and ACLs";
      return fmt::format("{}: nobody has x, so that uid 0 does not run it either", object_text(check, path));
    case Class::kOwner:
      who = "the owner has";
      break;
    case Class::kUser:
      who = fmt::format("user {} has, within the mask,", user_name(check.id));
      break;
    case Class::kOwningGroup:
      who = check.has_acl ? "the group has, within the mask," : "the group has";
      break;
    case Class::kGroup:
      who = fmt::format("group {} has, within the mask,", group_name(check.id));
      break;
    case Class::kOther:
      who = "others have";
      break;
    case Class::kAclsOff:
      return fmt::format("{}: ACLs are off in the bucket (BucketOwnerEnforced), and no policy allows it",
                         object_text(check, path));
    case Class::kNobodyElse:
      if (check.has_acl) {
        return fmt::format("{}: no entry for a group or others has {}", object_text(check, path),
                           letters(check.wanted));
      }
      return fmt::format("{}: the group has {} and others have {}, {} wanted", object_text(check, path),
                         permissions(check.given >> 3), permissions(check.given),
                         letters(check.wanted) + (letters(check.wanted).size() == 1 ? " is" : " are"));
  }
  std::string out = fmt::format("{}: {} {}", object_text(check, path), who, permissions(check.given));
  const uint32_t missing = check.wanted & ~check.given;
  if (check.refused && missing != 0) {
    out += fmt::format(", {} {} missing", letters(missing), letters(missing).size() == 1 ? "is" : "are");
  }
  return out;
}

std::string owner_text(const DecisionTrace::Check& check, const std::string& path) {
  if (check.refused) return fmt::format("only the owner of {}, {}, may, and uid 0", path, user_name(check.uid));
  if (check.caller == 0) return "uid 0 may";
  return fmt::format("the owner of {} may", path);
}

std::string acl_text(const DecisionTrace::Check& check, const std::string& path) {
  switch (check.need) {
    case Need::kNothing:
      return "mode bits and ACLs keep nobody from it";
    case Need::kRemove:
      if (!check.refused || check.refused->code != Code::kNotPermitted) return class_text(check, path);
      return fmt::format("the directory {} is sticky, and neither it nor the file is theirs", path);
    case Need::kOwner:
      return owner_text(check, path);
    case Need::kWriteAcl:
      return check.refused ? owner_text(check, path) + ", the owner of the store, or who is granted WRITE_ACP"
                           : owner_text(check, path);
    case Need::kChown:
      if (!check.refused) return owner_text(check, path);
      return fmt::format(
          "only uid 0 gives files away, and only the owner of {}, {}, changes its group, to one of the "
          "owner's own",
          path, user_name(check.uid));
    case Need::kOwnerOrWrite:
      return check.by == Class::kNone ? owner_text(check, path) : class_text(check, path);
    case Need::kAccount:
      return check.refused ? "only the account that owns the store may, and uid 0, unless a policy allows it"
                           : "the account that owns the store may, and uid 0";
    case Need::kSearch:
    case Need::kRead:
    case Need::kWrite:
    case Need::kReadWrite:
    case Need::kPermissions:
    case Need::kExecute:
    case Need::kChangeDirectory:
      break;
  }
  return class_text(check, path);
}

// The question that a policy decided by. To hide a name is to deny that it is listed.
const DecisionTrace::Asked* decisive(const DecisionTrace::Check& check) {
  const std::string_view outcome = check.refused ? "ExplicitDeny" : "Allow";
  const auto found = std::find_if(check.policies.rbegin(), check.policies.rend(), [&](const auto& asked) {
    return asked.outcome == outcome && (!check.hidden || asked.action == "s3:ListBucket");
  });
  if (found != check.policies.rend()) return &*found;
  return check.policies.empty() ? nullptr : &check.policies.back();
}

}  // namespace

std::string decision_text(const DecisionTrace::Check& check, const std::string& path) {
  const DecisionTrace::Asked* const asked = decisive(check);
  if (check.by_policy) {
    std::string why = asked == nullptr ? "a policy" : asked->because;
    if (check.hidden) return why + ": names are hidden that may neither be listed nor used";
    return why;
  }
  std::string acl = acl_text(check, path);
  if (check.policies.empty()) return acl;
  return fmt::format("{}; {}", check.policies.back().because, acl);
}

std::string user_text(uint32_t uid) {
  const auto name = system_user_name(uid);
  return name && *name ? fmt::format("{} (uid {})", **name, uid) : fmt::format("uid {}", uid);
}

std::string managers_text(uint32_t account) {
  return account == 0 ? "root, the owner of the store"
                      : fmt::format("root and the owner of the store (uid {})", account);
}

std::string_view refusal_name(Code code) {
  switch (code) {
    case Code::kAccessDenied:
      return "EACCES";
    case Code::kNotPermitted:
      return "EPERM";
    case Code::kNotFound:
      return "ENOENT";
    default:
      return code_name(code);
  }
}

}  // namespace pailfs
