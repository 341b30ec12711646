#include "core/public_report.h"

#include <sys/stat.h>

#include "core/impl.h"
#include "core/object_keys.h"
#include "core/scan.h"
#include "core/verify.h"
#include "policy/public.h"

namespace pailfs {

namespace {

class PublicSearch {
 public:
  PublicSearch(Core::Impl& core, PublicReport& report) : core_(core), report_(report) {}

  Status run(Scope bucket, const Progress& progress) {
    uint64_t done = 0;
    const auto look = [&](const StoreView::Entry& entry) -> Result<bool> {
      PAILFS_TRY(inode(ino_of_key(entry.key), entry.value));
      ++done;
      if (done % 1024 == 0 && progress && !progress(done, 0)) return fail(Code::kInterrupted, "interrupted");
      return true;
    };
    PAILFS_TRY(scan_range(core_.store, bucket, kind_begin('i', bucket), kind_end('i', bucket), look));
    if (progress) progress(done, done);
    return {};
  }

 private:
  Status inode(Ino ino, std::string_view value) {
    PAILFS_ASSIGN(const InodeRecord record, decode_inode(value));
    // A symbolic link gives nobody anything; what has no name, is reached by nobody.
    if (record.nlink == 0 || S_ISLNK(record.mode)) return {};
    const bool directory = S_ISDIR(record.mode);
    ++(directory ? report_.directories : report_.objects);
    const PublicGrant grant = public_grant(record.mode, record.acl.get());
    if (!grant.any()) return {};
    ++(directory ? report_.public_directories : report_.public_objects);
    if (report_.places.size() >= PublicReport::kPlaces) return {};
    std::string path;
    if (ino != bucket_root(bucket_of(ino))) {
      PAILFS_ASSIGN(auto names, core_.keys->keys_of(ino));
      if (names.empty()) return {};  // it went meanwhile
      path = std::move(names.front());
    }
    report_.places.push_back({std::move(path), directory, record.mode & 07777, grant.others, grant.authenticated});
    return {};
  }

  Core::Impl& core_;
  PublicReport& report_;
};

}  // namespace

Result<PublicReport> Core::public_report(const Caller& caller, std::string_view bucket, const Progress& progress) {
  PAILFS_ASSIGN(const PublicAccessBlock block, public_access_block(caller, bucket));
  PAILFS_ASSIGN(const BucketRecord record, impl_->bucket_by_name(caller, bucket));
  // It reads through the whole bucket, and names what is in it.
  PAILFS_TRY(impl_->gate.check(
      {caller, Action::kListBucketVersions, Need::kAccount, Attributes{.ino = bucket_root(record.number)}}));
  PublicReport report;
  report.own = block.own;
  report.in_force = block.in_force;
  if (const auto policy = impl_->policies.of(record.number)) {
    report.has_policy = true;
    report.policy_readable = policy->document != nullptr;
    const auto statement = policy->document ? policy::public_statement(*policy->document) : std::nullopt;
    if (statement) report.public_statement = policy::statement_name(*policy->document, *statement);
  }
  PAILFS_TRY(PublicSearch(*impl_, report).run(record.number, progress));
  return report;
}

}  // namespace pailfs
