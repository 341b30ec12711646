// What the check finds, and that it finds nothing in a sound store.
#include "base/codec.h"
#include "core/records.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

class CheckTest : public testing::Test {
 protected:
  CheckTest() {
    f.put("small", "content");
    f.put("large", std::string(1'500'000, 'x'));
    f.put("large", std::string(600'000, 'y'));
    EXPECT_OK(f.core->mkdir(f.root, f.bucket, "directory", 0755));
    EXPECT_OK(f.core->symlink(f.root, f.bucket, "link", "small"));
    small = f.lookup(f.bucket, "small");
    large = f.lookup(f.bucket, "large");
  }
  InodeRecord record(Ino ino) {
    const auto value = f.store->get(bucket_of(ino), keys::inode(ino));
    EXPECT_TRUE(value && *value);
    const auto decoded = decode_inode(**value);
    EXPECT_OK(decoded);
    return *decoded;
  }
  void put(const std::string& key, std::string value) {
    Transaction tx;
    tx.put(bucket_of(f.bucket), key, std::move(value));
    EXPECT_OK(f.store->commit(std::move(tx)));
  }
  void put(Ino ino, const InodeRecord& changed) { put(keys::inode(ino), encode_inode(changed)); }
  // Starts anew, so that the check reads what was put behind the core's back.
  std::vector<CheckProblem> problems() {
    f.restart();
    const auto checked = f.core->check(true, nullptr);
    EXPECT_OK(checked);
    return checked ? checked->problems : std::vector<CheckProblem>{};
  }
  void expect_one(const std::string& path, const std::string& what) {
    const auto found = problems();
    ASSERT_EQ(found.size(), 1u) << (found.empty() ? "" : found[1].what);
    EXPECT_EQ(found[0].path, path);
    EXPECT_NE(found[0].what.find(what), std::string::npos) << found[0].what;
  }

  ContentFixture f;
  Ino small = 0;
  Ino large = 0;
};

TEST_F(CheckTest, ASoundStoreHasNoProblemsAndIsCounted) {
  const auto checked = f.core->check(true, nullptr);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->problem_count, 0u);
  EXPECT_EQ(checked->files, 3u);
  EXPECT_EQ(checked->directories, 3u);
  EXPECT_EQ(checked->versions, 4u);
  EXPECT_EQ(checked->bytes, 2'100'007u);
}

TEST_F(CheckTest, AWrongLinkCountIsNamed) {
  InodeRecord changed = record(small);
  changed.nlink = 2;
  put(small, changed);
  expect_one("bucket/small", "has 1 names, and should have 2");
}

TEST_F(CheckTest, AMissingInodeIsNamed) {
  Transaction tx;
  tx.erase(keys::inode(small));
  EXPECT_OK(f.store->commit(std::move(tx)));
  expect_one("bucket/small", "missing");
}

TEST_F(CheckTest, ALostNameIsFound) {
  InodeRecord stray = record(small);
  stray.cid = 0;
  stray.extents.clear();
  stray.size = stray.stored = 0;
  const Ino ino = bucket_root(bucket_of(f.bucket)) + 4000;
  put(ino, stray);
  expect_one("inode " + std::to_string(ino), "has 0 names");
}

TEST_F(CheckTest, AValueThatDoesNotVerifyIsNamedAndSteppedOver) {
  // A value of another key, sealed for that one.
  const std::string key = keys::inode(small);
  f.restart();
  EXPECT_OK(f.store->checkpoint());
  std::string sealed;
  {
    const auto snapshot = f.index->snapshot();
    const auto value = (*snapshot)->get(keys::inode(large));
    ASSERT_TRUE(value && *value);
    sealed = **value;
  }
  EXPECT_OK(f.index->apply({{key, sealed}}));
  const auto found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].path, "bucket/small");
  bool others = false;
  for (const CheckProblem& problem : found) others = others || problem.path != "bucket/small";
  EXPECT_FALSE(others);
}

TEST_F(CheckTest, ExtentsThatTwoFilesShareAreFound) {
  InodeRecord twin = record(small);
  const auto other = f.create("other");
  f.write(other, 0, "content");
  f.close(other);
  InodeRecord changed = record(other.ino);
  changed.extents = twin.extents;
  put(other.ino, changed);
  expect_one("bucket/other", "2 contents show them, and 0 are written down");
}

TEST_F(CheckTest, ReleasedUnitsThatAreStillReferredToAreFound) {
  const InodeRecord inode = record(small);
  Transaction tx;
  tx.release(inode.extents.at(0).run);
  EXPECT_OK(f.store->commit(std::move(tx)));
  for (int i = 0; i < 4; ++i) {  // the quarantine
    EXPECT_OK(f.store->sync());
    EXPECT_OK(f.store->checkpoint());
    EXPECT_OK(f.core->mkdir(f.root, f.bucket, "more" + std::to_string(i), 0755));
  }
  EXPECT_OK(f.store->sync());
  EXPECT_OK(f.store->checkpoint());
  EXPECT_OK(f.store->reclaim());
  const auto found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].path, "bucket/small");
}

TEST_F(CheckTest, ChunkRecordsThatNoVersionShowsAreFound) {
  put(keys::chunk(record(large).cid, 0, 77), encode_extents({}));
  expect_one("bucket/large", "a record that no version shows");
}

TEST_F(CheckTest, ContentOfNoFileIsFound) {
  put(keys::chunk(bucket_root(bucket_of(f.bucket)) + 3000, 0, 1), encode_extents({}));
  expect_one("", "which no file has");
}

TEST_F(CheckTest, AKeyWhereNothingLooksIsFound) {
  for (const std::string& key : {std::string("y"), std::string("x"), keys::xattr(Ino{99} << kBucketShift, "token"),
                                 keys::version(Ino{99} << kBucketShift, 1)}) {
    put(key, "whatever");
    expect_one("", "its key was changed");
    Transaction tx;
    tx.erase(key);
    EXPECT_OK(f.store->commit(std::move(tx)));
  }
}
TEST_F(CheckTest, ABrokenChainOfVersionsIsFound) {
  InodeRecord changed = record(large);
  changed.prev = 99;
  put(large, changed);
  const auto found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].path, "bucket/large");
}

TEST_F(CheckTest, EntriesOfTheWrongTypeAreFound) {
  const auto listing = f.list(f.bucket);
  EXPECT_EQ(listing.size(), 4u);
  const auto view = [&] {
    return f.store->view().seek(bucket_of(f.bucket), keys::dirent(f.bucket, 0), keys::dirent(f.bucket + 1, 0));
  }();
  ASSERT_TRUE(view && *view);
  auto dirent = decode_dirent((*view)->value);
  ASSERT_TRUE(dirent);
  dirent->type = 0010000;  // a FIFO
  put((*view)->key, encode_dirent(*dirent));
  const auto found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].path, "bucket/" + dirent->name);
}

}  // namespace
}  // namespace pailfs::test
