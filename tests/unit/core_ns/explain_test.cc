#include "core/explain.h"

#include <fmt/format.h>

#include "core/denials.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

class Explain : public testing::Test, public CoreOnMemory {
 protected:
  Explanation ask(uint32_t uid, const std::string& operation, const std::string& path,
                  std::optional<std::string> to = std::nullopt) {
    const auto told = explain(*core, root, {.uid = uid, .gid = uid, .operation = operation, .path = path, .to = to});
    EXPECT_OK(told);
    return told.value_or(Explanation{});
  }
  Ino make(std::string_view name, uint32_t mode, const User& owner) {
    Caller caller = owner;
    caller.umask = 0;
    const auto made = core->mknod(caller, bucket, name, S_IFREG | mode, 0);
    EXPECT_OK(made);
    return made ? made->ino : 0;
  }

  User alice_{1000}, bob_{1001};
};

TEST_F(Explain, EveryStepIsTold) {
  make("file", 0640, alice_);
  const Explanation told = ask(1001, "write", "bucket/file");
  EXPECT_TRUE(told.denied);
  ASSERT_EQ(told.steps.size(), 3u);
  EXPECT_EQ(told.steps[0].path, "bucket");
  EXPECT_EQ(told.steps[1].call, "lookup");
  EXPECT_FALSE(told.steps[1].refused);
  EXPECT_EQ(told.steps[2].call, "write");
  EXPECT_EQ(told.steps[2].refused->code, Code::kAccessDenied);
  EXPECT_NE(told.reason.find("mode 0640 of bucket/file"), std::string::npos) << told.reason;
  EXPECT_NE(told.reason.find("others have ---, w is missing"), std::string::npos) << told.reason;
  EXPECT_TRUE(ask(1000, "write", "bucket/file").allowed);
}

TEST_F(Explain, NothingIsDone) {
  make("file", 0666, alice_);
  EXPECT_OK(core->mkdir(alice_, bucket, "sub", 0777));
  const uint64_t before = store->status().sequence;
  const InUse used = core->in_use();
  for (const ExplainedOperation& one : explained_operations()) {
    for (const char* path : {"bucket/file", "bucket/sub", "bucket/new"}) {
      const auto to = one.takes_target ? std::optional<std::string>("bucket/sub/new") : std::nullopt;
      ask(0, std::string(one.name), path, to);
      EXPECT_EQ(store->status().sequence, before) << one.name << " of " << path;
    }
  }
  EXPECT_EQ(store->status().sequence, before);
  EXPECT_EQ(core->in_use().handles, used.handles);
  EXPECT_EQ(core->in_use().inodes, used.inodes);
}

TEST_F(Explain, WhatIsMissingIsNotDenied) {
  const Explanation told = ask(0, "read", "bucket/none");
  EXPECT_FALSE(told.allowed);
  EXPECT_FALSE(told.denied);
  EXPECT_EQ(told.refused->code, Code::kNotFound);
  EXPECT_TRUE(ask(0, "create", "bucket/none").allowed);
  EXPECT_EQ(ask(0, "create", "bucket/none/below").refused->code, Code::kNotFound);
}

TEST_F(Explain, LinksAreFollowedInsideTheStore) {
  make("file", 0600, alice_);
  EXPECT_OK(core->symlink(alice_, bucket, "link", "file"));
  EXPECT_OK(core->symlink(alice_, bucket, "round", "round"));
  EXPECT_OK(core->symlink(alice_, bucket, "away", "/etc/passwd"));
  EXPECT_EQ(ask(1001, "read", "bucket/link").steps.back().path, "bucket/file");
  EXPECT_EQ(ask(1001, "unlink", "bucket/link").steps.back().path, "bucket/link");
  EXPECT_EQ(ask(1001, "read", "bucket/round").refused->code, Code::kLoop);
  EXPECT_EQ(ask(1001, "read", "bucket/away").refused->code, Code::kNotSupported);
}

TEST_F(Explain, OthersAreForTheAccountToAskAbout) {
  const ExplainRequest request{.uid = 1000, .gid = 1000, .operation = "list", .path = "bucket"};
  EXPECT_CODE(explain(*core, bob_, request), Code::kAccessDenied);
  const auto own = explain(*core, alice_, request);
  ASSERT_TRUE(own);
  EXPECT_TRUE(own->steps.back().checks.empty());
  EXPECT_FALSE(ask(1000, "list", "bucket").steps.back().checks.empty());
}

class LastDenial : public Explain {
 protected:
  void deny(uint32_t uid, uint32_t pid, Ino ino) {
    const Caller caller{.uid = uid, .gid = uid, .pid = pid};
    Denials::begin_request();
    const auto opened = core->open(caller, ino, {.read = true});
    ASSERT_FALSE(opened);
    core->denials().note(caller, "open", ino, opened.error());
  }
  std::string last(uint32_t uid, uint32_t pid) {
    const auto told = core->denials().last({.uid = uid, .gid = uid, .pid = pid});
    return told ? *told : outcome(told);
  }
  // Beyond what the system gives to processes.
  static constexpr uint32_t kNoProcess = 100'000'000;
};

TEST_F(LastDenial, IsForgottenOfOtherProcessesAfterTenMinutes) {
  const Ino file = make("file", 0600, alice_);
  deny(1001, kNoProcess, file);
  EXPECT_NE(last(1001, kNoProcess + 1).find("open of bucket/file (s3:GetObject): EACCES"), std::string::npos);
  EXPECT_EQ(last(1002, kNoProcess), code(Code::kNoData));
  env.advance(601 * kSecond);
  EXPECT_EQ(last(1001, kNoProcess + 1), code(Code::kNoData));
  EXPECT_NE(last(1001, kNoProcess).find("bucket/file"), std::string::npos) << "of the process itself it is kept";
}

TEST_F(LastDenial, TheOldestProcessGoes) {
  const Ino file = make("file", 0600, alice_);
  deny(1001, kNoProcess, file);
  for (uint32_t i = 1; i < 4096; ++i) deny(1002, kNoProcess + i, file);
  EXPECT_NE(last(1001, kNoProcess), code(Code::kNoData));
  deny(1002, kNoProcess + 4096, file);
  EXPECT_EQ(last(1001, kNoProcess), code(Code::kNoData));
}

TEST_F(LastDenial, AnotherReasonThanTheGatesIsTold) {
  Denials::begin_request();
  const Caller caller{.uid = 1001, .gid = 1001, .pid = kNoProcess};
  core->denials().note(caller, "rename", bucket, {Code::kNotPermitted, "a bucket keeps its name"});
  EXPECT_NE(last(1001, kNoProcess).find("rename of bucket: EPERM\na bucket keeps its name\n"), std::string::npos);
}

}  // namespace
}  // namespace pailfs::test
