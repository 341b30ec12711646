// A store on media in memory, without threads: the test drives commits, checkpoints and reclaiming. The index and the
// segments outlive a store, so that it can be opened again.
#pragma once

#include <gtest/gtest.h>

#include "index/memory_index.h"
#include "io/memory_env.h"
#include "log/log_storage.h"
#include "store/store.h"
#include "store/superblock.h"
#include "support/shared_index.h"

namespace pailfs {

inline UnlockSecret test_secret(std::string_view bytes = "0123456789abcdef0123456789abcdef") {
  return {SlotKind::kKeyFile, Secret(bytes)};
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    options_.background = false;
    options_.log.segment_size = 1 << 20;
    options_.log.reserve_step = 64 << 10;
    EXPECT_TRUE(env_.make_dir("/s"));
    EXPECT_TRUE(env_.make_dir("/s/log"));
    EXPECT_TRUE(env_.sync_dir("/"));
    EXPECT_TRUE(env_.sync_dir("/s"));
    uuid_ = make_uuid(env_);
    auto keyring = Keyring::create(env_, "/s", *uuid_bytes(uuid_), test_secret(), "test", {});
    EXPECT_TRUE(keyring) << keyring.error().message;
  }

  void open() {
    store_.reset();
    auto keyring = Keyring::unlock(env_, "/s", *uuid_bytes(uuid_), test_secret());
    ASSERT_TRUE(keyring) << keyring.error().message;
    auto store = Store::open_with(env_, std::move(*keyring), std::make_unique<SharedIndex>(index_),
                                  make_file_log_storage(env_, "/s/log"), uuid_, options_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  // Loses power: what was not synced is gone. The index is durable by contract.
  void crash(const CrashPolicy& policy = {}) {
    store_.reset();
    env_.crash(policy);
    open();
  }

  void put(const std::string& key, const std::string& value, Scope scope = 1) {
    Transaction tx;
    tx.put(scope, key, value);
    auto seq = store_->commit(std::move(tx));
    ASSERT_TRUE(seq) << seq.error().message;
  }
  std::string get(const std::string& key, Scope scope = 1) {
    auto value = store_->get(scope, key);
    EXPECT_TRUE(value) << value.error().message;
    return value && *value ? **value : "(none)";
  }
  std::string read(const pailfs::Run& run, Scope scope = 1) {
    std::string out(run.length, '\0');
    const Store::ReadGuard guard(*store_);
    auto status = store_->read(scope, run, 0, out);
    EXPECT_TRUE(status) << status.error().message;
    return out;
  }
  std::vector<std::string> problems(bool deep = true) {
    std::vector<std::string> found;
    auto status =
        store_->check(deep, [&](std::string_view, std::string problem) { found.push_back(std::move(problem)); });
    EXPECT_TRUE(status) << status.error().message;
    return found;
  }

  MemoryEnv env_;
  std::shared_ptr<Index> index_ = make_memory_index();
  std::string uuid_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

}  // namespace pailfs
