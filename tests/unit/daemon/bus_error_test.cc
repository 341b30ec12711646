// A disk that fails below a mapped file: a file that was cut short behind its map's back does the same to whoever
// reads.
#include "daemon/bus_error.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "daemon/process.h"
#include "support/temporary_directory.h"

namespace pailfs::test {
namespace {

constexpr size_t kPage = 4096;

TEST(BusErrorDeathTest, ALineNamesTheFileAndTheProcessEnds) {
  const TemporaryDirectory directory;
  const std::string path = directory / "data.mdb";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(ftruncate(fd, 2 * kPage), 0);
  void* const map = mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(map, MAP_FAILED);
  const auto* const bytes = static_cast<const volatile char*>(map);
  ASSERT_EQ(bytes[kPage], 0);
  ASSERT_EQ(ftruncate(fd, kPage), 0);
  EXPECT_EXIT(
      {
        report_bus_errors(false);
        (void)bytes[kPage];
      },
      testing::ExitedWithCode(kSystemError),
      "^pailfs\\[[0-9]+\\]: a page of " + path + " cannot be read \\(SIGBUS\\).*see to the disk first\n$");
  munmap(map, 2 * kPage);
  close(fd);
}

// Nobody is told that a disk failed where it was something else.
TEST(BusErrorDeathTest, OneWithoutAFileEndsTheProcessAsBefore) {
  EXPECT_EXIT(
      {
        report_bus_errors(false);
        (void)raise(SIGBUS);
        (void)raise(SIGBUS);  // the first one took the handler away
      },
      testing::KilledBySignal(SIGBUS), "^$");
}

}  // namespace
}  // namespace pailfs::test
