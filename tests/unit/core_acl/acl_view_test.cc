// S3's view of mode bits and POSIX ACLs, both ways.
#include "core/acl_view.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>
#include <string>

namespace pailfs {
namespace {

constexpr uint32_t kOwner = 1000, kOwnersGroup = 100, kAlice = 1001, kBob = 1002, kTeam = 200;
constexpr uint8_t kR = kGrantRead, kW = kGrantWrite, kRw = kGrantRead | kGrantWrite, kFull = kGrantFullControl;

Grant user(uint32_t uid, uint8_t permissions) { return {{GranteeKind::kUser, uid}, permissions}; }
Grant group(uint32_t gid, uint8_t permissions) { return {{GranteeKind::kGroup, gid}, permissions}; }
Grant all(uint8_t permissions) { return {{GranteeKind::kAllUsers}, permissions}; }
Grant authenticated(uint8_t permissions) { return {{GranteeKind::kAuthenticatedUsers}, permissions}; }

Rights rights(uint32_t mode, std::vector<AclEntry> entries = {}) {
  Rights out{mode, kOwner, kOwnersGroup, nullptr};
  if (!entries.empty()) out.acl = std::make_shared<const Acl>(Acl{std::move(entries)});
  return out;
}

std::string text(const std::vector<Grant>& grants) {
  std::string out;
  for (const Grant& grant : grants) {
    out += "ugald"[static_cast<size_t>(grant.grantee.kind)] + std::to_string(grant.grantee.id) + ":" +
           std::to_string(grant.permissions) + " ";
  }
  return out;
}

std::string text(const Rights& rights) {
  std::string out = std::to_string(rights.mode >> 12) + ":" + std::to_string(rights.mode >> 9 & 7) +
                    std::to_string(rights.mode >> 6 & 7) + std::to_string(rights.mode >> 3 & 7) +
                    std::to_string(rights.mode & 7);
  if (rights.acl == nullptr) return out;
  for (const AclEntry& entry : rights.acl->entries) {
    out += " " + std::to_string(static_cast<int>(entry.tag)) + ":" + std::to_string(entry.id) + ":" +
           std::to_string(entry.permissions);
  }
  return out;
}

TEST(AclView, ShowsModesAsGrants) {
  struct Case {
    uint32_t mode;
    std::vector<Grant> grants;
    std::vector<Grant> withheld;
  };
  const Grant owner = user(kOwner, kFull);
  const Grant group_lacks_read = group(kOwnersGroup, kR);
  const std::vector<Case> cases = {
      {S_IFREG | 0600, {owner}, {}},
      {S_IFREG | 0400, {user(kOwner, kR | kGrantWriteAcp)}, {}},
      {S_IFREG | 0000, {user(kOwner, kGrantWriteAcp)}, {}},
      {S_IFREG | 0644, {owner, group(kOwnersGroup, kR), all(kR)}, {}},
      {S_IFREG | 0755, {owner, group(kOwnersGroup, kR), all(kR)}, {}},
      {S_IFREG | 0711, {owner}, {}},
      {S_IFREG | 0604, {owner, all(kR)}, {group_lacks_read}},
      {S_IFREG | 0662, {owner, group(kOwnersGroup, kRw), all(kW)}, {}},
      {S_IFREG | 06755, {owner, group(kOwnersGroup, kR), all(kR)}, {}},
      {S_IFDIR | 0755, {owner, group(kOwnersGroup, kR), all(kR)}, {}},
      {S_IFDIR | 0744, {owner}, {}},  // to list and not to search is not READ
      {S_IFDIR | 0711, {owner}, {}},
      {S_IFDIR | 0733, {owner, group(kOwnersGroup, kW), all(kW)}, {}},
      {S_IFDIR | 01777, {owner, group(kOwnersGroup, kRw), all(kRw)}, {}},
  };
  for (const Case& one : cases) {
    const AccessControlPolicy shown = show_rights(rights(one.mode));
    EXPECT_EQ(shown.owner, kOwner);
    EXPECT_EQ(text(shown.grants), text(one.grants)) << std::oct << one.mode;
    EXPECT_EQ(text(shown.withheld), text(one.withheld)) << std::oct << one.mode;
  }
}

TEST(AclView, ShowsAnAclAsTheMaskLeavesIt) {
  const Rights masked = rights(S_IFREG | 0644, {{AclTag::kUserObj, 6},
                                                {AclTag::kUser, 6, kAlice},
                                                {AclTag::kUser, 0, kBob},
                                                {AclTag::kUser, 7, kOwner},  // who is asked by his own bits
                                                {AclTag::kGroupObj, 6},
                                                {AclTag::kGroup, 6 | kWriteAcp, kTeam},
                                                {AclTag::kGroup, 4, kLogDeliveryGid},
                                                {AclTag::kGroup, 4, kAuthenticatedUsersGid},
                                                {AclTag::kMask, 4},
                                                {AclTag::kOther, 4}});
  const AccessControlPolicy shown = show_rights(masked);
  EXPECT_EQ(text(shown.grants), text({user(kOwner, kFull),
                                      user(kAlice, kR),
                                      group(kOwnersGroup, kR),
                                      group(kTeam, kR | kGrantWriteAcp),
                                      authenticated(kR),
                                      {{GranteeKind::kLogDelivery}, kR},
                                      all(kR)}));
  EXPECT_EQ(text(shown.withheld), text({user(kBob, kR)}));
}

TEST(AclView, GrantsBecomeEntries) {
  struct Case {
    Rights before;
    std::vector<Grant> grants;
    Rights after;
  };
  const std::vector<AclEntry> alice_reads = {{AclTag::kUserObj, 6},
                                             {AclTag::kUser, 4, kAlice},
                                             {AclTag::kGroupObj, 0},
                                             {AclTag::kMask, 4},
                                             {AclTag::kOther, 0}};
  const std::vector<Case> cases = {
      {rights(S_IFREG | 0666), {user(kOwner, kFull)}, rights(S_IFREG | 0600)},
      {rights(S_IFREG | 0400), {all(kR)}, rights(S_IFREG | 0644)},  // an owner who is not named
      {rights(S_IFREG | 0600), {user(kOwner, kR)}, rights(S_IFREG | 0400)},
      {rights(S_IFREG | 0600), {user(kOwner, kR), all(kW)}, rights(S_IFREG | 0622)},
      {rights(S_IFREG | 0600), {group(kOwnersGroup, kR)}, rights(S_IFREG | 0640)},
      {rights(S_IFREG | 0644), {user(kAlice, kR)}, rights(S_IFREG | 0640, alice_reads)},
      {rights(S_IFREG | 0640, alice_reads), {user(kOwner, kFull)}, rights(S_IFREG | 0600)},
      // Execution stays where reading does, and comes with reading to what its owner runs.
      {rights(S_IFREG | 0755), {user(kOwner, kFull)}, rights(S_IFREG | 0700)},
      {rights(S_IFREG | 0700), {all(kR)}, rights(S_IFREG | 0755)},
      {rights(S_IFREG | 0744), {all(kR)}, rights(S_IFREG | 0744)},
      {rights(S_IFREG | 0755), {all(kW)}, rights(S_IFREG | 0722)},
      {rights(S_IFREG | 0755), {user(kOwner, kW)}, rights(S_IFREG | 0200)},
      // Directories are searched by whoever may do anything with them.
      {rights(S_IFDIR | 01711), {all(kR)}, rights(S_IFDIR | 01755)},
      {rights(S_IFDIR | 02700), {all(kW)}, rights(S_IFDIR | 02733)},
      {rights(S_IFREG | 06755), {all(kR)}, rights(S_IFREG | 06755)},
      // Whatever all have those have who are named, too, and the groups of S3 are groups.
      {rights(S_IFREG | 0600),
       {user(kBob, kFull), user(kAlice, kW), all(kR), authenticated(kW), {{GranteeKind::kLogDelivery}, kW}},
       rights(S_IFREG | 0664, {{AclTag::kUserObj, 6},
                               {AclTag::kUser, 6, kAlice},
                               {AclTag::kUser, 6 | kWriteAcp, kBob},
                               {AclTag::kGroupObj, 4},
                               {AclTag::kGroup, 6, kLogDeliveryGid},
                               {AclTag::kGroup, 6, kAuthenticatedUsersGid},
                               {AclTag::kMask, 6},
                               {AclTag::kOther, 4}})},
      {rights(S_IFREG | 0600),
       {all(kGrantWriteAcp)},
       rights(S_IFREG | 0600,
              {{AclTag::kUserObj, 6}, {AclTag::kGroupObj, 0}, {AclTag::kMask, 0}, {AclTag::kOther, 8}})},
      {rights(S_IFREG | 0600),
       {group(kAuthenticatedUsersGid, kR)},
       *grant_rights(rights(S_IFREG | 0600), {authenticated(kR)})},
  };
  for (const Case& one : cases) {
    const auto after = grant_rights(one.before, one.grants);
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ(text(*after), text(one.after)) << text(one.before) << " with " << text(one.grants);
    EXPECT_EQ(after->uid, kOwner);
    EXPECT_EQ(after->gid, kOwnersGroup);
  }
}

TEST(AclView, WhatCannotBeGrantedIsRefused) {
  const Rights before = rights(S_IFREG | 0600);
  for (const Grant& bad :
       {user(kAlice, 0), user(kAlice, 16), user(kAlice, kGrantReadAcp), user(~0u, kR), group(~0u, kR)}) {
    const auto refused = grant_rights(before, {all(kR), bad});
    ASSERT_FALSE(refused) << text(std::vector<Grant>{bad});
    EXPECT_EQ(refused.error().code, Code::kInvalid);
  }
  EXPECT_TRUE(grant_rights(before, {user(kAlice, kGrantReadAcp | kR)}));
  std::vector<Grant> many;
  for (uint32_t i = 0; i < kMaxAclEntries - 4; ++i) many.push_back(user(2000 + i, kR));
  EXPECT_TRUE(grant_rights(before, many));  // with owner, group, mask and others
  many.push_back(user(1999, kR));
  EXPECT_EQ(grant_rights(before, many).error().code, Code::kTooBig);
}

TEST(AclView, CannedAclsAreThoseOfS3) {
  const Grant owner = user(kOwner, kFull);
  const auto canned = [](std::string_view name, bool is_bucket = false) {
    const auto grants = canned_grants(name, kOwner, kBob, is_bucket);
    return grants ? text(*grants) : grants.error().message;
  };
  EXPECT_EQ(canned("private"), text({owner}));
  EXPECT_EQ(canned("public-read"), text({owner, all(kR)}));
  EXPECT_EQ(canned("public-read-write"), text({owner, all(kRw)}));
  EXPECT_EQ(canned("authenticated-read"), text({owner, authenticated(kR)}));
  EXPECT_EQ(canned("bucket-owner-read"), text({owner, user(kBob, kR)}));
  EXPECT_EQ(canned("bucket-owner-full-control"), text({owner, user(kBob, kFull)}));
  EXPECT_EQ(canned("log-delivery-write", true), text({owner, {{GranteeKind::kLogDelivery}, kW | kGrantReadAcp}}));
  EXPECT_NE(canned("log-delivery-write").find("buckets"), std::string::npos);
  EXPECT_NE(canned("aws-exec-read").find("known: private"), std::string::npos);
}

// Every mode and many ACLs: what is shown, granted again, shows the same, and what shows the same stays as it is.
TEST(AclView, WhatIsShownCanBeGrantedAgain) {
  std::mt19937 random(20261128);
  for (int round = 0; round < 20000; ++round) {
    const auto bits = [&] { return static_cast<uint8_t>(random() % 8); };
    Rights before = rights((random() % 2 != 0 ? S_IFDIR : S_IFREG) | static_cast<uint32_t>(random() % 010000));
    if (random() % 2 != 0) {
      std::vector<AclEntry> entries = {{AclTag::kUserObj, bits()}};
      const auto maybe = [&](AclTag tag, uint32_t id) {
        const auto write_acp = static_cast<uint8_t>(random() % 4 == 0 ? kWriteAcp : 0);
        if (random() % 2 != 0) entries.push_back({tag, static_cast<uint8_t>(bits() | write_acp), id});
      };
      maybe(AclTag::kUser, kAlice);
      maybe(AclTag::kUser, kBob);
      entries.push_back({AclTag::kGroupObj, bits()});
      maybe(AclTag::kGroup, kTeam);
      maybe(AclTag::kGroup, kLogDeliveryGid);
      maybe(AclTag::kGroup, kAuthenticatedUsersGid);
      entries.push_back({AclTag::kMask, bits()});
      entries.push_back({AclTag::kOther, bits()});
      before = rights(before.mode, entries);
      ASSERT_TRUE(check_acl(*before.acl));
      before.mode = (before.mode & ~0777u) | acl_mode(*before.acl);
    }
    const AccessControlPolicy shown = show_rights(before);
    const auto after = grant_rights(before, shown.grants);
    ASSERT_TRUE(after) << after.error().message;
    const AccessControlPolicy again = show_rights(*after);
    EXPECT_EQ(after->mode & ~0777u, before.mode & ~0777u);
    EXPECT_TRUE(again.withheld.empty()) << text(*after);
    if (shown.withheld.empty()) {
      EXPECT_EQ(text(again.grants), text(shown.grants)) << text(before);
    }
    const auto twice = grant_rights(*after, again.grants);
    ASSERT_TRUE(twice);
    EXPECT_EQ(text(*twice), text(*after)) << text(before);
  }
}

}  // namespace
}  // namespace pailfs
