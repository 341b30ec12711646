// Checks before anything is opened, so that what is wrong is said in words.
#pragma once

#include <string>

#include "base/error.h"
#include "daemon/options.h"

namespace pailfs {

// Absolute and without symbolic links.
struct Paths {
  std::string store;
  std::string mountpoint;
};

// The store's directory and the mountpoint exist and are directories, neither lies in the other, and no pailfs is
// mounted there. Only the mountpoint's own directory is touched, never a mounted pailfs's inside.
Result<Paths> check_paths(const DaemonOptions& options);

// Makes the paths in the options absolute: the daemon changes its directory to /.
Status make_absolute(DaemonOptions& options);

// True where the mount table shows a mount of this store.
bool is_mounted(const std::string& store);

}  // namespace pailfs
