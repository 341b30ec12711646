// What would come of an operation, and why.
#include <fmt/format.h>

#include <charconv>

#include "core/decision_text.h"
#include "core/explain.h"
#include "ctl/commands_internal.h"
#include "io/users.h"

namespace pailfs::commands {
namespace {

Result<std::vector<uint32_t>> gids_argument(const Json& args) {
  std::vector<uint32_t> out;
  if (!args.contains("groups")) return out;
  for (const Json& item : args["groups"]) {
    if (!args["groups"].is_array() || !item.is_number_unsigned() || item.get<uint64_t>() >= UINT32_MAX) {
      return fail(Code::kInvalid, "the argument 'groups' is a list of gids");
    }
    out.push_back(item.get<uint32_t>());
  }
  return out;
}

// A uid in decimal, or a login name. Who has no account, has the group of the same number and no others.
Result<SystemAccount> account_argument(const Json& args) {
  PAILFS_ASSIGN(const std::string who, string_argument(args, "user"));
  uint32_t uid = 0;
  const auto [end, error] = std::from_chars(who.data(), who.data() + who.size(), uid);
  const bool number = error == std::errc() && end == who.data() + who.size() && uid != UINT32_MAX;
  PAILFS_ASSIGN(const auto account, number ? system_account(uid) : system_account(who));
  if (account) return *account;
  if (number) return SystemAccount{.name = {}, .uid = uid, .gid = uid, .groups = {}};
  return fail(Code::kInvalid, fmt::format("'{}' is neither a uid nor the login name of somebody (uids are 0 to {})",
                                          printable(who), UINT32_MAX - 1));
}

std::string path_text(const ObjectPath& object) {
  return object.path.empty() ? object.bucket : object.bucket + "/" + object.path;
}

Json describe_refusal(const std::optional<Error>& refused) {
  if (!refused) return nullptr;
  return refusal_name(refused->code);
}

Json describe_check(const DecisionTrace::Check& check) {
  Json policies = Json::array();
  for (const DecisionTrace::Asked& asked : check.policies) {
    policies.push_back({{"action", asked.action},
                        {"resource", bytes_to_json(asked.resource)},
                        {"outcome", asked.outcome},
                        {"because", asked.because}});
  }
  return {{"action", action_name(check.action)},
          {"allowed", !check.refused},
          {"decided_by", check.by_policy ? "policy" : "acl"},
          {"policies", std::move(policies)}};
}

Json describe_step(const ExplainedStep& step) {
  Json out = {{"call", step.call},
              {"path", bytes_to_json(step.path)},
              {"allowed", !step.refused},
              {"error", describe_refusal(step.refused)},
              {"because", step.why}};
  if (!step.checks.empty()) {
    Json checks = Json::array();
    for (const DecisionTrace::Check& check : step.checks) checks.push_back(describe_check(check));
    out["checks"] = std::move(checks);
  }
  return out;
}

}  // namespace

Result<Json> explain(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const SystemAccount account, account_argument(args));
  ExplainRequest request{.uid = account.uid, .gid = account.gid, .groups = account.groups, .operation = {}, .path = {}};
  PAILFS_ASSIGN(request.operation, string_argument(args, "operation"));
  // Who asks about himself is told of what the process may that asks, which may have given groups up.
  if (!is_account(context) && request.uid == context.caller.uid) {
    request.gid = context.caller.gid;
    request.groups = context.caller.groups == nullptr ? std::vector<uint32_t>() : context.caller.groups->groups();
  }
  if (args.contains("groups")) {
    PAILFS_TRY(require_account(context, "to ask about other groups than one's own"));
    PAILFS_ASSIGN(request.groups, gids_argument(args));
    if (request.groups.empty()) return fail(Code::kInvalid, "the argument 'groups' has the primary group first");
    request.gid = request.groups.front();
  }
  PAILFS_ASSIGN(const ObjectPath object, target(context, args));
  request.path = path_text(object);
  if (args.contains("to")) {
    if (!args["to"].is_object()) return fail(Code::kInvalid, "the argument 'to' is an object");
    PAILFS_ASSIGN(const ObjectPath to, target(context, args["to"]));
    request.to = path_text(to);
  }
  if (args.contains("mode")) {
    PAILFS_ASSIGN(const int64_t mode, integer_argument(args, "mode", 0));
    if (mode < 0 || mode > 07777) return fail(Code::kInvalid, "a mode is an octal number of up to 7777");
    request.mode = static_cast<uint32_t>(mode);
  }
  PAILFS_ASSIGN(const Explanation explained, pailfs::explain(context.core, context.caller, request));
  Json steps = Json::array();
  for (const ExplainedStep& step : explained.steps) steps.push_back(describe_step(step));
  return Json{{"user", user_text(request.uid)},
              {"uid", request.uid},
              {"gid", request.gid},
              {"groups", request.groups},
              {"principal", explained.principal},
              {"operation", request.operation},
              {"path", bytes_to_json(request.path)},
              {"to", request.to ? bytes_to_json(*request.to) : Json()},
              {"decision", explained.allowed  ? "allowed"
                           : explained.denied ? "denied"
                                              : "failed"},
              {"error", describe_refusal(explained.refused)},
              {"because", explained.reason},
              {"steps", std::move(steps)}};
}

}  // namespace pailfs::commands
