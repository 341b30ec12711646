// What is doubtful about the policy of a bucket, seen with the bucket and the users that there are: `pail policy lint`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pailfs {

struct PolicyLint {
  struct Finding {
    size_t line = 0, column = 0;  // in the policy as it was given, from 1
    std::string message;
    // Where a statement and the modes disagree: how many files there are of that, and the first kPaths of them.
    uint64_t files = 0;
    std::vector<std::string> paths;
  };
  static constexpr size_t kPaths = 5;
  bool has_policy = false;
  std::vector<Finding> findings;
  // What disagreements were looked for in: files that have a name, at most kFiles of them, the oldest first.
  static constexpr uint64_t kFiles = 100'000;
  uint64_t files = 0;
  bool all_files = true;
};

}  // namespace pailfs
