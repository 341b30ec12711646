#!/usr/bin/env python3
"""Reading and writing in every way that programs do it."""

import contextlib
import errno
import fcntl
import mmap
import os
import random
import subprocess

from mounted_store import MountTest, main, wait_for_last_close


class Content(MountTest):
    mount_options = ""

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.mount_options).bucket()

    def test_random_writes_truncations_and_reads_match_a_model(self):
        chooser = random.Random(5)
        model = bytearray()
        path = self.bucket / "file"
        path.touch()
        file = open(path, "r+b", buffering=0)
        for step in range(400):
            action = chooser.random()
            if action < 0.5:
                offset = chooser.randrange(1_500_000)
                data = chooser.randbytes(chooser.choice((1, 10, 4096, 5000, 70_000)))
                os.pwrite(file.fileno(), data, offset)
                if offset > len(model):
                    model.extend(bytes(offset - len(model)))
                model[offset : offset + len(data)] = data
            elif action < 0.6:
                size = chooser.randrange(1_600_000)
                os.ftruncate(file.fileno(), size)
                del model[size:]
                model.extend(bytes(size - len(model)))
            elif action < 0.9:
                offset = chooser.randrange(1_600_000)
                size = chooser.randrange(100_000)
                self.assertEqual(os.pread(file.fileno(), size, offset), bytes(model[offset : offset + size]))
            elif action < 0.95:
                os.fsync(file.fileno())
            else:
                file.close()
                if step % 3 == 0:
                    self.fs.remount(self.mount_options)
                file = open(path, "r+b", buffering=0)
        file.close()
        self.fs.remount(self.mount_options)
        self.assertEqual(path.read_bytes(), bytes(model))

    def test_mapped_writes(self):
        path = self.bucket / "file"
        path.write_bytes(bytes(1_000_000))
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
            mapping[123_456:123_461] = b"hello"
            mapping[999_999] = 7
            mapping.flush()
        with open(path, "r+b") as file:
            mapping = mmap.mmap(file.fileno(), 0)
        mapping[5:8] = b"end"  # after the last close of the descriptor
        mapping.close()
        self.fs.remount(self.mount_options)
        content = path.read_bytes()
        self.assertEqual((content[123_456:123_461], content[999_999], content[5:8]), (b"hello", 7, b"end"))

    def test_sparse_files_take_no_room_and_keep_their_holes(self):
        path = self.bucket / "sparse"
        with open(path, "wb") as file:
            file.truncate(10 << 30)
            file.seek(5 << 30)
            file.write(b"island")
        self.assertEqual(os.stat(path).st_size, 10 << 30)
        self.assertLess(os.stat(path).st_blocks * 512, 1 << 20)
        with open(path, "rb", buffering=0) as file:
            wait_for_last_close(file.fileno())
            self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_DATA) & ~0xFFFF, 5 << 30)
            self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_HOLE), 0)
            self.assertEqual(os.pread(file.fileno(), 6, 5 << 30), b"island")
            self.assertEqual(os.pread(file.fileno(), 6, 9 << 30), bytes(6))
            with self.assertRaises(OSError) as raised:
                os.lseek(file.fileno(), 11 << 30, os.SEEK_DATA)
            self.assertEqual(raised.exception.errno, errno.ENXIO)
        self.fs.run("cp", "--sparse=auto", path, self.bucket / "copy")
        self.assertLess(os.stat(self.bucket / "copy").st_blocks * 512, 1 << 20)

    def test_looking_for_data_never_misses_what_is_still_in_the_cache(self):
        path = self.bucket / "growing"
        with open(path, "wb", buffering=0) as file:
            file.truncate(1 << 20)
            file.write(b"x" * 300_000)
            self.fs.run("cp", path, self.bucket / "copy")
        self.assertEqual((self.bucket / "copy").read_bytes(), path.read_bytes())

    def test_holes_are_punched_and_room_is_allocated(self):
        path = self.bucket / "file"
        path.write_bytes(b"x" * 1_000_000)
        self.fs.run("fallocate", "-p", "-o", "100000", "-l", "500000", path)
        self.assertEqual(path.read_bytes(), b"x" * 100_000 + bytes(500_000) + b"x" * 400_000)
        self.fs.run("fallocate", "-z", "-o", "0", "-l", "1000", path)
        self.fs.run("fallocate", "-o", "1000000", "-l", "1000000", path)
        content = path.read_bytes()
        self.assertEqual((len(content), content[:1000], content[1_000_000:]), (2_000_000, bytes(1000), bytes(1_000_000)))
        self.fs.run("fallocate", "-n", "-o", "2000000", "-l", "1000000", path)
        self.assertEqual(os.stat(path).st_size, 2_000_000)

    def test_cp_inside_a_bucket_shares_the_content(self):
        path = self.bucket / "file"
        content = os.urandom(24 << 20)
        path.write_bytes(content)
        os.sync()
        before = self.fs.status()["store"]["log_bytes"]
        self.fs.run("cp", path, self.bucket / "copy")
        descriptor = os.open(self.bucket / "copy", os.O_RDWR)
        os.fsync(descriptor)
        self.assertLess(self.fs.status()["store"]["log_bytes"] - before, 8 << 20)
        os.pwrite(descriptor, b"changed", 1_000_000)
        os.close(descriptor)
        path.unlink()
        self.fs.remount("allow_other")
        changed = content[:1_000_000] + b"changed" + content[1_000_007:]
        self.assertEqual((self.bucket / "copy").read_bytes(), changed)
        self.fs.pail("check", "--deep")

    def test_an_unlinked_file_lives_until_its_last_close(self):
        path = self.bucket / "file"
        with open(path, "w+b", buffering=0) as file:
            file.write(b"before")
            path.unlink()
            file.write(b" and after")
            os.fsync(file.fileno())
            self.assertEqual(os.pread(file.fileno(), 100, 0), b"before and after")
            self.assertEqual(os.fstat(file.fileno()).st_nlink, 0)
        self.assertEqual(os.listdir(self.bucket), [])

    def test_appending_by_many(self):
        path = self.bucket / "log"
        script = 'for i in $(seq 200); do echo "$1 $i" >> "$2"; done'
        writers = [subprocess.Popen(["sh", "-c", script, "sh", str(n), path]) for n in range(4)]
        self.assertEqual([writer.wait() for writer in writers], [0] * 4)
        lines = path.read_text().splitlines()
        self.assertEqual(sorted(lines), sorted("%d %d" % (n, i) for n in range(4) for i in range(1, 201)))

    def test_opening_with_truncation(self):
        path = self.bucket / "file"
        path.write_bytes(b"x" * 100_000)
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        self.assertEqual(os.fstat(descriptor).st_size, 0)
        os.write(descriptor, b"new")
        os.close(descriptor)
        self.assertEqual(path.read_bytes(), b"new")
        with self.assertRaises(FileExistsError):
            os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)

    def test_a_write_into_a_file_opened_for_writing_only(self):
        path = self.bucket / "file"
        path.write_bytes(b"abcdef" * 2000)
        descriptor = os.open(path, os.O_WRONLY)
        os.pwrite(descriptor, b"X", 5000)
        os.close(descriptor)
        self.fs.remount(self.mount_options)
        content = path.read_bytes()
        self.assertEqual((content[4998:5003], len(content)), (b"abX" + b"de", 12000))

    def test_times_follow_changes_and_stay(self):
        path = self.bucket / "file"
        path.write_text("x")
        first = os.stat(path)
        os.utime(path, ns=(1_000_000_001, 2_000_000_002))
        self.assertEqual((os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns), (1_000_000_001, 2_000_000_002))
        self.assertGreaterEqual(os.stat(path).st_ctime_ns, first.st_ctime_ns)  # the kernel's clock ticks every 4 ms
        self.fs.remount(self.mount_options)
        self.assertEqual(os.stat(path).st_mtime_ns, 2_000_000_002)
        with open(path, "ab") as file:
            file.write(b"y")
        changed = os.stat(path)
        self.assertGreaterEqual(changed.st_mtime_ns, first.st_mtime_ns)
        self.fs.remount(self.mount_options)
        self.assertEqual(os.stat(path).st_mtime_ns, changed.st_mtime_ns)

    def test_du_tells_the_room_right_after_a_close(self):
        (self.bucket / "file").write_bytes(os.urandom(1 << 20))
        self.assertGreaterEqual(os.stat(self.bucket / "file").st_blocks * 512, 1 << 20)

    def test_direct_and_synchronous_writes(self):
        buffer = mmap.mmap(-1, 65536)
        buffer.write(b"d" * 65536)
        descriptor = os.open(self.bucket / "direct", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
        self.assertEqual(os.write(descriptor, buffer), 65536)
        os.close(descriptor)
        descriptor = os.open(self.bucket / "sync", os.O_CREAT | os.O_WRONLY | os.O_SYNC)
        os.write(descriptor, b"synced")
        self.fs.kill()
        with contextlib.suppress(OSError):  # ENOTCONN: nobody answers any more
            os.close(descriptor)
        self.fs.mount(self.mount_options)
        self.assertEqual((self.bucket / "sync").read_bytes(), b"synced")

    def test_locks(self):
        with open(self.bucket / "lock", "w", encoding="ascii") as first, open(self.bucket / "lock", "w", encoding="ascii") as second:
            fcntl.flock(first, fcntl.LOCK_EX)
            with self.assertRaises(BlockingIOError):
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


class ContentWithoutWriteback(Content):
    mount_options = "writeback=off"


class ContentForAllUsers(Content):
    mount_options = "allow_other"


if __name__ == "__main__":
    main()
