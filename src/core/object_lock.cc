// Object Lock: which versions are kept from being removed, by whom and until when. The rules are in retention.h; here
// is where they hold.
//
// A version is the sealed content of an inode. What locks it is part of its record, so it stays with it whatever
// becomes of its name. Nothing writes to a sealed version but what continues a provisional seal, and begin_change()
// leaves one that is locked alone. What removes versions passes check_removable(), at the bottom (version_removal.cc).
#include <fmt/format.h>

#include <algorithm>

#include "base/logging.h"
#include "core/history.h"
#include "core/scan.h"
#include "core/time_text.h"
#include "core/verify.h"

namespace pailfs {

Result<Retention> Core::Impl::new_retention(Scope bucket) const {
  if (buckets_locking.load(std::memory_order_relaxed) == 0) return Retention();
  ReaderLock lock(buckets_lock);
  const auto it = bucket_table.find(bucket);
  if (it == bucket_table.end() || !it->second.object_lock) return Retention();
  // A purge has looked whether anything is locked: from then on nothing may become so.
  if (it->second.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
  const DefaultRetention& standard = it->second.default_retention;
  if (standard.mode == LockMode::kNone) return Retention();
  Retention out;
  out.mode = standard.mode;
  out.until = retain_until(clock.runs() ? clock.time() : now(), standard.days, standard.years);
  return out;
}

Status Core::Impl::check_removable(Scope bucket, const InodeRecord& version, bool bypass_governance) const {
  if (version.retention == Retention()) [[likely]]
    return {};
  // Who purges a bucket has bypassed it for all of it.
  return check_removal(version.retention, clock.time(), bypass_governance || deleting(bucket));
}

Status Core::Impl::check_bypass(const Caller& caller, Scope bucket, std::span<const std::string> paths,
                                const Consent& consent, std::span<const ConditionValue> conditions, TagsOf tags) const {
  if (!consent.bypass_governance) return {};
  const Attributes object{.ino = bucket_root(bucket)};
  AccessRequest request{caller, Action::kBypassGovernanceRetention, Need::kAccount, object};
  request.keys = paths;
  request.conditions = conditions;
  request.tags = tags;
  return gate.check(request);
}

Status Core::Impl::check_versioning(const BucketRecord& bucket, Versioning state, const Consent& consent) const {
  if (bucket.object_lock && state != Versioning::kEnabled) {
    return fail(Code::kNotPermitted, "InvalidBucketState: the versioning of a bucket with Object Lock stays enabled");
  }
  return check_mfa(bucket.number, consent.mfa);
}

Status Core::Impl::find_locked(Scope number, bool bypass_governance) const {
  for (const char kind : {'v', 'i'}) {
    const auto look = [&](const StoreView::Entry& entry) -> Result<bool> {
      PAILFS_ASSIGN(const InodeRecord record, decode_inode(entry.value));
      if (record.retention == Retention()) return true;
      PAILFS_TRY(check_removal(record.retention, clock.time(), bypass_governance));
      return true;
    };
    const Status none = scan_range(store, number, kind_begin(kind, number), kind_end(kind, number), look);
    if (!none && none.error().code == Code::kAccessDenied) {
      return pailfs::context("the bucket stays, as a version in it is locked", none.error());
    }
    PAILFS_TRY(none);
  }
  return {};
}

Status Core::Impl::check_nothing_locked(Scope number, bool bypass_governance) {
  PAILFS_TRY(find_locked(number, bypass_governance));
  // Versions may have been sealed meanwhile, with the bucket's retention. With the mark nothing new becomes locked, and
  // who had begun before holds an inode: once each was passed, what there is can be seen.
  PAILFS_ASSIGN(BucketRecord record, bucket_record(number));
  record.deleting = true;
  set_bucket(record);
  for (const InodePtr& inode : inodes.cached_of(number)) {
    const ReaderLock passed(inode->lock);
  }
  Status none = find_locked(number, bypass_governance);
  if (!none) {
    record.deleting = false;
    set_bucket(record);
  }
  return none;
}

// --- Configuration of buckets

namespace {

// Changes a bucket's record with the tree lock held.
Status change_bucket(Core::Impl& core, const Caller& caller, std::string_view name,
                     const std::function<Status(BucketRecord&)>& change) {
  MutexLock tree_lock(core.tree);
  PAILFS_ASSIGN(BucketRecord record, core.bucket_by_name(caller, name));
  if (record.deleting) return fail(Code::kNotFound, "the bucket is being deleted");
  const Attributes root{.ino = bucket_root(record.number)};
  PAILFS_TRY(core.gate.check({caller, Action::kPutBucketObjectLockConfiguration, Need::kAccount, root}));
  PAILFS_TRY(change(record));
  Transaction tx;
  tx.put(kStoreScope, keys::bucket(record.number), encode_bucket(record));
  tx.record(encode_change({Action::kPutBucketObjectLockConfiguration, caller, kRootIno, name, root.ino}, core.now()));
  PAILFS_TRY(core.commit(std::move(tx)));
  core.set_bucket(record);
  return {};
}

std::unexpected<Error> without_lock(std::string_view bucket) {
  return fail(Code::kInvalid,
              fmt::format("InvalidRequest: the bucket {} has no Object Lock ('pail lock enable {}' gives "
                          "it one, for good)",
                          bucket, bucket));
}

}  // namespace

Status Core::enable_object_lock(const Caller& caller, std::string_view bucket) {
  return change_bucket(*impl_, caller, bucket, [&](BucketRecord& record) -> Status {
    if (record.versioning != Versioning::kEnabled) {
      return fail(Code::kInvalid,
                  "InvalidBucketState: Object Lock needs versioning enabled ('pail versioning enable')");
    }
    PAILFS_TRY(impl_->clock.start());
    record.object_lock = true;
    return {};
  });
}

Status Core::set_default_retention(const Caller& caller, std::string_view bucket, const DefaultRetention& retention) {
  PAILFS_TRY(check_default_retention(retention));
  return change_bucket(*impl_, caller, bucket, [&](BucketRecord& record) -> Status {
    if (!record.object_lock) return without_lock(bucket);
    record.default_retention = retention;
    return {};
  });
}

// --- Locks of versions

namespace {

// Service Authorization Reference, condition keys of PutObjectRetention: none where a retention is taken away. What is
// asked for may still turn out to be out of bounds.
std::vector<ConditionValue> retention_conditions(const RetentionRequest& request, Time now) {
  if (request.mode == LockMode::kNone) return {};
  constexpr Time kDay = Time{24} * 60 * 60 * kSecond;
  const Time until = request.until.value_or(retain_until(now, request.days, request.years));
  const Time days = until > now ? (until - now - 1) / kDay + 1 : 0;  // days that have begun count
  return {{"s3:object-lock-mode", request.mode == LockMode::kCompliance ? "COMPLIANCE" : "GOVERNANCE"},
          {"s3:object-lock-retain-until-date", format_time(until)},
          {"s3:object-lock-remaining-retention-days", std::to_string(days)}};
}

class LockChange {
 public:
  LockChange(Core::Impl& core, const Caller& caller, const VersionName& name)
      : core_(core), caller_(caller), name_(name) {}

  // Finds the version; the caller may change its lock so. `conditions`: what is asked for; `bypass`: whatever is in
  // force in governance mode.
  Status find(Core& door, Action action, std::vector<ConditionValue> conditions, bool bypass) {
    action_ = action;
    PAILFS_ASSIGN(root_, door.bucket_directory(name_.bucket));
    Status found = find_version();
    // Whoever may not change it is told that, whatever else there is to say.
    std::vector<std::string> keys{std::string(name_.path)};
    if (found) {
      conditions.emplace_back(kVersionIdKey, id_text(found_));
      PAILFS_ASSIGN(keys, keys_of(core_, found_, name_.path));
    }
    const Attributes object{.ino = root_};
    AccessRequest request{caller_, action, Need::kAccount, object};
    request.keys = keys;
    request.conditions = conditions;
    if (found) request.tags = tags_of(found_);
    PAILFS_TRY(core_.gate.check(request));
    PAILFS_TRY(core_.check_bypass(caller_, bucket(), keys, {.bypass_governance = bypass}, conditions, request.tags));
    PAILFS_TRY(std::move(found));
    if (!found_.marker) return {};
    return fail(Code::kInvalid,
                fmt::format("MethodNotAllowed: {} is a delete marker, and markers are never locked; name "
                            "a version ('pail versions list')",
                            found_.name));
  }

  Result<VersionEntry> apply(const std::function<Status(Retention&)>& change) {
    PAILFS_ASSIGN(const InodePtr found, core_.existing(found_.span.ino));
    Inode& inode = *found;
    WriterLock lock(inode.lock);
    Status done = put(inode, change);
    if (!done) {
      core_.reload(inode);
      return std::unexpected(std::move(done).error());
    }
    return version_entry(core_, found_);
  }
  Scope bucket() const { return bucket_of(root_); }

 private:
  Status find_version() {
    PAILFS_ASSIGN(const BucketRecord bucket, core_.bucket_record(bucket_of(root_)));
    if (!bucket.object_lock) return without_lock(name_.bucket);
    PAILFS_ASSIGN(const auto spans, spans_of(core_, caller_, root_, name_.path));
    if (!name_.version.empty()) {
      PAILFS_ASSIGN(found_, version_of(core_, spans, name_.path, name_.version));
      return {};
    }
    PAILFS_ASSIGN(auto all, shown_versions(core_, spans));
    if (all.empty()) return fail(Code::kNotFound, fmt::format("{} has no version yet", name_.path));
    found_ = std::move(all.back());
    return {};
  }

  Status put(Inode& inode, const std::function<Status(Retention&)>& change) REQUIRES(inode.lock) {
    const uint32_t vseq = found_.version.vseq;
    const bool current = inode.record.vseq == vseq;
    if (inode.gone || core_.deleting(bucket())) return fail(Code::kNotFound, "the version was removed");
    InodeRecord version = inode.record;
    if (!current) {
      PAILFS_ASSIGN(const auto value, core_.store.get(bucket(), keys::version(inode.ino, vseq)));
      if (!value) return fail(Code::kNotFound, "the version was removed");
      PAILFS_ASSIGN(version, decode_inode(*value));
    }
    if (!version.sealed || version.version.sealed != found_.version.record.version.sealed) {
      return fail(Code::kBusy, "the version is being written just now: try again");
    }
    PAILFS_TRY(change(version.retention));
    Transaction tx;
    if (current) {
      inode.record.retention = version.retention;
      core_.put_inode(inode.ino, inode.record, tx);
    } else {
      tx.put(bucket(), keys::version(inode.ino, vseq), encode_inode(version));
    }
    ChangeRecord said{action_, caller_, found_.span.parent, {}, inode.ino};
    said.after = version.version.id;
    tx.record(encode_change(said, core_.now()));
    PAILFS_TRY(core_.commit(std::move(tx)));
    found_.version.record.retention = version.retention;
    return {};
  }

  Core::Impl& core_;
  const Caller& caller_;
  const VersionName& name_;
  Action action_ = Action::kPutObjectRetention;
  Ino root_ = 0;
  ShownVersion found_;
};

}  // namespace

Result<VersionEntry> Core::set_retention(const Caller& caller, const VersionName& name,
                                         const RetentionRequest& request) {
  Impl& impl = *impl_;
  const Time time = impl.clock.time();
  LockChange lock(impl, caller, name);
  PAILFS_TRY(
      lock.find(*this, Action::kPutObjectRetention, retention_conditions(request, time), request.bypass_governance));
  Retention wanted;
  wanted.mode = request.mode;
  if (request.until) {
    // The retention clock may be behind, and what is past by any clock is a mistake.
    PAILFS_TRY(check_retention_change({}, {request.mode, *request.until}, std::max(time, impl.now()), false));
    wanted.until = *request.until;
  } else if (request.mode != LockMode::kNone) {
    PAILFS_TRY(check_default_retention({request.mode, request.days, request.years}));
    wanted.until = retain_until(time, request.days, request.years);
  }
  return lock.apply([&](Retention& retention) -> Status {
    PAILFS_TRY(check_retention_change(retention, wanted, time, request.bypass_governance));
    wanted.legal_hold = retention.legal_hold;
    retention = wanted;
    return {};
  });
}

Result<VersionEntry> Core::set_legal_hold(const Caller& caller, const VersionName& name, bool on) {
  LockChange lock(*impl_, caller, name);
  PAILFS_TRY(lock.find(*this, Action::kPutObjectLegalHold, {{"s3:object-lock-legal-hold", on ? "ON" : "OFF"}}, false));
  return lock.apply([&](Retention& retention) -> Status {
    retention.legal_hold = on;
    return {};
  });
}

// --- The clock

void Core::Impl::begin_clock() {
  if (buckets_locking == 0 || clock.runs() || store.status().read_only) return;
  const Status started = clock.start();
  if (started) log_warning("the retention clock was lost, and begins anew at {}", format_time(clock.time()));
}

std::optional<Time> Core::retention_time() const {
  if (!impl_->clock.runs()) return std::nullopt;
  return impl_->clock.time();
}

Status Core::keep_retention_clock(bool closing) { return impl_->clock.keep(closing); }

}  // namespace pailfs
