// What the superblock says, and what is said of one that says something else.
#include "store/superblock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/memory_env.h"

namespace pailfs {
namespace {

class SuperblockTest : public testing::Test {
 protected:
  SuperblockTest() { EXPECT_TRUE(env_.make_dir("/s")); }
  // The code of reading one with this format, and the message in `why_`.
  Code code_of_format(const std::string& format) {
    const std::string text = fmt::format(
        R"({{"pailfs":"store","format":{},"uuid":"01234567-89ab-4def-8123-456789abcdef","created":1}})", format);
    EXPECT_TRUE(env_.replace_file("/s/pailfs.store", text));
    const auto read = read_superblock(env_, "/s");
    EXPECT_FALSE(read) << "format " << format << " was taken for " << read->format;
    why_ = read ? "" : read.error().message;
    return read ? Code::kInvalid : read.error().code;
  }

  MemoryEnv env_;
  std::string why_;
};

TEST_F(SuperblockTest, ReadsWhatWasWritten) {
  const Superblock written{.uuid = make_uuid(env_), .created = 17};
  ASSERT_TRUE(write_superblock(env_, "/s", written));
  const auto read = read_superblock(env_, "/s");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->format, kFormat);
  EXPECT_EQ(read->uuid, written.uuid);
  EXPECT_EQ(read->created, 17);
}

// 2^32 + 1 cut off to 32 bits is this build's own format, and so is 2^64 - 2^32 + 1.
TEST_F(SuperblockTest, ANewerFormatIsOneHoweverLargeItsNumber) {
  for (const std::string format : {"2", "2147483648", "4294967297", "9223372036854775807", "9223372036854775809",
                                   "18446744069414584321", "18446744073709551615"}) {
    EXPECT_EQ(code_of_format(format), Code::kTooNew) << format;
    EXPECT_NE(why_.find("has format " + format + ","), std::string::npos) << why_;
  }
}

TEST_F(SuperblockTest, WhatIsNoFormatIsDamage) {
  for (const std::string format :
       {"0", "-1", "-4294967295", "-9223372036854775807", "1.0", "1e300", "98446744073709551615", "\"1\"", "null"}) {
    EXPECT_EQ(code_of_format(format), Code::kCorrupt) << format;
  }
}

}  // namespace
}  // namespace pailfs
