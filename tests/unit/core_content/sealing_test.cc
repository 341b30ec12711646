// When versions come into being, and what they hold.
#include <sys/stat.h>

#include "support/sanitizers.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr Time kMinute = 60'000'000'000;

using Sealing = testing::Test;

TEST(Sealing, EveryCloseAfterAWriteMakesAVersion) {
  ContentFixture f;
  f.put("file", "one");
  f.put("file", "two");
  const auto file = f.open_file(f.lookup(f.bucket, "file"));
  f.write(file, 3, "!");
  f.close(file);
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_TRUE(versions[0].current);
  const Ino view = f.versions_of({"file"});
  EXPECT_EQ(f.content(f.lookup(view, versions[0].name)), "two!");
  EXPECT_EQ(f.content(f.lookup(view, versions[1].name)), "two");
  EXPECT_EQ(f.content(f.lookup(view, versions[2].name)), "one");
  f.expect_sound();
}

TEST(Sealing, ACloseWithoutAWriteMakesNone) {
  ContentFixture f;
  f.put("file", "one");
  const Ino ino = f.lookup(f.bucket, "file");
  f.close(f.open_file(ino));
  f.close(f.open_file(ino, {.read = true}));
  EXPECT_EQ(f.versions("file").size(), 1u);
}

TEST(Sealing, AFileMadeAndNeverWrittenIsAnEmptyVersion) {
  ContentFixture f;
  f.close(f.create("touched"));
  ASSERT_EQ(f.versions("touched").size(), 1u);
  EXPECT_EQ(f.versions("touched")[0].size, 0u);
  EXPECT_OK(f.core->mknod(f.root, f.bucket, "node", S_IFREG | 0644, 0));
  EXPECT_EQ(f.versions("node").size(), 1u);
}

TEST(Sealing, FsyncMakesNoVersion) {
  ContentFixture f;
  const auto file = f.create("file");
  f.write(file, 0, "data");
  EXPECT_OK(f.core->fsync(file.ino));
  EXPECT_TRUE(f.versions("file").empty());
  f.close(file);
  EXPECT_EQ(f.versions("file").size(), 1u);
}

TEST(Sealing, ADescriptorThatManyCloseReplacesItsVersionWithinAMinute) {
  ContentFixture f;
  const auto log = f.create("log");
  for (int child = 0; child < 100; ++child) {
    f.write(log, static_cast<uint64_t>(child), "x");
    EXPECT_OK(f.core->flush(log.ino, log.handle));
  }
  EXPECT_EQ(f.versions("log").size(), 1u);
  f.env.advance(2 * kMinute);
  f.write(log, 100, "y");
  f.close(log);
  EXPECT_EQ(f.versions("log").size(), 2u);
}

TEST(Sealing, AnotherOpenKeepsTheVersionThatWasSealedBefore) {
  ContentFixture f;
  const auto first = f.create("file");
  f.write(first, 0, "first");
  EXPECT_OK(f.core->flush(first.ino, first.handle));
  // The release of the first descriptor comes late, as RELEASE does.
  const auto second = f.open_file(first.ino, {.write = true, .truncate = true});
  f.core->release(first.ino, first.handle);
  f.write(second, 0, "second");
  f.close(second);
  EXPECT_EQ(f.versions("file").size(), 2u);
}

TEST(Sealing, AMappingThatIsWrittenAfterTheCloseIsSealedAtRelease) {
  ContentFixture f;
  const auto file = f.create("mapped");
  f.write(file, 0, "before");
  EXPECT_OK(f.core->flush(file.ino, file.handle));
  f.env.advance(2 * kMinute);
  f.write(file, 0, "after!");
  f.core->release(file.ino, file.handle);
  const auto versions = f.versions("mapped");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"mapped"}), versions[0].name)), "after!");
}

// What is in a file whose writer has gone, while somebody else only has it open, is kept before it is cut.
TEST(Sealing, WhatAMappingWroteIsKeptWhereAnotherWriterStays) {
  for (const bool by_open : {true, false}) {
    ContentFixture f;
    const auto idle = f.create("mapped");
    const auto file = f.open_file(idle.ino);
    f.write(file, 0, "before");
    EXPECT_OK(f.core->flush(file.ino, file.handle));
    f.env.advance(2 * kMinute);
    f.write(file, 0, "after!");
    f.core->release(file.ino, file.handle);
    EXPECT_EQ(f.versions("mapped").size(), 1u);
    if (by_open) {
      f.close(f.open_file(idle.ino, {.write = true, .truncate = true}));
    } else {
      AttributeChange shorter;
      shorter.size = 3;
      EXPECT_OK(f.core->setattr(f.root, idle.ino, shorter));
      EXPECT_OK(f.core->flush(idle.ino, idle.handle));
    }
    f.core->release(idle.ino, idle.handle);
    const auto versions = f.versions("mapped");
    ASSERT_EQ(versions.size(), 3u);
    EXPECT_EQ(f.content(f.lookup(f.versions_of({"mapped"}), versions[1].name)), "after!");
    f.expect_sound();
  }
}

TEST(Sealing, UnlinkLeavesTheVersionsAndAMarker) {
  ContentFixture f;
  f.put("file", "precious");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_TRUE(versions[0].marker);
  EXPECT_TRUE(versions[0].name.ends_with(".deleted"));
  EXPECT_FALSE(versions[1].current);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), "precious");
  f.expect_sound();
}

TEST(Sealing, WhatIsWrittenAfterTheLastUnlinkIsDroppedAtTheLastClose) {
  ContentFixture f;
  const auto file = f.create("temporary");
  f.write(file, 0, "kept");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
  f.write(file, 0, std::string(3'000'000, 'x'));
  EXPECT_EQ(f.read(file, 0, 4), "xxxx");
  f.close(file);
  f.core->forget(file.ino, 1);
  const auto versions = f.versions("temporary");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"temporary"}), versions[1].name)), "kept");
  f.expect_sound();
  EXPECT_OK(f.core->unlink(f.root, f.versions_of({"temporary"}), versions[1].name));
  f.expect_all_released();
}

// What was written after the last unlink is no version: nothing but its user leads to it once those have gone.
TEST(Sealing, WhatIsWrittenAfterTheLastUnlinkGoesAlsoWhereTheVersionsWentBefore) {
  for (const bool crash : {false, true}) {
    ContentFixture f;
    const auto file = f.create("temporary");
    f.write(file, 0, "kept");
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
    f.write(file, 1, std::string(3'000'000, 'x'));
    EXPECT_OK(f.core->prune(f.root, "bucket", "", {.older_than = {}, .keep = 0}, nullptr));
    f.expect_sound();
    EXPECT_EQ(f.read(file, 0, 4), "kxxx");
    f.write(file, 0, "y");
    if (crash) {
      f.restart();
      f.expect_sound();
      EXPECT_FALSE(f.core->getattr(f.root, file.ino)) << "what nobody can reach takes space";
    } else {
      f.close(file);
      f.core->forget(file.ino, 1);
      f.expect_sound();
      f.expect_all_released();
    }
  }
}

TEST(Sealing, WhatIsWrittenAfterTheLastUnlinkDoesNotComeBackWithTheMarkersRemoval) {
  ContentFixture f;
  const auto file = f.create("temporary");
  f.write(file, 0, "kept");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
  f.write(file, 0, "lost");
  const auto versions = f.versions("temporary");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_OK(f.core->purge_version(f.root, "bucket", "temporary", versions[1].name));
  EXPECT_OK(f.core->purge_version(f.root, "bucket", "temporary", versions[0].name));
  EXPECT_FALSE(f.core->lookup(f.root, f.bucket, "temporary"));
  f.close(file);
  f.core->forget(file.ino, 1);
  f.expect_sound();
  f.expect_all_released();
}

// S3's null version is one for each key: what takes its place while it is open takes it when it is closed.
TEST(Sealing, ANullVersionThatIsReplacedWhileItIsOpenGoesWithTheLastClose) {
  for (const bool deleted : {true, false}) {
    ContentFixture f;
    EXPECT_OK(f.core->set_versioning(f.root, "bucket", Versioning::kSuspended));
    f.put("file", "open");
    const auto reader = f.open_file(f.lookup(f.bucket, "file"), {.read = true});
    const auto second = f.open_file(reader.ino, {.read = true});
    f.put("other", "other");
    if (deleted) {
      EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
    } else {
      EXPECT_OK(f.core->rename(f.root, f.bucket, "other", f.bucket, "file", RenameMode::kReplace));
    }
    EXPECT_EQ(f.read(reader, 0, 10), "open");
    f.core->release(reader.ino, reader.handle);
    EXPECT_EQ(f.read(second, 0, 10), "open");
    EXPECT_EQ(f.versions("file").size(), 2u);
    f.core->release(second.ino, second.handle);
    const auto left = f.versions("file");
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].marker, deleted);
    f.expect_sound();
  }
}

TEST(Sealing, WithVersioningOffAFileUnlinkedWhileOpenGoesWithTheLastClose) {
  ContentFixture f(Versioning::kOff);
  const auto file = f.create("temporary");
  f.write(file, 0, std::string(2'000'000, 'x'));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
  EXPECT_EQ(f.read(file, 1'999'999, 10), "x");
  f.core->forget(file.ino, 1);
  f.close(file);
  f.expect_all_released();
  f.expect_sound();
}

TEST(Sealing, ATruncatingOpenKeepsWhatWasThere) {
  ContentFixture f;
  f.put("file", std::string(700'000, 'a'));
  const auto file = f.open_file(f.lookup(f.bucket, "file"), {.write = true, .truncate = true});
  f.close(file);
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].size, 0u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), std::string(700'000, 'a'));
}

TEST(Sealing, TruncateWithoutAHandleMakesAVersion) {
  ContentFixture f;
  f.put("file", "0123456789");
  AttributeChange shorter;
  shorter.size = 4;
  EXPECT_OK(f.core->setattr(f.root, f.lookup(f.bucket, "file"), shorter));
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].size, 4u);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "0123");
}

TEST(Sealing, ContentLeftUnsealedByACrashIsSealedBeforeItChanges) {
  ContentFixture f;
  const auto file = f.create("file");
  f.write(file, 0, "before the crash");
  f.restart();
  f.put("file", "after");
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), "before the crash");
  f.expect_sound();
}

TEST(Sealing, SuspendedKeepsWhatHasAnIdAndReplacesNull) {
  ContentFixture f;
  f.put("file", "with an id");
  EXPECT_OK(f.core->set_versioning(f.root, "bucket", Versioning::kSuspended));
  f.put("file", "null one");
  f.put("file", "null two");
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].id, "null");
  EXPECT_TRUE(versions[0].name.ends_with("Z-null"));
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), "with an id");
  EXPECT_OK(f.core->set_versioning(f.root, "bucket", Versioning::kEnabled));
  f.put("file", "with an id again");
  EXPECT_EQ(f.versions("file").size(), 3u);
}

TEST(Sealing, AWriteByAnotherUserTakesSetUserIdAwayAndACachedOneDoesNot) {
  ContentFixture f;
  f.put("program", "x");
  const Ino ino = f.lookup(f.bucket, "program");
  AttributeChange privileged;
  privileged.mode = 06777;
  EXPECT_OK(f.core->setattr(f.root, ino, privileged));
  Caller user;
  user.uid = user.gid = 1000;
  const auto opened = f.core->open(user, ino, {.write = true});
  ASSERT_TRUE(opened);
  EXPECT_OK(f.core->write(ino, opened->handle, 0, "y", true));
  EXPECT_EQ(f.core->getattr(f.root, ino)->mode & 07777, 06777u);
  EXPECT_OK(f.core->write(ino, opened->handle, 0, "z", false));
  EXPECT_EQ(f.core->getattr(f.root, ino)->mode & 07777, 00777u);
  f.close({ino, opened->handle});
}

TEST(Handles, RightsAreThoseOfTheOpen) {
  ContentFixture f;
  f.put("file", "content");
  const Ino ino = f.lookup(f.bucket, "file");
  const auto reader = f.open_file(ino, {.read = true});
  const auto refused = f.core->write(ino, reader.handle, 0, "x", true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBadHandle);
  // The write-back cache reads through handles that are open for writing only.
  const auto writer = f.open_file(ino, {.write = true});
  EXPECT_EQ(f.read(writer, 0, 100), "content");
  Caller user;
  user.uid = user.gid = 1000;
  EXPECT_EQ(f.core->open(user, ino, {.write = true}).error().code, Code::kAccessDenied);
  EXPECT_EQ(f.core->open(user, ino, {.read = true, .truncate = true}).error().code, Code::kAccessDenied);
  EXPECT_EQ(f.core->open(user, ino, {.execute = true}).error().code, Code::kAccessDenied);
  EXPECT_OK(f.core->open(user, ino, {.read = true}));
}

TEST(Handles, AppendGoesToTheEndWhereTheKernelDoesNotDoIt) {
  ContentFixture f;
  f.put("file", "content");
  const auto file = f.open_file(f.lookup(f.bucket, "file"), {.write = true, .append = true});
  EXPECT_OK(f.core->write(file.ino, file.handle, 0, " and more", false));
  EXPECT_EQ(f.read(file, 0, 100), "content and more");
  EXPECT_EQ(f.core->writable_inodes(), (std::vector<Ino>{file.ino}));
  f.close(file);
  EXPECT_TRUE(f.core->writable_inodes().empty());
}

TEST(Handles, ALinkCountOfZeroAndNoHandleLeaveNothingBehind) {
  ContentFixture f(Versioning::kOff);
  f.put("file", std::string(100, 'x'));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  f.expect_all_released();
}

TEST(Content, LongListsOfExtentsAreWrittenAnewAsOne) {
  for (const Versioning versioning : {Versioning::kOff, Versioning::kEnabled}) {
    ContentFixture f(versioning);
    f.put("file", std::string(512 * 1024, 'a'));
    const auto file = f.open_file(f.lookup(f.bucket, "file"));
    std::string expected(512 * 1024, 'a');
    for (uint64_t i = 0; i < 2000 / kSlowdown; ++i) {
      const uint64_t offset = i * 7919 % (512 * 1024 - 3);
      f.write(file, offset, "bcd");
      expected.replace(offset, 3, "bcd");
    }
    EXPECT_TRUE(f.read(file, 0, expected.size()) == expected);
    f.close(file);
    f.core->forget(file.ino, 1);
    f.expect_sound();
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
    EXPECT_OK(f.core->prune(f.root, "bucket", "", {}, nullptr));
    f.core->forget(file.ino, 1);
    f.expect_all_released();
  }
}

TEST(Content, ADeletedFileThatIsOpenKeepsItsContentWhenVersionsGo) {
  ContentFixture f;
  f.put("file", "first");
  f.put("file", "second");
  const auto file = f.open_file(f.lookup(f.bucket, "file"), {.read = true});
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  const auto versions = f.core->versions(f.root, "bucket", "file");
  ASSERT_TRUE(versions) << versions.error().message;
  const auto last = std::ranges::find_if(*versions, [](const VersionEntry& it) { return !it.marker && it.size == 6; });
  ASSERT_NE(last, versions->end());
  const Status purged = f.core->purge_version(f.root, "bucket", "file", last->name);
  ASSERT_FALSE(purged);
  EXPECT_EQ(purged.error().code, Code::kBusy);
  EXPECT_OK(f.core->prune(f.root, "bucket", "", {.older_than = {}, .keep = 0}, nullptr));
  EXPECT_EQ(f.read(file, 0, 100), "second");
  f.close(file);
  EXPECT_OK(f.core->prune(f.root, "bucket", "", {.older_than = {}, .keep = 0}, nullptr));
  f.core->forget(file.ino, 1);
  f.expect_all_released();
}

TEST(Content, SparseFilesStoreOnlyWhatWasWritten) {
  ContentFixture f;
  const auto file = f.create("sparse");
  const uint64_t far = uint64_t{1} << 50;
  f.write(file, far, "end");
  EXPECT_EQ(f.core->getattr(f.root, file.ino)->size, far + 3);
  EXPECT_EQ(f.core->getattr(f.root, file.ino)->blocks, 1u);
  EXPECT_EQ(f.core->seek(file.ino, 0, true).value_or(0), far);
  EXPECT_EQ(f.core->seek(file.ino, 0, false).value_or(1), 0u);
  EXPECT_EQ(f.core->seek(file.ino, far + 3, true).error().code, Code::kNoDevice);
  EXPECT_EQ(f.read(file, far - 2, 100), std::string(2, '\0') + "end");
  const auto beyond = f.core->write(file.ino, file.handle, kMaxFileSize, "x", true);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Code::kTooBig);
  f.close(file);
}

}  // namespace
}  // namespace pailfs::test
