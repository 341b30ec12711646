// What was asked for: pailfs STORE MOUNTPOINT [-o option,…] [-f] [-d], or the same words from mount(8).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/logging.h"
#include "core/scrub.h"

namespace pailfs {

struct DaemonOptions {
  std::string store;       // as typed
  std::string mountpoint;  // as typed
  std::string key_file;
  std::string passphrase_file;
  std::string recovery_key_file;
  std::string bucket;
  ScrubOptions scrub;
  std::string log;  // empty: syslog, or standard error in the foreground; "stderr"; or a file's path
  LogLevel log_level = LogLevel::kInfo;
  bool allow_other = false;
  bool default_permissions = false;
  bool read_only = false;
  bool writeback = true;
  bool io_uring = true;
  bool foreground = false;
  bool trace = false;                      // -d: log every request
  std::vector<std::string> general_flags;  // of mount(8), for the kernel: nodev, noexec, …
  std::string given;                       // the -o options as given, for `pail status`
};

// Nothing to mount: print `text` and leave with this status.
struct Answer {
  std::string text;
  int status = 0;
};

// kInvalid says what is wrong with the arguments. `arguments[0]` is the program's name: as mount.fuse.pailfs or
// mount.pailfs the flags are those that mount(8) gives its helpers.
Result<std::variant<DaemonOptions, Answer>> parse_arguments(const std::vector<std::string>& arguments);

// The comma-separated options of one -o; a backslash keeps a comma, or a backslash, in a value.
std::vector<std::string> split_options(std::string_view text);

}  // namespace pailfs
