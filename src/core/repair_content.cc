// Repairing contents. Bytes that cannot be read are marked in the extents of every version that shows them: they stay
// what they are, errors, under the version's name and beside what can be read. A version is dropped only where its own
// record is gone, and an inode too; chunk records that are left of one become a file in lost+found.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/codec.h"
#include "core/history.h"
#include "core/repair.h"
#include "core/scan.h"

namespace pailfs {

namespace {

constexpr uint64_t kChunkEnd = kMaxFileSize / kChunkSize + 1;
using Place = std::pair<uint64_t, uint64_t>;  // segment, byte

// What the record of a chunk that cannot be read stands for.
ExtentList all_lost(uint64_t size, uint64_t chunk) {
  const uint64_t begin = chunk * kChunkSize;
  if (size <= begin) return {};
  return {lost_extent(0, static_cast<uint32_t>(std::min(size - begin, kChunkSize)))};
}

// Marks in the list what lies in bad units; gives each range of the chunk that is lost now and was not to `visit`.
// Returns whether there are any.
bool mark(ExtentList& list, const std::set<Place>& bad, const std::function<void(uint32_t, uint32_t)>& visit) {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  for (const Extent& extent : list) {
    if (is_lost(extent.run)) continue;
    for (uint32_t unit = 0; unit < extent.run.units(); ++unit) {
      if (!bad.contains({extent.run.segment, extent.run.offset + uint64_t{unit} * (kUnitSize + kTagSize)})) continue;
      const uint64_t from = std::max<uint64_t>(uint64_t{unit} * kUnitSize, extent.skip) - extent.skip;
      const uint64_t to = std::min<uint64_t>((uint64_t{unit} + 1) * kUnitSize - extent.skip, extent.length);
      const auto begin = static_cast<uint32_t>(extent.offset + from);
      const auto end = static_cast<uint32_t>(extent.offset + to);
      if (!ranges.empty() && ranges.back().second == begin) {
        ranges.back().second = end;
      } else {
        ranges.emplace_back(begin, end);
      }
    }
  }
  ExtentList dropped;
  for (const auto& [begin, end] : ranges) {
    replace(list, lost_extent(begin, end), dropped);
    visit(begin, end);
  }
  return !ranges.empty();
}

}  // namespace

// --- Records that do not verify

// The inode's record is gone. Its newest version that can be read takes the place, for a name that has ended.
Status Repair::lost_inode(Ino ino, const Error& why) {
  std::optional<std::string> newest;
  InodeRecord record;
  PAILFS_TRY(each(
      bucket_of(ino), keys::version(ino, 0), keys::version(ino, ~0u),
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(record, decode_inode(entry.value));
        newest = entry.key;
        return {};
      },
      [](const std::string&, const Error&) -> Status { return {}; }));
  ++result_.lost_versions;
  const bool kept = newest && impl_.versioning(bucket_of(ino)) != Versioning::kOff;
  fixed("index", ino,
        fmt::format("the record of inode {} cannot be read ({}): {}", ino, why.message,
                    newest ? "its newest older version is kept" : "dropped"));
  if (!newest) return erase(keys::inode(ino));
  strays_.insert(ino);
  record.nlink = kept ? 0 : 1;
  Transaction tx;
  tx.put(bucket_of(ino), keys::inode(ino), encode_inode(record));
  tx.erase(*newest);
  return commit(std::move(tx));
}

// Chunk records are looked at with their content.
Status Repair::records(Scope bucket) {
  const auto decodes = [](char kind, std::string_view value) -> Status {
    const auto status = [](const auto& result) { return result ? Status{} : Status(std::unexpected(result.error())); };
    if (kind == 'd') return status(decode_dirent(value));
    if (kind == 'h') return status(decode_ended(value));
    if (kind == 'x') return status(decode_xattr(value));
    if (kind == 'y') return status(decode_past_xattr(value));
    if (kind == 'o' || kind == 'w') return {};
    return status(decode_inode(value));
  };
  for (const char kind : {'v', 'i', 'd', 'h', 'x', 'o', 'w', 'a', 'y'}) {
    PAILFS_TRY(each_of(
        kind, bucket, [&](const StoreView::Entry& entry) { return decodes(kind, entry.value); },
        [&](const std::string& key, const Error& why) -> Status {
          ++result_.unreadable_values;
          const Ino ino = ino_of_key(key);
          switch (kind) {
            case 'i':
              return lost_inode(ino, why);
            case 'v':
              ++result_.lost_versions;
              fixed(
                  "index", ino,
                  fmt::format("the record of an older version cannot be read ({}): that version is gone", why.message));
              break;
            case 'd': {
              fixed("index", ino,
                    fmt::format("an entry of this directory cannot be read ({}): what it named, if it has "
                                "no other name, is in lost+found",
                                why.message));
              return erase_entry(ino, Decoder(std::string_view(key).substr(1 + sizeof(Ino))).be64());
            }
            case 'h':
              fixed("index", ino,
                    fmt::format("a former entry of this directory cannot be read ({}): dropped", why.message));
              break;
            case 'a':
            case 'y':
              fixed("index", ino,
                    fmt::format("a record of former attributes cannot be read ({}): dropped; moments before show later "
                                "ones",
                                why.message));
              break;
            default:
              fixed("index", ino,
                    fmt::format("an extended attribute or mark cannot be read ({}): dropped", why.message));
          }
          return erase(key);
        }));
  }
  return {};
}

// --- One inode

Result<std::vector<Repair::Version>> Repair::chain(Ino ino, InodeRecord current) {
  std::vector<Version> versions;
  std::vector<std::string> wrong;
  PAILFS_TRY(each(
      bucket_of(ino), keys::version(ino, 0), keys::version(ino, ~0u),
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(InodeRecord record, decode_inode(entry.value));
        if (keys::version(ino, record.vseq) != entry.key || record.vseq >= current.vseq) {
          wrong.push_back(entry.key);
        } else {
          versions.push_back({std::move(record), false, false});
        }
        return {};
      },
      [](const std::string&, const Error&) -> Status { return {}; }));
  for (const std::string& key : wrong) {
    fixed("content", ino, "a version that does not belong to this file: dropped");
    PAILFS_TRY(erase(key));
  }
  versions.push_back({std::move(current), true, false});
  return versions;
}

Status Repair::fix_chain(Ino ino, std::vector<Version>& chain) {
  for (size_t i = 0; i < chain.size(); ++i) {
    Version& version = chain[i];
    InodeRecord& record = version.record;
    const auto wrong = [&](std::string what) {
      fixed("content", ino, std::move(what), version_name(record));
      version.changed = true;
    };
    if (!version.current && (!record.sealed || record.dirty)) {
      Transaction tx;
      if (!record.sealed) {
        // Older versions are found by the order of their times.
        const Stamp before = i > 0 ? chain[i - 1].record.version.sealed : 0;
        const Stamp after = i + 1 < chain.size() ? chain[i + 1].record.version.sealed : 0;
        const bool between = i > 0 && before + 1 < after;
        record.version = {.id = {}, .sealed = between ? before + 1 : impl_.stamp(tx), .null_id = false};
        if (i == 0 && after > 1) record.version.sealed = after - 1;
        record.version.id = impl_.make_version_id(record.version.sealed);
      }
      record.sealed = true;
      record.dirty = false;
      wrong("an older version had no name: given one");
    }
    if (record.cid == 0 && (record.chunked || !record.extents.empty())) {
      record.cid = ino;
      wrong("content without a number: given one");
    }
    if (record.chunked && !record.extents.empty()) {
      record.extents.clear();
      wrong("content in two forms: the one that was read is kept");
    }
    const Version* older = i > 0 ? &chain[i - 1] : nullptr;
    const auto shares = [&] { return older != nullptr && older->record.cid == record.cid && record.cid != 0; };
    if (shares() && older->record.chunked && !record.chunked) {
      Transaction none;
      PAILFS_ASSIGN(record.cid, impl_.new_number(bucket_of(ino), none));
      wrong("content went back to the inline form: parted from the older version");
    }
    const uint32_t prev = shares() ? older->record.vseq : 0;
    if (record.prev == prev) continue;
    record.prev = prev;
    wrong("the version before this one is another one than it said: put right");
  }
  return {};
}

void Repair::mark_lost(Ino ino, const InodeRecord& version, uint64_t chunk, uint64_t begin, uint64_t end) {
  result_.lost_bytes += end - begin;
  if (damaged_versions_.emplace(ino, version.vseq).second) ++result_.lost_versions;
  fixed("content", ino,
        fmt::format("bytes {} to {} cannot be read: marked as lost, they go on answering EIO",
                    chunk * kChunkSize + begin, chunk * kChunkSize + end),
        version_name(version));
}

// What no unit can be read of, in the lists of one chunk.
Status Repair::fix_units(Ino ino, std::span<Version> versions, uint64_t chunk, std::vector<ChunkRecord>& records) {
  ExtentList all;
  if (chunk == 0) {
    for (const Version& version : versions) {
      all.insert(all.end(), version.record.extents.begin(), version.record.extents.end());
    }
  }
  for (const ChunkRecord& record : records) all.insert(all.end(), record.extents.begin(), record.extents.end());
  const Scope scope = bucket_of(ino);
  std::set<Place> bad;
  std::vector<UnitRange> good;
  for (const Run& run : released(all, {})) {
    const size_t before = bad.size();
    PAILFS_TRY(verify_units(
        store_, scope, run, [&] { return report_.proceed(); },
        [&](const UnitRange& unit, const Error&) { bad.emplace(unit.segment, unit.begin); }));
    if (bad.size() == before) good.push_back(range_of(run));
  }
  if (bad.empty()) {
    for (const UnitRange& range : good) stretches_.push_back({range, ino});
    return {};
  }
  if (chunk == 0) {
    for (Version& version : versions) {
      const bool marked = mark(version.record.extents, bad,
                               [&](uint32_t begin, uint32_t end) { mark_lost(ino, version.record, 0, begin, end); });
      version.changed = version.changed || marked;
    }
  }
  for (ChunkRecord& record : records) {
    std::vector<std::pair<uint32_t, uint32_t>> ranges;
    if (!mark(record.extents, bad, [&](uint32_t begin, uint32_t end) { ranges.emplace_back(begin, end); })) continue;
    record.changed = true;
    for (const Version& version : versions) {
      const ChunkRecord* shown = nullptr;
      for (const ChunkRecord& other : records) {
        if (other.vseq <= version.record.vseq) shown = &other;
      }
      if (!version.record.chunked || shown != &record) continue;
      for (const auto& [begin, end] : ranges) mark_lost(ino, version.record, chunk, begin, end);
    }
  }
  ExtentList left;
  if (chunk == 0) {
    for (const Version& version : versions) {
      left.insert(left.end(), version.record.extents.begin(), version.record.extents.end());
    }
  }
  for (const ChunkRecord& record : records) left.insert(left.end(), record.extents.begin(), record.extents.end());
  for (const Run& run : released(left, {})) stretches_.push_back({range_of(run), ino});
  return {};
}

// The records of one chunk: each is shown by some version, and can be read.
Status Repair::fix_chunk(Ino ino, std::span<Version> versions, uint64_t chunk, std::vector<ChunkRecord>& records) {
  const Ino cid = versions.front().record.cid;
  std::vector<ChunkRecord> kept;
  for (size_t i = 0; i < records.size(); ++i) {
    ChunkRecord& record = records[i];
    const InodeRecord* largest = nullptr;  // of the versions that show it
    std::vector<const InodeRecord*> shown_by;
    for (const Version& version : versions) {
      const bool superseded = i + 1 < records.size() && records[i + 1].vseq <= version.record.vseq;
      if (!version.record.chunked || record.vseq > version.record.vseq || superseded) continue;
      shown_by.push_back(&version.record);
      if (largest == nullptr || version.record.size > largest->size) largest = &version.record;
    }
    if (largest == nullptr) {
      fixed("content", ino, fmt::format("chunk {}: a record that no version shows: dropped", chunk));
      PAILFS_TRY(erase(keys::chunk(cid, chunk, record.vseq)));
      continue;
    }
    const std::string fault = record.unreadable ? "it cannot be read" : extents_fault(record.extents, kChunkSize);
    if (!fault.empty()) {
      if (record.unreadable) ++result_.unreadable_values;
      record.extents = all_lost(largest->size, chunk);
      record.changed = true;
      for (const InodeRecord* version : shown_by) {
        const uint64_t begin = chunk * kChunkSize;
        if (version->size > begin) mark_lost(ino, *version, chunk, 0, std::min(version->size - begin, kChunkSize));
      }
    }
    ExtentList cut_off;
    const uint64_t room = largest->size - std::min(largest->size, chunk * kChunkSize);
    cut(record.extents, static_cast<uint32_t>(std::min(room, kChunkSize)), cut_off);
    if (!cut_off.empty()) {
      fixed("content", ino, fmt::format("chunk {}: content behind the end of the file: dropped", chunk));
      record.changed = true;
    }
    kept.push_back(std::move(record));
  }
  records = std::move(kept);
  PAILFS_TRY(fix_units(ino, versions, chunk, records));
  for (const ChunkRecord& record : records) {
    if (!record.changed) continue;
    PAILFS_TRY(put(keys::chunk(cid, chunk, record.vseq), encode_extents(record.extents), bucket_of(cid)));
  }
  return {};
}

// All versions of one content.
Status Repair::fix_chunks(Ino ino, std::span<Version> versions) {
  const Ino cid = versions.front().record.cid;
  std::vector<uint64_t> stored(versions.size());
  bool any_chunked = false;
  for (Version& version : versions) {
    InodeRecord& record = version.record;
    any_chunked = any_chunked || record.chunked;
    const std::string fault = extents_fault(record.extents, static_cast<uint32_t>(std::min(record.size, kChunkSize)));
    if (record.chunked || fault.empty()) continue;
    record.extents = all_lost(record.size, 0);
    version.changed = true;
    mark_lost(ino, record, 0, 0, std::min(record.size, kChunkSize));
  }
  uint64_t at = 0;
  std::vector<ChunkRecord> records;
  const auto finish = [&]() -> Status {
    PAILFS_TRY(fix_chunk(ino, versions, at, records));
    for (size_t i = 0; i < versions.size(); ++i) {
      const InodeRecord& record = versions[i].record;
      const ChunkRecord* shown = nullptr;
      for (const ChunkRecord& other : records) {
        if (other.vseq <= record.vseq) shown = &other;
      }
      if (!record.chunked && at == 0) stored[i] += covered(record.extents);
      if (record.chunked && shown != nullptr) stored[i] += covered(shown->extents);
    }
    records.clear();
    return {};
  };
  const auto next = [&](const std::string& key, ExtentList extents, bool unreadable) -> Status {
    const ChunkKey place = parse_chunk_key(key);
    if (place.chunk != at) PAILFS_TRY(finish());
    at = place.chunk;
    records.push_back({place.vseq, std::move(extents), unreadable, false});
    return {};
  };
  if (any_chunked) {
    shown_.insert(cid);
    PAILFS_TRY(each(
        bucket_of(cid), keys::chunk(cid, 0, 0), keys::chunk(cid, kChunkEnd, 0),
        [&](const StoreView::Entry& entry) -> Status {
          PAILFS_ASSIGN(ExtentList extents, decode_extents(entry.value));
          return next(entry.key, std::move(extents), false);
        },
        [&](const std::string& key, const Error&) { return next(key, {}, true); }));
  }
  PAILFS_TRY(finish());
  for (size_t i = 0; i < versions.size(); ++i) {
    InodeRecord& record = versions[i].record;
    if (record.stored == stored[i]) continue;
    fixed("content", ino,
          fmt::format("said that it stores {} bytes, and stores {}: put right", record.stored, stored[i]),
          version_name(record));
    record.stored = stored[i];
    versions[i].changed = true;
  }
  return {};
}

Status Repair::content(Ino ino) {
  PAILFS_ASSIGN(auto record, inode(ino));
  if (!record) return {};
  if (!S_ISREG(record->mode)) {
    if (record->cid == 0 && record->extents.empty()) return {};
    fixed("content", ino, "had content and is no regular file: dropped");
    record->cid = 0;
    record->chunked = false;
    record->extents.clear();
    return put(keys::inode(ino), encode_inode(*record), bucket_of(ino));
  }
  PAILFS_ASSIGN(std::vector<Version> versions, chain(ino, std::move(*record)));
  PAILFS_TRY(fix_chain(ino, versions));
  for (size_t first = 0; first < versions.size();) {
    size_t last = first + 1;
    while (last < versions.size() && versions[last].record.cid == versions[first].record.cid) ++last;
    if (versions[first].record.cid != 0) PAILFS_TRY(fix_chunks(ino, std::span(versions).subspan(first, last - first)));
    first = last;
  }
  for (const Version& version : versions) {
    if (!version.changed) continue;
    const std::string key = version.current ? keys::inode(ino) : keys::version(ino, version.record.vseq);
    PAILFS_TRY(put(key, encode_inode(version.record), bucket_of(ino)));
  }
  return {};
}

}  // namespace pailfs
