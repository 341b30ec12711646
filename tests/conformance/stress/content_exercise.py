"""Random operations on one file, each compared with a copy of the file in memory.

The same seed makes the same operations. After a difference, the operations before it are the report.
"""

import collections
import mmap
import os
import random

from system_calls import KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate

LARGEST = 256 * 1024  # bytes that a file may have
LONGEST = 40 * 1024  # bytes that one operation concerns
PAGE = 4096


class Exercise:
    def __init__(self, path, seed):
        self.path = str(path)
        self.chooser = random.Random(seed)
        self.seed = seed
        self.model = bytearray()
        self.history = collections.deque(maxlen=40)
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self.choices = [
            (self.read, 20),
            (self.write, 25),
            (self.append, 5),
            (self.truncate, 10),
            (self.mapped_read, 10),
            (self.mapped_write, 15),
            (self.punch, 6),
            (self.zero, 6),
            (self.allocate, 3),
            (self.direct_read, 3),
            (self.direct_write, 3),
            (self.sync, 1),
            (self.reopen, 3),
        ]

    def range(self, end):
        """(offset, length) below `end`, often at the edges of pages."""
        offset = self.chooser.randrange(end)
        length = self.chooser.randrange(1, LONGEST) if self.chooser.random() < 0.5 else self.chooser.randrange(1, 300)
        if self.chooser.random() < 0.3:
            offset -= offset % PAGE
        if self.chooser.random() < 0.3:
            length += -length % PAGE
        return offset, min(length, end - offset)

    def data(self, length) -> bytes:
        return self.chooser.randbytes(16) * (length // 16) + self.chooser.randbytes(length % 16)

    def resize(self, size):
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def put(self, offset, data):
        if not data:
            return
        if offset > len(self.model):
            self.resize(offset)
        self.model[offset : offset + len(data)] = data

    def expect(self, found, offset, length):
        wanted = self.model[offset : offset + length]
        if found == wanted:
            return
        at = next((at for at, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
        raise AssertionError(
            "seed %r: byte %d differs (read %d bytes at %d, expected %d). The last operations:\n%s"
            % (self.seed, offset + at, len(found), offset, len(wanted), "\n".join(self.history))
        )

    # ---- the operations

    def read(self):
        offset, length = self.range(LARGEST)
        self.note("read", offset, length)
        self.expect(os.pread(self.file, length, offset), offset, length)

    def write(self):
        offset, length = self.range(LARGEST)
        self.note("write", offset, length)
        data = self.data(length)
        assert os.pwrite(self.file, data, offset) == length
        self.put(offset, data)

    def append(self):
        length = min(self.chooser.randrange(1, 5000), LARGEST - len(self.model))
        self.note("append", len(self.model), length)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        data = self.data(length)
        assert os.write(descriptor, data) == length
        os.close(descriptor)
        self.put(len(self.model), data)

    def truncate(self):
        size = self.range(LARGEST)[0]
        self.note("truncate", size)
        if self.chooser.random() < 0.5:
            os.ftruncate(self.file, size)
        else:
            os.truncate(self.path, size)
        self.resize(size)

    def mapped_read(self):
        if not self.model:
            return
        offset, length = self.range(len(self.model))
        self.note("mapped read", offset, length)
        with mmap.mmap(self.file, len(self.model), mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
            self.expect(mapping[offset : offset + length], offset, length)

    def mapped_write(self):
        if not self.model:
            return
        offset, length = self.range(len(self.model))
        flush = self.chooser.random() < 0.2
        self.note("mapped write", offset, length, "flush" if flush else "")
        data = self.data(length)
        with mmap.mmap(self.file, len(self.model)) as mapping:
            mapping[offset : offset + length] = data
            if flush:
                mapping.flush()
        self.put(offset, data)

    def punch(self):
        offset, length = self.range(LARGEST)
        self.note("punch", offset, length)
        fallocate(self.file, PUNCH_HOLE | KEEP_SIZE, offset, length)
        self.put(offset, bytes(max(0, min(length, len(self.model) - offset))))

    def zero(self):
        offset, length = self.range(LARGEST)
        keep = self.chooser.random() < 0.5
        self.note("zero", offset, length, "keeping the size" if keep else "")
        fallocate(self.file, ZERO_RANGE | (KEEP_SIZE if keep else 0), offset, length)
        self.put(offset, bytes(max(0, min(length, len(self.model) - offset)) if keep else length))

    def allocate(self):
        offset, length = self.range(LARGEST)
        keep = self.chooser.random() < 0.5
        self.note("allocate", offset, length, "keeping the size" if keep else "")
        fallocate(self.file, KEEP_SIZE if keep else 0, offset, length)
        if not keep:
            self.resize(max(len(self.model), offset + length))

    def direct(self, flags):
        offset, length = self.range(LARGEST)
        offset, length = offset - offset % PAGE, max(PAGE, length - length % PAGE)
        return os.open(self.path, flags | os.O_DIRECT), offset, length

    def direct_read(self):
        descriptor, offset, length = self.direct(os.O_RDONLY)
        self.note("direct read", offset, length)
        with mmap.mmap(-1, length) as buffer:
            got = os.preadv(descriptor, [buffer], offset)
            self.expect(buffer[:got], offset, length)
        os.close(descriptor)

    def direct_write(self):
        descriptor, offset, length = self.direct(os.O_WRONLY)
        self.note("direct write", offset, length)
        data = self.data(length)
        with mmap.mmap(-1, length) as buffer:
            buffer[:] = data
            assert os.pwrite(descriptor, buffer, offset) == length
        os.close(descriptor)
        self.put(offset, data)

    def sync(self):
        self.note("sync")
        os.fsync(self.file)

    def reopen(self):
        self.note("reopen")
        os.close(self.file)
        self.file = os.open(self.path, os.O_RDWR)

    # ---- all of it

    def note(self, *words):
        self.history.append(" ".join(str(word) for word in words))

    def check(self):
        size = os.fstat(self.file).st_size
        if size != len(self.model):
            raise AssertionError(
                "seed %r: the size is %d, expected %d. The last operations:\n%s"
                % (self.seed, size, len(self.model), "\n".join(self.history))
            )

    def run(self, operations):
        calls, weights = zip(*self.choices)
        for number in range(operations):
            self.chooser.choices(calls, weights)[0]()
            self.check()
            if number % 500 == 499:
                self.expect(os.pread(self.file, LARGEST + 1, 0), 0, LARGEST + 1)
        os.close(self.file)
        with open(self.path, "rb") as file:
            self.expect(file.read(), 0, LARGEST + 1)
