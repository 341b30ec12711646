#!/usr/bin/env python3
"""pail backup and restore: of a store in use, again and again, cut off, and onto a host that has no key."""

import hashlib
import json
import os
import pathlib
import subprocess
import threading

from mounted_store import PAIL, PAILFS, MountTest, main, wait_until


def digest(path) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def inventory(directory) -> dict:
    """The content of every file below a directory, by name."""
    return {path.relative_to(directory): digest(path) for path in directory.rglob("*") if path.is_file()}


class Writers:
    """Threads that write files, and note each once it is synced: before a moment, all that is noted must be kept."""

    def __init__(self, directory, count=3):
        self.directory = directory
        self.noted = {}
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(count)]

    def write(self, number):
        turn = 0
        while not self.over.is_set():
            content = os.urandom(1000 + turn * 997 % 200_000)
            unfinished = self.directory / ("w%d.new" % number)
            with open(unfinished, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # The first ones stay; later ones replace each other.
            name = "w%d-%d" % (number, turn) if turn < 40 else "w%d-again-%d" % (number, turn % 10)
            os.rename(unfinished, self.directory / name)
            if turn < 40:
                self.noted[name] = hashlib.sha256(content).hexdigest()
            turn += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Backup(MountTest):
    expected_errors = ("lost: bucket/f", "neither copy of the keyring", "index-copy")

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount().bucket()
        self.target = self.fs.directory / "backup"
        self.restored = self.fs.directory / "restored"

    def backup(self, **keywords):
        return json.loads(self.fs.pail("backup", self.target, "--json", **keywords).stdout)

    def restore(self):
        """The restored store takes the place of the one that was backed up."""
        self.fs.run(PAIL, "restore", self.target, self.restored)
        self.fs.store = self.restored
        checked = json.loads(self.fs.pail("check", "--deep", "--key-file", self.fs.key, "--json").stdout)
        self.assertEqual(checked["problem_count"], 0)
        self.fs.mount()

    def test_the_original_and_its_copy_are_both_reached(self):
        self.backup()
        self.fs.run(PAIL, "restore", self.target, self.restored)
        elsewhere = self.fs.directory / "elsewhere"
        elsewhere.mkdir()
        self.addCleanup(self.fs.run, "umount", elsewhere)
        self.fs.run(PAILFS, self.restored, elsewhere, "-o", "key_file=%s" % self.fs.key)
        for store, mountpoint in ((self.fs.store, self.fs.mountpoint), (self.restored, elsewhere)):
            for way in (store, mountpoint):
                status = json.loads(self.fs.run(PAIL, "status", "--store", way, "--json").stdout)
                self.assertEqual(status["daemon"]["store"], str(store))
                self.assertEqual(status["daemon"]["mountpoint"], str(mountpoint))

    def test_of_a_store_in_use(self):
        with Writers(self.bucket) as writers:
            wait_until(lambda: len(writers.noted) >= 90, "there are files")
            noted = dict(writers.noted)
            self.backup()
        self.fs.unmount()
        self.restore()
        for name, wanted in noted.items():
            self.assertEqual(digest(self.bucket / name), wanted, name)
        (self.bucket / "new").write_text("and it takes more")

    def test_again_and_again_copies_what_is_new(self):
        for number in range(20):
            (self.bucket / ("f%d" % number)).write_bytes(os.urandom(1 << 20))
        first = self.backup()
        self.assertGreater(first["copied"], 20 << 20)
        idle = self.backup()
        self.assertLess(idle["copied"], 1 << 20)
        for number in range(3):
            (self.bucket / ("f%d" % number)).write_bytes(os.urandom(100_000))
            (self.bucket / ("f1%d" % number)).unlink()
        (self.bucket / "directory").mkdir()
        os.rename(self.bucket / "f5", self.bucket / "directory/moved")
        self.fs.remount()
        second = self.backup()
        self.assertLess(second["copied"], 8 << 20)
        kept = self.fs.directory / "kept"
        self.fs.run("cp", "-a", self.bucket, kept)
        versions = sorted(os.listdir(self.bucket / ".versions/f0"))
        self.fs.unmount()
        self.restore()
        self.assert_same_tree(kept, self.bucket)
        self.assertEqual(sorted(os.listdir(self.bucket / ".versions/f0")), versions)
        self.assertEqual(len(os.listdir(self.bucket / ".versions/f11")), 2)

    def test_one_that_was_cut_off_is_as_good_as_the_one_before_and_goes_on(self):
        (self.bucket / "early").write_bytes(os.urandom(3 << 20))
        self.backup()
        early = digest(self.bucket / "early")
        for number in range(60):
            (self.bucket / ("large%d" % number)).write_bytes(os.urandom(4 << 20))
        late = digest(self.bucket / "large59")
        running = subprocess.Popen(
            [PAIL, "backup", self.target, "--store", self.fs.store], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        segments = len(list((self.target / "log").iterdir()))
        wait_until(
            lambda: len(list((self.target / "log").iterdir())) > segments or running.poll() is not None, "it copies"
        )
        self.fs.kill()
        running.wait(60)
        store, self.fs.store = self.fs.store, self.restored
        self.fs.run(PAIL, "restore", self.target, self.restored)
        self.fs.mount()
        self.assertEqual(digest(self.bucket / "early"), early)
        self.fs.unmount()
        self.fs.store = store
        self.fs.mount()
        self.backup()
        self.fs.unmount()
        self.fs.run("rm", "-r", self.restored)
        self.restore()
        self.assertEqual((digest(self.bucket / "early"), digest(self.bucket / "large59")), (early, late))

    def test_one_that_was_cut_off_anywhere_leaves_the_one_before(self):
        self.write_in_several_runs()
        (self.fs.mountpoint / "other").mkdir()
        (self.fs.mountpoint / "other/file").write_text("of a bucket that goes")
        self.backup()
        contents = dict(self.contents)
        first = self.fs.directory / "first"
        self.fs.run("cp", "-a", self.target, first)
        for small in range(400):
            (self.bucket / ("s0-%d" % small)).write_text("smaller")
        self.fs.pail("bucket", "delete", "--purge", "--yes", "other")
        self.fs.unmount()
        self.fs.run("rm", "-r", self.fs.store / "index-copy")  # so that it is begun anew
        self.fs.mount()
        self.backup()
        self.assertNotEqual(os.listdir(first / "index-copy"), os.listdir(self.target / "index-copy"))
        # All that the second one wrote is there, and its marker is not.
        for path in first.rglob("*"):
            mixed = self.target / path.relative_to(first)
            if path.is_file() and not mixed.exists():
                self.fs.run("cp", "-a", path, mixed)
        self.fs.run("cp", "-a", first / "pailfs.store", self.target / "pailfs.store")
        (self.target / "log/not-ours").write_text("stays")
        latest = {path.name: digest(path) for path in self.bucket.iterdir()}
        self.contents, store = contents, self.fs.store
        self.assert_restored()
        self.assertEqual((self.fs.mountpoint / "other/file").read_text(), "of a bucket that goes")
        self.fs.unmount()
        self.fs.store = store
        self.fs.mount()
        self.backup()
        self.assertEqual((self.target / "log/not-ours").read_text(), "stays")
        self.assertEqual(len(list(self.target.glob("files.*"))), 1)
        self.contents = latest
        self.assert_restored()

    def test_keys_that_were_damaged_under_the_daemon(self):
        self.write_in_several_runs()
        self.backup()
        for name in ("keyring.0", "keyring.1"):
            (self.fs.store / name).write_bytes(b"damaged")
        self.backup()
        self.assert_restored()

    def test_a_copy_of_the_index_that_went_under_the_daemon(self):
        self.write_in_several_runs()
        self.fs.run("rm", "-r", self.fs.store / "index-copy")
        checked = self.fs.pail("check", "--deep", check=False)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("second copy of the index", checked.stdout)
        self.backup()
        self.assert_restored()

    def test_segments_that_were_rewritten_meanwhile(self):
        self.fs.pail("versioning", "suspend", "bucket")
        contents = {}
        for turn in range(6):
            for number in range(30):
                content = os.urandom(700_000)
                if number % 5 == 0:
                    (self.bucket / ("kept%d-%d" % (turn, number))).write_bytes(content)
                    contents["kept%d-%d" % (turn, number)] = hashlib.sha256(content).hexdigest()
                else:
                    (self.bucket / ("gone%d" % number)).write_bytes(content)
            self.backup()
        for number in range(30):
            if number % 5:
                (self.bucket / ("gone%d" % number)).unlink()
        wait_until(lambda: self.fs.status()["store"]["dead_bytes"] < 16 << 20, "space is reclaimed")
        self.backup()
        names = {path.name for path in (self.fs.store / "log").iterdir()}
        self.assertLessEqual({path.name for path in (self.target / "log").iterdir()}, names)
        self.fs.unmount()
        self.restore()
        for name, wanted in contents.items():
            self.assertEqual(digest(self.bucket / name), wanted)

    def assert_refused(self, words, *command):
        result = self.fs.run(*command, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(words, result.stderr)

    def backup_of_another_store(self):
        second, other = self.fs.directory / "second", self.fs.directory / "other"
        self.fs.run(PAIL, "init", second, "--key-file", self.fs.key)
        self.fs.run(PAIL, "backup", other, "--store", second, "--key-file", self.fs.key)
        return other

    def test_a_restore_leaves_every_backup_as_it_is(self):
        (self.bucket / "file").write_text("content")
        self.backup()
        other = self.backup_of_another_store()
        same = self.fs.directory / "same"
        self.fs.run("cp", "-a", self.target, same)
        wanted = {place: inventory(place) for place in (self.target, other, same)}
        for place in (other, same):
            self.assert_refused("holds a backup of the store", PAIL, "restore", self.target, place)
        for place in (self.target, self.target / "store", self.target.parent):
            self.assert_refused("cannot lie in each other", PAIL, "restore", self.target, place)
        for place, before in wanted.items():
            self.assertEqual(inventory(place), before)

    def test_a_restore_goes_on_where_one_of_the_same_store_was_cut_off(self):
        (self.bucket / "file").write_text("content")
        self.backup()
        other = self.backup_of_another_store()
        # What a restore leaves that is killed before its last step.
        self.fs.run("cp", "-a", self.target, self.restored)
        marker = json.loads((self.restored / "pailfs.store").read_text())
        (self.restored / "pailfs.store").write_text(json.dumps(marker | {"taken": 0}))
        self.assert_refused("holds an unfinished backup", PAIL, "restore", other, self.restored)
        self.fs.unmount()
        self.restore()
        self.assertEqual((self.bucket / "file").read_text(), "content")

    def offline(self, store, *arguments) -> list:
        return [PAIL, "backup", self.target, "--store", store, "--key-file", self.fs.key, *arguments]

    def write_in_several_runs(self):
        """Content in several segments, and journals of the index copy: each run begins its own."""
        for number in range(4):
            (self.bucket / ("f%d" % number)).write_bytes(os.urandom(2 << 20))
            for small in range(200):
                (self.bucket / ("s%d-%d" % (number, small))).write_text("small")
            self.fs.remount()
        self.contents = {path.name: digest(path) for path in self.bucket.iterdir()}

    def assert_restored(self):
        self.fs.unmount()
        self.fs.run("rm", "-rf", self.restored)
        self.restore()
        for name, wanted in self.contents.items():
            self.assertEqual(digest(self.bucket / name), wanted, name)

    def test_a_damaged_store_leaves_the_backup_as_it_is(self):
        self.write_in_several_runs()
        self.backup()
        self.fs.unmount()
        before = inventory(self.target)
        segments = sorted((self.fs.store / "log").iterdir(), key=lambda path: path.stat().st_size)
        segment = segments[-2]
        content = segment.read_bytes()
        # Truncated, emptied, with a header of zeros, and missing.
        for damaged in (content[: len(content) // 2], b"", bytes(4096) + content[4096:], None):
            segment.unlink()
            if damaged is not None:
                segment.write_bytes(damaged)
            advice = "'cp -a %s %s'" % (self.target / "log" / segment.name, segment)
            self.assert_refused(advice, *self.offline(self.fs.store))
            self.assertEqual(inventory(self.target), before)
        elsewhere = self.fs.directory / "elsewhere"
        self.assert_refused("other backups", PAIL, "backup", elsewhere, "--store", self.fs.store, "--key-file", self.fs.key)
        self.assertFalse(elsewhere.exists())
        # As the message says.
        self.fs.run("cp", "-a", self.target / "log" / segment.name, segment)
        self.fs.run(*self.offline(self.fs.store))
        self.fs.mount()
        self.assert_restored()

    def test_a_segment_goes_from_the_backup_only_while_nothing_is_lost(self):
        self.write_in_several_runs()
        self.backup()
        self.fs.unmount()
        segments = sorted((self.fs.store / "log").iterdir())
        segments[0].unlink()  # of the run that made the bucket: commits alone, which the index has
        largest = max(segments[1:], key=lambda path: path.stat().st_size)
        with open(largest, "r+b") as file:
            file.seek(1 << 20)
            file.write(b"damage")
        self.fs.mount()
        self.fs.pail("scrub", "--now")
        # The command ends with 1 as soon as something is lost.
        wait_until(lambda: self.fs.pail("scrub", check=False).returncode == 1, "it is found")
        # In the same place in both: the backup keeps what it has there.
        self.backup()
        self.assert_restored()

    def test_an_older_copy_of_the_store_leaves_a_newer_backup_as_it_is(self):
        (self.bucket / "file").write_text("old")
        self.fs.unmount()
        older = self.fs.directory / "older"
        self.fs.run("cp", "-a", self.fs.store, older)
        self.fs.mount()
        (self.bucket / "file").write_text("new")
        taken = self.backup()
        self.fs.unmount()
        before = inventory(self.target)
        self.assert_refused("as of change %d, taken" % taken["sequence"], *self.offline(older))
        self.assertEqual(inventory(self.target), before)
        # Its number of changes alone does not tell.
        newer, self.fs.store = self.fs.store, older
        self.fs.mount()
        for number in range(50):
            (self.bucket / ("f%d" % number)).write_text("of another history")
        self.fs.unmount()
        self.assert_refused("their histories part", *self.offline(older))
        self.fs.run(*self.offline(newer))
        self.fs.run(*self.offline(older, "--replace"))
        self.restore()
        self.assertEqual((self.bucket / "file").read_text(), "old")
        self.assertEqual((self.bucket / "f49").read_text(), "of another history")

    def test_where_the_backup_has_a_marker_of_an_older_build(self):
        (self.bucket / "file").write_text("old")
        self.fs.unmount()
        older = self.fs.directory / "older"
        self.fs.run("cp", "-a", self.fs.store, older)
        self.fs.mount()
        (self.bucket / "file").write_bytes(os.urandom(1 << 20))
        self.backup()
        self.fs.unmount()
        marker = json.loads((self.target / "pailfs.store").read_text())
        for name in ("id", "sequence", "last_segment", "last_offset", "listed"):
            del marker[name]
        (self.target / "pailfs.store").write_text(json.dumps(marker))
        newer, self.fs.store = self.fs.store, older
        self.fs.mount()
        (self.bucket / "file").write_bytes(os.urandom(1 << 20))
        self.assert_refused("their histories part before segment", PAIL, "backup", self.target, "--store", older)
        self.fs.unmount()
        self.fs.run(*self.offline(newer))
        self.assertGreater(json.loads((self.target / "pailfs.store").read_text())["sequence"], 0)

    def test_a_restored_store_goes_on_with_its_backup(self):
        (self.bucket / "file").write_text("old")
        self.backup()
        self.fs.unmount()
        original = self.fs.store
        self.restore()
        (self.bucket / "file").write_text("new")
        self.backup()
        self.fs.unmount()
        self.assert_refused("that this store does not have", *self.offline(original))
        self.fs.run("rm", "-r", original)
        self.restored = original
        self.restore()
        self.assertEqual((self.bucket / "file").read_text(), "new")

    def test_a_damaged_copy_of_the_index_is_written_anew(self):
        self.write_in_several_runs()
        self.fs.unmount()
        journal = sorted((self.fs.store / "index-copy").iterdir())[2]
        with open(journal, "r+b") as file:
            file.seek(2000)
            file.write(b"damage")
        self.fs.mount()
        self.backup()
        self.assert_restored()

    def test_a_damaged_copy_of_the_index_in_the_backup_is_copied_anew(self):
        self.write_in_several_runs()
        self.backup()
        journal = max((self.target / "index-copy").iterdir(), key=lambda path: path.stat().st_size)
        self.assertGreater(journal.stat().st_size, 10_000)
        with open(journal, "r+b") as file:
            file.seek(8000)
            file.write(b"damage")
        self.backup()
        self.assert_restored()

    def test_what_makes_no_sense_is_refused_and_changes_nothing(self):
        (self.bucket / "file").write_text("content")
        backup = [PAIL, "backup", "--store", self.fs.store]
        other = self.fs.directory / "other"
        other.mkdir()
        (other / "something").write_text("of somebody's")
        self.assert_refused("is not empty", *backup, other)
        self.assertEqual(os.listdir(other), ["something"])
        self.assert_refused("cannot lie in each other", *backup, self.fs.store / "backup")
        self.assert_refused("in the store itself", *backup, self.bucket / "backup")
        self.assert_refused("no backup", PAIL, "restore", other, self.restored)
        self.backup()
        elsewhere = self.fs.directory / "elsewhere"
        elsewhere.mkdir()
        self.assert_refused("pail restore", PAILFS, self.target, elsewhere, "-o", "key_file=%s" % self.fs.key)
        self.assert_refused("is not empty", PAIL, "restore", self.target, other)
        second = self.fs.directory / "second"
        self.fs.run(PAIL, "init", second, "--key-file", self.fs.key)
        self.assert_refused(
            "another store", PAIL, "backup", self.target, "--store", second, "--key-file", self.fs.key
        )
        self.fs.unmount()
        self.restore()
        self.assertEqual((self.bucket / "file").read_text(), "content")


if __name__ == "__main__":
    main()
