#!/usr/bin/env python3
"""What pailfs-semantics(7) promises, as a user sees it: tests/lint/promises.txt says which sentence each test shows."""

import os
import subprocess
import sys

from mounted_store import MountTest, main, wait_until

# Replaces files as editors do, until it is killed; says which content is complete.
REPLACE = """
import os, sys
top = sys.argv[1]
number = 0
while True:
    number += 1
    for name in ("a", "b", "c"):
        new = os.path.join(top, name + ".new")
        with open(new, "wb", buffering=0) as file:
            file.write(b"%08d\\n" % number * 2000)
        os.rename(new, os.path.join(top, name))
    if number == 30:
        print("going", flush=True)
"""


class Promises(MountTest):
    def durable(self) -> bool:
        store = self.fs.status()["store"]
        return store["durable_sequence"] == store["sequence"]

    def test_what_was_acknowledged_in_any_way_outlives_a_kill(self):
        for round_number in range(5):
            bucket = self.fs.mount().bucket()
            content = os.urandom(70_000)

            def by_fsync(path):
                with open(path, "wb", buffering=0) as file:
                    file.write(content)
                    os.fsync(file.fileno())

            def by_fdatasync(path):
                with open(path, "wb", buffering=0) as file:
                    file.write(content)
                    os.fdatasync(file.fileno())

            def by_flag(flag):
                def write(path):
                    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | flag)
                    self.assertEqual(os.write(descriptor, content), len(content))
                    os.close(descriptor)

                return write

            def by_the_directory(path):
                path.write_bytes(content)
                self.sync_directory(path.parent)

            ways = {
                "fsync": by_fsync,
                "fdatasync": by_fdatasync,
                "O_SYNC": by_flag(os.O_SYNC),
                "O_DSYNC": by_flag(os.O_DSYNC),
                "directory": by_the_directory,
            }
            directory = bucket / ("round-%d" % round_number)
            directory.mkdir()
            for name, write in ways.items():
                (directory / name).mkdir()
                write(directory / name / "file")
                self.fs.kill()
                self.fs.mount()
                self.assertEqual((directory / name / "file").read_bytes(), content, name)
            os.rename(directory, bucket / ("renamed-%d" % round_number))
            os.unlink(bucket / ("renamed-%d" % round_number) / "fsync" / "file")
            self.sync_directory(bucket)
            self.fs.kill()
            self.fs.mount()
            self.assertEqual(os.listdir(bucket / ("renamed-%d" % round_number) / "fsync"), [])
            self.assertFalse(directory.exists())
            self.fs.unmount()

    @staticmethod
    def sync_directory(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)

    def test_what_nobody_synced_is_committed_soon(self):
        bucket = self.fs.mount().bucket()
        for number in range(20):
            (bucket / str(number)).write_text("nobody synced this")
        wait_until(self.durable, "it is committed")
        self.fs.kill()
        self.fs.mount()
        self.assertEqual({path.read_text() for path in bucket.iterdir()}, {"nobody synced this"})
        self.assertEqual(len(os.listdir(bucket)), 20)

    def test_a_kill_leaves_no_file_half_replaced(self):
        for round_number in range(5):
            directory = self.fs.mount().bucket() / ("round-%d" % round_number)
            directory.mkdir()
            writer = subprocess.Popen(
                [sys.executable, "-c", REPLACE, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self.assertEqual(writer.stdout.readline(), b"going\n")
            self.fs.kill()
            writer.wait()
            writer.stdout.close()
            self.fs.mount()
            numbers = []
            for name in ("a", "b", "c"):
                lines = (directory / name).read_bytes().splitlines() if (directory / name).exists() else []
                self.assertIn(len(lines), (0, 2000), name)
                self.assertLessEqual(len(set(lines)), 1, name)
                numbers.append(int(lines[0]) if lines else 0)
            # They were replaced in turn: what is there is as of one moment.
            self.assertEqual(numbers, sorted(numbers, reverse=True))
            self.assertLessEqual(numbers[0] - numbers[2], 1)
            self.fs.pail("check", "--deep")
            self.fs.unmount()

    def test_a_version_stays_as_it_was_whatever_comes_after_it(self):
        bucket = self.fs.mount().bucket()
        versions = bucket / ".versions"
        path = bucket / "file"
        known = {}

        def seal(change, name="file"):
            change()
            found = [entry for entry in os.listdir(versions / name) if not entry.endswith(".deleted")]
            newest = max(found)
            known.setdefault(versions / name / newest, path.read_bytes())

        def append():
            with open(path, "ab") as file:
                file.write(b"appended")

        def overwrite():
            with open(path, "r+b") as file:
                file.seek(5000)
                file.write(b"in the middle")

        seal(lambda: path.write_bytes(os.urandom(30_000)))
        for change in (append, overwrite, lambda: os.truncate(path, 100), lambda: path.write_bytes(b"new")):
            seal(change)
        self.assertEqual(len(known), 5)
        path.chmod(0o600)
        os.setxattr(path, "user.a", b"b")
        os.link(path, bucket / "another")
        os.rename(path, bucket / "renamed")
        (bucket / "file").write_bytes(b"another file of that name")
        os.unlink(bucket / "renamed")
        os.unlink(bucket / "another")
        for again in (lambda: None, self.fs.remount, lambda: (self.fs.kill(), self.fs.mount())):
            again()
            for version, content in known.items():
                self.assertEqual(version.read_bytes(), content, version)
                with self.assertRaises(OSError):
                    version.write_bytes(b"x")
                with self.assertRaises(OSError):
                    os.truncate(version, 0)


if __name__ == "__main__":
    main()
