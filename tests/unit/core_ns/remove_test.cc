#include "core/records.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

TEST_F(CoreTest, UnlinkTakesTheNameAndMovesTheTimes) {
  const Ino ino = file("a");
  EXPECT_OK(core->link(root, ino, bucket, "b"));
  env.advance(1'000'000'000);
  EXPECT_OK(core->unlink(root, bucket, "a"));
  EXPECT_CODE(core->lookup(root, bucket, "a"), Code::kNotFound);
  EXPECT_EQ(stat(ino).nlink, 1u);
  EXPECT_EQ(stat(ino).ctime, env.now());
  EXPECT_EQ(stat(bucket).mtime, env.now());
  EXPECT_CODE(core->unlink(root, bucket, "a"), Code::kNotFound);
  expect_sound();
}

TEST_F(CoreTest, UnlinkIsForFilesAndRmdirForEmptyDirectories) {
  file("f");
  const Ino directory = mkdir("d");
  file(directory, "below", 0644, root);
  EXPECT_CODE(core->unlink(root, bucket, "d"), Code::kIsDirectory);
  EXPECT_CODE(core->rmdir(root, bucket, "f"), Code::kNotDirectory);
  EXPECT_CODE(core->rmdir(root, bucket, "d"), Code::kNotEmpty);
  EXPECT_CODE(core->rmdir(root, bucket, "none"), Code::kNotFound);
  EXPECT_CODE(core->rmdir(root, bucket, "."), Code::kInvalid);
  EXPECT_CODE(core->rmdir(root, bucket, ".."), Code::kNotEmpty);
  EXPECT_OK(core->unlink(root, directory, "below"));
  const uint32_t before = stat(bucket).nlink;
  EXPECT_OK(core->rmdir(root, bucket, "d"));
  EXPECT_EQ(stat(bucket).nlink, before - 1);
  expect_sound();
}

TEST_F(CoreTest, RemovingTakesWriteAndSearchAndMindsSticky) {
  const Ino directory = mkdir("d", 0755);
  file(directory, "a", 0666, root);
  mkdir(directory, "e", 0777, root);
  EXPECT_CODE(core->unlink(alice, directory, "a"), Code::kAccessDenied);
  EXPECT_CODE(core->rmdir(alice, directory, "e"), Code::kAccessDenied);
  EXPECT_CODE(core->unlink(alice, directory, "none"), Code::kNotFound);
  EXPECT_OK(chmod(root, directory, 01777));
  EXPECT_CODE(core->unlink(alice, directory, "a"), Code::kNotPermitted);
  EXPECT_CODE(core->rmdir(alice, directory, "e"), Code::kNotPermitted);
  file(directory, "own", 0, alice);
  EXPECT_CODE(core->unlink(bob, directory, "own"), Code::kNotPermitted);
  EXPECT_OK(core->unlink(alice, directory, "own"));
  EXPECT_OK(chmod(root, directory, 0777));
  EXPECT_OK(core->unlink(alice, directory, "a"));
  EXPECT_OK(core->rmdir(alice, directory, "e"));
}

TEST_F(CoreTest, VersionsOfADirectoryAreNotTakenByName) {
  EXPECT_CODE(core->unlink(root, bucket, ".versions"), Code::kReadOnly);
  EXPECT_CODE(core->rmdir(root, bucket, ".versions"), Code::kReadOnly);
  EXPECT_CODE(core->rename(root, bucket, ".versions", bucket, "a", RenameMode::kReplace), Code::kReadOnly);
  file("a");
  EXPECT_CODE(rename(bucket, "a", bucket, ".versions"), Code::kExists);
}

TEST_F(CoreTest, ADeletedFileIsKeptForItsVersionsAndItsNameInHistory) {
  const Ino ino = stored(bucket, "a", "content");
  core->forget(ino, 1);
  EXPECT_OK(core->unlink(root, bucket, "a"));
  EXPECT_EQ(stat(ino).nlink, 0u);
  const auto listed = core->versions(root, "bucket", "a");
  ASSERT_TRUE(listed) << listed.error().message;
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_TRUE((*listed)[0].marker);
  EXPECT_FALSE((*listed)[1].marker);
  expect_sound();
}

TEST_F(CoreTest, DeletingSealsWhatWasWritten) {
  const auto made = core->create(root, bucket, "a", 0644, {.write = true});
  ASSERT_TRUE(made);
  EXPECT_OK(core->write(made->attributes.ino, made->open.handle, 0, "not closed", false));
  EXPECT_OK(core->unlink(root, bucket, "a"));
  core->release(made->attributes.ino, made->open.handle);
  core->forget(made->attributes.ino, 1);
  EXPECT_EQ(core->versions(root, "bucket", "a")->size(), 2u);
  expect_sound();
}

class Leftovers : public PlainCoreTest {
 protected:
  // Keys of a kind in the bucket.
  size_t count(char kind) {
    const Scope number = bucket_of(bucket);
    const std::string end = keys::numbered(kind, Ino{number + 1} << kBucketShift);
    size_t found = 0;
    StoreView view = store->view();
    auto entry = view.seek(number, keys::numbered(kind, Ino{number} << kBucketShift), end);
    for (; entry && *entry; entry = view.next(number, end)) ++found;
    return found;
  }
};

TEST_F(Leftovers, WithoutVersionsNothingOfAFileRemains) {
  const Ino ino = file("a");
  write(ino, std::string(100'000, 'x'));
  EXPECT_OK(core->setxattr(root, ino, "user.a", "b", Core::XattrMode::kSet));
  EXPECT_OK(core->unlink(root, bucket, "a"));
  // The kernel still knows it.
  EXPECT_EQ(stat(ino).nlink, 0u);
  EXPECT_EQ(count('o'), 1u);
  core->forget(ino, 1);
  EXPECT_CODE(core->getattr(root, ino), Code::kNotFound);
  for (const char kind : {'d', 'h', 'v', 'c', 'x', 'o'}) EXPECT_EQ(count(kind), 0u) << kind;
  EXPECT_EQ(count('i'), 1u);
  expect_sound();
}

TEST_F(Leftovers, AnOpenFileLivesUntilItIsClosed) {
  const auto made = core->create(root, bucket, "a", 0644, {.read = true, .write = true});
  ASSERT_TRUE(made);
  const Ino ino = made->attributes.ino;
  EXPECT_OK(core->unlink(root, bucket, "a"));
  core->forget(ino, 1);
  EXPECT_OK(core->write(ino, made->open.handle, 0, "still here", false));
  std::string out(10, '\0');
  EXPECT_OK(core->read(ino, made->open.handle, 0, out));
  EXPECT_EQ(out, "still here");
  core->release(ino, made->open.handle);
  EXPECT_CODE(core->getattr(root, ino), Code::kNotFound);
  EXPECT_EQ(count('o'), 0u);
  expect_sound();
}

TEST_F(Leftovers, WhatACrashLeavesWithoutANameIsReapedAtTheNextStart) {
  const Ino ino = file("a");
  const Ino directory = mkdir("d");
  write(ino, "content");
  EXPECT_OK(core->unlink(root, bucket, "a"));
  EXPECT_OK(core->rmdir(root, bucket, "d"));
  EXPECT_EQ(count('o'), 2u);
  EXPECT_OK(store->sync());
  crash();
  EXPECT_EQ(count('o'), 0u);
  EXPECT_EQ(count('i'), 1u);
  EXPECT_CODE(core->getattr(root, ino), Code::kNotFound);
  EXPECT_CODE(core->getattr(root, directory), Code::kNotFound);
  expect_sound();
}

TEST_F(Leftovers, AReferenceIsCountedByEveryCallThatNamesAnInode) {
  const Ino ino = file("a");
  EXPECT_OK(core->lookup(root, bucket, "a"));
  EXPECT_OK(core->link(root, ino, bucket, "b"));
  EXPECT_OK(core->unlink(root, bucket, "a"));
  EXPECT_OK(core->unlink(root, bucket, "b"));
  core->forget(ino, 2);
  EXPECT_EQ(count('o'), 1u);
  core->forget(ino, 1);
  EXPECT_EQ(count('o'), 0u);
  EXPECT_EQ(count('i'), 1u);
}

TEST_F(Leftovers, AForgottenFileGoesWithItsName) {
  const Ino ino = file("a");
  core->forget(ino, 1);
  EXPECT_OK(core->unlink(root, bucket, "a"));
  EXPECT_EQ(count('o'), 0u);
  EXPECT_EQ(count('i'), 1u);
}

TEST_F(Leftovers, ARemovedDirectoryIsEmptyForWhoStillStandsInIt) {
  const Ino directory = mkdir("d");
  EXPECT_OK(core->rmdir(root, bucket, "d"));
  EXPECT_EQ(stat(directory).nlink, 0u);
  EXPECT_CODE(core->lookup(root, directory, "x"), Code::kNotFound);
  core->forget(directory, 1);
  EXPECT_CODE(core->getattr(root, directory), Code::kNotFound);
}

TEST_F(CoreTest, ADirectoryWithHistoryKeepsGuardingIt) {
  const Ino directory = mkdir("d", 0700);
  stored(directory, "secret", "content");
  EXPECT_OK(core->unlink(root, directory, "secret"));
  EXPECT_OK(core->rmdir(root, bucket, "d"));
  core->forget(directory, 1);
  EXPECT_EQ(stat(directory).mode, uint32_t{S_IFDIR | 0700});
  EXPECT_OK(core->versions(root, "bucket", "d/secret"));
  const auto listed = core->versions(alice, "bucket", "d/secret");
  EXPECT_TRUE(!listed || listed->empty());
  expect_sound();
}

}  // namespace
}  // namespace pailfs::test
