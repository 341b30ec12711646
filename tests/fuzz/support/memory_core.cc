#include "fuzz/support/memory_core.h"

#include "fuzz/support/fuzz.h"
#include "index/memory_index.h"
#include "log/log_storage.h"
#include "store/store.h"
#include "store/superblock.h"
#include "support/shared_index.h"

namespace pailfs::test {

namespace {

UnlockSecret secret() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }

StoreOptions small_options() {
  StoreOptions options;
  options.background = false;
  options.log.segment_size = 64 << 10;
  options.log.reserve_step = 16 << 10;
  options.log.writeback_step = 16 << 10;
  options.memtable_limit = uint64_t{1} << 40;
  return options;
}

}  // namespace

StoreImage::StoreImage(const StoreImage& other)
    : env(other.env->crash_image({Unsynced::kKeep, Unsynced::kKeep})), index(other.index), uuid(other.uuid) {}

MemoryCore::MemoryCore() : env_(std::make_unique<MemoryEnv>(1)), index_(make_memory_index()) {
  for (const char* directory : {"/s", "/s/log"}) FUZZ_CHECK(env_->make_dir(directory));
  env_->set_now(Time{1'700'000'000} * 1'000'000'000);
  uuid_ = make_uuid(*env_);
  FUZZ_CHECK(Keyring::create(*env_, "/s", *uuid_bytes(uuid_), secret(), "test", {.log_n = 10, .r = 1, .p = 1}));
  FUZZ_CHECK(start());
  FUZZ_CHECK(core_->create_bucket(root_, "bucket", Versioning::kEnabled, 0777));
  bucket_ = core_->bucket_directory("bucket").value_or(0);
}

MemoryCore::MemoryCore(StoreImage image)
    : env_(std::move(image.env)), index_(make_memory_index()), uuid_(std::move(image.uuid)) {
  FUZZ_CHECK(index_->apply(image.index));
}

MemoryCore::~MemoryCore() { core_.reset(); }

Result<std::unique_ptr<MemoryCore>> MemoryCore::open(StoreImage image) {
  std::unique_ptr<MemoryCore> out(new MemoryCore(std::move(image)));
  PAILFS_TRY(out->start());
  out->bucket_ = out->core_->bucket_directory("bucket").value_or(0);
  return out;
}

Status MemoryCore::start() {
  PAILFS_ASSIGN(auto keyring, Keyring::unlock(*env_, "/s", *uuid_bytes(uuid_), secret()));
  PAILFS_ASSIGN(store_, Store::open_with(*env_, std::move(keyring), std::make_unique<SharedIndex>(index_),
                                         make_file_log_storage(*env_, "/s/log"), uuid_, small_options()));
  PAILFS_ASSIGN(core_, Core::open(*store_, kAccount));
  return {};
}

StoreImage MemoryCore::image() const {
  StoreImage out;
  out.env = env_->crash_image({Unsynced::kKeep, Unsynced::kKeep});
  out.uuid = uuid_;
  const auto snapshot = index_->snapshot();
  FUZZ_CHECK(snapshot);
  auto entry = (*snapshot)->seek(std::string(1, '\0'));
  while (entry && *entry) {
    out.index.push_back({std::string((*entry)->key), std::string((*entry)->value)});
    entry = (*snapshot)->next();
  }
  return out;
}

Ino MemoryCore::write(Ino directory, std::string_view name, std::string_view content) {
  const auto found = core_->lookup(root_, directory, name);
  Ino ino = 0;
  uint64_t handle = 0;
  if (found) {
    const auto opened = core_->open(root_, found->ino, {.write = true, .truncate = true});
    FUZZ_CHECK(opened);
    ino = found->ino;
    handle = opened->handle;
  } else {
    const auto made = core_->create(root_, directory, name, 0644, {.write = true});
    FUZZ_CHECK(made);
    ino = made->attributes.ino;
    handle = made->open.handle;
  }
  FUZZ_CHECK(core_->write(ino, handle, 0, content, false));
  FUZZ_CHECK(core_->flush(ino, handle));
  core_->release(ino, handle);
  core_->forget(ino, 1);
  env_->advance(120'000'000'000);  // beyond the time in which a seal is provisional
  return ino;
}

}  // namespace pailfs::test
