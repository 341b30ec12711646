// Files without a name: O_TMPFILE of open(2).
#include <gtest/gtest.h>

#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

ContentFixture::OpenFile create_unnamed(ContentFixture& f, bool linkable = true) {
  const auto made = f.core->create_unnamed(f.root, f.bucket, 0640, {.read = true, .write = true}, linkable);
  EXPECT_OK(made);
  if (!made) return {};
  EXPECT_EQ(made->attributes.nlink, 0u);
  EXPECT_EQ(made->attributes.mode & 07777, 0640u);
  return {made->attributes.ino, made->open.handle};
}

TEST(Unnamed, AFileWithoutANameIsWrittenAndReadAndGoesWithItsLastHandle) {
  ContentFixture f;
  const auto file = create_unnamed(f);
  f.write(file, 0, std::string(100'000, 'x'));
  EXPECT_EQ(f.read(file, 99'999, 10), "x");
  EXPECT_TRUE(f.list(f.bucket).empty());
  f.expect_sound();
  f.close(file);
  f.core->forget(file.ino, 1);
  EXPECT_EQ(f.core->getattr(f.root, file.ino).error().code, Code::kNotFound);
  f.expect_all_released();
  f.expect_sound();
}

TEST(Unnamed, ItGoesInACrash) {
  ContentFixture f;
  const auto file = create_unnamed(f);
  f.write(file, 0, std::string(100'000, 'x'));
  f.restart();
  EXPECT_EQ(f.core->getattr(f.root, file.ino).error().code, Code::kNotFound);
  EXPECT_GE(f.store->status().dead_bytes, 100'000u);
  f.expect_sound();
}

TEST(Unnamed, ANameMakesItAFileLikeAnyOther) {
  ContentFixture f;
  const auto file = create_unnamed(f);
  f.write(file, 0, "content");
  const auto linked = f.core->link(f.root, file.ino, f.bucket, "name");
  EXPECT_OK(linked);
  EXPECT_EQ(linked->nlink, 1u);
  f.close(file);
  f.core->forget(file.ino, 2);
  EXPECT_EQ(f.versions("name").size(), 1u);
  f.restart();
  EXPECT_EQ(f.content(f.lookup(f.bucket, "name")), "content");
  f.expect_sound();
}

TEST(Unnamed, OnceItsNameIsGoneItGetsNoOther) {
  ContentFixture f;
  const auto file = create_unnamed(f);
  EXPECT_OK(f.core->link(f.root, file.ino, f.bucket, "name"));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "name"));
  EXPECT_EQ(f.core->link(f.root, file.ino, f.bucket, "name").error().code, Code::kNotFound);
  f.close(file);
  f.core->forget(file.ino, 2);
  f.expect_sound();
}

TEST(Unnamed, ExclusivelyMadeItGetsNoName) {
  ContentFixture f;
  const auto file = create_unnamed(f, false);
  EXPECT_EQ(f.core->link(f.root, file.ino, f.bucket, "name").error().code, Code::kNotFound);
  f.close(file);
  f.core->forget(file.ino, 1);
  f.expect_sound();
}

TEST(Unnamed, ItNeedsTheRightsOfACreation) {
  ContentFixture f;
  Caller other;
  other.uid = other.gid = 1000;
  const auto refused = f.core->create_unnamed(other, f.bucket, 0600, {.write = true}, true);
  EXPECT_EQ(refused.error().code, Code::kAccessDenied);
  EXPECT_EQ(f.core->create_unnamed(f.root, kRootIno, 0600, {.write = true}, true).error().code, Code::kNotPermitted);
  const Ino view = f.lookup(f.bucket, ".versions");
  EXPECT_EQ(f.core->create_unnamed(f.root, view, 0600, {.write = true}, true).error().code, Code::kReadOnly);
}

}  // namespace
}  // namespace pailfs::test
