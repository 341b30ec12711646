#include <cstdio>
#include <string>
#include <vector>

#include "base/logging.h"
#include "cli/cli.h"
#include "crypto/secret.h"

int main(int argc, char** argv) {
  pailfs::disable_core_dumps();
  // What the store logs as it recovers is for daemons; the results of a command say what its user must know.
  pailfs::set_log_level(pailfs::LogLevel::kWarning);
  const auto console = pailfs::make_terminal_console();
  const int status = pailfs::run_pail(std::vector<std::string>(argv + 1, argv + argc), *console);
  // A full disk below standard output must not look like success.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    (void)std::fputs("pail: cannot write to standard output\n", stderr);
    return status == pailfs::kExitOk ? pailfs::kExitFailure : status;
  }
  return status;
}
