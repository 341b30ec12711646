#include "core/stored_policy.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "policy/public.h"

namespace pailfs {

namespace {

StoredPolicyPtr made(std::string text, std::shared_ptr<const policy::Document> document) {
  auto out = std::make_shared<StoredPolicy>();
  if (document != nullptr) {
    constexpr std::array<std::string_view, 4> kOfTime{"aws:currenttime", "aws:epochtime", "pail:hour", "pail:weekday"};
    constexpr std::array<std::string_view, 1> kOfProgram{"pail:executable"};
    constexpr std::array<std::string_view, 1> kOfTags{kExistingTagKeys};
    out->wants.time = document->asks_for(kOfTime);
    out->wants.executable = document->asks_for(kOfProgram);
    out->wants.tags = document->asks_for(kOfTags);
    out->is_public = document->kind() == policy::DocumentKind::kBucket && policy::is_public(*document);
  }
  out->text = std::move(text);
  out->document = std::move(document);
  return out;
}

}  // namespace

Result<StoredPolicyPtr> compile_policy(std::string text, const policy::DocumentRules& rules) {
  auto document = policy::Document::compile(text, rules);
  if (!document) return fail(Code::kInvalid, "MalformedPolicy: " + document.error().to_string());
  return made(std::move(text), std::move(*document));
}

StoredPolicyPtr read_policy(std::string text, policy::DocumentKind kind, std::string& why) {
  policy::DocumentRules rules;
  rules.kind = kind;
  auto document = policy::Document::compile(text, rules);
  if (document) return made(std::move(text), std::move(*document));
  why = document.error().to_string();
  return made(std::move(text), nullptr);
}

}  // namespace pailfs
