#!/usr/bin/env python3
"""Reading, writing, holes and mappings, by one process and by several."""

import errno
import mmap
import os
import resource
import signal
import stat

from file_systems import EVERY, Bodies, main, on_file_systems
from mounted_store import wait_for_last_close
from other_users import errno_of, in_child
from system_calls import KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate

BLOCK = 65536
TIB = 1 << 40


class Content(Bodies):
    def open(self, name="file", flags=os.O_RDWR | os.O_CREAT):
        descriptor = os.open(self.top / name, flags, 0o644)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def size(self, name="file") -> int:
        return os.stat(self.top / name).st_size

    def content(self, name="file") -> bytes:
        return (self.top / name).read_bytes()

    # ---- opening

    def test_appending_by_several_processes_loses_nothing(self):
        children = []
        for number in range(4):
            child = os.fork()
            if child == 0:
                descriptor = os.open(self.top / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                for count in range(250):
                    os.write(descriptor, b"%d %04d %s\n" % (number, count, b"x" * (count % 90)))
                os._exit(0)
            children.append(child)
        for child in children:
            self.assertEqual(os.waitpid(child, 0)[1], 0)
        lines = self.content().splitlines()
        wanted = [b"%d %04d %s" % (n, count, b"x" * (count % 90)) for n in range(4) for count in range(250)]
        self.assertEqual(sorted(lines), wanted)

    def test_appending_goes_to_the_end_wherever_the_offset_stands(self):
        descriptor = self.open(flags=os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, b"one ")
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, b"two ")
        self.assertEqual(os.lseek(descriptor, 0, os.SEEK_CUR), 8)
        other = self.open(flags=os.O_RDWR)
        os.ftruncate(other, 4)
        os.write(descriptor, b"three")
        os.pwrite(other, b" more", 9)
        os.write(descriptor, b"!")
        self.assertEqual(self.content(), b"one three more!")

    def test_truncation_by_open(self):
        self.make("file", b"x" * 100_000)
        reader = self.open(flags=os.O_RDONLY)
        os.close(os.open(self.top / "file", os.O_WRONLY | os.O_TRUNC))
        self.assertEqual((os.fstat(reader).st_size, os.pread(reader, 10, 0)), (0, b""))
        writer = self.open(flags=os.O_WRONLY)
        os.pwrite(writer, b"new", 5000)
        self.assertEqual(os.pread(reader, 6000, 0), bytes(5000) + b"new")

    def test_what_one_descriptor_writes_every_other_reads(self):
        one, two = self.open(), self.open()
        for number in range(50):
            os.pwrite(one, b"%04d" % number, number * 1000)
            self.assertEqual(os.pread(two, 4, number * 1000), b"%04d" % number)
            self.assertEqual(os.fstat(two).st_size, number * 1000 + 4)
            self.assertEqual(in_child(self.size), number * 1000 + 4)

    def test_a_shared_offset(self):
        descriptor = self.open()
        os.write(descriptor, b"abcdef")
        copy = os.dup(descriptor)
        os.lseek(copy, 2, os.SEEK_SET)
        self.assertEqual(in_child(lambda: os.read(descriptor, 2).decode()), "cd")
        self.assertEqual(os.read(copy, 10), b"ef")
        os.close(copy)

    def test_calls_on_descriptors_that_do_not_fit(self):
        self.make("file", b"content")
        reader, writer = self.open(flags=os.O_RDONLY), self.open(flags=os.O_WRONLY)
        directory = self.open(".", os.O_RDONLY)
        for expected, call in (
            (errno.EBADF, lambda: os.write(reader, b"x")),
            (errno.EBADF, lambda: os.pwrite(reader, b"x", 0)),
            (errno.EINVAL, lambda: os.ftruncate(reader, 0)),
            (errno.EBADF, lambda: fallocate(reader, 0, 0, 10)),
            (errno.EBADF, lambda: os.read(writer, 1)),
            (errno.EISDIR, lambda: os.read(directory, 1)),
            (errno.EISDIR, lambda: os.truncate(self.top, 0)),
            (errno.EINVAL, lambda: os.truncate(self.top / "file", -1)),
            (errno.EINVAL, lambda: os.lseek(reader, -1, os.SEEK_SET)),
            (errno.EINVAL, lambda: os.pread(reader, 1, -1)),
            (errno.EINVAL, lambda: os.pwrite(writer, b"x", -1)),
            (errno.EACCES, lambda: mmap.mmap(reader, 7)),
            (errno.EINVAL, lambda: fallocate(writer, 0, 0, 0)),
            (errno.EINVAL, lambda: fallocate(writer, 0, -1, 10)),
            (errno.EINVAL, lambda: fallocate(writer, 0, 0, -1)),
            (errno.EOPNOTSUPP, lambda: fallocate(writer, PUNCH_HOLE, 0, 10)),
            (errno.EFBIG, lambda: fallocate(writer, 0, (1 << 63) - 10, 100)),
        ):
            self.assert_errno(expected, call)
        self.assertEqual(self.content(), b"content")
        os.mkfifo(self.top / "fifo")
        self.assert_errno(errno.EINVAL, os.truncate, self.top / "fifo", 0)

    # ---- sizes and holes

    def test_writing_past_the_end_leaves_zeros(self):
        descriptor = self.open()
        os.pwrite(descriptor, b"first", 0)
        for offset in (4095, 4097, 20_000, 131_071, 1_000_000):
            before = os.fstat(descriptor).st_size
            os.pwrite(descriptor, b"xy", offset)
            self.assertEqual(os.fstat(descriptor).st_size, offset + 2)
            self.assertEqual(os.pread(descriptor, offset - before, before), bytes(offset - before))
        self.assertEqual(os.pread(descriptor, 100, 1_000_002), b"")
        self.assertEqual(os.pread(descriptor, 100, 999_999), b"\0xy")
        self.assertEqual(os.pwrite(descriptor, b"", 5_000_000), 0)
        self.assertEqual(self.size(), 1_000_002)

    def test_what_was_cut_off_comes_back_as_zeros(self):
        descriptor = self.open()
        for sync in (False, True):
            for cut in (1, 100, 4096, 5000, 65_536, 70_000):
                os.pwrite(descriptor, b"x" * 200_000, 0)
                if sync:
                    os.fsync(descriptor)
                os.ftruncate(descriptor, cut)
                os.ftruncate(descriptor, 150_000)
                self.assertEqual(os.pread(descriptor, 200_000, 0), b"x" * cut + bytes(150_000 - cut), cut)

    def test_files_of_a_tebibyte(self):
        descriptor = self.open()
        os.ftruncate(descriptor, TIB)
        os.pwrite(descriptor, b"middle", TIB // 2)
        os.pwrite(descriptor, b"end", TIB - 3)
        os.fsync(descriptor)
        found = os.fstat(descriptor)
        self.assertEqual(found.st_size, TIB)
        self.assertLess(found.st_blocks * 512, 4 << 20)
        self.assertEqual(os.pread(descriptor, 10, TIB // 2 - 2), b"\0\0middle\0\0")
        self.assertEqual(os.pread(descriptor, 10, TIB - 4), b"\0end")
        os.ftruncate(descriptor, TIB // 2 + 3)
        os.ftruncate(descriptor, TIB)
        self.assertEqual(os.pread(descriptor, 6, TIB // 2), b"mid\0\0\0")

    def test_looking_for_data_and_holes(self):
        with open(self.top / "file", "wb", buffering=0) as file:
            for number in (2, 3, 7):
                os.pwrite(file.fileno(), b"x" * BLOCK, number * BLOCK)
            os.ftruncate(file.fileno(), 10 * BLOCK)
            os.fsync(file.fileno())
        descriptor = self.open(flags=os.O_RDONLY)
        wait_for_last_close(descriptor)
        data = [os.lseek(descriptor, at * BLOCK + 5, os.SEEK_DATA) for at in range(7)]
        self.assertEqual(
            [at / BLOCK for at in data], [2, 2, 2 + 5 / BLOCK, 3 + 5 / BLOCK, 7, 7, 7]
        )
        holes = [os.lseek(descriptor, at * BLOCK + 5, os.SEEK_HOLE) for at in range(10)]
        inside = 5 / BLOCK
        self.assertEqual(
            [at / BLOCK for at in holes],
            [inside, 1 + inside, 4, 4, 4 + inside, 5 + inside, 6 + inside, 8, 8 + inside, 9 + inside],
        )
        for at, whence in ((8 * BLOCK, os.SEEK_DATA), (10 * BLOCK, os.SEEK_DATA), (10 * BLOCK, os.SEEK_HOLE)):
            self.assert_errno(errno.ENXIO, os.lseek, descriptor, at, whence)
        self.assert_errno(errno.ENXIO, os.lseek, descriptor, -1, os.SEEK_DATA)
        self.make("empty")
        empty = self.open("empty", os.O_RDONLY)
        wait_for_last_close(empty)
        self.assert_errno(errno.ENXIO, os.lseek, empty, 0, os.SEEK_HOLE)

    def test_fallocate_in_each_mode(self):
        full = os.urandom(10 * BLOCK)
        for mode, offset, length, size in (
            (0, BLOCK, BLOCK, 10 * BLOCK),
            (0, 9 * BLOCK, 3 * BLOCK + 7, 12 * BLOCK + 7),
            (0, 20 * BLOCK + 1, 1, 20 * BLOCK + 2),
            (KEEP_SIZE, 9 * BLOCK, 5 * BLOCK, 10 * BLOCK),
            (PUNCH_HOLE | KEEP_SIZE, BLOCK, 3 * BLOCK, 10 * BLOCK),
            (PUNCH_HOLE | KEEP_SIZE, 100, 50, 10 * BLOCK),
            (PUNCH_HOLE | KEEP_SIZE, 5000, 10_000, 10 * BLOCK),
            (PUNCH_HOLE | KEEP_SIZE, 9 * BLOCK + 1, 100 * BLOCK, 10 * BLOCK),
            (PUNCH_HOLE | KEEP_SIZE, 50 * BLOCK, BLOCK, 10 * BLOCK),
            (ZERO_RANGE, 3 * BLOCK - 1, BLOCK + 2, 10 * BLOCK),
            (ZERO_RANGE, 9 * BLOCK + 5, 2 * BLOCK, 11 * BLOCK + 5),
            (ZERO_RANGE | KEEP_SIZE, 9 * BLOCK + 5, 2 * BLOCK, 10 * BLOCK),
            (ZERO_RANGE, 12 * BLOCK, BLOCK, 13 * BLOCK),
        ):
            for sync in (False, True):
                with self.subTest(mode=mode, offset=offset, length=length, sync=sync):
                    model = bytearray(full)
                    if mode & (PUNCH_HOLE | ZERO_RANGE):
                        end = min(offset + length, len(full))
                        model[offset:end] = bytes(max(0, end - offset))
                    model.extend(bytes(size - len(model)))
                    descriptor = os.open(self.top / "file", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                    os.write(descriptor, full)
                    if sync:
                        os.fsync(descriptor)
                    fallocate(descriptor, mode, offset, length)
                    self.assertEqual(os.fstat(descriptor).st_size, size)
                    self.assertTrue(os.pread(descriptor, 30 * BLOCK, 0) == model)
                    os.close(descriptor)
                    self.assertTrue(self.content() == model)

    def test_the_limit_of_a_process_for_sizes(self):
        def write():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
            descriptor = os.open(self.top / "file", os.O_RDWR | os.O_CREAT)
            return [
                os.pwrite(descriptor, b"x" * 8000, 5000),
                errno_of(os.pwrite, descriptor, b"x", 10_000),
                errno_of(os.ftruncate, descriptor, 10_001),
                errno_of(fallocate, descriptor, 0, 0, 20_000),
            ]

        self.assertEqual(in_child(write), [5000] + [errno.EFBIG] * 3)
        self.assertEqual(self.size(), 10_000)

    # ---- mappings

    def test_a_shared_mapping_and_descriptors_see_each_other(self):
        descriptor = self.open()
        os.pwrite(descriptor, b"a" * 300_000, 0)
        with mmap.mmap(descriptor, 300_000) as mapping:
            mapping[100_000:100_005] = b"hello"
            self.assertEqual(os.pread(descriptor, 7, 99_999), b"ahelloa")
            self.assertEqual(in_child(lambda: self.content()[100_000:100_005].decode()), "hello")
            os.pwrite(descriptor, b"written", 200_000)
            self.assertEqual(mapping[200_000:200_007], b"written")

            def change():
                with open(self.top / "file", "r+b") as file, mmap.mmap(file.fileno(), 0) as other:
                    other[5] = 90

            in_child(change)
            self.assertEqual(mapping[4:7], b"aZa")
            mapping.flush()
        self.assertEqual(self.content()[100_000:100_005], b"hello")

    def test_a_private_mapping_changes_nothing(self):
        self.make("file", b"a" * 10_000)
        descriptor = self.open(flags=os.O_RDONLY)
        with mmap.mmap(descriptor, 10_000, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
            mapping[0:5] = b"hello"
            self.assertEqual(os.pread(descriptor, 5, 0), b"aaaaa")
        self.assertEqual(self.content()[:5], b"aaaaa")

    def test_a_mapping_outlives_its_descriptor_and_its_name(self):
        path = self.make("file", b"a" * 10_000)
        os.link(path, self.top / "kept")
        with open(path, "r+b") as file:
            mapping = mmap.mmap(file.fileno(), 10_000)  # has a descriptor of its own
        os.unlink(path)
        mapping[10:15] = b"hello"
        self.assertEqual(self.content("kept")[9:16], b"ahelloa")
        mapping.close()
        self.assertEqual(self.content("kept")[9:16], b"ahelloa")

    def test_behind_the_end_a_mapping_faults(self):
        descriptor = self.open()
        os.pwrite(descriptor, b"x" * 100, 0)
        for touch in (lambda mapping: mapping[20_000], lambda mapping: mapping.__setitem__(20_000, 1)):
            os.ftruncate(descriptor, 40_000)
            child = os.fork()
            if child == 0:
                mapping = mmap.mmap(descriptor, 40_000)
                os.ftruncate(descriptor, 100)
                if mapping[99] != ord("x") or mapping[100] != 0:
                    os._exit(1)
                touch(mapping)
                os._exit(2)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), -signal.SIGBUS)

    # ---- directly and synchronously

    def test_direct_and_cached_access_agree(self):
        direct, cached = self.open(flags=os.O_RDWR | os.O_CREAT | os.O_DIRECT), self.open()
        buffer = mmap.mmap(-1, BLOCK)
        for letter in b"abc":
            buffer[:] = bytes([letter]) * BLOCK
            self.assertEqual(os.pwrite(direct, buffer, BLOCK), BLOCK)
            self.assertEqual(os.pread(cached, BLOCK, BLOCK), bytes(buffer))
            os.pwrite(cached, b"cached", BLOCK + 100)
            self.assertEqual(os.preadv(direct, [buffer], BLOCK), BLOCK)
            self.assertEqual(buffer[99:107], bytes([letter]) + b"cached" + bytes([letter]))
            os.pwrite(cached, b"unaligned", 3)
            self.assertEqual(os.preadv(direct, [buffer], 0), BLOCK)
            self.assertEqual(buffer[:13], bytes(3) + b"unaligned" + bytes(1))
        self.assertEqual(self.size(), 2 * BLOCK)
        self.assertEqual(os.preadv(direct, [buffer], 2 * BLOCK), 0)

    def test_syncing_of_everything_that_can_be_opened(self):
        for flags in (os.O_SYNC, os.O_DSYNC):
            descriptor = self.open("file-%d" % flags, os.O_RDWR | os.O_CREAT | flags)
            self.assertEqual(os.write(descriptor, b"x" * 10_000), 10_000)
        descriptor = self.open("file")
        os.write(descriptor, b"x")
        os.fsync(descriptor)
        os.fdatasync(descriptor)
        os.fsync(self.open("file", os.O_RDONLY))
        directory = self.open(".", os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.fdatasync(directory)
        os.mkdir("below", dir_fd=directory)
        os.fsync(directory)
        self.assert_errno(errno.EBADF, os.fsync, self.open("file", os.O_PATH))

    def test_vectors_and_copies_in_the_kernel(self):
        descriptor = self.open()
        self.assertEqual(os.pwritev(descriptor, [b"one", b"", b"two" * 5000, b"three"], 7), 15_008)
        buffers = [bytearray(10), bytearray(15_000), bytearray(100)]
        self.assertEqual(os.preadv(descriptor, buffers, 0), 15_015)
        self.assertEqual(bytes(buffers[0]), bytes(7) + b"one")
        copy = self.open("copy")
        self.assertEqual(os.sendfile(copy, descriptor, 0, 100_000), 15_015)
        self.assertEqual(self.content("copy"), self.content())
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self.assertEqual(os.pread(descriptor, 3, 10), b"two")

    def test_ranges_are_copied(self):
        source, target = self.open("source"), self.open("target")
        content = os.urandom(1_500_000)
        os.pwrite(source, content, 0)  # not written back yet
        os.pwrite(target, b"t" * 3_000_000, 0)
        self.copy_all(source, target, len(content), 100, 1_000_001)
        wanted = b"t" * 1_000_001 + content[100:] + b"t" * (1_999_999 - len(content) + 100)
        self.assertEqual(self.content("target"), wanted)
        # What was in the kernel's pages, also of others, is not shown any more.
        self.assertEqual(os.pread(target, 10, 1_000_001), content[100:110])
        os.pwrite(source, b"changed", 500)
        self.assertEqual(self.content("target"), wanted)
        os.pwrite(target, b"changed", 1_000_001)
        self.assertEqual(self.content("source"), content[:500] + b"changed" + content[507:])

    def copy_all(self, source, target, length, source_offset, target_offset):
        done = 0
        while copied := os.copy_file_range(source, target, length - done, source_offset + done, target_offset + done):
            done += copied
        return done

    def test_what_is_copied_ends_with_the_source_and_makes_the_target_longer(self):
        source, target = self.open("source"), self.open("target")
        os.pwrite(source, b"x" * 100_000, 0)
        self.assertEqual(self.copy_all(source, target, 1 << 20, 60_000, 200_000), 40_000)
        self.assertEqual(self.content("target"), bytes(200_000) + b"x" * 40_000)
        self.assertEqual(self.copy_all(source, target, 10, 100_000, 0), 0)
        os.lseek(source, 10, os.SEEK_SET)
        os.lseek(target, 5, os.SEEK_SET)
        self.assertEqual(os.copy_file_range(source, target, 20), 20)
        self.assertEqual([os.lseek(d, 0, os.SEEK_CUR) for d in (source, target)], [30, 25])
        self.assertEqual(self.content("target")[:30], bytes(5) + b"x" * 20 + bytes(5))
        os.ftruncate(source, 5_000_000)
        self.assertEqual(self.copy_all(source, target, 5_000_000, 0, 0), 5_000_000)
        self.assertEqual(self.content("target"), self.content("source"))

    def test_ranges_of_one_file_are_copied_where_they_do_not_overlap(self):
        descriptor = self.open()
        content = os.urandom(700_000)
        os.pwrite(descriptor, content, 0)
        self.assertEqual(self.copy_all(descriptor, descriptor, 300_000, 0, 300_000), 300_000)
        self.assertEqual(self.content(), content[:300_000] * 2 + content[600_000:])
        self.assert_errno(errno.EINVAL, os.copy_file_range, descriptor, descriptor, 100, 0, 50)

    def test_what_cannot_be_copied_from_or_to(self):
        source, target = self.open("source"), self.open("target")
        os.pwrite(source, b"x" * 100, 0)
        reader, writer = self.open("source", os.O_RDONLY), self.open("target", os.O_WRONLY)
        appender = self.open("target", os.O_WRONLY | os.O_APPEND)
        self.assert_errno(errno.EBADF, os.copy_file_range, source, reader, 10)
        self.assert_errno(errno.EBADF, os.copy_file_range, writer, target, 10)
        self.assert_errno(errno.EBADF, os.copy_file_range, source, appender, 10)
        directory = self.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.assert_errno(errno.EISDIR, os.copy_file_range, directory, target, 10)

    def test_fifos_and_sockets_carry_their_bytes(self):
        os.mkfifo(self.top / "fifo")
        child = os.fork()
        if child == 0:
            (self.top / "fifo").write_bytes(b"through the fifo")
            os._exit(0)
        self.assertEqual((self.top / "fifo").read_bytes(), b"through the fifo")
        os.waitpid(child, 0)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.top / "fifo").st_mode))


load_tests = on_file_systems(globals(), (Content, EVERY))

if __name__ == "__main__":
    main()
