#!/usr/bin/env python3
"""restic and borg: the tree that is saved, the repository and what is restored, all three on the mount."""

import json
import os

from mounted_store import MountTest, main, wait_until
from rich_trees import differences, inventory, make_rich_tree

PASSPHRASE = "of a test"


class RepositoryTest(MountTest):
    options = "allow_other,suid,dev"
    far_times = True

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.options).bucket()
        self.source = self.bucket / "source"
        make_rich_tree(self.source, far_times=self.far_times)
        self.repository = self.bucket / "repository"
        self.home = self.fs.directory / "home"
        self.home.mkdir()
        (self.home / "passphrase").write_text(PASSPHRASE)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8"}

    def call(self, *command, **keywords):
        return self.fs.run(*command, env=self.environment, **keywords)

    def remount(self):
        self.fs.remount(self.options)

    def change(self):
        deeper = self.source / "deep/er/and/deeper"
        with open(deeper / "file7", "ab") as file:
            file.write(b"more")
        (deeper / "file8").unlink()
        (self.source / "names/one more").write_text("new")

    def assert_tree(self, expected, top):
        lines = list(differences(expected, inventory(top)))
        self.assertEqual(lines, [], "\n".join(lines))


class Restic(RepositoryTest):
    def setUp(self):
        super().setUp()
        self.environment.update(
            RESTIC_REPOSITORY=str(self.repository),
            RESTIC_PASSWORD_FILE=str(self.home / "passphrase"),
            RESTIC_CACHE_DIR=str(self.home / "cache"),
        )

    def back_up(self):
        """(new, changed, unmodified) files, and how many new pieces of content."""
        lines = self.call("restic", "backup", "--json", "--host", "test", self.source).stdout.splitlines()
        summary = next(line for line in map(json.loads, lines) if line["message_type"] == "summary")
        return tuple(summary[name] for name in ("files_new", "files_changed", "files_unmodified")), summary["data_blobs"]

    def test_backup_prune_check_and_restore(self):
        self.call("restic", "init")
        first = inventory(self.source)
        (files, changed, unmodified), _ = self.back_up()
        self.assertEqual((changed, unmodified), (0, 0))
        self.remount()
        # Restic goes by size, times and inode number.
        self.assertEqual(self.back_up(), ((0, 0, files), 0))
        self.change()
        second = inventory(self.source)
        self.remount()
        self.assertEqual(self.back_up(), ((1, 1, files - 2), 2))
        self.restore(first, json.loads(self.call("restic", "snapshots", "--json").stdout)[0]["id"])
        self.call("restic", "forget", "--keep-last", "1", "--prune", "--max-unused", "0")
        self.remount()
        self.call("restic", "check", "--read-data")
        self.assertEqual(len(json.loads(self.call("restic", "snapshots", "--json").stdout)), 1)
        self.restore(second, "latest")
        self.assert_sound_store()

    def restore(self, expected, snapshot):
        target = self.bucket / ("restored-" + snapshot)
        self.call("restic", "restore", snapshot, "--target", target)
        self.assert_tree(expected, target / self.source.relative_to("/"))


class Borg(RepositoryTest):
    far_times = False  # it keeps those from 1970 to 2038

    def setUp(self):
        super().setUp()
        self.environment.update(BORG_REPO=str(self.repository), BORG_PASSPHRASE=PASSPHRASE, BORG_BASE_DIR=str(self.home))

    def back_up(self, name):
        """The names of the files that were read, as they are new or changed; and the size of what was new in them."""
        options = ("--json", "--log-json", "--list", "--filter=AMCE", "--numeric-ids")
        answer = self.call("borg", "create", *options, "::" + name, ".", cwd=self.source)
        files = {line["path"] for line in map(json.loads, answer.stderr.splitlines()) if line["type"] == "file_status"}
        return files, json.loads(answer.stdout)["archive"]["stats"]["deduplicated_size"]

    def test_create_prune_check_and_extract(self):
        self.call("borg", "init", "--encryption=repokey-blake2")
        self.make_last()
        first = inventory(self.source)
        files, size = self.back_up("first")
        self.assertIn("sizes/300001", files)
        self.assertGreater(size, 300_000)
        self.remount()
        # Borg goes by size, change time and inode number.
        files, size = self.back_up("second")
        self.assertLessEqual(files, {"last"})
        self.assertLess(size, 100_000)
        self.change()
        second = inventory(self.source)
        self.remount()
        files, _ = self.back_up("third")
        changed = {"deep/er/and/deeper/file7", "names/one more"}
        self.assertLessEqual(changed, files)
        self.assertLessEqual(files, changed | {"last"})
        self.extract(first, "first")
        self.call("borg", "prune", "--keep-last", "1")
        self.call("borg", "compact")
        self.remount()
        self.call("borg", "check", "--verify-data")
        self.assertEqual([line.split()[0] for line in self.call("borg", "list").stdout.splitlines()], ["third"])
        self.extract(second, "third")
        self.assert_sound_store()

    def make_last(self):
        """A file that was changed later than all others: borg never remembers what was changed last."""
        last = self.source / "last"
        newest = max(path.lstat().st_ctime_ns for path in self.source.rglob("*"))

        def later():
            last.touch()
            return last.stat().st_ctime_ns > newest

        wait_until(later, "the clock of the kernel has moved on")

    def extract(self, expected, name):
        target = self.bucket / ("extracted-" + name)
        target.mkdir()
        self.call("borg", "extract", "--numeric-ids", "--sparse", "::" + name, cwd=target)
        os.utime(target, ns=(0, expected["."]["mtime"]))  # which borg leaves alone
        self.assert_tree(expected, target)


if __name__ == "__main__":
    main()
