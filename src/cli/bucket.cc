#include <fmt/format.h>
#include <sys/stat.h>

#include "cli/invocation.h"
#include "cli/lock.h"
#include "cli/mfa.h"
#include "cli/session.h"

namespace pailfs::cli {
namespace {

struct BucketOptions {
  std::string name;
  std::string versioning = "enabled";
  bool purge = false;
  bool yes = false;
  bool object_lock = false;
  bool bypass_governance = false;
  std::string mfa;
};
using BucketOptionsPtr = std::shared_ptr<BucketOptions>;

uint32_t current_umask() {
  const mode_t mask = ::umask(022);
  ::umask(mask);
  return mask;
}

// One request about a bucket of the store that the options choose; prints the result with `print` unless --json.
int simple(Invocation& invocation, Access access, std::string_view op, const Json& args,
           const std::function<void(const Json&)>& print) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  auto result = request_once(invocation, place->store, access, op, args);
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) print(*result);
  return kExitOk;
}

int list(Invocation& invocation) {
  return simple(invocation, Access::kRead, "bucket.list", Json::object(), [&](const Json& result) {
    for (const Json& bucket : object_member(result, "buckets")) {
      invocation.line(fmt::format("{:<40} versioning {:<10} owner {:<6} made {}", text_member(bucket, "name"),
                                  text_member(bucket, "versioning"), number_member(bucket, "owner"),
                                  text_member(bucket, "created")));
    }
  });
}

std::string contents(const Json& bucket) {
  return fmt::format(
      "{}, {}, {}: {} of current content and {} of older versions",
      count_of(number_member(bucket, "objects"), "object"), count_of(number_member(bucket, "directories"), "directory"),
      count_of(number_member(bucket, "noncurrent_versions"), "older version"),
      human_size(number_member(bucket, "current_bytes")), human_size(number_member(bucket, "noncurrent_bytes")));
}

std::string keep_rule(const Json& keep) {
  std::string text;
  if (keep.contains("days"))
    text = fmt::format("older versions go after {}", count_of(number_member(keep, "days"), "day"));
  if (keep.contains("count")) {
    if (text.empty()) text = "older versions go";
    text += fmt::format(", but for the newest {} of each object", number_member(keep, "count"));
  }
  return text.empty() ? "none: nothing expires by itself" : text;
}

int show(Invocation& invocation, const BucketOptions& options) {
  return simple(invocation, Access::kRead, "bucket.show", {{"bucket", options.name}}, [&](const Json& bucket) {
    invocation.line(fmt::format("bucket      {}", text_member(bucket, "name")));
    invocation.line(fmt::format("owner       uid {}", number_member(bucket, "owner")));
    invocation.line(fmt::format("made        {}", text_member(bucket, "created")));
    invocation.line(fmt::format("versioning  {}", text_member(bucket, "versioning")));
    invocation.line("lock        " + bucket_lock_words(bucket));
    invocation.line(fmt::format("mfa delete  {}", flag_member(bucket, "mfa_delete") ? "on" : "off"));
    invocation.line(fmt::format("ownership   {}", text_member(bucket, "ownership")));
    invocation.line("history     " + (text_member(bucket, "history_since").empty()
                                          ? std::string("none: versioning was never on")
                                          : "since " + text_member(bucket, "history_since")));
    invocation.line("keep rule   " + keep_rule(object_member(bucket, "keep")));
    invocation.line("holds       " + contents(bucket));
  });
}

int create(Invocation& invocation, const BucketOptions& options) {
  const Json args = {{"bucket", options.name},
                     {"versioning", options.versioning},
                     {"mode", 0777 & ~current_umask()},
                     {"object_lock", options.object_lock}};
  return simple(invocation, Access::kChange, "bucket.create", args, [&](const Json& bucket) {
    invocation.line(fmt::format("Made the bucket {}, versioning {}{}.", text_member(bucket, "name"),
                                text_member(bucket, "versioning"),
                                flag_member(bucket, "object_lock") ? ", with Object Lock" : ""));
  });
}

// Says what is in the bucket, and asks.
Status confirm_purge(Invocation& invocation, Session& session, const BucketOptions& options) {
  PAILFS_ASSIGN(const Json bucket, session.request("bucket.show", {{"bucket", options.name}}));
  invocation.console.error(
      fmt::format("The bucket {} holds {}. All of it goes, for good.\n", options.name, contents(bucket)));
  return confirm(invocation, "Type the bucket's name to delete it: ", options.name);
}

int remove(Invocation& invocation, const BucketOptions& options) {
  if (options.yes && !options.purge) {
    return invocation.failed({Code::kInvalid, "--yes goes with --purge: without it only an empty bucket is deleted"},
                             kExitUsage);
  }
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  auto session = Session::open(invocation, place->store, Access::kChange);
  if (!session) return invocation.failed(session.error());
  if (options.purge && !options.yes) {
    if (const Status agreed = confirm_purge(invocation, **session, options); !agreed) {
      static_cast<void>((*session)->close());
      return invocation.not_agreed(agreed.error());
    }
  }
  Json args = {{"bucket", options.name}, {"purge", options.purge}};
  if (options.bypass_governance) args["bypass_governance"] = true;
  const Status code = add_mfa(invocation, options.mfa, args);
  auto result = code ? (*session)->request("bucket.delete", args) : Result<Json>(std::unexpected(code.error()));
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line(fmt::format("Deleted the bucket {}.", options.name));
  return kExitOk;
}

int usage(Invocation& invocation) {
  return simple(invocation, Access::kRead, "usage", Json::object(), [&](const Json& result) {
    invocation.line(
        fmt::format("{:<32} {:>10} {:>11} {:>10} {:>11}", "bucket", "objects", "current", "versions", "older"));
    for (const Json& bucket : object_member(result, "buckets")) {
      invocation.line(fmt::format("{:<32} {:>10} {:>11} {:>10} {:>11}", text_member(bucket, "name"),
                                  number_member(bucket, "objects"), human_size(number_member(bucket, "current_bytes")),
                                  number_member(bucket, "noncurrent_versions"),
                                  human_size(number_member(bucket, "noncurrent_bytes"))));
    }
    invocation.line(fmt::format("On the disk: {} of content, {} of these to be given back; {} of index.",
                                human_size(number_member(result, "log_bytes")),
                                human_size(number_member(result, "dead_bytes")),
                                human_size(number_member(result, "index_bytes"))));
  });
}

void print_versioning(Invocation& invocation, const Json& result) {
  invocation.line(
      fmt::format("The versioning of {} is {}.", text_member(result, "bucket"), text_member(result, "versioning")));
}

void add_versioning(CLI::App& app, Invocation& invocation) {
  CLI::App* const versioning = app.add_subcommand("versioning", "Whether a bucket keeps old versions");
  versioning->require_subcommand(1);
  const auto add = [&](const std::string& verb, const std::string& description, const std::string& state) {
    auto options = std::make_shared<BucketOptions>();
    CLI::App* const leaf = invocation.command(*versioning, verb, description, [&invocation, options, state] {
      const auto print = [&](const Json& result) { print_versioning(invocation, result); };
      Json args = {{"bucket", options->name}};
      if (state.empty()) return simple(invocation, Access::kRead, "versioning.get", args, print);
      args["state"] = state;
      if (const Status code = add_mfa(invocation, options->mfa, args); !code) return invocation.failed(code.error());
      return simple(invocation, Access::kChange, "versioning.set", args, print);
    });
    leaf->add_option("BUCKET", options->name)->required();
    if (!state.empty()) leaf->add_option("--mfa", options->mfa, kMfaHelp)->type_name("CODE");
  };
  add("enable", "Keep a version of everything from now on", "enabled");
  add("suspend", "Keep no further versions; those that exist stay", "suspended");
  add("status", "Say which it is", "");

  struct KeepOptions {
    std::string bucket;
    std::optional<uint32_t> days, count;
    bool none = false;
  };
  const auto options = std::make_shared<KeepOptions>();
  CLI::App* const leaf =
      invocation.command(*versioning, "keep", "Let old versions go by themselves", [&invocation, options] {
        if (!options->none && !options->days && !options->count) {
          return invocation.failed(
              {Code::kInvalid, "say what is kept: --days, --count or both; or --none to end the rule"}, kExitUsage);
        }
        Json args = {{"bucket", options->bucket}};
        if (options->days) args["days"] = *options->days;
        if (options->count) args["count"] = *options->count;
        return simple(invocation, Access::kChange, "versioning.keep", args, [&](const Json& bucket) {
          invocation.line(
              fmt::format("The keep rule of {}: {}.", options->bucket, keep_rule(object_member(bucket, "keep"))));
        });
      });
  leaf->add_option("BUCKET", options->bucket)->required();
  CLI::Option* const none = leaf->add_flag("--none", options->none, "No rule: nothing expires by itself");
  leaf->add_option("--days", options->days, "Older versions go this long after they were replaced")->excludes(none);
  leaf->add_option("--count", options->count, "But the newest so many of each object stay")->excludes(none);
}

}  // namespace

void add_bucket_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const bucket = app.add_subcommand("bucket", "Make, show and delete buckets");
  bucket->require_subcommand(1);
  invocation.command(*bucket, "list", "List the buckets", [&invocation] { return list(invocation); });

  BucketOptionsPtr options = std::make_shared<BucketOptions>();
  invocation
      .command(*bucket, "show", "Say what a bucket holds",
               [&invocation, options] { return show(invocation, *options); })
      ->add_option("BUCKET", options->name)
      ->required();

  options = std::make_shared<BucketOptions>();
  CLI::App* leaf = invocation.command(*bucket, "create", "Make a bucket",
                                      [&invocation, options] { return create(invocation, *options); });
  leaf->add_option("BUCKET", options->name, "3 to 63 characters of a-z, 0-9, '.' and '-'")->required();
  leaf->add_option("--versioning", options->versioning, "Whether it keeps old versions")
      ->check(CLI::IsMember({"enabled", "suspended", "off"}))
      ->capture_default_str();

  leaf->add_flag("--object-lock", options->object_lock, "With Object Lock, for good: see pail lock");

  options = std::make_shared<BucketOptions>();
  leaf = invocation.command(*bucket, "delete", "Delete an empty bucket, or with --purge any",
                            [&invocation, options] { return remove(invocation, *options); });
  leaf->add_option("BUCKET", options->name)->required();
  leaf->add_flag("--purge", options->purge, "Delete everything in it too, with all versions");
  leaf->add_flag("--yes", options->yes, "Do not ask");
  leaf->add_flag("--bypass-governance", options->bypass_governance, "Also versions retained in governance mode");
  leaf->add_option("--mfa", options->mfa, kMfaHelp)->type_name("CODE");

  add_versioning(app, invocation);
  invocation.command(app, "usage", "Say what buckets hold, now and in older versions",
                     [&invocation] { return usage(invocation); });
}

}  // namespace pailfs::cli
