#include "core/scrub_findings.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/codec.h"
#include "base/logging.h"
#include "core/check.h"
#include "core/content.h"
#include "core/file_paths.h"
#include "core/scan.h"
#include "core/verify.h"

namespace pailfs {

namespace {

constexpr uint8_t kFormat = 1;
constexpr int64_t kNamesLast = int64_t{600} * 1'000'000'000;  // looking for names reads a whole bucket's entries

std::string prefix(char kind) { return {'l', kind}; }

bool contains(const std::vector<UnitRange>& units, uint64_t segment, uint64_t at) {
  return std::ranges::any_of(
      units, [&](const UnitRange& range) { return range.segment == segment && range.begin <= at && at < range.end; });
}

// Bytes that the extents show of the units.
uint64_t bytes_in(const ExtentList& extents, const std::vector<UnitRange>& units) {
  uint64_t bytes = 0;
  for (const Extent& extent : extents) {
    for (uint32_t unit = 0; unit < extent.run.units(); ++unit) {
      if (!contains(units, extent.run.segment, extent.run.offset + uint64_t{unit} * (kUnitSize + kTagSize))) continue;
      const uint32_t begin = std::max(unit * kUnitSize, extent.skip);
      const uint32_t end = std::min((unit + 1) * kUnitSize, extent.skip + extent.length);
      bytes += end - begin;
    }
  }
  return bytes;
}

}  // namespace

// version, begun, completed, verified, completed_bytes, cursor.
std::string encode_scrub_state(const ScrubState& state) {
  Encoder out;
  out.u8(kFormat);
  out.i64(state.begun);
  out.i64(state.completed);
  out.varint(state.verified);
  out.varint(state.completed_bytes);
  out.bytes(state.cursor);
  return out.take();
}

Result<ScrubState> decode_scrub_state(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8();
  ScrubState state;
  state.begun = in.i64();
  state.completed = in.i64();
  state.verified = in.varint();
  state.completed_bytes = in.varint();
  state.cursor = in.bytes();
  if (format != kFormat || !in.done()) return fail(Code::kCorrupt, "malformed record: the state of the scrub");
  return state;
}

// version, found, ino, why; the record's key, empty where it is about units: then chunk, count, each: segment, begin,
// length.
std::string encode_finding(const Finding& finding) {
  Encoder out;
  out.u8(kFormat);
  out.i64(finding.found);
  out.varint(finding.ino);
  out.bytes(finding.why);
  out.bytes(finding.record);
  if (!finding.record.empty()) return out.take();
  out.varint(finding.chunk);
  out.varint(finding.units.size());
  for (const UnitRange& range : finding.units) {
    out.varint(range.segment);
    out.varint(range.begin);
    out.varint(range.end - range.begin);
  }
  return out.take();
}

Result<Finding> decode_finding(std::string_view value) {
  const auto malformed = [] { return fail(Code::kCorrupt, "malformed record: a finding of the scrub"); };
  Decoder in(value);
  const uint8_t format = in.u8();
  Finding finding;
  finding.found = in.i64();
  finding.ino = in.varint();
  finding.why = in.bytes();
  finding.record = in.bytes();
  if (finding.record.empty()) {
    finding.chunk = in.varint();
    const uint64_t count = in.varint();
    if (!in.ok() || count == 0 || count > in.remaining() / 3) return malformed();
    for (uint64_t i = 0; i < count; ++i) {
      UnitRange range;
      range.segment = in.varint();
      range.begin = in.varint();
      const uint64_t length = in.varint();
      if (length == 0 || length > kChunkSize * 2 || range.begin > ~uint64_t{0} - length) return malformed();
      range.end = range.begin + length;
      finding.units.push_back(range);
    }
  }
  if (format != kFormat || !in.done()) return malformed();
  return finding;
}

std::string keys::scrub_state() { return prefix('s'); }

std::string keys::finding(const Finding& finding) {
  if (!finding.record.empty()) return prefix('r') + finding.record;
  Encoder out;
  out.raw(prefix('u'));
  out.be64(finding.ino);
  out.be64(finding.chunk);
  return out.take();
}

// --- Taking note

void ScrubFindings::lost_units(const std::string& key, std::vector<UnitRange> units, std::string why) {
  Noted noted;
  if (key.front() == 'c') {
    const ChunkKey chunk = parse_chunk_key(key);
    noted.cid = chunk.cid;
    noted.finding.chunk = chunk.chunk;
  } else {
    noted.finding.ino = ino_of_key(key);
  }
  noted.finding.units = std::move(units);
  noted.finding.why = std::move(why);
  noted_.push_back(std::move(noted));
}

void ScrubFindings::lost_record(const std::string& key, const std::string& why) {
  if (!record_is_lost(key)) return;
  if (key.front() == 'l') return damaged_.push_back(key);
  Noted noted;
  if (key.front() == 'c') {
    noted.cid = parse_chunk_key(key).cid;
  } else if (kKindsOfBuckets.contains(key.front())) {
    noted.finding.ino = ino_of_key(key);
  }
  noted.finding.record = key;
  noted.finding.why = key.front() < ' ' ? "a record of the log is damaged: " + why
                                        : fmt::format("a record of kind '{}' is damaged: {}", key.front(), why);
  noted_.push_back(std::move(noted));
}

Status ScrubFindings::each(const std::function<Status(const Finding&)>& visit) const {
  std::string from = "l";
  for (bool finished = false; !finished;) {
    PAILFS_ASSIGN(const VerifiedBatch batch,
                  read_verified(core_.store, kStoreScope, std::move(from), "m", 256, 1 << 20));
    for (const StoreView::Entry& entry : batch.entries) {
      const auto finding = decode_finding(entry.value);
      if (entry.key != keys::scrub_state() && finding) PAILFS_TRY(visit(*finding));
    }
    from = batch.next;
    finished = batch.finished;
  }
  return {};
}

Result<size_t> ScrubFindings::count_kept() const {
  size_t count = 0;
  PAILFS_TRY(each([&count](const Finding&) -> Status {
    ++count;
    return {};
  }));
  return count;
}

Status ScrubFindings::find_owners(const std::function<Status()>& proceed) {
  std::map<Scope, std::map<Ino, Ino>> wanted;
  for (const Noted& noted : noted_) {
    if (noted.cid != 0) wanted[bucket_of(noted.cid)][noted.cid] = 0;
  }
  for (auto& [bucket, contents] : wanted) {
    PAILFS_TRY(each_content(core_.store, bucket, proceed, [&contents](Ino ino, Ino cid) {
      if (const auto found = contents.find(cid); found != contents.end()) found->second = ino;
    }));
  }
  for (Noted& noted : noted_) {
    if (noted.cid != 0) noted.finding.ino = wanted[bucket_of(noted.cid)][noted.cid];
  }
  return {};
}

// What was written down and cannot be read any more is found again by the next pass.
Status ScrubFindings::drop_damaged() {
  if (damaged_.empty()) return {};
  Transaction tx;
  for (const std::string& key : damaged_) tx.erase(key);
  damaged_.clear();
  kept_.reset();
  return core_.commit(std::move(tx));
}

Status ScrubFindings::commit(const std::function<Status()>& proceed) {
  PAILFS_TRY(drop_damaged());
  if (noted_.empty()) return {};
  if (!kept_) {
    PAILFS_ASSIGN(kept_, count_kept());
  }
  PAILFS_TRY(find_owners(proceed));
  std::set<Ino> inodes;
  for (const Noted& noted : noted_) inodes.insert(noted.finding.ino);
  FilePaths paths(core_);
  paths.look_for(inodes);
  for (Noted& noted : noted_) {
    // Content that nobody has any more is nobody's loss.
    if (noted.finding.ino == 0 && noted.finding.record.empty()) continue;
    noted.finding.found = core_.now();
    Transaction tx;
    PAILFS_TRY(add(noted.finding, paths, tx));
    if (!tx.empty()) PAILFS_TRY(core_.commit(std::move(tx)));
  }
  noted_.clear();
  return {};
}

// What is known already is not told again.
Status ScrubFindings::add(const Finding& noted, FilePaths& paths, Transaction& tx) {
  Finding finding = noted;
  const std::string key = keys::finding(finding);
  PAILFS_ASSIGN(const auto value, core_.store.get(kStoreScope, key));
  if (value) {
    PAILFS_ASSIGN(const Finding known, decode_finding(*value));
    std::erase_if(finding.units, [&](const UnitRange& range) {
      for (uint64_t at = range.begin; at < range.end; at += kUnitSize + kTagSize) {
        if (!contains(known.units, range.segment, at)) return false;
      }
      return true;
    });
    if (finding.units.empty()) return {};
    finding.units.insert(finding.units.end(), known.units.begin(), known.units.end());
    finding.found = known.found;
  } else if (*kept_ >= kMaxKept) {
    log_error("more than {} losses: of inode {} nothing is written down: {}", kMaxKept, finding.ino, finding.why);
    return {};
  }
  PAILFS_ASSIGN(const std::vector<Shown> shown, shown_by(finding));
  if (shown.empty()) return {};
  tx.put(kStoreScope, key, encode_finding(finding));
  if (!value) ++*kept_;
  tell(finding, shown, paths, tx);
  return {};
}

void ScrubFindings::tell(const Finding& finding, const std::vector<Shown>& shown, FilePaths& paths, Transaction& tx) {
  Caller nobody;
  nobody.door = Door::kInternal;
  const auto& names = paths.names_of(finding.ino);
  const bool named = !names.empty() && !names.front().deleted;
  const std::string path = finding.ino == 0 ? "the store" : paths.paths_of(finding.ino).front();
  for (const Shown& version : shown) {
    log_error("lost: {}{}{}: {}", path, version.version.empty() ? "" : ", version ", version.version, finding.why);
    ChangeRecord change{Action::kObjectLost, nobody, 0, {}, finding.ino};
    if (named) change.parent = names.front().parent;
    if (named) change.name = names.front().name;
    change.before = version.id;
    tx.record(encode_change(change, core_.now()));
  }
}

// --- Who shows it

bool ScrubFindings::record_is_lost(const std::string& key) const {
  const auto around = keys_around(key);
  if (!around) return false;
  const Scope scope = around->scope;
  if (scope != kStoreScope && (!core_.store.has_scope(scope) || core_.deleting(scope))) return false;
  const auto value = core_.store.get(scope, key);
  return !value && value.error().code == Code::kCorrupt;
}

Result<std::vector<ScrubFindings::Shown>> ScrubFindings::versions_with(const Finding& finding) const {
  const Store& store = core_.store;
  const Scope bucket = bucket_of(finding.ino);
  std::vector<Shown> shown;
  const auto look = [&](std::string_view value, bool current) -> Status {
    PAILFS_ASSIGN(const InodeRecord record, decode_inode(value));
    PAILFS_ASSIGN(const ChunkList chunk, load_chunk(store, record, finding.chunk));
    const uint64_t bytes = bytes_in(chunk.extents, finding.units);
    if (bytes == 0) return {};
    Shown version{{}, {}, current && record.nlink > 0, bytes};
    if (record.sealed && !record.dirty) {
      version.id = record.version.id;
      version.version = version_name(record);
    }
    shown.push_back(std::move(version));
    return {};
  };
  const auto value = store.get(bucket, keys::inode(finding.ino));
  if (value && !*value) return shown;
  if (value) PAILFS_TRY(look(**value, true));
  // An inode whose record is lost too is a finding of its own; its versions are here.
  PAILFS_TRY(scan_range(store, bucket, keys::version(finding.ino, 0), keys::version(finding.ino, ~0u),
                        [&](const StoreView::Entry& entry) -> Result<bool> {
                          if (const Status looked = look(entry.value, false); !looked) {
                            return std::unexpected(looked.error());
                          }
                          return true;
                        }));
  return shown;
}

Result<std::vector<ScrubFindings::Shown>> ScrubFindings::shown_by(const Finding& finding) const {
  if (!finding.record.empty()) {
    return record_is_lost(finding.record) ? std::vector<Shown>(1) : std::vector<Shown>();
  }
  const Scope bucket = bucket_of(finding.ino);
  if (!core_.store.has_scope(bucket) || core_.deleting(bucket)) return std::vector<Shown>();
  auto shown = versions_with(finding);
  // Records that cannot be read leave open who shows it: it is lost all the same.
  if (!shown && shown.error().code == Code::kCorrupt) return std::vector<Shown>(1);
  return shown;
}

Result<uint64_t> ScrubFindings::look_again(const std::string& key, const std::string& value,
                                           const std::function<Status()>& proceed) {
  if (key == keys::scrub_state()) return 0;
  const auto decoded = decode_finding(value);
  const Finding finding = decoded ? *decoded : Finding{};  // one that cannot be read is about nothing
  const Store::ReadGuard guard(core_.store);
  PAILFS_ASSIGN(const std::vector<Shown> shown, shown_by(finding));
  uint64_t bytes = 0;
  bool lost = !shown.empty() && !finding.record.empty();
  for (const UnitRange& range : finding.units) {
    if (shown.empty()) break;
    bytes += range.end - range.begin;
    PAILFS_TRY(verify_units(
        core_.store, bucket_of(finding.ino), run_of(range), proceed,
        [&](const UnitRange&, const Error&) { lost = true; }, OnMediumError::kReport));
  }
  if (lost) return bytes;
  log_info("what was lost of inode {} is {}", finding.ino, shown.empty() ? "shown by nothing any more" : "there again");
  Transaction tx;
  tx.erase(key);
  PAILFS_TRY(core_.commit(std::move(tx)));
  if (kept_) --*kept_;
  return bytes;
}

// --- Listing

Time ScrubFindings::ctime_of(Ino ino) const {
  const auto value = core_.store.get(bucket_of(ino), keys::inode(ino));
  const auto record = value && *value ? decode_inode(**value) : Result<InodeRecord>(fail(Code::kNotFound, ""));
  return record ? record->ctime : 0;
}

// inodes[i] is that of objects[i].
void ScrubFindings::name(const std::vector<Ino>& inodes, std::vector<LostObject>& objects) {
  const int64_t now = core_.store.env().monotonic();
  const MutexLock lock(names_lock_);
  std::set<Ino> wanted;
  std::map<Ino, Time> ctimes;
  for (const Ino ino : inodes) {
    if (ino == 0 || ctimes.contains(ino)) continue;
    const Time ctime = ctimes[ino] = ctime_of(ino);
    const auto known = names_.find(ino);
    if (known == names_.end() || known->second.ctime != ctime || now - known->second.looked >= kNamesLast) {
      wanted.insert(ino);
    }
  }
  if (!wanted.empty()) {
    FilePaths paths(core_);
    paths.look_for(wanted);
    std::erase_if(names_, [&](const auto& named) { return !ctimes.contains(named.first); });
    for (const Ino ino : wanted) names_[ino] = {ctimes[ino], now, paths.paths_of(ino)};
  }
  for (size_t i = 0; i < inodes.size(); ++i) {
    if (inodes[i] != 0) objects[i].paths = names_[inodes[i]].paths;
  }
}

// Several findings may be about one version: its chunks.
Result<ScrubFindings::Listed> ScrubFindings::list(bool with_objects) {
  Listed listed;
  std::vector<Ino> inodes;
  std::map<std::pair<Ino, std::string>, size_t> known;  // by inode, and version or record
  PAILFS_TRY(each([&](const Finding& finding) -> Status {
    PAILFS_ASSIGN(const std::vector<Shown> shown, shown_by(finding));
    if (!shown.empty() && !finding.record.empty()) ++listed.records;
    for (const UnitRange& range : finding.units) {
      if (!shown.empty()) listed.segments.insert(range.segment);
    }
    for (const Shown& version : shown) {
      const auto [at, added] = known.emplace(std::pair(finding.ino, finding.record + version.version), listed.count);
      if (added) ++listed.count;
      if (at->second >= kMaxListed) continue;
      if (added) {
        listed.objects.push_back({{}, version.version, version.current, 0, finding.why, finding.found});
        inodes.push_back(finding.ino);
      }
      listed.objects[at->second].bytes += version.bytes;
    }
    return {};
  }));
  if (!with_objects) listed.objects.clear();
  if (with_objects) name(inodes, listed.objects);
  return listed;
}

}  // namespace pailfs
