#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/crypto.h"
#include "crypto/openssl_call.h"

namespace pailfs {

namespace {

const EVP_MD* sha256_algorithm() {
  static EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  must(md != nullptr);
  return md;
}

void start(EVP_MD_CTX* context) { must(EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr) == 1); }

Digest finish_digest(EVP_MD_CTX* context) {
  Digest out;
  unsigned size = 0;
  must(EVP_DigestFinal_ex(context, bytes(out.data()), &size) == 1 && size == out.size());
  return out;
}

EVP_MAC* hmac_algorithm() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  must(mac != nullptr);
  return mac;
}

}  // namespace

Digest sha256(std::string_view data) {
  thread_local const DigestContext context(EVP_MD_CTX_new());
  must(context != nullptr);
  start(context.get());
  must(EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1);
  return finish_digest(context.get());
}

Sha256::Sha256() {
  DigestContext context(EVP_MD_CTX_new());
  must(context != nullptr);
  start(context.get());
  context_ = context.release();
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256::update(std::string_view data) {
  must(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data.data(), data.size()) == 1);
}

Digest Sha256::finish() {
  auto* context = static_cast<EVP_MD_CTX*>(context_);
  const Digest out = finish_digest(context);
  start(context);
  return out;
}

Digest hmac_sha256(std::string_view key, std::string_view data) {
  const MacContext context(EVP_MAC_CTX_new(hmac_algorithm()));
  must(context != nullptr);
  static char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  // A null key would mean "the key of before" to OpenSSL; the empty key is a key.
  const unsigned char* key_bytes = key.empty() ? bytes(std::string_view("")) : bytes(key);
  must(EVP_MAC_init(context.get(), key_bytes, key.size(), params) == 1);
  must(EVP_MAC_update(context.get(), bytes(data), data.size()) == 1);
  Digest out;
  size_t size = 0;
  must(EVP_MAC_final(context.get(), bytes(out.data()), &size, out.size()) == 1 && size == out.size());
  return out;
}

bool equal_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace pailfs
