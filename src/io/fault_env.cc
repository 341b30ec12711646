#include "io/fault_env.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace pailfs {

namespace {

constexpr std::array<std::string_view, kCallKinds> kKindNames = {
    "open", "read", "write", "sync", "allocate", "punch", "truncate", "rename", "remove", "make_dir", "sync_dir"};

}  // namespace

// What shall fail, and the counts. Shared with the files.
struct FaultEnv::Plan {
  struct Verdict {
    Status status;
    bool partial = false;  // do the call in part, then return the status
  };

  // Counts the call and decides. To be called once per call, before it is passed on.
  Verdict count(CallKind kind, const std::string& path) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    ++calls[static_cast<size_t>(kind)];
    const bool change = kind != CallKind::kRead;
    if (change) ++changes;
    if (!dead && change && lives == 0) dead = true;
    if (change && lives.has_value() && *lives > 0) --*lives;
    std::optional<Fault> due;
    for (Waiting& waiting : faults) {
      const bool counted = waiting.fault.kind ? *waiting.fault.kind == kind : change;
      if (!counted || ++waiting.seen < waiting.fault.nth) continue;
      if (waiting.seen > waiting.fault.nth && !waiting.fault.for_ever) continue;
      if (!due) due = waiting.fault;
    }
    if (!dead && !due) return {};
    fired = true;
    const Code code = dead ? Code::kIo : due->code;
    const std::string_view name = kKindNames[static_cast<size_t>(kind)];
    return {.status = fail(code, fmt::format("{} {}: {}", name, path, dead ? "after the end" : "injected failure")),
            .partial = !dead && due->partial};
  }

  mutable Mutex mutex;
  struct Waiting {
    Fault fault;
    uint64_t seen = 0;
  };
  std::vector<Waiting> faults GUARDED_BY(mutex);
  std::optional<uint64_t> lives GUARDED_BY(mutex);  // changes that still succeed before death
  bool dead GUARDED_BY(mutex) = false;
  bool fired GUARDED_BY(mutex) = false;
  std::array<uint64_t, kCallKinds> calls GUARDED_BY(mutex) = {};
  uint64_t changes GUARDED_BY(mutex) = 0;
};

class FaultEnv::FaultFile : public File {
 public:
  FaultFile(std::unique_ptr<File> base, std::shared_ptr<Plan> plan, std::string path)
      : base_(std::move(base)), plan_(std::move(plan)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, std::span<char> out) override {
    PAILFS_TRY(plan_->count(CallKind::kRead, path_).status);
    return base_->read_at(offset, out);
  }
  Status write_at(uint64_t offset, std::string_view data) override {
    const auto verdict = plan_->count(CallKind::kWrite, path_);
    if (verdict.status) return base_->write_at(offset, data);
    if (verdict.partial) {
      const uint64_t end = (offset + data.size() / 2) / 512 * 512;
      if (end > offset) (void)base_->write_at(offset, data.substr(0, end - offset));
    }
    return verdict.status;
  }
  Status sync_data() override {
    const auto verdict = plan_->count(CallKind::kSync, path_);
    if (verdict.status) return base_->sync_data();
    if (verdict.partial) (void)base_->sync_data();
    return verdict.status;
  }
  Status allocate(uint64_t offset, uint64_t length) override {
    PAILFS_TRY(plan_->count(CallKind::kAllocate, path_).status);
    return base_->allocate(offset, length);
  }
  Status punch(uint64_t offset, uint64_t length) override {
    PAILFS_TRY(plan_->count(CallKind::kPunch, path_).status);
    return base_->punch(offset, length);
  }
  Status truncate(uint64_t size) override {
    PAILFS_TRY(plan_->count(CallKind::kTruncate, path_).status);
    return base_->truncate(size);
  }
  Result<uint64_t> size() override {
    PAILFS_TRY(plan_->count(CallKind::kRead, path_).status);
    return base_->size();
  }
  Result<uint64_t> allocated() override {
    PAILFS_TRY(plan_->count(CallKind::kRead, path_).status);
    return base_->allocated();
  }
  void start_writeback(uint64_t offset, uint64_t length) override { base_->start_writeback(offset, length); }
  void drop_cache(uint64_t offset, uint64_t length) override { base_->drop_cache(offset, length); }

 private:
  const std::unique_ptr<File> base_;
  const std::shared_ptr<Plan> plan_;
  const std::string path_;
};

FaultEnv::FaultEnv(Env& base) : base_(base), plan_(std::make_shared<Plan>()) {}
FaultEnv::~FaultEnv() = default;

void FaultEnv::inject(const Fault& fault) {
  MutexLock lock(plan_->mutex);
  plan_->faults.push_back({.fault = fault});
  plan_->fired = false;
}

void FaultEnv::clear() {
  MutexLock lock(plan_->mutex);
  plan_->faults.clear();
  plan_->lives.reset();
  plan_->dead = false;
  plan_->fired = false;
}

void FaultEnv::die_after(uint64_t changes) {
  MutexLock lock(plan_->mutex);
  plan_->lives = changes;
  plan_->fired = false;
}

bool FaultEnv::dead() const {
  MutexLock lock(plan_->mutex);
  return plan_->dead;
}

bool FaultEnv::fired() const {
  MutexLock lock(plan_->mutex);
  return plan_->fired;
}

uint64_t FaultEnv::calls(CallKind kind) const {
  MutexLock lock(plan_->mutex);
  return plan_->calls[static_cast<size_t>(kind)];
}

uint64_t FaultEnv::changes() const {
  MutexLock lock(plan_->mutex);
  return plan_->changes;
}

Result<std::unique_ptr<File>> FaultEnv::open(const std::string& path, OpenMode mode) {
  PAILFS_TRY(plan_->count(CallKind::kOpen, path).status);
  PAILFS_ASSIGN(auto file, base_.open(path, mode));
  return std::make_unique<FaultFile>(std::move(file), plan_, path);
}

Status FaultEnv::rename(const std::string& from, const std::string& to) {
  PAILFS_TRY(plan_->count(CallKind::kRename, from).status);
  return base_.rename(from, to);
}

Status FaultEnv::remove(const std::string& path) {
  PAILFS_TRY(plan_->count(CallKind::kRemove, path).status);
  return base_.remove(path);
}

Status FaultEnv::make_dir(const std::string& path) {
  PAILFS_TRY(plan_->count(CallKind::kMakeDir, path).status);
  return base_.make_dir(path);
}

Status FaultEnv::sync_dir(const std::string& path) {
  const auto verdict = plan_->count(CallKind::kSyncDir, path);
  if (verdict.status) return base_.sync_dir(path);
  if (verdict.partial) (void)base_.sync_dir(path);
  return verdict.status;
}

Result<std::vector<std::string>> FaultEnv::list_dir(const std::string& path) {
  PAILFS_TRY(plan_->count(CallKind::kRead, path).status);
  return base_.list_dir(path);
}

Result<bool> FaultEnv::exists(const std::string& path) {
  PAILFS_TRY(plan_->count(CallKind::kRead, path).status);
  return base_.exists(path);
}

Result<Space> FaultEnv::space(const std::string& path) {
  PAILFS_TRY(plan_->count(CallKind::kRead, path).status);
  return base_.space(path);
}

Result<std::unique_ptr<FileLock>> FaultEnv::lock_file(const std::string& path) {
  PAILFS_TRY(plan_->count(CallKind::kOpen, path).status);
  return base_.lock_file(path);
}

int64_t FaultEnv::now() { return base_.now(); }
int64_t FaultEnv::monotonic() { return base_.monotonic(); }
void FaultEnv::random(std::span<char> out) { base_.random(out); }

}  // namespace pailfs
