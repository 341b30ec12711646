#include "cli/lock.h"

#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/session.h"
#include "cli/targets.h"
#include "core/time_text.h"

namespace pailfs::cli {

std::string lock_words(const Json& lock) {
  std::string text;
  if (const std::string mode = text_member(lock, "mode"); !mode.empty()) {
    text = fmt::format("{} until {}{}", mode, text_member(lock, "until"),
                       flag_member(lock, "locked") || flag_member(lock, "legal_hold") ? "" : ", which is over");
  }
  if (flag_member(lock, "legal_hold")) text += text.empty() ? "legal hold" : ", legal hold";
  return text.empty() ? "not locked" : text;
}

std::string bucket_lock_words(const Json& bucket) {
  if (!flag_member(bucket, "object_lock")) return "off";
  const Json& retention = object_member(bucket, "default_retention");
  if (retention.empty()) return "on; new versions get no retention by themselves";
  const uint64_t years = number_member(retention, "years");
  return fmt::format("on; new versions: {} for {}", text_member(retention, "mode"),
                     years != 0 ? count_of(years, "year") : count_of(number_member(retention, "days"), "day"));
}

namespace {

struct LockOptions {
  std::string target;
  std::string version;
  std::string mode;
  std::string until;
  std::optional<uint32_t> days, years;
  bool none = false;
  bool bypass = false;
};

// Answers with a bucket or with a version.
void print(Invocation& invocation, const Json& result) {
  if (!result.contains("path")) {
    invocation.line(fmt::format("Object Lock of {}: {}.", text_member(result, "bucket"), bucket_lock_words(result)));
    if (const std::string time = text_member(result, "retention_time"); !time.empty()) {
      invocation.line("It is " + time + " by the store's retention clock.");
    }
    return;
  }
  invocation.line(fmt::format("{} of {}/{}: {}.", text_member(result, "name"), text_member(result, "bucket"),
                              printable(text_member(result, "path")), lock_words(object_member(result, "lock"))));
}

int send(Invocation& invocation, Result<Target> target, Access access, std::string_view op, const LockOptions& options,
         const Json& more) {
  if (!target) return invocation.failed(target.error());
  target->args.update(more);
  if (!options.version.empty()) target->args["version"] = options.version;
  auto result = request_once(invocation, target->store, access, op, target->args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) print(invocation, *result);
  return kExitOk;
}

int on_bucket(Invocation& invocation, std::string_view op, const LockOptions& options, const Json& more) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  return send(invocation, Target{place->store, {{"bucket", options.target}}}, Access::kChange, op, options, more);
}

int on_version(Invocation& invocation, std::string_view op, const LockOptions& options, const Json& more) {
  return send(invocation, choose_path(invocation.common, options.target), Access::kChange, op, options, more);
}

// --mode and a period, or --none.
Result<Json> period(const LockOptions& options) {
  Json out = Json::object();
  if (options.none) return out;
  if (options.mode.empty()) {
    return fail(Code::kInvalid, "MalformedXML: say how: --mode governance or --mode compliance; or --none to end it");
  }
  out["mode"] = options.mode;
  if (options.days) out["days"] = *options.days;
  if (options.years) out["years"] = *options.years;
  if (!options.until.empty()) {
    const auto until = parse_time(options.until);
    if (!until) return fail(Code::kInvalid, "--until " + until.error().message + "; a period has --days or --years");
    out["until"] = *until;
  }
  if (out.size() != 2) {
    return fail(Code::kInvalid, "MalformedXML: say how long, in one way: --days, --years or, for a version, --until");
  }
  return out;
}

int set_default(Invocation& invocation, const LockOptions& options) {
  const auto args = period(options);
  if (!args) return invocation.failed(args.error(), kExitUsage);
  return on_bucket(invocation, "lock.default", options, *args);
}

int retain(Invocation& invocation, const LockOptions& options) {
  auto args = period(options);
  if (!args) return invocation.failed(args.error(), kExitUsage);
  (*args)["bypass_governance"] = options.bypass;
  return on_version(invocation, "lock.retain", options, *args);
}

constexpr const char* kPathHelp = "On the mount, also of what is deleted; BUCKET/KEY with --store";

using LockOptionsPtr = std::shared_ptr<LockOptions>;

void add_period(CLI::App& leaf, const LockOptionsPtr& options) {
  CLI::Option* const none = leaf.add_flag("--none", options->none, "None: end it");
  leaf.add_option("--mode", options->mode, "Who can end it: governance: with --bypass-governance; compliance: nobody")
      ->check(CLI::IsMember({"governance", "compliance"}))
      ->excludes(none);
  leaf.add_option("--days", options->days, "For so many days from now on")->excludes(none);
  leaf.add_option("--years", options->years, "For so many years, of 365 days")->excludes(none);
}

}  // namespace

void add_lock_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const lock = app.add_subcommand("lock", "Keep versions from being removed (Object Lock)");
  lock->require_subcommand(1);
  using Run = std::function<int(const LockOptions&)>;
  const auto command = [&](const char* name, const char* description, const char* target, const char* help, Run run) {
    const auto options = std::make_shared<LockOptions>();
    CLI::App* const leaf =
        invocation.command(*lock, name, description, [options, run = std::move(run)] { return run(*options); });
    leaf->add_option(target, options->target, help)->required();
    return std::pair(leaf, options);
  };
  const auto with_version = [](const std::pair<CLI::App*, LockOptionsPtr>& made) {
    made.first->add_option("--version", made.second->version, "Its id, or its name in .versions; default: the newest");
    return made;
  };
  command("enable", "Give a bucket Object Lock, for good", "BUCKET", "Versioning is enabled, and stays so",
          [&](const LockOptions& o) { return on_bucket(invocation, "lock.enable", o, Json::object()); });
  const auto standard = command("default", "Set how long new versions of a bucket are retained", "BUCKET",
                                "With Object Lock", [&](const LockOptions& o) { return set_default(invocation, o); });
  add_period(*standard.first, standard.second);
  with_version(
      command("status", "Say how a bucket, or a version, is locked", "TARGET", kTargetHelp, [&](const LockOptions& o) {
        return send(invocation, choose_bucket_or_path(invocation, o.target), Access::kRead, "lock.status", o,
                    Json::object());
      }));
  const auto [leaf, options] =
      with_version(command("retain", "Retain a version until a date, or end that", "PATH", kPathHelp,
                           [&](const LockOptions& o) { return retain(invocation, o); }));
  add_period(*leaf, options);
  leaf->add_option("--until", options->until, "A date in UTC, 2027-11-23, or RFC 3339, 2027-11-23T14:56:00Z");
  leaf->add_flag("--bypass-governance", options->bypass, "Shorten or end a retention in governance mode");
  with_version(command("hold", "Put a legal hold on a version", "PATH", kPathHelp,
                       [&](const LockOptions& o) { return on_version(invocation, "lock.hold", o, {{"on", true}}); }));
  with_version(command("release", "End a legal hold", "PATH", kPathHelp,
                       [&](const LockOptions& o) { return on_version(invocation, "lock.hold", o, {{"on", false}}); }));
}

}  // namespace pailfs::cli
