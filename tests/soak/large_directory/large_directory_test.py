#!/usr/bin/env python3
"""A directory of a million entries (DIRECTORY_ENTRIES sets another number), listed while others come and go."""

import os
import pathlib
import random
import threading
import time

from figures import print_figures
from mounted_store import MountTest, main
from system_calls import getdents

ENTRIES = int(os.environ.get("DIRECTORY_ENTRIES", "1000000"))
BUFFER = 1 << 18  # bytes
SEEKS = 1000
MIB = 1024  # in KiB
LARGEST = 256 * MIB  # of anonymous memory


def name_of(number) -> str:
    return "entry-%07d" % number


class LargeDirectory(MountTest):
    options = ""

    def setUp(self):
        super().setUp()
        self.fs.mount(self.options)
        self.directory = self.fs.bucket() / "large"
        self.directory.mkdir()
        self.largest = 0
        self.most = 0
        self.done = threading.Event()
        sampler = threading.Thread(target=self.sample, daemon=True)
        sampler.start()
        self.addCleanup(sampler.join)
        self.addCleanup(self.done.set)
        self.began = time.monotonic()

    def sample(self):
        """While a daemon runs, how much anonymous memory it has at most."""
        while not self.done.wait(0.05):
            try:
                status = pathlib.Path("/proc/%d/status" % self.fs.daemon.pid).read_text()
            except (AttributeError, OSError):
                continue
            found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
            self.largest = max([self.largest, *found])

    def report(self, what):
        now = time.monotonic()
        print("%s: %.0f s, at most %d KiB of anonymous memory" % (what, now - self.began, self.largest), flush=True)
        self.assertTrue(os.environ.get("PAILFS_SANITIZED") == "1" or self.largest < LARGEST, what)
        self.most = max(self.most, self.largest)
        self.began, self.largest = now, 0

    def change_meanwhile(self, last):
        """A process that makes and removes names among those that stay, until it is killed."""
        child = os.fork()
        if child == 0:
            chooser = random.Random(os.getpid())
            try:
                while os.getppid() == last:
                    name = self.directory / ("%s-%d" % (name_of(chooser.randrange(ENTRIES)), chooser.randrange(10**9)))
                    os.mknod(name)
                    other = self.directory / ("x-%d" % chooser.randrange(10**9))
                    os.rename(name, other)
                    os.unlink(other)
            finally:
                os._exit(1)
        return child

    def assert_each_once(self, names, expected):
        """`names` are all that were listed; each of `expected` is there once."""
        mine = sorted(name for name in names if name.startswith("entry-") and name.count("-") == 1)
        self.assertEqual(len(mine), len(expected))
        self.assertTrue(mine == expected)

    def list_with_scandir(self):
        with os.scandir(self.directory) as entries:
            return [entry.name for entry in entries]

    def test_a_listing_shows_once_what_stays_and_any_place_can_be_returned_to(self):
        linked = self.directory / name_of(0)
        linked.touch()
        # Files and, every other time, further names of one: both ways to fill a directory.
        for number in range(1, ENTRIES):
            if number % 2:
                os.mknod("%s/%s" % (self.directory, name_of(number)))
            else:
                os.link(linked, "%s/%s" % (self.directory, name_of(number)))
        self.report("made %d entries" % ENTRIES)
        expected = [name_of(number) for number in range(ENTRIES)]
        for round_number in range(2):
            child = self.change_meanwhile(os.getpid())
            try:
                self.assert_each_once(self.list_with_scandir(), expected)
            finally:
                os.kill(child, 9)
                status = os.waitpid(child, 0)[1]
            self.assertEqual(status, 9, "it changed names all along")
            self.report("listed while others came and went")
            self.seek_to_random_places(expected)
            self.report("went to %d random places" % SEEKS)
            if round_number == 0:
                self.fs.remount(self.options)
                self.report("mounted anew")
        # Every other name goes while the listing is under way: what was not removed is there once.
        descriptor = os.open(self.directory, os.O_RDONLY)
        seen = []
        gone = iter(range(1, ENTRIES, 2))
        while entries := getdents(descriptor, BUFFER):
            seen += [name for name, *_ in entries]
            for _, number in zip(entries, gone):
                os.unlink("%s/%s" % (self.directory, name_of(number)))
        os.close(descriptor)
        left = expected[0::2]
        self.assert_each_once([name for name in seen if name[-1] in "02468"], left)
        for number in gone:
            os.unlink("%s/%s" % (self.directory, name_of(number)))
        self.assert_each_once(self.list_with_scandir(), left)
        self.assertEqual(os.stat(linked).st_nlink, len(left))
        self.report("removed every other entry")
        self.fs.unmount()
        self.fs.pail("check", "--key-file", self.fs.key, timeout=3600)
        print_figures("H", "a directory listed while it changes", entries=ENTRIES, seeks=2 * SEEKS, memory_kib=self.most)

    def seek_to_random_places(self, expected):
        """telldir(3) of every entry, from one listing; then seekdir(3) to some of them, also through another descriptor."""
        chooser = random.Random(2)
        descriptor = os.open(self.directory, os.O_RDONLY)
        names, places = [], []
        while entries := getdents(descriptor, BUFFER):
            names += [name for name, *_ in entries]
            places += [offset for *_, offset in entries]
        self.assert_each_once(names, expected)
        self.assertEqual(len(set(places)), len(places))
        other = os.open(self.directory, os.O_RDONLY)
        for _ in range(SEEKS):
            number = chooser.randrange(len(names) - 1)
            where = chooser.choice((descriptor, other))
            os.lseek(where, places[number], os.SEEK_SET)
            following = [(name, offset) for name, _, _, offset in getdents(where)]
            after = slice(number + 1, number + 1 + len(following))
            self.assertEqual(following, list(zip(names[after], places[after])))
        os.close(descriptor)
        os.close(other)


if __name__ == "__main__":
    main()
