// Documents and requests in a few words. JSON is written with ' for " and ` for '.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "policy/evaluate.h"

namespace pailfs::policy::test {

inline const std::string kAlice = "arn:aws:iam::111122223333:user/alice";
inline const std::string kOwner = "111122223333";

inline std::string json(std::string text) {
  std::ranges::replace(text, '\'', '"');
  std::ranges::replace(text, '`', '\'');
  return text;
}

// A document of version 2012-10-17 with these statements.
inline std::string with_statements(const std::string& statements) {
  return json("{'Version':'2012-10-17','Statement':[" + statements + "]}");
}

inline std::expected<std::shared_ptr<const Document>, Refusal> compile(const std::string& text,
                                                                       DocumentKind kind = DocumentKind::kIdentity,
                                                                       bool storing = false) {
  DocumentRules rules;
  rules.kind = kind;
  rules.storing = storing;
  return Document::compile(text, rules);
}

// One request with its policies; what is not said is that alice reads b/k in her own account.
struct Try {
  std::vector<std::string> identity =
      {};  // statements, or a whole document where it begins with {'Version' or {'Statement'
  std::string boundary = "", bucket = "";  // the same; empty: none
  PrincipalType type = PrincipalType::kUser;
  std::string name = "alice", arn = kAlice;
  std::string action = "s3:GetObject", resource = "arn:aws:s3:::b/k";
  std::vector<std::pair<std::string, std::vector<std::string>>> context = {};  // keys in lower case

  Decision decide();
  std::string outcome() { return std::string(outcome_name(decide().outcome)); }

  // For decide().
  const Document* add(const std::string& text, DocumentKind kind);
  std::vector<std::shared_ptr<const Document>> held = {};
};

inline const Document* Try::add(const std::string& text, DocumentKind kind) {
  const bool whole = text.starts_with("{'Version'") || text.starts_with("{'Statement'");
  auto document = compile(whole ? json(text) : with_statements(text), kind);
  if (!document) {
    ADD_FAILURE() << text << ": " << document.error().to_string();
    return nullptr;
  }
  held.push_back(*document);
  return held.back().get();
}

inline Decision Try::decide() {
  std::vector<const Document*> documents;
  for (const std::string& text : identity) documents.push_back(add(text, DocumentKind::kIdentity));
  Policies policies;
  policies.identity = documents;
  if (!boundary.empty()) policies.boundary = add(boundary, DocumentKind::kBoundary);
  if (!bucket.empty()) policies.bucket = add(bucket, DocumentKind::kBucket);
  const auto caller = Caller::make(type, name, arn);
  if (!caller) {
    ADD_FAILURE() << caller.error().message;
    return {};
  }
  if (testing::Test::HasFailure()) return {};
  Context given;
  for (const auto& [key, values] : context) {
    const std::vector<std::string_view> views(values.begin(), values.end());
    given.add(key, views);
  }
  return evaluate(policies, {*caller, kOwner, action, resource, given});
}

}  // namespace pailfs::policy::test
