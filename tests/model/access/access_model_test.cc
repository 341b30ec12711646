// Who may do what: random buckets, modes, ACLs, policies and callers, decided by the core and by an evaluator that is
// written from the manual's pages alone. PAILFS_ACCESS_CASES and PAILFS_MODEL_SEED make longer and other runs,
// PAILFS_ACCESS_CASE one case of a run again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "expected_answers.h"
#include "random_world.h"
#include "support/figures.h"
#include "support/sanitizers.h"
#include "world_in_core.h"

namespace pailfs::test {
namespace {

constexpr uint64_t kWorldsPerCore = 100;
constexpr uint64_t kQuestionsPerWorld = 3;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Each case has a sequence of its own, so that it can be repeated alone.
uint64_t seed_of_case(uint64_t seed, uint64_t number) { return seed * 0x9E3779B97F4A7C15 + number; }

bool changes(Operation operation) {
  switch (operation) {
    case Operation::kLookup:
    case Operation::kList:
    case Operation::kRead:
    case Operation::kWrite:
    case Operation::kReadWrite:
    case Operation::kExecute:
    case Operation::kReadLink:
    case Operation::kGetXattr:
    case Operation::kGetAcl:
    case Operation::kAccess:
    case Operation::kReadVersion:
      return false;
    default:
      return true;
  }
}

struct Counts {
  uint64_t allowed = 0, denied = 0;
};

class AccessModel : public testing::Test {
 protected:
  // Whether core and manual agree.
  bool one_case(uint64_t number);
  bool compare(const World& world, const Question& question, const Told& told, uint64_t number);

  const uint64_t seed_ = number_from("PAILFS_MODEL_SEED", 20261128);
  const uint64_t cases_ = number_from("PAILFS_ACCESS_CASES", 10'000 / kSlowdown);
  std::unique_ptr<CoreOnMemory> memory_;
  std::unique_ptr<WorldInCore> core_;
  std::array<Counts, kOperations> seen_;
  Counts by_policy_, by_mode_;
  uint64_t questions_ = 0, hidden_ = 0, renamed_in_one_step_ = 0, open_to_either_ = 0;
};

bool AccessModel::compare(const World& world, const Question& question, const Told& told, uint64_t number) {
  const Answer expected = ExpectedAnswers(world, question.asker).answer(question);
  const bool fits = expected.accepted.contains(told.outcome);
  const bool listed =
      told.outcome != Outcome::kOk || question.operation != Operation::kList || told.names == expected.names;
  if (!fits || !listed) {
    std::string wanted, names;
    for (const Outcome one : expected.accepted) wanted += std::string(" ") + outcome_name(one);
    for (const std::string& name : expected.names) names += " " + name;
    if (!listed) wanted += " with" + names;
    names.clear();
    for (const std::string& name : told.names) names += " " + name;
    ADD_FAILURE() << "PAILFS_MODEL_SEED=" << seed_ << " PAILFS_ACCESS_CASE=" << number << "\n"
                  << describe(world) << describe(question) << "\nexpected" << wanted << ", by "
                  << (expected.by_policy ? "a policy" : "modes") << "; the core says " << outcome_name(told.outcome)
                  << (listed ? "" : " with" + names) << (told.message.empty() ? "" : ": " + told.message);
    return false;
  }
  const bool allowed = told.outcome == Outcome::kOk;
  const auto count = [&](Counts& counts) { ++(allowed ? counts.allowed : counts.denied); };
  // A name that was never there says nothing.
  const bool missing = told.outcome == Outcome::kNotFound && !expected.by_policy;
  if (!missing) count(seen_[static_cast<size_t>(question.operation)]);
  if (!missing) count(expected.by_policy ? by_policy_ : by_mode_);
  hidden_ += told.outcome == Outcome::kNotFound && expected.by_policy ? 1 : 0;
  renamed_in_one_step_ += expected.may_be_copied && allowed ? 1 : 0;
  open_to_either_ += expected.open_to_either() ? 1 : 0;
  ++questions_;
  return true;
}

bool AccessModel::one_case(uint64_t number) {
  if (memory_ == nullptr || number % kWorldsPerCore == 0) {
    core_.reset();
    memory_ = std::make_unique<CoreOnMemory>();
    core_ = std::make_unique<WorldInCore>(*memory_);
  }
  RandomWorld random(seed_of_case(seed_, number));
  World world = random.world("case-" + std::to_string(number), memory_->core->account_id());
  std::vector<Question> questions;
  for (uint64_t i = 0; i < kQuestionsPerWorld; ++i) questions.push_back(random.question(world));
  random.give_policies(world, questions);
  core_->build(world);
  for (const Question& question : questions) {
    const Told told = core_->ask(world, question);
    if (!compare(world, question, told, number)) return false;
    // What was changed is not the world any more.
    if (told.outcome == Outcome::kOk && changes(question.operation)) break;
  }
  return true;
}

TEST_F(AccessModel, DecidesAsTheManualSays) {
  if (const uint64_t only = number_from("PAILFS_ACCESS_CASE", ~uint64_t{0}); only != ~uint64_t{0}) {
    one_case(only);
    return;
  }
  uint64_t failures = 0;
  const uint64_t patience = number_from("PAILFS_ACCESS_FAILURES", 1);
  for (uint64_t i = 0; i < cases_ && failures < patience; ++i) {
    if (!one_case(i)) ++failures;
  }
  for (size_t i = 0; i < kOperations; ++i) {
    const char* const name = operation_name(static_cast<Operation>(i));
    fmt::print("{:12} allowed {:6} denied {:6}\n", name, seen_[i].allowed, seen_[i].denied);
  }
  print_figures("I", "access against a reference",
                {{"cases", cases_},
                 {"questions", questions_},
                 {"allowed_by_policy", by_policy_.allowed},
                 {"denied_by_policy", by_policy_.denied},
                 {"allowed_by_mode", by_mode_.allowed},
                 {"denied_by_mode", by_mode_.denied},
                 {"hidden", hidden_},
                 {"directories_renamed", renamed_in_one_step_},
                 {"open_to_either", open_to_either_}});
}

}  // namespace
}  // namespace pailfs::test
