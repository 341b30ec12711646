// Keys of objects, for the policies: paths inside a bucket, from parent pointers. No locks of the core are taken.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "core/impl.h"
#include "core/object_tags.h"
#include "core/policy_gate.h"

namespace pailfs {

class ObjectKeys : public PolicyGate::Keys {
 public:
  explicit ObjectKeys(Core::Impl& core) : core_(core) {}

  std::string bucket_name(Scope bucket) const override;
  // Of a directory that was removed: the last path that it had.
  Result<std::string> path_of(Ino directory) const override;
  Result<std::vector<std::string>> keys_of(Ino ino) const override;
  Result<Named> find(Ino directory, std::string_view name) const override;
  Result<ObjectTags> tags_of(const TagsOf& object) const override { return object_tags(core_, object); }
  Time now() const override;
  Time monotonic() const override;

  // After a directory was renamed, before the answer.
  void directory_moved();

 private:
  struct Step {
    Ino parent = 0;
    std::string name;
  };
  Result<Step> step_up(Ino directory) const;

  Core::Impl& core_;
  mutable Mutex mutex_;
  mutable std::unordered_map<Ino, std::string> paths_ GUARDED_BY(mutex_);
  mutable size_t path_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t moves_ GUARDED_BY(mutex_) = 0;
};

}  // namespace pailfs
