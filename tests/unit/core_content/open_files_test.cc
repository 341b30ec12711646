// What becomes of versions and delete markers while somebody has the file open.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>

#include "core/records.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr Time kMinute = 60'000'000'000;

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

using Provisional = testing::Test;

AttributeChange size_of(uint64_t size, uint64_t handle = 0) {
  AttributeChange change;
  change.size = size;
  change.handle = handle;
  return change;
}

TEST(Provisional, TruncationByPathIsOfAnotherVersion) {
  ContentFixture f;
  const auto file = f.create("file");
  f.write(file, 0, "precious");
  EXPECT_OK(f.core->flush(file.ino, file.handle));
  EXPECT_OK(f.core->setattr(f.root, file.ino, size_of(0)));
  f.core->release(file.ino, file.handle);
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), "precious");
}

// Whether or not the kernel says who wrote: RELEASE came before.
TEST(Provisional, WhoHadTheFileOpenLeavesWhatWasClosedAlone) {
  for (const bool from_cache : {true, false}) {
    ContentFixture f;
    const auto idle = f.create("file");
    const auto file = f.open_file(idle.ino);
    f.write(file, 0, "precious");
    f.close(file);
    ASSERT_EQ(f.versions("file").size(), 1u);
    EXPECT_OK(f.core->write(idle.ino, idle.handle, 0, "rubbish!", from_cache));
    f.close(idle);
    const auto versions = f.versions("file");
    ASSERT_EQ(versions.size(), 2u);
    EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), "precious");
  }
}

// Where the kernel says who changes the file, also while a child has the descriptor still.
TEST(Provisional, OnlyWhoClosedAVersionGoesOnInIt) {
  for (const int how : {0, 1, 2, 3}) {
    for (const bool own : {true, false}) {
      ContentFixture f;
      f.put("source", "rubbish!");
      const auto idle = f.create("file");
      const auto file = f.open_file(idle.ino);
      f.write(file, 0, "precious");
      EXPECT_OK(f.core->flush(file.ino, file.handle));
      const auto& writer = own ? file : idle;
      if (how == 0) {
        EXPECT_OK(f.core->write(writer.ino, writer.handle, 0, "rubbish!", false));
      } else if (how == 1) {
        EXPECT_OK(f.core->fallocate(writer.ino, writer.handle, 0, 0, 100));
      } else if (how == 2) {
        EXPECT_OK(f.core->setattr(f.root, writer.ino, size_of(3, writer.handle)));
      } else {
        const auto source = f.open_file(f.lookup(f.bucket, "source"), {.read = true});
        EXPECT_EQ(f.copy(source, 0, writer, 0, 8), 8u);
        f.core->release(source.ino, source.handle);
      }
      f.close(file);
      f.close(idle);
      EXPECT_EQ(f.versions("file").size(), own ? 1u : 2u) << how;
    }
  }
}

// cmd >>log 2>>log
TEST(Provisional, TwoDescriptorsThatChildrenCloseReplaceTheirVersionWithinAMinute) {
  ContentFixture f;
  const auto out = f.create("log"), err = f.open_file(out.ino);
  for (uint64_t child = 0; child < 10; ++child) {
    f.write(child % 2 == 0 ? out : err, child, "x");
    EXPECT_OK(f.core->flush(out.ino, out.handle));
    EXPECT_OK(f.core->flush(err.ino, err.handle));
  }
  EXPECT_EQ(f.versions("log").size(), 1u);
  // Its last close has found everything sealed, and counts all the same.
  f.core->release(out.ino, out.handle);
  f.write(err, 0, "y");
  f.close(err);
  EXPECT_EQ(f.versions("log").size(), 2u);
}

TEST(Provisional, ALateReleaseLeavesTheNextOnesVersionProvisional) {
  ContentFixture f;
  const auto first = f.create("file");
  f.write(first, 0, "first");
  EXPECT_OK(f.core->flush(first.ino, first.handle));
  const auto second = f.open_file(first.ino);
  f.write(second, 0, "second");
  EXPECT_OK(f.core->flush(second.ino, second.handle));
  f.core->release(first.ino, first.handle);
  f.write(second, 0, "SECOND");
  f.close(second);
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[0].name)), "SECOND");
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), versions[1].name)), "first");
}

// A mapping holds its descriptor's file: what is written through it comes before the release.
TEST(Provisional, AMappingGoesOnInTheVersionUntilItGoes) {
  ContentFixture f;
  const auto idle = f.create("mapped");
  const auto file = f.open_file(idle.ino);
  f.write(file, 0, "before");
  EXPECT_OK(f.core->flush(file.ino, file.handle));
  f.write(idle, 0, "after!");  // from the cache, which takes any handle
  f.core->release(file.ino, file.handle);
  f.close(idle);
  const auto versions = f.versions("mapped");
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "mapped")), "after!");
  f.expect_sound();
}

TEST(Provisional, AVersionWithAnIdIsNotGoneOnWithAsANullOne) {
  for (const bool suspend : {true, false}) {
    ContentFixture f(suspend ? Versioning::kEnabled : Versioning::kSuspended);
    const auto file = f.create("file");
    f.write(file, 0, "first");
    EXPECT_OK(f.core->flush(file.ino, file.handle));
    const auto before = f.versions("file");
    ASSERT_EQ(before.size(), 1u);
    EXPECT_OK(f.core->set_versioning(f.root, "bucket", suspend ? Versioning::kSuspended : Versioning::kEnabled));
    f.write(file, 0, "other");
    f.close(file);
    const auto after = f.versions("file");
    ASSERT_EQ(after.size(), 2u);
    EXPECT_EQ(after[0].id == "null", suspend);
    EXPECT_EQ(after[1].name, before[0].name);
    EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), after[1].name)), "first");
    f.expect_sound();
  }
}

using Handles = testing::Test;

// The number of a version is used again.
TEST(Handles, ThatOfARemovedVersionShowsNoOther) {
  for (const bool by_moment : {false, true}) {
    ContentFixture f;
    f.put("file", "one");
    f.put("file", "two");
    const std::string version = f.versions("file")[0].name;
    f.env.advance(2 * kMinute);
    const Ino view = by_moment ? f.lookup(f.lookup(f.lookup(f.bucket, ".versions"), "@1m ago"), "file")
                               : f.lookup(f.versions_of({"file"}), version);
    const auto old = f.open_file(view, {.read = true});
    EXPECT_EQ(f.read(old, 0, 10), "two");
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
    const auto versions = f.versions("file");
    ASSERT_EQ(versions.size(), 3u);
    EXPECT_OK(f.core->purge_version(f.root, "bucket", "file", versions[1].name));
    EXPECT_OK(f.core->purge_version(f.root, "bucket", "file", versions[0].name));
    const auto secret = f.open_file(f.lookup(f.bucket, "file"));
    std::string out(10, '?');
    f.write(secret, 0, "secret");
    EXPECT_FALSE(f.core->read(old.ino, old.handle, 0, out));
    f.close(secret);
    EXPECT_FALSE(f.core->read(old.ino, old.handle, 0, out));
    f.core->release(old.ino, old.handle);
    f.expect_sound();
  }
}

TEST(Handles, ThatOfAVersionThatWentOnShowsNothing) {
  for (const auto versioning : {Versioning::kEnabled, Versioning::kSuspended, Versioning::kOff}) {
    ContentFixture f(versioning);
    const auto file = f.create("file");
    f.write(file, 0, "sealed");
    EXPECT_OK(f.core->flush(file.ino, file.handle));
    const auto old = f.open_file(f.lookup(f.versions_of({"file"}), f.versions("file")[0].name), {.read = true});
    EXPECT_EQ(f.read(old, 0, 10), "sealed");
    f.write(file, 0, "secret");
    std::string out(10, '?');
    EXPECT_FALSE(f.core->read(old.ino, old.handle, 0, out));
    f.close(file);
    EXPECT_FALSE(f.core->read(old.ino, old.handle, 0, out));
    f.core->release(old.ino, old.handle);
  }
}

TEST(Handles, AFileThatIsClosedAfterItsBucketWasDeletedStaysGone) {
  ContentFixture f;
  const auto file = f.create("file");
  f.write(file, 0, "data");
  bool closed = false;
  f.core->observe_names([&](Ino, const std::string&, Ino) {  // its keys are there still
    closed = true;
    EXPECT_OK(f.core->flush(file.ino, file.handle));
    f.core->release(file.ino, file.handle);
  });
  EXPECT_OK(f.core->purge_bucket(f.root, "bucket", nullptr, {}));
  EXPECT_TRUE(closed);
  f.core->observe_names(nullptr);
  EXPECT_OK(f.store->view().seek_key(keys::inode(file.ino), keys::inode(file.ino + 1)));
  EXPECT_FALSE(f.store->view().seek_key(keys::inode(file.ino), keys::inode(file.ino + 1)).value());
  f.expect_sound();
}

TEST(Handles, APipeThatIsPrunedGoesWithItsLastUser) {
  ContentFixture f;
  const auto made = f.core->mknod(f.root, f.bucket, "pipe", S_IFIFO | 0600, 0);
  ASSERT_TRUE(made);
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "pipe"));
  EXPECT_OK(f.core->prune(f.root, "bucket", "", {.older_than = {}, .keep = 0}, nullptr));
  EXPECT_OK(f.core->getattr(f.root, made->ino));
  f.expect_sound();
  f.core->forget(made->ino, 1);
  EXPECT_EQ(f.core->getattr(f.root, made->ino).error().code, Code::kNotFound);
  f.expect_sound();
  EXPECT_OK(f.core->rmdir(f.root, kRootIno, "bucket"));
}

using Restored = testing::Test;

TEST(Restored, WhileSuspendedItIsTheOnlyNullVersion) {
  ContentFixture f;
  f.put("file", "id");
  EXPECT_OK(f.core->set_versioning(f.root, "bucket", Versioning::kSuspended));
  f.put("file", "null");
  const auto before = f.versions("file");
  ASSERT_EQ(before.size(), 2u);
  EXPECT_OK(f.core->restore_version(f.root, "bucket", "file", before[1].name));
  const auto after = f.versions("file");
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0].id, "null");
  EXPECT_EQ(after[1].name, before[1].name);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "id");
  f.expect_sound();
}

// What was to go with its last handle, which a crash has taken.
TEST(Restored, AReplacedNullVersionGoesAfterACrashWithTheNextOne) {
  ContentFixture f(Versioning::kSuspended);
  f.put("file", "open");
  f.open_file(f.lookup(f.bucket, "file"), {.read = true});
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  f.restart();
  f.put("file", "next");
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_TRUE(versions[0].current);
  f.expect_sound();
}

// Each name is gone back to from a file whose place another name takes, which is gone back to first.
TEST(Restored, ARewindWhileSuspendedBringsBackWhatWasRenamed) {
  struct Case {
    std::vector<std::pair<const char*, const char*>> renames;
    std::vector<std::pair<std::string, std::string>> files;
  };
  const std::vector<Case> cases{
      {{{"b", "a"}}, {{"b", "one"}}},
      {{{"a", "x"}, {"b", "a"}, {"x", "b"}}, {{"a", "one"}, {"b", "two"}}},
  };
  for (const Case& one : cases) {
    ContentFixture f(Versioning::kSuspended);
    for (const auto& [name, content] : one.files) f.put(name, content);
    const auto made = f.core->mkdir(f.root, f.bucket, "z", 0755);
    ASSERT_TRUE(made);
    const auto inside = f.core->create(f.root, made->ino, "file", 0644, {.write = true});
    ASSERT_TRUE(inside);
    const ContentFixture::OpenFile file{inside->attributes.ino, inside->open.handle};
    f.write(file, 0, "below");
    f.close(file);
    f.env.advance(kMinute);
    const Time then = f.env.now();
    f.env.advance(kMinute);
    for (const auto& [from, to] : one.renames) {
      EXPECT_OK(f.core->rename(f.root, f.bucket, from, f.bucket, to, RenameMode::kReplace));
    }
    EXPECT_OK(f.core->rename(f.root, f.bucket, "z", f.bucket, "c", RenameMode::kReplace));
    // Cut off after each step, and begun anew.
    bool finished = false;
    for (uint64_t steps = 2; !finished; ++steps) {
      const auto rewound = f.core->rewind(f.root, "bucket", "", {.to = then, .from = {}},
                                          [&](uint64_t done, uint64_t) { return done < steps; });
      finished = rewound.has_value();
      ASSERT_TRUE(finished || rewound.error().code == Code::kInterrupted) << rewound.error().message;
      EXPECT_EQ(finished ? rewound->unknown : 0u, 0u);
    }
    for (const auto& [name, content] : one.files) EXPECT_EQ(f.content(f.lookup(f.bucket, name)), content) << name;
    EXPECT_EQ(f.content(f.lookup(f.lookup(f.bucket, "z"), "file")), "below");
    f.expect_sound();
  }
}

// A file that was renamed over another file: both its names end, and its versions are removed by one of them.
TEST(Restored, WhatIsLeftOfAReplacedNameKeepsNoBucket) {
  ContentFixture f;
  const auto rename = [&f](const char* from, const char* to) {
    EXPECT_OK(f.core->rename(f.root, f.bucket, from, f.bucket, to, RenameMode::kReplace));
  };
  f.put("f", "one");
  rename("f", "g");
  f.put("o", "two");
  rename("o", "g");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "g"));
  for (const char* name : {"f", "o", "g"}) {
    EXPECT_EQ(f.core->rmdir(f.root, kRootIno, "bucket").error().code, Code::kNotEmpty) << name;
    for (const bool markers : {false, true}) {
      for (const VersionEntry& version : f.versions(name)) {
        if (version.marker == markers) EXPECT_OK(f.core->purge_version(f.root, "bucket", name, version.name, {}));
      }
    }
  }
  EXPECT_OK(f.core->rmdir(f.root, kRootIno, "bucket"));
}

// What a rewind made for the first name of a file is removed, by others, before the second one comes.
TEST(Restored, ASecondNameIsMadeAnewWhereTheFirstOneWentMeanwhile) {
  for (const bool open : {true, false}) {
    ContentFixture f;
    f.put("a", "content");
    const Ino ino = f.lookup(f.bucket, "a");
    EXPECT_OK(f.core->link(f.root, ino, f.bucket, "b"));
    f.core->forget(ino, 3);
    f.env.advance(kMinute);
    const Time then = f.env.now();
    f.env.advance(kMinute);
    for (const char* name : {"a", "b"}) EXPECT_OK(f.core->unlink(f.root, f.bucket, name));
    std::optional<ContentFixture::OpenFile> user;
    f.core->observe_names([&](Ino, const std::string& name, Ino made) {
      if (name != "a") return;
      if (open) user = f.open_file(made);
      EXPECT_OK(f.core->unlink(f.root, f.bucket, name));
      if (open) f.write(*user, 0, "dirty");
      for (const VersionEntry& version : f.versions(name)) {
        if (version.marker) continue;
        EXPECT_OK(f.core->purge_version(f.root, "bucket", name, version.name));
        break;
      }
    });
    EXPECT_OK(f.core->rewind(f.root, "bucket", "", {.to = then, .from = {}}, nullptr));
    f.core->observe_names(nullptr);
    EXPECT_EQ(f.content(f.lookup(f.bucket, "b")), "content");
    f.expect_sound();
    if (user) f.close(*user);
    f.restart();
    EXPECT_EQ(f.content(f.lookup(f.bucket, "b")), "content");
    f.expect_sound();
  }
}

}  // namespace
}  // namespace pailfs::test
