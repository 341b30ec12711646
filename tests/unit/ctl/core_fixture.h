// A core on a store in memory, with one bucket, for the control door to work on.
#pragma once

#include <gtest/gtest.h>

#include "core/core.h"
#include "ctl/commands.h"
#include "index/memory_index.h"
#include "io/memory_env.h"
#include "log/log_storage.h"
#include "store/store.h"
#include "store/superblock.h"

namespace pailfs {

inline constexpr uint32_t kAccount = 1000;
inline constexpr uint32_t kStranger = 2000;

class FakeDaemon : public StatusSource {
 public:
  DaemonStatus daemon_status() override {
    DaemonStatus status;
    status.store = "/s";
    status.mountpoint = "/mnt/test";
    status.bucket = mounted_bucket;
    status.options = "key_file=/etc/a\\,b.key,allow_other,passphrase_file=x,ro";
    status.transport = "/dev/fuse: a test has no kernel";
    status.requests = {{"lookup", 7}};
    return status;
  }
  void settle_names() override { ++settled; }
  std::string mounted_bucket;
  int settled = 0;  // how often the kernel would have been told
};

class CoreFixture : public testing::Test {
 protected:
  CoreFixture() {
    StoreOptions options;
    options.background = false;
    options.log.segment_size = 1 << 20;
    options.log.reserve_step = 64 << 10;
    EXPECT_TRUE(env_.make_dir("/s"));
    EXPECT_TRUE(env_.make_dir("/s/log"));
    env_.set_now(1'700'000'000'000'000'000);
    const std::string uuid = make_uuid(env_);
    auto keyring = Keyring::create(env_, "/s", *uuid_bytes(uuid),
                                   UnlockSecret{SlotKind::kKeyFile, Secret(std::string(32, 'k'))}, "first", {});
    EXPECT_TRUE(keyring) << keyring.error().message;
    auto store = Store::open_with(env_, std::move(*keyring), make_memory_index(), make_file_log_storage(env_, "/s/log"),
                                  uuid, options);
    EXPECT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    auto core = Core::open(*store_, kAccount);
    EXPECT_TRUE(core) << core.error().message;
    core_ = std::move(*core);
  }

  Result<Json> run(uint32_t uid, std::string_view op, const Json& args = Json::object()) {
    const Caller caller{uid, uid, 1, 0, Door::kControl, nullptr};
    return run_command({*core_, caller, &daemon_, {}}, op, args);
  }
  // Writes a file as the account: a version of it is sealed.
  void write_file(std::string_view bucket, std::string_view name, std::string_view content) {
    const Caller caller{kAccount, kAccount, 1, 022, Door::kFuse, nullptr};
    const auto directory = core_->bucket_directory(bucket);
    ASSERT_TRUE(directory) << directory.error().message;
    OpenFlags flags;
    flags.write = true;
    flags.truncate = true;
    Ino ino = 0;
    uint64_t handle = 0;
    if (const auto found = core_->lookup(caller, *directory, name)) {
      ino = found->ino;
      const auto opened = core_->open(caller, ino, flags);
      ASSERT_TRUE(opened) << opened.error().message;
      handle = opened->handle;
    } else {
      const auto created = core_->create(caller, *directory, name, 0644, flags);
      ASSERT_TRUE(created) << created.error().message;
      ino = created->attributes.ino;
      handle = created->open.handle;
    }
    ASSERT_TRUE(core_->write(ino, handle, 0, content, false));
    ASSERT_TRUE(core_->flush(ino, handle));
    core_->release(ino, handle);
    core_->forget(ino, 1);
    env_.advance(120'000'000'000);  // beyond the time in which a seal is provisional
  }

  MemoryEnv env_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  FakeDaemon daemon_;
};

}  // namespace pailfs
