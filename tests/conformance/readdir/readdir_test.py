#!/usr/bin/env python3
"""Listing: what is there throughout is listed exactly once, whatever else comes and goes, and from any place."""

import collections
import errno
import os
import random
import stat

from file_systems import EVERY, PRIVATE, Bodies, main, on_file_systems
from system_calls import getdents

KINDS = {1: stat.S_IFIFO, 4: stat.S_IFDIR, 8: stat.S_IFREG, 10: stat.S_IFLNK, 12: stat.S_IFSOCK}
SMALL = 512  # bytes of a buffer, so that a listing takes many calls
LARGE = 1 << 18


class Listing(Bodies):
    def fill(self, prefix, count, directory=None):
        directory = str(directory or self.top)
        names = ["%s-%05d" % (prefix, number) for number in range(count)]
        for name in names:
            os.mknod(directory + "/" + name)
        return names

    def open_top(self):
        descriptor = os.open(self.top, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def listing(self, descriptor, between=lambda: None):
        """Every entry from where the descriptor stands; `between` is called between two reads."""
        entries = []
        while read := getdents(descriptor, SMALL):
            entries += read
            between()
        return entries

    def names(self, entries):
        return [name for name, *_ in entries if name not in (".", "..")]

    def assert_each_once(self, entries, names):
        counts = collections.Counter(name for name, *_ in entries)
        self.assertEqual({name: counts[name] for name in names if counts[name] != 1}, {})


class Readdir(Listing):
    def test_entries_tell_inode_and_type(self):
        self.make("plain")
        self.make_directory("directory")
        os.mkfifo(self.top / "fifo")
        os.symlink("nowhere", self.top / "link")
        os.mknod(self.top / "socket", stat.S_IFSOCK | 0o600)
        entries = self.listing(self.open_top())
        self.assertEqual(
            sorted(name for name, *_ in entries), [".", "..", "directory", "fifo", "link", "plain", "socket"]
        )
        for name, ino, kind, _ in entries:
            found = os.lstat(self.top / name)
            self.assertEqual((ino, KINDS[kind]), (found.st_ino, stat.S_IFMT(found.st_mode)), name)

    def test_an_empty_directory_and_one_that_is_gone(self):
        directory = self.make_directory("directory")
        descriptor = os.open(directory, os.O_RDONLY)
        self.assertEqual(sorted(name for name, *_ in self.listing(descriptor)), [".", ".."])
        self.assertEqual(getdents(descriptor), [])
        os.rmdir(directory)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.assert_errno(errno.ENOENT, getdents, descriptor)
        os.close(descriptor)
        with open(self.make("plain"), "rb") as file:
            self.assert_errno(errno.ENOTDIR, getdents, file.fileno())
        self.assert_errno(errno.EINVAL, getdents, self.open_top(), 8)

    def test_what_stays_is_listed_once_while_others_come_and_go(self):
        stays = self.fill("stays", 300)
        goes = self.fill("goes", 300)
        comes = iter(range(10_000))
        chooser = random.Random(3)
        chooser.shuffle(goes)

        def change():
            for _ in range(5):
                if goes:
                    os.unlink(self.top / goes.pop())
            for _ in range(5):
                os.mknod(self.top / ("comes-%d" % next(comes)))

        descriptor = self.open_top()
        entries = self.listing(descriptor, change)
        self.assert_each_once(entries, [".", "..", *stays])
        counts = collections.Counter(name for name, *_ in entries)
        self.assertLessEqual(max(counts.values()), 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.assertEqual(sorted(self.names(self.listing(descriptor))), sorted(os.listdir(self.top)))

    def test_what_stays_is_listed_once_while_another_process_changes_the_rest(self):
        stays = self.fill("stays", 300)
        child = os.fork()
        if child == 0:
            number = 0
            while os.getppid() != 1:
                name = str(self.top / ("moving-%d" % (number % 50)))
                os.mknod(name)
                os.rename(name, name + "-renamed")
                os.unlink(name + "-renamed")
                number += 1
            os._exit(0)
        try:
            for _ in range(20):
                self.assert_each_once(self.listing(self.open_top()), [".", "..", *stays])
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)

    def test_renames_and_removals_while_listing(self):
        names = self.fill("file", 400)
        descriptor = self.open_top()
        seen = set()
        while read := getdents(descriptor, SMALL):
            for name in self.names(read):
                if name.startswith("file"):
                    self.assertNotIn(name, seen)
                    seen.add(name)
                    os.rename(self.top / name, self.top / ("x" + name))
        self.assertEqual(seen, set(names))
        os.lseek(descriptor, 0, os.SEEK_SET)
        while read := getdents(descriptor, SMALL):
            for name in self.names(read):
                os.unlink(self.top / name)
        self.assertEqual(os.listdir(self.top), [])

    def test_seeking_to_any_place(self):
        self.fill("file", 200)
        descriptor = self.open_top()
        entries = self.listing(descriptor)
        order = list(range(len(entries) - 1))
        random.Random(4).shuffle(order)
        for number in order:
            os.lseek(descriptor, entries[number][3], os.SEEK_SET)
            self.assertEqual(getdents(descriptor, SMALL)[0], entries[number + 1])
        os.lseek(descriptor, entries[-1][3], os.SEEK_SET)
        self.assertEqual(getdents(descriptor, SMALL), [])
        other = self.open_top()
        os.lseek(other, entries[100][3], os.SEEK_SET)
        self.assertEqual(getdents(other, SMALL)[0], entries[101])
        os.unlink(self.top / self.names(entries)[50])
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.assertEqual(len(self.listing(descriptor)), len(entries) - 1)

    def test_going_back_to_the_start_shows_what_is_new(self):
        descriptor = self.open_top()
        self.assertEqual(self.names(self.listing(descriptor)), [])
        self.make("new")
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.assertEqual(self.names(self.listing(descriptor)), ["new"])
        os.rename(self.top / "new", self.top / "newer")
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.assertEqual(self.names(self.listing(descriptor)), ["newer"])

    def test_two_readers_do_not_disturb_each_other(self):
        names = self.fill("file", 200)
        first, second = self.open_top(), self.open_top()
        entries = {first: [], second: []}
        more = True
        while more:
            more = False
            for descriptor in (first, second):
                if read := getdents(descriptor, SMALL):
                    entries[descriptor] += read
                    more = True
        for each in entries.values():
            self.assertEqual(sorted(self.names(each)), names)


class LargeDirectory(Listing):
    def test_a_hundred_thousand_entries(self):
        names = self.fill("file", 100_000)
        descriptor = self.open_top()
        entries = []
        while read := getdents(descriptor, LARGE):
            entries += read
        self.assertEqual(sorted(self.names(entries)), names)
        self.assertEqual(len({ino for _, ino, _, _ in entries}), len(entries))
        middle = len(entries) // 2
        os.lseek(descriptor, entries[middle][3], os.SEEK_SET)
        self.assertEqual(getdents(descriptor)[0], entries[middle + 1])


load_tests = on_file_systems(
    globals(),
    (Readdir, EVERY),
    (LargeDirectory, {"OnMount": PRIVATE["OnMount"]}),
)

if __name__ == "__main__":
    main()
