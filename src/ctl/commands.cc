#include "ctl/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/decision_text.h"
#include "ctl/commands_internal.h"

namespace pailfs {
namespace {

struct Command {
  std::string_view op;
  Result<Json> (*run)(const CommandContext&, const Json&);
};

constexpr std::array<Command, 50> kCommands{{
    {"status", commands::status},
    {"check", commands::check},
    {"scrub", commands::scrub},
    {"bucket.list", commands::bucket_list},
    {"bucket.show", commands::bucket_show},
    {"bucket.create", commands::bucket_create},
    {"bucket.delete", commands::bucket_delete},
    {"versioning.get", commands::versioning_get},
    {"versioning.set", commands::versioning_set},
    {"versioning.keep", commands::versioning_keep},
    {"usage", commands::usage},
    {"versions.list", commands::versions_list},
    {"versions.show", commands::versions_show},
    {"versions.restore", commands::versions_restore},
    {"versions.rewind", commands::versions_rewind},
    {"versions.undelete", commands::versions_undelete},
    {"versions.purge", commands::versions_purge},
    {"versions.prune", commands::versions_prune},
    {"key.list", commands::key_list},
    {"key.add", commands::key_add},
    {"key.remove", commands::key_remove},
    {"key.change", commands::key_change},
    {"policy.list", commands::policy_list},
    {"policy.get", commands::policy_get},
    {"policy.put", commands::policy_put},
    {"policy.delete", commands::policy_delete},
    {"policy.lint", commands::policy_lint},
    {"public.show", commands::public_show},
    {"public.block.get", commands::public_block_get},
    {"public.block.put", commands::public_block_put},
    {"explain", commands::explain},
    {"identity.list", commands::identity_list},
    {"identity.get", commands::identity_get},
    {"identity.change", commands::identity_change},
    {"role.assume", commands::role_assume},
    {"role.leave", commands::role_leave},
    {"whoami", commands::whoami},
    {"acl.get", commands::acl_get},
    {"acl.put", commands::acl_put},
    {"ownership", commands::ownership},
    {"lock.enable", commands::lock_enable},
    {"lock.status", commands::lock_status},
    {"lock.default", commands::lock_default},
    {"lock.retain", commands::lock_retain},
    {"lock.hold", commands::lock_hold},
    {"mfa.status", commands::mfa_status},
    {"mfa.enroll", commands::mfa_enroll},
    {"mfa.remove", commands::mfa_remove},
    {"mfa.set", commands::mfa_set},
    {"backup", commands::backup},
}};

}  // namespace

Result<std::vector<std::string>> commands::buckets_argument(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(std::string bucket, string_argument(args, "bucket", ""));
  if (!bucket.empty()) return std::vector{std::move(bucket)};
  std::vector<std::string> names;
  PAILFS_ASSIGN(const auto buckets, context.core.buckets(context.caller));
  for (const BucketInfo& info : buckets) names.push_back(info.name);
  return names;
}

bool is_account(const CommandContext& context) {
  return context.caller.uid == 0 || context.caller.uid == context.core.gate().account();
}

Status require_account(const CommandContext& context, std::string_view what) {
  if (is_account(context)) return {};
  const std::string managers = managers_text(context.core.gate().account());
  return fail(Code::kAccessDenied, fmt::format("{} is for {}; you are uid {}", what, managers, context.caller.uid));
}

Error refusal_text(const CommandContext& context, std::string_view what, Error refused) {
  if (refused.code != Code::kAccessDenied || is_account(context) || refused.message != "access denied") return refused;
  refused.message = fmt::format("{} is for {}, and for whom a policy allows it; you are uid {}", what,
                                managers_text(context.core.gate().account()), context.caller.uid);
  return refused;
}

ObjectPath split_object_path(std::string_view path) {
  ObjectPath out;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty()) continue;
    if (out.bucket.empty()) {
      out.bucket = part;
    } else {
      if (!out.path.empty()) out.path += '/';
      out.path += part;
    }
  }
  return out;
}

Result<Json> run_command(const CommandContext& context, std::string_view op, const Json& args) {
  const auto found = std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& c) { return c.op == op; });
  if (found == kCommands.end()) return fail(Code::kInvalid, fmt::format("unknown operation '{}'", op));
  return found->run(context, args);
}

}  // namespace pailfs
