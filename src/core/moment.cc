#include "core/moment.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "base/codec.h"
#include "core/history.h"
#include "core/scan.h"
#include "core/time_text.h"

namespace pailfs {

namespace {

constexpr uint64_t kSlotEnd = uint64_t{1} << 63;
constexpr size_t kEntriesAtOnce = 256;
// By how much a clock that is read may be ahead of the one that stamps.
constexpr Stamp kClockStep = 1'000'000'000;
// By how much stamps may be ahead of the clock without anybody being told: a start puts them ahead by seconds.
constexpr Stamp kNoticeable = Stamp{5} * 60 * 1'000'000'000;
constexpr Stamp kLastStamp = std::numeric_limits<Stamp>::max();

struct EndedKey {
  uint64_t slot = 0;
  Stamp end = 0;
};
EndedKey ended_key(std::string_view key) {
  Decoder in(key.substr(1 + sizeof(Ino)));
  EndedKey out;
  out.slot = in.be64();
  out.end = static_cast<Stamp>(in.be64());
  return out;
}

}  // namespace

// --- Names

// What the slots of the name's group held then: in each, the first entry that ended later, if it had begun.
Result<std::optional<Moment::Entry>> Moment::ended_entry(Ino directory, std::string_view name) const {
  const Scope scope = bucket_of(directory);
  const uint64_t group = core_.slot_group(directory, name);
  const std::string end = keys::ended(directory, group + 8, 0);
  StoreView view = core_.store.view();
  for (uint64_t slot = group; slot < group + 8;) {
    PAILFS_ASSIGN(const auto entry, view.seek(scope, keys::ended(directory, slot, at_ + 1), end));
    if (!entry) return std::nullopt;
    const EndedKey key = ended_key(entry->key);
    if (key.slot == slot || key.end > at_) {
      PAILFS_ASSIGN(EndedDirent ended, decode_ended(entry->value));
      if (ended.since <= at_ && ended.name == name)
        return Entry{key.slot, std::move(ended.name), ended.ino, ended.type};
      slot = key.slot + 1;
    } else {
      slot = key.slot;
    }
  }
  return std::nullopt;
}

Result<std::optional<Moment::Entry>> Moment::find(Ino directory, std::string_view name) const {
  PAILFS_ASSIGN(auto found, core_.find(directory, name));
  PAILFS_ASSIGN(auto ended, ended_entry(directory, name));
  if (ended) return ended;
  if (!found || found->entry.since > at_) return std::nullopt;
  return Entry{found->slot, std::move(found->entry.name), found->entry.ino, found->entry.type};
}

// Adds what the slots [first, end) held; returns where it stopped: `end`, or earlier after `limit` entries.
Result<uint64_t> Moment::ended_entries(Ino directory, uint64_t first, uint64_t end, size_t limit,
                                       std::map<uint64_t, Entry>& out) const {
  const Scope scope = bucket_of(directory);
  const std::string behind = keys::ended(directory, end, 0);
  StoreView view = core_.store.view();
  for (size_t found = 0; first < end;) {
    PAILFS_ASSIGN(const auto entry, view.seek(scope, keys::ended(directory, first, at_ + 1), behind));
    if (!entry) return end;
    const EndedKey key = ended_key(entry->key);
    if (key.slot != first && key.end <= at_) {
      first = key.slot;
      continue;
    }
    first = key.slot + 1;
    PAILFS_ASSIGN(EndedDirent ended, decode_ended(entry->value));
    if (ended.since > at_) continue;
    out.insert_or_assign(key.slot, Entry{key.slot, std::move(ended.name), ended.ino, ended.type});
    if (++found == limit) return first;
  }
  return end;
}

Status Moment::list(Ino directory, uint64_t after, const std::function<Result<bool>(Entry&)>& visit) const {
  const Scope scope = bucket_of(directory);
  for (uint64_t first = after + 1; first < kSlotEnd;) {
    std::map<uint64_t, Entry> entries;
    uint64_t end = kSlotEnd;
    {
      StoreView view = core_.store.view();
      const std::string behind = keys::dirent(directory, kSlotEnd);
      PAILFS_ASSIGN(auto entry, view.seek(scope, keys::dirent(directory, first), behind));
      for (size_t read = 0; entry; ++read) {
        const uint64_t slot = Decoder(std::string_view(entry->key).substr(1 + sizeof(Ino))).be64();
        if (read == kEntriesAtOnce) {
          end = slot;
          break;
        }
        PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry->value));
        if (!dirent.name.empty() && dirent.since <= at_) {
          entries.emplace(slot, Entry{slot, std::move(dirent.name), dirent.ino, dirent.type});
        }
        PAILFS_ASSIGN(entry, view.next(scope, behind));
      }
    }
    PAILFS_ASSIGN(end, ended_entries(directory, first, end, kEntriesAtOnce, entries));
    for (auto& [slot, entry] : entries) {
      if (slot >= end) break;
      PAILFS_ASSIGN(const bool more, visit(entry));
      if (!more) return {};
    }
    first = end;
  }
  return {};
}

// --- Inodes

// The version that was the content then; nullopt: none, or none any more.
Result<std::optional<InodeRecord>> Moment::content(StoreView& view, Ino ino, const InodeRecord& current) const {
  const auto shown = [&](InodeRecord version) -> std::optional<InodeRecord> {
    const bool away = version.ceased != 0 && version.ceased <= at_;
    if (away && (version.resumed == 0 || at_ < version.resumed)) return std::nullopt;
    return version;
  };
  if (current.sealed && current.version.sealed <= at_) return shown(current);
  PAILFS_ASSIGN(auto best, sealed_by(view, ino, current.vseq, at_));
  if (!best) return std::nullopt;
  return shown(std::move(*best));
}

Result<std::optional<Moment::Object>> Moment::object(Ino ino) const {
  const Scope scope = bucket_of(ino);
  StoreView view = core_.store.view();
  PAILFS_ASSIGN(const auto value, view.get(scope, keys::inode(ino)));
  if (!value) return std::nullopt;
  PAILFS_ASSIGN(const InodeRecord current, decode_inode(*value));
  Object out{current, true};
  PAILFS_ASSIGN(const auto past, view.seek(scope, keys::past_inode(ino, at_ + 1), keys::past_inode(ino, kLastStamp)));
  if (past) {
    PAILFS_ASSIGN(out.record, decode_inode(past->value));
  }
  InodeRecord& record = out.record;
  if (record.nlink == 0) record.nlink = S_ISDIR(record.mode) ? 2 : 1;
  if (!S_ISREG(record.mode)) {
    out.fixed = core_.versioning(scope) == Versioning::kEnabled;
    return out;
  }
  PAILFS_ASSIGN(auto content, this->content(view, ino, current));
  const bool same =
      content && record.sealed && record.vseq == content->vseq && record.version.sealed == content->version.sealed;
  out.whole = content.has_value();
  if (!content) content.emplace();
  // Its times are the content's from when the next version began on.
  if (out.whole && !same) {
    record.mtime = content->mtime;
    if (record.ctime > at_) record.ctime = content->ctime;
  }
  record.size = content->size;
  record.stored = content->stored;
  record.cid = content->cid;
  record.vseq = content->vseq;
  record.prev = content->prev;
  record.chunked = content->chunked;
  record.extents = std::move(content->extents);
  record.version = content->version;
  record.sealed = content->sealed;
  record.retention = content->retention;
  record.dirty = false;
  out.fixed = out.whole && is_final(core_, ino, record);
  return out;
}

// --- Extended attributes

Result<std::optional<std::string>> Moment::xattr(Ino ino, const InodeRecord& record, std::string_view name) const {
  if (!record.has_xattrs) return std::nullopt;
  const Scope scope = bucket_of(ino);
  const std::array<char, 16> bytes = core_.store.token(scope, name);
  const std::string_view token(bytes.data(), bytes.size());
  StoreView view = core_.store.view();
  PAILFS_ASSIGN(const auto value, view.get(scope, keys::xattr(ino, token)));
  PAILFS_ASSIGN(const auto past,
                view.seek(scope, keys::past_xattr(ino, token, at_ + 1), keys::past_xattr(ino, token, kLastStamp)));
  if (past) {
    PAILFS_ASSIGN(PastXattr xattr, decode_past_xattr(past->value));
    return std::move(xattr.value);
  }
  if (!value) return std::nullopt;
  PAILFS_ASSIGN(Xattr xattr, decode_xattr(*value));
  return std::move(xattr.value);
}

Result<std::vector<std::string>> Moment::xattr_names(Ino ino, const InodeRecord& record) const {
  std::vector<std::string> names;
  if (!record.has_xattrs) return names;
  const Scope scope = bucket_of(ino);
  const size_t token = 1 + sizeof(Ino);
  std::map<std::string, std::string> there;  // token to name
  PAILFS_TRY(scan_prefix(core_.store, scope, keys::xattr(ino, {}), [&](const StoreView::Entry& entry) -> Result<bool> {
    PAILFS_ASSIGN(Xattr xattr, decode_xattr(entry.value));
    there.emplace(entry.key.substr(token), std::move(xattr.name));
    return true;
  }));
  std::string last;  // of each attribute, the first record that ended later decides
  PAILFS_TRY(
      scan_prefix(core_.store, scope, keys::numbered('y', ino), [&](const StoreView::Entry& entry) -> Result<bool> {
        const std::string of = entry.key.substr(token, 16);
        if (of == last || end_of_past(entry.key) <= at_) return true;
        last = of;
        PAILFS_ASSIGN(PastXattr xattr, decode_past_xattr(entry.value));
        there.erase(of);
        if (xattr.value) there.emplace(of, std::move(xattr.name));
        return true;
      }));
  for (auto& [key, name] : there) names.push_back(std::move(name));
  return names;
}

// --- Rights

Status check_then(Core::Impl& core, const Caller& caller, const ThenAndNow& object, Action action, Need need,
                  uint32_t permissions) {
  const ConditionValue id{kVersionIdKey, version_id_text(object.then.version)};
  const auto check = [&](const InodeRecord& record, Stamp at) {
    const Attributes shown = Core::Impl::attributes(object.ino, record);
    AccessRequest request{caller, action, need, shown};
    request.permissions = permissions;
    request.keys = object.keys;
    request.tags = {object.ino, at};
    if (action == Action::kGetObjectVersion) request.conditions = std::span(&id, 1);
    return core.gate.check(request);
  };
  PAILFS_TRY(check(object.then, object.at));
  PAILFS_ASSIGN(const InodePtr inode, core.existing(object.ino));
  ReaderLock lock(inode->lock);
  if (inode->gone) return fail(Code::kNotFound, "nothing is left of it");
  return check(inode->record, 0);
}

// --- Which moments there are

Result<Stamp> check_moment(Core::Impl& core, Scope bucket, Stamp at) {
  PAILFS_ASSIGN(const BucketRecord record, core.bucket_record(bucket));
  if (record.history_since == 0) {
    return fail(Code::kNotFound, fmt::format("versioning was never enabled in bucket {}: it has no earlier moments "
                                             "('pail versioning enable {}' keeps those from now on)",
                                             record.name, record.name));
  }
  // What has been stamped has happened, also where the clock was ahead then.
  const Stamp latest = core.latest_stamp();
  if (at > std::max(core.now() + kClockStep, latest)) {
    return fail(Code::kInvalid, fmt::format("{} is in the future", format_time(at)));
  }
  if (at < record.history_since) {
    return fail(Code::kNotFound, fmt::format("the history of bucket {} begins at {}, and {} is before that",
                                             record.name, format_time(record.history_since), format_time(at)));
  }
  return std::min(at, latest);
}

Time Core::latest_time() const { return std::max(impl_->now(), impl_->latest_stamp()); }

std::optional<Time> Core::times_ahead() const {
  const Stamp latest = impl_->latest_stamp();
  return latest > impl_->now() + kNoticeable ? std::optional(latest) : std::nullopt;
}

}  // namespace pailfs
