// Paths of inodes, for people: what a check or a scrub found names inodes. The names that an inode has are known from
// its parent pointers; those that it had, or that damage took the pointers of, are looked for in the entries of its
// whole bucket, for many inodes at once.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/impl.h"

namespace pailfs {

class FilePaths {
 public:
  explicit FilePaths(Core::Impl& core) : core_(core) {}

  struct Name {
    Ino parent = 0;
    std::string name;  // of one that was deleted: with the words " (deleted)" behind it
    bool deleted = false;
  };
  // Reads the entries of the buckets of those of these inodes that have no name.
  void look_for(const std::set<Ino>& inodes);
  // What look_for() found: the names that the inode has, or one that it had; the first kMaxNames.
  static constexpr size_t kMaxNames = 16;
  const std::vector<Name>& names_of(Ino ino) const;
  // "bucket/directory/name" for each of them; where there is none, what can be said: "bucket/inode 5".
  std::vector<std::string> paths_of(Ino ino);
  std::string path(Ino parent, const std::string& name);
  std::string directory(Ino ino);

 private:
  void look_in(Scope bucket, const std::set<Ino>& wanted);
  std::string name_in(Ino parent, Ino ino);

  Core::Impl& core_;
  std::map<Ino, std::vector<Name>> names_;
  std::map<Ino, std::string> directories_;  // paths that were found out
};

}  // namespace pailfs
