#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

TEST_F(CoreTest, RenameMovesANameAndTheTimesOfAllConcerned) {
  const Ino ino = file("a");
  const Ino directory = mkdir("d");
  env.advance(1'000'000'000);
  EXPECT_OK(rename(bucket, "a", directory, "b"));
  EXPECT_EQ(at(bucket, "a"), 0u);
  EXPECT_EQ(at(directory, "b"), ino);
  for (const Ino changed : {bucket, directory}) {
    EXPECT_EQ(stat(changed).mtime, env.now());
    EXPECT_EQ(stat(changed).ctime, env.now());
  }
  EXPECT_EQ(stat(ino).ctime, env.now());
  EXPECT_NE(stat(ino).mtime, env.now());
  EXPECT_CODE(rename(bucket, "a", directory, "c"), Code::kNotFound);
  expect_sound();
}

TEST_F(PlainCoreTest, RenameReplacesFilesByFilesAndEmptyDirectoriesByDirectories) {
  const Ino ino = file("a");
  const Ino old = file("b");
  core->forget(old, 1);
  EXPECT_OK(rename(bucket, "a", bucket, "b"));
  EXPECT_EQ(at(bucket, "b"), ino);
  EXPECT_CODE(core->getattr(root, old), Code::kNotFound);

  const Ino directory = mkdir("d"), target = mkdir("e");
  const Ino below = file(target, "below", 0644, root);
  EXPECT_CODE(rename(bucket, "d", bucket, "e"), Code::kNotEmpty);
  EXPECT_CODE(rename(bucket, "b", bucket, "e"), Code::kIsDirectory);
  EXPECT_CODE(rename(bucket, "d", bucket, "b"), Code::kNotDirectory);
  EXPECT_OK(core->unlink(root, target, "below"));
  core->forget(below, 1);
  const uint32_t links = stat(bucket).nlink;
  EXPECT_OK(rename(bucket, "d", bucket, "e"));
  EXPECT_EQ(at(bucket, "e"), directory);
  EXPECT_EQ(stat(bucket).nlink, links - 1);
  EXPECT_EQ(stat(target).nlink, 0u);
  expect_sound();
}

TEST_F(CoreTest, TwoNamesOfOneFileAreLeftAlone) {
  const Ino ino = file("a");
  EXPECT_OK(core->link(root, ino, bucket, "b"));
  EXPECT_OK(rename(bucket, "a", bucket, "b"));
  EXPECT_OK(rename(bucket, "a", bucket, "a"));
  EXPECT_EQ(names(bucket), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(stat(ino).nlink, 2u);
}

TEST_F(CoreTest, NoReplaceRefusesATakenName) {
  const Ino ino = file("a");
  file("b");
  EXPECT_CODE(rename(bucket, "a", bucket, "b", RenameMode::kNoReplace), Code::kExists);
  EXPECT_OK(rename(bucket, "a", bucket, "c", RenameMode::kNoReplace));
  EXPECT_EQ(at(bucket, "c"), ino);
}

TEST_F(CoreTest, ExchangeSwapsTwoNamesOfAnyKind) {
  const Ino one = mkdir("one"), two = mkdir("two");
  const Ino directory = mkdir(one, "x", 0777, root);
  const Ino ino = file(two, "y", 0644, root);
  EXPECT_OK(rename(one, "x", two, "y", RenameMode::kExchange));
  EXPECT_EQ(at(one, "x"), ino);
  EXPECT_EQ(at(two, "y"), directory);
  EXPECT_EQ(at(directory, ".."), two);
  EXPECT_EQ(stat(one).nlink, 2u);
  EXPECT_EQ(stat(two).nlink, 3u);
  EXPECT_CODE(rename(one, "x", two, "none", RenameMode::kExchange), Code::kNotFound);
  expect_sound();
  EXPECT_OK(rename(bucket, "one", bucket, "two", RenameMode::kExchange));
  EXPECT_EQ(at(bucket, "one"), two);
  // Neither may end up below itself.
  EXPECT_CODE(rename(bucket, "one", two, "y", RenameMode::kExchange), Code::kInvalid);
  EXPECT_CODE(rename(two, "y", bucket, "one", RenameMode::kExchange), Code::kInvalid);
  expect_sound();
}

TEST_F(CoreTest, ADirectoryMovesWithEverythingBelowItInOneSmallChange) {
  const Ino from = mkdir("from"), to = mkdir("to");
  const Ino moved = mkdir(from, "moved", 0777, root);
  const Ino below = file(moved, "below", 0644, root);
  file("warm");  // the stamp's bound is put now, not with the rename
  const uint64_t before = store->sequence();
  EXPECT_OK(rename(from, "moved", to, "renamed"));
  EXPECT_EQ(store->sequence(), before + 1);
  EXPECT_EQ(at(moved, ".."), to);
  EXPECT_EQ(at(moved, "below"), below);
  EXPECT_EQ(stat(from).nlink, 2u);
  EXPECT_EQ(stat(to).nlink, 3u);
  expect_sound();
}

TEST_F(CoreTest, ADirectoryCannotMoveBelowItself) {
  const Ino outer = mkdir("outer");
  const Ino inner = mkdir(outer, "inner", 0777, root);
  EXPECT_CODE(rename(bucket, "outer", outer, "x"), Code::kInvalid);
  EXPECT_CODE(rename(bucket, "outer", inner, "x"), Code::kInvalid);
  EXPECT_CODE(rename(bucket, "outer", outer, "inner"), Code::kInvalid);
  EXPECT_CODE(rename(outer, "inner", bucket, "outer"), Code::kNotEmpty);
  EXPECT_CODE(rename(bucket, ".", bucket, "x"), Code::kBusy);
  EXPECT_CODE(rename(bucket, "outer", bucket, ".."), Code::kBusy);
}

TEST_F(CoreTest, BucketsKeepTheirNamesAndTheirFiles) {
  EXPECT_OK(core->create_bucket(root, "other", Versioning::kEnabled, 0777));
  const Ino other = *core->bucket_directory("other");
  file("a");
  mkdir("d");
  EXPECT_CODE(rename(kRootIno, "bucket", kRootIno, "renamed"), Code::kNotPermitted);
  EXPECT_CODE(rename(kRootIno, "bucket", other, "renamed"), Code::kNotPermitted);
  EXPECT_CODE(rename(bucket, "a", kRootIno, "renamed"), Code::kNotPermitted);
  EXPECT_CODE(rename(bucket, "d", kRootIno, "renamed"), Code::kCrossDevice);
  EXPECT_CODE(rename(bucket, "a", other, "a"), Code::kCrossDevice);
  EXPECT_CODE(rename(bucket, "d", other, "d"), Code::kCrossDevice);
}

TEST_F(CoreTest, RenamingTakesTheRightsOfRemovingAndOfMaking) {
  const Ino from = mkdir("from", 0755), to = mkdir("to", 0755);
  file(from, "a", 0666, root);
  const auto as_alice = [&](const std::string& name, const std::string& new_name) {
    return outcome(core->rename(alice, from, name, to, new_name, RenameMode::kReplace));
  };
  EXPECT_EQ(as_alice("a", "a"), code(Code::kAccessDenied));
  EXPECT_OK(chmod(root, from, 0777));
  EXPECT_EQ(as_alice("a", "a"), code(Code::kAccessDenied));
  EXPECT_OK(chmod(root, to, 0777));
  EXPECT_OK(chmod(root, from, 01777));
  EXPECT_EQ(as_alice("a", "a"), code(Code::kNotPermitted));
  EXPECT_OK(chmod(root, from, 0777));
  EXPECT_EQ(as_alice("a", "a"), "ok");
  // The replaced file counts as removed.
  file(from, "b", 0666, alice);
  EXPECT_OK(chmod(root, to, 01777));
  EXPECT_EQ(as_alice("b", "a"), code(Code::kNotPermitted));
  EXPECT_EQ(as_alice("b", "b"), "ok");
}

TEST_F(CoreTest, MovingADirectoryToAnotherParentTakesWriteOnIt) {
  const Ino from = mkdir("from"), to = mkdir("to");
  mkdir(from, "locked", 0555, root);
  EXPECT_CODE(core->rename(alice, from, "locked", to, "locked", RenameMode::kReplace), Code::kAccessDenied);
  EXPECT_OK(core->rename(alice, from, "locked", from, "free", RenameMode::kReplace));
  mkdir(to, "theirs", 0555, root);
  mkdir(from, "open", 0777, root);
  EXPECT_CODE(core->rename(alice, from, "open", to, "theirs", RenameMode::kExchange), Code::kAccessDenied);
  EXPECT_OK(rename(from, "open", to, "theirs", RenameMode::kExchange));
}

TEST_F(CoreTest, TheOldNameKeepsItsVersionsAndAMarker) {
  stored(bucket, "a", "content");
  EXPECT_OK(rename(bucket, "a", bucket, "b"));
  const auto old = core->versions(root, "bucket", "a");
  ASSERT_TRUE(old);
  ASSERT_FALSE(old->empty());
  EXPECT_TRUE(old->front().marker);
  const auto now = core->versions(root, "bucket", "b");
  ASSERT_TRUE(now);
  ASSERT_EQ(now->size(), 1u);
  EXPECT_FALSE(now->front().marker);
  expect_sound();
}

TEST_F(CoreTest, AReplacedFileKeepsItsVersionsUnderTheName) {
  stored(bucket, "a", "old");
  stored(bucket, "a.tmp", "fresh content");
  EXPECT_OK(rename(bucket, "a.tmp", bucket, "a"));
  const auto listed = core->versions(root, "bucket", "a");
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2u);
  for (const VersionEntry& entry : *listed) EXPECT_FALSE(entry.marker);
  expect_sound();
}

}  // namespace
}  // namespace pailfs::test
