#!/usr/bin/env python3
"""kill -9 of the daemon: the store mounts again, checks clean, and holds every file that was fsynced."""

import contextlib
import os
import subprocess

from mounted_store import MountTest, main

# Copies files one by one, syncs every third, and says so only then.
COPY = """
import os, sys
source, target = sys.argv[1:]
count = 0
for directory, _, names in os.walk(source):
    below = os.path.join(target, os.path.relpath(directory, source))
    os.makedirs(below, exist_ok=True)
    for name in names:
        with open(os.path.join(directory, name), "rb") as file:
            content = file.read()
        path = os.path.join(below, name)
        with open(path, "wb") as file:
            file.write(content)
            count += 1
            if count % 3 == 0:
                file.flush()
                os.fsync(file.fileno())
                print(os.path.join(directory, name), path, flush=True)
"""


class Crash(MountTest):
    def test_a_kill_in_mid_copy_keeps_what_was_fsynced(self):
        bucket = self.fs.mount().bucket()
        copies = subprocess.Popen(["cp", "-a", "/usr/include", bucket / "cp"], stderr=subprocess.DEVNULL)
        writer = subprocess.Popen(
            ["python3", "-c", COPY, "/usr/include/linux", str(bucket / "synced")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        synced = [writer.stdout.readline().split() for _ in range(60)]
        self.fs.kill()
        synced += [line.split() for line in writer.stdout.read().splitlines()]
        writer.wait()
        writer.stdout.close()
        copies.wait()
        self.fs.pail("check", "--key-file", self.fs.key)
        self.fs.mount()
        self.fs.pail("check")
        for source, copy in synced:
            with open(source, "rb") as first, open(copy, "rb") as second:
                self.assertEqual(first.read(), second.read(), copy)

    def test_repeated_kills_while_files_change(self):
        synced = {}
        for round_number in range(5):
            bucket = self.fs.mount().bucket()
            for number in range(40):
                content = os.urandom(1000 * number + 1)
                with open(bucket / ("file-%d" % number), "wb", buffering=0) as file:
                    file.write(content)
                    if (number + round_number) % 4 == 0:
                        os.fsync(file.fileno())
                        synced[number] = content
                    else:
                        synced.pop(number, None)
            self.fs.kill()
            self.fs.mount()
            for number, content in synced.items():
                self.assertEqual((bucket / ("file-%d" % number)).read_bytes(), content)
            self.fs.pail("check")
            self.fs.unmount()

    def test_open_unlinked_files_are_gone_after_a_crash(self):
        bucket = self.fs.mount().bucket()
        descriptor = os.open(bucket / "file", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"x" * 100_000)
        os.unlink(bucket / "file")
        os.fsync(descriptor)
        self.fs.kill()
        with contextlib.suppress(OSError):
            os.close(descriptor)
        self.fs.mount()
        self.assertEqual(os.listdir(bucket), [])
        self.fs.pail("check")


if __name__ == "__main__":
    main()
