#!/usr/bin/env python3
"""The end of a mount loses nothing that was written or closed."""

import contextlib
import mmap
import os
import signal
import subprocess

from mounted_store import MountTest, main, wait_until


class Shutdown(MountTest):
    def test_a_signal_loses_no_page_of_an_open_file(self):
        bucket = self.fs.mount().bucket()
        content = os.urandom(5_000_000)
        with open(bucket / "file", "wb", buffering=0) as file:
            file.write(content)  # in the kernel's cache only
            self.fs.signal(signal.SIGTERM)
            wait_until(lambda: not self.fs.is_mounted(), "the mount is detached")
            file.write(b"after the signal")
        self.assertEqual(self.fs.wait_for_daemon(), 0)
        self.fs.mount()
        self.assertEqual((bucket / "file").read_bytes(), content + b"after the signal")

    def test_a_signal_loses_no_page_of_a_mapping(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_bytes(bytes(100_000))
        with open(bucket / "file", "r+b") as file:
            mapping = mmap.mmap(file.fileno(), 100_000)
        mapping[50_000:50_005] = b"dirty"
        self.fs.signal(signal.SIGINT)
        wait_until(lambda: not self.fs.is_mounted(), "the mount is detached")
        mapping[60_000:60_005] = b"later"
        mapping.close()
        self.assertEqual(self.fs.wait_for_daemon(), 0)
        self.fs.mount()
        content = (bucket / "file").read_bytes()
        self.assertEqual((content[50_000:50_005], content[60_000:60_005]), (b"dirty", b"later"))

    def test_an_open_file_does_not_hold_the_daemon_for_ever(self):
        bucket = self.fs.mount().bucket()
        descriptor = os.open(bucket / "file", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"written before the signal")
        self.fs.signal()
        self.assertEqual(self.fs.wait_for_daemon(), 0)
        with self.assertRaises(OSError):
            os.write(descriptor, b"too late")
            os.fsync(descriptor)
        with contextlib.suppress(OSError):
            os.close(descriptor)
        self.fs.mount()
        self.assertEqual((bucket / "file").read_bytes(), b"written before the signal")
        self.assertEqual(len(os.listdir(bucket / ".versions/file")), 1, "what was written was sealed")

    def test_umount_is_refused_while_in_use_and_then_loses_nothing(self):
        bucket = self.fs.mount().bucket()
        writer = subprocess.Popen(
            ["sh", "-c", 'cd "$1"; i=0; while :; do i=$((i+1)); head -c 20000 /dev/zero > f$i && echo f$i; done', "sh", bucket],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        written = [writer.stdout.readline().strip() for _ in range(50)]
        busy = self.fs.run("umount", self.fs.mountpoint, check=False)
        self.assertNotEqual(busy.returncode, 0)
        writer.kill()
        written += writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        self.fs.unmount()
        self.fs.mount()
        for name in written:
            self.assertEqual(os.stat(bucket / name).st_size, 20000, name)

    def test_a_lazy_umount_under_load_loses_nothing_that_was_closed(self):
        bucket = self.fs.mount().bucket()
        script = 'cd "$1"; for i in $(seq 400); do head -c 20000 /dev/zero > f$i && echo f$i; done'
        writer = subprocess.Popen(["sh", "-c", script, "sh", bucket], stdout=subprocess.PIPE, text=True)
        first = writer.stdout.readline()
        self.fs.run("umount", "-l", self.fs.mountpoint)
        written = [first.strip()] + writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        self.assertEqual(len(written), 400)
        self.assertEqual(self.fs.wait_for_daemon(), 0)
        self.fs.mount()
        self.assertEqual(sorted(os.listdir(bucket)), sorted(written))

    def test_a_signal_under_load_loses_nothing_that_was_closed(self):
        bucket = self.fs.mount().bucket()
        script = 'cd "$1"; for i in $(seq 400); do head -c 20000 /dev/zero > f$i && echo f$i; done'
        writer = subprocess.Popen(["sh", "-c", script, "sh", bucket], stdout=subprocess.PIPE, text=True)
        first = writer.stdout.readline()
        self.fs.signal()
        written = [first.strip()] + writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        self.assertEqual(self.fs.wait_for_daemon(), 0)
        self.fs.mount()
        self.assertEqual(sorted(os.listdir(bucket)), sorted(written))
        self.assertEqual({os.stat(bucket / name).st_size for name in written}, {20000})

    def test_files_closed_just_before_umount_have_their_versions(self):
        bucket = self.fs.mount().bucket()
        for number in range(100):
            (bucket / ("f%d" % number)).write_text("content")
        self.fs.unmount()
        self.fs.mount()
        for number in range(100):
            self.assertEqual(len(os.listdir(bucket / (".versions/f%d" % number))), 1)

    def test_sighup_is_ignored(self):
        self.fs.mount()
        self.fs.signal(signal.SIGHUP)
        self.fs.bucket("still-there")
        self.fs.unmount()

    def test_a_mount_right_after_umount_waits_for_the_store(self):
        bucket = self.fs.mount().bucket()
        for number in range(300):
            (bucket / ("f%d" % number)).write_text("content")
        first = self.fs.daemon
        self.fs.run("umount", self.fs.mountpoint)
        self.fs.daemon = None
        self.fs.mount()
        self.assertEqual(first.wait(60), 0)
        self.assertEqual(len(os.listdir(bucket)), 300)


if __name__ == "__main__":
    main()
