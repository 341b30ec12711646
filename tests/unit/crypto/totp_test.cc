// RFC 6238, appendix B, with HMAC-SHA-1; RFC 4226, appendix D; RFC 4648, section 10.
#include "crypto/totp.h"

#include <gtest/gtest.h>

namespace pailfs {
namespace {

constexpr std::string_view kSecret = "12345678901234567890";

TEST(Totp, MatchesRfc6238) {
  const std::pair<int64_t, const char*> vectors[] = {
      {59, "94287082"},         {1111111109, "07081804"}, {1111111111, "14050471"},
      {1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"},
  };
  for (const auto& [seconds, code] : vectors) {
    EXPECT_EQ(totp_code(kSecret, seconds / kTotpPeriod, 8), code) << seconds;
    EXPECT_EQ(totp_code(kSecret, seconds / kTotpPeriod), std::string(code).substr(2)) << seconds;
  }
}

TEST(Totp, MatchesRfc4226) {
  const char* const codes[] = {"755224", "287082", "359152", "969429", "338314",
                               "254676", "287922", "162583", "399871", "520489"};
  for (int64_t counter = 0; counter < 10; ++counter) EXPECT_EQ(totp_code(kSecret, counter), codes[counter]);
}

TEST(Totp, TakesOneStepOfDriftEitherWay) {
  EXPECT_EQ(totp_match(kSecret, "287082", 30), 1);
  EXPECT_EQ(totp_match(kSecret, "287082", 59), 1);
  EXPECT_EQ(totp_match(kSecret, "287082", 60), 1);
  EXPECT_EQ(totp_match(kSecret, "287082", 89), 1);
  EXPECT_EQ(totp_match(kSecret, "287082", 0), 1);
  EXPECT_EQ(totp_match(kSecret, "287082", 90), std::nullopt);
  EXPECT_EQ(totp_match(kSecret, "287083", 59), std::nullopt);
  EXPECT_EQ(totp_match(kSecret, "87082", 59), std::nullopt);
  EXPECT_EQ(totp_match(kSecret, "", 59), std::nullopt);
}

TEST(Base32, MatchesRfc4648WithoutPadding) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "MY"},
      {"fo", "MZXQ"},
      {"foo", "MZXW6"},
      {"foob", "MZXW6YQ"},
      {"fooba", "MZXW6YTB"},
      {"foobar", "MZXW6YTBOI"},
  };
  for (const auto& [data, text] : vectors) EXPECT_EQ(base32(data), text);
}

}  // namespace
}  // namespace pailfs
