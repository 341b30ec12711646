// S3's documented rules for versioning, as a table of cases: what is done to one key, and what its versions are then.
// Amazon S3 user guide: "How S3 Versioning works", "Working with objects in a versioning-enabled bucket", "Working with
// objects in a versioning-suspended bucket", "Working with delete markers", "Removing delete markers".
#include <fmt/format.h>

#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

struct Case {
  const char* rule;
  // One letter per step: E and S enable and suspend versioning; p puts the key, r puts it by renaming another file over
  // it, d deletes it; digits remove that version for good, counted from the newest (0).
  const char* steps;
  // The versions, newest first: v a version with an id, n the null version, D and N delete markers. Behind each its
  // content, by number of the put. A * follows the one that the key shows.
  const char* versions;
};

constexpr Case kCases[] = {
    {"enabled: every put adds a version", "Eppp", "v3*v2v1"},
    {"enabled: a delete adds a marker, and nothing goes", "Eppd", "Dv2v1"},
    {"enabled: a put after a delete adds a version over the marker", "Eppdp", "v3*Dv2v1"},
    {"enabled: deleting a deleted key adds nothing that a file system could do", "Epd", "Dv1"},
    {"enabled: removing an older version leaves the others", "Eppp1", "v3*v1"},
    {"enabled: removing the newest marker undeletes", "Eppd0", "v2*v1"},
    {"enabled: removing a marker below a version changes nothing else", "Epdp1", "v2*v1"},
    {"enabled: removing every version of a deleted key leaves the marker alone", "Epd1", "D"},
    {"enabled: a marker without versions goes", "Epd10", ""},
    {"enabled: removing the version below a marker uncovers the one before it", "Eppd10", "v1*"},
    {"enabled: twice deleted, once undeleted, is as before", "Epdpd0", "v2*Dv1"},
    {"off, then enabled: what was there has the null id and stays", "pEp", "v2*n1"},
    {"off, then enabled: a delete leaves the null version", "pEd", "Dn1"},
    {"off: a put replaces the null version", "pp", "n2*"},
    {"suspended: a put gets the null id", "Sp", "n1*"},
    {"suspended: a put replaces the null version", "Spp", "n2*"},
    {"suspended: a put leaves versions with ids", "EpSp", "n2*v1"},
    {"suspended: a second put replaces only the null version", "EppSpp", "n4*v2v1"},
    {"suspended: null from before enabling is replaced as well", "pEpSp", "n3*v2"},
    {"suspended: a delete removes the null version, and adds a null marker", "Spd", "N"},
    {"suspended: a delete leaves versions with ids, and adds a null marker", "EpSd", "Nv1"},
    {"suspended: a delete removes the null version only", "EpSpd", "Nv1"},
    {"suspended: a put replaces the null marker", "EpSdp", "n2*v1"},
    {"suspended: a second delete has nothing to add", "EpSdpd", "Nv1"},
    {"suspended: a put by renaming replaces the null version too", "Spr", "n2*"},
    {"suspended: a put by renaming leaves versions with ids", "EpSpr", "n3*v1"},
    {"suspended: removing the null marker undeletes", "EpSd0", "v1*"},
    {"suspended, then enabled: the null version stays as an older one", "EpSpEp", "v3*n2v1"},
    {"suspended, then enabled: a null marker stays as well", "EpSdEp", "v2*Nv1"},
    {"suspended again: the null version below is replaced", "EpSpEpSp", "n4*v3v1"},
    {"suspended again: a delete removes the null version below", "EpSpEpSd", "Nv3v1"},
    {"enabled: a put by renaming adds a version", "Eppr", "v3*v2v1"},
};

class S3Versioning : public testing::TestWithParam<Case> {
 protected:
  S3Versioning() : f_(Versioning::kOff) {}

  void put_by_renaming() {
    f_.put("temporary", fmt::format("{}", ++puts_));
    EXPECT_OK(f_.core->rename(f_.root, f_.bucket, "temporary", f_.bucket, "key", RenameMode::kReplace));
  }
  void remove(size_t index) {
    const auto versions = f_.versions("key");
    ASSERT_LT(index, versions.size());
    EXPECT_OK(f_.core->purge_version(f_.root, "bucket", "key", versions[index].name));
  }
  void step(char what) {
    f_.env.advance(1'000'000);
    switch (what) {
      case 'E':
        EXPECT_OK(f_.core->set_versioning(f_.root, "bucket", Versioning::kEnabled));
        break;
      case 'S':
        EXPECT_OK(f_.core->set_versioning(f_.root, "bucket", Versioning::kSuspended));
        break;
      case 'p':
        f_.put("key", fmt::format("{}", ++puts_));
        break;
      case 'r':
        put_by_renaming();
        break;
      case 'd':
        EXPECT_OK(f_.core->unlink(f_.root, f_.bucket, "key"));
        break;
      default:
        remove(static_cast<size_t>(what - '0'));
    }
  }
  std::string shown() {
    std::string text;
    for (const VersionEntry& entry : f_.versions("key")) {
      const bool null = entry.id == "null";
      if (entry.marker) {
        text += null ? 'N' : 'D';
      } else {
        text += null ? 'n' : 'v';
        text += f_.content(f_.lookup(f_.versions_of({"key"}), entry.name));
        if (entry.current) text += '*';
      }
    }
    return text;
  }

  ContentFixture f_;
  int puts_ = 0;
};

TEST_P(S3Versioning, AsDocumented) {
  const Case& one = GetParam();
  for (const char* what = one.steps; *what != '\0'; ++what) step(*what);
  EXPECT_EQ(shown(), one.versions) << one.rule << " (" << one.steps << ")";
  const std::string_view versions = one.versions;
  const size_t star = versions.find('*');
  const auto found = f_.core->lookup(f_.root, f_.bucket, "key");
  ASSERT_EQ(found.has_value(), star != versions.npos) << one.rule;
  if (found) {
    EXPECT_EQ(f_.content(found->ino), std::string(1, versions[star - 1])) << one.rule;
  }
  f_.expect_sound();
  f_.restart();
  EXPECT_EQ(shown(), one.versions) << "after a restart";
}

INSTANTIATE_TEST_SUITE_P(Rules, S3Versioning, testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.steps); });

TEST(S3Attributes, AnswerByNameAndAreNeverListed) {
  ContentFixture f;
  f.put("key", "one");
  f.put("key", "two");
  const Ino ino = f.lookup(f.bucket, "key");
  const auto of = [&](Ino object, const char* name) { return f.core->getxattr(f.root, object, name).value_or("none"); };
  const auto versions = f.versions("key");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(of(ino, "user.s3.version-id"), versions[0].id);
  EXPECT_EQ(of(ino, "user.s3.is-latest"), "true");
  const Ino older = f.lookup(f.versions_of({"key"}), versions[1].name);
  const Ino newest = f.lookup(f.versions_of({"key"}), versions[0].name);
  EXPECT_EQ(of(older, "user.s3.version-id"), versions[1].id);
  EXPECT_EQ(of(older, "user.s3.is-latest"), "false");
  EXPECT_EQ(of(newest, "user.s3.is-latest"), "true");
  const std::string etag = of(ino, "user.s3.etag");
  EXPECT_EQ(etag.size(), 34u);
  EXPECT_TRUE(etag.ends_with("-1"));
  EXPECT_EQ(of(newest, "user.s3.etag"), etag);
  EXPECT_NE(of(older, "user.s3.etag"), etag);
  for (const Ino object : {ino, older}) {
    EXPECT_TRUE(f.core->listxattr(f.root, object).value_or(std::vector<std::string>{"?"}).empty());
  }
  // Attributes make no version, and change no ETag.
  AttributeChange change;
  change.mode = 0600;
  EXPECT_OK(f.core->setattr(f.root, ino, change));
  EXPECT_EQ(of(ino, "user.s3.etag"), etag);
  EXPECT_EQ(f.core->setxattr(f.root, ino, "user.s3.version-id", "x", Core::XattrMode::kSet).error().code,
            Code::kNotPermitted);
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "key"));
  const auto deleted = f.versions("key");
  ASSERT_EQ(deleted.size(), 3u);
  const Ino marker = f.lookup(f.versions_of({"key"}), deleted[0].name);
  EXPECT_EQ(of(marker, "user.s3.version-id"), deleted[0].id);
  EXPECT_EQ(of(marker, "user.s3.is-latest"), "true");
  EXPECT_EQ(of(marker, "user.s3.etag"), "none");
}

TEST(S3Attributes, ABucketsVersioningIsOneOfThem) {
  ContentFixture f;
  const auto get = [&] { return f.core->getxattr(f.root, f.bucket, "user.s3.versioning").value_or("none"); };
  const auto set = [&](const char* value) {
    const Status done = f.core->setxattr(f.root, f.bucket, "user.s3.versioning", value, Core::XattrMode::kSet);
    return done ? Code::kInterrupted : done.error().code;
  };
  EXPECT_EQ(get(), "Enabled");
  EXPECT_EQ(set("Suspended"), Code::kInterrupted);
  EXPECT_EQ(get(), "Suspended");
  EXPECT_EQ(set("Off"), Code::kInvalid);
  EXPECT_EQ(set("enabled"), Code::kInterrupted);
  Caller other;
  other.uid = 1000;
  EXPECT_EQ(f.core->setxattr(other, f.bucket, "user.s3.versioning", "Suspended", Core::XattrMode::kSet).error().code,
            Code::kAccessDenied);
  EXPECT_EQ(get(), "Enabled");
  f.put("key", "x");
  EXPECT_FALSE(f.core->getxattr(f.root, f.lookup(f.bucket, "key"), "user.s3.versioning"));
}

}  // namespace
}  // namespace pailfs::test
