// A program that this one runs and waits for, as if it were run in its place.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace pailfs {

// Runs `command` (a program, looked up in PATH, and its arguments) and waits for it. Returns its exit status as a shell
// has it: 128 + N where signal N ended it. kNotFound: there is no such program; kAccessDenied: it cannot be run.
// Meanwhile what the terminal's user interrupts is the command alone, SIGTERM and SIGHUP are passed on to it, and
// processes that descend from it and lose their parent become this one's children. For a program that has no other
// threads and no other children.
Result<int> run_child(const std::vector<std::string>& command);

}  // namespace pailfs
