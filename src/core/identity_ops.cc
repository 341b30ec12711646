#include "core/identity_ops.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/impl.h"
#include "core/policy_gate.h"
#include "core/request_facts.h"
#include "io/processes.h"
#include "io/users.h"
#include "policy/evaluate.h"

namespace pailfs {

namespace {

// AWS STS API Reference, AssumeRole, RoleSessionName: "[\w+=,.@-]*", 2 to 64 characters.
bool is_session_name(std::string_view name) { return name.size() >= 2 && is_iam_name(name); }

PrincipalInfo info_of(const PrincipalPtr& principal) {
  PrincipalInfo out;
  if (principal == nullptr) return out;
  out.type = principal->type;
  out.arn = principal->name();
  out.userid = principal->userid;
  for (const AttachedPolicies::One& one : principal->policies.identity) out.policies.push_back(one.name);
  if (principal->policies.boundary) out.boundary = principal->policies.boundary->name;
  return out;
}

}  // namespace

Status IdentityOps::check_manager(const Caller& caller) const {
  if (caller.door == Door::kInternal) return {};
  // By the uid, whatever is mapped or damaged: root has to be able to put that right.
  const bool account = caller.uid == 0 || caller.uid == core_.gate.account();
  const PrincipalPtr principal = core_.principals.of(caller, core_.store.env().monotonic());
  const bool session = principal != nullptr && principal->caller.type() == policy::PrincipalType::kRole;
  if (account && !session) return {};
  return fail(Code::kAccessDenied,
              "users, groups, roles, services and managed policies are the account's: run it as root");
}

Result<std::vector<IdentityPtr>> IdentityOps::list(const Caller& caller) const {
  PAILFS_TRY(check_manager(caller));
  std::vector<IdentityPtr> out;
  const DirectoryPtr directory = core_.identities.directory();
  out.reserve(directory->all.size());
  for (const auto& [key, identity] : directory->all) out.push_back(identity);
  return out;
}

Result<IdentityPtr> IdentityOps::get(const Caller& caller, IdentityKind kind, const std::string& name) const {
  PAILFS_TRY(check_manager(caller));
  IdentityPtr found = core_.identities.directory()->find(kind, name);
  if (found != nullptr) return found;
  return fail(Code::kNotFound,
              fmt::format("NoSuchEntity: there is no {} {}", identity_kind_name(kind), printable(name)));
}

Status IdentityOps::change(const Caller& caller, const std::vector<Step>& steps) {
  PAILFS_TRY(check_manager(caller));
  {
    // One change at a time, and none of names meanwhile.
    MutexLock lock(core_.tree);
    Transaction tx;
    std::vector<Identities::After> changed;
    for (const Step& step : steps) {
      PAILFS_ASSIGN(std::optional<Identity> after, core_.identities.changed(step.kind, step.name, step.change));
      core_.identities.write(step.kind, step.name, after, tx);
      const Action action = after ? Action::kPutIdentity : Action::kDeleteIdentity;
      const std::string which = fmt::format("{} {}", identity_kind_name(step.kind), step.name);
      tx.record(encode_change({action, caller, 0, which}, core_.now()));
      changed.emplace_back(Directory::Key(step.kind, step.name), std::move(after));
    }
    PAILFS_TRY(core_.commit(std::move(tx)));
    core_.identities.set(std::move(changed));
    core_.policy_gate->decisions().everything_changed();
  }
  core_.names_ended();  // what the kernel holds was looked up under the policies before
  return core_.store.sync();
}

Result<bool> IdentityOps::is_system_name(IdentityKind kind, const std::string& name) const {
  if (kind == IdentityKind::kGroup) {
    PAILFS_ASSIGN(const std::optional<uint32_t> gid, system_group_id(name));
    return gid.has_value();
  }
  if (kind != IdentityKind::kUser) return false;
  PAILFS_ASSIGN(const std::optional<uint32_t> uid, system_user_id(name));
  if (uid && (*uid == 0 || *uid == core_.gate.account())) {
    return fail(Code::kInvalid, fmt::format("{} is the account's root, and no user: policies of users do not bind root",
                                            printable(name)));
  }
  return uid.has_value();
}

Result<IdentityPtr> IdentityOps::of_system(const Caller& caller, IdentityKind kind, const std::string& name) const {
  PAILFS_TRY(check_manager(caller));
  PAILFS_ASSIGN(const bool known, is_system_name(kind, name));
  if (!known || !is_iam_name(name)) return nullptr;
  const bool user = kind == IdentityKind::kUser;
  PAILFS_ASSIGN(const std::optional<uint32_t> number, user ? system_user_id(name) : system_group_id(name));
  if (!number || (user && core_.identities.directory()->users.contains(*number))) return nullptr;
  Identity out;
  out.kind = kind;
  out.name = name;
  out.numbers = {*number};
  return std::make_shared<const Identity>(std::move(out));
}

Result<StoredPolicyPtr> IdentityOps::compile(std::string text, policy::DocumentKind kind, bool accept_unknown_keys) {
  policy::DocumentRules rules;
  rules.kind = kind;
  rules.storing = true;
  rules.accept_unknown_keys = accept_unknown_keys;
  return compile_policy(std::move(text), rules);
}

Status IdentityOps::check_trust(const Caller& caller, const Identity& role, const std::string& session) const {
  const auto denied = [&](std::string_view why) {
    return fail(Code::kAccessDenied, fmt::format("AccessDenied: {}", why));
  };
  // Who is in a role asks as that role: a role that was assumed to be allowed less leads to no other one.
  const PrincipalPtr asks = core_.principals.of(caller, core_.store.env().monotonic());
  if (asks == nullptr) return denied("it is not known who you are, or what is attached to you cannot be read");
  if (role.trust->document == nullptr) return denied("the trust policy of the role cannot be read");
  // "A principal that makes an anonymous request" cannot assume a role; services can.
  if (asks->caller.type() == policy::PrincipalType::kAnonymous) return denied("anonymous callers assume no roles");
  policy::Policies trust;
  trust.bucket = role.trust->document.get();
  policy::Policies all = trust;
  all.identity = asks->documents;
  all.boundary = asks->boundary();
  RequestFacts facts(asks.get(), core_.principals.account_id(), caller.uid, caller.gid, caller.door);
  facts.set_time(core_.now());
  facts.set_executable(caller.pid);
  policy::Context context;
  facts.add_to(context);
  context.add("sts:rolesessionname", session);
  const std::string arn = fmt::format("arn:aws:iam::{}:role/{}", core_.principals.account_id(), role.name);
  const policy::Request request{.caller = asks->caller,
                                .account = core_.principals.account_id(),
                                .action = "sts:AssumeRole",
                                .resource = arn,
                                .context = context};
  // The trust policy has to name him, or to leave it to his account (IAM User Guide, "Roles terms and concepts").
  const policy::Decision trusted = policy::evaluate(trust, request);
  const bool named = trusted.outcome == policy::Outcome::kAllow || trusted.ground == policy::Ground::kNotForAccount;
  const policy::Decision decision = named ? policy::evaluate(all, request) : trusted;
  if (decision.outcome == policy::Outcome::kAllow) return {};
  if (decision.outcome == policy::Outcome::kExplicitDeny) return denied("a policy denies you the role");
  if (decision.ground == policy::Ground::kNotForAccount) {
    return denied("the trust policy leaves it to the account, whose policies do not allow you sts:AssumeRole on " +
                  arn);
  }
  return denied(fmt::format("no role {} trusts you", printable(role.name)));
}

Result<PrincipalInfo> IdentityOps::assume(const Caller& caller, const std::string& name, const std::string& session,
                                          uint32_t seconds) {
  if (!is_session_name(session)) {
    return fail(Code::kInvalid, "a session's name has 2 to 64 of the characters a-z, A-Z, 0-9 and _+=,.@-");
  }
  const IdentityPtr role = core_.identities.directory()->find(IdentityKind::kRole, name);
  // Who may not assume it need not learn whether there is one.
  if (role == nullptr) {
    return fail(Code::kAccessDenied, fmt::format("AccessDenied: no role {} trusts you", printable(name)));
  }
  PAILFS_TRY(check_trust(caller, *role, session));
  if (seconds < kMinSession || seconds > role->max_session) {
    return fail(Code::kInvalid, fmt::format("sessions of the role {} last from {} to {} seconds", printable(name),
                                            kMinSession, role->max_session));
  }
  const auto process = process_start(caller.pid);
  if (caller.pid == 0 || !process) {
    return fail(Code::kInvalid, "the process that asks cannot be seen from here: it runs in another PID namespace");
  }
  const Time now = core_.store.env().monotonic();
  if (!core_.principals.sessions().add({.pid = caller.pid,
                                        .process_start = process->start,
                                        .uid = caller.uid,
                                        .role = name,
                                        .name = session,
                                        .ends = now + Time{seconds} * kSecond},
                                       now)) {
    return fail(Code::kBusy, "you have too many sessions of roles: end some of them first");
  }
  return principal(caller);
}

void IdentityOps::leave(const Caller& caller) { core_.principals.sessions().remove(caller.pid, caller.uid); }

PrincipalPtr IdentityOps::own(const Caller& caller) const {
  return core_.principals.of(caller, core_.store.env().monotonic(), true);
}

PrincipalInfo IdentityOps::principal(const Caller& caller) const {
  const Time now = core_.store.env().monotonic();
  PrincipalInfo out = info_of(core_.principals.of(caller, now));
  RoleSessions& sessions = core_.principals.sessions();
  if (const auto session = sessions.of(caller.pid, caller.uid, now); session && *session != nullptr) {
    out.session_seconds = static_cast<uint32_t>(((*session)->ends - now + kSecond - 1) / kSecond);
    if (core_.identities.directory()->find(IdentityKind::kRole, (*session)->role) == nullptr) {
      out.deleted_role = (*session)->role;
    }
  }
  return out;
}

}  // namespace pailfs
