// pailfs STORE MOUNTPOINT [-o OPTIONS]: mounts a store and serves it. See pailfs(8).
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "base/memory_reserve.h"
#include "crypto/crypto.h"
#include "daemon/daemon.h"

namespace {

using namespace pailfs;

// More than all the requests under way and one commit and checkpoint of a full memtable need. Never touched, so that it
// takes address space and no memory until then.
constexpr size_t kMemoryAside = size_t{64} << 20;

int refuse(const Error& error) {
  complain(error.message);
  return exit_status_of(error.code);
}

// In the process that becomes the daemon.
int serve(const DaemonOptions& options, const Paths& paths, Starter& starter) {
  harden_process();
  (void)draw_on_memory_aside();
  set_memory_aside(kMemoryAside);
  if (const Status log = open_log(options.log, options.log_level, options.foreground); !log) {
    starter.failed(kBadUsage, log.error().message);
    return kBadUsage;
  }
  Daemon daemon(options, paths);
  const int status = daemon.run(starter);
  if (daemon.threads_left()) std::_Exit(status);
  return status;
}

int run(int argc, char** argv) {
  open_standard_descriptors();
  auto parsed = parse_arguments(std::vector<std::string>(argv, argv + argc));
  if (!parsed) return refuse(parsed.error());
  if (const auto* answer = std::get_if<Answer>(&*parsed)) {
    (void)std::fputs(answer->text.c_str(), stdout);
    return answer->status;
  }
  DaemonOptions options = std::move(std::get<DaemonOptions>(*parsed));
  if (const Status absolute = make_absolute(options); !absolute) return refuse(absolute.error());
  const auto paths = check_paths(options);
  if (!paths) return refuse(paths.error());

  Starter starter;
  if (!options.foreground) {
    const auto forked = fork_daemon(paths->mountpoint, starter);
    if (!forked) {
      complain(forked.error().message);
      return kSystemError;
    }
    if (!forked->child) return forked->parent_status;
  }
  return serve(options, *paths, starter);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& failure) {  // out of memory, before there was a store
    (void)std::fprintf(stderr, "pailfs: %s\n", failure.what());
    return kSystemError;
  }
}
