// Groups of who asks.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/types.h"

namespace pailfs {

// Supplementary groups that are known already.
class GroupList final : public GroupSource {
 public:
  explicit GroupList(std::vector<uint32_t> groups) : groups_(std::move(groups)) {}
  const std::vector<uint32_t>& groups() override { return groups_; }

 private:
  std::vector<uint32_t> groups_;
};

inline bool is_member(const Caller& caller, uint32_t gid) {
  if (caller.gid == gid) return true;
  if (caller.groups == nullptr) return false;
  const std::vector<uint32_t>& groups = caller.groups->groups();
  return std::ranges::find(groups, gid) != groups.end();
}

}  // namespace pailfs
