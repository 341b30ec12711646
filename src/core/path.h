// Paths inside a bucket, as tools give them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pailfs {

// The names of a path; slashes at either end and doubled ones mean nothing.
inline std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (slash != 0) names.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return names;
}

// Of what is kept in memory: PATH_MAX of <limits.h>, as no path that one call takes is longer.
inline constexpr size_t kLongestPath = 4096;

// One name further down: "a" and "b" make "a/b", and an empty path is where paths begin.
inline void add_name(std::string& path, std::string_view name) {
  if (!path.empty()) path += '/';
  path += name;
}

}  // namespace pailfs
