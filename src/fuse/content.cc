// Opening, reading and writing files.
//
// Rights are those of the handle: cached writes, FLUSH and RELEASE come from whatever thread of the kernel, as uid 0.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "fuse/session_impl.h"

namespace pailfs {

namespace {

constexpr int kExecuteFlag = 0x20;  // __FMODE_EXEC of linux/fs.h: the open is an execve(2)'s

OpenFlags flags_of(int flags, bool writeback) {
  OpenFlags open;
  const int mode = flags & O_ACCMODE;
  open.read = mode == O_RDONLY || mode == O_RDWR;
  open.write = mode == O_WRONLY || mode == O_RDWR;
  open.truncate = (flags & O_TRUNC) != 0;
  open.execute = (flags & kExecuteFlag) != 0;
  // With write-back caching the kernel has chosen the offsets long before the write arrives.
  open.append = (flags & O_APPEND) != 0 && !writeback;
  return open;
}

void fill_open_reply(fuse_file_info& info, const OpenResult& result, const OpenFlags& flags, bool writeback) {
  info.fh = result.handle;
  info.keep_cache = result.keep_cache ? 1 : 0;
  // close(2) of a file that was only read needs no FLUSH. With write-back caching the kernel sends it regardless.
  info.noflush = !flags.write && !writeback ? 1 : 0;
}

void on_open(fuse_req_t raw, fuse_ino_t node, fuse_file_info* info) {
  Request request(raw, Operation::kOpen, node);
  if (!request) return;
  FuseSession::Impl& session = request.session();
  const OpenFlags flags = flags_of(info->flags, session.writeback);
  const Ino ino = request.ino();
  const Result<OpenResult> opened = request.core().open(request.caller(), ino, flags);
  if (!opened) return request.fail(opened.error());
  fill_open_reply(*info, *opened, flags, session.writeback);
  if (is_virtual(ino)) info->keep_cache = 0;
  if (flags.write) session.writers.add(ino, opened->handle);
  if (fuse_reply_open(raw, info) == -ENOENT) {  // interrupted: no RELEASE will come
    if (flags.write) session.writers.remove(ino, opened->handle);
    request.core().release(ino, opened->handle);
  }
}

// The reply to a request that made a file and opened it.
void reply_created(Request& request, const Result<Core::Created>& created, OpenFlags flags, fuse_file_info* info) {
  if (!created) return request.fail(created.error());
  FuseSession::Impl& session = request.session();
  const Ino ino = created->attributes.ino;
  fill_open_reply(*info, created->open, flags, session.writeback);
  if (flags.write) session.writers.add(ino, created->open.handle);
  const fuse_entry_param entry = session.entry_of(created->attributes, request.ino());
  if (fuse_reply_create(request.raw(), &entry, info) == -ENOENT) {
    if (flags.write) session.writers.remove(ino, created->open.handle);
    request.core().release(ino, created->open.handle);
    request.core().forget(ino, 1);
  }
}

void on_create(fuse_req_t raw, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
  Request request(raw, Operation::kCreate, parent);
  if (!request) return;
  const OpenFlags flags = flags_of(info->flags, request.session().writeback);
  reply_created(request, request.core().create(request.caller(), request.ino(), name, mode, flags), flags, info);
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
void on_tmpfile(fuse_req_t raw, fuse_ino_t parent, mode_t mode, fuse_file_info* info) {
  Request request(raw, Operation::kTmpfile, parent);
  if (!request) return;
  const OpenFlags flags = flags_of(info->flags, request.session().writeback);
  const bool linkable = (info->flags & O_EXCL) == 0;
  reply_created(request, request.core().create_unnamed(request.caller(), request.ino(), mode, flags, linkable), flags,
                info);
}
#endif

// A buffer of the thread's own that grows to the largest read so far.
std::span<char> thread_buffer(size_t size) {
  thread_local std::unique_ptr<char[]> buffer;
  thread_local size_t capacity = 0;
  if (capacity < size) {
    buffer = std::make_unique_for_overwrite<char[]>(size);
    capacity = size;
  }
  return {buffer.get(), size};
}

// Where decrypted bytes go: into the request's own buffer over io_uring, so that the reply copies nothing.
std::span<char> reply_buffer(fuse_req_t raw, size_t size) {
#ifdef FUSE_CAP_OVER_IO_URING
  char* payload = nullptr;
  size_t payload_size = 0;
  if (fuse_req_is_uring(raw) && fuse_req_get_payload(raw, &payload, &payload_size, nullptr) == 0 &&
      payload_size >= size) {
    return {payload, size};
  }
#else
  (void)raw;
#endif
  return thread_buffer(size);
}

void on_read(fuse_req_t raw, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  Request request(raw, Operation::kRead, node);
  if (!request) return;
  const std::span<char> buffer = reply_buffer(raw, size);
  const Result<size_t> got = request.core().read(request.ino(), info->fh, static_cast<uint64_t>(offset), buffer);
  if (!got) return request.fail(got.error());
  fuse_reply_buf(raw, buffer.data(), *got);
}

void on_write(fuse_req_t raw, fuse_ino_t node, const char* data, size_t size, off_t offset, fuse_file_info* info) {
  Request request(raw, Operation::kWrite, node);
  if (!request) return;
  const Status written =
      request.core().write(request.ino(), info->fh, static_cast<uint64_t>(offset), {data, size}, info->writepage != 0);
  if (!written) return request.fail(written.error());
  fuse_reply_write(raw, size);
}

void on_flush(fuse_req_t raw, fuse_ino_t node, fuse_file_info* info) {
  Request request(raw, Operation::kFlush, node);
  if (request) request.done(request.core().flush(request.ino(), info->fh));
}

void on_release(fuse_req_t raw, fuse_ino_t node, fuse_file_info* info) {
  Request request(raw, Operation::kRelease, node);
  if (!request) return;
  if ((info->flags & O_ACCMODE) != O_RDONLY) request.session().writers.remove(request.ino(), info->fh);
  request.core().release(request.ino(), info->fh);
  fuse_reply_err(raw, 0);
}

void on_fsync(fuse_req_t raw, fuse_ino_t node, int, fuse_file_info*) {
  Request request(raw, Operation::kFsync, node);
  if (request) request.done(request.core().fsync(request.ino()));
}

void on_fallocate(fuse_req_t raw, fuse_ino_t node, int mode, off_t offset, off_t length, fuse_file_info* info) {
  Request request(raw, Operation::kFallocate, node);
  if (!request) return;
  if (offset < 0 || length <= 0) return request.fail_errno(EINVAL);
  request.done(request.core().fallocate(request.ino(), info->fh, mode, static_cast<uint64_t>(offset),
                                        static_cast<uint64_t>(length)));
}

// The kernel has written its dirty pages of both ranges back, and forgets its pages of the target's.
void on_copy_file_range(fuse_req_t raw, fuse_ino_t from, off_t from_offset, fuse_file_info* from_info, fuse_ino_t to,
                        off_t to_offset, fuse_file_info* to_info, size_t length, int flags) {
  Request request(raw, Operation::kCopyFileRange, to);
  if (!request) return;
  if (from_offset < 0 || to_offset < 0 || flags != 0) return request.fail_errno(EINVAL);
  const Core::RangeEnd source{request.session().ino_of(from), from_info->fh, static_cast<uint64_t>(from_offset)};
  const Core::RangeEnd target{request.ino(), to_info->fh, static_cast<uint64_t>(to_offset)};
  const Result<uint64_t> copied = request.core().copy_range(source, target, length);
  if (!copied) return request.fail(copied.error());
  fuse_reply_write(raw, *copied);
}

// SEEK_DATA and SEEK_HOLE. The kernel passes them on without writing its dirty pages back first, and only it knows how
// long a file is that has some. So while somebody may hold dirty pages the answer is "not supported" (EINVAL), on which
// programs read everything; a wrong answer would make cp(1) leave data out.
void on_lseek(fuse_req_t raw, fuse_ino_t node, off_t offset, int whence, fuse_file_info*) {
  Request request(raw, Operation::kLseek, node);
  if (!request) return;
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return request.fail_errno(EINVAL);
  if (offset < 0) return request.fail_errno(ENXIO);
  if (request.session().writeback && request.session().writers.contains(request.ino())) {
    return request.fail_errno(EINVAL);
  }
  const Result<uint64_t> found = request.core().seek(request.ino(), static_cast<uint64_t>(offset), whence == SEEK_DATA);
  if (!found) return request.fail(found.error());
  fuse_reply_lseek(raw, static_cast<off_t>(*found));
}

}  // namespace

void OpenWriters::add(Ino ino, uint64_t handle) {
  const MutexLock lock(mutex_);
  handles_.emplace(ino, handle);
}

void OpenWriters::remove(Ino ino, uint64_t handle) {
  const MutexLock lock(mutex_);
  const auto [first, last] = handles_.equal_range(ino);
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second != handle) continue;
    handles_.erase(entry);
    return;
  }
}

bool OpenWriters::contains(Ino ino) const {
  const MutexLock lock(mutex_);
  return handles_.contains(ino);
}

std::vector<std::pair<Ino, uint64_t>> OpenWriters::all() const {
  const MutexLock lock(mutex_);
  return {handles_.begin(), handles_.end()};
}

void add_content_operations(fuse_lowlevel_ops& operations) {
  operations.open = on_open;
  operations.create = on_create;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
  operations.tmpfile = on_tmpfile;
#endif
  operations.read = on_read;
  operations.write = on_write;
  operations.flush = on_flush;
  operations.release = on_release;
  operations.fsync = on_fsync;
  operations.fallocate = on_fallocate;
  operations.copy_file_range = on_copy_file_range;
  operations.lseek = on_lseek;
}

}  // namespace pailfs
