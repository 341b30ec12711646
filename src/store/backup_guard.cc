#include "store/backup_guard.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "log/segment_reader.h"
#include "store/layout.h"
#include "store/view_impl.h"

namespace pailfs {

namespace {

std::string id_of(const Store::Impl& store) { return uuid_bytes(store.uuid).value_or(std::string(16, '\0')); }

// ns since 1970.
std::string time_text(int64_t time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time / 1'000'000'000)));
}

}  // namespace

BackupGuard::BackupGuard(const Store::Impl& store, const BackupPlace& target, Position end,
                         const BackupRequest& request)
    : store_(store),
      target_env_(target.env),
      target_(target.directory),
      end_(end),
      request_(request),
      keys_(store.keyring->derive("log"), id_of(store)) {}

Status BackupGuard::look() {
  PAILFS_ASSIGN(const std::vector<uint64_t> present, store_.storage->list());
  for (const uint64_t id : present) {
    if (id > end_.segment) continue;
    const auto header = read_segment_header(*store_.storage, keys_, id);
    if (!header && header.error().code != Code::kCorrupt) return std::unexpected(header.error());
    if (!header) {
      broken_[id] = header.error().message;
      continue;
    }
    PAILFS_ASSIGN(const uint64_t size, store_.storage->size(id));
    ours_[id] = {header->salt, header->created, size, size};
    // Ascending: the one before is there already, if it is there at all.
    if (const auto before = ours_.find(header->previous); before != ours_.end()) {
      before->second.end = header->previous_end;
    }
  }
  if (const auto last = ours_.find(end_.segment); last != ours_.end()) last->second.end = end_.offset;
  return look_at_target();
}

Status BackupGuard::look_at_target() {
  PAILFS_ASSIGN(const bool there, target_env_.exists(log_directory(target_)));
  if (!there) return {};
  const auto storage = make_file_log_storage(target_env_, log_directory(target_));
  PAILFS_ASSIGN(const std::vector<uint64_t> present, storage->list());
  for (const uint64_t id : present) {
    names_.insert(id);
    const auto header = read_segment_header(*storage, keys_, id);
    if (!header && (header.error().code == Code::kCorrupt || header.error().code == Code::kIo)) continue;
    if (!header) return std::unexpected(header.error());
    PAILFS_ASSIGN(const uint64_t size, storage->size(id));
    theirs_[id] = {header->salt, header->created, size, size};
  }
  return {};
}

// --- Histories. They part where a store is opened: each start begins a segment, with a salt of its own, and its header
// says where what came before ends. And a store knows the backups that were taken of it.

Status BackupGuard::has_all_of(const Superblock& found, uint64_t sequence) const {
  for (const auto& [id, theirs] : theirs_) {
    const auto ours = ours_.find(id);
    if (ours == ours_.end() || ours->second.salt == theirs.salt) continue;
    return newer(found, sequence,
                 fmt::format("their histories part before segment {}, which the store began at {} and the one that was "
                             "backed up at {}",
                             segment_name(id), time_text(ours->second.created), time_text(theirs.created)));
  }
  if (found.sequence > sequence) return newer(found, sequence, "the store is an older copy");
  // Markers of older builds do not say where the log ended: the last segment was copied up to there.
  uint64_t last = found.last_segment;
  uint64_t end = found.last_offset;
  if (last == 0 && !theirs_.empty()) {
    last = theirs_.rbegin()->first;
    end = theirs_.rbegin()->second.size;
  }
  if (last > end_.segment) return newer(found, sequence, "the store is an older copy");
  const auto ours = ours_.find(last);
  if (ours != ours_.end() && ours->second.end < end) {
    return newer(found, sequence,
                 fmt::format("their histories part in segment {}, which the store left at byte {} and the one that was "
                             "backed up at {} or later",
                             segment_name(last), ours->second.end, end));
  }
  // Segments go when nothing lives in them: what is left may tell nothing.
  PAILFS_ASSIGN(const bool known, knows(found));
  return known ? Status{} : newer(found, sequence, "the store does not know of it: their histories part before it");
}

// Also of one that has no id.
Result<bool> BackupGuard::knows(const Superblock& found) const {
  const auto wanted = uuid_bytes(found.id);
  if (!wanted) return true;
  StoreView view(std::make_unique<StoreView::Impl>(store_));
  PAILFS_ASSIGN(const auto value, view.get(kStoreScope, internal::key1(internal::kBackups)));
  if (!value) return false;
  PAILFS_ASSIGN(const internal::BackupIds backups, internal::decode_backup_ids(*value));
  return backups.knows(found.sequence, *wanted);
}

std::unexpected<Error> BackupGuard::newer(const Superblock& found, uint64_t sequence, const std::string& why) const {
  const std::string change = found.sequence > 0 ? fmt::format("change {}, ", found.sequence) : "";
  return fail(Code::kExists,
              fmt::format("the backup {} has changes that this store does not have: it is as of {}taken {}, and the "
                          "store is at change {} now, {}; {}. Nothing was copied: back up into another directory, or "
                          "let go of what only the backup has with 'pail backup --replace'",
                          target_, change, time_text(found.taken), sequence, time_text(store_.env.now()), why));
}

// --- Damage

bool BackupGuard::is_removed(uint64_t segment) const {
  const ReaderLock lock(store_.segments_mutex);
  const auto record = store_.segments.find(segment);
  return record != store_.segments.end() && record->second.removed;
}

// Segments that content may lie in where they are not, and how long they are. Of a segment that was given back wholly
// nothing tells that it ever was: only content can say that it is still wanted.
Result<std::map<uint64_t, uint64_t>> BackupGuard::doubtful(bool finished) const {
  std::map<uint64_t, uint64_t> found;
  const auto absent = [&](uint64_t id) {
    if (!ours_.contains(id) && !is_removed(id)) found[id] = 0;
  };
  {
    const ReaderLock lock(store_.segments_mutex);
    for (const auto& [id, record] : store_.segments) {
      if (!record.removed && !ours_.contains(id)) found[id] = 0;
    }
  }
  if (finished) {
    for (const uint64_t id : names_) {
      if (id <= end_.segment) absent(id);
    }
  } else {
    for (uint64_t id = 1; id <= end_.segment; ++id) absent(id);
  }
  for (const auto& [id, segment] : ours_) {
    if (segment.size < segment.end) found[id] = segment.size;
  }
  return found;
}

Status BackupGuard::moved_is_there() const {
  StoreView view(std::make_unique<StoreView::Impl>(store_));
  const std::string end = internal::key1(internal::kMoved + 1);
  PAILFS_ASSIGN(auto entry, view.seek(kStoreScope, internal::key1(internal::kMoved), end));
  while (entry) {
    PAILFS_ASSIGN(const internal::Moved moved, internal::decode_moved(entry->value));
    const auto ours = ours_.find(moved.segment);
    const uint64_t wanted = moved.offset + moved.length;
    if (moved.segment <= end_.segment && (ours == ours_.end() || ours->second.size < wanted)) {
      return damaged(moved.segment, wanted, ours == ours_.end() ? "is missing" : "is too short");
    }
    PAILFS_ASSIGN(entry, view.next(kStoreScope, end));
  }
  return {};
}

Status BackupGuard::is_whole(bool finished) const {
  if (!broken_.empty()) return damaged(broken_.begin()->first, 0, "does not verify");
  // The log goes on in the last one.
  if (!ours_.contains(end_.segment)) return damaged(end_.segment, end_.offset, "is missing");
  PAILFS_TRY(moved_is_there());
  PAILFS_ASSIGN(const auto doubtful_ones, doubtful(finished));
  if (doubtful_ones.empty() || !request_.content) return {};
  std::set<uint64_t> asked;
  for (const auto& [id, size] : doubtful_ones) asked.insert(id);
  PAILFS_ASSIGN(const auto content, request_.content(asked));
  for (const auto& [id, wanted] : content) {
    const uint64_t size = doubtful_ones.at(id);
    if (wanted > size) return damaged(id, wanted, size == 0 ? "is missing" : "is too short");
  }
  return {};
}

std::unexpected<Error> BackupGuard::damaged(uint64_t segment, uint64_t wanted, const std::string& what) const {
  const std::string name = segment_name(segment);
  const std::string place = log_directory(store_.directory) + "/" + name;
  const auto theirs = theirs_.find(segment);
  std::string advice;
  if (theirs != theirs_.end() && theirs->second.size >= wanted) {
    advice = fmt::format(
        "The backup still has it and was left as it is: unmount the store, put the file back with "
        "'cp -a {}/{} {}', and run 'pail check --deep --store {}'",
        log_directory(target_), name, place, store_.directory);
  } else {
    advice = fmt::format(
        "{} was left as it is and does not have it: look for the file in other backups, or let go of "
        "what is lost with 'pail repair {}'; 'pail check' names it",
        target_, store_.directory);
  }
  return fail(Code::kCorrupt,
              fmt::format("the store is damaged: its segment file {} {}. Nothing was copied. {}", place, what, advice));
}

// What was rewritten here and is lost may be in the backup where it was before. What was not is in the same place in
// both, and the backup's is not touched.
Status BackupGuard::loses_nothing() const {
  const bool rewritten = std::ranges::any_of(request_.lost_segments, [&](uint64_t id) { return !ours_.contains(id); });
  const auto gone =
      std::ranges::find_if(names_, [&](uint64_t id) { return id <= end_.segment && !ours_.contains(id); });
  std::string what;
  if (request_.lost_records) {
    what = "records of the index are";
  } else if (rewritten && gone != names_.end()) {
    what = fmt::format("content that was moved out of segment {} is", segment_name(*gone));
  } else {
    return {};
  }
  return fail(
      Code::kCorrupt,
      fmt::format("{} lost in the store (see 'pail scrub'), and the backup {} may be the last to have it. Nothing "
                  "was copied: back up into another directory; or restore the backup elsewhere and put back the "
                  "files that are lost, then let go of what is lost with 'pail versions purge' or 'pail repair', "
                  "and back up again; or with 'pail backup --replace'",
                  what, target_));
}

}  // namespace pailfs
