// The program `pail`: noun, verb, arguments. man/pail.1 describes it.
#pragma once

#include <string>
#include <vector>

#include "cli/console.h"

namespace pailfs {

enum ExitStatus : int {
  kExitOk = 0,
  kExitProblems = 1,  // `check` found damage
  kExitUsage = 2,     // what was typed makes no sense, or needs --yes
  kExitFailure = 3,
  // `assume`, whose status is otherwise the command's; as env(1) has them.
  kExitNotRun = 125,
  kExitNotExecutable = 126,
  kExitNoProgram = 127,
};

// Runs one command; `arguments` without the program's name. Returns the exit status.
int run_pail(const std::vector<std::string>& arguments, Console& console);

}  // namespace pailfs
