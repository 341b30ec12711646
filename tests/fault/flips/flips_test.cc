// Every byte of every file of small stores, changed: one bit of it, to 0x00, to 0xff; in headers every bit. What a
// commit runs is a sample; PAILFS_SHARE=n in the environment runs every n-th state, and SOAK_SECONDS=n for so long.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/logging.h"
#include "fault/flips/sweep.h"
#include "log/format.h"

namespace pailfs::test {
namespace {

struct Flip {
  uint32_t file;
  uint32_t offset;
  uint8_t to;
};

// Where the bytes have a meaning of their own, without which others have none.
std::vector<bool> headers(const StoreFile& file) {
  std::vector<bool> header(file.bytes.size());
  const auto mark = [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < std::min<uint64_t>(end, header.size()); ++i) header[i] = true;
  };
  const std::string& bytes = file.bytes;
  if (file.name.starts_with("log/")) {
    const uint64_t segment = std::stoull(file.name.substr(4), nullptr, 16);
    mark(0, 170);
    mark(kSegmentHeaderSize - 32, kSegmentHeaderSize);
    // Records that were punched out are found no more, and neither are those behind them: all places are tried.
    for (uint64_t at = kSegmentHeaderSize; at + kRecordHeaderSize <= bytes.size(); ++at) {
      const auto record = decode_record_header(std::string_view(bytes).substr(at), {segment, at});
      if (record) mark(at, at + kRecordHeaderSize + (record->type == kFrameRecord ? kFrameClearSize : 0));
    }
  } else if (file.name.starts_with("index/data")) {
    for (uint64_t page = 0; page < bytes.size(); page += 4096) mark(page, page + (page < 8192 ? 152 : 16));
  } else if (file.name.starts_with("index-copy/")) {
    mark(0, 64 + 4);
  }
  return header;
}

class Flips {
 public:
  Flips(const Specimen& specimen, uint64_t every, const std::function<bool(const std::string&)>& wanted)
      : specimen_(specimen) {
    uint64_t number = 0;
    for (uint32_t f = 0; f < specimen.files.size(); ++f) {
      const StoreFile& file = specimen.files[f];
      if (!wanted(file.name) || file.name == "lock" || file.name == "reserve") continue;  // nobody reads these two
      const std::vector<bool> header = headers(file);
      for (uint32_t at = 0; at < file.bytes.size(); ++at) {
        const auto was = static_cast<uint8_t>(file.bytes[at]);
        const auto add = [&](uint8_t to) {
          if (to != was && mixed(++number) % every == 0) flips_.push_back({f, at, to});
        };
        add(0x00);
        add(0xff);
        for (unsigned bit = 0; header[at] && bit < 8; ++bit) add(static_cast<uint8_t>(was ^ (1U << bit)));
        if (!header[at]) add(static_cast<uint8_t>(was ^ (1U << mixed(at) % 8)));
      }
    }
  }

  uint64_t size() const { return flips_.size(); }
  Damage at(uint64_t i) const {
    const Flip flip = flips_[i];
    const StoreFile& file = specimen_.files[flip.file];
    const auto was = static_cast<uint8_t>(file.bytes[flip.offset]);
    return {.file = file.name,
            .bytes = {flip.offset, uint64_t{flip.offset} + 1},
            .what = fmt::format("byte {} is {:#04x} and was {:#04x}", flip.offset, flip.to, was),
            .inflict =
                [name = file.name, flip](MemoryEnv& memory, const std::string& directory) {
                  const auto opened = memory.open(directory + "/" + name, OpenMode::kReadWrite);
                  const char byte = static_cast<char>(flip.to);
                  (void)(*opened)->write_at(flip.offset, {&byte, 1});
                },
            .replayed = false};
  }

 private:
  const Specimen& specimen_;
  std::vector<Flip> flips_;
};

bool is_index(const std::string& file) { return file.starts_with("index/"); }

class FlipsTest : public testing::Test {
 protected:
  FlipsTest() { set_log_level(LogLevel::kError); }

  void expect_nothing_wrong(const Specimen& specimen, uint64_t every, bool index) {
    if (HasFatalFailure()) return;
    const Flips flips(specimen, every, [&](const std::string& file) { return is_index(file) == index; });
    sweep(specimen, "E1", index ? "bytes of the index" : "bytes of all files but the index", flips.size(),
          [&](uint64_t i) { return flips.at(i); });
  }

  const TemporaryDirectory directory_;
};

TEST_F(FlipsTest, WithoutDamageEverythingIsShown) {
  for (const auto& specimen : {Specimen::closed(directory_.path()), Specimen::killed(directory_.path())}) {
    const Damage none{.file = "index/", .bytes = {}, .what = "", .inflict = [](auto&&...) {}, .replayed = false};
    const Verdict verdict = judge(*specimen, none, [] { return std::string(); });
    EXPECT_EQ(verdict.outcome, Outcome::kSame);
    for (const std::string& what : verdict.violations) ADD_FAILURE() << what;
    for (const StoreFile& file : specimen->files) {
      fmt::print("{} store: {}, {} bytes\n", specimen->name, file.name, file.bytes.size());
    }
    fmt::print("{} store: {} states, {} units\n", specimen->name, specimen->states.size(), specimen->units.size());
  }
}
TEST_F(FlipsTest, AByteOfAClosedStore) {
  expect_nothing_wrong(*Specimen::closed(directory_.path()), sweep_share(1600), false);
}
TEST_F(FlipsTest, AByteOfAKilledStore) {
  expect_nothing_wrong(*Specimen::killed(directory_.path()), sweep_share(1600), false);
}
TEST_F(FlipsTest, AByteOfTheIndex) {
  expect_nothing_wrong(*Specimen::killed(directory_.path()), sweep_share(600), true);
}

}  // namespace
}  // namespace pailfs::test
