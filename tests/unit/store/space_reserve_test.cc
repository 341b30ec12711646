// When the reserve of room is given up, when it comes back, and what is said meanwhile.
#include "store/space_reserve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_env.h"

namespace pailfs {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;

TEST(SpaceReserveTest, ItComesBackWithAQuarterBeyondAndSaysHowMuchThatIs) {
  MemoryEnv env;
  ASSERT_TRUE(env.make_dir("/s"));
  env.set_capacity(env.used() + 40 * kMebibyte);
  SpaceReserve reserve(env, "/s/reserve", 8 * kMebibyte);
  reserve.replenish();
  EXPECT_FALSE(reserve.spent());
  EXPECT_GE(env.used(), 8 * kMebibyte);
  // The disk fills up, and a commit needs the reserve.
  auto hog = env.open("/s/hog", OpenMode::kCreate);
  ASSERT_TRUE(hog);
  ASSERT_TRUE((*hog)->allocate(0, 32 * kMebibyte));
  EXPECT_TRUE(reserve.release());
  reserve.replenish();
  EXPECT_TRUE(reserve.spent());
  EXPECT_THAT(reserve.refusal(), testing::HasSubstr("until 10 MiB are free on it, and 8 MiB are"));
  ASSERT_TRUE((*hog)->truncate(29 * kMebibyte));
  EXPECT_EQ(reserve.needed(), 10 * kMebibyte);
  reserve.replenish();
  EXPECT_FALSE(reserve.spent());
}

}  // namespace
}  // namespace pailfs
