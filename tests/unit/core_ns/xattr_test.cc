#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

using Mode = Core::XattrMode;

class XattrTest : public CoreTest {
 protected:
  Status set(const Caller& caller, Ino ino, std::string_view name, std::string_view value, Mode mode = Mode::kSet) {
    return core->setxattr(caller, ino, name, value, mode);
  }
  std::vector<std::string> list(const Caller& caller, Ino ino) {
    auto names = core->listxattr(caller, ino);
    EXPECT_OK(names);
    if (!names) return {};
    std::ranges::sort(*names);
    return *names;
  }
};

TEST_F(XattrTest, AreSetReadListedAndRemoved) {
  const Ino ino = file("a");
  EXPECT_CODE(core->getxattr(root, ino, "user.a"), Code::kNoData);
  EXPECT_TRUE(list(root, ino).empty());
  env.advance(1'000'000'000);
  EXPECT_OK(set(root, ino, "user.a", std::string("\0x", 2)));
  EXPECT_EQ(stat(ino).ctime, env.now());
  EXPECT_OK(set(root, ino, "user.b", ""));
  EXPECT_EQ(core->getxattr(root, ino, "user.a"), std::string("\0x", 2));
  EXPECT_EQ(core->getxattr(root, ino, "user.b"), "");
  EXPECT_EQ(list(root, ino), (std::vector<std::string>{"user.a", "user.b"}));
  EXPECT_OK(core->removexattr(root, ino, "user.a"));
  EXPECT_CODE(core->removexattr(root, ino, "user.a"), Code::kNoData);
  EXPECT_EQ(list(root, ino), (std::vector<std::string>{"user.b"}));
  restart();
  EXPECT_EQ(core->getxattr(root, ino, "user.b"), "");
  EXPECT_OK(core->removexattr(root, ino, "user.b"));
  EXPECT_CODE(core->getxattr(root, ino, "user.b"), Code::kNoData);
  expect_sound();
}

TEST_F(XattrTest, CreateAndReplaceSayWhatTheyExpect) {
  const Ino ino = file("a");
  EXPECT_CODE(set(root, ino, "user.a", "1", Mode::kReplace), Code::kNoData);
  EXPECT_OK(set(root, ino, "user.a", "1", Mode::kCreate));
  EXPECT_CODE(set(root, ino, "user.a", "2", Mode::kCreate), Code::kExists);
  EXPECT_OK(set(root, ino, "user.a", "3", Mode::kReplace));
  EXPECT_EQ(core->getxattr(root, ino, "user.a"), "3");
}

TEST_F(XattrTest, HaveLimits) {
  const Ino ino = file("a");
  EXPECT_OK(set(root, ino, "user." + std::string(250, 'n'), std::string(65536, 'v')));
  EXPECT_CODE(set(root, ino, "user." + std::string(251, 'n'), "v"), Code::kRange);
  EXPECT_CODE(set(root, ino, "user.a", std::string(65537, 'v')), Code::kTooBig);
  EXPECT_CODE(set(root, ino, "", "v"), Code::kRange);
  EXPECT_CODE(set(root, ino, "user.", "v"), Code::kInvalid);
  EXPECT_CODE(set(root, ino, "nobody.a", "v"), Code::kNotSupported);
  // The list of names has 64 KiB, of which those of the ACLs are kept free: 255 names of 256 bytes each with their NUL.
  Status status;
  int count = 1;
  while ((status = set(root, ino,
                       "user." + std::to_string(count) + std::string(250 - std::to_string(count).size(), 'x'), ""))) {
    ++count;
  }
  EXPECT_EQ(count, 255);
  EXPECT_CODE(status, Code::kNoSpace);
}

TEST_F(XattrTest, UserAttributesFollowTheModeOfFilesAndDirectories) {
  const Ino ino = file("a", 0644);
  EXPECT_OK(set(root, ino, "user.a", "1"));
  EXPECT_EQ(core->getxattr(alice, ino, "user.a"), "1");
  EXPECT_CODE(set(alice, ino, "user.a", "2"), Code::kAccessDenied);
  EXPECT_CODE(core->removexattr(alice, ino, "user.a"), Code::kAccessDenied);
  EXPECT_OK(chmod(root, ino, 0622));
  EXPECT_CODE(core->getxattr(alice, ino, "user.a"), Code::kAccessDenied);
  EXPECT_OK(set(alice, ino, "user.a", "2"));
  EXPECT_EQ(list(alice, ino), (std::vector<std::string>{"user.a"}));

  EXPECT_OK(core->symlink(root, bucket, "l", "x"));
  EXPECT_CODE(set(root, at(bucket, "l"), "user.a", "1"), Code::kNotPermitted);
  EXPECT_CODE(core->getxattr(root, at(bucket, "l"), "user.a"), Code::kNoData);
  EXPECT_OK(core->mknod(root, bucket, "fifo", S_IFIFO | 0666, 0));
  EXPECT_CODE(set(alice, at(bucket, "fifo"), "user.a", "1"), Code::kNotPermitted);

  const Ino sticky = mkdir("sticky", 01777);
  EXPECT_CODE(set(alice, sticky, "user.a", "1"), Code::kNotPermitted);
  EXPECT_OK(set(root, sticky, "user.a", "1"));
  EXPECT_OK(set(alice, mkdir("open", 0777), "user.a", "1"));
}

TEST_F(XattrTest, TrustedIsTheSuperusersAndSecurityTheOwners) {
  const Ino ino = file(bucket, "a", 0666, alice);
  EXPECT_CODE(set(alice, ino, "trusted.a", "1"), Code::kNotPermitted);
  EXPECT_OK(set(root, ino, "trusted.a", "1"));
  EXPECT_CODE(core->getxattr(alice, ino, "trusted.a"), Code::kNoData);
  EXPECT_EQ(core->getxattr(root, ino, "trusted.a"), "1");
  EXPECT_TRUE(list(alice, ino).empty());
  EXPECT_EQ(list(root, ino), (std::vector<std::string>{"trusted.a"}));
  EXPECT_CODE(set(bob, ino, "security.a", "1"), Code::kNotPermitted);
  EXPECT_OK(set(alice, ino, "security.a", "1"));
  EXPECT_EQ(core->getxattr(bob, ino, "security.a"), "1");
}

TEST_F(XattrTest, OthersOfSystemAreNotSupportedAndTheStoresOwnNamesAreReserved) {
  const Ino ino = file("a");
  for (const char* name : {"system.nfs4_acl", "system."}) {
    EXPECT_CODE(set(root, ino, name, "1"), Code::kNotSupported);
    EXPECT_CODE(core->getxattr(root, ino, name), Code::kNotSupported);
    EXPECT_CODE(core->removexattr(root, ino, name), Code::kNotSupported);
  }
  EXPECT_CODE(core->getxattr(root, ino, "user.s3.version"), Code::kNoData);
  EXPECT_CODE(set(root, ino, "user.s3.version", "1"), Code::kNotPermitted);
  EXPECT_CODE(core->removexattr(root, ino, "user.s3.version"), Code::kNotPermitted);
}

}  // namespace
}  // namespace pailfs::test
