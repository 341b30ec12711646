// Ciphers derived from scope keys: one per (scope, purpose, salt). Deriving costs microseconds, so they are kept, in
// bounded number. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "crypto/crypto.h"
#include "store/keyring.h"

namespace pailfs {

class KeyCache {
 public:
  explicit KeyCache(const Keyring& keyring, size_t limit = 512) : keyring_(keyring), limit_(limit) {}

  // AES-256-GCM under HKDF(scope's data key, salt, "pailfs <purpose>"). Null if the scope has no keys (any more).
  // purpose: "value" or "unit".
  std::shared_ptr<const Aead> cipher(Scope scope, std::string_view purpose, std::string_view salt);
  // The name-token function of the scope; null if it has no keys.
  std::shared_ptr<const TokenPrf> names(Scope scope);
  void forget(Scope scope);

 private:
  const Keyring& keyring_;
  const size_t limit_;
  SharedMutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const Aead>> ciphers_ GUARDED_BY(mutex_);
  std::unordered_map<Scope, std::shared_ptr<const TokenPrf>> names_ GUARDED_BY(mutex_);
};

}  // namespace pailfs
