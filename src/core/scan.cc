#include "core/scan.h"

#include "core/records.h"

namespace pailfs {

namespace {

constexpr size_t kFirstBatch = 16;  // many ranges are short
constexpr size_t kBatchEntries = 512;
constexpr size_t kBatchBytes = size_t{256} << 10;

}  // namespace

Status RangeReader::fetch() {
  const size_t limit = batch_.empty() ? kFirstBatch : kBatchEntries;
  batch_.clear();
  at_ = 0;
  StoreView view = store_.view();
  size_t bytes = 0;
  PAILFS_ASSIGN(auto entry, view.seek(scope_, from_, end_));
  while (entry) {
    bytes += entry->key.size() + entry->value.size();
    batch_.push_back(std::move(*entry));
    if (batch_.size() >= limit || bytes >= kBatchBytes) break;
    PAILFS_ASSIGN(entry, view.next(scope_, end_));
  }
  if (batch_.size() < limit && bytes < kBatchBytes) finished_ = true;
  if (!batch_.empty()) from_ = batch_.back().key + '\0';
  return {};
}

Result<const StoreView::Entry*> RangeReader::next() {
  if (at_ == batch_.size()) {
    if (finished_) return nullptr;
    PAILFS_TRY(fetch());
    if (batch_.empty()) return nullptr;
  }
  return &batch_[at_++];
}

Status scan_range(const Store& store, Scope scope, std::string from, const std::string& end,
                  const std::function<Result<bool>(const StoreView::Entry&)>& visit) {
  RangeReader range(store, scope, std::move(from), end);
  while (true) {
    PAILFS_ASSIGN(const StoreView::Entry* entry, range.next());
    if (entry == nullptr) return {};
    PAILFS_ASSIGN(const bool go_on, visit(*entry));
    if (!go_on) return {};
  }
}

Status scan_prefix(const Store& store, Scope scope, const std::string& prefix,
                   const std::function<Result<bool>(const StoreView::Entry&)>& visit) {
  return scan_range(store, scope, prefix, keys::after_prefix(prefix), visit);
}

}  // namespace pailfs
