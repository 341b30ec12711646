// The part of the .versions view below .versions/@MOMENT: directories and files as they were. Who may use what:
// check_then() in moment.h.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/logging.h"
#include "core/moment.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/s3_xattrs.h"
#include "core/scan.h"
#include "core/time_text.h"
#include "core/versions_view.h"
#include "io/processes.h"

namespace pailfs {

namespace {

constexpr uint64_t kDotCookie = 1;
constexpr uint64_t kDotDotCookie = 2;
constexpr Time kMinute = 60 * kSecond;
constexpr Time kHour = 60 * kMinute;
constexpr Time kDay = 24 * kHour;

std::unexpected<Error> not_then() { return fail(Code::kNotFound, "there was nothing of this name"); }

}  // namespace

// --- From a name to a moment

Result<Stamp> VersionsView::spoken_moment(const Caller& caller, Scope bucket, std::string_view text) {
  if (auto time = parse_time(text)) return check_moment(core_, bucket, *time);
  SpokenMoments::Key job{.uid = caller.uid, .group = 0, .bucket = bucket, .text = std::string(text)};
  if (const auto process = caller.pid != 0 ? process_start(caller.pid) : std::nullopt) job.group = process->group;
  const Time monotonic = core_.store.env().monotonic();
  if (const auto known = spoken_.find(job, monotonic)) return *known;
  PAILFS_ASSIGN(const Time time, parse_moment(text, core_.now()));
  PAILFS_ASSIGN(const Stamp at, check_moment(core_, bucket, time));
  return spoken_.keep(job, at, monotonic);
}

// The path of a directory in its bucket, as it is now.
Result<std::vector<std::string>> VersionsView::path_now(Ino directory) {
  std::vector<std::string> names;
  for (Ino at = directory; at != bucket_root(bucket_of(directory));) {
    PAILFS_ASSIGN(const InodePtr inode, core_.existing(at));
    {
      ReaderLock lock(inode->lock);
      if (inode->record.nlink == 0) return not_then();
    }
    PAILFS_ASSIGN(auto found, core_.names_of(at));
    if (found.empty() || names.size() > kMaxDepth) return not_then();
    names.push_back(std::move(found.front().name));
    at = found.front().parent;
  }
  std::reverse(names.begin(), names.end());
  return names;
}

// The path that a directory had.
Result<std::string> VersionsView::path_then(Ino directory, const Moment& moment) {
  std::vector<std::string> names;
  for (Ino at = directory; at != bucket_root(bucket_of(directory));) {
    PAILFS_ASSIGN(const auto object, moment.object(at));
    if (!object || names.size() > kMaxDepth) return not_then();
    const Ino above = object->record.parent;
    std::optional<std::string> name;
    PAILFS_ASSIGN(const auto present, core_.names_of(at));
    if (!present.empty() && present.front().parent == above) {  // most have the name that they had
      PAILFS_ASSIGN(const auto entry, moment.find(above, present.front().name));
      if (entry && entry->ino == at) name = present.front().name;
    }
    if (!name) {
      PAILFS_TRY(moment.list(above, 0, [&](Moment::Entry& entry) -> Result<bool> {
        if (entry.ino == at) name = std::move(entry.name);
        return !name;
      }));
    }
    if (!name) return not_then();
    names.push_back(std::move(*name));
    at = above;
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) add_name(path, *name);
  return path;
}

// What stood at the path of a directory that is younger than the moment.
Result<Ino> VersionsView::older_directory(const Caller& caller, Ino directory, const Moment& moment) {
  PAILFS_ASSIGN(const std::vector<std::string> names, path_now(directory));
  Ino at = bucket_root(bucket_of(directory));
  Place place_then;
  place_then.root = directory;
  place_then.moment = moment.at();
  place_then.key = "";
  for (const std::string& name : names) {
    place_then.ino = at;
    PAILFS_ASSIGN(const auto above, moment.object(at));
    if (!above) return not_then();
    PAILFS_TRY(check_then(caller, place_then, above->record, Action::kListBucketVersions, Need::kSearch));
    PAILFS_ASSIGN(const auto entry, moment.find(at, name));
    if (!entry || !S_ISDIR(entry->type)) return not_then();
    at = entry->ino;
    add_name(*place_then.key, name);
  }
  return at;
}

Result<VersionsView::Found> VersionsView::enter_moment(const Caller& caller, const Place& versions,
                                                       std::string_view text) {
  const auto at = spoken_moment(caller, versions.bucket(), text);
  if (!at) {
    log_info(".versions/@{} is refused: {}", printable(text), at.error().message);
    return std::unexpected(at.error());
  }
  Place place;
  place.root = versions.root;
  place.moment = *at;
  place.top = place.ino = versions.root;
  const Moment moment(core_, *at);
  PAILFS_ASSIGN(auto object, moment.object(place.ino));
  if (!object || object->record.btime > *at) {
    PAILFS_ASSIGN(place.ino, older_directory(caller, versions.root, moment));
    place.top = place.ino;
    PAILFS_ASSIGN(object, moment.object(place.ino));
    if (!object) return not_then();
  }
  // Also for policies that come while somebody is there.
  if (auto path = path_then(place.ino, moment)) place.key = *std::move(path);
  PAILFS_TRY(check_then(caller, place, object->record, Action::kListBucketVersions, Need::kSearch));
  // "2h ago" is another moment later, and what everybody may do in the directories above an older one is not known.
  // Nor is a time that the clock has not reached.
  const auto spoken = parse_time(text);
  if (!spoken || *spoken != *at || place.ino != versions.root) return Found{place};
  const NameLasts lasts = lasting_then(place, object->record);
  return Found{place, lasts};
}

// --- Rights

Status VersionsView::check_then(const Caller& caller, const Place& place, const InodeRecord& then, Action action,
                                Need need, uint32_t permissions) {
  PAILFS_ASSIGN(const auto keys, keys_of(place));
  return pailfs::check_then(core_, caller, {place.ino, then, place.moment, keys}, action, need, permissions);
}

// --- Places

Result<Moment::Object> VersionsView::object_then(const Place& place) {
  if (!core_.store.has_scope(place.bucket()) || core_.deleting(place.bucket())) return not_then();
  PAILFS_ASSIGN(auto object, Moment(core_, place.moment).object(place.ino));
  if (!object || !object->whole) return fail(Code::kNotFound, "nothing is left of it");
  return std::move(*object);
}

Result<InodeRecord> VersionsView::record_then(const Place& place) {
  PAILFS_ASSIGN(Moment::Object object, object_then(place));
  return std::move(object.record);
}

NameLasts VersionsView::lasting_then(const Place& directory, const InodeRecord& record) {
  DirectorySpan now;
  now.ino = directory.ino;
  const bool then = core_.gate.open_to_all(Core::Impl::attributes(directory.ino, record));
  return lasting(directory.bucket(), then && open_to_all({now}));
}

Result<Attributes> VersionsView::attributes_then(const Place& place) {
  PAILFS_ASSIGN(const Moment::Object object, object_then(place));
  Attributes shown = Core::Impl::attributes(place.ino, object.record);
  shown.fixed = object.fixed;
  return shown;
}

Result<VersionsView::Found> VersionsView::child_then(const Caller& caller, const Place& parent, std::string_view name) {
  PAILFS_ASSIGN(const InodeRecord directory, record_then(parent));
  if (!S_ISDIR(directory.mode)) return fail(Code::kNotDirectory, "not a directory");
  PAILFS_TRY(check_then(caller, parent, directory, Action::kListBucketVersions, Need::kSearch));
  if (name.size() > kNameMax) return fail(Code::kNameTooLong, "a name has at most 255 bytes");
  Place out = parent;
  if (name == "..") {
    if (parent.ino == parent.top) return Found{versions_of(parent.root)};
    out.ino = directory.parent;
    if (out.key) out.key->resize(out.key->rfind('/') == out.key->npos ? 0 : out.key->rfind('/'));
    return Found{out};
  }
  if (name == ".") return Found{out};
  PAILFS_ASSIGN(const auto entry, Moment(core_, parent.moment).find(parent.ino, name));
  if (!entry) return not_then();
  out.ino = entry->ino;
  if (out.key) add_name(*out.key, name);
  const NameLasts lasts = lasting_then(parent, directory);
  return Found{out, lasts};
}

Status VersionsView::access_then(const Caller& caller, const Place& place, int mask) {
  PAILFS_ASSIGN(const InodeRecord record, record_then(place));
  const bool directory = S_ISDIR(record.mode);
  const Action action = directory ? Action::kListBucketVersions : Action::kGetObjectVersion;
  return check_then(caller, place, record, action, Need::kPermissions, static_cast<uint32_t>(mask & (R_OK | X_OK)));
}

Status VersionsView::opendir_then(const Caller& caller, const Place& place) {
  PAILFS_ASSIGN(const InodeRecord record, record_then(place));
  if (!S_ISDIR(record.mode)) return fail(Code::kNotDirectory, "not a directory");
  return check_then(caller, place, record, Action::kListBucketVersions, Need::kRead);
}

Status VersionsView::readdir_then(const Caller& caller, const Place& place, Ino number, uint64_t cookie, bool plus,
                                  const std::function<bool(const DirectoryEntry&)>& emit) {
  PAILFS_ASSIGN(const InodeRecord record, record_then(place));
  if (cookie < kDotCookie) {
    if (!emit({.name = ".", .ino = number, .type = S_IFDIR, .cookie = kDotCookie, .attributes = {}})) return {};
  }
  const auto place_number = [&](const Place& of) {
    MutexLock lock(mutex_);
    return this->number(of);
  };
  if (cookie < kDotDotCookie) {
    Place up = place;
    up.ino = record.parent;
    if (place.ino == place.top) up = versions_of(place.root);
    if (!emit({.name = "..", .ino = place_number(up), .type = S_IFDIR, .cookie = kDotDotCookie, .attributes = {}})) {
      return {};
    }
  }
  // Names are for who may read a directory, attributes for who may search it.
  const bool search = plus && check_then(caller, place, record, Action::kListBucketVersions, Need::kSearch).has_value();
  const NameLasts lasts = lasting_then(place, record);
  const Moment moment(core_, place.moment);
  return moment.list(place.ino, std::max(cookie, kDotDotCookie), [&](Moment::Entry& found) -> Result<bool> {
    PAILFS_ASSIGN(const auto object, moment.object(found.ino));
    if (!object || !object->whole) return true;  // no version tells what it was
    Place child = place;
    child.ino = found.ino;
    if (child.key) add_name(*child.key, found.name);
    DirectoryEntry entry{
        .name = std::move(found.name), .ino = 0, .type = found.type, .cookie = found.slot, .attributes = {}};
    if (search) {
      entry.attributes = Core::Impl::attributes(found.ino, object->record);
      entry.attributes.fixed = object->fixed;
      entry.attributes.name = lasts;
      entry.attributes.ino = entry.ino = remember(child);
    } else {
      entry.ino = place_number(child);
    }
    if (emit(entry)) return true;
    if (search) forget(entry.ino, 1);
    return false;
  });
}

Result<OpenResult> VersionsView::open_then(const Caller& caller, Ino number, const Place& place, OpenFlags flags) {
  PAILFS_ASSIGN(const InodeRecord record, record_then(place));
  if (S_ISDIR(record.mode)) return fail(Code::kIsDirectory, "a directory");
  if (S_ISLNK(record.mode)) return fail(Code::kLoop, "a symbolic link");
  const Need need = flags.execute ? Need::kExecute : Need::kRead;
  PAILFS_TRY(check_then(caller, place, record, Action::kGetObjectVersion, need));
  auto handle = std::make_shared<Handle>();
  handle->ino = number;
  handle->read = true;
  handle->uid = caller.uid;
  PAILFS_ASSIGN(handle->inode, core_.existing(place.ino));
  handle->version_of = place.ino;
  handle->vseq = record.vseq;
  handle->sealed = record.version.sealed;
  return OpenResult{core_.handles.add(std::move(handle)), false};
}

Result<std::string> VersionsView::readlink_then(const Place& place) {
  PAILFS_ASSIGN(InodeRecord record, record_then(place));
  if (!S_ISLNK(record.mode)) return fail(Code::kInvalid, "not a symbolic link");
  return std::move(record.target);  // free to who may look it up, as that of a present link
}

Result<std::string> VersionsView::getxattr_then(const Caller& caller, const Place& place, std::string_view name) {
  PAILFS_ASSIGN(const InodeRecord record, record_then(place));
  if (name.starts_with(kS3Prefix) && !is_tag_attribute(name)) {
    PAILFS_ASSIGN(const InodePtr inode, core_.existing(place.ino));
    ReaderLock lock(inode->lock);
    const InodeRecord& now = inode->record;
    const bool latest = now.nlink > 0 && now.vseq == record.vseq && now.version.sealed == record.version.sealed;
    return s3_xattr(core_, place.ino, record, latest, name);
  }
  PAILFS_ASSIGN(const auto keys, keys_of(place));
  // What was closed to somebody since is closed.
  PAILFS_ASSIGN(const InodePtr inode, core_.existing(place.ino));
  ReaderLock lock(inode->lock);
  const Attributes now = Core::Impl::attributes(place.ino, inode->record);
  return xattr_at(caller, place.ino, record, place.moment, keys, name, &now);
}

Result<std::vector<std::string>> VersionsView::listxattr_then(const Caller& caller, const Place& place) {
  PAILFS_ASSIGN(const InodeRecord record, record_then(place));
  return xattr_names_at(caller, place.ino, record, place.moment);
}

// --- Extended attributes of what was, here and in the lists of versions

Result<std::string> VersionsView::xattr_at(const Caller& caller, Ino ino, const InodeRecord& record, Stamp at,
                                           std::span<const std::string> keys, std::string_view name,
                                           const Attributes* now) {
  for (const auto& [shown_as, acl] :
       {std::pair(kAccessAclName, record.acl), std::pair(kDefaultAclName, record.default_acl)}) {
    if (name == shown_as && acl != nullptr) return format_acl(*acl);
  }
  if (name == kAccessAclName || name == kDefaultAclName) return fail(Code::kNoData, "no such attribute");
  const Attributes then = Core::Impl::attributes(ino, record);
  const ConditionValue id{kVersionIdKey, version_id_text(record.version)};
  const VersionFacts facts{keys, std::span(&id, 1), {ino, at}};
  PAILFS_TRY(check_xattr_read(core_.gate, caller, then, name, facts));
  const VersionFacts facts_now{keys, std::span(&id, 1), {ino}};
  if (now != nullptr) PAILFS_TRY(check_xattr_read(core_.gate, caller, *now, name, facts_now));
  PAILFS_ASSIGN(auto value, Moment(core_, at).xattr(ino, record, name));
  if (!value) return fail(Code::kNoData, "no such attribute");
  return std::move(*value);
}

Result<std::vector<std::string>> VersionsView::xattr_names_at(const Caller& caller, Ino ino, const InodeRecord& record,
                                                              Stamp at) {
  PAILFS_ASSIGN(auto names, Moment(core_, at).xattr_names(ino, record));
  if (caller.uid != 0) std::erase_if(names, [](const std::string& name) { return name.starts_with("trusted."); });
  if (record.acl != nullptr) names.emplace_back(kAccessAclName);
  if (record.default_acl != nullptr) names.emplace_back(kDefaultAclName);
  return names;
}

// --- Moments that .versions offers

std::vector<std::string> VersionsView::offered_moments(Scope bucket) {
  std::vector<std::string> names;
  const Result<BucketRecord> record = core_.bucket_record(bucket);
  if (!record || record->history_since == 0) return names;
  const Time now = core_.now() / kMinute * kMinute;
  std::vector<Stamp> moments{now - kDay, now - kHour};
  if (record->mass_deletion != 0) moments.push_back(record->mass_deletion - 1);
  for (const Stamp at : moments) {
    if (at >= record->history_since) names.push_back("@" + format_time(at));
  }
  return names;
}

}  // namespace pailfs
