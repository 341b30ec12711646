#include "crypto/secret.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace pailfs {
namespace {

TEST(Secret, BeginsAsZeros) {
  for (const size_t size : {1, 32, 64, 65, 4096, 4097, 20000}) {
    const Secret secret(size);
    EXPECT_EQ(secret.view(), std::string(size, '\0'));
  }
}

TEST(Secret, IsZeroAgainWhenItsPlaceIsReused) {
  for (int i = 0; i < 200; ++i) {
    Secret secret(size_t{48});
    ASSERT_EQ(secret.view(), std::string(48, '\0'));
    std::fill(secret.span().begin(), secret.span().end(), 'x');
  }
}

TEST(Secret, EmptyHoldsNothing) {
  const Secret nothing;
  const Secret empty{std::string_view()};
  EXPECT_TRUE(nothing.empty());
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.view(), "");
}

TEST(Secret, MovesLeaveTheSourceEmpty) {
  Secret a(std::string_view("alpha"));
  Secret b(std::move(a));
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_EQ(b.view(), "alpha");
  Secret c(std::string_view("gamma"));
  c = std::move(b);
  EXPECT_TRUE(b.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(c.view(), "alpha");
  Secret& alias = c;
  c = std::move(alias);
  EXPECT_EQ(c.view(), "alpha");
}

TEST(Secret, ClonesAreIndependent) {
  Secret a(std::string_view("alpha"));
  const Secret b = a.clone();
  a.data()[0] = 'X';
  EXPECT_EQ(b.view(), "alpha");
}

TEST(Secret, ManySmallOnesKeepTheirContentApart) {
  std::vector<Secret> secrets;
  for (int i = 0; i < 1000; ++i) secrets.emplace_back(std::string_view(std::to_string(i)));
  for (int i = 0; i < 1000; i += 2) secrets[static_cast<size_t>(i)] = Secret();
  for (int i = 0; i < 1000; i += 2) secrets[static_cast<size_t>(i)] = Secret(std::string_view(std::to_string(-i)));
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(secrets[static_cast<size_t>(i)].view(), std::to_string(i % 2 == 0 ? -i : i));
  }
}

TEST(Secret, ThreadsAllocateAndReleaseAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 2000; ++i) {
        const std::string text = std::to_string(t) + ":" + std::to_string(i);
        const Secret secret{std::string_view(text)};
        const Secret copy = secret.clone();
        wrong += copy.view() != text;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Secret, ChildrenSeeZeros) {
  const Secret secret(std::string_view("inherited?"));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(secret.view() == std::string_view("\0\0\0\0\0\0\0\0\0\0", 10) ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// VmFlags of smaps: dd is "do not include in core dump", wf is "wipe on fork".
TEST(Secret, LiesInMemoryThatIsKeptOutOfDumps) {
  const Secret secret(std::string_view("x"));
  const auto address = reinterpret_cast<uintptr_t>(secret.view().data());
  std::ifstream smaps("/proc/self/smaps");
  if (!smaps) GTEST_SKIP() << "no /proc/self/smaps";
  std::string line;
  bool inside = false;
  std::string flags;
  while (std::getline(smaps, line)) {
    unsigned long begin = 0;
    unsigned long end = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) inside = address >= begin && address < end;
    if (inside && line.starts_with("VmFlags:")) flags = line + " ";
  }
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  EXPECT_NE(flags.find(" wf "), std::string::npos) << flags;
}

TEST(Wipe, Overwrites) {
  std::string text = "secret";
  wipe(text);
  EXPECT_EQ(text, std::string(6, '\0'));
}

TEST(DisableCoreDumps, SetsTheLimitToNothing) {
  const pid_t child = fork();  // the limit would stay for the other tests
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit limit{1, 1};
    _exit(disable_core_dumps() && getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace pailfs
