// Published test vectors of every primitive.
#include <gtest/gtest.h>

#include "crypto/crypto.h"
#include "support/hex.h"

namespace pailfs {
namespace {

using test::from_hex;
using test::to_hex;

struct GcmVector {
  const char* key;
  const char* nonce;
  const char* aad;
  const char* plaintext;
  const char* ciphertext;
  const char* tag;
};

// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, cases 13 to 16 (as submitted to NIST).
const GcmVector kGcmVectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

Nonce nonce_of(const std::string& bytes) {
  Nonce nonce{};
  std::copy(bytes.begin(), bytes.end(), nonce.begin());
  return nonce;
}

TEST(Aead, MatchesTheGcmSpecificationInBothDirections) {
  for (const auto& v : kGcmVectors) {
    const Aead aead(Secret(from_hex(v.key)));
    const std::string plaintext = from_hex(v.plaintext);
    const Nonce nonce = nonce_of(from_hex(v.nonce));
    std::string sealed(plaintext.size() + kTagSize, '\0');
    aead.seal(nonce, from_hex(v.aad), plaintext, sealed);
    EXPECT_EQ(to_hex(sealed), std::string(v.ciphertext) + v.tag);
    std::string opened(plaintext.size(), 'x');
    EXPECT_TRUE(aead.open(nonce, from_hex(v.aad), sealed, opened));
    EXPECT_EQ(opened, plaintext);
  }
}

// RFC 5869, appendix A, test cases 1 to 3.
TEST(Hkdf, MatchesRfc5869) {
  EXPECT_EQ(to_hex(hkdf(from_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                        from_hex("000102030405060708090a0b0c"), from_hex("f0f1f2f3f4f5f6f7f8f9"), 42)
                       .view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(
      to_hex(hkdf(from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a"
                           "2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f"),
                  from_hex("606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a"
                           "8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf"),
                  from_hex("b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9da"
                           "dbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
                  82)
                 .view()),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f"
      "09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(to_hex(hkdf(from_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"), "", "", 42).view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

// RFC 7914, section 12.
TEST(Scrypt, MatchesRfc7914) {
  const auto first = scrypt("password", "NaCl", {.log_n = 10, .r = 8, .p = 16}, 64);
  ASSERT_TRUE(first);
  EXPECT_EQ(
      to_hex(first->view()),
      "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83"
      "ee6d8360cbdfa2cc0640");
  const auto second = scrypt("pleaseletmein", "SodiumChloride", {.log_n = 14, .r = 8, .p = 1}, 64);
  ASSERT_TRUE(second);
  EXPECT_EQ(
      to_hex(second->view()),
      "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d65"
      "1e40dfcf017b45575887");
}

// RFC 4231, test cases 1, 2 and 6.
TEST(HmacSha256, MatchesRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// FIPS 180-4 examples.
TEST(Sha256, MatchesFips180) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// vectors_sip128 of the reference implementation (github.com/veorq/SipHash): input 00 01 02 ... of growing length.
TEST(TokenPrf, MatchesTheSipHash128Reference) {
  const TokenPrf prf(Secret(from_hex("000102030405060708090a0b0c0d0e0f")));
  EXPECT_EQ(to_hex(prf.token("")), "a3817f04ba25a8e66df67214c7550293");
  EXPECT_EQ(to_hex(prf.token(from_hex("00"))), "da87c1d86b99af44347659119b22fc45");
  EXPECT_EQ(to_hex(prf.token(from_hex("0001"))), "8177228da4a45dc7fca38bdef60affe4");
  const std::string counting = from_hex(
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
      "38393a3b3c3d3e");
  EXPECT_EQ(to_hex(prf.token(std::string_view(counting).substr(0, 15))), "5493e99933b0a8117e08ec0f97cfc3d9");
  EXPECT_EQ(to_hex(prf.token(std::string_view(counting).substr(0, 16))), "6ee2a4ca67b054bbfd3315bf85230577");
  EXPECT_EQ(to_hex(prf.token(counting)), "5150d1772f50834a503e069a973fbd7c");
}

// RFC 4648, section 10.
TEST(Base64, MatchesRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [data, text] : vectors) {
    EXPECT_EQ(base64(data), text);
    const auto decoded = base64_decode(text);
    ASSERT_TRUE(decoded) << text;
    EXPECT_EQ(*decoded, data);
  }
}

}  // namespace
}  // namespace pailfs
