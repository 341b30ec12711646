// The secret of a new unlock slot: from a key file (made if missing), a passphrase file, or typed twice.
#pragma once

#include <string>

#include "cli/invocation.h"
#include "store/keyring.h"

namespace pailfs::cli {

struct NewSecretOptions {
  std::string key_file;
  std::string passphrase_file;
  bool recovery = false;  // a fresh recovery key
};

struct NewSecret {
  UnlockSecret secret;
  std::string label;         // what to call the slot when nobody says
  std::string recovery_key;  // to be printed; empty for other kinds
  bool key_file_created = false;
};

// `whose` completes the prompt "Passphrase for …". At most one of the options is set.
Result<NewSecret> read_new_secret(Invocation& invocation, const NewSecretOptions& options, const std::string& whose);

}  // namespace pailfs::cli
