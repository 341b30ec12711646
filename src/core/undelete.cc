// What removing a delete marker does: S3 shows the version before it again ("Removing delete markers to undelete
// objects", Amazon S3 user guide).
#include <fmt/format.h>
#include <sys/stat.h>

#include "core/history.h"
#include "core/moment.h"
#include "core/restore.h"

namespace pailfs {

namespace {

// Whether the marker is the newest that there is of its name: only then does its removal bring something back.
Result<bool> is_newest(Core::Impl& core, const NameSpan& span, std::string_view name) {
  DirectorySpan directory;
  directory.ino = span.parent;
  PAILFS_ASSIGN(const auto spans, name_spans(core, {directory}, name));
  return !spans.empty() && !spans.back().live() && spans.back().end == span.end;
}

class Undeletion {
 public:
  Undeletion(Core::Impl& core, const Caller& caller, const NameSpan& span, EndedDirent ended)
      : core_(core), caller_(caller), span_(span), ended_(std::move(ended)) {}

  // Gives the inode its name again. False: that cannot be, and the marker only goes.
  Result<bool> give_back() {
    MutexLock tree_lock(core_.tree);
    const Result<InodePtr> above = core_.inodes.get(span_.parent), found = core_.inodes.get(span_.ino);
    for (const auto& inode : {above, found}) {
      if (!inode && inode.error().code != Code::kNotFound) return std::unexpected(inode.error());
    }
    if (!found) return false;
    if (!above) return gone();
    LockedInodes locked({*above, *found});
    Inode &directory = **above, &inode = **found;
    assert_locked(directory);
    assert_locked(inode);
    if (directory.record.nlink == 0) return gone();
    // What was written after the last unlink is no version that could come back.
    if (inode.gone || inode.record.nlink != 0 || core_.is_orphan(span_.ino)) return false;
    PAILFS_ASSIGN(Core::Impl::Place where, core_.place(span_.parent, ended_.name));
    if (where.found) return false;  // somebody was faster
    Transaction tx;
    const Stamp at = core_.stamp(tx);
    const bool is_directory = S_ISDIR(inode.record.mode);
    core_.keep_directory(directory, at, tx);
    core_.keep_attributes(inode, at, tx);
    Dirent entry{.ino = span_.ino, .type = span_.type, .since = at, .name = ended_.name};
    Status done = core_.insert_entry(span_.parent, std::move(where), std::move(entry), tx);
    if (!done) return std::unexpected(std::move(done).error());
    inode.record.nlink = is_directory ? 2 : 1;
    if (inode.record.ceased != 0) inode.record.resumed = at;
    inode.record.ctime = directory.record.mtime = directory.record.ctime = core_.now();
    if (is_directory) {
      inode.record.parent = span_.parent;
      ++directory.record.nlink;
    }
    core_.put_inode(span_.ino, inode.record, tx);
    core_.put_inode(span_.parent, directory.record, tx);
    drop_marker(tx);
    PAILFS_TRY(core_.commit(std::move(tx), locked));
    return true;
  }

  // The name was given up by a rename: what it stood for comes back as a copy, since the file itself lives on.
  Status copy_back() {
    PAILFS_ASSIGN(const auto object, Moment(core_, span_.end - 1).object(span_.ino));
    if (object && object->whole && !S_ISDIR(object->record.mode)) {
      PAILFS_ASSIGN(
          const Ino made,
          Restorer(core_, caller_).put({span_.ino, object->record, span_.end - 1, true}, span_.parent, ended_.name));
      core_.name_changed(span_.parent, ended_.name, made);
    }
    return marker_alone();
  }

  Status marker_alone() {
    Transaction tx;
    drop_marker(tx);
    return core_.commit(std::move(tx));
  }

 private:
  std::unexpected<Error> gone() const {
    return fail(Code::kNotPermitted,
                "the directory of this delete marker is gone: bring that back first "
                "('pail versions undelete')");
  }
  void drop_marker(Transaction& tx) {
    ChangeRecord change{Action::kDeleteObjectVersion, caller_, span_.parent, ended_.name, span_.ino};
    change.before = ended_.marker;
    tx.record(encode_change(change, core_.now()));
    // The record stays: it says what the name stood for, and when.
    ended_.marker = {};
    ended_.null_marker = false;
    tx.put(bucket_of(span_.parent), keys::ended(span_.parent, span_.slot, span_.end), encode_ended(ended_));
  }

  Core::Impl& core_;
  const Caller& caller_;
  const NameSpan& span_;
  EndedDirent ended_;
};

}  // namespace

Status remove_marker(Core::Impl& core, const Caller& caller, const NameSpan& span) {
  if (span.derived) {
    return fail(Code::kNotPermitted, "this marker follows from the removal of a directory: remove that one's");
  }
  const Scope scope = bucket_of(span.parent);
  const std::string key = keys::ended(span.parent, span.slot, span.end);
  PAILFS_ASSIGN(const auto value, core.store.get(scope, key));
  if (!value) return fail(Code::kNotFound, "the marker was removed");
  PAILFS_ASSIGN(EndedDirent ended, decode_ended(*value));
  if (ended.marker == VersionId{}) return fail(Code::kNotFound, "the marker was removed");
  const std::string name = ended.name;
  PAILFS_ASSIGN(const bool newest, is_newest(core, span, name));
  PAILFS_ASSIGN(const auto inode, core.store.get(scope, keys::inode(span.ino)));
  if (!inode) {  // nothing refers to the record any more
    Transaction tx;
    ChangeRecord change{Action::kDeleteObjectVersion, caller, span.parent, name, span.ino};
    change.before = ended.marker;
    tx.record(encode_change(change, core.now()));
    tx.erase(key);
    return core.commit(std::move(tx));
  }
  Undeletion undeletion(core, caller, span, std::move(ended));
  if (!newest) return undeletion.marker_alone();
  if (span.kind == EndKind::kRenamed) return undeletion.copy_back();
  PAILFS_ASSIGN(const bool back, undeletion.give_back());
  if (!back) return undeletion.marker_alone();
  core.name_changed(span.parent, name, span.ino);
  return {};
}

}  // namespace pailfs
