// Inside the check: what its parts share. See Core::check().
//
// The check runs beside everything else. It reads without locks first; what looks wrong is looked at again, under the
// inode's lock or by a second count, before it is a problem.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/impl.h"
#include "core/verify.h"

namespace pailfs {

// Keeps what was found, and finds out the path of each problem at the end.
class CheckReport {
 public:
  static constexpr size_t kKept = 1000;

  CheckReport(Core::Impl& core, const Progress& progress, size_t kept = kKept)
      : core_(core), progress_(progress), kept_(kept) {}
  // `kind`: see CheckProblem. `ino` 0: nothing in particular. The path is looked for when the check ends.
  void problem(std::string_view kind, Ino ino, std::string what, std::string version = {});
  void problem_at(Ino parent, const std::string& name, std::string what);
  // Counts one record. kInterrupted when whoever asked for the check wants it to end.
  Status step();
  // The same without a record, while one takes long.
  Status proceed();
  // Resolves paths; then `result` is complete.
  void finish();
  CheckResult result;

 private:
  bool keep(CheckProblem problem, Ino ino, Ino parent, const std::string& name);

  struct Place {
    Ino ino = 0;
    Ino parent = 0;
    std::string name;
  };
  Core::Impl& core_;
  const Progress& progress_;
  const size_t kept_;
  uint64_t steps_ = 0;
  std::vector<Place> places_;  // of result.problems
};

// Visits from <= key < end as scan_range() does, but reports a value that does not verify, under the inode that its key
// names, and goes on behind it.
Status scan_for_check(CheckReport& report, const Store& store, Scope scope, std::string from, const std::string& end,
                      const std::function<Status(const StoreView::Entry&)>& visit);

// The name of a version as .versions has it; empty for content that was never sealed.
std::string version_name(const InodeRecord& content);

// Walks through the log and calls visit(range, found, said, ino) for every stretch of it in which as many owners were
// found and are written down. Both lists are sorted by place.
struct OwnedStretch {
  UnitRange range;
  Ino ino = 0;
};
void sweep_owners(const std::vector<OwnedStretch>& stretches, const std::vector<SharedRange>& records,
                  const std::function<void(const UnitRange& range, uint64_t found, uint64_t said, Ino ino)>& visit);

// Contents: versions, chunk records, units.
class ContentCheck {
 public:
  ContentCheck(Core::Impl& core, bool deep, CheckReport& report)
      : core_(core), deep_(deep), report_(report), watch_(core.shares) {}
  // Before the inodes of a bucket: which contents have records.
  Status begin(Scope bucket);
  // One inode, by its record as it was read.
  Status object(Ino ino, const InodeRecord& record);
  // After them: records that belong to nothing.
  Status end(Scope bucket);
  // After all buckets: units that several owners show, and what is written down about them.
  Status shared_units();
  // After that: bytes of the log that are shown.
  uint64_t referenced() const { return referenced_; }

 private:
  using Stretch = OwnedStretch;  // what one owner (shares.h) shows
  // What one look at an object found.
  struct Findings {
    struct Fault {
      std::string what;
      std::string version;
    };
    std::vector<Fault> faults;
    std::vector<Stretch> stretches;
    std::vector<Ino> chunked;  // contents
    uint64_t versions = 0;
    uint64_t bytes = 0;
    uint64_t lost = 0;
  };
  class Look;
  Result<bool> shown_now(Scope bucket, Ino cid);
  Core::Impl& core_;
  const bool deep_;
  CheckReport& report_;
  std::vector<Ino> with_records_;  // cids of the bucket that have 'c' records, ascending
  std::vector<Ino> chunked_;       // cids that some version shows
  std::vector<Stretch> stretches_;
  bool too_many_ = false;
  uint64_t referenced_ = 0;
  const Shares::Watch watch_;
};

// Names: entries, link counts, orphans, extended attributes. Calls `object` for every inode record of the bucket.
Status check_names(Core::Impl& core, CheckReport& report, Scope bucket,
                   const std::function<Status(Ino ino, const InodeRecord& record)>& object);

// That no key lies outside of what is looked at. `buckets`: those that are not being deleted.
Status check_keys(Core::Impl& core, CheckReport& report, const std::vector<Scope>& buckets);
// identity_check.cc: users, groups, roles, services and managed policies.
Status check_identities(Core::Impl& core, CheckReport& report);

}  // namespace pailfs
