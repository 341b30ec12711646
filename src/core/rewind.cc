// Going back to a moment: two moments of a directory are compared name by name, and where one of them is now, it is
// made what the other one was. Also the difference between two moments, for which nothing is changed.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "core/content.h"
#include "core/history.h"
#include "core/moment.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/restore.h"
#include "core/time_text.h"

namespace pailfs {

std::string_view difference_name(Difference difference) {
  switch (difference) {
    case Difference::kAdded:
      return "added";
    case Difference::kRemoved:
      return "removed";
    case Difference::kContent:
      return "content";
    case Difference::kAttributes:
      return "attributes";
    case Difference::kUnknown:
      return "unknown";
    case Difference::kDenied:
      return "denied";
  }
  return "";
}

namespace {

constexpr int kMaxDepth = 2048;  // of directories

using Object = Moment::Object;
using MaybeEntry = std::optional<Moment::Entry>;

class Rewind {
 public:
  Rewind(Core::Impl& core, const Caller& caller, Stamp from, Stamp to, const RewindOptions& options,
         const Progress& progress)
      : core_(core),
        caller_(caller),
        from_(core, from),
        to_(core, to),
        restorer_(core, caller),
        options_(options),
        apply_(!options.dry_run && !options.from),
        progress_(progress) {
    result_.to = to;
    if (options.from) result_.from = from;
  }

  // `names`: the path; empty: the whole bucket.
  Status run(Ino root, const std::vector<std::string>& names);
  // What was replaced or removed while versioning is suspended goes now, and not before: other names may have come back
  // from it. Not where one may still have to: it goes with the next change of its name then.
  void settle() {
    if (result_.denied > 0) return;
    for (const auto& [parent, name] : changed_) core_.settle_nulls(parent, name);
  }
  RewindResult take() { return std::move(result_); }

 private:
  // A directory on both sides; 0: it is not there.
  struct Side {
    Ino is = 0;
    Ino was = 0;
  };
  Status walk(Side side, const std::vector<std::string>& names);
  Status directory(Side side, const std::string& path, int depth);
  Status entry(Side side, const std::string& name, const MaybeEntry& is, const MaybeEntry& was, const std::string& path,
               int depth);
  Status remove(Ino parent, const Moment::Entry& entry, const std::string& path, int depth);
  Status file(Side side, const std::string& name, const MaybeEntry& is, const Moment::Entry& was, const Object& object,
              const std::string& path);
  Result<Ino> put(Side side, const std::string& name, const Moment::Entry& was, const Object& object);
  Result<bool> is_lost(const Result<Ino>& made, const Moment::Entry& was, const Object& tried) const;
  void name_changed(Ino parent, const std::string& name, Ino now);
  Result<bool> is_settled(Ino ino, bool its_own) const;
  Result<bool> shows_same(Ino is, const InodeRecord& before, Ino was, const InodeRecord& after) const;
  Result<bool> stands(Ino is, const Object& now, Ino was, const Object& then) const;
  Result<bool> attributes(Ino is, Ino was, const std::string& path);
  Result<bool> differ(Ino is, const InodeRecord& before, Ino was, const InodeRecord& after) const;
  Status check(const Moment& moment, Ino directory, const Object& object, const std::string& path, Need need);
  Status check_way(Side side, const MaybeEntry& is, const MaybeEntry& was, const std::string& name,
                   const std::string& path);
  Status may_list(const Moment& moment, Ino directory, const Object& object, const std::string& path);
  Status step() {
    if (progress_ && !progress_(++steps_, 0)) return interrupted();
    return {};
  }
  void note(Difference what, const std::string& path, bool directory, uint64_t before, uint64_t after,
            std::string why = {});
  // What the caller may not do is said, and the rest goes on.
  Status denied(const Status& done, const std::string& path, bool directory);

  Core::Impl& core_;
  const Caller& caller_;
  const Moment from_;
  const Moment to_;
  Restorer restorer_;
  const RewindOptions& options_;
  const bool apply_;
  const Progress& progress_;
  uint64_t steps_ = 0;
  std::map<Ino, Ino> made_;                           // what stands for what was: files with several names
  std::map<Ino, Ino> taken_;                          // the other way round
  std::vector<std::pair<Ino, std::string>> changed_;  // names, where settle() has something to do
  RewindResult result_;
};

void Rewind::note(Difference what, const std::string& path, bool directory, uint64_t before, uint64_t after,
                  std::string why) {
  switch (what) {
    case Difference::kAdded:
      ++result_.added;
      result_.bytes += after;
      break;
    case Difference::kRemoved:
      ++result_.removed;
      break;
    case Difference::kContent:
      ++result_.content;
      result_.bytes += after;
      break;
    case Difference::kAttributes:
      ++result_.attributes;
      break;
    case Difference::kUnknown:
      ++result_.unknown;
      break;
    case Difference::kDenied:
      ++result_.denied;
      break;
  }
  if (result_.differences.size() >= RewindResult::kKept || path.size() > kLongestPath) return;
  result_.differences.push_back({what, path, directory, before, after, std::move(why)});
}

Status Rewind::denied(const Status& done, const std::string& path, bool directory) {
  if (done) return {};
  switch (done.error().code) {
    case Code::kAccessDenied:
    case Code::kNotPermitted:
    case Code::kNotEmpty:  // something in it was left alone
    case Code::kIsDirectory:
    case Code::kCorrupt:
      note(Difference::kDenied, path, directory, 0, 0, done.error().message);
      return {};
    default:
      return done;
  }
}

// As in .versions below the moment. `path`: the directory's, in the bucket.
Status Rewind::check(const Moment& moment, Ino directory, const Object& object, const std::string& path, Need need) {
  std::vector<std::string> keys;
  if (core_.gate.has_policies(bucket_of(directory))) {
    PAILFS_ASSIGN(keys, core_.keys->keys_of(directory));
    keys.push_back(path);
  }
  return check_then(core_, caller_, {directory, object.record, moment.at(), keys}, Action::kListBucketVersions, need);
}

// To a name of a directory: by .versions above it or, where it was that directory then too, as it is looked up now.
Status Rewind::check_way(Side side, const MaybeEntry& is, const MaybeEntry& was, const std::string& name,
                         const std::string& path) {
  if (is && was && is->ino == was->ino && side.is == side.was && S_ISDIR(is->type)) {
    PAILFS_ASSIGN(const InodePtr above, core_.existing(side.is));
    ReaderLock lock(above->lock);
    if (core_.check_directory(caller_, *above, name)) return {};
  }
  for (const auto& [moment, ino] : {std::pair(&from_, side.is), std::pair(&to_, side.was)}) {
    if (ino == 0) continue;
    PAILFS_ASSIGN(const auto above, moment->object(ino));
    if (above) PAILFS_TRY(check(*moment, ino, *above, path, Need::kSearch));
  }
  return {};
}

// Who may not list what was (or is) is told nothing of what is in it.
Status Rewind::may_list(const Moment& moment, Ino directory, const Object& object, const std::string& path) {
  for (const Need need : {Need::kRead, Need::kSearch}) PAILFS_TRY(check(moment, directory, object, path, need));
  return {};
}

Result<bool> Rewind::differ(Ino is, const InodeRecord& before, Ino was, const InodeRecord& after) const {
  if (!same_attributes(before, after)) return true;
  if (!before.has_xattrs && !after.has_xattrs) return false;
  PAILFS_ASSIGN(auto names, from_.xattr_names(is, before));
  PAILFS_ASSIGN(auto others, to_.xattr_names(was, after));
  std::ranges::sort(names);
  std::ranges::sort(others);
  if (names != others) return true;
  for (const std::string& name : names) {
    PAILFS_ASSIGN(const auto one, from_.xattr(is, before, name));
    PAILFS_ASSIGN(const auto other, to_.xattr(was, after, name));
    if (one != other) return true;
  }
  return false;
}

// The attributes of a directory that was made or gone through; a file's come with its content. False: they stay as they
// are; where that is because of a refusal, it is noted.
Result<bool> Rewind::attributes(Ino is, Ino was, const std::string& path) {
  if (!apply_) return true;
  PAILFS_ASSIGN(const auto after, to_.object(was));
  if (!after) return true;
  // Its own times are those of the last change in it, which may have been a moment ago.
  const auto changed = restorer_.set_attributes({was, after->record, to_.at()}, is);
  if (!changed) {
    PAILFS_TRY(denied(std::unexpected(changed.error()), path, true));
    return false;
  }
  if (*changed) {
    core_.name_changed(is, {}, is);
    core_.names_ended();  // the directory may be closed to some now
  }
  return *changed;
}

Status Rewind::remove(Ino parent, const Moment::Entry& entry, const std::string& path, int depth) {
  PAILFS_TRY(step());
  const bool directory = S_ISDIR(entry.type);
  uint64_t size = 0;
  if (directory) {
    if (depth > kMaxDepth) return fail(Code::kNameTooLong, fmt::format("{} lies too deep", path));
    PAILFS_TRY(this->directory({entry.ino, 0}, path, depth + 1));
  } else if (const auto object = from_.object(entry.ino); object && *object) {
    size = (*object)->record.size;
  }
  if (apply_) {
    const Status removed = core_.remove_entry(caller_, parent, entry.name, directory);
    if (!removed && removed.error().code != Code::kNotFound) return denied(removed, path, directory);
    name_changed(parent, entry.name, 0);
  }
  note(Difference::kRemoved, path, directory, size, 0);
  return {};
}

Result<Ino> Rewind::put(Side side, const std::string& name, const Moment::Entry& was, const Object& object) {
  const auto made = made_.find(was.ino);
  if (made != made_.end()) {
    const Status linked = restorer_.link(object.record, made->second, side.is, name);
    if (linked) return made->second;
    if (linked.error().code != Code::kNotFound) return std::unexpected(linked.error());
    made_.erase(made);  // somebody has removed it already: it is made anew
  }
  PAILFS_ASSIGN(const Ino ino, restorer_.put({was.ino, object.record, to_.at(), true}, side.is, name));
  if (object.record.nlink > 1) made_.emplace(was.ino, ino);
  return ino;
}

void Rewind::name_changed(Ino parent, const std::string& name, Ino now) {
  core_.name_changed(parent, name, now);
  if (core_.versioning(bucket_of(parent)) == Versioning::kSuspended) changed_.emplace_back(parent, name);
}

// Whether it was not made because what was then has been removed, replaced or gone on with since it was looked at.
Result<bool> Rewind::is_lost(const Result<Ino>& made, const Moment::Entry& was, const Object& tried) const {
  if (made || made.error().code != Code::kNotFound) return false;
  PAILFS_ASSIGN(const auto object, to_.object(was.ino));
  return !object || !object->whole || object->record.version.sealed != tried.record.version.sealed;
}

// Whether what was last sealed is what the inode shows. Who still writes to one that came later may not be who owned
// what was.
Result<bool> Rewind::is_settled(Ino ino, bool its_own) const {
  if (options_.from) return true;
  PAILFS_ASSIGN(const InodePtr inode, core_.existing(ino));
  ReaderLock lock(inode->lock);
  return !inode->record.dirty && (its_own || inode->writers == 0);
}

Result<bool> Rewind::shows_same(Ino is, const InodeRecord& before, Ino was, const InodeRecord& after) const {
  if (is == was && before.vseq == after.vseq && before.version.sealed == after.version.sealed) return true;
  if ((before.mode & S_IFMT) != (after.mode & S_IFMT)) return false;
  if (!S_ISREG(after.mode)) return before.target == after.target && before.rdev == after.rdev;
  auto same = same_units(core_.store, before, after);
  if (!same && same.error().code == Code::kCorrupt) return false;  // put() says it, if it matters
  return same;
}

// Whether what has the name now can go on having it: the inode that had it then, or one that an earlier rewind made of
// it. Any other is a file of its own, also where it shares the units: with other names, which are not for this rewind
// to change.
Result<bool> Rewind::stands(Ino is, const Object& now, Ino was, const Object& then) const {
  const bool its_own = is == was;
  const auto made = made_.find(was);
  if (!now.whole || (made != made_.end() && made->second != is)) return false;
  if (!its_own) {
    const auto taken = taken_.find(is);
    if (taken != taken_.end() && taken->second != was) return false;
    if (now.record.btime <= to_.at() || now.record.uid != then.record.uid || now.record.nlink > then.record.nlink) {
      return false;
    }
  }
  PAILFS_ASSIGN(const bool settled, is_settled(is, its_own));
  if (!settled) return false;
  return shows_same(is, now.record, was, then.record);
}

Status Rewind::file(Side side, const std::string& name, const MaybeEntry& is, const Moment::Entry& was,
                    const Object& object, const std::string& path) {
  std::optional<Object> now;
  if (is) {
    PAILFS_ASSIGN(now, from_.object(is->ino));
  }
  const bool there = is && now;
  const uint64_t size_before = there ? now->record.size : 0;
  bool same = false, changed = false;
  if (there) {
    PAILFS_ASSIGN(same, stands(is->ino, *now, was.ino, object));
  }
  if (same) {
    PAILFS_ASSIGN(changed, differ(is->ino, now->record, was.ino, object.record));
    same = !changed || is->ino == was.ino || now->record.nlink == 1;
  }
  const bool several = object.record.nlink > 1;
  if (!same) {
    if (apply_) {
      const auto ino = put(side, name, was, object);
      PAILFS_ASSIGN(const bool lost, is_lost(ino, was, object));
      if (lost) {
        note(Difference::kUnknown, path, false, 0, 0);
        return {};
      }
      if (!ino) return denied(std::unexpected(ino.error()), path, false);
      name_changed(side.is, name, *ino);
    } else if (several) {
      made_.emplace(was.ino, 0);  // its other names would get what is made
    }
    note(is ? Difference::kContent : Difference::kAdded, path, false, size_before, object.record.size);
    return {};
  }
  if (changed && apply_) {
    const auto set = restorer_.set_attributes({was.ino, object.record, to_.at()}, is->ino);
    if (!set) return denied(std::unexpected(set.error()), path, false);
    core_.name_changed(side.is, name, is->ino);
    changed = *set;  // not what stays as it is, for who may not change it
  }
  if (several) {
    made_.emplace(was.ino, is->ino);
    taken_.emplace(is->ino, was.ino);
  }
  if (changed) note(Difference::kAttributes, path, false, size_before, object.record.size);
  return {};
}

// One name that is there on at least one side. side.is is 0 in a dry run below what would have to be made first.
Status Rewind::entry(Side side, const std::string& name, const MaybeEntry& is, const MaybeEntry& was,
                     const std::string& path, int depth) {
  PAILFS_TRY(step());
  if (!was) return options_.remove_newer ? remove(side.is, *is, path, depth) : Status();
  PAILFS_ASSIGN(const auto object, to_.object(was->ino));
  if (!object || !object->whole) {
    note(Difference::kUnknown, path, S_ISDIR(was->type), 0, 0);
    return {};
  }
  if (!S_ISDIR(was->type)) {
    if (is && S_ISDIR(is->type)) PAILFS_TRY(remove(side.is, *is, path, depth));
    return file(side, name, is && !S_ISDIR(is->type) ? is : std::nullopt, *was, *object, path);
  }
  Side below{0, was->ino};
  bool changed = false;
  if (is && S_ISDIR(is->type)) {
    below.is = is->ino;
    PAILFS_ASSIGN(const auto now, from_.object(is->ino));
    if (now) {
      PAILFS_ASSIGN(changed, differ(is->ino, now->record, was->ino, object->record));
    }
  } else {
    if (is) PAILFS_TRY(remove(side.is, *is, path, depth));
    if (apply_) {
      const auto made = restorer_.make_directory({was->ino, object->record, to_.at()}, side.is, name);
      if (!made) return denied(std::unexpected(made.error()), path, true);
      below.is = *made;
      core_.name_changed(side.is, name, *made);
    }
    note(Difference::kAdded, path, true, 0, 0);
  }
  PAILFS_TRY(directory(below, path, depth + 1));
  PAILFS_ASSIGN(const bool set, attributes(below.is, was->ino, path));
  if (changed && set) note(Difference::kAttributes, path, true, 0, 0);
  return {};
}

Status Rewind::directory(Side side, const std::string& path, int depth) {
  if (depth > kMaxDepth) return fail(Code::kNameTooLong, fmt::format("{} lies too deep", path));
  std::map<std::string, std::pair<MaybeEntry, MaybeEntry>> names;
  for (const bool now : {true, false}) {
    const Ino ino = now ? side.is : side.was;
    const Moment& moment = now ? from_ : to_;
    if (ino == 0) continue;
    PAILFS_ASSIGN(const auto object, moment.object(ino));
    if (!object) continue;
    if (const Status allowed = may_list(moment, ino, *object, path); !allowed) return denied(allowed, path, true);
    PAILFS_TRY(moment.list(ino, 0, [&](Moment::Entry& found) -> Result<bool> {
      auto& both = names[found.name];
      (now ? both.first : both.second) = std::move(found);
      return true;
    }));
  }
  for (const auto& [name, both] : names) {
    std::string below = path;
    add_name(below, name);
    PAILFS_TRY(entry(side, name, both.first, both.second, below, depth));
  }
  return {};
}

// Down to the name that is meant. Directories on the way that are gone are made, if they were there.
Status Rewind::walk(Side side, const std::vector<std::string>& names) {
  std::string path;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    MaybeEntry is, was;
    if (side.is != 0) {
      PAILFS_ASSIGN(is, from_.find(side.is, name));
    }
    if (side.was != 0) {
      PAILFS_ASSIGN(was, to_.find(side.was, name));
    }
    PAILFS_TRY(check_way(side, is, was, name, path));
    add_name(path, name);
    if (!is && !was) {
      return fail(Code::kNotFound,
                  fmt::format("{} is not there, and was not there at {}", path, format_time(to_.at())));
    }
    if (i + 1 == names.size()) return entry(side, name, is, was, path, 0);
    if (is && !S_ISDIR(is->type)) return fail(Code::kNotDirectory, fmt::format("{} is not a directory", path));
    if (!is && !S_ISDIR(was->type)) return fail(Code::kNotDirectory, fmt::format("{} was not a directory", path));
    Side below{is ? is->ino : 0, was && S_ISDIR(was->type) ? was->ino : 0};
    if (!is && apply_) {
      PAILFS_ASSIGN(const auto object, to_.object(was->ino));
      if (!object) return fail(Code::kNotFound, fmt::format("nothing is left of the directory {}", path));
      const PastInode past{was->ino, object->record, to_.at()};
      PAILFS_ASSIGN(below.is, restorer_.make_directory(past, side.is, name));
      note(Difference::kAdded, path, true, 0, 0);
      PAILFS_TRY(restorer_.set_attributes(past, below.is));
      core_.name_changed(side.is, name, below.is);
    }
    side = below;
  }
  return {};
}

Status Rewind::run(Ino root, const std::vector<std::string>& names) {
  PAILFS_TRY(may_enter_versions(core_, caller_, root));
  if (!names.empty()) return walk({root, root}, names);
  PAILFS_TRY(directory({root, root}, "", 0));
  PAILFS_TRY(attributes(root, root, ""));
  return {};
}

}  // namespace

Result<RewindResult> Core::rewind(const Caller& caller, std::string_view bucket, std::string_view path,
                                  const RewindOptions& options, const Progress& progress) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const Ino root, bucket_directory(bucket));
  PAILFS_ASSIGN(const Stamp to, check_moment(impl, bucket_of(root), options.to));
  Stamp from = impl.latest_stamp();
  if (options.from) {
    PAILFS_ASSIGN(from, check_moment(impl, bucket_of(root), *options.from));
  }
  Rewind rewind(impl, caller, from, to, options, progress);
  PAILFS_TRY(rewind.run(root, split_path(path)));  // one that is cut off may go on from what these hold
  rewind.settle();
  return rewind.take();
}

void Core::observe_names(NameObserver observer) { impl_->name_observer = std::move(observer); }

void Core::observe_removals(std::function<void()> observer) { impl_->removal_observer = std::move(observer); }

}  // namespace pailfs
