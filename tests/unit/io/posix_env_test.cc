// What only the operating system can show: modes, descriptors, other processes, devices that fail.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "io/env.h"
#include "support/temporary_directory.h"

namespace pailfs {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(stat(path.c_str(), &st), 0);
  return st.st_mode & 07777;
}

TEST(PosixEnv, FilesAndDirectoriesAreTheOwnersAlone) {
  const test::TemporaryDirectory dir;
  const mode_t old = umask(0);
  EXPECT_TRUE(posix_env().open(dir / "f", OpenMode::kCreate));
  EXPECT_TRUE(posix_env().make_dir(dir / "d"));
  EXPECT_TRUE(posix_env().replace_file(dir / "r", "text"));
  EXPECT_TRUE(posix_env().lock_file(dir / "lock"));
  umask(old);
  EXPECT_EQ(mode_of(dir / "f"), 0600u);
  EXPECT_EQ(mode_of(dir / "d"), 0700u);
  EXPECT_EQ(mode_of(dir / "r"), 0600u);
  EXPECT_EQ(mode_of(dir / "lock"), 0600u);
}

TEST(PosixEnv, EveryDescriptorIsClosedOnExec) {
  const test::TemporaryDirectory dir;
  const auto file = posix_env().open(dir / "f", OpenMode::kCreate);
  const auto again = posix_env().open(dir / "f", OpenMode::kRead);
  const auto lock = posix_env().lock_file(dir / "lock");
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (gone || !target.string().starts_with(dir.path())) continue;
    ++seen;
    EXPECT_TRUE(fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC) << target;
  }
  EXPECT_EQ(seen, 3);
}

TEST(PosixEnv, CreateDoesNotFollowASymbolicLink) {
  const test::TemporaryDirectory dir;
  ASSERT_EQ(symlink((dir / "target").c_str(), (dir / "link").c_str()), 0);
  const auto file = posix_env().open(dir / "link", OpenMode::kCreate);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kExists);
  EXPECT_EQ(posix_env().exists(dir / "target"), false);
}

TEST(PosixEnv, ALockOfAnotherProcessIsReportedWithItsPidAndEndsWithTheProcess) {
  const test::TemporaryDirectory dir;
  int ready[2];
  int done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = posix_env().lock_file(dir / "lock");
    char c = lock ? 'y' : 'n';
    if (write(ready[1], &c, 1) != 1) _exit(1);
    close(done[1]);
    (void)!read(done[0], &c, 1);
    _exit(0);  // without the destructor: the kernel must release it
  }
  char c = 0;
  ASSERT_EQ(read(ready[0], &c, 1), 1);
  EXPECT_EQ(c, 'y');
  const auto refused = posix_env().lock_file(dir / "lock");
  for (const int fd : {done[1], done[0], ready[0], ready[1]}) close(fd);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInUse);
  EXPECT_NE(refused.error().message.find(std::to_string(child)), std::string::npos) << refused.error().message;
  EXPECT_TRUE(posix_env().lock_file(dir / "lock"));
}

TEST(PosixEnv, AFullDeviceIsNoSpace) {
  const auto file = posix_env().open("/dev/full", OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  const auto written = (*file)->write_at(0, "text");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kNoSpace);
  EXPECT_NE(written.error().message.find("/dev/full"), std::string::npos) << written.error().message;
}

TEST(PosixEnv, AFailedSyncStaysFailed) {
  const auto file = posix_env().open("/dev/null", OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  const auto first = (*file)->sync_data();
  if (first) GTEST_SKIP() << "this kernel can sync /dev/null";
  const auto second = (*file)->sync_data();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, first.error().code);
  EXPECT_EQ(second.error().message, first.error().message);
}

void ignore_signal(int) {}

// Calls on regular files are seldom interrupted; what shows is that a storm of signals fails nothing.
TEST(PosixEnv, SignalsDoNotMakeCallsFail) {
  const test::TemporaryDirectory dir;
  struct sigaction action{};
  struct sigaction old{};
  action.sa_handler = ignore_signal;  // without SA_RESTART
  ASSERT_EQ(sigaction(SIGALRM, &action, &old), 0);
  const itimerval often{{0, 200}, {0, 200}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  const auto file = posix_env().open(dir / "f", OpenMode::kCreate);
  EXPECT_TRUE(file);
  const std::string block(1 << 16, 'b');
  for (uint64_t i = 0; i < 200; ++i) EXPECT_TRUE((*file)->write_at(i * block.size(), block));
  std::string all(200 * block.size(), 'x');
  EXPECT_EQ((*file)->read_at(0, all), all.size());
  EXPECT_EQ(posix_env().random_bytes(1 << 20).size(), 1u << 20);
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &old, nullptr);
}

}  // namespace
}  // namespace pailfs
