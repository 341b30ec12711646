// Files as somebody else: root's daemon reaches a store that is another user's with that user's rights. That one may
// have put a link in the place of a file, and what is made there has to be his.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/env.h"

namespace pailfs {

// Whose rights files are reached with.
struct FileUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary ones
};

// The owner of a directory, with the groups of a login where the system knows him. kNotFound.
Result<FileUser> owner_of_directory(const std::string& directory);

// For as long as this lives, the calling thread reaches files as the user (setfsuid(2)), and so do threads that it
// starts meanwhile.
class AsFileUser {
 public:
  // kNotPermitted: the process is not root's, or may not become others.
  static Result<std::unique_ptr<AsFileUser>> begin(const FileUser& user);
  // Whose rights the calling thread has now.
  static FileUser current();
  AsFileUser(const AsFileUser&) = delete;
  AsFileUser& operator=(const AsFileUser&) = delete;
  ~AsFileUser();

 private:
  explicit AsFileUser(FileUser before) : before_(std::move(before)) {}
  const FileUser before_;
};

// `env`, with every path looked up as the user; an open file stays open to whoever has it.
std::unique_ptr<Env> make_user_env(Env& env, FileUser user);

}  // namespace pailfs
