// Checking contents: the chain of versions of each inode, their extents, the room these refer to and, where the check
// is deep, every unit.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <set>

#include "core/check.h"
#include "core/content.h"
#include "core/scan.h"

namespace pailfs {

namespace {

constexpr size_t kMaxStretches = size_t{2} << 20;  // 64 MiB; in larger stores units are not compared across files
constexpr size_t kMaxFaults = 8;                   // of one file
constexpr uint64_t kChunkEnd = kMaxFileSize / kChunkSize + 1;

}  // namespace

// One look at all versions of an inode.
class ContentCheck::Look {
 public:
  Look(const Store& store, bool deep, Ino ino, CheckReport& report)
      : store_(store), deep_(deep), ino_(ino), report_(report) {}
  Status run(const InodeRecord& record);
  Findings found;

 private:
  struct Content {
    InodeRecord record;
    bool current = false;
    uint64_t stored = 0;  // counted
  };
  // What the versions show of one chunk.
  struct Shown {
    const InodeRecord* version = nullptr;
    const ExtentList* extents = nullptr;
  };
  void fault(std::string what, const InodeRecord* version = nullptr) {
    if (found.faults.size() >= kMaxFaults) return;
    found.faults.push_back({std::move(what), version != nullptr ? version_name(*version) : std::string()});
  }
  Status load(const InodeRecord& record);
  void chain();
  // All versions of one cid: chain_[first, last).
  Status contents(size_t first, size_t last);
  Status chunked(size_t first, size_t last, const std::vector<Shown>& inline_shown);
  void chunk(size_t first, size_t last, uint64_t chunk, const std::vector<std::pair<uint32_t, ExtentList>>& records,
             std::vector<Shown>& all);
  void list(const ExtentList& extents, const Content& content, uint64_t chunk);
  Status units(uint64_t chunk, const std::vector<Shown>& shown, Scope scope);
  // Names the versions that show a unit which cannot be read, and where in the file.
  void unreadable(uint64_t chunk, const std::vector<Shown>& shown, const UnitRange& unit, const std::string& why);

  const Store& store_;
  const bool deep_;
  const Ino ino_;
  CheckReport& report_;  // only to be told when to end
  std::vector<Content> chain_;
};

Status ContentCheck::Look::load(const InodeRecord& record) {
  if (record.vseq > 1) {
    PAILFS_TRY(scan_range(store_, bucket_of(ino_), keys::version(ino_, 0), keys::version(ino_, ~0u),
                          [&](const StoreView::Entry& entry) -> Result<bool> {
                            PAILFS_ASSIGN(InodeRecord version, decode_inode(entry.value));
                            if (keys::version(ino_, version.vseq) != entry.key) fault("a version is another one's");
                            chain_.push_back({std::move(version), false, 0});
                            return true;
                          }));
  }
  chain_.push_back({record, true, 0});
  return {};
}

void ContentCheck::Look::chain() {
  for (size_t i = 0; i < chain_.size(); ++i) {
    const InodeRecord& record = chain_[i].record;
    if (!chain_[i].current && (!record.sealed || record.dirty)) fault("a version has no name");
    if (record.sealed && !record.dirty) ++found.versions;
    if (record.cid == 0 && (record.chunked || !record.extents.empty())) fault("content without a number");
    if (record.chunked && !record.extents.empty()) fault("content in two forms");
    const InodeRecord* older = i > 0 ? &chain_[i - 1].record : nullptr;
    if (older != nullptr && older->vseq >= record.vseq) fault("versions are out of order");
    const bool shares = older != nullptr && older->cid == record.cid && record.cid != 0;
    if (record.prev != (shares ? older->vseq : 0)) {
      fault(fmt::format("version {} says that version {} is before it", record.vseq, record.prev));
    }
    if (shares && older->chunked && !record.chunked) fault("content went back to the inline form");
  }
}

void ContentCheck::Look::list(const ExtentList& extents, const Content& content, uint64_t chunk) {
  const std::string wrong = extents_fault(extents, kChunkSize);
  if (!wrong.empty()) return fault(fmt::format("chunk {}: {}", chunk, wrong), &content.record);
  if (extents.empty()) return;
  const Extent& last = extents.back();
  if (chunk * kChunkSize + last.offset + last.length > content.record.size) {
    fault(fmt::format("chunk {}: content behind the end of the file", chunk), &content.record);
  }
}

void ContentCheck::Look::unreadable(uint64_t chunk, const std::vector<Shown>& shown, const UnitRange& unit,
                                    const std::string& why) {
  for (const Shown& one : shown) {
    for (const Extent& extent : *one.extents) {
      const UnitRange range = range_of(extent.run);
      if (range.segment != unit.segment || range.end <= unit.begin || unit.end <= range.begin) continue;
      const uint64_t begin = chunk * kChunkSize + extent.offset;
      fault(fmt::format("bytes {} to {} cannot be read whole: {}", begin, begin + extent.length, why), one.version);
      break;
    }
  }
}

Status ContentCheck::Look::units(uint64_t chunk, const std::vector<Shown>& shown, Scope scope) {
  ExtentList all;
  for (const Shown& one : shown) {
    all.insert(all.end(), one.extents->begin(), one.extents->end());
    found.lost += lost_bytes(*one.extents);
  }
  for (const Run& run : released(all, {})) {
    found.stretches.push_back({range_of(run), ino_});
    found.bytes += run.length;
    PAILFS_ASSIGN(const bool live, store_.run_is_live(run));
    if (!live) {
      unreadable(
          chunk, shown, range_of(run),
          fmt::format("content refers to room in segment {:016x} that was given back or is missing", run.segment));
      continue;
    }
    if (!deep_) continue;
    PAILFS_TRY(verify_units(
        store_, scope, run, [&] { return report_.proceed(); },
        [&](const UnitRange& unit, const Error& why) { unreadable(chunk, shown, unit, why.message); }));
  }
  return {};
}

void ContentCheck::Look::chunk(size_t first, size_t last, uint64_t chunk,
                               const std::vector<std::pair<uint32_t, ExtentList>>& records, std::vector<Shown>& all) {
  size_t claimed = 0;
  for (size_t i = first; i < last; ++i) {
    Content& content = chain_[i];
    if (!content.record.chunked) continue;
    const std::pair<uint32_t, ExtentList>* shown = nullptr;
    for (const auto& record : records) {
      if (record.first > content.record.vseq) break;
      shown = &record;
      if (record.first > content.record.prev) ++claimed;
    }
    if (shown == nullptr) continue;
    all.push_back({&content.record, &shown->second});
    content.stored += covered(shown->second);
    list(shown->second, content, chunk);
  }
  if (claimed != records.size()) fault(fmt::format("chunk {}: a record that no version shows", chunk));
}

Status ContentCheck::Look::chunked(size_t first, size_t last, const std::vector<Shown>& inline_shown) {
  const Ino cid = chain_[first].record.cid;
  const Scope scope = bucket_of(cid);
  found.chunked.push_back(cid);
  uint64_t at = 0;
  std::vector<std::pair<uint32_t, ExtentList>> records;
  const auto finish = [&]() -> Status {
    std::vector<Shown> shown = at == 0 ? inline_shown : std::vector<Shown>{};
    chunk(first, last, at, records, shown);
    Status done = units(at, shown, scope);
    records.clear();
    return done;
  };
  PAILFS_TRY(scan_range(store_, scope, keys::chunk(cid, 0, 0), keys::chunk(cid, kChunkEnd, 0),
                        [&](const StoreView::Entry& entry) -> Result<bool> {
                          const ChunkKey key = parse_chunk_key(entry.key);
                          if (key.chunk != at) {
                            if (Status done = finish(); !done) return std::unexpected(std::move(done).error());
                            at = key.chunk;
                          }
                          PAILFS_ASSIGN(ExtentList extents, decode_extents(entry.value));
                          records.emplace_back(key.vseq, std::move(extents));
                          return true;
                        }));
  return finish();
}

Status ContentCheck::Look::contents(size_t first, size_t last) {
  std::vector<Shown> inline_shown;
  bool any_chunked = false;
  for (size_t i = first; i < last; ++i) {
    Content& content = chain_[i];
    any_chunked = any_chunked || content.record.chunked;
    if (content.record.chunked) continue;
    list(content.record.extents, content, 0);
    content.stored += covered(content.record.extents);
    inline_shown.push_back({&content.record, &content.record.extents});
  }
  if (any_chunked) {
    PAILFS_TRY(chunked(first, last, inline_shown));
  } else {
    PAILFS_TRY(units(0, inline_shown, bucket_of(ino_)));
  }
  for (size_t i = first; i < last; ++i) {
    const Content& content = chain_[i];
    if (content.stored != content.record.stored) {
      fault(fmt::format("version {} says that it stores {} bytes, and stores {}", content.record.vseq,
                        content.record.stored, content.stored),
            &content.record);
    }
  }
  return {};
}

Status ContentCheck::Look::run(const InodeRecord& record) {
  const Store::ReadGuard guard(store_);
  PAILFS_TRY(load(record));
  chain();
  for (size_t first = 0; first < chain_.size();) {
    size_t last = first + 1;
    while (last < chain_.size() && chain_[last].record.cid == chain_[first].record.cid) ++last;
    if (chain_[first].record.cid != 0) PAILFS_TRY(contents(first, last));
    first = last;
  }
  return {};
}

// --- Over all inodes

Status ContentCheck::begin(Scope bucket) {
  with_records_.clear();
  chunked_.clear();
  const std::string end = kind_end('c', bucket);
  std::string from = kind_begin('c', bucket);
  while (true) {
    PAILFS_ASSIGN(const auto key, core_.store.view().seek_key(from, end));
    if (!key) return {};
    const Ino cid = parse_chunk_key(*key).cid;
    with_records_.push_back(cid);
    from = keys::chunk(cid + 1, 0, 0);
  }
}

Status ContentCheck::object(Ino ino, const InodeRecord& record) {
  if (!S_ISREG(record.mode)) {
    if (record.cid != 0 || !record.extents.empty())
      report_.problem("content", ino, "has content and is no regular file");
    if (record.sealed) ++report_.result.versions;
    return {};
  }
  Look look(core_.store, deep_, ino, report_);
  Status looked = look.run(record);
  if (!looked && looked.error().code == Code::kInterrupted) return looked;
  Findings found = std::move(look.found);
  if (!looked || !found.faults.empty()) {
    const Result<InodePtr> inode = core_.inodes.get(ino);
    if (!inode && inode.error().code == Code::kNotFound) return {};
    if (!inode) {
      report_.problem("index", ino, inode.error().message);
      return {};
    }
    ReaderLock lock((*inode)->lock);
    if ((*inode)->gone) return {};
    Look again(core_.store, deep_, ino, report_);
    looked = again.run((*inode)->record);
    found = std::move(again.found);
  }
  if (!looked) {
    if (looked.error().code != Code::kCorrupt) return looked;
    report_.problem("index", ino, looked.error().message);
  }
  for (Findings::Fault& fault : found.faults) {
    report_.problem("content", ino, std::move(fault.what), std::move(fault.version));
  }
  report_.result.versions += found.versions;
  report_.result.bytes += found.bytes;
  report_.result.lost_bytes += found.lost;
  chunked_.insert(chunked_.end(), found.chunked.begin(), found.chunked.end());
  for (const Stretch& stretch : found.stretches) referenced_ += run_of(stretch.range).room();
  too_many_ = too_many_ || stretches_.size() + found.stretches.size() > kMaxStretches;
  if (too_many_) {
    stretches_ = {};
  } else {
    stretches_.insert(stretches_.end(), found.stretches.begin(), found.stretches.end());
  }
  return {};
}

Status ContentCheck::end(Scope bucket) {
  std::sort(chunked_.begin(), chunked_.end());
  for (const Ino cid : with_records_) {
    if (std::binary_search(chunked_.begin(), chunked_.end(), cid)) continue;
    PAILFS_ASSIGN(const bool shown, shown_now(bucket, cid));
    if (shown) continue;
    report_.problem("content", 0,
                    fmt::format("bucket number {}: records of content {}, which no file has", bucket, cid));
  }
  return {};
}

// A second look, under the lock of whoever has the content now: it may have been emptied, and filled again, since its
// records were listed. Also true when there are no records any more.
Result<bool> ContentCheck::shown_now(Scope bucket, Ino cid) {
  const auto none = [&]() -> Result<bool> {
    PAILFS_ASSIGN(const auto key, core_.store.view().seek_key(keys::chunk(cid, 0, 0), keys::chunk(cid + 1, 0, 0)));
    return !key;
  };
  std::set<Ino> owners;
  PAILFS_TRY(each_content(
      core_.store, bucket, [this] { return report_.proceed(); },
      [&](Ino ino, Ino content) {
        if (content == cid) owners.insert(ino);
      }));
  for (const Ino ino : owners) {
    const Result<InodePtr> inode = core_.inodes.get(ino);
    if (!inode) continue;
    ReaderLock lock((*inode)->lock);
    if ((*inode)->gone) continue;
    Look look(core_.store, false, ino, report_);
    PAILFS_TRY(look.run((*inode)->record));
    PAILFS_ASSIGN(const bool gone, none());
    if (gone || std::ranges::count(look.found.chunked, cid) != 0) return true;
  }
  return none();
}

namespace {

using Place = std::pair<uint64_t, uint64_t>;  // segment, offset

}  // namespace

void sweep_owners(const std::vector<OwnedStretch>& stretches, const std::vector<SharedRange>& records,
                  const std::function<void(const UnitRange&, uint64_t, uint64_t, Ino)>& visit) {
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> ends;  // of the stretches that cover `at`
  auto stretch = stretches.begin();
  auto record = records.begin();
  Place at{0, 0};
  Ino ino = 0;
  while (true) {
    while (record != records.end() && Place{record->range.segment, record->range.end} <= at) ++record;
    Place next{~uint64_t{0}, 0};
    if (record != records.end()) next = {record->range.segment, record->range.begin};
    const bool said = next <= at;
    if (ends.empty() && !said) {
      if (stretch != stretches.end()) next = std::min(next, Place{stretch->range.segment, stretch->range.begin});
      if (next.first == ~uint64_t{0}) return;
      at = next;
    }
    for (; stretch != stretches.end() && Place{stretch->range.segment, stretch->range.begin} <= at; ++stretch) {
      ends.push(stretch->range.end);
      ino = stretch->ino;
    }
    const bool covers = record != records.end() && Place{record->range.segment, record->range.begin} <= at;
    uint64_t end = covers ? record->range.end : ~uint64_t{0};
    if (!ends.empty()) end = std::min(end, ends.top());
    if (!covers && record != records.end() && record->range.segment == at.first) {
      end = std::min(end, record->range.begin);
    }
    if (stretch != stretches.end() && stretch->range.segment == at.first) end = std::min(end, stretch->range.begin);
    visit(UnitRange{at.first, at.second, end, false}, ends.size(), covers ? record->owners : 0, ino);
    at.second = end;
    while (!ends.empty() && ends.top() <= end) ends.pop();
  }
}

Status ContentCheck::shared_units() {
  std::vector<SharedRange> records;
  PAILFS_TRY(scan_for_check(report_, core_.store, kStoreScope, keys::shared(0, 0), keys::after_prefix("s"),
                            [&](const StoreView::Entry& entry) -> Status {
                              Result<SharedRange> record = decode_shared(entry);
                              if (record) {
                                records.push_back(*record);
                              } else {
                                report_.problem("index", 0, record.error().message);
                              }
                              return {};
                            }));
  if (too_many_) {  // the headers of shared records count several times
    for (const SharedRange& record : records) {
      const uint64_t twice = (record.owners - 1) * (record.range.end - record.range.begin);
      referenced_ -= std::min(referenced_, twice);
    }
    return {};
  }
  const auto place = [](const auto& item) { return Place{item.range.segment, item.range.begin}; };
  std::ranges::sort(stretches_, {}, place);
  for (size_t i = 1; i < stretches_.size(); ++i) {
    const bool same =
        stretches_[i].range.head && stretches_[i - 1].range.head && place(stretches_[i]) == place(stretches_[i - 1]);
    if (same) referenced_ -= kRecordHeaderSize;
  }
  const std::vector<UnitRange> changed = watch_.changed();
  sweep_owners(stretches_, records, [&](const UnitRange& range, uint64_t found, uint64_t said, Ino ino) {
    if (found > 1) referenced_ -= (found - 1) * (range.end - range.begin);
    if (std::max<uint64_t>(found, 1) == std::max<uint64_t>(said, 1)) return;
    const bool moving = std::ranges::any_of(changed, [&](const UnitRange& other) {
      return other.segment == range.segment && other.begin < range.end && range.begin < other.end;
    });
    if (moving) return;
    report_.problem("space", ino,
                    fmt::format("segment {:016x}, bytes {} to {}: {} contents show them, and {} are written down",
                                range.segment, range.begin, range.end, found, said));
  });
  return {};
}

}  // namespace pailfs
