#include "core/scrub.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/logging.h"
#include "core/content.h"
#include "core/scrub_findings.h"
#include "core/verify.h"

namespace pailfs {

namespace {

constexpr int64_t kLongest = 3600 * kSecond;     // to sleep: clocks are set
constexpr int64_t kRetry = 60 * kSecond;         // after a failure
constexpr int64_t kSaveInterval = 30 * kSecond;  // what a crash makes it read again
constexpr uint64_t kSliceBytes = uint64_t{512} << 10;
constexpr size_t kBatchEntries = 256;
constexpr uint64_t kShareInUse = 8;  // of the rate, one part of so many
constexpr size_t kMaxSuspects = 64;

}  // namespace

// The versions of a chunk follow each other and share most of their units: each of these is read once.
struct Scrub::Chunk {
  std::string key;  // without the vseq
  ExtentList extents;
};

Scrub::Scrub(Core::Impl& core)
    : core_(core),
      findings_(std::make_unique<ScrubFindings>(core)),
      state_(std::make_unique<ScrubState>()),
      chunk_(std::make_unique<Chunk>()) {}
Scrub::~Scrub() = default;

void Scrub::set_options(const ScrubOptions& options) {
  const MutexLock lock(lock_);
  options_ = options;
}

void Scrub::start_now() {
  const MutexLock lock(lock_);
  wanted_ = woken_ = true;
  wake_.notify_all();
}

void Scrub::suspect(const std::string& key) {
  const MutexLock lock(lock_);
  if (const int64_t now = core_.store.env().monotonic(); now - suspected_since_ >= kRetry) {
    suspected_.clear();
    suspected_since_ = now;
  }
  if (suspected_.size() >= kMaxSuspects || !suspected_.insert(key).second) return;
  suspects_.push_back(key);
  woken_ = true;
  wake_.notify_all();
}

void Scrub::stop() {
  const MutexLock lock(lock_);
  stopping_ = true;
  wake_.notify_all();
}

bool Scrub::wait(int64_t nanoseconds) {
  const MutexLock lock(lock_);
  if (!stopping_ && !woken_ && nanoseconds > 0) wake_.wait_for(lock_, std::chrono::nanoseconds(nanoseconds));
  woken_ = false;
  return !stopping_;
}

Status Scrub::proceed() const {
  if (stopping_) return interrupted();
  return {};
}

bool Scrub::readable(Scope scope) const {
  return scope == kStoreScope || (core_.store.has_scope(scope) && !core_.deleting(scope));
}

Status Scrub::load() {
  {
    const MutexLock lock(lock_);
    if (loaded_) return {};
  }
  ScrubState state;
  const auto value = core_.store.get(kStoreScope, keys::scrub_state());
  if (!value && value.error().code != Code::kCorrupt) return std::unexpected(value.error());
  if (value && *value) state = decode_scrub_state(**value).value_or(ScrubState{});  // damaged: all over again
  const MutexLock lock(lock_);
  if (!loaded_) *state_ = std::move(state);
  loaded_ = true;
  return {};
}

Status Scrub::save() {
  Transaction tx;
  {
    const MutexLock lock(lock_);
    if (!loaded_) return {};
    tx.put(kStoreScope, keys::scrub_state(), encode_scrub_state(*state_));
  }
  saved_at_ = core_.store.env().monotonic();
  return core_.commit(std::move(tx));
}

// 0: a pass is under way and may go on, or it is time for one.
int64_t Scrub::until_due() {
  const MutexLock lock(lock_);
  if (wanted_) return 0;
  if (!options_.automatic) return kLongest;
  const Time now = core_.now();
  if (state_->begun != 0 || state_->completed == 0 || state_->completed > now) return 0;
  return std::clamp<int64_t>(state_->completed + options_.interval - now, 0, kLongest);
}

Status Scrub::begin() {
  {
    const MutexLock lock(lock_);
    state_->begun = core_.now();
    state_->cursor.clear();
    state_->verified = 0;
  }
  return save();
}

Status Scrub::finish() {
  uint64_t verified = 0;
  {
    const MutexLock lock(lock_);
    verified = state_->verified;
    state_->completed = core_.now();
    state_->completed_bytes = verified;
    state_->begun = 0;
    state_->cursor.clear();
    wanted_ = false;
  }
  PAILFS_TRY(save());
  PAILFS_ASSIGN(const ScrubFindings::Listed lost, findings_->list(false));
  log_info("the scrub has read everything, {} bytes: {}", verified,
           lost.count == 0 ? "all of it is as it was written" : fmt::format("{} objects are lost", lost.count));
  return {};
}

int64_t Scrub::step(bool busy) {
  const Result<int64_t> wait = advance(busy);
  if (wait) complained_ = false;
  if (wait) return *wait;
  if (!complained_ && wait.error().code != Code::kInterrupted) {
    log_warning("the scrub has to wait: {}", wait.error().message);
    complained_ = true;
  }
  return kRetry;
}

Result<int64_t> Scrub::advance(bool busy) {
  PAILFS_TRY(load());
  PAILFS_TRY(look_at_suspects());
  if (const int64_t wait = until_due(); wait > 0) return wait;
  const int64_t now = core_.store.env().monotonic();
  if (now < next_step_) return next_step_ - now;
  uint64_t rate = 0;
  bool running = false;
  {
    const MutexLock lock(lock_);
    rate = std::max<uint64_t>(busy ? options_.rate / kShareInUse : options_.rate, 1);
    running = state_->begun != 0;
  }
  if (!running) PAILFS_TRY(begin());
  PAILFS_ASSIGN(const uint64_t bytes, slice());
  const double cost = static_cast<double>(bytes) * kSecond / static_cast<double>(rate);
  next_step_ = now + static_cast<int64_t>(cost);
  if (now - saved_at_ >= kSaveInterval) PAILFS_TRY(save());
  return std::max<int64_t>(next_step_ - core_.store.env().monotonic(), 0);
}

Status Scrub::look_at_suspects() {
  std::vector<std::string> suspects;
  {
    const MutexLock lock(lock_);
    suspects = std::exchange(suspects_, {});
  }
  if (suspects.empty()) return {};
  findings_->forget_noted();
  for (const std::string& key : suspects) {
    *chunk_ = {};  // also what was read and was whole before
    const Scope scope = bucket_of(ino_of_key(key));
    if (readable(scope)) PAILFS_TRY(read_content(scope, key));
  }
  return findings_->commit([this] { return proceed(); });
}

// Goes on from the cursor, up to a few hundred kilobytes, and puts the cursor there. Returns the bytes.
Result<uint64_t> Scrub::slice() {
  std::string cursor;
  {
    const MutexLock lock(lock_);
    cursor = state_->cursor;
  }
  findings_->forget_noted();
  uint64_t bytes = 0;
  bool finished = false;
  while (bytes < kSliceBytes && !finished) {
    PAILFS_TRY(proceed());
    PAILFS_ASSIGN(const auto first, core_.store.view().seek_key(cursor, ""));
    finished = !first;
    if (finished) break;
    const auto range = keys_around(*first);
    if (!range || !readable(range->scope)) {
      cursor = range ? range->end : *first + '\0';
      continue;
    }
    PAILFS_ASSIGN(const VerifiedBatch batch,
                  read_verified(core_.store, range->scope, cursor, range->end, kBatchEntries, kSliceBytes));
    cursor = batch.finished ? range->end : batch.next;
    for (const StoreView::Entry& entry : batch.entries) {
      PAILFS_ASSIGN(const uint64_t read, visit(range->scope, entry.key, entry.value));
      bytes += read;
      if (bytes < kSliceBytes) continue;
      cursor = entry.key + '\0';
      break;
    }
    if (batch.bad && cursor > *batch.bad) findings_->lost_record(*batch.bad, batch.why.message);
  }
  PAILFS_TRY(findings_->commit([this] { return proceed(); }));
  {
    const MutexLock lock(lock_);
    state_->cursor = cursor;
    state_->verified += bytes;
  }
  if (finished) PAILFS_TRY(finish());
  return bytes;
}

Result<uint64_t> Scrub::visit(Scope scope, const std::string& key, const std::string& value) {
  uint64_t bytes = key.size() + value.size();
  bool content = key.front() == 'c';
  if (key.front() == 'i' || key.front() == 'v') {
    const auto record = decode_inode(value);
    content = record && !record->extents.empty();
  }
  if (content) {
    PAILFS_ASSIGN(const uint64_t read, read_content(scope, key));
    bytes += read;
  } else if (key.front() == 'l') {
    PAILFS_ASSIGN(const uint64_t read, findings_->look_again(key, value, [this] { return proceed(); }));
    bytes += read;
  }
  return bytes;
}

// The units of one record, which is read again: what it refers to now stays where it is while the guard is held.
Result<uint64_t> Scrub::read_content(Scope scope, const std::string& key) {
  const Store::ReadGuard guard(core_.store);
  const auto value = core_.store.get(scope, key);
  if (!value || !*value) return 0;  // changed, or damaged meanwhile: the next pass comes to it
  Result<ExtentList> extents = fail(Code::kCorrupt, "");
  if (key.front() == 'c') {
    extents = decode_extents(**value);
  } else if (auto record = decode_inode(**value)) {
    extents = std::move(record->extents);
  }
  if (!extents) return 0;  // as it was written: nothing was lost, and `pail check` says what is wrong
  const std::string chunk = key.front() == 'c' ? key.substr(0, key.size() - sizeof(uint32_t)) : key;
  const ExtentList none;
  uint64_t bytes = 0;
  std::vector<UnitRange> lost;
  std::string why;
  for (const Run& run : released(*extents, {chunk == chunk_->key ? &chunk_->extents : &none})) {
    bytes += run.stored_length();
    PAILFS_TRY(verify_units(
        core_.store, scope, run, [this] { return proceed(); },
        [&](const UnitRange& unit, const Error& error) {
          lost.push_back(unit);
          if (why.empty()) why = error.message;
        },
        OnMediumError::kReport));
  }
  *chunk_ = {chunk, std::move(*extents)};
  // A bucket that goes takes its keys along before its records.
  if (!lost.empty() && readable(scope)) findings_->lost_units(key, std::move(lost), std::move(why));
  return bytes;
}

Result<ScrubStatus> Scrub::status(bool with_objects) {
  PAILFS_TRY(load());
  ScrubStatus status;
  {
    const MutexLock lock(lock_);
    status.options = options_;
    status.begun = state_->begun;
    status.verified = state_->verified;
    status.completed = state_->completed;
    status.completed_bytes = state_->completed_bytes;
  }
  const StoreStatus store = core_.store.status();
  const uint64_t live = store.log_bytes - std::min(store.log_bytes, store.dead_bytes);
  status.expected = std::max({live + store.index_bytes, status.completed_bytes, status.verified});
  PAILFS_ASSIGN(ScrubFindings::Listed listed, findings_->list(with_objects));
  status.lost_count = listed.count;
  status.lost_records = listed.records;
  status.lost_segments = listed.segments;
  status.lost = std::move(listed.objects);
  return status;
}

}  // namespace pailfs
