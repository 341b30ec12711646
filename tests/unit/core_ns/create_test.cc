#include "core/records.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

TEST_F(CoreTest, LookupFindsWhatWasMade) {
  const Ino made = file("a", 0640);
  const auto found = core->lookup(root, bucket, "a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ino, made);
  EXPECT_EQ(found->mode, uint32_t{S_IFREG | 0640});
  EXPECT_EQ(found->nlink, 1u);
  EXPECT_CODE(core->lookup(root, bucket, "b"), Code::kNotFound);
  EXPECT_CODE(core->lookup(root, made, "b"), Code::kNotDirectory);
  EXPECT_EQ(at(bucket, "."), bucket);
  EXPECT_EQ(at(bucket, ".."), kRootIno);
  EXPECT_EQ(at(kRootIno, ".."), kRootIno);
  EXPECT_EQ(at(kRootIno, "bucket"), bucket);
}

TEST_F(CoreTest, NamesHaveOneTo255BytesOfAnythingButSlashAndNul) {
  EXPECT_OK(mknod(root, bucket, std::string(255, 'a')));
  EXPECT_CODE(mknod(root, bucket, std::string(256, 'a')), Code::kNameTooLong);
  EXPECT_CODE(core->lookup(root, bucket, std::string(256, 'a')), Code::kNameTooLong);
  EXPECT_CODE(mknod(root, bucket, ""), Code::kInvalid);
  EXPECT_CODE(mknod(root, bucket, "a/b"), Code::kInvalid);
  EXPECT_CODE(mknod(root, bucket, std::string("a\0b", 3)), Code::kInvalid);
  EXPECT_OK(mknod(root, bucket, "\x01\xff\n \x80"));
  EXPECT_NE(at(bucket, "\x01\xff\n \x80"), 0u);
  for (const char* taken : {".", "..", ".versions"}) EXPECT_CODE(mknod(root, bucket, taken), Code::kExists) << taken;
}

TEST_F(CoreTest, ANameIsGivenOnce) {
  file("a");
  mkdir("d");
  EXPECT_CODE(mknod(root, bucket, "a"), Code::kExists);
  EXPECT_CODE(core->mkdir(root, bucket, "a", 0777), Code::kExists);
  EXPECT_CODE(core->symlink(root, bucket, "d", "x"), Code::kExists);
  EXPECT_CODE(core->link(root, at(bucket, "a"), bucket, "d"), Code::kExists);
  EXPECT_CODE(core->create(root, bucket, "a", 0644, {.write = true}), Code::kExists);
  // Also for who could not make it.
  EXPECT_OK(chmod(root, bucket, 0755));
  EXPECT_CODE(mknod(alice, bucket, "a"), Code::kExists);
  EXPECT_CODE(mknod(alice, bucket, "b"), Code::kAccessDenied);
}

TEST_F(CoreTest, MakingTakesWriteAndSearchOnTheDirectory) {
  const Ino directory = mkdir("d", 0700);
  EXPECT_CODE(mknod(alice, directory, "a"), Code::kAccessDenied);
  for (const uint32_t mode : {0701u, 0702u, 0705u}) {
    EXPECT_OK(chmod(root, directory, mode));
    EXPECT_CODE(mknod(alice, directory, "a"), Code::kAccessDenied) << mode;
    EXPECT_CODE(core->mkdir(alice, directory, "a", 0777), Code::kAccessDenied) << mode;
    EXPECT_CODE(core->symlink(alice, directory, "a", "x"), Code::kAccessDenied) << mode;
  }
  EXPECT_OK(chmod(root, directory, 0703));
  EXPECT_OK(mknod(alice, directory, "a"));
  EXPECT_OK(chmod(root, directory, 0706));
  EXPECT_CODE(core->lookup(alice, directory, "a"), Code::kAccessDenied);
  EXPECT_CODE(core->lookup(alice, directory, "none"), Code::kAccessDenied);
}

TEST_F(CoreTest, ANewFileBelongsToItsMaker) {
  const auto made = mknod(alice, bucket, "a", 06751);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->uid, 1000u);
  EXPECT_EQ(made->gid, 1000u);
  EXPECT_EQ(made->mode, uint32_t{S_IFREG | 06751});
  EXPECT_EQ(made->btime, env.now());
}

TEST_F(CoreTest, ASetGroupIdDirectoryGivesItsGroup) {
  const Ino directory = mkdir("d");
  EXPECT_OK(chown(root, directory, 0, 7777));
  EXPECT_OK(chmod(root, directory, 02777));
  const Ino below = mkdir(directory, "below", 0755, alice);
  EXPECT_EQ(stat(below).gid, 7777u);
  EXPECT_EQ(stat(below).mode, uint32_t{S_IFDIR | 02755});
  const Ino plain = file(directory, "plain", 0644, alice);
  EXPECT_EQ(stat(plain).gid, 7777u);
  EXPECT_EQ(stat(plain).mode, uint32_t{S_IFREG | 0644});
  // A set-group-id program for a group that its maker is not in would be a way in.
  EXPECT_EQ(stat(file(directory, "program", 02755, alice)).mode, uint32_t{S_IFREG | 0755});
  EXPECT_EQ(stat(file(directory, "roots", 02755, root)).mode, uint32_t{S_IFREG | 02755});
}

TEST_F(CoreTest, MkdirCountsInItsParent) {
  const uint32_t before = stat(bucket).nlink;
  const Ino directory = mkdir("d", 01750);
  EXPECT_EQ(stat(directory).nlink, 2u);
  EXPECT_EQ(stat(directory).mode, uint32_t{S_IFDIR | 01750});
  EXPECT_EQ(stat(bucket).nlink, before + 1);
  EXPECT_EQ(at(directory, ".."), bucket);
  file("f");
  EXPECT_EQ(stat(bucket).nlink, before + 1);
}

TEST_F(CoreTest, MakingMovesTheTimesOfTheDirectory) {
  env.advance(1'000'000'000);
  file("a");
  EXPECT_EQ(stat(bucket).mtime, env.now());
  EXPECT_EQ(stat(bucket).ctime, env.now());
  const Time before = env.now();
  env.advance(1'000'000'000);
  EXPECT_OK(core->link(root, at(bucket, "a"), bucket, "b"));
  EXPECT_EQ(stat(bucket).mtime, env.now());
  EXPECT_EQ(stat(at(bucket, "a")).ctime, env.now());
  EXPECT_EQ(stat(at(bucket, "a")).mtime, before);
}

TEST_F(CoreTest, SpecialFilesKeepTheirTypeAndNumber) {
  const auto fifo = core->mknod(alice, bucket, "fifo", S_IFIFO | 0600, 9);
  ASSERT_TRUE(fifo);
  EXPECT_EQ(fifo->mode, uint32_t{S_IFIFO | 0600});
  EXPECT_EQ(fifo->rdev, 0u);
  EXPECT_OK(core->mknod(alice, bucket, "socket", S_IFSOCK | 0600, 0));
  EXPECT_CODE(core->mknod(alice, bucket, "null", S_IFCHR | 0600, 0x103), Code::kNotPermitted);
  const auto device = core->mknod(root, bucket, "null", S_IFCHR | 0600, 0x103);
  ASSERT_TRUE(device);
  EXPECT_EQ(device->rdev, 0x103u);
  EXPECT_CODE(core->mknod(root, bucket, "d", S_IFDIR | 0600, 0), Code::kNotPermitted);
  EXPECT_CODE(core->mknod(root, bucket, "l", S_IFLNK | 0600, 0), Code::kInvalid);
}

TEST_F(CoreTest, SymbolicLinksHoldAnythingOfOneTo4095Bytes) {
  const auto made = core->symlink(alice, bucket, "l", "../some/where");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, uint32_t{S_IFLNK | 0777});
  EXPECT_EQ(made->size, 13u);
  EXPECT_EQ(core->readlink(bob, made->ino), "../some/where");
  EXPECT_OK(core->symlink(root, bucket, "long", std::string(4095, 'x')));
  EXPECT_CODE(core->symlink(root, bucket, "longer", std::string(4096, 'x')), Code::kNameTooLong);
  EXPECT_CODE(core->symlink(root, bucket, "empty", ""), Code::kNotFound);
  EXPECT_CODE(core->readlink(root, file("f")), Code::kInvalid);
}

TEST_F(CoreTest, ALinkIsAnotherNameOfTheSameFile) {
  const Ino ino = file("a");
  const Ino directory = mkdir("d");
  const auto linked = core->link(root, ino, directory, "b");
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->ino, ino);
  EXPECT_EQ(linked->nlink, 2u);
  EXPECT_EQ(at(directory, "b"), ino);
  EXPECT_CODE(core->link(root, directory, bucket, "e"), Code::kNotPermitted);
  EXPECT_CODE(core->link(root, ino, ino, "e"), Code::kNotDirectory);
  EXPECT_CODE(core->link(root, ino + 100, bucket, "e"), Code::kNotFound);
}

TEST_F(CoreTest, LinkingTakesWhatProtectedHardlinksTakes) {
  const Ino secret = file("secret", 0644), open = file("open", 0666);
  const Ino program = file("program", 04777), group_program = file("group", 02777), data = file("data", 02767);
  const Ino owned = file(bucket, "owned", 0, alice);
  EXPECT_OK(core->symlink(root, bucket, "symlink", "x"));
  EXPECT_CODE(core->link(alice, secret, bucket, "1"), Code::kNotPermitted);
  EXPECT_CODE(core->link(alice, program, bucket, "2"), Code::kNotPermitted);
  EXPECT_CODE(core->link(alice, group_program, bucket, "3"), Code::kNotPermitted);
  EXPECT_CODE(core->link(alice, at(bucket, "symlink"), bucket, "4"), Code::kNotPermitted);
  EXPECT_OK(core->link(alice, open, bucket, "5"));
  EXPECT_OK(core->link(alice, owned, bucket, "6"));
  EXPECT_OK(core->link(alice, data, bucket, "7"));
  EXPECT_OK(core->link(root, program, bucket, "8"));
}

TEST_F(CoreTest, LinksStayInTheirBucket) {
  EXPECT_OK(core->create_bucket(root, "other", Versioning::kEnabled, 0777));
  const Ino other = *core->bucket_directory("other");
  EXPECT_CODE(core->link(root, file("a"), other, "a"), Code::kCrossDevice);
}

TEST_F(CoreTest, NothingIsMadeInADirectoryThatIsGone) {
  const Ino directory = mkdir("d");
  const Ino ino = file("a");
  EXPECT_OK(core->rmdir(root, bucket, "d"));
  EXPECT_CODE(mknod(root, directory, "a"), Code::kNotFound);
  EXPECT_CODE(core->mkdir(root, directory, "a", 0777), Code::kNotFound);
  EXPECT_CODE(core->link(root, ino, directory, "a"), Code::kNotFound);
  EXPECT_CODE(rename(bucket, "a", directory, "a"), Code::kNotFound);
}

TEST_F(CoreTest, CreateIsThreeValuesAndNoScan) {
  const uint64_t before = store->sequence();
  file("a");  // takes the range of numbers and of stamps
  const uint64_t first = store->sequence();
  file("b");
  EXPECT_EQ(store->sequence(), first + 1);
  EXPECT_LE(first - before, 3u);
}

// Names whose tokens share 60 bits cannot be found by trying: the entry in the way is written by hand.
class CollisionTest : public PlainCoreTest {
 protected:
  uint64_t group(const std::string& name) {
    const auto token = store->token(bucket_of(bucket), name);
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; ++i) bits = bits << 8 | static_cast<uint8_t>(token[i]);
    return bits >> 4 << 3;
  }
  std::optional<Dirent> entry(uint64_t slot) {
    const auto value = store->get(bucket_of(bucket), keys::dirent(bucket, slot));
    if (!value || !*value) return std::nullopt;
    return *decode_dirent(**value);
  }
  // A file whose entry lies in the group of another name.
  Ino plant(const std::string& name, uint64_t slot, bool collided) {
    const Ino ino = file(name);
    Transaction tx;
    tx.erase(keys::dirent(bucket, group(name)));
    tx.put(bucket_of(bucket), keys::dirent(bucket, slot), encode_dirent({ino, S_IFREG, 1, collided, name}));
    EXPECT_OK(store->commit(std::move(tx)));
    return ino;
  }
};

TEST_F(CollisionTest, ANameWhoseSlotIsTakenGoesToTheNextAndIsFoundThere) {
  const uint64_t slot = group("victim");
  const Ino foreign = plant("foreign", slot, false);
  EXPECT_CODE(core->lookup(root, bucket, "victim"), Code::kNotFound);
  const Ino ino = file("victim");
  EXPECT_EQ(entry(slot)->name, "foreign");
  EXPECT_TRUE(entry(slot)->collided);
  EXPECT_EQ(entry(slot + 1)->name, "victim");
  EXPECT_EQ(at(bucket, "victim"), ino);
  EXPECT_EQ(names(bucket), (std::vector<std::string>{"foreign", "victim"}));
  // The planted name itself cannot be looked up; what frees its slot is renaming over it.
  EXPECT_NE(foreign, ino);
}

TEST_F(CollisionTest, AFreedSlotInTheMiddleStaysAPlaceHolderAndIsUsedAgain) {
  const uint64_t slot = group("victim");
  plant("foreign", slot, true);
  Transaction tx;
  Dirent holder;
  holder.collided = true;
  tx.put(bucket_of(bucket), keys::dirent(bucket, slot + 1), encode_dirent(holder));
  EXPECT_OK(store->commit(std::move(tx)));
  plant("last", slot + 2, false);
  const Ino ino = file("victim");
  EXPECT_EQ(entry(slot + 1)->name, "victim");
  EXPECT_TRUE(entry(slot + 1)->collided);
  EXPECT_EQ(at(bucket, "victim"), ino);
  EXPECT_OK(core->unlink(root, bucket, "victim"));
  EXPECT_TRUE(entry(slot + 1)->name.empty());
  EXPECT_EQ(names(bucket), (std::vector<std::string>{"foreign", "last"}));
  EXPECT_CODE(core->lookup(root, bucket, "victim"), Code::kNotFound);
}

TEST_F(CollisionTest, AFullGroupRefusesAnotherName) {
  const uint64_t slot = group("victim");
  for (uint64_t i = 0; i < 8; ++i) plant("foreign" + std::to_string(i), slot + i, i < 7);
  EXPECT_CODE(mknod(root, bucket, "victim"), Code::kNoSpace);
  EXPECT_EQ(names(bucket).size(), 8u);
  EXPECT_OK(mknod(root, bucket, "another"));
}

TEST_F(CollisionTest, PlaceHoldersDoNotKeepADirectory) {
  const Ino directory = mkdir("d");
  Transaction tx;
  Dirent holder;
  holder.collided = true;
  tx.put(bucket_of(bucket), keys::dirent(directory, 88), encode_dirent(holder));
  EXPECT_OK(store->commit(std::move(tx)));
  EXPECT_TRUE(names(directory).empty());
  EXPECT_OK(core->rmdir(root, bucket, "d"));
  EXPECT_EQ(*store->get(bucket_of(bucket), keys::dirent(directory, 88)), std::nullopt);
}

}  // namespace
}  // namespace pailfs::test
