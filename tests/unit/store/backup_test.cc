// When a further backup would put less in the place of more, as far as whoever keeps account of lost content knows; and
// what of a target is taken for copied.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "store/backup_files.h"
#include "store_fixture.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

using testing::HasSubstr;

class BackupTest : public testing::Test {
 protected:
  // Several starts, so several segments, of which the first has commits alone.
  BackupTest() {
    options_.background = false;
    EXPECT_TRUE(Store::create(posix_env(), path_, test_secret(), "test", {}));
    for (int run = 0; run < 3; ++run) {
      open();
      Transaction tx;
      tx.put(kStoreScope, "key", std::to_string(run));
      EXPECT_TRUE(store_->commit(std::move(tx)));
      EXPECT_TRUE(store_->close());
    }
    open();
  }
  void open() {
    store_.reset();
    auto opened = Store::open(posix_env(), path_, test_secret(), options_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  Result<BackupReport> backup(const BackupRequest& request = {}) { return store_->backup(target_, nullptr, request); }
  void expect_refused(const BackupRequest& request, const std::string& words) {
    const auto refused = backup(request);
    ASSERT_FALSE(refused) << words;
    EXPECT_THAT(refused.error().message, HasSubstr(words));
  }

  // As far as the store knows: nothing lives in it.
  void back_up_and_rewrite_the_first_segment() {
    ASSERT_TRUE(backup());
    EXPECT_TRUE(store_->close());
    ASSERT_TRUE(std::filesystem::remove(path_ + "/log/" + segment_name(1)));
    open();
  }

  test::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "store";
  const std::string target_ = directory_ / "backup";
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

TEST_F(BackupTest, WhatIsLostAndMayBeInTheBackupStaysThere) {
  back_up_and_rewrite_the_first_segment();
  BackupRequest request;
  request.lost_segments = {2};  // in the same place in both
  EXPECT_TRUE(backup(request));
}

TEST_F(BackupTest, WhatWasMovedAndIsLostIsRefusedUnlessItIsToBeReplaced) {
  back_up_and_rewrite_the_first_segment();
  BackupRequest request;
  request.lost_segments = {1};
  expect_refused(request, "content that was moved out of segment " + segment_name(1));
  request.lost_segments.clear();
  request.lost_records = true;
  expect_refused(request, "records of the index are lost");
  request.replace = true;
  EXPECT_TRUE(backup(request));
  EXPECT_FALSE(std::filesystem::exists(target_ + "/log/" + segment_name(1)));
}

// A file that was growing when the power went may be as long as it was to be, and hold nothing.
TEST_F(BackupTest, OnlyWhatWasFinishedIsTakenForCopied) {
  const std::string from = directory_ / "from", to = directory_ / "to";
  for (const std::string& place : {from, to}) std::filesystem::create_directories(place + "/log");
  const std::string name = "/log/" + segment_name(1);
  const std::string content(100'000, 'x');
  std::ofstream(from + name) << content;
  const auto copied = [&](std::string_view there, const BackupList& earlier) {
    std::ofstream(to + name) << there;
    BackupCopier copier({posix_env(), from}, {posix_env(), to}, earlier, true, nullptr);
    EXPECT_TRUE(copier.copy({name, content.size()}));
    EXPECT_EQ(posix_env().read_file(to + name, 1 << 20).value_or(""), content);
    return copier.copied();
  };
  EXPECT_EQ(copied("", {}), content.size());
  EXPECT_EQ(copied(content, {}), 0u) << "appeared under its name when it was whole";
  EXPECT_EQ(copied(content.substr(0, 70'000), {}), content.size());
  EXPECT_EQ(copied(content.substr(0, 70'000), {{{name, 70'000}}, ""}), 30'000u);
  const std::string hole = content.substr(0, 50'000) + std::string(30'000, '\0');
  EXPECT_EQ(copied(hole, {{{name, 50'000}}, ""}), 50'000u);
}

TEST_F(BackupTest, TheListIsOfTheBackupsFilesAlone) {
  ASSERT_TRUE(backup());
  std::string list;
  for (const auto& entry : std::filesystem::directory_iterator(target_)) {
    if (entry.path().filename().string().starts_with("files.")) list = entry.path();
  }
  ASSERT_FALSE(list.empty());
  const std::string id = list.substr(list.rfind("files.") + 6);
  const auto read = read_backup_list(posix_env(), target_, id);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->files.contains("/log/" + segment_name(2)));
  for (const char* name : {"/etc/passwd", "/log/../keyring.0", "/index/base-1", "base-1", "/log/file"}) {
    std::ofstream(list) << R"({"keyring": "", "files": {")" << name << R"(": 1}})";
    EXPECT_EQ(read_backup_list(posix_env(), target_, id).error().code, Code::kCorrupt) << name;
  }
  const auto refused = Store::restore(posix_env(), target_, directory_ / "restored", nullptr);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(list));
}

}  // namespace
}  // namespace pailfs
