#include "index/lmdb_environment.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/temporary_directory.h"

namespace pailfs {
namespace {

// What guard_lmdb() does when an assertion fails inside LMDB, without the damage that it takes.
int failing_assertion() {
  return guard_lmdb([] {
    std::longjmp(*lmdb_assertion_exit, 1);
    return 0;
  });
}

TEST(LmdbEnvironment, AFailedAssertionIsDamage) {
  EXPECT_EQ(lmdb_error(failing_assertion(), "reading the index").code, Code::kCorrupt);
  EXPECT_EQ(guard_lmdb([] { return MDB_NOTFOUND; }), MDB_NOTFOUND) << "the guard is as before";
}

TEST(LmdbEnvironment, AfterALostWriteReadersGoOnAndTheProcessDoesNotOpenTheIndexAgain) {
  const test::TemporaryDirectory directory;
  const test::TemporaryDirectory other;
  {
    auto environment = LmdbEnvironment::open(directory.path(), {.map_size = 1 << 20});
    ASSERT_TRUE(environment);
    MDB_txn* txn = nullptr;
    ASSERT_EQ(mdb_txn_begin((*environment)->env(), nullptr, 0, &txn), 0);
    ASSERT_EQ(failing_assertion(), kLmdbAssertionFailed);
    (*environment)->abandon();
    const auto reader = (*environment)->acquire_reader();
    ASSERT_TRUE(reader);
    (*environment)->release_reader(*reader);
  }
  const auto again = open_lmdb_index(directory.path(), {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kBusy) << again.error().message;
  // The write lock that was left behind is a robust mutex, on this thread's list: other locks must not stumble over it.
  const auto healthy = open_lmdb_index(other.path(), {});
  ASSERT_TRUE(healthy);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE((*healthy)->apply({{"key", std::to_string(i)}}));
}

// LMDB alternates between two meta pages. A reader that began on commit n must not count once commit n + 2 has begun.
TEST(LmdbEnvironment, AReaderWhoseMetaPageMayBeOverwrittenIsRenewed) {
  const test::TemporaryDirectory directory;
  const auto environment = *LmdbEnvironment::open(directory.path(), {.map_size = 1 << 20});
  const auto commit = [&] {
    MDB_txn* txn = nullptr;
    EXPECT_EQ(mdb_txn_begin(environment->env(), nullptr, 0, &txn), 0);
    const uint64_t id = mdb_txn_id(txn);
    MDB_val bytes = {.mv_size = sizeof(id), .mv_data = const_cast<uint64_t*>(&id)};
    EXPECT_EQ(mdb_put(txn, environment->dbi(), &bytes, &bytes, 0), 0);
    EXPECT_EQ(mdb_txn_commit(txn), 0);
    return id;
  };
  const uint64_t newest = commit();
  environment->announce_commit(newest + 2);
  std::thread reader_thread([&] {
    const auto reader = environment->acquire_reader();
    ASSERT_TRUE(reader);
    EXPECT_GE(mdb_txn_id(reader->txn), newest + 1);
    environment->release_reader(*reader);
  });
  EXPECT_EQ(commit(), newest + 1);
  reader_thread.join();
}

TEST(LmdbEnvironment, GrowingGivesUpOnReadersThatStayOut) {
  const test::TemporaryDirectory directory;
  const auto environment = *LmdbEnvironment::open(directory.path(), {.map_size = 1 << 20});
  const auto reader = environment->acquire_reader();
  ASSERT_TRUE(reader);
  EXPECT_EQ(*environment->grow(std::chrono::milliseconds(1)), LmdbEnvironment::Growth::kReadersStayed);
  EXPECT_EQ(environment->map_bytes(), uint64_t{1} << 20);
  environment->release_reader(*reader);
  EXPECT_EQ(*environment->grow(std::chrono::milliseconds(1)), LmdbEnvironment::Growth::kDone);
  EXPECT_EQ(environment->map_bytes(), uint64_t{1} << 21);
}

TEST(LmdbEnvironment, WithoutAddressSpaceTheMapIsAsBefore) {
  const test::TemporaryDirectory directory;
  // The next doubling is more than x86-64's 47 bits of user address space.
  auto environment = LmdbEnvironment::open(directory.path(), {.map_size = uint64_t{1} << 46});
  ASSERT_TRUE(environment) << environment.error().message;
  while (true) {
    const auto growth = (*environment)->grow(std::nullopt);
    ASSERT_TRUE(growth) << growth.error().message;
    if (*growth == LmdbEnvironment::Growth::kNoAddressSpace) break;
    ASSERT_LE((*environment)->map_bytes(), uint64_t{1} << 57);
  }
  const auto reader = (*environment)->acquire_reader();
  ASSERT_TRUE(reader) << reader.error().message;
  (*environment)->release_reader(*reader);
}

TEST(LmdbEnvironment, AMapThatDoesNotFitTheAddressSpaceIsMadeSmaller) {
  const test::TemporaryDirectory directory;
  const auto environment = LmdbEnvironment::open(directory.path(), {.map_size = uint64_t{1} << 60});
  ASSERT_TRUE(environment) << environment.error().message;
  EXPECT_LT((*environment)->map_bytes(), uint64_t{1} << 60);
}

}  // namespace
}  // namespace pailfs
