// `pail assume` and `pail whoami`.
#include <fmt/format.h>

#include "cli/invocation.h"
#include "cli/session.h"
#include "core/time_text.h"
#include "io/child.h"

namespace pailfs::cli {
namespace {

struct AssumeOptions {
  std::string role;
  std::string session = "pail";
  std::string duration = "1h";
  std::vector<std::string> command;
};

// The daemon keeps the session, and sees who belongs to it: without one there is nothing to assume.
Result<std::unique_ptr<ControlClient>> daemon_of(const CommonOptions& common) {
  PAILFS_ASSIGN(const Place place, choose_store(common, std::nullopt));
  auto client = ControlClient::connect(posix_env(), place.store);
  if (!client && client.error().code == Code::kNotFound) {
    return fail(Code::kNotFound,
                fmt::format("no daemon serves the store {}: roles are assumed while it is mounted", place.store));
  }
  return client;
}

Status tell_daemon(const CommonOptions& common, std::string_view op, const Json& args) {
  PAILFS_ASSIGN(const std::unique_ptr<ControlClient> client, daemon_of(common));
  const auto reply = client->request(op, args, {});
  if (!reply) return std::unexpected(reply.error());
  return {};
}

int assume(Invocation& invocation, const AssumeOptions& options) {
  const auto duration = parse_duration(options.duration);
  if (!duration) return invocation.failed(duration.error(), kExitNotRun);
  const Json args = {{"role", options.role}, {"session", options.session}, {"seconds", *duration / kSecond}};
  if (const Status assumed = tell_daemon(invocation.common, "role.assume", args); !assumed) {
    return invocation.failed(assumed.error(), kExitNotRun);
  }
  const auto status = run_child(options.command);
  // It ends with this process anyway, and the mount may be gone.
  static_cast<void>(tell_daemon(invocation.common, "role.leave", Json::object()));
  if (status) return *status;
  const Code code = status.error().code;
  return invocation.failed(status.error(), code == Code::kNotFound       ? kExitNoProgram
                                           : code == Code::kAccessDenied ? kExitNotExecutable
                                                                         : kExitNotRun);
}

int whoami(Invocation& invocation) {
  const auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  const auto result = request_once(invocation, place->store, Access::kRead, "whoami", Json::object());
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  const std::string principal = text_member(*result, "principal");
  if (const std::string role = text_member(*result, "deleted_role"); !role.empty()) {
    invocation.line(
        fmt::format("In a session of the role {}, which was deleted: you are denied everything that policies", role));
    invocation.line("speak of, until you leave what 'pail assume' started.");
    return kExitOk;
  }
  if (principal.empty()) {
    invocation.line(
        "Not known: the name service fails, or a policy of yours cannot be read. You are denied everything");
    invocation.line("that policies speak of.");
    return kExitOk;
  }
  invocation.line(fmt::format("{} ({})", principal, text_member(*result, "type")));
  if (const uint64_t left = number_member(*result, "session_seconds_left"); left != 0) {
    invocation.line("  session:  for another " + human_duration(static_cast<int64_t>(left)));
  }
  for (const Json& policy : object_member(*result, "policies")) {
    if (policy.is_string()) invocation.line("  policy:   " + policy.get<std::string>());
  }
  if (const std::string boundary = text_member(*result, "boundary"); !boundary.empty()) {
    invocation.line("  boundary: " + boundary);
  }
  return kExitOk;
}

}  // namespace

void add_assume_and_whoami(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<AssumeOptions>();
  CLI::App* const leaf = invocation.command(app, "assume", "Run a command in a role",
                                            [&invocation, options] { return assume(invocation, *options); });
  leaf->add_option("ROLE", options->role, "A role that lets you assume it")->required();
  leaf->add_option("--session", options->session, "The session's name")->capture_default_str();
  leaf->add_option("--duration", options->duration, "How long it may last, from 15m to the role's maximum")
      ->capture_default_str();
  leaf->add_option("COMMAND", options->command, "The program and its arguments, behind --")->required();
  invocation.command(app, "whoami", "Say who you are to policies, and which of them are yours",
                     [&invocation] { return whoami(invocation); });
}

}  // namespace pailfs::cli
