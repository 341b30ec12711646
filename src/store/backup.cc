// Copying a store that is in use. What is copied is a state that was durable at one moment: the index copy as of a
// checkpoint, the keyring, and the log up to what was durable then. Nothing is reclaimed meanwhile. In the backup
// things go in the order log, index copy, list of the files with the keyring, marker. An earlier backup stays what it
// was until the marker is there, as its list says how much of each file is of it and has its keyring; what it alone
// needs goes last.
//
// Segments and the files of the index copy only grow, or are never changed again; punched ranges of a segment stay as
// they were when it was copied. So a further backup copies what is new. It is not begun where it would put less in the
// place of more: see backup_guard.h.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/logging.h"
#include "store/backup_files.h"
#include "store/backup_guard.h"
#include "store/impl.h"
#include "store/layout.h"
#include "store/superblock.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {

constexpr int kAttempts = 10;
constexpr std::string_view kKeyrings[] = {"keyring.0", "keyring.1"};
constexpr size_t kMaxKeyring = size_t{64} << 20;

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

// All that is there: of backups of older builds, which have no list.
Result<BackupList> list_of_all(Env& env, const std::string& backup) {
  BackupList list;
  for (const char* part : {"/log", "/index-copy"}) {
    PAILFS_ASSIGN(const auto names, env.list_dir(backup + part));
    for (const std::string& name : names) {
      if (!is_backup_name(name) || name.ends_with(".part")) continue;
      const std::string path = fmt::format("{}/{}", part, name);
      PAILFS_ASSIGN(const auto file, env.open(backup + path, OpenMode::kRead));
      PAILFS_ASSIGN(list.files[path], file->size());
    }
  }
  for (const std::string_view name : kKeyrings) {
    const auto text = env.read_file(fmt::format("{}/{}", backup, name), kMaxKeyring);
    if (text && !text->empty()) list.keyring = *text;
  }
  return list;
}

// What there is in the target.
struct Earlier {
  bool there = false;                // the directory
  std::optional<Superblock> marker;  // of a backup of this store, also one that was not finished
  BackupList list;                   // of a finished one
  bool finished() const { return marker && marker->taken != 0; }
};

// An older build's gets a list as well, before anything is changed: its marker says where the log ended.
Result<BackupList> list_of_earlier(Env& env, const std::string& target, const Superblock& marker) {
  if (marker.listed) return read_backup_list(env, target, marker.id);
  PAILFS_ASSIGN(BackupList list, list_of_all(env, target));
  const auto last = list.files.find("/log/" + segment_name(marker.last_segment));
  if (last != list.files.end()) last->second = std::min(last->second, marker.last_offset);
  return list;
}

// A directory that takes a backup of the store: missing, empty, or with an earlier one, also one that was not finished.
Result<Earlier> look_for_earlier(Env& env, const std::string& target, const Superblock& store) {
  Earlier earlier;
  PAILFS_ASSIGN(earlier.there, env.exists(target));
  if (!earlier.there) return earlier;
  const auto found = read_backup_marker(env, target);
  PAILFS_ASSIGN(const auto names, list_store(env, target));
  if (found && found->uuid != store.uuid) {
    return fail(Code::kExists, fmt::format("{} holds the backup of another store ({})", target, found->uuid));
  }
  if (!found && !names.empty()) {
    return fail(Code::kNotEmpty,
                fmt::format("{} is not empty and holds no backup; a backup needs a directory of its own", target));
  }
  if (found) earlier.marker = *found;
  // Where that is damaged, more is copied.
  if (earlier.finished()) earlier.list = list_of_earlier(env, target, *found).value_or(BackupList());
  return earlier;
}

// First, so that an unfinished one is known for what it is. An earlier one stays as good as it was.
Status prepare(Env& env, const std::string& target, Earlier& earlier, const Superblock& store) {
  if (!earlier.there) PAILFS_TRY(make_target(env, target));
  const bool listed = !earlier.finished() || earlier.marker->listed || earlier.marker->id.empty();
  if (!listed && !earlier.list.files.empty()) {
    PAILFS_TRY(write_backup_list(env, target, earlier.marker->id, earlier.list));
    earlier.marker->listed = true;
  }
  PAILFS_TRY(write_backup_marker(env, target, earlier.marker.value_or(store)));
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
                     const std::vector<BackupItem>& items) {
  PAILFS_ASSIGN(const auto names, env.list_dir(directory + subdirectory));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}", subdirectory, name);
    if (is_backup_name(name) && std::ranges::none_of(items, [&](const BackupItem& i) { return i.name == path; })) {
      PAILFS_TRY(env.remove(directory + path));
    }
  }
  return env.sync_dir(directory + subdirectory);
}

// What is open knows its keys, whatever has become of the files since.
Status check_keyrings(Store::Impl& store) {
  const std::string text = store.keyring->text();
  for (const std::string_view name : kKeyrings) {
    const auto there = store.env.read_file(fmt::format("{}/{}", store.directory, name), kMaxKeyring);
    if (there && *there == text) return {};
  }
  log_error("neither copy of the keyring in {} is what was written there: both are written anew", store.directory);
  return store.keyring->write_anew();
}

// What is needed of a store at one moment.
struct Moment {
  std::vector<BackupItem> copies;
  std::vector<BackupItem> segments;
  std::string keyring;
  uint64_t sequence = 0;
  Position end;  // of the log
};

}  // namespace

Status Store::Impl::make_copy_whole() {
  PAILFS_TRY(checkpoint_everything());
  if (copy == nullptr) return fail(Code::kNotSupported, "this store keeps no copy of its index");
  if (copy->whole()) {
    // Files that lie there for months: who knows what is left of them.
    PAILFS_ASSIGN(const std::string damage, copy_damage(nullptr));
    if (damage.empty()) return {};
    log_warning("the second copy of the index is damaged: {}; it is written anew", damage);
    copy->distrust();
  }
  return write_copy_base();
}

namespace {

// Takes note of a backup that begins, so that what it copies has its id.
Result<std::string> begin_backup(Store::Impl& store) REQUIRES(store.reclaim_mutex) {
  const std::string key = internal::key1(internal::kBackups);
  std::string id = make_uuid(store.env);
  internal::BackupIds backups;
  {
    StoreView view(std::make_unique<StoreView::Impl>(store));
    PAILFS_ASSIGN(const auto value, view.get(kStoreScope, key));
    if (value) {
      PAILFS_ASSIGN(backups, internal::decode_backup_ids(*value));
    }
  }
  PAILFS_ASSIGN(std::string bytes, uuid_bytes(id));
  backups.add(store.durable(), std::move(bytes));
  Transaction tx;
  tx.put(kStoreScope, key, internal::encode_backup_ids(backups));
  PAILFS_TRY(store.commit(std::move(tx)));
  return id;
}

Result<Moment> moment_of(Store::Impl& store) REQUIRES(store.reclaim_mutex) {
  Moment moment;
  PAILFS_TRY(check_keyrings(store));
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string before = store.keyring->text();
    PAILFS_TRY(store.make_copy_whole());
    PAILFS_ASSIGN(const auto files, store.copy->files());
    // After the index copy: so the log has all that it leads to.
    PAILFS_TRY(store.sync_all());
    moment.sequence = store.durable();  // first: it is never ahead of the log
    const Position end = store.log->durable();
    moment.end = end;
    moment.keyring = store.keyring->text();
    if (moment.keyring != before) continue;  // a bucket came or went
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

// Nothing is written where this fails. What the backup has and the store has not is known afterwards to be of no use,
// or the one who asked wants it replaced: then it is no backup any more, until the new one is whole.
Status guard(Store::Impl& store, const BackupPlace& target, const BackupRequest& request, Earlier& earlier)
    REQUIRES(store.reclaim_mutex) {
  PAILFS_TRY(store.sync_all());
  const uint64_t sequence = store.durable();
  BackupGuard guard(store, target, store.log->durable(), request);
  PAILFS_TRY(guard.look());
  if (earlier.finished()) {
    const Status has_all = guard.has_all_of(*earlier.marker, sequence);
    if (!has_all && (has_all.error().code != Code::kExists || !request.replace)) return has_all;
    PAILFS_TRY(guard.is_whole(true));
    if (has_all) return request.replace ? Status{} : guard.loses_nothing();
    earlier.marker->taken = 0;
    return {};
  }
  return guard.is_whole(false);
}

}  // namespace

Result<BackupReport> Store::backup(const std::string& target, const Progress& progress, const BackupRequest& request) {
  Impl& impl = *impl_;
  Env& env = request.target_env != nullptr ? *request.target_env : impl.env;  // of the target
  PAILFS_TRY(impl.writable());
  if (lie_in_each_other(target, impl.directory)) {
    return fail(Code::kInvalid, "a store and its backup cannot lie in each other");
  }
  PAILFS_ASSIGN(const Superblock superblock, read_superblock(impl.env, impl.directory));
  const MutexLock freeze(impl.reclaim_mutex);  // and no other backup
  PAILFS_ASSIGN(Earlier earlier, look_for_earlier(env, target, superblock));
  PAILFS_TRY(guard(impl, {env, target}, request, earlier));
  PAILFS_ASSIGN(const std::string id, begin_backup(impl));
  PAILFS_ASSIGN(const Moment moment, moment_of(impl));
  PAILFS_TRY(prepare(env, target, earlier, superblock));
  BackupCopier copier({impl.env, impl.directory}, {env, target}, earlier.list, earlier.finished(), progress);
  BackupReport report;
  for (const auto* items : {&moment.segments, &moment.copies}) {
    for (const BackupItem& item : *items) {
      PAILFS_ASSIGN(const uint64_t missing, copier.missing(item));
      copier.expect(missing);
      report.bytes += item.length;
    }
  }
  for (const BackupItem& item : moment.segments) PAILFS_TRY(copier.copy(item));
  PAILFS_TRY(env.sync_dir(target + "/log"));
  for (const BackupItem& item : moment.copies) PAILFS_TRY(copier.copy(item));
  PAILFS_TRY(env.sync_dir(target + "/index-copy"));
  Superblock marker = superblock;
  marker.taken = env.now();
  marker.id = id;
  marker.sequence = moment.sequence;
  marker.last_segment = moment.end.segment;
  marker.last_offset = moment.end.offset;
  marker.listed = true;
  BackupList list{{}, moment.keyring};
  for (const auto* items : {&moment.segments, &moment.copies}) {
    for (const BackupItem& item : *items) list.files[item.name] = item.length;
  }
  PAILFS_TRY(write_backup_list(env, target, id, list));
  PAILFS_TRY(write_backup_marker(env, target, marker));
  for (const std::string_view name : kKeyrings) {
    PAILFS_TRY(env.replace_file(fmt::format("{}/{}", target, name), moment.keyring));
  }
  PAILFS_TRY(remove_others(env, target, "/index-copy", moment.copies));
  PAILFS_TRY(remove_others(env, target, "/log", moment.segments));
  PAILFS_TRY(remove_other_lists(env, target, id));
  report.copied = copier.copied();
  report.sequence = moment.sequence;
  report.segments = moment.segments.size();
  return report;
}

namespace {

Result<BackupList> list_to_restore(Env& env, const std::string& backup, const Superblock& marker) {
  if (!marker.listed) return list_of_all(env, backup);
  auto list = read_backup_list(env, backup, marker.id);
  if (!list) {
    list.error().message += fmt::format(
        ". A further 'pail backup' of the store writes it anew; to restore all that is there, whatever it "
        "belongs to, change \"listed\" to false in {}/pailfs.store",
        backup);
  }
  return list;
}

// How much there is of a file of which a backup should have `length` bytes. What is missing is told of, and is no
// reason to give up the rest.
Result<uint64_t> length_there(Env& env, const std::string& path, uint64_t length) {
  const auto file = env.open(path, OpenMode::kRead);
  if (!file && file.error().code != Code::kNotFound) return std::unexpected(file.error());
  uint64_t size = 0;
  if (file) {
    PAILFS_ASSIGN(size, (*file)->size());
  }
  if (size < length) {
    log_error(
        "the backup is damaged: {} has {} of {} bytes; 'pail check --deep' of the restored store tells what is lost",
        path, size, length);
  }
  return std::min(size, length);
}

}  // namespace

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
  BackupCopier copier({env, backup}, {env, directory}, {}, false, progress);
  BackupReport report;
  for (const char* part : {"/log", "/index-copy"}) PAILFS_TRY(make_if_missing(env, directory + part));
  PAILFS_ASSIGN(const BackupList list, list_to_restore(env, backup, marker));
  std::vector<BackupItem> items;
  for (const auto& [name, length] : list.files) {
    PAILFS_ASSIGN(const uint64_t there, length_there(env, backup + name, length));
    if (there > 0 || length == 0) items.push_back({name, there});
  }
  for (const BackupItem& item : items) {
    PAILFS_ASSIGN(const uint64_t missing, copier.missing(item));
    copier.expect(missing);
    report.bytes += item.length;
    if (item.name.ends_with(".seg")) ++report.segments;
  }
  for (const BackupItem& item : items) PAILFS_TRY(copier.copy(item));
  for (const std::string_view name : kKeyrings) {
    PAILFS_TRY(env.replace_file(fmt::format("{}/{}", directory, name), list.keyring));
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
