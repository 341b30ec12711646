// `pail managed-policy`: policies that users, groups and roles share, with their versions.
#include <fmt/format.h>

#include <charconv>

#include "cli/bucket_policy.h"
#include "cli/identity.h"

namespace pailfs::cli {
namespace {

constexpr const char* kManagedPolicy = "managed-policy";

struct ManagedOptions {
  std::string name, file, version;
  bool keep_default = false, accept_unknown_keys = false;
};
using ManagedOptionsPtr = std::shared_ptr<ManagedOptions>;

// "v3", as IAM has it, or "3".
Result<uint32_t> version_number(std::string_view text) {
  const std::string_view digits = text.starts_with('v') ? text.substr(1) : text;
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc() && end == digits.data() + digits.size() && number != 0) return number;
  return fail(Code::kInvalid,
              fmt::format("{} is no version of a managed policy: write v1, v2 and so on", printable(text)));
}

int put_version(Invocation& invocation, const ManagedOptions& options, bool create) {
  const auto text = read_policy(options.file);
  if (!text) return invocation.failed(text.error());
  std::string done = create ? fmt::format("There is a managed policy {}.", options.name)
                     : options.keep_default
                         ? fmt::format("Managed policy {} has a new version, which is not in force.", options.name)
                         : fmt::format("The new version of managed policy {} is in force.", options.name);
  return change_identity(invocation, kManagedPolicy, options.name,
                         {{"create", create},
                          {"new_version", *text},
                          {"keep_default", options.keep_default},
                          {"accept_unknown_keys", options.accept_unknown_keys}},
                         done, options.file);
}

int change_version(Invocation& invocation, const ManagedOptions& options, const char* argument, const char* done) {
  const auto number = version_number(options.version);
  if (!number) return invocation.failed(number.error(), kExitUsage);
  return change_identity(invocation, kManagedPolicy, options.name, {{argument, *number}},
                         fmt::format("Version v{} of managed policy {} is {}.", *number, options.name, done), {});
}

int list_managed(Invocation& invocation) {
  const auto result = ask_identities(invocation, Access::kRead, "identity.list", {{"kind", kManagedPolicy}});
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  for (const Json& policy : object_member(*result, "identities")) {
    std::string others;
    uint64_t in_force = 0;
    for (const Json& version : object_member(policy, "versions")) {
      const uint64_t number = number_member(version, "version");
      if (flag_member(version, "default")) {
        in_force = number;
      } else {
        others += fmt::format("{}v{}", others.empty() ? "; also " : ", ", number);
      }
    }
    invocation.line(fmt::format("{:<24} v{} is in force{}", text_member(policy, "name"), in_force, others));
  }
  return kExitOk;
}

int show_managed(Invocation& invocation, const ManagedOptions& options) {
  Result<uint32_t> wanted = 0;
  if (!options.version.empty()) wanted = version_number(options.version);
  if (!wanted) return invocation.failed(wanted.error(), kExitUsage);
  const auto result =
      ask_identities(invocation, Access::kRead, "identity.get", {{"kind", kManagedPolicy}, {"name", options.name}});
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  for (const Json& version : object_member(*result, "versions")) {
    if (*wanted == 0 ? !flag_member(version, "default") : number_member(version, "version") != *wanted) continue;
    std::string text = text_member(version, "policy");
    if (!text.ends_with('\n')) text += '\n';
    invocation.console.out(text);
    return kExitOk;
  }
  return invocation.failed(
      {Code::kNotFound, fmt::format("NoSuchEntity: managed policy {} has no version v{}", options.name, *wanted)});
}

}  // namespace

void add_managed_policy_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const group =
      app.add_subcommand(kManagedPolicy, "Policies that users, groups and roles share, and boundaries");
  group->require_subcommand(1);
  using Run = std::function<int(const ManagedOptions&)>;
  const auto add = [&](const char* verb, const char* description, Run run) {
    auto options = std::make_shared<ManagedOptions>();
    CLI::App* const leaf =
        invocation.command(*group, verb, description, [options, run = std::move(run)] { return run(*options); });
    leaf->add_option("NAME", options->name)->required();
    return std::pair(leaf, options);
  };
  const auto add_file = [](CLI::App* leaf, const ManagedOptionsPtr& options) {
    leaf->add_option("FILE", options->file, "The document; - for standard input")->required();
    leaf->add_flag("--accept-unknown-keys", options->accept_unknown_keys,
                   "Also condition keys that no request here has");
  };
  const auto add_version = [](CLI::App* leaf, const ManagedOptionsPtr& options) {
    leaf->add_option("VERSION", options->version, "v1, v2 and so on")->required();
  };
  const auto [creating, create_options] =
      add("create", "Make one", [&invocation](const ManagedOptions& o) { return put_version(invocation, o, true); });
  add_file(creating, create_options);
  const auto [updating, update_options] =
      add("update", "Give it a new version",
          [&invocation](const ManagedOptions& o) { return put_version(invocation, o, false); });
  add_file(updating, update_options);
  updating->add_flag("--keep-default", update_options->keep_default, "The version that is in force stays so");
  const auto [choosing, choose_options] =
      add("default", "Put one of its versions in force",
          [&](const ManagedOptions& o) { return change_version(invocation, o, "default_version", "in force"); });
  add_version(choosing, choose_options);
  const auto [erasing, erase_options] = add(
      "delete-version", "Delete one of its versions",
      [&invocation](const ManagedOptions& o) { return change_version(invocation, o, "delete_version", "deleted"); });
  add_version(erasing, erase_options);
  add("delete", "Delete one that nobody has", [&invocation](const ManagedOptions& o) {
    return change_identity(invocation, kManagedPolicy, o.name, {{"delete", true}},
                           fmt::format("Managed policy {} is deleted.", o.name), {});
  });
  invocation.command(*group, "list", "List them", [&invocation] { return list_managed(invocation); });
  const auto [showing, show_options] =
      add("show", "Print the one that is in force",
          [&invocation](const ManagedOptions& o) { return show_managed(invocation, o); });
  showing->add_option("--version", show_options->version, "Another of its versions");
}

}  // namespace pailfs::cli
