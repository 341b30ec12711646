// copy_file_range(2). What is copied shows the units of its source, where both are of one bucket (and so of one key):
// no data moves. Short pieces, other buckets, and chunks of which older versions show something get their own units.
#include <sys/stat.h>

#include <algorithm>

#include "core/content.h"

namespace pailfs {

namespace {

constexpr uint64_t kSharedAtOnce = uint64_t{256} << 20;  // bytes of one transaction: at most 512 chunk records
constexpr size_t kPiecesAtOnce = 4096;                   // each may need a record of its own
constexpr uint64_t kMovedAtOnce = uint64_t{16} << 20;    // bytes that are read and written under the locks
constexpr uint32_t kLeastShared = 4 * kUnitSize;         // below, a record of who shares costs more than the units

// What a content shows, chunk after chunk.
class Source {
 public:
  Source(const Store& store, InodeRecord content) : store_(store), content_(std::move(content)) {}
  Scope scope() const { return bucket_of(content_.cid); }

  // The extents of [begin, end), with offsets counted from begin.
  Result<ExtentList> extents(uint64_t begin, uint64_t end) {
    ExtentList out;
    for (uint64_t at = begin; at < end;) {
      const uint64_t chunk = at / kChunkSize;
      const uint64_t base = chunk * kChunkSize;
      const auto from = static_cast<uint32_t>(at - base);
      const auto to = static_cast<uint32_t>(std::min(end - base, kChunkSize));
      if (!loaded_ || *loaded_ != chunk) {
        PAILFS_ASSIGN(list_, load_chunk(store_, content_, chunk));
        loaded_ = chunk;
      }
      for (const Extent& extent : list_.extents) {
        const uint32_t first = std::max(from, extent.offset);
        const uint32_t last = std::min(to, end_of(extent));
        if (first >= last) continue;
        Extent part = slice(extent, first - extent.offset, last - extent.offset);
        part.offset = static_cast<uint32_t>(base + first - begin);
        out.push_back(part);
      }
      at = base + to;
    }
    return out;
  }

 private:
  const Store& store_;
  const InodeRecord content_;
  std::optional<uint64_t> loaded_;
  ChunkList list_;
};

// One step of a copy: as much as one transaction should hold.
class Copy {
 public:
  // `least_shared`: bytes of a piece from which on its units are shared; nullopt: none are.
  Copy(Store& store, Source& source, ContentEdit& edit, AppendedRuns& runs, std::optional<uint32_t> least_shared,
       std::vector<Run>& added)
      : store_(store), source_(source), edit_(edit), runs_(runs), least_shared_(least_shared), added_(added) {}

  // Returns how many bytes from `offset` on are as in the source at `from`.
  Result<uint64_t> run(uint64_t from, uint64_t offset, uint64_t length) {
    const uint64_t limit = std::min(length, kSharedAtOnce);
    uint64_t done = 0;
    while (done < limit && moved_ < kMovedAtOnce && pieces_ < kPiecesAtOnce) {
      const uint64_t at = offset + done;
      const auto begin = static_cast<uint32_t>(at % kChunkSize);
      const auto end = static_cast<uint32_t>(std::min(kChunkSize, begin + (length - done)));
      PAILFS_TRY(chunk(from + done, at / kChunkSize, begin, end));
      done += end - begin;
    }
    return done;
  }

 private:
  Status chunk(uint64_t from, uint64_t chunk, uint32_t begin, uint32_t end) {
    PAILFS_ASSIGN(const ExtentList pieces, source_.extents(from, from + (end - begin)));
    pieces_ += pieces.size();
    bool share = least_shared_ && !pieces.empty();
    if (share) {
      PAILFS_ASSIGN(share, edit_.may_share(chunk));
    }
    ExtentList shared;
    ExtentList own;
    for (Extent piece : pieces) {
      if (is_lost(piece.run)) return fail(Code::kCorrupt, "this part of the source was lost to damage");
      piece.offset += begin;
      if (share && piece.length >= *least_shared_) {
        shared.push_back(piece);
      } else {
        PAILFS_TRY(move(piece, chunk, own));
      }
    }
    return edit_.show(chunk, begin, end, shared, own, added_);
  }

  Status move(const Extent& piece, uint64_t chunk, ExtentList& own) {
    bytes_.resize(piece.length);
    PAILFS_TRY(store_.read(source_.scope(), piece.run, piece.skip, bytes_));
    PAILFS_ASSIGN(const auto written,
                  append_data(runs_, chunk * kChunkSize + piece.offset, {bytes_.data(), bytes_.size()}));
    for (const ChunkExtent& extent : written) own.push_back(extent.extent);
    moved_ += piece.length;
    return {};
  }

  Store& store_;
  Source& source_;
  ContentEdit& edit_;
  AppendedRuns& runs_;
  const std::optional<uint32_t> least_shared_;
  uint64_t moved_ = 0;
  size_t pieces_ = 0;
  std::vector<Run>& added_;
  std::vector<char> bytes_;
};

Result<InodeRecord> source_content(const Store& store, const Handle& handle, Inode& inode) REQUIRES_SHARED(inode.lock) {
  if (handle.version_of != 0) return version_content(store, handle, inode);
  if (inode.gone) return fail(Code::kNotFound, "no such file");
  return inode.record;
}

}  // namespace

Result<uint64_t> Core::copy_range(const RangeEnd& from, const RangeEnd& to, uint64_t length) {
  const HandlePtr reader = impl_->handles.get(from.handle);
  const HandlePtr writer = impl_->handles.get(to.handle);
  if (reader == nullptr || reader->ino != from.ino || !reader->read || reader->inode == nullptr) {
    return fail(Code::kBadHandle, "the source is not open for reading");
  }
  if (writer == nullptr || writer->ino != to.ino || !writer->write || writer->inode == nullptr) {
    return fail(Code::kBadHandle, "the target is not open for writing");
  }
  return impl_->copy_content(*reader, from.offset, *writer, to.offset, length, kLeastShared);
}

Result<uint64_t> Core::Impl::copy_content(const Handle& reader, uint64_t from, const Handle& writer, uint64_t to,
                                          uint64_t length, uint32_t least_shared) {
  const Store::ReadGuard guard(store);
  const LockedInodes locked({reader.inode, writer.inode});
  Inode& inode = *writer.inode;
  assert_locked(*reader.inode);
  assert_locked(inode);
  PAILFS_ASSIGN(InodeRecord content, source_content(store, reader, *reader.inode));
  InodeRecord& record = inode.record;
  if (inode.gone) return fail(Code::kNotFound, "no such file");
  if (!S_ISREG(content.mode) || !S_ISREG(record.mode)) return fail(Code::kInvalid, "only regular files have ranges");
  if (from >= content.size || length == 0) return 0;
  length = std::min(length, content.size - from);
  if (to > kMaxFileSize - length) return fail(Code::kTooBig, "a file cannot be so long");

  std::optional<uint32_t> shared_from;
  if (bucket_of(content.cid) == bucket_of(inode.ino)) shared_from = least_shared;
  settle_for(inode, &writer);
  AppendedRuns runs(store, bucket_of(inode.ino));
  Source source(store, std::move(content));
  uint64_t copied = 0;
  PAILFS_TRY(
      change_content(*this, inode, writer.uid != 0, runs, [&](ContentEdit& edit, std::vector<Run>& added) -> Status {
        Copy copy(store, source, edit, runs, shared_from, added);
        assert_locked(inode);
        PAILFS_ASSIGN(copied, copy.run(from, to, length));
        record.size = std::max(record.size, to + copied);
        return {};
      }));
  return copied;
}

}  // namespace pailfs
