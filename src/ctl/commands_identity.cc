// Users, groups, roles, services and managed policies; and roles that processes assume.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/identity_ops.h"
#include "core/time_text.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

constexpr std::array<std::pair<std::string_view, IdentityKind>, 5> kKinds{
    {{"user", IdentityKind::kUser},
     {"group", IdentityKind::kGroup},
     {"role", IdentityKind::kRole},
     {"service", IdentityKind::kService},
     {"managed-policy", IdentityKind::kManagedPolicy}}};

Result<IdentityKind> kind_argument(const Json& args) {
  PAILFS_ASSIGN(const std::string text, string_argument(args, "kind"));
  const auto* const found = std::ranges::find(kKinds, text, &decltype(kKinds)::value_type::first);
  if (found != kKinds.end()) return found->second;
  return fail(Code::kInvalid, "the argument 'kind' is user, group, role, service or managed-policy");
}

// Arguments of a change that give nothing: what they are about need not be created for them.
constexpr std::array<const char*, 8> kTakenAway{{"delete", "remove_numbers", "remove_groups", "remove_cgroups",
                                                 "delete_policies", "detach", "untag", "delete_version"}};

// Lists of strings, and objects of them; none where the argument is missing.
Result<std::vector<std::string>> list_argument(const Json& args, const char* name) {
  std::vector<std::string> out;
  if (!args.contains(name)) return out;
  for (const Json& item : args[name]) {
    if (!args[name].is_array() || !item.is_string()) {
      return fail(Code::kInvalid, fmt::format("the argument '{}' is a list of strings", name));
    }
    out.push_back(item.get<std::string>());
  }
  return out;
}

Result<std::map<std::string, std::string>> map_argument(const Json& args, const char* name) {
  std::map<std::string, std::string> out;
  if (!args.contains(name)) return out;
  if (!args[name].is_object()) return fail(Code::kInvalid, fmt::format("the argument '{}' is an object", name));
  for (const auto& [key, value] : args[name].items()) {
    if (!value.is_string()) return fail(Code::kInvalid, fmt::format("the argument '{}' has strings in it", name));
    out[key] = value.get<std::string>();
  }
  return out;
}

Result<std::vector<uint32_t>> numbers_argument(const Json& args, const char* name) {
  std::vector<uint32_t> out;
  if (!args.contains(name)) return out;
  for (const Json& item : args[name]) {
    // (uid_t)-1 and (gid_t)-1 mean "none" to system calls.
    if (!args[name].is_array() || !item.is_number_unsigned() || item.get<uint64_t>() >= UINT32_MAX) {
      return fail(Code::kInvalid, fmt::format("the argument '{}' is a list of uids or gids: numbers from 0 to {}", name,
                                              UINT32_MAX - 1));
    }
    out.push_back(item.get<uint32_t>());
  }
  return out;
}

template <class T>
void add_new(std::vector<T>& to, const std::vector<T>& what) {
  for (const T& one : what) {
    if (std::ranges::find(to, one) == to.end()) to.push_back(one);
  }
}

template <class T>
Status take_away(std::vector<T>& from, const std::vector<T>& what, std::string_view of) {
  for (const T& one : what) {
    if (std::erase(from, one) == 0)
      return fail(Code::kNotFound, fmt::format("NoSuchEntity: {} is not among the {}", one, of));
  }
  return {};
}

// One request to change an identity: what it asks for, applied in the order in which it stands here.
class IdentityChange {
 public:
  IdentityChange(const CommandContext& context, const Json& args, Identity& identity)
      : context_(context), args_(args), out_(identity) {}

  Status apply() {
    PAILFS_ASSIGN(accept_, bool_argument(args_, "accept_unknown_keys", false));
    PAILFS_TRY(mapping());
    PAILFS_TRY(policies());
    PAILFS_TRY(tags());
    PAILFS_TRY(role());
    return versions();
  }

 private:
  bool is_user_or_role() const { return out_.kind == IdentityKind::kUser || out_.kind == IdentityKind::kRole; }
  bool has_policies() const { return is_user_or_role() || out_.kind == IdentityKind::kGroup; }
  // The arguments are for some kinds only.
  Status only(bool right, std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (args_.contains(name) && !right) {
        return fail(Code::kInvalid, fmt::format("a {} has no such thing: {}", identity_kind_name(out_.kind), name));
      }
    }
    return {};
  }
  std::string of_it(std::string_view what) const {
    return fmt::format("{} of {} {}", what, identity_kind_name(out_.kind), out_.name);
  }
  Result<StoredPolicyPtr> compiled(std::string text, policy::DocumentKind kind) const {
    return IdentityOps::compile(std::move(text), kind, accept_);
  }

  Status mapping() {
    const bool numbered = out_.kind == IdentityKind::kUser || out_.kind == IdentityKind::kGroup;
    PAILFS_TRY(only(numbered, {"add_numbers", "remove_numbers"}));
    PAILFS_TRY(only(out_.kind == IdentityKind::kUser, {"add_groups", "remove_groups"}));
    PAILFS_TRY(only(out_.kind == IdentityKind::kService, {"add_cgroups", "remove_cgroups"}));
    PAILFS_ASSIGN(const auto more_numbers, numbers_argument(args_, "add_numbers"));
    PAILFS_ASSIGN(const auto fewer_numbers, numbers_argument(args_, "remove_numbers"));
    if (out_.kind == IdentityKind::kUser && std::ranges::any_of(more_numbers, [&](uint32_t uid) {
          return uid == 0 || uid == context_.core.gate().account();
        })) {
      return fail(Code::kInvalid, "root and the owner of the store are the account's root, and no user");
    }
    add_new(out_.numbers, more_numbers);
    PAILFS_TRY(take_away(out_.numbers, fewer_numbers, of_it("numbers")));
    PAILFS_ASSIGN(const auto more_groups, list_argument(args_, "add_groups"));
    PAILFS_ASSIGN(const auto fewer_groups, list_argument(args_, "remove_groups"));
    add_new(out_.groups, more_groups);
    PAILFS_TRY(take_away(out_.groups, fewer_groups, of_it("groups")));
    PAILFS_ASSIGN(const auto more_cgroups, list_argument(args_, "add_cgroups"));
    PAILFS_ASSIGN(const auto fewer_cgroups, list_argument(args_, "remove_cgroups"));
    add_new(out_.cgroups, more_cgroups);
    return take_away(out_.cgroups, fewer_cgroups, of_it("control groups"));
  }

  Status policies() {
    PAILFS_TRY(only(has_policies(), {"put_policies", "delete_policies", "attach", "detach"}));
    PAILFS_TRY(only(is_user_or_role(), {"boundary"}));
    PAILFS_ASSIGN(auto put, map_argument(args_, "put_policies"));
    for (auto& [name, text] : put) {
      PAILFS_ASSIGN(out_.inlined[name], compiled(std::move(text), policy::DocumentKind::kIdentity));
    }
    PAILFS_ASSIGN(const auto erased, list_argument(args_, "delete_policies"));
    for (const std::string& name : erased) {
      if (out_.inlined.erase(name) == 0) {
        return fail(Code::kNotFound, fmt::format("NoSuchEntity: it has no policy {} of its own", printable(name)));
      }
    }
    PAILFS_ASSIGN(const auto attach, list_argument(args_, "attach"));
    PAILFS_ASSIGN(const auto detach, list_argument(args_, "detach"));
    add_new(out_.attached, attach);
    PAILFS_TRY(take_away(out_.attached, detach, of_it("managed policies")));
    if (args_.contains("boundary")) {
      PAILFS_ASSIGN(out_.boundary, string_argument(args_, "boundary"));
    }
    return {};
  }

  Status tags() {
    PAILFS_TRY(only(is_user_or_role(), {"tag", "untag"}));
    PAILFS_ASSIGN(const auto tag, map_argument(args_, "tag"));
    for (const auto& [key, value] : tag) out_.tags[key] = value;
    PAILFS_ASSIGN(const auto untag, list_argument(args_, "untag"));
    for (const std::string& key : untag) {
      if (out_.tags.erase(key) == 0) return fail(Code::kNotFound, "NoSuchEntity: it has no tag " + printable(key));
    }
    return {};
  }

  Status role() {
    PAILFS_TRY(only(out_.kind == IdentityKind::kRole, {"trust", "max_session"}));
    if (args_.contains("trust")) {
      PAILFS_ASSIGN(std::string text, string_argument(args_, "trust"));
      PAILFS_ASSIGN(out_.trust, compiled(std::move(text), policy::DocumentKind::kTrust));
    }
    if (args_.contains("max_session")) {
      PAILFS_ASSIGN(const int64_t seconds, integer_argument(args_, "max_session", 0));
      out_.max_session = static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, UINT32_MAX));
    } else if (out_.kind == IdentityKind::kRole && out_.max_session == 0) {
      out_.max_session = 3600;  // IAM's default
    }
    return {};
  }

  Status versions() {
    PAILFS_TRY(only(out_.kind == IdentityKind::kManagedPolicy,
                    {"new_version", "keep_default", "default_version", "delete_version"}));
    PAILFS_ASSIGN(const int64_t erased, integer_argument(args_, "delete_version", 0));
    if (erased != 0) {
      if (erased == out_.default_version) {
        return fail(Code::kInvalid, "DeleteConflict: the version is the default one: make another that first");
      }
      out_.last_version = out_.next_version() - 1;
      if (erased > UINT32_MAX || out_.versions.erase(static_cast<uint32_t>(erased)) == 0) {
        return fail(Code::kNotFound, fmt::format("NoSuchEntity: there is no version {}", erased));
      }
    }
    if (args_.contains("new_version")) {
      PAILFS_ASSIGN(std::string text, string_argument(args_, "new_version"));
      PAILFS_ASSIGN(const bool keep, bool_argument(args_, "keep_default", false));
      PAILFS_ASSIGN(StoredPolicyPtr policy, compiled(std::move(text), policy::DocumentKind::kBoundary));
      const uint32_t number = out_.next_version();
      out_.versions[number] = {context_.core.store().env().now(), std::move(policy)};
      if (!keep || out_.default_version == 0) out_.default_version = number;
    }
    PAILFS_ASSIGN(const int64_t chosen, integer_argument(args_, "default_version", 0));
    if (chosen != 0) out_.default_version = static_cast<uint32_t>(std::clamp<int64_t>(chosen, 0, UINT32_MAX));
    return {};
  }

  const CommandContext& context_;
  const Json& args_;
  Identity& out_;
  bool accept_ = false;
};

Json describe(const CommandContext& context, const Identity& identity) {
  Json out = {{"name", identity.name}};
  const auto* const kind = std::ranges::find(kKinds, identity.kind, &decltype(kKinds)::value_type::second);
  out["kind"] = kind->first;
  const std::string account = context.core.account_id();
  switch (identity.kind) {
    case IdentityKind::kUser:
    case IdentityKind::kGroup:
    case IdentityKind::kRole:
      out["arn"] = fmt::format("arn:aws:iam::{}:{}/{}", account, kind->first, identity.name);
      break;
    case IdentityKind::kManagedPolicy:
      out["arn"] = fmt::format("arn:aws:iam::{}:policy/{}", account, identity.name);
      break;
    case IdentityKind::kService:
      break;
  }
  if (!identity.numbers.empty()) out[identity.kind == IdentityKind::kUser ? "uids" : "gids"] = identity.numbers;
  if (!identity.groups.empty()) out["groups"] = identity.groups;
  for (const auto& [name, policy] : identity.inlined) out["policies"][name] = policy->text;
  if (!identity.attached.empty()) out["attached"] = identity.attached;
  if (!identity.boundary.empty()) out["boundary"] = identity.boundary;
  if (!identity.tags.empty()) out["tags"] = identity.tags;
  if (identity.trust != nullptr) out["trust"] = identity.trust->text;
  if (identity.max_session != 0) out["max_session_seconds"] = identity.max_session;
  if (!identity.cgroups.empty()) out["cgroups"] = identity.cgroups;
  for (const auto& [number, version] : identity.versions) {
    out["versions"].push_back({{"version", number},
                               {"created", format_time(version.created)},
                               {"default", number == identity.default_version},
                               {"policy", version.policy->text}});
  }
  return out;
}

Json describe(const PrincipalInfo& principal) {
  Json out = {{"principal", principal.arn}, {"type", principal.type}, {"policies", principal.policies}};
  if (!principal.userid.empty()) out["userid"] = principal.userid;
  if (!principal.boundary.empty()) out["boundary"] = principal.boundary;
  if (principal.session_seconds != 0) out["session_seconds_left"] = principal.session_seconds;
  if (!principal.deleted_role.empty()) out["deleted_role"] = principal.deleted_role;
  return out;
}

}  // namespace

Result<Json> identity_list(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const IdentityKind kind, kind_argument(args));
  PAILFS_ASSIGN(const auto all, context.core.identities().list(context.caller));
  Json listed = Json::array();
  for (const IdentityPtr& identity : all) {
    if (identity->kind == kind) listed.push_back(describe(context, *identity));
  }
  return Json{{"account", context.core.account_id()}, {"identities", std::move(listed)}};
}

Result<Json> identity_get(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const IdentityKind kind, kind_argument(args));
  PAILFS_ASSIGN(const std::string name, string_argument(args, "name"));
  const Result<IdentityPtr> found = context.core.identities().get(context.caller, kind, name);
  IdentityPtr identity;
  if (found) {
    identity = *found;
  } else if (found.error().code == Code::kNotFound) {
    PAILFS_ASSIGN(identity, context.core.identities().of_system(context.caller, kind, name));
  }
  if (identity == nullptr) return std::unexpected(found.error());
  const bool systems = !found;
  Json out = describe(context, *identity);
  if (systems) out["system"] = true;
  if (kind != IdentityKind::kGroup) return out;
  PAILFS_ASSIGN(const auto all, context.core.identities().list(context.caller));
  for (const IdentityPtr& user : all) {
    if (user->kind != IdentityKind::kUser) continue;
    if (std::ranges::find(user->groups, identity->name) != user->groups.end()) out["members"].push_back(user->name);
  }
  return out;
}

namespace {

// Where something was to be given to it, what makes it.
std::unexpected<Error> no_identity(const CommandContext& context, const Json& args, IdentityKind kind,
                                   const std::string& name) {
  const std::string shown = printable(name);
  std::string message = fmt::format("NoSuchEntity: there is no {} {}", identity_kind_name(kind), shown);
  if (args.contains("delete") && context.core.identities().is_system_name(kind, name).value_or(false)) {
    message = fmt::format("NoSuchEntity: the store has no record of the system's {} {}: there is nothing to delete",
                          identity_kind_name(kind), shown);
  } else if (std::ranges::none_of(kTakenAway, [&](const char* member) { return args.contains(member); })) {
    const auto* const words = std::ranges::find(kKinds, kind, &decltype(kKinds)::value_type::second);
    message += fmt::format(": create it first ('pail {} create')", words->first);
  }
  return fail(Code::kNotFound, std::move(message));
}

// Who is to be changed; a user or group that has no record yet gets one by the change where the system knows the name.
struct Subject {
  std::string name;
  bool makes = false, made = false;
};

Result<Subject> subject(const CommandContext& context, const Json& args, IdentityKind kind, std::string name) {
  Subject out{.name = std::move(name)};
  PAILFS_ASSIGN(const bool allowed, bool_argument(args, "create_if_known", false));
  if (!allowed) return out;
  const auto found = context.core.identities().get(context.caller, kind, out.name);
  if (found || found.error().code != Code::kNotFound) return out;
  PAILFS_ASSIGN(out.makes, context.core.identities().is_system_name(kind, out.name));
  return out;
}

// "name", or "names" for the same change of several, each once.
Result<std::vector<Subject>> subjects_argument(const CommandContext& context, const Json& args, IdentityKind kind) {
  std::vector<std::string> names;
  PAILFS_ASSIGN(const auto listed, list_argument(args, "names"));
  add_new(names, listed);
  if (names.empty()) {
    PAILFS_ASSIGN(names.emplace_back(), string_argument(args, "name"));
  }
  std::vector<Subject> out;
  for (std::string& name : names) {
    PAILFS_ASSIGN(out.emplace_back(), subject(context, args, kind, std::move(name)));
  }
  return out;
}

// One step of identity_change(): what becomes of one of them.
Identities::Change change_of(const CommandContext& context, const Json& args, IdentityKind kind, Subject& subject,
                             bool create, bool remove) {
  return [&context, &args, kind, &subject, create,
          remove](std::optional<Identity> identity) -> Result<std::optional<Identity>> {
    if (create && identity) {
      return fail(Code::kExists,
                  fmt::format("EntityAlreadyExists: there is a {} {}", identity_kind_name(kind), subject.name));
    }
    subject.made = subject.makes && !identity;
    if (!create && !subject.made && !identity) return no_identity(context, args, kind, subject.name);
    if (remove) return std::nullopt;
    if (!identity) {
      identity.emplace();
      identity->kind = kind;
      identity->name = subject.name;
    }
    PAILFS_TRY(IdentityChange(context, args, *identity).apply());
    return identity;
  };
}

}  // namespace

// "create", "delete", or a change of one that is there: see IdentityChange for what else the arguments may have. With
// "names" all of them or none, and the result has "identities".
Result<Json> identity_change(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const IdentityKind kind, kind_argument(args));
  PAILFS_ASSIGN(const bool create, bool_argument(args, "create", false));
  PAILFS_ASSIGN(const bool remove, bool_argument(args, "delete", false));
  PAILFS_ASSIGN(std::vector<Subject> subjects, subjects_argument(context, args, kind));
  std::vector<IdentityOps::Step> steps;
  for (Subject& subject : subjects) {
    if (create && kind == IdentityKind::kUser && !args.contains("add_numbers")) {
      const auto known = context.core.identities().is_system_name(kind, subject.name);
      if (!known && known.error().code == Code::kInvalid) return std::unexpected(known.error());
    }
    steps.push_back({kind, subject.name, change_of(context, args, kind, subject, create, remove)});
  }
  PAILFS_TRY(context.core.identities().change(context.caller, steps));
  Json all = Json::array();
  for (const Subject& subject : subjects) {
    Json one = {{"name", subject.name}};
    if (!remove) {
      PAILFS_ASSIGN(one, identity_get(context, {{"kind", args["kind"]}, {"name", subject.name}}));
    }
    if (subject.made) one["made"] = true;
    all.push_back(std::move(one));
  }
  return args.contains("names") ? Json{{"identities", std::move(all)}} : std::move(all.front());
}

Result<Json> role_assume(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string role, string_argument(args, "role"));
  PAILFS_ASSIGN(const std::string session, string_argument(args, "session"));
  PAILFS_ASSIGN(const int64_t seconds, integer_argument(args, "seconds", 3600));
  PAILFS_ASSIGN(const PrincipalInfo now,
                context.core.identities().assume(context.caller, role, session,
                                                 static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, UINT32_MAX))));
  return describe(now);
}

Result<Json> role_leave(const CommandContext& context, const Json& /*args*/) {
  context.core.identities().leave(context.caller);
  return Json::object();
}

Result<Json> whoami(const CommandContext& context, const Json& /*args*/) {
  return describe(context.core.identities().principal(context.caller));
}

}  // namespace pailfs::commands
