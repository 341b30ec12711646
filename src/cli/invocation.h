// One run of `pail`: what was typed, and what the commands share. Only src/cli includes this.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cli/cli.h"
#include "cli/console.h"
#include "ctl/protocol.h"
#include "store/store.h"

namespace pailfs::cli {

// The options that every command takes.
struct CommonOptions {
  std::string store;
  std::string key_file;
  std::string passphrase_file;
  std::string recovery_key_file;
  bool json = false;

  bool has_secret() const { return !key_file.empty() || !passphrase_file.empty() || !recovery_key_file.empty(); }
};

class Invocation {
 public:
  explicit Invocation(Console& c) : console(c) {}
  Console& console;
  CommonOptions common;
  std::function<int()> action;  // of the command that was typed; returns an ExitStatus

  // Adds a command (a leaf) with the common options; `run` is called after everything is parsed.
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& description,
                    std::function<int()> run);

  void line(std::string_view text) { console.out(std::string(text) + "\n"); }
  void warn(std::string_view text) { console.error("pail: " + std::string(text) + "\n"); }
  // The result as JSON when --json was given; true if so.
  bool printed_json(const Json& result);
  // Shows a bar on the terminal, until console.end_progress(), and never stops what it is of.
  Progress progress() {
    return [this](uint64_t done, uint64_t total) {
      console.show_progress(done, total);
      return true;
    };
  }
  // What was taken for a bucket's name, where a path could have been typed as well.
  std::string word_for_bucket;
  // The exit status after a recovery key was shown, of slot `id` of `store`: where it could not be, nobody has it.
  int shown_recovery_key(const std::string& store, uint64_t id);
  // Says what failed; returns the exit status for it.
  int failed(const Error& error, ExitStatus status = kExitFailure);
  // The same of a question and what was looked up for it: what nobody agreed to is to be typed again.
  int not_agreed(const Error& error) {
    const bool question = error.code == Code::kInterrupted || error.code == Code::kInvalid;
    return failed(error, question ? kExitUsage : kExitFailure);
  }
};

void add_init(CLI::App& app, Invocation& invocation);                     // init.cc
void add_status_and_check(CLI::App& app, Invocation& invocation);         // status.cc
void add_scrub(CLI::App& app, Invocation& invocation);                    // scrub.cc
void add_rebuild(CLI::App& app, Invocation& invocation);                  // rebuild.cc
void add_repair(CLI::App& app, Invocation& invocation);                   // repair.cc
void add_backup_and_restore(CLI::App& app, Invocation& invocation);       // backup.cc
void add_bucket_commands(CLI::App& app, Invocation& invocation);          // bucket.cc: bucket, versioning
void add_versions_commands(CLI::App& app, Invocation& invocation);        // versions.cc
void add_rewind(CLI::App& app, Invocation& invocation);                   // rewind.cc
void add_restoring_commands(CLI::App& versions, Invocation& invocation);  // rewind.cc: of pail versions
void add_acl_commands(CLI::App& app, Invocation& invocation);             // acl.cc: acl, ownership
void add_lock_commands(CLI::App& app, Invocation& invocation);            // lock.cc
void add_mfa_commands(CLI::App& app, Invocation& invocation);             // mfa.cc
void add_key_commands(CLI::App& app, Invocation& invocation);             // key.cc
void add_policy_commands(CLI::App& app, Invocation& invocation);          // policy.cc
void add_public_commands(CLI::App& app, Invocation& invocation);          // public.cc
void add_explain(CLI::App& app, Invocation& invocation);                  // explain.cc
void add_identity_commands(CLI::App& app, Invocation& invocation);        // identity.cc: user, group, role, service
void add_managed_policy_commands(CLI::App& app, Invocation& invocation);  // managed_policy.cc
void add_assume_and_whoami(CLI::App& app, Invocation& invocation);        // assume.cc

// Takes what can be a uid or gid.
CLI::Validator is_id();

// What --json prints of a failure.
std::string error_document(const Error& error);

// For what was destructive and not confirmed. kInterrupted when the user says no; kInvalid without a terminal.
Status confirm(Invocation& invocation, const std::string& question, const std::string& wanted_answer);

// "1.5 GiB", "17 B".
std::string human_size(uint64_t bytes);
// "3 d 4 h", "12 min", "5 s".
std::string human_duration(int64_t seconds);
// "1 file", "2 files": the plural takes an s.
std::string count_of(uint64_t n, std::string_view noun);

// Members of a reply, with a default where they are missing: replies may come from a daemon of another version.
std::string text_member(const Json& object, const char* name);
uint64_t number_member(const Json& object, const char* name);
bool flag_member(const Json& object, const char* name);
const Json& object_member(const Json& object, const char* name);  // an object or array; an empty object when missing

}  // namespace pailfs::cli
