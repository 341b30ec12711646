// Repairing what belongs to contents as a whole: those that no inode has, and units that several show.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/codec.h"
#include "core/repair.h"

namespace pailfs {

namespace {

constexpr uint64_t kChunkEnd = kMaxFileSize / kChunkSize + 1;
using Place = std::pair<uint64_t, uint64_t>;  // segment, byte

}  // namespace

Status Repair::contents(Scope bucket) {
  PAILFS_TRY(each_of(
      'i', bucket, [&](const StoreView::Entry& entry) { return content(ino_of_key(entry.key)); },
      [](const std::string&, const Error&) -> Status { return {}; }));
  // Versions of inodes that are gone.
  Ino missing = 0;
  PAILFS_TRY(each_of(
      'v', bucket,
      [&](const StoreView::Entry& entry) -> Status {
        const Ino ino = ino_of_key(entry.key);
        if (node(ino) != nullptr) return {};
        if (ino != missing) fixed("content", 0, fmt::format("versions of inode {}, which is gone: dropped", ino));
        missing = ino;
        return erase(entry.key);
      },
      [](const std::string&, const Error&) -> Status { return {}; }));
  return orphan_contents(bucket);
}

Status Repair::orphan_contents(Scope bucket) {
  const std::string end = kind_end('c', bucket);
  std::string from = kind_begin('c', bucket);
  while (true) {
    PAILFS_ASSIGN(const auto key, store_.view().seek_key(from, end));
    if (!key) return {};
    const Ino cid = parse_chunk_key(*key).cid;
    if (!shown_.contains(cid)) PAILFS_TRY(orphan_content(cid));
    from = keys::chunk(cid + 1, 0, 0);
  }
}

// Chunk records whose inode is gone: its newest content, under a number for a name. How long the file was is not known
// but for what is there.
Status Repair::orphan_content(Ino cid) {
  const Scope bucket = bucket_of(cid);
  InodeRecord record;
  bool anything = false;
  record.mode = S_IFREG | 0600;
  record.atime = record.mtime = record.ctime = record.btime = impl_.now();
  record.cid = cid;
  record.chunked = true;
  std::vector<std::string> all;
  PAILFS_TRY(each(
      bucket, keys::chunk(cid, 0, 0), keys::chunk(cid, kChunkEnd, 0),
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const ExtentList extents, decode_extents(entry.value));
        const ChunkKey place = parse_chunk_key(entry.key);
        all.push_back(entry.key);
        record.vseq = std::max(record.vseq, place.vseq);
        if (extents.empty()) return {};
        anything = true;
        record.size = std::max(record.size, place.chunk * kChunkSize + end_of(extents.back()));
        return {};
      },
      [&](const std::string& key, const Error&) -> Status {
        all.push_back(key);
        return {};
      }));
  if (!anything) {
    fixed("content", 0, fmt::format("records of content {}, which no file has and nothing is in: dropped", cid));
    for (const std::string& key : all) PAILFS_TRY(erase(key));
    return {};
  }
  Ino ino = cid;
  Transaction tx;
  if (node(ino) != nullptr) {
    PAILFS_ASSIGN(ino, impl_.new_number(bucket, tx));
  }
  record.nlink = 1;
  record.sealed = true;
  record.version.sealed = impl_.stamp(tx);
  record.version.id = impl_.make_version_id(record.version.sealed);
  PAILFS_ASSIGN(const Ino place, lost_found(bucket));
  PAILFS_TRY(put(keys::inode(ino), encode_inode(record), bucket));
  PAILFS_TRY(insert(place, fmt::format("inode-{}", ino), ino, S_IFREG));
  make_node(ino, record.mode).names = 1;
  ++result_.found;
  fixed("content", ino, "content whose inode is lost, with its owner, mode and name: put here, for root alone (0600)");
  return content(ino);
}

// --- Units that several show

Status Repair::shared_units() {
  std::vector<SharedRange> said;
  std::vector<std::string> unreadable;
  PAILFS_TRY(each(
      kStoreScope, keys::shared(0, 0), keys::after_prefix("s"),
      [&](const StoreView::Entry& entry) -> Status {
        PAILFS_ASSIGN(const SharedRange range, decode_shared(entry));
        said.push_back(range);
        return {};
      },
      [&](const std::string& key, const Error&) -> Status {
        unreadable.push_back(key);
        return {};
      }));
  for (const std::string& key : unreadable) PAILFS_TRY(erase(key));
  std::ranges::sort(stretches_, {}, [](const OwnedStretch& one) { return Place(one.range.segment, one.range.begin); });
  std::map<Place, std::pair<uint64_t, uint64_t>> right;  // begin to end, owners
  uint64_t wrong = unreadable.size();
  sweep_owners(stretches_, said, [&](const UnitRange& range, uint64_t found, uint64_t recorded, Ino) {
    if (std::max<uint64_t>(found, 1) != std::max<uint64_t>(recorded, 1)) ++wrong;
    if (found < 2) return;
    const auto before = right.empty() ? right.end() : std::prev(right.end());
    if (before != right.end() && before->first.first == range.segment && before->second.first == range.begin &&
        before->second.second == found) {
      before->second.first = range.end;
    } else {
      right[{range.segment, range.begin}] = {range.end, found};
    }
  });
  if (wrong == 0) return {};
  fixed("space", 0, fmt::format("{} stretches of units were counted wrongly or unreadable: counted anew", wrong));
  for (const SharedRange& range : said) {
    if (!right.contains({range.range.segment, range.range.begin})) {
      PAILFS_TRY(erase(keys::shared(range.range.segment, range.range.begin)));
    }
  }
  for (const auto& [begin, rest] : right) {
    Encoder value;
    value.varint(rest.first - begin.second);
    value.varint(rest.second);
    PAILFS_TRY(put(keys::shared(begin.first, begin.second), value.take(), kStoreScope));
  }
  return {};
}

}  // namespace pailfs
