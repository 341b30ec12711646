#!/usr/bin/env python3
"""What goes wrong at the start: a clear message, the exit status of mount(8), and nothing left behind."""

import os
import subprocess

from mounted_store import PAILFS, MountTest, main

USAGE, SYSTEM, FAILURE = 1, 2, 32


class Errors(MountTest):
    expected_errors = ("",)

    def start(self, *words):
        return self.fs.run(PAILFS, *words, check=False, stdin=subprocess.DEVNULL)

    def assert_refused(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stderr)
        for word in words:
            self.assertIn(str(word), result.stderr)
        self.assertFalse(self.fs.is_mounted())

    def test_a_wrong_key(self):
        wrong = self.fs.directory / "wrong"
        wrong.write_bytes(os.urandom(32))
        for mode in ([], ["-f"]):
            result = self.start(self.fs.store, self.fs.mountpoint, "-o", "key_file=%s" % wrong, *mode)
            self.assert_refused(result, FAILURE, self.fs.store)

    def test_a_missing_or_short_key_file(self):
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", "key_file=/nonexistent/key")
        self.assert_refused(result, FAILURE, "/nonexistent/key")
        short = self.fs.directory / "short"
        short.write_bytes(b"short")
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", "key_file=%s" % short)
        self.assert_refused(result, USAGE, short)

    def test_no_key_and_no_terminal(self):
        result = self.start(self.fs.store, self.fs.mountpoint)
        self.assert_refused(result, USAGE, "key_file", "passphrase_file")

    def test_a_store_in_use_names_the_holder(self):
        self.fs.mount()
        other = self.fs.directory / "other"
        other.mkdir()
        result = self.start(self.fs.store, other, "-o", self.fs.options(""))
        self.assertEqual(result.returncode, FAILURE, result.stderr)
        self.assertIn(str(self.fs.daemon.pid), result.stderr)
        self.assertTrue(self.fs.is_mounted())

    def test_no_store(self):
        empty = self.fs.directory / "empty"
        empty.mkdir()
        self.assert_refused(self.start(empty, self.fs.mountpoint, "-o", self.fs.options("")), FAILURE, empty)
        self.assert_refused(self.start("/nonexistent", self.fs.mountpoint, "-o", self.fs.options("")), FAILURE, "/nonexistent")

    def test_bad_mountpoints(self):
        options = ["-o", self.fs.options("")]
        self.assert_refused(self.start(self.fs.store, "/nonexistent/mount", *options), FAILURE, "/nonexistent/mount")
        self.assert_refused(self.start(self.fs.store, self.fs.key, *options), FAILURE, "not a directory")
        self.assert_refused(self.start(self.fs.store, self.fs.store, *options), USAGE, "both")
        inside = self.fs.store / "inside"
        inside.mkdir()
        self.assert_refused(self.start(self.fs.store, inside, *options), USAGE, "lies in the store")
        inside.rmdir()
        self.assert_refused(self.start(self.fs.store, self.fs.directory, *options), USAGE, "would hide it")

    def test_a_busy_mountpoint(self):
        self.fs.mount()
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", self.fs.options(""))
        self.assertEqual(result.returncode, FAILURE)
        self.assertIn("busy", result.stderr)

    def test_a_dead_mount(self):
        self.fs.mount()
        self.fs.daemon.kill()
        self.fs.wait_for_daemon()
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", self.fs.options(""))
        self.assertEqual(result.returncode, FAILURE)
        self.assertIn("umount -l", result.stderr)

    def test_unknown_options_are_named(self):
        for option in ("frobnicate", "writeback=maybe", "io_uring=on", "log_level=loud", "bucket="):
            result = self.start(self.fs.store, self.fs.mountpoint, "-o", self.fs.options(option))
            self.assert_refused(result, USAGE, option.rstrip("="))
        result = self.start(self.fs.store)
        self.assert_refused(result, USAGE)

    def test_remount_is_left_to_the_kernel(self):
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", self.fs.options("remount,ro"))
        self.assert_refused(result, USAGE, "mount -i -o remount")

    def test_a_bucket_that_is_not_there(self):
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", self.fs.options("bucket=missing"))
        self.assert_refused(result, FAILURE, "missing")

    def test_a_missing_keyring(self):
        for copy in self.fs.store.glob("keyring.*"):
            copy.unlink()
        result = self.start(self.fs.store, self.fs.mountpoint, "-o", self.fs.options(""))
        self.assert_refused(result, FAILURE, self.fs.store)

    def test_one_damaged_keyring_is_mended(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("content")
        self.fs.unmount()
        (self.fs.store / "keyring.0").write_bytes(b"damaged")
        self.fs.mount()
        self.assertEqual((bucket / "file").read_text(), "content")

    def test_version_and_help(self):
        self.assertIn("libfuse", self.start("--version").stdout)
        self.assertIn("passphrase_file", self.start("--help").stdout)


class Damage(MountTest):
    expected_errors = ("",)

    def test_a_flipped_byte_is_an_error_and_never_other_data(self):
        bucket = self.fs.mount().bucket()
        content = os.urandom(2_000_000)
        (bucket / "file").write_bytes(content)
        self.fs.unmount()
        segment = max((self.fs.store / "log").iterdir(), key=lambda path: path.stat().st_size)
        with open(segment, "r+b") as file:
            file.seek(1_000_000)
            byte = file.read(1)
            file.seek(1_000_000)
            file.write(bytes([byte[0] ^ 1]))
        self.fs.mount()
        with self.assertRaises(OSError) as raised:
            (bucket / "file").read_bytes()
        self.assertEqual(raised.exception.errno, 5)
        with open(bucket / "file", "rb", buffering=0) as file:
            self.assertEqual(file.read(4096), content[:4096])
        self.assertIn("error: READ", self.fs.messages())


if __name__ == "__main__":
    main()
