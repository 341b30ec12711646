#include "cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

#include "cli/invocation.h"
#include "core/types.h"

namespace pailfs {
namespace cli {

CLI::App* Invocation::command(CLI::App& parent, const std::string& name, const std::string& description,
                              std::function<int()> run) {
  CLI::App* const leaf = parent.add_subcommand(name, description);
  leaf->add_option("--store", common.store, "The store's directory, or any path on its mount")->type_name("DIR");
  auto* const group = leaf->add_option_group("unlocking", "The store's secret, where no daemon serves the store");
  group->add_option("--key-file", common.key_file, "A key file of the store")->type_name("FILE");
  group->add_option("--passphrase-file", common.passphrase_file, "A file with a passphrase of the store; - for stdin")
      ->type_name("FILE");
  group->add_option("--recovery-key-file", common.recovery_key_file, "A file with its recovery key; - for stdin")
      ->type_name("FILE");
  group->require_option(0, 1);
  leaf->add_flag("--json", common.json, "Print one JSON document");
  leaf->callback([this, run = std::move(run)] { action = run; });
  return leaf;
}

bool Invocation::printed_json(const Json& result) {
  if (common.json) line(dump(result, 2));
  return common.json;
}

std::string error_document(const Error& error) {
  return dump({{"error", {{"code", code_name(error.code)}, {"message", error.message}}}}, 2);
}

int Invocation::failed(const Error& error, ExitStatus status) {
  std::string message = error.message;
  if (!word_for_bucket.empty() && message.starts_with("NoSuchBucket")) {
    message += "; a word without a slash is a bucket: " +
               (common.store.empty() ? fmt::format("for the file here write ./{}", printable(word_for_bucket))
                                     : std::string("with --store, a file is BUCKET/KEY"));
  }
  if (common.json) line(error_document({error.code, message}));
  warn(message);
  return status;
}

int Invocation::shown_recovery_key(const std::string& store, uint64_t id) {
  if (console.flush()) return kExitOk;
  return failed({Code::kIo, fmt::format("the recovery key could not be written to standard output, so nobody has it: "
                                        "remove its slot with 'pail key remove --store {0} {1}', and make another key "
                                        "with 'pail key add --store {0} --recovery'",
                                        store, id)});
}

Status confirm(Invocation& invocation, const std::string& question, const std::string& wanted_answer) {
  if (!invocation.console.interactive()) {
    return fail(Code::kInvalid, "there is no terminal to ask on: give --yes to do it");
  }
  PAILFS_ASSIGN(const std::string answer, invocation.console.ask_line(question));
  if (answer != wanted_answer) return fail(Code::kInterrupted, "not confirmed: nothing was changed");
  return {};
}

CLI::Validator is_id() {
  return CLI::Validator(
      [](const std::string& text) {
        uint32_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        // The last one means "none" to system calls.
        if (error == std::errc() && end == text.data() + text.size() && number != UINT32_MAX) return std::string();
        return fmt::format("{} is no uid or gid: these are numbers from 0 to {}", printable(text), UINT32_MAX - 1);
      },
      "");
}

std::string human_size(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  // 1023.95 would print as 1024.0.
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_duration(int64_t seconds) {
  if (seconds >= 86400) return fmt::format("{} d {} h", seconds / 86400, seconds % 86400 / 3600);
  if (seconds >= 3600) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  if (seconds >= 60) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} s", seconds);
}

std::string count_of(uint64_t n, std::string_view noun) {
  if (n == 1) return fmt::format("1 {}", noun);
  const bool vowel = noun.size() > 1 && std::string_view("aeiou").contains(noun[noun.size() - 2]);
  if (noun.ends_with('y') && !vowel) return fmt::format("{} {}ies", n, noun.substr(0, noun.size() - 1));
  return fmt::format("{} {}s", n, noun);
}

std::string text_member(const Json& object, const char* name) {
  const auto text = string_argument(object.is_object() ? object : Json::object(), name, "");
  return text ? *text : "";
}

uint64_t number_member(const Json& object, const char* name) {
  const auto number = integer_argument(object.is_object() ? object : Json::object(), name, 0);
  return number && *number > 0 ? static_cast<uint64_t>(*number) : 0;
}

bool flag_member(const Json& object, const char* name) {
  const auto flag = bool_argument(object.is_object() ? object : Json::object(), name, false);
  return flag && *flag;
}

const Json& object_member(const Json& object, const char* name) {
  static const Json kEmpty = Json::object();
  if (!object.is_object()) return kEmpty;
  const auto found = object.find(name);
  return found != object.end() && found->is_structured() ? *found : kEmpty;
}

}  // namespace cli

namespace {

// "versioning photos enable" is "versioning enable photos".
std::vector<std::string> verb_first(std::vector<std::string> arguments) {
  static const std::set<std::string, std::less<>> kVerbs = {"enable", "suspend", "status", "keep"};
  const auto noun = arguments.begin();
  if (arguments.size() < 3 || *noun != "versioning") return arguments;
  const auto bucket = noun + 1, verb = noun + 2;
  if (!kVerbs.contains(*bucket) && !bucket->starts_with('-') && kVerbs.contains(*verb)) std::iter_swap(bucket, verb);
  return arguments;
}

// Before it is known whether the command has the option: what cannot be parsed is a document, too.
bool asks_for_json(const std::vector<std::string>& arguments) {
  const auto command = std::ranges::find(arguments, "--");  // of `assume`: its options are its own
  return std::find(arguments.begin(), command, "--json") != command;
}

// Of a word where a command should be: CLI11 only says that one is missing. Empty: that is not what is wrong.
std::string unknown_command(const CLI::App& app) {
  const CLI::App* at = &app;
  std::string words = app.get_name();
  for (auto parsed = at->get_subcommands(); !parsed.empty(); parsed = at->get_subcommands()) {
    at = parsed.front();
    words += ' ' + at->get_name();
  }
  if (at->get_require_subcommand_min() == 0) return {};
  const std::vector<std::string> rest = at->remaining();
  if (rest.empty() || rest.front().starts_with('-')) return {};
  return fmt::format("there is no command '{}' ('{} --help' lists them)", printable(rest.front()), words);
}

}  // namespace

int run_pail(const std::vector<std::string>& arguments, Console& console) {
  CLI::App app("Buckets on a pailfs store: makes stores, shows and changes them. See pail(1).", "pail");
  app.set_version_flag("--version", "pail " PAILFS_VERSION);
  app.require_subcommand(1);
  cli::Invocation invocation(console);
  cli::add_init(app, invocation);
  cli::add_status_and_check(app, invocation);
  cli::add_scrub(app, invocation);
  cli::add_rebuild(app, invocation);
  cli::add_repair(app, invocation);
  cli::add_backup_and_restore(app, invocation);
  cli::add_bucket_commands(app, invocation);
  cli::add_versions_commands(app, invocation);
  cli::add_rewind(app, invocation);
  cli::add_acl_commands(app, invocation);
  cli::add_lock_commands(app, invocation);
  cli::add_mfa_commands(app, invocation);
  cli::add_key_commands(app, invocation);
  cli::add_policy_commands(app, invocation);
  cli::add_public_commands(app, invocation);
  cli::add_explain(app, invocation);
  cli::add_identity_commands(app, invocation);
  cli::add_managed_policy_commands(app, invocation);
  cli::add_assume_and_whoami(app, invocation);
  const std::vector<std::string> ordered = verb_first(arguments);
  try {
    app.parse(std::vector<std::string>(ordered.rbegin(), ordered.rend()));  // CLI11 wants the last one first
  } catch (const CLI::ParseError& e) {
    std::ostringstream out;
    std::ostringstream error;
    if (app.exit(e, out, error) == 0) {
      console.out(out.str());
      return kExitOk;
    }
    const std::string unknown = unknown_command(app);
    if (asks_for_json(ordered)) {
      console.out(cli::error_document({Code::kInvalid, unknown.empty() ? e.what() : unknown}) + "\n");
    }
    console.error(unknown.empty() ? error.str() : "pail: " + unknown + "\n");
    return kExitUsage;
  }
  return invocation.action ? invocation.action() : kExitUsage;
}

}  // namespace pailfs
