// Closed segments: walking and verifying.
#include <fmt/format.h>

#include <algorithm>

#include "log/log_impl.h"
#include "log/segment_reader.h"

namespace pailfs {
namespace {

constexpr uint64_t kBlock = 4096;

Error as_damage(Error error, uint64_t segment) {
  if (error.code != Code::kNotFound) return error;
  return {Code::kCorrupt, fmt::format("segment file {} is missing", segment_name(segment))};
}

std::unexpected<Error> damaged(Position position, std::string_view what) {
  return fail(Code::kCorrupt, fmt::format("{}: {}", describe(position), what));
}

// Whether a payload that does not match its digest has blocks of zeros, as Log::punch() leaves them. Ciphertext has
// none.
Result<bool> has_punched_block(LogStorage& storage, const RawRecord& record) {
  PAILFS_ASSIGN(const std::string payload, read_payload(storage, record));
  const uint64_t begin = record.payload().offset;
  const uint64_t first = (begin + kBlock - 1) / kBlock * kBlock - begin;
  for (uint64_t at = first; at + kBlock <= payload.size(); at += kBlock) {
    if (std::string_view(payload).substr(at, kBlock).find_first_not_of('\0') == std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Result<Salt> Log::Impl::salt(uint64_t segment) const {
  {
    ReaderLock lock(salts_mutex);
    const auto found = salts.find(segment);
    if (found != salts.end()) return found->second;
  }
  const auto header = read_segment_header(storage, keys, segment);
  if (!header) return std::unexpected(as_damage(header.error(), segment));
  WriterLock lock(salts_mutex);
  return salts.emplace(segment, header->salt).first->second;
}

// Where a closed segment ends is in the header of the next one in the stream; gaps are there and in the one after.
Result<Log::Impl::Extent> Log::Impl::extent(uint64_t segment) const {
  {
    MutexLock lock(mutex);
    if (active && segment == active->id) return fail(Code::kInvalid, "the segment is still being written");
  }
  auto header = read_segment_header(storage, keys, segment);
  if (!header) return std::unexpected(as_damage(header.error(), segment));
  PAILFS_ASSIGN(const std::vector<uint64_t> ids, storage.list());
  Extent extent{.header = std::move(*header), .gaps = {}};
  uint64_t next = 0;
  for (auto id = std::ranges::upper_bound(ids, segment); id != ids.end(); ++id) {
    const auto later = read_segment_header(storage, keys, *id);
    if (!later) continue;
    if (later->previous == segment) {
      next = *id;
      extent.end = later->previous_end;
      extent.gaps.clear();
    } else if (next == 0 || later->previous != next) {
      if (later->previous > segment) break;
      continue;
    }
    std::ranges::copy_if(later->gaps, std::back_inserter(extent.gaps),
                         [segment](const Gap& gap) { return gap.segment == segment; });
  }
  if (next == 0 && segment == recovered_end.segment) {
    extent.end = recovered_end.offset;  // opened read-only
  } else if (next == 0) {
    PAILFS_ASSIGN(extent.end, storage.size(segment));
  }
  return extent;
}

Status Log::Impl::walk(uint64_t segment, const std::function<bool(const RecordView&)>& visit) const {
  PAILFS_ASSIGN(const Extent bounds, extent(segment));
  SegmentReader reader(storage, segment, kSegmentHeaderSize, bounds.end, bounds.gaps);
  for (;;) {
    PAILFS_ASSIGN(const auto record, reader.next());
    if (!record) return {};
    if (!visit({.begin = record->begin, .length = record->header.length, .type = record->header.type})) return {};
  }
}

// The chain before the first frame of a segment, and the records since: from the header where a start of the store
// wrote it, else from the segments before, as far back as the last frame. Unknown when those have been reclaimed.
Result<Log::Impl::Context> Log::Impl::context_at_begin(const SegmentHeader& first) const {
  Context context;
  for (SegmentHeader header = first; header.kind == SegmentKind::kRoll;) {
    auto before = extent(header.previous);
    if (!before) return before.error().code == Code::kCorrupt ? Result<Context>{} : std::unexpected(before.error());
    std::string since_frame;
    std::optional<RawRecord> frame;
    SegmentReader reader(storage, header.previous, kSegmentHeaderSize, before->end, before->gaps);
    for (;;) {
      const auto record = reader.next();
      if (!record && record.error().code == Code::kCorrupt) return Context{};  // that segment's own damage
      if (!record) return std::unexpected(record.error());
      if (!*record) break;
      if ((*record)->header.type == kFrameRecord) {
        frame = **record;
        since_frame.clear();
      } else {
        append_digest_entry(since_frame, (*record)->begin, (*record)->header_bytes());
      }
    }
    context.entries = since_frame + context.entries;
    if (frame) {
      PAILFS_ASSIGN(const std::string stored, read_payload(storage, *frame));
      context.chain = sha256(stored);
      context.known = digest_matches(frame->header, context.chain);
      return context;
    }
    header = std::move(before->header);
    if (header.kind != SegmentKind::kRoll) context.chain = header.chain;
  }
  if (first.kind != SegmentKind::kRoll) context.chain = first.chain;
  context.known = true;
  return context;
}

Status Log::Impl::verify_segment(uint64_t segment) const {
  PAILFS_ASSIGN(const Extent bounds, extent(segment));
  PAILFS_ASSIGN(Context context, context_at_begin(bounds.header));
  SegmentReader reader(storage, segment, kSegmentHeaderSize, bounds.end, bounds.gaps);
  for (;;) {
    PAILFS_ASSIGN(const auto record, reader.next());
    if (!record) return {};
    if (record->header.type != kFrameRecord) {
      append_digest_entry(context.entries, record->begin, record->header_bytes());
      PAILFS_ASSIGN(const bool whole, payload_matches(storage, *record));
      if (whole) continue;
      PAILFS_ASSIGN(const bool punched, has_punched_block(storage, *record));
      if (!punched) return damaged(record->begin, "the data does not match its digest");
      continue;
    }
    PAILFS_ASSIGN(const std::string stored, read_payload(storage, *record));
    const Digest chain_here = sha256(stored);
    const auto clear = decode_frame_clear(stored);
    if (!clear || !digest_matches(record->header, chain_here)) {
      return damaged(record->begin, "the commit frame does not match its digest");
    }
    if (context.known && clear->previous_chain != context.chain) {
      return damaged(record->begin, "the commit frame does not follow on the one before it");
    }
    if (context.known && clear->data_digest != sha256(context.entries)) {
      return damaged(record->begin, "the records before the commit frame are not those that it covers");
    }
    context = {.known = true, .chain = chain_here, .entries = {}};
  }
}

}  // namespace pailfs
