#include "index/lmdb_index.h"

#include <fmt/format.h>
#include <lmdb.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/logging.h"
#include "index/lmdb_environment.h"

namespace pailfs {

namespace {

// How long a batch holds up new snapshots to let old ones end, when it would like the map to grow but can do without.
constexpr std::chrono::milliseconds kGrowPatience{200};

MDB_val to_value(std::string_view bytes) {
  return MDB_val{.mv_size = bytes.size(), .mv_data = const_cast<char*>(bytes.data())};
}
std::string_view to_view(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

class LmdbSnapshot : public IndexSnapshot {
 public:
  LmdbSnapshot(std::shared_ptr<LmdbEnvironment> environment, LmdbEnvironment::Reader reader)
      : environment_(std::move(environment)), reader_(reader) {}
  ~LmdbSnapshot() override { environment_->release_reader(reader_); }
  LmdbSnapshot(const LmdbSnapshot&) = delete;
  LmdbSnapshot& operator=(const LmdbSnapshot&) = delete;

  Result<std::optional<std::string_view>> get(std::string_view key) override {
    if (key.empty() || key.size() > kMaxIndexKey) return std::nullopt;  // LMDB calls these keys an error
    MDB_val k = to_value(key);
    MDB_val v = {};
    const int rc = guard_lmdb([&] { return mdb_get(reader_.txn, environment_->dbi(), &k, &v); });
    if (rc == MDB_NOTFOUND) return std::nullopt;
    if (rc != 0) return std::unexpected(read_error(rc));
    return to_view(v);
  }

  Result<std::optional<Entry>> seek(std::string_view from) override {
    PAILFS_TRY(open_cursor(reader_.scan));
    PAILFS_ASSIGN(const std::optional<Entry> found,
                  from.empty() ? move(reader_.scan, MDB_FIRST) : move(reader_.scan, MDB_SET_RANGE, from));
    on_entry_ = found.has_value();
    return found;
  }

  Result<std::optional<Entry>> next() override {
    if (!on_entry_) return std::nullopt;  // LMDB would begin at the first entry
    PAILFS_ASSIGN(const std::optional<Entry> found, move(reader_.scan, MDB_NEXT));
    on_entry_ = found.has_value();
    return found;
  }

  Result<std::optional<Entry>> last_before(std::string_view before) override {
    if (before.empty()) return std::nullopt;
    PAILFS_TRY(open_cursor(reader_.probe));
    PAILFS_ASSIGN(const std::optional<Entry> found, move(reader_.probe, MDB_SET_RANGE, before));
    return move(reader_.probe, found ? MDB_PREV : MDB_LAST);
  }

  Result<IndexStats> stats() {
    // Tree 0 is LMDB's list of free pages.
    MDB_stat free_list = {};
    MDB_stat main = {};
    int rc = mdb_stat(reader_.txn, 0, &free_list);
    if (rc == 0) rc = mdb_stat(reader_.txn, environment_->dbi(), &main);
    if (rc != 0) return std::unexpected(read_error(rc));
    const auto pages = [](const MDB_stat& s) {
      return uint64_t{s.ms_branch_pages} + s.ms_leaf_pages + s.ms_overflow_pages;
    };
    constexpr uint64_t kMetaPages = 2;
    return IndexStats{.entries = main.ms_entries,
                      .used_bytes = (kMetaPages + pages(free_list) + pages(main)) * main.ms_psize,
                      .file_bytes = environment_->file_bytes(),
                      .map_bytes = environment_->map_bytes()};
  }

 private:
  // Cursors stay with the pooled transaction, which renews them: most snapshots open none.
  Status open_cursor(MDB_cursor*& cursor) {
    if (cursor != nullptr) return {};
    const int rc = mdb_cursor_open(reader_.txn, environment_->dbi(), &cursor);
    if (rc != 0) return std::unexpected(read_error(rc));
    return {};
  }

  Result<std::optional<Entry>> move(MDB_cursor* cursor, MDB_cursor_op operation, std::string_view key = {}) {
    MDB_val k = to_value(key);
    MDB_val v = {};
    const int rc = guard_lmdb([&] { return mdb_cursor_get(cursor, &k, &v, operation); });
    if (rc == MDB_NOTFOUND) return std::nullopt;
    if (rc != 0) return std::unexpected(read_error(rc));
    return Entry{to_view(k), to_view(v)};
  }

  Error read_error(int rc) const { return lmdb_error(rc, "reading the index in " + environment_->directory()); }

  const std::shared_ptr<LmdbEnvironment> environment_;
  LmdbEnvironment::Reader reader_;
  bool on_entry_ = false;  // the scan cursor stands on an entry
};

class LmdbIndex : public Index {
 public:
  explicit LmdbIndex(std::shared_ptr<LmdbEnvironment> environment) : environment_(std::move(environment)) {}

  Result<std::unique_ptr<IndexSnapshot>> snapshot() override { return lmdb_snapshot(); }

  Result<IndexStats> stats() override {
    PAILFS_ASSIGN(const std::unique_ptr<LmdbSnapshot> snapshot, lmdb_snapshot());
    return snapshot->stats();
  }

  Status apply(const std::vector<IndexChange>& changes) override {
    PAILFS_TRY(check_batch(changes));
    MutexLock lock(apply_mutex_);
    if (failure_) return fail(failure_->code, "the index takes no changes since it failed: " + failure_->message);
    if (changes.empty()) return {};
    PAILFS_TRY(grow_in_time());
    for (;;) {
      uint64_t id = 0;
      const int rc = write(changes, id);
      if (rc == 0) return {};
      if (rc != MDB_MAP_FULL) return after_failure(rc, id, changes);
      // The map was full although it was grown in time: a large batch on a small map. The failed transaction is gone,
      // the batch is written again as a whole.
      const Result<LmdbEnvironment::Growth> growth = environment_->grow(std::nullopt);
      if (!growth) return give_up(growth.error());
      if (*growth != LmdbEnvironment::Growth::kDone) {
        return fail(Code::kNoSpace, fmt::format("the index in {} needs more address space than this process may have",
                                                environment_->directory()));
      }
    }
  }

 private:
  Result<std::unique_ptr<LmdbSnapshot>> lmdb_snapshot() {
    PAILFS_ASSIGN(const LmdbEnvironment::Reader reader, environment_->acquire_reader());
    return std::make_unique<LmdbSnapshot>(environment_, reader);
  }

  // At 75 %, so that a batch hardly ever meets the full map. Where readers do not end or there is no address space, the
  // next batch tries again.
  Status grow_in_time() REQUIRES(apply_mutex_) {
    if (environment_->high_water_bytes() / 3 < environment_->map_bytes() / 4) return {};
    const Result<LmdbEnvironment::Growth> growth = environment_->grow(kGrowPatience);
    if (!growth) return give_up(growth.error());
    return {};
  }

  // One transaction. Returns LMDB's code; after a failure nothing of it is visible. `id` is the transaction's number.
  int write(const std::vector<IndexChange>& changes, uint64_t& id) {
    MDB_txn* txn = nullptr;
    int rc = mdb_txn_begin(environment_->env(), nullptr, 0, &txn);
    if (rc != 0) return rc;
    id = mdb_txn_id(txn);
    rc = guard_lmdb([&] { return write_all(txn, changes); });
    if (rc == 0) {
      environment_->announce_commit(id);
      return guard_lmdb([&] { return mdb_txn_commit(txn); });
    }
    if (rc != kLmdbAssertionFailed) mdb_txn_abort(txn);
    return rc;
  }

  int write_all(MDB_txn* txn, const std::vector<IndexChange>& changes) const {
    const MDB_dbi dbi = environment_->dbi();
    for (const IndexChange& change : changes) {
      MDB_val key = to_value(change.key);
      MDB_val value = to_value(change.value ? std::string_view(*change.value) : std::string_view());
      const int rc = change.value ? mdb_put(txn, dbi, &key, &value, 0) : mdb_del(txn, dbi, &key, nullptr);
      if (rc != 0 && (change.value || rc != MDB_NOTFOUND)) return rc;
    }
    return 0;
  }

  // Tells a full disk, after which the batch may come again, from everything else.
  //
  // Why trying again is right even when it was fdatasync that reported the full disk: all pages of the failed
  // transaction are ones that no committed state refers to; the next transaction writes every page that it refers to
  // anew, and counts only if its own fdatasync succeeds.
  Status after_failure(int rc, uint64_t id, const std::vector<IndexChange>& changes) REQUIRES(apply_mutex_) {
    const std::string doing = "writing the index in " + environment_->directory();
    if (rc == kLmdbAssertionFailed) {
      environment_->abandon();
      return give_up(lmdb_error(rc, doing));
    }
    // A disk becomes full by a short write as a rule, and LMDB turns that into EIO.
    if (rc == EIO && environment_->disk_full(probe_bytes(changes))) rc = ENOSPC;
    const Error error = lmdb_error(rc, doing);
    const bool full = rc == ENOSPC || rc == EDQUOT;
    if (environment_->poisoned()) return after_meta_failure(error, full, id);
    if (full) return fail(Code::kNoSpace, error.message);
    return give_up(error);
  }

  // The meta page could not be written, and LMDB has put the old one back into the page cache, or tried to. Which one
  // the disk has is open; after a sync it is the one that LMDB sees.
  Status after_meta_failure(const Error& error, bool full, uint64_t id) REQUIRES(apply_mutex_) {
    if (Status reopened = environment_->reopen(); !reopened) return give_up(std::move(reopened).error());
    if (!full) return give_up(error);
    MDB_envinfo info = {};
    int rc = mdb_env_sync(environment_->env(), 1);
    if (rc == 0) rc = mdb_env_info(environment_->env(), &info);
    if (rc != 0) return give_up(error);
    if (info.me_last_txnid >= id) return {};  // the write had reached the file in the end
    return fail(Code::kNoSpace, error.message);
  }

  static uint64_t probe_bytes(const std::vector<IndexChange>& changes) {
    uint64_t bytes = uint64_t{1} << 20;
    for (const IndexChange& change : changes) bytes += change.key.size() + (change.value ? change.value->size() : 0);
    return bytes;
  }

  Status give_up(Error error) REQUIRES(apply_mutex_) {
    // These would tell the caller that the index is well.
    if (error.code == Code::kNoSpace || error.code == Code::kQuota || error.code == Code::kInvalid) {
      error.code = Code::kIo;
    }
    log_error("{}; the index takes no more changes", error.message);
    failure_ = error;
    return std::unexpected(std::move(error));
  }

  const std::shared_ptr<LmdbEnvironment> environment_;
  // One batch at a time: LMDB's write transactions belong to one thread from begin to end. Uncontended by contract, and
  // so the one lock that may be held across a sync.
  Mutex apply_mutex_;
  std::optional<Error> failure_ GUARDED_BY(apply_mutex_);
};

}  // namespace

Result<std::unique_ptr<Index>> open_lmdb_index(const std::string& directory, const LmdbOptions& options) {
  PAILFS_ASSIGN(std::shared_ptr<LmdbEnvironment> environment, LmdbEnvironment::open(directory, options));
  return std::make_unique<LmdbIndex>(std::move(environment));
}

}  // namespace pailfs
