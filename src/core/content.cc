#include "core/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/codec.h"

namespace pailfs {

namespace {

// The record of a chunk with the greatest vseq <= `vseq`.
Result<ChunkList> load_record(StoreView& view, Ino cid, uint64_t chunk, uint32_t vseq) {
  PAILFS_ASSIGN(auto entry,
                view.last_before(bucket_of(cid), keys::chunk(cid, chunk, vseq + 1), keys::chunk(cid, chunk, 0)));
  if (!entry) return ChunkList{};
  PAILFS_ASSIGN(ExtentList extents, decode_extents(entry->value));
  return ChunkList{std::move(extents), parse_chunk_key(entry->key).vseq};
}

}  // namespace

ChunkKey parse_chunk_key(std::string_view key) {
  Decoder in(key);
  in.u8();
  ChunkKey out;
  out.cid = in.be64();
  out.chunk = in.be64();
  out.vseq = in.be32();
  return out;
}

Result<ChunkList> load_chunk(const Store& store, const InodeRecord& content, uint64_t chunk) {
  if (!content.chunked) {
    if (chunk != 0) return ChunkList{};
    return ChunkList{content.extents, content.vseq};
  }
  StoreView view = store.view();
  return load_record(view, content.cid, chunk, content.vseq);
}

Result<std::optional<uint64_t>> next_chunk(const Store& store, const InodeRecord& content, uint64_t chunk) {
  if (!content.chunked) {
    if (chunk == 0 && !content.extents.empty()) return 0;
    return std::nullopt;
  }
  StoreView view = store.view();
  PAILFS_ASSIGN(const auto entry, view.seek(bucket_of(content.cid), keys::chunk(content.cid, chunk, 0),
                                            keys::chunk(content.cid, kMaxFileSize / kChunkSize + 1, 0)));
  if (!entry) return std::nullopt;
  return parse_chunk_key(entry->key).chunk;
}

Result<bool> same_units(const Store& store, const InodeRecord& one, const InodeRecord& other) {
  if (one.size != other.size) return false;
  // How a run was trimmed says nothing of what the extent shows.
  const auto same = [](const Extent& a, const Extent& b) {
    return a.offset == b.offset && a.length == b.length && a.skip == b.skip && a.run.segment == b.run.segment &&
           a.run.offset == b.run.offset && !is_lost(a.run);
  };
  for (uint64_t chunk = 0;; ++chunk) {
    PAILFS_ASSIGN(const auto next, next_chunk(store, one, chunk));
    PAILFS_ASSIGN(const auto other_next, next_chunk(store, other, chunk));
    if (!next && !other_next) return true;
    chunk = std::min(next.value_or(kMaxFileSize), other_next.value_or(kMaxFileSize));
    PAILFS_ASSIGN(const ChunkList list, load_chunk(store, one, chunk));
    PAILFS_ASSIGN(const ChunkList other_list, load_chunk(store, other, chunk));
    if (!std::ranges::equal(list.extents, other_list.extents, same)) return false;
  }
}

Result<InodeRecord> load_version(const Store& store, Ino ino, uint32_t vseq) {
  PAILFS_ASSIGN(const auto value, store.get(bucket_of(ino), keys::version(ino, vseq)));
  if (!value) return fail(Code::kNotFound, fmt::format("inode {} has no version {}", ino, vseq));
  return decode_inode(*value);
}

Result<ExtentList> shown_by_version(const Store& store, Ino ino, Ino cid, uint32_t prev, uint64_t chunk) {
  if (prev == 0) return ExtentList{};
  if (chunk == 0) {
    PAILFS_ASSIGN(InodeRecord version, load_version(store, ino, prev));
    if (!version.chunked) return std::move(version.extents);
  }
  StoreView view = store.view();
  PAILFS_ASSIGN(ChunkList shown, load_record(view, cid, chunk, prev));
  return std::move(shown.extents);
}

// --- Reading

void ReadPlan::add(const ExtentList& list, uint64_t from, uint64_t to, uint64_t at) {
  auto extent = std::partition_point(list.begin(), list.end(), [&](const Extent& e) { return end_of(e) <= from; });
  for (; extent != list.end() && extent->offset < to; ++extent) {
    const uint64_t begin = std::max<uint64_t>(from, extent->offset);
    const uint64_t end = std::min<uint64_t>(to, end_of(*extent));
    pieces_.push_back({extent->run, extent->skip + static_cast<uint32_t>(begin - extent->offset),
                       static_cast<uint32_t>(end - begin), at + (begin - from)});
  }
}

Status ReadPlan::make(const Store& store, const InodeRecord& content, uint64_t offset, size_t length) {
  scope_ = bucket_of(content.cid);
  const uint64_t end = offset + length;
  if (!content.chunked) {
    if (offset < kChunkSize) add(content.extents, offset, std::min(end, kChunkSize), 0);
    return {};
  }
  StoreView view = store.view();
  for (uint64_t at = offset; at < end;) {
    const uint64_t chunk = at / kChunkSize;
    const uint64_t base = chunk * kChunkSize;
    const uint64_t stop = std::min(end, base + kChunkSize);
    PAILFS_ASSIGN(const ChunkList shown, load_record(view, content.cid, chunk, content.vseq));
    add(shown.extents, at - base, stop - base, at - offset);
    at = stop;
  }
  return {};
}

Status ReadPlan::read(const Store& store, std::span<char> out) const {
  uint64_t at = 0;
  for (const Piece& piece : pieces_) {
    if (piece.at > at) std::memset(out.data() + at, 0, piece.at - at);
    if (is_lost(piece.run))
      return fail(Code::kCorrupt, "this part of the file was lost to damage; 'pail check' says more");
    PAILFS_TRY(store.read(scope_, piece.run, piece.skip, out.subspan(piece.at, piece.length)));
    at = piece.at + piece.length;
  }
  if (at < out.size()) std::memset(out.data() + at, 0, out.size() - at);
  return {};
}

Status Core::Impl::read_content(const InodeRecord& content, uint64_t offset, std::span<char> out) const {
  const Store::ReadGuard guard(store);
  ReadPlan plan;
  PAILFS_TRY(plan.make(store, content, offset, out.size()));
  return plan.read(store, out);
}

// --- Appending

Result<Run> AppendedRuns::append(std::string_view plaintext) {
  PAILFS_ASSIGN(const Run run, store_.append(scope_, plaintext));
  runs_.push_back(run);
  return run;
}

Result<std::vector<ChunkExtent>> append_data(AppendedRuns& runs, uint64_t offset, std::string_view data) {
  std::vector<ChunkExtent> out;
  while (!data.empty()) {
    size_t length = std::min<size_t>(data.size(), kMaxRun);
    const uint64_t to_boundary = kChunkSize - offset % kChunkSize;
    // A run may cross into the next chunk only between two units: else both chunks would share one, and releasing it
    // would have to look at both.
    if (to_boundary % kUnitSize != 0) length = std::min<uint64_t>(length, to_boundary);
    PAILFS_ASSIGN(const Run run, runs.append(data.substr(0, length)));
    for (uint32_t done = 0; done < length;) {
      const uint64_t at = offset + done;
      const auto in_chunk = static_cast<uint32_t>(at % kChunkSize);
      const auto part = static_cast<uint32_t>(std::min<uint64_t>(length - done, kChunkSize - in_chunk));
      Extent extent = slice({0, static_cast<uint32_t>(length), 0, run}, done, done + part);
      extent.offset = in_chunk;
      out.push_back({at / kChunkSize, extent});
      done += part;
    }
    offset += length;
    data.remove_prefix(length);
  }
  return out;
}

// --- Changing

Result<ChunkList> ContentEdit::load(uint64_t chunk) {
  if (chunk == 0 && first_) return *first_;
  return load_chunk(store_, record_, chunk);
}

void ContentEdit::become_chunked() {
  first_ = ChunkList{std::move(record_.extents), record_.vseq};
  record_.extents.clear();
  record_.chunked = true;
  if (!first_->extents.empty()) {
    tx_.put(bucket_of(ino_), keys::chunk(record_.cid, 0, record_.vseq), encode_extents(first_->extents));
  }
}

Status ContentEdit::release(uint64_t chunk, const ExtentList& dropped, const ExtentList& now, const ExtentList* older) {
  static const ExtentList kNone;
  std::vector<Run> runs = released(dropped, {&now, older != nullptr ? older : &kNone});
  if (runs.empty()) return {};
  if (older == nullptr && record_.prev != 0) {
    PAILFS_ASSIGN(const ExtentList shown, shown_by_version(store_, ino_, record_.cid, record_.prev, chunk));
    if (!shown.empty()) runs = released(dropped, {&now, &shown});
  }
  for (const Run& run : runs) tx_.release(run);
  return {};
}

Status ContentEdit::put_chunk_record(uint64_t chunk, uint32_t at, bool shown_before, const ExtentList& now) {
  const Ino cid = record_.cid;
  const bool ours = at > record_.prev;
  bool needed = !now.empty();
  if (!needed && ours && record_.prev != 0) {
    // An empty record hides what the older version shows here.
    StoreView view = store_.view();
    PAILFS_ASSIGN(const ChunkList older, load_record(view, cid, chunk, record_.prev));
    needed = !older.extents.empty();
  } else if (!needed && !ours) {
    needed = shown_before;
  }
  if (ours && (at != record_.vseq || !needed)) tx_.erase(keys::chunk(cid, chunk, at));
  if (needed) tx_.put(bucket_of(cid), keys::chunk(cid, chunk, record_.vseq), encode_extents(now));
  return {};
}

Status ContentEdit::put(uint64_t chunk, const ChunkList& before, ExtentList now, const ExtentList& dropped) {
  record_.stored += covered(now) - covered(before.extents);
  if (!record_.chunked) {
    if (chunk == 0 && now.size() <= kInlineExtents) {
      record_.extents = std::move(now);
      return release(0, dropped, record_.extents, fresh_ ? &before.extents : nullptr);
    }
    become_chunked();
  }
  PAILFS_TRY(put_chunk_record(chunk, before.at, !before.extents.empty(), now));
  // A record that is not ours alone is what the older version shows.
  const bool ours = before.at > record_.prev && !fresh_;
  PAILFS_TRY(release(chunk, dropped, now, ours ? nullptr : &before.extents));
  if (chunk == 0 && first_) *first_ = {std::move(now), record_.vseq};
  return {};
}

Result<ExtentList> ContentEdit::coalesce(uint64_t chunk, const ExtentList& list) {
  // Gaps of less than a unit are filled with zeros, larger ones stay holes: at most one extent per two units is left.
  ExtentList out;
  std::vector<char> bytes;
  for (size_t first = 0; first < list.size();) {
    if (is_lost(list[first].run)) {
      out.push_back(list[first++]);
      continue;
    }
    size_t last = first + 1;
    while (last < list.size() && !is_lost(list[last].run) && list[last].offset - end_of(list[last - 1]) < kUnitSize) {
      ++last;
    }
    const uint32_t begin = list[first].offset;
    bytes.assign(end_of(list[last - 1]) - begin, 0);
    const Store::ReadGuard guard(store_);
    for (size_t i = first; i < last; ++i) {
      PAILFS_TRY(store_.read(bucket_of(record_.cid), list[i].run, list[i].skip,
                             std::span(bytes).subspan(list[i].offset - begin, list[i].length)));
    }
    PAILFS_ASSIGN(const auto written, append_data(runs_, chunk * kChunkSize + begin, {bytes.data(), bytes.size()}));
    for (const ChunkExtent& piece : written) out.push_back(piece.extent);
    first = last;
  }
  return out;
}

Status ContentEdit::write(std::span<const ChunkExtent> extents) {
  for (size_t i = 0; i < extents.size();) {
    const uint64_t chunk = extents[i].chunk;
    PAILFS_ASSIGN(const ChunkList before, load(chunk));
    ExtentList now = before.extents;
    ExtentList dropped;
    for (; i < extents.size() && extents[i].chunk == chunk; ++i) replace(now, extents[i].extent, dropped);
    if (now.size() > kCoalesceExtents) {
      PAILFS_ASSIGN(ExtentList coalesced, coalesce(chunk, now));
      dropped.insert(dropped.end(), now.begin(), now.end());
      now = std::move(coalesced);
    }
    PAILFS_TRY(put(chunk, before, std::move(now), dropped));
  }
  return {};
}

Result<bool> ContentEdit::may_share(uint64_t chunk) const {
  if (record_.prev == 0) return true;
  if (chunk == 0) return false;  // a version from before the content was chunked may show it
  StoreView view = store_.view();
  PAILFS_ASSIGN(const auto older,
                view.last_before(bucket_of(record_.cid), keys::chunk(record_.cid, chunk, record_.prev + 1),
                                 keys::chunk(record_.cid, chunk, 0)));
  return !older;
}

Status ContentEdit::show(uint64_t chunk, uint32_t begin, uint32_t end, const ExtentList& shared, const ExtentList& own,
                         std::vector<Run>& added) {
  PAILFS_ASSIGN(const ChunkList before, load(chunk));
  ExtentList now = before.extents;
  ExtentList dropped;
  pailfs::punch(now, begin, end, dropped);
  if (shared.empty() && own.empty() && dropped.empty()) return {};
  for (const Extent& extent : shared) replace(now, extent, dropped);
  for (const Extent& extent : own) replace(now, extent, dropped);
  if (now.size() > kCoalesceExtents) {
    PAILFS_ASSIGN(now, coalesce(chunk, now));
    dropped = before.extents;
    dropped.insert(dropped.end(), own.begin(), own.end());
  } else {
    const std::vector<Run> units = released(shared, {&before.extents});
    added.insert(added.end(), units.begin(), units.end());
  }
  return put(chunk, before, std::move(now), dropped);
}

Status ContentEdit::punch_chunk(uint64_t chunk, uint64_t begin, uint64_t end) {
  PAILFS_ASSIGN(const ChunkList before, load(chunk));
  ExtentList now = before.extents;
  ExtentList dropped;
  pailfs::punch(now, static_cast<uint32_t>(begin), static_cast<uint32_t>(end), dropped);
  if (dropped.empty()) return {};
  return put(chunk, before, std::move(now), dropped);
}

Status ContentEdit::punch(uint64_t begin, uint64_t end) {
  for (uint64_t at = begin; at < end;) {
    PAILFS_ASSIGN(const auto chunk, next_chunk(store_, record_, at / kChunkSize));
    if (!chunk) return {};
    const uint64_t base = *chunk * kChunkSize;
    if (base >= end) return {};
    PAILFS_TRY(punch_chunk(*chunk, at > base ? at - base : 0, std::min(end - base, kChunkSize)));
    at = base + kChunkSize;
  }
  return {};
}

}  // namespace pailfs
