// Policies and cases. The first byte says what the rest is: a document for one of the three places, read as for
// evaluating or for storing, or a line of cases. What is a policy is evaluated, and looked at for what is doubtful;
// what is none is refused with a place that is in the text. Storing never takes what evaluating refuses.
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "fuzz/support/fuzz.h"
#include "policy/evaluate.h"
#include "policy/findings.h"
#include "policy/simulation.h"

namespace pailfs::test {
namespace {

using namespace pailfs::policy;

constexpr uint8_t kCase = 3;  // other values of the two lowest bits: a DocumentKind

Caller caller(PrincipalType type, std::string_view name, std::string_view arn) {
  auto made = Caller::make(type, name, arn);
  FUZZ_CHECK(made);
  return std::move(*made);
}

void evaluate_all(const Document& document) {
  static const std::array callers = {
      caller(PrincipalType::kUser, "alice", "arn:aws:iam::111122223333:user/alice"),
      caller(PrincipalType::kRole, "r", "arn:aws:sts::444455556666:assumed-role/r/s"),
      caller(PrincipalType::kRoot, "root", "arn:aws:iam::111122223333:root"),
      caller(PrincipalType::kService, "logging.s3.amazonaws.com", ""),
      caller(PrincipalType::kAnonymous, "", ""),
  };
  Context context;
  context.add("aws:username", "al\xFF*");
  context.add("s3:prefix", "home/");
  context.add("aws:currenttime", "2026-11-27T12:00:00Z");
  context.add("aws:sourceip", "2001:db8::1");
  context.add("s3:max-keys", "10");
  const std::array<const Document*, 1> one = {&document};
  for (const Caller& asking : callers) {
    Policies policies;
    if (document.kind() == DocumentKind::kIdentity) policies.identity = one;
    if (document.kind() == DocumentKind::kBoundary) policies.boundary = &document;
    if (document.kind() == DocumentKind::kBucket) policies.bucket = &document;
    for (const std::string_view resource : {"arn:aws:s3:::b/home/al/k", "arn:aws:s3:::b", "*", "no ARN"}) {
      const Decision decision = evaluate(policies, {asking, "111122223333", "s3:GetObject", resource, context});
      FUZZ_CHECK(decision.document == nullptr || decision.statement < decision.document->statements().size());
    }
  }
}

void run_document(std::string_view text, DocumentRules rules) {
  const auto document = Document::compile(text, rules);
  if (!document) {
    const Refusal& refusal = document.error();
    FUZZ_CHECK(!refusal.message.empty());
    FUZZ_CHECK(refusal.place.line >= 1 && refusal.place.column >= 1);
    FUZZ_CHECK(refusal.place.line <= text.size() + 1 && refusal.place.column <= text.size() + 1);
    return;
  }
  FUZZ_CHECK(nlohmann::json::accept(text));
  for (const Finding& finding : find_doubtful(**document, text)) FUZZ_CHECK(!finding.message.empty());
  evaluate_all(**document);
  if (rules.storing) {
    rules.storing = false;
    FUZZ_CHECK(Document::compile(text, rules));
  }
}

void run_case(std::string_view line) {
  Simulator simulator;
  const SimulatedCase first = simulator.run(line);
  const auto answer = nlohmann::json::parse(first.output, nullptr, false);
  FUZZ_CHECK(answer.is_object() && answer.contains("id") && answer.contains("decision"), first.output);
  FUZZ_CHECK(line.contains('\n') || !first.output.contains('\n'), first.output);
  FUZZ_CHECK(first.problem.empty() || answer["decision"] == "Invalid");
  FUZZ_CHECK(simulator.run(line).output == first.output);  // from what was kept
}

void run(uint8_t mode, std::string_view input) {
  if ((mode & 3) == kCase) return run_case(input);
  DocumentRules rules;
  rules.kind = static_cast<DocumentKind>(mode & 3);
  rules.storing = (mode & 4) != 0;
  rules.accept_unknown_keys = (mode & 8) != 0;
  if ((mode & 16) != 0) rules.bucket = "b";
  run_document(input, rules);
}

}  // namespace
}  // namespace pailfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) pailfs::test::run(data[0], pailfs::test::input_of(data + 1, size - 1));
  return 0;
}
