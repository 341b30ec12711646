#include "fault/core/lmdb_medium.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace pailfs::test {

namespace {

LmdbMedium* medium = nullptr;

int errno_of(const Error& error) {
  switch (error.code) {
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kQuota:
      return EDQUOT;
    case Code::kNotFound:
      return ENOENT;
    default:
      return EIO;
  }
}

int outcome_of(const Status& status) { return status ? 0 : errno_of(status.error()); }

// The path of a descriptor on the medium; empty for all others.
std::string path_on_medium(int fd) {
  if (medium == nullptr || fd <= STDERR_FILENO) return {};
  char target[512];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = ::readlink(link.c_str(), target, sizeof(target));
  std::string path(target, n > 0 ? static_cast<size_t>(n) : 0);
  return medium->has(path) ? path : std::string();
}

ssize_t put(int fd, std::string_view data, off_t offset) {
  const std::string path = path_on_medium(fd);
  if (!path.empty() && !path.ends_with("lock.mdb")) {
    const bool synchronous = (::fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    const int failed = medium->write(fd, path, static_cast<uint64_t>(offset), data, synchronous);
    if (failed != 0) {
      errno = failed;
      return -1;
    }
  }
  return ::syscall(SYS_pwrite64, fd, data.data(), data.size(), offset);
}

int sync_one(int fd, long call) {
  const std::string path = path_on_medium(fd);
  if (path.empty()) return static_cast<int>(::syscall(call, fd));
  const int failed = medium->sync(path);
  if (failed != 0) errno = failed;
  return failed == 0 ? 0 : -1;
}

int allocate_one(int fd, int mode, off_t offset, off_t length) {
  if (const std::string path = path_on_medium(fd); !path.empty()) {
    const int failed = medium->allocate(path, static_cast<uint64_t>(length));
    if (failed != 0) errno = failed;
    if (failed != 0) return -1;
  }
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
}

}  // namespace

LmdbMedium::LmdbMedium(MemoryEnv& memory, std::string directory)
    : memory_(memory), faults_(memory), directory_(std::move(directory)) {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) std::filesystem::remove_all(entry);
  for (const char* name : {"/index", "/index.new", "/index.old", "/index.old.2", "/index.old.3"}) {
    const auto names = memory_.list_dir(directory_ + name);
    if (!names) continue;
    std::filesystem::create_directory(directory_ + name);
    for (const std::string& file : *names) copy_out(directory_ + name + "/" + file);
  }
  medium = this;
}

LmdbMedium::~LmdbMedium() { medium = nullptr; }

// The real file becomes what the one in memory is.
void LmdbMedium::copy_out(const std::string& path) {
  const auto from = memory_.open(path, OpenMode::kRead);
  if (!from) return;
  std::string bytes((*from)->size().value(), '\0');
  (void)(*from)->read_at(0, bytes);
  std::ofstream(path, std::ios::binary) << bytes;
}

bool LmdbMedium::is_index(const std::string& path) const {
  return path.starts_with(directory_ + "/index") && !path.starts_with(directory_ + "/index-copy");
}

Status LmdbMedium::rename(const std::string& from, const std::string& to) {
  PAILFS_TRY(faults_.rename(from, to));
  files_.clear();
  if (is_index(from)) std::filesystem::rename(from, to);
  return {};
}

Status LmdbMedium::remove(const std::string& path) {
  PAILFS_TRY(faults_.remove(path));
  files_.clear();
  if (is_index(path)) std::filesystem::remove_all(path);
  return {};
}

Status LmdbMedium::make_dir(const std::string& path) {
  PAILFS_TRY(faults_.make_dir(path));
  if (is_index(path)) std::filesystem::create_directory(path);
  return {};
}

Result<File*> LmdbMedium::file(const std::string& path) {
  auto& slot = files_[path];
  if (slot == nullptr) {
    PAILFS_ASSIGN(const bool there, memory_.exists(path));
    PAILFS_ASSIGN(slot, faults_.open(path, there ? OpenMode::kReadWrite : OpenMode::kCreate));
  }
  return slot.get();
}

int LmdbMedium::write(int fd, const std::string& path, uint64_t offset, std::string_view data, bool synchronous) {
  const auto to = file(path);
  if (!to) return errno_of(to.error());
  // LMDB writes meta pages through a descriptor of their own that is open with O_DSYNC.
  if (synchronous && unsynced_[path] != 0) ++early_meta_pages_;
  ++unsynced_[path];
  Status done = (*to)->write_at(offset, data);
  if (done && synchronous) done = (*to)->sync_data();
  if (done && synchronous) unsynced_[path] = 0;
  if (!done) {
    // A write that failed may have been done in part.
    std::string bytes(data.size(), '\0');
    if (const auto from = memory_.open(path, OpenMode::kRead)) {
      const auto n = (*from)->read_at(offset, bytes);
      if (n) (void)::syscall(SYS_pwrite64, fd, bytes.data(), *n, offset);
    }
  }
  return outcome_of(done);
}

int LmdbMedium::sync(const std::string& path) {
  if (std::filesystem::is_directory(path)) return outcome_of(faults_.sync_dir(path));
  const auto to = file(path);
  if (!to) return errno_of(to.error());
  const Status done = (*to)->sync_data();
  if (done) unsynced_[path] = 0;
  return outcome_of(done);
}

// What asks is whether the disk is full; the room is given back at once.
int LmdbMedium::allocate(const std::string& path, uint64_t length) {
  const auto space = faults_.space(path);
  if (!space) return errno_of(space.error());
  return space->available < length ? ENOSPC : 0;
}

}  // namespace pailfs::test

// By their names in the dynamic symbol table: _FILE_OFFSET_BITS would rename the declared ones.
extern "C" {

ssize_t medium_pwrite(int fd, const void* data, size_t size, off_t offset) __asm__("pwrite");
ssize_t medium_pwrite(int fd, const void* data, size_t size, off_t offset) {
  return pailfs::test::put(fd, {static_cast<const char*>(data), size}, offset);
}
ssize_t medium_pwrite64(int fd, const void* data, size_t size, off_t offset) __asm__("pwrite64");
ssize_t medium_pwrite64(int fd, const void* data, size_t size, off_t offset) {
  return pailfs::test::put(fd, {static_cast<const char*>(data), size}, offset);
}
// LMDB seeks, then writes several pages at once.
ssize_t medium_writev(int fd, const iovec* parts, int count) __asm__("writev");
ssize_t medium_writev(int fd, const iovec* parts, int count) {
  if (pailfs::test::path_on_medium(fd).empty()) return ::syscall(SYS_writev, fd, parts, count);
  std::string all;
  for (int i = 0; i < count; ++i) all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  const off_t at = ::lseek(fd, 0, SEEK_CUR);
  const ssize_t n = pailfs::test::put(fd, all, at);
  if (n > 0) ::lseek(fd, n, SEEK_CUR);
  return n;
}
int medium_fdatasync(int fd) __asm__("fdatasync");
int medium_fdatasync(int fd) { return pailfs::test::sync_one(fd, SYS_fdatasync); }
int medium_fsync(int fd) __asm__("fsync");
int medium_fsync(int fd) { return pailfs::test::sync_one(fd, SYS_fsync); }
int medium_fallocate(int fd, int mode, off_t offset, off_t length) __asm__("fallocate64");
int medium_fallocate(int fd, int mode, off_t offset, off_t length) {
  return pailfs::test::allocate_one(fd, mode, offset, length);
}
int medium_fallocate32(int fd, int mode, off_t offset, off_t length) __asm__("fallocate");
int medium_fallocate32(int fd, int mode, off_t offset, off_t length) {
  return pailfs::test::allocate_one(fd, mode, offset, length);
}
}
