// POSIX ACLs: their values, what they decide, what new files inherit, and how they and the mode follow each other.
#include "core/acl.h"

#include <random>
#include <set>

#include "base/codec.h"
#include "core/gate.h"
#include "core/records.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

constexpr auto kUserObj = AclTag::kUserObj, kUser = AclTag::kUser, kGroupObj = AclTag::kGroupObj;
constexpr auto kGroup = AclTag::kGroup, kMask = AclTag::kMask, kOther = AclTag::kOther;

// As in acl(5), short text form: "u::rw-,u:1001:r--,g::r--,m::r--,o::---".
std::string text_of(const Acl& acl) {
  std::string text;
  for (const AclEntry& entry : acl.entries) {
    if (!text.empty()) text += ',';
    text += "uuggmo"[static_cast<size_t>(entry.tag)];
    text += ':';
    if (entry.tag == kUser || entry.tag == kGroup) text += std::to_string(entry.id);
    text += ':';
    for (const auto& [bit, letter] : {std::pair(4, 'r'), std::pair(2, 'w'), std::pair(1, 'x')}) {
      text += (entry.permissions & bit) != 0 ? letter : '-';
    }
  }
  return text;
}

Acl minimal(uint32_t mode) {
  return {{{kUserObj, static_cast<uint8_t>(mode >> 6 & 7)},
           {kGroupObj, static_cast<uint8_t>(mode >> 3 & 7)},
           {kOther, static_cast<uint8_t>(mode & 7)}}};
}

// --- Values

TEST(AclValue, ComesBackAsItWas) {
  const Acl acl{
      {{kUserObj, 7}, {kUser, 6, 1001}, {kUser, 0, 0}, {kGroupObj, 5}, {kGroup, 4, 7}, {kMask, 7}, {kOther, 1}}};
  const std::string value = format_acl(acl);
  ASSERT_EQ(value.size(), 4 + 7 * 8u);
  EXPECT_EQ(value.substr(0, 12), std::string("\2\0\0\0\1\0\7\0\xff\xff\xff\xff", 12));
  EXPECT_EQ(value.substr(12, 8), std::string("\2\0\6\0\xe9\3\0\0", 8));
  const auto parsed = parse_acl(value);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, acl);
  EXPECT_OK(check_acl(*parsed));
  const auto decoded = decode_acl(encode_acl(acl));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(**decoded, acl);
}

TEST(AclValue, WhatIsNoneIsRefused) {
  const auto entry = [](uint16_t tag, uint16_t permissions, uint32_t id) {
    Encoder out;
    out.u16(tag);
    out.u16(permissions);
    out.u32(id);
    return out.take();
  };
  const std::string header("\2\0\0\0", 4), good = format_acl(minimal(0640));
  EXPECT_TRUE(parse_acl("")->entries.empty());
  EXPECT_TRUE(parse_acl(header)->entries.empty());
  EXPECT_CODE(parse_acl("\2"), Code::kInvalid);
  EXPECT_CODE(parse_acl(std::string("\1\0\0\0", 4) + good.substr(4)), Code::kNotSupported);
  EXPECT_CODE(parse_acl(good + '\0'), Code::kInvalid);
  EXPECT_CODE(parse_acl(good.substr(0, good.size() - 1)), Code::kInvalid);
  for (const uint16_t tag : std::initializer_list<uint16_t>{0, 3, 64, 256, 0x8001}) {
    EXPECT_CODE(parse_acl(header + entry(tag, 7, 0)), Code::kInvalid) << tag;
  }
  EXPECT_CODE(parse_acl(header + entry(2, 7, ~0u)), Code::kInvalid);
  EXPECT_CODE(parse_acl(header + entry(8, 7, ~0u)), Code::kInvalid);
  for (const uint16_t permissions : std::initializer_list<uint16_t>{8, 15, 256, 0x8000}) {
    const auto parsed = parse_acl(header + entry(1, permissions, 0) + good.substr(12));
    ASSERT_TRUE(parsed);
    EXPECT_CODE(check_acl(*parsed), Code::kInvalid) << permissions;
  }
}

TEST(AclValue, HasEveryClassInOrderAndNamesNobodyTwice) {
  const std::vector<Acl> wrong = {
      {},
      {{{kUserObj, 7}, {kGroupObj, 7}}},
      {{{kUserObj, 7}, {kOther, 7}}},
      {{{kGroupObj, 7}, {kOther, 7}}},
      {{{kGroupObj, 7}, {kUserObj, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kOther, 7}, {kGroupObj, 7}}},
      {{{kUserObj, 7}, {kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kGroupObj, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kMask, 7}, {kMask, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kUser, 7, 1}, {kGroupObj, 7}, {kOther, 7}}},   // no mask
      {{{kUserObj, 7}, {kGroupObj, 7}, {kGroup, 7, 1}, {kOther, 7}}},  // no mask
      {{{kUserObj, 7}, {kUser, 7, 1}, {kUser, 6, 1}, {kGroupObj, 7}, {kMask, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kUser, 7, 1}, {kUser, 7, 2}, {kUser, 6, 1}, {kGroupObj, 7}, {kMask, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kGroup, 7, 1}, {kGroup, 7, 1}, {kMask, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kUser, 7, 1}, {kMask, 7}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kMask, 7}, {kGroup, 7, 1}, {kOther, 7}}},
      {{{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}, {kMask, 7}}},
  };
  for (const Acl& acl : wrong) {
    EXPECT_CODE(check_acl(acl), Code::kInvalid) << text_of(acl);
    EXPECT_CODE(decode_acl(encode_acl(acl)), Code::kCorrupt) << text_of(acl);
  }
  EXPECT_OK(check_acl(minimal(0)));
  EXPECT_OK(check_acl({{{kUserObj, 7}, {kGroupObj, 7}, {kMask, 7}, {kOther, 7}}}));
  // A user and a group of one number are two, and the order of the named ones is theirs.
  EXPECT_OK(check_acl(
      {{{kUserObj, 7}, {kUser, 7, 5}, {kUser, 7, 1}, {kGroupObj, 7}, {kGroup, 7, 1}, {kMask, 7}, {kOther, 7}}}));
}

// --- What it decides

Acl random_acl(std::mt19937_64& random) {
  const auto bits = [&] { return static_cast<uint8_t>(random() % 8); };
  Acl acl{{{kUserObj, bits()}}};
  std::set<uint32_t> users, groups;
  for (uint64_t i = random() % 3; i > 0; --i) users.insert(static_cast<uint32_t>(1 + random() % 4));
  for (uint64_t i = random() % 4; i > 0; --i) groups.insert(static_cast<uint32_t>(10 + random() % 5));
  for (const uint32_t user : users) acl.entries.push_back({kUser, bits(), user});
  acl.entries.push_back({kGroupObj, bits()});
  for (const uint32_t group : groups) acl.entries.push_back({kGroup, bits(), group});
  acl.entries.push_back({kMask, bits()});
  acl.entries.push_back({kOther, bits()});
  return acl;
}

// The steps of acl(5), "Access Check Algorithm", word by word, without regard to cost.
bool allowed_by_the_book(const Acl& acl, uint32_t owner, uint32_t owning_group, uint32_t uid,
                         const std::set<uint32_t>& groups, uint32_t wanted) {
  uint8_t mask = 7;
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == kMask) mask = entry.permissions;
  }
  const auto contains = [&](uint32_t permissions) { return (permissions & wanted) == wanted; };
  if (uid == owner) return contains(acl.entries.front().permissions);
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == kUser && entry.id == uid) return contains(entry.permissions) && contains(mask);
  }
  bool matches = false, one_contains = false;
  for (const AclEntry& entry : acl.entries) {
    const bool is_mine =
        (entry.tag == kGroupObj && groups.contains(owning_group)) || (entry.tag == kGroup && groups.contains(entry.id));
    matches |= is_mine;
    one_contains |= is_mine && contains(entry.permissions);
  }
  if (matches) return one_contains && contains(mask);
  return contains(acl.entries.back().permissions);
}

TEST(AclDecision, IsThatOfTheManualForRandomAcls) {
  std::mt19937_64 random(4711);
  const Gate gate(500);
  for (int round = 0; round < 50'000; ++round) {
    const Acl acl = random_acl(random);
    EXPECT_OK(check_acl(acl));
    const uint32_t uid = static_cast<uint32_t>(1 + random() % 5);
    std::vector<uint32_t> supplementary;
    for (uint32_t group = 10; group < 16; ++group) {
      if (random() % 3 == 0) supplementary.push_back(group);
    }
    User user(uid, supplementary);
    user.caller.gid = static_cast<uint32_t>(10 + random() % 6);
    std::set<uint32_t> groups(supplementary.begin(), supplementary.end());
    groups.insert(user.caller.gid);
    Attributes object;
    object.mode = S_IFREG | acl_mode(acl);
    object.uid = static_cast<uint32_t>(1 + random() % 5);
    object.gid = static_cast<uint32_t>(10 + random() % 6);
    object.acl = std::make_shared<const Acl>(acl);
    for (const auto& [need, wanted] : {std::pair(Need::kRead, 4u), std::pair(Need::kWrite, 2u),
                                       std::pair(Need::kExecute, 1u), std::pair(Need::kReadWrite, 6u)}) {
      const bool allowed = gate.check({user, Action::kGetObject, need, object}).has_value();
      EXPECT_EQ(allowed, allowed_by_the_book(acl, object.uid, object.gid, uid, groups, wanted))
          << text_of(acl) << " of " << object.uid << ":" << object.gid << " for " << uid << ":" << user.caller.gid
          << ", wanted " << wanted;
    }
    for (uint32_t wanted = 0; wanted <= 7; ++wanted) {
      AccessRequest request{user, Action::kGetObject, Need::kPermissions, object};
      request.permissions = wanted;
      EXPECT_EQ(gate.check(request).has_value(), allowed_by_the_book(acl, object.uid, object.gid, uid, groups, wanted));
    }
  }
}

TEST(AclDecision, TheGroupsOfAProcessAreAskedForOnlyWhereTheyDecide) {
  const Gate gate(500);
  Attributes object;
  const auto asked = [&](const Acl& acl, uint32_t uid) {
    User user(uid, {10});
    object.mode = S_IFREG | acl_mode(acl);
    object.uid = 1;
    object.acl = std::make_shared<const Acl>(acl);
    static_cast<void>(gate.check({user, Action::kGetObject, Need::kRead, object}));
    return user.asked > 0;
  };
  const Acl mixed{{{kUserObj, 4}, {kUser, 4, 2}, {kGroupObj, 0}, {kGroup, 4, 10}, {kMask, 7}, {kOther, 0}}};
  EXPECT_FALSE(asked(mixed, 0));
  EXPECT_FALSE(asked(mixed, 1));
  EXPECT_FALSE(asked(mixed, 2));
  EXPECT_TRUE(asked(mixed, 3));
  EXPECT_FALSE(asked({{{kUserObj, 4}, {kGroupObj, 4}, {kGroup, 4, 10}, {kMask, 3}, {kOther, 0}}}, 3));
  EXPECT_FALSE(asked({{{kUserObj, 4}, {kGroupObj, 4}, {kGroup, 4, 10}, {kMask, 4}, {kOther, 4}}}, 3));
}

TEST(AclDecision, ADirectoryIsOpenToAllWhereNobodyIsRefused) {
  const Gate gate(500);
  const auto open = [&](const Acl& acl) {
    Attributes directory;
    directory.mode = S_IFDIR | acl_mode(acl);
    directory.acl = std::make_shared<const Acl>(acl);
    return gate.open_to_all(directory);
  };
  const Acl acl{{{kUserObj, 7}, {kUser, 1, 9}, {kGroupObj, 5}, {kGroup, 1, 9}, {kMask, 5}, {kOther, 1}}};
  EXPECT_TRUE(open(acl));
  for (size_t i = 0; i < acl.entries.size(); ++i) {
    Acl closed = acl;
    closed.entries[i].permissions &= 6;
    EXPECT_FALSE(open(closed)) << text_of(closed);
  }
}

// --- ACL and mode

TEST(AclMode, TheMaskIsTheGroupsBitsWhereThereIsOne) {
  EXPECT_EQ(acl_mode(minimal(0641)), 0641u);
  EXPECT_TRUE(acl_is_mode(minimal(0641)));
  const Acl acl{{{kUserObj, 7}, {kUser, 1, 9}, {kGroupObj, 6}, {kMask, 5}, {kOther, 4}}};
  EXPECT_EQ(acl_mode(acl), 0754u);
  EXPECT_FALSE(acl_is_mode(acl));
  EXPECT_EQ(text_of(acl_with_mode(acl, S_IFREG | 06421)), "u::r--,u:9:--x,g::rw-,m::-w-,o::--x");
  EXPECT_EQ(text_of(acl_with_mode(minimal(0777), 0421)), "u::r--,g::-w-,o::--x");
}

TEST(AclMode, ADefaultAclGivesNewFilesWhatTheyAskedForAtMost) {
  const Acl acl{{{kUserObj, 7}, {kUser, 7, 9}, {kGroupObj, 5}, {kMask, 7}, {kOther, 5}}};
  const InheritedAcl made = inherit_acl(acl, S_IFREG | 0664);
  EXPECT_EQ(made.permissions, 0664u);
  EXPECT_EQ(text_of(*made.acl), "u::rw-,u:9:rwx,g::r-x,m::rw-,o::r--");
  const InheritedAcl plain = inherit_acl(minimal(0750), S_IFREG | 0666);
  EXPECT_EQ(plain.permissions, 0640u);
  EXPECT_EQ(plain.acl, nullptr);
}

// --- Records

TEST(AclRecord, RecordsWithoutAnAclAreAsTheyWere) {
  InodeRecord record;
  record.mode = S_IFDIR | 0755;
  const std::string without = encode_inode(record);
  EXPECT_EQ(without[1], 0);
  record.default_acl = std::make_shared<const Acl>(minimal(0750));
  const std::string with = encode_inode(record);
  EXPECT_EQ(with[1], 64);
  EXPECT_EQ(with.substr(2, without.size() - 2), without.substr(2));
  EXPECT_EQ(with.substr(without.size()), std::string("\3\7\25\50", 4));
}

TEST(AclRecord, AnAclThatDoesNotGoWithItsInodeIsRefused) {
  const auto masked = std::make_shared<const Acl>(Acl{{{kUserObj, 6}, {kGroupObj, 4}, {kMask, 4}, {kOther, 0}}});
  InodeRecord record;
  record.mode = S_IFREG | 0640;
  record.acl = masked;
  EXPECT_OK(decode_inode(encode_inode(record)));
  record.mode = S_IFREG | 0660;
  EXPECT_CODE(decode_inode(encode_inode(record)), Code::kCorrupt);
  record.mode = S_IFREG | 0640;
  record.acl = std::make_shared<const Acl>(minimal(0640));
  EXPECT_CODE(decode_inode(encode_inode(record)), Code::kCorrupt);
  record.acl = nullptr;
  record.default_acl = masked;
  EXPECT_CODE(decode_inode(encode_inode(record)), Code::kCorrupt);
}

// --- Files that have one

class AclTest : public CoreTest {
 protected:
  const std::string access_{kAccessAclName}, default_{kDefaultAclName};

  Status set(const Caller& caller, Ino ino, const std::string& name, const Acl& acl) {
    return core->setxattr(caller, ino, name, format_acl(acl), Core::XattrMode::kSet);
  }
  std::string get(const Caller& caller, Ino ino, const std::string& name) {
    const auto value = core->getxattr(caller, ino, name);
    return value ? text_of(*parse_acl(*value)) : outcome(value);
  }
  uint32_t mode(Ino ino) { return stat(ino).mode & 07777; }
  // r, w and x as access(2) says.
  std::string rights(const Caller& caller, Ino ino) {
    std::string text;
    for (const auto& [mask, letter] : {std::pair(4, 'r'), std::pair(2, 'w'), std::pair(1, 'x')}) {
      text += core->access(caller, ino, mask) ? letter : '-';
    }
    return text;
  }

  // alice is named, and bob is in the named group 100.
  const Acl named_{{{kUserObj, 6}, {kUser, 6, 1000}, {kGroupObj, 0}, {kGroup, 4, 100}, {kMask, 6}, {kOther, 0}}};
  User carol{1002};
};

TEST_F(AclTest, DecidesForThoseItNames) {
  const Ino ino = file("a", 0600);
  EXPECT_EQ(rights(alice, ino), "---");
  EXPECT_OK(set(root, ino, access_, named_));
  EXPECT_EQ(mode(ino), 0660u);
  EXPECT_EQ(get(carol, ino, access_), "u::rw-,u:1000:rw-,g::---,g:100:r--,m::rw-,o::---");
  EXPECT_EQ(rights(alice, ino), "rw-");
  EXPECT_EQ(rights(bob, ino), "r--");
  EXPECT_EQ(rights(carol, ino), "---");
  EXPECT_OK(core->open(alice, ino, {.write = true}));
  EXPECT_CODE(core->open(bob, ino, {.write = true}), Code::kAccessDenied);
  restart();
  EXPECT_EQ(rights(alice, ino), "rw-");
  EXPECT_EQ(rights(bob, ino), "r--");
  expect_sound();
}

TEST_F(AclTest, ADirectorysAclDecidesWhoMaySearchAndChangeIt) {
  const Ino directory = mkdir("d", 0700);
  const Ino inside = file(directory, "a", 0666, root);
  EXPECT_CODE(core->lookup(alice, directory, "a"), Code::kAccessDenied);
  EXPECT_OK(set(root, directory, access_,
                {{{kUserObj, 7}, {kUser, 1, 1000}, {kUser, 7, 1001}, {kGroupObj, 0}, {kMask, 7}, {kOther, 0}}}));
  EXPECT_OK(core->lookup(alice, directory, "a"));
  EXPECT_CODE(core->opendir(alice, directory), Code::kAccessDenied);
  EXPECT_CODE(mknod(alice, directory, "b"), Code::kAccessDenied);
  EXPECT_CODE(core->unlink(alice, directory, "a"), Code::kAccessDenied);
  EXPECT_OK(mknod(bob, directory, "b"));
  EXPECT_OK(core->unlink(bob, directory, "a"));
  EXPECT_NE(inside, 0u);
}

TEST_F(AclTest, ChmodSetsTheMaskAndTheMaskLimits) {
  const Ino ino = file("a", 0600);
  EXPECT_OK(set(root, ino, access_, named_));
  EXPECT_OK(chmod(root, ino, 0745));
  EXPECT_EQ(get(root, ino, access_), "u::rwx,u:1000:rw-,g::---,g:100:r--,m::r--,o::r-x");
  EXPECT_EQ(mode(ino), 0745u);
  EXPECT_EQ(rights(alice, ino), "r--");
  EXPECT_OK(chmod(root, ino, 0600));
  EXPECT_EQ(rights(alice, ino), "---");
  restart();
  EXPECT_EQ(get(root, ino, access_), "u::rw-,u:1000:rw-,g::---,g:100:r--,m::---,o::---");
  expect_sound();
}

TEST_F(AclTest, WhatAModeCanSayIsNoAcl) {
  const Ino ino = file("a", 0600);
  EXPECT_OK(set(root, ino, access_, named_));
  EXPECT_OK(set(root, ino, access_, minimal(0754)));
  EXPECT_EQ(mode(ino), 0754u);
  EXPECT_EQ(get(root, ino, access_), code(Code::kNoData));
  EXPECT_TRUE(core->listxattr(root, ino)->empty());
  // A mask alone is more than a mode can say.
  EXPECT_OK(set(root, ino, access_, {{{kUserObj, 6}, {kGroupObj, 6}, {kMask, 4}, {kOther, 0}}}));
  EXPECT_EQ(get(root, ino, access_), "u::rw-,g::rw-,m::r--,o::---");
  EXPECT_EQ(mode(ino), 0640u);
}

TEST_F(AclTest, RemovingTheAclKeepsTheMode) {
  const Ino ino = file("a", 0600);
  EXPECT_OK(core->removexattr(root, ino, access_));
  EXPECT_OK(set(root, ino, access_, named_));
  EXPECT_OK(core->removexattr(root, ino, access_));
  EXPECT_EQ(get(root, ino, access_), code(Code::kNoData));
  EXPECT_EQ(mode(ino), 0660u);
  EXPECT_EQ(rights(alice, ino), "---");
  EXPECT_OK(set(root, ino, access_, named_));
  EXPECT_OK(core->setxattr(root, ino, access_, "", Core::XattrMode::kSet));
  EXPECT_EQ(get(root, ino, access_), code(Code::kNoData));
}

TEST_F(AclTest, OnlyTheOwnerSetsAndRemoves) {
  const Ino ino = file(bucket, "a", 0666, alice);
  EXPECT_CODE(set(bob, ino, access_, named_), Code::kNotPermitted);
  EXPECT_OK(set(alice, ino, access_, named_));
  EXPECT_CODE(core->removexattr(bob, ino, access_), Code::kNotPermitted);
  EXPECT_OK(core->removexattr(alice, ino, access_));
}

TEST_F(AclTest, ErrorsAreThoseOfLinux) {
  const Ino ino = file(bucket, "a", 0666, alice), directory = mkdir(bucket, "d", 0777, alice);
  EXPECT_OK(core->symlink(alice, bucket, "l", "a"));
  const Ino link = at(bucket, "l");
  const Acl wrong{{{kUserObj, 7}, {kOther, 7}}};
  EXPECT_CODE(set(alice, ino, access_, wrong), Code::kInvalid);
  EXPECT_CODE(set(alice, directory, default_, wrong), Code::kInvalid);
  EXPECT_CODE(set(bob, ino, access_, wrong), Code::kNotPermitted);
  EXPECT_CODE(core->setxattr(bob, ino, access_, "x", Core::XattrMode::kSet), Code::kInvalid);
  EXPECT_CODE(set(alice, ino, default_, minimal(0777)), Code::kAccessDenied);
  EXPECT_OK(core->removexattr(alice, ino, default_));
  EXPECT_CODE(core->getxattr(alice, ino, default_), Code::kNoData);
  EXPECT_CODE(set(alice, link, access_, minimal(0777)), Code::kNotSupported);
  EXPECT_CODE(core->getxattr(alice, link, access_), Code::kNotSupported);
  EXPECT_CODE(core->removexattr(alice, link, access_), Code::kNotSupported);
  EXPECT_CODE(core->setxattr(root, ino, "system.other", "x", Core::XattrMode::kSet), Code::kNotSupported);
}

TEST_F(AclTest, AreListedBesideOtherAttributes) {
  const Ino directory = mkdir("d");
  EXPECT_OK(core->setxattr(root, directory, "user.a", "1", Core::XattrMode::kSet));
  EXPECT_OK(set(root, directory, access_, named_));
  EXPECT_OK(set(root, directory, default_, minimal(0750)));
  EXPECT_EQ(core->listxattr(bob, directory), (std::vector<std::string>{"user.a", access_, default_}));
  EXPECT_EQ(get(bob, directory, default_), "u::rwx,g::r-x,o::---");
  EXPECT_OK(core->removexattr(root, directory, default_));
  EXPECT_OK(core->removexattr(root, directory, access_));
  EXPECT_EQ(core->listxattr(bob, directory), (std::vector<std::string>{"user.a"}));
}

TEST_F(AclTest, SettingOneTakesSetGroupIdFromWhoIsNotInTheGroup) {
  const Ino ino = file(bucket, "a", 0666, alice);
  EXPECT_OK(chown(root, ino, 1000, 3000));
  for (const auto& [caller, group, kept] : std::vector<std::tuple<const Caller*, uint32_t, bool>>{
           {&alice.caller, 3000, false}, {&alice.caller, 2000, true}, {&root.caller, 3000, true}}) {
    EXPECT_OK(chown(root, ino, 1000, group));
    EXPECT_OK(chmod(root, ino, 02770));
    EXPECT_OK(set(*caller, ino, access_, named_));
    EXPECT_EQ(mode(ino), kept ? 02660u : 0660u) << caller->uid << " " << group;
    EXPECT_OK(set(*caller, ino, access_, minimal(0750)));
    EXPECT_EQ(mode(ino), kept ? 02750u : 0750u) << caller->uid << " " << group;
  }
}

TEST_F(AclTest, NewFilesAndDirectoriesInheritTheDefaultAclAndNoUmask) {
  const Ino directory = mkdir("d", 0777);
  EXPECT_OK(
      set(root, directory, default_, {{{kUserObj, 7}, {kUser, 7, 1000}, {kGroupObj, 5}, {kMask, 7}, {kOther, 0}}}));
  EXPECT_EQ(mode(directory), 0777u);
  carol.caller.umask = 077;
  const Ino made = file(directory, "a", 0666, carol);
  EXPECT_EQ(mode(made), 0660u);
  EXPECT_EQ(get(carol, made, access_), "u::rw-,u:1000:rwx,g::r-x,m::rw-,o::---");
  EXPECT_EQ(get(carol, made, default_), code(Code::kNoData));
  EXPECT_EQ(rights(alice, made), "rw-");
  const auto created = core->create(carol, directory, "b", 0640, {.write = true});
  ASSERT_TRUE(created);
  core->release(created->attributes.ino, created->open.handle);
  EXPECT_EQ(created->attributes.mode & 07777, 0640u);
  EXPECT_EQ(get(carol, created->attributes.ino, access_), "u::rw-,u:1000:rwx,g::r-x,m::r--,o::---");
  const Ino below = mkdir(directory, "below", 0777, carol);
  EXPECT_EQ(mode(below), 0770u);
  EXPECT_EQ(get(carol, below, access_), "u::rwx,u:1000:rwx,g::r-x,m::rwx,o::---");
  EXPECT_EQ(get(carol, below, default_), get(carol, directory, default_));
  const auto link = core->symlink(carol, directory, "l", "a");
  ASSERT_TRUE(link);
  EXPECT_EQ(link->mode, uint32_t{S_IFLNK | 0777});
  restart();
  EXPECT_EQ(rights(alice, made), "rw-");
  EXPECT_EQ(mode(file(below, "c", 0666, carol)), 0660u);
  expect_sound();
}

TEST_F(AclTest, WithoutADefaultAclTheUmaskCounts) {
  alice.caller.umask = 027;
  EXPECT_EQ(mode(file(bucket, "a", 0666, alice)), 0640u);
  EXPECT_EQ(mode(mkdir(bucket, "d", 01777, alice)), 01750u);
  EXPECT_EQ(core->symlink(alice, bucket, "l", "a")->mode, uint32_t{S_IFLNK | 0777});
  // A default ACL that a mode can say leaves none behind, and the umask counts as little.
  const Ino directory = mkdir("plain", 0777);
  EXPECT_OK(set(root, directory, default_, minimal(0775)));
  const Ino made = file(directory, "a", 0666, alice);
  EXPECT_EQ(mode(made), 0664u);
  EXPECT_EQ(get(alice, made, access_), code(Code::kNoData));
}

TEST_F(AclTest, TheRootOfABucketHasThemAsAnyDirectory) {
  EXPECT_OK(set(root, bucket, access_, {{{kUserObj, 7}, {kUser, 0, 1000}, {kGroupObj, 7}, {kMask, 7}, {kOther, 7}}}));
  EXPECT_CODE(core->lookup(alice, bucket, "a"), Code::kAccessDenied);
  EXPECT_CODE(core->lookup(bob, bucket, "a"), Code::kNotFound);
}

TEST_F(AclTest, BindOnVersionsAsTheyWereSealed) {
  const Ino ino = stored(bucket, "a", "secret", 0600);
  EXPECT_OK(set(root, ino, access_, named_));
  write(ino, "newer");
  const Ino view = core->lookup(root, bucket, ".versions")->ino;
  const Ino place = core->lookup(root, view, "a")->ino;
  const auto versions = core->versions(root, "bucket", "a");
  ASSERT_TRUE(versions);
  ASSERT_EQ(versions->size(), 2u);
  for (const VersionEntry& entry : *versions) {
    const Ino version = core->lookup(root, place, entry.name)->ino;
    EXPECT_EQ(rights(alice, version), "r--") << entry.name;
    EXPECT_EQ(rights(carol, version), "---") << entry.name;
    const auto opened = core->open(alice, version, {.read = true});
    ASSERT_TRUE(opened) << opened.error().message;
    core->release(version, opened->handle);
    EXPECT_CODE(core->open(carol, version, {.read = true}), Code::kAccessDenied);
    EXPECT_EQ(get(carol, version, access_), "u::rw-,u:1000:rw-,g::---,g:100:r--,m::rw-,o::---");
    EXPECT_EQ(core->listxattr(carol, version), (std::vector<std::string>{access_}));
    EXPECT_CODE(set(root, version, access_, named_), Code::kReadOnly);
  }
}

TEST_F(AclTest, NobodyComesToVersionsThroughADirectoryThatIsClosedToHim) {
  const Ino directory = mkdir("d", 0777);
  stored(directory, "a", "secret", 0666);
  EXPECT_OK(
      set(root, directory, access_, {{{kUserObj, 7}, {kUser, 0, 1000}, {kGroupObj, 7}, {kMask, 7}, {kOther, 7}}}));
  EXPECT_CODE(core->lookup(alice, directory, ".versions"), Code::kAccessDenied);
  const auto view = core->lookup(bob, directory, ".versions");
  ASSERT_TRUE(view);
  EXPECT_CODE(core->lookup(alice, view->ino, "a"), Code::kAccessDenied);
  EXPECT_CODE(core->opendir(alice, view->ino), Code::kAccessDenied);
}

TEST_F(AclTest, CopiesByRenameAndLinkKeepThem) {
  const Ino directory = mkdir("d", 0777);
  EXPECT_OK(
      set(root, directory, default_, {{{kUserObj, 7}, {kUser, 7, 1000}, {kGroupObj, 5}, {kMask, 7}, {kOther, 0}}}));
  const Ino ino = file("a", 0600);
  EXPECT_OK(set(root, ino, access_, named_));
  const std::string before = get(root, ino, access_);
  EXPECT_OK(rename(bucket, "a", directory, "a"));
  EXPECT_OK(core->link(root, ino, directory, "b"));
  EXPECT_EQ(get(root, ino, access_), before);
  EXPECT_EQ(mode(ino), 0660u);
}

}  // namespace
}  // namespace pailfs::test
