#include "core/decisions.h"

#include <gtest/gtest.h>

namespace pailfs {
namespace {

Decisions::Key some_key() { return {.ino = 7, .principal = 3, .uid = 1000, .gid = 1000}; }

TEST(Decisions, AreKeptUnderAllThatTheyDependOn) {
  Decisions decisions;
  EXPECT_FALSE(decisions.find(some_key()));
  decisions.keep(some_key(), decisions.begin(7), 5);
  EXPECT_EQ(decisions.find(some_key()), 5);
  const std::vector<Decisions::Key> others{
      {.ino = 8, .principal = 3, .uid = 1000, .gid = 1000},
      {.ino = 7, .principal = 4, .uid = 1000, .gid = 1000},
      {.ino = 7, .principal = 3, .uid = 1001, .gid = 1000},
      {.ino = 7, .principal = 3, .uid = 1000, .gid = 1001},
      {.ino = 7, .principal = 3, .uid = 1000, .gid = 1000, .about = Decisions::About::kObject},
      {.ino = 7, .principal = 3, .uid = 1000, .gid = 1000, .action = Action::kGetObject},
      {.ino = 7, .principal = 3, .uid = 1000, .gid = 1000, .need = Need::kRead},
      {.ino = 7, .principal = 3, .uid = 1000, .gid = 1000, .door = Door::kControl},
  };
  for (const Decisions::Key& other : others) EXPECT_FALSE(decisions.find(other));
}

TEST(Decisions, NothingIsStaleAfterAChange) {
  Decisions decisions;
  const auto keep = [&] { decisions.keep(some_key(), decisions.begin(7), 1); };
  keep();
  decisions.everything_changed();
  EXPECT_FALSE(decisions.find(some_key()));
  keep();
  EXPECT_TRUE(decisions.find(some_key()));
  decisions.names_changed(7);
  EXPECT_FALSE(decisions.find(some_key()));
  keep();
  decisions.names_changed(8);
  EXPECT_TRUE(decisions.find(some_key()));
}

TEST(Decisions, WhatWasBegunBeforeAChangeIsNotKept) {
  for (const bool everything : {false, true}) {
    Decisions decisions;
    const Decisions::Moment begun = decisions.begin(7);
    everything ? decisions.everything_changed() : decisions.names_changed(7);
    decisions.keep(some_key(), begun, 1);
    EXPECT_FALSE(decisions.find(some_key()));
  }
}

TEST(Decisions, ManyDoNotGrowWithoutBound) {
  Decisions decisions;
  constexpr Ino kMany = 400'000;
  for (Ino ino = 1; ino <= kMany; ++ino) decisions.keep({.ino = ino}, decisions.begin(ino), 1);
  size_t kept = 0;
  for (Ino ino = 1; ino <= kMany; ++ino) kept += decisions.find({.ino = ino}) ? 1 : 0;
  EXPECT_LE(kept, 16u * 8192);
  EXPECT_EQ(decisions.find({.ino = kMany}), 1);
}

}  // namespace
}  // namespace pailfs
