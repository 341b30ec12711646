// Each kind of damage, and what a repair makes of it: the plan changes nothing, the repaired store has no damage left,
// what was not damaged is byte for byte what it was, what is lost is named, and a second repair finds nothing to do.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/codec.h"
#include "core/check.h"
#include "core/content.h"
#include "core/identity_ops.h"
#include "core/records.h"
#include "log/segment_reader.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

class RepairTest : public testing::Test {
 protected:
  RepairTest() {
    put("small", "small content");
    put("large", random_text(1'500'000));
    put("versions", random_text(900'000));
    first_version = contents.at("versions");
    put("versions", random_text(700'000));
    put("other", random_text(40'000));
    EXPECT_OK(f.core->mkdir(f.root, f.bucket, "directory", 0750));
    directory = f.lookup(f.bucket, "directory");
    const auto inside = f.core->create(f.root, directory, "inside", 0644, {.write = true});
    EXPECT_OK(inside);
    EXPECT_OK(f.core->write(inside->attributes.ino, inside->open.handle, 0, "inside content", true));
    EXPECT_OK(f.core->flush(inside->attributes.ino, inside->open.handle));
    f.core->release(inside->attributes.ino, inside->open.handle);
    checkpoint();
  }

  static std::string random_text(size_t size) {
    static uint64_t state = 88172645463325252u;
    std::string out(size, '\0');
    for (char& c : out) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      c = static_cast<char>(state);
    }
    return out;
  }
  void put(const std::string& name, const std::string& content) {
    f.put(name, content);
    contents[name] = content;
  }
  void checkpoint() {
    EXPECT_OK(f.store->sync());
    EXPECT_OK(f.store->checkpoint());
  }
  void end() {
    f.core.reset();
    f.store.reset();
  }

  // --- Damage
  InodeRecord record(Ino ino) {
    const auto value = f.store->get(bucket_of(ino), keys::inode(ino));
    EXPECT_TRUE(value && *value);
    return decode_inode(**value).value_or(InodeRecord{});
  }
  void spoil_value(const std::string& key) {
    {
      const auto snapshot = f.index->snapshot();
      const auto value = (*snapshot)->get(key);
      ASSERT_TRUE(value && *value) << "no such key";
    }
    EXPECT_OK(f.index->apply({{key, "not what was sealed"}}));
  }
  void lose_key(const std::string& key) { EXPECT_OK(f.index->apply({{key, std::nullopt}})); }
  std::string dirent_key(Ino parent, const std::string& name) {
    std::string found;
    StoreView view = f.store->view();
    auto entry = view.seek(bucket_of(parent), keys::dirent(parent, 0), keys::dirent(parent + 1, 0));
    while (entry && *entry) {
      if (decode_dirent((*entry)->value)->name == name) found = (*entry)->key;
      entry = view.next(bucket_of(parent), keys::dirent(parent + 1, 0));
    }
    EXPECT_FALSE(found.empty());
    return found;
  }
  static std::string path(uint64_t segment) { return "/s/log/" + segment_name(segment); }
  void flip(uint64_t segment, uint64_t offset) {
    auto file = f.env.open(path(segment), OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    char byte = 0;
    ASSERT_TRUE((*file)->read_at(offset, {&byte, 1}));
    byte = static_cast<char>(byte ^ 1);
    EXPECT_OK((*file)->write_at(offset, {&byte, 1}));
    EXPECT_OK((*file)->sync_data());
  }

  // --- Repair
  Result<RepairResult> run(RepairMode mode) {
    end();
    auto keyring = Keyring::unlock(f.env, "/s", *uuid_bytes(f.uuid), f.secret());
    EXPECT_OK(keyring);
    StoreOptions options = f.options;
    options.repair = mode;
    auto store = Store::open_with(f.env, std::move(*keyring), std::make_unique<SharedIndex>(f.index),
                                  make_file_log_storage(f.env, "/s/log"), f.uuid, options);
    if (!store) return std::unexpected(store.error());
    auto result = Core::repair(**store, 0, nullptr);
    if (result) EXPECT_OK((*store)->close());
    return result;
  }
  std::map<std::string, std::string> medium() {
    std::map<std::string, std::string> out;
    for (const std::string& name : f.env.list_dir("/s/log").value_or(std::vector<std::string>{})) {
      out[name] = f.env.read_file("/s/log/" + name, size_t{1} << 30).value_or("");
    }
    const auto snapshot = f.index->snapshot();
    for (auto entry = (*snapshot)->seek(""); entry && *entry; entry = (*snapshot)->next()) {
      out["index " + std::string((*entry)->key)] = (*entry)->value;
    }
    return out;
  }
  // Plans, repairs, checks, and finds nothing more to do. Returns what was done.
  RepairResult repair() {
    end();
    const auto before = medium();
    const auto plan = run(RepairMode::kRehearse);
    EXPECT_OK(plan);
    EXPECT_TRUE(medium() == before) << "the plan changed something";
    const auto done = run(RepairMode::kRepair);
    EXPECT_OK(done);
    if (!plan || !done) {
      f.open();
      return {};
    }
    EXPECT_EQ(done->fix_count, plan->fix_count) << all(*plan) << "then\n" << all(*done);
    EXPECT_EQ(done->lost_bytes, plan->lost_bytes);
    EXPECT_GT(done->fix_count, 0u);
    expect_nothing_to_do();
    f.open();
    EXPECT_FALSE(f.store->status().read_only) << f.store->status().read_only_reason;
    f.expect_sound();
    EXPECT_EQ(unreferenced(), 0u);
    return *done;
  }
  void expect_nothing_to_do() {
    const auto again = run(RepairMode::kRehearse);
    EXPECT_OK(again);
    if (!again) return;
    for (const CheckProblem& fix : again->fixes) ADD_FAILURE() << "again: " << fix.path << ": " << fix.what;
  }
  std::optional<uint64_t> unreferenced() {
    EXPECT_OK(f.store->sync());
    const auto checked = f.core->check(false, nullptr);
    EXPECT_OK(checked);
    return checked ? checked->unreferenced_bytes : std::nullopt;
  }
  void expect_contents(const std::vector<std::string>& but = {}) {
    for (const auto& [name, content] : contents) {
      if (std::ranges::find(but, name) != but.end()) continue;
      EXPECT_TRUE(f.content(f.lookup(f.bucket, name)) == content) << name;
    }
  }
  static bool says(const RepairResult& result, const std::string& path, const std::string& what) {
    return std::ranges::any_of(result.fixes, [&](const CheckProblem& fix) {
      return fix.path == path && fix.what.find(what) != std::string::npos;
    });
  }
  static std::string all(const RepairResult& result) {
    std::string out;
    for (const CheckProblem& fix : result.fixes) out += fix.kind + " | " + fix.path + " | " + fix.what + "\n";
    return out;
  }
  // Each 4096 bytes of the file: what they were, or an error.
  std::vector<uint64_t> unreadable_pages(Ino ino, const std::string& content) {
    std::vector<uint64_t> bad;
    const auto file = f.open_file(ino, {.read = true});
    for (uint64_t at = 0; at < content.size(); at += 4096) {
      const std::string want = content.substr(at, 4096);
      std::string got(want.size(), '?');
      const auto read = f.core->read(ino, file.handle, at, got);
      if (!read) {
        EXPECT_EQ(read.error().code, Code::kCorrupt);
        bad.push_back(at);
      } else {
        EXPECT_TRUE(got == want) << "other data at " << at;
      }
    }
    f.core->release(ino, file.handle);
    return bad;
  }

  ContentFixture f;
  Ino directory = 0;
  std::map<std::string, std::string> contents;
  std::string first_version;
};

TEST_F(RepairTest, ASoundStoreHasNothingToRepair) {
  expect_nothing_to_do();
  f.open();
  f.expect_sound();
  expect_contents();
}

// Content that reached the log before the crash, and its transaction did not.
TEST_F(RepairTest, RoomThatNothingRefersToIsCountedAndGivenBack) {
  f.open();
  const auto lost = f.store->append(1, std::string(10'000, 'x'));
  ASSERT_TRUE(lost);
  put("after", "a frame behind it");
  EXPECT_OK(f.store->sync());
  f.restart();
  EXPECT_EQ(unreferenced(), lost->room());
  f.expect_sound();
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "", fmt::format("{} bytes that nothing refers to: given back", lost->room()))) << all(done);
  expect_contents();
}

// Whatever was overwritten, shared, moved, released or is in quarantine.
TEST_F(RepairTest, OfALogThatWasUsedForLongEveryByteIsAccountedFor) {
  f.options.log.segment_size = 256 << 10;
  f.open();
  for (int i = 0; i < 40; ++i) {
    put("file" + std::to_string(i % 13), random_text(1000 + 7919 * static_cast<size_t>(i % 9)));
    if (i % 5 == 0) {
      const auto from = f.open_file(f.lookup(f.bucket, "large"), {.read = true});
      const auto to = f.create("copy" + std::to_string(i), {.write = true});
      f.copy(from, 0, to, 0, i % 2 == 0 ? 1'500'000 : 200'000);
      f.close(to);
      f.core->release(from.ino, from.handle);
    }
    if (i % 7 == 3) {
      const auto file = f.open_file(f.lookup(f.bucket, "large"));
      f.write(file, 40'000 + 30'001 * static_cast<uint64_t>(i), random_text(9000));
      f.close(file);
    }
    if (i % 8 == 7) EXPECT_OK(f.core->prune(f.root, "bucket", "", {.older_than = {}, .keep = 1}, nullptr));
    EXPECT_EQ(unreferenced(), 0u) << "after step " << i;
    if (i % 3 == 2) checkpoint();
    if (i % 3 == 2) EXPECT_OK(f.store->reclaim());
    if (i % 10 == 9) f.restart();
    EXPECT_EQ(unreferenced(), 0u) << "after step " << i;
  }
  expect_nothing_to_do();
}

TEST_F(RepairTest, AFlippedUnitCostsItsPageOfOneVersionAndNoMore) {
  const Ino ino = f.lookup(f.bucket, "large");
  const auto chunk = load_chunk(*f.store, record(ino), 1);
  ASSERT_TRUE(chunk && !chunk->extents.empty());
  const pailfs::Run run = chunk->extents.front().run;
  flip(run.segment, run.offset + 2 * (kUnitSize + kTagSize) + 100);
  const RepairResult done = repair();
  EXPECT_EQ(done.lost_bytes, 4096u);
  EXPECT_EQ(done.lost_versions, 1u);
  EXPECT_TRUE(says(done, "bucket/large", "bytes 532480 to 536576 cannot be read")) << all(done);
  EXPECT_EQ(unreadable_pages(ino, contents.at("large")), std::vector<uint64_t>{532480});
  expect_contents({"large"});
  const auto checked = f.core->check(true, nullptr);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->lost_bytes, 4096u);
  // What is written over it is content again.
  const auto file = f.open_file(ino);
  f.write(file, 532480, std::string(4096, 'n'));
  EXPECT_EQ(f.read(file, 532480, 4096), std::string(4096, 'n'));
  f.close(file);
  f.expect_sound();
}

TEST_F(RepairTest, ADamagedOldVersionKeepsItsNameAndTheNewOneIsWhole) {
  const Ino ino = f.lookup(f.bucket, "versions");
  const auto names = f.versions("versions");
  ASSERT_EQ(names.size(), 2u);
  const auto older = load_version(*f.store, ino, 1);
  ASSERT_TRUE(older);
  const auto chunk = load_chunk(*f.store, *older, 0);
  const pailfs::Run run = chunk->extents.front().run;
  flip(run.segment, run.offset + 10);
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket/versions", "bytes 0 to 4096")) << all(done);
  EXPECT_EQ(done.fixes.at(0).version, names.at(1).name) << all(done);
  expect_contents();
  const auto after = f.versions("versions");
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after.at(1).name, names.at(1).name);
  const Ino view = f.lookup(f.versions_of({"versions"}), names.at(1).name);
  EXPECT_EQ(unreadable_pages(view, first_version), std::vector<uint64_t>{0});
}

TEST_F(RepairTest, AMissingSegmentCostsWhatLayInItAndTheStoreTakesChangesAgain) {
  f.restart();  // a segment of its own for what follows
  put("later", random_text(30'000));
  checkpoint();
  const uint64_t first = record(f.lookup(f.bucket, "small")).extents.at(0).run.segment;
  end();
  EXPECT_OK(f.env.remove(path(first)));
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket/small", "marked as lost")) << all(done);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "later")), contents.at("later"));
  EXPECT_EQ(unreadable_pages(f.lookup(f.bucket, "small"), contents.at("small")), std::vector<uint64_t>{0});
  EXPECT_EQ(f.versions("versions").size(), 2u);
  put("new", "new");
  f.restart();
  EXPECT_EQ(f.content(f.lookup(f.bucket, "new")), "new");
}

// Else what the log still has would be taken for all there is, and the rest given back.
TEST_F(RepairTest, WithoutAnIndexALogThatIsNotWholeIsLeftAsItIs) {
  f.restart();
  put("later", random_text(30'000));
  checkpoint();
  end();
  for (auto snapshot = *f.index->snapshot(); auto entry = snapshot->seek("");) {
    if (!*entry) break;
    EXPECT_OK(f.index->apply({{std::string((*entry)->key), std::nullopt}}));
    snapshot = *f.index->snapshot();
  }
  flip(1, kSegmentHeaderSize + 3);
  const auto before = medium();
  for (const RepairMode mode : {RepairMode::kRehearse, RepairMode::kRepair, RepairMode::kNone}) {
    const auto done = run(mode);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kCorrupt);
    EXPECT_TRUE(done.error().message.contains("the index is missing or empty")) << done.error().message;
  }
  EXPECT_OK(f.env.remove(path(1)));
  EXPECT_FALSE(run(RepairMode::kRepair));
  auto after = medium();
  after[segment_name(1)] = before.at(segment_name(1));
  EXPECT_TRUE(after == before);
}

TEST_F(RepairTest, ACutSegmentCostsWhatLayBehindTheCut) {
  f.restart();
  checkpoint();
  const InodeRecord large = record(f.lookup(f.bucket, "large"));
  const pailfs::Run run = load_chunk(*f.store, large, 2)->extents.front().run;
  end();
  auto file = f.env.open(path(run.segment), OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  EXPECT_OK((*file)->truncate(run.offset + 5000));
  EXPECT_OK((*file)->sync_data());
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket/large", "marked as lost")) << all(done);
  EXPECT_EQ(f.content(f.lookup(f.bucket, "small")), contents.at("small"));
}

TEST_F(RepairTest, AnInodeWithoutARecordEndsItsNameAndIsNamed) {
  spoil_value(keys::inode(f.lookup(f.bucket, "small")));
  const RepairResult done = repair();
  EXPECT_EQ(done.lost_names, 1u);
  EXPECT_TRUE(says(done, "bucket/small", "lost")) << all(done);
  expect_contents({"small"});
  EXPECT_FALSE(f.core->lookup(f.root, f.bucket, "small"));
}

TEST_F(RepairTest, AnInodeWithoutARecordLeavesItsOlderVersions) {
  const auto names = f.versions("versions");
  spoil_value(keys::inode(f.lookup(f.bucket, "versions")));
  const RepairResult done = repair();
  expect_contents({"versions"});
  EXPECT_FALSE(f.core->lookup(f.root, f.bucket, "versions"));
  const auto left = f.versions("versions");
  ASSERT_EQ(left.size(), 2u) << all(done);
  EXPECT_TRUE(left.at(0).marker);
  EXPECT_EQ(left.at(1).name, names.at(1).name);
  EXPECT_TRUE(f.content(f.lookup(f.versions_of({"versions"}), names.at(1).name)) == first_version);
}

TEST_F(RepairTest, ChunksOfALostInodeBecomeAFileInLostFound) {
  const Ino ino = f.lookup(f.bucket, "large");
  spoil_value(keys::inode(ino));
  const RepairResult done = repair();
  const Ino found = f.lookup(f.lookup(f.bucket, "lost+found"), "inode-" + std::to_string(ino));
  ASSERT_NE(found, 0u) << all(done);
  EXPECT_TRUE(f.content(found) == contents.at("large"));
  const auto attributes = f.core->getattr(f.root, found);
  EXPECT_EQ(attributes->mode & 07777, 0600u);
  EXPECT_EQ(attributes->uid, 0u);
  expect_contents({"large"});
}

TEST_F(RepairTest, WhatLostItsNameIsInLostFoundWithContentAndAttributes) {
  const Ino ino = f.lookup(f.bucket, "other");
  const Attributes before = f.core->getattr(f.root, ino).value_or(Attributes{});
  spoil_value(dirent_key(f.bucket, "other"));
  lose_key(dirent_key(f.bucket, "directory"));
  const RepairResult done = repair();
  EXPECT_EQ(done.found, 2u) << all(done);
  const Ino place = f.lookup(f.bucket, "lost+found");
  EXPECT_EQ(f.core->getattr(f.root, place)->mode, uint32_t{S_IFDIR | 0700});
  const Ino found = f.lookup(place, "inode-" + std::to_string(ino));
  EXPECT_EQ(found, ino);
  EXPECT_TRUE(f.content(found) == contents.at("other"));
  EXPECT_EQ(f.core->getattr(f.root, found)->mode, before.mode);
  EXPECT_EQ(f.core->getattr(f.root, found)->mtime, before.mtime);
  const Ino moved = f.lookup(place, "inode-" + std::to_string(directory));
  EXPECT_EQ(f.content(f.lookup(moved, "inside")), "inside content");
  EXPECT_EQ(f.lookup(moved, ".."), place);
  expect_contents({"other"});
}

TEST_F(RepairTest, ADirectoryWithoutARecordKeepsItsPlaceAndItsEntries) {
  spoil_value(keys::inode(directory));
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket/directory", "made anew")) << all(done);
  const Ino again = f.lookup(f.bucket, "directory");
  EXPECT_EQ(f.core->getattr(f.root, again)->mode, uint32_t{S_IFDIR | 0700});
  EXPECT_EQ(f.content(f.lookup(again, "inside")), "inside content");
  expect_contents();
}

TEST_F(RepairTest, AChunkRecordThatCannotBeReadIsALostChunk) {
  const Ino ino = f.lookup(f.bucket, "large");
  spoil_value(keys::chunk(record(ino).cid, 1, 1));
  const RepairResult done = repair();
  EXPECT_EQ(done.lost_bytes, kChunkSize) << all(done);
  EXPECT_EQ(unreadable_pages(ino, contents.at("large")).size(), kChunkSize / 4096);
  expect_contents({"large"});
}

TEST_F(RepairTest, AnOlderVersionWhoseRecordIsLostIsNamedAndGone) {
  spoil_value(keys::version(f.lookup(f.bucket, "versions"), 1));
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket/versions", "that version is gone")) << all(done);
  EXPECT_EQ(f.versions("versions").size(), 1u);
  expect_contents();
}

TEST_F(RepairTest, ABucketWhoseRecordIsLostKeepsItsNameAndContent) {
  spoil_value(keys::bucket(bucket_of(f.bucket)));
  repair();
  EXPECT_EQ(f.core->bucket_directory("bucket").value_or(0), f.bucket);
  expect_contents();
}

TEST_F(RepairTest, ABucketThatHasContentAndNoRecordKeepsItsKeys) {
  lose_key(keys::bucket(bucket_of(f.bucket)));
  f.open();  // as any start of the daemon
  repair();
  EXPECT_EQ(f.core->bucket_directory("bucket").value_or(0), f.bucket);
  expect_contents();
}

TEST_F(RepairTest, ABucketWhosePolicyIsLostIsClosed) {
  Caller user;
  user.uid = 4711;
  const Ino ino = f.lookup(f.bucket, "small");
  EXPECT_OK(f.core->put_bucket_policy(
      f.root, "bucket",
      R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}})"));
  const auto may_read = [&] {
    const auto opened = f.core->open(user, ino, {.read = true});
    if (opened) f.core->release(ino, opened->handle);
    return opened.has_value();
  };
  EXPECT_TRUE(may_read());
  checkpoint();
  spoil_value(keys::bucket_policy(bucket_of(f.bucket)));
  end();
  f.open();
  EXPECT_FALSE(may_read());
  expect_contents();
  EXPECT_EQ(f.core->bucket_policy(f.root, "bucket").error().code, Code::kCorrupt);
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket", "policy is lost")) << all(done);
  EXPECT_FALSE(may_read());
  EXPECT_TRUE(f.core->bucket_policy(f.root, "bucket")->contains("NotPrincipal"));
  EXPECT_OK(f.core->delete_bucket_policy(f.root, "bucket"));
  expect_contents();
}

TEST_F(RepairTest, AnIdentityWhoseRecordIsLostClosesTheStoreUntilItIsDropped) {
  Caller user;
  user.uid = 4711;
  const Ino ino = f.lookup(f.bucket, "small");
  const auto may_read = [&] {
    const auto opened = f.core->open(user, ino, {.read = true});
    if (opened) f.core->release(ino, opened->handle);
    return opened.has_value();
  };
  const auto make = [&](IdentityKind kind, const std::string& name, const std::string& group) {
    const auto change = [&](const std::optional<Identity>&) -> Result<std::optional<Identity>> {
      Identity made;
      made.kind = kind;
      made.name = name;
      if (!group.empty()) made.groups = {group};
      return made;
    };
    EXPECT_OK(f.core->identities().change(f.root, {{kind, name, change}}));
  };
  const auto key_of = [&](IdentityKind kind, const std::string& name) {
    const auto token = f.store->token(kStoreScope, name);
    return keys::identity(static_cast<uint8_t>(kind), std::string_view(token.data(), token.size()));
  };
  make(IdentityKind::kGroup, "dev", "");
  make(IdentityKind::kUser, "alice", "dev");
  make(IdentityKind::kUser, "bob", "");
  EXPECT_TRUE(may_read());
  checkpoint();
  spoil_value(key_of(IdentityKind::kUser, "bob"));
  end();
  f.open();
  EXPECT_FALSE(may_read());
  expect_contents();
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "", "the record of a user cannot be read")) << all(done);
  EXPECT_TRUE(all(done).contains("hold no more"));
  EXPECT_TRUE(may_read());
  EXPECT_EQ(f.core->identities().get(f.root, IdentityKind::kUser, "bob").error().code, Code::kNotFound);
  EXPECT_OK(f.core->identities().get(f.root, IdentityKind::kUser, "alice"));

  // What goes by something that is lost is named by every check until it is put right.
  lose_key(key_of(IdentityKind::kGroup, "dev"));
  end();
  f.open();
  const auto check = f.core->check(false, nullptr);
  ASSERT_TRUE(check);
  ASSERT_EQ(check->problems.size(), 1u);
  EXPECT_EQ(check->problems[0].kind, "index");
  EXPECT_EQ(check->problems[0].what,
            "the user alice goes by the group dev, which is lost: make it anew ('pail group create'), or do without it "
            "('pail group remove dev alice'); until then all that policies speak of is denied");
  make(IdentityKind::kGroup, "dev", "");
  EXPECT_EQ(f.core->check(false, nullptr)->problem_count, 0u);
}

TEST_F(RepairTest, CountersThatAreLostAreFoundOutAnew) {
  spoil_value(keys::stamps());
  spoil_value(keys::numbers(bucket_of(f.bucket)));
  repair();
  put("more", "more");
  f.restart();
  f.expect_sound();
  expect_contents();
}

TEST_F(RepairTest, WrongLinkCountsAreCountedAnew) {
  const Ino ino = f.lookup(f.bucket, "small");
  InodeRecord changed = record(ino);
  changed.nlink = 7;
  Transaction tx;
  tx.put(bucket_of(ino), keys::inode(ino), encode_inode(changed));
  EXPECT_OK(f.store->commit(std::move(tx)));
  EXPECT_OK(f.store->sync());
  const RepairResult done = repair();
  EXPECT_TRUE(says(done, "bucket/small", "counted 7 links, and there are 1")) << all(done);
  EXPECT_EQ(f.core->getattr(f.root, ino)->nlink, 1u);
  expect_contents();
}

TEST_F(RepairTest, InodesThatDoNotKnowTheirNamesAreTold) {
  const Ino ino = f.lookup(f.bucket, "small"), other = f.lookup(f.bucket, "other");
  const std::string entry = dirent_key(f.bucket, "small");
  const uint64_t slot = Decoder(std::string_view(entry).substr(1 + sizeof(Ino))).be64();
  Transaction tx;
  tx.erase(keys::parent_pointer(ino, f.bucket, slot));
  tx.put(bucket_of(other), keys::parent_pointer(other, f.bucket, slot), {});
  EXPECT_OK(f.store->commit(std::move(tx)));
  EXPECT_OK(f.store->sync());
  const auto checked = f.core->check(false, nullptr);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->problem_count, 2u);
  const RepairResult done = repair();
  EXPECT_EQ(done.fix_count, 2u) << all(done);
  EXPECT_TRUE(says(done, "bucket/small", "did not know of this name")) << all(done);
  EXPECT_TRUE(says(done, "bucket/other", "pointed to an entry that is not its own")) << all(done);
  expect_contents();
}

TEST_F(RepairTest, SharedUnitsAreCountedAnew) {
  const auto from = f.open_file(f.lookup(f.bucket, "large"));
  const auto to = f.create("copy");
  EXPECT_EQ(f.copy(from, 0, to, 0, 1'500'000), 1'500'000u);
  f.close(from);
  f.close(to);
  contents["copy"] = contents.at("large");
  checkpoint();
  const auto key = f.store->view().seek_key(keys::shared(0, 0), keys::after_prefix("s"));
  ASSERT_TRUE(key && *key);
  spoil_value(**key);
  repair();
  expect_contents();
  // The first to go leaves the other one whole.
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "large"));
  contents.erase("large");
  expect_contents();
}

TEST_F(RepairTest, ADamagedRecordHeaderInTheLogsTailCostsNothing) {
  const uint64_t before = f.store->sequence();
  put("tail", random_text(50'000));
  EXPECT_OK(f.store->sync());
  put("last", "last");
  EXPECT_OK(f.store->sync());
  const pailfs::Run run = record(f.lookup(f.bucket, "tail")).extents.at(0).run;
  flip(run.segment, run.offset - kRecordHeaderSize + 9);
  end();
  f.open();
  EXPECT_TRUE(f.store->status().read_only);
  const RepairResult done = repair();
  EXPECT_EQ(done.changes.frames, 0u);
  EXPECT_EQ(done.lost_bytes, 0u) << all(done);
  EXPECT_GT(f.store->sequence(), before);
  expect_contents();
}

TEST_F(RepairTest, ALostFrameCutsTheLogAndTheFilesBehindItAreNamed) {
  put("kept", "kept");
  EXPECT_OK(f.store->sync());
  const uint64_t before = f.store->sequence();
  const Ino small = f.lookup(f.bucket, "small");
  put("small", "changed");
  const uint64_t segment = record(small).extents.at(0).run.segment;
  EXPECT_OK(f.store->sync());
  put("other", "changed too");
  EXPECT_OK(f.store->sync());
  end();
  // The frame with the change of "small": the last but one.
  const auto bytes = f.env.read_file(path(segment), size_t{1} << 30);
  std::vector<uint64_t> frames;
  for (uint64_t at = kSegmentHeaderSize; at + kRecordHeaderSize <= bytes->size();) {
    const auto header = decode_record_header(std::string_view(*bytes).substr(at, kRecordHeaderSize), {segment, at});
    if (!header) break;
    if (header->type == kFrameRecord) frames.push_back(at);
    at += kRecordHeaderSize + header->length;
  }
  ASSERT_GE(frames.size(), 2u);
  flip(segment, frames.at(frames.size() - 2) + 200);
  f.open();
  EXPECT_TRUE(f.store->status().read_only);
  const RepairResult done = repair();
  EXPECT_EQ(done.changes.frames, 1u) << all(done);
  EXPECT_GT(done.changes.first_sequence, before);
  EXPECT_TRUE(says(done, "bucket/other", "are lost")) << all(done);
  contents["small"] = "small content";  // as before
  contents.erase("other");
  expect_contents();
  put("after", "after");
  f.restart();
  expect_contents();
}

// Wherever a repair is interrupted, it can be run again, and comes to the same end.
TEST_F(RepairTest, AnInterruptedRepairIsRunAgain) {
  const Ino ino = f.lookup(f.bucket, "large");
  const pailfs::Run run = load_chunk(*f.store, record(ino), 1)->extents.front().run;
  flip(run.segment, run.offset + 100);
  const Ino other = f.lookup(f.bucket, "other");
  spoil_value(dirent_key(f.bucket, "other"));
  put("tail", random_text(50'000));
  EXPECT_OK(f.store->sync());
  const pailfs::Run tail = record(f.lookup(f.bucket, "tail")).extents.at(0).run;
  put("last", "last");
  EXPECT_OK(f.store->sync());
  flip(tail.segment, tail.offset - kRecordHeaderSize + 9);
  end();
  for (int steps = 1; steps <= 40; steps += 3) {
    auto keyring = Keyring::unlock(f.env, "/s", *uuid_bytes(f.uuid), f.secret());
    StoreOptions options = f.options;
    options.repair = RepairMode::kRepair;
    auto store = Store::open_with(f.env, std::move(*keyring), std::make_unique<SharedIndex>(f.index),
                                  make_file_log_storage(f.env, "/s/log"), f.uuid, options);
    ASSERT_TRUE(store) << store.error().message;
    int left = steps;
    const auto stopped = Core::repair(**store, 0, [&](uint64_t, uint64_t) { return left-- > 0; });
    if (!stopped && steps % 2 == 0) EXPECT_OK((*store)->sync());
    if (stopped) break;
    store->reset();
    f.env.crash({});
  }
  const auto done = this->run(RepairMode::kRepair);
  EXPECT_OK(done);
  expect_nothing_to_do();
  f.open();
  f.expect_sound();
  EXPECT_EQ(unreadable_pages(ino, contents.at("large")), std::vector<uint64_t>{kChunkSize});
  EXPECT_TRUE(f.content(f.lookup(f.lookup(f.bucket, "lost+found"), "inode-" + std::to_string(other))) ==
              contents.at("other"));
  expect_contents({"large", "other"});
}

}  // namespace
}  // namespace pailfs::test
