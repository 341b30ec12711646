#include "fault/core/operations.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>

#include "support/tree_dump.h"

namespace pailfs::test {

UnlockSecret store_secret() { return {SlotKind::kKeyFile, Secret("0123456789abcdef0123456789abcdef")}; }

StoreOptions small_options() {
  StoreOptions options;
  options.background = false;
  options.log.segment_size = 128 << 10;
  options.log.reserve_step = 32 << 10;
  options.log.writeback_step = 16 << 10;
  options.frame_bytes = 1;  // each transaction is a frame of its own, and may be torn off from those before
  options.index_copy_journal = 2 << 10;
  options.memtable_limit = uint64_t{1} << 40;
  options.reserve_bytes = 64 << 10;
  return options;
}

std::string pattern(std::string_view seed, size_t size) {
  std::string out;
  for (size_t i = 0; out.size() < size; ++i) out += fmt::format("{}:{};", seed, i);
  out.resize(size);
  return out;
}

Result<std::unique_ptr<Life>> Life::begin(Env& env, const std::string& directory) {
  std::unique_ptr<Life> life(new Life);
  PAILFS_ASSIGN(life->store_, Store::open(env, directory, store_secret(), small_options()));
  life->recovered_ = life->store_->sequence();
  PAILFS_ASSIGN(life->core_, Core::open(*life->store_, kAccount));
  return life;
}

Life::~Life() { core_.reset(); }

void Life::release_held() {
  for (const Held& held : held_) core_->release(held.ino, held.handle);
  held_.clear();
}

Result<std::pair<Ino, std::string>> Life::parent(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::pair(kRootIno, std::string(path));
  PAILFS_ASSIGN(const Ino directory, at(path.substr(0, slash)));
  return std::pair(directory, std::string(path.substr(slash + 1)));
}

Result<Ino> Life::at(std::string_view path) {
  Ino ino = kRootIno;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    PAILFS_ASSIGN(const Attributes found, core_->lookup(root_, ino, path.substr(0, slash)));
    ino = found.ino;
    if (!is_virtual(ino)) core_->forget(ino, 1);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return ino;
}

Result<Life::Held> Life::open(std::string_view path) {
  PAILFS_ASSIGN(const Ino ino, at(path));
  PAILFS_ASSIGN(const OpenResult opened, core_->open(root_, ino, {.read = true, .write = true}));
  return Held{ino, opened.handle};
}

Status Life::write(std::string_view path, uint64_t offset, std::string_view data) {
  PAILFS_ASSIGN(const Held file, open(path));
  Status done = core_->write(file.ino, file.handle, offset, data, false);
  if (done) done = core_->flush(file.ino, file.handle);
  core_->release(file.ino, file.handle);
  return done;
}

Status Life::create(std::string_view path, std::string_view data) {
  PAILFS_ASSIGN(const auto place, parent(path));
  PAILFS_ASSIGN(const auto made, core_->create(root_, place.first, place.second, 0644, {.write = true}));
  const Ino ino = made.attributes.ino;
  Status done = data.empty() ? Status{} : core_->write(ino, made.open.handle, 0, data, false);
  if (done) done = core_->flush(ino, made.open.handle);
  core_->release(ino, made.open.handle);
  core_->forget(ino, 1);
  return done;
}

namespace {

// A call on the directory of `path`, with its last name.
template <class Call>
Status in_parent(Life& life, std::string_view path, const Call& call) {
  PAILFS_ASSIGN(const auto place, life.parent(path));
  const auto done = call(place.first, place.second);
  if (!done) return std::unexpected(done.error());
  if constexpr (requires { done->ino; }) life.core().forget(done->ino, 1);
  return {};
}

Status rename(Life& life, std::string_view from, std::string_view to, RenameMode mode = RenameMode::kReplace) {
  PAILFS_ASSIGN(const auto source, life.parent(from));
  PAILFS_ASSIGN(const auto target, life.parent(to));
  return life.core().rename(life.root(), source.first, source.second, target.first, target.second, mode);
}

Status unlink(Life& life, std::string_view path) {
  return in_parent(life, path, [&](Ino directory, const std::string& name) {
    return life.core().unlink(life.root(), directory, name);
  });
}

Status rmdir(Life& life, std::string_view path) {
  return in_parent(life, path, [&](Ino directory, const std::string& name) {
    return life.core().rmdir(life.root(), directory, name);
  });
}

Status mkdir(Life& life, std::string_view path) {
  return in_parent(life, path, [&](Ino directory, const std::string& name) {
    return life.core().mkdir(life.root(), directory, name, 0755);
  });
}

Status change(Life& life, std::string_view path, const AttributeChange& wanted) {
  PAILFS_ASSIGN(const Ino ino, life.at(path));
  const auto done = life.core().setattr(life.root(), ino, wanted);
  return done ? Status{} : std::unexpected(done.error());
}

Status set_xattr(Life& life, std::string_view path, std::string_view name, std::string_view value) {
  PAILFS_ASSIGN(const Ino ino, life.at(path));
  return life.core().setxattr(life.root(), ino, name, value, Core::XattrMode::kSet);
}

Status allocate(Life& life, std::string_view path, int mode, uint64_t offset, uint64_t length) {
  PAILFS_ASSIGN(const Life::Held file, life.open(path));
  Status done = life.core().fallocate(file.ino, file.handle, mode, offset, length);
  if (done) done = life.core().flush(file.ino, file.handle);
  life.core().release(file.ino, file.handle);
  return done;
}

Status copy(Life& life, std::string_view from, std::string_view to) {
  PAILFS_TRY(life.create(to, ""));
  PAILFS_ASSIGN(const Life::Held source, life.open(from));
  const auto target = life.open(to);
  Status done;
  if (!target) {
    done = std::unexpected(target.error());
  } else {
    const auto copied =
        life.core().copy_range({source.ino, source.handle, 0}, {target->ino, target->handle, 0}, 1 << 20);
    if (!copied) done = std::unexpected(copied.error());
    if (done) done = life.core().flush(target->ino, target->handle);
    life.core().release(target->ino, target->handle);
  }
  life.core().release(source.ino, source.handle);
  return done;
}

Status unnamed(Life& life) {
  PAILFS_ASSIGN(const Ino bucket, life.at("bucket"));
  PAILFS_ASSIGN(const auto made, life.core().create_unnamed(life.root(), bucket, 0600, {.write = true}, true));
  const Ino ino = made.attributes.ino;
  Status done = life.core().write(ino, made.open.handle, 0, pattern("unnamed", 6000), false);
  if (done) {
    const auto linked = life.core().link(life.root(), ino, bucket, "was-unnamed");
    if (linked) life.core().forget(ino, 1);
    if (!linked) done = std::unexpected(linked.error());
  }
  if (done) done = life.core().flush(ino, made.open.handle);
  life.core().release(ino, made.open.handle);
  life.core().forget(ino, 1);
  return done;
}

// Writes and leaves the descriptor open.
Status write_held(Life& life, std::string_view path) {
  PAILFS_ASSIGN(const Life::Held file, life.open(path));
  life.hold(file);
  return life.core().write(file.ino, file.handle, 50, pattern("held", 9000), false);
}

Status fsync(Life& life, std::string_view path) {
  PAILFS_ASSIGN(const Ino ino, life.at(path));
  return life.core().fsync(ino);
}

Status remove_version(Life& life, std::string_view name) {
  PAILFS_ASSIGN(const auto versions, life.core().versions(life.root(), "bucket", name));
  for (const VersionEntry& version : versions) {
    if (!version.current) return unlink(life, fmt::format("bucket/.versions/{}/{}", name, version.name));
  }
  return fail(Code::kNotFound, "no older version");
}

Status prune(Life& life, std::string_view name) {
  const auto done = life.core().prune(life.root(), "bucket", name, {.older_than = {}, .keep = 0}, {});
  return done ? Status{} : std::unexpected(done.error());
}

AttributeChange mode(uint32_t bits) {
  AttributeChange wanted;
  wanted.mode = bits;
  return wanted;
}
AttributeChange size(uint64_t bytes) {
  AttributeChange wanted;
  wanted.size = bytes;
  return wanted;
}
AttributeChange times(Time at) {
  AttributeChange wanted;
  wanted.mtime = wanted.atime = at;
  return wanted;
}

std::vector<Operation> all_operations() {
  return {
      {"create", [](Life& l) { return l.create("bucket/new", pattern("new", 5000)); }},
      {"create-empty", [](Life& l) { return l.create("bucket/d/empty", ""); }},
      {"overwrite", [](Life& l) { return l.write("bucket/a", 100, pattern("over", 5000)); }},
      {"append", [](Life& l) { return l.write("bucket/b", 8000, pattern("append", 40000)); }},
      {"overwrite-plain", [](Life& l) { return l.write("plain/p", 0, pattern("plain2", 20000)); }},
      {"write-held", [](Life& l) { return write_held(l, "bucket/a"); }},
      {"shrink", [](Life& l) { return change(l, "bucket/a", size(10)); }},
      {"grow", [](Life& l) { return change(l, "bucket/a", size(30000)); }},
      {"empty-plain", [](Life& l) { return change(l, "plain/p", size(0)); }},
      {"punch",
       [](Life& l) { return allocate(l, "bucket/a", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 5000); }},
      {"unlink", [](Life& l) { return unlink(l, "bucket/a"); }},
      {"unlink-plain", [](Life& l) { return unlink(l, "plain/p"); }},
      {"unlink-one-of-two", [](Life& l) { return unlink(l, "bucket/d/link"); }},
      {"rename", [](Life& l) { return rename(l, "bucket/a", "bucket/moved"); }},
      {"rename-over", [](Life& l) { return rename(l, "bucket/a", "bucket/b"); }},
      {"rename-over-plain", [](Life& l) { return rename(l, "plain/q", "plain/p"); }},
      {"rename-directory", [](Life& l) { return rename(l, "bucket/d", "bucket/e/d"); }},
      {"exchange", [](Life& l) { return rename(l, "bucket/a", "bucket/d/f", RenameMode::kExchange); }},
      {"link",
       [](Life& l) -> Status {
         PAILFS_ASSIGN(const Ino ino, l.at("bucket/b"));
         return in_parent(l, "bucket/e/b", [&](Ino directory, const std::string& name) {
           return l.core().link(l.root(), ino, directory, name);
         });
       }},
      {"mkdir", [](Life& l) { return mkdir(l, "bucket/d/made"); }},
      {"rmdir", [](Life& l) { return rmdir(l, "bucket/nothing"); }},
      {"symlink",
       [](Life& l) {
         return in_parent(l, "bucket/s", [&](Ino directory, const std::string& name) {
           return l.core().symlink(l.root(), directory, name, "d/f");
         });
       }},
      {"mkfifo",
       [](Life& l) {
         return in_parent(l, "bucket/fifo", [&](Ino directory, const std::string& name) {
           return l.core().mknod(l.root(), directory, name, S_IFIFO | 0600, 0);
         });
       }},
      {"chmod", [](Life& l) { return change(l, "bucket/a", mode(0600)); }},
      {"utimens", [](Life& l) { return change(l, "bucket/d", times(1'234'567'890'000'000'000)); }},
      {"setxattr", [](Life& l) { return set_xattr(l, "bucket/a", "user.colour", "blue"); }},
      {"setxattr-large", [](Life& l) { return set_xattr(l, "bucket/b", "user.large", pattern("x", 20000)); }},
      {"removexattr",
       [](Life& l) -> Status {
         PAILFS_ASSIGN(const Ino ino, l.at("bucket/a"));
         return l.core().removexattr(l.root(), ino, "user.old");
       }},
      {"copy-range", [](Life& l) { return copy(l, "bucket/b", "bucket/copy"); }},
      {"unnamed", unnamed},
      {"remove-version", [](Life& l) { return remove_version(l, "a"); }},
      {"prune", [](Life& l) { return prune(l, "a"); }},
      {"create-bucket", [](Life& l) { return l.core().create_bucket(l.root(), "second", Versioning::kEnabled, 0755); }},
      {"remove-bucket", [](Life& l) { return rmdir(l, "empty"); }},
      {"purge-bucket", [](Life& l) { return l.core().purge_bucket(l.root(), "plain", {}); }},
      {"suspend", [](Life& l) { return l.core().set_versioning(l.root(), "bucket", Versioning::kSuspended); }},
      {"fsync", [](Life& l) { return fsync(l, "bucket/b"); }, true},
      {"sync", [](Life& l) { return l.core().sync(); }, true},
      {"checkpoint", [](Life& l) { return l.store().checkpoint(); }},
      {"reclaim",
       [](Life& l) -> Status {
         // What is released waits for two checkpoints.
         PAILFS_TRY(l.store().checkpoint());
         PAILFS_TRY(l.store().checkpoint());
         const auto done = l.store().reclaim();
         return done ? Status{} : std::unexpected(done.error());
       }},
  };
}

}  // namespace

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = all_operations();
  return all;
}

const Operation& operation(std::string_view name) {
  const auto found = std::ranges::find(operations(), name, &Operation::name);
  if (found == operations().end()) throw std::invalid_argument(fmt::format("there is no operation {}", name));
  return *found;
}

void expect_repair_gives_room_back(Env& env, const std::string& directory, const std::string& what) {
  std::string before;
  {
    const auto life = Life::begin(env, directory);
    ASSERT_TRUE(life) << what << ": " << life.error().message;
    before = dump_tree((*life)->core());
    ASSERT_TRUE((*life)->store().close()) << what;
  }
  {
    StoreOptions options = small_options();
    options.repair = RepairMode::kRepair;
    const auto store = Store::open(env, directory, store_secret(), options);
    ASSERT_TRUE(store) << what << ": " << store.error().message;
    const auto repaired = Core::repair(**store, kAccount, nullptr);
    ASSERT_TRUE(repaired) << what << ": " << repaired.error().message;
    EXPECT_EQ(repaired->lost_bytes, 0U) << what;
    const Status closed = (*store)->close();
    ASSERT_TRUE(closed) << what << ": " << closed.error().message;
  }
  const auto life = Life::begin(env, directory);
  ASSERT_TRUE(life) << what << ", repaired: " << life.error().message;
  EXPECT_EQ(dump_tree((*life)->core()), before) << what << ", repaired";
  const auto checked = (*life)->core().check(true, nullptr);
  ASSERT_TRUE(checked) << what << ": " << checked.error().message;
  for (const CheckProblem& problem : checked->problems) {
    ADD_FAILURE() << what << ", repaired: " << problem.path << ": " << problem.what;
  }
  EXPECT_EQ(checked->unreferenced_bytes, std::optional<uint64_t>(0)) << what << ", repaired";
}

void make_world(Env& env, const std::string& directory) {
  ASSERT_TRUE(Store::create(env, directory, store_secret(), "test"));
  auto life = Life::begin(env, directory);
  ASSERT_TRUE(life) << life.error().message;
  Life& l = **life;
  const std::vector<std::function<Status()>> steps = {
      [&] { return l.core().create_bucket(l.root(), "bucket", Versioning::kEnabled, 0777); },
      [&] { return l.core().create_bucket(l.root(), "plain", Versioning::kOff, 0777); },
      [&] { return l.core().create_bucket(l.root(), "empty", Versioning::kEnabled, 0777); },
      [&] { return l.create("bucket/a", pattern("a1", 9000)); },
      [&] { return l.write("bucket/a", 0, pattern("a2", 3000)); },
      [&] { return l.create("bucket/b", pattern("b", 8000)); },
      [&] { return l.create("plain/p", pattern("p", 30000)); },
      [&] { return l.create("plain/q", pattern("q", 700)); },
      [&] { return mkdir(l, "bucket/d"); },
      [&] { return mkdir(l, "bucket/e"); },
      [&] { return mkdir(l, "bucket/nothing"); },
      [&] { return l.create("bucket/d/f", pattern("f", 100)); },
      [&] { return set_xattr(l, "bucket/a", "user.old", "value"); },
      [&] { return l.store().checkpoint(); },
      [&] { return l.write("bucket/a", 5000, pattern("a3", 2000)); },
      [&] { return l.create("bucket/was", pattern("was", 300)); },
      [&] { return unlink(l, "bucket/was"); },
      [&]() -> Status {
        PAILFS_ASSIGN(const Ino ino, l.at("bucket/b"));
        return in_parent(l, "bucket/d/link",
                         [&](Ino in, const std::string& name) { return l.core().link(l.root(), ino, in, name); });
      },
  };
  for (const auto& step : steps) {
    const Status done = step();
    ASSERT_TRUE(done) << done.error().message;
  }
  ASSERT_TRUE(l.store().close());
}

}  // namespace pailfs::test
