#include "fuse/mount_table.h"

#include <gtest/gtest.h>

namespace pailfs {
namespace {

TEST(MountTable, TakesOptionalFieldsAndOctalEscapes) {
  const auto mounts = parse_mount_table(
      "22 27 0:21 / /proc rw,relatime shared:9 - proc proc rw\n"
      "80 27 0:54 / /mnt/a\\040b\\134c rw,nosuid - fuse.pailfs /srv/sto\\011re rw,user_id=0\n"
      "81 27 0:55 / /mnt rw shared:1 master:2 propagate_from:3 - fuse.pailfs /srv/x rw\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[0].type, "proc");
  EXPECT_EQ(mounts[1].mountpoint, "/mnt/a b\\c");
  EXPECT_EQ(mounts[1].source, "/srv/sto\tre");
  EXPECT_EQ(mounts[1].device, "0:54");
  EXPECT_EQ(mounts[2].mountpoint, "/mnt");
  EXPECT_EQ(mounts[2].type, kMountType);
}

TEST(MountTable, LeavesOutLinesThatMakeNoSense) {
  EXPECT_TRUE(parse_mount_table("").empty());
  EXPECT_TRUE(parse_mount_table("one two\n1 2 3 4 5 6 7 8\n1 2 3 4 5 6 -\n").empty());
  EXPECT_EQ(parse_mount_table("1 2 0:1 / /a\\04 rw - t s\\").size(), 1u);
}

TEST(MountTable, ReadsTheOneOfThisProcess) {
  const auto mounts = read_mount_table();
  ASSERT_TRUE(mounts.has_value());
  EXPECT_FALSE(mounts->empty());
}

}  // namespace
}  // namespace pailfs
