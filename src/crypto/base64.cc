#include <openssl/evp.h>

#include <climits>

#include "crypto/crypto.h"
#include "crypto/openssl_call.h"

namespace pailfs {

std::string base64(std::string_view data) {
  must(data.size() <= INT_MAX / 2);
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a NUL
  const int size = EVP_EncodeBlock(bytes(out.data()), bytes(data), static_cast<int>(data.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

Result<std::string> base64_decode(std::string_view text) {
  const auto invalid = [] { return fail(Code::kInvalid, "not valid base64"); };
  if (text.empty()) return std::string();
  if (text.size() % 4 != 0 || text.size() > INT_MAX / 2) return invalid();
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(bytes(out.data()), bytes(text), static_cast<int>(text.size()));
  if (size < 0) return invalid();
  out.resize(static_cast<size_t>(size));
  // EVP_DecodeBlock decodes padding to zero bytes.
  if (text.ends_with("==")) {
    out.resize(out.size() - 2);
  } else if (text.ends_with('=')) {
    out.resize(out.size() - 1);
  }
  // It also lets white space, stray padding and non-zero spare bits pass: one text per value is what we accept.
  if (base64(out) != text) return invalid();
  return out;
}

}  // namespace pailfs
