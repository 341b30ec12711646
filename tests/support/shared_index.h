// An index that outlives its store: several made from the same object share its content, as what is durable of it
// after a crash.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "index/index.h"

namespace pailfs {

class SharedIndex : public Index {
 public:
  explicit SharedIndex(std::shared_ptr<Index> index) : index_(std::move(index)) {}
  Result<std::unique_ptr<IndexSnapshot>> snapshot() override { return index_->snapshot(); }
  Status apply(const std::vector<IndexChange>& changes) override { return index_->apply(changes); }
  Result<IndexStats> stats() override { return index_->stats(); }

 private:
  std::shared_ptr<Index> index_;
};

}  // namespace pailfs
