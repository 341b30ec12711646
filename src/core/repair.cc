// The course of a repair, and what belongs to the store as a whole: counters, buckets, the root.
#include "core/repair.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/codec.h"
#include "core/history.h"
#include "core/scan.h"

namespace pailfs {

namespace {
constexpr size_t kRepairBatch = 512;
constexpr uint64_t kBatchesPerSync = 256;
constexpr size_t kFixes = 100'000;
constexpr size_t kLostNames = 1000;
}  // namespace

Repair::Repair(Store& store, uint32_t account, const Progress& progress)
    : impl_(store, account), store_(store), report_(impl_, progress, kFixes) {}

Status Repair::each(Scope scope, std::string from, const std::string& end, const Visit& visit, const Bad& bad) {
  for (bool finished = false; !finished;) {
    std::vector<StoreView::Entry> batch;
    std::optional<std::string> unreadable;
    Error why;
    {
      StoreView view = store_.view();
      auto entry = view.seek(scope, from, end);
      while (entry && *entry && batch.size() < kRepairBatch) {
        from = (*entry)->key + '\0';
        batch.push_back(std::move(**entry));
        entry = view.next(scope, end);
      }
      finished = entry && !*entry;
      if (!entry) {
        why = entry.error();
        if (why.code != Code::kCorrupt) return std::unexpected(std::move(why));
        PAILFS_ASSIGN(unreadable, view.seek_key(from, end));
      }
    }
    for (const StoreView::Entry& entry : batch) {
      PAILFS_TRY(report_.step());
      const Status done = visit(entry);
      if (done) continue;
      if (done.error().code != Code::kCorrupt) return done;
      PAILFS_TRY(bad(entry.key, done.error()));  // it verifies, and does not parse
    }
    if (unreadable) {
      PAILFS_TRY(bad(*unreadable, why));
      from = *unreadable + '\0';
    }
  }
  return {};
}

Status Repair::put(const std::string& key, std::string value, Scope scope) {
  Transaction tx;
  tx.put(scope, key, std::move(value));
  return commit(std::move(tx));
}

Status Repair::erase(const std::string& key) {
  Transaction tx;
  tx.erase(key);
  return commit(std::move(tx));
}

Result<std::optional<InodeRecord>> Repair::inode(Ino ino) {
  const auto value = store_.get(bucket_of(ino), keys::inode(ino));
  if (!value) {
    if (value.error().code == Code::kCorrupt) return std::nullopt;
    return std::unexpected(value.error());
  }
  if (!*value) return std::nullopt;
  auto record = decode_inode(**value);
  if (!record) return std::nullopt;
  return std::optional<InodeRecord>(std::move(*record));
}

// --- Counters

// The highest number that an inode or a content of the bucket has; 0: none.
Result<uint64_t> Repair::highest_number(Scope bucket) {
  uint64_t highest = 0;
  for (const char kind : {'i', 'c', 'v', 'd'}) {
    // By bisection: keys are in order, and the last one of a range is not asked for directly.
    Ino low = Ino{bucket} << kBucketShift, high = (Ino{bucket} + 1) << kBucketShift;
    while (high - low > 1) {
      const Ino middle = low + (high - low) / 2;
      PAILFS_ASSIGN(const auto key, store_.view().seek_key(keys::numbered(kind, middle), kind_end(kind, bucket)));
      (key ? low : high) = middle;
    }
    PAILFS_ASSIGN(const auto key, store_.view().seek_key(keys::numbered(kind, low), kind_end(kind, bucket)));
    if (key) highest = std::max(highest, ino_of_key(*key));
  }
  return highest;
}

Status Repair::counter(const std::string& key, uint64_t least, std::string_view what) {
  const auto value = store_.get(kStoreScope, key);
  if (!value && value.error().code != Code::kCorrupt) return std::unexpected(value.error());
  const auto held = value && *value ? decode_counter(**value) : Result<uint64_t>(0);
  const bool readable = value && held;
  if (readable && *held >= least) return {};
  fixed("index", 0, fmt::format("the counter of {} is {}: set", what, readable ? "too low" : "unreadable"));
  if (!readable) ++result_.unreadable_values;
  return put(key, encode_counter(least), kStoreScope);
}

// Read only where the bound of stamps is lost.
Result<Stamp> Repair::latest_stamp() {
  Stamp latest = impl_.now();
  const auto see = [&](Stamp stamp) { latest = std::max(latest, stamp); };
  const Bad nothing = [](const std::string&, const Error&) -> Status { return {}; };
  for (const Scope scope : store_.keyring().scopes()) {
    for (const char kind : {'d', 'h', 'i', 'v', 'a'}) {
      PAILFS_TRY(each_of(
          kind, scope,
          [&](const StoreView::Entry& entry) -> Status {
            if (kind == 'd') {
              if (const auto dirent = decode_dirent(entry.value)) see(dirent->since);
            } else if (kind == 'h') {
              if (const auto ended = decode_ended(entry.value)) see(ended->end);
            } else if (kind == 'a') {
              see(end_of_past(entry.key));
            } else if (const auto record = decode_inode(entry.value)) {
              see(record->version.sealed);
            }
            return {};
          },
          nothing));
    }
  }
  return latest + 1;
}

Status Repair::counters() {
  const auto stamps = store_.get(kStoreScope, keys::stamps());
  if (!stamps || (*stamps && !decode_counter(**stamps))) {
    PAILFS_ASSIGN(const Stamp latest, latest_stamp());
    PAILFS_TRY(counter(keys::stamps(), static_cast<uint64_t>(latest), "times"));
  }
  PAILFS_TRY(impl_.load_stamps());
  Scope highest = 0;
  for (const Scope scope : store_.keyring().scopes()) {
    highest = std::max(highest, scope);
    if (scope == kStoreScope) continue;
    PAILFS_ASSIGN(const uint64_t number, highest_number(scope));
    // A bucket in which nothing was made yet has none.
    const auto held = store_.get(kStoreScope, keys::numbers(scope));
    if (held && !*held && number <= bucket_root(scope)) continue;
    PAILFS_TRY(counter(keys::numbers(scope), std::max(number, bucket_root(scope)) + 1,
                       fmt::format("inode numbers of bucket number {}", scope)));
  }
  return highest == 0 ? Status{} : counter(keys::numbers(kStoreScope), uint64_t{highest} + 1, "bucket numbers");
}

// --- Buckets

Status Repair::make_directory(Ino ino, Ino parent) {
  InodeRecord record;
  record.mode = S_IFDIR | 0700;
  record.nlink = 2;
  record.uid = record.gid = 0;
  record.atime = record.mtime = record.ctime = record.btime = impl_.now();
  record.parent = parent;
  return put(keys::inode(ino), encode_inode(record), bucket_of(ino));
}

// A bucket whose record is lost, by what is left of it: its entry in the root.
Result<BucketRecord> Repair::restored_bucket(Scope number) {
  BucketRecord record{.name = fmt::format("lost-found-{}", number),
                      .number = number,
                      .versioning = Versioning::kEnabled,
                      .owner = impl_.gate.account(),
                      .created = impl_.now(),
                      .history_since = impl_.now(),
                      .public_access = kAllPublicSwitches};
  const Bad nothing = [](const std::string&, const Error&) -> Status { return {}; };
  PAILFS_TRY(each_of(
      'd', kStoreScope,
      [&](const StoreView::Entry& entry) -> Status {
        const auto dirent = decode_dirent(entry.value);
        if (dirent && !dirent->name.empty() && bucket_of(dirent->ino) == number) record.name = dirent->name;
        return {};
      },
      nothing));
  return record;
}

Status Repair::bucket(Scope number) {
  const auto value = store_.get(kStoreScope, keys::bucket(number));
  if (!value && value.error().code != Code::kCorrupt) return std::unexpected(value.error());
  Result<BucketRecord> record =
      value && *value ? decode_bucket(**value) : Result<BucketRecord>(fail(Code::kCorrupt, ""));
  if (record && record->number != number) record = fail(Code::kCorrupt, "");
  const bool restored = !record;
  if (!record) {
    PAILFS_ASSIGN(const uint64_t content, highest_number(number));
    if (value && !*value && content == 0) return {};  // keys that are left over from a bucket that went
    PAILFS_ASSIGN(record, restored_bucket(number));
    if (!value) ++result_.unreadable_values;
    fixed("bucket", bucket_root(number),
          fmt::format("the record of bucket number {} is {}: made anew, with the name {}, versions kept and "
                      "public access blocked",
                      number, value && !*value ? "missing" : "unreadable", record->name));
    PAILFS_TRY(put(keys::bucket(number), encode_bucket(*record), kStoreScope));
  }
  impl_.set_bucket(*record);
  if (record->deleting) return {};
  PAILFS_TRY(policy(*record, restored));
  buckets_.push_back(number);
  PAILFS_ASSIGN(const auto root, inode(bucket_root(number)));
  if (root && S_ISDIR(root->mode)) return {};
  fixed("bucket", bucket_root(number),
        "the inode of the bucket's directory is lost: made anew, for root alone (0700); chmod and chown it");
  return make_directory(bucket_root(number), kRootIno);
}

// A policy that cannot be read is no reason to let everybody in.
Status Repair::policy(const BucketRecord& bucket, bool restored) {
  impl_.policies.load(bucket.number);
  const auto held = impl_.policies.of(bucket.number);
  if (held == nullptr) return {};
  // A bucket that has another name now is not the one that its policy speaks of.
  const bool renamed = restored && !held->text.contains(fmt::format(":::{}\"", bucket.name)) &&
                       !held->text.contains(fmt::format(":::{}/", bucket.name));
  if (held->document != nullptr && !renamed) return {};
  const auto closed = BucketPolicies::closed(bucket.name, impl_.principals.account_id());
  if (closed == nullptr) return {};
  ++result_.unreadable_values;
  fixed("bucket", bucket_root(bucket.number),
        "the bucket's policy is lost: one that lets in nobody but root is in its place; 'pail policy put' replaces it");
  Transaction tx;
  BucketPolicies::write(bucket.number, closed, tx);
  return commit(std::move(tx));
}

// Nor is a block of public access that cannot be read.
Status Repair::public_access() {
  const auto value = store_.get(kStoreScope, keys::public_access());
  if (!value && value.error().code != Code::kCorrupt) return std::unexpected(value.error());
  if (value && (!*value || decode_public_access(**value))) return {};
  ++result_.unreadable_values;
  fixed("index", 0,
        "the store's Block Public Access is lost: all of it is on; 'pail public-access-block' says otherwise");
  return put(keys::public_access(), encode_public_access(kAllPublicSwitches), kStoreScope);
}

// Whatever is in the index of a bucket that cannot be read. Returns how many inodes it had, but for its own directory.
Result<uint64_t> Repair::drop_all(Scope number) {
  uint64_t inodes = 0;
  uint64_t batches = 0;
  for (const char kind : kKindsOfBuckets) {
    const std::string end = kind_end(kind, number);
    for (std::string from = kind_begin(kind, number);;) {
      Transaction tx;
      {
        StoreView view = store_.view();
        for (size_t count = 0; count < kRepairBatch; ++count) {
          PAILFS_ASSIGN(auto key, view.seek_key(from, end));
          if (!key) break;
          from = *key + '\0';
          if (kind == 'i' && ino_of_key(*key) != bucket_root(number)) ++inodes;
          tx.erase(std::move(*key));
        }
      }
      if (tx.empty()) break;
      PAILFS_TRY(report_.step());
      PAILFS_TRY(commit(std::move(tx)));
      if (++batches % kBatchesPerSync == 0) PAILFS_TRY(store_.sync());  // or all of it became one commit frame
    }
  }
  Transaction tx;
  tx.erase(keys::numbers(number));
  tx.erase(keys::bucket_policy(number));
  PAILFS_TRY(commit(std::move(tx)));
  return inodes;
}

Status Repair::buckets() {
  for (const Scope scope : store_.keyring().scopes()) {
    if (scope != kStoreScope) PAILFS_TRY(bucket(scope));
  }
  // Records of buckets whose keys are gone: nothing of them can be read, ever.
  std::vector<std::string> keyless;
  std::vector<BucketRecord> gone;
  const auto lost = [&](const std::string& key, const Error&) -> Status {
    keyless.push_back(key);
    return {};
  };
  PAILFS_TRY(each(
      kStoreScope, "b", "c",
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const BucketRecord record, decode_bucket(entry.value));
        if (store_.has_scope(record.number) && keys::bucket(record.number) == entry.key) return {};
        keyless.push_back(entry.key);
        if (!store_.has_scope(record.number)) gone.push_back(record);
        return {};
      },
      lost));
  // The record last: with it a repair that is cut off is known to have been.
  for (const BucketRecord& record : gone) {
    PAILFS_ASSIGN(const uint64_t inodes, drop_all(record.number));
    result_.lost_names += inodes;
    fixed("bucket", 0,
          fmt::format("{}. Where there is no newer one the bucket is lost: dropped, with {} files and directories",
                      keyless_bucket(record.name), inodes));
  }
  for (const std::string& key : keyless) PAILFS_TRY(erase(key));
  PAILFS_ASSIGN(const auto root, inode(kRootIno));
  if (!root || !S_ISDIR(root->mode)) {
    fixed("bucket", 0, "the inode of the store's root is lost: made anew, for the account (0755)");
    InodeRecord record;
    record.mode = S_IFDIR | 0755;
    record.nlink = 2;
    record.uid = record.gid = impl_.gate.account();
    record.atime = record.mtime = record.ctime = record.btime = impl_.now();
    record.parent = kRootIno;
    PAILFS_TRY(put(keys::inode(kRootIno), encode_inode(record), kStoreScope));
  }
  return {};
}

// Every bucket has its entry in the root. The root's other entries are put right as those of any directory.
Status Repair::bucket_entries() {
  std::set<Scope> named;
  const Bad nothing = [](const std::string&, const Error&) -> Status { return {}; };
  PAILFS_TRY(each_of(
      'd', kStoreScope,
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const Dirent dirent, decode_dirent(entry.value));
        if (!dirent.name.empty()) named.insert(bucket_of(dirent.ino));
        return {};
      },
      nothing));
  for (const Scope number : buckets_) {
    if (named.contains(number)) continue;
    PAILFS_ASSIGN(const BucketRecord record, impl_.bucket_record(number));
    fixed("name", bucket_root(number), "the bucket had no entry in the store's root: given one");
    PAILFS_TRY(insert(kRootIno, record.name, bucket_root(number), S_IFDIR));
  }
  return {};
}

// --- The whole

// Which files had changes that the log has lost, by the inodes in them.
void Repair::lost_changes() {
  result_.changes = store_.lost_changes();
  std::set<Ino> inodes;
  for (const std::string& key : result_.changes.keys) {
    if (key.size() == 1 + sizeof(Ino) && key[0] == 'i' && inodes.size() < kLostNames) inodes.insert(ino_of_key(key));
  }
  for (const Ino ino : inodes) {
    fixed("log", ino, "changes that were made behind the damage of the log are lost: it is as it was before them");
  }
}

Result<RepairResult> Repair::run() {
  PAILFS_TRY(store_.repair_tables([&](std::string what) { fixed("space", 0, std::move(what)); }));
  lost_changes();
  PAILFS_TRY(counters());
  PAILFS_TRY(public_access());
  PAILFS_TRY(buckets());
  PAILFS_TRY(impl_.shares.load());
  for (const Scope bucket : buckets_) {
    bucket_ = bucket;
    strays_.clear();
    damaged_versions_.clear();
    shown_.clear();
    lost_found_ = 0;
    PAILFS_TRY(records(bucket));
    PAILFS_TRY(names(bucket));
    PAILFS_TRY(contents(bucket));
    // What the contents found has its name now; counts may have changed.
    PAILFS_TRY(fix_links(bucket));
    PAILFS_TRY(store_.sync());  // a commit frame has an upper limit
  }
  bucket_ = kStoreScope;
  strays_.clear();
  PAILFS_TRY(records(kStoreScope));
  PAILFS_TRY(identities());
  PAILFS_TRY(bucket_entries());
  PAILFS_TRY(names(kStoreScope));
  PAILFS_TRY(shared_units());
  std::vector<Run> runs;
  runs.reserve(stretches_.size());
  for (const OwnedStretch& stretch : stretches_) runs.push_back(run_of(stretch.range));
  PAILFS_TRY(store_.repair_room(
      runs, [&](std::string what) { fixed("space", 0, std::move(what)); }, [&] { return report_.proceed(); }));
  PAILFS_TRY(store_.finish_repair());
  report_.finish();
  result_.fixes = std::move(report_.result.problems);
  result_.fix_count = report_.result.problem_count;
  return std::move(result_);
}

Result<RepairResult> Core::repair(Store& store, uint32_t account, const Progress& progress) {
  return Repair(store, account, progress).run();
}

}  // namespace pailfs
