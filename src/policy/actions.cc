#include "policy/actions.h"

#include <algorithm>

#include "policy/letters.h"
#include "policy/pattern.h"
#include "policy/suggestion.h"

namespace pailfs::policy {
namespace {

// Names of API operations that are allowed by an action of another name.
struct Operation {
  std::string_view name, action;
};
constexpr Operation kOperations[] = {
    {"CompleteMultipartUpload", "PutObject"},
    {"CopyObject", "PutObject"},
    {"CreateMultipartUpload", "PutObject"},
    {"DeleteObjects", "DeleteObject"},
    {"GetBucketEncryption", "GetEncryptionConfiguration"},
    {"GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"},
    {"GetBucketReplication", "GetReplicationConfiguration"},
    {"GetPublicAccessBlock", "GetBucketPublicAccessBlock"},
    {"HeadBucket", "ListBucket"},
    {"HeadObject", "GetObject"},
    {"ListBuckets", "ListAllMyBuckets"},
    {"ListMultipartUploads", "ListBucketMultipartUploads"},
    {"ListObjectVersions", "ListBucketVersions"},
    {"ListObjects", "ListBucket"},
    {"ListObjectsV2", "ListBucket"},
    {"ListParts", "ListMultipartUploadParts"},
    {"PutBucketEncryption", "PutEncryptionConfiguration"},
    {"PutBucketLifecycleConfiguration", "PutLifecycleConfiguration"},
    {"PutBucketReplication", "PutReplicationConfiguration"},
    {"PutPublicAccessBlock", "PutBucketPublicAccessBlock"},
    {"UploadPart", "PutObject"},
};

// "s3:getobject" and so on, in the order of s3_actions().
const std::vector<std::string>& lowered_actions() {
  static const std::vector<std::string> actions = [] {
    std::vector<std::string> out;
    out.reserve(s3_actions().size());
    for (const KnownAction& action : s3_actions()) out.push_back("s3:" + lowered(action.name));
    return out;
  }();
  return actions;
}

}  // namespace

Checked<ActionPattern> ActionPattern::parse(std::string_view text) {
  ActionPattern out;
  out.text_ = text;
  if (text != "*") {
    const size_t colon = text.find(':');
    const auto allowed = [](char c) { return is_letter_or_digit(c) || std::string_view("*?-_.").contains(c); };
    if (colon == std::string_view::npos) {
      // IAM: "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
      return fault(0,
                   in_quotes(text) + R"( is no action: one is written service:name, like "s3:GetObject", or is "*")");
    }
    if (colon == 0 || colon + 1 == text.size() || !std::ranges::all_of(text.substr(0, colon), allowed) ||
        !std::ranges::all_of(text.substr(colon + 1), allowed)) {
      return fault(0, in_quotes(text) + R"( is no action: one is written service:name, like "s3:GetObject")");
    }
  }
  const auto pattern = Pattern::parse(lowered(text), {.wildcards = true, .variables = false});
  if (!pattern) return std::unexpected(pattern.error());
  out.encoded_ = pattern->encoded();
  out.fixed_ = std::min(text.find_first_of("*?"), text.size());
  return out;
}

bool ActionPattern::matches(std::string_view action) const {
  if (action.substr(0, fixed_) != std::string_view(encoded_).substr(0, fixed_)) return false;
  const std::string_view pattern = std::string_view(encoded_).substr(fixed_);
  return matches_wildcards(pattern, action.substr(fixed_));
}

std::vector<const KnownAction*> ActionPattern::known() const {
  std::vector<const KnownAction*> out;
  const auto& actions = lowered_actions();
  for (size_t i = 0; i < actions.size(); ++i) {
    if (matches(actions[i])) out.push_back(&s3_actions()[i]);
  }
  return out;
}

bool ActionPattern::is_known() const {
  return std::ranges::any_of(lowered_actions(), [&](const std::string& action) { return matches(action); });
}

bool ActionPattern::is_of_s3() const {
  const size_t colon = encoded_.find(':');
  return colon == std::string::npos || matches_wildcards(std::string_view(encoded_).substr(0, colon), "s3");
}

std::string ActionPattern::unknown_message() const {
  const std::string message = in_quotes(text_) + " is no action of Amazon S3";
  const std::string_view name = std::string_view(text_).substr(text_.find(':') + 1);
  for (const Operation& operation : kOperations) {
    if (equal_ignoring_case(operation.name, name)) {
      return message + ", but an operation: what allows it is \"s3:" + std::string(operation.action) + "\"";
    }
  }
  std::vector<std::string> full;
  full.reserve(s3_actions().size());
  for (const KnownAction& action : s3_actions()) full.push_back("s3:" + std::string(action.name));
  const std::vector<std::string_view> names(full.begin(), full.end());
  return message + did_you_mean(text_, names);
}

}  // namespace pailfs::policy
