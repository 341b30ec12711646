// A store in a real directory whose system calls are interrupted by signals, or done in part, as a busy or nearly full
// file system does it: nobody may notice. What an Env reports as failed is fault/core's matter.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <regex>
#include <string>

#include "base/logging.h"
#include "fault/core/operations.h"
#include "support/temporary_directory.h"
#include "support/tree_dump.h"

namespace pailfs::test {
namespace {

enum class Trouble { kNone, kInterrupted, kInPart };

// Guards nothing: the store of these tests has one thread.
struct {
  Trouble trouble = Trouble::kNone;
  bool lmdb = false;  // its calls too
  std::string directory;
  uint64_t interrupted = 0;
  uint64_t in_part = 0;
  bool again = false;  // the call before this one was interrupted: this one is done
} plan;

std::string path_of(int fd) {
  char target[512];
  const ssize_t n = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), target, sizeof(target));
  return {target, n > 0 ? static_cast<size_t>(n) : 0};
}

bool concerns(const std::string& path) {
  return plan.trouble != Trouble::kNone && path.starts_with(plan.directory) &&
         (plan.lmdb || !path.ends_with("data.mdb")) && !path.ends_with("lock.mdb");
}

// Every call is interrupted once, and done when it is repeated.
bool interrupted(const std::string& path) {
  if (plan.trouble != Trouble::kInterrupted || !concerns(path)) return false;
  plan.again = !plan.again;
  if (!plan.again) return false;
  ++plan.interrupted;
  errno = EINTR;
  return true;
}

// Of `size` bytes, those that are done now.
size_t part(const std::string& path, size_t size) {
  if (plan.trouble != Trouble::kInPart || !concerns(path) || size < 2) return size;
  ++plan.in_part;
  return size / 2;
}

class SystemCallsTest : public testing::Test {
 public:
  ~SystemCallsTest() override { plan = {}; }

 protected:
  SystemCallsTest() {
    set_log_level(LogLevel::kError);
    plan = {};
    plan.directory = directory_.path();
  }

  // A world, every operation in a row (some do not apply after those before them), a new start; what is shown after it,
  // and which operations were refused, without the times.
  std::string lifetime() {
    std::string out;
    Env& env = posix_env();
    make_world(env, store_);
    {
      auto life = Life::begin(env, store_);
      EXPECT_TRUE(life) << life.error().message;
      if (!life) return {};
      for (const Operation& operation : operations()) {
        const Status done = operation.run(**life);
        if (!done) out += fmt::format("{}: {}\n", operation.name, code_name(done.error().code));
      }
      (*life)->release_held();
      const Status closed = (*life)->store().close();
      EXPECT_TRUE(closed) << closed.error().message;
    }
    auto life = Life::begin(env, store_);
    EXPECT_TRUE(life) << life.error().message;
    if (!life) return {};
    const auto checked = (*life)->core().check(true, nullptr);
    EXPECT_TRUE(checked && checked->problem_count == 0);
    out += dump_tree((*life)->core());
    static const std::regex times("[mc]time [0-9]+|[0-9]{8}T[0-9]{6}\\.[0-9]{9}Z");
    return std::regex_replace(out, times, "T");
  }

  const TemporaryDirectory directory_;
  const std::string store_ = directory_.path() + "/store";
};

// Not LMDB's calls: its reads end with EINTR where ours go on, and no signal interrupts a read of a local file.
TEST_F(SystemCallsTest, SignalsAndPartialCallsChangeNothing) {
  const std::string right = lifetime();
  EXPECT_GT(right.size(), 1000U);
  for (const Trouble trouble : {Trouble::kInterrupted, Trouble::kInPart}) {
    std::filesystem::remove_all(store_);
    plan.trouble = trouble;
    EXPECT_EQ(lifetime(), right);
    plan.trouble = Trouble::kNone;
  }
  fmt::print("{} calls interrupted, {} done in part\n", plan.interrupted, plan.in_part);
  EXPECT_GT(plan.interrupted, 100U);
  EXPECT_GT(plan.in_part, 1000U);
}

// LMDB takes a write in part for a failed one. The store accepts nothing more then, and its next start has everything.
TEST_F(SystemCallsTest, WhatLmdbWritesInPartIsThereAfterANewStart) {
  Env& env = posix_env();
  make_world(env, store_);
  std::string shown;
  {
    auto life = Life::begin(env, store_);
    ASSERT_TRUE(life) << life.error().message;
    ASSERT_TRUE((*life)->create("bucket/new", pattern("new", 5000)));
    ASSERT_TRUE((*life)->core().sync());
    shown = dump_tree((*life)->core());
    plan.trouble = Trouble::kInPart;
    plan.lmdb = true;
    EXPECT_FALSE((*life)->store().checkpoint());
    plan.trouble = Trouble::kNone;
    EXPECT_TRUE((*life)->store().status().read_only);
    EXPECT_FALSE((*life)->create("bucket/later", "x"));
  }
  auto life = Life::begin(env, store_);
  ASSERT_TRUE(life) << life.error().message;
  EXPECT_EQ(dump_tree((*life)->core()), shown);
  const auto checked = (*life)->core().check(true, nullptr);
  EXPECT_TRUE(checked && checked->problem_count == 0);
  EXPECT_TRUE((*life)->create("bucket/later", "x"));
}

}  // namespace

// For the C library's names below.
bool call_is_interrupted(int fd) { return interrupted(path_of(fd)); }
size_t part_of_call(int fd, size_t size) { return part(path_of(fd), size); }

}  // namespace pailfs::test

// By their names in the dynamic symbol table: _FILE_OFFSET_BITS renames the declared ones.
#define PAILFS_TROUBLED(result, name, parameters, body)                                             \
  result troubled_##name parameters __asm__(#name);                                                 \
  result troubled_##name parameters body result troubled_##name##64 parameters __asm__(#name "64"); \
  result troubled_##name##64 parameters body

extern "C" {

PAILFS_TROUBLED(ssize_t, pread, (int fd, void* out, size_t size, off_t offset), {
  if (pailfs::test::call_is_interrupted(fd)) return -1;
  return ::syscall(SYS_pread64, fd, out, pailfs::test::part_of_call(fd, size), offset);
})
PAILFS_TROUBLED(ssize_t, pwrite, (int fd, const void* data, size_t size, off_t offset), {
  if (pailfs::test::call_is_interrupted(fd)) return -1;
  return ::syscall(SYS_pwrite64, fd, data, pailfs::test::part_of_call(fd, size), offset);
})
PAILFS_TROUBLED(int, fallocate, (int fd, int mode, off_t offset, off_t length), {
  if (pailfs::test::call_is_interrupted(fd)) return -1;
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
})
PAILFS_TROUBLED(int, ftruncate, (int fd, off_t size), {
  if (pailfs::test::call_is_interrupted(fd)) return -1;
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
})
}
