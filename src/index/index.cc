#include "index/index.h"

#include <fmt/format.h>

namespace pailfs {

Status check_batch(const std::vector<IndexChange>& changes) {
  if (changes.size() > kMaxBatchChanges) {
    return fail(Code::kInvalid,
                fmt::format("index batch of {} changes; the limit is {}", changes.size(), kMaxBatchChanges));
  }
  size_t bytes = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    const IndexChange& change = changes[i];
    if (change.key.empty() || change.key.size() > kMaxIndexKey) {
      return fail(Code::kInvalid, fmt::format("change {} of an index batch has a key of {} bytes; 1 to {} are allowed",
                                              i, change.key.size(), kMaxIndexKey));
    }
    const size_t value_size = change.value ? change.value->size() : 0;
    if (value_size > kMaxIndexValue) {
      return fail(Code::kInvalid, fmt::format("change {} of an index batch has a value of {} bytes; the limit is {}", i,
                                              value_size, kMaxIndexValue));
    }
    bytes += change.key.size() + value_size;
  }
  if (bytes > kMaxBatchBytes) {
    return fail(Code::kInvalid, fmt::format("index batch of {} bytes; the limit is {}", bytes, kMaxBatchBytes));
  }
  return {};
}

}  // namespace pailfs
