#!/usr/bin/env python3
"""A disk that fills up: the writer hears of it, nothing old is lost, deleting and pruning work, room comes back."""

import errno
import os
import subprocess
import unittest

from mounted_store import MountTest, main, wait_until

MIB = 1 << 20


class FullDisk(MountTest):
    expected_errors = ("the disk below the store is full", "No space left on device", "has to wait")

    def setUp(self):
        super().setUp()
        self.disk = self.fs.directory / "disk"
        self.disk.mkdir()
        image = self.fs.directory / "image"
        with open(image, "wb") as file:
            file.truncate(160 * MIB)
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

    def test_a_full_disk_loses_nothing_and_deleting_gives_room_back(self):
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
            self.fs.pail("versions", "prune", "bucket", "--keep", "0")

            def room():
                stat = os.statvfs(self.fs.mountpoint)
                return stat.f_bavail * stat.f_frsize

            wait_until(lambda: room() > 90 * MIB, "the room is back (round %d)" % round_number)
            (bucket / "after").write_bytes(b"x" * MIB)
        self.assertFalse(self.fs.status()["store"]["read_only"])
        self.fs.remount()
        for name, content in old.items():
            self.assertEqual((bucket / name).read_bytes(), content)
        self.fs.pail("check", "--deep")

    def test_a_crash_on_a_full_disk_recovers(self):
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


if __name__ == "__main__":
    main()
