// ACLs in S3's words on a store, and Object Ownership.
#include "core/acl_ops.h"

#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

constexpr uint8_t kR = kGrantRead, kW = kGrantWrite, kFull = kGrantFullControl;

Grant user(uint32_t uid, uint8_t permissions) { return {{GranteeKind::kUser, uid}, permissions}; }
Grant group(uint32_t gid, uint8_t permissions) { return {{GranteeKind::kGroup, gid}, permissions}; }

class AclOpsTest : public CoreTest {
 protected:
  Status put(const Caller& caller, std::string_view path, std::string_view canned) {
    return core->put_object_acl(caller, "bucket", path, {std::string(canned), {}});
  }
  Status put(const Caller& caller, std::string_view path, std::vector<Grant> grants) {
    return core->put_object_acl(caller, "bucket", path, {{}, std::move(grants)});
  }
  std::vector<Grant> get(std::string_view path) {
    const auto acl = core->object_acl(root, "bucket", path);
    EXPECT_OK(acl);
    return acl ? acl->policy.grants : std::vector<Grant>();
  }
  Status own(ObjectOwnership ownership, const Caller& caller) {
    return core->set_bucket_ownership(caller, "bucket", ownership);
  }
  std::string read(const Caller& caller, Ino ino) {
    const auto opened = core->open(caller, ino, {.read = true});
    if (opened) core->release(ino, opened->handle);
    return outcome(opened);
  }
  std::string look(const Caller& caller, Ino parent, const std::string& name) {
    const auto found = core->lookup(caller, parent, name);
    if (found) core->forget(found->ino, 1);
    return outcome(found);
  }
  const std::string denied_ = code(Code::kAccessDenied);
};

TEST_F(AclOpsTest, WhatOneViewChangesTheOtherShows) {
  const Ino directory = mkdir("d"), ino = file(directory, "a", 0640, alice);
  EXPECT_EQ(get("d/a"), (std::vector<Grant>{user(1000, kFull), group(1000, kR)}));
  EXPECT_OK(put(alice, "d/a", {user(1001, kR), group(100, kW)}));
  EXPECT_EQ(read(bob, ino), "ok");
  EXPECT_EQ(stat(ino).mode & 07777, 0660u);
  EXPECT_OK(chmod(alice, ino, 0600));  // the mask
  EXPECT_EQ(get("d/a"), (std::vector<Grant>{user(1000, kFull)}));
  EXPECT_EQ(read(bob, ino), denied_);
  EXPECT_OK(put(alice, "d/a", "public-read"));
  EXPECT_EQ(stat(ino).mode & 07777, 0644u);
  EXPECT_CODE(core->getxattr(alice, ino, kAccessAclName), Code::kNoData);
  restart();
  EXPECT_EQ(get("d/a"), (std::vector<Grant>{user(1000, kFull), group(1000, kR), {{GranteeKind::kAllUsers}, kR}}));
  expect_sound();
}

TEST_F(AclOpsTest, WriteAcpIsKeptByChmodAndGoesWithAnotherAcl) {
  const Ino ino = file(bucket, "a", 0600, alice);
  EXPECT_OK(put(alice, "a", {user(1001, kGrantWriteAcp)}));
  const User carol{1002};
  EXPECT_CODE(chmod(carol, ino, 0644), Code::kNotPermitted);
  EXPECT_OK(chmod(bob, ino, 0640));
  EXPECT_CODE(chown(bob, ino, 1001, std::nullopt), Code::kNotPermitted);
  EXPECT_EQ(get("a"), (std::vector<Grant>{user(1000, kFull), user(1001, kGrantWriteAcp)}));
  restart();
  EXPECT_EQ(get("a"), (std::vector<Grant>{user(1000, kFull), user(1001, kGrantWriteAcp)}));
  // The attribute shows an entry without it, and set again it is gone.
  const auto attribute = core->getxattr(alice, ino, kAccessAclName);
  ASSERT_TRUE(attribute);
  EXPECT_TRUE(check_acl(*parse_acl(*attribute)));
  EXPECT_OK(core->setxattr(alice, ino, kAccessAclName, *attribute, Core::XattrMode::kSet));
  EXPECT_EQ(get("a"), (std::vector<Grant>{user(1000, kFull)}));
  EXPECT_CODE(chmod(bob, ino, 0644), Code::kNotPermitted);
  EXPECT_CODE(put(bob, "a", "public-read"), Code::kNotPermitted);
  EXPECT_OK(put(alice, "a", {user(1001, kFull)}));
  EXPECT_OK(put(bob, "a", {user(1001, kFull), user(1002, kR)}));  // who has FULL_CONTROL hands it on
  expect_sound();
}

TEST_F(AclOpsTest, ASetIdFileOfOthersKeepsItsAcl) {
  const Ino ino = file(bucket, "a", 0700, alice);
  EXPECT_OK(put(alice, "a", {user(1001, kGrantWriteAcp)}));
  EXPECT_OK(chmod(alice, ino, 04700));
  EXPECT_CODE(put(bob, "a", {user(1001, kR)}), Code::kNotPermitted);
  EXPECT_CODE(chmod(bob, ino, 04755), Code::kNotPermitted);
  EXPECT_CODE(chmod(bob, ino, 0755), Code::kNotPermitted);
  EXPECT_OK(chmod(alice, ino, 0700));
  EXPECT_OK(chmod(bob, ino, 0755));
}

TEST_F(AclOpsTest, WhatHasNoAclIsNamed) {
  EXPECT_OK(core->symlink(root, bucket, "l", "x"));
  EXPECT_CODE(put(root, "l", "private"), Code::kNotSupported);
  EXPECT_CODE(core->object_acl(root, "bucket", "l"), Code::kNotSupported);
  EXPECT_CODE(put(root, "missing", "private"), Code::kNotFound);
  EXPECT_CODE(put(root, "../bucket", "private"), Code::kInvalid);
  EXPECT_CODE(core->object_acl(root, "", ""), Code::kInvalid);
  file("a");
  EXPECT_CODE(put(root, "a", "log-delivery-write"), Code::kInvalid);
  EXPECT_CODE(put(root, "a", "aws-exec-read"), Code::kInvalid);
  EXPECT_CODE(put(root, ".versions/a", "private"), Code::kReadOnly);
  EXPECT_OK(put(root, "", "log-delivery-write"));
  EXPECT_EQ(get(""), (std::vector<Grant>{user(0, kFull), {{GranteeKind::kLogDelivery}, kW}}));
  EXPECT_CODE(core->object_acl(alice, "bucket", "a"), Code::kAccessDenied);
}

TEST_F(AclOpsTest, AClosedDirectoryIsToldToTheKernel) {
  int removals = 0;
  std::vector<Ino> changed;
  core->observe_removals([&] { ++removals; });
  core->observe_names([&](Ino, const std::string&, Ino ino) { changed.push_back(ino); });
  const Ino directory = mkdir("d"), ino = file(directory, "a", 0666, root);
  EXPECT_OK(put(root, "d/a", "private"));
  EXPECT_EQ(removals, 0);
  EXPECT_OK(put(root, "d", "private"));
  EXPECT_EQ(removals, 1);
  EXPECT_EQ(changed, (std::vector<Ino>{ino, directory}));
  EXPECT_OK(own(ObjectOwnership::kBucketOwnerEnforced, root));
  EXPECT_OK(own(ObjectOwnership::kBucketOwnerEnforced, root));
  EXPECT_EQ(removals, 2);
}

TEST_F(AclOpsTest, MomentsShowTheAclThatWas) {
  const Ino ino = stored(bucket, "a", "content", 0600);
  EXPECT_OK(chown(root, ino, 1000, 1000));
  EXPECT_OK(put(alice, "a", {user(1001, kFull)}));
  env.advance(10'000'000'000);
  const Time then = env.now();
  env.advance(10'000'000'000);
  EXPECT_OK(put(alice, "a", "private"));
  EXPECT_CODE(chmod(bob, ino, 0600), Code::kNotPermitted);
  RewindOptions then_options;
  then_options.to = then;
  EXPECT_OK(core->rewind(root, "bucket", "a", then_options, {}));
  EXPECT_EQ(get("a"), (std::vector<Grant>{user(1000, kFull), user(1001, kFull)}));
  EXPECT_OK(chmod(bob, at(bucket, "a"), 0660));
}

TEST_F(AclOpsTest, InABucketWithoutAclsOnlyTheAccountIsLet) {
  const Ino directory = mkdir("d", 0777), ino = file(directory, "a", 0666, alice);
  EXPECT_EQ(core->bucket_ownership(alice, "bucket"), ObjectOwnership::kObjectWriter);
  EXPECT_CODE(own(ObjectOwnership::kBucketOwnerEnforced, alice), Code::kAccessDenied);
  EXPECT_TRUE(core->open_to_all(directory));
  EXPECT_OK(own(ObjectOwnership::kBucketOwnerEnforced, account));
  EXPECT_FALSE(core->open_to_all(directory));
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(core->bucket(alice, "bucket")->ownership, ObjectOwnership::kBucketOwnerEnforced);
    EXPECT_EQ(read(alice, ino), denied_);
    EXPECT_EQ(look(bob, directory, "a"), denied_);
    EXPECT_CODE(mknod(alice, directory, "b"), Code::kAccessDenied);
    EXPECT_CODE(core->unlink(alice, directory, "a"), Code::kAccessDenied);
    EXPECT_CODE(core->opendir(alice, directory), Code::kAccessDenied);
    EXPECT_EQ(read(account, ino), "ok");
    EXPECT_EQ(read(root, ino), "ok");
    EXPECT_CODE(put(alice, "d/a", "public-read"), Code::kAccessDenied);
    EXPECT_CODE(put(root, "d/a", "public-read"), Code::kNotSupported);
    EXPECT_EQ(get("d/a"), (std::vector<Grant>{user(kAccount, kFull)}));
    EXPECT_OK(chmod(alice, ino, start == 0 ? 0600 : 0666));  // is kept, and decides nothing
    EXPECT_CODE(chmod(bob, ino, 0666), Code::kNotPermitted);
    restart();
  }
  EXPECT_OK(own(ObjectOwnership::kObjectWriter, root));
  EXPECT_EQ(stat(ino).mode & 0777, 0666u);
  EXPECT_EQ(read(bob, ino), "ok");
  EXPECT_OK(core->create_bucket(root, "other", Versioning::kOff, 0777));
  EXPECT_OK(core->set_bucket_ownership(root, "other", ObjectOwnership::kBucketOwnerEnforced));
  EXPECT_OK(core->rmdir(root, kRootIno, "other"));
  EXPECT_EQ(read(bob, ino), "ok");
  expect_sound();
}

TEST_F(AclOpsTest, InABucketWithoutAclsTheAccountDoesWhatOwnersDo) {
  const Ino directory = mkdir("d", 01777), ino = file(directory, "a", 0666, alice);
  file(directory, "b", 0666, alice);
  AttributeChange times;
  times.mtime = times.atime = 1;
  EXPECT_CODE(core->setattr(account, ino, times), Code::kNotPermitted);
  EXPECT_CODE(core->rename(account, directory, "a", directory, "b", RenameMode::kReplace), Code::kNotPermitted);
  EXPECT_OK(own(ObjectOwnership::kBucketOwnerEnforced, root));
  EXPECT_OK(core->setattr(account, ino, times));
  EXPECT_OK(core->rename(account, directory, "a", directory, "b", RenameMode::kReplace));
  EXPECT_CODE(core->setattr(bob, ino, times), Code::kNotPermitted);
}

TEST_F(AclOpsTest, AccessSaysOfSetIdFilesWhatExecutionDoes) {
  const Ino ino = file("a", 04711);
  EXPECT_OK(chmod(root, ino, 04700));
  EXPECT_OK(core->put_bucket_policy(root, "bucket",
                                    R"({"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}]})"));
  EXPECT_OK(core->access(bob, ino, R_OK));
  EXPECT_CODE(core->access(bob, ino, X_OK), Code::kAccessDenied);
  EXPECT_CODE(core->open(bob, ino, {.read = true, .execute = true}), Code::kAccessDenied);
  EXPECT_OK(chmod(root, ino, 0700));
  EXPECT_OK(core->access(bob, ino, X_OK));
}

// pailfs-policy(7): "the name itself or with a slash as prefix".
TEST_F(AclOpsTest, ANameIsFoundByWhoMayListBelowItAlone) {
  const Ino directory = mkdir("d", 0777);
  file(directory, "a", 0666, root);
  mkdir("e", 0777);
  EXPECT_OK(core->put_bucket_policy(root, "bucket",
                                    R"({"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket",
       "Condition": {"StringLike": {"s3:prefix": "d/*"}}},
      {"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket",
       "Condition": {"StringEquals": {"s3:prefix": ""}}}]})"));
  EXPECT_EQ(look(bob, bucket, "d"), "ok");
  EXPECT_EQ(look(bob, directory, "a"), "ok");
  EXPECT_EQ(look(bob, bucket, "e"), code(Code::kNotFound));
  EXPECT_CODE(core->opendir(bob, bucket), Code::kAccessDenied);
}

TEST_F(AclOpsTest, APolicyAllowsWhereAclsDoNotCount) {
  const Ino directory = mkdir("d", 0777), ino = file(directory, "a", 0666, alice);
  EXPECT_OK(own(ObjectOwnership::kBucketOwnerEnforced, root));
  EXPECT_OK(core->put_bucket_policy(root, "bucket",
                                    R"({"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket"},
      {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/d/*"}]})"));
  EXPECT_EQ(look(bob, directory, "a"), "ok");
  EXPECT_EQ(read(bob, ino), "ok");
  EXPECT_CODE(core->open(bob, ino, {.write = true}), Code::kAccessDenied);
  EXPECT_CODE(core->open(alice, ino, {.write = true}), Code::kAccessDenied);
  EXPECT_OK(chmod(root, ino, 0));
  EXPECT_EQ(read(bob, ino), "ok");
  EXPECT_CODE(core->open(bob, ino, {.read = true, .execute = true}), Code::kAccessDenied);
  EXPECT_OK(core->put_bucket_policy(root, "bucket",
                                    R"({"Version": "2012-10-17", "Statement": [
      {"Effect": "Deny", "Principal": "*", "Action": ["s3:PutBucketOwnershipControls", "s3:GetBucketOwnershipControls"],
       "Resource": "arn:aws:s3:::bucket"}]})"));
  EXPECT_CODE(own(ObjectOwnership::kObjectWriter, root), Code::kAccessDenied);
  EXPECT_CODE(core->bucket_ownership(root, "bucket"), Code::kAccessDenied);
}

TEST_F(AclOpsTest, WhatTheBucketOwnerIsGivenBecomesHisWhereHePrefersIt) {
  const Ino ino = file(bucket, "a", 0640, alice), shared = file(bucket, "b", 0640, alice);
  EXPECT_OK(put(alice, "b", "bucket-owner-full-control"));
  EXPECT_EQ(stat(shared).uid, 1000u);
  EXPECT_EQ(get("b"), (std::vector<Grant>{user(1000, kFull), user(kAccount, kFull)}));
  EXPECT_OK(own(ObjectOwnership::kBucketOwnerPreferred, account));
  EXPECT_OK(put(alice, "a", "public-read"));
  EXPECT_EQ(stat(ino).uid, 1000u);
  EXPECT_OK(chmod(alice, ino, 04755));
  EXPECT_OK(put(alice, "a", "bucket-owner-full-control"));
  EXPECT_EQ(stat(ino).uid, kAccount);
  EXPECT_EQ(stat(ino).mode & 07777, 0700u);  // what it ran as is not what it belongs to
  EXPECT_EQ(read(alice, ino), denied_);
  EXPECT_EQ(read(account, ino), "ok");
  EXPECT_CODE(put(alice, "a", "public-read"), Code::kNotPermitted);
  // Who may only change the ACL takes nothing from the owner.
  EXPECT_OK(put(alice, "b", {user(1001, kGrantWriteAcp)}));
  EXPECT_OK(put(bob, "b", "bucket-owner-full-control"));
  EXPECT_EQ(stat(shared).uid, 1000u);
  EXPECT_OK(put(account, "b", "bucket-owner-full-control"));
  EXPECT_EQ(stat(shared).uid, kAccount);
  restart();
  EXPECT_EQ(core->bucket_ownership(bob, "bucket"), ObjectOwnership::kBucketOwnerPreferred);
  expect_sound();
}

TEST_F(AclOpsTest, TheBucketOwnerRemovesWhatOthersMade) {
  const Ino directory = mkdir(bucket, "d", 0700, alice), ino = file(directory, "a", 0600, alice);
  EXPECT_EQ(look(bob, directory, "a"), denied_);
  EXPECT_EQ(look(account, directory, "a"), "ok");
  EXPECT_EQ(read(account, ino), denied_);
  EXPECT_OK(put(account, "d/a", "private"));
  EXPECT_OK(core->unlink(account, directory, "a"));
  EXPECT_OK(chmod(account, directory, 0));
  EXPECT_OK(core->rmdir(account, bucket, "d"));
}

}  // namespace
}  // namespace pailfs::test
