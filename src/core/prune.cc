// Pruning: removing noncurrent versions for good, by age and number.
//
// An object is a name in a directory. To it belong the versions of the inode that has the name, and of every inode that
// had it when its last name was taken (NameSpan::owns); an inode that was renamed away belongs to its new name, all its
// versions with it. So no two objects decide over the same version, hard links apart.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/logging.h"
#include "core/history.h"
#include "core/object_keys.h"
#include "core/path.h"
#include "core/scan.h"
#include "core/verify.h"

namespace pailfs {

namespace {

constexpr Time kDay = Time{86400} * 1'000'000'000;
constexpr Time kKeepInterval = kDay / 24;
constexpr size_t kKeysPerTransaction = 2000;

class Pruning {
 public:
  Pruning(Core::Impl& core, const Caller& caller, const PruneOptions& options, const Progress& progress)
      : core_(core), caller_(caller), options_(options), progress_(progress) {}

  // Everything below a directory.
  Status tree(const DirectorySpan& top);
  // One name: what it stands for that is no directory; directories among it are added to `below`.
  Status object(const std::vector<NameSpan>& spans, std::vector<NameSpan>& below);
  // A directory that was removed: once nothing is below it, it goes.
  Status removed_directory(const NameSpan& span);
  // What was kept for something that has gone in the meantime.
  Status finish();
  PruneResult result;

 private:
  struct Candidate {
    NameSpan span;
    ObjectVersion version;
    Stamp ceased;
  };
  bool old_enough(Stamp ceased) const { return !options_.older_than || ceased < *options_.older_than; }
  Result<std::optional<InodeRecord>> record(Ino ino);
  Status versions(const std::vector<NameSpan>& spans);
  Status check_other_names(Ino ino);
  Status remove(const Candidate& candidate);
  Status ended(const NameSpan& span);
  Status drop_span(const NameSpan& span);
  Result<bool> is_bare(const NameSpan& span);
  Result<bool> remove_nameless(Ino ino);
  Result<bool> shows_nothing(const NameSpan& span);

  Core::Impl& core_;
  const Caller& caller_;
  const PruneOptions& options_;
  const Progress& progress_;
  uint64_t names_ = 0;
  std::vector<NameSpan> renamed_;       // ended entries of inodes that have (or had) other names
  std::vector<NameSpan> not_empty_;     // removed directories with entries, whatever is below them first
  std::map<Ino, size_t> would_remove_;  // a dry run: how many versions of an inode of this object
};

Result<std::optional<InodeRecord>> Pruning::record(Ino ino) {
  PAILFS_ASSIGN(const auto value, core_.store.get(bucket_of(ino), keys::inode(ino)));
  if (!value) return std::nullopt;
  PAILFS_ASSIGN(InodeRecord record, decode_inode(*value));
  if (record.nlink == 0 && core_.is_orphan(ino)) return std::nullopt;  // only its last user knows it still
  return std::optional(std::move(record));
}

// What is below the path was asked for as a whole; a file may have names elsewhere.
Status Pruning::check_other_names(Ino ino) {
  if (!core_.gate.has_policies(bucket_of(ino))) return {};
  PAILFS_ASSIGN(const auto keys, core_.keys->keys_of(ino));
  if (keys.empty()) return {};
  const Attributes object{.ino = bucket_root(bucket_of(ino))};
  AccessRequest request{caller_, Action::kDeleteObjectVersion, Need::kAccount, object};
  request.keys = keys;
  return core_.gate.check(request);
}

Status Pruning::remove(const Candidate& candidate) {
  if (!core_.check_removable(bucket_of(candidate.span.ino), candidate.version.record)) {
    ++result.locked;
    return {};
  }
  PAILFS_TRY(check_other_names(candidate.span.ino));
  if (!options_.dry_run) {
    const Status removed = remove_object_version(core_, caller_, candidate.span, candidate.version);
    // Somebody else removed it, or gave the file a name again, or still has it open: it is as it should be.
    const Code code = removed ? Code::kIo : removed.error().code;
    if (code == Code::kNotFound || code == Code::kNotPermitted || code == Code::kBusy) return {};
    if (!removed && removed.error().code == Code::kAccessDenied) {  // locked a moment ago
      ++result.locked;
      return {};
    }
    if (!removed) return removed;
  }
  if (options_.dry_run) ++would_remove_[candidate.span.ino];
  ++result.versions;
  result.bytes += candidate.version.record.size;
  return {};
}

Status Pruning::versions(const std::vector<NameSpan>& spans) {
  std::vector<Candidate> noncurrent;
  std::set<Ino> seen;
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {  // the last span of an inode says when it ended
    if (S_ISDIR(span->type) || seen.contains(span->ino)) continue;
    PAILFS_ASSIGN(const auto inode, record(span->ino));
    if (!inode || !span->owns(*inode)) continue;
    seen.insert(span->ino);
    if (inode->nlink > 0 && inode->vseq == 1) continue;  // most files have no older version
    PAILFS_ASSIGN(auto versions, object_versions(core_, span->ino));
    for (ObjectVersion& version : versions) {
      if (version.current) continue;
      const Stamp ceased = std::min(version.ceased, span->end);
      noncurrent.push_back({*span, std::move(version), ceased});
    }
  }
  std::sort(noncurrent.begin(), noncurrent.end(), [](const Candidate& a, const Candidate& b) {
    return a.version.record.version.sealed > b.version.record.version.sealed;
  });
  // Oldest first, so that what is left after an interruption is what any rule would keep longest.
  for (size_t i = noncurrent.size(); i-- > options_.keep.value_or(0);) {
    if (old_enough(noncurrent[i].ceased)) PAILFS_TRY(remove(noncurrent[i]));
  }
  return {};
}

Status Pruning::drop_span(const NameSpan& span) {
  if (span.has_marker()) ++result.markers;
  if (options_.dry_run) return {};
  Transaction tx;
  tx.erase(keys::ended(span.parent, span.slot, span.end));
  ChangeRecord change{Action::kDeleteObjectVersion, caller_, span.parent, {}, span.ino};
  change.before = span.marker;
  tx.record(encode_change(change, core_.now()));
  return core_.commit(std::move(tx));
}

Result<bool> Pruning::shows_nothing(const NameSpan& span) {
  PAILFS_ASSIGN(const auto inode, record(span.ino));
  if (!inode) return true;
  if (S_ISDIR(span.type) || (span.owns(*inode) && !would_remove_.contains(span.ino))) return false;
  PAILFS_ASSIGN(const auto versions, object_versions(core_, span.ino));
  if (span.owns(*inode)) return versions.size() == would_remove_[span.ino];
  return versions_within(versions, span).empty();
}

// A special file without a name: it has no versions, and was kept for moments alone.
Result<bool> Pruning::is_bare(const NameSpan& span) {
  if (S_ISDIR(span.type) || S_ISREG(span.type) || S_ISLNK(span.type)) return false;
  PAILFS_ASSIGN(const auto inode, record(span.ino));
  return inode && inode->nlink == 0;
}

Status Pruning::ended(const NameSpan& span) {
  if (span.live() || span.derived || !old_enough(span.end)) return {};
  PAILFS_ASSIGN(const bool bare, is_bare(span));
  if (bare) {
    bool removed = true;
    if (!options_.dry_run) {
      PAILFS_ASSIGN(removed, remove_nameless(span.ino));
    }
    return removed ? drop_span(span) : Status{};
  }
  PAILFS_ASSIGN(const bool nothing, shows_nothing(span));
  if (nothing) return drop_span(span);
  if (span.kind == EndKind::kRenamed) renamed_.push_back(span);
  return {};
}

Status Pruning::object(const std::vector<NameSpan>& spans, std::vector<NameSpan>& below) {
  would_remove_.clear();
  PAILFS_TRY(versions(spans));
  for (const NameSpan& span : spans) {
    PAILFS_TRY(ended(span));
    if (S_ISDIR(span.type) && (span.live() || (!span.derived && span.kind != EndKind::kRenamed))) below.push_back(span);
  }
  if (progress_ && !progress_(++names_, 0)) return interrupted();
  return {};
}

// What has no versions: a directory, or a special file. False: it has a name (again).
Result<bool> Pruning::remove_nameless(Ino ino) {
  const Result<InodePtr> found = core_.inodes.get(ino);
  if (!found && found.error().code == Code::kNotFound) return true;
  if (!found) return std::unexpected(found.error());
  Inode& inode = **found;
  {
    WriterLock lock(inode.lock);
    if (inode.record.nlink != 0) return false;
    if (inode.gone || core_.is_orphan(ino)) return true;  // an orphan goes with its last use
    PAILFS_ASSIGN(const bool in_use, core_.leave_to_last_user(inode));
    if (in_use) return true;
    Transaction tx;
    Status done = core_.remove_inode(inode, tx);
    if (done) done = core_.commit(std::move(tx));
    if (!done) {
      core_.reload(inode);
      return std::unexpected(std::move(done).error());
    }
  }
  core_.inodes.remove(ino);
  return true;
}

Status Pruning::removed_directory(const NameSpan& span) {
  if (span.live() || options_.dry_run || !old_enough(span.end)) return {};
  bool any = false;
  for (const std::string& prefix : {keys::ended(span.ino, 0, 0), keys::dirent(span.ino, 0)}) {
    const std::string of_directory = prefix.substr(0, 1 + sizeof(Ino));
    PAILFS_TRY(scan_prefix(core_.store, bucket_of(span.ino), of_directory, [&](const auto&) -> Result<bool> {
      any = true;
      return false;
    }));
  }
  if (any) {
    not_empty_.push_back(span);
    return {};
  }
  PAILFS_ASSIGN(const bool removed, remove_nameless(span.ino));
  return removed ? drop_span(span) : Status{};
}

Status Pruning::tree(const DirectorySpan& top) {
  struct Level {
    std::optional<NameSpan> came_by;
    std::vector<NameSpan> below;
  };
  std::vector<Level> levels;
  const auto enter = [&](const DirectorySpan& directory, std::optional<NameSpan> came_by) -> Status {
    Level level{came_by, {}};
    PAILFS_TRY(each_name(core_, directory, [&](const std::string&, const std::vector<NameSpan>& spans) {
      return object(spans, level.below);
    }));
    levels.push_back(std::move(level));
    return {};
  };
  PAILFS_TRY(enter(top, std::nullopt));
  while (!levels.empty()) {
    if (levels.back().below.empty()) {
      if (levels.back().came_by) PAILFS_TRY(removed_directory(*levels.back().came_by));
      levels.pop_back();
      continue;
    }
    const NameSpan next = levels.back().below.back();
    levels.back().below.pop_back();
    DirectorySpan whole;  // the directory's own history, whatever it was called
    whole.ino = next.ino;
    PAILFS_TRY(enter(whole, next));
  }
  return {};
}

// A renamed entry stays while its inode has versions under another name, and its directory stays for it; what was
// renamed may be a directory itself. So each that goes may let others go.
Status Pruning::finish() {
  while (true) {
    const size_t before = renamed_.size() + not_empty_.size();
    for (const NameSpan& span : std::exchange(renamed_, {})) {
      PAILFS_ASSIGN(const bool nothing, shows_nothing(span));
      if (nothing) {
        PAILFS_TRY(drop_span(span));
      } else {
        renamed_.push_back(span);
      }
    }
    for (const NameSpan& span : std::exchange(not_empty_, {})) PAILFS_TRY(removed_directory(span));
    if (renamed_.size() + not_empty_.size() == before) return {};
  }
}

}  // namespace

namespace {

// Moments before `since` cannot be shown any more, and need no attributes.
Status end_history(Core::Impl& core, Scope bucket, Stamp since) {
  {
    MutexLock tree_lock(core.tree);
    PAILFS_ASSIGN(BucketRecord record, core.bucket_record(bucket));
    if (record.deleting || record.history_since == 0 || record.history_since >= since) return {};
    record.history_since = since;
    Transaction tx;
    tx.put(kStoreScope, keys::bucket(bucket), encode_bucket(record));
    PAILFS_TRY(core.commit(std::move(tx)));
    core.set_bucket(record);
  }
  for (const char kind : {'a', 'y'}) {
    std::vector<std::string> ended;
    const auto gather = [&](const StoreView::Entry& entry) -> Result<bool> {
      if (end_of_past(entry.key) <= since) ended.push_back(entry.key);
      return ended.size() < kKeysPerTransaction;
    };
    for (std::string from = kind_begin(kind, bucket);; from = ended.back() + '\0') {
      ended.clear();
      PAILFS_TRY(scan_range(core.store, bucket, from, kind_end(kind, bucket), gather));
      if (ended.empty()) break;
      Transaction tx;
      for (const std::string& key : ended) tx.erase(key);
      PAILFS_TRY(core.commit(std::move(tx)));
    }
  }
  return {};
}

// Also where a prune fails half way.
struct NamesEnd {
  ~NamesEnd() {
    if (removes) core.names_ended();
  }
  Core::Impl& core;
  const bool removes;
};

}  // namespace

Result<PruneResult> Core::prune(const Caller& caller, std::string_view bucket, std::string_view path,
                                const PruneOptions& options, const Progress& progress) {
  Impl& impl = *impl_;
  PAILFS_ASSIGN(const Ino root, bucket_directory(bucket));
  PAILFS_ASSIGN(const Attributes object, getattr(caller, root));
  PAILFS_TRY(impl.gate.check({caller, Action::kDeleteObjectVersion, Need::kAccount, object}));
  if (!options.dry_run) PAILFS_TRY(impl.check_mfa(bucket_of(root), options.mfa));
  PAILFS_TRY(impl.gate.check_whole(caller, bucket_of(root), std::string(path), Action::kDeleteObjectVersion));
  const NamesEnd end{impl, !options.dry_run};
  const Stamp began = impl.latest_stamp();
  Pruning pruning(impl, caller, options, progress);
  DirectorySpan top;
  top.ino = root;
  const std::vector<std::string> names = split_path(path);
  if (names.empty()) {
    PAILFS_TRY(pruning.tree(top));
  } else {
    std::vector<DirectorySpan> directories{top};
    std::vector<NameSpan> spans;
    for (const std::string& name : names) {
      PAILFS_ASSIGN(spans, name_spans(impl, directories, name));
      directories = directories_of(spans);
    }
    if (spans.empty()) return fail(Code::kNotFound, fmt::format("nothing in the bucket is or was called {}", path));
    std::vector<NameSpan> below;
    PAILFS_TRY(pruning.object(spans, below));
    for (const NameSpan& span : below) {
      DirectorySpan whole;
      whole.ino = span.ino;
      PAILFS_TRY(pruning.tree(whole));
      PAILFS_TRY(pruning.removed_directory(span));
    }
  }
  PAILFS_TRY(pruning.finish());
  // Where every old version went, the moments that showed them went too. One that is locked keeps its attributes.
  if (names.empty() && !options.dry_run && options.keep.value_or(0) == 0 && pruning.result.locked == 0) {
    PAILFS_TRY(end_history(impl, bucket_of(root), std::min(options.older_than.value_or(began), began)));
  }
  return pruning.result;
}

Status Core::apply_keep_rules(const Progress& progress) {
  Impl& impl = *impl_;
  if (impl.store.status().read_only) return {};
  const Time now = impl.now();
  std::vector<BucketRecord> due;
  {
    WriterLock lock(impl.buckets_lock);
    for (const auto& [number, record] : impl.bucket_table) {
      if (record.deleting || record.keep == KeepRule()) continue;
      auto& [rule, applied] = impl.kept_by[number];
      if (rule == record.keep && now - applied < kKeepInterval) continue;
      rule = record.keep;
      applied = now;
      due.push_back(record);
    }
  }
  const Caller account{.uid = impl.gate.account(), .door = Door::kInternal};
  for (const BucketRecord& record : due) {
    PruneOptions options;
    options.keep = record.keep.count;
    if (record.keep.days) options.older_than = now - Time{*record.keep.days} * kDay;
    PAILFS_ASSIGN(const PruneResult removed, prune(account, record.name, {}, options, progress));
    if (removed.versions + removed.markers == 0) continue;
    log_info("the keep rule of bucket {} removed {} versions and {} delete markers", record.name, removed.versions,
             removed.markers);
  }
  return {};
}

}  // namespace pailfs
