#include <openssl/evp.h>

#include <algorithm>
#include <atomic>

#include "crypto/crypto.h"
#include "crypto/openssl_call.h"

namespace pailfs {

namespace {

// Fetched once and kept for ever: an implicit fetch per context costs more than sealing a small value.
const EVP_CIPHER* aes_256_gcm() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  must(cipher != nullptr);
  return cipher;
}

// The slot a thread tries first, so that threads seldom meet on one.
size_t preferred_slot() {
  static std::atomic<size_t> next = 0;
  thread_local const size_t slot = next.fetch_add(1, std::memory_order_relaxed);
  return slot;
}

// EVP_CipherUpdate in pieces that fit its int length. `out` may be null for associated data.
bool update(EVP_CIPHER_CTX* context, unsigned char* out, std::string_view in) {
  constexpr size_t kPiece = size_t{1} << 30;
  while (!in.empty()) {
    const size_t n = std::min(in.size(), kPiece);
    int written = 0;
    if (EVP_CipherUpdate(context, out, &written, bytes(in), static_cast<int>(n)) != 1) return false;
    if (out != nullptr) out += n;
    in.remove_prefix(n);
  }
  return true;
}

}  // namespace

// Contexts that hold the expanded key, one slot each. Taking one is an exchange, giving it back a compare-exchange; who
// finds no context makes one, who finds no empty slot frees his. A context serves both directions: GCM runs the block
// cipher forwards only.
struct Aead::Pool {
  explicit Pool(const Secret& k) : key(k.clone()) { must(key.size() == kKeySize); }
  ~Pool() {
    for (auto& slot : slots) EVP_CIPHER_CTX_free(slot.load(std::memory_order_acquire));
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  CipherContext take() {
    const size_t first = preferred_slot();
    for (size_t i = 0; i < slots.size(); ++i) {
      auto& slot = slots[(first + i) % slots.size()];
      if (auto* context = slot.exchange(nullptr, std::memory_order_acquire)) return CipherContext(context);
    }
    CipherContext context(EVP_CIPHER_CTX_new());
    must(context != nullptr);
    must(EVP_CipherInit_ex2(context.get(), aes_256_gcm(), bytes(key.view()), nullptr, 1, nullptr) == 1);
    return context;
  }

  void give_back(CipherContext context) {
    const size_t first = preferred_slot();
    for (size_t i = 0; i < slots.size(); ++i) {
      EVP_CIPHER_CTX* empty = nullptr;
      auto& slot = slots[(first + i) % slots.size()];
      if (slot.compare_exchange_strong(empty, context.get(), std::memory_order_release, std::memory_order_relaxed)) {
        (void)context.release();
        return;
      }
    }
  }

  const Secret key;
  std::array<std::atomic<EVP_CIPHER_CTX*>, 8> slots{};
};

Aead::Aead(const Secret& key) : pool_(std::make_unique<Pool>(key)) {}
Aead::~Aead() = default;

void Aead::seal(const Nonce& nonce, std::string_view aad, std::string_view plaintext, std::span<char> out) const {
  must(out.size() == plaintext.size() + kTagSize);
  CipherContext context = pool_->take();
  unsigned char* to = bytes(out.data());
  int written = 0;
  must(EVP_CipherInit_ex2(context.get(), nullptr, nullptr, bytes({nonce.data(), nonce.size()}), 1, nullptr) == 1);
  must(update(context.get(), nullptr, aad));
  must(update(context.get(), to, plaintext));
  must(EVP_CipherFinal_ex(context.get(), to + plaintext.size(), &written) == 1);
  must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, to + plaintext.size()) == 1);
  pool_->give_back(std::move(context));
}

bool Aead::open(const Nonce& nonce, std::string_view aad, std::string_view sealed, std::span<char> out) const {
  if (sealed.size() < kTagSize || out.size() != sealed.size() - kTagSize) {
    wipe(out);
    return false;
  }
  CipherContext context = pool_->take();
  // Copied, because the control call wants it writable.
  std::array<char, kTagSize> tag;
  std::ranges::copy(sealed.substr(out.size()), tag.begin());
  must(EVP_CipherInit_ex2(context.get(), nullptr, nullptr, bytes({nonce.data(), nonce.size()}), 0, nullptr) == 1);
  must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1);
  must(update(context.get(), nullptr, aad));
  must(update(context.get(), bytes(out.data()), sealed.substr(0, out.size())));
  int written = 0;
  std::array<unsigned char, kTagSize> rest;
  const bool verified = EVP_CipherFinal_ex(context.get(), rest.data(), &written) == 1;
  if (!verified) wipe(out);
  pool_->give_back(std::move(context));
  return verified;
}

}  // namespace pailfs
