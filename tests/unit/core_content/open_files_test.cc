// What becomes of versions and delete markers while somebody has the file open.
#include <gtest/gtest.h>

#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

using Undelete = testing::Test;

// What was written after the last unlink is no version: the name comes back as it was.
TEST(Undelete, AnOpenFileThatWasWrittenSinceComesBackAsItWas) {
  for (const bool crash : {false, true}) {
    ContentFixture f;
    const auto file = f.create("temporary");
    f.write(file, 0, "kept");
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
    f.write(file, 0, "lost");
    EXPECT_OK(f.core->purge_version(f.root, "bucket", "temporary", f.versions("temporary")[0].name));
    EXPECT_EQ(f.content(f.lookup(f.bucket, "temporary")), "kept");
    EXPECT_EQ(f.read(file, 0, 10), "lost");
    if (crash) {
      f.restart();
    } else {
      f.close(file);
    }
    EXPECT_EQ(f.content(f.lookup(f.bucket, "temporary")), "kept");
    for (const VersionEntry& version : f.versions("temporary")) {
      EXPECT_FALSE(version.marker);
      EXPECT_EQ(f.content(f.lookup(f.versions_of({"temporary"}), version.name)), "kept");
    }
    f.expect_sound();
  }
}

TEST(Undelete, WithoutItsNewestVersionAnOpenFileComesBackWithTheOneBefore) {
  ContentFixture f;
  f.put("file", "one");
  f.put("file", "two");
  const auto file = f.open_file(f.lookup(f.bucket, "file"));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  f.write(file, 0, "lost");
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_OK(f.core->purge_version(f.root, "bucket", "file", versions[1].name));
  EXPECT_OK(f.core->purge_version(f.root, "bucket", "file", versions[0].name));
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "one");
  f.close(file);
  f.expect_sound();
}

TEST(Undelete, WhatACrashLeftOfAnOpenFileDoesNotComeBack) {
  for (const bool by_view : {true, false}) {
    ContentFixture f;
    const auto file = f.create("temporary");
    f.write(file, 0, "kept");
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
    const std::string marker = f.versions("temporary")[0].name;
    f.write(file, 0, "lost");
    f.restart();
    if (by_view) {
      EXPECT_OK(f.core->unlink(f.root, f.versions_of({"temporary"}), marker));
    } else {
      EXPECT_OK(f.core->purge_version(f.root, "bucket", "temporary", marker));
    }
    EXPECT_EQ(f.content(f.lookup(f.bucket, "temporary")), "kept");
    EXPECT_EQ(f.versions("temporary").size(), 1u);
    f.expect_sound();
  }
}

TEST(Undelete, ANameOfAFileWithAnotherNameComesBack) {
  for (const bool both : {false, true}) {
    ContentFixture f;
    f.put("a", "content");
    EXPECT_OK(f.core->link(f.root, f.lookup(f.bucket, "a"), f.bucket, "b"));
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "a"));
    f.put("b", "later");
    if (both) {
      EXPECT_OK(f.core->unlink(f.root, f.bucket, "b"));
      EXPECT_OK(f.core->purge_version(f.root, "bucket", "b", f.versions("b")[0].name));
    }
    ASSERT_TRUE(f.versions("a")[0].marker);
    EXPECT_OK(f.core->purge_version(f.root, "bucket", "a", f.versions("a")[0].name));
    EXPECT_EQ(f.content(f.lookup(f.bucket, "a")), "content");
    EXPECT_EQ(f.content(f.lookup(f.bucket, "b")), "later");
    f.expect_sound();
  }
}

// The first name shows nothing of what came by the other one after it.
TEST(Undelete, ANameThatWentBeforeTheOtherComesBackAsItWas) {
  ContentFixture f;
  f.put("a", "content");
  EXPECT_OK(f.core->link(f.root, f.lookup(f.bucket, "a"), f.bucket, "b"));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "a"));
  f.put("b", "later");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "b"));
  for (const char* name : {"a", "b"}) {
    EXPECT_OK(f.core->purge_version(f.root, "bucket", name, f.versions(name)[0].name));
  }
  EXPECT_EQ(f.content(f.lookup(f.bucket, "a")), "content");
  EXPECT_EQ(f.content(f.lookup(f.bucket, "b")), "later");
  f.expect_sound();
}

TEST(Undelete, NothingOfAFileWithoutVersionsKeepsTheBucket) {
  for (const bool open : {true, false}) {
    ContentFixture f;
    const auto file = f.create("temporary");
    f.write(file, 0, "kept");
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "temporary"));
    f.write(file, 0, "lost");
    const auto versions = f.versions("temporary");
    ASSERT_EQ(versions.size(), 2u);
    if (!open) f.close(file);
    EXPECT_OK(f.core->purge_version(f.root, "bucket", "temporary", versions[1].name));
    EXPECT_OK(f.core->purge_version(f.root, "bucket", "temporary", versions[0].name));
    if (open) f.close(file);
    f.core->forget(file.ino, 1);
    f.expect_sound();
    EXPECT_TRUE(f.versions("temporary").empty());
    EXPECT_OK(f.core->rmdir(f.root, kRootIno, "bucket"));
  }
}

}  // namespace
}  // namespace pailfs::test
