#include "core/records.h"
#include "unit/core_policy/identity_fixture.h"

namespace pailfs::test {
namespace {

using enum IdentityKind;

TEST_F(IdentitiesTest, WhatWasCommittedIsThereAgain) {
  EXPECT_OK(put(kManagedPolicy, "Read"));
  EXPECT_OK(put(kGroup, "dev", [](Identity& it) { it.attached = {"Read"}; }));
  EXPECT_OK(put(kUser, "alice", [](Identity& it) {
    it.numbers = {1000};
    it.groups = {"dev"};
  }));
  EXPECT_OK(put(kUser, "gone"));
  EXPECT_OK(remove(kUser, "gone"));
  Identities again(*store);
  EXPECT_OK(again.load());
  const DirectoryPtr directory = again.directory();
  EXPECT_EQ(directory->all.size(), 3u);
  EXPECT_TRUE(again.any());
  EXPECT_FALSE(directory->damaged);
  ASSERT_NE(directory->find(kUser, "alice"), nullptr);
  EXPECT_EQ(directory->users.at(1000)->name, "alice");
  const AttachedPolicies policies = directory->policies_of(*directory->find(kUser, "alice"));
  ASSERT_EQ(policies.identity.size(), 1u);
  EXPECT_EQ(policies.identity[0].name, "managed policy Read of group dev");
  EXPECT_FALSE(policies.unreadable);
}

TEST_F(IdentitiesTest, NamesAreOfTheirKindAlone) {
  EXPECT_OK(put(kUser, "same", [](Identity& it) { it.inlined["p"] = allows(); }));
  EXPECT_OK(put(kGroup, "same"));
  EXPECT_OK(remove(kGroup, "same"));
  Identities again(*store);
  EXPECT_OK(again.load());
  EXPECT_NE(again.directory()->find(kUser, "same"), nullptr);
  EXPECT_EQ(again.directory()->find(kGroup, "same"), nullptr);
}

TEST_F(IdentitiesTest, WhatIsNamedHasToBeThere) {
  EXPECT_CODE(put(kUser, "alice", [](Identity& it) { it.groups = {"dev"}; }), Code::kNotFound);
  EXPECT_CODE(put(kUser, "alice", [](Identity& it) { it.attached = {"Read"}; }), Code::kNotFound);
  EXPECT_CODE(put(kRole, "keeper", [](Identity& it) { it.boundary = "Read"; }), Code::kNotFound);
  EXPECT_CODE(put(kUser, "al ice"), Code::kInvalid);
  EXPECT_TRUE(identities.directory()->all.empty());
}

TEST_F(IdentitiesTest, ANumberIsOneIdentitysAlone) {
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.numbers = {1000}; }));
  EXPECT_CODE(put(kUser, "bob", [](Identity& it) { it.numbers = {999, 1000}; }), Code::kExists);
  EXPECT_OK(put(kGroup, "dev", [](Identity& it) { it.numbers = {1000}; }));
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.tags["a"] = "b"; }));
}

TEST_F(IdentitiesTest, WhatIsInUseStays) {
  EXPECT_OK(put(kManagedPolicy, "Read"));
  EXPECT_OK(put(kManagedPolicy, "Bound"));
  EXPECT_OK(put(kGroup, "dev"));
  EXPECT_OK(put(kUser, "alice", [](Identity& it) {
    it.groups = {"dev"};
    it.attached = {"Read"};
    it.boundary = "Bound";
  }));
  for (const auto& [kind, name] :
       {std::pair(kManagedPolicy, "Read"), std::pair(kManagedPolicy, "Bound"), std::pair(kGroup, "dev")}) {
    EXPECT_CODE(remove(kind, name), Code::kBusy);
  }
  EXPECT_OK(remove(kUser, "alice"));
  for (const auto& [kind, name] :
       {std::pair(kManagedPolicy, "Read"), std::pair(kManagedPolicy, "Bound"), std::pair(kGroup, "dev")}) {
    EXPECT_OK(remove(kind, name));
  }
  EXPECT_FALSE(identities.any());
}

TEST_F(IdentitiesTest, EachChangeHasAGenerationWhichItsDirectoryKnows) {
  uint64_t before = identities.generation();
  for (const auto& step : std::vector<std::function<Status()>>{
           [&] { return put(kUser, "alice"); },
           [&] { return put(kUser, "alice", [](Identity& it) { it.inlined["p"] = allows(); }); },
           [&] { return remove(kUser, "alice"); }}) {
    EXPECT_OK(step());
    EXPECT_GT(identities.generation(), before);
    before = identities.generation();
    EXPECT_EQ(identities.directory()->generation, before);
  }
}

TEST_F(IdentitiesTest, ARecordThatCannotBeReadClosesTheStore) {
  EXPECT_OK(put(kUser, "alice"));
  const std::array<char, 16> token = store->token(kStoreScope, "bob");
  Transaction tx;
  tx.put(kStoreScope, keys::identity(1, std::string_view(token.data(), token.size())), "no record");
  EXPECT_OK(store->commit(std::move(tx)));
  Identities again(*store);
  EXPECT_OK(again.load());
  EXPECT_TRUE(again.directory()->damaged);
  EXPECT_TRUE(again.any());
  EXPECT_NE(again.directory()->find(kUser, "alice"), nullptr);
}

TEST_F(IdentitiesTest, WhatWasLostByDamageKeepsNoChangeFromBeingMade) {
  EXPECT_OK(put(kManagedPolicy, "Lost"));
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.attached = {"Lost"}; }));
  identities.set({{{kManagedPolicy, "Lost"}, std::nullopt}});
  const DirectoryPtr directory = identities.directory();
  EXPECT_TRUE(directory->policies_of(*directory->find(kUser, "alice")).unreadable);
  EXPECT_TRUE(identities.any());
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.tags["a"] = "b"; }));
  EXPECT_CODE(put(kUser, "bob", [](Identity& it) { it.attached = {"Lost"}; }), Code::kNotFound);
  EXPECT_OK(put(kUser, "alice", [](Identity& it) { it.attached.clear(); }));
  EXPECT_FALSE(identities.any());
}

}  // namespace
}  // namespace pailfs::test
