// Who may do what: random buckets, modes, ACLs, policies and callers, decided by the core and by an evaluator that is
// written from the manual's pages. A case is a bucket with all that decides in it, and up to three questions: the
// first that changes something is the last. PAILFS_ACCESS_CASES and PAILFS_MODEL_SEED make longer and other runs,
// PAILFS_ACCESS_CASE asks one case of a run again, and PAILFS_ACCESS_DIFFERENCES says how many are shown.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "expected_answers.h"
#include "random_world.h"
#include "support/figures.h"
#include "support/sanitizers.h"
#include "world_in_core.h"

namespace pailfs::test {
namespace {

// A core keeps in memory what was made in it, and writes the keys of all its buckets with each new one.
constexpr uint64_t kCasesPerCore = 60;
constexpr uint64_t kQuestions = 3;

std::optional<uint64_t> number_from(const char* variable) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::optional<uint64_t>(std::strtoull(text, nullptr, 10)) : std::nullopt;
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

std::string listed(const std::set<std::string>& names) {
  return names.empty() ? "" : fmt::format(" with {}", fmt::join(names, " "));
}

struct Counts {
  uint64_t allowed = 0, denied = 0;
  void add(bool was_allowed) { ++(was_allowed ? allowed : denied); }
};

class AccessModel : public testing::Test {
 protected:
  // Whether core and manual agree.
  bool one_case(uint64_t number);
  bool compare(const World& world, const Question& question, const Told& told, uint64_t number);
  void expect_all_kinds() const;

  const uint64_t seed_ = number_from("PAILFS_MODEL_SEED").value_or(20261128);
  const uint64_t cases_ = number_from("PAILFS_ACCESS_CASES").value_or(10'000 / kSlowdown);
  std::unique_ptr<CoreOnMemory> memory_;
  std::unique_ptr<WorldInCore> core_;
  std::array<Counts, kOperations> seen_;
  Counts by_policy_, by_mode_;
  uint64_t questions_ = 0, hidden_ = 0, directories_renamed_ = 0, left_open_ = 0;
};

bool AccessModel::compare(const World& world, const Question& question, const Told& told, uint64_t number) {
  const Answer expected = ExpectedAnswers(world, question.asker).answer(question);
  const bool allowed = told.outcome == Outcome::kOk;
  const bool lists = allowed && question.operation == Operation::kList;
  if (!expected.accepted.contains(told.outcome) || (lists && !expected.lists(told.names))) {
    std::string wanted;
    for (const Outcome one : expected.accepted) wanted += fmt::format(" {}", outcome_name(one));
    ADD_FAILURE() << "PAILFS_MODEL_SEED=" << seed_ << " PAILFS_ACCESS_CASE=" << number << "\n"
                  << describe(world) << describe(question) << "\nexpected" << wanted << ", by "
                  << (expected.by_policy ? "a policy" : "modes") << listed(expected.names) << "\nthe core says "
                  << outcome_name(told.outcome) << listed(told.names) << " " << told.message;
    return false;
  }
  ++questions_;
  left_open_ += expected.open_to_either() ? 1 : 0;
  hidden_ += told.outcome == Outcome::kNotFound && expected.by_policy ? 1 : 0;
  directories_renamed_ += expected.may_be_copied && allowed ? 1 : 0;
  // That nothing has the name says nothing of rights.
  if (told.outcome == Outcome::kNotFound && !expected.by_policy) return true;
  seen_[static_cast<size_t>(question.operation)].add(allowed);
  (expected.by_policy ? by_policy_ : by_mode_).add(allowed);
  return true;
}

bool AccessModel::one_case(uint64_t number) {
  if (memory_ == nullptr || number % kCasesPerCore == 0) {
    core_.reset();
    memory_ = std::make_unique<CoreOnMemory>();
    core_ = std::make_unique<WorldInCore>(*memory_);
  }
  RandomWorld random(seed_of_case(seed_, number));
  World world = random.world("case-" + std::to_string(number), memory_->core->account_id());
  std::vector<Question> questions;
  for (uint64_t i = 0; i < kQuestions; ++i) questions.push_back(random.question(world));
  random.give_policies(world, questions);
  core_->build(world);
  for (const Question& question : questions) {
    const Told told = core_->ask(world, question);
    if (!compare(world, question, told, number)) return false;
    if (told.outcome == Outcome::kOk && changes(question.operation)) break;
  }
  return true;
}

// So that the comparison is of something.
void AccessModel::expect_all_kinds() const {
  for (size_t i = 0; i < kOperations; ++i) {
    const Counts& counts = seen_[i];
    const uint64_t enough = std::max<uint64_t>(cases_ / 500, (counts.allowed + counts.denied) / 10);
    const char* const name = operation_name(static_cast<Operation>(i));
    EXPECT_GE(counts.allowed, enough) << name << " is allowed hardly ever; denied " << counts.denied;
    EXPECT_GE(counts.denied, enough) << name << " is denied hardly ever; allowed " << counts.allowed;
  }
  for (const Counts* counts : {&by_policy_, &by_mode_}) {
    EXPECT_GE(counts->allowed, cases_ / 10);
    EXPECT_GE(counts->denied, cases_ / 10);
  }
  EXPECT_GE(hidden_, cases_ / 100);
  EXPECT_GE(directories_renamed_, cases_ / 1000);
  EXPECT_LE(left_open_, questions_ / 20) << "the manual leaves much open";
}

TEST_F(AccessModel, DecidesAsTheManualSays) {
  if (const auto only = number_from("PAILFS_ACCESS_CASE")) {
    one_case(*only);
    return;
  }
  uint64_t differences = 0;
  const uint64_t shown = number_from("PAILFS_ACCESS_DIFFERENCES").value_or(1);
  for (uint64_t i = 0; i < cases_ && differences < shown; ++i) differences += one_case(i) ? 0 : 1;
  if (differences == 0 && cases_ >= 1000) expect_all_kinds();
  print_figures("I", "access against a reference",
                {{"cases", cases_},
                 {"questions", questions_},
                 {"allowed_by_policy", by_policy_.allowed},
                 {"denied_by_policy", by_policy_.denied},
                 {"allowed_by_mode", by_mode_.allowed},
                 {"denied_by_mode", by_mode_.denied},
                 {"hidden", hidden_},
                 {"left_open", left_open_}});
}

}  // namespace
}  // namespace pailfs::test
