#include <openssl/evp.h>

#include "crypto/crypto.h"
#include "crypto/openssl_call.h"

namespace pailfs {

namespace {

constexpr size_t kSipKeySize = 16;

EVP_MAC* siphash_algorithm() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  must(mac != nullptr);
  return mac;
}

}  // namespace

TokenPrf::TokenPrf(const Secret& key) : key_(key.view().substr(0, kSipKeySize)) { must(key_.size() == kSipKeySize); }

TokenPrf::~TokenPrf() = default;

std::array<char, 16> TokenPrf::token(std::string_view data) const {
  // One context per thread, keyed anew for each token: making a context costs more than the token does. OpenSSL's
  // defaults are two compression rounds, four finalisation rounds and 16 bytes out, which is what we want.
  thread_local const MacContext context(EVP_MAC_CTX_new(siphash_algorithm()));
  must(context != nullptr);
  std::array<char, 16> out;
  size_t size = 0;
  must(EVP_MAC_init(context.get(), bytes(key_.view()), key_.size(), nullptr) == 1);
  must(EVP_MAC_update(context.get(), bytes(data), data.size()) == 1);
  must(EVP_MAC_final(context.get(), bytes(out.data()), &size, out.size()) == 1 && size == out.size());
  return out;
}

}  // namespace pailfs
