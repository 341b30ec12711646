#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cli/invocation.h"
#include "cli/new_secret.h"
#include "cli/session.h"
#include "core/core.h"
#include "ctl/secrets.h"
#include "store/keyring.h"
#include "store/store.h"
#include "store/superblock.h"

namespace pailfs::cli {
namespace {

struct InitOptions {
  std::string store;
  std::string label;
  bool recovery_key = false;
};

struct RecoverySlot {
  std::string key;  // empty: none was asked for
  uint32_t id = 0;
};

// Opens a store that was just made: its root directory is made then, and it is seen to open. With `recovery_key` adds a
// slot for one.
Result<RecoverySlot> open_once(const std::string& directory, const UnlockSecret& secret, bool recovery_key) {
  Env& env = posix_env();
  PAILFS_ASSIGN(const std::unique_ptr<Store> store, Store::open(env, directory, secret));
  PAILFS_ASSIGN(std::unique_ptr<Core> core, Core::open(*store, ::geteuid()));
  core.reset();
  RecoverySlot slot;
  if (recovery_key) {
    slot.key = Keyring::make_recovery_key(env);
    PAILFS_ASSIGN(const UnlockSecret recovery, make_secret(SlotKind::kRecovery, slot.key));
    PAILFS_ASSIGN(slot.id, store->keyring().add_slot(recovery, "recovery", ScryptCost{}));
  }
  PAILFS_TRY(store->close());
  return slot;
}

// Returns what there is to say, and in `recovery` the slot of the recovery key.
Result<Json> make_store(Invocation& invocation, const InitOptions& options, const std::string& directory,
                        RecoverySlot& recovery) {
  Env& env = posix_env();
  if (read_superblock(env, directory)) {
    return fail(Code::kExists, fmt::format("there is a store in {} already; it was left as it is", directory));
  }
  PAILFS_TRY(check_future_owner(directory));
  if (options.label.size() > 255 || !is_utf8(options.label)) {
    return fail(Code::kInvalid, "a label is UTF-8 of at most 255 bytes");
  }
  NewSecretOptions wanted;
  wanted.key_file = invocation.common.key_file;
  wanted.passphrase_file = invocation.common.passphrase_file;
  PAILFS_ASSIGN(const NewSecret secret, read_new_secret(invocation, wanted, "the new store"));
  const std::string label = options.label.empty() ? secret.label : options.label;
  PAILFS_TRY(Store::create(env, directory, secret.secret, label));
  PAILFS_ASSIGN(const Superblock superblock, read_superblock(env, directory));
  Json result = {{"store", bytes_to_json(directory)},
                 {"uuid", superblock.uuid},
                 {"slot", slot_kind_name(secret.secret.kind)},
                 {"key_file_created", secret.key_file_created}};
  auto slot = open_once(directory, secret.secret, options.recovery_key);
  if (!slot) {
    return std::unexpected(
        context(fmt::format("the store {} was made, but could not be opened", directory), std::move(slot).error()));
  }
  recovery = *std::move(slot);
  if (options.recovery_key) result["recovery_key"] = recovery.key;
  return result;
}

int init(Invocation& invocation, const InitOptions& options) {
  if (!invocation.common.store.empty() || !invocation.common.recovery_key_file.empty()) {
    return invocation.failed({Code::kInvalid, "init takes neither --store nor --recovery-key-file"}, kExitUsage);
  }
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(std::filesystem::absolute(options.store), error);
  if (error) return invocation.failed({Code::kNotFound, fmt::format("{}: {}", options.store, error.message())});
  if (!path.has_filename()) path = path.parent_path();  // a trailing slash
  RecoverySlot recovery;
  auto result = make_store(invocation, options, path.string(), recovery);
  if (!result) return invocation.failed(result.error());
  const auto shown = [&] {
    return options.recovery_key ? invocation.shown_recovery_key(path.string(), recovery.id) : kExitOk;
  };
  if (invocation.printed_json(*result)) return shown();
  if (flag_member(*result, "key_file_created")) {
    invocation.line(fmt::format("Made the key file {}. Whoever loses it loses the store: keep a copy elsewhere.",
                                invocation.common.key_file));
  }
  invocation.line(fmt::format("Made the store {} ({}).", path.string(), text_member(*result, "uuid")));
  if (options.recovery_key) {
    invocation.line("Its recovery key, shown this once; write it down and keep it elsewhere:\n\n    " + recovery.key +
                    "\n");
  }
  return shown();
}

}  // namespace

void add_init(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<InitOptions>();
  CLI::App* const leaf = invocation.command(app, "init", "Make a new store",
                                            [&invocation, options] { return init(invocation, *options); });
  leaf->add_option("STORE", options->store, "Directory to make it in: missing or empty")->required();
  leaf->add_option("--label", options->label, "What to call the first unlock slot");
  leaf->add_flag("--recovery-key", options->recovery_key, "Also make a recovery key and print it once");
}

}  // namespace pailfs::cli
