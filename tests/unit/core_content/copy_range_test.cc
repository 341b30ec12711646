// copy_file_range(2): what is shared, what is not, and what becomes of shared units.
#include <sys/stat.h>

#include <random>

#include "core/records.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class CopyRange : public testing::Test {
 protected:
  static std::string noise(size_t size, uint32_t seed = 1) {
    std::mt19937 random(seed);
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
  }
  ContentFixture::OpenFile made(const std::string& name, const std::string& content) {
    const auto file = f.create(name);
    f.write(file, 0, content);
    return file;
  }
  Code code_of(const Result<uint64_t>& result) { return result ? Code::kExists : result.error().code; }

  ContentFixture f;
};

TEST_F(CopyRange, ACopyTakesNoRoomAndLastsLongerThanItsSource) {
  const std::string content = noise(3 * kMiB + 777);
  const auto source = made("source", content);
  const uint64_t before = f.appended_bytes();
  const auto target = f.create("target");
  EXPECT_EQ(f.copy(source, 0, target, 0, 10 * kMiB), content.size());
  EXPECT_LT(f.appended_bytes() - before, 32'768u);  // the last piece is short
  f.close(source);
  f.close(target);
  EXPECT_EQ(f.content(target.ino), content);
  EXPECT_EQ(f.core->getattr(f.root, target.ino)->blocks, f.core->getattr(f.root, source.ino)->blocks);
  f.expect_sound();
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "source"));
  for (const VersionEntry& version : f.oldest_first("source")) {
    EXPECT_OK(f.core->unlink(f.root, f.versions_of({"source"}), version.name));
  }
  f.expect_sound();
  f.restart();
  EXPECT_OK(f.store->checkpoint());
  EXPECT_OK(f.store->reclaim());
  EXPECT_EQ(f.content(target.ino), content);
  f.expect_sound();
}

TEST_F(CopyRange, WritingToOneOfTwoLeavesTheOther) {
  const std::string content = noise(kMiB);
  const auto source = made("source", content);
  const auto target = f.create("target");
  EXPECT_EQ(f.copy(source, 0, target, 0, kMiB), kMiB);
  f.write(source, 5000, "changed");
  f.write(target, 700'000, "changed as well");
  std::string first = content;
  std::string second = content;
  first.replace(5000, 7, "changed");
  second.replace(700'000, 15, "changed as well");
  EXPECT_EQ(f.read(source, 0, kMiB), first);
  EXPECT_EQ(f.read(target, 0, kMiB), second);
  f.close(source);
  f.close(target);
  f.expect_sound();
}

TEST_F(CopyRange, ManyCopiesOfPiecesAtOddPlacesAreCountedRight) {
  const std::string content = noise(kMiB);
  const auto source = made("source", content);
  std::vector<ContentFixture::OpenFile> targets;
  for (uint32_t i = 0; i < 6; ++i) {
    targets.push_back(f.create("target" + std::to_string(i)));
    EXPECT_EQ(f.copy(source, i * 50'001, targets.back(), i * 100'003, 500'000), 500'000u);
    EXPECT_EQ(f.copy(targets.back(), i * 100'003, targets.back(), 2 * kMiB + i, 300'000), 300'000u);
    f.expect_sound();
  }
  for (uint32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(f.read(targets[i], i * 100'003, 500'000), content.substr(i * 50'001, 500'000));
    EXPECT_EQ(f.read(targets[i], 2 * kMiB + i, 300'000), content.substr(i * 50'001, 300'000));
    f.close(targets[i]);
  }
  f.close(source);
  f.restart();
  f.expect_sound();
  for (const char* name : {"target3", "source", "target0", "target5", "target1", "target4", "target2"}) {
    EXPECT_OK(f.core->unlink(f.root, f.bucket, name));
    for (const VersionEntry& version : f.oldest_first(name)) {
      EXPECT_OK(f.core->unlink(f.root, f.versions_of({name}), version.name));
    }
    f.expect_sound();
  }
  EXPECT_FALSE(*f.store->view().seek_key(keys::shared(0, 0), keys::after_prefix("s")));
}

TEST_F(CopyRange, HolesStayHolesAndHideWhatWasThere) {
  const auto source = f.create("source");
  f.write(source, 2 * kMiB, noise(100'000));
  const auto target = made("target", noise(3 * kMiB, 2));
  EXPECT_EQ(f.copy(source, 0, target, 0, 3 * kMiB), 2 * kMiB + 100'000);
  EXPECT_EQ(f.read(target, 0, 2 * kMiB), std::string(2 * kMiB, '\0'));
  EXPECT_EQ(f.core->seek(target.ino, 0, true).value_or(0), 2 * kMiB);
  EXPECT_EQ(f.read(target, 2 * kMiB + 100'000, 1000), noise(3 * kMiB, 2).substr(2 * kMiB + 100'000, 1000));
  f.close(source);
  f.close(target);
  f.expect_sound();
}

TEST_F(CopyRange, AVersionIsASource) {
  const std::string content = noise(600'000);
  f.put("file", content);
  f.env.advance(61'000'000'000);
  f.put("file", "overwritten");
  const Ino ino = f.lookup(f.bucket, "file");
  const std::string name = f.versions("file").at(1).name;
  const Ino version = f.lookup(f.versions_of({"file"}), name);
  const auto source = f.open_file(version, {.read = true});
  const auto target = f.open_file(ino, {.write = true, .truncate = true});
  const uint64_t before = f.appended_bytes();
  EXPECT_EQ(f.copy(source, 0, target, 0, kMiB), content.size());
  EXPECT_LT(f.appended_bytes() - before, 32'768u);
  f.core->release(version, source.handle);
  f.close(target);
  EXPECT_EQ(f.content(ino), content);
  f.expect_sound();
  EXPECT_OK(f.core->unlink(f.root, f.versions_of({"file"}), name));
  EXPECT_EQ(f.content(ino), content);
  f.expect_sound();
}

TEST_F(CopyRange, IntoAnotherBucketTheDataGoesUnderItsKey) {
  const std::string content = noise(40 * kMiB);
  const auto source = made("source", content);
  EXPECT_OK(f.core->create_bucket(f.root, "elsewhere", Versioning::kEnabled, 0755));
  const Ino elsewhere = f.core->bucket_directory("elsewhere").value_or(0);
  const auto created = f.core->create(f.root, elsewhere, "target", 0644, {.read = true, .write = true});
  ASSERT_TRUE(created);
  const ContentFixture::OpenFile target{created->attributes.ino, created->open.handle};
  EXPECT_EQ(f.copy(source, 0, target, 0, content.size()), content.size());
  f.close(source);
  f.close(target);
  EXPECT_OK(f.core->purge_bucket(f.root, "bucket", nullptr));
  EXPECT_EQ(f.content(target.ino), content);
  f.expect_sound();
}

TEST_F(CopyRange, WhatCannotBeCopiedIsRefused) {
  const auto source = made("source", "content");
  const auto target = f.create("target");
  const auto reader = f.open_file(target.ino, {.read = true});
  const auto writer = f.open_file(source.ino, {.write = true});
  Core& core = *f.core;
  EXPECT_EQ(code_of(core.copy_range({source.ino, source.handle, 0}, {reader.ino, reader.handle, 0}, 5)),
            Code::kBadHandle);
  EXPECT_EQ(code_of(core.copy_range({writer.ino, writer.handle, 0}, {target.ino, target.handle, 0}, 5)),
            Code::kBadHandle);
  EXPECT_EQ(code_of(core.copy_range({source.ino, source.handle, 0}, {target.ino, target.handle, kMaxFileSize}, 5)),
            Code::kTooBig);
  EXPECT_EQ(core.copy_range({source.ino, source.handle, 7}, {target.ino, target.handle, 0}, 5).value_or(1), 0u);
  EXPECT_EQ(core.copy_range({source.ino, source.handle, 5}, {target.ino, target.handle, 3}, 100).value_or(1), 2u);
  EXPECT_EQ(f.read(target, 0, 100), std::string("\0\0\0nt", 5));
  for (const auto& file : {source, target, reader, writer}) f.close(file);
}

TEST_F(CopyRange, SetUserIdRightsGoWhenAUserCopies) {
  const auto source = made("source", "content");
  Caller user;
  user.uid = 1000;
  AttributeChange open_to_all;
  open_to_all.mode = 0777;
  EXPECT_OK(f.core->setattr(f.root, f.bucket, open_to_all));
  const auto created = f.core->create(user, f.bucket, "target", 06755, {.write = true});
  ASSERT_TRUE(created);
  const ContentFixture::OpenFile target{created->attributes.ino, created->open.handle};
  EXPECT_EQ(f.copy(source, 0, target, 0, 7), 7u);
  EXPECT_EQ(f.core->getattr(f.root, target.ino)->mode & 07777, 0755u);
  f.close(source);
  f.close(target);
}

}  // namespace
}  // namespace pailfs::test
