#include "ctl/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace pailfs {
namespace {

class SecretsTest : public testing::Test {
 protected:
  std::string file(const std::string& name, std::string_view content) {
    std::ofstream(directory_ / name) << content;
    return directory_ / name;
  }
  test::TemporaryDirectory directory_;
  Env& env_ = posix_env();
};

TEST_F(SecretsTest, ANewKeyFileHolds32BytesAndIsPrivate) {
  const std::string path = directory_ / "key";
  ASSERT_TRUE(create_key_file(env_, path));
  const auto secret = read_key_file(env_, path);
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->bytes.size(), 32u);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  EXPECT_FALSE(readable_by_others(path));
}

TEST_F(SecretsTest, AnExistingKeyFileIsNeverOverwritten) {
  const std::string path = file("key", "precious");
  EXPECT_EQ(create_key_file(env_, path).error().code, Code::kExists);
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

TEST_F(SecretsTest, AKeyFileIsTakenWithEveryByte) {
  const std::string content = std::string(40, 'k') + "\n";
  EXPECT_EQ(read_key_file(env_, file("key", content))->bytes.view(), content);
}

TEST_F(SecretsTest, AShortKeyFileIsRefused) {
  EXPECT_EQ(read_key_file(env_, file("key", std::string(31, 'k'))).error().code, Code::kInvalid);
}

TEST_F(SecretsTest, APassphraseLosesOneNewline) {
  EXPECT_EQ(read_passphrase_file(env_, file("a", "correct horse\n"))->bytes.view(), "correct horse");
  EXPECT_EQ(read_passphrase_file(env_, file("b", "correct horse\r\n"))->bytes.view(), "correct horse");
  EXPECT_EQ(read_passphrase_file(env_, file("c", "correct horse\n\n"))->bytes.view(), "correct horse\n");
}

TEST_F(SecretsTest, AnEmptyPassphraseIsRefused) {
  EXPECT_EQ(read_passphrase_file(env_, file("a", "\n")).error().code, Code::kInvalid);
}

TEST_F(SecretsTest, AMissingFileIsNamed) {
  const auto secret = read_key_file(env_, directory_ / "absent");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code, Code::kNotFound);
  EXPECT_THAT(secret.error().message, testing::HasSubstr("absent"));
}

TEST_F(SecretsTest, AFileThatOthersCanReadIsNoticed) {
  const std::string path = file("key", "k");
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  EXPECT_TRUE(readable_by_others(path));
}

TEST(SlotKindTest, IsKnownByItsName) {
  EXPECT_EQ(*parse_slot_kind("passphrase"), SlotKind::kPassphrase);
  EXPECT_FALSE(parse_slot_kind("password"));
}

}  // namespace
}  // namespace pailfs
