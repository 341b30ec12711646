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

  enum class Outcome : uint8_t {
    kBack,     // the inode has its name again
    kElse,     // it has other names, or other content than the name had: a copy can come back
    kNothing,  // nothing can: the marker only goes
  };

  // Gives the inode its name again, where it is what the name stood for.
  Result<Outcome> give_back() {
    // What a crash has left of writes after the last unlink is dropped.
    if (const auto inode = core_.inodes.get(span_.ino)) core_.settle(*inode);
    MutexLock tree_lock(core_.tree);
    const Result<InodePtr> above = core_.inodes.get(span_.parent), found = core_.inodes.get(span_.ino);
    for (const auto& inode : {above, found}) {
      if (!inode && inode.error().code != Code::kNotFound) return std::unexpected(inode.error());
    }
    if (!found) return Outcome::kNothing;
    if (!above) return gone();
    LockedInodes locked({*above, *found});
    Inode &directory = **above, &inode = **found;
    assert_locked(directory);
    assert_locked(inode);
    if (directory.record.nlink == 0) return gone();
    if (inode.gone || core_.is_orphan(span_.ino)) return Outcome::kNothing;
    PAILFS_ASSIGN(Core::Impl::Place where, core_.place(span_.parent, ended_.name));
    if (where.found) return Outcome::kNothing;  // somebody was faster
    if (!is_as_it_was(inode.record)) return S_ISDIR(inode.record.mode) ? Outcome::kNothing : Outcome::kElse;
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
    return Outcome::kBack;
  }

  // What the name stood for comes back as a copy, since the file itself lives on: under another name, or with whoever
  // has it open.
  Status copy_back() {
    PAILFS_ASSIGN(const auto past, last_shown());
    if (past) {
      PAILFS_ASSIGN(const Ino made, Restorer(core_, caller_).put(*past, span_.parent, ended_.name));
      core_.settle_nulls(span_.parent, ended_.name);
      core_.name_changed(span_.parent, ended_.name, made);
    }
    return marker_alone();
  }

  Status marker_alone() {
    Transaction tx;
    const Result<InodePtr> inode = core_.inodes.get(span_.ino);
    if (!inode) {
      if (inode.error().code != Code::kNotFound) return std::unexpected(inode.error());
      drop_record(tx);
      return core_.commit(std::move(tx));
    }
    ReaderLock lock((*inode)->lock);  // so that who removes its last version sees whether there is a marker
    if ((*inode)->gone || core_.is_orphan(span_.ino)) {
      drop_record(tx);
    } else {
      drop_marker(tx);
    }
    return core_.commit(std::move(tx));
  }

 private:
  std::unexpected<Error> gone() const {
    return fail(Code::kNotPermitted,
                "the directory of this delete marker is gone: bring that back first "
                "('pail versions undelete')");
  }

  // Without a name, and with the content that it had when the name went. What was written after the last unlink is no
  // version that could come back, and what was written by another name that went later is none of this one.
  bool is_as_it_was(const InodeRecord& record) const {
    if (record.nlink != 0) return false;
    return !S_ISREG(record.mode) || (!record.dirty && record.version.sealed < span_.end);
  }

  // With the content of the moment before the end or, where that version was removed, of the one before it.
  Result<std::optional<PastInode>> last_shown() const {
    PAILFS_ASSIGN(const auto object, Moment(core_, span_.end - 1).object(span_.ino));
    if (!object || S_ISDIR(object->record.mode)) return std::nullopt;
    PastInode past{span_.ino, object->record, span_.end - 1, true};
    if (object->whole) return past;
    PAILFS_ASSIGN(const auto versions, object_versions(core_, span_.ino));
    for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
      if (version->record.version.sealed >= span_.end) continue;
      past.record = version->record;
      return past;
    }
    return std::nullopt;
  }

  void say(Transaction& tx) const {
    ChangeRecord change{Action::kDeleteObjectVersion, caller_, span_.parent, ended_.name, span_.ino};
    change.before = ended_.marker;
    tx.record(encode_change(change, core_.now()));
  }
  std::string key() const { return keys::ended(span_.parent, span_.slot, span_.end); }
  // The record stays: it says what the name stood for, and when.
  void drop_marker(Transaction& tx) {
    say(tx);
    ended_.marker = {};
    ended_.null_marker = false;
    tx.put(bucket_of(span_.parent), key(), encode_ended(ended_));
  }
  // Nothing is left of what the name stood for.
  void drop_record(Transaction& tx) const {
    say(tx);
    tx.erase(key());
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
  Undeletion undeletion(core, caller, span, std::move(ended));
  if (!newest) return undeletion.marker_alone();
  if (span.kind == EndKind::kRenamed) return undeletion.copy_back();
  PAILFS_ASSIGN(const auto outcome, undeletion.give_back());
  if (outcome == Undeletion::Outcome::kElse) return undeletion.copy_back();
  if (outcome == Undeletion::Outcome::kNothing) return undeletion.marker_alone();
  core.name_changed(span.parent, name, span.ino);
  return {};
}

}  // namespace pailfs
