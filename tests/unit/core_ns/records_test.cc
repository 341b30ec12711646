#include "core/records.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>

namespace pailfs {
namespace {

InodeRecord full_inode() {
  InodeRecord inode;
  inode.mode = S_IFREG | 06755;
  inode.nlink = 3;
  inode.uid = ~0u - 1;
  inode.gid = 77;
  inode.rdev = 0x1234567890;
  inode.size = 1 << 20;
  inode.stored = 12345;
  inode.atime = -5;
  inode.mtime = std::numeric_limits<Time>::max();
  inode.ctime = std::numeric_limits<Time>::min();
  inode.btime = 1'700'000'000'123'456'789;
  inode.parent = bucket_root(3);
  inode.has_xattrs = true;
  inode.acl = std::make_shared<const Acl>(Acl{{{AclTag::kUserObj, 7},
                                               {AclTag::kUser, 6, 1000},
                                               {AclTag::kGroupObj, 5},
                                               {AclTag::kGroup, kWriteAcp, ~0u - 1},
                                               {AclTag::kMask, 5},
                                               {AclTag::kOther, 5}}});
  inode.cid = bucket_root(3) + 9;
  inode.vseq = 7;
  inode.prev = 6;
  inode.extents = {{0, 5000, 100, {1, 4096, 5200, true}}, {6000, 1, 4095, {~0ull, ~0ull, 4096, false}}};
  inode.dirty = true;
  inode.sealed = true;
  inode.version = {{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p'}, 42, true};
  return inode;
}

InodeRecord locked_inode() {
  InodeRecord inode = full_inode();
  inode.ceased = 77;
  inode.resumed = 78;
  inode.retention = {LockMode::kCompliance, 79, true};
  return inode;
}

BucketRecord full_bucket() {
  BucketRecord bucket{"name", 3, Versioning::kEnabled, 4, 5, false};
  bucket.history_since = 6;
  bucket.mass_deletion = 7;
  bucket.keep = {30, 10};
  bucket.object_lock = bucket.mfa_delete = true;
  bucket.default_retention = {LockMode::kGovernance, 90, 0};
  bucket.ownership = ObjectOwnership::kBucketOwnerEnforced;
  bucket.public_access = 5;
  return bucket;
}

struct Sample {
  std::string what;
  std::string value;
  bool (*decodes)(std::string_view);
};

std::vector<Sample> samples() {
  Dirent holder;
  holder.collided = true;
  return {
      {"inode", encode_inode(full_inode()), [](std::string_view v) { return decode_inode(v).has_value(); }},
      {"extents", encode_extents(full_inode().extents),
       [](std::string_view v) { return decode_extents(v).has_value(); }},
      {"dirent", encode_dirent({5, S_IFREG, 6, true, "name"}),
       [](std::string_view v) { return decode_dirent(v).has_value(); }},
      {"place holder", encode_dirent(holder), [](std::string_view v) { return decode_dirent(v).has_value(); }},
      {"ended", encode_ended({5, S_IFDIR, 6, 7, EndKind::kRenamed, VersionId{'x'}, 8, "name"}),
       [](std::string_view v) { return decode_ended(v).has_value(); }},
      {"past inode", encode_past_inode(locked_inode()), [](std::string_view v) { return decode_inode(v).has_value(); }},
      {"past attribute", encode_past_xattr({"user.a", "b"}),
       [](std::string_view v) { return decode_past_xattr(v).has_value(); }},
      {"no past attribute", encode_past_xattr({"user.a", std::nullopt}),
       [](std::string_view v) { return decode_past_xattr(v).has_value(); }},
      {"full bucket", encode_bucket(full_bucket()), [](std::string_view v) { return decode_bucket(v).has_value(); }},
      {"bucket", encode_bucket({"name", 3, Versioning::kSuspended, 4, 5, true}),
       [](std::string_view v) { return decode_bucket(v).has_value(); }},
      {"xattr", encode_xattr({"user.a", std::string(300, '\0')}),
       [](std::string_view v) { return decode_xattr(v).has_value(); }},
      {"counter", encode_counter(~0ull), [](std::string_view v) { return decode_counter(v).has_value(); }},
  };
}

TEST(Records, WhatHistoryAddsComesBackAsItWas) {
  const auto inode = decode_inode(encode_past_inode(locked_inode()));
  ASSERT_TRUE(inode) << inode.error().message;
  EXPECT_TRUE(inode->extents.empty());
  EXPECT_EQ(inode->ceased, 77);
  EXPECT_EQ(inode->resumed, 78);
  EXPECT_EQ(inode->retention, locked_inode().retention);
  const auto xattr = decode_past_xattr(encode_past_xattr({"user.a", "b"}));
  ASSERT_TRUE(xattr);
  EXPECT_EQ(xattr->name, "user.a");
  EXPECT_EQ(xattr->value, "b");
  EXPECT_FALSE(decode_past_xattr(encode_past_xattr({"user.a", std::nullopt}))->value);
  const auto bucket = decode_bucket(encode_bucket(full_bucket()));
  ASSERT_TRUE(bucket) << bucket.error().message;
  EXPECT_EQ(bucket->history_since, 6);
  EXPECT_EQ(bucket->mass_deletion, 7);
  EXPECT_EQ(bucket->keep, full_bucket().keep);
  EXPECT_TRUE(bucket->object_lock && bucket->mfa_delete);
  EXPECT_EQ(bucket->default_retention, full_bucket().default_retention);
  EXPECT_EQ(bucket->ownership, ObjectOwnership::kBucketOwnerEnforced);
  EXPECT_EQ(bucket->public_access, 5);
  // What an earlier build wrote: history begins with the bucket.
  EXPECT_EQ(decode_bucket(encode_bucket({"name", 3, Versioning::kEnabled, 4, 5, false}))->history_since, 5);
  EXPECT_EQ(decode_bucket(encode_bucket({"name", 3, Versioning::kOff, 4, 5, false}))->history_since, 0);
  EndedDirent ended{5, S_IFREG, 6, 7, EndKind::kDeleted, VersionId{'x'}, 8, "name"};
  EXPECT_FALSE(decode_ended(encode_ended(ended))->null_marker);
  ended.null_marker = true;
  EXPECT_TRUE(decode_ended(encode_ended(ended))->null_marker);
  EXPECT_EQ(end_of_past(keys::past_inode(9, 1234)), 1234);
  EXPECT_EQ(end_of_past(keys::past_xattr(9, "0123456789abcdef", 1234)), 1234);
}

TEST(Records, AnInodeComesBackAsItWas) {
  const InodeRecord inode = full_inode();
  const auto decoded = decode_inode(encode_inode(inode));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(encode_inode(*decoded), encode_inode(inode));
  EXPECT_EQ(decoded->mode, inode.mode);
  EXPECT_EQ(decoded->nlink, 3u);
  EXPECT_EQ(decoded->uid, inode.uid);
  EXPECT_EQ(decoded->rdev, inode.rdev);
  EXPECT_EQ(decoded->atime, inode.atime);
  EXPECT_EQ(decoded->mtime, inode.mtime);
  EXPECT_EQ(decoded->ctime, inode.ctime);
  EXPECT_EQ(decoded->btime, inode.btime);
  EXPECT_EQ(decoded->extents, inode.extents);
  EXPECT_EQ(*decoded->acl, *inode.acl);
  EXPECT_EQ(decoded->default_acl, nullptr);
  EXPECT_EQ(decoded->version.id, inode.version.id);
  EXPECT_EQ(decoded->version.sealed, 42);
  EXPECT_TRUE(decoded->version.null_id && decoded->dirty && decoded->sealed && decoded->has_xattrs);
  EXPECT_FALSE(decoded->chunked);
}

TEST(Records, TheOthersComeBackAsTheyWere) {
  const auto entry = decode_dirent(encode_dirent({5, S_IFLNK, 6, true, "na\xffme"}));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->ino, 5u);
  EXPECT_EQ(entry->type, uint32_t{S_IFLNK});
  EXPECT_EQ(entry->since, 6);
  EXPECT_TRUE(entry->collided);
  EXPECT_EQ(entry->name, "na\xffme");
  const auto ended = decode_ended(encode_ended({5, S_IFDIR, 6, 7, EndKind::kDeleted, VersionId{'x'}, 8, "name"}));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->marker, VersionId{'x'});
  EXPECT_EQ(ended->end, 7);
  EXPECT_EQ(ended->uid, 8u);
  const auto bucket = decode_bucket(encode_bucket({"name", 3, Versioning::kOff, 4, 5, true}));
  ASSERT_TRUE(bucket);
  EXPECT_EQ(bucket->name, "name");
  EXPECT_TRUE(bucket->deleting);
  EXPECT_EQ(bucket->versioning, Versioning::kOff);
  EXPECT_EQ(bucket->ownership, ObjectOwnership::kObjectWriter);
  EXPECT_EQ(decode_xattr(encode_xattr({"user.a", "b"}))->value, "b");
  EXPECT_EQ(decode_counter(encode_counter(77)), 77u);
}

TEST(Records, NothingShorterOrLongerOrOfAnotherFormatIsTaken) {
  for (const Sample& sample : samples()) {
    EXPECT_TRUE(sample.decodes(sample.value)) << sample.what;
    for (size_t length = 0; length < sample.value.size(); ++length) {
      EXPECT_FALSE(sample.decodes(std::string_view(sample.value).substr(0, length))) << sample.what << " " << length;
    }
    EXPECT_FALSE(sample.decodes(sample.value + '\0')) << sample.what;
    std::string newer = sample.value;
    newer[0] = 2;
    EXPECT_FALSE(sample.decodes(newer)) << sample.what;
  }
}

TEST(Records, DamagedValuesDecodeToSomethingOrNothingButNeverCrash) {
  std::mt19937_64 random(7);
  for (const Sample& sample : samples()) {
    for (int round = 0; round < 20'000; ++round) {
      std::string damaged = sample.value;
      const int hits = static_cast<int>(random() % 4) + 1;
      for (int i = 0; i < hits; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
      static_cast<void>(sample.decodes(damaged));
    }
  }
}

TEST(Records, WhatNoEncoderWritesIsRefused) {
  InodeRecord inode = full_inode();
  inode.mode = 0755;  // no type
  EXPECT_FALSE(decode_inode(encode_inode(inode)));
  inode = full_inode();
  inode.extents[1].offset = 4000;  // overlaps the first
  EXPECT_FALSE(decode_inode(encode_inode(inode)));
  EXPECT_FALSE(decode_extents(encode_extents({{kChunkSize - 1, 2, 0, {1, 0, 2, true}}})));
  EXPECT_FALSE(decode_extents(encode_extents({{0, 2, kUnitSize, {1, 0, 2 * kUnitSize, true}}})));
  EXPECT_FALSE(decode_extents(encode_extents({{0, 3, 0, {1, 0, 2, true}}})));
  EXPECT_FALSE(decode_dirent(encode_dirent({5, S_IFREG, 6, false, "a/b"})));
  EXPECT_FALSE(decode_dirent(encode_dirent({5, S_IFREG, 6, false, std::string(256, 'a')})));
  EXPECT_FALSE(decode_dirent(encode_dirent({0, 0, 0, false, ""})));
  EXPECT_FALSE(decode_ended(encode_ended({5, S_IFREG, 6, 7, static_cast<EndKind>(4), {}, 8, "name"})));
  EXPECT_FALSE(decode_bucket(encode_bucket({"name", 0, Versioning::kOff, 4, 5, true})));
  BucketRecord bucket = full_bucket();
  bucket.public_access = 16;  // no such switch
  EXPECT_FALSE(decode_bucket(encode_bucket(bucket)));
}

TEST(Keys, NumbersSortAsTheirKeysDo) {
  EXPECT_LT(keys::dirent(255, ~0ull), keys::dirent(256, 0));
  EXPECT_LT(keys::version(1, 255), keys::version(1, 256));
  EXPECT_LT(keys::chunk(1, 255, 9), keys::chunk(1, 256, 1));
  EXPECT_LT(keys::ended(1, 2, 3), keys::ended(1, 2, 4));
  EXPECT_TRUE(keys::dirent(7, 9).starts_with(keys::numbered('d', 7)));
  EXPECT_TRUE(keys::xattr(7, "t").starts_with(keys::numbered('x', 7)));
}

TEST(Keys, AfterPrefixIsJustBeyondEveryKeyThatBeginsSo) {
  EXPECT_EQ(keys::after_prefix("a"), "b");
  EXPECT_EQ(keys::after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(keys::after_prefix("\xff"), "");
}

TEST(BucketNames, FollowTheRulesOfS3) {
  for (const char* good : {"abc", "a.b.c", "a-b", "0ab", "my-bucket.2026", "1.2.3", "1.2.3.4.5", "1234.1.1.1"}) {
    EXPECT_TRUE(check_bucket_name(good)) << good;
  }
  EXPECT_TRUE(check_bucket_name(std::string(63, 'a')));
  for (const char* bad : {"",
                          "ab",
                          "Abc",
                          "a_b",
                          "a b",
                          "-ab",
                          "ab-",
                          ".ab",
                          "ab.",
                          "a..b",
                          "192.168.5.4",
                          "1.2.3.4",
                          "xn--ab",
                          "sthree-x",
                          "amzn-s3-demo-x",
                          "ab-s3alias",
                          "ab--ol-s3",
                          "abc.mrap",
                          "ab--x-s3",
                          "ab--table-s3",
                          ".versions",
                          "\xc3\xa4rger"}) {
    const Status checked = check_bucket_name(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, Code::kInvalid);
  }
  EXPECT_FALSE(check_bucket_name(std::string(64, 'a')));
}

TEST(VersionIds, AreTwentySixCharactersThatSortAsTheirBytes) {
  EXPECT_EQ(format_version_id({}), std::string(26, '0'));
  VersionId most;
  most.fill('\xff');
  EXPECT_EQ(format_version_id(most), "7" + std::string(25, 'Z'));
  std::mt19937_64 random(3);
  VersionId before{};
  for (int i = 0; i < 1000; ++i) {
    VersionId id;
    for (char& c : id) c = static_cast<char>(random());
    const std::string text = format_version_id(id);
    EXPECT_EQ(parse_version_id(text), id);
    const auto unsigned_less = [](char a, char b) { return static_cast<uint8_t>(a) < static_cast<uint8_t>(b); };
    EXPECT_EQ(std::ranges::lexicographical_compare(before, id, unsigned_less), format_version_id(before) < text);
    before = id;
  }
}

TEST(VersionIds, OnlyTheCanonicalFormIsRead) {
  EXPECT_FALSE(parse_version_id(""));
  EXPECT_FALSE(parse_version_id(std::string(25, '0')));
  EXPECT_FALSE(parse_version_id(std::string(27, '0')));
  EXPECT_FALSE(parse_version_id("8" + std::string(25, '0')));
  EXPECT_FALSE(parse_version_id(std::string(25, '0') + "a"));
  EXPECT_FALSE(parse_version_id(std::string(25, '0') + "U"));
}

}  // namespace
}  // namespace pailfs
