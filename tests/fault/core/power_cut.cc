#include "fault/core/power_cut.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "fault/core/lmdb_medium.h"
#include "support/tree_dump.h"

namespace pailfs::test {

std::string name_of(const Workload& workload) {
  std::string out;
  for (const Operation* operation : workload) out += (out.empty() ? "" : ", ") + operation->name;
  return out;
}

World::World() {
  // Worlds of one process must not share keys and salts, or the watch over nonces would see the same ones twice.
  static uint64_t worlds = 0;
  MemoryEnv memory(++worlds);
  std::string path;
  for (const auto& part : std::filesystem::path(directory()).relative_path()) {
    const std::string above = path;
    path += "/" + part.string();
    EXPECT_TRUE(memory.make_dir(path));
    EXPECT_TRUE(memory.sync_dir(above.empty() ? "/" : above));
  }
  {
    LmdbMedium medium(memory, directory());
    memory.set_now(kBegin - Time{100'000'000'000});
    make_world(medium, directory());
  }
  base_ = memory.crash_image({Unsynced::kDrop, Unsynced::kDrop});
}

std::unique_ptr<MemoryEnv> World::copy() const { return base_->crash_image({Unsynced::kKeep, Unsynced::kKeep}); }

namespace {

// What is known of a life from outside.
struct Known {
  uint64_t acknowledged = 0;  // the last transaction that a sync promised
  uint64_t begun = 0;         // the last one there was
  std::string error;          // of opening
};

class Sequence {
 public:
  Sequence(const World& world, Workload workload, uint64_t seed, PowerCutCounters& counters)
      : world_(world),
        directory_(world.directory()),
        workload_(std::move(workload)),
        random_(seed),
        counters_(counters) {}

  void run() {
    ++counters_.workloads;
    const uint64_t changes = reference();
    for (uint64_t k = 0; k <= changes && !testing::Test::HasFailure(); ++k) cut_at(k);
  }

 private:
  // Runs the workload on what is there. With `states`: also notes what is shown after each operation.
  Known live(MemoryEnv& memory, LmdbMedium& medium, std::map<uint64_t, std::string>* states) {
    Known known;
    memory.set_now(World::kBegin);
    auto begun = Life::begin(medium, directory_);
    if (!begun) {
      known.error = begun.error().message;
      return known;
    }
    Life& life = **begun;
    known.acknowledged = known.begun = life.recovered();
    const auto note = [&] {
      if (states != nullptr && life.at_rest()) (*states)[life.store().sequence()] = dump_tree(life.core());
    };
    note();
    for (size_t i = 0; i < workload_.size(); ++i) {
      memory.set_now(World::kBegin + static_cast<Time>(i + 1) * 1'000'000'000);
      const uint64_t before = life.store().sequence();
      const Status done = workload_[i]->run(life);
      if (states != nullptr) note();
      if (done && workload_[i]->syncs) known.acknowledged = before;
    }
    if (life.store().close()) known.acknowledged = life.store().sequence();
    known.begun = life.store().sequence();
    life.release_held();
    return known;
  }

  // Without a cut. Returns how many calls change the medium.
  uint64_t reference() {
    const auto memory = world_.copy();
    LmdbMedium medium(*memory, directory_);
    const Known known = live(*memory, medium, &states_);
    EXPECT_EQ(known.error, "");
    EXPECT_EQ(medium.early_meta_pages(), 0U);
    return medium.faults().changes();
  }

  void cut_at(uint64_t k) {
    ++counters_.kills;
    const auto memory = world_.copy();
    Known known;
    {
      LmdbMedium medium(*memory, directory_);
      medium.faults().die_after(k);
      known = live(*memory, medium, nullptr);
    }
    for (const CrashPolicy& policy : policies(memory->unsynced_changes())) {
      const auto image = memory->crash_image(policy);
      const std::string what = fmt::format("[{}] cut at call {}{}", name_of(workload_), k, described(policy));
      if (known.error.empty() && random_() % 16 == 0) {
        recovery_killed(*image, known, what);
      }
      expect_survived(*image, known, what, random_() % 8 == 0);
      if (testing::Test::HasFailure()) return;
    }
  }

  static std::string described(const CrashPolicy& policy) {
    const auto word = [](Unsynced kind, const std::vector<bool>& landed) -> std::string {
      if (kind == Unsynced::kKeep) return "all";
      if (kind == Unsynced::kDrop) return "nothing";
      if (kind == Unsynced::kRandom) return "some";
      std::string bits;
      for (const bool bit : landed) bits += bit ? '1' : '0';
      return bits;
    };
    return fmt::format(", of data landed {}, of names {}, seed {}", word(policy.data, policy.landed_data),
                       word(policy.names, policy.landed_names), policy.seed);
  }

  std::vector<CrashPolicy> policies(const MemoryEnv::UnsyncedChanges& unsynced) {
    std::vector<CrashPolicy> out = {{Unsynced::kKeep, Unsynced::kKeep}};
    const uint64_t n = unsynced.data + unsynced.names;
    if (n == 0) return out;
    const auto add = [&](const std::vector<bool>& landed) {
      const auto names = landed.begin() + static_cast<std::ptrdiff_t>(unsynced.data);
      out.push_back({.data = Unsynced::kChosen,
                     .names = Unsynced::kChosen,
                     .landed_data = {landed.begin(), names},
                     .landed_names = {names, landed.end()}});
    };
    if (n <= 3) {
      for (uint64_t set = 0; set + 1 < uint64_t{1} << n; ++set) {
        std::vector<bool> landed;
        for (uint64_t i = 0; i < n; ++i) landed.push_back((set >> i & 1) != 0);
        add(landed);
      }
    } else {
      add(std::vector<bool>(n, false));
      for (uint64_t i = 0; i < n; ++i) {
        std::vector<bool> landed(n, false);
        landed[i] = true;
        add(landed);
        landed.flip();
        add(landed);
      }
    }
    out.push_back({.data = Unsynced::kDrop, .names = Unsynced::kKeep});
    for (int i = 0; i < 3; ++i) out.push_back({Unsynced::kRandom, Unsynced::kRandom, random_()});
    return out;
  }

  // Recovery itself is killed somewhere, and the power goes.
  void recovery_killed(const MemoryEnv& image, const Known& known, const std::string& what) {
    const auto copy = image.crash_image({Unsynced::kKeep, Unsynced::kKeep});
    uint64_t at = 0;
    {
      LmdbMedium medium(*copy, directory_);
      at = random_() % 24;
      medium.faults().die_after(at);
      (void)Life::begin(medium, directory_);
    }
    ++counters_.recoveries_killed;
    const CrashPolicy policy{Unsynced::kRandom, Unsynced::kRandom, random_()};
    expect_survived(*copy->crash_image(policy), known, fmt::format("{}, recovery killed at {}", what, at), false);
  }

  void expect_survived(MemoryEnv& memory, const Known& known, const std::string& what, bool go_on) {
    ++counters_.images;
    bool mend = false;
    {
      LmdbMedium medium(memory, directory_);
      auto begun = Life::begin(medium, directory_);
      ASSERT_TRUE(begun) << what << ": " << begun.error().message;
      Life& life = **begun;
      const uint64_t seq = life.recovered();
      ASSERT_FALSE(life.store().status().read_only) << what << ": " << life.store().status().read_only_reason;
      ASSERT_GE(seq, known.acknowledged) << what << ": what was acknowledged is missing";
      if (known.error.empty()) {
        ASSERT_LE(seq, known.begun) << what << ": more than there was";
      }
      const std::string text = dump_tree(life.core());
      // Between two operations nobody looked: the first image that ends there says what is right.
      const auto [place, first] = states_.try_emplace(seq, text);
      ASSERT_EQ(place->second, text) << what << ": transaction " << seq << " of " << known.begun;
      const auto checked = life.core().check(true, nullptr);
      ASSERT_TRUE(checked) << what << ": " << checked.error().message;
      for (const CheckProblem& problem : checked->problems)
        ADD_FAILURE() << what << ": " << problem.path << problem.what;
      ASSERT_TRUE(checked->unreferenced_bytes) << what;
      const bool lost_room = *checked->unreferenced_bytes > 0;
      counters_.with_lost_room += lost_room ? 1 : 0;
      mend = lost_room && counters_.with_lost_room % 32 == 0;
      if (!go_on && !mend) return;
      ASSERT_TRUE(life.create("bucket/e/after", pattern("after", 3000))) << what;
      ASSERT_TRUE(life.core().sync()) << what;
      ASSERT_EQ(medium.early_meta_pages(), 0U) << what;
    }
    const auto later = memory.crash_image({Unsynced::kDrop, Unsynced::kDrop});
    LmdbMedium medium(*later, directory_);
    auto again = Life::begin(medium, directory_);
    ASSERT_TRUE(again) << what << ", and again: " << again.error().message;
    ASSERT_TRUE((*again)->at("bucket/e/after")) << what << ": what was synced after the cut is missing";
    again->reset();
    if (!mend) return;
    ++counters_.repaired;
    expect_repair_gives_room_back(medium, directory_, what);
  }

  const World& world_;
  const std::string& directory_;
  const Workload workload_;
  std::mt19937_64 random_;
  PowerCutCounters& counters_;
  std::map<uint64_t, std::string> states_;  // what is shown as of a transaction
};

}  // namespace

void cut_power_everywhere(const World& world, const Workload& workload, uint64_t seed, PowerCutCounters& counters) {
  Sequence(world, workload, seed, counters).run();
}

}  // namespace pailfs::test
