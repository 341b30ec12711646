// `pail policy validate|lint|simulate`: what takes documents and cases; of a store, only `lint` takes buckets.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <map>

#include "cli/bucket_policy.h"
#include "cli/invocation.h"
#include "cli/session.h"
#include "io/env.h"
#include "policy/document.h"
#include "policy/findings.h"
#include "policy/json_tree.h"
#include "policy/simulation.h"

namespace pailfs::cli {
namespace {

constexpr size_t kMaxDocument = 1 << 20;   // far beyond what is accepted: that says how large it may be
constexpr size_t kMaxCase = 16 << 20;      // one line
constexpr size_t kOutputAtOnce = 1 << 16;  // bytes

struct PolicyCommand {
  std::string file;
  std::string type;  // empty: as the document looks
  std::string bucket;
  bool accept_unknown_keys = false;
  bool all_buckets = false;
  bool why = false;
};

// Bucket policies and trust policies say for whom they are, and the latter not what they are about.
policy::DocumentKind kind_by_look(std::string_view text) {
  const auto tree = policy::JsonTree::parse(text);
  if (!tree) return policy::DocumentKind::kIdentity;
  const policy::JsonNode* const given = tree->member(tree->root(), "Statement");
  if (given == nullptr) return policy::DocumentKind::kIdentity;
  const auto names_principals = [&](const policy::JsonNode& statement) {
    return tree->member(statement, "Principal") != nullptr || tree->member(statement, "NotPrincipal") != nullptr;
  };
  const auto names_resources = [&](const policy::JsonNode& statement) {
    return tree->member(statement, "Resource") != nullptr || tree->member(statement, "NotResource") != nullptr;
  };
  bool principals = names_principals(*given), resources = names_resources(*given);
  for (const policy::JsonNode& statement : tree->children(*given)) {
    principals = principals || names_principals(statement);
    resources = resources || names_resources(statement);
  }
  if (!principals) return policy::DocumentKind::kIdentity;
  return resources ? policy::DocumentKind::kBucket : policy::DocumentKind::kTrust;
}

std::string_view kind_text(policy::DocumentKind kind) {
  switch (kind) {
    case policy::DocumentKind::kIdentity:
      return "identity policy";
    case policy::DocumentKind::kBoundary:
      return "permissions boundary";
    case policy::DocumentKind::kBucket:
      return "bucket policy";
    case policy::DocumentKind::kTrust:
      return "trust policy";
  }
  return "";
}

policy::DocumentRules rules_for(const PolicyCommand& command, std::string_view text) {
  policy::DocumentRules rules;
  rules.storing = true;
  rules.bucket = command.bucket;
  rules.accept_unknown_keys = command.accept_unknown_keys;
  if (!command.bucket.empty() || command.type == "bucket") {
    rules.kind = policy::DocumentKind::kBucket;
  } else if (command.type.empty()) {
    rules.kind = kind_by_look(text);
  } else {
    rules.kind = command.type == "boundary" ? policy::DocumentKind::kBoundary
                 : command.type == "trust"  ? policy::DocumentKind::kTrust
                                            : policy::DocumentKind::kIdentity;
  }
  return rules;
}

Json place_and(const policy::Place& place, const std::string& message) {
  return {{"line", place.line}, {"column", place.column}, {"message", message}};
}

std::string at(const PolicyCommand& command, const policy::Place& place) {
  return fmt::format("{}:{}:{}", command.file, place.line, place.column);
}

int refused(Invocation& invocation, const PolicyCommand& command, const policy::Refusal& refusal) {
  if (!invocation.printed_json({{"valid", false}, {"refusal", place_and(refusal.place, refusal.message)}})) {
    invocation.warn(fmt::format("{}: {}", at(command, refusal.place), refusal.message));
  }
  return kExitProblems;
}

int validate(Invocation& invocation, const PolicyCommand& command) {
  const auto text = read_policy(command.file);
  if (!text) return invocation.failed(text.error());
  const auto rules = rules_for(command, *text);
  const auto document = policy::Document::compile(*text, rules);
  if (!document) return refused(invocation, command, document.error());
  const size_t statements = (*document)->statements().size();
  if (invocation.printed_json({{"valid", true}, {"type", kind_text(rules.kind)}, {"statements", statements}})) {
    return kExitOk;
  }
  invocation.line(
      fmt::format("{}: a valid {}, {}", command.file, kind_text(rules.kind), count_of(statements, "statement")));
  return kExitOk;
}

int lint_document(Invocation& invocation, const PolicyCommand& command) {
  const auto text = read_policy(command.file);
  if (!text) return invocation.failed(text.error());
  // What AWS takes is looked at, so that a policy which was not written for a store here gets all its findings at once.
  auto rules = rules_for(command, *text);
  rules.storing = false;
  const auto document = policy::Document::compile(*text, rules);
  if (!document) return refused(invocation, command, document.error());
  const auto findings = policy::find_doubtful(**document, *text, command.bucket);
  Json all = Json::array();
  for (const policy::Finding& finding : findings) all.push_back(place_and(finding.place, finding.message));
  if (!invocation.printed_json({{"valid", true}, {"findings", all}})) {
    for (const policy::Finding& finding : findings) {
      invocation.line(fmt::format("{}: {}", at(command, finding.place), finding.message));
    }
  }
  return findings.empty() ? kExitOk : kExitProblems;
}

// Prints what was found about the policy of a bucket; whether there was anything.
bool print_findings(Invocation& invocation, const Json& report) {
  const std::string bucket = text_member(report, "bucket");
  const Json& findings = object_member(report, "findings");
  for (const Json& finding : findings) {
    const uint64_t files = number_member(finding, "files");
    invocation.line(fmt::format("{}:{}:{}: {}{}", bucket, number_member(finding, "line"),
                                number_member(finding, "column"), text_member(finding, "message"),
                                files == 0 ? "" : ": " + count_of(files, "file")));
    const Json& paths = object_member(finding, "paths");
    for (const Json& path : paths) {
      if (path.is_string()) invocation.line("  " + printable(path.get<std::string>()));
    }
    if (files > paths.size()) invocation.line("  …");
  }
  if (!flag_member(report, "policy")) {
    invocation.line(bucket + ": no policy");
  } else {
    invocation.line(fmt::format("{}: {}, and looked for disagreements with modes and ACLs in {}{}", bucket,
                                count_of(findings.size(), "finding"), count_of(number_member(report, "files"), "file"),
                                flag_member(report, "all_files") ? "" : ", the oldest, and not in the others"));
  }
  return !findings.empty();
}

int lint_buckets(Invocation& invocation, const PolicyCommand& command) {
  const auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  const Json args = command.all_buckets ? Json::object() : Json{{"bucket", command.bucket}};
  const auto result = request_once(invocation, place->store, Access::kRead, "policy.lint", args);
  if (!result) return invocation.failed(result.error());
  bool any = false;
  const bool printed = invocation.printed_json(*result);
  for (const Json& report : object_member(*result, "buckets")) {
    any = (printed ? !object_member(report, "findings").empty() : print_findings(invocation, report)) || any;
  }
  return any ? kExitProblems : kExitOk;
}

int lint(Invocation& invocation, const PolicyCommand& command) {
  if (!command.file.empty()) return lint_document(invocation, command);
  if (command.bucket.empty() == !command.all_buckets) {
    return invocation.failed({Code::kInvalid, "say what to look at: a FILE, --bucket BUCKET or --all-buckets"},
                             kExitUsage);
  }
  return lint_buckets(invocation, command);
}

// Reads lines of a bounded length, and no more of the input than is there: a program may write a case and wait for the
// answer.
class Lines {
 public:
  explicit Lines(std::istream& in) : in_(in), buffer_(kMaxCase + 1, '\0') {}
  // False at the end, or where too_long().
  bool next(std::string_view& line) {
    in_.getline(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    const auto count = static_cast<size_t>(in_.gcount());
    too_long_ = in_.fail() && !in_.eof() && count > 0;
    if (in_.fail()) return false;
    line = std::string_view(buffer_).substr(0, in_.eof() ? count : count - 1);
    return true;
  }
  bool too_long() const { return too_long_; }
  bool more_at_hand() const { return in_.rdbuf()->in_avail() > 0; }

 private:
  std::istream& in_;
  std::string buffer_;
  bool too_long_ = false;
};

int simulate_all(Invocation& invocation, const std::string& name, std::istream& in, bool why) {
  policy::Simulator simulator;
  Lines lines(in);
  std::string out;
  ExitStatus status = kExitOk;
  size_t number = 0;
  std::string_view line;
  while (lines.next(line)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto simulated = simulator.run(line);
    out += simulated.output + "\n";
    if (!simulated.problem.empty()) {
      status = kExitProblems;
      invocation.warn(fmt::format("{}: line {} is no case: {}", name, number, simulated.problem));
    }
    if (why && !simulated.refusal.empty()) {
      invocation.warn(fmt::format("{}: line {}: {}", name, number, simulated.refusal));
    }
    if (out.size() < kOutputAtOnce && lines.more_at_hand()) continue;
    invocation.console.out(out);
    (void)invocation.console.flush();
    out.clear();
  }
  invocation.console.out(out);
  if (lines.too_long()) {
    return invocation.failed(
        {Code::kTooBig, fmt::format("{}: line {} is longer than {} MiB", name, number + 1, kMaxCase >> 20)});
  }
  if (in.bad()) return invocation.failed({Code::kIo, fmt::format("{}: reading failed", name)});
  return status;
}

int simulate(Invocation& invocation, const PolicyCommand& command) {
  if (command.file == "-") {
    std::ios::sync_with_stdio(false);  // a buffer of its own, ten times as fast
    return simulate_all(invocation, "standard input", std::cin, command.why);
  }
  std::ifstream in(command.file, std::ios::binary);
  if (!in) return invocation.failed({Code::kNotFound, fmt::format("{} cannot be read", command.file)});
  return simulate_all(invocation, command.file, in, command.why);
}

// A command that works on no store, so without the options that name and unlock one.
CLI::App* add_command(CLI::App& parent, Invocation& invocation, const std::string& name, const std::string& description,
                      std::function<int()> run) {
  CLI::App* const leaf = parent.add_subcommand(name, description);
  leaf->callback([&invocation, run = std::move(run)] { invocation.action = run; });
  return leaf;
}

CLI::Option* add_type_option(CLI::App& leaf, PolicyCommand& command) {
  return leaf.add_option("--type", command.type, "identity, boundary, bucket or trust (default: as it looks)")
      ->check(CLI::IsMember({"identity", "boundary", "bucket", "trust"}));
}

void add_document_options(CLI::App& leaf, Invocation& invocation, PolicyCommand& command) {
  leaf.add_option("FILE", command.file, "The document; - for standard input")->required();
  add_type_option(leaf, command);
  leaf.add_flag("--json", invocation.common.json, "Print one JSON document");
}

}  // namespace

Result<std::string> read_policy(const std::string& file) {
  if (file != "-") return posix_env().read_file(file, kMaxDocument);
  std::string text(kMaxDocument + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::cin.gcount()));
  if (text.size() > kMaxDocument) return fail(Code::kInvalid, "standard input is too long for a policy");
  return text;
}

void add_policy_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const group =
      app.add_subcommand("policy", "Give buckets policies, check policies, try out what they decide");
  group->require_subcommand(1);
  auto command = std::make_shared<PolicyCommand>();
  CLI::App* leaf = add_command(*group, invocation, "validate", "Say whether a policy could be stored",
                               [&invocation, command] { return validate(invocation, *command); });
  add_document_options(*leaf, invocation, *command);
  leaf->add_option("--bucket", command->bucket,
                   "The bucket that a bucket policy is for: its resources have to be of it");
  leaf->add_flag("--accept-unknown-keys", command->accept_unknown_keys, "Also condition keys that no request here has");

  command = std::make_shared<PolicyCommand>();
  leaf = invocation.command(*group, "lint", "Say what is doubtful about policies; exit status 1 if anything is",
                            [&invocation, command] { return lint(invocation, *command); });
  auto* const file = leaf->add_option("FILE", command->file, "A document; - for standard input");
  add_type_option(*leaf, *command)->needs(file);
  leaf->add_option("--bucket", command->bucket,
                   "Without FILE: a bucket of the store, its policy and its files; else the bucket that FILE is for");
  leaf->add_flag("--all-buckets", command->all_buckets, "All buckets of the store")->excludes(file);

  command = std::make_shared<PolicyCommand>();
  leaf = add_command(*group, invocation, "simulate", "Decide cases, without a store",
                     [&invocation, command] { return simulate(invocation, *command); });
  leaf->add_option("--cases", command->file, "A file with one case in JSON a line; - for standard input")->required();
  leaf->add_flag("--why", command->why, "Say on standard error which document a case is Invalid for, and where");
  add_bucket_policy_commands(*group, invocation);
}

}  // namespace pailfs::cli
