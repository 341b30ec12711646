#include "ctl/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/scrub.h"
#include "core_fixture.h"
#include "crypto/crypto.h"

namespace pailfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CommandsTest : public CoreFixture {
 protected:
  void make_bucket(const std::string& name) {
    const auto made = run(kAccount, "bucket.create", {{"bucket", name}});
    ASSERT_TRUE(made) << made.error().message;
  }
  Json passphrase(std::string_view text) { return {{"kind", "passphrase"}, {"secret", base64(text)}}; }
};

TEST_F(CommandsTest, AnUnknownOperationIsInvalid) { EXPECT_EQ(run(0, "nonsense").error().code, Code::kInvalid); }

TEST_F(CommandsTest, StatusIsForEverybodyAndTellsNothingOfKeys) {
  const auto status = run(kStranger, "status");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ((*status)["daemon"]["mountpoint"], "/mnt/test");
  EXPECT_EQ((*status)["daemon"]["requests"]["lookup"], 7);
  EXPECT_EQ((*status)["daemon"]["options"], "allow_other,ro");
  EXPECT_EQ((*status)["store"]["read_only"], false);
  EXPECT_EQ(dump(*status).find("slot"), std::string::npos);
}

TEST_F(CommandsTest, AStoreWhoseTimesAreAheadSaysSoAndGoesBackToNoTimeCountedFromNow) {
  make_bucket("photos");
  EXPECT_FALSE((*run(kAccount, "status"))["store"].contains("times_ahead_until"));
  const Time now = env_.now();
  const Json back = {{"bucket", "photos"}, {"path", ""}, {"to", now}, {"relative", true}, {"dry_run", true}};
  ASSERT_TRUE(run(kAccount, "versioning.set", {{"bucket", "photos"}, {"state", "enabled"}}));
  env_.set_now(now + int64_t{86'400} * 1'000'000'000);
  make_bucket("later");
  env_.set_now(now);
  EXPECT_THAT((*run(kAccount, "status"))["store"]["times_ahead_until"], HasSubstr("2023-11-15T"));
  const auto refused = run(kAccount, "versions.rewind", back);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("ahead of the clock until 2023-11-15T"));
}

TEST_F(CommandsTest, WhatBelongsToTheAccountIsRefusedToOthers) {
  make_bucket("photos");
  const std::vector<std::pair<std::string, Json>> requests = {
      {"key.list", Json::object()},
      {"key.add", passphrase("x")},
      {"key.remove", {{"id", 1}}},
      {"key.change", passphrase("x")},
      {"check", Json::object()},
      {"versions.prune", Json::object()},
      {"versioning.set", {{"bucket", "photos"}, {"state", "suspended"}}},
      {"bucket.delete", {{"bucket", "photos"}, {"purge", true}}},
  };
  for (const auto& [op, args] : requests) {
    const auto result = run(kStranger, op, args);
    ASSERT_FALSE(result) << op;
    EXPECT_EQ(result.error().code, Code::kAccessDenied) << op;
  }
  EXPECT_TRUE(run(kAccount, "bucket.show", {{"bucket", "photos"}}));
}

TEST_F(CommandsTest, WhatIsLostIsForTheAccountAndThatThereIsSomethingForAll) {
  const auto own = run(kAccount, "scrub");
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ((*own)["lost"], Json::array());
  EXPECT_EQ((*own)["lost_count"], 0);
  EXPECT_EQ((*own)["running"], false);
  EXPECT_FALSE(own->contains("completed"));
  const auto strange = run(kStranger, "status");
  ASSERT_TRUE(strange) << strange.error().message;
  EXPECT_EQ((*strange)["store"]["scrub"]["lost_count"], 0);
  EXPECT_FALSE((*strange)["store"]["scrub"].contains("lost"));
  EXPECT_EQ(run(kStranger, "scrub", {{"now", true}}).error().code, Code::kAccessDenied);
  ASSERT_TRUE(run(kAccount, "scrub", {{"now", true}}));
  while (core_->scrub().status(false)->completed == 0) env_.advance(core_->scrub().step(false) + 1);
  EXPECT_TRUE((*run(kStranger, "scrub")).contains("completed"));
}

TEST_F(CommandsTest, RootHasTheRightsOfTheAccount) { EXPECT_TRUE(run(0, "key.list")); }

TEST_F(CommandsTest, BucketsAreMadeListedAndDeleted) {
  const auto made = run(kAccount, "bucket.create", {{"bucket", "photos"}, {"versioning", "off"}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)["versioning"], "off");
  const auto list = run(kStranger, "bucket.list");
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ((*list)["buckets"].size(), 1u);
  EXPECT_EQ((*list)["buckets"][0]["name"], "photos");
  const auto deleted = run(kAccount, "bucket.delete", {{"bucket", "photos"}});
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_TRUE((*run(0, "bucket.list"))["buckets"].empty());
  EXPECT_EQ(daemon_.settled, 2);
}

TEST_F(CommandsTest, ABadBucketNameIsInvalid) {
  EXPECT_EQ(run(kAccount, "bucket.create", {{"bucket", "No_Bucket"}}).error().code, Code::kInvalid);
  EXPECT_EQ(run(kAccount, "bucket.create", {{"bucket", "fine"}, {"versioning", "maybe"}}).error().code, Code::kInvalid);
}

TEST_F(CommandsTest, ABucketThatHoldsSomethingNeedsAPurge) {
  make_bucket("photos");
  write_file("photos", "a.jpg", "pixels");
  const auto refused = run(kAccount, "bucket.delete", {{"bucket", "photos"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotEmpty);
  EXPECT_THAT(refused.error().message, HasSubstr("--purge"));
  const auto show = run(kAccount, "bucket.show", {{"bucket", "photos"}});
  ASSERT_TRUE(show) << show.error().message;
  EXPECT_EQ((*show)["objects"], 1);
  EXPECT_EQ((*show)["current_bytes"], 6);
  const auto purged = run(kAccount, "bucket.delete", {{"bucket", "photos"}, {"purge", true}});
  ASSERT_TRUE(purged) << purged.error().message;
  EXPECT_EQ(run(kAccount, "bucket.show", {{"bucket", "photos"}}).error().code, Code::kNotFound);
}

TEST_F(CommandsTest, VersioningIsShownAndChanged) {
  make_bucket("photos");
  EXPECT_EQ((*run(kAccount, "versioning.get", {{"bucket", "photos"}}))["versioning"], "enabled");
  const auto set = run(kAccount, "versioning.set", {{"bucket", "photos"}, {"state", "suspended"}});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ((*set)["versioning"], "suspended");
}

TEST_F(CommandsTest, VersionsAreListedByBucketAndPathOrByPathOnTheMount) {
  make_bucket("photos");
  write_file("photos", "a.jpg", "one");
  write_file("photos", "a.jpg", "three");
  const auto by_bucket = run(kAccount, "versions.list", {{"bucket", "photos"}, {"path", "a.jpg"}});
  ASSERT_TRUE(by_bucket) << by_bucket.error().message;
  ASSERT_EQ((*by_bucket)["versions"].size(), 2u);
  EXPECT_EQ((*by_bucket)["versions"][0]["size"], 5);
  EXPECT_EQ((*by_bucket)["versions"][0]["current"], true);
  EXPECT_EQ((*by_bucket)["versions"][1]["size"], 3);
  EXPECT_EQ(*run(kAccount, "versions.list", {{"mount_path", "/photos//a.jpg"}}), *by_bucket);
  daemon_.mounted_bucket = "photos";
  EXPECT_EQ(*run(kAccount, "versions.list", {{"mount_path", "/a.jpg"}}), *by_bucket);
}

TEST_F(CommandsTest, AWholeBucketHasNoVersionsToList) {
  make_bucket("photos");
  EXPECT_EQ(run(kAccount, "versions.list", {{"bucket", "photos"}}).error().code, Code::kInvalid);
  EXPECT_EQ(run(kAccount, "versions.list", {{"mount_path", "/photos"}}).error().code, Code::kInvalid);
}

TEST_F(CommandsTest, PruningRemovesOlderVersionsOfTheWholeStore) {
  for (const char* bucket : {"photos", "papers"}) {
    make_bucket(bucket);
    write_file(bucket, "file", "one");
    write_file(bucket, "file", "two");
  }
  const auto dry = run(kAccount, "versions.prune", {{"dry_run", true}});
  ASSERT_TRUE(dry) << dry.error().message;
  EXPECT_EQ((*dry)["versions"], 2);
  EXPECT_EQ((*dry)["bytes"], 6);
  const auto kept = run(kAccount, "versions.prune", {{"keep", 1}});
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ((*kept)["versions"], 0);
  const auto one_bucket = run(kAccount, "versions.prune", {{"bucket", "photos"}});
  ASSERT_TRUE(one_bucket) << one_bucket.error().message;
  EXPECT_EQ((*one_bucket)["versions"], 1);
  EXPECT_EQ((*run(kAccount, "versions.list", {{"bucket", "papers"}, {"path", "file"}}))["versions"].size(), 2u);
}

TEST_F(CommandsTest, SlotsAreAddedListedAndRemovedButNotTheLast) {
  Json args = passphrase("correct horse");
  args["label"] = "mine";
  const auto added = run(kAccount, "key.add", args);
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ((*added)["id"], 2);
  const auto list = run(kAccount, "key.list");
  ASSERT_EQ((*list)["slots"].size(), 2u);
  EXPECT_EQ((*list)["slots"][1]["label"], "mine");
  EXPECT_EQ((*list)["slots"][1]["kind"], "passphrase");
  EXPECT_TRUE(run(kAccount, "key.remove", {{"id", 1}}));
  EXPECT_EQ(run(kAccount, "key.remove", {{"id", 1}}).error().code, Code::kNotFound);
  EXPECT_EQ(run(kAccount, "key.remove", {{"id", 2}}).error().code, Code::kInvalid);
}

TEST_F(CommandsTest, ChangingAPassphrasePutsANewSlotInThePlaceOfTheOld) {
  Json first = passphrase("old");
  first["label"] = "mine";
  ASSERT_TRUE(run(kAccount, "key.add", first));
  const auto changed = run(kAccount, "key.change", passphrase("new"));
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ((*changed)["id"], 3);
  EXPECT_EQ((*changed)["removed"], 2);
  EXPECT_EQ((*run(kAccount, "key.list"))["slots"][1]["label"], "mine");
  const auto opens = [&](std::string_view secret) {
    return Keyring::unlock(env_, "/s", *uuid_bytes(store_->status().uuid),
                           UnlockSecret{SlotKind::kPassphrase, Secret(secret)}, true)
        .has_value();
  };
  EXPECT_TRUE(opens("new"));
  EXPECT_FALSE(opens("old"));
}

TEST_F(CommandsTest, ChangingWhatIsAmbiguousAsksForTheSlot) {
  EXPECT_EQ(run(kAccount, "key.change", passphrase("x")).error().code, Code::kNotFound);
  ASSERT_TRUE(run(kAccount, "key.add", passphrase("a")));
  ASSERT_TRUE(run(kAccount, "key.add", passphrase("b")));
  EXPECT_EQ(run(kAccount, "key.change", passphrase("x")).error().code, Code::kInvalid);
  Json args = passphrase("x");
  args["id"] = 2;
  EXPECT_TRUE(run(kAccount, "key.change", args));
}

TEST_F(CommandsTest, SecretsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(run(kAccount, "key.add", {{"kind", "passphrase"}}).error().code, Code::kInvalid);
  EXPECT_EQ(run(kAccount, "key.add", {{"kind", "passphrase"}, {"secret", "%"}}).error().code, Code::kInvalid);
  EXPECT_EQ(run(kAccount, "key.add", {{"kind", "key-file"}, {"secret", base64("short")}}).error().code, Code::kInvalid);
  Json args = passphrase("x");
  args["label"] = {{"base64", base64("\xff")}};
  EXPECT_EQ(run(kAccount, "key.add", args).error().code, Code::kInvalid);
}

TEST_F(CommandsTest, LongOperationsEndWhenToldTo) {
  make_bucket("photos");
  write_file("photos", "a.jpg", "pixels");
  const Caller caller{kAccount, kAccount, 1, 0, Door::kControl, nullptr};
  const Progress stop = [](uint64_t, uint64_t) { return false; };
  const std::vector<std::pair<std::string, Json>> requests = {
      {"check", {{"deep", true}}},
      {"versions.prune", Json::object()},
      {"bucket.delete", {{"bucket", "photos"}, {"purge", true}}},
  };
  for (const auto& [op, args] : requests) {
    const auto result = run_command({*core_, caller, &daemon_, stop}, op, args);
    ASSERT_FALSE(result) << op;
    EXPECT_EQ(result.error().code, Code::kInterrupted) << op;
  }
  // A purge that was stopped is finished by the next one.
  EXPECT_TRUE(run(kAccount, "bucket.delete", {{"bucket", "photos"}, {"purge", true}}));
}

TEST_F(CommandsTest, CheckingASoundStoreFindsNothing) {
  make_bucket("photos");
  write_file("photos", "a.jpg", "pixels");
  const auto result = run(kAccount, "check", {{"deep", true}});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ((*result)["problem_count"], 0) << dump((*result)["problems"], 2);
  EXPECT_EQ((*result)["files"], 1);
}

TEST(ObjectPathTest, SplitsOffTheBucket) {
  EXPECT_EQ(split_object_path("/photos//2026/a.jpg").path, "2026/a.jpg");
  EXPECT_EQ(split_object_path("photos/").bucket, "photos");
  EXPECT_TRUE(split_object_path("//").bucket.empty());
}

}  // namespace
}  // namespace pailfs
