// A bucket "locked" with Object Lock, beside the fixture's own, which has none.
#pragma once

#include <linux/falloc.h>

#include "support/core_fixture.h"

namespace pailfs::test {

inline constexpr Time kSecond = 1'000'000'000;
inline constexpr Time kDay = 86400 * kSecond;

inline PruneOptions everything(bool dry_run = false, bool mfa = false) {
  PruneOptions out;
  out.dry_run = dry_run;
  out.mfa = mfa;
  return out;
}

class LockFixture : public CoreTest {
 protected:
  LockFixture() { EXPECT_OK(core->create_bucket(account, "locked", Versioning::kEnabled, 0777, true)); }

  Ino root_of(const std::string& bucket_name) { return core->bucket_directory(bucket_name).value_or(0); }
  Ino locked() { return root_of("locked"); }
  Ino put(const std::string& name, std::string_view content) {
    const Ino ino = at(locked(), name);
    if (ino == 0) return stored(locked(), name, content);
    write(ino, content);
    return ino;
  }
  std::vector<VersionEntry> versions(const std::string& path, const std::string& in = "locked") {
    auto listed = core->versions(root, in, path);
    return listed ? std::move(*listed) : std::vector<VersionEntry>{};
  }
  std::string id(const std::string& path, size_t which = 0) {
    const auto listed = versions(path);
    return which < listed.size() ? listed[which].id : "";
  }
  Result<VersionEntry> retain(const std::string& path, const std::string& version, LockMode mode, uint32_t days,
                              bool bypass = false) {
    RetentionRequest request;
    request.mode = mode;
    request.days = days;
    request.bypass_governance = bypass;
    return core->set_retention(account, {"locked", path, version}, request);
  }
  void standard(LockMode mode, uint32_t days) {
    EXPECT_OK(core->set_default_retention(account, "locked", {mode, days, 0}));
  }
  // Everything that could remove or alter a version for good, as root: each says why not.
  void expect_every_door_shut(const std::string& path, const std::string& version_name, std::string_view content) {
    const Ino view = place({path});
    EXPECT_CODE(core->unlink(root, view, version_name), Code::kAccessDenied);
    EXPECT_CODE(core->purge_version(root, "locked", path, version_name), Code::kAccessDenied);
    EXPECT_OK(core->prune(root, "locked", {}, everything(), {}));
    EXPECT_CODE(core->purge_bucket(root, "locked", {}), Code::kAccessDenied);
    EXPECT_CODE(core->rmdir(root, kRootIno, "locked"), Code::kNotEmpty);
    EXPECT_CODE(core->set_versioning(root, "locked", Versioning::kSuspended), Code::kNotPermitted);
    EXPECT_CODE(core->set_versioning(root, "locked", Versioning::kOff), Code::kNotPermitted);
    const auto file = core->lookup(root, view, version_name);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_CODE(chmod(root, file->ino, 0600), Code::kReadOnly);
    EXPECT_CODE(core->setxattr(root, file->ino, "user.a", "b", Core::XattrMode::kSet), Code::kReadOnly);
    AttributeChange shorter;
    shorter.size = 0;
    EXPECT_CODE(core->setattr(root, file->ino, shorter), Code::kReadOnly);
    EXPECT_CODE(core->open(root, file->ino, {.write = true}), Code::kReadOnly);
    EXPECT_EQ(text(file->ino), content);
  }
  // The place in .versions of the locked bucket.
  Ino place(const std::vector<std::string>& names) {
    Ino at = locked();
    std::vector<std::string> all{".versions"};
    all.insert(all.end(), names.begin(), names.end());
    for (const std::string& name : all) {
      const auto found = core->lookup(root, at, name);
      EXPECT_OK(found);
      at = found ? found->ino : 0;
    }
    return at;
  }
  std::string text(Ino ino) {
    const auto opened = core->open(root, ino, {.read = true});
    EXPECT_OK(opened);
    if (!opened) return "";
    std::string out(stat(ino).size, '?');
    const auto got = core->read(ino, opened->handle, 0, out);
    EXPECT_OK(got);
    out.resize(got.value_or(0));
    core->release(ino, opened->handle);
    return out;
  }
  std::string text_of(const std::string& path, const std::string& version_name) {
    const auto found = core->lookup(root, place({path}), version_name);
    EXPECT_OK(found);
    return found ? text(found->ino) : "";
  }
  // As restart(), with the clock written down before, as both programs do.
  void reopen() {
    EXPECT_OK(core->keep_retention_clock(true));
    restart();
  }
};

}  // namespace pailfs::test
