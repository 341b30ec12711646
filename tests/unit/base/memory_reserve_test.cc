#include "base/memory_reserve.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <memory>
#include <new>
#include <vector>

#include "support/sanitizers.h"

namespace pailfs::test {
namespace {

// In a process of its own, as it limits its memory.
void run_out_of_memory() {
  constexpr size_t kPiece = size_t{1} << 20;
  set_memory_aside(16 * kPiece);
  if (memory_is_short()) std::_Exit(1);
  const rlimit little{size_t{256} << 20, RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &little) != 0) std::_Exit(2);
  std::vector<std::unique_ptr<char[]>> pieces;
  pieces.reserve(1024);
  while (!memory_is_short()) pieces.push_back(std::make_unique<char[]>(kPiece));
  // What is under way has the memory that was kept aside, and can end.
  for (int i = 0; i < 8; ++i) pieces.push_back(std::make_unique<char[]>(kPiece));
  void* const block = allocate_or_draw(kPiece);
  if (block == nullptr || reallocate_or_draw(block, 2 * kPiece) == nullptr) std::_Exit(3);
  if (!memory_is_short()) std::_Exit(4);
  // When that is gone too, it is gone.
  try {
    while (true) pieces.push_back(std::make_unique<char[]>(kPiece));
  } catch (const std::bad_alloc&) {
    if (allocate_or_draw(64 * kPiece) != nullptr) std::_Exit(5);
  }
  pieces.clear();
  if (memory_is_short()) std::_Exit(6);
  std::_Exit(0);
}

TEST(MemoryReserveTest, WhatIsUnderWayEndsWithIt) {
  if (kSlowdown > 1) GTEST_SKIP() << "a sanitizer needs address space for itself";
  EXPECT_EXIT(run_out_of_memory(), testing::ExitedWithCode(0), "the machine gives no more memory");
}

}  // namespace
}  // namespace pailfs::test
