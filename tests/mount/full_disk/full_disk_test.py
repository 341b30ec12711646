#!/usr/bin/env python3
"""A disk that fills up: the writer hears of it, nothing old is lost, deleting and pruning work, room comes back.

--cycles N: so often it is filled and emptied (10).
"""

import argparse
import errno
import os
import random
import subprocess
import sys
import unittest

from figures import print_figures
from mounted_store import MountTest, main, wait_until

MIB = 1 << 20
ARGUMENTS = argparse.Namespace(cycles=10)


class FullDisk(MountTest):
    expected_errors = ("the disk below the store is full", "No space left on device", "has to wait")

    def make_disk(self, size):
        self.disk = self.fs.directory / "disk"
        self.disk.mkdir()
        image = self.fs.directory / "image"
        with open(image, "wb") as file:
            file.truncate(size)
        self.fs.run("mkfs.ext4", "-q", "-m", "0", image)
        if self.fs.run("mount", "-o", "loop", image, self.disk, check=False).returncode != 0:
            raise unittest.SkipTest("this machine has no loop devices")
        # Clean-ups run last first: the daemon is gone before the disk below it.
        self.addCleanup(self.fs.close)
        self._cleanups.insert(0, (subprocess.run, (["umount", "-l", str(self.disk)],), {"capture_output": True}))
        self._cleanups.insert(0, (self.fs.close, (), {}))  # and at last the directory that the disk was mounted in
        self.fs.store = self.disk / "store"
        self.fs.run(os.environ.get("PAIL", "pail"), "init", self.fs.store, "--key-file", self.fs.key)

    def fill(self, path) -> int:
        """Writes until it is refused; the errno of the refusal."""
        block = os.urandom(MIB)
        try:
            with open(path, "wb", buffering=0) as file:
                for _ in range(400):
                    file.write(block)
                    os.fsync(file.fileno())
        except OSError as error:
            return error.errno
        return 0

    def room(self) -> int:
        stat = os.statvfs(self.fs.mountpoint)
        return stat.f_bavail * stat.f_frsize

    def test_a_full_disk_loses_nothing_and_deleting_gives_room_back(self):
        self.make_disk(160 * MIB)
        bucket = self.fs.mount().bucket()
        old = {name: os.urandom(20_000) for name in ("a", "b", "c")}
        for name, content in old.items():
            (bucket / name).write_bytes(content)
        for round_number in range(3):
            self.assertEqual(self.fill(bucket / "big"), errno.ENOSPC)
            self.assertIn("pail versions prune", self.fs.messages())
            for name, content in old.items():
                self.assertEqual((bucket / name).read_bytes(), content)
            os.unlink(bucket / "big")
            self.fs.pail("versions", "prune", "bucket", "--keep", "0", "--yes")

            wait_until(lambda: self.room() > 90 * MIB, "the room is back (round %d)" % round_number)
            (bucket / "after").write_bytes(b"x" * MIB)
        self.assertFalse(self.fs.status()["store"]["read_only"])
        self.fs.remount()
        for name, content in old.items():
            self.assertEqual((bucket / name).read_bytes(), content)
        self.fs.pail("check", "--deep")

    def test_a_crash_on_a_full_disk_recovers(self):
        self.make_disk(160 * MIB)
        bucket = self.fs.mount().bucket()
        (bucket / "old").write_bytes(b"o" * 50_000)
        with open(bucket / "old", "rb") as file:
            os.fsync(file.fileno())
        self.assertEqual(self.fill(bucket / "big"), errno.ENOSPC)
        self.fs.kill()
        self.fs.mount()
        self.assertEqual((bucket / "old").read_bytes(), b"o" * 50_000)
        os.unlink(bucket / "big")
        self.fs.pail("check")

    # --- Over and over, on a disk of 64 MiB

    def fill_with_one(self, directory):
        self.assertEqual(self.fill(directory / "big"), errno.ENOSPC)

    def fill_with_many(self, directory):
        """Small and middling files, until one is refused; it may be there in part."""
        block = self.source.randbytes(2 * MIB)
        with self.assertRaises(OSError) as refused:
            for number in range(100_000):
                with open(directory / ("f%d" % number), "wb", buffering=0) as file:
                    file.write(block[: self.source.choice((100, 5_000, 300_000, 2 * MIB))])
                    if number % 16 == 0:
                        os.fsync(file.fileno())
        self.assertEqual(refused.exception.errno, errno.ENOSPC)

    def fill_from_outside(self, directory):
        """Somebody else takes all the room of the disk below, to the last block, while the store has its reserve."""
        (directory / "mine").write_bytes(self.source.randbytes(5 * MIB))
        with open(directory / "mine", "rb") as file:
            os.fsync(file.fileno())
        block = b"x" * MIB
        with open(self.disk / "hog", "wb", buffering=0) as hog:
            while len(block) > 0:
                try:
                    hog.write(block)
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
                    block = block[: len(block) // 2]
        self.assertEqual(os.statvfs(self.disk).f_bavail, 0)

    def assert_old(self, old):
        for name, content in old.items():
            self.assertEqual((self.fs.mountpoint / "bucket" / name).read_bytes(), content, name)

    def cycle(self, number, bucket, old):
        fill = (self.fill_with_one, self.fill_with_many, self.fill_from_outside)[number % 3]
        directory = bucket / "filling"
        directory.mkdir()
        fill(directory)
        self.assert_old(old)
        for path in list(directory.iterdir()):
            path.unlink()
        descriptor = os.open(directory, os.O_RDONLY)
        os.fsync(descriptor)  # durable, on a full disk
        os.close(descriptor)
        directory.rmdir()
        (self.disk / "hog").unlink(missing_ok=True)
        self.fs.pail("versions", "prune", "bucket", "--keep", "0", "--yes")
        wait_until(lambda: self.room() > 30 * MIB, "the room is back (cycle %d)" % number)
        wait_until(lambda: self.keep(bucket, old, number), "something can be written again (cycle %d)" % number)
        if number % 5 == 3:
            self.fs.kill()
            self.fs.mount()
        elif number % 5 == 4:
            self.fs.remount()
        self.assert_old(old)

    def keep(self, bucket, old, number) -> bool:
        """A file that every later cycle must leave as it is; its name is one of ten."""
        name, content = "kept%d" % (number % 10), self.source.randbytes(self.source.randrange(1, 40_000))
        try:
            with open(bucket / name, "wb", buffering=0) as file:
                file.write(content)
                os.fsync(file.fileno())
        except OSError as error:
            self.assertEqual(error.errno, errno.ENOSPC)
            return False
        old[name] = content
        return True

    def test_filling_and_deleting_over_and_over(self):
        self.make_disk(64 * MIB)
        self.source = random.Random(4)
        bucket = self.fs.mount().bucket()
        old = {"old%d" % number: self.source.randbytes(1 + 7_000 * number) for number in range(20)}
        for name, content in old.items():
            (bucket / name).write_bytes(content)
        for number in range(ARGUMENTS.cycles):
            self.cycle(number, bucket, old)
        self.assertFalse(self.fs.status()["store"]["read_only"])
        self.assert_sound_store()
        print_figures("D4", "a disk of 64 MiB filled and emptied", cycles=ARGUMENTS.cycles, violations=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=10)
    ARGUMENTS, sys.argv[1:] = parser.parse_known_args()
    main()
