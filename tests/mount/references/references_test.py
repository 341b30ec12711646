#!/usr/bin/env python3
"""What the daemon keeps for the kernel goes when the kernel lets go of it: inodes, handles, files without a name."""

import os
import pathlib
import subprocess
import sys
import time

from mounted_store import MountTest, main, wait_until

# Runs until it is killed, with files open and requests under way.
CLIENT = """
import os, sys
top = sys.argv[1]
files = [open(os.path.join(top, "client-%d-%d" % (os.getpid(), number)), "wb", buffering=0) for number in range(20)]
print("ready", flush=True)
while True:
    for file in files:
        file.write(b"x" * 5000)
        os.fsync(file.fileno())
        os.listdir(top)
"""


def drop_caches():
    """The kernel's entries and inodes that nobody uses, of every file system: they come back when asked for."""
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("2\n")


class References(MountTest):
    def in_use(self):
        found = self.fs.status()["in_use"]
        return found["handles"], found["inodes"]

    def assert_back(self, before, what):
        def let_go():
            if self.in_use() == before:
                return True
            drop_caches()
            time.sleep(0.2)
            return False

        try:
            wait_until(let_go, what)
        except AssertionError:
            self.assertEqual(self.in_use(), before, what)
            raise

    def test_what_the_kernel_forgets_is_forgotten(self):
        bucket = self.fs.mount().bucket()
        drop_caches()
        before = self.in_use()
        for number in range(300):
            path = bucket / ("file-%d" % number)
            path.write_text("content")
            os.link(path, bucket / ("link-%d" % number))
            path.stat()
        for _ in range(3):
            self.assertEqual(len([entry.stat() for entry in os.scandir(bucket)]), 600)
        with open(bucket / "file-0", "rb"), open(bucket / "file-0", "ab"):
            handles, inodes = self.in_use()
            self.assertEqual(handles, before[0] + 2)
            self.assertGreaterEqual(inodes, 300)
        self.assert_back(before, "the inodes are forgotten")

    def test_clients_that_are_killed_leave_nothing_behind(self):
        bucket = self.fs.mount().bucket()
        drop_caches()
        before = self.in_use()
        for round_number in range(6):
            clients = [
                subprocess.Popen([sys.executable, "-c", CLIENT, str(bucket)], stdout=subprocess.PIPE) for _ in range(3)
            ]
            for client in clients:
                self.assertEqual(client.stdout.readline(), b"ready\n")
            for client in clients:
                client.kill()
                client.wait()
                client.stdout.close()
            self.assert_back(before, "handles and inodes are as before (round %d)" % round_number)

    def test_a_file_without_a_name_gives_its_room_back(self):
        self.fs.mount()
        self.fs.pail("bucket", "create", "plain", "--versioning", "off")
        bucket = self.fs.bucket("plain")
        drop_caches()
        before = self.in_use()
        descriptors = []
        for number in range(20):
            descriptors.append(os.open(bucket / str(number), os.O_CREAT | os.O_RDWR))
            os.write(descriptors[-1], b"x" * 100_000)
            os.unlink(bucket / str(number))
        self.assertGreaterEqual(self.in_use()[0], before[0] + 20)
        for descriptor in descriptors:
            self.assertEqual(os.pread(descriptor, 10, 99_990), b"x" * 10)
            os.close(descriptor)
        self.assert_back(before, "the files are gone")
        self.assert_sound_store()


if __name__ == "__main__":
    main()
