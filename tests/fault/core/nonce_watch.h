// Watches every text that the process encrypts with AES-GCM, in whatever store, image or life of one: a key and a nonce
// that serve two texts would give both away. It stands between pailfs and OpenSSL by defining the calls that a cipher
// is used with.
#pragma once

#include <cstdint>
#include <string>

namespace pailfs::test {

struct NonceReport {
  uint64_t texts = 0;   // encrypted, different ones
  uint64_t reused = 0;  // pairs of key and nonce that served more than one text
};
NonceReport nonce_report();

}  // namespace pailfs::test
