// What somebody moves to another place, in the index or in the log, whole and undamaged, does not verify there.
#include <fmt/format.h>

#include "store_fixture.h"

namespace pailfs {
namespace {

class MovedTest : public StoreTest {
 protected:
  std::string stored_value(const std::string& key) {
    auto snapshot = index_->snapshot();
    EXPECT_TRUE(snapshot);
    auto value = (*snapshot)->get(key);
    EXPECT_TRUE(value && *value) << key;
    return value && *value ? std::string(**value) : "";
  }
  // The stored bytes of a run, its tag included.
  std::string stored(const pailfs::Run& run) {
    std::string bytes(run.stored_length(), '\0');
    auto file = env_.open(path(run), OpenMode::kRead);
    EXPECT_TRUE(file && (*file)->read_at(run.offset, bytes));
    return bytes;
  }
  void overwrite(const pailfs::Run& run, std::string_view bytes) {
    auto file = env_.open(path(run), OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(run.offset, bytes));
  }
  static std::string path(const pailfs::Run& run) { return fmt::format("/s/log/{:016x}.seg", run.segment); }

  void expect_corrupt(const pailfs::Run& run) {
    std::string out(run.length, '\0');
    const Store::ReadGuard guard(*store_);
    const Status got = store_->read(1, run, 0, out);
    ASSERT_FALSE(got) << out.substr(0, 20);
    EXPECT_EQ(got.error().code, Code::kCorrupt);
  }
};

TEST_F(MovedTest, AValueInAnothersPlaceDoesNotVerify) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  put("mine", "my content");
  put("yours", "your content");
  ASSERT_TRUE(store_->checkpoint());
  const std::string old = stored_value("mine");
  ASSERT_TRUE(index_->apply({{"yours", stored_value("mine")}, {"mine", stored_value("yours")}}));
  for (const char* key : {"mine", "yours"}) {
    const auto got = store_->get(1, key);
    ASSERT_FALSE(got) << key << " shows " << **got;
    EXPECT_EQ(got.error().code, Code::kCorrupt);
  }
  ASSERT_TRUE(index_->apply({{"mine", old}}));
  EXPECT_EQ(get("mine"), "my content");
}

TEST_F(MovedTest, AUnitInAnothersPlaceDoesNotVerify) {
  open();
  ASSERT_TRUE(store_->create_scope(1));
  // At the same offset of two segments, and beside each other in one.
  const auto first = store_->append(1, std::string(4096, 'a'));
  const auto beside = store_->append(1, std::string(4096, 'b'));
  ASSERT_TRUE(first && beside);
  put("committed", "after them");  // what no commit follows is cut off by the next start
  ASSERT_TRUE(store_->sync());
  open();
  const auto second = store_->append(1, std::string(4096, 'c'));
  ASSERT_TRUE(second);
  ASSERT_NE(first->segment, second->segment);
  ASSERT_EQ(first->offset, second->offset);
  const std::string a = stored(*first), b = stored(*beside), c = stored(*second);
  overwrite(*second, a);
  overwrite(*first, c);
  expect_corrupt(*first);
  expect_corrupt(*second);
  overwrite(*first, b);
  overwrite(*beside, a);
  expect_corrupt(*first);
  expect_corrupt(*beside);
  overwrite(*first, a);
  overwrite(*beside, b);
  overwrite(*second, c);
  EXPECT_TRUE(read(*first) == std::string(4096, 'a'));
  EXPECT_TRUE(read(*second) == std::string(4096, 'c'));
}

}  // namespace
}  // namespace pailfs
