// The secret that opens the store: from the file that an option names, or asked for on the terminal.
#pragma once

#include "base/error.h"
#include "daemon/options.h"
#include "store/keyring.h"

namespace pailfs {

// Call it in the process that opens the store: secrets do not survive a fork. While the terminal still is this
// process's.
Result<UnlockSecret> read_unlock_secret(const DaemonOptions& options);

}  // namespace pailfs
