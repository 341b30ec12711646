// The cryptography pailfs uses, all of it OpenSSL's. Keys are 32 bytes (kKeySize) unless a function says otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/secret.h"

namespace pailfs {

inline constexpr size_t kKeySize = 32;
inline constexpr size_t kNonceSize = 12;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kDigestSize = 32;

using Nonce = std::array<char, kNonceSize>;
using Digest = std::array<char, kDigestSize>;

// OpenSSL, too, draws on what set_memory_aside() keeps (base/memory_reserve.h). Before anything else of this module is
// used; false if it is too late for that.
bool draw_on_memory_aside();

inline std::string_view view(const Digest& d) { return {d.data(), d.size()}; }

// AES-256-GCM (NIST SP 800-38D) under one key. Thread-safe; keeps a small pool of prepared OpenSSL contexts, so that an
// operation does not pay for the key schedule. A nonce must never be used twice for sealing: callers derive nonces so.
class Aead {
 public:
  explicit Aead(const Secret& key);
  ~Aead();
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // Writes plaintext.size() bytes of ciphertext followed by the 16-byte tag to out; out.size() must be exactly that
  // much.
  void seal(const Nonce& nonce, std::string_view aad, std::string_view plaintext, std::span<char> out) const;
  // sealed = ciphertext + tag; out.size() must be sealed.size() - 16. False, with out zeroed, when it does not verify.
  [[nodiscard]] bool open(const Nonce& nonce, std::string_view aad, std::string_view sealed, std::span<char> out) const;

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

// HKDF with SHA-256 (RFC 5869), extract and expand. `size` at most 255 * 32 bytes.
Secret hkdf(std::string_view key, std::string_view salt, std::string_view info, size_t size = kKeySize);

struct ScryptCost {
  uint32_t log_n = 16;  // N = 2^log_n: memory is 128 * r * N bytes, 64 MiB by default
  uint32_t r = 8;
  uint32_t p = 1;
};
// scrypt (RFC 7914). kInvalid when the cost is not sane (log_n 10..24, r 1..32, p 1..16), kNoMemory when memory is
// short.
Result<Secret> scrypt(std::string_view passphrase, std::string_view salt, const ScryptCost& cost,
                      size_t size = kKeySize);

Digest sha256(std::string_view data);
// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view data);
  Digest finish();  // the object starts anew afterwards

 private:
  void* context_;
};

Digest hmac_sha256(std::string_view key, std::string_view data);
// Constant-time comparison.
bool equal_secret(std::string_view a, std::string_view b);

// A keyed pseudo-random function for name tokens and xattr tokens: 16 bytes out. SipHash-2-4-128 with a 16-byte key
// (first half of `key`); fast enough for each lookup. Thread-safe.
class TokenPrf {
 public:
  explicit TokenPrf(const Secret& key);
  ~TokenPrf();
  TokenPrf(const TokenPrf&) = delete;
  TokenPrf& operator=(const TokenPrf&) = delete;
  std::array<char, 16> token(std::string_view data) const;

 private:
  Secret key_;
};

std::string base64(std::string_view data);
Result<std::string> base64_decode(std::string_view text);

}  // namespace pailfs
