#include "unit/index/interposed_io.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace pailfs::test {
InjectedFaults faults;
}

namespace {

using pailfs::test::faults;

// LMDB writes meta pages without their page header: shorter than the smallest page, within the first two.
constexpr size_t kMetaWrite = 256;

bool fails(int error) {
  if (error != 0) errno = error;
  return error != 0;
}

ssize_t write_at(int fd, const void* data, size_t size, off_t offset) {
  return ::syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t interposed_pwrite(int fd, const void* data, size_t size, off_t offset) {
  const bool meta = size < kMetaWrite && offset < 2 * 32768;
  if (meta && faults.meta_write != 0) {
    if (faults.meta_writes_that_arrive-- > 0) write_at(fd, data, size, offset);
    return fails(faults.meta_write) ? -1 : 0;
  }
  if (!meta && faults.write != 0) {
    if (faults.torn) return write_at(fd, data, size / 2, offset);
    return fails(faults.write) ? -1 : 0;
  }
  return write_at(fd, data, size, offset);
}

}  // namespace

// By their names in the dynamic symbol table: _FILE_OFFSET_BITS would rename the declared ones.
extern "C" {

ssize_t pailfs_test_pwrite(int fd, const void* data, size_t size, off_t offset) __asm__("pwrite");
ssize_t pailfs_test_pwrite(int fd, const void* data, size_t size, off_t offset) {
  return interposed_pwrite(fd, data, size, offset);
}

ssize_t pailfs_test_pwrite64(int fd, const void* data, size_t size, off_t offset) __asm__("pwrite64");
ssize_t pailfs_test_pwrite64(int fd, const void* data, size_t size, off_t offset) {
  return interposed_pwrite(fd, data, size, offset);
}

ssize_t pailfs_test_writev(int fd, const iovec* parts, int count) __asm__("writev");
ssize_t pailfs_test_writev(int fd, const iovec* parts, int count) {
  if (faults.write != 0 && fd > STDERR_FILENO) {
    if (faults.torn) return ::syscall(SYS_writev, fd, parts, 1);
    errno = faults.write;
    return -1;
  }
  return ::syscall(SYS_writev, fd, parts, count);
}

int pailfs_test_fdatasync(int fd) __asm__("fdatasync");
int pailfs_test_fdatasync(int fd) {
  ++faults.syncs;
  if (faults.sync != 0 && faults.syncs_that_pass-- <= 0 && fails(faults.sync)) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

int pailfs_test_fallocate(int fd, int mode, off_t offset, off_t length) __asm__("fallocate64");
int pailfs_test_fallocate(int fd, int mode, off_t offset, off_t length) {
  if (fails(faults.allocate)) return -1;
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
}

int pailfs_test_fallocate32(int fd, int mode, off_t offset, off_t length) __asm__("fallocate");
int pailfs_test_fallocate32(int fd, int mode, off_t offset, off_t length) {
  return pailfs_test_fallocate(fd, mode, offset, length);
}
}
