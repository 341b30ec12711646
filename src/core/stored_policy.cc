#include "core/stored_policy.h"

namespace pailfs {

namespace {

StoredPolicyPtr made(std::string text, std::shared_ptr<const policy::Document> document) {
  auto out = std::make_shared<StoredPolicy>();
  if (document != nullptr) {
    out->wants_time = document->asks_for("aws:currenttime") || document->asks_for("aws:epochtime");
    out->wants_executable = document->asks_for("pail:executable");
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
