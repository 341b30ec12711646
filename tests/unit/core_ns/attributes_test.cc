#include <unistd.h>

#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

class AttributesTest : public CoreTest {
 protected:
  uint32_t mode(Ino ino) { return stat(ino).mode & 07777; }
  Result<Attributes> truncate(const Caller& caller, Ino ino, uint64_t size, uint64_t handle = 0) {
    AttributeChange change;
    change.size = size;
    change.handle = handle;
    return core->setattr(caller, ino, change);
  }
  Ino owned(const std::string& name, uint32_t bits) { return file(bucket, name, bits, alice); }
};

TEST_F(AttributesTest, OnlyTheOwnerChangesTheMode) {
  const Ino ino = owned("a", 0666);
  env.advance(1'000'000'000);
  EXPECT_OK(chmod(alice, ino, 0600));
  EXPECT_EQ(stat(ino).mode, uint32_t{S_IFREG | 0600});
  EXPECT_EQ(stat(ino).ctime, env.now());
  EXPECT_CODE(chmod(bob, ino, 0666), Code::kNotPermitted);
  EXPECT_OK(chmod(root, ino, 0644));
  EXPECT_OK(core->symlink(root, bucket, "l", "x"));
  EXPECT_CODE(chmod(root, at(bucket, "l"), 0600), Code::kNotSupported);
}

TEST_F(AttributesTest, AWriterMayHaveSetIdBitsStrippedAndNothingElse) {
  const Ino ino = owned("a", 06777);
  EXPECT_OK(chmod(bob, ino, 0777));
  EXPECT_EQ(mode(ino), 0777u);
  EXPECT_OK(chmod(alice, ino, 06777));
  EXPECT_OK(chmod(bob, ino, 02777));
  EXPECT_CODE(chmod(bob, ino, 02776), Code::kNotPermitted);
  EXPECT_CODE(chmod(bob, ino, 06777), Code::kNotPermitted);
  const Ino locked = owned("b", 06755);
  EXPECT_CODE(chmod(bob, locked, 0755), Code::kNotPermitted);
}

TEST_F(AttributesTest, WritersChangeNothingElseOfAFileWithSetIdBits) {
  const Ino ino = owned("a", 04755);
  EXPECT_CODE(chmod(bob, ino, 0), Code::kNotPermitted);
  EXPECT_CODE(chmod(bob, ino, 0755), Code::kNotPermitted);
}

// What the kernel's write-back cache says of ctime after a change, and what utimensat(2) of the time that there is
// looks like: only the former is for everybody.
TEST_F(AttributesTest, AChangeTimeIsThatOfAChange) {
  constexpr Time kLater = 3'000'000'000;
  const Ino ino = owned("a", 0644);
  env.advance(kLater);
  const Attributes before = stat(ino);
  AttributeChange change;
  change.mtime = before.mtime;
  change.ctime = env.now();
  EXPECT_OK(core->setattr(bob, ino, change));
  EXPECT_EQ(stat(ino).ctime, before.ctime);
  EXPECT_OK(core->setattr(alice, ino, change));
  EXPECT_EQ(stat(ino).ctime, env.now());
  env.advance(kLater);
  EXPECT_OK(core->rename(root, bucket, "a", bucket, "b", RenameMode::kReplace));
  env.advance(kLater / 100);
  change.ctime = env.now();
  EXPECT_OK(core->setattr(bob, ino, change));  // who moved it, by the right to the directory
  EXPECT_EQ(stat(ino).ctime, env.now());
  const Time moved = env.now();
  env.advance(kLater / 100);
  change.ctime = env.now();
  EXPECT_OK(core->setattr(bob, ino, change));  // and no further
  EXPECT_EQ(stat(ino).ctime, moved);
}

TEST_F(AttributesTest, SetGroupIdIsForMembersOfTheGroup) {
  const Ino ino = owned("a", 0755);
  EXPECT_OK(chown(root, ino, std::nullopt, 3000));
  EXPECT_OK(chmod(alice, ino, 02755));
  EXPECT_EQ(mode(ino), 0755u);
  EXPECT_OK(chown(root, ino, std::nullopt, 2000));
  EXPECT_OK(chmod(alice, ino, 02755));
  EXPECT_EQ(mode(ino), 02755u);
  EXPECT_OK(chown(root, ino, std::nullopt, 3000));
  EXPECT_OK(chmod(root, ino, 02755));
  EXPECT_EQ(mode(ino), 02755u);
}

TEST_F(AttributesTest, ChownIsTheSuperusersAndAGroupOfOnesOwnTheOwners) {
  const Ino ino = owned("a", 0755);
  EXPECT_OK(chown(alice, ino, std::nullopt, 2000));
  EXPECT_EQ(stat(ino).gid, 2000u);
  EXPECT_CODE(chown(alice, ino, std::nullopt, 3000), Code::kNotPermitted);
  EXPECT_CODE(chown(alice, ino, 1001, std::nullopt), Code::kNotPermitted);
  EXPECT_CODE(chown(bob, ino, std::nullopt, 100), Code::kNotPermitted);
  EXPECT_OK(chown(root, ino, 1001, 1001));
  EXPECT_EQ(stat(ino).uid, 1001u);
}

TEST_F(AttributesTest, ChownStripsSetIdBitsOfFiles) {
  const Ino ino = owned("a", 06755);
  EXPECT_OK(chown(root, ino, 1000, std::nullopt));
  EXPECT_EQ(mode(ino), 0755u);
  EXPECT_OK(chmod(alice, ino, 06745));
  EXPECT_OK(chown(alice, ino, std::nullopt, 2000));
  EXPECT_EQ(mode(ino), 02745u);  // no program for the group: the bit means something else
  const Ino directory = mkdir("d", 02777);
  EXPECT_OK(chown(root, directory, 1000, 1000));
  EXPECT_EQ(mode(directory), 02777u);
}

TEST_F(AttributesTest, ExplicitTimesAreTheOwnersAndNowIsEveryWriters) {
  const Ino ino = owned("a", 0666);
  AttributeChange explicit_times;
  explicit_times.atime = 5;
  explicit_times.mtime = -7;
  EXPECT_CODE(core->setattr(bob, ino, explicit_times), Code::kNotPermitted);
  EXPECT_OK(core->setattr(alice, ino, explicit_times));
  EXPECT_EQ(stat(ino).atime, 5);
  EXPECT_EQ(stat(ino).mtime, -7);
  EXPECT_EQ(stat(ino).ctime, env.now());
  AttributeChange now;
  now.atime_now = now.mtime_now = true;
  EXPECT_OK(core->setattr(bob, ino, now));
  EXPECT_EQ(stat(ino).mtime, env.now());
  EXPECT_OK(chmod(alice, ino, 0644));
  EXPECT_CODE(core->setattr(bob, ino, now), Code::kAccessDenied);
  // With its write-back cache the kernel sends "now" as a time that equals the new ctime.
  AttributeChange cached;
  cached.atime_now = true;
  cached.mtime = cached.ctime = env.now() + 1;
  EXPECT_CODE(core->setattr(bob, ino, cached), Code::kAccessDenied);
  EXPECT_OK(chmod(alice, ino, 0666));
  EXPECT_OK(core->setattr(bob, ino, cached));
  EXPECT_EQ(stat(ino).mtime, env.now() + 1);
  cached.mtime = 5;
  EXPECT_CODE(core->setattr(bob, ino, cached), Code::kNotPermitted);
  cached.from_kernel = true;
  EXPECT_OK(core->setattr(bob, ino, cached));
}

TEST_F(AttributesTest, TruncatingTakesWriteOrAHandleThatHasIt) {
  const Ino ino = owned("a", 0644);
  EXPECT_CODE(truncate(bob, ino, 10), Code::kAccessDenied);
  EXPECT_OK(truncate(alice, ino, 10));
  EXPECT_EQ(stat(ino).size, 10u);
  EXPECT_OK(chmod(alice, ino, 0666));
  const auto reading = core->open(bob, ino, {.read = true}), writing = core->open(bob, ino, {.write = true});
  ASSERT_TRUE(reading && writing);
  EXPECT_OK(chmod(alice, ino, 0600));
  EXPECT_OK(truncate(bob, ino, 20, writing->handle));
  EXPECT_CODE(truncate(bob, ino, 20, reading->handle), Code::kBadHandle);
  EXPECT_CODE(truncate(bob, ino, 20, 12345), Code::kBadHandle);
  core->release(ino, reading->handle);
  core->release(ino, writing->handle);
  EXPECT_CODE(truncate(root, mkdir("d"), 0), Code::kIsDirectory);
  EXPECT_OK(core->mknod(root, bucket, "fifo", S_IFIFO | 0666, 0));
  EXPECT_CODE(truncate(root, at(bucket, "fifo"), 0), Code::kInvalid);
  EXPECT_CODE(truncate(root, ino, kMaxFileSize + 1), Code::kTooBig);
  expect_sound();
}

TEST_F(AttributesTest, TruncatingMovesTheTimesAlsoToTheSameSizeAndStripsSetIdBits) {
  const Ino ino = owned("a", 06777);
  for (const uint64_t size : {7u, 7u}) {
    env.advance(1'000'000'000);
    EXPECT_OK(truncate(alice, ino, size));
    EXPECT_EQ(stat(ino).mtime, env.now());
    EXPECT_EQ(stat(ino).ctime, env.now());
  }
  EXPECT_EQ(mode(ino), 0777u);
  EXPECT_OK(chmod(alice, ino, 06777));
  EXPECT_OK(truncate(root, ino, 3));
  EXPECT_EQ(mode(ino), 06777u);
}

TEST_F(AttributesTest, TruncatingByPathMakesAVersion) {
  const Ino ino = owned("a", 0644);
  write(ino, "content");
  const size_t before = core->versions(root, "bucket", "a")->size();
  env.advance(120'000'000'000);
  EXPECT_OK(truncate(alice, ino, 3));
  EXPECT_EQ(core->versions(root, "bucket", "a")->size(), before + 1);
  EXPECT_OK(truncate(alice, ino, 3));
  EXPECT_EQ(core->versions(root, "bucket", "a")->size(), before + 1);
}

TEST_F(AttributesTest, AccessAnswersAsTheCallsWould) {
  const Ino ino = owned("a", 0640);
  EXPECT_OK(core->access(bob, ino, F_OK));
  EXPECT_CODE(core->access(bob, ino, R_OK), Code::kAccessDenied);
  EXPECT_OK(core->access(alice, ino, R_OK | W_OK));
  EXPECT_CODE(core->access(alice, ino, R_OK | X_OK), Code::kAccessDenied);
  EXPECT_CODE(core->access(root, ino, X_OK), Code::kAccessDenied);
  const Ino directory = mkdir("d", 0711);
  EXPECT_OK(core->access(bob, directory, X_OK));
  EXPECT_CODE(core->access(bob, directory, R_OK), Code::kAccessDenied);
  EXPECT_CODE(core->access(bob, ino + 1000, F_OK), Code::kNotFound);
}

TEST_F(AttributesTest, AttributesOutliveARestart) {
  const Ino ino = owned("a", 0644);
  EXPECT_OK(chmod(alice, ino, 0751));
  EXPECT_OK(chown(root, ino, 7, 8));
  const Attributes before = stat(ino);
  restart();
  const Attributes after = stat(ino);
  EXPECT_EQ(after.mode, before.mode);
  EXPECT_EQ(after.uid, 7u);
  EXPECT_EQ(after.ctime, before.ctime);
  EXPECT_EQ(after.btime, before.btime);
  EXPECT_EQ(at(bucket, "a"), ino);
}

}  // namespace
}  // namespace pailfs::test
