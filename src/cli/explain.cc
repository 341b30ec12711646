// `pail explain`: what somebody may do, and why.
#include "core/explain.h"

#include <fmt/format.h>

#include <charconv>

#include "cli/session.h"
#include "cli/targets.h"

namespace pailfs::cli {
namespace {

struct ExplainOptions {
  std::string user;
  std::string operation;
  std::string path;
  std::string to;
  std::vector<uint32_t> groups;
  std::string mode;
};

std::string operations_help() {
  std::string out = "OPERATION is one of\n";
  for (const ExplainedOperation& one : explained_operations()) {
    out += fmt::format("  {:<15} {}\n", one.name, one.help);
  }
  return out +
         "or an action of S3: s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:PutObjectAcl,\n"
         "s3:ListBucketVersions, s3:GetObjectVersion, s3:DeleteObjectVersion, s3:ListAllMyBuckets, s3:CreateBucket,\n"
         "s3:DeleteBucket, s3:GetBucketPolicy, s3:PutBucketPolicy, s3:GetObjectTagging, s3:PutObjectTagging,\n"
         "s3:DeleteObjectTagging.\n"
         "Exit status: 0 allowed, 1 denied or failed for another reason. Nothing is changed.";
}

std::string step_outcome(const Json& of) {
  const std::string error = text_member(of, "error");
  if (error.empty()) return "allowed";
  return fmt::format("{} ({})", error == "EACCES" || error == "EPERM" ? "denied" : "fails", error);
}

void print_explanation(Invocation& invocation, const Json& result) {
  const std::string to = text_member(result, "to");
  const std::string principal = text_member(result, "principal");
  const std::string path = text_member(result, "path");
  const std::string error = text_member(result, "error");
  invocation.line(fmt::format("{} of {}{} by {}{}: {}{}", text_member(result, "operation"), path.empty() ? "/" : path,
                              to.empty() ? "" : " to " + to, text_member(result, "user"),
                              principal.empty() ? "" : ", " + principal, text_member(result, "decision"),
                              error.empty() ? "" : " (" + error + ")"));
  invocation.line(fmt::format("  because {}", text_member(result, "because")));
  invocation.line("Step by step:");
  for (const Json& step : object_member(result, "steps")) {
    invocation.line(fmt::format("  {} {}: {}, {}", text_member(step, "call"), text_member(step, "path"),
                                step_outcome(step), text_member(step, "because")));
  }
}

int explain(Invocation& invocation, const ExplainOptions& options) {
  auto target = choose_path(invocation.common, options.path);
  if (!target) return invocation.failed(target.error());
  Json& args = target->args;
  args["user"] = options.user;
  args["operation"] = options.operation;
  if (!options.groups.empty()) args["groups"] = options.groups;
  if (!options.mode.empty()) {
    uint32_t mode = 0;
    const char* const last = options.mode.data() + options.mode.size();
    const auto [end, error] = std::from_chars(options.mode.data(), last, mode, 8);
    if (error != std::errc() || end != last || mode > 07777) {
      return invocation.failed(
          {Code::kInvalid, fmt::format("{} is no mode: write an octal number, such as 640", printable(options.mode))},
          kExitUsage);
    }
    args["mode"] = mode;
  }
  if (!options.to.empty()) {
    auto to = choose_path(invocation.common, options.to);
    if (!to) return invocation.failed(to.error());
    if (to->store != target->store) {
      return invocation.failed({Code::kInvalid, "both paths have to be in the same store"}, kExitUsage);
    }
    args["to"] = to->args;
  }
  const auto result = request_once(invocation, target->store, Access::kRead, "explain", args);
  if (!result) {
    return invocation.failed(result.error(), result.error().code == Code::kInvalid ? kExitUsage : kExitFailure);
  }
  if (!invocation.printed_json(*result)) print_explanation(invocation, *result);
  return text_member(*result, "decision") == "allowed" ? kExitOk : kExitProblems;
}

}  // namespace

void add_explain(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* const leaf = invocation.command(app, "explain", "Say what somebody may do, and why",
                                            [&invocation, options] { return explain(invocation, *options); });
  leaf->footer(operations_help());
  leaf->add_option("UID", options->user, "Whose rights: a uid or a login name")->required();
  leaf->add_option("OPERATION", options->operation, "What is to be done: see below")->required();
  leaf->add_option("PATH", options->path, "On the mount; BUCKET/KEY with --store")->required();
  leaf->add_option("TO", options->to, "The new name, of rename and link");
  leaf->add_option("--mode", options->mode, "The mode that chmod is to give, in octal (default: the one that it has)")
      ->type_name("MODE");
  leaf->add_option("--group", options->groups, "A gid, in place of the account's groups: first the primary one")
      ->type_name("GID")
      ->check(is_id())
      ->expected(1)
      ->take_all();
}

}  // namespace pailfs::cli
