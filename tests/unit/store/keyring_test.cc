#include "store/keyring.h"

#include <fmt/format.h>

#include <cctype>

#include "store_fixture.h"

namespace pailfs {
namespace {

class KeyringTest : public testing::Test {
 protected:
  KeyringTest() {
    EXPECT_TRUE(env_.make_dir("/s"));
    keyring_ = std::move(*Keyring::create(env_, "/s", uuid_, test_secret(), "first", {}));
  }
  Result<std::unique_ptr<Keyring>> unlock(const UnlockSecret& secret) {
    return Keyring::unlock(env_, "/s", uuid_, secret);
  }
  static UnlockSecret passphrase(std::string_view text) { return {SlotKind::kPassphrase, Secret(text)}; }

  MemoryEnv env_;
  const std::string uuid_ = std::string(16, 'u');
  const ScryptCost cheap_{10, 8, 1};
  std::unique_ptr<Keyring> keyring_;
};

TEST_F(KeyringTest, EverySlotOpensTheSameKeys) {
  ASSERT_TRUE(keyring_->create_scope(7));
  ASSERT_TRUE(keyring_->add_slot(passphrase("open sesame"), "", cheap_));
  const std::string recovery = Keyring::make_recovery_key(env_);
  ASSERT_TRUE(keyring_->add_slot({SlotKind::kRecovery, Secret(recovery)}, "", cheap_));
  const UnlockSecret key_file = test_secret();
  const UnlockSecret sesame = passphrase("open sesame");
  const UnlockSecret printed{SlotKind::kRecovery, Secret(recovery)};
  for (const UnlockSecret* secret : {&key_file, &sesame, &printed}) {
    auto opened = unlock(*secret);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ((*opened)->scope(7)->data.view(), keyring_->scope(7)->data.view());
    EXPECT_EQ((*opened)->derive("log").view(), keyring_->derive("log").view());
  }
}

TEST_F(KeyringTest, ARecoveryKeyIsTakenInSmallLettersAndWithoutDashes) {
  std::string recovery = Keyring::make_recovery_key(env_);
  ASSERT_TRUE(keyring_->add_slot({SlotKind::kRecovery, Secret(recovery)}, "", cheap_));
  std::erase(recovery, '-');
  for (char& c : recovery) c = static_cast<char>(std::tolower(c));
  EXPECT_TRUE(unlock({SlotKind::kRecovery, Secret(recovery)}));
}

TEST_F(KeyringTest, AWrongSecretIsRefusedInWords) {
  auto opened = unlock(test_secret("ffffffffffffffffffffffffffffffff"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kWrongKey);
  EXPECT_NE(opened.error().message.find("/s"), std::string::npos);
  EXPECT_EQ(unlock(passphrase("x")).error().code, Code::kWrongKey);
}

TEST_F(KeyringTest, ASecretHasOneSlot) {
  ASSERT_TRUE(keyring_->add_slot(passphrase("open sesame"), "mine", cheap_));
  const std::string recovery = Keyring::make_recovery_key(env_);
  ASSERT_TRUE(keyring_->add_slot({SlotKind::kRecovery, Secret(recovery)}, "", cheap_));
  const auto refused = [&](const UnlockSecret& secret) {
    const auto added = keyring_->add_slot(secret, "again", cheap_);
    return !added && added.error().code == Code::kExists ? added.error().message : "taken";
  };
  EXPECT_EQ(refused(test_secret()), "slot 1 (first) opens with this key file already: nothing was changed");
  EXPECT_EQ(refused(passphrase("open sesame")),
            "slot 2 (mine) opens with this passphrase already: nothing was changed");
  EXPECT_EQ(refused({SlotKind::kRecovery, Secret(recovery)}),
            "slot 3 opens with this recovery key already: nothing was changed");
  EXPECT_EQ(keyring_->slots().size(), 3u);
  ASSERT_TRUE(keyring_->remove_slot(2));
  EXPECT_TRUE(keyring_->add_slot(passphrase("open sesame"), "again", cheap_));
}

TEST_F(KeyringTest, TheLastSlotStays) {
  EXPECT_EQ(keyring_->remove_slot(1).error().code, Code::kInvalid);
  auto second = keyring_->add_slot(passphrase("p"), "", cheap_);
  ASSERT_TRUE(second);
  ASSERT_TRUE(keyring_->remove_slot(1));
  EXPECT_EQ(unlock(test_secret()).error().code, Code::kWrongKey);
  EXPECT_TRUE(unlock(passphrase("p")));
  EXPECT_EQ(keyring_->remove_slot(1).error().code, Code::kNotFound);
}

TEST_F(KeyringTest, OneDamagedCopyIsMendedFromTheOther) {
  ASSERT_TRUE(keyring_->create_scope(3));
  for (const std::string copy : {"/s/keyring.0", "/s/keyring.1"}) {
    for (size_t at = 0;; at += 37) {
      // What was mended last: an older one would be taken for that, whatever else it is.
      std::string damaged = *env_.read_file(copy, 1 << 20);
      if (at >= damaged.size()) break;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      ASSERT_TRUE(env_.replace_file(copy, damaged));
      auto opened = unlock(test_secret());
      ASSERT_TRUE(opened) << copy << " byte " << at << ": " << opened.error().message;
      ASSERT_NE((*opened)->scope(3), nullptr);
      EXPECT_EQ((*opened)->scope(3)->data.view(), keyring_->scope(3)->data.view());
      EXPECT_NE(*env_.read_file(copy, 1 << 20), damaged);
    }
  }
}

TEST_F(KeyringTest, WhateverStandsInOneCopyTheOtherOneOpensTheStore) {
  ASSERT_TRUE(keyring_->add_slot(passphrase("open sesame"), "", cheap_));
  const std::string whole = *env_.read_file("/s/keyring.0", 1 << 20);
  const auto changed = [&whole](std::string_view what, std::string_view with) {
    std::string text = whole;
    const size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
  };
  const std::string deep = R"({"x":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  const std::vector<std::string> texts{
      changed(R"("log_n":10)", R"("log_n":90)"),  // a cost that no passphrase has
      changed(R"("format":1)", R"("format":3)"),  // a newer pailfs would have counted the generation up
      changed(R"("label":"first")", R"("label":"fjrst")"), "{}", "", deep};
  for (const std::string copy : {"/s/keyring.0", "/s/keyring.1"}) {
    for (const std::string& text : texts) {
      const std::string before = *env_.read_file(copy, 1 << 20);
      ASSERT_TRUE(env_.replace_file(copy, text));
      const auto opened = unlock(passphrase("open sesame"));
      ASSERT_TRUE(opened) << copy << ": " << opened.error().message;
      EXPECT_EQ(*env_.read_file("/s/keyring.0", 1 << 20), *env_.read_file("/s/keyring.1", 1 << 20));
      for (const std::string both : {"/s/keyring.0", "/s/keyring.1"}) ASSERT_TRUE(env_.replace_file(both, before));
    }
  }
}

TEST_F(KeyringTest, ACopyThatANewerPailfsWroteIsLeftAlone) {
  const std::string whole = *env_.read_file("/s/keyring.1", 1 << 20);
  for (const std::string format : {"2", "18446744073709551615"}) {
    ASSERT_TRUE(env_.replace_file("/s/keyring.0", fmt::format(R"({{"format":{},"generation":2}})", format)));
    EXPECT_EQ(unlock(test_secret()).error().code, Code::kTooNew);
  }
  EXPECT_EQ(*env_.read_file("/s/keyring.1", 1 << 20), whole);
}

TEST_F(KeyringTest, BothCopiesDamagedIsDamageNotAWrongKey) {
  for (const std::string copy : {"/s/keyring.0", "/s/keyring.1"}) ASSERT_TRUE(env_.replace_file(copy, "{"));
  EXPECT_EQ(unlock(test_secret()).error().code, Code::kCorrupt);
}

TEST_F(KeyringTest, ADestroyedScopeDoesNotComeBackFromEitherCopy) {
  ASSERT_TRUE(keyring_->create_scope(3));
  ASSERT_TRUE(keyring_->destroy_scope(3));
  EXPECT_EQ(env_.read_file("/s/keyring.0", 1 << 20)->find("\"scope\":3"), std::string::npos);
  EXPECT_EQ(env_.read_file("/s/keyring.1", 1 << 20)->find("\"scope\":3"), std::string::npos);
  EXPECT_EQ((*unlock(test_secret()))->scope(3), nullptr);
}

}  // namespace
}  // namespace pailfs
