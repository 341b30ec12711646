// What the gate makes of S3's groups, of WRITE_ACP, of the bucket's owner and of buckets without ACLs.
#include <random>

#include "core/acl.h"
#include "core/acl_facts.h"
#include "core/acl_view.h"
#include "core/gate.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

constexpr uint32_t kAccount = 500, kKnown = 1001, kUnknown = 1002;
constexpr Scope kBucket = 7;

class AclGateTest : public testing::Test {
 protected:
  AclGateTest() : gate_(kAccount) { gate_.set_acl_facts(&facts_); }

  Attributes object(uint32_t mode, uint32_t uid = 1000, std::vector<AclEntry> entries = {}) {
    Attributes out;
    out.ino = bucket_root(kBucket) + 5;
    out.mode = mode;
    out.uid = uid;
    out.gid = 1000;
    if (!entries.empty()) out.acl = std::make_shared<const Acl>(Acl{std::move(entries)});
    return out;
  }
  std::string ask(const Caller& caller, Need need, const Attributes& object, const Attributes* victim = nullptr) {
    const Action action = need == Need::kRemove ? Action::kDeleteObject : Action::kGetObject;
    return outcome(gate_.check({caller, action, need, object, victim}));
  }

  int asked_ = 0;
  Time time_ = 1;
  CoreOnMemory store_;
  Identities identities_{*store_.store};  // none
  Principals principals_{kAccount,
                         "111122223333",
                         identities_,
                         {[this](uint32_t uid) -> Result<std::optional<std::string>> {
                            ++asked_;
                            if (uid == kKnown) return std::optional<std::string>("known");
                            if (uid == kUnknown) return std::nullopt;
                            return fail(Code::kIo, "no answer");
                          },
                          [](const std::string&) -> Result<std::optional<uint32_t>> { return std::nullopt; }}};
  AclFacts facts_{principals_, [this] { return time_; }};
  Gate gate_;
  User root_{0}, account_{kAccount}, owner_{1000}, known_{kKnown}, unknown_{kUnknown}, unclear_{1003};
  User pretender_{1004, {kAuthenticatedUsersGid, kLogDeliveryGid}};
  const std::string denied_ = code(Code::kAccessDenied), not_permitted_ = code(Code::kNotPermitted);
};

TEST_F(AclGateTest, AuthenticatedUsersAreThoseWithAName) {
  const Attributes file = object(S_IFREG | 0640, 1000,
                                 {{AclTag::kUserObj, 6},
                                  {AclTag::kGroupObj, 0},
                                  {AclTag::kGroup, 2, kLogDeliveryGid},
                                  {AclTag::kGroup, 4, kAuthenticatedUsersGid},
                                  {AclTag::kMask, 6},
                                  {AclTag::kOther, 0}});
  EXPECT_EQ(ask(known_, Need::kRead, file), "ok");
  EXPECT_EQ(ask(known_, Need::kWrite, file), denied_);
  EXPECT_EQ(ask(account_, Need::kRead, file), "ok");
  EXPECT_EQ(ask(unknown_, Need::kRead, file), denied_);
  EXPECT_EQ(ask(unclear_, Need::kRead, file), denied_);
  // Who has these numbers as groups is nobody special.
  EXPECT_EQ(ask(pretender_, Need::kRead, file), denied_);
  EXPECT_EQ(ask(pretender_, Need::kWrite, file), denied_);
}

TEST_F(AclGateTest, CallersAreLookedUpOnlyWhereAnAclAsks) {
  const Attributes plain = object(S_IFREG | 0640, 1000,
                                  {{AclTag::kUserObj, 6},
                                   {AclTag::kUser, 4, kUnknown},
                                   {AclTag::kGroupObj, 0},
                                   {AclTag::kMask, 4},
                                   {AclTag::kOther, 0}});
  ask(known_, Need::kRead, plain);
  ask(known_, Need::kRead, object(S_IFREG | 0644));
  gate_.know(known_.caller);
  EXPECT_EQ(asked_, 0);
  const Attributes asks = object(S_IFREG | 0640, 1000,
                                 {{AclTag::kUserObj, 6},
                                  {AclTag::kGroupObj, 0},
                                  {AclTag::kGroup, 4, kAuthenticatedUsersGid},
                                  {AclTag::kMask, 4},
                                  {AclTag::kOther, 0}});
  ask(root_, Need::kRead, asks);
  ask(owner_, Need::kRead, asks);
  ask(known_, Need::kWrite, asks);
  EXPECT_EQ(asked_, 0);
  ask(known_, Need::kRead, asks);
  EXPECT_EQ(asked_, 1);
  gate_.know(unknown_.caller);  // from then on before any lock is held
  EXPECT_EQ(asked_, 2);
}

TEST_F(AclGateTest, WriteAcpChangesModesAndGivesNothingAway) {
  const Attributes file = object(S_IFREG | 0600, 1000,
                                 {{AclTag::kUserObj, 6},
                                  {AclTag::kUser, kWriteAcp, kKnown},
                                  {AclTag::kUser, 4, kUnknown},
                                  {AclTag::kGroupObj, 0},
                                  {AclTag::kGroup, kWriteAcp, 300},
                                  {AclTag::kMask, 0},
                                  {AclTag::kOther, 0}});
  User member{1005, {300}};
  for (const Caller* caller : {&known_.caller, &member.caller, &owner_.caller, &root_.caller, &account_.caller}) {
    EXPECT_EQ(ask(*caller, Need::kWriteAcl, file), "ok") << caller->uid;
  }
  EXPECT_EQ(ask(unknown_, Need::kWriteAcl, file), not_permitted_);
  EXPECT_EQ(ask(known_, Need::kOwner, file), not_permitted_);
  EXPECT_EQ(outcome(gate_.check({known_, Action::kPutObjectAcl, Need::kChown, file, nullptr, kKnown})), not_permitted_);
  EXPECT_EQ(ask(known_, Need::kRead, file), denied_);
  EXPECT_EQ(ask(known_, Need::kWrite, file), denied_);
  const Attributes open =
      object(S_IFREG | 0600, 1000,
             {{AclTag::kUserObj, 6}, {AclTag::kGroupObj, 0}, {AclTag::kMask, 0}, {AclTag::kOther, kWriteAcp}});
  EXPECT_EQ(ask(unclear_, Need::kWriteAcl, open), "ok");
  EXPECT_EQ(ask(unclear_, Need::kRead, open), denied_);
}

TEST_F(AclGateTest, TheBucketsOwnerRemovesAndClosesWhatOthersMade) {
  const Attributes directory = object(S_IFDIR | 01700), file = object(S_IFREG | 0600);
  EXPECT_EQ(ask(account_, Need::kSearch, directory), "ok");
  EXPECT_EQ(ask(account_, Need::kRead, directory), "ok");
  EXPECT_EQ(ask(account_, Need::kRemove, directory, &file), "ok");
  EXPECT_EQ(ask(account_, Need::kWriteAcl, file), "ok");
  EXPECT_EQ(ask(account_, Need::kRead, file), denied_);
  EXPECT_EQ(ask(account_, Need::kWrite, file), denied_);
  EXPECT_EQ(ask(account_, Need::kChangeDirectory, directory), denied_);
  EXPECT_EQ(ask(account_, Need::kOwner, file), not_permitted_);
  EXPECT_EQ(ask(known_, Need::kRemove, directory, &file), denied_);
  // To replace a name is no removal.
  EXPECT_EQ(outcome(gate_.check({account_, Action::kPutObject, Need::kRemove, directory, &file})), denied_);
  // What he has closed himself is closed, but for what others put there.
  const Attributes own = object(S_IFDIR | 01500, kAccount), shared = object(S_IFDIR | 01777, kKnown);
  EXPECT_EQ(ask(account_, Need::kRemove, own, &file), denied_);
  EXPECT_EQ(ask(account_, Need::kRemove, shared, &file), "ok");
  EXPECT_EQ(ask(unknown_, Need::kRemove, shared, &file), not_permitted_);
  EXPECT_EQ(outcome(gate_.check({account_, Action::kPutObject, Need::kRemove, shared, &file})), not_permitted_);
  // The root of the store is no bucket.
  Attributes root = object(S_IFDIR | 0700);
  root.ino = kRootIno;
  EXPECT_EQ(ask(account_, Need::kSearch, root), denied_);
  EXPECT_EQ(ask(account_, Need::kWriteAcl, root), not_permitted_);
}

// What the gate makes of grants is never more than S3 does, which adds all up that match; and all of it for whom one
// grantee alone matches.
TEST_F(AclGateTest, GrantsGiveNoMoreThanTheyAddUpTo) {
  User known_in_team{kKnown, {200}}, unknown_in_teams{kUnknown, {200, 300}},
      in_owners_group{2000, {1000, kLogDeliveryGid}};
  const std::vector<const Caller*> callers = {&owner_.caller,   &known_.caller,           &known_in_team.caller,
                                              &unknown_.caller, &unknown_in_teams.caller, &in_owners_group.caller};
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<Grant> grants;
    const auto maybe = [&](GranteeKind kind, uint32_t id = 0) {
      const auto permissions = static_cast<uint8_t>(random() % 16);
      if (random() % 2 != 0 && permissions != 0 && permissions != kGrantReadAcp)
        grants.push_back({{kind, id}, permissions});
    };
    maybe(GranteeKind::kUser, 1000);
    maybe(GranteeKind::kUser, kKnown);
    maybe(GranteeKind::kUser, kUnknown);
    maybe(GranteeKind::kGroup, 200);
    maybe(GranteeKind::kGroup, 300);
    maybe(GranteeKind::kGroup, 1000);
    maybe(GranteeKind::kAuthenticatedUsers);
    maybe(GranteeKind::kLogDelivery);
    maybe(GranteeKind::kAllUsers);
    const auto rights = grant_rights({S_IFREG | 0600, 1000, 1000, nullptr}, grants);
    ASSERT_TRUE(rights) << rights.error().message;
    Attributes file = object(rights->mode);
    file.acl = rights->acl;
    // An owner who is not named has everything.
    const bool named = std::ranges::any_of(
        grants, [](const Grant& grant) { return grant.grantee == Grantee{GranteeKind::kUser, 1000}; });
    for (const Caller* one : callers) {
      const Caller& caller = *one;
      uint8_t sum = caller.uid == 1000 && !named ? kGrantFullControl : 0;
      int matching = 0;
      for (const auto& [grantee, permissions] : grants) {
        const bool matches = grantee.kind == GranteeKind::kAllUsers ||
                             (grantee.kind == GranteeKind::kUser && grantee.id == caller.uid) ||
                             (grantee.kind == GranteeKind::kGroup && gate_.in_group(caller, grantee.id)) ||
                             (grantee.kind == GranteeKind::kAuthenticatedUsers && caller.uid == kKnown);
        if (matches) sum |= permissions;
        matching += matches && grantee.kind != GranteeKind::kAllUsers ? 1 : 0;
      }
      const bool read = ask(caller, Need::kRead, file) == "ok", write = ask(caller, Need::kWrite, file) == "ok";
      const bool may_read = (sum & kGrantRead) != 0, may_write = (sum & kGrantWrite) != 0;
      EXPECT_LE(read, may_read) << caller.uid;
      EXPECT_LE(write, may_write) << caller.uid;
      if (matching <= 1) {
        EXPECT_EQ(read, may_read) << caller.uid;
        EXPECT_EQ(write, may_write) << caller.uid;
      }
      const bool changes = caller.uid == 1000 || (sum & kGrantWriteAcp) != 0;
      EXPECT_EQ(ask(caller, Need::kWriteAcl, file) == "ok", changes) << caller.uid;
    }
  }
}

TEST_F(AclGateTest, WithoutAclsOnlyTheAccountIsLet) {
  Attributes directory = object(S_IFDIR | 0777), file = object(S_IFREG | 0666);
  EXPECT_TRUE(gate_.open_to_all(directory));
  EXPECT_EQ(ask(known_, Need::kReadWrite, file), "ok");
  facts_.set_acls_off({3, kBucket});
  EXPECT_FALSE(gate_.open_to_all(directory));
  for (const Caller* caller : {&known_.caller, &owner_.caller}) {
    EXPECT_EQ(ask(*caller, Need::kRead, file), denied_);
    EXPECT_EQ(ask(*caller, Need::kWrite, file), denied_);
    EXPECT_EQ(ask(*caller, Need::kSearch, directory), denied_);
    EXPECT_EQ(ask(*caller, Need::kChangeDirectory, directory), denied_);
    EXPECT_EQ(ask(*caller, Need::kRemove, directory, &file), denied_);
  }
  const Attributes closed = object(S_IFREG | 0000), program = object(S_IFREG | 0010);
  for (const Caller* caller : {&root_.caller, &account_.caller}) {
    EXPECT_EQ(ask(*caller, Need::kReadWrite, closed), "ok");
    EXPECT_EQ(ask(*caller, Need::kExecute, closed), denied_);
    EXPECT_EQ(ask(*caller, Need::kExecute, program), "ok");
    EXPECT_EQ(ask(*caller, Need::kRemove, object(S_IFDIR | 01000), &file), "ok");
  }
  // Modes are kept, so that copies are faithful.
  EXPECT_EQ(ask(owner_, Need::kWriteAcl, file), "ok");
  EXPECT_EQ(ask(owner_, Need::kOwner, file), "ok");
  const Attributes granted =
      object(S_IFREG | 0600, 1000,
             {{AclTag::kUserObj, 6}, {AclTag::kGroupObj, 0}, {AclTag::kMask, 0}, {AclTag::kOther, 4 | kWriteAcp}});
  EXPECT_EQ(ask(known_, Need::kWriteAcl, granted), not_permitted_);
  EXPECT_EQ(ask(known_, Need::kRead, granted), denied_);
  // Elsewhere nothing has changed.
  file.ino = bucket_root(kBucket + 1) + 5;
  EXPECT_EQ(ask(known_, Need::kReadWrite, file), "ok");
  facts_.set_acls_off({});
  EXPECT_EQ(ask(known_, Need::kSearch, directory), "ok");
  EXPECT_EQ(ask(account_, Need::kRead, closed), denied_);
}

}  // namespace
}  // namespace pailfs::test
