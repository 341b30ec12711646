#include "daemon/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pailfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<DaemonOptions> parse(std::vector<std::string> words, const std::string& program = "pailfs") {
  words.insert(words.begin(), program);
  PAILFS_ASSIGN(auto parsed, parse_arguments(words));
  if (std::holds_alternative<Answer>(parsed)) return fail(Code::kBusy, std::get<Answer>(parsed).text);
  return std::get<DaemonOptions>(std::move(parsed));
}

TEST(SplitOptions, KeepsEscapedCommasAndBackslashesInValues) {
  EXPECT_THAT(split_options("a,key_file=/x\\,y\\\\z,,b"), ElementsAre("a", "key_file=/x,y\\z", "b"));
  EXPECT_THAT(split_options(""), ElementsAre());
  EXPECT_THAT(split_options("end\\"), ElementsAre("end\\"));
}

TEST(Arguments, StoreAndMountpointAloneAreEnough) {
  const auto options = parse({"/store", "/mnt"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->store, "/store");
  EXPECT_EQ(options->mountpoint, "/mnt");
  EXPECT_TRUE(options->writeback);
  EXPECT_TRUE(options->io_uring);
  EXPECT_FALSE(options->allow_other);
  EXPECT_FALSE(options->foreground);
}

TEST(Arguments, OptionsMayStandAnywhereAndBeRepeated) {
  const auto options =
      parse({"-o", "allow_other,default_permissions,writeback=off", "/store", "-f", "/mnt", "-o", "key_file=/k,ro"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_TRUE(options->allow_other);
  EXPECT_TRUE(options->default_permissions);
  EXPECT_FALSE(options->writeback);
  EXPECT_TRUE(options->foreground);
  EXPECT_TRUE(options->read_only);
  EXPECT_EQ(options->key_file, "/k");
}

TEST(Arguments, TheLastOfRoAndRwHolds) {
  EXPECT_FALSE(parse({"/s", "/m", "-o", "ro,rw"})->read_only);
  EXPECT_TRUE(parse({"/s", "/m", "-r"})->read_only);
}

TEST(Arguments, WhatOnlyMountAndSystemdReadIsIgnored) {
  const auto options =
      parse({"/s", "/m", "-o", "noauto,nofail,_netdev,user=me,x-systemd.automount,X-a,defaults,nodev,noatime"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_THAT(options->general_flags, ElementsAre("nodev", "noatime"));
}

TEST(Arguments, WhatIsUnknownIsNamed) {
  for (const char* option :
       {"frobnicate", "frobnicate=1", "writeback=perhaps", "io_uring=on", "log_level=x", "bucket="}) {
    const auto options = parse({"/s", "/m", "-o", option});
    ASSERT_FALSE(options.has_value()) << option;
    EXPECT_EQ(options.error().code, Code::kInvalid);
    EXPECT_THAT(options.error().message, HasSubstr(std::string(option).substr(0, std::string(option).find('='))));
  }
  EXPECT_FALSE(parse({"/s"}).has_value());
  EXPECT_FALSE(parse({"/s", "/m", "/x"}).has_value());
  EXPECT_FALSE(parse({"/s", "/m", "--frobnicate"}).has_value());
  EXPECT_FALSE(parse({"/s", "/m", "-o", "key_file=/a,passphrase_file=/b"}).has_value());
}

TEST(Arguments, TheScrubHasARateAndAnInterval) {
  const auto usual = parse({"/s", "/m"});
  EXPECT_TRUE(usual->scrub.automatic);
  EXPECT_EQ(usual->scrub.rate, uint64_t{8} << 20);
  EXPECT_EQ(usual->scrub.interval, int64_t{30} * 86'400 * 1'000'000'000);
  const auto chosen = parse({"/s", "/m", "-o", "scrub=512K,scrub_interval=2w"});
  ASSERT_TRUE(chosen.has_value()) << chosen.error().message;
  EXPECT_EQ(chosen->scrub.rate, uint64_t{512} << 10);
  EXPECT_EQ(chosen->scrub.interval, int64_t{14} * 86'400 * 1'000'000'000);
  EXPECT_EQ(parse({"/s", "/m", "-o", "scrub=1000"})->scrub.rate, 1000u);
  EXPECT_FALSE(parse({"/s", "/m", "-o", "scrub=off"})->scrub.automatic);
  EXPECT_TRUE(parse({"/s", "/m", "-o", "scrub=off,scrub=1G"})->scrub.automatic);
  for (const char* option : {"scrub=", "scrub=0", "scrub=fast", "scrub=8MB", "scrub=-1", "scrub=99999999999999G",
                             "scrub_interval=30", "scrub_interval=never"}) {
    const auto refused = parse({"/s", "/m", "-o", option});
    ASSERT_FALSE(refused.has_value()) << option;
    EXPECT_THAT(refused.error().message, HasSubstr(std::string(option).substr(0, 5)));
  }
}

TEST(Arguments, ARemountIsExplained) {
  EXPECT_THAT(parse({"/s", "/m", "-o", "remount,ro"}).error().message, HasSubstr("mount -i -o remount"));
}

TEST(Arguments, AHelpersFlagsAreThoseOfMount) {
  const auto options =
      parse({"/s", "/m", "-n", "-v", "-s", "-t", "fuse.pailfs", "-o", "rw"}, "/sbin/mount.fuse.pailfs");
  ASSERT_TRUE(options.has_value()) << options.error().message;
  const auto fake = parse_arguments({"mount.pailfs", "/s", "/m", "-f"});
  ASSERT_TRUE(fake.has_value());
  ASSERT_TRUE(std::holds_alternative<Answer>(*fake));
  EXPECT_EQ(std::get<Answer>(*fake).status, 0);
  EXPECT_FALSE(parse({"/s", "/m", "-t", "x"}).has_value());
}

TEST(Arguments, HelpAndVersionNeedNothingElse) {
  for (const char* word : {"--help", "--version", "-V"}) {
    const auto answer = parse_arguments({"pailfs", word});
    ASSERT_TRUE(answer.has_value()) << word;
    ASSERT_TRUE(std::holds_alternative<Answer>(*answer));
    EXPECT_FALSE(std::get<Answer>(*answer).text.empty());
  }
}

}  // namespace
}  // namespace pailfs
