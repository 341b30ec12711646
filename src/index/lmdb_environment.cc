#include "index/lmdb_environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <map>
#include <utility>

#include "base/logging.h"
#include "index/lmdb_file.h"
#include "index/lmdb_pages.h"

namespace pailfs {

constinit thread_local std::jmp_buf* lmdb_assertion_exit = nullptr;

namespace {

// Durable commits, and no option that trades them or the heap's privacy for speed. NOTLS: a reader slot belongs to a
// transaction, which may move between threads. NORDAHEAD: access is random.
constexpr unsigned kEnvironmentFlags = MDB_NOTLS | MDB_NORDAHEAD;
constexpr uint64_t kSmallestFallbackMap = uint64_t{1} << 26;
constexpr std::chrono::seconds kSlowDrain{1};

std::string data_file(const std::string& directory) { return directory + "/data.mdb"; }

// LMDB calls this when an internal assertion fails, that is on a damaged file, and aborts the process when it returns.
void leave_assertion(MDB_env* env, const char* message) {
  const auto* self = static_cast<const LmdbEnvironment*>(mdb_env_get_userctx(env));
  log_error("the index in {} is damaged (LMDB: {}); rebuild it from the log", self->directory(), message);
  if (lmdb_assertion_exit != nullptr)
    std::longjmp(*lmdb_assertion_exit, 1);  // NOLINT(cert-err52-cpp): out of a C library
}

// Environments that must not be closed; see LmdbEnvironment::abandon(). Never destroyed.
struct Abandoned {
  Mutex mutex;
  std::map<std::string, MDB_env*> environments GUARDED_BY(mutex);  // by directory
};
Abandoned& abandoned() {
  static auto& instance = *new Abandoned;
  return instance;
}

Status check_not_abandoned(const std::string& directory) {
  MutexLock lock(abandoned().mutex);
  if (!abandoned().environments.contains(directory)) return {};
  return fail(Code::kBusy,
              fmt::format("the index in {} was found damaged by this process; start a new one", directory));
}

// Descriptors 0 to 2 must be taken, or LMDB gets one of them and what anybody prints lands in the index.
Status check_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) {
      return fail(Code::kInvalid, fmt::format("descriptor {} is closed; open it (on /dev/null) before the index", fd));
    }
  }
  return {};
}

// LMDB syncs its file but never the directory that names it. It does its own I/O, so this does not go through Env.
Status sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(system_error(errno, "opening the directory " + directory));
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failed != 0) return std::unexpected(system_error(failed, "syncing the directory " + directory));
  return {};
}

}  // namespace

Error lmdb_error(int code, std::string_view doing) {
  if (code > 0) return system_error(code, doing);
  if (code == kLmdbAssertionFailed) return Error{Code::kCorrupt, fmt::format("{}: LMDB: damaged pages", doing)};
  Code mapped = Code::kIo;
  switch (code) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      mapped = Code::kCorrupt;
      break;
    case MDB_MAP_FULL:
      mapped = Code::kNoSpace;
      break;
    default:
      break;
  }
  return Error{mapped, fmt::format("{}: LMDB: {}", doing, mdb_strerror(code))};
}

Result<std::shared_ptr<LmdbEnvironment>> LmdbEnvironment::open(const std::string& directory,
                                                               const LmdbOptions& options) {
  PAILFS_TRY(check_standard_descriptors());
  PAILFS_TRY(check_not_abandoned(directory));
  if (options.map_size == 0 || options.max_snapshots == 0) {
    return fail(Code::kInvalid, "an index needs a map and at least one snapshot");
  }
  // Once: what this process writes it does not doubt.
  PAILFS_ASSIGN(const auto meta, check_lmdb_file(data_file(directory)));
  if (meta) PAILFS_TRY(check_lmdb_pages(data_file(directory), *meta));
  std::shared_ptr<LmdbEnvironment> environment(new LmdbEnvironment(directory, options));
  PAILFS_TRY(environment->open_environment(options.map_size));
  if (environment->map_bytes() < options.map_size) {
    log_warning("the index in {} has {} KiB of address space, not {}: this process may not have more", directory,
                environment->map_bytes() >> 10, options.map_size >> 10);
  }
  // Also where the files exist already: the process that created them may have died before it came to this.
  if (const int rc = mdb_env_sync(environment->env_, 1); rc != 0) {
    return std::unexpected(lmdb_error(rc, "syncing the index in " + directory));
  }
  PAILFS_TRY(sync_directory(directory));
  return environment;
}

LmdbEnvironment::~LmdbEnvironment() { close_environment(); }

void LmdbEnvironment::abandon() {
  abandoned_ = true;
  MutexLock lock(abandoned().mutex);
  abandoned().environments[directory_] = env_;
}

// Leaves env_ null on failure. Halves the map where the process may not have as much address space (RLIMIT_AS).
Status LmdbEnvironment::open_environment(uint64_t map_size) {
  const std::string doing = "opening the index in " + directory_;
  PAILFS_TRY(check_lmdb_file(data_file(directory_)));
  for (;;) {
    MDB_env* env = nullptr;
    int rc = mdb_env_create(&env);
    if (rc != 0) return std::unexpected(lmdb_error(rc, doing));
    rc = mdb_env_set_mapsize(env, map_size);
    if (rc == 0) rc = mdb_env_set_maxreaders(env, options_.max_snapshots);
    if (rc == 0) rc = mdb_env_open(env, directory_.c_str(), kEnvironmentFlags, 0600);
    if (rc == 0) {
      env_ = env;
      break;
    }
    mdb_env_close(env);
    if (rc != ENOMEM || map_size / 2 < kSmallestFallbackMap) return std::unexpected(lmdb_error(rc, doing));
    map_size /= 2;
  }
  Status opened = open_database();
  if (!opened) {
    mdb_env_close(env_);
    env_ = nullptr;
  }
  return opened;
}

Status LmdbEnvironment::open_database() {
  const std::string doing = "opening the index in " + directory_;
  mdb_env_set_userctx(env_, this);
  mdb_env_set_assert(env_, leave_assertion);
  mdb_filehandle_t fd = -1;
  int rc = mdb_env_get_fd(env_, &fd);
  if (rc != 0) return std::unexpected(lmdb_error(rc, doing));
  // LMDB sets this on its other descriptors, not on that of the data file.
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return std::unexpected(system_error(errno, doing));
  PAILFS_TRY(extend_lmdb_file(fd, high_water_bytes(), data_file(directory_)));
  // Slots of processes that were killed pin old pages. Once is enough: no other process comes while the store is
  // locked.
  int stale = 0;
  rc = mdb_reader_check(env_, &stale);
  if (rc != 0) return std::unexpected(lmdb_error(rc, doing));
  MDB_txn* txn = nullptr;
  rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (rc != 0) return std::unexpected(lmdb_error(rc, doing));
  rc = mdb_dbi_open(txn, nullptr, 0, &dbi_);
  mdb_txn_abort(txn);
  if (rc != 0) return std::unexpected(lmdb_error(rc, doing));
  return {};
}

void LmdbEnvironment::close_environment() {
  std::vector<Reader> idle;
  {
    MutexLock lock(mutex_);
    idle.swap(idle_);
  }
  for (const Reader& reader : idle) destroy(reader);
  if (env_ != nullptr && !abandoned_) mdb_env_close(env_);
  env_ = nullptr;
}

void LmdbEnvironment::destroy(const Reader& reader) {
  if (reader.scan != nullptr) mdb_cursor_close(reader.scan);
  if (reader.probe != nullptr) mdb_cursor_close(reader.probe);
  if (reader.txn != nullptr) mdb_txn_abort(reader.txn);
}

// No more slots are used than max_snapshots: every reader that exists is out or idle, and idle ones are taken first.
Result<LmdbEnvironment::Reader> LmdbEnvironment::acquire_reader() {
  Reader reader;
  {
    MutexLock lock(mutex_);
    while (gate_closed_ || readers_out_ >= options_.max_snapshots) changed_.wait(mutex_);
    if (dead_) return std::unexpected(*dead_);
    if (!idle_.empty()) {
      reader = idle_.back();
      idle_.pop_back();
    }
    ++readers_out_;  // from here on the environment stays as it is
  }
  Status active = activate(reader);
  if (active) return reader;
  destroy(reader);
  MutexLock lock(mutex_);
  --readers_out_;
  changed_.notify_all();
  return std::unexpected(std::move(active).error());
}

// LMDB's readers (mdb_txn_renew0) learn the number n of the newest commit from shared memory and then copy the tree's
// root from meta page n mod 2. Where the thread is held up between the two for longer than a commit takes, commit n + 2
// may have begun to overwrite that page: the reader sees a state that is neither published nor durable, and its next
// transaction an older one. So a transaction counts only if, after it began, commit n + 2 had not begun.
Status LmdbEnvironment::activate(Reader& reader) {
  int rc = 0;
  for (bool usable = false; rc == 0 && !usable;) {
    if (reader.txn == nullptr) {
      rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader.txn);
    } else {
      mdb_txn_reset(reader.txn);
      rc = mdb_txn_renew(reader.txn);
    }
    // A read-modify-write, so that the reads above cannot be moved behind it.
    if (rc == 0) usable = committing_.fetch_add(0) < mdb_txn_id(reader.txn) + 2;
  }
  if (rc == 0 && reader.scan != nullptr) rc = mdb_cursor_renew(reader.txn, reader.scan);
  if (rc == 0 && reader.probe != nullptr) rc = mdb_cursor_renew(reader.txn, reader.probe);
  if (rc != 0) return std::unexpected(lmdb_error(rc, "reading the index in " + directory_));
  return {};
}

void LmdbEnvironment::release_reader(Reader reader) {
  mdb_txn_reset(reader.txn);
  MutexLock lock(mutex_);
  idle_.push_back(reader);
  --readers_out_;
  changed_.notify_all();
}

bool LmdbEnvironment::close_gate(std::optional<std::chrono::milliseconds> patience) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Clock::time_point complain_at = start + kSlowDrain;
  MutexLock lock(mutex_);
  gate_closed_ = true;
  while (readers_out_ > 0) {
    const Clock::time_point now = Clock::now();
    if (patience && now - start >= *patience) {
      gate_closed_ = false;
      changed_.notify_all();
      return false;
    }
    if (now >= complain_at) {
      log_warning("the index in {} cannot grow: {} snapshots have not ended for {} s", directory_, readers_out_,
                  std::chrono::duration_cast<std::chrono::seconds>(now - start).count());
      complain_at = now + 10 * kSlowDrain;
    }
    const Clock::time_point until = patience ? std::min(complain_at, start + *patience) : complain_at;
    changed_.wait_for(mutex_, until - now);
  }
  return true;
}

void LmdbEnvironment::open_gate() {
  MutexLock lock(mutex_);
  gate_closed_ = false;
  changed_.notify_all();
}

Result<LmdbEnvironment::Growth> LmdbEnvironment::grow(std::optional<std::chrono::milliseconds> patience) {
  if (!close_gate(patience)) return Growth::kReadersStayed;
  const uint64_t old_size = map_bytes();
  const int rc = mdb_env_set_mapsize(env_, 2 * old_size);
  // On failure the old map is gone as well, and only a new environment brings it back.
  const Status restored = rc == 0 ? Status() : replace_environment(old_size);
  open_gate();
  if (!restored) return std::unexpected(restored.error());
  if (rc != 0) {
    log_warning("reserving {} KiB of address space for the index in {}: {}", (2 * old_size) >> 10, directory_,
                mdb_strerror(rc));
    return Growth::kNoAddressSpace;
  }
  log_info("the index in {} has reserved {} KiB of address space", directory_, (2 * old_size) >> 10);
  return Growth::kDone;
}

Status LmdbEnvironment::reopen() {
  close_gate(std::nullopt);
  const Status opened = replace_environment(map_bytes());
  open_gate();
  return opened;
}

Status LmdbEnvironment::open_as_before(uint64_t map_size) {
  if (AsFileUser::current().uid == opener_.uid) return open_environment(map_size);
  PAILFS_ASSIGN(const auto as, AsFileUser::begin(opener_));
  return open_environment(map_size);
}

// Behind the closed gate, which is what lets it work without the mutex.
Status LmdbEnvironment::replace_environment(uint64_t map_size) {
  close_environment();
  committing_ = 0;  // numbers may begin again below the last one
  Status opened = open_as_before(map_size);
  MutexLock lock(mutex_);
  if (!opened) dead_ = opened.error();
  return opened;
}

uint64_t LmdbEnvironment::map_bytes() const {
  MDB_envinfo info = {};
  mdb_env_info(env_, &info);
  return info.me_mapsize;
}

uint64_t LmdbEnvironment::high_water_bytes() const {
  MDB_envinfo info = {};
  MDB_stat stat = {};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  return (uint64_t{info.me_last_pgno} + 1) * stat.ms_psize;
}

uint64_t LmdbEnvironment::file_bytes() const {
  mdb_filehandle_t fd = -1;
  struct stat attributes = {};
  if (mdb_env_get_fd(env_, &fd) != 0 || ::fstat(fd, &attributes) != 0) return 0;
  return static_cast<uint64_t>(attributes.st_size);
}

bool LmdbEnvironment::poisoned() const {
  MDB_txn* txn = nullptr;
  const int rc = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (rc == 0) mdb_txn_abort(txn);
  return rc == MDB_PANIC;
}

// Asks for the space and gives it back: statvfs would know no quotas.
bool LmdbEnvironment::disk_full(uint64_t bytes) const {
  mdb_filehandle_t fd = -1;
  struct stat attributes = {};
  if (mdb_env_get_fd(env_, &fd) != 0 || ::fstat(fd, &attributes) != 0) return false;
  const int rc = ::fallocate(fd, FALLOC_FL_KEEP_SIZE, attributes.st_size, static_cast<off_t>(bytes));
  bool full = rc != 0 && (errno == ENOSPC || errno == EDQUOT);
  if (rc != 0 && errno == EOPNOTSUPP) {
    struct statvfs space = {};
    full = ::fstatvfs(fd, &space) == 0 && uint64_t{space.f_bavail} * space.f_frsize < bytes;
  }
  // Blocks behind the end of a file go when it is truncated to the size that it has.
  if (::ftruncate(fd, attributes.st_size) != 0) log_warning("giving back space of the index in {} failed", directory_);
  return full;
}

}  // namespace pailfs
