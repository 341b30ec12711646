// Stamps and numbers that are never handed out twice. Each comes out of a range whose end is in the store before its
// first member is used: a transaction of its own, which precedes every transaction that shows a member, so that a crash
// keeps the first where it keeps the second.
#include <algorithm>

#include "core/decision_trace.h"
#include "core/impl.h"
#include "core/policy_gate.h"

namespace pailfs {
namespace {

// How far stamps may run before the bound is put again. After a crash stamps begin there, ahead of the clock by at most
// so much; the cost is one small put in this time.
constexpr Stamp kStampRange = 2'000'000'000;
constexpr Ino kNumberRange = 4096;
constexpr Scope kMaxBucket = (Scope{1} << (63 - kBucketShift)) - 1;

}  // namespace

Status Core::Impl::load_stamps() {
  PAILFS_ASSIGN(const std::optional<std::string> value, store.get(kStoreScope, keys::stamps()));
  if (!value) return {};
  PAILFS_ASSIGN(const uint64_t bound, decode_counter(*value));
  MutexLock lock(numbers_lock);
  last_stamp = stamp_bound = static_cast<Stamp>(bound);
  return {};
}

Stamp Core::Impl::stamp(Transaction& tx) {
  MutexLock lock(numbers_lock);
  last_stamp = std::max(now(), last_stamp + 1);
  if (last_stamp >= stamp_bound) {
    const Stamp bound = last_stamp + kStampRange;
    Transaction own;
    own.put(kStoreScope, keys::stamps(), encode_counter(static_cast<uint64_t>(bound)));
    if (commit(std::move(own))) {
      stamp_bound = bound;
    } else {  // then the caller's transaction most likely fails as well; if not, it carries the bound
      tx.put(kStoreScope, keys::stamps(), encode_counter(static_cast<uint64_t>(bound)));
    }
  }
  return last_stamp;
}

Stamp Core::Impl::latest_stamp() {
  MutexLock lock(numbers_lock);
  return last_stamp;
}

VersionId Core::Impl::make_version_id(Stamp at) {
  VersionId id{};
  store.env().random({id.data() + 6, id.size() - 6});
  const auto milliseconds = static_cast<uint64_t>(at) / 1'000'000;
  for (size_t i = 0; i < 6; ++i) id[i] = static_cast<char>(milliseconds >> (40 - 8 * i));
  return id;
}

Result<Ino> Core::Impl::new_number(Scope bucket, Transaction& /*tx*/) {
  MutexLock lock(numbers_lock);
  NumberRange& range = number_ranges[bucket];
  if (range.next == range.end) {
    Ino first = bucket_root(bucket) + 1;
    PAILFS_ASSIGN(const std::optional<std::string> value, store.get(kStoreScope, keys::numbers(bucket)));
    if (value) {
      PAILFS_ASSIGN(first, decode_counter(*value));
    }
    const Ino end = first + kNumberRange;
    if (bucket_of(first) != bucket || bucket_of(end) != bucket) {
      return fail(Code::kNoSpace, "the bucket has no inode numbers left");
    }
    Transaction own;
    own.put(kStoreScope, keys::numbers(bucket), encode_counter(end));
    PAILFS_TRY(commit(std::move(own)));
    range = {first, end};
  }
  return range.next++;
}

void Core::Impl::forget_numbers(Scope bucket) {
  MutexLock lock(numbers_lock);
  number_ranges.erase(bucket);
}

Result<Scope> Core::Impl::new_bucket_number() {
  WriterLock lock(buckets_lock);
  if (next_bucket > kMaxBucket) return fail(Code::kNoSpace, "the store has no bucket numbers left");
  Transaction own;
  own.put(kStoreScope, keys::numbers(kStoreScope), encode_counter(uint64_t{next_bucket} + 1));
  PAILFS_TRY(commit(std::move(own)));
  return next_bucket++;
}

Status Core::Impl::commit(Transaction&& tx) {
  PAILFS_ASSIGN(const bool shared, shares.concerns(tx));
  if (shared) return commit(std::move(tx), std::span<const Run>());
  return commit_names(std::move(tx));
}

// Decisions about an object are by its names.
Status Core::Impl::commit_names(Transaction&& tx) {
  PAILFS_TRY(unless_explained());  // nothing gets here that could be explained: to be sure of it
  std::vector<Ino> named;
  tx.each_key([&](std::string_view key) {
    if (const auto ino = keys::inode_of_parent_pointer(key)) named.push_back(*ino);
  });
  auto sequence = store.commit(std::move(tx));
  if (!sequence) return std::unexpected(std::move(sequence).error());
  for (const Ino ino : named) policy_gate->decisions().names_changed(ino);
  return {};
}

Status Core::Impl::commit(Transaction&& tx, std::span<const Run> added) {
  const MutexLock lock(shares.lock);
  PAILFS_TRY(shares.resolve(tx, added));
  return commit_names(std::move(tx));
}

Status Core::Impl::commit(Transaction&& tx, const LockedInodes& changed) {
  Status committed = commit(std::move(tx));
  if (!committed) {
    for (const InodePtr& inode : changed.all()) {
      assert_locked(*inode);
      reload(*inode);
    }
  }
  return committed;
}

}  // namespace pailfs
