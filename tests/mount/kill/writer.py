"""A process that changes files in a directory of its own, and remembers what it was promised.

What it does is decided by a seed. It goes on until the mount dies under it. Files consist of cells that say which file
they belong to, where in it, and by which write they came; so whatever a crash leaves tells where it is from.
"""

import contextlib
import errno
import hashlib
import os
import random

CELL = 512


def cell(file, index, number) -> bytes:
    text = b"%s cell %d write %d;" % (file.encode(), index, number)
    return (text * (CELL // len(text) + 1))[:CELL]


def parse_cell(data):
    """(file, index, number) of a cell, None if it is none."""
    words = bytes(data[:100]).split(b";")[0].split(b" ")
    try:
        file, index, number = words[0].decode(), int(words[2]), int(words[4])
    except (IndexError, ValueError):
        return None
    return (file, index, number) if cell(file, index, number) == bytes(data) else None


def described(data):
    """The cells of some content, as runs."""
    cells = [parse_cell(data[at : at + CELL]) or "?" for at in range(0, len(data), CELL)]
    return ", ".join("%s" % (one,) for one in cells)


class File:
    """By the writes that its cells came from; 0: a hole."""

    def __init__(self, identity):
        self.identity = identity
        self.inode = None
        self.cells = []
        self.synced = []  # as of the last promise: no cell is older than this
        self.last_write = 0  # begun
        self.sealed = set()  # digests of what was there at each close
        self.dirty = False  # in the kernel's cache, perhaps

    def content(self) -> bytes:
        return b"".join(
            cell(self.identity, index, number) if number else bytes(CELL) for index, number in enumerate(self.cells)
        )


class Writer:
    """`names`: what each name stands for. `states`: the same after each change of names, as name -> identity."""

    def __init__(self, top, name, seed):
        self.top, self.name = top, name
        self.random = random.Random(seed)
        self.names, self.files = {}, {}
        self.states = [{}]
        self.begun = None  # the state that a change in flight leads to
        self.promised = 0  # index of the state that was there at the last sync that succeeded
        self.operations = self.syncs = 0
        self.fault = None

    def run(self):
        """Until the mount dies."""
        try:
            os.mkdir(os.path.join(self.top, "sub"))
            while True:
                action = self.random.choices(
                    (self.create, self.write, self.append, self.rename, self.unlink, self.link, self.sync_file,
                     self.write_synchronously, self.sync_directory),
                    (5, 4, 4, 4, 2, 2, 3, 2, 2),
                )[0]
                action()
                self.operations += 1
        except OSError as error:
            self.fault = error.errno

    def path(self, name):
        return os.path.join(self.top, name)

    def some_name(self):
        return self.random.choice(sorted(self.names))

    def new_name(self):
        return self.random.choice(("", "sub/")) + "n%d" % self.random.randrange(12)

    @contextlib.contextmanager
    def change_of_names(self, after):
        self.begun = {name: file.identity for name, file in after.items()}
        yield
        self.names = after
        self.states.append(self.begun)
        self.begun = None

    @contextlib.contextmanager
    def promise(self, file=None):
        """What is done inside promises that everything before it stays: names, what was closed, and this file."""
        state = len(self.states) - 1
        contents = [(one, list(one.cells)) for one in self.files.values() if one is file or not one.dirty]
        yield
        self.promised = state
        for one, cells in contents:
            one.synced = cells
        self.syncs += 1

    # --- What it does

    def create(self):
        name = self.new_name()
        if name in self.names:
            return self.append()
        file = File("%s-%d" % (self.name, len(self.files)))
        with self.change_of_names({**self.names, name: file}):
            descriptor = os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            file.inode = os.fstat(descriptor).st_ino
            self.files[file.identity] = file
        self.put(descriptor, file, 0, self.random.choice((0, 1, 3, 8, 40, 130)))
        return self.close(descriptor, file)

    def put(self, descriptor, file, index, count):
        if count == 0:
            return
        file.last_write += 1
        file.dirty = True
        number = file.last_write
        data = b"".join(cell(file.identity, index + i, number) for i in range(count))
        file.cells += [0] * (index + count - len(file.cells))
        file.cells[index : index + count] = [number] * count
        if os.pwrite(descriptor, data, index * CELL) < len(data):
            raise OSError(errno.ENOTCONN, "the mount died in the middle of the write")

    def close(self, descriptor, file):
        file.sealed.add(hashlib.sha256(file.content()).digest())
        os.close(descriptor)
        file.dirty = False

    def open_some(self, flags=os.O_WRONLY):
        name = self.some_name()
        return os.open(self.path(name), flags), self.names[name]

    def write(self):
        if not self.names:
            return
        descriptor, file = self.open_some()
        for _ in range(self.random.randrange(1, 3)):
            at = self.random.randrange(len(file.cells) + 1)
            self.put(descriptor, file, at, self.random.choice((1, 2, 9)))
        if self.random.random() < 0.4:
            with self.promise(file):
                os.fsync(descriptor)
        self.close(descriptor, file)

    def append(self):
        if not self.names:
            return
        descriptor, file = self.open_some()
        if len(file.cells) < 300:
            self.put(descriptor, file, len(file.cells), self.random.choice((1, 5, 16)))
        if self.random.random() < 0.3:
            with self.promise(file):
                os.fdatasync(descriptor)
        self.close(descriptor, file)

    def write_synchronously(self):
        if not self.names:
            return
        descriptor, file = self.open_some(os.O_WRONLY | os.O_SYNC)
        before = list(file.cells)
        state = len(self.states) - 1
        self.put(descriptor, file, self.random.randrange(len(file.cells) + 1), 3)
        assert before is not file.cells
        file.synced, self.promised = list(file.cells), state
        self.syncs += 1
        self.close(descriptor, file)

    def rename(self):
        if not self.names:
            return
        source, target = self.some_name(), self.new_name()
        if self.names.get(target) is self.names[source]:
            return  # nothing happens to names of one file
        after = {name: file for name, file in self.names.items() if name != source}
        after[target] = self.names[source]
        with self.change_of_names(after):
            os.rename(self.path(source), self.path(target))

    def unlink(self):
        if len(self.names) < 4:
            return
        name = self.some_name()
        with self.change_of_names({other: file for other, file in self.names.items() if other != name}):
            os.unlink(self.path(name))

    def link(self):
        name = self.new_name()
        if not self.names or name in self.names:
            return
        source = self.some_name()
        with self.change_of_names({**self.names, name: self.names[source]}):
            os.link(self.path(source), self.path(name))

    def sync_file(self):
        if not self.names:
            return
        descriptor, file = self.open_some(os.O_RDONLY)
        with self.promise(file):
            os.fsync(descriptor)
        os.close(descriptor)

    def sync_directory(self):
        descriptor = os.open(self.path(self.random.choice((".", "sub"))), os.O_RDONLY | os.O_DIRECTORY)
        with self.promise():
            os.fsync(descriptor)
        os.close(descriptor)


class Verifier:
    """What a crash has left of a writer's directory. Raises AssertionError."""

    def __init__(self, writer):
        self.writer = writer
        self.by_inode = {file.inode: file for file in writer.files.values() if file.inode is not None}

    def verify(self):
        found = self.find()
        self.names(found)
        for name, inode in found.items():
            path = self.writer.path(name)
            self.content(path, self.by_inode.get(inode))
            links = [other for other in found if found[other] == inode]
            assert os.stat(path).st_nlink == len(links), "%s has %d links, not those of %s" % (
                path, os.stat(path).st_nlink, links,
            )
        self.versions()

    def find(self):
        found = {}
        for below in ("", "sub/"):
            path = self.writer.path(below)
            if not os.path.isdir(path):
                assert self.writer.promised == 0 and self.writer.syncs == 0, "%s was synced and is missing" % path
                continue
            with os.scandir(path) as entries:
                found.update({below + e.name: e.stat().st_ino for e in entries if e.is_file(follow_symlinks=False)})
        return found

    def names(self, found):
        """They are those of a moment, not before the last promise."""
        writer = self.writer
        shown = {name: self.by_inode[inode].identity if inode in self.by_inode else "?" for name, inode in found.items()}
        candidates = writer.states[writer.promised :]
        if writer.begun is not None:
            unknown = {i for i in writer.begun.values() if i not in writer.files}
            candidates.append({name: "?" if i in unknown else i for name, i in writer.begun.items()})
        if shown in candidates:
            return
        was = [number for number, state in enumerate(writer.states) if state == shown]
        raise AssertionError(
            "%s shows %s, which was there after changes %s of %d; promised was change %d: %s"
            % (writer.top, shown, was, len(writer.states) - 1, writer.promised, writer.states[writer.promised])
        )

    def content(self, path, file):
        with open(path, "rb") as opened:
            data = opened.read()
        if file is None:
            assert data == b"", "%s is new and has %d bytes" % (path, len(data))
            return
        assert len(data) % CELL == 0 and len(data) >= CELL * len(file.synced), "%s has %d bytes, synced were %d" % (
            path, len(data), CELL * len(file.synced),
        )
        for index in range(len(data) // CELL):
            least = file.synced[index] if index < len(file.synced) else 0
            number = self.number_of(path, file, data[index * CELL : (index + 1) * CELL], index)
            assert least <= number <= file.last_write, "%s, cell %d: write %d, and %d was synced" % (
                path, index, number, least,
            )

    @staticmethod
    def number_of(path, file, data, index):
        if not any(data):
            return 0
        parsed = parse_cell(data)
        assert parsed is not None, "%s, cell %d, was never written: %r" % (path, index, data[:80])
        assert parsed[:2] == (file.identity, index), "%s, cell %d: is %s, and should be %s" % (
            path, index, parsed, file.identity,
        )
        return parsed[2]

    def versions(self):
        """Each is what the file was at a close, whole. The newest may be what the crash left instead, and is judged by its
        cells."""
        closes = {digest for file in self.writer.files.values() for digest in file.sealed}
        closes.add(hashlib.sha256(b"").digest())
        newest, unclosed = {}, []
        for path, data in self.all_versions():
            first = parse_cell(data[:CELL])
            identity = first[0] if first else None
            name = os.path.basename(path)
            newest[identity] = max(newest.get(identity, ""), name)
            if hashlib.sha256(data).digest() not in closes:
                unclosed.append((path, name, identity, data))
        for path, name, identity, data in unclosed:
            assert identity in self.writer.files and newest[identity] == name, "%s is no state of a close: %s" % (
                path, described(data),
            )
            for index in range(len(data) // CELL):
                cell_data = data[index * CELL : (index + 1) * CELL]
                self.number_of(path, self.writer.files[identity], cell_data, index)

    def all_versions(self):
        bucket, below = os.path.split(os.path.dirname(self.writer.top))
        top = os.path.join(bucket, ".versions", below, os.path.basename(self.writer.top))
        for directory, _, names in os.walk(top):
            for name in names:
                if not name.endswith(".deleted"):
                    path = os.path.join(directory, name)
                    with open(path, "rb") as version:
                        yield path, version.read()
