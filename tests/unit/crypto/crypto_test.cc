// What callers rely on beyond the primitives themselves.
#include "crypto/crypto.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace pailfs {
namespace {

Nonce nonce_of(uint32_t n) {
  Nonce nonce{};
  for (size_t i = 0; i < 4; ++i) nonce[i] = static_cast<char>(n >> (8 * i));
  return nonce;
}

std::string seal(const Aead& aead, uint32_t nonce, std::string_view aad, std::string_view plaintext) {
  std::string out(plaintext.size() + kTagSize, '\0');
  aead.seal(nonce_of(nonce), aad, plaintext, out);
  return out;
}

bool opens(const Aead& aead, uint32_t nonce, std::string_view aad, std::string_view sealed, std::string& out) {
  out.assign(sealed.size() < kTagSize ? 0 : sealed.size() - kTagSize, 'x');
  return aead.open(nonce_of(nonce), aad, sealed, out);
}

TEST(Aead, EveryFlippedBitIsNoticedAndLeavesZeros) {
  const Aead aead(Secret(std::string(kKeySize, 'k')));
  const std::string sealed = seal(aead, 1, "birth", "the quick brown fox");
  std::string out;
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string damaged = sealed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(opens(aead, 1, "birth", damaged, out)) << "bit " << bit;
    EXPECT_EQ(out, std::string(out.size(), '\0'));
  }
}

TEST(Aead, OtherNonceAssociatedDataOrKeyDoesNotOpen) {
  const Aead aead(Secret(std::string(kKeySize, 'k')));
  const Aead other(Secret(std::string(kKeySize, 'o')));
  const std::string sealed = seal(aead, 1, "birth", "text");
  std::string out;
  EXPECT_FALSE(opens(aead, 2, "birth", sealed, out));
  EXPECT_FALSE(opens(aead, 1, "Birth", sealed, out));
  EXPECT_FALSE(opens(aead, 1, "", sealed, out));
  EXPECT_FALSE(opens(other, 1, "birth", sealed, out));
  EXPECT_TRUE(opens(aead, 1, "birth", sealed, out));
  EXPECT_EQ(out, "text");
}

TEST(Aead, ShortInputAndWrongRoomDoNotOpen) {
  const Aead aead(Secret(std::string(kKeySize, 'k')));
  std::string out;
  for (size_t size = 0; size < kTagSize; ++size) EXPECT_FALSE(opens(aead, 1, "", std::string(size, 'a'), out));
  const std::string sealed = seal(aead, 1, "", "text");
  std::string room(5, 'x');
  EXPECT_FALSE(aead.open(nonce_of(1), "", sealed, room));
  EXPECT_EQ(room, std::string(5, '\0'));
}

TEST(Aead, SealsAndOpensInPlace) {
  const Aead aead(Secret(std::string(kKeySize, 'k')));
  const std::string text(5000, 't');
  std::string buffer = text + std::string(kTagSize, '\0');
  aead.seal(nonce_of(1), "a", std::string_view(buffer).substr(0, text.size()), buffer);
  EXPECT_EQ(buffer, seal(aead, 1, "a", text));
  ASSERT_TRUE(aead.open(nonce_of(1), "a", buffer, std::span(buffer).first(text.size())));
  EXPECT_EQ(buffer.substr(0, text.size()), text);
}

TEST(Aead, ContextsAreSharedByManyThreadsWithoutMixingStates) {
  const Aead aead(Secret(std::string(kKeySize, 'k')));
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (uint32_t t = 0; t < 12; ++t) {  // more than there are slots for contexts
    threads.emplace_back([&aead, &wrong, t] {
      std::string out;
      for (uint32_t i = 0; i < 500; ++i) {
        const std::string text(i % 200, static_cast<char>('a' + t));
        const std::string sealed = seal(aead, t * 1000 + i, "aad", text);
        if (!opens(aead, t * 1000 + i, "aad", sealed, out) || out != text) ++wrong;
        if (opens(aead, t * 1000 + i, "other", sealed, out)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Hkdf, ContextsWithDifferentInfoOrSaltGiveDifferentKeys) {
  const std::string key(kKeySize, 'k');
  EXPECT_EQ(hkdf(key, "salt", "info").view(), hkdf(key, "salt", "info").view());
  EXPECT_NE(hkdf(key, "salt", "info").view(), hkdf(key, "salt", "other").view());
  EXPECT_NE(hkdf(key, "salt", "info").view(), hkdf(key, "pepper", "info").view());
  EXPECT_EQ(hkdf(key, "salt", "info").size(), kKeySize);
}

TEST(Scrypt, RefusesCostsThatAreNotSane) {
  for (const ScryptCost cost : {ScryptCost{9, 8, 1}, ScryptCost{25, 8, 1}, ScryptCost{16, 0, 1}, ScryptCost{16, 33, 1},
                                ScryptCost{16, 8, 0}, ScryptCost{16, 8, 17}, ScryptCost{16, 1, 1}}) {
    const auto key = scrypt("passphrase", "salt", cost);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Code::kInvalid);
  }
}

TEST(Scrypt, AcceptsAnEmptyPassphraseAndSalt) {
  const auto key = scrypt({}, {}, {.log_n = 10, .r = 8, .p = 1});
  ASSERT_TRUE(key);
  EXPECT_EQ(key->size(), kKeySize);
}

TEST(Sha256, PiecesGiveTheSameDigestAsTheWholeAndTheObjectStartsAnew) {
  Sha256 digest;
  digest.update("hello ");
  digest.update("");
  digest.update("world");
  EXPECT_EQ(digest.finish(), sha256("hello world"));
  EXPECT_EQ(digest.finish(), sha256(""));
}

TEST(HmacSha256, AcceptsAnEmptyKey) { EXPECT_NE(hmac_sha256({}, "data"), hmac_sha256("k", "data")); }

TEST(TokenPrf, IsKeyedPerObjectAlsoWhenObjectsAlternateOnOneThread) {
  const TokenPrf a(Secret(std::string(kKeySize, 'a')));
  const TokenPrf b(Secret(std::string(kKeySize, 'b')));
  const auto token_a = a.token("name");
  const auto token_b = b.token("name");
  EXPECT_NE(token_a, token_b);
  EXPECT_EQ(a.token("name"), token_a);
  EXPECT_EQ(b.token("name"), token_b);
  EXPECT_NE(a.token("nam"), token_a);
}

TEST(TokenPrf, GivesTheSameTokensOnAllThreads) {
  const TokenPrf prf(Secret(std::string(kKeySize, 'a')));
  const auto expected = prf.token("name");
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) wrong += prf.token("name") != expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(EqualSecret, ComparesLengthAndContent) {
  EXPECT_TRUE(equal_secret("abc", "abc"));
  EXPECT_TRUE(equal_secret("", ""));
  EXPECT_FALSE(equal_secret("abc", "abd"));
  EXPECT_FALSE(equal_secret("abc", "ab"));
}

TEST(Base64, RoundTripsAllLengthsAndBytes) {
  std::string data;
  for (int i = 0; i < 300; ++i) {
    const auto decoded = base64_decode(base64(data));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, data);
    data.push_back(static_cast<char>(i));
  }
}

TEST(Base64, RefusesWhatTheEncoderWouldNotHaveWritten) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Zg==Zg==", " Zg==", "Zg==\n", "Zm9v\nZm9v",
                           "Zm9v    ", "Z*9v", "=Zg=", "Zm-_"}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

}  // namespace
}  // namespace pailfs
