// What the scrub finds, when, and how it is told; by hand, on a clock that stands still.
#include "core/scrub.h"

#include <gmock/gmock.h>

#include "base/codec.h"
#include "core/content.h"
#include "core/records.h"
#include "io/fault_env.h"
#include "store/internal_keys.h"
#include "unit/core_content/content_fixture.h"

namespace pailfs::test {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 24 * 3600 * kSecond;

class ScrubTest : public testing::Test {
 protected:
  Scrub& scrub() { return f.core->scrub(); }
  ScrubStatus status() {
    auto status = scrub().status(true);
    EXPECT_OK(status);
    return status ? std::move(*status) : ScrubStatus{};
  }
  // Steps, with the clock going on as asked, until a pass that begins now is complete.
  void pass() {
    const uint64_t passes = finished_;
    scrub().start_now();
    for (int i = 0; i < 100'000 && finished_ == passes; ++i) step();
    ASSERT_GT(finished_, passes);
  }
  // One step that does something, if one is due within an hour.
  void step(bool busy = false) {
    const bool running = status().begun != 0;
    const Time completed = status().completed;
    const int64_t wait = scrub().step(busy);
    f.env.advance(std::max<int64_t>(wait, 1));
    const ScrubStatus now = status();
    if (now.begun == 0 && (running || now.completed != completed)) ++finished_;
  }
  InodeRecord record(Ino ino) {
    const auto value = f.store->get(bucket_of(ino), keys::inode(ino));
    EXPECT_TRUE(value && *value);
    const auto decoded = decode_inode(**value);
    EXPECT_OK(decoded);
    return *decoded;
  }
  ExtentList extents(const InodeRecord& content, uint64_t chunk) {
    if (!content.chunked) return content.extents;
    for (uint32_t vseq = content.vseq;; --vseq) {
      const auto value = f.store->get(bucket_of(content.cid), keys::chunk(content.cid, chunk, vseq));
      EXPECT_OK(value);
      if (value && *value) return *decode_extents(**value);
      if (vseq == 0) break;
    }
    ADD_FAILURE() << "no such chunk";
    return {};
  }
  // Turns one bit of unit number `unit` of the run. Twice: it is as it was.
  void flip(const pailfs::Run& run, uint32_t unit = 0) {
    const auto file = f.env.open("/s/log/" + segment_name(run.segment), OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    const uint64_t at = run.offset + unit * uint64_t{kUnitSize + 16} + 3;
    std::string byte(1, '\0');
    ASSERT_EQ((*file)->read_at(at, byte).value_or(0), 1u);
    byte[0] = static_cast<char>(byte[0] ^ 0x10);
    EXPECT_OK((*file)->write_at(at, byte));
  }
  void flip(Ino ino) { flip(extents(record(ino), 0).at(0).run); }
  Ino put(const std::string& name, std::string_view content) {
    f.put(name, content);
    const Ino ino = f.lookup(f.bucket, name);
    f.core->forget(ino, 1);
    return ino;
  }
  void prune(const std::string& path = "") {
    EXPECT_OK(f.core->prune(f.root, "bucket", path, {.older_than = {}, .keep = 0}, nullptr));
  }
  size_t findings() {  // that are written down, whether anything shows them or not
    size_t count = 0;
    StoreView view = f.store->view();
    for (auto entry = view.seek(kStoreScope, "l", "m"); entry && *entry; entry = view.next(kStoreScope, "m")) {
      if ((*entry)->key != "ls") ++count;
    }
    return count;
  }

  struct Record {
    Ino parent = 0;
    std::string name;
    Ino ino = 0;
    std::string before;
    bool operator==(const Record&) const = default;
  };
  // The change records of lost objects in the log, which must be whole, as pailfs-format(5) has them.
  std::vector<Record> lost_records() {
    EXPECT_OK(f.store->sync());
    const auto image = f.env.crash_image({});
    const auto keyring = Keyring::unlock(*image, "/s", *uuid_bytes(f.uuid), ContentFixture::secret());
    const auto storage = make_file_log_storage(*image, "/s/log");
    std::vector<Record> out;
    const auto read = [&](const FrameInfo&, std::string_view payload) -> Status {
      const auto frame = internal::decode_frame(payload);
      EXPECT_OK(frame);
      for (const auto& record : frame->records) {
        Decoder in(record.encoded);
        in.u8();
        in.i64();
        const uint8_t action = in.u8(), door = in.u8();
        for (int i = 0; i < 3; ++i) in.varint();
        Record found;
        found.parent = in.varint();
        found.name = in.bytes();
        found.ino = in.varint();
        const uint8_t versions = in.u8();
        if ((versions & 1) != 0) found.before = in.raw(16);
        if (action != 12) continue;
        EXPECT_EQ(door, static_cast<uint8_t>(Door::kInternal));
        EXPECT_TRUE(in.done());
        out.push_back(std::move(found));
      }
      return {};
    };
    const auto log = Log::open_read_only(*storage, *image, (*keyring)->derive("log"), *uuid_bytes(f.uuid),
                                         f.options.log, LogStart{}, read, false);
    EXPECT_OK(log);
    return out;
  }

  ContentFixture f;
  uint64_t finished_ = 0;
};

TEST_F(ScrubTest, ASoundStoreIsReadWholeAndNothingIsLost) {
  put("small", "content");
  put("large", std::string(1'500'000, 'x'));
  put("large", std::string(600'000, 'y'));
  pass();
  const ScrubStatus now = status();
  EXPECT_EQ(now.lost_count, 0u);
  EXPECT_EQ(now.begun, 0);
  EXPECT_GT(now.completed, 0);
  EXPECT_GT(now.completed_bytes, 2'100'007u);
  EXPECT_LT(now.completed_bytes, 2'300'000u);  // each unit once, though versions share the chunks' records
}

TEST_F(ScrubTest, ADamagedUnitIsToldWithPathAndVersionAndOnce) {
  const Ino ino = put("small", "content");
  put("other", "something else");
  EXPECT_OK(f.core->link(f.root, ino, f.bucket, "twin"));
  flip(ino);
  pass();
  ScrubStatus now = status();
  ASSERT_EQ(now.lost.size(), 1u);
  EXPECT_EQ(now.lost_count, 1u);
  EXPECT_THAT(now.lost[0].paths, testing::UnorderedElementsAre("bucket/small", "bucket/twin"));
  EXPECT_EQ(now.lost[0].version, f.versions("small").at(0).name);
  EXPECT_TRUE(now.lost[0].current);
  EXPECT_EQ(now.lost[0].bytes, 7u);
  EXPECT_THAT(now.lost[0].why, testing::HasSubstr("does not verify"));
  const Time found = now.lost[0].found;
  const VersionId version = record(ino).version.id;
  flip(ino);
  const std::vector<Record> records = lost_records();
  flip(ino);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].parent, f.bucket);
  EXPECT_THAT(records[0].name, testing::AnyOf("small", "twin"));
  EXPECT_EQ(records[0].ino, ino);
  EXPECT_EQ(records[0].before, std::string(version.data(), version.size()));
  f.env.advance(kDay);
  pass();
  now = status();
  ASSERT_EQ(now.lost.size(), 1u);
  EXPECT_EQ(now.lost[0].found, found);
  EXPECT_EQ(findings(), 1u);
  flip(ino);
  EXPECT_EQ(lost_records(), records) << "it is told once";
}

TEST_F(ScrubTest, OfALargeFileTheVersionsThatShowTheLostUnitAreTold) {
  const Ino ino = put("large", std::string(1'500'000, 'x'));
  const auto file = f.open_file(ino);
  f.write(file, 600'000, std::string(5'000, 'y'));  // in the second chunk
  f.close(file);
  ASSERT_EQ(f.versions("large").size(), 2u);
  flip(extents(record(ino), 0).at(0).run, 5);  // both show it
  flip(extents(record(ino), 0).at(0).run, 6);
  const ExtentList second = extents(record(ino), 1);
  ASSERT_GT(second.size(), 1u);
  flip(second.at(1).run);  // what the second wrote
  pass();
  const ScrubStatus now = status();
  ASSERT_EQ(now.lost_count, 2u);
  std::map<std::string, uint64_t> bytes;
  for (const LostObject& lost : now.lost) {
    EXPECT_EQ(lost.paths, std::vector<std::string>{"bucket/large"});
    bytes[lost.version] = lost.bytes;
  }
  EXPECT_EQ(bytes[f.versions("large").at(1).name], 8192u);
  EXPECT_EQ(bytes[f.versions("large").at(0).name], 8192u + 4096u);
}

TEST_F(ScrubTest, AnOverwrittenFileLeavesTheLossToItsOldVersionAndPruningEndsIt) {
  const Ino ino = put("small", "content");
  flip(ino);
  pass();
  ASSERT_EQ(status().lost_count, 1u);
  EXPECT_TRUE(status().lost.at(0).current);
  put("small", "written anew");
  ASSERT_EQ(status().lost_count, 1u);
  EXPECT_FALSE(status().lost.at(0).current);
  EXPECT_EQ(status().lost.at(0).version, f.versions("small").at(1).name);
  prune();
  EXPECT_EQ(status().lost_count, 0u);
  EXPECT_EQ(findings(), 1u);
  pass();
  EXPECT_EQ(findings(), 0u);
}

TEST_F(ScrubTest, ADeletedFileIsToldAsSuchUntilItsVersionsGo) {
  const Ino ino = put("small", "content");
  flip(ino);
  pass();
  EXPECT_OK(f.core->unlink(f.root, f.bucket, "small"));
  ASSERT_EQ(status().lost_count, 1u);
  EXPECT_EQ(status().lost.at(0).paths, std::vector<std::string>{"bucket/small (deleted)"});
  EXPECT_FALSE(status().lost.at(0).current);
  prune();
  EXPECT_EQ(status().lost_count, 0u);
}

TEST_F(ScrubTest, ABucketThatGoesTakesItsLossesAlong) {
  flip(put("small", "content"));
  pass();
  ASSERT_EQ(status().lost_count, 1u);
  EXPECT_OK(f.core->purge_bucket(f.root, "bucket", nullptr));
  EXPECT_EQ(status().lost_count, 0u);
  pass();
  EXPECT_EQ(findings(), 0u);
}

TEST_F(ScrubTest, WhatIsThereAgainIsNoLossAfterTheNextPass) {
  const Ino ino = put("small", "content");
  flip(ino);
  pass();
  ASSERT_EQ(status().lost_count, 1u);
  flip(ino);
  pass();
  EXPECT_EQ(status().lost_count, 0u);
  EXPECT_EQ(findings(), 0u);
}

TEST_F(ScrubTest, AMissingSegmentIsALossOfAllItsFiles) {
  const Ino ino = put("one", "content");
  put("two", "more content");
  const uint64_t segment = record(ino).extents.at(0).run.segment;
  f.restart();  // the next segment begins
  f.put("three", "elsewhere");
  EXPECT_OK(f.store->checkpoint());
  EXPECT_OK(f.env.remove("/s/log/" + segment_name(segment)));
  f.restart();  // without the descriptors that were open
  pass();
  const ScrubStatus now = status();
  std::set<std::string> paths;
  for (const LostObject& lost : now.lost) paths.insert(lost.paths.at(0));
  EXPECT_EQ(paths, (std::set<std::string>{"bucket/one", "bucket/two"}));
}

TEST_F(ScrubTest, ARecordThatDoesNotVerifyIsTold) {
  const Ino small = put("small", "content");
  const Ino other = put("other", "content");
  f.restart();
  EXPECT_OK(f.store->checkpoint());
  std::string sealed, own;
  {
    const auto snapshot = f.index->snapshot();
    sealed = **(*snapshot)->get(keys::inode(other));
    own = **(*snapshot)->get(keys::inode(small));
  }
  EXPECT_OK(f.index->apply({{keys::inode(small), sealed}}));
  f.open();
  pass();
  ASSERT_EQ(status().lost_count, 1u);
  EXPECT_EQ(status().lost.at(0).paths, std::vector<std::string>{"bucket/small"});
  EXPECT_THAT(status().lost.at(0).why, testing::HasSubstr("kind 'i'"));
  EXPECT_OK(f.index->apply({{keys::inode(small), own}}));
  EXPECT_EQ(status().lost_count, 0u);
}

TEST_F(ScrubTest, WhatItWroteDownAndCannotReadIsWrittenAnew) {
  flip(put("small", "content"));
  pass();
  ASSERT_EQ(status().lost_count, 1u);
  Transaction tx;
  tx.put(kStoreScope, "ls", "no state");
  tx.put(kStoreScope, "lu", "no finding");
  EXPECT_OK(f.store->commit(std::move(tx)));
  EXPECT_OK(f.store->sync());
  EXPECT_OK(f.store->checkpoint());
  for (const char* key : {"ls", "lu"}) EXPECT_OK(f.index->apply({{key, std::string("damaged")}}));
  f.restart();
  EXPECT_EQ(status().lost_count, 1u);
  pass();
  EXPECT_EQ(status().lost_count, 1u);
  EXPECT_EQ(findings(), 1u);
}

TEST_F(ScrubTest, ARestartGoesOnWhereThePassWas) {
  for (int i = 0; i < 20; ++i) put("file" + std::to_string(i), std::string(400'000, 'x'));
  EXPECT_OK(f.store->sync());
  EXPECT_OK(f.store->checkpoint());  // recovery is to find nothing of this
  flip(f.lookup(f.bucket, "file0"));
  pass();
  const uint64_t whole = status().completed_bytes;
  EXPECT_EQ(status().lost_count, 1u);
  scrub().start_now();
  while (status().verified < whole / 2) step();
  EXPECT_OK(scrub().save());
  const uint64_t before = status().verified;
  const Time begun = status().begun;
  f.restart();
  EXPECT_EQ(status().verified, before);
  EXPECT_EQ(status().begun, begun);
  EXPECT_EQ(status().lost_count, 1u);
  for (int i = 0; i < 1000 && status().begun != 0; ++i) step();  // an automatic one goes on by itself
  EXPECT_EQ(status().begun, 0);
  EXPECT_NEAR(static_cast<double>(status().completed_bytes), static_cast<double>(whole), 10'000);
}

TEST_F(ScrubTest, ItReadsNoFasterThanTheRateAndSlowerBesideOthers) {
  for (int i = 0; i < 20; ++i) put("file" + std::to_string(i), std::string(400'000, 'x'));
  ScrubOptions options;
  options.rate = 1'000'000;
  scrub().set_options(options);
  for (const bool busy : {false, true}) {
    const double rate = busy ? 125'000 : 1'000'000;
    scrub().start_now();
    const int64_t start = f.env.monotonic();
    uint64_t verified = 0;
    int steps = 0;
    do {
      const int64_t wait = scrub().step(busy);
      const uint64_t before = verified;
      verified = status().begun != 0 ? status().verified : status().completed_bytes;
      EXPECT_LE(verified - before, 1'000'000u) << "a step is short";
      if (status().begun == 0) break;
      EXPECT_GT(scrub().step(busy), 0) << "it is too early";
      EXPECT_EQ(status().verified, verified);
      f.env.advance(wait);
      const double seconds = static_cast<double>(f.env.monotonic() - start) / kSecond;
      EXPECT_NEAR(static_cast<double>(verified), rate * seconds, 1000);
    } while (++steps < 1000);
    EXPECT_GT(steps, 5);
    EXPECT_GT(verified, 8'000'000u);
    f.env.advance(60 * kSecond);
  }
}

TEST_F(ScrubTest, TheNextPassBeginsAfterTheInterval) {
  put("small", "content");
  pass();
  const Time completed = status().completed;
  EXPECT_GT(scrub().step(false), 0);
  f.env.advance(29 * kDay);
  step();
  EXPECT_EQ(status().completed, completed);
  f.env.advance(kDay);
  for (int i = 0; i < 10; ++i) step();
  EXPECT_GT(status().completed, completed);
}

TEST_F(ScrubTest, SwitchedOffItWaitsToBeAsked) {
  put("small", "content");
  scrub().set_options({.automatic = false});
  for (int i = 0; i < 10; ++i) step();
  EXPECT_EQ(status().begun, 0);
  EXPECT_EQ(status().completed, 0);
  pass();
  EXPECT_GT(status().completed, 0);
}

// Whoever reads damage gets an error, and it is known from then on: nobody waits for a pass.
TEST_F(ScrubTest, WhatAReadFindsDamagedIsToldWithoutAPass) {
  scrub().set_options({.automatic = false});
  const Ino small = put("small", "content");
  put("large", std::string(1'500'000, 'x'));
  const Ino large = put("large", std::string(1'400'000, 'y'));
  put("whole", "something else");
  const auto read_fails = [&](Ino ino, uint64_t offset) {
    const auto file = f.open_file(ino, {.read = true});
    std::string out(4096, '?');
    const auto got = f.core->read(ino, file.handle, offset, out);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::kCorrupt);
    f.core->release(ino, file.handle);
  };
  flip(small);
  flip(extents(record(large), 1).at(0).run);
  scrub().step(false);
  EXPECT_EQ(status().lost_count, 0u) << "nobody has read it";
  for (int i = 0; i < 3; ++i) {
    read_fails(small, 0);
    read_fails(large, kChunkSize);
    EXPECT_EQ(f.content(f.lookup(f.bucket, "whole")), "something else");
    scrub().step(false);
    const ScrubStatus now = status();
    EXPECT_EQ(now.begun, 0) << "no pass was asked for";
    ASSERT_EQ(now.lost.size(), 2u);
    EXPECT_THAT(now.lost[0].paths,
                testing::AnyOf(testing::ElementsAre("bucket/small"), testing::ElementsAre("bucket/large")));
    EXPECT_THAT(now.lost[0].why, testing::HasSubstr("does not verify"));
    f.env.advance(kDay);
  }
  flip(small);
  flip(extents(record(large), 1).at(0).run);
  EXPECT_EQ(lost_records().size(), 2u);
  pass();
  EXPECT_EQ(status().lost_count, 0u);
}

TEST_F(ScrubTest, AVersionThatCannotBeReadIsToldWithoutAPassToo) {
  scrub().set_options({.automatic = false});
  const Ino ino = put("file", "the first version");
  const pailfs::Run first = extents(record(ino), 0).at(0).run;
  put("file", "the second one");
  flip(first);
  const std::string name = f.versions("file").at(1).name;
  const Ino shown = f.lookup(f.versions_of({"file"}), name);
  const auto file = f.open_file(shown, {.read = true});
  std::string out(10, '?');
  const auto got = f.core->read(shown, file.handle, 0, out);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kCorrupt);
  f.core->release(shown, file.handle);
  scrub().step(false);
  const ScrubStatus now = status();
  ASSERT_EQ(now.lost.size(), 1u);
  EXPECT_EQ(now.lost[0].version, name);
  EXPECT_FALSE(now.lost[0].current);
}

TEST_F(ScrubTest, WhatTheMediumDoesNotGiveIsALossUntilItDoes) {
  put("small", "content");
  put("large", std::string(1'500'000, 'x'));
  EXPECT_OK(f.store->sync());
  FaultEnv faults(f.env);
  f.log_env = &faults;
  f.open();
  faults.inject({.kind = CallKind::kRead, .code = Code::kIo, .for_ever = true});
  pass();
  ScrubStatus now = status();
  EXPECT_EQ(now.lost_count, 2u);
  ASSERT_EQ(now.lost.size(), 2u);
  EXPECT_THAT(now.lost[0].why, testing::HasSubstr("injected failure"));
  EXPECT_GT(now.completed, 0) << "the pass ends all the same";
  const Ino ino = f.lookup(f.bucket, "small");
  const auto file = f.open_file(ino, {.read = true});
  std::string out(7, '?');
  const auto got = f.core->read(ino, file.handle, 0, out);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kIo);
  faults.clear();
  EXPECT_EQ(f.read(file, 0, 7), "content");
  f.core->release(ino, file.handle);
  f.env.advance(kDay);
  pass();
  now = status();
  EXPECT_EQ(now.lost_count, 0u);
  EXPECT_FALSE(f.store->status().read_only);
  f.core.reset();
  f.store.reset();
}

TEST_F(ScrubTest, WhatGoesWhileItIsReadIsNoLoss) {
  for (int i = 0; i < 30; ++i) put("file" + std::to_string(i), std::string(100'000, 'x'));
  scrub().start_now();
  for (int i = 0; i < 30; ++i) {
    step();
    EXPECT_OK(f.core->unlink(f.root, f.bucket, "file" + std::to_string(i)));
    prune();
    EXPECT_OK(f.store->sync());
    EXPECT_OK(f.store->checkpoint());
    EXPECT_OK(f.store->reclaim());
  }
  for (int i = 0; i < 100 && status().begun != 0; ++i) step();
  EXPECT_GT(status().completed, 0);
  EXPECT_EQ(findings(), 0u);
}

}  // namespace
}  // namespace pailfs::test
