// pail rewind, and what of pail versions brings something back or compares moments.
#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/lock.h"
#include "cli/mfa.h"
#include "cli/session.h"
#include "cli/targets.h"
#include "core/time_text.h"
#include "io/env.h"

namespace pailfs::cli {
namespace {

constexpr size_t kShown = 40;  // differences, on a terminal's page; --json has them all

struct RewindArguments {
  std::string target;
  std::string version;
  std::string to;
  std::string from;
  std::string mfa;
  bool bypass_governance = false;
  bool keep_newer = false;
  bool dry_run = false;
  bool yes = false;
};
using Arguments = std::shared_ptr<RewindArguments>;

std::string differences(const Json& result) {
  std::string text;
  const auto add = [&](const char* member, std::string_view noun, std::string_view verb) {
    const uint64_t count = number_member(result, member);
    if (count == 0) return;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", count_of(count, noun), verb);
  };
  add("added", "name", "back");
  add("content", "file", "with other content");
  add("attributes", "name", "with other attributes");
  add("removed", "name", "removed");
  if (text.empty()) text = "nothing differs";
  return text;
}

void print_differences(Invocation& invocation, const Json& result) {
  const Json& all = object_member(result, "differences");
  size_t shown = 0;
  for (const Json& one : all) {
    if (shown++ == kShown) break;
    const std::string what = text_member(one, "what");
    const char mark = what == "added"     ? '+'
                      : what == "removed" ? '-'
                      : what == "content" ? 'M'
                      : what == "unknown" ? '?'
                      : what == "denied"  ? '!'
                                          : 'm';
    std::string line =
        fmt::format("{} {}{}", mark, printable(text_member(one, "path")), flag_member(one, "directory") ? "/" : "");
    if (what == "content") {
      line += fmt::format("  ({} to {})", human_size(number_member(one, "size_before")),
                          human_size(number_member(one, "size_after")));
    }
    if (const std::string why = text_member(one, "why"); !why.empty()) line += "  (" + why + ")";
    invocation.line(line);
  }
  const uint64_t total = number_member(result, "added") + number_member(result, "removed") +
                         number_member(result, "content") + number_member(result, "attributes") +
                         number_member(result, "unknown") + number_member(result, "denied");
  if (total > kShown) invocation.line(fmt::format("... and {} more (--json lists up to 10,000)", total - kShown));
}

std::string stays(uint64_t names) {
  return count_of(names, "name") + (names == 1 ? " stays as it is" : " stay as they are");
}

// What could not be done is said last, and is a failure.
int conclude(Invocation& invocation, const Json& result) {
  const uint64_t unknown = number_member(result, "unknown"), denied = number_member(result, "denied");
  if (unknown != 0) {
    invocation.warn(fmt::format("{}: no version tells any more what {} at {}", stays(unknown),
                                unknown == 1 ? "it was" : "they were", text_member(result, "to")));
  }
  if (denied == 0) return kExitOk;
  invocation.warn(fmt::format("{}, because you may not change {}", stays(denied), denied == 1 ? "it" : "them"));
  uint64_t shown = 0;
  for (const Json& one : object_member(result, "differences")) {
    if (text_member(one, "what") != "denied") continue;
    if (shown++ == kShown) break;
    invocation.warn(fmt::format("  {}: {}", printable(text_member(one, "path")), text_member(one, "why")));
  }
  if (denied > kShown) invocation.warn(fmt::format("  ... and {} more (--json lists up to 10,000)", denied - kShown));
  return kExitFailure;
}

// Carries out what was asked for; a rewind is planned, shown and confirmed first.
int carry_out(Invocation& invocation, const RewindArguments& arguments, std::string_view op, Target target,
              std::string_view verb, bool asks) {
  auto session = Session::open(invocation, target.store, arguments.dry_run ? Access::kRead : Access::kChange);
  if (!session) return invocation.failed(session.error());
  const auto give_up = [&](const Error& error) {
    static_cast<void>((*session)->close());
    return invocation.failed(error, error.code == Code::kInvalid ? kExitUsage : kExitFailure);
  };
  target.args["dry_run"] = true;
  if (arguments.dry_run || (asks && !arguments.yes)) {
    auto plan = (*session)->request(op, target.args);
    if (!plan) return give_up(plan.error());
    if (arguments.dry_run) {
      if (const Status closed = (*session)->close(); !closed) return invocation.failed(closed.error());
      if (invocation.printed_json(*plan)) return kExitOk;
      print_differences(invocation, *plan);
      invocation.line(fmt::format("To {}: {}. Nothing was changed.", text_member(*plan, "to"), differences(*plan)));
      return kExitOk;
    }
    if (number_member(*plan, "removed") != 0 || number_member(*plan, "content") != 0) {
      invocation.console.error(fmt::format("To {}: {}. What is there now stays in .versions.\n",
                                           text_member(*plan, "to"), differences(*plan)));
      if (const Status agreed = confirm(invocation, "Type yes to do it: ", "yes"); !agreed) {
        static_cast<void>((*session)->close());
        return invocation.not_agreed(agreed.error());
      }
    }
  }
  target.args["dry_run"] = false;
  auto result = (*session)->request(op, target.args);
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  if (invocation.printed_json(*result)) return number_member(*result, "denied") == 0 ? kExitOk : kExitFailure;
  invocation.line(fmt::format("{} to {}: {}, {}.", verb, text_member(*result, "to"), differences(*result),
                              human_size(number_member(*result, "bytes"))));
  return conclude(invocation, *result);
}

// Counted back from now.
bool is_relative(const std::string& text) { return !parse_time(text); }

Result<Time> moment_of(const std::string& text) { return parse_moment(text, posix_env().now()); }

int rewind(Invocation& invocation, const RewindArguments& arguments) {
  auto target = choose_bucket_or_path(invocation, arguments.target);
  if (!target) return invocation.failed(target.error());
  const auto to = moment_of(arguments.to);
  if (!to) return invocation.failed(to.error(), kExitUsage);
  target->args["to"] = *to;
  target->args["relative"] = is_relative(arguments.to);
  target->args["keep_newer"] = arguments.keep_newer;
  return carry_out(invocation, arguments, "versions.rewind", std::move(*target), "Rewound", true);
}

int undelete(Invocation& invocation, const RewindArguments& arguments) {
  auto target = choose_path(invocation.common, arguments.target);
  if (!target) return invocation.failed(target.error());
  return carry_out(invocation, arguments, "versions.undelete", std::move(*target), "Brought back as it was,", false);
}

int restore(Invocation& invocation, const RewindArguments& arguments) {
  if (arguments.version.empty() == arguments.to.empty()) {
    return invocation.failed({Code::kInvalid, "say which version: --version ID, or --at TIME"}, kExitUsage);
  }
  if (arguments.dry_run && arguments.to.empty()) {
    return invocation.failed({Code::kInvalid,
                              "--dry-run goes with --at: with --version it is that version that comes "
                              "back ('pail versions show' says what it is)"},
                             kExitUsage);
  }
  auto target = choose_path(invocation.common, arguments.target);
  if (!target) return invocation.failed(target.error());
  if (!arguments.to.empty()) {
    const auto to = moment_of(arguments.to);
    if (!to) return invocation.failed(to.error(), kExitUsage);
    target->args["to"] = *to;
    target->args["relative"] = is_relative(arguments.to);
    target->args["keep_newer"] = true;
    return carry_out(invocation, arguments, "versions.rewind", std::move(*target), "Restored", false);
  }
  target->args["version"] = arguments.version;
  auto result = request_once(invocation, target->store, Access::kChange, "versions.restore", target->args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) {
    invocation.line(fmt::format("{} is again what it was in version {}.", printable(text_member(*result, "path")),
                                arguments.version));
  }
  return kExitOk;
}

int diff(Invocation& invocation, const RewindArguments& arguments) {
  auto target = choose_bucket_or_path(invocation, arguments.target);
  if (!target) return invocation.failed(target.error());
  const auto from = moment_of(arguments.from);
  const auto to = moment_of(arguments.to.empty() ? "0s" : arguments.to);
  if (!from) return invocation.failed(from.error(), kExitUsage);
  if (!to) return invocation.failed(to.error(), kExitUsage);
  target->args["from"] = *from;
  if (!arguments.to.empty()) target->args["to"] = *to;
  target->args["dry_run"] = true;
  auto result = request_once(invocation, target->store, Access::kRead, "versions.rewind", target->args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) print_differences(invocation, *result);
  return kExitOk;
}

int show(Invocation& invocation, const RewindArguments& arguments) {
  auto target = choose_path(invocation.common, arguments.target);
  if (!target) return invocation.failed(target.error());
  target->args["version"] = arguments.version;
  auto result = request_once(invocation, target->store, Access::kRead, "versions.show", target->args);
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  const Json& version = *result;
  const bool marker = flag_member(version, "marker");
  invocation.line("name      " + text_member(version, "name"));
  invocation.line("id        " + text_member(version, "id"));
  invocation.line("kind      " + std::string(marker                            ? "delete marker"
                                             : flag_member(version, "current") ? "current version"
                                                                               : "older version"));
  invocation.line("sealed    " + text_member(version, "sealed"));
  invocation.line(fmt::format("by        uid {}", number_member(version, "uid")));
  if (marker) return kExitOk;
  invocation.line(fmt::format("mode      {:04o}", number_member(version, "mode") & 07777));
  invocation.line(fmt::format("size      {} bytes", number_member(version, "size")));
  return kExitOk;
}

// Says what goes, and asks, if there is such a version.
Status confirm_purge(Invocation& invocation, Session& session, const Json& args) {
  PAILFS_ASSIGN(const Json version, session.request("versions.show", args));
  const bool marker = flag_member(version, "marker");
  const std::string lock = version.contains("lock") ? "; " + lock_words(object_member(version, "lock")) : "";
  invocation.console.error(fmt::format("{} {} of {}/{} goes, for good{}{}.\n", marker ? "Delete marker" : "Version",
                                       text_member(version, "name"), text_member(version, "bucket"),
                                       printable(json_to_bytes(version.value("path", Json())).value_or("")),
                                       marker ? "" : ": " + human_size(number_member(version, "size")), lock));
  return confirm(invocation, "Type yes to remove it: ", "yes");
}

int purge(Invocation& invocation, const RewindArguments& arguments) {
  auto target = choose_path(invocation.common, arguments.target);
  if (!target) return invocation.failed(target.error());
  target->args["version"] = arguments.version;
  auto session = Session::open(invocation, target->store, Access::kChange);
  if (!session) return invocation.failed(session.error());
  if (!arguments.yes) {
    if (const Status agreed = confirm_purge(invocation, **session, target->args); !agreed) {
      static_cast<void>((*session)->close());
      return invocation.not_agreed(agreed.error());
    }
  }
  if (arguments.bypass_governance) target->args["bypass_governance"] = true;
  const Status code = add_mfa(invocation, arguments.mfa, target->args);
  auto result =
      code ? (*session)->request("versions.purge", target->args) : Result<Json>(std::unexpected(code.error()));
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  if (!invocation.printed_json(*result)) invocation.line(fmt::format("Removed version {}.", arguments.version));
  return kExitOk;
}

constexpr const char* kPathHelp = "On the mount, also of what is deleted; BUCKET/KEY with --store";
constexpr const char* kMomentHelp = "\"2h ago\", 2026-11-23, 2026-11-23T14:56:00Z, or the time in a version's name";

}  // namespace

void add_rewind(CLI::App& app, Invocation& invocation) {
  const Arguments options = std::make_shared<RewindArguments>();
  CLI::App* const leaf = invocation.command(app, "rewind", "Make a directory or bucket what it was at a moment",
                                            [&invocation, options] { return rewind(invocation, *options); });
  leaf->add_option("TARGET", options->target, kTargetHelp)->required();
  leaf->add_option("--to", options->to, kMomentHelp)->required();
  leaf->add_flag("--keep-newer", options->keep_newer, "Leave names alone that did not exist then");
  leaf->add_flag("--dry-run", options->dry_run, "Only say what would change");
  leaf->add_flag("--yes", options->yes, "Do not ask");
}

void add_restoring_commands(CLI::App& versions, Invocation& invocation) {
  const auto command = [&](const char* name, const char* description, int (*run)(Invocation&, const RewindArguments&)) {
    const Arguments options = std::make_shared<RewindArguments>();
    CLI::App* const leaf = invocation.command(versions, name, description,
                                              [&invocation, options, run] { return run(invocation, *options); });
    const bool also_bucket = name == std::string_view("diff");
    leaf->add_option(also_bucket ? "TARGET" : "PATH", options->target, also_bucket ? kTargetHelp : kPathHelp)
        ->required();
    return std::pair(leaf, options);
  };
  auto [leaf, options] = command("show", "Say what a version is", show);
  leaf->add_option("--version", options->version, "Its id, or its name in .versions")->required();
  std::tie(leaf, options) = command("restore", "Make an old version the newest one again", restore);
  leaf->add_option("--version", options->version, "Its id, or its name in .versions");
  leaf->add_option("--at", options->to, kMomentHelp);
  leaf->add_flag("--dry-run", options->dry_run, "With --at: only say what would change");
  std::tie(leaf, options) =
      command("undelete", "Bring back a file, or a directory with all that went with it", undelete);
  leaf->add_flag("--dry-run", options->dry_run, "Only say what would come back");
  std::tie(leaf, options) = command("purge", "Remove one version, or delete marker, for good", purge);
  leaf->add_option("--version", options->version, "Its id, or its name in .versions")->required();
  leaf->add_flag("--yes", options->yes, "Do not ask");
  leaf->add_flag("--bypass-governance", options->bypass_governance, "Also if it is retained in governance mode");
  leaf->add_option("--mfa", options->mfa, kMfaHelp)->type_name("CODE");
  std::tie(leaf, options) = command("diff", "List what changed between two moments", diff);
  leaf->add_option("--from", options->from, kMomentHelp)->required();
  leaf->add_option("--to", options->to, "The later moment; default: now");
}

}  // namespace pailfs::cli
