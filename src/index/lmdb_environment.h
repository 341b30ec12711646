// The LMDB environment of an index and the gate around it: LMDB leaves it to its user that nobody reads while the map
// is replaced. LMDB's rules that this file keeps: one environment per file and process, read transactions pooled with
// MDB_NOTLS (one reader slot each, for ever), cursors renewed with their transaction.
#pragma once

#include <lmdb.h>

#include <atomic>
#include <chrono>
#include <csetjmp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "index/lmdb_index.h"
#include "io/user_env.h"

namespace pailfs {

// The Error for a code that LMDB returned: its own codes, or an errno.
Error lmdb_error(int code, std::string_view doing);

// Runs `call`, which does nothing but call LMDB, and returns its code; kLmdbAssertionFailed when an assertion inside
// LMDB fails, which is what it makes of many damaged pages, and would abort the process otherwise. A read transaction
// may go on after that. A write transaction is lost: see LmdbEnvironment::abandon().
inline constexpr int kLmdbAssertionFailed = -1;                   // none of LMDB's codes, no errno
extern constinit thread_local std::jmp_buf* lmdb_assertion_exit;  // where to go on; null outside of guard_lmdb()
template <class Call>
int guard_lmdb(const Call& call) {
  // longjmp leaves frames of LMDB and of `call` only, which have nothing to destroy.
  std::jmp_buf here;
  volatile int rc = kLmdbAssertionFailed;
  lmdb_assertion_exit = &here;
  if (setjmp(here) == 0) rc = call();  // NOLINT(cert-err52-cpp): out of a C library
  lmdb_assertion_exit = nullptr;
  return rc;
}

class LmdbEnvironment {
 public:
  static Result<std::shared_ptr<LmdbEnvironment>> open(const std::string& directory, const LmdbOptions& options);
  ~LmdbEnvironment();  // no reader is out
  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;

  // A read transaction with the cursors that were opened in it so far.
  struct Reader {
    MDB_txn* txn = nullptr;
    MDB_cursor* scan = nullptr;   // where seek() and next() stand
    MDB_cursor* probe = nullptr;  // for last_before()
  };
  // A reader on the newest state. Waits while the gate is closed, and while max_snapshots are out.
  Result<Reader> acquire_reader() EXCLUDES(mutex_);
  void release_reader(Reader reader) EXCLUDES(mutex_);

  // Good while a reader is out, and in the thread that applies batches.
  MDB_env* env() const { return env_; }
  MDB_dbi dbi() const { return dbi_; }
  const std::string& directory() const { return directory_; }
  uint64_t map_bytes() const;
  uint64_t high_water_bytes() const;  // where pages have been allocated up to, free ones included
  uint64_t file_bytes() const;

  // The rest is for the thread that applies batches, with no transaction open.

  // To be called before the commit of transaction `id`: see activate().
  void announce_commit(uint64_t id) { committing_.exchange(id); }

  // Doubles the map, behind the closed gate. With `patience`, gives up when readers stay out for longer; without, waits
  // as long as it takes. An error means that nothing can be read any more.
  enum class Growth { kDone, kReadersStayed, kNoAddressSpace };  // the latter two: the map is as before
  Result<Growth> grow(std::optional<std::chrono::milliseconds> patience) EXCLUDES(mutex_);
  // After a failed write of a meta page LMDB answers everything with MDB_PANIC, readers too.
  bool poisoned() const;
  // Closes the environment and opens it again, behind the gate. After a failure nothing can be read any more.
  Status reopen() EXCLUDES(mutex_);
  // After an assertion failed in a write transaction: it can be neither committed nor aborted, as LMDB has cursors of
  // it in stack frames that are gone, and LMDB's write lock, a robust mutex in mapped memory, stays with this thread.
  // So the map must stay for as long as the process lives. Readers go on; nothing is written any more, and this process
  // does not open the directory again.
  void abandon();
  // True when the file system cannot give the file `bytes` more.
  bool disk_full(uint64_t bytes) const;

 private:
  LmdbEnvironment(std::string directory, const LmdbOptions& options)
      : directory_(std::move(directory)), options_(options) {}

  Status open_environment(uint64_t map_size);
  Status open_database();
  void close_environment() EXCLUDES(mutex_);
  Status open_as_before(uint64_t map_size);
  Status replace_environment(uint64_t map_size) EXCLUDES(mutex_);
  bool close_gate(std::optional<std::chrono::milliseconds> patience) EXCLUDES(mutex_);
  void open_gate() EXCLUDES(mutex_);
  Status activate(Reader& reader);
  static void destroy(const Reader& reader);

  const std::string directory_;
  const LmdbOptions options_;
  const FileUser opener_ = AsFileUser::current();  // with whose rights it is opened again, whichever thread does
  // Changed only while the gate is closed and no reader is out, by the thread that applies batches.
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
  bool abandoned_ = false;  // env_ is never closed

  std::atomic<uint64_t> committing_ = 0;  // number of the transaction whose commit began last

  Mutex mutex_;  // innermost; never held across I/O
  CondVar changed_;
  bool gate_closed_ GUARDED_BY(mutex_) = false;
  unsigned readers_out_ GUARDED_BY(mutex_) = 0;
  std::vector<Reader> idle_ GUARDED_BY(mutex_);   // reset transactions: each owns a reader slot
  std::optional<Error> dead_ GUARDED_BY(mutex_);  // why there is no environment any more
};

}  // namespace pailfs
