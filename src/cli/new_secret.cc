#include "cli/new_secret.h"

#include <fmt/format.h>

#include <filesystem>

#include "crypto/crypto.h"
#include "ctl/secrets.h"

namespace pailfs::cli {
namespace {

Result<NewSecret> from_key_file(Invocation& invocation, const std::string& path) {
  Env& env = posix_env();
  NewSecret out;
  PAILFS_ASSIGN(const bool exists, env.exists(path));
  if (!exists) {
    PAILFS_TRY(create_key_file(env, path));
    out.key_file_created = true;
  } else if (readable_by_others(path)) {
    invocation.warn(fmt::format("warning: others than its owner can read the key file {}: chmod 600 it", path));
  }
  PAILFS_ASSIGN(out.secret, read_key_file(env, path));
  out.label = std::filesystem::path(path).filename().string();
  if (!is_utf8(out.label)) out.label.clear();  // the keyring is JSON
  return out;
}

Result<NewSecret> typed_twice(Invocation& invocation, const std::string& whose) {
  if (!invocation.console.interactive()) {
    return fail(Code::kInvalid,
                "there is no terminal to ask for a passphrase on: give a key file or a passphrase file");
  }
  PAILFS_ASSIGN(const Secret first, invocation.console.ask_secret(fmt::format("Passphrase for {}: ", whose)));
  NewSecret out;
  PAILFS_ASSIGN(out.secret, make_secret(SlotKind::kPassphrase, first.view()));
  PAILFS_ASSIGN(const Secret second, invocation.console.ask_secret("The same again: "));
  if (!equal_secret(first.view(), second.view())) {
    return fail(Code::kInvalid, "the two passphrases differ: nothing was changed");
  }
  return out;
}

}  // namespace

Result<NewSecret> read_new_secret(Invocation& invocation, const NewSecretOptions& options, const std::string& whose) {
  Env& env = posix_env();
  if (!options.key_file.empty()) return from_key_file(invocation, options.key_file);
  NewSecret out;
  if (!options.passphrase_file.empty()) {
    PAILFS_ASSIGN(out.secret, read_passphrase_file(env, options.passphrase_file));
    return out;
  }
  if (options.recovery) {
    out.recovery_key = Keyring::make_recovery_key(env);
    PAILFS_ASSIGN(out.secret, make_secret(SlotKind::kRecovery, out.recovery_key));
    out.label = "recovery";
    return out;
  }
  return typed_twice(invocation, whose);
}

}  // namespace pailfs::cli
