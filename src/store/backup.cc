// Copying a store that is in use. What is copied is a state that was durable at one moment: the index copy as of a
// checkpoint, the keyring, and the log up to what was durable then. Nothing is reclaimed meanwhile. In the backup
// things go in the order log, keyring, index copy, so that wherever the copying ends early, the backup still leads to
// the state before; what it needs no longer goes last.
//
// Segments and the files of the index copy only grow, or are never changed again; punched ranges of a segment stay as
// they were when it was copied. So a further backup copies what is new.
#include <fmt/format.h>

#include <algorithm>

#include "store/impl.h"
#include "store/layout.h"
#include "store/superblock.h"

namespace pailfs {

namespace {

constexpr size_t kPiece = size_t{4} << 20;
constexpr size_t kBlock = 4096;
constexpr int kAttempts = 10;
constexpr std::string_view kKeyrings[] = {"keyring.0", "keyring.1"};
constexpr size_t kMaxKeyring = size_t{64} << 20;

// One file to copy: `length` bytes of it.
struct Item {
  std::string name;  // below the directory, with a slash
  uint64_t length = 0;
};

class Copier {
 public:
  Copier(Env& env, std::string from, std::string to, const Progress& progress)
      : env_(env), from_(std::move(from)), to_(std::move(to)), progress_(progress) {}

  // Bytes of the item that are to be copied.
  Result<uint64_t> missing(const Item& item) {
    PAILFS_ASSIGN(const uint64_t there, usable(item));
    return item.length - there;
  }
  void expect(uint64_t bytes) { total_ += bytes; }

  Status copy(const Item& item) {
    PAILFS_ASSIGN(uint64_t at, usable(item));
    // An empty file is one too: a crash leaves such, and the ones that follow on it count it.
    if (at == item.length && at > 0) return {};
    const std::string source = from_ + item.name;
    const std::string target = to_ + item.name;
    PAILFS_ASSIGN(const auto in, env_.open(source, OpenMode::kRead));
    // What is copied from the start appears when it is whole.
    const std::string place = at == 0 ? target + ".part" : target;
    if (at == 0) (void)env_.remove(place);
    PAILFS_ASSIGN(const auto out, env_.open(place, at == 0 ? OpenMode::kCreate : OpenMode::kReadWrite));
    std::string piece(kPiece, '\0');
    while (at < item.length) {
      const auto wanted = static_cast<size_t>(std::min<uint64_t>(kPiece - at % kPiece, item.length - at));
      PAILFS_ASSIGN(const size_t got, in->read_at(at, std::span(piece).first(wanted)));
      if (got != wanted) return fail(Code::kCorrupt, fmt::format("{} is shorter than it should be", source));
      PAILFS_TRY(write(*out, at, std::string_view(piece).substr(0, wanted)));
      at += wanted;
      copied_ += wanted;
      if (progress_ && !progress_(copied_, total_)) {
        return fail(Code::kInterrupted, "stopped before it was finished; run it again to go on");
      }
    }
    PAILFS_TRY(out->truncate(item.length));
    PAILFS_TRY(out->sync_data());
    return place == target ? Status{} : env_.rename(place, target);
  }
  uint64_t copied() const { return copied_; }

 private:
  // How much of the target is there already and the same: what begins alike was copied from this file.
  Result<uint64_t> usable(const Item& item) {
    const auto target = env_.open(to_ + item.name, OpenMode::kRead);
    if (!target) return target.error().code == Code::kNotFound ? Result<uint64_t>(0) : std::unexpected(target.error());
    PAILFS_ASSIGN(const uint64_t size, (*target)->size());
    PAILFS_ASSIGN(const auto source, env_.open(from_ + item.name, OpenMode::kRead));
    std::string ours(kBlock, '\0');
    std::string theirs(kBlock, '\0');
    PAILFS_ASSIGN(size_t got, source->read_at(0, ours));
    ours.resize(std::min<uint64_t>(got, item.length));
    PAILFS_ASSIGN(got, (*target)->read_at(0, theirs));
    theirs.resize(std::min(got, ours.size()));
    const size_t header = std::min(ours.size(), theirs.size());
    // Salts are in the first bytes: nothing else begins like this.
    if (header < 64 || ours.compare(0, header, theirs) != 0 || size > item.length) return 0;
    return size;
  }

  // Blocks of zeros are left out: a hole here is a hole there.
  static Status write(File& out, uint64_t at, std::string_view bytes) {
    size_t begin = 0;
    const auto zeros = [&](size_t from) {
      return bytes.substr(from, kBlock).find_first_not_of('\0') == std::string_view::npos;
    };
    while (begin < bytes.size()) {
      if (zeros(begin)) {
        begin += kBlock;
        continue;
      }
      size_t end = begin;
      while (end < bytes.size() && !zeros(end)) end += kBlock;
      PAILFS_TRY(out.write_at(at + begin, bytes.substr(begin, end - begin)));
      begin = end;
    }
    return {};
  }

  Env& env_;
  const std::string from_;
  const std::string to_;
  const Progress& progress_;
  uint64_t total_ = 0;
  uint64_t copied_ = 0;
};

// Durable, with its name.
Status make_target(Env& env, const std::string& directory) {
  PAILFS_TRY(env.make_dir(directory));
  const size_t end = directory.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : directory.rfind('/', end);
  return env.sync_dir(slash == std::string::npos ? "." : slash == 0 ? "/" : directory.substr(0, slash));
}

// Also when they are the same.
bool lie_in_each_other(const std::string& one, const std::string& other) {
  return (one + "/").starts_with(other + "/") || (other + "/").starts_with(one + "/");
}

Status make_if_missing(Env& env, const std::string& path) {
  PAILFS_ASSIGN(const bool there, env.exists(path));
  return there ? Status{} : env.make_dir(path);
}

// A directory that takes a backup of the store: missing, empty, or with an earlier one, also one that was not finished.
Status prepare(Env& env, const std::string& target, const Superblock& store) {
  const auto found = read_backup_marker(env, target);
  PAILFS_ASSIGN(const bool there, env.exists(target));
  if (!there) {
    PAILFS_TRY(make_target(env, target));
  } else {
    PAILFS_ASSIGN(const auto names, list_store(env, target));
    if (found && found->uuid != store.uuid) {
      return fail(Code::kExists, fmt::format("{} holds the backup of another store ({})", target, found->uuid));
    }
    if (!found && !names.empty()) {
      return fail(Code::kNotEmpty,
                  fmt::format("{} is not empty and holds no backup; a backup needs a directory of its own", target));
    }
  }
  // First, so that an unfinished one is known for what it is. An earlier one stays as good as it was.
  Superblock marker = store;
  if (found) marker.taken = found->taken;
  PAILFS_TRY(write_backup_marker(env, target, marker));
  PAILFS_TRY(make_if_missing(env, target + "/log"));
  PAILFS_TRY(make_if_missing(env, target + "/index-copy"));
  return env.sync_dir(target);
}

// A directory that takes the store of a backup: missing, empty, or with what a restore of the same store left that was
// cut off. Whatever else is there stays: the only copy of somebody's files may be in it.
Status prepare_store(Env& env, const std::string& backup, const std::string& directory, const Superblock& marker) {
  if (lie_in_each_other(backup, directory)) {
    return fail(Code::kInvalid, fmt::format("{} and {}: a backup and the store that is made of it cannot lie in each "
                                            "other",
                                            backup, directory));
  }
  PAILFS_ASSIGN(const bool there, env.exists(directory));
  if (!there) return make_target(env, directory);
  PAILFS_ASSIGN(const auto names, list_store(env, directory));
  if (names.empty()) return {};
  const auto found = read_backup_marker(env, directory);
  if (!found) {
    return fail(Code::kNotEmpty,
                fmt::format("{} is not empty; a restored store needs an empty or new directory", directory));
  }
  if (found->taken == 0 && found->uuid == marker.uuid) return {};
  return fail(Code::kExists,
              fmt::format("{} holds {} of the store {}, and was left as it is: a restored store needs an "
                          "empty or new directory",
                          directory, found->taken == 0 ? "an unfinished backup" : "a backup", found->uuid));
}

Status remove_others(Env& env, const std::string& directory, const std::string& subdirectory,
                     const std::vector<Item>& items) {
  PAILFS_ASSIGN(const auto names, env.list_dir(directory + subdirectory));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}", subdirectory, name);
    if (std::ranges::none_of(items, [&](const Item& item) { return item.name == path; })) {
      PAILFS_TRY(env.remove(directory + path));
    }
  }
  return env.sync_dir(directory + subdirectory);
}

Result<std::vector<std::string>> read_keyrings(Env& env, const std::string& directory) {
  std::vector<std::string> out;
  for (const std::string_view name : kKeyrings) {
    auto text = env.read_file(fmt::format("{}/{}", directory, name), kMaxKeyring);
    if (!text && text.error().code != Code::kNotFound) return std::unexpected(text.error());
    out.push_back(text.value_or(""));
  }
  return out;
}

// What is needed of a store at one moment.
struct Moment {
  std::vector<Item> copies;
  std::vector<Item> segments;
  std::vector<std::string> keyrings;
  uint64_t sequence = 0;
};

}  // namespace

Status Store::Impl::make_copy_whole() {
  PAILFS_TRY(checkpoint_everything());
  if (copy == nullptr) return fail(Code::kNotSupported, "this store keeps no copy of its index");
  return copy->whole() ? Status{} : write_copy_base();
}

namespace {

Result<Moment> moment_of(Store::Impl& store) REQUIRES(store.reclaim_mutex) {
  Moment moment;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    PAILFS_ASSIGN(const auto before, read_keyrings(store.env, store.directory));
    PAILFS_TRY(store.make_copy_whole());
    PAILFS_ASSIGN(const auto files, store.copy->files());
    // After the index copy: so the log has all that it leads to.
    PAILFS_TRY(store.sync_all());
    const Position end = store.log->durable();
    moment.sequence = store.durable();
    PAILFS_ASSIGN(moment.keyrings, read_keyrings(store.env, store.directory));
    if (moment.keyrings != before) continue;  // a bucket came or went
    for (const auto& [name, length] : files) moment.copies.push_back({"/index-copy/" + name, length});
    PAILFS_ASSIGN(const auto segments, store.log->segments());
    for (const uint64_t segment : segments) {
      if (segment > end.segment) continue;
      PAILFS_ASSIGN(const uint64_t size, store.storage->size(segment));
      moment.segments.push_back({"/log/" + segment_name(segment), segment == end.segment ? end.offset : size});
    }
    return moment;
  }
  return fail(Code::kBusy, "buckets were made or deleted again and again meanwhile: try again later");
}

}  // namespace

Result<BackupReport> Store::backup(const std::string& target, const Progress& progress) {
  Impl& impl = *impl_;
  Env& env = impl.env;
  PAILFS_TRY(impl.writable());
  if (lie_in_each_other(target, impl.directory)) {
    return fail(Code::kInvalid, "a store and its backup cannot lie in each other");
  }
  PAILFS_ASSIGN(const Superblock superblock, read_superblock(env, impl.directory));
  PAILFS_TRY(prepare(env, target, superblock));
  const MutexLock freeze(impl.reclaim_mutex);
  PAILFS_ASSIGN(const Moment moment, moment_of(impl));
  Copier copier(env, impl.directory, target, progress);
  BackupReport report;
  for (const auto* items : {&moment.segments, &moment.copies}) {
    for (const Item& item : *items) {
      PAILFS_ASSIGN(const uint64_t missing, copier.missing(item));
      copier.expect(missing);
      report.bytes += item.length;
    }
  }
  for (const Item& item : moment.segments) PAILFS_TRY(copier.copy(item));
  PAILFS_TRY(env.sync_dir(target + "/log"));
  for (size_t i = 0; i < std::size(kKeyrings); ++i) {
    if (moment.keyrings[i].empty()) continue;
    PAILFS_TRY(env.replace_file(fmt::format("{}/{}", target, kKeyrings[i]), moment.keyrings[i]));
  }
  for (const Item& item : moment.copies) PAILFS_TRY(copier.copy(item));
  PAILFS_TRY(env.sync_dir(target + "/index-copy"));
  Superblock marker = superblock;
  marker.taken = env.now();
  PAILFS_TRY(write_backup_marker(env, target, marker));
  PAILFS_TRY(remove_others(env, target, "/index-copy", moment.copies));
  PAILFS_TRY(remove_others(env, target, "/log", moment.segments));
  report.copied = copier.copied();
  report.sequence = moment.sequence;
  report.segments = moment.segments.size();
  return report;
}

Result<BackupReport> Store::restore(Env& env, const std::string& backup, const std::string& directory,
                                    const Progress& progress) {
  PAILFS_ASSIGN(const Superblock marker, read_backup_marker(env, backup));
  if (marker.taken == 0) {
    return fail(Code::kNotFound,
                fmt::format("the backup {} was never finished: nothing can be restored from it", backup));
  }
  PAILFS_TRY(prepare_store(env, backup, directory, marker));
  // Until it is whole, the target is no store, and may be restored into again.
  Superblock unfinished = marker;
  unfinished.taken = 0;
  PAILFS_TRY(write_backup_marker(env, directory, unfinished));
  Copier copier(env, backup, directory, progress);
  std::vector<Item> items;
  BackupReport report;
  for (const char* part : {"/log", "/index-copy"}) {
    PAILFS_TRY(make_if_missing(env, directory + part));
    PAILFS_ASSIGN(const auto names, env.list_dir(backup + part));
    for (const std::string& name : names) {
      if (name.ends_with(".part")) continue;
      Item item{fmt::format("{}/{}", part, name)};
      PAILFS_ASSIGN(const auto file, env.open(backup + item.name, OpenMode::kRead));
      PAILFS_ASSIGN(item.length, file->size());
      PAILFS_ASSIGN(const uint64_t missing, copier.missing(item));
      copier.expect(missing);
      report.bytes += item.length;
      if (name.ends_with(".seg")) ++report.segments;
      items.push_back(std::move(item));
    }
  }
  for (const Item& item : items) PAILFS_TRY(copier.copy(item));
  for (const std::string_view name : kKeyrings) {
    const auto text = env.read_file(fmt::format("{}/{}", backup, name), kMaxKeyring);
    if (text) PAILFS_TRY(env.replace_file(fmt::format("{}/{}", directory, name), *text));
  }
  for (const char* part : {"/log", "/index-copy", ""}) PAILFS_TRY(env.sync_dir(directory + part));
  report.copied = copier.copied();
  Superblock superblock = marker;
  superblock.taken = 0;
  PAILFS_TRY(make_if_missing(env, index_directory(directory)));
  PAILFS_TRY(write_superblock(env, directory, superblock));
  return report;
}

}  // namespace pailfs
