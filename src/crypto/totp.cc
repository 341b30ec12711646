#include "crypto/totp.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <memory>

#include "crypto/crypto.h"
#include "crypto/openssl_call.h"

namespace pailfs {

namespace {

using Sha1Tag = std::array<unsigned char, 20>;

Sha1Tag hmac_sha1(std::string_view key, std::string_view data) {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  must(algorithm != nullptr);
  const MacContext context(EVP_MAC_CTX_new(algorithm));
  must(context != nullptr);
  static char digest[] = "SHA1";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  must(!key.empty() && EVP_MAC_init(context.get(), bytes(key), key.size(), params) == 1);
  must(EVP_MAC_update(context.get(), bytes(data), data.size()) == 1);
  Sha1Tag out;
  size_t size = 0;
  must(EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1 && size == out.size());
  return out;
}

}  // namespace

// RFC 4226, section 5.3: four bytes from an offset that the last one names, without the sign bit.
std::string totp_code(std::string_view secret, int64_t step, int digits) {
  std::array<char, 8> counter;
  for (size_t i = 0; i < counter.size(); ++i)
    counter[i] = static_cast<char>(static_cast<uint64_t>(step) >> (56 - 8 * i));
  const Sha1Tag tag = hmac_sha1(secret, {counter.data(), counter.size()});
  const size_t at = tag.back() & 0x0f;
  uint32_t number = (uint32_t{tag[at]} & 0x7f) << 24 | uint32_t{tag[at + 1]} << 16 | uint32_t{tag[at + 2]} << 8 |
                    uint32_t{tag[at + 3]};
  std::string code(static_cast<size_t>(digits), '0');
  for (size_t i = code.size(); i-- > 0; number /= 10) code[i] = static_cast<char>('0' + number % 10);
  return code;
}

std::optional<int64_t> totp_match(std::string_view secret, std::string_view code, int64_t seconds) {
  std::optional<int64_t> matched;
  const int64_t now = seconds / kTotpPeriod;
  for (int64_t step = now - 1; step <= now + 1; ++step) {
    std::string expected = totp_code(secret, step);
    if (equal_secret(expected, code)) matched = step;
    wipe(expected);
  }
  return matched;
}

std::string base32(std::string_view data) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string out;
  uint32_t bits = 0;
  int pending = 0;
  for (const char c : data) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (pending += 8; pending >= 5; pending -= 5) out.push_back(kAlphabet[bits >> (pending - 5) & 31]);
  }
  if (pending > 0) out.push_back(kAlphabet[bits << (5 - pending) & 31]);
  return out;
}

}  // namespace pailfs
