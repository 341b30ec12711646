// The implementations of Index that the contract suite runs on, and short ways to write its tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "index/index.h"
#include "index/lmdb_index.h"
#include "index/memory_index.h"
#include "support/temporary_directory.h"

namespace pailfs::test {

struct Backend {
  std::string name;
  std::function<Result<std::unique_ptr<Index>>(const std::string& directory)> open;
};

inline std::vector<Backend> all_backends() {
  return {{"memory", [](const std::string&) -> Result<std::unique_ptr<Index>> { return make_memory_index(); }},
          {"lmdb", [](const std::string& directory) { return open_lmdb_index(directory, LmdbOptions{}); }},
          // Small enough to grow within most tests.
          {"lmdb_small_map", [](const std::string& directory) {
             return open_lmdb_index(directory, LmdbOptions{.map_size = 512 * 1024, .max_snapshots = 4});
           }}};
}

inline IndexChange put(std::string key, std::string value) { return {std::move(key), std::move(value)}; }
inline IndexChange erase(std::string key) { return {std::move(key), std::nullopt}; }

using Pair = std::pair<std::string, std::string>;
using Pairs = std::vector<Pair>;

inline std::optional<std::pair<std::string, std::string>> copy_of(const std::optional<IndexSnapshot::Entry>& entry) {
  if (!entry) return std::nullopt;
  return std::pair(std::string(entry->key), std::string(entry->value));
}

// Everything that a scan from `from` meets.
inline Pairs scan(IndexSnapshot& snapshot, std::string_view from = {}) {
  Pairs all;
  auto entry = snapshot.seek(from);
  while (entry && *entry) {
    all.push_back(*copy_of(*entry));
    entry = snapshot.next();
  }
  EXPECT_TRUE(entry.has_value()) << entry.error().message;
  return all;
}

class IndexTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override { open(); }
  void open() {
    index_.reset();
    auto opened = GetParam().open(directory_.path());
    ASSERT_TRUE(opened) << opened.error().message;
    index_ = std::move(*opened);
  }
  void apply(const std::vector<IndexChange>& changes) {
    const Status status = index_->apply(changes);
    ASSERT_TRUE(status) << status.error().message;
  }
  std::unique_ptr<IndexSnapshot> snapshot() {
    auto made = index_->snapshot();
    if (made) return std::move(*made);
    ADD_FAILURE() << made.error().message;
    return nullptr;
  }
  Pairs content() { return scan(*snapshot()); }
  std::optional<std::string> get(const std::string& key) {
    const auto view = snapshot();
    const auto value = view->get(key);
    EXPECT_TRUE(value) << value.error().message;
    return value && *value ? std::optional<std::string>(**value) : std::nullopt;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Index> index_;
};

}  // namespace pailfs::test
