// Random changes against a model that is nothing but strings.
#include "io/memory_content.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace pailfs {
namespace {

constexpr size_t kLargest = 40'000;

std::string bytes_of(const MemoryContent& content) {
  std::string out(content.size(), 'x');
  EXPECT_EQ(content.read(0, out), out.size());
  return out;
}

// One random change, to the file and to the model alike.
void change_both(MemoryFileData& file, std::string& model, std::mt19937_64& random) {
  const size_t offset = random() % kLargest;
  const size_t length = 1 + random() % std::min<size_t>(kLargest - offset, 6000);
  switch (random() % 6) {
    case 0:
      file.resize(offset);
      model.resize(offset);
      return;
    case 1: {
      file.zero(offset, length);
      const size_t end = std::min(offset + length, model.size());
      if (offset < end) model.replace(offset, end - offset, end - offset, '\0');
      return;
    }
    case 2:
      file.reserve(offset, length);
      model.resize(std::max(model.size(), offset + length));
      return;
    default: {
      const std::string data(length, static_cast<char>('a' + random() % 26));
      file.write(offset, data);
      model.resize(std::max(model.size(), offset + length));
      model.replace(offset, length, data);
    }
  }
}

// The sector's bytes in one state of the file; zeros beyond its end.
std::string sector_of(const std::string& state, size_t sector) {
  std::string out = sector * 512 < state.size() ? state.substr(sector * 512, 512) : "";
  out.resize(512);
  return out;
}

TEST(MemoryFileData, HoldsWhatAStringWouldAndSyncMakesThatDurable) {
  std::mt19937_64 random(1);
  MemoryFileData file;
  std::string model;
  std::string synced;
  for (int i = 0; i < 3000; ++i) {
    change_both(file, model, random);
    ASSERT_EQ(bytes_of(file.current()), model) << i;
    ASSERT_EQ(bytes_of(file.after_crash(Unsynced::kDrop, random)), synced) << i;
    ASSERT_EQ(bytes_of(file.after_crash(Unsynced::kKeep, random)), model) << i;
    if (random() % 7 == 0) {
      file.sync();
      synced = model;
      ASSERT_EQ(bytes_of(file.after_crash(Unsynced::kRandom, random)), model) << i;
      ASSERT_EQ(file.after_crash(Unsynced::kDrop, random).blocks(), file.current().blocks()) << i;
    }
  }
}

TEST(MemoryFileData, AfterACrashEverySectorHoldsAStateThatItOnceHad) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    MemoryFileData file;
    std::string model;
    for (int i = 0; i < 5; ++i) change_both(file, model, random);
    file.sync();
    std::vector<std::string> states = {model};
    for (int i = 0; i < 6; ++i) {
      change_both(file, model, random);
      states.push_back(model);
    }
    const std::string image = bytes_of(file.after_crash(Unsynced::kRandom, random));
    EXPECT_TRUE(std::ranges::any_of(states, [&](const auto& state) { return state.size() == image.size(); }));
    for (size_t sector = 0; sector * 512 < image.size(); ++sector) {
      // The last sector may be cut by the size.
      const size_t compared = std::min<size_t>(512, image.size() - sector * 512);
      const std::string found = sector_of(image, sector).substr(0, compared);
      EXPECT_TRUE(std::ranges::any_of(
          states, [&](const std::string& state) { return sector_of(state, sector).substr(0, compared) == found; }))
          << "round " << round << " sector " << sector;
    }
  }
}

}  // namespace
}  // namespace pailfs
