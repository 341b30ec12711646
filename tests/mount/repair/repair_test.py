#!/usr/bin/env python3
"""`pail check` and `pail repair` as who runs a damaged store meets them: real segment files, damaged by the test."""

import json
import os
import shutil
import subprocess

from mounted_store import PAIL, PAILFS, MountTest, main


class Repair(MountTest):
    expected_errors = ("",)

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount().bucket()
        self.content = {"f%d" % number: os.urandom(30_000) for number in range(40)}
        for name, content in self.content.items():
            (self.bucket / name).write_bytes(content)
        self.fs.unmount()

    def segment(self):
        """The one that holds the files."""
        return max((self.fs.store / "log").iterdir(), key=lambda path: path.stat().st_blocks)

    def damage(self, path, offset, length=64):
        with open(path, "r+b") as file:
            file.seek(offset)
            old = file.read(length)
            file.seek(offset)
            file.write(bytes(byte ^ 0xFF for byte in old))

    def offline(self, *words):
        return self.fs.pail(*words, "--key-file", self.fs.key, check=False)

    def tree(self):
        """What is in the store's log and index, byte for byte."""
        out = {}
        for part in ("log", "index-copy"):
            for path in sorted((self.fs.store / part).iterdir()):
                out[path.name] = path.read_bytes()
        return out

    def read_all(self):
        """The names of files that cannot be read whole; all others are what they were."""
        bad = set()
        for name, content in self.content.items():
            try:
                self.assertEqual((self.bucket / name).read_bytes(), content)
            except OSError as error:
                self.assertEqual(error.errno, 5)
                bad.add(name)
        return bad

    def test_a_sound_store_needs_none(self):
        sound = self.offline("repair")
        self.assertEqual(sound.returncode, 0, sound.stderr)
        self.assertIn("nothing to do", sound.stdout)

    def test_damaged_content_is_named_marked_and_stays_an_error(self):
        segment = self.segment()
        self.damage(segment, segment.stat().st_size // 3)
        check = self.offline("check", "--deep", "--json")
        self.assertEqual(check.returncode, 1)
        problems = [one for one in json.loads(check.stdout)["problems"] if "path" in one]
        self.assertTrue(problems)
        for problem in problems:
            self.assertEqual(problem["kind"], "content")
            self.assertRegex(problem["path"], r"^bucket/f\d+$")
            self.assertRegex(problem["version"], r"^\d{8}T\d{6}\.\d{9}Z-")
        named = {problem["path"].split("/")[1] for problem in problems}

        before = self.tree()
        plan = self.offline("repair", "--dry-run")
        self.assertEqual(plan.returncode, 1, plan.stderr)
        self.assertIn("marked as lost", plan.stdout)
        self.assertIn("Nothing was changed", plan.stdout)
        refused = self.offline("repair")  # no terminal to ask on
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--yes", refused.stderr)
        self.assertEqual(self.tree(), before)

        done = self.offline("repair", "--yes", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertTrue(report["repaired"])
        self.assertGreater(report["lost_bytes"], 0)
        self.assertEqual({fix["path"].split("/")[1] for fix in report["fixes"] if "path" in fix}, named)
        after = self.offline("check", "--deep")
        self.assertEqual(after.returncode, 0, after.stdout)
        self.assertIn("marked as lost", after.stdout)
        self.assertIn("nothing to do", self.offline("repair").stdout)
        self.fs.mount()
        self.assertEqual(self.read_all(), named)

    def test_a_log_that_is_damaged_takes_changes_again(self):
        self.fs.mount()
        (self.bucket / "later").write_bytes(b"later")
        with open(self.bucket / "later", "rb") as file:
            os.fsync(file.fileno())
        (self.bucket / "last").write_bytes(b"last")
        with open(self.bucket / "last", "rb") as file:
            os.fsync(file.fileno())
        self.fs.kill()
        newest = max((self.fs.store / "log").iterdir())
        self.damage(newest, 4096, 8)  # the first record behind the segment's header
        self.fs.mount()
        self.assertTrue(self.fs.status()["store"]["read_only"])
        mounted = self.offline("repair", "--yes")
        self.assertEqual(mounted.returncode, 3)
        self.assertIn("unmount it first", mounted.stderr)
        self.fs.kill()
        done = self.offline("repair", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.offline("check", "--deep").returncode, 0)
        self.fs.mount()
        self.assertFalse(self.fs.status()["store"]["read_only"])
        self.assertEqual(self.read_all(), set())
        (self.bucket / "new").write_bytes(b"new")
        self.fs.remount()
        self.assertEqual((self.bucket / "new").read_bytes(), b"new")

    def test_a_missing_segment_costs_what_lay_in_it(self):
        self.segment().unlink()
        self.assertEqual(self.offline("check").returncode, 1)
        done = self.offline("repair", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        after = self.offline("check", "--deep")
        self.assertEqual(after.returncode, 0, after.stdout)
        self.fs.mount()
        self.assertTrue(self.read_all())
        (self.bucket / "f0").write_bytes(b"anew")
        self.assertEqual((self.bucket / "f0").read_bytes(), b"anew")

    def test_a_damaged_index_is_built_anew_and_nothing_is_lost(self):
        with open(self.fs.store / "index/data.mdb", "r+b") as file:
            file.write(b"damaged!" * 2000)
        plan = self.offline("repair", "--dry-run")
        self.assertEqual(plan.returncode, 1, plan.stderr)
        self.assertIn("built anew from its copy", plan.stdout)
        done = self.offline("repair", "--yes", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["index_rebuilt"])
        self.assertEqual(self.offline("check", "--deep").returncode, 0)
        self.fs.mount()
        self.assertEqual(self.read_all(), set())

    def test_a_history_that_is_gone_is_refused_and_nothing_is_given_back(self):
        for number in range(5):
            self.fs.mount()
            (self.bucket / ("later%d" % number)).write_bytes(b"later")
            self.fs.unmount()
        shutil.rmtree(self.fs.store / "index-copy")
        (self.fs.store / "index/data.mdb").unlink()
        segments = sorted((self.fs.store / "log").iterdir())
        self.assertGreater(len(segments), 3)

        def refused():
            before = {path: path.read_bytes() for path in (self.fs.store / "log").iterdir()}
            for words in (("repair", "--yes"), ("repair", "--yes"), ("check",)):
                result = self.offline(*words)
                self.assertGreaterEqual(result.returncode, 1, words)
                self.assertIn("restore a backup", result.stderr, words)
                self.assertIn("the index is missing or empty", result.stderr, words)
            mount = self.fs.run(PAILFS, self.fs.store, self.fs.mountpoint, "-o", "key_file=%s" % self.fs.key, check=False)
            self.assertNotEqual(mount.returncode, 0)
            self.assertIn("index-copy", mount.stderr)
            self.assertEqual({path: path.read_bytes() for path in (self.fs.store / "log").iterdir()}, before)

        for segment in segments[:3]:
            segment.unlink()
        refused()
        for segment in segments[3:]:
            segment.unlink()
        refused()

    def test_an_older_index_loses_nothing_where_the_copy_is_there(self):
        shutil.copytree(self.fs.store / "index", self.fs.directory / "old")
        for number in range(3):
            self.fs.mount()
            for name in self.content:
                self.content[name] = os.urandom(30_000)
                (self.bucket / name).write_bytes(self.content[name])
            self.fs.pail("versions", "prune", "bucket", "--keep", "0", "--yes")
            self.fs.unmount()
        shutil.rmtree(self.fs.store / "index")
        shutil.move(self.fs.directory / "old", self.fs.store / "index")
        for segment in sorted((self.fs.store / "log").iterdir())[:-2]:  # the frames that the old index goes on with
            segment.unlink()
        done = self.offline("repair", "--yes", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["index_rebuilt"], done.stdout)

    def test_an_older_keyring_is_told_of_and_a_bucket_without_keys_leaves_nothing(self):
        for name in ("keyring.0", "keyring.1"):
            shutil.copy(self.fs.store / name, self.fs.directory / name)
        self.fs.mount()
        later = self.fs.bucket("later")
        for number in range(5):
            (later / ("f%d" % number)).write_bytes(os.urandom(20_000))
            (later / ("f%d" % number)).write_bytes(b"second")
        os.setxattr(later / "f1", "user.a", b"b")
        (later / "f1").rename(later / "renamed")
        (later / "f2").unlink()
        self.fs.unmount()
        newer = {name: (self.fs.store / name).read_bytes() for name in ("keyring.0", "keyring.1")}
        for name in newer:
            shutil.copy(self.fs.directory / name, self.fs.store / name)
        self.fs.mount()
        self.assertIn("bucket later has no keys", self.fs.messages())
        self.assertIn("Put the newer keyring.0 and keyring.1 back", self.fs.messages())
        self.fs.unmount()
        plan = self.offline("repair", "--dry-run")
        self.assertIn("Put the newer keyring.0 and keyring.1 back", plan.stdout)
        self.assertIn("5 files", plan.stdout)
        for name, content in newer.items():
            (self.fs.store / name).write_bytes(content)
        self.assertEqual(self.offline("check", "--deep").returncode, 0)

        for name in newer:
            shutil.copy(self.fs.directory / name, self.fs.store / name)
        done = self.offline("repair", "--yes", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(json.loads(done.stdout)["lost_names"], 5)
        after = self.offline("check", "--deep")
        self.assertEqual(after.returncode, 0, after.stdout)
        self.assertIn("nothing to do", self.offline("repair").stdout)
        self.fs.mount()
        self.assertEqual(self.read_all(), set())
        self.assertEqual(os.listdir(self.fs.mountpoint), ["bucket"])

    def test_lost_second_copies_are_told_of_and_made_anew(self):
        (self.fs.store / "keyring.1").unlink()
        shutil.rmtree(self.fs.store / "index-copy")
        check = self.offline("check")
        self.assertEqual(check.returncode, 1, check.stdout)
        self.assertIn("copies of the keyring", check.stdout)
        self.assertIn("index-copy", check.stdout)
        done = self.offline("repair", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("copies of the keyring", done.stdout)
        self.assertTrue((self.fs.store / "keyring.1").exists())
        self.assertTrue(list((self.fs.store / "index-copy").iterdir()))
        after = self.offline("check", "--deep")
        self.assertEqual(after.returncode, 0, after.stdout)
        self.assertIn("nothing to do", self.offline("repair").stdout)

    def test_who_asks_on_a_terminal_may_say_no(self):
        segment = self.segment()
        self.damage(segment, segment.stat().st_size // 3)
        before = self.tree()
        command = "%s repair --store %s --key-file %s" % (PAIL, self.fs.store, self.fs.key)
        for answer, status in (("no", 2), ("yes", 0)):
            result = subprocess.run(
                ["script", "-qec", command, "/dev/null"], input=answer + "\n", capture_output=True, text=True, timeout=120
            )
            self.assertEqual(result.returncode, status, result.stdout)
            self.assertIn("Type yes", result.stdout)
            if status == 2:
                self.assertEqual(self.tree(), before)
        self.assertEqual(self.offline("check", "--deep").returncode, 0)


if __name__ == "__main__":
    main()
