// What "2h ago" is: one moment per job, for as long as the job uses it.
#include "core/spoken_moments.h"

#include <gtest/gtest.h>

namespace pailfs::test {
namespace {

SpokenMoments::Key job(uint32_t uid, uint32_t group, std::string text = "2h ago") {
  return {.uid = uid, .group = group, .bucket = 1, .text = std::move(text)};
}

TEST(SpokenMoments, AJobKeepsItsMomentAsLongAsItUsesIt) {
  SpokenMoments moments;
  EXPECT_EQ(moments.find(job(1, 10), 0), std::nullopt);
  EXPECT_EQ(moments.keep(job(1, 10), 100, 0), 100);
  Time at = 0;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(moments.find(job(1, 10), at += SpokenMoments::kKept), 100);
  EXPECT_EQ(moments.find(job(1, 10), at + SpokenMoments::kKept + 1), std::nullopt);
}

TEST(SpokenMoments, OthersHaveMomentsOfTheirOwn) {
  SpokenMoments moments;
  moments.keep(job(1, 10), 100, 0);
  EXPECT_EQ(moments.find(job(1, 11), 0), std::nullopt);
  EXPECT_EQ(moments.find(job(2, 10), 0), std::nullopt);
  EXPECT_EQ(moments.find(job(1, 10, "3h ago"), 0), std::nullopt);
  auto elsewhere = job(1, 10);
  elsewhere.bucket = 2;
  EXPECT_EQ(moments.find(elsewhere, 0), std::nullopt);
  EXPECT_EQ(moments.keep(job(1, 10), 200, 1), 100) << "two processes of a job asked at once";
}

TEST(SpokenMoments, WhoAsksForManyLosesHisOwn) {
  SpokenMoments moments;
  moments.keep(job(1, 10), 100, 0);
  for (uint32_t i = 0; i < 3 * SpokenMoments::kPerUser; ++i) moments.keep(job(2, i), 200, i);
  EXPECT_EQ(moments.find(job(1, 10), 1), 100);
  EXPECT_EQ(moments.find(job(2, 0), 1), std::nullopt);
  EXPECT_EQ(moments.find(job(2, 3 * SpokenMoments::kPerUser - 1), 1), 200);
}

}  // namespace
}  // namespace pailfs::test
