// What the files of this module share in calling OpenSSL. Private to src/crypto.
#pragma once

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <memory>
#include <new>
#include <string_view>

namespace pailfs {

// With arguments that are known to be valid, OpenSSL's primitives fail only for want of memory. They must never fail
// silently (a buffer would keep its plaintext, a key would stay zero), so such a failure is treated as operator new
// treats it.
inline void must(bool ok) {
  if (!ok) throw std::bad_alloc();
}

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, OpenSslDeleter<EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, OpenSslDeleter<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, OpenSslDeleter<EVP_MAC_CTX_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, OpenSslDeleter<EVP_KDF_CTX_free>>;

inline const unsigned char* bytes(std::string_view data) { return reinterpret_cast<const unsigned char*>(data.data()); }
inline unsigned char* bytes(char* data) { return reinterpret_cast<unsigned char*>(data); }

}  // namespace pailfs
