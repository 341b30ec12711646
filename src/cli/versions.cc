#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/lock.h"
#include "cli/mfa.h"
#include "cli/session.h"
#include "cli/targets.h"
#include "core/time_text.h"
#include "ctl/commands.h"

namespace pailfs::cli {
namespace {

struct VersionsOptions {
  std::string target;
  std::string older_than;
  std::optional<uint64_t> keep;
  std::string mfa;
  bool dry_run = false;
  bool yes = false;
};

int list(Invocation& invocation, const VersionsOptions& options) {
  auto target = choose_path(invocation.common, options.target);
  if (!target) return invocation.failed(target.error());
  auto result = request_once(invocation, target->store, Access::kRead, "versions.list", target->args);
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  for (const Json& version : object_member(*result, "versions")) {
    const bool marker = flag_member(version, "marker");
    const char* const state = marker ? "deleted" : flag_member(version, "current") ? "current" : "older";
    const std::string lock = version.contains("lock") ? "  " + lock_words(object_member(version, "lock")) : "";
    invocation.line(fmt::format("{:>11}  {:<7}  uid {:<6} {}{}",
                                marker ? "-" : human_size(number_member(version, "size")), state,
                                number_member(version, "uid"), text_member(version, "name"), lock));
  }
  return kExitOk;
}

std::string locked(uint64_t versions) {
  if (versions == 0) return "";
  return versions == 1 ? "; 1 version stays, as it is locked"
                       : fmt::format("; {} versions stay, as they are locked", versions);
}

std::string pruned(const Json& result) {
  return fmt::format("{} and {}, {}", count_of(number_member(result, "versions"), "older version"),
                     count_of(number_member(result, "markers"), "delete marker"),
                     human_size(number_member(result, "bytes"))) +
         locked(number_member(result, "locked"));
}

// Without a limit the whole history goes: says how much that is, and asks.
Status confirm_prune(Invocation& invocation, Session& session, Json args) {
  args["dry_run"] = true;
  PAILFS_ASSIGN(const Json result, session.request("versions.prune", args));
  invocation.console.error(fmt::format("Nothing is spared, the whole history goes, for good: {}.\n", pruned(result)));
  return confirm(invocation, "Type yes to remove it: ", "yes");
}

int prune(Invocation& invocation, const VersionsOptions& options) {
  auto target = choose_bucket_or_path(invocation, options.target);
  if (!target) return invocation.failed(target.error());
  Json& args = target->args;
  args["dry_run"] = options.dry_run;
  bool by_age = false;
  if (!options.older_than.empty()) {
    const Time now = posix_env().now();
    auto moment = parse_moment(options.older_than, now);
    if (!moment) return invocation.failed(moment.error(), kExitUsage);
    if (*moment > now) {
      return invocation.failed({Code::kInvalid, fmt::format("--older-than {} lies in the future", options.older_than)},
                               kExitUsage);
    }
    by_age = *moment < now;
    args["older_than"] = *moment;
  }
  if (options.keep) args["keep"] = *options.keep;
  auto session = Session::open(invocation, target->store, options.dry_run ? Access::kRead : Access::kChange);
  if (!session) return invocation.failed(session.error());
  const bool everything = !by_age && options.keep.value_or(0) == 0;
  if (everything && !options.dry_run && !options.yes) {
    if (const Status agreed = confirm_prune(invocation, **session, args); !agreed) {
      static_cast<void>((*session)->close());
      return invocation.not_agreed(agreed.error());
    }
  }
  const Status code = options.dry_run ? Status() : add_mfa(invocation, options.mfa, args);
  auto result = code ? (*session)->request("versions.prune", args) : Result<Json>(std::unexpected(code.error()));
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line(fmt::format("{} {}.", options.dry_run ? "Would remove" : "Removed", pruned(*result)));
  return kExitOk;
}

}  // namespace

void add_versions_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const versions = app.add_subcommand("versions", "List old versions, bring them back, and remove them");
  versions->require_subcommand(1);
  auto options = std::make_shared<VersionsOptions>();
  invocation
      .command(*versions, "list", "List the versions of a file, newest first",
               [&invocation, options] { return list(invocation, *options); })
      ->add_option("PATH", options->target, "On the mount, also of a file that is deleted; BUCKET/KEY with --store")
      ->required();

  options = std::make_shared<VersionsOptions>();
  CLI::App* const leaf = invocation.command(*versions, "prune", "Remove older versions for good",
                                            [&invocation, options] { return prune(invocation, *options); });
  leaf->add_option("TARGET", options->target, std::string(kTargetHelp) + "; default: the whole store");
  leaf->add_option("--older-than", options->older_than,
                   "Only versions that ceased to be current before: 12h, 30d, 2026-11-23T14:56:00Z");
  leaf->add_option("--keep", options->keep, "Keep this many of the newest older versions of each file");
  leaf->add_flag("--dry-run", options->dry_run, "Only say what would go");
  leaf->add_flag("--yes", options->yes, "Do not ask");
  leaf->add_option("--mfa", options->mfa, kMfaHelp)->type_name("CODE");

  add_restoring_commands(*versions, invocation);
}

}  // namespace pailfs::cli
