// rename(2). A directory moves with everything below it in one small change: its entry, its two parents, its own
// record.
#include <sys/stat.h>

#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/object_keys.h"
#include "core/policy_gate.h"
#include "core/versions_view.h"

namespace pailfs {

struct Core::Impl::Move {
  const Caller& caller;
  const Ino parent;
  const std::string_view name;
  const Ino new_parent;
  const std::string_view new_name;
  const RenameMode mode;
  InodePtr from = nullptr;  // the directories
  InodePtr to = nullptr;
  Place source = {};
  Place target = {};
  InodePtr moved = nullptr;  // null: the name does not exist
  InodePtr other = nullptr;  // what the new name stands for; null: nothing
};

Result<bool> Core::Impl::is_within(Ino directory, Ino ancestor) {
  // Directories below a bucket's root form a tree, which only who holds the tree lock changes.
  for (Ino at = directory; at != kRootIno && at != 0;) {  // 0: not a directory, which check_move() says
    if (at == ancestor) return true;
    PAILFS_ASSIGN(const InodePtr inode, inodes.get(at));
    ReaderLock lock(inode->lock);
    at = inode->record.parent;
  }
  return false;
}

Status Core::Impl::find_both_ends(Move& move) {
  PAILFS_ASSIGN(move.from, existing(move.parent));
  PAILFS_ASSIGN(move.to, existing(move.new_parent));
  PAILFS_ASSIGN(move.source, place(move.parent, move.name));
  PAILFS_ASSIGN(move.target, place(move.new_parent, move.new_name));
  if (move.source.found) {
    PAILFS_ASSIGN(move.moved, target(move.parent, *move.source.found));
  }
  if (move.target.found) {
    PAILFS_ASSIGN(move.other, target(move.new_parent, *move.target.found));
  }
  return {};
}

// What is moved is not thereby open to who moves it.
Status Core::Impl::check_new_place(const Caller& caller, const Attributes& moved, Ino from, std::string_view name,
                                   Ino to, std::string_view new_name) const {
  if (S_ISDIR(moved.mode)) return gate.check_tree(caller, from, name, to, new_name);
  const Status kept = gate.check_link(caller, moved, to, new_name);
  if (kept || kept.error().code != Code::kAccessDenied) return kept;
  return fail(Code::kCrossDevice, "a policy allows more by the new name: a copy shows what the caller may");
}

Status Core::Impl::check_move_permission(const Move& move) const {
  assert_locked(*move.from);
  assert_locked(*move.to);
  assert_locked(*move.moved);
  const Caller& caller = move.caller;
  const Attributes from = attributes(move.parent, move.from->record);
  const Attributes to = attributes(move.new_parent, move.to->record);
  const Attributes moved = attributes(move.moved->ino, move.moved->record);
  const auto check = [&](Action action, Need need, const Attributes& directory, const Attributes* victim,
                         std::string_view name) {
    AccessRequest request{caller, action, need, directory, victim};
    request.name = name;
    return gate.check(request);
  };
  PAILFS_TRY(check(Action::kDeleteObject, Need::kRemove, from, &moved, move.name));
  PAILFS_TRY(check_new_place(caller, moved, move.parent, move.name, move.new_parent, move.new_name));
  if (!move.other) {
    PAILFS_TRY(check(Action::kPutObject, Need::kChangeDirectory, to, nullptr, move.new_name));
  } else {
    assert_locked(*move.other);
    const Attributes other = attributes(move.other->ino, move.other->record);
    PAILFS_TRY(check(Action::kPutObject, Need::kRemove, to, &other, move.new_name));
    if (move.mode == RenameMode::kExchange) {
      PAILFS_TRY(check(Action::kDeleteObject, Need::kRemove, to, &other, move.new_name));
      PAILFS_TRY(check(Action::kPutObject, Need::kRemove, from, &moved, move.name));
      PAILFS_TRY(check_new_place(caller, other, move.new_parent, move.new_name, move.parent, move.name));
    }
    // A directory that changes its parent changes its "..".
    if (move.mode == RenameMode::kExchange && S_ISDIR(other.mode) && move.from != move.to) {
      PAILFS_TRY(gate.check({caller, Action::kPutObject, Need::kWrite, other}));
    }
  }
  if (S_ISDIR(moved.mode) && move.from != move.to) {
    PAILFS_TRY(gate.check({caller, Action::kPutObject, Need::kWrite, moved}));
  }
  return {};
}

Status Core::Impl::check_move(const Move& move) const {
  assert_locked(*move.from);
  assert_locked(*move.to);
  PAILFS_TRY(check_directory(move.caller, *move.from, move.name));
  PAILFS_TRY(check_new_entry(move.caller, *move.to, move.new_name));
  if (!move.moved) return fail(Code::kNotFound, "no such entry");
  assert_locked(*move.moved);
  const bool directory = S_ISDIR(move.moved->record.mode);
  if (move.parent == kRootIno) return fail(Code::kNotPermitted, "a bucket keeps its name");
  if (move.new_parent == kRootIno && !directory) {
    return fail(Code::kNotPermitted, "the store's root holds buckets only");
  }
  if (bucket_of(move.parent) != bucket_of(move.new_parent)) return fail(Code::kCrossDevice, "another bucket");
  if (move.other && move.mode == RenameMode::kNoReplace) return fail(Code::kExists, "the name is taken");
  if (!move.other && move.mode == RenameMode::kExchange) return fail(Code::kNotFound, "no such entry");
  if (move.moved == move.other) return {};
  PAILFS_TRY(check_move_permission(move));
  if (move.other && move.mode != RenameMode::kExchange) {
    assert_locked(*move.other);
    const bool onto_directory = S_ISDIR(move.other->record.mode);
    if (directory && !onto_directory) return fail(Code::kNotDirectory, "a directory replaces only a directory");
    if (!directory && onto_directory) return fail(Code::kIsDirectory, "the new name is a directory");
  }
  if (directory && move.from != move.to && move.to->record.nlink >= kLinkMax) {
    return fail(Code::kTooManyLinks, "too many directories");
  }
  return {};
}

Status Core::Impl::replace_name(Move& move, Transaction& tx) {
  assert_locked(*move.from);
  assert_locked(*move.to);
  assert_locked(*move.moved);
  InodeRecord& moved = move.moved->record;
  const bool directory = S_ISDIR(moved.mode);
  if (!directory) PAILFS_TRY(seal(*move.moved, false, tx));
  if (move.other) {
    assert_locked(*move.other);
    PAILFS_TRY(S_ISDIR(move.other->record.mode) ? clear_directory(*move.other, tx) : seal(*move.other, false, tx));
  }
  const Stamp at = stamp(tx);
  keep_directory(*move.from, at, tx);
  if (move.to != move.from) keep_directory(*move.to, at, tx);
  keep_attributes(*move.moved, at, tx);
  const uint32_t uid = move.caller.uid;
  const Found& old = *move.source.found;
  Dirent entry{.ino = move.moved->ino, .type = moved.mode & S_IFMT, .since = at, .name = std::string(move.new_name)};
  VersionId marker{};
  if (move.other) {
    write_history(move.new_parent, *move.target.found, EndKind::kReplaced, uid, at, tx);
    replace_entry(move.new_parent, *move.target.found, std::move(entry), tx);
    marker = end_entry(move.parent, old, EndKind::kRenamed, uid, at, tx);
  } else if (move.from == move.to && slot_group(move.parent, move.name) == slot_group(move.parent, move.new_name)) {
    // Both names belong to one group of slots, where taking one and freeing another would concern the same keys.
    marker = write_history(move.parent, old, EndKind::kRenamed, uid, at, tx);
    replace_entry(move.parent, old, std::move(entry), tx);
  } else {
    PAILFS_TRY(insert_entry(move.new_parent, move.target, std::move(entry), tx));
    marker = end_entry(move.parent, old, EndKind::kRenamed, uid, at, tx);
  }
  if (directory && move.from != move.to) {
    moved.parent = move.new_parent;
    --move.from->record.nlink;
    ++move.to->record.nlink;
  }
  if (move.other) {
    assert_locked(*move.other);
    if (S_ISDIR(move.other->record.mode)) --move.to->record.nlink;
    PAILFS_TRY(drop_link(*move.other, at, tx));
  }
  tx.record(
      encode_change({Action::kDeleteObject, move.caller, move.parent, move.name, move.moved->ino, {}, marker}, at));
  tx.record(encode_change({Action::kPutObject, move.caller, move.new_parent, move.new_name, move.moved->ino}, at));
  return {};
}

Status Core::Impl::exchange_names(Move& move, Transaction& tx) {
  assert_locked(*move.from);
  assert_locked(*move.to);
  assert_locked(*move.moved);
  assert_locked(*move.other);
  InodeRecord& one = move.moved->record;
  InodeRecord& two = move.other->record;
  PAILFS_TRY(seal(*move.moved, false, tx));
  PAILFS_TRY(seal(*move.other, false, tx));
  const Stamp at = stamp(tx);
  keep_directory(*move.from, at, tx);
  if (move.to != move.from) keep_directory(*move.to, at, tx);
  keep_attributes(*move.moved, at, tx);
  keep_attributes(*move.other, at, tx);
  const Found& first = *move.source.found;
  const Found& second = *move.target.found;
  write_history(move.parent, first, EndKind::kReplaced, move.caller.uid, at, tx);
  write_history(move.new_parent, second, EndKind::kReplaced, move.caller.uid, at, tx);
  replace_entry(move.parent, first,
                {.ino = second.entry.ino, .type = second.entry.type, .since = at, .name = first.entry.name}, tx);
  replace_entry(move.new_parent, second,
                {.ino = first.entry.ino, .type = first.entry.type, .since = at, .name = second.entry.name}, tx);
  if (move.from != move.to) {
    if (S_ISDIR(one.mode)) {
      one.parent = move.new_parent;
      --move.from->record.nlink;
      ++move.to->record.nlink;
    }
    if (S_ISDIR(two.mode)) {
      two.parent = move.parent;
      --move.to->record.nlink;
      ++move.from->record.nlink;
    }
  }
  two.ctime = now();
  put_inode(move.other->ino, two, tx);
  tx.record(encode_change({Action::kPutObject, move.caller, move.parent, move.name, second.entry.ino}, at));
  tx.record(encode_change({Action::kPutObject, move.caller, move.new_parent, move.new_name, first.entry.ino}, at));
  return {};
}

Status Core::rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                    RenameMode mode) {
  Impl& impl = *impl_;
  if (is_virtual(parent) || is_virtual(new_parent)) return fail(Code::kReadOnly, "versions are read-only");
  PAILFS_TRY(Impl::check_name(name));
  PAILFS_TRY(Impl::check_name(new_name));
  if (name == "." || name == ".." || new_name == "." || new_name == "..") return fail(Code::kBusy, "'.' and '..' stay");
  if (name == kVersionsName) return fail(Code::kReadOnly, "the versions of a directory stay");
  if (new_name == kVersionsName) return fail(Code::kExists, "the name is taken");
  PAILFS_TRY(impl.move(caller, parent, name, new_parent, new_name, mode));
  impl.settle_nulls(parent, name);
  impl.settle_nulls(new_parent, new_name);
  return {};
}

Status Core::Impl::move(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                        std::string_view new_name, RenameMode mode) {
  Impl& impl = *this;
  MutexLock tree_lock(impl.tree);
  Impl::Move move{caller, parent, name, new_parent, new_name, mode};
  PAILFS_TRY(impl.find_both_ends(move));
  // Read before the locks, as ancestors have locks of their own; only who holds the tree lock changes ancestry.
  bool into_itself = false;
  if (parent != new_parent) {
    if (move.moved && S_ISDIR(move.source.found->entry.type)) {
      PAILFS_ASSIGN(into_itself, impl.is_within(new_parent, move.moved->ino));
    }
    if (!into_itself && move.other && mode == RenameMode::kExchange && S_ISDIR(move.target.found->entry.type)) {
      PAILFS_ASSIGN(into_itself, impl.is_within(parent, move.other->ino));
    }
  }
  LockedInodes locked({move.from, move.to, move.moved, move.other});
  PAILFS_TRY(impl.check_move(move));
  if (move.moved == move.other) return {};  // POSIX: two names of one file, nothing happens
  if (into_itself) return fail(Code::kInvalid, "a directory cannot move into itself");
  PAILFS_TRY(unless_explained());

  assert_locked(*move.from);
  assert_locked(*move.to);
  assert_locked(*move.moved);
  Transaction tx;
  Status changed = mode == RenameMode::kExchange ? impl.exchange_names(move, tx) : impl.replace_name(move, tx);
  if (!changed) {
    for (const InodePtr& inode : locked.all()) {
      assert_locked(*inode);
      impl.reload(*inode);
    }
    return changed;
  }
  const Time now = impl.now();
  move.moved->record.ctime = now;
  const auto touch = [&](const InodePtr& directory) {
    assert_locked(*directory);
    directory->record.mtime = directory->record.ctime = now;
    impl.put_inode(directory->ino, directory->record, tx);
  };
  touch(move.from);
  if (move.to != move.from) touch(move.to);
  impl.put_inode(move.moved->ino, move.moved->record, tx);
  PAILFS_TRY(impl.commit(std::move(tx), locked));
  if (S_ISDIR(move.moved->record.mode) || mode == RenameMode::kExchange) impl.keys->directory_moved();
  impl.policy_gate->decisions().names_changed(move.moved->ino);  // also where it kept its slot
  if (move.other) {
    assert_locked(*move.other);
    if (move.other->gone) impl.inodes.remove(move.other->ino);
  }
  return {};
}

}  // namespace pailfs
