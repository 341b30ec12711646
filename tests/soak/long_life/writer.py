"""One of several processes that use a bucket for as long as they are told to, and know what must be in it."""

import errno
import hashlib
import os
import random
import time
import traceback

PER_DIRECTORY = 500
REMEMBERED = 50  # versions whose content is known
SYNCED = 0.02  # share of the changes
KIB = 1024


def size_of(chooser) -> int:
    """Most files are small, as in a home directory."""
    kind = chooser.random()
    if kind < 0.80:
        return chooser.randrange(8 * KIB)
    if kind < 0.98:
        return chooser.randrange(64 * KIB)
    return chooser.randrange(1024 * KIB)


class File:
    """What a file holds, without holding it: a text by number and generation, and tails that were appended."""

    def __init__(self, number):
        self.number = number  # of its name
        self.identity = number  # which a rename keeps
        self.generation = 0
        self.tails = 0

    def text(self, tail=None) -> bytes:
        chooser = random.Random("%d %d %s" % (self.identity, self.generation, tail))
        return chooser.randbytes(size_of(chooser) if tail is None else chooser.randrange(4 * KIB))

    def content(self) -> bytes:
        return self.text() + b"".join(self.text(tail) for tail in range(self.tails))


class Writer:
    def __init__(self, top, number, limit):
        self.top = "%s/writer-%d" % (top, number)
        self.chooser = random.Random(number)
        self.limit = limit  # of files
        self.target = None  # files to stay at; grows up to the limit before it is known
        self.files = []
        self.next = 0
        self.versions = {}  # path in .versions -> digest
        self.counts = dict.fromkeys(("made", "rewritten", "appended", "renamed", "removed", "read", "versions_read"), 0)
        os.mkdir(self.top)

    def directory(self, number) -> str:
        return "%s/%d" % (self.top, number // PER_DIRECTORY)

    def path(self, file) -> str:
        return "%s/%d" % (self.directory(file.number), file.number)

    def new_number(self) -> int:
        number = self.next
        self.next += 1
        if number % PER_DIRECTORY == 0:
            os.mkdir(self.directory(number))
        return number

    def write(self, file, flags, data):
        descriptor = os.open(self.path(file), flags | os.O_WRONLY, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if self.chooser.random() < SYNCED:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make(self):
        file = File(self.new_number())
        self.write(file, os.O_CREAT | os.O_EXCL, file.content())
        self.files.append(file)
        self.counts["made"] += 1

    def rewrite(self, file):
        file.generation += 1
        file.tails = 0
        self.write(file, os.O_TRUNC, file.content())
        self.counts["rewritten"] += 1
        if self.chooser.random() < 0.05:
            self.remember(file)

    def append(self, file):
        self.write(file, os.O_APPEND, file.text(file.tails))
        file.tails += 1
        self.counts["appended"] += 1

    def rename(self, file):
        old = self.path(file)
        file.number = self.new_number()
        os.rename(old, self.path(file))
        self.counts["renamed"] += 1

    def remove(self, place):
        os.unlink(self.path(self.files[place]))
        self.files[place] = self.files[-1]
        self.files.pop()
        self.counts["removed"] += 1

    def read(self, file):
        with open(self.path(file), "rb", buffering=0) as opened:
            found = opened.read()
        assert found == file.content(), "%s holds something else: %d bytes" % (self.path(file), len(found))
        self.counts["read"] += 1

    def remember(self, file):
        """The newest version is what was written and closed just now."""
        directory = "%s/.versions/%d" % (self.directory(file.number), file.number)
        newest = sorted(name for name in os.listdir(directory) if not name.endswith(".deleted"))[-1]
        if len(self.versions) >= REMEMBERED:
            self.versions.pop(self.chooser.choice(list(self.versions)))
        self.versions[directory + "/" + newest] = hashlib.sha256(file.content()).digest()

    def read_version(self):
        if not self.versions:
            return
        path = self.chooser.choice(list(self.versions))
        try:
            with open(path, "rb", buffering=0) as opened:
                found = opened.read()
        except OSError as error:  # it was pruned meanwhile, or its file's last name is gone and it became the marker's
            assert error.errno in (errno.ENOENT, errno.ENOTDIR), error
            del self.versions[path]
            return
        assert hashlib.sha256(found).digest() == self.versions[path], "%s changed: %d bytes" % (path, len(found))
        self.counts["versions_read"] += 1

    def step(self):
        goal = self.limit if self.target is None else self.target
        kind = self.chooser.random()
        if not self.files or kind < (0.45 if len(self.files) < goal else 0.05):
            return self.make()
        place = self.chooser.randrange(len(self.files))
        file = self.files[place]
        if len(self.files) > goal and kind < 0.35:
            return self.remove(place)
        if kind < 0.60:
            return self.rewrite(file)
        if kind < 0.70:
            return self.append(file)
        if kind < 0.75:
            return self.rename(file)
        if kind < 0.80:
            return self.remove(place)
        if kind < 0.85:
            return self.read_version()
        return self.read(file)

    def run(self, stay, stop):
        """Until `stop` is set; from when `stay` is set on with as many files as there are then."""
        while not stop.is_set():
            if self.target is None and stay.is_set():
                self.target = len(self.files)
            self.step()
        for file in self.files:
            self.read(file)

    def remove_all(self):
        for file in self.files:
            os.unlink(self.path(file))
        self.files.clear()
        for directory in os.listdir(self.top):
            os.rmdir("%s/%s" % (self.top, directory))
        os.rmdir(self.top)


def work(top, number, limit, stay, stop, remove, results):
    """The body of a process: what it did, or what went wrong."""
    try:
        writer = Writer(top, number, limit)
        writer.run(stay, stop)
        results.put((number, None, {**writer.counts, "files": len(writer.files)}))
        while not remove.is_set():
            time.sleep(0.1)
        writer.remove_all()
        results.put((number, None, {}))
    except BaseException:
        results.put((number, traceback.format_exc(), {}))
        raise
