// Reading and changing the content of open files. The right to do so was decided at open and is the handle's.
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/content.h"
#include "core/scrub.h"
#include "core/versions_view.h"

namespace pailfs {

namespace {

Result<HandlePtr> handle_of(const Core::Impl& impl, Ino ino, uint64_t number) {
  HandlePtr handle = impl.handles.get(number);
  if (handle == nullptr || handle->ino != ino) return fail(Code::kBadHandle, "no such open file");
  return handle;
}

Result<HandlePtr> writable_handle(const Core::Impl& impl, Ino ino, uint64_t number) {
  if (is_virtual(ino)) return fail(Code::kReadOnly, "versions are read-only");
  PAILFS_ASSIGN(HandlePtr handle, handle_of(impl, ino, number));
  if (!handle->write || handle->inode == nullptr) return fail(Code::kBadHandle, "the file is not open for writing");
  return handle;
}

// How much of [offset, offset + size) there is.
size_t clip(const InodeRecord& content, uint64_t offset, size_t size) {
  return offset >= content.size ? 0 : static_cast<size_t>(std::min<uint64_t>(size, content.size - offset));
}

// Tells the scrub of content that could not be read. Which record shows it is looked up now that there is time.
void suspect(Core::Impl& impl, const Handle& open, uint64_t offset, size_t length) {
  Inode& inode = *open.inode;
  InodeRecord content;
  bool current = false;
  {
    ReaderLock lock(inode.lock);
    if (inode.gone) return;
    current = open.version_of == 0 || open.vseq == inode.record.vseq;
    if (current) content = inode.record;
  }
  if (!current) {
    auto version = load_version(impl.store, inode.ino, open.vseq);
    if (!version) return;
    content = std::move(*version);
  }
  if (!content.chunked) {
    impl.scrub->suspect(current ? keys::inode(inode.ino) : keys::version(inode.ino, content.vseq));
    return;
  }
  const Ino cid = content.cid;
  for (uint64_t chunk = offset / kChunkSize; chunk <= (offset + length - 1) / kChunkSize; ++chunk) {
    const auto shown = impl.store.view().last_before(bucket_of(cid), keys::chunk(cid, chunk, content.vseq + 1),
                                                     keys::chunk(cid, chunk, 0));
    if (shown && *shown) impl.scrub->suspect((*shown)->key);
  }
}

}  // namespace

Result<InodeRecord> sealed_version(const Store& store, const Inode& inode, uint32_t vseq, Stamp sealed) {
  if (inode.gone) return fail(Code::kNotFound, "the version was removed");
  InodeRecord version = inode.record;
  if (version.vseq != vseq) {
    PAILFS_ASSIGN(version, load_version(store, inode.ino, vseq));
  }
  if (!version.sealed || version.version.sealed != sealed) return fail(Code::kNotFound, "the version was replaced");
  return version;
}

Result<InodeRecord> version_content(const Store& store, const Handle& handle, Inode& inode) {
  return sealed_version(store, inode, handle.vseq, handle.sealed);
}

Result<size_t> Core::read(Ino ino, uint64_t handle, uint64_t offset, std::span<char> out) {
  PAILFS_ASSIGN(const HandlePtr open, handle_of(*impl_, ino, handle));
  if (open->inode == nullptr) {
    if (is_virtual(ino)) return 0;  // a delete marker
    return fail(Code::kIsDirectory, "a directory is not read");
  }
  const Store& store = impl_->store;
  const Store::ReadGuard guard(store);
  ReadPlan plan;
  size_t length = 0;
  {
    Inode& inode = *open->inode;
    ReaderLock lock(inode.lock);
    if (open->version_of != 0) {
      PAILFS_ASSIGN(const InodeRecord version, version_content(store, *open, inode));
      length = clip(version, offset, out.size());
      if (length > 0) PAILFS_TRY(plan.make(store, version, offset, length));
    } else {
      if (inode.gone) return fail(Code::kNotFound, "no such file");
      length = clip(inode.record, offset, out.size());
      if (length > 0) PAILFS_TRY(plan.make(store, inode.record, offset, length));
    }
  }
  if (length == 0) return 0;
  if (Status done = plan.read(store, out.first(length)); !done) {
    if (done.error().code == Code::kCorrupt || done.error().code == Code::kIo) {
      suspect(*impl_, *open, offset, length);
    }
    return std::unexpected(std::move(done).error());
  }
  return length;
}

Status Core::write(Ino ino, uint64_t handle, uint64_t offset, std::string_view data, bool from_cache) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const HandlePtr open, writable_handle(impl, ino, handle));
  if (data.empty()) return {};
  const bool at_end = open->append && !from_cache;
  AppendedRuns runs(impl.store, bucket_of(ino));
  std::vector<ChunkExtent> extents;
  const auto append = [&]() -> Status {
    if (offset > kMaxFileSize - data.size()) return fail(Code::kTooBig, "a file cannot be so long");
    PAILFS_ASSIGN(extents, append_data(runs, offset, data));
    return {};
  };
  // Encrypting and appending need not keep others from the file.
  if (!at_end) PAILFS_TRY(append());
  Inode& inode = *open->inode;
  WriterLock lock(inode.lock);
  InodeRecord& record = inode.record;
  if (inode.gone) return fail(Code::kNotFound, "no such file");
  if (at_end) {
    offset = record.size;
    PAILFS_TRY(append());
  }
  if (!from_cache) settle_for(inode, open.get());  // the cache writes through any handle, whoever wrote
  if (from_cache && impl.kernel_times && !inode.untouched) inode.untouched = {record.mtime, record.ctime};
  return change_content(impl, inode, !from_cache && open->uid != 0, runs,
                        [&](ContentEdit& edit, std::vector<Run>&) -> Status {
                          assert_locked(inode);
                          PAILFS_TRY(edit.write(extents));
                          record.size = std::max<uint64_t>(record.size, offset + data.size());
                          return {};
                        });
}

Status Core::fallocate(Ino ino, uint64_t handle, int mode, uint64_t offset, uint64_t length) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const HandlePtr open, writable_handle(impl, ino, handle));
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int what = mode & ~FALLOC_FL_KEEP_SIZE;
  const bool punches = what == FALLOC_FL_PUNCH_HOLE || what == FALLOC_FL_ZERO_RANGE;
  if (what != 0 && !punches) return fail(Code::kNotSupported, "this kind of fallocate is not supported");
  if (what == FALLOC_FL_PUNCH_HOLE && !keep_size) return fail(Code::kNotSupported, "a hole keeps the size");
  if (length == 0) return fail(Code::kInvalid, "nothing to allocate");
  if (offset > kMaxFileSize || length > kMaxFileSize - offset) return fail(Code::kTooBig, "a file cannot be so long");

  Inode& inode = *open->inode;
  WriterLock lock(inode.lock);
  InodeRecord& record = inode.record;
  if (inode.gone) return fail(Code::kNotFound, "no such file");
  const uint64_t end = offset + length;
  const bool grows = !keep_size && end > record.size;
  if (!grows && (!punches || offset >= record.size)) return {};
  settle_for(inode, open.get());
  AppendedRuns runs(impl.store, bucket_of(ino));
  return change_content(impl, inode, open->uid != 0, runs, [&](ContentEdit& edit, std::vector<Run>&) -> Status {
    assert_locked(inode);
    if (punches) PAILFS_TRY(edit.punch(offset, end));
    if (grows) record.size = end;
    return {};
  });
}

namespace {

// The first byte of data at or behind `from`; nullopt: none before the end.
Result<std::optional<uint64_t>> find_data(const Store& store, const InodeRecord& content, uint64_t from) {
  for (uint64_t chunk = from / kChunkSize;; ++chunk) {
    PAILFS_ASSIGN(const auto next, next_chunk(store, content, chunk));
    if (!next) return std::nullopt;
    chunk = *next;
    PAILFS_ASSIGN(const ChunkList shown, load_chunk(store, content, chunk));
    for (const Extent& extent : shown.extents) {
      const uint64_t begin = chunk * kChunkSize + extent.offset;
      if (begin >= content.size) return std::nullopt;
      if (begin + extent.length > from) return std::max(begin, from);
    }
  }
}

// The first byte at or behind `from` that is in no extent; the end of the file at the latest.
Result<uint64_t> find_hole(const Store& store, const InodeRecord& content, uint64_t from) {
  for (uint64_t at = from; at < content.size;) {
    const uint64_t base = at - at % kChunkSize;
    PAILFS_ASSIGN(const ChunkList shown, load_chunk(store, content, base / kChunkSize));
    for (const Extent& extent : shown.extents) {
      const uint64_t begin = base + extent.offset;
      if (begin > at) return at;
      at = std::max(at, begin + extent.length);
    }
    if (at < base + kChunkSize) return std::min(at, content.size);
  }
  return content.size;
}

}  // namespace

Result<uint64_t> Core::seek(Ino ino, uint64_t offset, bool data) {
  InodeRecord content;
  if (is_virtual(ino)) {
    PAILFS_ASSIGN(content, impl_->view->content(ino));
  } else {
    PAILFS_ASSIGN(const InodePtr inode, impl_->inodes.get(ino));
    ReaderLock lock(inode->lock);
    if (inode->gone) return fail(Code::kNotFound, "no such file");
    content = inode->record;
  }
  // The records are read without the lock: who seeks while somebody writes gets an answer from before or after.
  if (!S_ISREG(content.mode)) return fail(Code::kInvalid, "only regular files have holes");
  if (offset >= content.size) return fail(Code::kNoDevice, "beyond the end of the file");
  if (!data) return find_hole(impl_->store, content, offset);
  PAILFS_ASSIGN(const auto found, find_data(impl_->store, content, offset));
  if (!found) return fail(Code::kNoDevice, "no data behind this offset");
  return *found;
}

}  // namespace pailfs
