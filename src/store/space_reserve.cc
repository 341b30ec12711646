#include "store/space_reserve.h"

#include <fmt/format.h>

#include "base/logging.h"

namespace pailfs {

void SpaceReserve::replenish() {
  if (path_.empty() || bytes_ == 0) return;
  const MutexLock lock(mutex_);
  if (file_ == nullptr) {
    auto file = env_.open(path_, OpenMode::kReadWrite);
    if (!file) file = env_.open(path_, OpenMode::kCreate);
    if (!file) return;
    file_ = std::move(*file);
  }
  const auto have = file_->allocated();
  if (have && *have >= bytes_) {
    spent_ = false;
    return;
  }
  const auto space = env_.space(path_);
  // A disk that was nearly full from the start has no reserve, but it is not refused for that.
  if (!space || space->available < needed()) return;
  if (auto allocated = file_->allocate(0, bytes_); !allocated) {
    (void)file_->truncate(0);
    return;
  }
  if (spent_.exchange(false)) log_info("there is room on the disk again: the reserve is back, writing goes on");
}

std::string SpaceReserve::refusal() const {
  constexpr uint64_t kMebibyte = uint64_t{1} << 20;
  const auto space = env_.space(path_);
  return fmt::format("the disk below the store is full: content is refused until {} MiB are free on it, and {} MiB are",
                     (needed() + kMebibyte - 1) / kMebibyte, space ? space->available / kMebibyte : 0);
}

bool SpaceReserve::release() {
  if (path_.empty()) return false;
  const MutexLock lock(mutex_);
  if (file_ == nullptr) {
    auto file = env_.open(path_, OpenMode::kReadWrite);
    if (!file) return false;
    file_ = std::move(*file);
  }
  const auto size = file_->size();
  if (!size || *size == 0) return false;
  const bool given = file_->truncate(0).has_value();
  if (!spent_.exchange(true)) {
    log_error("{}. Deleting works: make room on the disk, or delete old versions with 'pail versions prune'",
              refusal());
  }
  return given;
}

}  // namespace pailfs
