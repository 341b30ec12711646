// The .versions view, the list of versions, and pruning.
#include <sys/stat.h>
#include <unistd.h>

#include "core/history.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr Time kHour = 3'600'000'000'000;

Code code_of(const auto& outcome) { return outcome ? Code::kInterrupted : outcome.error().code; }

TEST(VersionsView, ListsEveryNameThatIsOrWasInTheDirectory) {
  ContentFixture f;
  f.put("kept", "1");
  f.put("deleted", "2");
  f.put("renamed", "3");
  EXPECT_OK(f.core->mkdir(f.root, f.bucket, "directory", 0755));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "deleted"));
  EXPECT_OK(f.core->rename(f.root, f.bucket, "renamed", f.bucket, "new", RenameMode::kReplace));
  EXPECT_EQ(f.list(f.versions_of({})), (std::vector<std::string>{"deleted", "directory", "kept", "new", "renamed"}));
  EXPECT_EQ(code_of(f.core->lookup(f.root, f.versions_of({}), "never")), Code::kNotFound);
  const auto shown = f.core->getattr(f.root, f.versions_of({}));
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->mode, S_IFDIR | 0555u);
}

TEST(VersionsView, ARenamedFileIsShownUnderBothNames) {
  ContentFixture f;
  f.put("old", "one");
  f.put("old", "two");
  EXPECT_OK(f.core->rename(f.root, f.bucket, "old", f.bucket, "new", RenameMode::kReplace));
  f.put("new", "three");
  const auto old = f.versions("old");
  ASSERT_EQ(old.size(), 3u);
  EXPECT_TRUE(old[0].marker);
  EXPECT_FALSE(old[1].current);
  const auto now = f.versions("new");
  ASSERT_EQ(now.size(), 2u);
  EXPECT_TRUE(now[0].current);
  EXPECT_EQ(now[1].name, old[1].name);
}

TEST(VersionsView, AReplacedFileStaysUnderItsName) {
  ContentFixture f;
  for (const char* text : {"one", "two", "three"}) {
    f.put("temporary", text);
    EXPECT_OK(f.core->rename(f.root, f.bucket, "temporary", f.bucket, "document", RenameMode::kReplace));
  }
  const auto versions = f.versions("document");
  ASSERT_EQ(versions.size(), 3u);
  const Ino view = f.versions_of({"document"});
  EXPECT_EQ(f.content(f.lookup(view, versions[2].name)), "one");
  EXPECT_EQ(f.content(f.lookup(view, versions[1].name)), "two");
  f.expect_sound();
}

TEST(VersionsView, NamesOfARemovedDirectoryAreStillFound) {
  ContentFixture f;
  const auto directory = f.core->mkdir(f.root, f.bucket, "gone", 0755);
  ASSERT_TRUE(directory);
  const auto made = f.core->create(f.root, directory->ino, "file", 0644, {.write = true});
  ASSERT_TRUE(made);
  f.write({made->attributes.ino, made->open.handle}, 0, "below");
  f.close({made->attributes.ino, made->open.handle});
  EXPECT_OK(f.core->unlink(f.root, directory->ino, "file"));
  EXPECT_OK(f.core->rmdir(f.root, f.bucket, "gone"));
  const Ino view = f.versions_of({"gone", "file"});
  const auto names = f.list(view);
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(f.content(f.lookup(view, names[0])), "below");
  EXPECT_EQ(f.versions("gone/file").size(), 2u);
  f.expect_sound();
}

TEST(VersionsView, ARenamedDirectoryEndsWhatIsBelowItWithAMarker) {
  ContentFixture f;
  const auto directory = f.core->mkdir(f.root, f.bucket, "before", 0755);
  const auto made = f.core->create(f.root, directory->ino, "file", 0644, {.write = true});
  f.close({made->attributes.ino, made->open.handle});
  EXPECT_OK(f.core->rename(f.root, f.bucket, "before", f.bucket, "after", RenameMode::kReplace));
  const auto before = f.versions("before/file");
  ASSERT_EQ(before.size(), 2u);
  EXPECT_TRUE(before[0].marker);
  EXPECT_EQ(f.versions("after/file").size(), 1u);
  EXPECT_EQ(code_of(f.core->unlink(f.root, f.versions_of({"before", "file"}), before[0].name)), Code::kNotPermitted);
}

TEST(VersionsView, NamesThatReadLikeVersionsAreEscaped) {
  ContentFixture f;
  const std::string like = "20261123T145600.123456789Z-null";
  f.put(like, "1");
  f.put("@home", "2");
  EXPECT_EQ(f.list(f.versions_of({})), (std::vector<std::string>{"@" + like, "@@home"}));
  EXPECT_EQ(f.list(f.versions_of({"@@home"})).size(), 1u);
  EXPECT_EQ(f.list(f.versions_of({"@" + like})).size(), 1u);
  EXPECT_EQ(code_of(f.core->lookup(f.root, f.versions_of({}), "@home")), Code::kInvalid);  // no time
  EXPECT_EQ(f.versions("@home").size(), 1u);
}

TEST(VersionsView, NamesOfVersionsAreTimesInUtc) {
  EXPECT_EQ(version_file_name(1'795'445'760'123'456'789, "null", false), "20261123T145600.123456789Z-null");
  EXPECT_TRUE(name_needs_escape("20261123T145600.123456789Z-null.deleted"));
  EXPECT_TRUE(name_needs_escape("20261123T145600.123456789Z-" + format_version_id({})));
  EXPECT_FALSE(name_needs_escape("20261123T145600.123456789Z-other"));
  EXPECT_FALSE(name_needs_escape("20261123"));
}

TEST(VersionsView, SymbolicLinksAreShownAsSuch) {
  ContentFixture f;
  EXPECT_OK(f.core->symlink(f.root, f.bucket, "link", "target"));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "link"));
  const auto names = f.list(f.versions_of({"link"}));
  ASSERT_EQ(names.size(), 2u);
  const Ino link = f.lookup(f.versions_of({"link"}), names[0]);
  EXPECT_EQ(f.core->readlink(f.root, link).value_or(""), "target");
  EXPECT_TRUE(S_ISLNK(f.core->getattr(f.root, link)->mode));
  f.expect_sound();
}

TEST(VersionsView, IsReadOnly) {
  ContentFixture f;
  f.put("file", "content");
  const Ino view = f.versions_of({"file"});
  const std::string name = f.list(view)[0];
  const Ino version = f.lookup(view, name);
  EXPECT_EQ(f.core->getattr(f.root, version)->mode, S_IFREG | 0644u);
  EXPECT_EQ(code_of(f.core->open(f.root, version, {.write = true})), Code::kReadOnly);
  EXPECT_EQ(code_of(f.core->create(f.root, view, "new", 0644, {.write = true})), Code::kReadOnly);
  EXPECT_EQ(code_of(f.core->access(f.root, version, W_OK)), Code::kReadOnly);
  EXPECT_OK(f.core->access(f.root, version, R_OK));
  EXPECT_EQ(code_of(f.core->getxattr(f.root, version, "user.a")), Code::kNoData);
  EXPECT_EQ(code_of(f.core->rmdir(f.root, f.versions_of({}), "file")), Code::kReadOnly);
}

TEST(VersionsView, RightsAreThoseOfDirectoriesAndVersions) {
  ContentFixture f;
  f.put("secret", "content");
  AttributeChange mine;
  mine.mode = 0600;
  EXPECT_OK(f.core->setattr(f.root, f.lookup(f.bucket, "secret"), mine));
  f.put("secret", "changed");
  Caller user;
  user.uid = user.gid = 1000;
  const Ino view = f.versions_of({"secret"});
  const Ino version = f.lookup(view, f.versions("secret")[0].name);
  EXPECT_EQ(code_of(f.core->open(user, version, {.read = true})), Code::kAccessDenied);
  EXPECT_OK(f.core->opendir(user, view));
  AttributeChange closed;
  closed.mode = 0700;
  EXPECT_OK(f.core->setattr(f.root, f.bucket, closed));
  EXPECT_EQ(code_of(f.core->opendir(user, view)), Code::kAccessDenied);
  EXPECT_EQ(code_of(f.core->lookup(user, f.versions_of({}), "secret")), Code::kAccessDenied);
  EXPECT_EQ(code_of(f.core->versions(user, "bucket", "secret")), Code::kAccessDenied);
}

TEST(VersionsView, OnlyTheAccountRemovesVersionsAndNeverTheCurrentOne) {
  ContentFixture f;
  f.put("file", "one");
  f.put("file", "two");
  const auto versions = f.versions("file");
  const Ino view = f.versions_of({"file"});
  Caller user;
  user.uid = user.gid = 1000;
  EXPECT_EQ(code_of(f.core->unlink(user, view, versions[1].name)), Code::kAccessDenied);
  EXPECT_EQ(code_of(f.core->unlink(f.root, view, versions[0].name)), Code::kNotPermitted);
  EXPECT_OK(f.core->unlink(f.root, view, versions[1].name));
  EXPECT_EQ(f.versions("file").size(), 1u);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "two");
}

TEST(VersionsView, RemovingAMarkerAndAllVersionsLeavesNothing) {
  ContentFixture f;
  f.put("file", "one");
  f.put("file", "two");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "file"));
  for (const VersionEntry& entry : f.oldest_first("file")) {  // without its marker the file would be back
    EXPECT_OK(f.core->unlink(f.root, f.versions_of({"file"}), entry.name));
  }
  EXPECT_EQ(code_of(f.core->versions(f.root, "bucket", "file")), Code::kNotFound);
  EXPECT_TRUE(f.list(f.versions_of({})).empty());
  f.expect_all_released();
  f.expect_sound();
}

TEST(VersionsView, WhatIsKeptForMomentsGoesWithAPrune) {
  ContentFixture f;
  EXPECT_OK(f.core->mknod(f.root, f.bucket, "pipe", S_IFIFO | 0600, 0));
  EXPECT_OK(f.core->mkdir(f.root, f.bucket, "empty", 0755));
  const Ino file = f.create("file", {.write = true}).ino;
  AttributeChange change;
  change.mode = 0600;
  EXPECT_OK(f.core->setattr(f.root, file, change));
  EXPECT_OK(f.core->setxattr(f.root, file, "user.a", "1", Core::XattrMode::kSet));
  EXPECT_OK(f.core->removexattr(f.root, file, "user.a"));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "pipe"));
  EXPECT_OK(f.core->rmdir(f.root, f.bucket, "empty"));
  const Time before = f.env.now();
  f.env.advance(kHour);
  EXPECT_TRUE(f.core->prune(f.root, "bucket", "", {}, {}));
  const auto names = f.list(f.versions_of({}));
  EXPECT_EQ(names, std::vector<std::string>{"file"});
  for (const char kind : {'h', 'a', 'y'}) {
    EXPECT_FALSE(*f.store->view().seek_key(std::string(1, kind), std::string(1, static_cast<char>(kind + 1)))) << kind;
  }
  // Moments that it has taken away are not shown as if they were empty.
  RewindOptions options;
  options.to = before;
  EXPECT_EQ(code_of(f.core->rewind(f.root, "bucket", "", options, {})), Code::kNotFound);
  f.expect_sound();
}

TEST(VersionsView, ARewindLeavesAloneWhatNoVersionTellsOf) {
  ContentFixture f;
  f.put("file", "one");
  f.env.advance(kHour);
  const Time between = f.env.now();
  f.env.advance(kHour);
  f.put("file", "two");
  f.put("file", "three");
  const auto versions = f.versions("file");
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_OK(f.core->purge_version(f.root, "bucket", "file", versions[2].id));
  RewindOptions options;
  options.to = between;
  const auto rewound = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(rewound) << rewound.error().message;
  EXPECT_EQ(rewound->unknown, 1u);
  EXPECT_EQ(rewound->removed + rewound->content + rewound->added, 0u);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "three");
}

TEST(VersionsView, ASecondRewindFindsNothingToDo) {
  ContentFixture f;
  const std::string large(3 << 20, 'x');
  f.put("large", large);
  f.put("small", "one");
  f.put("empty", "");
  f.put("linked", "two names");
  EXPECT_OK(f.core->link(f.root, f.lookup(f.bucket, "linked"), f.bucket, "again"));
  EXPECT_OK(f.core->symlink(f.root, f.bucket, "symlink", "small"));
  f.env.advance(kHour);
  RewindOptions options;
  options.to = f.env.now();
  f.env.advance(kHour);
  for (const char* name : {"large", "small", "empty", "linked"}) f.put(name, "changed");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "again"));
  f.put("again", "another file");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "symlink"));
  EXPECT_OK(f.core->symlink(f.root, f.bucket, "symlink", "large"));
  f.env.advance(kHour);
  const auto first = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->content, 6u);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "large")), large);
  EXPECT_EQ(f.lookup(f.bucket, "again"), f.lookup(f.bucket, "linked"));
  const auto second = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(second) << second.error().message;
  for (const TreeDifference& difference : second->differences) ADD_FAILURE() << difference.path;
  // The same bytes, written again, are another content; and the names of a file that lost one are joined again.
  f.put("small", "one");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "again"));
  f.put("again", "two names");
  const auto third = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_EQ(third->content, 3u);
  EXPECT_EQ(f.lookup(f.bucket, "again"), f.lookup(f.bucket, "linked"));
  f.expect_sound();
}

// A file that came to share a name shows the same units, and is another one for all that.
TEST(VersionsView, ARewindTiesNoTwoFilesTogether) {
  ContentFixture f;
  const std::string large(64 << 10, 'x');
  f.put("a", large);
  EXPECT_OK(f.core->link(f.root, f.lookup(f.bucket, "a"), f.bucket, "b"));
  const auto source = f.open_file(f.lookup(f.bucket, "a"), {.read = true});
  const auto copy = f.create("c", {.write = true});
  EXPECT_EQ(f.copy(source, 0, copy, 0, large.size()), large.size());
  f.close(copy);
  f.core->release(source.ino, source.handle);
  f.env.advance(kHour);
  RewindOptions options;
  options.to = f.env.now();
  f.env.advance(kHour);
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "a"));
  EXPECT_OK(f.core->link(f.root, copy.ino, f.bucket, "a"));
  const auto rewound = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(rewound) << rewound.error().message;
  EXPECT_EQ(f.lookup(f.bucket, "a"), f.lookup(f.bucket, "b"));
  EXPECT_EQ(f.lookup(f.bucket, "c"), copy.ino);
  EXPECT_NE(f.lookup(f.bucket, "a"), copy.ino);
  f.expect_sound();
}

TEST(VersionsView, ARewindSeesWhatIsNotSealedYet) {
  ContentFixture f;
  f.put("file", "one");
  f.env.advance(kHour);
  RewindOptions options;
  options.to = f.env.now();
  f.env.advance(kHour);
  f.put("file", "two");
  ASSERT_TRUE(f.core->rewind(f.root, "bucket", "", options, {}));
  const auto writer = f.open_file(f.lookup(f.bucket, "file"), {.write = true});
  f.write(writer, 0, "six");
  const auto rewound = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(rewound) << rewound.error().message;
  EXPECT_EQ(rewound->content, 1u);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "one");
  f.close(writer);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "file")), "one");
  f.expect_sound();
}

// The first of two names that a file had was given away, the second one was not.
TEST(VersionsView, ARewindJoinsTheNamesOfAFileAgain) {
  ContentFixture f;
  f.put("a", "one file");
  EXPECT_OK(f.core->link(f.root, f.lookup(f.bucket, "a"), f.bucket, "b"));
  f.env.advance(kHour);
  RewindOptions options;
  options.to = f.env.now();
  f.env.advance(kHour);
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "a"));
  f.put("a", "another");
  options.dry_run = true;
  const auto would = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(would) << would.error().message;
  options.dry_run = false;
  const auto rewound = f.core->rewind(f.root, "bucket", "", options, {});
  ASSERT_TRUE(rewound) << rewound.error().message;
  EXPECT_EQ(would->content, rewound->content);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "a")), "one file");
  EXPECT_EQ(f.lookup(f.bucket, "a"), f.lookup(f.bucket, "b"));
  f.expect_sound();
}

TEST(VersionsView, AByteOfALargeFileCostsAUnit) {
  ContentFixture f;
  const std::string megabyte(1 << 20, 'x');
  const auto file = f.create("large", {.write = true});
  for (uint64_t i = 0; i < 64; ++i) f.write(file, i << 20, megabyte);
  f.close(file);
  EXPECT_OK(f.store->sync());
  const uint64_t before = f.store->status().log_bytes;
  const auto again = f.open_file(file.ino);
  f.write(again, (uint64_t{33} << 20) + 1, "y");
  f.close(again);
  EXPECT_OK(f.store->sync());
  // One unit, and what is put in the index: not the 64 MiB.
  EXPECT_LT(f.store->status().log_bytes - before, uint64_t{1} << 19);
  EXPECT_EQ(f.versions("large").size(), 2u);
}

TEST(VersionsView, AnOpenVersionCanBeReadUntilItIsRemoved) {
  ContentFixture f;
  f.put("file", "one");
  f.put("file", "two");
  const Ino view = f.versions_of({"file"});
  const std::string name = f.versions("file")[1].name;
  const auto open = f.open_file(f.lookup(view, name), {.read = true});
  EXPECT_EQ(f.read(open, 0, 10), "one");
  EXPECT_OK(f.core->unlink(f.root, view, name));
  std::string out(10, '\0');
  EXPECT_EQ(code_of(f.core->read(open.ino, open.handle, 0, out)), Code::kNotFound);
  f.core->release(open.ino, open.handle);
}

TEST(VersionsView, NumbersOfPlacesAreTheSameAtEveryLookup) {
  ContentFixture f;
  f.put("file", "one");
  const Ino first = f.versions_of({"file"});
  f.core->forget(first, 1);
  EXPECT_EQ(f.versions_of({"file"}), first);
  EXPECT_TRUE(is_virtual(first));
  EXPECT_EQ(bucket_of(first), bucket_of(f.bucket));
}

TEST(VersionsView, ListingWithAttributesCountsReferences) {
  ContentFixture f;
  for (int i = 0; i < 5; ++i) f.put("file", std::to_string(i));
  const Ino view = f.versions_of({"file"});
  const auto handle = f.core->opendir(f.root, view);
  std::vector<Ino> seen;
  EXPECT_OK(f.core->readdir(f.root, view, *handle, 0, true, [&](const DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") {
      EXPECT_EQ(entry.attributes.ino, entry.ino);
      EXPECT_EQ(entry.attributes.size, 1u);
      seen.push_back(entry.ino);
    }
    return seen.size() < 5;
  }));
  ASSERT_EQ(seen.size(), 5u);
  EXPECT_OK(f.core->getattr(f.root, seen[0]));
  f.core->forget(seen[0], 1);
  EXPECT_EQ(code_of(f.core->getattr(f.root, seen[0])), Code::kNotFound);
  EXPECT_EQ(code_of(f.core->getattr(f.root, seen[4])), Code::kNotFound) << "a refused entry is not counted";
  f.core->releasedir(*handle);
}

// --- Pruning

TEST(Prune, KeepsTheNewestPerName) {
  ContentFixture f;
  for (int i = 0; i < 10; ++i) f.put("file", std::to_string(i));
  for (int i = 0; i < 10; ++i) {  // each save is a new inode
    f.put("temporary", std::to_string(i));
    EXPECT_OK(f.core->rename(f.root, f.bucket, "temporary", f.bucket, "saved", RenameMode::kReplace));
  }
  PruneOptions options;
  options.keep = 3;
  options.dry_run = true;
  const auto planned = f.core->prune(f.root, "bucket", "", options, nullptr);
  ASSERT_TRUE(planned);
  EXPECT_EQ(planned->versions, 12u);
  EXPECT_EQ(f.versions("file").size(), 10u);
  options.dry_run = false;
  const auto done = f.core->prune(f.root, "bucket", "", options, nullptr);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->versions, 12u);
  EXPECT_EQ(done->bytes, 12u);
  EXPECT_EQ(f.versions("file").size(), 4u);
  EXPECT_EQ(f.versions("saved").size(), 4u);
  EXPECT_EQ(f.content(f.lookup(f.versions_of({"file"}), f.versions("file")[3].name)), "6");
  f.expect_sound();
}

TEST(Prune, OlderThanGoesByWhenAVersionCeasedToBeCurrent) {
  ContentFixture f;
  f.put("file", "one");
  f.env.advance(kHour);
  f.put("file", "two");
  f.env.advance(kHour);
  const Time bound = f.env.now();
  f.env.advance(kHour);
  f.put("file", "three");
  PruneOptions options;
  options.older_than = bound;
  const auto done = f.core->prune(f.root, "bucket", "file", options, nullptr);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->versions, 1u);
  EXPECT_EQ(f.versions("file").size(), 2u);
}

TEST(Prune, WithoutConditionsOnlyWhatIsCurrentStays) {
  ContentFixture f;
  f.put("kept", "one");
  f.put("kept", "two");
  f.put("deleted", std::string(1'000'000, 'x'));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "deleted"));
  f.put("renamed", "three");
  EXPECT_OK(f.core->rename(f.root, f.bucket, "renamed", f.bucket, "name", RenameMode::kReplace));
  const auto directory = f.core->mkdir(f.root, f.bucket, "directory", 0755);
  const auto made = f.core->create(f.root, directory->ino, "file", 0644, {.write = true});
  f.close({made->attributes.ino, made->open.handle});
  EXPECT_OK(f.core->unlink(f.root, directory->ino, "file"));
  EXPECT_OK(f.core->rename(f.root, f.bucket, "directory", f.bucket, "moved", RenameMode::kReplace));
  EXPECT_OK(f.core->rmdir(f.root, f.bucket, "moved"));
  const auto done = f.core->prune(f.root, "bucket", "", {}, nullptr);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->versions, 3u);
  f.expect_sound();
  EXPECT_EQ(f.content(f.lookup(f.bucket, "kept")), "two");
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "kept"));
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "name"));
  EXPECT_OK(f.core->prune(f.root, "bucket", "", {}, nullptr));
  f.expect_all_released();
  EXPECT_TRUE(f.list(f.versions_of({})).empty());
  EXPECT_OK(f.core->rmdir(f.root, kRootIno, "bucket"));
}

// What was renamed leaves an entry where it was, which goes when the inode has: whichever of two directories is looked
// at first, one holds such an entry of a file that is in the other.
TEST(Prune, OnePassTakesDirectoriesBetweenWhichFilesWereRenamed) {
  ContentFixture f;
  const std::vector<std::string> names = {"one", "two", "three"};
  std::vector<Ino> directories;
  for (const std::string& name : names) {
    const auto made = f.core->mkdir(f.root, f.bucket, name, 0755);
    EXPECT_OK(made);
    directories.push_back(made->ino);
  }
  const auto move = [&](size_t from, size_t to, const std::string& name) {
    EXPECT_OK(f.core->rename(f.root, directories[from], name, directories[to], name, RenameMode::kReplace));
  };
  for (size_t i = 0; i < directories.size(); ++i) {
    const std::string name = "file-" + names[i];
    const auto made = f.core->create(f.root, directories[i], name, 0644, {.write = true});
    EXPECT_OK(made);
    f.close({made->attributes.ino, made->open.handle});
    f.core->forget(made->attributes.ino, 1);
    const auto below = f.core->mkdir(f.root, directories[i], "below-" + names[i], 0755);
    EXPECT_OK(below);
    f.core->forget(below->ino, 1);
  }
  for (size_t i = 0; i < directories.size(); ++i) {
    const size_t next = (i + 1) % directories.size();
    move(i, next, "file-" + names[i]);
    move(i, next, "below-" + names[i]);
    EXPECT_OK(f.core->unlink(f.root, directories[next], "file-" + names[i]));
    EXPECT_OK(f.core->rmdir(f.root, directories[next], "below-" + names[i]));
  }
  for (const std::string& name : names) EXPECT_OK(f.core->rmdir(f.root, f.bucket, name));
  PruneOptions options;
  options.keep = 0;
  EXPECT_OK(f.core->prune(f.root, "bucket", "", options, nullptr));
  EXPECT_TRUE(f.list(f.versions_of({})).empty());
  f.expect_sound();
  EXPECT_OK(f.core->rmdir(f.root, kRootIno, "bucket"));
}

// It has no history that would keep it, and goes when nobody has it any more: a shell's current directory, say.
TEST(Prune, ADirectoryThatIsStillInUseIsLeftToItsLastUser) {
  ContentFixture f;
  const auto made = f.core->mkdir(f.root, f.bucket, "directory", 0755);
  EXPECT_OK(made);
  EXPECT_OK(f.core->rmdir(f.root, f.bucket, "directory"));
  EXPECT_OK(f.core->prune(f.root, "bucket", "", {}, nullptr));
  EXPECT_TRUE(f.list(f.versions_of({})).empty());
  f.expect_sound();
  EXPECT_OK(f.core->getattr(f.root, made->ino));
  f.core->forget(made->ino, 1);
  EXPECT_EQ(code_of(f.core->getattr(f.root, made->ino)), Code::kNotFound);
  f.expect_sound();
  EXPECT_OK(f.core->rmdir(f.root, kRootIno, "bucket"));
}

TEST(Prune, IsForTheAccount) {
  ContentFixture f;
  Caller user;
  user.uid = user.gid = 1000;
  EXPECT_EQ(code_of(f.core->prune(user, "bucket", "", {}, nullptr)), Code::kAccessDenied);
  EXPECT_EQ(code_of(f.core->prune(f.root, "bucket", "no/such", {}, nullptr)), Code::kNotFound);
}

}  // namespace
}  // namespace pailfs::test
