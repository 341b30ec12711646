// Object Lock on a core: what gets which lock, and that no door leads past it.
#include "core/records.h"
#include "unit/core_lock/lock_fixture.h"

namespace pailfs::test {
namespace {

using ObjectLock = LockFixture;

TEST_F(ObjectLock, NeedsVersioningAndStays) {
  EXPECT_CODE(core->create_bucket(account, "other", Versioning::kSuspended, 0777, true), Code::kInvalid);
  EXPECT_CODE(core->bucket_directory("other"), Code::kNotFound);
  EXPECT_TRUE(core->bucket(root, "locked")->object_lock);
  EXPECT_FALSE(core->bucket(root, "bucket")->object_lock);
  EXPECT_OK(core->set_versioning(account, "bucket", Versioning::kSuspended));
  EXPECT_CODE(core->enable_object_lock(account, "bucket"), Code::kInvalid);
  EXPECT_OK(core->set_versioning(account, "bucket", Versioning::kEnabled));
  EXPECT_CODE(core->enable_object_lock(alice, "bucket"), Code::kAccessDenied);
  EXPECT_OK(core->enable_object_lock(account, "bucket"));
  EXPECT_OK(core->enable_object_lock(account, "bucket"));
  EXPECT_CODE(core->set_versioning(account, "bucket", Versioning::kSuspended), Code::kNotPermitted);
  restart();
  EXPECT_TRUE(core->bucket(root, "bucket")->object_lock);
  EXPECT_CODE(core->set_versioning(root, "bucket", Versioning::kOff), Code::kNotPermitted);
}

TEST_F(ObjectLock, ABucketWithoutItTakesNoLocks) {
  stored(bucket, "file", "text");
  RetentionRequest request;
  request.mode = LockMode::kGovernance;
  request.days = 1;
  EXPECT_CODE(core->set_retention(account, {"bucket", "file"}, request), Code::kInvalid);
  EXPECT_CODE(core->set_legal_hold(account, {"bucket", "file"}, true), Code::kInvalid);
  EXPECT_CODE(core->set_default_retention(account, "bucket", {LockMode::kGovernance, 1, 0}), Code::kInvalid);
}

TEST_F(ObjectLock, ADefaultIsForVersionsSealedWhileItHolds) {
  put("file", "before");
  standard(LockMode::kGovernance, 2);
  put("file", "while");
  standard(LockMode::kCompliance, 3);
  put("file", "later");
  standard(LockMode::kNone, 0);
  put("file", "after");
  const auto listed = versions("file");
  ASSERT_EQ(listed.size(), 4u);
  const Time now = *core->retention_time();
  EXPECT_EQ(listed[0].retention, Retention());
  EXPECT_EQ(listed[1].retention, (Retention{LockMode::kCompliance, now + 3 * kDay}));
  EXPECT_EQ(listed[2].retention, (Retention{LockMode::kGovernance, now + 2 * kDay}));
  EXPECT_EQ(listed[3].retention, Retention());
  EXPECT_TRUE(listed[1].locked && listed[2].locked);
  EXPECT_FALSE(listed[0].locked || listed[3].locked);
  restart();
  EXPECT_EQ(versions("file")[1].retention, listed[1].retention);
  expect_sound();
}

TEST_F(ObjectLock, ADefaultIsForSymbolicLinksAndWhatIsRestored) {
  put("file", "old");
  put("file", "new");
  const std::string old = id("file", 1);
  standard(LockMode::kCompliance, 5);
  EXPECT_OK(core->symlink(root, locked(), "link", "target"));
  EXPECT_EQ(versions("link").at(0).retention.mode, LockMode::kCompliance);
  EXPECT_OK(core->restore_version(root, "locked", "file", old));
  const auto listed = versions("file");
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[0].retention.mode, LockMode::kCompliance);
  EXPECT_EQ(listed[1].retention, Retention());
}

// What is restored is locked with its name: without one it goes.
TEST_F(ObjectLock, ARestoredLinkThatGetsNoNameIsNotLocked) {
  EXPECT_OK(core->symlink(root, locked(), "link", "target"));
  EXPECT_OK(core->unlink(root, locked(), "link"));
  EXPECT_OK(core->mkdir(root, locked(), "link", 0755));
  standard(LockMode::kCompliance, 3000);
  const auto before = versions("link");
  ASSERT_EQ(before.size(), 2u);
  EXPECT_CODE(core->restore_version(root, "locked", "link", before[1].name), Code::kIsDirectory);
  EXPECT_FALSE(store->view().seek_key(keys::orphan(0), keys::orphan(~uint64_t{0} >> 1)).value());
  EXPECT_OK(core->rmdir(root, locked(), "link"));
  EXPECT_OK(core->restore_version(root, "locked", "link", before[1].name));
  EXPECT_EQ(versions("link").at(0).retention.mode, LockMode::kCompliance);
  EXPECT_EQ(core->readlink(root, at(locked(), "link")).value_or(""), "target");
  expect_sound();
}

TEST_F(ObjectLock, ASimpleDeleteMakesAMarkerAndTheVersionStays) {
  standard(LockMode::kCompliance, 10);
  put("file", "content");
  EXPECT_OK(core->unlink(alice, locked(), "file"));
  const auto listed = versions("file");
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_TRUE(listed[0].marker);
  EXPECT_FALSE(listed[0].locked);
  expect_every_door_shut("file", listed[1].name, "content");
  // A marker is never locked, and cannot be.
  EXPECT_CODE(retain("file", "", LockMode::kGovernance, 1), Code::kInvalid);
  EXPECT_CODE(core->set_legal_hold(account, {"locked", "file"}, true), Code::kInvalid);
  expect_sound();
}

TEST_F(ObjectLock, WhatIsOverHoldsNothingUp) {
  standard(LockMode::kCompliance, 10);
  put("file", "content");
  EXPECT_OK(core->unlink(root, locked(), "file"));
  const std::string version = id("file", 1);
  env.advance(10 * kDay - kSecond);
  EXPECT_CODE(core->purge_version(root, "locked", "file", version), Code::kAccessDenied);
  env.advance(2 * kSecond);
  EXPECT_OK(core->purge_version(account, "locked", "file", version));
  EXPECT_OK(core->purge_bucket(account, "locked", {}));
  EXPECT_CODE(core->bucket_directory("locked"), Code::kNotFound);
  expect_sound();
}

TEST_F(ObjectLock, AnOlderVersionIsLockedAsTheNewestIs) {
  put("file", "old");
  put("file", "middle");
  put("file", "new");
  const auto listed = versions("file");
  EXPECT_OK(retain("file", listed[2].id, LockMode::kCompliance, 5));
  EXPECT_OK(retain("file", "", LockMode::kGovernance, 5));
  expect_every_door_shut("file", listed[2].name, "old");
  // The one between was not locked: the prune took it.
  const auto left = versions("file");
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[0].retention.mode, LockMode::kGovernance);
  expect_sound();
}

TEST_F(ObjectLock, PruneSaysHowManyStay) {
  standard(LockMode::kGovernance, 5);
  for (const char* text : {"1", "2", "3"}) put("file", text);
  standard(LockMode::kNone, 0);
  put("file", "4");
  put("file", "5");
  for (const bool dry : {true, false}) {
    const auto pruned = core->prune(account, "locked", {}, everything(dry), {});
    ASSERT_TRUE(pruned) << pruned.error().message;
    EXPECT_EQ(pruned->locked, 3u) << dry;
    EXPECT_EQ(pruned->versions, 1u) << dry;
  }
  EXPECT_EQ(versions("file").size(), 4u);
  env.advance(6 * kDay);
  const auto pruned = core->prune(account, "locked", {}, {}, {});
  EXPECT_EQ(pruned->locked, 0u);
  EXPECT_EQ(pruned->versions, 3u);
  expect_sound();
}

// Writing through whatever is open, and every other call that changes content, begins a new version.
TEST_F(ObjectLock, NoCallWritesIntoALockedVersion) {
  standard(LockMode::kCompliance, 5);
  const auto made = core->create(root, locked(), "file", 0644, {.read = true, .write = true});
  ASSERT_TRUE(made);
  const Ino ino = made->attributes.ino;
  const uint64_t handle = made->open.handle;
  const std::string content(20'000, 'a');
  EXPECT_OK(core->write(ino, handle, 0, content, false));
  EXPECT_OK(core->flush(ino, handle));  // one of several descriptors is closed
  const std::string sealed = versions("file").at(0).name;
  AttributeChange shorter;
  shorter.size = 5;
  shorter.handle = handle;
  const std::vector<std::function<Status()>> changes{
      [&] { return core->write(ino, handle, 0, "written", false); },
      [&] { return core->write(ino, handle, 4096, "from a mapping", true); },
      [&] { return core->fallocate(ino, handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096); },
      [&] { return core->fallocate(ino, handle, FALLOC_FL_ZERO_RANGE, 0, 30'000); },
      [&] { return core->fallocate(ino, handle, 0, 0, 40'000); },
      [&]() -> Status {
        const auto copied = core->copy_range({ino, handle, 8192}, {ino, handle, 0}, 4096);
        if (!copied) return std::unexpected(copied.error());
        return {};
      },
      [&]() -> Status {
        const auto changed = core->setattr(root, ino, shorter);
        if (!changed) return std::unexpected(changed.error());
        return {};
      },
  };
  size_t count = 1;
  for (const auto& change : changes) {
    EXPECT_OK(change());
    EXPECT_OK(core->flush(ino, handle));
    EXPECT_EQ(versions("file").size(), ++count);
    EXPECT_EQ(text_of("file", sealed), content);
  }
  // truncate(2), and open(2) with O_TRUNC, without that handle.
  core->release(ino, handle);
  AttributeChange empty;
  empty.size = 0;
  EXPECT_OK(core->setattr(root, ino, empty));
  const auto opened = core->open(root, ino, {.write = true, .truncate = true});
  EXPECT_OK(opened);
  core->release(ino, opened->handle);
  EXPECT_EQ(text_of("file", sealed), content);
  for (const VersionEntry& version : versions("file")) EXPECT_TRUE(version.locked);
  expect_sound();
}

// A RELEASE of a file that was closed long ago, while somebody else writes it: half a change is no version.
TEST_F(ObjectLock, ALateReleaseSealsNothingOfWhatOthersWrite) {
  standard(LockMode::kCompliance, 5);
  const auto made = core->create(root, locked(), "file", 0644, {.read = true, .write = true});
  ASSERT_TRUE(made);
  const Ino ino = made->attributes.ino;
  EXPECT_OK(core->write(ino, made->open.handle, 0, "first", false));
  EXPECT_OK(core->flush(ino, made->open.handle));
  const auto second = core->open(root, ino, {.write = true, .truncate = true});
  ASSERT_TRUE(second);
  core->release(ino, made->open.handle);
  EXPECT_EQ(versions("file").size(), 1u);
  EXPECT_OK(core->write(ino, second->handle, 0, "second", false));
  EXPECT_OK(core->flush(ino, second->handle));
  core->release(ino, second->handle);
  const auto listed = versions("file");
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].size, 6u);
  EXPECT_EQ(listed[1].size, 5u);
  expect_sound();
}

TEST_F(ObjectLock, AVersionOutlivesWhateverBecomesOfItsName) {
  standard(LockMode::kCompliance, 5);
  put("replaced", "first");
  put("other", "second");
  put("renamed", "third");
  const std::string first = versions("replaced").at(0).name, third = versions("renamed").at(0).name;
  const Ino directory = mkdir(locked(), "dir", 0777, root);
  EXPECT_OK(rename(locked(), "other", locked(), "replaced"));
  EXPECT_OK(rename(locked(), "renamed", directory, "elsewhere"));
  EXPECT_OK(core->unlink(root, directory, "elsewhere"));
  EXPECT_OK(core->rmdir(root, locked(), "dir"));
  restart();
  EXPECT_EQ(text_of("replaced", first), "first");
  EXPECT_EQ(text_of("renamed", third), "third");
  EXPECT_OK(core->prune(root, "locked", {}, everything(), {}));
  EXPECT_EQ(text_of("replaced", first), "first");
  EXPECT_EQ(text_of("renamed", third), "third");
  EXPECT_CODE(core->purge_bucket(root, "locked", {}), Code::kAccessDenied);
  expect_sound();
}

TEST_F(ObjectLock, ARefusedPurgeHasChangedNothing) {
  put("free", "1");
  put("free", "2");
  put("kept", "3");
  EXPECT_OK(core->set_legal_hold(account, {"locked", "kept"}, true));
  const auto refused = core->purge_bucket(account, "locked", {});
  ASSERT_EQ(outcome(refused), code(Code::kAccessDenied));
  EXPECT_NE(refused.error().message.find("legal hold"), std::string::npos) << refused.error().message;
  EXPECT_EQ(names(locked()), (std::vector<std::string>{"free", "kept"}));
  EXPECT_EQ(versions("free").size(), 2u);
  EXPECT_TRUE(core->bucket(root, "locked"));
  put("free", "4");
  restart();
  EXPECT_EQ(versions("free").size(), 3u);
  EXPECT_OK(core->set_legal_hold(account, {"locked", "kept"}, false));
  EXPECT_OK(core->purge_bucket(account, "locked", {}));
  expect_sound();
}

TEST_F(ObjectLock, AHoldIsIndependentOfRetention) {
  put("file", "text");
  const auto held = core->set_legal_hold(root, {"locked", "file"}, true);
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_TRUE(held->locked);
  EXPECT_EQ(held->retention.mode, LockMode::kNone);
  EXPECT_OK(retain("file", "", LockMode::kGovernance, 1));
  EXPECT_TRUE(versions("file").at(0).retention.legal_hold);
  EXPECT_OK(core->unlink(root, locked(), "file"));
  const std::string version = id("file", 1);
  env.advance(2 * kDay);
  EXPECT_CODE(core->purge_version(account, "locked", "file", version, {.bypass_governance = true}),
              Code::kAccessDenied);
  EXPECT_CODE(core->set_legal_hold(alice, {"locked", "file", version}, false), Code::kAccessDenied);
  EXPECT_OK(core->set_legal_hold(account, {"locked", "file", version}, false));
  EXPECT_OK(core->purge_version(account, "locked", "file", version));
}

TEST_F(ObjectLock, GovernanceIsBypassedByWhoMayAndSaysSo) {
  standard(LockMode::kGovernance, 5);
  put("file", "1");
  put("file", "2");
  const std::string old = id("file", 1);
  EXPECT_CODE(core->unlink(root, place({"file"}), versions("file")[1].name), Code::kAccessDenied);
  EXPECT_CODE(core->purge_version(account, "locked", "file", old), Code::kAccessDenied);
  EXPECT_CODE(core->purge_version(alice, "locked", "file", old, {.bypass_governance = true}), Code::kAccessDenied);
  EXPECT_OK(core->purge_version(account, "locked", "file", old, {.bypass_governance = true}));
  EXPECT_EQ(versions("file").size(), 1u);
  EXPECT_CODE(retain("file", "", LockMode::kGovernance, 1), Code::kAccessDenied);
  EXPECT_OK(retain("file", "", LockMode::kGovernance, 1, true));
  EXPECT_OK(retain("file", "", LockMode::kNone, 0, true));
  EXPECT_FALSE(versions("file")[0].locked);
  put("file", "3");
  EXPECT_CODE(core->purge_bucket(account, "locked", {}), Code::kAccessDenied);
  EXPECT_OK(core->purge_bucket(account, "locked", {}, {.bypass_governance = true}));
  EXPECT_CODE(core->bucket_directory("locked"), Code::kNotFound);
  expect_sound();
}

TEST_F(ObjectLock, ComplianceIsExtendedOnly) {
  put("file", "text");
  EXPECT_OK(retain("file", "", LockMode::kCompliance, 5));
  EXPECT_CODE(retain("file", "", LockMode::kCompliance, 4, true), Code::kAccessDenied);
  EXPECT_CODE(retain("file", "", LockMode::kGovernance, 9, true), Code::kAccessDenied);
  EXPECT_CODE(retain("file", "", LockMode::kNone, 0, true), Code::kAccessDenied);
  EXPECT_OK(retain("file", "", LockMode::kCompliance, 6));
  EXPECT_EQ(versions("file")[0].retention.until, *core->retention_time() + 6 * kDay);
}

TEST_F(ObjectLock, DatesAreInTheFutureByEveryClock) {
  put("file", "text");
  RetentionRequest request;
  request.mode = LockMode::kGovernance;
  request.until = env.now() - kSecond;
  EXPECT_CODE(core->set_retention(account, {"locked", "file"}, request), Code::kInvalid);
  const Time set = env.now() + 30 * kDay;
  env.set_now(set);  // the retention clock stays behind
  request.until = set - kDay;
  EXPECT_CODE(core->set_retention(account, {"locked", "file"}, request), Code::kInvalid);
  request.until = set + kDay;
  EXPECT_OK(core->set_retention(account, {"locked", "file"}, request));
}

TEST_F(ObjectLock, LocksAreForTheAccountAlone) {
  put("file", "text");
  EXPECT_OK(chown(root, at(locked(), "file"), 1000, std::nullopt));
  RetentionRequest request;
  request.mode = LockMode::kGovernance;
  request.days = 1;
  EXPECT_CODE(core->set_retention(alice, {"locked", "file"}, request), Code::kAccessDenied);
  EXPECT_CODE(core->set_legal_hold(alice, {"locked", "file"}, true), Code::kAccessDenied);
  EXPECT_CODE(core->set_default_retention(alice, "locked", {}), Code::kAccessDenied);
  EXPECT_CODE(core->set_retention(account, {"locked", "nothing"}, request), Code::kNotFound);
  EXPECT_CODE(core->set_retention(account, {"locked", "file", "null"}, request), Code::kNotFound);
}

}  // namespace
}  // namespace pailfs::test
