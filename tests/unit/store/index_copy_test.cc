// The second copy of the index: whatever happens to the store, and to the copy's files, it leads to the state of a
// checkpoint or says that it cannot.
#include "store/index_copy.h"

#include <algorithm>
#include <map>
#include <random>

#include "index/lmdb_index.h"
#include "store/internal_keys.h"
#include "support/sanitizers.h"
#include "support/temporary_directory.h"
#include "unit/store/store_fixture.h"

namespace pailfs {
namespace {

using Content = std::map<std::string, std::string>;
const std::string kDirectory = "/s/index-copy";

class IndexCopyTest : public StoreTest {
 protected:
  IndexCopyTest() { options_.index_copy = kDirectory; }

  // What the index holds, but for what it says of its copy.
  Content index_content() {
    Content content;
    const auto snapshot = index_->snapshot();
    auto entry = (*snapshot)->seek(std::string(1, '\0'));
    while (entry && *entry) {
      content.emplace((*entry)->key, (*entry)->value);
      entry = (*snapshot)->next();
    }
    content.erase(internal::key1(internal::kCopied));
    return content;
  }

  Result<IndexCopy::Found> replay(Content& content) {
    const auto keyring = Keyring::unlock(env_, "/s", *uuid_bytes(uuid_), test_secret());
    EXPECT_TRUE(keyring);
    const IndexCopy copy(env_, kDirectory, **keyring, *uuid_bytes(uuid_));
    auto found = copy.replay(
        [&](std::vector<IndexChange> changes) -> Status {
          for (IndexChange& change : changes) {
            if (change.value) {
              content[change.key] = *change.value;
            } else {
              content.erase(change.key);
            }
          }
          return {};
        },
        [](uint64_t, uint64_t) -> Status { return {}; });
    content.erase(internal::key1(internal::kCopied));
    return found;
  }

  void expect_equal() {
    Content content;
    const auto found = replay(content);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_TRUE(content == index_content());
    EXPECT_TRUE(store_->status().index_copy_whole);
  }

  void change(std::mt19937& random, int count) {
    for (int i = 0; i < count; ++i) {
      Transaction tx;
      const std::string key = "key" + std::to_string(random() % 500);
      if (random() % 3 == 0) {
        tx.erase(key);
      } else {
        tx.put(1, key, std::string(random() % 400, static_cast<char>('a' + random() % 26)));
      }
      ASSERT_TRUE(store_->commit(std::move(tx)));
    }
  }

  std::vector<std::string> files(std::string_view prefix) {
    std::vector<std::string> found;
    const auto names = env_.list_dir(kDirectory);
    EXPECT_TRUE(names);
    if (!names) return found;
    for (const std::string& name : *names) {
      if (name.starts_with(prefix)) found.push_back(kDirectory + "/" + name);
    }
    return found;
  }
};

TEST_F(IndexCopyTest, HoldsWhatTheIndexHoldsAfterEveryCheckpointAndCrash) {
  options_.index_copy_journal = 100'000;  // so that bases are written
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::mt19937 random(7);
  for (int round = 0; round < 60 && !HasFailure(); ++round) {
    change(random, 40);
    switch (random() % 6) {
      case 0:
        crash();
        break;
      case 1:
        ASSERT_TRUE(store_->reclaim());
        break;
      case 2:
        ASSERT_TRUE(store_->sync());
        crash();
        break;
      case 3:
        ASSERT_TRUE(store_->close());
        open();
        break;
      default:
        break;
    }
    ASSERT_TRUE(store_->checkpoint());
    expect_equal();
  }
  EXPECT_EQ(files("base-").size(), 1u);
}

TEST_F(IndexCopyTest, AStoreFromBeforeThereWereCopiesGetsOne) {
  options_.index_copy.clear();
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::mt19937 random(1);
  change(random, 300);
  ASSERT_TRUE(store_->close());
  options_.index_copy = kDirectory;
  open();
  EXPECT_FALSE(store_->status().index_copy_whole);
  ASSERT_TRUE(store_->reclaim());
  expect_equal();
  // And one that was checkpointed without its copy meanwhile.
  options_.index_copy.clear();
  open();
  change(random, 300);
  ASSERT_TRUE(store_->close());
  options_.index_copy = kDirectory;
  open();
  EXPECT_FALSE(store_->status().index_copy_whole);
  change(random, 10);
  ASSERT_TRUE(store_->checkpoint());
  Content content;
  const auto found = replay(content);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kCorrupt) << found.error().message;
  ASSERT_TRUE(store_->reclaim());
  expect_equal();
}

TEST_F(IndexCopyTest, DamagedOrCutFilesLeadToACheckpointOrAreRefused) {
  options_.index_copy_journal = 20'000;
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::mt19937 random(3);
  std::vector<Content> states;
  for (int round = 0; round < 12; ++round) {
    change(random, 25);
    ASSERT_TRUE(store_->checkpoint());
    states.push_back(index_content());
    if (round == 5) {
      ASSERT_TRUE(store_->reclaim());
      states.push_back(index_content());
    }
    if (round % 4 == 3) {
      crash();
      ASSERT_TRUE(store_->checkpoint());
      states.push_back(index_content());
    }
  }
  expect_equal();
  ASSERT_EQ(files("base-").size(), 1u);
  ASSERT_GE(files("journal-").size(), 2u);
  int refused = 0;
  int led = 0;
  const auto expect_a_state_or_a_refusal = [&](const std::string& what) {
    Content content;
    const auto found = replay(content);
    if (!found) {
      EXPECT_EQ(found.error().code, Code::kCorrupt) << what << ": " << found.error().message;
      ++refused;
      return;
    }
    ++led;
    EXPECT_TRUE(std::find(states.begin(), states.end(), content) != states.end()) << what;
  };
  for (const std::string& path : files("")) {
    const std::string whole = env_.read_file(path, size_t{1} << 30).value();
    const auto file = env_.open(path, OpenMode::kReadWrite);
    for (uint64_t at = 0; at < whole.size(); at += 1 + random() % (97 * test::kSlowdown)) {
      ASSERT_TRUE((*file)->write_at(at, std::string(1, static_cast<char>(whole[at] ^ (1 << random() % 8)))));
      expect_a_state_or_a_refusal(path + " changed at " + std::to_string(at));
      ASSERT_TRUE((*file)->truncate(at));
      expect_a_state_or_a_refusal(path + " cut at " + std::to_string(at));
      ASSERT_TRUE((*file)->write_at(0, whole));
      if (HasFailure()) return;
    }
    ASSERT_TRUE(env_.rename(path, "/s/away"));
    expect_a_state_or_a_refusal(path + " missing");
    ASSERT_TRUE(env_.rename("/s/away", path));
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(led, 10);
  expect_equal();
}

TEST_F(IndexCopyTest, ACheckFindsDamageInItAndTheNextPassMendsIt) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::mt19937 random(5);
  for (int round = 0; round < 3; ++round) {
    change(random, 50);
    ASSERT_TRUE(store_->close());
    open();
  }
  EXPECT_TRUE(problems().empty());
  const std::string path = files("journal-").at(1);
  const auto file = env_.open(path, OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->write_at(300, "damage"));
  const auto found = problems();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find("journal-"), std::string::npos) << found[0];
  ASSERT_TRUE(store_->reclaim());
  EXPECT_TRUE(problems().empty());
  expect_equal();
}

// A store that was closed before there was room for a new base: nothing is damaged.
TEST_F(IndexCopyTest, AGapThatTheIndexKnowsOfIsNoDamageToWhoLooksOnly) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  std::mt19937 random(6);
  change(random, 50);
  ASSERT_TRUE(store_->close());
  options_.index_copy.clear();
  open();
  change(random, 50);
  ASSERT_TRUE(store_->close());
  options_.index_copy = kDirectory;
  open();
  change(random, 50);
  ASSERT_TRUE(store_->close());
  Content content;
  ASSERT_FALSE(replay(content));
  options_.read_only = true;
  open();
  EXPECT_EQ(problems(), std::vector<std::string>());
  options_.read_only = false;
  open();
  ASSERT_TRUE(store_->reclaim());
  expect_equal();
  ASSERT_TRUE(store_->close());
  const auto file = env_.open(files("base-").at(0), OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->write_at(300, "damage"));
  options_.read_only = true;
  open();
  EXPECT_EQ(problems().size(), 1u);
}

// On real files, with LMDB.
class RebuildTest : public testing::Test {
 protected:
  RebuildTest() {
    EXPECT_TRUE(Store::create(posix_env(), path_, test_secret(), "test"));
    open();
    EXPECT_TRUE(store_->create_scope(1));
    for (int i = 0; i < 2000; ++i) {
      put(i);
      if (i % 500 == 499) {
        EXPECT_TRUE(store_->checkpoint());
      }
    }
  }
  void open() {
    options_.background = false;
    options_.reserve_bytes = 1 << 20;
    auto store = Store::open(posix_env(), path_, test_secret(), options_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  void put(int i) {
    Transaction tx;
    tx.put(1, "key" + std::to_string(i), std::string(100, static_cast<char>('a' + i % 26)));
    if (i > 100) tx.erase("key" + std::to_string(i - 100));
    ASSERT_TRUE(store_->commit(std::move(tx)));
  }
  void expect_all(int last) {
    for (int i = 0; i < last; ++i) {
      const auto value = store_->get(1, "key" + std::to_string(i));
      ASSERT_TRUE(value) << value.error().message;
      EXPECT_EQ(value->has_value(), i >= last - 100 || i == 0) << i;
    }
  }

  test::TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/store";
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

TEST_F(RebuildTest, AnIndexThatIsGoneIsBuiltAnewWhenTheStoreIsOpened) {
  for (int i = 2000; i < 2100; ++i) put(i);  // in the log alone
  EXPECT_TRUE(store_->sync());
  store_.reset();
  ASSERT_TRUE(posix_env().remove(path_ + "/index/data.mdb"));
  open();
  expect_all(2100);
  for (int i = 2100; i < 2200; ++i) put(i);
  EXPECT_TRUE(store_->reclaim());
  EXPECT_TRUE(store_->status().index_copy_whole);
  EXPECT_TRUE(store_->close());
  store_.reset();
  for (const char* name : {"/index/data.mdb", "/index/lock.mdb", "/index"})
    ASSERT_TRUE(posix_env().remove(path_ + name));
  open();
  expect_all(2200);
}

TEST_F(RebuildTest, ADamagedIndexIsNamedAndBuiltAnewOnRequest) {
  EXPECT_TRUE(store_->close());
  store_.reset();
  {
    const auto file = posix_env().open(path_ + "/index/data.mdb", OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->write_at(0, std::string(8192, 'x')));
  }
  const auto refused = Store::open(posix_env(), path_, test_secret(), options_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("pail rebuild-index"), std::string::npos) << refused.error().message;
  uint64_t last = 0;
  const auto report = Store::rebuild_index(posix_env(), path_, test_secret(), [&](uint64_t done, uint64_t total) {
    EXPECT_LE(last, done);
    EXPECT_LE(done, total);
    last = done;
    return true;
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GT(report->entries, 100u);
  EXPECT_EQ(report->old_index, path_ + "/index.old");
  open();
  expect_all(2000);
}

TEST_F(RebuildTest, WhatCannotBeRebuiltIsSaidAndLeftAsItIs) {
  EXPECT_TRUE(store_->close());
  store_.reset();
  const auto names = posix_env().list_dir(path_ + "/index-copy");
  ASSERT_TRUE(names && !names->empty());
  for (const std::string& name : *names) ASSERT_TRUE(posix_env().remove(path_ + "/index-copy/" + name));
  const auto report = Store::rebuild_index(posix_env(), path_, test_secret(), nullptr);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kNotFound);
  open();
  expect_all(2000);
}

}  // namespace
}  // namespace pailfs
