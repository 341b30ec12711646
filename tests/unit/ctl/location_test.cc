#include "ctl/location.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_directory.h"

namespace pailfs {
namespace {

constexpr std::string_view kMountinfo =
    "23 29 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
    "29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "40 29 0:50 / /mnt/pailfs rw,nosuid,nodev shared:9 - fuse.pailfs /var/lib/pailfs/store rw,user_id=0,allow_other\n"
    "41 29 0:51 / /home/me/with\\040space rw - fuse.pailfs /home/me/a\\134b rw\n"
    "42 29 0:50 /photos/2026 /srv/photos rw shared:9 - fuse.pailfs /var/lib/pailfs/store rw\n"
    "43 40 0:52 / /mnt/pailfs/inner rw - tmpfs tmpfs rw\n"
    "a line that makes no sense\n";

TEST(MountinfoTest, IsParsedWithItsEscapesUndone) {
  const auto mounts = parse_mountinfo(kMountinfo);
  ASSERT_EQ(mounts.size(), 6u);
  EXPECT_EQ(mounts[3].mountpoint, "/home/me/with space");
  EXPECT_EQ(mounts[3].source, "/home/me/a\\b");
  EXPECT_EQ(mounts[4].root, "/photos/2026");
}

class FindMountTest : public testing::Test {
 protected:
  std::optional<MountedPath> find(std::string_view path) { return find_mount(parse_mountinfo(kMountinfo), path); }
};

TEST_F(FindMountTest, NamesTheStoreAndThePathInIt) {
  const auto found = find("/mnt/pailfs/photos/a.jpg");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->store, "/var/lib/pailfs/store");
  EXPECT_EQ(found->inside, "/photos/a.jpg");
}

TEST_F(FindMountTest, GivesTheRootOfTheMountASlash) { EXPECT_EQ(find("/mnt/pailfs")->inside, "/"); }

TEST_F(FindMountTest, FollowsBindMounts) { EXPECT_EQ(find("/srv/photos/b.jpg")->inside, "/photos/2026/b.jpg"); }

TEST_F(FindMountTest, FindsNothingElsewhere) {
  EXPECT_FALSE(find("/home/me"));
  EXPECT_FALSE(find("/mnt/pailfs2"));
  EXPECT_FALSE(find("/mnt/pailfs/inner/file"));
}

TEST_F(FindMountTest, PrefersTheMountOnTop) {
  const std::string text = std::string(kMountinfo) + "50 29 0:60 / /mnt/pailfs rw - fuse.pailfs /other/store rw\n";
  EXPECT_EQ(find_mount(parse_mountinfo(text), "/mnt/pailfs/x")->store, "/other/store");
}

TEST(LocateTest, FindsNoMountBelowATemporaryDirectory) {
  const test::TemporaryDirectory directory;
  const auto found = locate(directory / "missing/too");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(*found);
}

TEST(ControlSocketTest, OfRootIsBelowRun) {
  EXPECT_EQ(control_socket_path(0, "u-u-i-d"), "/run/pailfs/u-u-i-d.sock");
  EXPECT_EQ(control_socket_path(0, "u-u-i-d", 2), "/run/pailfs/u-u-i-d-2.sock");
}

TEST(ControlSocketTest, IsLookedForWithRootFirst) {
  const auto candidates = control_socket_candidates(1234567, 1234567, "u");
  ASSERT_GE(candidates.size(), 2u);
  EXPECT_EQ(candidates.front(), "/run/pailfs/u.sock");
  EXPECT_EQ(candidates[1], "/run/pailfs/u-1.sock");
  EXPECT_EQ(candidates[candidates.size() - kMaxStoreCopies], "/tmp/pailfs-1234567/u.sock");
}

}  // namespace
}  // namespace pailfs
