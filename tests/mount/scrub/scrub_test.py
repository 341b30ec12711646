#!/usr/bin/env python3
"""Damage that nobody reads: the daemon finds it by itself, and says so in its status."""

import json
import os

from mounted_store import NOBODY, PAIL, MountTest, main, wait_until

MIB = 1 << 20


class Scrub(MountTest):
    expected_errors = ("lost: ",)

    def scrub(self):
        return self.fs.status()["store"]["scrub"]

    def wait_for_pass(self, after=None):
        wait_until(lambda: self.scrub().get("completed", after) != after and not self.scrub()["running"], "a pass is complete")
        return self.scrub()

    def run_pass(self):
        after = self.scrub().get("completed")
        self.fs.pail("scrub", "--now", check=False)
        return self.wait_for_pass(after)

    def damage_newest_segment(self, before):
        """Turns one bit in what was written since `before` (segment -> bytes in use)."""
        for segment in (self.fs.store / "log").iterdir():
            size = len(segment.read_bytes().rstrip(b"\0"))
            begin = before.get(segment, 4096)
            if size - begin > 200_000:
                with open(segment, "r+b") as file:
                    file.seek(begin + 100_000)
                    byte = file.read(1)[0]
                    file.seek(begin + 100_000)
                    file.write(bytes([byte ^ 0x40]))
                return segment
        raise AssertionError("no segment has what was written")

    def write_and_sync(self, path, size):
        with open(path, "wb") as file:
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())

    def in_use(self):
        return {path: len(path.read_bytes().rstrip(b"\0")) for path in (self.fs.store / "log").iterdir()}

    def test_a_flipped_bit_is_told_without_anybody_reading_the_file(self):
        bucket = self.fs.mount("scrub=64M,allow_other").bucket()
        first = self.wait_for_pass()
        self.assertEqual((first["lost_count"], first["lost"]), (0, []))
        self.write_and_sync(bucket / "sound", 300_000)
        before = self.in_use()
        self.write_and_sync(bucket / "victim", 500_000)
        self.damage_newest_segment(before)
        found = self.run_pass()
        self.assertEqual(found["lost_count"], 1)
        lost = found["lost"][0]
        self.assertEqual(lost["paths"], ["bucket/victim"])
        self.assertTrue(lost["current"])
        self.assertIn(lost["version"], os.listdir(bucket / ".versions/victim"))
        self.assertEqual(lost["bytes"], 4096)
        self.assertIn("does not verify", lost["why"])
        self.assertIn("lost: bucket/victim, version %s" % lost["version"], self.fs.messages())
        self.assertNotIn("READ", self.fs.status()["daemon"]["requests"])

        told = self.fs.pail("scrub", check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("bucket/victim, current version %s, 4.0 KiB" % lost["version"], told.stdout)
        self.assertIn("bucket/victim", self.fs.pail("status").stdout)
        self.assert_names_are_hidden()

        self.fs.remount("scrub=off,allow_other")
        self.assertEqual(self.scrub()["lost"], [lost])
        self.assertFalse(self.scrub()["automatic"])
        # Gone with its versions: no loss any more.
        os.unlink(bucket / "victim")
        self.assertEqual(self.scrub()["lost"][0]["paths"], ["bucket/victim (deleted)"])
        self.fs.pail("versions", "prune", "bucket", "--keep", "0", "--yes")
        self.assertEqual(self.scrub()["lost_count"], 0)
        self.assertEqual(self.fs.pail("scrub").returncode, 0)

    def assert_names_are_hidden(self):
        def as_nobody(*words):
            return self.fs.run(
                PAIL, *words, "--store", self.fs.mountpoint, check=False, user=NOBODY, group=NOBODY, extra_groups=[]
            )

        scrub = json.loads(as_nobody("status", "--json").stdout)["store"]["scrub"]
        self.assertEqual(scrub["lost_count"], 1)
        self.assertNotIn("lost", scrub)
        told = as_nobody("scrub")
        self.assertEqual(told.returncode, 1)
        self.assertNotIn("victim", told.stdout)
        self.assertEqual(as_nobody("scrub", "--now").returncode, 3)

    def test_a_pass_goes_on_after_a_restart_and_gives_the_mount_its_turn(self):
        bucket = self.fs.mount("scrub=1M").bucket()
        self.wait_for_pass()
        for number in range(6):
            (bucket / ("f%d" % number)).write_bytes(os.urandom(MIB))
        self.fs.pail("scrub", "--now")
        wait_until(lambda: self.scrub()["verified_bytes"] > 2 * MIB, "some of it is read")
        begun = self.scrub()["begun"]
        self.fs.remount("scrub=256M")
        wait_until(lambda: not self.scrub()["running"], "the pass is complete")
        done = self.scrub()
        self.assertGreaterEqual(done["completed"], begun)
        # All of it once: what was read before the restart was not read again.
        self.assertGreater(done["completed_bytes"], 6 * MIB)
        self.assertLess(done["completed_bytes"], 8 * MIB)

    def test_without_a_daemon_it_says_what_to_do(self):
        refused = self.fs.pail("scrub", "--now", "--key-file", self.fs.key, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("pail check --deep", refused.stderr)
        self.fs.mount("ro")
        refused = self.fs.pail("scrub", "--now", check=False)
        self.assertIn("read-only", refused.stderr)


if __name__ == "__main__":
    main()
