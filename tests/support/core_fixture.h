// A core on media in memory, without background threads, with one bucket "bucket", and short ways to call it as
// different users. What is durable outlives the core and its store: see restart() and crash().
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "index/memory_index.h"
#include "io/memory_env.h"
#include "log/log_storage.h"
#include "store/store.h"
#include "store/superblock.h"
#include "support/shared_index.h"

namespace pailfs::test {

// "ok", or the name of the error's code: what tests compare, so that a failure prints words.
template <class R>
std::string outcome(const R& result) {
  return result ? "ok" : std::string(code_name(result.error().code));
}
inline std::string code(Code code) { return std::string(code_name(code)); }

#define EXPECT_OK(expression)                                                                                     \
  do {                                                                                                            \
    const auto& pailfs_outcome = (expression);                                                                    \
    EXPECT_TRUE(pailfs_outcome) << #expression << ": " << (pailfs_outcome ? "" : pailfs_outcome.error().message); \
  } while (0)
#define EXPECT_CODE(expression, expected) EXPECT_EQ(outcome(expression), code(expected)) << #expression

// A user with supplementary groups, and how often they were asked for.
class User : public GroupSource {
 public:
  explicit User(uint32_t uid, std::vector<uint32_t> groups = {}) : groups_(std::move(groups)) {
    caller.uid = caller.gid = uid;
    caller.pid = 100 + uid;
    caller.groups = this;
  }
  User(const User&) = delete;
  User& operator=(const User&) = delete;
  const std::vector<uint32_t>& groups() override {
    ++asked;
    return groups_;
  }
  operator const Caller&() const { return caller; }
  Caller caller;
  int asked = 0;

 private:
  std::vector<uint32_t> groups_;
};

class CoreOnMemory {
 public:
  explicit CoreOnMemory(Versioning versioning = Versioning::kEnabled, bool background = false) {
    options.background = background;
    options.log.segment_size = 4 << 20;
    options.log.reserve_step = 256 << 10;
    options.memtable_limit = uint64_t{1} << 40;
    for (const char* directory : {"/s", "/s/log"}) EXPECT_OK(env.make_dir(directory));
    EXPECT_OK(env.sync_dir("/"));
    EXPECT_OK(env.sync_dir("/s"));
    env.set_now(Time{1'700'000'000} * 1'000'000'000);
    uuid = make_uuid(env);
    EXPECT_OK(Keyring::create(env, "/s", *uuid_bytes(uuid), secret(), "test", {}));
    open();
    EXPECT_OK(core->create_bucket(root, "bucket", versioning, 0777));
    bucket = core->bucket_directory("bucket").value_or(0);
  }
  ~CoreOnMemory() { core.reset(); }

  static UnlockSecret secret() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }

  void open() {
    core.reset();
    store.reset();
    auto keyring = Keyring::unlock(env, "/s", *uuid_bytes(uuid), secret());
    ASSERT_TRUE(keyring) << keyring.error().message;
    auto opened = Store::open_with(env, std::move(*keyring), std::make_unique<SharedIndex>(index),
                                   make_file_log_storage(env, "/s/log"), uuid, options);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
    auto made = Core::open(*store, kAccount);
    ASSERT_TRUE(made) << made.error().message;
    core = std::move(*made);
  }
  // Ends in order and starts again.
  void restart() {
    EXPECT_OK(store->sync());
    open();
  }
  // Loses power: what was not synced is gone.
  void crash() {
    core.reset();
    store.reset();
    env.crash({});
    open();
  }

  // --- Calls, as root unless said otherwise; names are in the bucket unless a directory is given.
  Ino mkdir(const std::string& name, uint32_t mode = 0777) { return mkdir(bucket, name, mode, root); }
  Ino mkdir(Ino parent, const std::string& name, uint32_t mode, const Caller& caller) {
    const auto made = core->mkdir(caller, parent, name, mode);
    EXPECT_OK(made);
    return made ? made->ino : 0;
  }
  Ino file(const std::string& name, uint32_t mode = 0666) { return file(bucket, name, mode, root); }
  Ino file(Ino parent, const std::string& name, uint32_t mode, const Caller& caller) {
    const auto made = core->mknod(caller, parent, name, S_IFREG | mode, 0);
    EXPECT_OK(made);
    return made ? made->ino : 0;
  }
  Result<Attributes> mknod(const Caller& caller, Ino parent, const std::string& name, uint32_t mode = 0666) {
    return core->mknod(caller, parent, name, S_IFREG | mode, 0);
  }
  Result<Attributes> chmod(const Caller& caller, Ino ino, uint32_t mode) {
    AttributeChange change;
    change.mode = mode;
    return core->setattr(caller, ino, change);
  }
  Result<Attributes> chown(const Caller& caller, Ino ino, std::optional<uint32_t> uid, std::optional<uint32_t> gid) {
    AttributeChange change;
    change.uid = uid;
    change.gid = gid;
    return core->setattr(caller, ino, change);
  }
  Attributes stat(Ino ino) {
    const auto attributes = core->getattr(root, ino);
    EXPECT_OK(attributes);
    return attributes.value_or(Attributes{});
  }
  // The inode of a name; 0 if there is none. Keeps no reference.
  Ino at(Ino parent, const std::string& name) {
    const auto found = core->lookup(root, parent, name);
    if (!found) return 0;
    core->forget(found->ino, 1);
    return found->ino;
  }
  Status rename(Ino parent, const std::string& name, Ino new_parent, const std::string& new_name,
                RenameMode mode = RenameMode::kReplace) {
    return core->rename(root, parent, name, new_parent, new_name, mode);
  }
  void write(Ino ino, std::string_view content) {
    const auto opened = core->open(root, ino, {.write = true});
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_OK(core->write(ino, opened->handle, 0, content, false));
    EXPECT_OK(core->flush(ino, opened->handle));
    core->release(ino, opened->handle);
  }
  // Makes a file with one version.
  Ino stored(Ino parent, const std::string& name, std::string_view content, uint32_t mode = 0644) {
    const auto made = core->create(root, parent, name, mode, {.write = true});
    EXPECT_OK(made);
    if (!made) return 0;
    const Ino ino = made->attributes.ino;
    EXPECT_OK(core->write(ino, made->open.handle, 0, content, false));
    EXPECT_OK(core->flush(ino, made->open.handle));
    core->release(ino, made->open.handle);
    return ino;
  }
  std::vector<DirectoryEntry> list(Ino directory, int at_once = 7, bool plus = false) {
    std::vector<DirectoryEntry> entries;
    const auto handle = core->opendir(root, directory);
    EXPECT_OK(handle);
    if (!handle) return entries;
    uint64_t cookie = 0;
    for (bool more = true; more;) {
      more = false;
      int room = at_once;
      EXPECT_OK(core->readdir(root, directory, *handle, cookie, plus, [&](const DirectoryEntry& entry) {
        if (room-- == 0) {
          more = true;
          return false;
        }
        cookie = entry.cookie;
        entries.push_back(entry);
        return true;
      }));
    }
    core->releasedir(*handle);
    return entries;
  }
  std::vector<std::string> names(Ino directory) {
    std::vector<std::string> out;
    for (const DirectoryEntry& entry : list(directory)) {
      if (entry.name != "." && entry.name != "..") out.push_back(entry.name);
    }
    std::ranges::sort(out);
    return out;
  }
  void expect_sound() {
    const auto checked = core->check(false, nullptr);
    EXPECT_OK(checked);
    if (!checked) return;
    EXPECT_EQ(checked->problem_count, 0u);
    for (const CheckProblem& problem : checked->problems) ADD_FAILURE() << problem.path << ": " << problem.what;
  }

  static constexpr uint32_t kAccount = 500;
  MemoryEnv env;
  std::shared_ptr<Index> index = make_memory_index();
  std::string uuid;
  StoreOptions options;
  std::unique_ptr<Store> store;
  std::unique_ptr<Core> core;
  User root{0}, account{kAccount}, alice{1000, {100, 2000}}, bob{1001, {100}};
  Ino bucket = 0;
};

class CoreTest : public testing::Test, public CoreOnMemory {};
// The same in a bucket without versions.
class PlainCoreTest : public testing::Test, public CoreOnMemory {
 protected:
  PlainCoreTest() : CoreOnMemory(Versioning::kOff) {}
};

}  // namespace pailfs::test
