// Random cases, decided by src/policy and by a reference that is written from the AWS pages in another way; and what
// must hold of any two cases that differ in one thing. PAILFS_POLICY_CASES and PAILFS_MODEL_SEED make longer and other
// runs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "policy/simulation.h"
#include "random_cases.h"
#include "reference.h"
#include "support/figures.h"
#include "support/sanitizers.h"

namespace pailfs::test {
namespace {

using nlohmann::json;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class PolicyModel : public testing::Test {
 protected:
  std::string decide(const json& one) {
    const auto simulated = simulator_.run(one.dump());
    EXPECT_EQ(simulated.problem, "") << one.dump();
    return json::parse(simulated.output)["decision"];
  }

  const uint64_t seed_ = number_from("PAILFS_MODEL_SEED", 20261127);
  const uint64_t cases_ = number_from("PAILFS_POLICY_CASES", 20'000 / kSlowdown);
  RandomCases random_{seed_};
  policy::Simulator simulator_;
};

TEST_F(PolicyModel, DecidesAsTheReference) {
  std::map<std::string, uint64_t> seen;
  for (uint64_t i = 0; i < cases_; ++i) {
    const json one = random_.next();
    const std::string expected = reference_decision(one), got = decide(one);
    ++seen[expected];
    ASSERT_EQ(got, expected) << "seed " << seed_ << ", case " << i << ": " << one.dump(1);
  }
  for (const char* outcome : {"Allow", "ExplicitDeny", "ImplicitDeny"})
    EXPECT_GT(seen[outcome], cases_ / 20) << outcome;
  print_figures("I", "policies against a reference", {{"cases", cases_}, {"allowed", seen["Allow"]}});
}

TEST_F(PolicyModel, RefusesEverySpoiledDocument) {
  for (uint64_t i = 0; i < cases_ / 10; ++i) {
    json one = random_.next();
    const bool bucket = random_.one_in(2);
    json spoiled = random_.document(bucket);
    const std::string way = random_.spoil(spoiled, bucket);
    if (bucket) {
      one["bucket_policy"] = spoiled;
    } else if (random_.one_in(2)) {
      one["boundary"] = spoiled;
    } else {
      one["identity_policies"].push_back(spoiled);
    }
    ASSERT_EQ(decide(one), "Invalid") << way << ", seed " << seed_ << ": " << one.dump(1);
  }
}

TEST_F(PolicyModel, AnotherDenyNeverAllowsMore) {
  for (uint64_t i = 0; i < cases_ / 4; ++i) {
    json one = random_.next();
    const std::string before = decide(one);
    const bool bucket = random_.one_in(2);
    json added;
    do {
      added = random_.statement(bucket);
      // The document that it comes into may be of a version in which that is no ARN.
    } while (added.dump().contains("\"${aws:principalarn}\""));
    added["Effect"] = "Deny";
    const json document = {{"Version", "2012-10-17"}, {"Statement", added}};
    if (!bucket) {
      one["identity_policies"].push_back(document);
    } else if (one["bucket_policy"].is_null()) {
      one["bucket_policy"] = document;
    } else {
      json& statements = one["bucket_policy"]["Statement"];
      if (!statements.is_array()) statements = json::array({statements});
      statements.push_back(added);
    }
    const std::string after = decide(one);
    if (before != "Allow") {
      ASSERT_NE(after, "Allow") << one.dump(1);
    }
    if (before == "ExplicitDeny") {
      ASSERT_EQ(after, "ExplicitDeny") << one.dump(1);
    }
  }
}

TEST_F(PolicyModel, ABoundaryNeverAllowsMore) {
  for (uint64_t i = 0; i < cases_ / 4; ++i) {
    json one = random_.next();
    one["boundary"] = nullptr;
    const std::string before = decide(one);
    one["boundary"] = random_.document(false);
    if (before != "Allow") {
      ASSERT_NE(decide(one), "Allow") << one.dump(1);
    }
  }
}

TEST_F(PolicyModel, AnotherAllowNeverDeniesMore) {
  for (uint64_t i = 0; i < cases_ / 4; ++i) {
    json one = random_.next();
    const std::string before = decide(one);
    json added = random_.statement(false);
    added["Effect"] = "Allow";
    one["identity_policies"].push_back({{"Version", "2012-10-17"}, {"Statement", added}});
    const std::string after = decide(one);
    if (before == "Allow") {
      ASSERT_EQ(after, "Allow") << one.dump(1);
    }
    ASSERT_EQ(after == "ExplicitDeny", before == "ExplicitDeny") << one.dump(1);
  }
}

}  // namespace
}  // namespace pailfs::test
