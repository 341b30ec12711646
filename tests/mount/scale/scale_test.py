#!/usr/bin/env python3
"""Memory with 100,000 files (SCALE_FILES sets another number): anonymous pages of the daemon, sampled all along."""

import os
import pathlib
import threading

from mounted_store import MountTest, main

FILES = int(os.environ.get("SCALE_FILES", "100000"))
MIB = 1024  # in KiB


class Memory(MountTest):
    def anonymous(self) -> int:
        status = pathlib.Path("/proc/%d/status" % self.fs.daemon.pid).read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))

    def largest_while(self, work) -> int:
        """The most KiB of anonymous memory that the daemon had while `work` ran."""
        largest = 0
        done = threading.Event()

        def sample():
            nonlocal largest
            while not done.wait(0.02):
                largest = max(largest, self.anonymous())

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            work()
        finally:
            done.set()
            sampler.join()
        return max(largest, self.anonymous())

    def paths(self, bucket):
        for number in range(FILES):
            yield "%s/d%d/file-%d" % (bucket, number % 100, number)

    def create(self, bucket):
        for number in range(100):
            os.mkdir("%s/d%d" % (bucket, number))
        for path in self.paths(bucket):
            file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
            os.write(file, path.encode())
            os.close(file)

    def read(self, bucket):
        for path in self.paths(bucket):
            with open(path, "rb", buffering=0) as file:
                self.assertEqual(file.read(), path.encode())

    def delete(self, bucket):
        for path in self.paths(bucket):
            os.unlink(path)

    def test_memory_stays_small_while_files_are_created_read_and_deleted(self):
        # Sanitizers have memory of their own.
        if os.environ.get("PAILFS_SANITIZED") == "1":
            self.skipTest("memory is not the daemon's alone under a sanitizer")
        bucket = self.fs.mount().bucket()
        for work in (self.create, self.read):
            self.assertLess(self.largest_while(lambda: work(bucket)), 256 * MIB, work.__name__)
        self.fs.remount()
        self.assertLess(self.anonymous(), 64 * MIB, "after mounting")
        self.assertLess(self.largest_while(lambda: self.delete(bucket)), 256 * MIB, "delete")


if __name__ == "__main__":
    main()
