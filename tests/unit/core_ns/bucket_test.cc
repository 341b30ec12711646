#include "core/records.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

class BucketTest : public CoreTest {
 protected:
  std::vector<std::string> bucket_names() {
    std::vector<std::string> out;
    const auto infos = core->buckets(root);
    EXPECT_OK(infos);
    if (infos) {
      for (const BucketInfo& info : *infos) out.push_back(info.name);
    }
    return out;
  }
  // Keys in the index that belong to a bucket: none is left of one that is gone.
  size_t keys_of(Scope number) {
    size_t found = 0;
    for (const char kind : {'d', 'h', 'i', 'v', 'c', 'x', 'o'}) {
      StoreView view = store->view();
      const std::string end = keys::numbered(kind, Ino{number + 1} << kBucketShift);
      auto entry = view.seek(number, keys::numbered(kind, Ino{number} << kBucketShift), end);
      for (; !entry || *entry; entry = view.next(number, end)) ++found;
    }
    return found;
  }
  Ino other(Versioning state = Versioning::kEnabled) {
    EXPECT_OK(core->create_bucket(root, "other", state, 0777));
    return *core->bucket_directory("other");
  }
};

TEST_F(BucketTest, MkdirInTheRootMakesABucketOfTheAccount) {
  const auto made = core->mkdir(root, kRootIno, "photos", 0750);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->mode, uint32_t{S_IFDIR | 0750});
  EXPECT_EQ(made->ino, bucket_root(bucket_of(made->ino)));
  EXPECT_EQ(bucket_names(), (std::vector<std::string>{"bucket", "photos"}));
  EXPECT_EQ(stat(kRootIno).nlink, 4u);
  const auto info = core->bucket(root, "photos");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->versioning, Versioning::kEnabled);
  EXPECT_EQ(info->owner, kAccount);
  EXPECT_EQ(core->bucket_directory("photos"), made->ino);
  EXPECT_CODE(core->mkdir(root, kRootIno, "photos", 0750), Code::kExists);
  EXPECT_CODE(core->mkdir(root, kRootIno, "Photos", 0750), Code::kInvalid);
  EXPECT_CODE(core->mkdir(root, kRootIno, ".versions", 0750), Code::kInvalid);
  EXPECT_CODE(core->mkdir(root, kRootIno, "..", 0750), Code::kExists);
  EXPECT_CODE(core->mkdir(alice, kRootIno, "others", 0750), Code::kAccessDenied);
  EXPECT_OK(chmod(account, kRootIno, 0777));
  EXPECT_OK(core->mkdir(alice, kRootIno, "others", 0750));
  EXPECT_EQ(core->bucket(root, "others")->owner, kAccount);
  expect_sound();
}

TEST_F(BucketTest, TheRootHoldsBucketsOnly) {
  EXPECT_CODE(mknod(root, kRootIno, "a"), Code::kNotPermitted);
  EXPECT_CODE(core->create(root, kRootIno, "a", 0644, {.write = true}), Code::kNotPermitted);
  EXPECT_CODE(core->symlink(root, kRootIno, "a", "b"), Code::kNotPermitted);
  EXPECT_CODE(core->unlink(root, kRootIno, "bucket"), Code::kIsDirectory);
}

TEST_F(BucketTest, AnEmptyBucketGoesWithItsKeys) {
  const Ino directory = other(Versioning::kOff);
  const Scope number = bucket_of(directory);
  EXPECT_TRUE(store->has_scope(number));
  EXPECT_OK(core->setxattr(root, directory, "user.a", "b", Core::XattrMode::kSet));
  file(directory, "a", 0644, root);
  EXPECT_CODE(core->rmdir(root, kRootIno, "other"), Code::kNotEmpty);
  // Deleted, though the kernel has not forgotten it yet.
  EXPECT_OK(core->unlink(root, directory, "a"));
  EXPECT_CODE(core->rmdir(alice, kRootIno, "other"), Code::kAccessDenied);
  EXPECT_OK(core->rmdir(root, kRootIno, "other"));
  EXPECT_FALSE(store->has_scope(number));
  EXPECT_EQ(keys_of(number), 0u);
  EXPECT_CODE(core->lookup(root, kRootIno, "other"), Code::kNotFound);
  EXPECT_CODE(core->lookup(root, directory, "a"), Code::kNotFound);
  EXPECT_CODE(core->getattr(root, directory), Code::kNotFound);
  EXPECT_CODE(mknod(root, directory, "b"), Code::kNotFound);
  EXPECT_EQ(stat(kRootIno).nlink, 3u);
  expect_sound();
}

TEST_F(BucketTest, ABucketWithADeletedFileStillOpenIsBusy) {
  const Ino directory = other(Versioning::kOff);
  const auto made = core->create(root, directory, "a", 0644, {.write = true});
  ASSERT_TRUE(made);
  EXPECT_OK(core->unlink(root, directory, "a"));
  EXPECT_CODE(core->rmdir(root, kRootIno, "other"), Code::kBusy);
  core->release(made->attributes.ino, made->open.handle);
  EXPECT_OK(core->rmdir(root, kRootIno, "other"));
}

TEST_F(BucketTest, OldVersionsAndHistoryKeepABucket) {
  const Ino directory = other();
  write(file(directory, "a", 0644, root), "content");
  EXPECT_OK(core->unlink(root, directory, "a"));
  EXPECT_CODE(core->rmdir(root, kRootIno, "other"), Code::kNotEmpty);
}

TEST_F(BucketTest, NumbersOfBucketsAreNeverUsedAgain) {
  const Scope first = bucket_of(other());
  EXPECT_OK(core->rmdir(root, kRootIno, "other"));
  const Scope second = bucket_of(other());
  EXPECT_GT(second, first);
  EXPECT_OK(core->rmdir(root, kRootIno, "other"));
  restart();
  EXPECT_GT(bucket_of(other()), second);
}

TEST_F(BucketTest, PurgingDeletesEverythingAndTheKeysLast) {
  const Ino directory = other();
  const Scope number = bucket_of(directory);
  for (int i = 0; i < 300; ++i) {
    const Ino ino = file(directory, "file" + std::to_string(i), 0644, root);
    write(ino, "one");
    env.advance(120'000'000'000);
    write(ino, std::string(20'000, 'x'));
    if (i % 3 == 0) EXPECT_OK(core->unlink(root, directory, "file" + std::to_string(i)));
  }
  const Ino below = mkdir(directory, "d", 0777, root);
  file(below, "open", 0644, root);
  const auto open = core->open(root, at(below, "open"), {.read = true, .write = true});
  ASSERT_TRUE(open);
  const Ino open_ino = at(below, "open");
  EXPECT_CODE(core->purge_bucket(alice, "other", nullptr), Code::kAccessDenied);
  EXPECT_CODE(core->purge_bucket(root, "none", nullptr), Code::kNotFound);
  uint64_t seen = 0;
  EXPECT_OK(core->purge_bucket(account, "other", [&](uint64_t done, uint64_t) {
    EXPECT_GE(done, seen);
    seen = done;
    return true;
  }));
  EXPECT_EQ(seen, 303u);
  EXPECT_EQ(keys_of(number), 0u);
  EXPECT_FALSE(store->has_scope(number));
  EXPECT_EQ(bucket_names(), (std::vector<std::string>{"bucket"}));
  EXPECT_CODE(core->write(open_ino, open->handle, 0, "x", false), Code::kNotFound);
  core->release(open_ino, open->handle);
  expect_sound();
  EXPECT_NE(bucket_of(other()), number);
}

TEST_F(BucketTest, AnInterruptedPurgeHidesTheBucketAndIsFinishedWhenCalledAgain) {
  const Ino directory = other();
  for (int i = 0; i < 600; ++i) file(directory, "file" + std::to_string(i), 0644, root);
  EXPECT_CODE(core->purge_bucket(root, "other", [](uint64_t, uint64_t) { return false; }), Code::kInterrupted);
  const auto expect_hidden = [&] {
    EXPECT_CODE(core->lookup(root, kRootIno, "other"), Code::kNotFound);
    EXPECT_CODE(core->lookup(root, directory, "file599"), Code::kNotFound);
    EXPECT_CODE(mknod(root, directory, "new"), Code::kNotFound);
    EXPECT_CODE(core->bucket_directory("other"), Code::kNotFound);
    EXPECT_CODE(core->mkdir(root, kRootIno, "other", 0777), Code::kExists);
    EXPECT_EQ(names(kRootIno), (std::vector<std::string>{"bucket"}));
    EXPECT_EQ(bucket_names(), (std::vector<std::string>{"bucket", "other"}));
  };
  expect_hidden();
  restart();
  expect_hidden();
  EXPECT_OK(core->purge_bucket(root, "other", nullptr));
  EXPECT_EQ(keys_of(bucket_of(directory)), 0u);
  EXPECT_EQ(bucket_names(), (std::vector<std::string>{"bucket"}));
  expect_sound();
}

TEST_F(BucketTest, PurgingGoesOnOverDamage) {
  const Ino directory = other();
  const Ino damaged = file(directory, "a", 0644, root);
  for (int i = 0; i < 20; ++i) file(directory, "file" + std::to_string(i), 0644, root);
  core->forget(damaged, 1);
  restart();
  Transaction tx;
  tx.put(bucket_of(directory), keys::inode(damaged), "not an inode");
  EXPECT_OK(store->commit(std::move(tx)));
  EXPECT_CODE(core->lookup(root, directory, "a"), Code::kCorrupt);
  EXPECT_OK(core->purge_bucket(root, "other", nullptr));
  EXPECT_EQ(keys_of(bucket_of(directory)), 0u);
}

TEST_F(BucketTest, KeysThatNoBucketHasAreDestroyedAtTheNextStart) {
  EXPECT_OK(store->sync());
  const Scope number = bucket_of(other());
  crash();  // the keys were durable, the bucket was not
  EXPECT_FALSE(store->has_scope(number));
  EXPECT_EQ(bucket_names(), (std::vector<std::string>{"bucket"}));
  EXPECT_GT(bucket_of(other()), number - 1);
  expect_sound();
}

TEST_F(BucketTest, UsageCountsObjectsAndVersions) {
  const Ino directory = other();
  const Ino ino = file(directory, "a", 0644, root);
  write(ino, std::string(1000, 'x'));
  env.advance(120'000'000'000);
  write(ino, std::string(2000, 'y'));
  mkdir(directory, "d", 0777, root);
  EXPECT_OK(core->symlink(root, directory, "l", "x"));
  write(file(directory, "gone", 0644, root), std::string(500, 'z'));
  EXPECT_OK(core->unlink(root, directory, "gone"));
  const auto info = core->bucket_usage(root, "other", nullptr);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->objects, 2u);
  EXPECT_EQ(info->directories, 1u);
  EXPECT_EQ(info->current_bytes, 2000u);
  EXPECT_GE(info->noncurrent_bytes, 1500u);
  EXPECT_GE(info->noncurrent, 2u);
}

TEST_F(BucketTest, VersioningIsTheAccountsAndIsNotTurnedOffOverHistory) {
  const Ino directory = other();
  EXPECT_CODE(core->set_versioning(alice, "other", Versioning::kOff), Code::kAccessDenied);
  EXPECT_CODE(core->set_versioning(root, "none", Versioning::kOff), Code::kNotFound);
  EXPECT_OK(core->set_versioning(account, "other", Versioning::kSuspended));
  EXPECT_EQ(core->bucket(root, "other")->versioning, Versioning::kSuspended);
  EXPECT_OK(core->set_versioning(root, "other", Versioning::kOff));
  restart();
  EXPECT_EQ(core->bucket(root, "other")->versioning, Versioning::kOff);
  EXPECT_OK(core->set_versioning(root, "other", Versioning::kEnabled));
  file(directory, "a", 0644, root);
  EXPECT_OK(core->unlink(root, directory, "a"));
  EXPECT_CODE(core->set_versioning(root, "other", Versioning::kOff), Code::kNotEmpty);
  EXPECT_OK(core->set_versioning(root, "other", Versioning::kSuspended));
}

TEST_F(BucketTest, ListingTheRootTakesReadOnIt) {
  EXPECT_OK(core->buckets(alice));
  EXPECT_OK(chmod(account, kRootIno, 0711));
  EXPECT_CODE(core->buckets(alice), Code::kAccessDenied);
  EXPECT_CODE(core->opendir(alice, kRootIno), Code::kAccessDenied);
  EXPECT_OK(core->bucket(alice, "bucket"));
}

}  // namespace
}  // namespace pailfs::test
