// Block Public Access: what each switch takes back, that the store's and the bucket's add up, and that none of them
// ever allows more. Mount tests have it with real users.
#include "core/public_access.h"

#include <random>

#include "core/policy_lint.h"
#include "core/public_report.h"
#include "core/records.h"
#include "support/core_fixture.h"

namespace pailfs::test {
namespace {

constexpr auto kAcls = static_cast<uint8_t>(PublicSwitch::kBlockPublicAcls);
constexpr auto kIgnore = static_cast<uint8_t>(PublicSwitch::kIgnorePublicAcls);
constexpr auto kPolicy = static_cast<uint8_t>(PublicSwitch::kBlockPublicPolicy);
constexpr auto kRestrict = static_cast<uint8_t>(PublicSwitch::kRestrictPublicBuckets);
// A user that every system has, and one without a login.
constexpr uint32_t kDaemon = 1, kAnonymous = 4'000'000'000;

// Of a file with `mode`, with entries for the owning group and AuthenticatedUsers.
std::string acl_value(uint8_t group, uint8_t authenticated, uint8_t mask, uint8_t others) {
  return format_acl({{{AclTag::kUserObj, 7},
                      {AclTag::kGroupObj, group},
                      {AclTag::kGroup, authenticated, kAuthenticatedUsersGid},
                      {AclTag::kMask, mask},
                      {AclTag::kOther, others}}});
}

std::string everybody(const std::string& action, const std::string& effect = "Allow") {
  return R"({"Version":"2012-10-17","Statement":{"Sid":"All","Effect":")" + effect + R"(","Principal":"*","Action":")" +
         action + R"(","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}})";
}

class PublicAccessTest : public CoreTest {
 protected:
  void block(uint8_t switches) { EXPECT_OK(core->put_public_access_block(root, "bucket", switches)); }
  void block_store(uint8_t switches) { EXPECT_OK(core->put_public_access_block(root, "", switches)); }
  std::string read_as(const Caller& caller, Ino ino) { return outcome(core->access(caller, ino, 4)); }
  Status set_acl(Ino ino, const std::string& value, std::string_view name = kAccessAclName) {
    return core->setxattr(root, ino, name, value, Core::XattrMode::kSet);
  }
  uint32_t mode(Ino ino) { return stat(ino).mode & 07777; }

  User daemon_{kDaemon}, anonymous_{kAnonymous};
  const std::string denied_ = code(Code::kAccessDenied);
};

TEST_F(PublicAccessTest, TheRecordComesBackAsItWas) {
  for (uint8_t switches = 1; switches <= kAllPublicSwitches; ++switches) {
    EXPECT_EQ(decode_public_access(encode_public_access(switches)).value_or(0), switches);
  }
  for (const std::string& bad : {std::string(), std::string("\1"), std::string("\1\0", 2), std::string("\1\x10"),
                                 std::string("\2\1"), std::string("\1\1\1")}) {
    EXPECT_EQ(outcome(decode_public_access(bad)), code(Code::kCorrupt));
  }
}

TEST_F(PublicAccessTest, NothingIsBlockedAtFirstAndWhatIsStaysSo) {
  EXPECT_EQ(core->public_access_block(root, "bucket")->in_force, 0);
  EXPECT_EQ(core->public_access_block(root, "")->own, 0);
  block(kAcls | kPolicy);
  block_store(kIgnore);
  restart();
  const auto of_bucket = core->public_access_block(root, "bucket");
  ASSERT_TRUE(of_bucket);
  EXPECT_EQ(of_bucket->own, kAcls | kPolicy);
  EXPECT_EQ(of_bucket->in_force, kAcls | kPolicy | kIgnore);
  EXPECT_EQ(core->public_access_block(root, "")->own, kIgnore);
  EXPECT_OK(core->create_bucket(root, "another", Versioning::kEnabled, 0755));
  EXPECT_EQ(core->public_access_block(root, "another")->in_force, kIgnore);
  expect_sound();
  block(0);
  block_store(0);
  restart();
  EXPECT_EQ(core->public_access_block(root, "bucket")->in_force, 0);
  expect_sound();
}

TEST_F(PublicAccessTest, WhatCannotBeReadBlocksEverything) {
  Transaction tx;
  tx.put(kStoreScope, keys::public_access(), "\1\x7f");
  EXPECT_OK(store->commit(std::move(tx)));
  restart();
  EXPECT_EQ(core->public_access_block(root, "bucket")->in_force, kAllPublicSwitches);
  const auto checked = core->check(false, nullptr);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->problem_count, 1u);
  core.reset();
  EXPECT_OK(Core::repair(*store, kAccount, nullptr));
  restart();
  EXPECT_EQ(core->public_access_block(root, "")->own, kAllPublicSwitches);
  expect_sound();
  block_store(0);
  restart();
  EXPECT_EQ(core->public_access_block(root, "bucket")->in_force, 0);
}

TEST_F(PublicAccessTest, TheSwitchesAreTheAccountsOrWhomAPolicyAllows) {
  EXPECT_EQ(outcome(core->put_public_access_block(daemon_, "bucket", kAcls)), denied_);
  EXPECT_EQ(outcome(core->public_access_block(daemon_, "bucket")), denied_);
  EXPECT_EQ(outcome(core->put_public_access_block(daemon_, "", 0)), denied_);
  EXPECT_EQ(outcome(core->public_access_block(daemon_, "")), denied_);
  EXPECT_OK(core->put_public_access_block(account, "bucket", kAcls));
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:GetBucketPublicAccessBlock")));
  EXPECT_EQ(core->public_access_block(daemon_, "bucket").value_or(Core::PublicAccessBlock{}).own, kAcls);
  EXPECT_EQ(outcome(core->put_public_access_block(daemon_, "bucket", 0)), denied_);
  EXPECT_EQ(outcome(core->public_report(daemon_, "bucket", nullptr)), denied_);
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:PutBucketPublicAccessBlock")));
  EXPECT_OK(core->put_public_access_block(daemon_, "bucket", 0));
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:PutBucketPublicAccessBlock", "Deny")));
  EXPECT_EQ(outcome(core->put_public_access_block(root, "bucket", kAcls)), denied_);
  EXPECT_EQ(outcome(core->put_public_access_block(root, "none", kAcls)), code(Code::kNotFound));
  EXPECT_EQ(outcome(core->put_public_access_block(root, "", 16)), code(Code::kInvalid));
}

TEST_F(PublicAccessTest, NothingPublicIsAdded) {
  const Ino shown = file("shown", 0664);
  const Ino hidden = file("hidden", 0660);
  block(kAcls);
  EXPECT_EQ(outcome(chmod(root, hidden, 0664)), denied_);
  EXPECT_EQ(outcome(chmod(root, hidden, 0661)), denied_);
  EXPECT_EQ(outcome(chmod(root, shown, 0666)), denied_);
  EXPECT_OK(chmod(root, hidden, 0770));
  EXPECT_OK(chmod(root, shown, 0774));  // adds nothing to the public
  EXPECT_OK(chmod(root, shown, 0640));
  EXPECT_EQ(outcome(chmod(root, shown, 0644)), denied_);
  EXPECT_EQ(mode(shown), 0640u);
  block(0);
  EXPECT_OK(chmod(root, shown, 0644));
}

TEST_F(PublicAccessTest, NorByAnAcl) {
  const Ino ino = file("file", 0664), directory = mkdir("directory", 0770);
  block(kAcls);
  EXPECT_OK(set_acl(ino, acl_value(6, 0, 6, 4)));
  EXPECT_EQ(outcome(set_acl(ino, acl_value(6, 0, 6, 6))), denied_);
  EXPECT_EQ(outcome(set_acl(ino, acl_value(6, 4, 6, 4))), denied_);
  EXPECT_OK(set_acl(ino, acl_value(6, 0, 6, 0)));
  EXPECT_EQ(outcome(set_acl(ino, acl_value(6, 0, 6, 4))), denied_);
  EXPECT_OK(set_acl(ino, acl_value(6, 4, 2, 0)));       // the mask leaves nothing of it
  EXPECT_EQ(outcome(chmod(root, ino, 0660)), denied_);  // and here it would
  EXPECT_EQ(outcome(set_acl(directory, acl_value(7, 0, 7, 5), kDefaultAclName)), denied_);
  EXPECT_EQ(outcome(set_acl(directory, acl_value(7, 5, 7, 0), kDefaultAclName)), denied_);
  EXPECT_OK(set_acl(directory, acl_value(7, 0, 7, 0), kDefaultAclName));
  EXPECT_OK(core->removexattr(root, directory, kDefaultAclName));
}

TEST_F(PublicAccessTest, WhatIsMadeIsNotPublic) {
  const Ino directory = mkdir("directory", 0777);
  EXPECT_OK(set_acl(directory, acl_value(7, 7, 7, 5), kDefaultAclName));
  block_store(kAcls);
  EXPECT_EQ(mode(file("file", 0666)), 0660u);
  EXPECT_EQ(mode(mkdir("made", 01777)), 01770u);
  EXPECT_EQ(mode(stored(bucket, "stored", "content", 0755)), 0750u);
  const auto unnamed = core->create_unnamed(root, bucket, 0666, {.write = true}, true);
  ASSERT_TRUE(unnamed);
  EXPECT_EQ(unnamed->attributes.mode & 07777, 0660u);
  core->release(unnamed->attributes.ino, unnamed->open.handle);
  const auto link = core->symlink(root, bucket, "link", "file");
  ASSERT_TRUE(link);
  EXPECT_EQ(link->mode & 07777, 0777u);
  const Ino below = mkdir(directory, "below", 0777, root);
  for (const std::string_view name : {kAccessAclName, kDefaultAclName}) {
    const auto value = core->getxattr(root, below, name);
    ASSERT_TRUE(value) << name;
    const Acl acl = *parse_acl(*value);
    EXPECT_FALSE(public_grant(acl_mode(acl), &acl).any()) << name;
  }
  EXPECT_EQ(mode(below) & 7, 0u);
  EXPECT_EQ(mode(file(directory, "inherits", 0666, root)) & 7, 0u);
  EXPECT_OK(core->create_bucket(root, "another", Versioning::kEnabled, 0777));
  EXPECT_EQ(mode(*core->bucket_directory("another")), 0770u);
  EXPECT_EQ(mode(directory), 0777u);  // what is there stays as it is
  expect_sound();
}

TEST_F(PublicAccessTest, WhatIsPublicDoesNotCount) {
  const Ino ino = file("file", 0664), directory = mkdir("directory", 0755);
  EXPECT_OK(chown(root, ino, 1000, 100));
  EXPECT_OK(set_acl(directory, acl_value(7, 7, 7, 7)));
  EXPECT_TRUE(core->open_to_all(directory));
  EXPECT_EQ(read_as(daemon_, ino), "ok");
  for (const bool whole_store : {false, true}) {
    whole_store ? block_store(kIgnore) : block(kIgnore);
    EXPECT_EQ(read_as(daemon_, ino), denied_);
    EXPECT_EQ(read_as(alice, ino), "ok");    // owns it
    EXPECT_EQ(read_as(bob, ino), "ok");      // by the group
    EXPECT_EQ(read_as(root, ino), "ok");     //
    EXPECT_EQ(read_as(account, ino), "ok");  // its own store
    EXPECT_EQ(read_as(daemon_, directory), denied_);
    EXPECT_FALSE(core->open_to_all(directory));
    EXPECT_FALSE(core->open_to_all(bucket));
    EXPECT_TRUE(core->open_to_all(kRootIno));  // no bucket
    EXPECT_EQ(outcome(core->lookup(daemon_, bucket, "file")), denied_);
    EXPECT_OK(core->lookup(daemon_, kRootIno, "bucket"));
    block_store(0);
    block(0);
  }
  // In an ACL, too, for others and for everybody with a login; the mask and the groups are as ever.
  EXPECT_OK(set_acl(ino, acl_value(4, 6, 6, 6)));
  EXPECT_EQ(read_as(daemon_, ino), "ok");
  User authenticated(2, {kAuthenticatedUsersGid}), grouped(2, {100, kAuthenticatedUsersGid});
  EXPECT_EQ(read_as(authenticated, ino), "ok");
  block(kIgnore);
  EXPECT_EQ(read_as(daemon_, ino), denied_);
  EXPECT_EQ(read_as(authenticated, ino), denied_);
  EXPECT_EQ(read_as(grouped, ino), "ok");
}

TEST_F(PublicAccessTest, NoPublicPolicyIsPut) {
  block(kPolicy);
  const Status refused = core->put_bucket_policy(root, "bucket", everybody("s3:GetObject"));
  EXPECT_EQ(outcome(refused), denied_);
  EXPECT_NE(refused.error().message.find("statement 1 (\"All\")"), std::string::npos) << refused.error().message;
  EXPECT_EQ(outcome(core->setxattr(root, bucket, "user.s3.policy", everybody("s3:GetObject"), Core::XattrMode::kSet)),
            denied_);
  EXPECT_EQ(outcome(core->bucket_policy(root, "bucket")), code(Code::kNoData));
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:GetObject", "Deny")));
  EXPECT_OK(core->delete_bucket_policy(root, "bucket"));
  block(0);
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:GetObject")));
  block(kPolicy);  // what there is stays
  EXPECT_OK(core->bucket_policy(root, "bucket"));
}

TEST_F(PublicAccessTest, APublicPolicyCountsForTheAccountOnly) {
  const Ino ino = file("file", 0600), directory = mkdir("directory", 0700);
  file(directory, "below", 0600, root);
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:*")));
  EXPECT_EQ(read_as(anonymous_, ino), "ok");
  EXPECT_OK(core->lookup(anonymous_, directory, "below"));
  block(kRestrict);
  EXPECT_EQ(read_as(anonymous_, ino), denied_);
  EXPECT_EQ(outcome(core->lookup(anonymous_, directory, "below")), denied_);
  EXPECT_EQ(read_as(daemon_, ino), "ok");
  EXPECT_EQ(outcome(core->public_access_block(anonymous_, "bucket")), denied_);
  // A policy that is not public counts for whom it names.
  EXPECT_OK(core->put_bucket_policy(
      root, "bucket",
      R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",)"
      R"("Resource":"arn:aws:s3:::bucket/*","Condition":{"NumericEquals":{"pail:uid":"4000000000"}}}})"));
  EXPECT_EQ(read_as(anonymous_, ino), "ok");
  // Denials hold as ever.
  EXPECT_OK(chmod(root, ino, 0604));
  EXPECT_OK(core->put_bucket_policy(
      root, "bucket",
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject",)"
      R"("Resource":"arn:aws:s3:::bucket/*"},{"Effect":"Deny","Principal":"*","Action":"s3:GetObject",)"
      R"("Resource":"arn:aws:s3:::bucket/*"}]})"));
  EXPECT_EQ(read_as(anonymous_, ino), denied_);
  EXPECT_EQ(read_as(daemon_, ino), denied_);
}

TEST_F(PublicAccessTest, TheReportSaysWhatIsPublicAndWhy) {
  file("closed", 0660);
  file("shown", 0664);
  const Ino by_acl = file("by-acl", 0660);
  EXPECT_OK(set_acl(by_acl, acl_value(6, 4, 6, 0)));
  EXPECT_OK(core->symlink(root, bucket, "link", "shown"));
  const Ino directory = mkdir("directory", 0751);
  file(directory, "deep", 0602, root);
  for (int i = 0; i < 20; ++i) file("more" + std::to_string(i), 0604);
  auto report = core->public_report(root, "bucket", nullptr);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->has_policy);
  EXPECT_EQ(report->objects, 24u);
  EXPECT_EQ(report->directories, 2u);
  EXPECT_EQ(report->public_objects, 23u);
  EXPECT_EQ(report->public_directories, 2u);
  ASSERT_EQ(report->places.size(), PublicReport::kPlaces);
  EXPECT_EQ(report->places[0].path, "");
  EXPECT_TRUE(report->places[0].directory);
  EXPECT_EQ(report->places[1].path, "shown");
  EXPECT_EQ(report->places[1].others, 4u);
  EXPECT_EQ(report->places[2].path, "by-acl");
  EXPECT_EQ(report->places[2].others, 0u);
  EXPECT_EQ(report->places[2].authenticated, 4u);
  EXPECT_EQ(report->places[3].path, "directory");
  EXPECT_EQ(report->places[3].mode, 0751u);
  EXPECT_EQ(report->places[4].path, "directory/deep");
  EXPECT_OK(core->put_bucket_policy(root, "bucket", everybody("s3:GetObject")));
  block(kAcls);
  block_store(kRestrict);
  report = core->public_report(account, "bucket", nullptr);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->has_policy);
  EXPECT_EQ(report->public_statement, "statement 1 (\"All\")");
  EXPECT_EQ(report->own, kAcls);
  EXPECT_EQ(report->in_force, kAcls | kRestrict);
}

// --- Lint, with the bucket and the users that there are

std::string words(const Result<PolicyLint>& lint) {
  if (!lint) return lint.error().message;
  std::string text;
  for (const PolicyLint::Finding& finding : lint->findings) {
    text += std::to_string(finding.line) + ": " + finding.message;
    if (finding.files != 0) text += ": " + std::to_string(finding.files);
    for (const std::string& path : finding.paths) text += " " + path;
    text += "\n";
  }
  return text;
}

TEST_F(PublicAccessTest, LintFindsWhereModesAndThePolicyDisagree) {
  const Ino directory = mkdir("directory", 0755);
  file("open", 0644);
  file(directory, "closed", 0600, root);
  const Ino owned = file(directory, "owned", 0600, root);
  EXPECT_OK(chown(root, owned, kDaemon, kDaemon));
  EXPECT_EQ(words(core->lint_bucket_policy(root, "bucket", nullptr)), "");
  const std::string user = "\"arn:aws:iam::" + core->account_id() + ":user/";
  const auto lint = [&](const std::string& statement) {
    EXPECT_OK(
        core->put_bucket_policy(root, "bucket", "{\"Version\":\"2012-10-17\",\"Statement\":\n[" + statement + "]}"));
    return words(core->lint_bucket_policy(root, "bucket", nullptr));
  };
  const std::string everything = R"("Resource":"arn:aws:s3:::bucket/*"})";
  const auto of = [&](const std::string& effect, const std::string& who, const std::string& action) {
    return "{\"Effect\":\"" + effect + "\",\"Principal\":" + who + ",\"Action\":\"s3:" + action + "\"," + everything;
  };
  EXPECT_EQ(lint(of("Allow", "{\"AWS\":" + user + "daemon\"}", "GetObject")),
            "2: allows user daemon to read what modes and ACLs do not: 1 directory/closed\n");
  EXPECT_EQ(lint(of("Deny", "{\"AWS\":" + user + "daemon\"}", "*Object")),
            "2: denies user daemon to read what modes allow to all others: 1 open\n"
            "2: s3:GetObject is denied and s3:GetObjectVersion is not: what is below .versions can still be read\n");
  EXPECT_EQ(lint(of("Allow", "\"*\"", "PutObject")),
            "2: allows everybody to write what modes and ACLs do not: 3 open directory/closed directory/owned\n"
            "2: public: this is for everybody, anonymous callers too\n");
  EXPECT_EQ(lint(of("Allow", "{\"AWS\":" + user + "nobody-by-that-name\"}", "GetObject")),
            "2: no user of this machine has the login name nobody-by-that-name\n");
  EXPECT_EQ(lint(of("Allow", "{\"AWS\":\"000000000001\"}", "GetObject")),
            "2: nobody is of account 000000000001: that of this store is " + core->account_id() + "\n");
  const auto counted = core->lint_bucket_policy(root, "bucket", nullptr);
  EXPECT_TRUE(counted->has_policy);
  EXPECT_EQ(outcome(core->lint_bucket_policy(daemon_, "bucket", nullptr)), denied_);
}

// --- Never more than without

class RandomAccess {
 public:
  explicit RandomAccess(uint64_t seed) : random_(seed) {}
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  std::string policy() {
    std::string text;
    for (uint32_t i = 0, count = 1 + below(3); i < count; ++i) {
      const char* const principals[] = {"\"Principal\":\"*\"", R"("Principal":{"AWS":"*"})",
                                        R"("NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/bin"})",
                                        R"("Principal":{"AWS":"111122223333"})"};
      const char* const actions[] = {"s3:*", "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:PutObjectAcl"};
      const char* const resources[] = {"arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a",
                                       "arn:aws:s3:::bucket/d/*"};
      const char* const conditions[] = {"", "", R"(,"Condition":{"NumericEquals":{"pail:uid":"4000000000"}})",
                                        R"(,"Condition":{"StringEquals":{"pail:door":"fuse"}})"};
      text += text.empty() ? "" : ",";
      text += std::string(R"({"Effect":")") + (below(3) == 0 ? "Deny" : "Allow") + "\"," + principals[below(4)] +
              ",\"Action\":\"" + actions[below(5)] + "\",\"Resource\":[\"" + resources[below(4)] + "\",\"" +
              resources[below(4)] + "\"]" + conditions[below(4)] + "}";
    }
    return R"({"Version":"2012-10-17","Statement":[)" + text + "]}";
  }

 private:
  std::mt19937_64 random_;
};

TEST_F(PublicAccessTest, NeverAllowsMore) {
  RandomAccess random(20261128);
  const Ino directory = mkdir("d", 0777);
  const std::vector<Ino> inodes{bucket, directory, file("a"), file(directory, "b", 0666, root)};
  User bin(2, {100, kAuthenticatedUsersGid}), owner(1000, {100});
  const std::vector<const Caller*> callers{&anonymous_.caller, &daemon_.caller, &bin.caller,
                                           &owner.caller,      &account.caller, &root.caller};
  constexpr std::array kActions{Action::kListBucket,       Action::kGetObject,
                                Action::kPutObject,        Action::kDeleteObject,
                                Action::kPutObjectAcl,     Action::kListBucketVersions,
                                Action::kGetObjectVersion, Action::kPutBucketPublicAccessBlock};
  constexpr std::array kNeeds{Need::kNothing, Need::kSearch,          Need::kRead,      Need::kWrite,
                              Need::kExecute, Need::kChangeDirectory, Need::kRemove,    Need::kOwner,
                              Need::kChown,   Need::kOwnerOrWrite,    Need::kReadWrite, Need::kAccount};
  int taken_back = 0, allowed_still = 0;
  for (int round = 0; round < 40; ++round) {
    EXPECT_OK(core->delete_bucket_policy(root, "bucket"));
    block(0);
    block_store(0);
    std::vector<Attributes> objects;
    for (const Ino ino : inodes) {
      EXPECT_OK(chown(root, ino, random.below(2) * 1000, random.below(2) * 100));
      EXPECT_OK(core->removexattr(root, ino, kAccessAclName));
      if (random.below(2) == 0) {
        const auto bits = [&] { return static_cast<uint8_t>(random.below(8)); };
        EXPECT_OK(set_acl(ino, acl_value(bits(), bits(), bits(), bits())));
      } else {
        EXPECT_OK(chmod(root, ino, random.below(01000)));
      }
      objects.push_back(stat(ino));
    }
    const bool with_policy = random.below(3) != 0;
    if (with_policy) EXPECT_OK(core->put_bucket_policy(root, "bucket", random.policy()));
    const auto answers = [&] {
      std::vector<bool> out;
      for (const Attributes& attributes : objects) {
        for (const Caller* const caller : callers) {
          for (const Action action : kActions) {
            for (const Need need : kNeeds) {
              AccessRequest request{*caller, action, need, attributes};
              if (need == Need::kRemove) request.victim = &attributes;
              if (need == Need::kChown) request.new_gid = 100;
              out.push_back(core->gate().check(request).has_value());
            }
          }
          out.push_back(core->lookup(*caller, attributes.ino, "b").has_value());
        }
      }
      return out;
    };
    const std::vector<bool> before = answers();
    if (random.below(2) == 0) {
      block(static_cast<uint8_t>(1 + random.below(15)));
    } else {
      block_store(static_cast<uint8_t>(1 + random.below(15)));
    }
    const std::vector<bool> after = answers();
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      ASSERT_TRUE(before[i] || !after[i]) << "round " << round << ", answer " << i;
      taken_back += before[i] && !after[i] ? 1 : 0;
      allowed_still += after[i] ? 1 : 0;
    }
  }
  EXPECT_GT(taken_back, 400);
  EXPECT_GT(allowed_still, 4000);
}

}  // namespace
}  // namespace pailfs::test
