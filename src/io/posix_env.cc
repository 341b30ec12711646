#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <optional>
#include <system_error>

#include "base/mutex.h"
#include "io/env.h"

namespace pailfs {

namespace {

std::unexpected<Error> failed(std::string_view doing, const std::string& path) {
  const int errnum = errno;
  return std::unexpected(system_error(errnum, fmt::format("{} {}", doing, path)));
}

// Repeats a system call for as long as a signal interrupts it.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags) {
  Descriptor fd(retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0600); }));
  if (fd.get() < 0) return failed("opening", path);
  return fd;
}

// What is written is never behind a link that somebody put in the place of a file.
int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR | O_NOFOLLOW;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

class PosixFile : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, std::span<char> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      const ssize_t n = retry([&] {
        return ::pread(fd_.get(), out.data() + filled, out.size() - filled, static_cast<off_t>(offset + filled));
      });
      if (n < 0) return failed("reading", path_);
      if (n == 0) break;
      filled += static_cast<size_t>(n);
    }
    return filled;
  }

  Status write_at(uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const ssize_t n =
          retry([&] { return ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
      if (n < 0) return failed("writing", path_);
      if (n == 0) return fail(Code::kIo, fmt::format("writing {}: nothing was written", path_));
      offset += static_cast<uint64_t>(n);
      data.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }

  // The kernel reports a write-out error to one fdatasync per descriptor, marks the pages clean, and lets the next call
  // succeed. So the first failure is kept, and calls take turns: one that ran beside the failing one would report
  // success for data that is lost. Not retried on EINTR either: what was written then is not known.
  Status sync_data() override {
    MutexLock lock(sync_mutex_);
    if (sync_error_) return std::unexpected(*sync_error_);
    if (::fdatasync(fd_.get()) == 0) return {};
    sync_error_ = system_error(errno, fmt::format("syncing {}", path_));
    return std::unexpected(*sync_error_);
  }

  Status allocate(uint64_t offset, uint64_t length) override {
    return fallocate(0, "reserving room in", offset, length);
  }
  Status punch(uint64_t offset, uint64_t length) override {
    return fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punching a hole into", offset, length);
  }

  Status truncate(uint64_t size) override {
    if (retry([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0)
      return failed("truncating", path_);
    return {};
  }

  Result<uint64_t> size() override {
    struct stat st;
    if (::fstat(fd_.get(), &st) != 0) return failed("examining", path_);
    return static_cast<uint64_t>(st.st_size);
  }

  Result<uint64_t> allocated() override {
    struct stat st;
    if (::fstat(fd_.get(), &st) != 0) return failed("examining", path_);
    return static_cast<uint64_t>(st.st_blocks) * 512;
  }

  void start_writeback(uint64_t offset, uint64_t length) override {
    (void)::sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
  }
  void drop_cache(uint64_t offset, uint64_t length) override {
    (void)::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_DONTNEED);
  }

 private:
  Status fallocate(int mode, std::string_view doing, uint64_t offset, uint64_t length) {
    if (length == 0) return {};
    const int rc =
        retry([&] { return ::fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(length)); });
    if (rc == 0) return {};
    if (errno == ENOSYS) errno = EOPNOTSUPP;
    return failed(doing, path_);
  }

  const Descriptor fd_;
  const std::string path_;
  Mutex sync_mutex_;
  std::optional<Error> sync_error_ GUARDED_BY(sync_mutex_);
};

// Closing the descriptor releases the lock. The file stays: removing it would let two processes lock two files.
class PosixFileLock : public FileLock {
 public:
  explicit PosixFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t n = retry([&] { return ::pread(fd, text, sizeof(text) - 1, 0); });
  int pid = 0;
  if (n <= 0 || std::sscanf(text, "%d", &pid) != 1) return "another process";
  return fmt::format("process {}", pid);
}

class PosixEnv : public Env {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    PAILFS_ASSIGN(Descriptor fd, open_descriptor(path, flags_of(mode)));
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("renaming", fmt::format("{} to {}", from, to));
    return {};
  }

  Status remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return failed("removing", path);
    return {};
  }

  Status make_dir(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) != 0) return failed("making directory", path);
    return {};
  }

  // Final as PosixFile::sync_data is, and for the same reason.
  Status sync_dir(const std::string& path) override {
    PAILFS_ASSIGN(const Descriptor fd, open_descriptor(path, O_RDONLY | O_DIRECTORY));
    MutexLock lock(sync_mutex_);
    if (const auto it = failed_directories_.find(path); it != failed_directories_.end()) {
      return std::unexpected(it->second);
    }
    if (::fsync(fd.get()) == 0) return {};
    const Error error = system_error(errno, fmt::format("syncing directory {}", path));
    failed_directories_.emplace(path, error);
    return std::unexpected(error);
  }

  Result<std::vector<std::string>> list_dir(const std::string& path) override {
    PAILFS_ASSIGN(Descriptor fd, open_descriptor(path, O_RDONLY | O_DIRECTORY));
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd.get()), &::closedir);
    if (directory == nullptr) return failed("listing", path);
    fd.release();  // the stream owns it now
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return failed("listing", path);
    std::ranges::sort(names);
    return names;
  }

  Result<bool> exists(const std::string& path) override {
    struct stat st;
    if (::lstat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return failed("examining", path);
  }

  Result<Space> space(const std::string& path) override {
    struct statvfs st;
    if (retry([&] { return ::statvfs(path.c_str(), &st); }) != 0) return failed("examining the file system of", path);
    return Space{.total = uint64_t{st.f_blocks} * st.f_frsize, .available = uint64_t{st.f_bavail} * st.f_frsize};
  }

  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    auto fd = open_descriptor(path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!fd && fd.error().code == Code::kReadOnly) {
      fd.error().message += ": a store is locked and brought up to date also to be read; copy it to a writable disk";
    }
    if (!fd) return std::unexpected(std::move(fd).error());
    if (retry([&] { return ::flock(fd->get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK)
        return fail(Code::kInUse, fmt::format("{} is locked by {}", path, holder_of(fd->get())));
      return failed("locking", path);
    }
    // Fixed width, so that a shorter pid overwrites a longer one. Only for the message above: on a full disk the lock
    // is as good without it.
    const std::string pid = fmt::format("{:>10}\n", ::getpid());
    [[maybe_unused]] const ssize_t written = retry([&] { return ::pwrite(fd->get(), pid.data(), pid.size(), 0); });
    return std::make_unique<PosixFileLock>(std::move(*fd));
  }

  int64_t now() override { return clock(CLOCK_REALTIME_COARSE); }
  int64_t monotonic() override { return clock(CLOCK_MONOTONIC); }

  // getrandom(2) on valid memory fails only where the kernel or a filter does not know it. Going on without randomness
  // would be worse than any error, and the contract leaves no way to return one.
  void random(std::span<char> out) override {
    while (!out.empty()) {
      const ssize_t n = retry([&] { return ::getrandom(out.data(), out.size(), 0); });
      if (n < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
      out = out.subspan(static_cast<size_t>(n));
    }
  }

 private:
  static int64_t clock(clockid_t id) {
    timespec ts{};
    (void)::clock_gettime(id, &ts);  // fails for unknown clocks only
    return int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
  }

  Mutex sync_mutex_;
  std::map<std::string, Error> failed_directories_ GUARDED_BY(sync_mutex_);
};

}  // namespace

Env& posix_env() {
  static Env& instance = *new PosixEnv;
  return instance;
}

}  // namespace pailfs
