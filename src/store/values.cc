// Sealing of index values: version(1) salt(16) counter(8) ciphertext tag(16), AES-256-GCM under HKDF(scope's data key,
// salt, "pailfs value"); nonce = 4 zero bytes and the counter; associated data = the key. The salt is drawn at each
// start and the counter lives in memory, so that no nonce repeats whatever a crash or a restored copy brings back.
#include <cstring>

#include "store/impl.h"

namespace pailfs {

namespace {
constexpr char kSealVersion = 1;
constexpr size_t kValueSaltSize = 16;
constexpr size_t kPrefix = 1 + kValueSaltSize + 8;

Nonce counter_nonce(std::string_view counter) {
  Nonce nonce{};
  std::memcpy(nonce.data() + 4, counter.data(), 8);
  return nonce;
}
}  // namespace

std::string Store::Impl::seal(Scope scope, std::string_view key, std::string_view value) {
  const auto cipher = ciphers.cipher(scope, "value", value_salt);
  if (cipher == nullptr) return {};
  std::string out(kPrefix + value.size() + kTagSize, '\0');
  out[0] = kSealVersion;
  std::memcpy(out.data() + 1, value_salt.data(), kValueSaltSize);
  const uint64_t counter = value_counter.fetch_add(1, std::memory_order_relaxed);
  for (size_t i = 0; i < 8; ++i) out[1 + kValueSaltSize + i] = static_cast<char>(counter >> (8 * i));
  cipher->seal(counter_nonce(std::string_view(out).substr(1 + kValueSaltSize, 8)), key, value,
               std::span<char>(out).subspan(kPrefix));
  return out;
}

Result<std::string> Store::Impl::unseal(Scope scope, std::string_view key, std::string_view sealed) const {
  const auto damaged = [this](std::string_view what) {
    return fail(Code::kCorrupt,
                fmt::format("a value in the index of {0} {1}; 'pail rebuild-index {0}' builds the index "
                            "anew from its copy",
                            directory, what));
  };
  if (sealed.size() < kPrefix + kTagSize || sealed[0] != kSealVersion) {
    return damaged("is damaged: it is too short or of an unknown version");
  }
  const auto cipher = ciphers.cipher(scope, "value", sealed.substr(1, kValueSaltSize));
  if (cipher == nullptr) {
    return fail(Code::kCorrupt, fmt::format("an index value belongs to bucket number {}, whose keys are gone", scope));
  }
  std::string out(sealed.size() - kPrefix - kTagSize, '\0');
  if (!cipher->open(counter_nonce(sealed.substr(1 + kValueSaltSize, 8)), key, sealed.substr(kPrefix), out)) {
    return damaged("does not verify: the index is damaged or was changed");
  }
  return out;
}

}  // namespace pailfs
