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
    out->wants_time = std::ranges::any_of(kOfTime, [&](std::string_view key) { return document->asks_for(key); });
    out->wants_executable = document->asks_for("pail:executable");
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
