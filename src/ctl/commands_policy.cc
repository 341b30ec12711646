#include "core/policy_lint.h"
#include "ctl/commands_internal.h"

namespace pailfs::commands {
namespace {

Json describe_findings(const PolicyLint& lint) {
  Json findings = Json::array();
  for (const PolicyLint::Finding& finding : lint.findings) {
    Json one = {{"line", finding.line}, {"column", finding.column}, {"message", finding.message}};
    if (finding.files != 0) {
      one["files"] = finding.files;
      one["paths"] = Json::array();
      for (const std::string& path : finding.paths) one["paths"].push_back(bytes_to_json(path));
    }
    findings.push_back(std::move(one));
  }
  return findings;
}

Json describe(const std::string& bucket, const PolicyLint& lint) {
  return {{"bucket", bucket},
          {"policy", lint.has_policy},
          {"findings", describe_findings(lint)},
          {"files", lint.files},
          {"all_files", lint.all_files}};
}

}  // namespace

Result<Json> policy_list(const CommandContext& context, const Json& /*args*/) {
  PAILFS_ASSIGN(const auto buckets, context.core.buckets(context.caller));
  Json listed = Json::array();
  for (const BucketInfo& bucket : buckets) {
    const auto text = context.core.bucket_policy(context.caller, bucket.name);
    if (text) {
      listed.push_back({{"bucket", bucket.name}, {"bytes", text->size()}});
    } else if (text.error().code == Code::kCorrupt) {
      listed.push_back({{"bucket", bucket.name}, {"problem", text.error().message}});
    } else if (text.error().code != Code::kNoData && text.error().code != Code::kAccessDenied) {
      return std::unexpected(text.error());
    }
  }
  return Json{{"account", context.core.account_id()}, {"policies", std::move(listed)}};
}

Result<Json> policy_get(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket"));
  PAILFS_ASSIGN(std::string text, context.core.bucket_policy(context.caller, bucket));
  return Json{{"bucket", bucket}, {"policy", std::move(text)}};
}

Result<Json> policy_put(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket"));
  PAILFS_ASSIGN(std::string text, string_argument(args, "policy"));
  PAILFS_ASSIGN(const bool unknown_keys, bool_argument(args, "accept_unknown_keys", false));
  PAILFS_TRY(context.core.put_bucket_policy(context.caller, bucket, std::move(text), unknown_keys));
  // It is in force; who may put a policy and not read it is told nothing about it.
  const auto lint = context.core.lint_bucket_policy_alone(context.caller, bucket);
  return Json{{"bucket", bucket}, {"findings", lint ? describe_findings(*lint) : Json::array()}};
}

Result<Json> policy_delete(const CommandContext& context, const Json& args) {
  PAILFS_ASSIGN(const std::string bucket, string_argument(args, "bucket"));
  PAILFS_TRY(context.core.delete_bucket_policy(context.caller, bucket));
  return Json{{"bucket", bucket}};
}

Result<Json> policy_lint(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "looking a bucket's policy through"));
  PAILFS_ASSIGN(const auto names, buckets_argument(context, args));
  Json reports = Json::array();
  for (const std::string& name : names) {
    PAILFS_ASSIGN(const PolicyLint lint, context.core.lint_bucket_policy(context.caller, name, context.progress));
    reports.push_back(describe(name, lint));
  }
  return Json{{"buckets", std::move(reports)}};
}

}  // namespace pailfs::commands
