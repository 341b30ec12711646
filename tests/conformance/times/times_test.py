#!/usr/bin/env python3
"""Which times each call changes, of what, in which order, and that they then stay."""

import mmap
import os
import stat
import time

from file_systems import EVERY, Bodies, main, on_file_systems
from other_users import errno_of
from system_calls import KEEP_SIZE, PUNCH_HOLE, UTIME_NOW, UTIME_OMIT, exchange, fallocate, utimensat

SECOND = 1_000_000_000
COARSE = 5  # CLOCK_REALTIME_COARSE of clock_gettime(2)


def tick():
    """Waits until the clock that file systems stamp by is past this moment.

    One step of it is not enough. The kernel never stamps older than what it stamped before, on whatever file system,
    and some are stamped by the exact clock: after a late step the coarse one can still lie before those, and two
    changes on both sides of the step get the same time.
    """
    now = time.time_ns()
    while time.clock_gettime_ns(COARSE) <= now:
        time.sleep(0.001)


class Times(Bodies):
    def times(self, name):
        found = os.lstat(self.top / name)
        return found.st_mtime_ns, found.st_ctime_ns

    def assert_changes(self, call, expected):
        """`expected`: name -> which of m and c the call changes; nothing else of these names changes."""
        before = {name: self.times(name) for name in expected}
        tick()
        start = time.clock_gettime_ns(COARSE)
        call()
        end = time.time_ns()
        for name, letters in expected.items():
            after = self.times(name)
            changed = "".join(letter for letter, a, b in zip("mc", before[name], after) if a != b)
            self.assertEqual(changed, letters, "of %r" % name)
            for letter, value in zip("mc", after):
                if letter in letters:
                    self.assertLessEqual(start, value, name)
                    self.assertLessEqual(value, end, name)

    def make_two_directories(self):
        self.make_directory("one")
        self.make_directory("two")
        self.make("one/file", b"content")
        self.make("two/other", b"content")
        self.make_directory("one/directory")
        self.make_directory("two/empty")

    def test_new_files_have_the_time_of_now_and_change_their_directory(self):
        for name, make in (
            ("file", lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY))),
            ("directory", os.mkdir),
            ("fifo", os.mkfifo),
            ("device", lambda path: os.mknod(path, stat.S_IFCHR, os.makedev(1, 3))),
            ("link", lambda path: os.symlink("nowhere", path)),
        ):
            with self.subTest(name):
                start = time.clock_gettime_ns(COARSE)
                self.assert_changes(lambda make=make, name=name: make(self.top / name), {"": "mc"})
                made = os.lstat(self.top / name)
                self.assertEqual((made.st_atime_ns, made.st_mtime_ns), (made.st_ctime_ns, made.st_ctime_ns))
                self.assertTrue(start <= made.st_ctime_ns <= time.time_ns())

    def test_what_happens_later_is_never_older(self):
        # Over the write-back cache the kernel stamps what is written, and the daemon what is made and changed.
        older = []
        with open(self.top / "written", "wb", buffering=0) as written:
            for number in range(100):
                path = self.top / ("made%d" % number)
                for make in (
                    lambda path=path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
                    lambda path=path: os.utime(path),
                    lambda path=path: os.truncate(path, 10),
                ):
                    make()
                    made = os.lstat(path)
                    written.write(b"x")
                    difference = os.fstat(written.fileno()).st_mtime_ns - made.st_mtime_ns
                    if difference < 0:
                        older.append(difference)
        self.assertEqual(older, [])

    def test_links_and_removals(self):
        self.make_two_directories()
        one, two = self.top / "one", self.top / "two"
        self.assert_changes(
            lambda: os.link(one / "file", two / "link"), {"one": "", "two": "mc", "one/file": "c", "": ""}
        )
        self.assert_changes(lambda: os.unlink(two / "link"), {"one": "", "two": "mc", "one/file": "c", "": ""})
        self.assert_changes(lambda: os.rmdir(two / "empty"), {"two": "mc", "": ""})
        with open(one / "file", "rb") as file:
            before = os.fstat(file.fileno())
            tick()
            os.unlink(one / "file")
            after = os.fstat(file.fileno())
            self.assertEqual(after.st_mtime_ns, before.st_mtime_ns)
            self.assertGreater(after.st_ctime_ns, before.st_ctime_ns)

    def test_renames(self):
        self.make_two_directories()
        one, two = self.top / "one", self.top / "two"
        self.assert_changes(lambda: os.rename(one / "file", one / "new"), {"one": "mc", "two": "", "": ""})
        os.rename(one / "new", one / "file")
        os.link(two / "other", two / "kept")
        before = self.times("one/file")
        self.assert_changes(
            lambda: os.rename(one / "file", two / "other"), {"one": "mc", "two": "mc", "two/kept": "c", "": ""}
        )
        after = self.times("two/other")
        self.assertEqual(after[0], before[0])
        self.assertGreater(after[1], before[1])
        before = self.times("one/directory")
        self.assert_changes(
            lambda: os.rename(one / "directory", two / "empty"), {"one": "mc", "two": "mc", "": ""}
        )
        self.assertEqual(self.times("two/empty")[0], before[0])
        self.assertGreater(self.times("two/empty")[1], before[1])

    def test_exchanges(self):
        self.make_two_directories()
        one, two = self.top / "one", self.top / "two"
        files, directories = self.times("one/file"), self.times("two/empty")
        self.assert_changes(lambda: exchange(one / "file", two / "empty"), {"one": "mc", "two": "mc", "": ""})
        for name, before in (("two/empty", files), ("one/file", directories)):
            self.assertEqual(self.times(name)[0], before[0])
            self.assertGreater(self.times(name)[1], before[1])

    def test_calls_that_fail_change_nothing(self):
        self.make_two_directories()
        one, two = self.top / "one", self.top / "two"
        nothing = {"": "", "one": "", "two": "", "one/file": "", "two/other": "", "one/directory": "", "two/empty": ""}
        for call in (
            lambda: os.rename(one / "file", two / "empty"),
            lambda: os.rename(one / "directory", two / "other"),
            lambda: os.link(one / "file", two / "other"),
            lambda: os.mkdir(two / "empty"),
            lambda: os.rmdir(one),
            lambda: os.unlink(two / "empty"),
            lambda: os.symlink("x", two / "other"),
            lambda: exchange(one / "file", two / "missing"),
            lambda: os.setxattr(one / "file", "user.a", b"", os.XATTR_REPLACE),
            lambda: os.removexattr(one / "file", "user.a"),
        ):
            self.assert_changes(lambda call=call: self.assertNotEqual(errno_of(call), 0), nothing)

    def test_changes_of_content(self):
        path = self.make("file", b"x" * 10_000)
        with open(path, "r+b", buffering=0) as file:
            number = file.fileno()
            for name, call, letters in (
                ("write", lambda: os.pwrite(number, b"y", 5), "mc"),
                ("append", lambda: os.pwrite(number, b"y", 20_000), "mc"),
                ("nothing written", lambda: os.pwrite(number, b"", 0), ""),
                ("read", lambda: os.pread(number, 100, 0), ""),
                ("seek", lambda: os.lseek(number, 10, os.SEEK_SET), ""),
                ("shorter", lambda: os.ftruncate(number, 5000), "mc"),
                ("longer", lambda: os.ftruncate(number, 50_000), "mc"),
                ("as long, by descriptor", lambda: os.ftruncate(number, 50_000), "mc"),
                ("truncate", lambda: os.truncate(path, 40_000), "mc"),
                ("allocate", lambda: fallocate(number, 0, 0, 60_000), "mc"),
                ("punch", lambda: fallocate(number, PUNCH_HOLE | KEEP_SIZE, 0, 8192), "mc"),
                ("copied to", lambda: os.copy_file_range(number, number, 1000, 10_000, 20_000), "mc"),
                ("opened and truncated", lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)), "mc"),
                ("emptied again", lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)), "mc"),
                ("opened", lambda: os.close(os.open(path, os.O_RDWR | os.O_CREAT)), ""),
                ("synced", lambda: os.fsync(number), ""),
            ):
                with self.subTest(name):
                    self.assert_changes(call, {"file": letters, "": ""})

    def test_writes_through_a_mapping(self):
        path = self.make("file", b"x" * 10_000)
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:

            def write():
                mapping[5000] = 7
                mapping.flush()

            self.assert_changes(write, {"file": "mc", "": ""})

    def test_changes_of_attributes(self):
        path = self.make("file", b"content")
        directory = self.make_directory("directory")
        os.symlink("file", self.top / "link")
        for name, call, where in (
            ("chmod", lambda: os.chmod(path, 0o600), "file"),
            ("the same mode", lambda: os.chmod(path, 0o600), "file"),
            ("chown", lambda: os.chown(path, 12, 34), "file"),
            ("the same owner", lambda: os.chown(path, 12, 34), "file"),
            ("setxattr", lambda: os.setxattr(path, "user.a", b"1"), "file"),
            ("removexattr", lambda: os.removexattr(path, "user.a"), "file"),
            ("chmod of a directory", lambda: os.chmod(directory, 0o700), "directory"),
            ("setxattr of a directory", lambda: os.setxattr(directory, "user.a", b"1"), "directory"),
            ("chown of a link", lambda: os.lchown(self.top / "link", 1, 2), "link"),
            ("utimensat, both omitted", lambda: utimensat(path, UTIME_OMIT, UTIME_OMIT), None),
        ):
            with self.subTest(name):
                expected = dict.fromkeys(("", "file", "directory", "link"), "")
                if where:
                    expected[where] = "c"
                self.assert_changes(call, expected)

    def test_utimensat(self):
        path = self.make("file")
        utimensat(path, (1_000_000_000, 123_456_789), (1_500_000_000, 987_654_321))

        def times():
            found = os.stat(path)
            return found.st_atime_ns, found.st_mtime_ns

        first, second = 1_000_000_000 * SECOND + 123_456_789, 1_500_000_000 * SECOND + 987_654_321
        self.assertEqual(times(), (first, second))
        before = os.stat(path).st_ctime_ns
        tick()
        utimensat(path, (7, 8), UTIME_OMIT)
        self.assertEqual(times(), (7 * SECOND + 8, second))
        self.assertGreater(os.stat(path).st_ctime_ns, before)
        utimensat(path, UTIME_OMIT, (9, 10))
        self.assertEqual(times(), (7 * SECOND + 8, 9 * SECOND + 10))
        start = time.clock_gettime_ns(COARSE)
        utimensat(path, UTIME_NOW, UTIME_OMIT)
        self.assertEqual(times()[1], 9 * SECOND + 10)
        self.assertTrue(start <= times()[0] <= time.time_ns())
        start = time.clock_gettime_ns(COARSE)
        utimensat(path, (3, 4), UTIME_NOW)
        self.assertEqual(times()[0], 3 * SECOND + 4)
        self.assertTrue(start <= times()[1] <= time.time_ns())
        self.assertEqual(errno_of(utimensat, path, (1, SECOND), (1, 0)), 22)

    def test_times_far_away(self):
        path = self.make("file")
        for seconds in (1 - 2**31, -1, 0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**33):
            os.utime(path, ns=(seconds * SECOND + 1, seconds * SECOND + 999_999_999))
            found = os.stat(path)
            self.assertEqual(found.st_atime_ns, seconds * SECOND + 1)
            self.assertEqual(found.st_mtime_ns, seconds * SECOND + 999_999_999)
        # What is out of reach becomes the nearest time that is not, as the kernel does it for its own file systems.
        os.utime(path, (2**36, 2**36))
        self.assertGreater(os.stat(path).st_mtime, 2**33)
        os.utime(path, (-(2**36), -(2**36)))
        self.assertLessEqual(os.stat(path).st_mtime, -(2**31))

    def test_times_that_were_set_stay_over_what_was_written_before(self):
        path = self.top / "file"
        with open(path, "wb", buffering=0) as file:
            file.write(b"x" * 100_000)
            os.utime(file.fileno(), (1, 2))
            tick()
            self.assertEqual(os.stat(path).st_mtime, 2)
            os.fsync(file.fileno())
            self.assertEqual(os.stat(path).st_mtime, 2)
        self.assertEqual(os.stat(path).st_mtime, 2)
        with open(path, "ab", buffering=0) as file:
            file.write(b"y")
            os.utime(path, (3, 4))
            os.rename(path, self.top / "moved")
            os.chmod(self.top / "moved", 0o600)
        self.assertEqual(os.stat(self.top / "moved").st_mtime, 4)

    def test_times_of_writes_stay_over_sync_and_close(self):
        path = self.top / "file"
        with open(path, "wb", buffering=0) as file:
            for _ in range(5):
                file.write(b"x" * 5000)
                times = self.times("file")
                tick()
                os.fsync(file.fileno())
                self.assertEqual(self.times("file"), times)
            file.write(b"last")
            times = self.times("file")
            tick()
        self.assertEqual(self.times("file"), times)
        with open(path, "rb", buffering=0) as file:
            file.read()
        self.assertEqual(self.times("file"), times)

    def test_what_happens_later_is_not_older(self):
        last = 0
        for number in range(15):
            for call in (
                lambda path: path.write_bytes(b"x"),
                lambda path: path.chmod(0o600),
                lambda path: os.truncate(path, 0),
                lambda path: os.setxattr(path, "user.a", b""),
            ):
                path = self.top / str(number % 7)
                call(path)
                changed = os.stat(path).st_ctime_ns
                self.assertGreaterEqual(changed, last)
                last = changed
                tick()


load_tests = on_file_systems(globals(), (Times, EVERY))

if __name__ == "__main__":
    main()
