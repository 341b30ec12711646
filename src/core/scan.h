// Walking key ranges of the index without holding a view while the visitor works: entries are fetched in batches.
#pragma once

#include <functional>
#include <string>

#include "store/store.h"

namespace pailfs {

// Visits the entries with from <= key < end in key order until the visitor returns false or fails. The visitor may use
// the store as it likes. Changes made meanwhile may or may not be seen.
Status scan_range(const Store& store, Scope scope, std::string from, const std::string& end,
                  const std::function<Result<bool>(const StoreView::Entry&)>& visit);
// The same for every key that begins with `prefix`.
Status scan_prefix(const Store& store, Scope scope, const std::string& prefix,
                   const std::function<Result<bool>(const StoreView::Entry&)>& visit);

// Fetches a range piece by piece: next() gives entries in order, nullopt at the end.
class RangeReader {
 public:
  RangeReader(const Store& store, Scope scope, std::string from, std::string end)
      : store_(store), scope_(scope), from_(std::move(from)), end_(std::move(end)) {}
  // Valid until the next call.
  Result<const StoreView::Entry*> next();

 private:
  Status fetch();
  const Store& store_;
  const Scope scope_;
  std::string from_;
  const std::string end_;
  std::vector<StoreView::Entry> batch_;
  size_t at_ = 0;
  bool finished_ = false;
};

}  // namespace pailfs
