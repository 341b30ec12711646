// The log on files, killed and cut off from power at every call that changes the medium, and with every call failing.
// After each: all that was acknowledged is there, what is there is a prefix of what happened, data reads back as it was
// written, recovery may itself be killed anywhere, and no nonce was used for two texts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "base/codec.h"
#include "io/fault_env.h"
#include "io/memory_env.h"
#include "log/format.h"
#include "log/log.h"

namespace pailfs::test {
namespace {

const std::string kUuid = "0123456789abcdef";
const std::string kDirectory = "/log";

struct Record {
  Position position;
  std::string payload;
};

std::string text_of(uint64_t seq, size_t i) {
  return std::string(1 + (seq * 131 + i * 977) % 2500, static_cast<char>('a' + (seq + i) % 26));
}

// The payload of commit `seq` names its data records: what a replay can check.
std::string frame_payload(const std::vector<Record>& records) {
  Encoder out;
  for (const Record& record : records) {
    out.u64(record.position.segment);
    out.u64(record.position.offset);
    out.bytes(record.payload);
  }
  return out.take();
}

LogOptions small_segments() {
  LogOptions options;
  options.segment_size = 20 << 10;
  options.reserve_step = 8 << 10;
  options.writeback_step = 4 << 10;
  return options;
}

class Machine {
 public:
  Machine() {
    EXPECT_TRUE(env->make_dir(kDirectory));
    EXPECT_TRUE(env->sync_dir("/"));
  }
  explicit Machine(std::unique_ptr<MemoryEnv> image) : env(std::move(image)) {}

  // After a power cut.
  Machine image(const CrashPolicy& policy) const { return Machine(env->crash_image(policy)); }

  std::unique_ptr<MemoryEnv> env = std::make_unique<MemoryEnv>(7);
};

struct Outcome {
  bool opened = false;
  Error error;            // of open
  uint64_t replayed = 0;  // the last sequence number in the log, when it was opened
  uint64_t appended = 0;  // the last that was appended
  uint64_t synced = 0;    // the last that was acknowledged
};

// One life of a process: opens the log, checks what is there, commits `commits` more, and ends with an unsynced tail.
Outcome live(Env& env, uint64_t commits, bool tolerate_errors = true) {
  Outcome outcome;
  const Secret key(std::string(kKeySize, 'k'));
  const auto storage = make_file_log_storage(env, kDirectory);
  std::vector<Record> claimed;
  auto log =
      Log::open(*storage, env, key, kUuid, small_segments(), {}, [&](const FrameInfo& info, std::string_view payload) {
        EXPECT_EQ(info.first_seq, outcome.replayed + 1) << "not a prefix";
        outcome.replayed = info.last_seq;
        Decoder in(payload);
        for (size_t i = 0; in.remaining() > 0; ++i) {
          Position position;
          position.segment = in.u64();
          position.offset = in.u64();
          const std::string text(in.bytes());
          EXPECT_EQ(text, text_of(info.first_seq, i));
          claimed.push_back({position, text});
        }
        return Status{};
      });
  if (!log) {
    outcome.error = log.error();
    EXPECT_TRUE(tolerate_errors) << log.error().message;
    return outcome;
  }
  outcome.opened = true;
  for (const Record& record : claimed) {
    std::string out(record.payload.size(), '?');
    const Status got = (*log)->read(record.position, out);
    if (got) {
      EXPECT_TRUE(out == record.payload) << "wrong data";
    } else {
      EXPECT_TRUE(tolerate_errors && got.error().code == Code::kIo) << got.error().message;
    }
  }
  outcome.appended = outcome.synced = outcome.replayed;
  const auto write = [&](const std::string& text) -> std::optional<Record> {
    auto reservation = (*log)->reserve(text.size());
    if (!reservation) return std::nullopt;
    const Position position = reservation->payload();
    std::string bytes(kRecordHeaderSize, '\0');
    bytes += text;
    if (!(*log)->write(std::move(*reservation), bytes)) return std::nullopt;
    return Record{position, text};
  };
  for (uint64_t n = 0; n < commits; ++n) {
    const uint64_t seq = outcome.appended + 1;
    std::vector<Record> records;
    bool whole = true;
    for (size_t i = 0; i < 3 && whole; ++i) {
      const auto record = write(text_of(seq, i));
      whole = record.has_value();
      if (whole) records.push_back(*record);
      if (i == 1 && seq % 3 == 0) (void)(*log)->reserve(500);  // abandoned
    }
    if (!whole) continue;
    if (!(*log)->append_frame(seq, seq, frame_payload(records))) continue;
    outcome.appended = seq;
    if (seq % 2 == 0 && (*log)->sync()) outcome.synced = seq;
  }
  (void)write("data of no commit");
  return outcome;
}

// What was written under which key and nonce: (salt, offset) to the record. Over all images of one run.
class Nonces {
 public:
  void collect(MemoryEnv& env) {
    const LogKeys keys(Secret(std::string(kKeySize, 'k')), kUuid);
    const auto storage = make_file_log_storage(env, kDirectory);
    const std::vector<uint64_t> ids = storage->list().value();
    for (const uint64_t id : ids) {
      std::string bytes(storage->size(id).value(), '\0');
      bytes.resize(storage->read(id, 0, bytes).value());
      const auto header = decode_segment_header(std::string_view(bytes).substr(0, kSegmentHeaderSize), id, keys);
      if (header) collect_segment(bytes, *header);
    }
  }

 private:
  void collect_segment(std::string_view bytes, const SegmentHeader& header) {
    for (size_t at = kSegmentHeaderSize; at + kRecordHeaderSize <= bytes.size();) {
      const auto record = decode_record_header(bytes.substr(at), {header.id, at});
      const size_t payload = at + kRecordHeaderSize;
      if (!record || record->length > bytes.size() - payload) return;
      const std::string_view stored = bytes.substr(payload, record->length);
      if (record->type != kPaddingRecord && digest_matches(*record, sha256(stored))) {
        const auto [place, added] =
            used_.emplace(std::pair(std::string(header.salt.data(), kSaltSize), at), std::string(stored));
        ASSERT_TRUE(added || place->second == stored) << "one nonce, two texts";
      }
      at = payload + record->length;
    }
  }
  std::map<std::pair<std::string, size_t>, std::string> used_;
};

std::vector<CrashPolicy> policies() {
  std::vector<CrashPolicy> out = {{.data = Unsynced::kDrop, .names = Unsynced::kDrop},
                                  {.data = Unsynced::kKeep, .names = Unsynced::kKeep},
                                  {.data = Unsynced::kDrop, .names = Unsynced::kKeep}};
  for (uint64_t seed = 1; seed <= 4; ++seed) out.push_back({Unsynced::kRandom, Unsynced::kRandom, seed});
  return out;
}

constexpr uint64_t kCommits = 12;

uint64_t changes_of_a_life() {
  Machine machine;
  FaultEnv env(*machine.env);
  live(env, kCommits, false);
  return env.changes();
}

void expect_survived(Machine& machine, const Outcome& before, const std::string& what) {
  const Outcome after = live(*machine.env, 2, false);
  ASSERT_TRUE(after.opened) << what << ": " << after.error.message;
  ASSERT_GE(after.replayed, before.synced) << what;
  ASSERT_LE(after.replayed, before.appended + 1) << what;  // a frame whose write failed may be there
  const Outcome again = live(*machine.env, 1, false);
  ASSERT_TRUE(again.opened) << what;
  ASSERT_GE(again.replayed, after.synced) << what;
}

TEST(LogCrashTest, APowerCutAtAnyCallLosesNothingThatWasSynced) {
  const uint64_t calls = changes_of_a_life();
  ASSERT_GT(calls, 60U);
  for (uint64_t k = 0; k <= calls; ++k) {
    Machine machine;
    FaultEnv env(*machine.env);
    env.die_after(k);
    const Outcome before = live(env, kCommits);
    for (const CrashPolicy& policy : policies()) {
      Machine image = machine.image(policy);
      expect_survived(image, before, fmt::format("power cut at {}, seed {}", k, policy.seed));
    }
    // The process dies and its successor builds on what it can read, then the power goes.
    const Outcome successor = live(*machine.env, 4, false);
    for (const CrashPolicy& policy : policies()) {
      Machine image = machine.image(policy);
      expect_survived(image, successor, fmt::format("killed at {}, then a power cut, seed {}", k, policy.seed));
    }
    expect_survived(machine, successor, fmt::format("killed at {}", k));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(LogCrashTest, RecoveryMayBeKilledAtAnyCallAndRunAgain) {
  const uint64_t calls = changes_of_a_life();
  uint64_t kills = 0;
  for (uint64_t k = 2; k <= calls; k += 3) {
    Machine machine;
    FaultEnv env(*machine.env);
    env.die_after(k);
    const Outcome before = live(env, kCommits);
    const CrashPolicy first_cut{Unsynced::kRandom, Unsynced::kRandom, k};
    for (uint64_t j = 0;; ++j) {
      Machine image = machine.image(first_cut);
      FaultEnv again(*image.env);
      again.die_after(j);
      const Outcome recovered = live(again, 0);
      const bool through = !again.dead();
      ++kills;
      for (const CrashPolicy& policy : policies()) {
        Machine second = image.image(policy);
        Outcome known = before;
        known.synced = std::max(before.synced, recovered.opened ? recovered.replayed : 0);
        expect_survived(second, known, fmt::format("killed at {}, recovery at {}, seed {}", k, j, policy.seed));
      }
      if (through || testing::Test::HasFailure()) break;
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(kills, 100U);
}

TEST(LogCrashTest, NoNonceIsUsedForTwoTexts) {
  const uint64_t calls = changes_of_a_life();
  for (uint64_t k = 1; k <= calls; k += 2) {
    Machine machine;
    Nonces nonces;
    FaultEnv env(*machine.env);
    env.die_after(k);
    live(env, kCommits);
    nonces.collect(*machine.env);
    for (const CrashPolicy& policy : policies()) {
      Machine image = machine.image(policy);
      nonces.collect(*image.env);
      live(*image.env, 3);
      nonces.collect(*image.env);
      Machine later = image.image({.seed = policy.seed});
      live(*later.env, 3);
      nonces.collect(*later.env);
    }
    live(*machine.env, 3);
    nonces.collect(*machine.env);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(LogCrashTest, AnyCallMayFailInAnyWay) {
  const uint64_t calls = changes_of_a_life();
  for (const Code code : {Code::kIo, Code::kNoSpace, Code::kQuota}) {
    for (const bool for_ever : {false, true}) {
      for (const bool partial : {false, true}) {
        for (uint64_t n = 1; n <= calls; ++n) {
          Machine machine;
          FaultEnv env(*machine.env);
          env.inject({.kind = {}, .nth = n, .code = code, .for_ever = for_ever, .partial = partial});
          const Outcome before = live(env, kCommits);
          const std::string what = fmt::format("call {} fails with {}", n, code_name(code));
          Machine image = machine.image({Unsynced::kRandom, Unsynced::kRandom, n});
          expect_survived(image, before, what + ", then power cut");
          expect_survived(machine, before, what);
          if (testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

TEST(LogCrashTest, AReadThatFailsDuringRecoveryIsNotTakenForATornTail) {
  Machine machine;
  const Outcome before = live(*machine.env, kCommits, false);
  for (uint64_t n = 1;; ++n) {
    Machine image = machine.image({.data = Unsynced::kKeep, .names = Unsynced::kKeep});
    FaultEnv env(*image.env);
    env.inject({.kind = CallKind::kRead, .nth = n, .code = Code::kIo});
    const Outcome recovered = live(env, 0);
    if (!env.fired()) break;
    if (!recovered.opened) {
      EXPECT_EQ(recovered.error.code, Code::kIo);
    }
    expect_survived(image, before, fmt::format("read {} failed", n));
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace pailfs::test
