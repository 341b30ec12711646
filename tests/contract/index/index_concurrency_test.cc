// What index.h promises to several threads.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "contract/index/backends.h"

namespace pailfs::test {
namespace {

using IndexThreadsTest = IndexTest;
INSTANTIATE_TEST_SUITE_P(Contract, IndexThreadsTest, testing::ValuesIn(all_backends()),
                         [](const auto& backend) { return backend.param.name; });

std::string padded(int n) { return fmt::format("{:06}", n); }

// Every batch writes the same number to all keys: a view that mixes two batches shows two numbers.
std::vector<IndexChange> generation(int number, int keys, size_t value_size) {
  std::vector<IndexChange> changes;
  for (int k = 0; k < keys; ++k) {
    std::string value = padded(number);
    value.resize(value_size, '.');
    changes.push_back(put("k" + padded(k), std::move(value)));
  }
  return changes;
}

// Reads the whole index once and returns the generation that all its entries have; -1 when they differ.
int read_generation(Index& index, int keys) {
  auto view = index.snapshot();
  if (!view) return -1;
  const Pairs all = scan(**view);
  if (all.size() != static_cast<size_t>(keys)) return -1;
  for (const auto& [key, value] : all) {
    if (value.substr(0, 6) != all[0].second.substr(0, 6)) return -1;
  }
  const auto last = copy_of(*(*view)->last_before("l"));
  if (!last || *last != all.back()) return -1;
  return std::stoi(all[0].second.substr(0, 6));
}

TEST_P(IndexThreadsTest, EightThreadsSeeWholeBatchesInTheirOrder) {
  constexpr int kKeys = 40;
  constexpr int kBatches = 300;
  apply(generation(0, kKeys, 100));
  std::atomic<bool> done = false;
  std::atomic<int> torn = 0;
  std::atomic<int> backwards = 0;
  std::vector<std::thread> readers;
  for (int t = 0; t < 8; ++t) {
    readers.emplace_back([&] {
      int newest = 0;
      do {
        const int seen = read_generation(*index_, kKeys);
        if (seen < 0) ++torn;
        if (seen >= 0 && seen < newest) ++backwards;
        newest = std::max(newest, seen);
      } while (!done);
    });
  }
  for (int batch = 1; batch <= kBatches; ++batch) apply(generation(batch, kKeys, 100));
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(backwards, 0);
  EXPECT_EQ(read_generation(*index_, kKeys), kBatches);
}

TEST_P(IndexThreadsTest, ASnapshotMayEndInAnotherThread) {
  apply({put("a", "1")});
  for (int i = 0; i < 20; ++i) {
    auto view = snapshot();
    std::thread([moved = std::move(view)]() mutable {
      EXPECT_EQ(**moved->get("a"), "1");
      moved.reset();
    }).join();
    apply({put("b", std::to_string(i))});
  }
}

}  // namespace
}  // namespace pailfs::test
