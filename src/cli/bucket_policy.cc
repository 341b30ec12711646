// `pail policy put|get|edit|delete|list`: the policies of a store's buckets.
#include "cli/bucket_policy.h"

#include <fmt/format.h>

#include "cli/session.h"
#include "io/editor.h"

namespace pailfs::cli {
namespace {

struct PolicyOptions {
  std::string bucket;
  std::string file;
  bool accept_unknown_keys = false;
};
using PolicyOptionsPtr = std::shared_ptr<PolicyOptions>;

constexpr std::string_view kFirstPolicy = R"({
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "EverybodyMayRead",
      "Effect": "Allow",
      "Principal": "*",
      "Action": ["s3:GetObject", "s3:ListBucket"],
      "Resource": ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]
    }
  ]
}
)";

Result<Json> ask(Invocation& invocation, Access access, std::string_view op, const Json& args) {
  PAILFS_ASSIGN(const Place place, choose_store(invocation.common, std::nullopt));
  return request_once(invocation, place.store, access, op, args);
}

Json put_arguments(const PolicyOptions& options, const std::string& text) {
  return {{"bucket", options.bucket}, {"policy", text}, {"accept_unknown_keys", options.accept_unknown_keys}};
}

// What is doubtful about a policy that was taken.
int say_in_force(Invocation& invocation, const PolicyOptions& options, const Json& result) {
  invocation.line(fmt::format("The policy of bucket {} is in force.", options.bucket));
  for (const Json& finding : object_member(result, "findings")) {
    invocation.warn(fmt::format("{}:{}:{}: {}", options.bucket, number_member(finding, "line"),
                                number_member(finding, "column"), text_member(finding, "message")));
  }
  return kExitOk;
}

int put(Invocation& invocation, const PolicyOptions& options) {
  const auto text = read_policy(options.file);
  if (!text) return invocation.failed(text.error());
  const auto result = ask(invocation, Access::kChange, "policy.put", put_arguments(options, *text));
  if (!result)
    return invocation.failed({result.error().code, fmt::format("{}: {}", options.file, result.error().message)});
  if (invocation.printed_json(*result)) return kExitOk;
  return say_in_force(invocation, options, *result);
}

int get(Invocation& invocation, const PolicyOptions& options) {
  const auto result = ask(invocation, Access::kRead, "policy.get", {{"bucket", options.bucket}});
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  std::string text = text_member(*result, "policy");
  if (!text.ends_with('\n')) text += '\n';
  invocation.console.out(text);
  return kExitOk;
}

int remove(Invocation& invocation, const PolicyOptions& options) {
  const auto result = ask(invocation, Access::kChange, "policy.delete", {{"bucket", options.bucket}});
  if (!result) return invocation.failed(result.error());
  if (!invocation.printed_json(*result)) {
    invocation.line(fmt::format("Bucket {} has no policy: its mode bits and ACLs decide.", options.bucket));
  }
  return kExitOk;
}

int list(Invocation& invocation) {
  const auto result = ask(invocation, Access::kRead, "policy.list", Json::object());
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line(fmt::format("Account {}", text_member(*result, "account")));
  for (const Json& policy : object_member(*result, "policies")) {
    const std::string problem = text_member(policy, "problem");
    invocation.line(
        fmt::format("{:<40} {}", text_member(policy, "bucket"),
                    problem.empty() ? fmt::format("policy of {} bytes", number_member(policy, "bytes")) : problem));
  }
  return kExitOk;
}

// --- Editing

int edit(Invocation& invocation, const PolicyOptions& options) {
  if (!invocation.console.interactive()) {
    return invocation.failed({Code::kInvalid, "editing takes a terminal: use 'pail policy get' and 'put'"});
  }
  const auto held = ask(invocation, Access::kRead, "policy.get", {{"bucket", options.bucket}});
  if (!held && held.error().code != Code::kNoData) return invocation.failed(held.error());
  std::string before;
  if (held) before = text_member(*held, "policy");
  std::string shown = before;
  if (!held) {
    shown = kFirstPolicy;
    for (size_t at = 0; (at = shown.find("BUCKET", at)) != shown.npos;) shown.replace(at, 6, options.bucket);
  }
  const auto file = EditedFile::make(shown, ".json");
  if (!file) return invocation.failed(file.error());
  for (;;) {
    if (const Status edited = (*file)->edit(); !edited) return invocation.failed(edited.error());
    const auto text = read_policy((*file)->path());
    if (!text) return invocation.failed(text.error());
    if (*text == before) {
      invocation.line("Nothing was changed.");
      return kExitOk;
    }
    const auto result = ask(invocation, Access::kChange, "policy.put", put_arguments(options, *text));
    if (result) return say_in_force(invocation, options, *result);
    invocation.warn(result.error().message);
    if (result.error().code != Code::kInvalid) return kExitFailure;
    const auto again = invocation.console.ask_line("Edit it again? [Y/n] ");
    if (!again || *again == "n" || *again == "N" || *again == "no") {
      invocation.warn("given up: nothing was changed");
      return kExitFailure;
    }
  }
}

}  // namespace

void add_bucket_policy_commands(CLI::App& group, Invocation& invocation) {
  const auto add = [&](const std::string& name, const std::string& description,
                       int (*run)(Invocation&, const PolicyOptions&)) {
    auto options = std::make_shared<PolicyOptions>();
    CLI::App* const leaf =
        invocation.command(group, name, description, [&invocation, options, run] { return run(invocation, *options); });
    leaf->add_option("BUCKET", options->bucket)->required();
    return std::pair(leaf, options);
  };
  const auto accept = [](CLI::App& leaf, const PolicyOptionsPtr& options) {
    leaf.add_flag("--accept-unknown-keys", options->accept_unknown_keys,
                  "Also condition keys that no request here has");
  };
  const auto [putting, put_options] = add("put", "Give a bucket a policy, in place of the one it has", put);
  putting->add_option("FILE", put_options->file, "The document; - for standard input")->required();
  accept(*putting, put_options);
  add("get", "Print a bucket's policy as it was given", get);
  const auto [editing, edit_options] = add("edit", "Change a bucket's policy with $VISUAL or $EDITOR", edit);
  accept(*editing, edit_options);
  add("delete", "Take a bucket's policy away", remove);
  invocation.command(group, "list", "Say which buckets have policies", [&invocation] { return list(invocation); });
}

}  // namespace pailfs::cli
