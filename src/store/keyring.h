// The keyring: the store's root key behind its unlock slots, and the wrapped key of every scope. The only place on disk
// where keys are. Two copies (keyring.0, keyring.1), each replaced atomically, one after the other; the newer one that
// verifies counts. JSON; the fields are in pailfs-format(5), section "Keyring".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "crypto/crypto.h"
#include "io/env.h"

namespace pailfs {

// Who shares a data key: 0 is the store itself, any other number is the bucket of that number.
using Scope = uint32_t;
inline constexpr Scope kStoreScope = 0;

enum class SlotKind { kKeyFile, kPassphrase, kRecovery };
std::string_view slot_kind_name(SlotKind kind);  // "key-file", "passphrase", "recovery"
std::string_view secret_name(SlotKind kind);     // of what opens it: "key file", "passphrase", "recovery key"

// What opens a slot: the content of a key file (32 bytes to 1 MiB), a passphrase (1 byte to 64 KiB, no trailing
// newline), or a recovery key as printed (letters, digits, dashes).
struct UnlockSecret {
  SlotKind kind = SlotKind::kKeyFile;
  Secret bytes;
};

struct SlotInfo {
  uint32_t id = 0;  // 1, 2, …; never reused
  SlotKind kind = SlotKind::kKeyFile;
  std::string label;
  int64_t created = 0;  // ns since 1970
};

// The keys of one scope, unwrapped.
struct ScopeKeys {
  Secret data;   // units and index values derive their keys from it
  Secret names;  // PRF key for name tokens; outlives key rotation
};

class Keyring {
 public:
  // Makes a new keyring with a random root key and one slot, and writes both copies. `uuid`: 16 bytes.
  static Result<std::unique_ptr<Keyring>> create(Env& env, std::string directory, std::string_view uuid,
                                                 const UnlockSecret& secret, std::string label, const ScryptCost& cost);
  // Tries every slot of the secret's kind. kWrongKey: none opens (the message names the store and the kinds of slots
  // there are). kCorrupt: neither copy is readable. kTooNew: the newest copy is of a newer format. A copy that is
  // damaged or older is mended from the other one (unless `read_only`).
  static Result<std::unique_ptr<Keyring>> unlock(Env& env, std::string directory, std::string_view uuid,
                                                 const UnlockSecret& secret, bool read_only = false);

  // What both copies should hold.
  std::string text() const;
  // Writes both copies.
  Status write_anew();
  // Empty: both copies are good. Otherwise what is wrong with one of them, as it was found; unlock() has mended it
  // since, unless it was told to write nothing.
  const std::string& fault() const { return fault_; }

  std::vector<SlotInfo> slots() const;
  // Adds a slot; durable when it returns. Returns its id. kExists: a slot opens with this secret already.
  Result<uint32_t> add_slot(const UnlockSecret& secret, std::string label, const ScryptCost& cost);
  // kNotFound; kInvalid for the last slot, which stays.
  Status remove_slot(uint32_t id);
  // A fresh recovery key: 160 bits as eight groups of four letters and digits (Crockford base 32).
  static std::string make_recovery_key(Env& env);

  // Makes random keys for a scope; durable when it returns. kExists.
  Status create_scope(Scope scope);
  // Forgets the keys of a scope: what they sealed is gone for good. Durable when it returns.
  Status destroy_scope(Scope scope);
  std::vector<Scope> scopes() const;
  // Null if there is no such scope.
  std::shared_ptr<const ScopeKeys> scope(Scope scope) const;
  // A key derived from the root key for one purpose: HKDF with info "pailfs <purpose>".
  Secret derive(std::string_view purpose) const;

 private:
  struct Slot {
    SlotInfo info;
    std::string salt;
    ScryptCost cost;      // passphrase slots only
    std::string wrapped;  // nonce and sealed root key
  };
  struct Parsed;  // one copy as read from disk
  Keyring(Env& env, std::string directory, std::string_view uuid);
  static Result<Parsed> read_copy(Env& env, const std::string& path, std::string_view uuid);
  static Result<Secret> slot_key(const Slot& slot, const UnlockSecret& secret);
  static Result<std::unique_ptr<Keyring>> open_copy(Env& env, const std::string& directory, std::string_view uuid,
                                                    const UnlockSecret& secret, Parsed&& parsed);
  Status adopt(Parsed parsed, Secret root);
  void mend();  // writes both copies
  const Slot* opened_by(const UnlockSecret& secret) const REQUIRES(mutex_);
  Result<Slot> make_slot(const UnlockSecret& secret, std::string label, const ScryptCost& cost, uint32_t id);
  Status save() REQUIRES(mutex_);
  std::string serialize() const REQUIRES(mutex_);
  std::string wrap(const Secret& key, std::string_view aad, std::string_view plaintext) const;

  Env& env_;
  const std::string directory_;
  const std::string uuid_;
  mutable Mutex mutex_;
  std::string fault_;
  Secret root_;  // set once, before the object is shared
  std::shared_ptr<const ScopeKeys> store_keys_;
  uint64_t generation_ GUARDED_BY(mutex_) = 0;
  uint32_t next_slot_ GUARDED_BY(mutex_) = 1;
  std::vector<Slot> slots_ GUARDED_BY(mutex_);
  std::map<Scope, std::string> wrapped_ GUARDED_BY(mutex_);  // nonce and sealed keys
  std::map<Scope, std::shared_ptr<const ScopeKeys>> keys_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
