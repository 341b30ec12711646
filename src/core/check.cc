#include "core/check.h"

#include <fmt/format.h>

#include <set>

#include "core/file_paths.h"
#include "core/history.h"
#include "core/mfa.h"
#include "core/public_access.h"

namespace pailfs {

namespace {

constexpr size_t kBatch = 512;
constexpr size_t kBatchBytes = size_t{1} << 20;
constexpr uint64_t kProgressSteps = 256;

}  // namespace

std::string version_name(const InodeRecord& content) {
  return content.sealed ? version_file_name(content.version.sealed, version_id_text(content.version), false)
                        : std::string();
}

Status scan_for_check(CheckReport& report, const Store& store, Scope scope, std::string from, const std::string& end,
                      const std::function<Status(const StoreView::Entry&)>& visit) {
  for (bool finished = false; !finished;) {
    PAILFS_ASSIGN(const VerifiedBatch batch, read_verified(store, scope, std::move(from), end, kBatch, kBatchBytes));
    for (const StoreView::Entry& entry : batch.entries) {
      PAILFS_TRY(report.step());
      PAILFS_TRY(visit(entry));
    }
    if (const auto& bad = batch.bad; bad && !store.get(scope, *bad)) {  // still
      const bool of_inode = bad->size() > sizeof(Ino) && kKindsOfBuckets.contains(bad->front());
      report.problem("index", of_inode ? ino_of_key(*bad) : 0,
                     fmt::format("a record of kind '{}' is damaged: {}", bad->front(), batch.why.message));
    }
    from = batch.next;
    finished = batch.finished;
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

void CheckReport::finish() {
  FilePaths paths(core_);
  std::set<Ino> inodes;
  for (const Place& place : places_) inodes.insert(place.ino);
  paths.look_for(inodes);
  for (size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    std::string& path = result.problems[i].path;
    if (place.ino != 0) {
      path = paths.paths_of(place.ino).front();
    } else if (place.parent != 0) {
      path = paths.path(place.parent, place.name);
    }
  }
}

// --- The whole

namespace {

// Of which there is at most one.
Status check_singles(Core::Impl& core, CheckReport& report) {
  const auto look = [&](const std::string& key, const auto& decode) {
    return scan_for_check(report, core.store, kStoreScope, key, keys::after_prefix(key.substr(0, 1)),
                          [&](const StoreView::Entry& entry) -> Status {
                            const auto record = decode(entry.value);
                            if (!record) report.problem("index", 0, record.error().message);
                            return {};
                          });
  };
  PAILFS_TRY(look(keys::retention_clock(), decode_clock));
  PAILFS_TRY(look(keys::public_access(), decode_public_access));
  return look(keys::mfa_device(), decode_mfa);
}

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
      if (!bucket->deleting) report.problem("bucket", 0, keyless_bucket(bucket->name));
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
  PAILFS_TRY(check_singles(core, report));
  PAILFS_TRY(check_identities(core, report));
  return check_names(core, report, kStoreScope, [](Ino, const InodeRecord&) -> Status { return {}; });
}

}  // namespace

Result<CheckResult> Core::check(bool deep, const Progress& progress) {
  Impl& impl = *impl_;
  CheckReport report(impl, progress);
  const auto room = impl.store.live_room();
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
  const auto room_now = impl.store.live_room();
  const bool known = room && *room && room_now && *room_now == *room && impl.buckets_deleting == 0;
  if (known && report.result.problem_count == 0) {
    const uint64_t bytes = (*room)->bytes;
    report.result.unreferenced_bytes = bytes - std::min(bytes, contents.referenced());
  }
  report.finish();
  return std::move(report.result);
}

}  // namespace pailfs
