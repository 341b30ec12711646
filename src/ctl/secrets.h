// Secrets that unlock a store, as people keep them: key files, passphrase files, recovery keys. Used by both programs.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "io/env.h"
#include "store/keyring.h"

namespace pailfs {

inline constexpr size_t kMinKeyFile = 32;                   // bytes
inline constexpr size_t kMaxKeyFile = size_t{1} << 20;      // bytes
inline constexpr size_t kMaxPassphrase = size_t{64} << 10;  // bytes

// All bytes of the file are the key. kInvalid when it has too few or too many.
Result<UnlockSecret> read_key_file(Env& env, const std::string& path);
// The file without one newline at its end. "-": standard input.
Result<UnlockSecret> read_passphrase_file(Env& env, const std::string& path);
// As printed by `pail init --recovery-key`; surrounding white space does not count. "-": standard input.
Result<UnlockSecret> read_recovery_key_file(Env& env, const std::string& path);
// A secret that was typed or sent. kInvalid when its length makes no sense for its kind.
Result<UnlockSecret> make_secret(SlotKind kind, std::string_view bytes);
Result<SlotKind> parse_slot_kind(std::string_view name);

// Writes 32 random bytes to a new file of mode 0600; durable when it returns. kExists.
Status create_key_file(Env& env, const std::string& path);
// Whether group or others may read the file: worth a warning.
bool readable_by_others(const std::string& path);

}  // namespace pailfs
