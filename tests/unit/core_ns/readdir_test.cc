#include <map>
#include <set>

#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

TEST_F(CoreTest, AListingBeginsWithTheDirectoryAndItsParent) {
  const Ino directory = mkdir("d");
  const std::vector<DirectoryEntry> entries = list(directory, 1);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, ".");
  EXPECT_EQ(entries[0].ino, directory);
  EXPECT_EQ(entries[0].cookie, 1u);
  EXPECT_EQ(entries[1].name, "..");
  EXPECT_EQ(entries[1].ino, bucket);
  EXPECT_EQ(entries[1].cookie, 2u);
  EXPECT_EQ(list(bucket)[1].ino, kRootIno);
  EXPECT_EQ(list(kRootIno)[1].ino, kRootIno);
}

TEST_F(CoreTest, EveryEntryIsListedOnceWhateverTheSizeOfTheBuffer) {
  std::map<std::string, Ino> made;
  for (int i = 0; i < 500; ++i) made["file" + std::to_string(i)] = file("file" + std::to_string(i));
  made["directory"] = mkdir("directory");
  for (const int at_once : {1, 2, 47, 48, 49, 1000}) {
    std::map<std::string, Ino> seen;
    uint64_t last = 0;
    for (const DirectoryEntry& entry : list(bucket, at_once)) {
      EXPECT_GT(entry.cookie, last);
      EXPECT_LT(entry.cookie, uint64_t{1} << 63);
      last = entry.cookie;
      if (entry.cookie <= 2) continue;
      EXPECT_EQ(entry.type, entry.name == "directory" ? uint32_t{S_IFDIR} : uint32_t{S_IFREG});
      EXPECT_TRUE(seen.emplace(entry.name, entry.ino).second);
    }
    EXPECT_EQ(seen, made) << at_once;
  }
}

TEST_F(CoreTest, WhatIsThereThroughoutIsListedOnceWhateverComesAndGoes) {
  std::set<std::string> staying;
  for (int i = 0; i < 200; ++i) {
    file("stay" + std::to_string(i));
    staying.insert("stay" + std::to_string(i));
    file("go" + std::to_string(i));
  }
  const auto handle = core->opendir(root, bucket);
  ASSERT_TRUE(handle);
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  int round = 0;
  for (bool more = true; more; ++round) {
    more = false;
    int room = 5;
    EXPECT_OK(core->readdir(root, bucket, *handle, cookie, false, [&](const DirectoryEntry& entry) {
      if (room-- == 0) {
        more = true;
        return false;
      }
      cookie = entry.cookie;
      if (entry.name.starts_with("stay")) seen.insert(entry.name);
      return true;
    }));
    if (round < 200) {
      EXPECT_OK(core->unlink(root, bucket, "go" + std::to_string(round)));
      file("come" + std::to_string(round));
    }
    if (round % 10 == 0) EXPECT_OK(store->checkpoint());
    if (round == 20) {  // cookies outlive the process
      core->releasedir(*handle);
      restart();
      ASSERT_EQ(*core->opendir(root, bucket), *handle);
    }
  }
  EXPECT_EQ(seen, std::multiset<std::string>(staying.begin(), staying.end()));
}

TEST_F(CoreTest, ReadingADirectoryTakesReadAndSeeingAttributesSearch) {
  const Ino directory = mkdir("d", 0700);
  file(directory, "a", 0644, root);
  EXPECT_CODE(core->opendir(alice, directory), Code::kAccessDenied);
  EXPECT_OK(chmod(root, directory, 0704));
  const auto handle = core->opendir(alice, directory);
  ASSERT_TRUE(handle);
  const auto attributes_of_a = [&](const Caller& caller) {
    Attributes found;
    EXPECT_OK(core->readdir(caller, directory, *handle, 2, true, [&](const DirectoryEntry& entry) {
      found = entry.attributes;
      return true;
    }));
    return found.ino;
  };
  EXPECT_EQ(attributes_of_a(alice), 0u);
  EXPECT_NE(attributes_of_a(root), 0u);
  EXPECT_CODE(core->opendir(root, at(directory, "a")), Code::kNotDirectory);
  EXPECT_CODE(core->readdir(root, directory, *handle + 1, 0, false, [](const DirectoryEntry&) { return true; }),
              Code::kBadHandle);
  core->releasedir(*handle);
}

TEST_F(PlainCoreTest, AttributesInAListingCountAReferenceWhereTheyAreTaken) {
  const Ino ino = file("a");
  core->forget(ino, 1);
  const auto handle = core->opendir(root, bucket);
  bool taken = false;
  const auto read = [&] {
    EXPECT_OK(core->readdir(root, bucket, *handle, 2, true, [&](const DirectoryEntry& entry) {
      EXPECT_EQ(entry.attributes.ino, ino);
      EXPECT_EQ(entry.attributes.nlink, 1u);
      return taken;
    }));
  };
  read();  // refused: no reference
  taken = true;
  read();
  EXPECT_OK(core->unlink(root, bucket, "a"));
  EXPECT_EQ(stat(ino).nlink, 0u);
  core->forget(ino, 1);
  EXPECT_CODE(core->getattr(root, ino), Code::kNotFound);
}

TEST_F(CoreTest, VersionsAreNeverListedAndAlwaysFoundInABucket) {
  EXPECT_TRUE(names(bucket).empty());
  const auto view = core->lookup(root, bucket, ".versions");
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_TRUE(is_virtual(view->ino));
  EXPECT_CODE(core->lookup(root, kRootIno, ".versions"), Code::kNotFound);
  EXPECT_CODE(mknod(root, view->ino, "a"), Code::kReadOnly);
  EXPECT_CODE(core->mkdir(root, view->ino, "a", 0777), Code::kReadOnly);
  EXPECT_CODE(core->symlink(root, view->ino, "a", "x"), Code::kReadOnly);
  EXPECT_CODE(core->link(root, file("f"), view->ino, "a"), Code::kReadOnly);
  EXPECT_CODE(core->link(root, view->ino, bucket, "a"), Code::kCrossDevice);
  EXPECT_CODE(rename(bucket, "f", view->ino, "a"), Code::kReadOnly);
  EXPECT_CODE(rename(view->ino, "f", bucket, "a"), Code::kReadOnly);
  EXPECT_CODE(core->rmdir(root, view->ino, "f"), Code::kReadOnly);
  EXPECT_CODE(chmod(root, view->ino, 0777), Code::kReadOnly);
  EXPECT_CODE(core->setxattr(root, view->ino, "user.a", "b", Core::XattrMode::kSet), Code::kReadOnly);
  EXPECT_CODE(core->removexattr(root, view->ino, "user.a"), Code::kReadOnly);
  core->forget(view->ino, 1);
}

}  // namespace
}  // namespace pailfs::test
