// The store: transactions over one log and one index, everything encrypted. Knows keys, values, runs of units and
// opaque change records; knows nothing of files.
//
// A transaction is applied to the memtable at once, becomes part of the open commit frame, and is durable after sync()
// or within about a second. After a crash the store equals a prefix of the transactions, in the order of their sequence
// numbers, at least up to the last sync() that returned.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "index/index.h"
#include "io/env.h"
#include "log/log.h"
#include "store/keyring.h"

namespace pailfs {

inline constexpr uint32_t kUnitSize = 4096;   // plaintext bytes of a full unit
inline constexpr uint32_t kMaxRun = 1 << 20;  // plaintext bytes that one append() takes

// Consecutive units in the log: every one but the last is full. Named by the birth of its first unit for ever, wherever
// reclaiming moves the bytes.
struct Run {
  uint64_t segment = 0;
  uint64_t offset = 0;  // of the first unit's ciphertext
  uint32_t length = 0;  // plaintext bytes
  bool head = false;    // the first unit is the first of its log record: releasing it releases the record's header too

  uint32_t units() const { return (length + kUnitSize - 1) / kUnitSize; }
  uint64_t stored_length() const { return uint64_t{length} + uint64_t{units()} * kTagSize; }
  uint64_t room() const { return stored_length() + (head ? kRecordHeaderSize : 0); }  // that releasing it gives back
  // The run without its first / with only its first `units` units. 0 < units < this->units().
  Run drop_front(uint32_t units) const;
  Run keep_front(uint32_t units) const;
  bool operator==(const Run&) const = default;
};

class Transaction {
 public:
  // key: 1 to 500 bytes, first byte >= 0x20 (lower ones are the store's own). value: at most 1 MiB.
  void put(Scope scope, std::string key, std::string value) {
    puts_.push_back({scope, std::move(key), std::move(value)});
  }
  void erase(std::string key) { erased_.push_back(std::move(key)); }
  // The run is referenced no longer: by nothing, not even an older version. Its space comes back after the quarantine.
  void release(const Run& run) { released_.push_back(run); }
  // For who decides what a reference given up means before the transaction is committed.
  std::vector<Run>& released() { return released_; }
  // An opaque change record; written into the commit frame with the transaction's sequence number and time.
  void record(std::string encoded) { records_.push_back(std::move(encoded)); }
  // The keys of everything that is put or erased.
  template <class Visit>
  void each_key(const Visit& visit) const {
    for (const Put& put : puts_) visit(std::string_view(put.key));
    for (const std::string& key : erased_) visit(std::string_view(key));
  }
  bool empty() const { return puts_.empty() && erased_.empty() && released_.empty() && records_.empty(); }

 private:
  friend class Store;
  struct Put {
    Scope scope;
    std::string key;
    std::string value;
  };
  // Within one transaction a key is put or erased at most once (the last put of a key wins over earlier ones; an erase
  // wins over all puts).
  std::vector<Put> puts_;
  std::vector<std::string> erased_;
  std::vector<Run> released_;
  std::vector<std::string> records_;
};

// Merged, decrypted view of memtables and index. Used by one thread, for less than a second. Not a point in time: each
// step is consistent, changes made while scanning may or may not be seen. Values are opened with the given scope; one
// that does not verify is kCorrupt.
class StoreView {
 public:
  ~StoreView();
  StoreView(StoreView&&) noexcept;
  Result<std::optional<std::string>> get(Scope scope, std::string_view key);
  struct Entry {
    std::string key;
    std::string value;
  };
  // The first entry with from <= key < end; then the ones after it. Empty `end`: no bound.
  Result<std::optional<Entry>> seek(Scope scope, std::string_view from, std::string_view end);
  Result<std::optional<Entry>> next(Scope scope, std::string_view end);
  // The key alone of the first entry with from <= key < end: for a check, to step over a value that does not verify.
  Result<std::optional<std::string>> seek_key(std::string_view from, std::string_view end);
  // The last entry with floor <= key < before.
  Result<std::optional<Entry>> last_before(Scope scope, std::string_view before, std::string_view floor);

  struct Impl;
  explicit StoreView(std::unique_ptr<Impl> impl);  // for the store itself

 private:
  std::unique_ptr<Impl> impl_;
};

// Opening a store that is damaged, to put it right (repair.h): what does not verify does not keep it from opening.
enum class RepairMode {
  kNone,
  kRehearse,  // every change stays in memory: what the disk holds is as it was, whatever is committed
  kRepair,
};

struct StoreOptions {
  LogOptions log;
  bool read_only = false;
  RepairMode repair = RepairMode::kNone;
  bool new_index = false;                            // rehearse on the index that build_new_index() made
  std::string index_copy;                            // directory of the second copy of the index; empty: none is kept
  uint64_t index_copy_journal = uint64_t{32} << 20;  // bytes of journals that are kept however small the base is
  uint64_t frame_bytes = uint64_t{4} << 20;          // pending bytes that close the open frame early
  uint64_t memtable_bytes = uint64_t{16} << 20;      // heap bytes at which a memtable is handed to the checkpoint
  uint64_t memtable_limit = uint64_t{80} << 20;      // heap bytes of all memtables at which commit() waits
  int64_t commit_interval = 1'000'000'000;           // ns between commits of what nobody synced
  int64_t checkpoint_interval = 10'000'000'000;      // ns after which a memtable is checkpointed however small
  uint64_t reserve_bytes = uint64_t{64} << 20;       // preallocated, so that deleting works on a full disk
  bool background = true;  // false: no threads; tests drive commit, checkpoint and reclaim by hand
  double rewrite_threshold =
      0.10;  // room beyond the live bytes, as a share of them, above which segments are rewritten
};

struct StoreStatus {
  std::string uuid;  // 8-4-4-4-12 hex digits
  bool read_only = false;
  std::string read_only_reason;
  uint64_t sequence = 0;  // of the last transaction
  uint64_t durable_sequence = 0;
  uint64_t segments = 0;
  uint64_t log_bytes = 0;    // room the segments occupy on the medium
  uint64_t dead_bytes = 0;   // of these, known to be referenced no longer and not yet given back
  uint64_t index_bytes = 0;  // size of the index
  uint64_t index_copy_bytes = 0;
  bool index_copy_whole = false;
  uint64_t memtable_bytes = 0;
  bool full = false;  // the reserve is spent: content is refused until `room_needed` bytes are free on the disk
  uint64_t room_needed = 0;
  uint64_t checkpoints = 0;  // since the start
  RecoveryReport recovery;
};

struct RebuildReport {
  uint64_t entries = 0;   // of the copy: those of its base, and changes since
  uint64_t bytes = 0;     // of the copy
  uint64_t frames = 0;    // of the log, replayed on top
  std::string old_index;  // the directory that the index that was there is in; empty: there was none
};
// done and total are of the same unit; total 0: unknown. Returns whether to go on; if not, the operation ends soon with
// kInterrupted, and what it has done stays.
using Progress = std::function<bool(uint64_t done, uint64_t total)>;
inline std::unexpected<Error> interrupted() { return fail(Code::kInterrupted, "stopped before it was finished"); }

// What a repair of the log cannot keep: commits that were made on top of one that is lost.
struct LostChanges {
  uint64_t frames = 0;
  uint64_t first_sequence = 0;  // of their transactions
  uint64_t last_sequence = 0;
  int64_t first_time = 0;  // ns since 1970
  int64_t last_time = 0;
  std::vector<std::string> keys;  // what they changed, sorted; the first 100,000
};

struct BackupReport {
  uint64_t segments = 0;
  uint64_t bytes = 0;     // that the backup has
  uint64_t copied = 0;    // of these, copied now
  uint64_t sequence = 0;  // of the last transaction in it
};

struct BackupRequest {
  bool replace = false;  // also a backup that has what this store has not
  // What is known to be lost, by whoever keeps account of it: records of the index; segments that the content was born
  // in.
  bool lost_records = false;
  std::set<uint64_t> lost_segments;
  // What the target is reached through; null: what the store is.
  Env* target_env = nullptr;
  // For each of these segments in which content was born: the end of what it has there. Without: nobody knows content.
  std::function<Result<std::map<uint64_t, uint64_t>>(const std::set<uint64_t>& segments)> content;
};

class Store {
 public:
  // Makes a store in `directory`, which must be missing or empty. kExists if there is one, kNotEmpty if something else
  // is there. After a failure nothing usable is left and the directory is as before where possible.
  static Status create(Env& env, const std::string& directory, const UnlockSecret& secret, const std::string& label,
                       const ScryptCost& cost = {});
  // Opens with the lock held until the destructor: kInUse names the pid that has it; kWrongKey; kTooNew names both
  // formats; kCorrupt; kNotFound when there is no store. Recovery has run when this returns.
  // A store whose log is damaged is as it was before the damage, and read-only: its status says why.
  static Result<std::unique_ptr<Store>> open(Env& env, const std::string& directory, const UnlockSecret& secret,
                                             const StoreOptions& options = {});
  // Builds the index anew from its second copy and the log, with the store's lock held. kNotFound: there is no copy;
  // kCorrupt: the copy is damaged, or the log does not follow on it. The old index is kept beside the new one.
  static Result<RebuildReport> rebuild_index(Env& env, const std::string& directory, const UnlockSecret& secret,
                                             const Progress& progress);
  // For a repair, with the store's lock held by nobody: builds an index beside the one that is there, for
  // StoreOptions::new_index; puts it in the other one's place, which is kept; or removes it.
  static Status build_new_index(Env& env, const std::string& directory, const UnlockSecret& secret,
                                const Progress& progress);
  static Status install_new_index(Env& env, const std::string& directory);
  static Status discard_new_index(Env& env, const std::string& directory);
  // Copies the store as it is now into `target`, while it is used: all of it into a directory that is missing or empty,
  // and what is new into one with an earlier backup. `target` is no store: restore() makes one of it, without a key.
  // When it ends early, run it again. kNotEmpty, kExists: something else is there, or a backup with changes that this
  // store has not. kCorrupt: the store is damaged. kNoSpace: the target is full.
  Result<BackupReport> backup(const std::string& target, const Progress& progress, const BackupRequest& request = {});
  // Makes a store in `directory`, which is missing or empty, of a backup. Its index is built when it is first opened.
  static Result<BackupReport> restore(Env& env, const std::string& backup, const std::string& directory,
                                      const Progress& progress);
  // As open, on an index and a log storage that the caller provides (tests). Key material comes from `keyring`.
  static Result<std::unique_ptr<Store>> open_with(Env& env, std::unique_ptr<Keyring> keyring,
                                                  std::unique_ptr<Index> index, std::unique_ptr<LogStorage> storage,
                                                  std::string uuid, const StoreOptions& options);
  // Without close(): as a crash would, but for what the threads were doing. Tests use that.
  ~Store();
  // Commits, syncs, checkpoints everything, seals the log. Nothing may be called afterwards.
  Status close();

  // --- Reading
  StoreView view() const;
  Result<std::optional<std::string>> get(Scope scope, std::string_view key) const;

  // --- Changing
  // Applies the transaction; returns its sequence number. Readers see it at once. May wait for the checkpoint when
  // memory is short; holds none of the caller's locks hostage to a sync. kReadOnly after a failure.
  Result<uint64_t> commit(Transaction&& transaction);
  // Makes every transaction that was committed before the call durable. Shared by all who wait.
  Status sync();
  uint64_t sequence() const;  // of the last transaction
  // The sequence number at which the last commit frame ended: states between two frames were never durable.
  uint64_t frame_sequence() const;

  // --- Content
  // Encrypts and appends 1 to kMaxRun bytes. The run is readable at once; it is durable with the next sync() that
  // follows the commit that refers to it. A run that no transaction ever refers to is released with discard().
  // kNoSpace, kQuota: the disk is full (the last reserve is kept for deletions).
  Result<Run> append(Scope scope, std::string_view plaintext);
  void discard(const Run& run);
  // Reads plaintext bytes [skip, skip + out.size()) of the run. kCorrupt if a unit does not verify: never other data.
  // The caller holds a ReadGuard taken before it looked the run up.
  Status read(Scope scope, const Run& run, uint32_t skip, std::span<char> out) const;
  // Space that is released while a guard is held is not reused or punched until the guard is gone.
  class ReadGuard {
   public:
    explicit ReadGuard(const Store& store);
    ~ReadGuard();
    ReadGuard(const ReadGuard&) = delete;
    ReadGuard& operator=(const ReadGuard&) = delete;

   private:
    const Store& store_;
    const unsigned slot_;
  };

  // --- Keys
  Status create_scope(Scope scope);   // durable at return
  Status destroy_scope(Scope scope);  // durable at return; syncs the store first
  bool has_scope(Scope scope) const;
  // The token of a name: 16 bytes, keyed per scope. The caller knows that the scope exists.
  std::array<char, 16> token(Scope scope, std::string_view name) const;
  Keyring& keyring();

  // --- Upkeep
  Status checkpoint();  // moves everything durable into the index now
  // One pass over released space: punches holes, rewrites and removes segments. Returns bytes given back.
  Result<uint64_t> reclaim();
  StoreStatus status() const;
  Env& env() const;
  // Content is refused, and the log has said so (StoreStatus::full).
  bool is_full() const;
  // Free and total room for statfs: the file system below, less the reserve, also where that has to come back first.
  Result<Space> space() const;
  // Verifies what needs no knowledge of files: every value in the index opens with its scope's key is the core's
  // business; here: dead ranges, relocations and segments agree; with `deep`, frames and record digests. Reports each
  // problem.
  // `proceed` is asked between segments; its failure ends the check and is returned.
  // `kind`: "log", "space" or "index".
  using CheckSink = std::function<void(std::string_view kind, std::string problem)>;
  Status check(bool deep, const CheckSink& report, const std::function<Status()>& proceed = {}) const;
  // Room in the log that is not known to be free. Content has all of it, but for what a crash left behind. Two that are
  // equal: nothing was written in between. nullopt: something is being written, or the log is damaged.
  struct LiveRoom {
    uint64_t bytes = 0;
    uint64_t sequence = 0;
    Position tail;
    bool operator==(const LiveRoom&) const = default;
  };
  Result<std::optional<LiveRoom>> live_room() const;
  // --- Repair (repair.cc), in a store that was opened for it. One thread, in this order. `report` gets each thing that
  // is put right.
  const LostChanges& lost_changes() const;
  using Report = std::function<void(std::string)>;
  // The store's own records that do not verify or contradict each other.
  Status repair_tables(const Report& report);
  // Room that content refers to is neither dead nor released; room in damaged segments that nothing refers to is
  // released. `referenced`: all that content refers to, in any order.
  Status repair_room(const std::vector<Run>& referenced, const Report& report, const std::function<Status()>& proceed);
  // Makes everything durable, in the index too, and removes segments that are of no use any more.
  Status finish_repair();
  // True when `run` lies wholly in room that the log still holds and no dead range touches it.
  Result<bool> run_is_live(const Run& run) const;

  struct Impl;

 private:
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pailfs
