#include "fault/core/nonce_watch.h"

#include <dlfcn.h>

#include <functional>
#include <mutex>
#include <string_view>
#include <unordered_map>

namespace pailfs::test {

namespace {

constexpr size_t kNonceBytes = 12;
constexpr size_t kKeyBytes = 32;

// FNV-1a over 64 bits and a second start: a match of two texts by chance is as good as excluded, and nobody attacks it.
struct Digest {
  uint64_t a = 0xcbf29ce484222325;
  uint64_t b = 0x9e3779b97f4a7c15;
  void add(const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < size; ++i) {
      a = (a ^ bytes[i]) * 0x100000001b3;
      b = (b ^ bytes[i]) * 0xff51afd7ed558ccd + (b >> 33);
    }
  }
  bool operator==(const Digest&) const = default;
};

struct DigestHash {
  size_t operator()(const Digest& digest) const { return digest.a ^ digest.b; }
};

struct Context {
  Digest key;
  bool encrypts = false;
  Digest key_and_nonce;
  Digest text;
};

class Watch {
 public:
  void init(void* context, const void* key, const void* nonce, int direction) {
    const std::lock_guard lock(mutex_);
    Context& c = contexts_[context];
    if (key != nullptr) {
      c.key = {};
      c.key.add(key, kKeyBytes);
    }
    c.encrypts = direction == 1 && nonce != nullptr;
    if (!c.encrypts) return;
    c.key_and_nonce = c.key;
    c.key_and_nonce.add(nonce, kNonceBytes);
    c.text = {};
  }
  void update(void* context, const void* in, size_t size, bool associated) {
    const std::lock_guard lock(mutex_);
    Context& c = contexts_[context];
    if (!c.encrypts) return;
    c.text.add(associated ? "a" : "t", 1);
    c.text.add(in, size);
  }
  void final(void* context) {
    const std::lock_guard lock(mutex_);
    Context& c = contexts_[context];
    if (!c.encrypts) return;
    c.encrypts = false;
    const auto [place, first] = texts_.try_emplace(c.key_and_nonce, c.text);
    if (!first && place->second != c.text) ++reused_;
  }
  void forget(void* context) {
    const std::lock_guard lock(mutex_);
    contexts_.erase(context);
  }
  NonceReport report() {
    const std::lock_guard lock(mutex_);
    return {.texts = texts_.size(), .reused = reused_};
  }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, Context> contexts_;
  std::unordered_map<Digest, Digest, DigestHash> texts_;
  uint64_t reused_ = 0;
};

// Never destroyed: ciphers may go after it would.
Watch& watch() {
  static Watch* const one = new Watch;
  return *one;
}

template <class Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

NonceReport nonce_report() { return watch().report(); }

}  // namespace pailfs::test

extern "C" {

int EVP_CipherInit_ex2(void* context, const void* cipher, const unsigned char* key, const unsigned char* nonce,
                       int direction, const void* parameters) {
  static auto* const next = pailfs::test::original<decltype(EVP_CipherInit_ex2)>("EVP_CipherInit_ex2");
  pailfs::test::watch().init(context, key, nonce, direction);
  return next(context, cipher, key, nonce, direction, parameters);
}

int EVP_CipherUpdate(void* context, unsigned char* out, int* written, const unsigned char* in, int size) {
  static auto* const next = pailfs::test::original<decltype(EVP_CipherUpdate)>("EVP_CipherUpdate");
  pailfs::test::watch().update(context, in, static_cast<size_t>(size), out == nullptr);
  return next(context, out, written, in, size);
}

int EVP_CipherFinal_ex(void* context, unsigned char* out, int* written) {
  static auto* const next = pailfs::test::original<decltype(EVP_CipherFinal_ex)>("EVP_CipherFinal_ex");
  pailfs::test::watch().final(context);
  return next(context, out, written);
}

void EVP_CIPHER_CTX_free(void* context) {
  static auto* const next = pailfs::test::original<decltype(EVP_CIPHER_CTX_free)>("EVP_CIPHER_CTX_free");
  pailfs::test::watch().forget(context);
  next(context);
}
}
