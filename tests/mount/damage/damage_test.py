#!/usr/bin/env python3
"""Stores that are damaged, cut, incomplete or too new: a clear word, and nothing lost that is still there."""

import json
import os
import subprocess

from mounted_store import PAIL, PAILFS, MountTest, main


class Damage(MountTest):
    expected_errors = ("",)

    def setUp(self):
        super().setUp()
        bucket = self.fs.mount().bucket()
        self.content = {"f%d" % i: os.urandom(30_000) for i in range(50)}
        for name, content in self.content.items():
            (bucket / name).write_bytes(content)
        self.bucket = bucket

    def segment(self):
        """The one that holds the files."""
        return max((self.fs.store / "log").iterdir(), key=lambda path: path.stat().st_blocks)

    def try_mount(self):
        return subprocess.run(
            [PAILFS, self.fs.store, self.fs.mountpoint, "-o", self.fs.options("")], capture_output=True, text=True, timeout=120
        )

    def test_a_missing_segment_is_named_and_the_rest_is_readable(self):
        self.fs.unmount()
        first = self.segment()
        kept = first.read_bytes()
        first.unlink()
        self.fs.mount()
        errors = 0
        for name in self.content:
            try:
                self.assertEqual((self.bucket / name).read_bytes(), self.content[name])
            except OSError as error:
                self.assertEqual(error.errno, 5)
                errors += 1
        self.assertGreater(errors, 0)
        self.assertIn(first.name.split(".")[0], self.fs.messages())
        self.assertEqual(self.fs.pail("check", check=False).returncode, 1)
        self.fs.kill()
        first.write_bytes(kept)
        self.fs.mount()
        for name, content in self.content.items():
            self.assertEqual((self.bucket / name).read_bytes(), content)

    def test_a_cut_segment_gives_errors_and_never_other_data(self):
        self.fs.unmount()
        first = self.segment()
        os.truncate(first, first.stat().st_size // 2)
        self.fs.mount()
        good = bad = 0
        for name, content in self.content.items():
            try:
                self.assertEqual((self.bucket / name).read_bytes(), content)
                good += 1
            except OSError as error:
                self.assertEqual(error.errno, 5)
                bad += 1
        self.assertGreater(good, 0)
        self.assertGreater(bad, 0)
        problems = self.fs.pail("check", check=False)
        self.assertEqual(problems.returncode, 1)
        self.assertRegex(problems.stdout + problems.stderr, r"bucket/f\d+")

    def test_damage_in_what_was_durable_makes_the_store_read_only_in_words(self):
        with open(self.bucket / "f0", "rb") as file:
            os.fsync(file.fileno())
        (self.bucket / "later").write_text("x")
        with open(self.bucket / "later", "rb") as file:
            os.fsync(file.fileno())
        self.fs.kill()  # nothing is checkpointed: all of it would be replayed
        segment = self.segment()
        with open(segment, "r+b") as file:
            file.seek(4096)  # the first record's header, behind that of the segment
            file.write(b"\xff" * 8)
        self.fs.mount()
        with self.assertRaises(OSError) as raised:
            (self.bucket / "new").write_text("x") if self.bucket.exists() else self.bucket.mkdir()
        self.assertEqual(raised.exception.errno, 30)
        self.assertIn("read-only", self.fs.messages())
        self.assertTrue(self.fs.status()["store"]["read_only"])

    def test_a_newer_format_is_refused_in_words(self):
        self.fs.unmount()
        path = self.fs.store / "pailfs.store"
        superblock = json.loads(path.read_text())
        superblock["format"] = 99
        path.write_text(json.dumps(superblock))
        for result in (self.try_mount(), self.fs.run(PAIL, "status", "--store", self.fs.store, check=False)):
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("format 99", result.stderr)
            self.assertIn("newer pailfs", result.stderr)

    def test_a_lost_or_damaged_index_is_built_anew(self):
        for number in range(3):
            (self.bucket / "f0").write_bytes(b"version %d" % number)
        self.content["f0"] = b"version 2"
        versions = sorted(os.listdir(self.bucket / ".versions/f0"))
        with open(self.bucket / "f0", "rb") as file:
            os.fsync(file.fileno())
        self.fs.kill()  # the last changes are in the log alone
        for path in (self.fs.store / "index").iterdir():
            path.unlink()
        self.fs.mount()
        self.assert_all_there(versions)
        self.fs.unmount()
        os.truncate(self.fs.store / "index/data.mdb", 0)
        self.fs.mount()
        self.assert_all_there(versions)
        self.fs.unmount()
        with open(self.fs.store / "index/data.mdb", "r+b") as file:
            file.write(b"damaged!" * 2000)
        refused = self.try_mount()
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("pail rebuild-index", refused.stderr)
        report = json.loads(self.fs.pail("rebuild-index", "--key-file", self.fs.key, "--json").stdout)
        self.assertEqual(report["old_index"], str(self.fs.store / "index.old"))
        # What was kept stays what it is when it is done again.
        report = json.loads(self.fs.pail("rebuild-index", "--key-file", self.fs.key, "--json").stdout)
        self.assertEqual(report["old_index"], str(self.fs.store / "index.old.2"))
        self.assertEqual((self.fs.store / "index.old/data.mdb").read_bytes()[:16000], b"damaged!" * 2000)
        self.fs.mount()
        self.assert_all_there(versions)
        in_use = self.fs.pail("rebuild-index", "--key-file", self.fs.key, check=False)
        self.assertEqual(in_use.returncode, 3)
        self.assertIn("unmount it first", in_use.stderr)

    def assert_all_there(self, versions):
        for name, content in self.content.items():
            self.assertEqual((self.bucket / name).read_bytes(), content)
        self.assertEqual(sorted(os.listdir(self.bucket / ".versions/f0")), versions)
        self.fs.pail("check", "--deep")

    def test_an_index_that_is_no_index_is_refused_in_words(self):
        self.fs.unmount()
        data = self.fs.store / "index/data.mdb"
        data.write_bytes(b"\0" * data.stat().st_size)
        result = self.try_mount()
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("index", result.stderr)


if __name__ == "__main__":
    main()
