// What is done with single versions in the .versions view: reading, attributes, removal.
#include <sys/stat.h>
#include <unistd.h>

#include "base/logging.h"
#include "core/content.h"
#include "core/decision_trace.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/s3_xattrs.h"
#include "core/versions_view.h"

namespace pailfs {

Result<std::vector<std::string>> VersionsView::keys_of(const Place& place) const {
  std::vector<std::string> keys;
  if (!core_.gate.has_policies(place.bucket())) return keys;
  if (place.moment != 0) {
    // By its path then, and by those that it has now.
    if (!place.key) return fail(Code::kNotFound, "nothing tells which path it had then");
    PAILFS_ASSIGN(keys, core_.keys->keys_of(place.ino));
    keys.push_back(*place.key);
    return keys;
  }
  // A version is that of all the names that its file has.
  if (place.ino != 0) {
    PAILFS_ASSIGN(keys, core_.keys->keys_of(place.ino));
  }
  PAILFS_ASSIGN(std::string key, core_.keys->path_of(place.root));
  for (const std::string& name : place.names) add_name(key, name);
  keys.push_back(std::move(key));
  return keys;
}

Result<InodeRecord> VersionsView::content(Ino ino) {
  PAILFS_ASSIGN(const Place found, place(ino));
  if (found.moment != 0) return record_then(found);
  if (!found.is_file()) return fail(Code::kIsDirectory, "a directory has no content");
  if (found.ino != 0) return version_record(found);
  InodeRecord marker;
  marker.mode = S_IFREG;
  return marker;
}

Result<OpenResult> VersionsView::open(const Caller& caller, Ino ino, OpenFlags flags) {
  PAILFS_ASSIGN(const Place found, place(ino));
  if (flags.write || flags.truncate) return fail(Code::kReadOnly, "versions are read-only");
  if (found.moment != 0) return open_then(caller, ino, found, flags);
  if (!found.is_file()) return fail(Code::kIsDirectory, "a directory");
  PAILFS_ASSIGN(const Attributes shown, attributes(found));
  if (S_ISLNK(shown.mode)) return fail(Code::kLoop, "a symbolic link");
  const Need need = flags.execute ? Need::kExecute : Need::kRead;
  PAILFS_ASSIGN(const auto keys, keys_of(found));
  const ConditionValue id{kVersionIdKey, version_file_id(found.version)};
  AccessRequest request{caller, Action::kGetObjectVersion, need, shown};
  request.keys = keys;
  request.conditions = std::span(&id, 1);
  PAILFS_ASSIGN(request.tags, tags_of(found));
  PAILFS_TRY(core_.gate.check(request));
  auto handle = std::make_shared<Handle>();
  handle->ino = ino;
  handle->read = true;
  handle->uid = caller.uid;
  bool immutable = true;
  if (found.ino != 0) {
    PAILFS_ASSIGN(handle->inode, core_.existing(found.ino));
    handle->version_of = found.ino;
    handle->vseq = found.vseq;
    handle->sealed = version_time(found.version).value_or(0);
    // What is current may still grow: while it is sealed provisionally, or where versioning is off.
    ReaderLock lock(handle->inode->lock);
    immutable = handle->inode->record.vseq != found.vseq;
  }
  return OpenResult{core_.handles.add(std::move(handle)), immutable};
}

Result<std::string> VersionsView::readlink(const Caller& /*caller*/, Ino ino) {
  PAILFS_ASSIGN(const Place found, place(ino));
  if (found.moment != 0) return readlink_then(found);
  if (!found.is_file() || found.ino == 0) return fail(Code::kInvalid, "not a symbolic link");
  PAILFS_ASSIGN(InodeRecord record, version_record(found));
  if (!S_ISLNK(record.mode)) return fail(Code::kInvalid, "not a symbolic link");
  return std::move(record.target);  // free to who may look it up, as that of a present link
}

// A version has the attributes that it had when the next one began; the current one those that the file has.
Result<TagsOf> VersionsView::tags_of(const Place& place) {
  if (place.ino == 0 || !core_.gate.has_policies(place.bucket())) return TagsOf();
  PAILFS_ASSIGN(const Stamp at, attributes_until(place));
  return TagsOf{place.ino, at};
}

Result<Stamp> VersionsView::attributes_until(const Place& place) {
  const auto sealed = version_time(place.version);
  if (!sealed) return core_.latest_stamp();
  PAILFS_ASSIGN(const auto version, object_version(core_, place.ino, *sealed));
  return version && version->ceased != kForever ? version->ceased - 1 : core_.latest_stamp();
}

Result<std::string> VersionsView::s3_attribute(const Place& place, std::string_view name) {
  PAILFS_ASSIGN(const Resolved resolved, resolve(place));
  PAILFS_ASSIGN(const auto versions, shown_versions(core_, resolved.spans));
  for (const ShownVersion& version : versions) {
    if (version.name != place.version) continue;
    const bool latest = &version == &versions.back();
    if (!version.marker) return s3_xattr(core_, version.span.ino, version.version.record, latest, name);
    InodeRecord marker;  // has an id and no content
    marker.mode = S_IFREG;
    marker.sealed = name == "user.s3.version-id";
    marker.version.id = version.span.marker;
    marker.version.null_id = version.span.null_marker;
    return s3_xattr(core_, place.root, marker, latest, name);
  }
  return fail(Code::kNoData, "no such attribute");
}

Result<std::string> VersionsView::getxattr(const Caller& caller, Ino ino, std::string_view name) {
  PAILFS_ASSIGN(const Place found, place(ino));
  if (found.moment != 0) return getxattr_then(caller, found, name);
  if (!found.is_file()) return fail(Code::kNoData, "no such attribute");
  if (name.starts_with(kS3Prefix) && !is_tag_attribute(name)) return s3_attribute(found, name);
  if (found.ino == 0) return fail(Code::kNoData, "no such attribute");
  PAILFS_ASSIGN(const InodeRecord record, version_record(found));
  if (!record.has_xattrs && name != kAccessAclName) return fail(Code::kNoData, "no such attribute");
  PAILFS_ASSIGN(const Stamp at, attributes_until(found));
  PAILFS_ASSIGN(const auto keys, keys_of(found));
  return xattr_at(caller, found.ino, record, at, keys, name);
}

Result<std::vector<std::string>> VersionsView::listxattr(const Caller& caller, Ino ino) {
  PAILFS_ASSIGN(const Place found, place(ino));
  if (found.moment != 0) return listxattr_then(caller, found);
  std::vector<std::string> names;
  if (!found.is_file() || found.ino == 0) return names;
  PAILFS_ASSIGN(const InodeRecord record, version_record(found));
  PAILFS_ASSIGN(const Stamp at, attributes_until(found));
  return xattr_names_at(caller, found.ino, record, at);
}

Status VersionsView::unlink(const Caller& caller, Ino parent, std::string_view name) {
  PAILFS_ASSIGN(const Place above, place(parent));
  if (above.moment != 0) return fail(Code::kReadOnly, "what was at a moment is read-only");
  PAILFS_ASSIGN(const Found leads, child(caller, above, name));
  const Place& found = leads.place;
  if (!found.is_file()) return fail(Code::kIsDirectory, "a directory");
  if (lists_and_removes(caller)) {
    log_warning("process {} lists .versions and removes what it finds there, as 'rm -r' does: refused", caller.pid);
    return fail(Code::kNotPermitted, "versions are removed one by one, or with 'pail versions prune'");
  }
  PAILFS_ASSIGN(const Attributes directory, attributes(above));
  PAILFS_ASSIGN(const auto keys, keys_of(found));
  const ConditionValue id{kVersionIdKey, version_file_id(name)};
  AccessRequest removal{caller, Action::kDeleteObjectVersion, Need::kAccount, directory};
  removal.keys = keys;
  removal.conditions = std::span(&id, 1);
  PAILFS_ASSIGN(removal.tags, tags_of(found));
  PAILFS_TRY(core_.gate.check(removal));
  if (Status allowed = core_.check_mfa(above.bucket(), false); !allowed) {
    log_warning("removing {} in .versions is refused: 'pail versions purge' does it, with a code: {}", printable(name),
                allowed.error().message);
    return allowed;
  }
  PAILFS_TRY(unless_explained());
  PAILFS_ASSIGN(const Resolved resolved, resolve(above));
  PAILFS_ASSIGN(const ShownVersion shown, find_version(resolved, name));
  const Status removed = shown.marker ? remove_marker(core_, caller, shown.span)
                                      : remove_object_version(core_, caller, shown.span, shown.version);
  core_.names_ended();
  return removed;
}

}  // namespace pailfs
