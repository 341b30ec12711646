// `pail public` and `pail public-access-block`: what is public, and the switches that take it back.
#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/session.h"
#include "core/public_access.h"

namespace pailfs::cli {
namespace {

struct PublicOptions {
  std::string bucket;
  bool whole_store = false;
  bool all = false;
  bool on[kPublicSwitches.size()] = {};
};
using PublicOptionsPtr = std::shared_ptr<PublicOptions>;

Result<Json> ask_public(Invocation& invocation, Access access, std::string_view op, const Json& args) {
  PAILFS_ASSIGN(const Place place, choose_store(invocation.common, std::nullopt));
  return request_once(invocation, place.store, access, op, args);
}

Json bucket_argument(const PublicOptions& options) {
  return options.bucket.empty() ? Json::object() : Json{{"bucket", options.bucket}};
}

// "BlockPublicAcls, RestrictPublicBuckets"; "none".
std::string switch_words(const Json& switches) {
  std::string text;
  for (const PublicSwitch one : kPublicSwitches) {
    const std::string name(public_switch_name(one));
    if (flag_member(switches, name.c_str())) text += (text.empty() ? "" : ", ") + name;
  }
  return text.empty() ? "none" : text;
}

std::string bits_words(uint64_t bits) {
  return fmt::format("{}{}{}", (bits & 4) != 0 ? 'r' : '-', (bits & 2) != 0 ? 'w' : '-', (bits & 1) != 0 ? 'x' : '-');
}

// --- pail public

void print_places(Invocation& invocation, const Json& report) {
  const bool ignored = flag_member(object_member(report, "in_force"), "IgnorePublicAcls");
  const uint64_t objects = number_member(report, "public_objects");
  const uint64_t directories = number_member(report, "public_directories");
  invocation.line(fmt::format("  modes and ACLs: {} of {} and {} of {} have rights for others{}", objects,
                              count_of(number_member(report, "objects"), "object"), directories,
                              count_of(number_member(report, "directories"), "directory"),
                              !ignored || objects + directories == 0 ? "" : ", which do not count (IgnorePublicAcls)"));
  const Json& places = object_member(report, "places");
  for (const Json& place : places) {
    const uint64_t authenticated = number_member(place, "authenticated_users");
    const std::string path = printable(text_member(place, "path"));
    invocation.line(fmt::format("    {} {}{}{}{}", fmt::format("{:04o}", number_member(place, "mode")),
                                bits_words(number_member(place, "others")),
                                authenticated != 0 ? " authenticated " + bits_words(authenticated) : "",
                                path.empty() ? " the bucket itself" : " " + path,
                                flag_member(place, "directory") && !path.empty() ? "/" : ""));
  }
  if (objects + directories > places.size()) invocation.line("    …");
}

void print_report(Invocation& invocation, const Json& report) {
  const Json& policy = object_member(report, "policy");
  const Json& in_force = object_member(report, "in_force");
  invocation.line(fmt::format("{}", text_member(report, "bucket")));
  invocation.line("  blocked: " + switch_words(in_force));
  std::string words = flag_member(policy, "exists") ? "not public" : "none";
  if (const std::string problem = text_member(policy, "problem"); !problem.empty()) words = problem;
  if (flag_member(policy, "public")) {
    words = "public, by " + text_member(policy, "statement");
    if (flag_member(in_force, "RestrictPublicBuckets")) {
      words += "; it counts for users of the account only (RestrictPublicBuckets)";
    }
  }
  invocation.line("  policy: " + words);
  print_places(invocation, report);
}

int show(Invocation& invocation, const PublicOptions& options) {
  const auto result = ask_public(invocation, Access::kRead, "public.show", bucket_argument(options));
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line("Blocked in the whole store: " + switch_words(object_member(*result, "store")));
  for (const Json& report : object_member(*result, "buckets")) print_report(invocation, report);
  return kExitOk;
}

// --- pail public-access-block

// So that nobody opens or closes the whole store who forgot to name a bucket.
Status check_target(const PublicOptions& options) {
  if (options.bucket.empty() == options.whole_store) return {};
  if (options.whole_store) return fail(Code::kInvalid, "name a bucket, or give --whole-store, and not both");
  return fail(Code::kInvalid, "name a bucket, or give --whole-store for the store");
}

int block(Invocation& invocation, const PublicOptions& options, Access access, std::string_view op, Json args) {
  if (const Status target = check_target(options); !target) return invocation.failed(target.error(), kExitUsage);
  args.update(bucket_argument(options));
  const auto result = ask_public(invocation, access, op, args);
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  const std::string own = switch_words(object_member(*result, "own"));
  if (options.whole_store) {
    invocation.line("Blocked in the whole store: " + own);
    return kExitOk;
  }
  invocation.line(fmt::format("Blocked in bucket {}: {}", options.bucket, own));
  const std::string in_force = switch_words(object_member(*result, "in_force"));
  if (in_force != own) invocation.line("With what the whole store blocks: " + in_force);
  return kExitOk;
}

int put_block(Invocation& invocation, const PublicOptions& options) {
  Json args = Json::object();
  bool any = false;
  for (size_t i = 0; i < kPublicSwitches.size(); ++i) {
    const bool on = options.all || options.on[i];
    args[std::string(public_switch_name(kPublicSwitches[i]))] = on;
    any = any || on;
  }
  if (!any) {
    return invocation.failed({Code::kInvalid,
                              "say what to block: --all, or some of --block-public-acls, "
                              "--ignore-public-acls, --block-public-policy, "
                              "--restrict-public-buckets; 'delete' blocks nothing"},
                             kExitUsage);
  }
  return block(invocation, options, Access::kChange, "public.block.put", std::move(args));
}

CLI::App* add_block_command(CLI::App& group, Invocation& invocation, const char* name, const char* description,
                            const PublicOptionsPtr& options, std::function<int()> run) {
  CLI::App* const leaf = invocation.command(group, name, description, std::move(run));
  leaf->add_option("BUCKET", options->bucket);
  leaf->add_flag("--whole-store", options->whole_store, "The switches that hold in every bucket of the store");
  return leaf;
}

}  // namespace

void add_public_commands(CLI::App& app, Invocation& invocation) {
  const auto shown = std::make_shared<PublicOptions>();
  CLI::App* leaf = invocation.command(app, "public", "Show what is public, and why",
                                      [&invocation, shown] { return show(invocation, *shown); });
  leaf->add_option("BUCKET", shown->bucket, "Default: all buckets");

  CLI::App* const group = app.add_subcommand("public-access-block", "Take back what is public (Block Public Access)");
  group->require_subcommand(1);
  auto options = std::make_shared<PublicOptions>();
  add_block_command(*group, invocation, "get", "Say what is blocked", options, [&invocation, options] {
    return block(invocation, *options, Access::kRead, "public.block.get", Json::object());
  });
  options = std::make_shared<PublicOptions>();
  leaf = add_block_command(*group, invocation, "put", "Block what is named, and nothing else", options,
                           [&invocation, options] { return put_block(invocation, *options); });
  leaf->add_flag("--all", options->all, "All four");
  constexpr std::array kFlags{"--block-public-acls", "--ignore-public-acls", "--block-public-policy",
                              "--restrict-public-buckets"};
  constexpr std::array kMeanings{"Nothing new is public by mode or ACL", "What is public by mode or ACL does not count",
                                 "No public policy can be put",
                                 "What a public policy allows counts for users of the account only"};
  for (size_t i = 0; i < kFlags.size(); ++i) leaf->add_flag(kFlags[i], options->on[i], kMeanings[i]);
  options = std::make_shared<PublicOptions>();
  add_block_command(*group, invocation, "delete", "Block nothing", options, [&invocation, options] {
    return block(invocation, *options, Access::kChange, "public.block.put", Json::object());
  });
}

}  // namespace pailfs::cli
