#include "fault/flips/sweep.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "base/logging.h"
#include "support/figures.h"
#include "support/sanitizers.h"

namespace pailfs::test {

namespace {

constexpr uint64_t kShownViolations = 20;
constexpr uint64_t kStep = 2'654'435'761;  // a prime
constexpr int64_t kSweeps = 5;             // of this program
constexpr unsigned kPatience = 120;        // seconds for one state, on a slow machine

using Clock = std::chrono::steady_clock;

struct SweepCounters {
  uint64_t states = 0;
  uint64_t crashes = 0;
  uint64_t violations = 0;
  std::array<uint64_t, kOutcomeCount> outcomes{};
};

// What the child writes and the parent reads.
struct Board {
  uint64_t next = 0;  // in the order of the sweep: the state that is being judged
  SweepCounters counters;
  size_t length = 0;
  char text[64 << 10];  // of violations
};

class Sweep {
 public:
  Sweep(const Specimen& specimen, uint64_t count, const std::function<Damage(uint64_t)>& damage)
      : specimen_(specimen), count_(count), damage_(damage) {
    void* shared = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::bad_alloc();
    board_ = new (shared) Board;
    if (const char* seconds = std::getenv("SOAK_SECONDS")) {
      end_ = Clock::now() + std::chrono::seconds(std::atoll(seconds)) / kSweeps;
      first_ = std::random_device()();
      step_ = kStep;
    }
    log_ = ::fileno(std::tmpfile());
  }
  ~Sweep() {
    ::munmap(board_, sizeof(Board));
    ::close(log_);
  }
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  SweepCounters run() {
    while (!is_over() && board_->counters.violations < kShownViolations) in_child();
    if (board_->counters.violations > 0) {
      ADD_FAILURE() << board_->counters.violations << " violations:\n" << std::string(board_->text, board_->length);
    }
    return board_->counters;
  }

  void one(uint64_t i) {
    const Damage damage = damage_(i);
    const Verdict verdict = judge(specimen_, damage, [] { return std::string("keyring"); });
    fmt::print("{}: {}\n", described(i, damage), kOutcomes[static_cast<size_t>(verdict.outcome)]);
    for (const std::string& what : verdict.violations) ADD_FAILURE() << what;
  }

 private:
  std::string described(uint64_t i, const Damage& damage) const {
    return fmt::format("state {}, {} store, {}: {}", i, specimen_.name, damage.file, damage.what);
  }

  bool is_over() const { return board_->next >= count_ || Clock::now() >= end_; }
  // Each comes once, whatever the step is, as that is a prime.
  uint64_t state(uint64_t place) const { return (first_ + place * step_) % count_; }

  void in_child() {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(log_, STDERR_FILENO);
      set_log_level(LogLevel::kWarning);
      judge_on();
      ::_exit(0);  // the parent cleans up
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) throw std::runtime_error("fork or waitpid failed");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    ++board_->counters.crashes;
    ++board_->counters.states;
    const std::string how =
        WIFSIGNALED(status)
            ? WTERMSIG(status) == SIGALRM ? "never comes back" : fmt::format("crashes: {}", strsignal(WTERMSIG(status)))
            : fmt::format("ends with status {}", WEXITSTATUS(status));
    const uint64_t i = state(board_->next);
    note(i, damage_(i), fmt::format("{}\n{}", how, log_text().substr(0, 4000)));
    ++board_->next;
  }

  // Until the end, or until this process cannot go on.
  void judge_on() {
    for (bool end = false; !end && !is_over(); ++board_->next) {
      const uint64_t i = state(board_->next);
      if (::ftruncate(log_, 0) == 0) ::lseek(log_, 0, SEEK_SET);
      ::alarm(kPatience);
      const Damage damage = damage_(i);
      const Verdict verdict = judge(specimen_, damage, [this] { return log_text(); });
      ++board_->counters.states;
      ++board_->counters.outcomes[static_cast<size_t>(verdict.outcome)];
      for (const std::string& what : verdict.violations) note(i, damage, what);
      end = verdict.end_process || board_->counters.violations >= kShownViolations;
    }
  }

  void note(uint64_t i, const Damage& damage, const std::string& what) {
    ++board_->counters.violations;
    const std::string line = fmt::format("{}: {}\n", described(i, damage), what);
    const size_t room = std::min(line.size(), sizeof(board_->text) - board_->length);
    std::memcpy(board_->text + board_->length, line.data(), room);
    board_->length += room;
  }

  std::string log_text() const {
    std::string text(64 << 10, '\0');
    const ssize_t n = ::pread(log_, text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  const Specimen& specimen_;
  const uint64_t count_;
  const std::function<Damage(uint64_t)>& damage_;
  Clock::time_point end_ = Clock::time_point::max();
  uint64_t first_ = 0;
  uint64_t step_ = 1;
  Board* board_ = nullptr;
  int log_ = -1;
};

}  // namespace

void sweep(const Specimen& specimen, const std::string& row, const std::string& what, uint64_t count,
           const std::function<Damage(uint64_t)>& damage) {
  Sweep sweep(specimen, count, damage);
  if (const char* state = std::getenv("PAILFS_STATE")) {
    const uint64_t i = std::strtoull(state, nullptr, 10);
    if (i < count) sweep.one(i);
    return;
  }
  const SweepCounters counters = sweep.run();
  std::vector<std::pair<std::string_view, uint64_t>> figures = {{"states", counters.states}, {"there_are", count}};
  for (size_t i = 0; i < kOutcomeCount; ++i) figures.emplace_back(kOutcomes[i], counters.outcomes[i]);
  figures.emplace_back("crashes", counters.crashes);
  figures.emplace_back("violations", counters.violations);
  print_figures(row, fmt::format("{} of a {} store", what, specimen.name), figures);
}

uint64_t sweep_share(uint64_t of_a_commit) {
  if (std::getenv("SOAK_SECONDS") != nullptr) return 1;
  const char* wanted = std::getenv("PAILFS_SHARE");
  return wanted == nullptr ? of_a_commit * kSlowdown : std::max<uint64_t>(std::strtoull(wanted, nullptr, 10), 1);
}

uint64_t mixed(uint64_t number) {
  uint64_t x = number + 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace pailfs::test
