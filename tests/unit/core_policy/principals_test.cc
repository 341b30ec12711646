#include "core/principals.h"

#include <unistd.h>

#include "io/processes.h"
#include "unit/core_policy/identity_fixture.h"

namespace pailfs::test {
namespace {

using enum IdentityKind;

constexpr uint32_t kOwner = 900, kAlice = 1000, kBob = 1001, kNameless = 1002, kStrange = 1003;

class PrincipalsTest : public IdentitiesTest {
 protected:
  PrincipalsTest()
      : principals(kOwner, "111122223333", identities,
                   {[this](uint32_t uid) { return user_name(uid); },
                    [this](const std::string& group) { return group_id(group); }}) {}

  Result<std::optional<std::string>> user_name(uint32_t uid) {
    ++asked;
    if (failing) return fail(Code::kIo, "the name service does not answer");
    const auto found = names.find(uid);
    return found == names.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::optional<uint32_t>> group_id(const std::string& group) {
    if (failing) return fail(Code::kIo, "the name service does not answer");
    const auto found = gids.find(group);
    return found == gids.end() ? std::nullopt : std::optional(found->second);
  }

  PrincipalPtr of(uint32_t uid, std::vector<uint32_t> groups = {}) {
    User user(uid, std::move(groups));
    user.caller.pid = 0;
    return principals.of(user, now);
  }
  std::string who(uint32_t uid, std::vector<uint32_t> groups = {}) {
    const PrincipalPtr found = of(uid, std::move(groups));
    if (found == nullptr) return "unknown";
    return found->arn.empty() ? std::string(found->type) : found->arn.substr(found->arn.rfind(':') + 1);
  }
  std::vector<std::string> policies(uint32_t uid, std::vector<uint32_t> groups = {}) {
    std::vector<std::string> out;
    const PrincipalPtr found = of(uid, std::move(groups));
    if (found == nullptr) return {"unknown"};
    for (const AttachedPolicies::One& one : found->policies.identity) out.push_back(one.name);
    EXPECT_EQ(found->documents.size(), out.size());
    return out;
  }
  static std::function<void(Identity&)> with_policy(const std::string& name) {
    return [name](Identity& it) { it.inlined[name] = allows(); };
  }

  std::map<uint32_t, std::string> names{{kAlice, "alice"}, {kBob, "bob"}, {kStrange, "CORP\\user"}};
  std::map<std::string, uint32_t> gids{{"dev", 50}, {"ops", 51}};
  bool failing = false;
  int asked = 0;
  Time now = 1'000'000'000'000;
  Principals principals;
};

TEST_F(PrincipalsTest, WhoIsWho) {
  EXPECT_EQ(who(0), "root");
  EXPECT_EQ(who(kOwner), "root");
  EXPECT_EQ(of(0)->type, "Account");
  EXPECT_EQ(who(kAlice), "user/alice");
  EXPECT_EQ(of(kAlice)->userid, "1000");
  EXPECT_EQ(who(kNameless), "Anonymous");
  EXPECT_EQ(who(kStrange), "Anonymous");
}

TEST_F(PrincipalsTest, AUidThatWasGivenGoesBeforeItsLoginName) {
  EXPECT_OK(put(kUser, "ghost", [](Identity& it) {
    it.numbers = {kNameless, kBob};
    it.tags = {{"Team", "red"}};
  }));
  EXPECT_EQ(who(kNameless), "user/ghost");
  EXPECT_EQ(who(kBob), "user/ghost");
  const PrincipalPtr ghost = of(kBob);
  EXPECT_EQ(ghost->tags, (std::vector<std::pair<std::string, std::string>>{{"aws:principaltag/team", "red"}}));
  // A user with uids is nobody else, whatever his login name.
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.numbers = {4711}; }));
  EXPECT_EQ(who(kAlice), "Anonymous");
  EXPECT_EQ(who(4711), "user/alice");
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.numbers.clear(); }));
  EXPECT_EQ(who(kAlice), "user/alice");
}

TEST_F(PrincipalsTest, PoliciesOfUsersAndTheirGroups) {
  EXPECT_OK(put(kGroup, "dev", with_policy("d")));
  EXPECT_OK(put(kGroup, "mapped", [](Identity& it) {
    it.numbers = {77};
    it.inlined["m"] = allows();
  }));
  EXPECT_OK(put(kUser, "alice", with_policy("a")));
  const std::string own = "policy a of user alice", dev = "policy d of group dev", mapped = "policy m of group mapped";
  EXPECT_EQ(policies(kAlice), std::vector{own});
  EXPECT_EQ(policies(kAlice, {50}), (std::vector{own, dev}));
  EXPECT_EQ(policies(kAlice, {51, 77, 50}), (std::vector{own, dev, mapped}));
  EXPECT_EQ(policies(kBob, {50}), std::vector{dev});
  EXPECT_EQ(policies(kNameless, {50}), std::vector{dev});
  EXPECT_EQ(policies(0, {50}), std::vector<std::string>{});
  // Named in a group that he is in anyway: once.
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.groups = {"dev"}; }));
  EXPECT_EQ(policies(kAlice), (std::vector{own, dev}));
  EXPECT_EQ(policies(kAlice, {50}), (std::vector{own, dev}));
}

TEST_F(PrincipalsTest, ABoundaryIsHisOwn) {
  EXPECT_OK(put(kManagedPolicy, "Bound"));
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.boundary = "Bound"; }));
  ASSERT_NE(of(kAlice)->boundary(), nullptr);
  EXPECT_EQ(of(kAlice)->policies.boundary->name, "boundary Bound of user alice");
  EXPECT_EQ(of(kBob)->boundary(), nullptr);
}

TEST_F(PrincipalsTest, WhileTheNameServiceFailsWhoWasKnownStaysWhoHeWas) {
  EXPECT_OK(put(kGroup, "dev", with_policy("d")));
  EXPECT_EQ(who(kAlice, {50}), "user/alice");
  const uint64_t serial = of(kAlice, {50})->serial;
  failing = true;
  now += 11'000'000'000;
  EXPECT_EQ(who(kAlice, {50}), "user/alice");
  EXPECT_EQ(policies(kAlice, {50}), std::vector<std::string>{"policy d of group dev"});
  EXPECT_EQ(of(kAlice, {50})->serial, serial);
  EXPECT_EQ(who(kBob), "unknown");
  EXPECT_EQ(who(0), "root");
  // What was changed meanwhile must not be decided by what was known before.
  EXPECT_OK(put(kGroup, "dev", with_policy("e")));
  EXPECT_EQ(who(kAlice, {50}), "unknown");
  failing = false;
  now += 11'000'000'000;
  EXPECT_EQ(policies(kAlice, {50}).size(), 2u);
}

TEST_F(PrincipalsTest, NamesAreAskedForOnceInTenSeconds) {
  EXPECT_EQ(who(kAlice), "user/alice");
  const int before = asked;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(who(kAlice), "user/alice");
  EXPECT_EQ(asked, before);
  names[kAlice] = "alicia";
  now += 9'000'000'000;
  EXPECT_EQ(who(kAlice), "user/alice");
  const uint64_t serial = of(kAlice)->serial;
  now += 2'000'000'000;
  EXPECT_EQ(who(kAlice), "user/alicia");
  EXPECT_NE(of(kAlice)->serial, serial);
}

TEST_F(PrincipalsTest, AChangeIsInForceAtOnceAndHasAnotherSerial) {
  EXPECT_OK(put(kUser, "alice", with_policy("a")));
  uint64_t serial = of(kAlice)->serial;
  EXPECT_EQ(of(kAlice)->serial, serial);
  EXPECT_OK(put(kUser, "alice", with_policy("b")));
  EXPECT_EQ(policies(kAlice).size(), 2u);
  EXPECT_NE(of(kAlice)->serial, serial);
  serial = of(kAlice)->serial;
  EXPECT_OK(remove(kUser, "alice"));
  EXPECT_EQ(policies(kAlice).size(), 0u);
  EXPECT_NE(of(kAlice)->serial, serial);
}

TEST_F(PrincipalsTest, GroupsThatComeAndGoChangeNobodyElses) {
  EXPECT_OK(put(kGroup, "dev", with_policy("d")));
  EXPECT_OK(put(kGroup, "ops", with_policy("o")));
  EXPECT_EQ(policies(kBob, {51}), std::vector<std::string>{"policy o of group ops"});
  EXPECT_OK(remove(kGroup, "dev"));
  EXPECT_EQ(policies(kBob, {51}), std::vector<std::string>{"policy o of group ops"});
  EXPECT_EQ(policies(kBob, {50}), std::vector<std::string>{});
}

TEST_F(PrincipalsTest, WhatCannotBeReadDeniesAllButRoot) {
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.inlined["p"] = no_policy(); }));
  EXPECT_EQ(who(kAlice), "unknown");
  EXPECT_EQ(who(kBob), "user/bob");
  EXPECT_EQ(who(0), "root");
}

TEST_F(PrincipalsTest, ASessionIsOfItsUidUntilItsTimeHasRunOut) {
  EXPECT_OK(put(kRole, "keeper", with_policy("k")));
  const uint32_t pid = static_cast<uint32_t>(::getpid());
  const auto process = process_start(pid);
  ASSERT_TRUE(process);
  principals.sessions().add({.pid = pid,
                             .process_start = process->start,
                             .uid = kAlice,
                             .role = "keeper",
                             .name = "nightly",
                             .ends = now + 900'000'000'000},
                            now);
  User user(kAlice);
  user.caller.pid = pid;
  const auto type = [&] { return principals.of(user, now)->type; };
  EXPECT_EQ(type(), "AssumedRole");
  EXPECT_EQ(principals.of(user, now)->caller.arn(), "arn:aws:sts::111122223333:assumed-role/keeper/nightly");
  EXPECT_EQ(principals.of(user, now)->arn, "arn:aws:iam::111122223333:role/keeper");
  EXPECT_EQ(principals.of(user, now, true)->type, "User");
  user.caller.uid = kBob;
  EXPECT_EQ(type(), "User");
  user.caller.uid = kAlice;
  now += 900'000'000'000;
  EXPECT_EQ(type(), "User");
  EXPECT_FALSE(principals.sessions().any());
}

TEST_F(PrincipalsTest, AProcessOfAnotherStartIsNotInASession) {
  EXPECT_OK(put(kRole, "keeper"));
  const uint32_t pid = static_cast<uint32_t>(::getpid());
  const auto process = process_start(pid);
  ASSERT_TRUE(process);
  principals.sessions().add(
      {.pid = pid, .process_start = process->start + 1, .uid = kAlice, .role = "keeper", .name = "n", .ends = now * 2},
      now);
  User user(kAlice);
  user.caller.pid = pid;
  EXPECT_EQ(principals.of(user, now)->type, "User");
}

TEST_F(PrincipalsTest, SessionsOfARoleThatIsGoneMayDoNothing) {
  EXPECT_OK(put(kRole, "keeper"));
  const uint32_t pid = static_cast<uint32_t>(::getpid());
  const auto process = process_start(pid);
  ASSERT_TRUE(process);
  principals.sessions().add(
      {.pid = pid, .process_start = process->start, .uid = kAlice, .role = "keeper", .name = "n", .ends = now * 2},
      now);
  EXPECT_OK(remove(kRole, "keeper"));
  User user(kAlice);
  user.caller.pid = pid;
  EXPECT_EQ(principals.of(user, now), nullptr);
  principals.sessions().remove(pid, kAlice);
  EXPECT_EQ(principals.of(user, now)->type, "User");
}

}  // namespace
}  // namespace pailfs::test
