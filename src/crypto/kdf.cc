#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/crypto.h"
#include "crypto/openssl_call.h"

namespace pailfs {

namespace {

EVP_KDF* hkdf_algorithm() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  must(kdf != nullptr);
  return kdf;
}

// OSSL_PARAM wants a writable, non-null pointer; it only reads.
OSSL_PARAM octets(const char* name, std::string_view value) {
  static char nothing = 0;
  char* data = value.empty() ? &nothing : const_cast<char*>(value.data());
  return OSSL_PARAM_construct_octet_string(name, data, value.size());
}

}  // namespace

Secret hkdf(std::string_view key, std::string_view salt, std::string_view info, size_t size) {
  const KdfContext context(EVP_KDF_CTX_new(hkdf_algorithm()));
  must(context != nullptr);
  static char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      octets(OSSL_KDF_PARAM_KEY, key),
      octets(OSSL_KDF_PARAM_SALT, salt),
      octets(OSSL_KDF_PARAM_INFO, info),
      OSSL_PARAM_construct_end(),
  };
  Secret out(size);
  must(EVP_KDF_derive(context.get(), bytes(out.data()), out.size(), params) == 1);
  return out;
}

Result<Secret> scrypt(std::string_view passphrase, std::string_view salt, const ScryptCost& cost, size_t size) {
  const bool sane = cost.log_n >= 10 && cost.log_n <= 24 && cost.r >= 1 && cost.r <= 32 && cost.p >= 1 && cost.p <= 16;
  // RFC 7914, section 2: N must be less than 2^(128 * r / 8).
  if (!sane || cost.log_n >= 16 * cost.r || size == 0) {
    return fail(Code::kInvalid,
                fmt::format("scrypt cost out of range: log2(N) {}, r {}, p {}", cost.log_n, cost.r, cost.p));
  }
  const uint64_t n = uint64_t{1} << cost.log_n;
  const uint64_t memory = 128 * uint64_t{cost.r} * (n + cost.p + 4);
  Secret out(size);
  if (EVP_PBE_scrypt(passphrase.data() == nullptr ? "" : passphrase.data(), passphrase.size(), bytes(salt), salt.size(),
                     n, cost.r, cost.p, memory, bytes(out.data()), out.size()) != 1) {
    return fail(Code::kNoMemory, fmt::format("scrypt needs {} MiB of memory", memory >> 20));
  }
  return out;
}

}  // namespace pailfs
