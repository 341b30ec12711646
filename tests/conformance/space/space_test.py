#!/usr/bin/env python3
"""statfs and the numbers of stat that du, df and rsync go by."""

import os

from file_systems import PRIVATE, Bodies, main, on_file_systems
from system_calls import KEEP_SIZE, PUNCH_HOLE, fallocate

MIB = 1 << 20


class Space(Bodies):
    def room(self, name="file") -> int:
        return os.stat(self.top / name).st_blocks * 512

    def test_the_file_system(self):
        found = os.statvfs(self.top)
        self.assertEqual(found.f_namemax, 255)
        self.assertGreaterEqual(found.f_blocks, found.f_bfree)
        self.assertGreaterEqual(found.f_bfree, found.f_bavail)
        self.assertGreater(found.f_bavail, 0)
        self.assertEqual(found.f_frsize, 4096)
        with open(self.make("file"), "rb") as file:
            self.assertEqual(os.fstatvfs(file.fileno()).f_blocks, found.f_blocks)

    def test_room_follows_content(self):
        path = self.make("file")
        self.assertEqual(self.room(), 0)
        with open(path, "r+b", buffering=0) as file:
            number = file.fileno()

            def assert_room(wanted):
                os.fsync(number)
                os.close(os.dup(number))  # only then the kernel asks a FUSE file system for the room again
                self.assertGreaterEqual(self.room(), wanted)
                self.assertLessEqual(self.room(), wanted + wanted // 16 + 65_536)

            os.pwrite(number, os.urandom(4 * MIB), 0)
            assert_room(4 * MIB)
            os.pwrite(number, os.urandom(4 * MIB), 0)
            assert_room(4 * MIB)
            os.pwrite(number, b"x" * 65_536, 1 << 40)
            assert_room(4 * MIB + 65_536)
            fallocate(number, PUNCH_HOLE | KEEP_SIZE, MIB, 2 * MIB)
            assert_room(2 * MIB + 65_536)
            os.ftruncate(number, MIB)
            assert_room(MIB)
            os.ftruncate(number, 100 * MIB)
            assert_room(MIB)
            os.ftruncate(number, 0)
            assert_room(0)
        self.assertEqual(self.room(), 0)

    def test_small_files_take_room_after_all(self):
        with open(self.make("file", b"x"), "rb") as file:
            os.fsync(file.fileno())
        self.assertGreater(self.room(), 0)
        self.assertLessEqual(self.room(), 4096)

    def test_numbers_of_inodes(self):
        seen = {}
        for number in range(200):
            found = os.stat(self.make("file-%d" % number))
            self.assertNotIn(found.st_ino, seen)
            seen[found.st_ino] = number
            self.assertEqual(found.st_dev, os.stat(self.top).st_dev)
            self.assertEqual(found.st_blksize, 4096)
        for ino, number in seen.items():
            self.assertEqual(os.stat(self.top / ("file-%d" % number)).st_ino, ino)


load_tests = on_file_systems(globals(), (Space, PRIVATE))

if __name__ == "__main__":
    main()
