// What the LMDB index makes of failing writes and syncs.
#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "index/lmdb_index.h"
#include "support/temporary_directory.h"
#include "unit/index/interposed_io.h"

namespace pailfs {
namespace {

using test::faults;

IndexChange put(std::string key, std::string value) { return {std::move(key), std::move(value)}; }

class LmdbFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(index_->apply({put("a", "1"), put("gone", "1")}));
  }
  void TearDown() override { heal(); }
  static void heal() {
    faults.write = faults.sync = faults.syncs_that_pass = faults.meta_write = faults.meta_writes_that_arrive = 0;
    faults.allocate = 0;
    faults.torn = false;
  }
  void open() {
    index_.reset();
    auto opened = open_lmdb_index(directory_.path(), {});
    ASSERT_TRUE(opened) << opened.error().message;
    index_ = std::move(*opened);
  }
  // Many pages, so that LMDB writes them by writev as well as by pwrite.
  static std::vector<IndexChange> batch() {
    std::vector<IndexChange> changes = {put("a", "2"), {"gone", std::nullopt}};
    for (int i = 0; i < 500; ++i) changes.push_back(put("n" + std::to_string(i), std::string(500, 'x')));
    return changes;
  }
  std::string get(const std::string& key) {
    auto view = index_->snapshot();
    EXPECT_TRUE(view) << view.error().message;
    if (!view) return "no snapshot";
    const auto value = (*view)->get(key);
    EXPECT_TRUE(value) << value.error().message;
    return value && *value ? std::string(**value) : "nothing";
  }
  void expect_old_state() {
    EXPECT_EQ(get("a"), "1");
    EXPECT_EQ(get("gone"), "1");
    EXPECT_EQ(get("n0"), "nothing");
  }
  void expect_new_state() {
    EXPECT_EQ(get("a"), "2");
    EXPECT_EQ(get("gone"), "nothing");
    EXPECT_EQ(get("n499"), std::string(500, 'x'));
  }
  void expect_full_disk_that_recovers() {
    auto held = std::move(*index_->snapshot());
    for (int attempt = 0; attempt < 3; ++attempt) {
      const Status status = index_->apply(batch());
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().code, Code::kNoSpace) << status.error().message;
      EXPECT_NE(status.error().message.find(directory_.path()), std::string::npos);
      expect_old_state();
    }
    EXPECT_EQ(**held->get("a"), "1");
    heal();
    const Status status = index_->apply(batch());
    ASSERT_TRUE(status) << status.error().message;
    expect_new_state();
    EXPECT_EQ(**held->get("a"), "1");
    held.reset();
    open();
    expect_new_state();
  }
  // The failure is final, reading goes on, and opening anew helps.
  void expect_final(Code code) {
    const Status first = index_->apply(batch());
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().code, code) << first.error().message;
    expect_old_state();
    heal();
    const Status second = index_->apply({put("b", "1")});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, code) << second.error().message;
    expect_old_state();
    open();
    expect_old_state();
    EXPECT_TRUE(index_->apply(batch()));
    expect_new_state();
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<Index> index_;
};

TEST_F(LmdbFaultTest, AFullDiskAppliesNothingAndTheBatchMayComeAgain) {
  faults.write = ENOSPC;
  expect_full_disk_that_recovers();
}

TEST_F(LmdbFaultTest, AnExceededQuotaIsAFullDisk) {
  faults.write = EDQUOT;
  expect_full_disk_that_recovers();
}

TEST_F(LmdbFaultTest, AShortWriteOnAFullDiskIsAFullDisk) {
  faults.write = ENOSPC;
  faults.torn = true;
  faults.allocate = ENOSPC;
  expect_full_disk_that_recovers();
}

TEST_F(LmdbFaultTest, AFullDiskFoundBySyncIsAFullDisk) {
  faults.sync = ENOSPC;
  expect_full_disk_that_recovers();
}

TEST_F(LmdbFaultTest, AShortWriteWithRoomOnTheDiskIsFinal) {
  faults.write = EIO;
  faults.torn = true;
  expect_final(Code::kIo);
}

TEST_F(LmdbFaultTest, AFailedWriteIsFinal) {
  faults.write = EIO;
  expect_final(Code::kIo);
}

TEST_F(LmdbFaultTest, AFailedSyncIsFinal) {
  faults.sync = EIO;
  expect_final(Code::kIo);
}

TEST_F(LmdbFaultTest, AFailedMetaWriteIsFinalAndReadingGoesOn) {
  faults.meta_write = EIO;
  expect_final(Code::kIo);
}

TEST_F(LmdbFaultTest, AFullDiskAtTheMetaPageAppliesNothing) {
  faults.meta_write = ENOSPC;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Status status = index_->apply(batch());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kNoSpace) << status.error().message;
    expect_old_state();
  }
  heal();
  ASSERT_TRUE(index_->apply(batch()));
  expect_new_state();
  open();
  expect_new_state();
}

TEST_F(LmdbFaultTest, AFullDiskAtTheMetaPageLeavesSnapshotsTheirTime) {
  faults.meta_write = ENOSPC;
  auto held = std::move(*index_->snapshot());
  std::thread writer([&] { EXPECT_EQ(index_->apply(batch()).error().code, Code::kNoSpace); });
  EXPECT_EQ(**held->get("a"), "1");
  EXPECT_EQ((**held->seek("")).key, "a");
  held.reset();
  writer.join();
  expect_old_state();
}

TEST_F(LmdbFaultTest, ABatchWhoseMetaPageArrivedIsApplied) {
  faults.meta_write = ENOSPC;
  faults.meta_writes_that_arrive = 1;  // the new page, and not LMDB's attempt to put the old one back
  const Status status = index_->apply(batch());
  ASSERT_TRUE(status) << status.error().message;
  expect_new_state();
  heal();
  ASSERT_TRUE(index_->apply({put("b", "1")}));
  open();
  expect_new_state();
}

TEST_F(LmdbFaultTest, AMetaPageWhoseDurabilityStaysOpenIsFinal) {
  faults.meta_write = ENOSPC;
  faults.sync = ENOSPC;
  faults.syncs_that_pass = 1;  // that of the data pages
  expect_final(Code::kIo);
}

TEST_F(LmdbFaultTest, EveryBatchIsSynced) {
  const int before = faults.syncs;
  ASSERT_TRUE(index_->apply({put("b", "1")}));
  EXPECT_EQ(faults.syncs, before + 1);
}

}  // namespace
}  // namespace pailfs
