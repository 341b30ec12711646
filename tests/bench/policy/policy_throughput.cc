// bench_policy [SECONDS]: decisions a second on one core, with documents that are compiled: a bucket policy of 20
// statements and five identity policies with a boundary, once without conditions and once with them. Also cases in
// JSON.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "policy/evaluate.h"
#include "policy/simulation.h"

namespace {

using namespace pailfs::policy;

std::string statement(const std::string& effect, int number, bool bucket, bool conditions) {
  return fmt::format(
      R"({{"Effect":"{}",{}"Action":["s3:GetObject","s3:Put*"],"Resource":"arn:aws:s3:::b/{}/${{aws:username}}/*"{}}})",
      effect,
      bucket ? fmt::format(R"("Principal":{{"AWS":"arn:aws:iam::111122223333:user/user{}"}},)", number % 4) : "",
      number,
      conditions
          ? R"(,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringLike":{"s3:prefix":["a/*","b/*"]},)"
            R"("DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}})"
          : "");
}

std::string document(int statements, bool bucket, bool conditions) {
  std::string list;
  for (int i = 0; i < statements; ++i) {
    list += (i > 0 ? "," : "") + statement(i % 3 == 2 ? "Deny" : "Allow", i, bucket, conditions);
  }
  return R"({"Version":"2012-10-17","Statement":[)" + list + "]}";
}

std::shared_ptr<const Document> compiled(const std::string& text, DocumentKind kind) {
  DocumentRules rules;
  rules.kind = kind;
  auto out = Document::compile(text, rules);
  if (!out) {
    fmt::print(stderr, "{}\n", out.error().to_string());
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): there is one thread
  }
  return *out;
}

void measure(const char* what, double seconds, const std::function<void()>& once) {
  for (int i = 0; i < 1000; ++i) once();
  uint64_t count = 0;
  const std::clock_t begin = std::clock();  // the processor's time, whatever else runs
  double took = 0;
  while (took < seconds) {
    for (int i = 0; i < 1000; ++i) once();
    count += 1000;
    took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  }
  fmt::print("{:<40} {:>12.0f} a second\n", what, static_cast<double>(count) / took);
}

void run(bool conditions, double seconds) {
  std::vector<std::shared_ptr<const Document>> held;
  std::vector<const Document*> identity;
  for (int i = 0; i < 5; ++i) {
    held.push_back(compiled(document(3, false, conditions), DocumentKind::kIdentity));
    identity.push_back(held.back().get());
  }
  const auto boundary = compiled(document(2, false, conditions), DocumentKind::kBoundary);
  const auto bucket = compiled(document(20, true, conditions), DocumentKind::kBucket);
  const auto caller = Caller::make(PrincipalType::kUser, "user3", "arn:aws:iam::111122223333:user/user3");
  if (!caller) std::exit(1);  // NOLINT(concurrency-mt-unsafe): as above
  Context context;
  context.add("aws:username", "user3");
  context.add("aws:sourceip", "10.1.2.3");
  context.add("aws:currenttime", "2026-11-27T12:00:00Z");
  context.add("s3:prefix", "b/c");
  const std::string resource = "arn:aws:s3:::b/1/user3/some/key";
  uint64_t allowed = 0;
  measure(conditions ? "decisions, three conditions a statement" : "decisions, no conditions", seconds, [&] {
    const Request request{*caller, "111122223333", "s3:GetObject", resource, context};
    allowed += evaluate({identity, boundary.get(), bucket.get()}, request).outcome == Outcome::kAllow ? 1 : 0;
  });
  if (allowed == 0) fmt::print("(none allowed)\n");
  Simulator simulator;
  std::string line =
      R"({"id":7,"account":"111122223333","principal":{"type":"user","name":"user3","arn":"arn:aws:iam::111122223333:user/user3","groups":[]},"identity_policies":[)";
  for (int i = 0; i < 5; ++i) line += (i > 0 ? "," : "") + document(3, false, conditions);
  line += R"(],"boundary":null,"bucket_policy":)" + document(20, true, conditions) +
          R"(,"request":{"action":"s3:GetObject","resource":")" + resource +
          R"(","context":{"aws:username":["user3"],"aws:SourceIp":["10.1.2.3"],"s3:prefix":["b/c"]}}})";
  measure(fmt::format("cases of {} bytes of JSON", line.size()).c_str(), seconds, [&] { simulator.run(line); });
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 2;
  run(false, seconds);
  run(true, seconds);
  return 0;
}
