#include "core/restore.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/logging.h"
#include "core/content.h"
#include "core/history.h"
#include "core/object_keys.h"
#include "core/object_tags.h"
#include "core/path.h"

namespace pailfs {

bool same_attributes(const InodeRecord& one, const InodeRecord& other) {
  const auto same_acl = [](const AclPtr& a, const AclPtr& b) {
    return a == b || (a != nullptr && b != nullptr && *a == *b);
  };
  return one.mode == other.mode && one.uid == other.uid && one.gid == other.gid && one.atime == other.atime &&
         one.mtime == other.mtime && same_acl(one.acl, other.acl) && same_acl(one.default_acl, other.default_acl);
}

Status Restorer::check_owner(const InodeRecord& past) const {
  if (caller_.uid == 0 || caller_.uid == core_.gate.account() || caller_.uid == past.uid) return {};
  return fail(Code::kAccessDenied, fmt::format("it belonged to uid {}: that user, the owner of the store, or root can "
                                               "bring it back (copy it out of .versions to have it as your own)",
                                               past.uid));
}

// What of the past makes up the new record: everything but names and content.
void Restorer::apply(const InodeRecord& past, InodeRecord& record) const {
  record.mode = past.mode;
  record.uid = past.uid;
  record.gid = past.gid;
  record.acl = past.acl;
  record.default_acl = past.default_acl;
  record.atime = past.atime;
  record.mtime = past.mtime;
  if (caller_.uid == 0 || caller_.uid == core_.gate.account() || core_.gate.in_group(caller_, past.gid)) return;
  record.gid = caller_.gid;  // the owner is in that group no more
  if (!S_ISDIR(record.mode)) record.mode &= ~uint32_t{S_ISGID};
}

InodeRecord Restorer::new_record(const InodeRecord& past) const {
  InodeRecord record;
  apply(past, record);
  record.rdev = past.rdev;
  record.target = past.target;
  record.ctime = record.btime = core_.now();
  if (S_ISLNK(record.mode)) record.size = past.size;
  record.dirty = S_ISREG(record.mode) || S_ISLNK(record.mode);  // sealed, and locked, when it gets its name
  return record;
}

// xattr(7): the others are for who has CAP_SYS_ADMIN, and stay as they are.
bool Restorer::brings_back(std::string_view attribute) const {
  return caller_.uid == 0 || attribute.starts_with("user.");
}

// --- A new inode with the content

Status Restorer::put_xattrs(const PastInode& past, Ino ino, bool& any, Transaction& tx) {
  const Moment moment(core_, past.at);
  PAILFS_ASSIGN(const auto names, moment.xattr_names(past.ino, past.record));
  for (const std::string& name : names) {
    if (!brings_back(name)) continue;
    PAILFS_ASSIGN(auto value, moment.xattr(past.ino, past.record, name));
    if (!value) continue;
    const std::array<char, 16> token = core_.store.token(bucket_of(ino), name);
    tx.put(bucket_of(ino), keys::xattr(ino, {token.data(), token.size()}), encode_xattr({name, std::move(*value)}));
    any = true;
  }
  return {};
}

Result<InodePtr> Restorer::make_unnamed(const PastInode& past) {
  const Scope bucket = bucket_of(past.ino);
  InodeRecord record = new_record(past.record);
  Transaction tx;
  PAILFS_ASSIGN(const Ino ino, core_.new_number(bucket, tx));
  PAILFS_TRY(put_xattrs(past, ino, record.has_xattrs, tx));
  core_.put_inode(ino, record, tx);
  tx.put(bucket, keys::orphan(ino), std::string());
  InodePtr inode = core_.inodes.insert(ino, std::move(record));
  inode->handles = 1;
  inode->writers = 1;
  {
    MutexLock lock(core_.orphans_lock);
    core_.orphans.insert(ino);
  }
  if (Status committed = core_.commit(std::move(tx)); !committed) {
    core_.inodes.remove(ino);
    MutexLock lock(core_.orphans_lock);
    core_.orphans.erase(ino);
    return std::unexpected(std::move(committed).error());
  }
  return inode;
}

Status Restorer::copy_content(const PastInode& past, const InodePtr& made) {
  Handle reader;
  PAILFS_ASSIGN(reader.inode, core_.existing(past.ino));
  reader.ino = reader.version_of = past.ino;
  reader.read = true;
  reader.vseq = past.record.vseq;
  reader.sealed = past.record.version.sealed;
  Handle writer;
  writer.inode = made;
  writer.ino = made->ino;
  writer.write = true;
  for (uint64_t done = 0; done < past.record.size;) {
    PAILFS_ASSIGN(const uint64_t copied, core_.copy_content(reader, done, writer, done, past.record.size - done, 0));
    if (copied == 0) return fail(Code::kNotFound, "the version was removed meanwhile");
    done += copied;
  }
  return {};
}

// The last handle of an inode that got no name.
void Restorer::withdraw(const InodePtr& inode) {
  --inode->writers;
  --inode->handles;
  core_.reap(inode->ino);
}

// Names what has no name yet or, with `as` null, one name more.
Status Restorer::give_name(const InodePtr& inode, Ino parent, const std::string& name, const InodeRecord* as) {
  PAILFS_TRY(core_.check_new_name(parent, name));
  MutexLock tree_lock(core_.tree);
  PAILFS_ASSIGN(const InodePtr directory, core_.existing(parent));
  PAILFS_ASSIGN(Core::Impl::Place where, core_.place(parent, name));
  InodePtr old;
  if (where.found) {
    PAILFS_ASSIGN(old, core_.target(parent, *where.found));
    if (old == inode) return {};
  }
  LockedInodes locked({directory, inode, old});
  assert_locked(*directory);
  assert_locked(*inode);
  const bool nameless = as == nullptr && inode->record.nlink == 0;
  if (inode->gone || nameless) return fail(Code::kNotFound, "the file was removed meanwhile");
  PAILFS_TRY(core_.check_new_entry(caller_, *directory, name));
  const Attributes above = Core::Impl::attributes(parent, directory->record);
  InodeRecord& record = inode->record;
  Transaction tx;
  if (as == nullptr) {
    const Attributes linked = Core::Impl::attributes(inode->ino, record);
    PAILFS_TRY(core_.gate.check_link(caller_, linked, parent, name));
  }
  const auto change = [&]() REQUIRES(core_.tree, directory->lock, inode->lock) -> Status {
    if (old) {
      assert_locked(*old);
      const Attributes replaced = Core::Impl::attributes(old->ino, old->record);
      AccessRequest replacement{caller_, Action::kPutObject, Need::kRemove, above, &replaced};
      replacement.name = name;
      PAILFS_TRY(core_.gate.check(replacement));
      if (S_ISDIR(old->record.mode)) return fail(Code::kIsDirectory, "a directory has the name");
      PAILFS_TRY(core_.seal(*old, false, tx));
    } else {
      PAILFS_TRY(core_.check_put(caller_, *directory, name));
    }
    if (as != nullptr) {
      ++record.nlink;
      tx.erase(keys::orphan(inode->ino));
      PAILFS_TRY(core_.seal(*inode, false, tx));
      apply(*as, record);
    }
    const Stamp at = core_.stamp(tx);
    if (as == nullptr) {
      core_.keep_attributes(*inode, at, tx);
      ++record.nlink;
    }
    record.ctime = core_.now();
    core_.keep_directory(*directory, at, tx);
    Dirent entry{.ino = inode->ino, .type = record.mode & S_IFMT, .since = at, .name = name};
    if (old) {
      assert_locked(*old);
      core_.write_history(parent, *where.found, EndKind::kReplaced, caller_.uid, at, tx);
      core_.replace_entry(parent, *where.found, std::move(entry), tx);
      PAILFS_TRY(core_.drop_link(*old, at, tx));
    } else {
      PAILFS_TRY(core_.insert_entry(parent, std::move(where), std::move(entry), tx));
    }
    directory->record.mtime = directory->record.ctime = record.ctime;
    core_.put_inode(inode->ino, record, tx);
    core_.put_inode(parent, directory->record, tx);
    ChangeRecord said{Action::kPutObject, caller_, parent, name, inode->ino};
    said.after = record.version.id;
    tx.record(encode_change(said, record.ctime));
    return {};
  };
  if (Status changed = change(); !changed) {
    for (const InodePtr& one : locked.all()) {
      assert_locked(*one);
      core_.reload(*one);
    }
    return changed;
  }
  PAILFS_TRY(core_.commit(std::move(tx), locked));
  if (old) {
    assert_locked(*old);
    if (old->gone) core_.inodes.remove(old->ino);
  }
  if (as != nullptr) {
    MutexLock lock(core_.orphans_lock);
    core_.orphans.erase(inode->ino);
  }
  return {};
}

// As of a copy in S3, which reads the tags of the version and sets those of the copy.
Status Restorer::check_tags(const AccessRequest& reading, const PastInode& past, Ino parent,
                            const std::string& name) const {
  PAILFS_ASSIGN(const ObjectTags tags, object_tags(core_, {past.ino, past.at}));
  if (tags.empty()) return {};
  AccessRequest reading_tags = reading;
  reading_tags.action = Action::kGetObjectVersionTagging;
  PAILFS_TRY(core_.gate.check(reading_tags));
  const std::string& key = reading.keys.back();
  const TagRequest asked(tags);
  const Attributes object{.ino = bucket_root(bucket_of(past.ino))};
  AccessRequest request{caller_, Action::kPutObjectTagging, Need::kNothing, object};
  request.keys = std::span(&key, 1);
  request.conditions = asked.conditions();
  PAILFS_ASSIGN(const auto replaced, core_.find(parent, name));
  if (replaced) request.tags.ino = replaced->entry.ino;
  return core_.gate.check(request);
}

Result<Ino> Restorer::put(const PastInode& past, Ino parent, const std::string& name) {
  PAILFS_TRY(check_owner(past.record));
  if (S_ISDIR(past.record.mode)) return fail(Code::kIsDirectory, "a directory is not put in one step");
  if ((S_ISCHR(past.record.mode) || S_ISBLK(past.record.mode)) && caller_.uid != 0) {
    return fail(Code::kNotPermitted, "only the superuser makes device files");
  }
  const Attributes then = Core::Impl::attributes(past.ino, past.record);
  AccessRequest reading{caller_, Action::kGetObjectVersion, S_ISREG(then.mode) ? Need::kRead : Need::kNothing, then};
  const ConditionValue id{kVersionIdKey, version_id_text(past.record.version)};
  reading.conditions = std::span(&id, 1);
  reading.tags = {past.ino, past.at};
  std::vector<std::string> keys;
  if (core_.gate.has_policies(bucket_of(parent))) {  // by the name that it gets, which it had, and those that it has
    PAILFS_ASSIGN(keys, core_.keys->keys_of(past.ino));
    PAILFS_ASSIGN(std::string key, core_.keys->path_of(parent));
    add_name(key, name);
    keys.push_back(std::move(key));
    reading.keys = keys;
  }
  PAILFS_TRY(core_.gate.check(reading));
  if (past.of_moment) {
    reading.tags.at = 0;
    PAILFS_TRY(core_.gate.check(reading));
  }
  if (!keys.empty()) PAILFS_TRY(check_tags(reading, past, parent, name));
  PAILFS_ASSIGN(const InodePtr made, make_unnamed(past));
  Status done = S_ISREG(past.record.mode) ? copy_content(past, made) : Status();
  if (done) done = give_name(made, parent, name, &past.record);
  withdraw(made);
  if (!done) return std::unexpected(std::move(done).error());
  return made->ino;
}

Status Restorer::link(const InodeRecord& past, Ino ino, Ino parent, const std::string& name) {
  PAILFS_TRY(check_owner(past));
  PAILFS_ASSIGN(const InodePtr inode, core_.existing(ino));
  {
    ReaderLock lock(inode->lock);
    PAILFS_TRY(check_owner(inode->record));
  }
  return give_name(inode, parent, name, nullptr);
}

Result<Ino> Restorer::make_directory(const PastInode& past, Ino parent, const std::string& name) {
  PAILFS_TRY(check_owner(past.record));
  PAILFS_ASSIGN(const InodePtr made, core_.make_node(caller_, parent, name, {.mode = S_IFDIR | 0700}));
  if (core_.inodes.drop_reference(made->ino, 1) == 0) core_.reap(made->ino);
  return made->ino;
}

// --- Attributes

// What chmod(2), chown(2) and setxattr(2) would ask for; a policy that allows to change the ACL allows no more than
// that.
Status Restorer::check_change(const Attributes& before, const InodeRecord& wanted, const ChangedXattrs& xattrs) const {
  PAILFS_TRY(core_.gate.check({caller_, Action::kPutObjectAcl, Need::kOwner, before}));
  if (!xattrs.empty()) PAILFS_TRY(core_.gate.check({caller_, Action::kPutObject, Need::kOwnerOrWrite, before}));
  PAILFS_TRY(check_retagging(before, xattrs));
  if (wanted.uid != before.uid || wanted.gid != before.gid) {
    AccessRequest chown{caller_, Action::kPutObjectAcl, Need::kChown, before};
    if (wanted.uid != before.uid) chown.new_uid = wanted.uid;
    if (wanted.gid != before.gid) chown.new_gid = wanted.gid;
    PAILFS_TRY(core_.gate.check(chown));
  }
  const bool others = caller_.uid != 0 && caller_.uid != before.uid;
  if (!others || !S_ISREG(before.mode) || ((before.mode | wanted.mode) & (S_ISUID | S_ISGID)) == 0) return {};
  return fail(Code::kNotPermitted, "set-id bits are for the owner");
}

Status Restorer::check_retagging(const Attributes& before, const ChangedXattrs& xattrs) const {
  if (std::ranges::none_of(xattrs, [](const auto& one) { return is_tag_attribute(one.first); })) return {};
  PAILFS_ASSIGN(ObjectTags tags, object_tags(core_, {.ino = before.ino}));
  bool sets = false, removes = false;
  for (const auto& [name, value] : xattrs) {
    if (!is_tag_attribute(name)) continue;
    const std::string key = name.substr(kTagPrefix.size());
    std::erase_if(tags, [&](const auto& tag) { return tag.first == key; });
    if (value) tags.emplace_back(key, *value);
    (value ? sets : removes) = true;
  }
  const TagRequest asked(tags);
  AccessRequest request{caller_, Action::kPutObjectTagging, Need::kOwnerOrWrite, before};
  request.conditions = asked.conditions();
  if (sets) PAILFS_TRY(core_.gate.check(request));
  if (removes) PAILFS_TRY(core_.gate.check({caller_, Action::kDeleteObjectTagging, Need::kOwnerOrWrite, before}));
  return {};
}

// Puts into `tx` what differs, and applies it to the inode's record.
Result<bool> Restorer::changes(const PastInode& past, Inode& inode, Transaction& tx) {
  InodeRecord wanted = inode.record;
  apply(past.record, wanted);
  const Ino ino = inode.ino;
  const Moment then(core_, past.at), now(core_, core_.latest_stamp());
  ChangedXattrs xattrs;
  bool any = false;  // when all is done
  PAILFS_ASSIGN(const auto names, then.xattr_names(past.ino, past.record));
  for (const std::string& name : names) {
    if (!brings_back(name)) continue;
    PAILFS_ASSIGN(auto value, then.xattr(past.ino, past.record, name));
    PAILFS_ASSIGN(const auto has, now.xattr(ino, inode.record, name));
    any |= value.has_value();
    if (value && value != has) xattrs[name] = std::move(value);
  }
  PAILFS_ASSIGN(const auto names_now, now.xattr_names(ino, inode.record));
  for (const std::string& name : names_now) {
    if (!brings_back(name)) {
      any = true;
    } else if (std::ranges::find(names, name) == names.end()) {
      xattrs[name] = std::nullopt;
    }
  }
  wanted.has_xattrs = any;
  if (xattrs.empty() && same_attributes(inode.record, wanted)) return false;
  PAILFS_TRY(check_owner(past.record));
  PAILFS_TRY(check_change(Core::Impl::attributes(ino, inode.record), wanted, xattrs));
  const Stamp at = core_.stamp(tx);
  for (const auto& [name, value] : xattrs) {
    PAILFS_TRY(core_.keep_xattr(ino, name, at, tx));
    const std::array<char, 16> token = core_.store.token(bucket_of(ino), name);
    std::string key = keys::xattr(ino, {token.data(), token.size()});
    if (value) {
      tx.put(bucket_of(ino), std::move(key), encode_xattr({name, *value}));
    } else {
      tx.erase(std::move(key));
    }
  }
  core_.keep_attributes(inode, at, tx);
  wanted.ctime = core_.now();
  inode.record = std::move(wanted);
  core_.put_inode(ino, inode.record, tx);
  tx.record(encode_change({Action::kPutObjectAcl, caller_, 0, {}, ino}, inode.record.ctime));
  return true;
}

Result<bool> Restorer::set_attributes(const PastInode& past, Ino ino) {
  PAILFS_ASSIGN(const InodePtr inode, core_.existing(ino));
  LockedInodes locked({inode});
  assert_locked(*inode);
  if (inode->gone) return fail(Code::kNotFound, "no such inode");
  Transaction tx;
  Result<bool> changed = changes(past, *inode, tx);
  if (!changed) core_.reload(*inode);
  if (!changed || !*changed) return changed;
  PAILFS_TRY(core_.commit(std::move(tx), locked));
  return true;
}

}  // namespace pailfs
