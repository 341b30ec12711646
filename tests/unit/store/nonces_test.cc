// No two values are sealed under one key and nonce, whatever a crash takes back.
#include <fmt/format.h>

#include <map>

#include "store_fixture.h"

namespace pailfs {
namespace {

constexpr size_t kNonce = 1 + 16 + 8;  // of a sealed value: version, salt, counter

class NoncesTest : public StoreTest {
 protected:
  // Everything that the index holds now, into what was ever seen.
  void collect() {
    auto snapshot = index_->snapshot();
    ASSERT_TRUE(snapshot);
    auto entry = (*snapshot)->seek(std::string(1, '\0'));
    for (; entry && *entry; entry = (*snapshot)->next()) {
      const std::string_view sealed = (*entry)->value;
      ASSERT_GT(sealed.size(), kNonce);
      // One scope's keys are one key per salt: the scope is told by the key in the index.
      const std::string scope = (*entry)->key.starts_with("k") ? "1" : "the store's";
      const auto [place, added] = seen_.emplace(std::pair(scope, sealed.substr(0, kNonce)), sealed.substr(kNonce));
      ASSERT_TRUE(added || place->second == sealed.substr(kNonce)) << "one nonce, two texts: " << (*entry)->key;
    }
    ASSERT_TRUE(entry);
  }

  std::shared_ptr<Index> copy_of_index() {
    std::shared_ptr<Index> copy = make_memory_index();
    std::vector<IndexChange> all;
    auto snapshot = index_->snapshot();
    EXPECT_TRUE(snapshot);
    auto entry = (*snapshot)->seek(std::string(1, '\0'));
    for (; entry && *entry; entry = (*snapshot)->next()) {
      all.push_back({std::string((*entry)->key), std::string((*entry)->value)});
    }
    EXPECT_TRUE(entry && copy->apply(all));
    return copy;
  }

  std::map<std::pair<std::string, std::string>, std::string> seen_;
};

TEST_F(NoncesTest, NoValueIsSealedUnderANonceThatServedBefore) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  const auto change = [&](int life, int count) {
    for (int i = 0; i < count; ++i) put(fmt::format("k{}", i), fmt::format("value {} of life {}", i, life));
  };
  std::shared_ptr<Index> older;
  for (int life = 0; life < 12; ++life) {
    if (life % 4 == 2) older = copy_of_index();
    change(life, 20);
    ASSERT_TRUE(store_->checkpoint());
    collect();
    change(life + 100, 20);
    if (life % 3 == 0) {
      ASSERT_TRUE(store_->sync());
    }
    // A crash takes back what was not synced, and now and then somebody brings back an older index.
    if (life % 4 == 3) index_ = older;
    crash({Unsynced::kRandom, Unsynced::kRandom, static_cast<uint64_t>(life)});
    collect();
  }
  EXPECT_GT(seen_.size(), 200U);
}

}  // namespace
}  // namespace pailfs
