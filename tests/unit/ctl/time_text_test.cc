#include "core/time_text.h"

#include <gtest/gtest.h>

namespace pailfs {
namespace {

constexpr Time kSecond = 1'000'000'000;

TEST(TimeTextTest, WritesRfc3339) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_time(951'782'400 * kSecond + 5), "2000-02-29T00:00:00.000000005Z");
  EXPECT_EQ(format_time(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(format_time(INT64_MIN), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(format_time(INT64_MAX), "2262-04-11T23:47:16.854775807Z");
}

TEST(TimeTextTest, ReadsWhatItWrites) {
  for (const Time time : {Time{0}, Time{-1}, 951'782'400 * kSecond + 5, INT64_MAX / 2, INT64_MIN / 2}) {
    const auto back = parse_time(format_time(time));
    ASSERT_TRUE(back) << format_time(time);
    EXPECT_EQ(*back, time);
  }
}

TEST(TimeTextTest, ReadsOffsetsFractionsAndDates) {
  EXPECT_EQ(*parse_time("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(*parse_time("1969-12-31T23:30:00-00:30"), 0);
  EXPECT_EQ(*parse_time("1970-01-01T00:00:00.5Z"), kSecond / 2);
  EXPECT_EQ(*parse_time("1970-01-02"), 86400 * kSecond);
}

TEST(TimeTextTest, RefusesWhatIsNoTime) {
  for (const char* text : {"", "today", "2026-13-01", "2026-02-30", "2026-11-23T25:00:00Z", "2026-11-23T14:56:00",
                           "2026-11-23T14:56:00+1", "2026-11-23T14:56:00Zx", "9999-01-01", "2026-11-23T14:56:00.Z"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(TimeTextTest, SaysWhatWouldBeOne) {
  for (const char* text : {"3000", "2027", "3000-01-01", "2026-11-23T14:56:00"}) {
    EXPECT_EQ(parse_time(text).error().message,
              std::string("'") + text +
                  "' is no time: write a date in UTC (2026-11-23), or RFC 3339 with a zone (2026-11-23T14:56:00Z, "
                  "2026-11-23T14:56:00+01:00), from 1678 to 2261");
  }
}

TEST(DurationTest, TakesOneUnit) {
  EXPECT_EQ(*parse_duration("90s"), 90 * kSecond);
  EXPECT_EQ(*parse_duration("12h"), 12 * 3600 * kSecond);
  EXPECT_EQ(*parse_duration("30d"), 30 * 86400 * kSecond);
  EXPECT_EQ(*parse_duration("1y"), 365 * 86400 * kSecond);
  EXPECT_EQ(*parse_duration("1 hour"), 3600 * kSecond);
  EXPECT_EQ(*parse_duration("2 weeks"), 14 * 86400 * kSecond);
  EXPECT_EQ(*parse_duration("30minutes"), 1800 * kSecond);
}

TEST(DurationTest, RefusesOtherText) {
  for (const char* text : {"", "d", "30", "-1d", "30  d", "30 dayss", "30 ds", "1.5h", "30dd", "999999999999y", "3q"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(MomentTest, CountsADurationBackFromNow) {
  EXPECT_EQ(*parse_moment("1d", 86401 * kSecond), kSecond);
  EXPECT_EQ(*parse_moment("1d ago", 86401 * kSecond), kSecond);
  EXPECT_EQ(*parse_moment("24 hours ago", 86401 * kSecond), kSecond);
  EXPECT_EQ(*parse_moment("1970-01-02", 0), 86400 * kSecond);
  EXPECT_EQ(*parse_moment("19700102T000001.5Z", 0), 86401 * kSecond + kSecond / 2);
  for (const char* text : {"ago", " ago", "1d  ago", "19700102T0000", "19700102T000061Z", "19700102T000001"}) {
    EXPECT_FALSE(parse_moment(text, 0)) << text;
  }
  EXPECT_FALSE(parse_moment("soon", 0));
}

}  // namespace
}  // namespace pailfs
