#include "daemon/unlock.h"

#include <unistd.h>

#include "base/logging.h"
#include "cli/console.h"
#include "ctl/secrets.h"
#include "io/env.h"

namespace pailfs {

namespace {
void warn_if_readable(const std::string& path) {
  if (readable_by_others(path)) log_warning("{} can be read by other users: chmod 600 it", path);
}
}  // namespace

Result<UnlockSecret> read_unlock_secret(const DaemonOptions& options) {
  Env& env = posix_env();
  if (!options.key_file.empty()) {
    warn_if_readable(options.key_file);
    return read_key_file(env, options.key_file);
  }
  if (!options.passphrase_file.empty()) {
    warn_if_readable(options.passphrase_file);
    return read_passphrase_file(env, options.passphrase_file);
  }
  if (!options.recovery_key_file.empty()) return read_recovery_key_file(env, options.recovery_key_file);
  if (::isatty(STDIN_FILENO) != 1) {  // standard error may be the log by now
    return fail(Code::kInvalid,
                "nothing says how to unlock the store: give -o key_file=FILE or -o passphrase_file=FILE "
                "(there is no terminal to ask on)");
  }
  PAILFS_ASSIGN(const Secret typed, make_terminal_console()->ask_secret("Passphrase for " + options.store + ": "));
  return make_secret(SlotKind::kPassphrase, typed.view());
}

}  // namespace pailfs
