#include "core/check.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "core/history.h"
#include "core/scan.h"

namespace pailfs {

namespace {

constexpr size_t kBatch = 512;
constexpr uint64_t kProgressSteps = 256;
constexpr int kMaxDepth = 4096;  // of a path in a report: damage can make circles

}  // namespace

Ino ino_of_key(std::string_view key) { return Decoder(key.substr(1)).be64(); }

std::string version_name(const InodeRecord& content) {
  return content.sealed ? version_file_name(content.version.sealed, version_id_text(content.version), false)
                        : std::string();
}

std::string kind_begin(char kind, Scope bucket) {
  Encoder out;
  out.u8(static_cast<uint8_t>(kind));
  out.be64(Ino{bucket} << kBucketShift);
  return out.take();
}

std::string kind_end(char kind, Scope bucket) { return kind_begin(kind, bucket + 1); }

Status scan_for_check(CheckReport& report, const Store& store, Scope scope, std::string from, const std::string& end,
                      const std::function<Status(const StoreView::Entry&)>& visit) {
  for (bool finished = false; !finished;) {
    std::vector<StoreView::Entry> batch;
    std::optional<std::string> bad;
    Error why;
    {
      StoreView view = store.view();
      auto entry = view.seek(scope, from, end);
      while (entry && *entry && batch.size() < kBatch) {
        from = (*entry)->key + '\0';
        batch.push_back(std::move(**entry));
        entry = view.next(scope, end);
      }
      finished = entry && !*entry;
      if (!entry) {
        why = std::move(entry).error();
        if (why.code != Code::kCorrupt) return std::unexpected(std::move(why));
        PAILFS_ASSIGN(bad, view.seek_key(from, end));
      }
    }
    for (const StoreView::Entry& entry : batch) {
      PAILFS_TRY(report.step());
      PAILFS_TRY(visit(entry));
    }
    if (bad) {
      if (!store.get(scope, *bad)) {  // still
        report.problem("index", bad->size() > sizeof(Ino) && bad->front() != 's' ? ino_of_key(*bad) : 0,
                       fmt::format("a record of kind '{}' is damaged: {}", bad->front(), why.message));
      }
      from = *bad + '\0';
    }
  }
  return {};
}

// --- The report

bool CheckReport::keep(CheckProblem problem, Ino ino, Ino parent, const std::string& name) {
  ++result.problem_count;
  if (result.problems.size() >= kept_) return false;
  result.problems.push_back(std::move(problem));
  places_.push_back({ino, parent, name});
  return true;
}

void CheckReport::problem(std::string_view kind, Ino ino, std::string what, std::string version) {
  keep({.kind = std::string(kind), .what = std::move(what), .path = {}, .version = std::move(version)}, ino, 0, {});
}

void CheckReport::problem_at(Ino parent, const std::string& name, std::string what) {
  keep({.kind = "name", .what = std::move(what), .path = {}, .version = {}}, 0, parent, name);
}

Status CheckReport::step() {
  if (++steps_ % kProgressSteps != 0) return {};
  return proceed();
}

Status CheckReport::proceed() {
  if (progress_ && !progress_(steps_, 0)) return interrupted();
  return {};
}

// Looks for a name of each wanted inode, live ones first.
void CheckReport::find_names(Scope bucket, std::map<Ino, std::pair<Ino, std::string>>& wanted) {
  for (const char kind : {'d', 'h'}) {
    // What cannot be read here was reported already.
    static_cast<void>(scan_range(core_.store, bucket, kind_begin(kind, bucket), kind_end(kind, bucket),
                                 [&](const StoreView::Entry& entry) -> Result<bool> {
                                   Ino ino = 0;
                                   std::string name;
                                   if (kind == 'd') {
                                     PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry.value));
                                     ino = dirent.ino;
                                     name = std::move(dirent.name);
                                   } else {
                                     PAILFS_ASSIGN(EndedDirent ended, decode_ended(entry.value));
                                     ino = ended.ino;
                                     name = ended.name + " (deleted)";
                                   }
                                   const auto found = wanted.find(ino);
                                   if (found != wanted.end() && found->second.first == 0) {
                                     found->second = {ino_of_key(entry.key), std::move(name)};
                                   }
                                   return true;
                                 }));
  }
}

std::string CheckReport::directory_path(Ino ino) {
  std::vector<std::string> names;
  for (int depth = 0; ino != 0 && ino != kRootIno && depth < kMaxDepth; ++depth) {
    if (const auto known = directories_.find(ino); known != directories_.end()) {
      names.push_back(known->second);
      break;
    }
    if (ino == bucket_root(bucket_of(ino))) {
      const auto bucket = core_.bucket_record(bucket_of(ino));
      names.push_back(bucket ? bucket->name : fmt::format("bucket {}", bucket_of(ino)));
      break;
    }
    const auto value = core_.store.get(bucket_of(ino), keys::inode(ino));
    const auto record = value && *value ? decode_inode(**value) : Result<InodeRecord>(fail(Code::kNotFound, ""));
    std::string name = fmt::format("inode {}", ino);
    const Ino parent = record ? record->parent : 0;
    if (parent != 0) {
      static_cast<void>(scan_range(core_.store, bucket_of(ino), keys::dirent(parent, 0), keys::dirent(parent + 1, 0),
                                   [&](const StoreView::Entry& entry) -> Result<bool> {
                                     PAILFS_ASSIGN(Dirent dirent, decode_dirent(entry.value));
                                     if (dirent.ino != ino) return true;
                                     name = std::move(dirent.name);
                                     return false;
                                   }));
    }
    names.push_back(std::move(name));
    ino = parent;
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path += (path.empty() ? "" : "/") + *name;
  return path;
}

void CheckReport::finish() {
  std::map<Scope, std::map<Ino, std::pair<Ino, std::string>>> wanted;
  for (const Place& place : places_) {
    if (place.ino != 0 && bucket_of(place.ino) != kStoreScope && place.ino != bucket_root(bucket_of(place.ino))) {
      wanted[bucket_of(place.ino)][place.ino] = {};
    }
  }
  for (auto& [bucket, inodes] : wanted) {
    if (core_.store.has_scope(bucket)) find_names(bucket, inodes);
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    std::string& path = result.problems[i].path;
    if (place.ino != 0) {
      const auto found = wanted[bucket_of(place.ino)].find(place.ino);
      if (found != wanted[bucket_of(place.ino)].end()) std::tie(place.parent, place.name) = found->second;
      if (place.parent == 0) path = directory_path(place.ino);
    }
    if (place.parent == 0) continue;
    path = directory_path(place.parent);
    directories_.emplace(place.parent, path);
    path += (path.empty() ? "" : "/") + place.name;
  }
}

// --- The whole

namespace {

// Records of the store's own scope: buckets, counters, the root directory.
Status check_roots(Core::Impl& core, CheckReport& report, std::vector<Scope>& buckets) {
  const auto decoded = [&](const StoreView::Entry& entry, const auto& result) {
    if (!result)
      report.problem("index", 0, fmt::format("a record of kind '{}': {}", entry.key[0], result.error().message));
  };
  PAILFS_TRY(scan_for_check(report, core.store, kStoreScope, "b", "c", [&](const StoreView::Entry& entry) -> Status {
    const auto bucket = decode_bucket(entry.value);
    decoded(entry, bucket);
    if (!bucket) return {};
    if (keys::bucket(bucket->number) != entry.key) {
      report.problem("bucket", 0, fmt::format("the record of bucket {} is another bucket's", bucket->name));
    } else if (!core.store.has_scope(bucket->number)) {
      if (!bucket->deleting) report.problem("bucket", 0, fmt::format("bucket {} has no keys", bucket->name));
    } else if (!bucket->deleting) {
      buckets.push_back(bucket->number);
    }
    return {};
  }));
  for (const char kind : {'m', 'n'}) {
    const std::string begin(1, kind);
    PAILFS_TRY(scan_for_check(report, core.store, kStoreScope, begin, keys::after_prefix(begin),
                              [&](const StoreView::Entry& entry) -> Status {
                                decoded(entry, decode_counter(entry.value));
                                return {};
                              }));
  }
  return check_names(core, report, kStoreScope, [](Ino, const InodeRecord&) -> Status { return {}; });
}

}  // namespace

Result<CheckResult> Core::check(bool deep, const Progress& progress) {
  Impl& impl = *impl_;
  CheckReport report(impl, progress);
  PAILFS_TRY(impl.store.check(
      deep, [&](std::string_view kind, std::string problem) { report.problem(kind, 0, std::move(problem)); },
      [&] { return report.proceed(); }));
  std::vector<Scope> buckets;
  PAILFS_TRY(check_roots(impl, report, buckets));
  ContentCheck contents(impl, deep, report);
  for (const Scope bucket : buckets) {
    Status done = contents.begin(bucket);
    if (done) {
      done = check_names(impl, report, bucket,
                         [&](Ino ino, const InodeRecord& record) { return contents.object(ino, record); });
    }
    if (done) done = contents.end(bucket);
    // A bucket that was deleted meanwhile has taken its keys along.
    if (!done && impl.store.has_scope(bucket) && !impl.deleting(bucket)) return std::unexpected(done.error());
  }
  PAILFS_TRY(contents.shared_units());
  PAILFS_TRY(check_keys(impl, report, buckets));
  report.finish();
  return std::move(report.result);
}

}  // namespace pailfs
