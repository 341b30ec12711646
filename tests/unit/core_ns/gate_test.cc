#include "core/gate.h"

#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

constexpr uint32_t kNobody = ~0u;

class GateTest : public testing::Test {
 protected:
  std::string ask(const Caller& caller, Need need, uint32_t mode, uint32_t uid = 1000, uint32_t gid = 1000) {
    Attributes object;
    object.mode = mode;
    object.uid = uid;
    object.gid = gid;
    return outcome(gate_.check({caller, Action::kGetObject, need, object}));
  }
  std::string chown(const Caller& caller, uint32_t owner, uint32_t group, uint32_t new_uid, uint32_t new_gid) {
    Attributes object;
    object.mode = S_IFREG | 0777;
    object.uid = owner;
    object.gid = group;
    return outcome(gate_.check({caller, Action::kPutObjectAcl, Need::kChown, object, nullptr, new_uid, new_gid}));
  }
  std::string remove(const Caller& caller, uint32_t mode, uint32_t directory_owner, uint32_t victim_owner) {
    Attributes directory, victim;
    directory.mode = S_IFDIR | mode;
    directory.uid = directory_owner;
    victim.uid = victim_owner;
    return outcome(gate_.check({caller, Action::kDeleteObject, Need::kRemove, directory, &victim}));
  }

  Gate gate_{500};
  User root_{0}, alice_{1000, {100}}, bob_{1001, {100}};
  const std::string denied_ = code(Code::kAccessDenied), not_permitted_ = code(Code::kNotPermitted);
};

TEST_F(GateTest, TheFirstClassThatMatchesDecidesAlone) {
  EXPECT_EQ(ask(alice_, Need::kRead, S_IFREG | 0400), "ok");
  EXPECT_EQ(ask(alice_, Need::kRead, S_IFREG | 0077), denied_);  // the owner, though the group may
  EXPECT_EQ(ask(bob_, Need::kRead, S_IFREG | 0040, 1000, 100), "ok");
  EXPECT_EQ(ask(bob_, Need::kRead, S_IFREG | 0704, 1000, 100), denied_);  // in the group, though others may
  EXPECT_EQ(ask(bob_, Need::kRead, S_IFREG | 0004), "ok");
  EXPECT_EQ(ask(bob_, Need::kRead, S_IFREG | 0770), denied_);
  EXPECT_EQ(ask(bob_, Need::kReadWrite, S_IFREG | 0004), denied_);
  EXPECT_EQ(ask(bob_, Need::kReadWrite, S_IFREG | 0006), "ok");
}

TEST_F(GateTest, GroupsAreAskedForOnlyWhereTheyDecide) {
  bob_.caller.door = Door::kControl;  // a denial on a mount is decided once more, to be told
  ask(bob_, Need::kRead, S_IFREG | 0044);
  ask(bob_, Need::kRead, S_IFREG | 0700);
  ask(alice_, Need::kRead, S_IFREG | 0040);            // the owner
  ask(bob_, Need::kRead, S_IFREG | 0040, 1000, 1001);  // the primary group
  ask(root_, Need::kRead, S_IFREG | 0000);
  EXPECT_EQ(alice_.asked + bob_.asked + root_.asked, 0);
  ask(bob_, Need::kRead, S_IFREG | 0040);
  EXPECT_EQ(bob_.asked, 1);
}

TEST_F(GateTest, TheSuperuserNeedsSomeExecuteBitForFilesAndNothingElse) {
  EXPECT_EQ(ask(root_, Need::kReadWrite, S_IFREG), "ok");
  EXPECT_EQ(ask(root_, Need::kExecute, S_IFREG | 0666), denied_);
  EXPECT_EQ(ask(root_, Need::kExecute, S_IFREG | 0667), "ok");
  EXPECT_EQ(ask(root_, Need::kSearch, S_IFDIR), "ok");
  EXPECT_EQ(ask(root_, Need::kChangeDirectory, S_IFDIR), "ok");
}

TEST_F(GateTest, ChangingADirectoryTakesWriteAndSearch) {
  EXPECT_EQ(ask(bob_, Need::kChangeDirectory, S_IFDIR | 0003), "ok");
  EXPECT_EQ(ask(bob_, Need::kChangeDirectory, S_IFDIR | 0002), denied_);
  EXPECT_EQ(ask(bob_, Need::kChangeDirectory, S_IFDIR | 0005), denied_);
}

TEST_F(GateTest, InAStickyDirectoryOnlyOwnersRemove) {
  EXPECT_EQ(remove(bob_, 01777, 1000, 1000), not_permitted_);
  EXPECT_EQ(remove(bob_, 01777, 1000, 1001), "ok");
  EXPECT_EQ(remove(bob_, 01777, 1001, 1000), "ok");
  EXPECT_EQ(remove(root_, 01777, 1000, 1000), "ok");
  EXPECT_EQ(remove(bob_, 0777, 1000, 1000), "ok");
  EXPECT_EQ(remove(bob_, 01775, 1000, 1001), denied_);
}

TEST_F(GateTest, OwnersChooseAmongTheirGroupsAndOnlyTheSuperuserGivesAway) {
  EXPECT_EQ(chown(root_, 1000, 1000, 7, 8), "ok");
  EXPECT_EQ(chown(alice_, 1000, 1000, kNobody, 100), "ok");
  EXPECT_EQ(chown(alice_, 1000, 1000, 1000, 100), "ok");
  EXPECT_EQ(chown(alice_, 1000, 7, kNobody, 7), "ok");  // as it is
  EXPECT_EQ(chown(alice_, 1000, 1000, kNobody, 7), not_permitted_);
  EXPECT_EQ(chown(alice_, 1000, 1000, 1001, kNobody), not_permitted_);
  EXPECT_EQ(chown(bob_, 1000, 1000, kNobody, 100), not_permitted_);
  EXPECT_EQ(chown(bob_, 1000, 1000, 1001, kNobody), not_permitted_);
}

TEST_F(GateTest, OwnershipAndTheAccount) {
  EXPECT_EQ(ask(alice_, Need::kOwner, S_IFREG), "ok");
  EXPECT_EQ(ask(bob_, Need::kOwner, S_IFREG | 0777), not_permitted_);
  EXPECT_EQ(ask(alice_, Need::kOwnerOrWrite, S_IFREG | 0444), "ok");
  EXPECT_EQ(ask(bob_, Need::kOwnerOrWrite, S_IFREG | 0002), "ok");
  EXPECT_EQ(ask(bob_, Need::kOwnerOrWrite, S_IFREG | 0004), denied_);
  const User account(500);
  EXPECT_EQ(ask(account, Need::kAccount, S_IFREG), "ok");
  EXPECT_EQ(ask(root_, Need::kAccount, S_IFREG), "ok");
  EXPECT_EQ(ask(alice_, Need::kAccount, S_IFREG), denied_);
  EXPECT_EQ(ask(account, Need::kRead, S_IFREG), denied_);  // mode bits bind the account as anybody
}

}  // namespace
}  // namespace pailfs::test
