#!/usr/bin/env python3
"""The daemon gets no more memory: it refuses what is new, ends what is under way, loses nothing, and goes on when there is
memory again."""

import contextlib
import errno
import os
import resource
import threading
import unittest

from mounted_store import MountTest, main


@unittest.skipIf(os.environ.get("PAILFS_SANITIZED") == "1", "a sanitizer needs memory for itself")
class NoMemory(MountTest):
    expected_errors = ("gives no more memory",)

    def limit(self, room):
        """What the daemon may have as memory of its own: what it has, and `room` bytes."""
        with open("/proc/%d/status" % self.fs.daemon.pid, encoding="ascii") as status:
            size = next(int(line.split()[1]) for line in status if line.startswith("VmData:")) << 10
        resource.prlimit(self.fs.daemon.pid, resource.RLIMIT_DATA, (size + room, resource.RLIM_INFINITY))

    def test_a_daemon_without_memory_refuses_and_goes_on(self):
        self.fs.mount("allow_other")
        bucket = self.fs.bucket()
        (bucket / "before").write_bytes(b"before" * 10_000)
        self.limit(4 << 20)
        refused, written = set(), {}

        def use(number):
            """Files with much in memory: open, with attributes and many extents."""
            with contextlib.ExitStack() as opened:
                for count in range(300):
                    path = bucket / ("%d-%d" % (number, count))
                    try:
                        file = opened.enter_context(open(path, "wb", buffering=0))
                        os.setxattr(file.fileno(), "user.large", os.urandom(60_000))
                        file.write(b"%d" % count * 100)
                        os.fsync(file.fileno())
                        written[path] = b"%d" % count * 100
                    except OSError as error:
                        refused.add(error.errno)

        users = [threading.Thread(target=use, args=(number,)) for number in range(8)]
        for user in users:
            user.start()
        for user in users:
            user.join()
        self.assertIsNone(self.fs.daemon.poll(), "the daemon lives")
        self.assertEqual(refused, {errno.ENOMEM})
        self.assertIn("gives no more memory", self.fs.messages())
        resource.prlimit(self.fs.daemon.pid, resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (bucket / "after").write_bytes(b"after")
        self.assertFalse(self.fs.status()["store"]["read_only"])
        self.fs.remount("allow_other")
        self.assertEqual((bucket / "before").read_bytes(), b"before" * 10_000)
        for path, content in written.items():
            self.assertEqual(path.read_bytes(), content)
        self.assert_sound_store()


if __name__ == "__main__":
    main()
