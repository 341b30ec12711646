// A core on media in memory, without background threads, and short ways to do what programs do with files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "index/memory_index.h"
#include "io/memory_env.h"
#include "log/format.h"
#include "log/log_storage.h"
#include "store/store.h"
#include "store/superblock.h"
#include "support/shared_index.h"

namespace pailfs::test {

// Expects success of a Status or Result and says what went wrong.
#define EXPECT_OK(expression)                                                                \
  do {                                                                                       \
    const auto& outcome = (expression);                                                      \
    EXPECT_TRUE(outcome) << #expression << ": " << (outcome ? "" : outcome.error().message); \
  } while (0)

class ContentFixture {
 public:
  explicit ContentFixture(Versioning versioning = Versioning::kEnabled, bool background = false) {
    options.background = background;
    options.log.reserve_step = 256 << 10;
    options.memtable_limit = uint64_t{1} << 40;
    for (const char* directory : {"/s", "/s/log"}) EXPECT_OK(env.make_dir(directory));
    EXPECT_OK(env.sync_dir("/"));
    EXPECT_OK(env.sync_dir("/s"));
    env.set_now(Time{1'700'000'000} * 1'000'000'000);
    if (background) env.run_clock(1);  // a check beside changes goes by change times
    uuid = make_uuid(env);
    EXPECT_OK(Keyring::create(env, "/s", *uuid_bytes(uuid), secret(), "test", {}));
    open();
    EXPECT_OK(core->create_bucket(root, "bucket", versioning, 0755));
    bucket = core->bucket_directory("bucket").value_or(0);
  }

  static UnlockSecret secret() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }

  // Starts, or starts again on what the store has durable in its media.
  void open() {
    core.reset();
    store.reset();
    auto keyring = Keyring::unlock(env, "/s", *uuid_bytes(uuid), secret());
    ASSERT_TRUE(keyring) << keyring.error().message;
    auto opened = Store::open_with(env, std::move(*keyring), std::make_unique<SharedIndex>(index),
                                   make_file_log_storage(log_env != nullptr ? *log_env : env, "/s/log"), uuid, options);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
    auto made = Core::open(*store, 0);
    ASSERT_TRUE(made) << made.error().message;
    core = std::move(*made);
  }
  void restart() {
    EXPECT_OK(store->sync());
    open();
  }

  struct OpenFile {
    Ino ino = 0;
    uint64_t handle = 0;
  };
  OpenFile create(const std::string& name, OpenFlags flags = {.read = true, .write = true}) {
    const auto made = core->create(root, bucket, name, 0644, flags);
    EXPECT_OK(made);
    return made ? OpenFile{made->attributes.ino, made->open.handle} : OpenFile{};
  }
  OpenFile open_file(Ino ino, OpenFlags flags = {.read = true, .write = true}) {
    const auto opened = core->open(root, ino, flags);
    EXPECT_OK(opened);
    return {ino, opened ? opened->handle : 0};
  }
  void write(const OpenFile& file, uint64_t offset, std::string_view data) {
    EXPECT_OK(core->write(file.ino, file.handle, offset, data, true));
  }
  std::string read(const OpenFile& file, uint64_t offset, size_t size) {
    std::string out(size, '?');
    const auto got = core->read(file.ino, file.handle, offset, out);
    EXPECT_OK(got);
    out.resize(got.value_or(0));
    return out;
  }
  // Asks until all of the range is copied, or the source ends. Returns how many bytes were.
  uint64_t copy(const OpenFile& from, uint64_t from_offset, const OpenFile& to, uint64_t to_offset, uint64_t length) {
    uint64_t done = 0;
    while (done < length) {
      const auto copied = core->copy_range({from.ino, from.handle, from_offset + done},
                                           {to.ino, to.handle, to_offset + done}, length - done);
      EXPECT_OK(copied);
      if (!copied || *copied == 0) break;
      done += *copied;
    }
    return done;
  }
  void close(const OpenFile& file) {
    EXPECT_OK(core->flush(file.ino, file.handle));
    core->release(file.ino, file.handle);
  }
  // Replaces or makes the file, as cp(1) does.
  void put(const std::string& name, std::string_view content) {
    const auto found = core->lookup(root, bucket, name);
    const OpenFile file =
        found ? open_file(found->ino, {.write = true, .truncate = true}) : create(name, {.write = true});
    write(file, 0, content);
    close(file);
    core->forget(file.ino, 1);
  }
  Ino lookup(Ino parent, const std::string& name) {
    const auto found = core->lookup(root, parent, name);
    EXPECT_OK(found);
    return found ? found->ino : 0;
  }
  std::string content(Ino ino) {
    const OpenFile file = open_file(ino, {.read = true});
    const auto attributes = core->getattr(root, ino);
    EXPECT_OK(attributes);
    std::string out = read(file, 0, attributes ? attributes->size : 0);
    core->release(ino, file.handle);
    return out;
  }
  // The directory in .versions that a path of names below the bucket leads to. References are not given back.
  Ino versions_of(const std::vector<std::string>& names) {
    Ino at = lookup(bucket, ".versions");
    for (const std::string& name : names) at = lookup(at, name);
    return at;
  }
  std::vector<VersionEntry> versions(const std::string& path) {
    auto listed = core->versions(root, "bucket", path);
    return listed ? std::move(*listed) : std::vector<VersionEntry>{};
  }
  std::vector<VersionEntry> oldest_first(const std::string& path) {
    std::vector<VersionEntry> listed = versions(path);
    std::ranges::reverse(listed);
    return listed;
  }
  std::vector<std::string> list(Ino directory) {
    std::vector<std::string> names;
    const auto handle = core->opendir(root, directory);
    EXPECT_OK(handle);
    if (!handle) return names;
    uint64_t cookie = 0;
    // A few entries at a time, as the kernel asks.
    for (bool more = true; more;) {
      more = false;
      int room = 7;
      EXPECT_OK(core->readdir(root, directory, *handle, cookie, false, [&](const DirectoryEntry& entry) {
        if (room-- == 0) {
          more = true;
          return false;
        }
        cookie = entry.cookie;
        if (entry.name != "." && entry.name != "..") names.push_back(entry.name);
        return true;
      }));
    }
    core->releasedir(*handle);
    std::sort(names.begin(), names.end());
    return names;
  }

  // Bytes of data records in all segments, headers included.
  uint64_t appended_bytes() {
    uint64_t total = 0;
    const auto segments = env.list_dir("/s/log");
    EXPECT_OK(segments);
    if (!segments) return 0;
    for (const std::string& name : *segments) {
      const auto bytes = env.read_file("/s/log/" + name, size_t{1} << 32);
      EXPECT_OK(bytes);
      const uint64_t segment = std::stoull(name, nullptr, 16);
      for (uint64_t at = kSegmentHeaderSize; at + kRecordHeaderSize <= bytes->size();) {
        const auto header = decode_record_header(std::string_view(*bytes).substr(at, kRecordHeaderSize), {segment, at});
        if (!header) break;
        if (header->type == kDataRecord) total += kRecordHeaderSize + header->length;
        at += kRecordHeaderSize + header->length;
      }
    }
    return total;
  }
  // Nothing refers to content any more, and each unit was released once: what was appended is what is dead. (Frames
  // become dead at checkpoints only, and there are none before restart().)
  void expect_all_released() { EXPECT_EQ(store->status().dead_bytes, appended_bytes()); }

  void expect_sound(bool deep = true) {
    const auto checked = core->check(deep, nullptr);
    EXPECT_OK(checked);
    if (!checked) return;
    EXPECT_EQ(checked->problem_count, 0u);
    for (const CheckProblem& problem : checked->problems) ADD_FAILURE() << problem.path << ": " << problem.what;
  }

  MemoryEnv env;
  Env* log_env = nullptr;  // for segments, where that is another one
  std::shared_ptr<Index> index = make_memory_index();
  std::string uuid;
  StoreOptions options;
  std::unique_ptr<Store> store;
  std::unique_ptr<Core> core;
  Caller root;
  Ino bucket = 0;
};

}  // namespace pailfs::test
