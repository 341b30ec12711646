#include "core/spoken_moments.h"

#include <algorithm>
#include <iterator>

namespace pailfs {

std::optional<Stamp> SpokenMoments::find(const Key& key, Time monotonic) {
  MutexLock lock(mutex_);
  const auto found = moments_.find(key);
  if (found == moments_.end() || monotonic - found->second.used > kKept) return std::nullopt;
  found->second.used = monotonic;
  return found->second.at;
}

Stamp SpokenMoments::keep(const Key& key, Stamp at, Time monotonic) {
  MutexLock lock(mutex_);
  std::erase_if(moments_, [&](const auto& moment) { return monotonic - moment.second.used > kKept; });
  const auto [found, added] = moments_.try_emplace(key, Kept{at, monotonic});
  if (!added) return found->second.at;
  const auto idle = [](const auto& one, const auto& other) { return one.second.used < other.second.used; };
  const auto first = moments_.lower_bound({.uid = key.uid, .group = 0, .bucket = 0, .text = {}});
  const auto end = std::find_if(first, moments_.end(), [&](const auto& moment) { return moment.first.uid != key.uid; });
  if (std::distance(first, end) > static_cast<ptrdiff_t>(kPerUser)) {
    moments_.erase(std::min_element(first, end, idle));
  } else if (moments_.size() > kAll) {
    moments_.erase(std::ranges::min_element(moments_, idle));
  }
  return at;
}

}  // namespace pailfs
