// `pail user|group|role|service`: who asks, and the policies that are attached to him.
#include "cli/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "cli/bucket_policy.h"
#include "cli/session.h"
#include "core/time_text.h"

namespace pailfs::cli {

namespace {

std::string made_line(std::string_view kind, std::string_view name) {
  return fmt::format("Made a record for the system's {} {}.", kind, name);
}

}  // namespace

Result<Json> ask_identities(Invocation& invocation, Access access, std::string_view op, const Json& args) {
  PAILFS_ASSIGN(const Place place, choose_store(invocation.common, std::nullopt));
  return request_once(invocation, place.store, access, op, args);
}

int change_identity(Invocation& invocation, const std::string& kind, const std::string& name, Json args,
                    const std::string& done, const std::string& file) {
  args["kind"] = kind;
  args["name"] = name;
  const auto result = ask_identities(invocation, Access::kChange, "identity.change", args);
  if (!result) {
    const Error& error = result.error();
    const bool of_file = !file.empty() && error.code == Code::kInvalid;
    return invocation.failed({error.code, of_file ? fmt::format("{}: {}", file, error.message) : error.message});
  }
  if (invocation.printed_json(*result)) return kExitOk;
  if (flag_member(*result, "made")) {
    invocation.line(made_line(kind, name));
  }
  invocation.line(done);
  return kExitOk;
}

std::string joined_texts(const Json& list, std::string_view between) {
  std::string out;
  for (const Json& item : list) {
    const std::string text = item.is_string() ? item.get<std::string>() : item.is_number() ? item.dump() : "";
    out += (out.empty() ? "" : std::string(between)) + text;
  }
  return out;
}

namespace {

struct IdentityOptions {
  std::string name;
  std::string policy;  // the name of an inline or managed one
  std::string file;
  std::vector<std::string> words;  // tags, or members of a group
  std::vector<uint32_t> numbers;
  std::vector<std::string> units, cgroups;
  std::string duration;
  bool remove = false, none = false, accept_unknown_keys = false, trust = false;
};
using IdentityOptionsPtr = std::shared_ptr<IdentityOptions>;

// --- What is shown

std::string policies_line(const Json& identity) {
  std::string out;
  for (const auto& [name, text] : object_member(identity, "policies").items()) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string tags_line(const Json& identity) {
  std::string out;
  for (const auto& [key, value] : object_member(identity, "tags").items()) {
    if (value.is_string()) out += fmt::format("{}{}={}", out.empty() ? "" : ", ", key, value.get<std::string>());
  }
  return out;
}

// What there is of it, as a label and a text.
std::vector<std::pair<std::string, std::string>> parts_of(const Json& identity) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](const char* label, std::string text) {
    if (!text.empty()) out.emplace_back(label, std::move(text));
  };
  add("uids", joined_texts(object_member(identity, "uids"), ", "));
  add("gids", joined_texts(object_member(identity, "gids"), ", "));
  add("groups", joined_texts(object_member(identity, "groups"), ", "));
  add("members", joined_texts(object_member(identity, "members"), ", "));
  add("policies", policies_line(identity));
  add("attached", joined_texts(object_member(identity, "attached"), ", "));
  add("boundary", text_member(identity, "boundary"));
  add("tags", tags_line(identity));
  if (const uint64_t seconds = number_member(identity, "max_session_seconds"); seconds != 0) {
    add("sessions", "up to " + human_duration(static_cast<int64_t>(seconds)));
  }
  add("runs in", joined_texts(object_member(identity, "cgroups"), ", "));
  return out;
}

int list(Invocation& invocation, const std::string& kind) {
  const auto result = ask_identities(invocation, Access::kRead, "identity.list", {{"kind", kind}});
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  for (const Json& identity : object_member(*result, "identities")) {
    std::string parts;
    for (const auto& [label, text] : parts_of(identity)) {
      parts += fmt::format("{}{}: {}", parts.empty() ? "" : "; ", label, text);
    }
    invocation.line(fmt::format("{:<24} {}", text_member(identity, "name"), parts.empty() ? "-" : parts));
  }
  return kExitOk;
}

int show(Invocation& invocation, const std::string& kind, const IdentityOptions& options) {
  const auto result =
      ask_identities(invocation, Access::kRead, "identity.get", {{"kind", kind}, {"name", options.name}});
  if (!result) return invocation.failed(result.error());
  if (!options.policy.empty() || options.trust) {
    std::string text = options.trust ? text_member(*result, "trust")
                                     : text_member(object_member(*result, "policies"), options.policy.c_str());
    if (text.empty()) {
      return invocation.failed({Code::kNotFound, fmt::format("NoSuchEntity: {} {} has no policy {} of its own", kind,
                                                             options.name, printable(options.policy))});
    }
    if (!text.ends_with('\n')) text += '\n';
    invocation.console.out(text);
    return kExitOk;
  }
  if (invocation.printed_json(*result)) return kExitOk;
  const std::string arn = text_member(*result, "arn");
  invocation.line(arn.empty() ? options.name : arn);
  for (const auto& [label, text] : parts_of(*result)) invocation.line(fmt::format("  {:<9} {}", label + ":", text));
  if (flag_member(*result, "system")) {
    invocation.line(fmt::format("  It is the system's {} of that name: the store has no record of it.", kind));
  }
  return kExitOk;
}

// --- What is changed

// Users and groups that the system has get their record when they are first given something.
int change(Invocation& invocation, const std::string& kind, const IdentityOptions& options, Json args,
           const std::string& done, const std::string& file = {}) {
  args["create_if_known"] = true;
  return change_identity(invocation, kind, options.name, std::move(args), done, file);
}

int put_policy(Invocation& invocation, const std::string& kind, const IdentityOptions& options) {
  const auto text = read_policy(options.file);
  if (!text) return invocation.failed(text.error());
  return change(invocation, kind, options,
                {{"put_policies", {{options.policy, *text}}}, {"accept_unknown_keys", options.accept_unknown_keys}},
                fmt::format("Policy {} of {} {} is in force.", options.policy, kind, options.name), options.file);
}

int set_boundary(Invocation& invocation, const std::string& kind, const IdentityOptions& options) {
  if (options.policy.empty() != options.none) {
    return invocation.failed({Code::kInvalid, "say which: the name of a managed policy, or --none"}, kExitUsage);
  }
  return change(invocation, kind, options, {{"boundary", options.policy}},
                options.none
                    ? fmt::format("{} {} has no boundary.", kind, options.name)
                    : fmt::format("What policies allow {} {} is bounded by {}.", kind, options.name, options.policy));
}

int set_tags(Invocation& invocation, const std::string& kind, const IdentityOptions& options) {
  Json tags = Json::object();
  for (const std::string& word : options.words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invocation.failed({Code::kInvalid, fmt::format("{} is no tag: write KEY=VALUE", printable(word))},
                               kExitUsage);
    }
    tags[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return change(invocation, kind, options, {{"tag", std::move(tags)}},
                fmt::format("{} {} is tagged.", kind, options.name));
}

int map_numbers(Invocation& invocation, const std::string& kind, const IdentityOptions& options) {
  const std::string numbers = fmt::format("{}", fmt::join(options.numbers, ", "));
  return change(invocation, kind, options, {{options.remove ? "remove_numbers" : "add_numbers", options.numbers}},
                fmt::format("{} {} {} {} {}.", kind == "user" ? "uid" : "gid", numbers,
                            options.remove ? "is not" : "is", kind, options.name));
}

// A member is kept in the user's record: the same change of all of them, or of none.
int change_members(Invocation& invocation, const IdentityOptions& options, bool add) {
  auto result = ask_identities(invocation, Access::kChange, "identity.change",
                               {{"kind", "user"},
                                {"names", options.words},
                                {"create_if_known", true},
                                {add ? "add_groups" : "remove_groups", Json::array({options.name})}});
  if (!result) {
    const char* const rest = options.words.size() > 1 ? "; nothing was changed" : "";
    return invocation.failed({result.error().code, result.error().message + rest});
  }
  const Json& users = object_member(*result, "identities");
  if (invocation.printed_json({{"group", options.name}, {"users", users}})) return kExitOk;
  for (const Json& user : users) {
    const std::string name = text_member(user, "name");
    if (flag_member(user, "made")) invocation.line(made_line("user", name));
    invocation.line(fmt::format("{} is {} group {}.", name, add ? "in" : "no longer in", options.name));
  }
  return kExitOk;
}

// systemctl(1) takes "restic" for restic.service, too.
Result<std::string> unit_name(const std::string& unit) {
  constexpr std::array<std::string_view, 6> kTypes{".service", ".scope", ".slice", ".socket", ".mount", ".swap"};
  if (unit.empty() || unit.contains('/')) {
    return fail(Code::kInvalid, fmt::format("{} is no unit: use --cgroup for a control group", printable(unit)));
  }
  const bool typed = std::ranges::any_of(kTypes, [&](std::string_view type) { return unit.ends_with(type); });
  return typed ? unit : unit + ".service";
}

// Below the root of its hierarchy; it may be given as the directory that it is where that is mounted.
Result<std::string> cgroup_path(std::string_view path) {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream mounts;
  mounts << file.rdbuf();
  std::string_view rest = path;
  size_t root = 0;
  for (const MountEntry& mount : parse_mountinfo(mounts.str())) {
    const bool hierarchy = mount.type == "cgroup" || mount.type == "cgroup2";
    if (hierarchy && (path == mount.mountpoint || path.starts_with(mount.mountpoint + "/"))) {
      root = std::max(root, mount.mountpoint.size());
    }
  }
  rest.remove_prefix(root);
  while (rest.starts_with('/')) rest.remove_prefix(1);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (!rest.empty()) return std::string(rest);
  return fail(Code::kInvalid, fmt::format("{} is the root of all control groups", printable(path)));
}

Result<std::vector<std::string>> places_of(const IdentityOptions& options) {
  std::vector<std::string> out;
  for (const std::string& unit : options.units) {
    PAILFS_ASSIGN(out.emplace_back(), unit_name(unit));
  }
  for (const std::string& cgroup : options.cgroups) {
    PAILFS_ASSIGN(out.emplace_back(), cgroup_path(cgroup));
  }
  if (out.empty()) return fail(Code::kInvalid, "say where the service runs: --unit or --cgroup");
  return out;
}

int change_service(Invocation& invocation, const IdentityOptions& options, bool create) {
  const auto places = places_of(options);
  if (!places) return invocation.failed(places.error(), kExitUsage);
  return change_identity(invocation, "service", options.name,
                         {{"create", create}, {options.remove ? "remove_cgroups" : "add_cgroups", *places}},
                         fmt::format("What runs in {} is {} {}.", fmt::join(*places, ", "),
                                     options.remove ? "no longer" : "service", options.name),
                         {});
}

Result<int64_t> session_seconds(const IdentityOptions& options) {
  PAILFS_ASSIGN(const int64_t duration, parse_duration(options.duration));
  return duration / kSecond;
}

int create_role(Invocation& invocation, const IdentityOptions& options) {
  const auto text = read_policy(options.file);
  if (!text) return invocation.failed(text.error());
  const auto seconds = session_seconds(options);
  if (!seconds) return invocation.failed(seconds.error(), kExitUsage);
  return change_identity(invocation, "role", options.name,
                         {{"create", true},
                          {"trust", *text},
                          {"max_session", *seconds},
                          {"accept_unknown_keys", options.accept_unknown_keys}},
                         fmt::format("There is a role {}. 'pail role put-policy' says what it may do.", options.name),
                         options.file);
}

int set_trust(Invocation& invocation, const IdentityOptions& options) {
  const auto text = read_policy(options.file);
  if (!text) return invocation.failed(text.error());
  return change_identity(invocation, "role", options.name,
                         {{"trust", *text}, {"accept_unknown_keys", options.accept_unknown_keys}},
                         fmt::format("The trust policy of role {} is in force.", options.name), options.file);
}

int set_max_session(Invocation& invocation, const IdentityOptions& options) {
  const auto seconds = session_seconds(options);
  if (!seconds) return invocation.failed(seconds.error(), kExitUsage);
  return change_identity(invocation, "role", options.name, {{"max_session", *seconds}},
                         fmt::format("Sessions of role {} last up to {}.", options.name, human_duration(*seconds)), {});
}

// --- The commands of a kind

class KindCommands {
 public:
  using Run = std::function<int(const IdentityOptions&)>;
  using Made = std::pair<CLI::App*, IdentityOptionsPtr>;

  KindCommands(CLI::App& app, Invocation& invocation, std::string kind, const std::string& description)
      : invocation_(invocation), kind_(std::move(kind)), group_(*app.add_subcommand(kind_, description)) {
    group_.require_subcommand(1);
  }

  Made add(const std::string& verb, const std::string& description, Run run) {
    auto options = std::make_shared<IdentityOptions>();
    CLI::App* const leaf =
        invocation_.command(group_, verb, description, [options, run = std::move(run)] { return run(*options); });
    leaf->add_option("NAME", options->name)->required();
    return {leaf, options};
  }

  void add_common(const std::string& plural) {
    invocation_.command(group_, "list", "List the store's " + plural,
                        [this_invocation = &invocation_, kind = kind_] { return list(*this_invocation, kind); });
    const auto [leaf, options] =
        add("show", "Show one, or print a policy of its own",
            [&i = invocation_, kind = kind_](const IdentityOptions& o) { return show(i, kind, o); });
    if (kind_ != "service") leaf->add_option("--policy", options->policy, "Print this one of its policies");
    if (kind_ == "role") leaf->add_flag("--trust", options->trust, "Print its trust policy");
    add("delete", "Delete one, with its policies", [&i = invocation_, kind = kind_](const IdentityOptions& o) {
      return change_identity(i, kind, o.name, {{"delete", true}}, fmt::format("{} {} is deleted.", kind, o.name), {});
    });
  }

  void add_create() {
    add("create", "Make a record of one", [&i = invocation_, kind = kind_](const IdentityOptions& o) {
      return change_identity(i, kind, o.name, {{"create", true}}, fmt::format("There is a {} {}.", kind, o.name), {});
    });
  }

  void add_map(const char* option, const char* help) {
    const auto [leaf, options] = add(
        "map", help, [&i = invocation_, kind = kind_](const IdentityOptions& o) { return map_numbers(i, kind, o); });
    leaf->add_option(option, options->numbers, "May be given several times, or with commas")
        ->required()
        ->check(is_id())
        ->delimiter(',')
        ->allow_extra_args(false);
    leaf->add_flag("--remove", options->remove, "These are it no longer");
  }

  void add_policies() {
    const auto [put, put_options] =
        add("put-policy", "Give it a policy of its own",
            [&i = invocation_, kind = kind_](const IdentityOptions& o) { return put_policy(i, kind, o); });
    put->add_option("POLICY", put_options->policy, "The policy's name")->required();
    add_file(put, put_options);
    add_with_policy("delete-policy", "Take a policy of its own away", "delete_policies",
                    "Policy {0} of {1} {2} is gone.");
    add_with_policy("attach", "Attach a managed policy", "attach", "Managed policy {0} is attached to {1} {2}.");
    add_with_policy("detach", "Detach a managed policy", "detach",
                    "Managed policy {0} is no longer attached to {1} {2}.");
  }

  void add_boundary_and_tags() {
    const auto [boundary, boundary_options] =
        add("boundary", "Bound what policies allow it by a managed policy",
            [&i = invocation_, kind = kind_](const IdentityOptions& o) { return set_boundary(i, kind, o); });
    boundary->add_option("POLICY", boundary_options->policy, "A managed policy");
    boundary->add_flag("--none", boundary_options->none, "No boundary any more");
    const auto [tag, tag_options] =
        add("tag", "Give it tags: aws:PrincipalTag/KEY",
            [&i = invocation_, kind = kind_](const IdentityOptions& o) { return set_tags(i, kind, o); });
    tag->add_option("TAG", tag_options->words, "KEY=VALUE")->required();
    const auto [untag, untag_options] =
        add("untag", "Take tags away", [&i = invocation_, kind = kind_](const IdentityOptions& o) {
          return change(i, kind, o, {{"untag", o.words}}, fmt::format("{} {} has these tags no longer.", kind, o.name));
        });
    untag->add_option("KEY", untag_options->words)->required();
  }

  static void add_file(CLI::App* leaf, const IdentityOptionsPtr& options, const char* option = "FILE") {
    leaf->add_option(option, options->file, "The document; - for standard input")->required();
    leaf->add_flag("--accept-unknown-keys", options->accept_unknown_keys,
                   "Also condition keys that no request here has");
  }

 private:
  void add_with_policy(const char* verb, const char* description, const char* argument, const char* done) {
    const auto [leaf, options] =
        add(verb, description, [&i = invocation_, kind = kind_, argument, done](const IdentityOptions& o) {
          return change(i, kind, o, {{argument, Json::array({o.policy})}},
                        fmt::format(fmt::runtime(done), o.policy, kind, o.name));
        });
    leaf->add_option("POLICY", options->policy, "The policy's name")->required();
  }

  Invocation& invocation_;
  const std::string kind_;
  CLI::App& group_;
};

void add_groups(CLI::App& app, Invocation& invocation) {
  KindCommands groups(app, invocation, "group", "Groups: policies for all who are in them");
  groups.add_create();
  groups.add_common("groups");
  groups.add_map("--gid", "Say by its gids whose group it is");
  groups.add_policies();
  const auto [adding, add_options] =
      groups.add("add", "Add users, besides those whose processes are in it",
                 [&invocation](const IdentityOptions& o) { return change_members(invocation, o, true); });
  adding->add_option("USER", add_options->words)->required();
  const auto [removing, remove_options] =
      groups.add("remove", "Remove users that were added",
                 [&invocation](const IdentityOptions& o) { return change_members(invocation, o, false); });
  removing->add_option("USER", remove_options->words)->required();
}

void add_roles(CLI::App& app, Invocation& invocation) {
  KindCommands roles(app, invocation, "role", "Roles: what 'pail assume' runs commands in");
  const auto [creating, create_options] = roles.add(
      "create", "Make a role", [&invocation](const IdentityOptions& o) { return create_role(invocation, o); });
  KindCommands::add_file(creating, create_options, "--trust");
  create_options->duration = "1h";
  creating->add_option("--max-session", create_options->duration, "How long sessions may last: 15m to 12h")
      ->capture_default_str();
  const auto [trusting, trust_options] = roles.add(
      "trust", "Say who may assume it", [&invocation](const IdentityOptions& o) { return set_trust(invocation, o); });
  KindCommands::add_file(trusting, trust_options);
  const auto [lasting, last_options] =
      roles.add("max-session", "Say how long its sessions may last",
                [&invocation](const IdentityOptions& o) { return set_max_session(invocation, o); });
  lasting->add_option("DURATION", last_options->duration, "15m to 12h")->required();
  roles.add_common("roles");
  roles.add_policies();
  roles.add_boundary_and_tags();
}

void add_services(CLI::App& app, Invocation& invocation) {
  KindCommands services(app, invocation, "service", "Services: units and control groups as principals");
  const auto with_places = [](const KindCommands::Made& made) {
    made.first->add_option("--unit", made.second->units, "A unit of the system's systemd")->allow_extra_args(false);
    made.first->add_option("--cgroup", made.second->cgroups, "A control group: its directory below /sys/fs/cgroup")
        ->allow_extra_args(false);
    return made;
  };
  with_places(services.add("create", "Make a service of a unit or control group",
                           [&invocation](const IdentityOptions& o) { return change_service(invocation, o, true); }));
  const auto [mapping, map_options] =
      with_places(services.add("map", "Say where else it runs", [&invocation](const IdentityOptions& o) {
        return change_service(invocation, o, false);
      }));
  mapping->add_flag("--remove", map_options->remove, "It no longer runs there");
  services.add_common("services");
}

}  // namespace

void add_identity_commands(CLI::App& app, Invocation& invocation) {
  KindCommands users(app, invocation, "user", "Users: policies for those who have a login name or uid");
  users.add_create();
  users.add_common("users");
  users.add_map("--uid", "Say by their uids who it is");
  users.add_policies();
  users.add_boundary_and_tags();
  add_groups(app, invocation);
  add_roles(app, invocation);
  add_services(app, invocation);
}

}  // namespace pailfs::cli
