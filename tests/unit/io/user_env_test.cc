// Files as another user: needs root, as all that runs with packaging/test does.
#include "io/user_env.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "support/temporary_directory.h"

namespace pailfs {
namespace {

constexpr uint32_t kDaemon = 1;

uint32_t file_uid() { return static_cast<uint32_t>(::setfsuid(~uid_t{0})); }

class UserEnvTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(his_.c_str(), 0700), 0);
    ASSERT_EQ(::chown(his_.c_str(), kDaemon, kDaemon), 0);
    std::ofstream(secret_) << "root's";
    ASSERT_EQ(::chmod(secret_.c_str(), 0640), 0);
  }
  test::TemporaryDirectory directory_;
  const std::string his_ = directory_ / "his";
  const std::string secret_ = directory_ / "secret";
};

TEST_F(UserEnvTest, WhatIsMadeIsTheUsersAndNothingElseIsReached) {
  const auto user = owner_of_directory(his_);
  ASSERT_TRUE(user) << user.error().message;
  EXPECT_EQ(user->uid, kDaemon);
  const auto env = make_user_env(posix_env(), *user);
  ASSERT_TRUE(env->replace_file(his_ + "/file", "content"));
  ASSERT_TRUE(env->make_dir(his_ + "/directory"));
  for (const char* name : {"/file", "/directory"}) {
    struct stat found{};
    ASSERT_EQ(::stat((his_ + name).c_str(), &found), 0);
    EXPECT_EQ(found.st_uid, kDaemon);
    EXPECT_EQ(found.st_gid, kDaemon);
  }
  std::filesystem::create_symlink(secret_, his_ + "/link");
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    EXPECT_EQ(env->open(secret_, mode).error().code, Code::kAccessDenied) << "also not by root's group";
    EXPECT_FALSE(env->open(his_ + "/link", mode));
  }
  EXPECT_FALSE(env->open(directory_ / "new", OpenMode::kCreate));
  EXPECT_FALSE(env->lock_file(secret_));
  EXPECT_EQ(file_uid(), 0u) << "between calls the thread is who it was";
  EXPECT_TRUE(posix_env().open(secret_, OpenMode::kReadWrite));
}

TEST_F(UserEnvTest, ThreadsAreTheUserIfTheyBeginMeanwhile) {
  uint32_t inside = 0, beside = kDaemon;
  {
    const auto as = AsFileUser::begin({kDaemon, kDaemon, {}});
    ASSERT_TRUE(as) << as.error().message;
    std::thread([&] { inside = file_uid(); }).join();
  }
  std::thread([&] { beside = file_uid(); }).join();
  EXPECT_EQ(inside, kDaemon);
  EXPECT_EQ(beside, 0u);
}

// Whoever could write elsewhere by it.
TEST_F(UserEnvTest, ALinkIsNotOpenedForWriting) {
  const std::string link = directory_ / "link";
  std::filesystem::create_symlink(secret_, link);
  EXPECT_FALSE(posix_env().open(link, OpenMode::kReadWrite));
  EXPECT_TRUE(posix_env().open(link, OpenMode::kRead));
}

}  // namespace
}  // namespace pailfs
