// The program end to end, on a store in a temporary directory that no daemon serves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/cli.h"
#include "cli/invocation.h"
#include "core/core.h"
#include "ctl/protocol.h"
#include "ctl/secrets.h"
#include "fake_console.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PailTest : public testing::Test {
 protected:
  int pail(std::vector<std::string> arguments) {
    console_.output.clear();
    console_.errors.clear();
    return run_pail(arguments, console_);
  }
  // With the store and its key.
  int pail_on_store(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--store", store_, "--key-file", key_});
    return pail(std::move(arguments));
  }
  Json pail_json(std::vector<std::string> arguments, int status = kExitOk) {
    arguments.push_back("--json");
    EXPECT_EQ(pail_on_store(std::move(arguments)), status) << console_.errors;
    return Json::parse(console_.output, nullptr, false);
  }
  void init() { ASSERT_EQ(pail({"init", store_, "--key-file", key_}), kExitOk) << console_.errors; }
  std::string file(const std::string& name, std::string_view content) {
    std::ofstream(directory_ / name) << content;
    std::filesystem::permissions(directory_ / name, std::filesystem::perms(0600));
    return directory_ / name;
  }
  void write_object(const std::string& bucket, const std::string& name, std::string_view content) {
    auto secret = read_key_file(posix_env(), key_);
    ASSERT_TRUE(secret);
    auto store = Store::open(posix_env(), store_, *secret);
    ASSERT_TRUE(store) << store.error().message;
    {
      auto core = Core::open(**store, ::geteuid());
      ASSERT_TRUE(core) << core.error().message;
      const Caller caller{::geteuid(), ::getegid(), 1, 022, Door::kFuse, nullptr};
      const auto parent = (*core)->bucket_directory(bucket);
      ASSERT_TRUE(parent);
      OpenFlags flags;
      flags.write = true;
      const auto created = (*core)->create(caller, *parent, name, 0644, flags);
      ASSERT_TRUE(created) << created.error().message;
      const Ino ino = created->attributes.ino;
      ASSERT_TRUE((*core)->write(ino, created->open.handle, 0, content, false));
      ASSERT_TRUE((*core)->flush(ino, created->open.handle));
      (*core)->release(ino, created->open.handle);
      (*core)->forget(ino, 1);
      ASSERT_TRUE((*core)->unlink(caller, *parent, name));
    }
    ASSERT_TRUE((*store)->close());
  }

  test::TemporaryDirectory directory_;
  const std::string store_ = directory_ / "store";
  const std::string key_ = directory_ / "key";
  FakeConsole console_;
};

TEST_F(PailTest, SaysItsVersion) {
  EXPECT_EQ(pail({"--version"}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("pail " PAILFS_VERSION));
}

TEST_F(PailTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(pail({}), kExitUsage);
  EXPECT_EQ(pail({"nonsense"}), kExitUsage);
  EXPECT_EQ(console_.errors, "pail: there is no command 'nonsense' ('pail --help' lists them)\n");
  EXPECT_EQ(pail({"bucket", "lst", "--json"}), kExitUsage);
  EXPECT_EQ(console_.errors, "pail: there is no command 'lst' ('pail bucket --help' lists them)\n");
  EXPECT_EQ(pail({"bucket"}), kExitUsage);
  EXPECT_EQ(pail({"bucket", "create"}), kExitUsage);
  EXPECT_EQ(pail({"bucket", "create", "photos", "--versioning", "maybe"}), kExitUsage);
  EXPECT_EQ(pail({"status", "--key-file", "a", "--passphrase-file", "b"}), kExitUsage);
}

TEST_F(PailTest, NumbersThatAreNoUidOrGidAreRefusedByTheOptionsName) {
  const std::string allowed = "is no uid or gid: these are numbers from 0 to 4294967294";
  for (const char* const number : {"4294967295", "4294967296", "-1", "1,4294967295", "x"}) {
    EXPECT_EQ(pail({"user", "map", "alice", std::string("--uid=") + number}), kExitUsage) << number;
    EXPECT_THAT(console_.errors, AllOf(HasSubstr("--uid"), HasSubstr(allowed))) << number;
  }
  EXPECT_EQ(pail({"group", "map", "staff", "--gid", "4294967295"}), kExitUsage);
  EXPECT_THAT(console_.errors, HasSubstr("--gid: 4294967295 " + allowed));
  EXPECT_EQ(pail({"explain", "alice", "read", "b/f", "--group", "4294967295"}), kExitUsage);
  EXPECT_THAT(console_.errors, HasSubstr("--group: 4294967295 " + allowed));
}

TEST_F(PailTest, HelpNamesTheCommonOptions) {
  EXPECT_EQ(pail({"bucket", "list", "--help"}), kExitOk);
  EXPECT_THAT(console_.output, AllOf(HasSubstr("--store"), HasSubstr("--json"), HasSubstr("--key-file")));
}

TEST_F(PailTest, InitMakesTheKeyFileAndTheStore) {
  init();
  EXPECT_EQ(std::filesystem::file_size(key_), 32u);
  EXPECT_TRUE(std::filesystem::exists(store_ + "/pailfs.store"));
  EXPECT_THAT(console_.output, HasSubstr("Made the key file"));
}

TEST_F(PailTest, InitLeavesAnExistingStoreAndMakesNoKeyForIt) {
  init();
  EXPECT_EQ(pail({"init", store_, "--key-file", directory_ / "other"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("already"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "other"));
}

TEST_F(PailTest, InitRefusesADirectoryThatHoldsSomething) {
  std::filesystem::create_directory(store_);
  std::ofstream(store_ + "/mine") << "x";
  EXPECT_EQ(pail({"init", store_, "--key-file", key_}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("not empty"));
}

TEST_F(PailTest, InitRefusesAShortKeyFileAndWarnsOfAnOpenOne) {
  const std::string short_key = file("short", "too short");
  EXPECT_EQ(pail({"init", store_, "--key-file", short_key}), kExitFailure);
  const std::string open_key = file("open", std::string(32, 'k'));
  std::filesystem::permissions(open_key, std::filesystem::perms(0644));
  EXPECT_EQ(pail({"init", store_, "--key-file", open_key}), kExitOk) << console_.errors;
  EXPECT_THAT(console_.errors, HasSubstr("warning"));
}

TEST_F(PailTest, InitAsksForAPassphraseTwice) {
  EXPECT_EQ(pail({"init", store_}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("terminal"));
  console_.has_terminal = true;
  console_.typed = {"correct horse", "correct house"};
  EXPECT_EQ(pail({"init", store_}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("differ"));
  console_.typed = {"correct horse", "correct horse"};
  EXPECT_EQ(pail({"init", store_}), kExitOk) << console_.errors;
  console_.typed = {"correct horse"};
  EXPECT_EQ(pail({"bucket", "list", "--store", store_}), kExitOk) << console_.errors;
  console_.typed = {"wrong"};
  EXPECT_EQ(pail({"bucket", "list", "--store", store_}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("does not open"));
}

TEST_F(PailTest, InitPrintsARecoveryKeyThatOpensTheStore) {
  ASSERT_EQ(pail({"init", store_, "--key-file", key_, "--recovery-key", "--json"}), kExitOk) << console_.errors;
  const Json made = Json::parse(console_.output);
  const std::string recovery = made["recovery_key"];
  EXPECT_EQ(recovery.size(), 39u);
  EXPECT_EQ(made["slot"], "key-file");
  const std::string path = file("recovery", recovery + "\n");
  EXPECT_EQ(pail({"bucket", "list", "--store", store_, "--recovery-key-file", path}), kExitOk) << console_.errors;
}

TEST_F(PailTest, ASecretIsNeededWhereNoDaemonServes) {
  init();
  EXPECT_EQ(pail({"bucket", "list", "--store", store_}), kExitFailure);
  EXPECT_THAT(console_.errors, AllOf(HasSubstr("no daemon"), HasSubstr("--key-file")));
}

TEST_F(PailTest, AWrongKeyIsSaidToBeOne) {
  init();
  const std::string wrong = file("wrong", std::string(32, 'w'));
  EXPECT_EQ(pail({"bucket", "list", "--store", store_, "--key-file", wrong}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("does not open the store"));
}

TEST_F(PailTest, WithoutAStoreItSaysSo) {
  EXPECT_EQ(pail({"bucket", "list", "--store", store_}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("pail init"));
  EXPECT_EQ(pail({"bucket", "list"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("--store"));
}

TEST_F(PailTest, AStoreInUseNamesTheProcess) {
  init();
  auto secret = read_key_file(posix_env(), key_);
  auto held = Store::open(posix_env(), store_, *secret);
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_EQ(pail_on_store({"bucket", "list"}), kExitFailure);
  EXPECT_THAT(console_.errors, AllOf(HasSubstr("in use"), HasSubstr(std::to_string(::getpid()))));
}

TEST_F(PailTest, StatusTellsOfALockedStoreOnlyWhatItIs) {
  init();
  ASSERT_EQ(pail({"status", store_, "--json"}), kExitOk) << console_.errors;
  const Json status = Json::parse(console_.output);
  EXPECT_EQ(status["directory"], store_);
  EXPECT_EQ(status["store"]["format"], 1);
  EXPECT_TRUE(status["daemon"].is_null());
  EXPECT_EQ(pail({"status", store_}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("no daemon serves it"));
}

TEST_F(PailTest, StatusOfAnUnlockedStoreSaysHowItDoes) {
  init();
  const Json status = pail_json({"status"});
  EXPECT_EQ(status["store"]["read_only"], false);
  EXPECT_TRUE(status["store"].contains("log_bytes"));
  ASSERT_EQ(pail_on_store({"status"}), kExitOk);
  EXPECT_THAT(console_.output, AllOf(HasSubstr("log "), HasSubstr("room "), Not(HasSubstr("read-only"))));
}

TEST_F(PailTest, BucketsAreMadeShownAndDeleted) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos", "--versioning", "off"}), kExitOk) << console_.errors;
  const Json list = pail_json({"bucket", "list"});
  ASSERT_EQ(list["buckets"].size(), 1u);
  EXPECT_EQ(list["buckets"][0]["name"], "photos");
  EXPECT_EQ(list["buckets"][0]["versioning"], "off");
  EXPECT_EQ(pail_on_store({"bucket", "show", "photos"}), kExitOk) << console_.errors;
  EXPECT_THAT(console_.output, HasSubstr("versioning  off"));
  EXPECT_EQ(pail_on_store({"bucket", "delete", "photos"}), kExitOk) << console_.errors;
  EXPECT_TRUE(pail_json({"bucket", "list"})["buckets"].empty());
}

TEST_F(PailTest, AFailureIsJsonToo) {
  init();
  const Json error = pail_json({"bucket", "show", "absent"}, kExitFailure);
  EXPECT_EQ(error["error"]["code"], "not found");
  EXPECT_THAT(console_.errors, HasSubstr("pail: "));
}

TEST_F(PailTest, AWordThatIsNoBucketIsSaidToBeTakenForOne) {
  init();
  const std::vector<std::vector<std::string>> commands = {{"rewind", "notes", "--to", "0s"},
                                                          {"versions", "diff", "notes", "--from", "0s"},
                                                          {"versions", "prune", "notes", "--keep", "1"},
                                                          {"lock", "status", "notes"},
                                                          {"acl", "get", "notes"}};
  for (const auto& command : commands) {
    EXPECT_EQ(pail_on_store(command), kExitFailure) << command[0];
    EXPECT_THAT(console_.errors, AllOf(HasSubstr("NoSuchBucket: there is no bucket 'notes'"),
                                       HasSubstr("a word without a slash is a bucket"), HasSubstr("BUCKET/KEY")));
  }
  const Json error = pail_json({"acl", "get", "notes"}, kExitFailure);
  EXPECT_THAT(error["error"]["message"].get<std::string>(), HasSubstr("BUCKET/KEY"));
  // Where only a bucket can be meant there is nothing to tell apart.
  EXPECT_EQ(pail_on_store({"bucket", "show", "notes"}), kExitFailure);
  EXPECT_EQ(console_.errors, "pail: NoSuchBucket: there is no bucket 'notes'\n");
}

TEST_F(PailTest, WhatCannotBeParsedIsJsonToo) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"bucket", "create", "--json"}, "BUCKET is required"},
      {{"nonsense", "--json"}, "there is no command 'nonsense' ('pail --help' lists them)"},
      {{"bucket", "list", "--json", "--bogus"}, "The following argument was not expected: --bogus"},
      {{"key", "remove", "--json", "x"}, "Could not convert: ID = x"}};
  for (const auto& [arguments, message] : cases) {
    EXPECT_EQ(pail(arguments), kExitUsage) << message;
    const Json document = Json::parse(console_.output, nullptr, false);
    EXPECT_EQ(document, (Json{{"error", {{"code", "invalid"}, {"message", message}}}})) << console_.output;
    EXPECT_THAT(console_.errors, HasSubstr(message));
  }
  EXPECT_EQ(pail({"assume", "keeper", "--bogus", "--", "program", "--json"}), kExitUsage);
  EXPECT_EQ(console_.output, "");
  EXPECT_EQ(pail({"bucket", "create", "--json", "--help"}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("Usage"));
}

TEST_F(PailTest, APurgeAsksForTheNameOrNeedsYes) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos"}), kExitOk) << console_.errors;
  write_object("photos", "a.jpg", "pixels");
  EXPECT_EQ(pail_on_store({"bucket", "delete", "photos"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("--purge"));
  EXPECT_EQ(pail_on_store({"bucket", "delete", "photos", "--purge"}), kExitUsage);
  EXPECT_THAT(console_.errors, AllOf(HasSubstr("1 older version"), HasSubstr("6 B"), HasSubstr("--yes")));
  console_.has_terminal = true;
  console_.typed = {"yes"};
  EXPECT_EQ(pail_on_store({"bucket", "delete", "photos", "--purge"}), kExitUsage);
  console_.typed = {"photos"};
  EXPECT_EQ(pail_on_store({"bucket", "delete", "photos", "--purge"}), kExitOk) << console_.errors;
  EXPECT_TRUE(pail_json({"bucket", "list"})["buckets"].empty());
}

TEST_F(PailTest, VersionsOfADeletedFileAreListedAndPruned) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos"}), kExitOk) << console_.errors;
  write_object("photos", "a.jpg", "pixels");
  const Json list = pail_json({"versions", "list", "photos/a.jpg"});
  ASSERT_EQ(list["versions"].size(), 2u) << list;
  EXPECT_EQ(list["versions"][0]["marker"], true);
  EXPECT_EQ(list["versions"][1]["size"], 6);
  EXPECT_EQ(pail_json({"versions", "prune", "photos", "--older-than", "1d"})["versions"], 0);
  EXPECT_EQ(pail_json({"versions", "prune", "--dry-run"})["versions"], 1);
  EXPECT_EQ(pail_on_store({"versions", "prune", "photos"}), kExitUsage);
  EXPECT_THAT(console_.errors, HasSubstr("--yes"));
  EXPECT_EQ(pail_json({"versions", "prune", "photos", "--yes"})["versions"], 1);
  EXPECT_EQ(pail_on_store({"versions", "prune", "--older-than", "soon"}), kExitUsage);
  EXPECT_EQ(pail_on_store({"versions", "prune", "--older-than", "2200-01-01", "--yes"}), kExitUsage);
  EXPECT_THAT(console_.errors, HasSubstr("lies in the future"));
  EXPECT_EQ(pail_on_store({"versions", "prune", "photos", "--keep", "0"}), kExitUsage);
  EXPECT_EQ(pail_on_store({"versions", "prune", "photos", "--older-than", "0s"}), kExitUsage);
  EXPECT_EQ(pail_on_store({"versions", "restore", "photos/a", "--version", "null", "--dry-run"}), kExitUsage);
}

TEST_F(PailTest, APurgeOfOneVersionLooksForItBeforeItAsks) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos"}), kExitOk) << console_.errors;
  write_object("photos", "a.jpg", "pixels");
  console_.has_terminal = true;
  EXPECT_EQ(pail_on_store({"versions", "purge", "photos/a.jpg", "--version", "none"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("a.jpg has no version none"));
  EXPECT_EQ(pail_on_store({"versions", "purge", "photos/b.jpg", "--version", "none"}), kExitFailure);
  EXPECT_EQ(console_.prompts, "");
  const Json listed = pail_json({"versions", "list", "photos/a.jpg"})["versions"];
  const std::string id = listed[1]["id"], name = listed[1]["name"];
  console_.typed = {"no"};
  EXPECT_EQ(pail_on_store({"versions", "purge", "photos/a.jpg", "--version", id}), kExitUsage);
  EXPECT_THAT(console_.errors, HasSubstr("Version " + name + " of photos/a.jpg goes, for good: 6 B.\n"));
  EXPECT_EQ(pail_json({"versions", "list", "photos/a.jpg"})["versions"].size(), 2u);
  console_.typed = {"yes"};
  EXPECT_EQ(pail_on_store({"versions", "purge", "photos/a.jpg", "--version", id}), kExitOk) << console_.errors;
  EXPECT_EQ(pail_json({"versions", "list", "photos/a.jpg"})["versions"].size(), 1u);
}

TEST_F(PailTest, VersioningIsChanged) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos"}), kExitOk) << console_.errors;
  EXPECT_EQ(pail_on_store({"versioning", "suspend", "photos"}), kExitOk) << console_.errors;
  EXPECT_EQ(pail_json({"versioning", "status", "photos"})["versioning"], "suspended");
  EXPECT_EQ(pail_on_store({"versioning", "enable", "photos"}), kExitOk) << console_.errors;
  EXPECT_EQ(pail_json({"versioning", "status", "photos"})["versioning"], "enabled");
}

TEST_F(PailTest, SlotsAreAddedAndRemovedButNotTheLast) {
  init();
  const std::string passphrase = file("passphrase", "correct horse\n");
  const Json added = pail_json({"key", "add", "--new-passphrase-file", passphrase, "--label", "mine"});
  EXPECT_EQ(added["id"], 2);
  const Json list = pail_json({"key", "list"});
  ASSERT_EQ(list["slots"].size(), 2u);
  EXPECT_EQ(list["slots"][0]["label"], "key");
  EXPECT_EQ(list["slots"][1]["label"], "mine");
  EXPECT_EQ(pail_on_store({"key", "remove", "2"}), kExitUsage);
  EXPECT_THAT(console_.errors, AllOf(HasSubstr("Slot 2 (passphrase mine, made "), HasSubstr("--yes")));
  console_.has_terminal = true;
  console_.typed = {"no"};
  EXPECT_EQ(pail_on_store({"key", "remove", "2"}), kExitUsage);
  EXPECT_EQ(pail_json({"key", "list"})["slots"].size(), 2u);
  EXPECT_EQ(pail_on_store({"key", "remove", "7"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("there is no unlock slot 7"));
  EXPECT_EQ(pail_on_store({"key", "remove", "2", "--yes"}), kExitOk) << console_.errors;
  console_.has_terminal = false;
  EXPECT_EQ(pail({"key", "list", "--store", store_, "--passphrase-file", passphrase}), kExitFailure);
  EXPECT_EQ(pail_on_store({"key", "remove", "1"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("last"));
}

TEST_F(PailTest, ANewKeyFileIsMadeForANewSlot) {
  init();
  const std::string second = directory_ / "second";
  ASSERT_EQ(pail_on_store({"key", "add", "--new-key-file", second}), kExitOk) << console_.errors;
  EXPECT_TRUE(std::filesystem::exists(second));
  EXPECT_EQ(pail({"bucket", "list", "--store", store_, "--key-file", second}), kExitOk) << console_.errors;
}

TEST_F(PailTest, APassphraseIsChangedWithoutTouchingData) {
  const std::string old_one = file("old", "correct horse");
  const std::string new_one = file("new", "battery staple");
  ASSERT_EQ(pail({"init", store_, "--passphrase-file", old_one}), kExitOk) << console_.errors;
  ASSERT_EQ(pail({"key", "change", "--store", store_, "--passphrase-file", old_one, "--new-passphrase-file", new_one}),
            kExitOk)
      << console_.errors;
  EXPECT_EQ(pail({"key", "list", "--store", store_, "--passphrase-file", old_one}), kExitFailure);
  EXPECT_EQ(pail({"key", "list", "--store", store_, "--passphrase-file", new_one}), kExitOk) << console_.errors;
}

TEST_F(PailTest, AChangedSlotIsCalledAsItsNewSecretIs) {
  init();
  const auto labels = [&] {
    std::string out;
    const Json listed = pail_json({"key", "list"});
    for (const Json& slot : listed["slots"]) out += slot["label"].get<std::string>() + ";";
    return out;
  };
  const std::string old_one = file("old", "correct horse"), new_one = file("new", "battery staple");
  ASSERT_EQ(pail_on_store({"key", "add", "--new-passphrase-file", old_one, "--label", "mine"}), kExitOk);
  ASSERT_EQ(pail_on_store({"key", "change", "--new-passphrase-file", new_one}), kExitOk) << console_.errors;
  EXPECT_EQ(labels(), "key;mine;");
  ASSERT_EQ(pail_on_store({"key", "change", "3", "--recovery"}), kExitOk) << console_.errors;
  EXPECT_EQ(labels(), "key;recovery;");
  ASSERT_EQ(pail_on_store({"key", "change", "4", "--new-passphrase-file", new_one}), kExitOk) << console_.errors;
  EXPECT_EQ(labels(), "key;;");
  ASSERT_EQ(pail_on_store({"key", "change", "5", "--new-key-file", directory_ / "second"}), kExitOk);
  EXPECT_EQ(labels(), "key;second;");
  ASSERT_EQ(pail_on_store({"key", "change", "6", "--new-key-file", directory_ / "third", "--label", "safe"}), kExitOk);
  EXPECT_EQ(labels(), "key;safe;");
  EXPECT_EQ(pail_on_store({"key", "change", "7", "--new-key-file", key_}), kExitFailure);
  EXPECT_EQ(console_.errors, "pail: slot 1 (key) opens with this key file already: nothing was changed\n");
}

TEST_F(PailTest, ARecoveryKeyIsAddedAndPrinted) {
  init();
  const Json added = pail_json({"key", "add", "--recovery"});
  EXPECT_EQ(added["kind"], "recovery");
  EXPECT_EQ(added["recovery_key"].get<std::string>().size(), 39u);
}

TEST_F(PailTest, ARecoveryKeyThatCouldNotBePrintedIsToldOf) {
  console_.output_is_full = true;
  EXPECT_EQ(pail({"init", store_, "--key-file", key_, "--recovery-key"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("pail key remove --store " + store_ + " 2"));
  EXPECT_EQ(pail_on_store({"key", "add", "--recovery", "--json"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("pail key remove --store " + store_ + " 3"));
  EXPECT_EQ(pail_on_store({"key", "list"}), kExitOk) << "nothing that is shown once";
}

TEST_F(PailTest, ASoundStoreChecksWithoutProblems) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos"}), kExitOk) << console_.errors;
  write_object("photos", "a.jpg", "pixels");
  for (const char* const deep : {"", "--deep"}) {
    std::vector<std::string> arguments{"check"};
    if (*deep != '\0') arguments.emplace_back(deep);
    const Json result = pail_json(arguments);
    EXPECT_EQ(result["problem_count"], 0) << dump(result, 2);
  }
  EXPECT_EQ(pail_on_store({"check", "--deep"}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("No damage found"));
}

TEST_F(PailTest, AScrubIsTheDaemonsAndWithoutOneItSaysWhatWasFound) {
  init();
  EXPECT_EQ(pail_on_store({"scrub"}), kExitOk) << console_.errors;
  EXPECT_THAT(console_.output, HasSubstr("there was no complete pass yet"));
  EXPECT_EQ(pail_json({"scrub"})["lost_count"], 0);
  EXPECT_EQ(pail_on_store({"scrub", "--now"}), kExitFailure);
  EXPECT_THAT(console_.errors, HasSubstr("pail check --deep"));
  EXPECT_EQ(pail_on_store({"status"}), kExitOk);
  EXPECT_THAT(console_.output, HasSubstr("scrub      "));
}

TEST_F(PailTest, AFlippedByteOfContentIsFoundByADeepCheck) {
  init();
  ASSERT_EQ(pail_on_store({"bucket", "create", "photos"}), kExitOk) << console_.errors;
  write_object("photos", "a.jpg", std::string(20'000, 'p'));
  // A byte within the first large record that holds no zeros: content, whatever segment it is in.
  bool flipped = false;
  for (const auto& entry : std::filesystem::directory_iterator(store_ + "/log")) {
    std::fstream segment(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(segment)), {});
    const size_t record = bytes.find(std::string("D\x01\0\0", 4), 4096);
    if (record == std::string::npos) continue;
    segment.clear();
    segment.seekp(static_cast<std::streamoff>(record + 32 + 1000));
    segment.put(static_cast<char>(bytes[record + 32 + 1000] ^ 1));
    flipped = true;
  }
  ASSERT_TRUE(flipped);
  EXPECT_EQ(pail_on_store({"check", "--deep"}), kExitProblems) << console_.errors;
  EXPECT_THAT(console_.output, HasSubstr("found."));
}

TEST(HumanSizeTest, IsInIecUnits) {
  EXPECT_EQ(cli::human_size(0), "0 B");
  EXPECT_EQ(cli::human_size(1023), "1023 B");
  EXPECT_EQ(cli::human_size(1536), "1.5 KiB");
  EXPECT_EQ(cli::human_size((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(cli::human_size(UINT64_MAX), "16.0 EiB");
}

TEST(CountTest, TakesThePlural) {
  EXPECT_EQ(cli::count_of(1, "directory"), "1 directory");
  EXPECT_EQ(cli::count_of(2, "directory"), "2 directories");
  EXPECT_EQ(cli::count_of(0, "older version"), "0 older versions");
}

TEST(ProgressLineTest, ShowsTheShareOrTheCount) {
  EXPECT_THAT(progress_line(1, 2), HasSubstr(" 50 %"));
  EXPECT_THAT(progress_line(9, 2), HasSubstr("100 %"));
  EXPECT_EQ(progress_line(7, 0), "7 …");
}

}  // namespace
}  // namespace pailfs
