#include "core/identity.h"

#include <gtest/gtest.h>

#include "unit/core_policy/identity_fixture.h"

namespace pailfs::test {
namespace {

Identity full_user() {
  Identity user = identity_of(IdentityKind::kUser, "alice");
  user.numbers = {1000, ~0u - 1};
  user.groups = {"dev", "ops"};
  user.inlined = {{"one", allows("one")}, {"two", allows("two")}};
  user.attached = {"Managed", "Other"};
  user.boundary = "Bound";
  user.tags = {{"team", "red"}, {"empty", ""}, {"Straße", "ü"}};
  return user;
}

Identity full_policy() {
  Identity policy = identity_of(IdentityKind::kManagedPolicy, "Managed");
  policy.versions[3] = {-5, allows("three")};
  policy.versions[4'000'000'000] = {std::numeric_limits<Time>::max(), allows("last")};
  policy.default_version = 3;
  return policy;
}

Identity shrunk_policy() {
  Identity policy = full_policy();
  policy.name = "Shrunk";
  policy.last_version = 4'000'000'002;
  return policy;
}

std::vector<Identity> one_of_each() {
  Identity service = identity_of(IdentityKind::kService, "backup.example");
  service.cgroups = {"system.slice/restic.service", "restic.service"};
  return {full_user(),
          identity_of(IdentityKind::kGroup, "dev"),
          identity_of(IdentityKind::kRole, "keeper"),
          service,
          full_policy(),
          shrunk_policy()};
}

TEST(IdentityRecord, ComesBackAsItWas) {
  for (const Identity& identity : one_of_each()) {
    const std::string value = encode_identity(identity);
    const auto decoded = decode_identity(value);
    ASSERT_TRUE(decoded) << identity.name << ": " << decoded.error().message;
    EXPECT_EQ(encode_identity(*decoded), value);
    EXPECT_EQ(decoded->kind, identity.kind);
    EXPECT_EQ(decoded->name, identity.name);
    EXPECT_EQ(decoded->numbers, identity.numbers);
    EXPECT_EQ(decoded->groups, identity.groups);
    EXPECT_EQ(decoded->attached, identity.attached);
    EXPECT_EQ(decoded->boundary, identity.boundary);
    EXPECT_EQ(decoded->tags, identity.tags);
    EXPECT_EQ(decoded->max_session, identity.max_session);
    EXPECT_EQ(decoded->cgroups, identity.cgroups);
    EXPECT_EQ(decoded->default_version, identity.default_version);
    EXPECT_EQ(decoded->next_version(), identity.next_version());
    ASSERT_EQ(decoded->inlined.size(), identity.inlined.size());
    for (const auto& [name, policy] : identity.inlined) {
      EXPECT_EQ(decoded->inlined.at(name)->text, policy->text);
      EXPECT_NE(decoded->inlined.at(name)->document, nullptr);
    }
    ASSERT_EQ(decoded->versions.size(), identity.versions.size());
    for (const auto& [number, version] : identity.versions) {
      EXPECT_EQ(decoded->versions.at(number).created, version.created);
      EXPECT_EQ(decoded->versions.at(number).policy->text, version.policy->text);
    }
    EXPECT_EQ(decoded->trust == nullptr, identity.trust == nullptr);
  }
}

TEST(IdentityRecord, IsOnDiskAsTheFormatHasIt) {
  Identity user = identity_of(IdentityKind::kUser, "alice");
  user.numbers = {1000};
  user.groups = {"dev"};
  user.attached = {"Read"};
  user.tags = {{"team", "red"}};
  const std::string expected("\1\1\5alice\1\xe8\7\1\3dev\0\1\4Read\0\1\4team\3red\0\0\0\0\0", 39);
  EXPECT_EQ(encode_identity(user), expected);
}

TEST(IdentityRecord, WhatIsCutOrLongerIsCorrupt) {
  for (const Identity& identity : one_of_each()) {
    const std::string value = encode_identity(identity);
    for (size_t size = 0; size < value.size(); ++size) {
      const auto decoded = decode_identity(std::string_view(value).substr(0, size));
      ASSERT_FALSE(decoded) << identity.name << " at " << size;
      ASSERT_EQ(decoded.error().code, Code::kCorrupt);
    }
    EXPECT_FALSE(decode_identity(value + '\0'));
  }
  std::string value = encode_identity(full_user());
  for (const char kind : {'\0', '\6', '\xff'}) {
    value[1] = kind;
    EXPECT_FALSE(decode_identity(value));
  }
}

TEST(IdentityRecord, APolicyThatCannotBeReadClosesAndFailsNothing) {
  Identity user = full_user();
  user.inlined["one"] = no_policy();
  const auto decoded = decode_identity(encode_identity(user));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->inlined.at("one")->document, nullptr);
  EXPECT_EQ(decoded->inlined.at("one")->text, "{}");
  EXPECT_NE(decoded->inlined.at("two")->document, nullptr);
}

struct Refused {
  const char* because;
  IdentityKind kind;
  void (*spoil)(Identity&);
};

TEST(IdentityCheck, SaysWhatIsWrong) {
  constexpr IdentityKind kUser = IdentityKind::kUser, kGroup = IdentityKind::kGroup, kRole = IdentityKind::kRole,
                         kService = IdentityKind::kService, kManaged = IdentityKind::kManagedPolicy;
  const std::vector<Refused> cases{
      {"1 to 64", kUser, [](Identity& it) { it.name = ""; }},
      {"1 to 64", kUser, [](Identity& it) { it.name = "al ice"; }},
      {"1 to 64", kGroup, [](Identity& it) { it.name = std::string(65, 'a'); }},
      {"1 to 64", kRole, [](Identity& it) { it.name = "a/b"; }},
      {"is no tag", kUser, [](Identity& it) { it.tags["a!"] = "b"; }},
      {"is no tag", kUser, [](Identity& it) { it.tags[""] = "b"; }},
      {"is no tag", kRole, [](Identity& it) { it.tags["a"] = std::string(257, 'b'); }},
      {"at most 50", kUser,
       [](Identity& it) {
         for (int i = 0; i <= 50; ++i) it.tags[std::to_string(i)] = "";
       }},
      {"only users and roles have tags", kGroup, [](Identity& it) { it.tags["a"] = "b"; }},
      {"only users and roles have a boundary", kGroup, [](Identity& it) { it.boundary = "Bound"; }},
      {"no name of a policy", kUser, [](Identity& it) { it.inlined["a b"] = allows(); }},
      {"needs a trust policy", kRole, [](Identity& it) { it.trust = nullptr; }},
      {"15 minutes to 12 hours", kRole, [](Identity& it) { it.max_session = 899; }},
      {"15 minutes to 12 hours", kRole, [](Identity& it) { it.max_session = 43201; }},
      {"named like", kService, [](Identity& it) { it.name = "backup"; }},
      {"runs nowhere", kService, [](Identity& it) { it.cgroups.clear(); }},
      {"no unit and no control group", kService, [](Identity& it) { it.cgroups = {"/a"}; }},
      {"no unit and no control group", kService, [](Identity& it) { it.cgroups = {"a/../b"}; }},
      {"no such version", kManaged, [](Identity& it) { it.default_version = 2; }},
      {"5 versions already", kManaged,
       [](Identity& it) {
         for (uint32_t number = 2; number <= 6; ++number) it.versions[number] = {0, allows()};
       }},
  };
  for (const Refused& refused : cases) {
    Identity identity = identity_of(refused.kind, refused.kind == kService ? "backup.example" : "alice");
    EXPECT_OK(check_identity(identity));
    refused.spoil(identity);
    const Status checked = check_identity(identity);
    ASSERT_FALSE(checked) << refused.because;
    EXPECT_EQ(checked.error().code, Code::kInvalid);
    EXPECT_TRUE(checked.error().message.contains(refused.because)) << checked.error().message;
  }
}

TEST(Service, RunsInItsControlGroupsAndUnits) {
  const auto runs = [](const std::string& named, const std::string& path) {
    Identity service = identity_of(IdentityKind::kService, "backup.example");
    service.cgroups = {named};
    return runs_in(service, {"elsewhere", path});
  };
  EXPECT_TRUE(runs("a/b", "a/b"));
  EXPECT_TRUE(runs("a/b", "a/b/c"));
  EXPECT_FALSE(runs("a/b", "a/bc"));
  EXPECT_FALSE(runs("a/b", "x/a/b"));
  EXPECT_FALSE(runs("a/b", "a"));
  for (const char* path :
       {"restic.service", "system.slice/restic.service", "system.slice/x.slice/restic.service/inner"}) {
    EXPECT_TRUE(runs("restic.service", path)) << path;
  }
  EXPECT_TRUE(runs("x.slice", "system.slice/x.slice/a.service"));
  EXPECT_FALSE(runs("restic.service", "system.slice/other.service"));
  // Everybody's own manager has units of whatever name; so has who runs containers.
  for (const char* path : {"user.slice/user-1000.slice/user@1000.service/app.slice/restic.service",
                           "system.slice/docker-1.scope/restic.service", "../restic.service", "any/restic.service"}) {
    EXPECT_FALSE(runs("restic.service", path)) << path;
  }
}

}  // namespace
}  // namespace pailfs::test
