#!/usr/bin/env python3
"""Programs that copy what has changed: they find it by times, inode numbers and hard links, also after a remount."""

import os
import pathlib
import re
import tarfile

from mounted_store import MountTest, main, wait_until
from rich_trees import HOLE, differences, inventory, make_rich_tree, make_socket

# Without --modify-window=-1, rsync takes two times of the same second for one.
COPY = ("rsync", "-aHAXS", "--numeric-ids", "--itemize-changes", "--delete", "--modify-window=-1")
TAR_ATTRIBUTES = ("--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner")


class BackupTest(MountTest):
    options = "allow_other,suid,dev"

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.options).bucket()
        self.source = self.bucket / "source"
        make_rich_tree(self.source)
        self.scratch = self.fs.directory / "scratch"
        self.scratch.mkdir()

    def remount(self):
        self.fs.remount(self.options)

    def change_contents(self):
        """Appends to file7, removes file8 and a directory, renames file9, makes one more file and a link of an old one."""
        deeper = self.source / "deep/er/and/deeper"
        with open(deeper / "file7", "ab") as file:
            file.write(b"more")
        (deeper / "file8").unlink()
        (self.source / "empty").rmdir()
        (deeper / "file9").rename(deeper / "renamed")
        (self.source / "names/one more").write_text("new")
        os.link(self.source / "links/first", self.source / "links/fourth")

    CHANGED_CONTENTS = {"deep/er/and/deeper/file7", "deep/er/and/deeper/renamed", "names/one more"}

    def change_attributes(self):
        (self.source / "sizes/65536").chmod(0o640)
        os.setxattr(self.source / "rights/0755", "user.more", b"value")
        self.fs.run("setfacl", "-m", "u:1:r", self.source / "rights/0644")

    CHANGED_ATTRIBUTES = {"sizes/65536", "rights/0755", "rights/0644"}

    def assert_tree(self, expected, top, without=()):
        """`expected` is an inventory."""
        lines = list(differences(expected, inventory(top, without)))
        self.assertEqual(lines, [], "\n".join(lines))

    def inodes(self, top):
        """name -> inode number, of everything but directories."""
        found = {}
        for directory, directories, files in os.walk(os.fsencode(top)):
            for name in files + [name for name in directories if os.path.islink(os.path.join(directory, name))]:
                path = os.path.join(directory, name)
                found[os.fsdecode(os.path.relpath(path, os.fsencode(top)))] = os.lstat(path).st_ino
        return found


class Rsync(BackupTest):
    def copy(self, target, *options):
        """(what the itemised list says) -> names; directories left out."""
        answer = self.fs.run(*COPY, *options, "%s/" % self.source, "%s/" % target, errors="surrogateescape")
        found = {}
        for line in answer.stdout.splitlines():
            what, name = re.match(r"(\S+) +(.*)", line).groups()
            if what == "*deleting" or what[1] != "d":
                found.setdefault("transferred" if what.startswith(">f") else what[:2], set()).add(name.split(" => ")[0])
        return found

    def test_a_second_run_copies_just_what_has_changed(self):
        copy = self.bucket / "copy"
        make_socket(self.source / "special/socket")
        self.copy(copy)
        self.assert_tree(inventory(self.source), copy)
        self.assertLess(os.stat(copy / "sizes/sparse").st_blocks * 512, HOLE // 8)
        self.remount()
        self.assert_tree(inventory(self.source), copy)
        self.assertEqual(self.copy(copy), {})
        self.assertEqual(self.copy(copy, "--checksum"), {})
        self.change_contents()
        self.change_attributes()
        self.remount()
        self.assertEqual(
            self.copy(copy),
            {
                "transferred": self.CHANGED_CONTENTS,
                ".f": self.CHANGED_ATTRIBUTES,
                "hf": {"links/fourth"},
                "*d": {"empty/", "deep/er/and/deeper/file8", "deep/er/and/deeper/file9"},
            },
        )
        self.assert_tree(inventory(self.source), copy)
        self.remount()
        self.assertEqual(self.copy(copy, "--checksum", "--dry-run"), {})
        self.assert_sound_store()

    def test_in_place_and_partial_copies(self):
        copy = self.scratch / "copy"
        self.copy(copy, "--inplace", "--no-whole-file")
        with open(self.source / "sizes/300001", "r+b") as file:
            file.seek(150_000)
            file.write(b"changed in the middle")
        os.truncate(self.source / "sizes/65536", 1000)
        self.assertEqual(self.copy(copy, "--inplace", "--no-whole-file")["transferred"], {"sizes/300001", "sizes/65536"})
        # And back, over what is on the mount.
        wanted = inventory(copy)
        (self.source / "sizes/300001").write_bytes(b"lost")
        (self.source / "links/second").unlink()
        self.fs.run(*COPY, "--inplace", "--no-whole-file", "%s/" % copy, "%s/" % self.source)
        self.remount()
        self.assert_tree(wanted, self.source)
        self.assert_sound_store()

    def test_link_dest_shares_what_has_not_changed(self):
        days = [self.bucket / "backups" / day for day in ("monday", "tuesday", "wednesday")]
        days[0].parent.mkdir()
        first = inventory(self.source, without=("links",))
        self.copy(days[0])
        inodes = self.inodes(days[0])
        self.remount()
        self.assertEqual(self.inodes(days[0]), inodes)
        self.copy(days[1], "--link-dest=../monday")
        self.assertEqual(self.inodes(days[1]), inodes)
        self.assertEqual(os.stat(days[1] / "links/first").st_nlink, 6)
        self.change_contents()
        self.change_attributes()
        second = inventory(self.source, without=("links",))
        self.remount()
        self.copy(days[2], "--link-dest=../tuesday")
        after = self.inodes(days[2])
        self.assertEqual(
            {name for name in after if after[name] != inodes.get(name)},
            self.CHANGED_CONTENTS | self.CHANGED_ATTRIBUTES | {"links/fourth"},
        )
        self.assertEqual(after["links/fourth"], inodes["links/first"])
        self.fs.run("rm", "-r", days[0])
        self.remount()
        self.assertEqual(os.stat(days[2] / "links/first").st_nlink, 7)
        self.assert_tree(first, days[1], without=("links",))
        self.assert_tree(second, days[2], without=("links",))
        self.assert_sound_store()


class Rsnapshot(BackupTest):
    def rotate(self, link_dest):
        settings = [
            ("config_version", "1.2"),
            ("snapshot_root", "%s/snapshots-%d/" % (self.bucket, link_dest)),
            ("cmd_cp", "/bin/cp"),
            ("cmd_rm", "/bin/rm"),
            ("cmd_rsync", "/usr/bin/rsync"),
            ("logfile", self.scratch / "rsnapshot.log"),
            ("lockfile", self.scratch / "rsnapshot.pid"),
            ("retain", "alpha", 3),
            ("verbose", 2),
            ("link_dest", link_dest),
            ("rsync_short_args", "-aHAXS"),
            ("rsync_long_args", "--delete --numeric-ids --modify-window=-1"),
            ("backup", "%s/" % self.source, "tree/"),
        ]
        path = self.scratch / "rsnapshot.conf"
        path.write_text("".join("\t".join(map(str, setting)) + "\n" for setting in settings))
        answer = self.fs.run("rsnapshot", "-c", path, "alpha")
        self.assertEqual(answer.stdout + answer.stderr, "")

    def check_rotation(self, link_dest):
        snapshots = [self.bucket / ("snapshots-%d/alpha.%d/tree" % (link_dest, number)) for number in range(4)]
        states = []

        def rotate():
            states.insert(0, inventory(self.source, without=("links",)))
            self.rotate(link_dest)
            self.remount()

        rotate()
        rotate()
        self.assertEqual(self.inodes(snapshots[0]), self.inodes(snapshots[1]))
        self.change_contents()
        rotate()
        before, after = self.inodes(snapshots[1]), self.inodes(snapshots[0])
        self.assertEqual({name for name in after if after[name] != before.get(name)}, self.CHANGED_CONTENTS | {"links/fourth"})
        (self.source / "sizes/300001").write_bytes(b"short")
        rotate()
        self.assertFalse(snapshots[3].exists())
        for number in range(3):
            self.assert_tree(states[number], snapshots[number], without=("links",))
        before, after = self.inodes(snapshots[1]), self.inodes(snapshots[0])
        self.assertEqual({name for name in after if after[name] != before.get(name)}, {"sizes/300001"})
        # Three names in the tree it was, four since, and one set of names for each snapshot.
        self.assertEqual(os.stat(snapshots[0] / "links/first").st_nlink, 3 + 4 + 4)

    def test_rotation_with_hard_links_that_cp_makes(self):
        self.check_rotation(0)
        self.assert_sound_store()

    def test_rotation_with_hard_links_that_rsync_makes(self):
        self.check_rotation(1)
        self.assert_sound_store()


class Tar(BackupTest):
    def save(self, archive, *options):
        self.fs.run("tar", "-cf", archive, "--format=posix", "--sparse", *TAR_ATTRIBUTES, *options, "-C", self.source, ".")

    def restore(self, archive, target, *options):
        self.fs.run("tar", "-xpf", archive, "--same-owner", *TAR_ATTRIBUTES, *options, "-C", target)

    def test_round_trip(self):
        archive = self.bucket / "all.tar"
        self.save(archive)
        self.remount()
        restored = self.bucket / "restored"
        restored.mkdir()
        self.restore(archive, restored)
        self.remount()
        self.assert_tree(inventory(self.source), restored)
        self.assertLess(os.stat(restored / "sizes/sparse").st_blocks * 512, HOLE // 8)
        self.fs.run("tar", "-df", archive, "-C", restored)
        self.assert_sound_store()

    def test_incremental_archives(self):
        levels = []

        def save():
            """What is in the next level; directories, which tar always lists, left out."""
            # Each mount has a device number of its own, as with NFS. Tar can be told so.
            levels.append(self.scratch / ("level%d.tar" % len(levels)))
            self.save(levels[-1], "--listed-incremental=%s" % (self.scratch / "snapshot"), "--no-check-device")
            with tarfile.open(levels[-1], errors="surrogateescape") as archive:
                return {member.name.removeprefix("./") for member in archive if not member.isdir()}

        self.assertIn("sizes/300001", save())
        self.remount()
        always = {"sizes/1"}  # of 2100, newer than any level
        self.assertEqual(save(), always)
        self.change_contents()
        links = {"links/first", "links/second", "links/fourth", "deep/third"}
        self.remount()
        self.assertEqual(save(), self.CHANGED_CONTENTS | links | always)
        # Tar knows a renamed directory (but not those below it) by the device and inode number that it had when tar first
        # saw it. The device number is the first mount's again where no other one has taken it; else all in it is saved.
        moved = self.source / "deep/er/and/moved"
        (self.source / "deep/er/and/deeper").rename(moved)
        (moved / "file1").unlink()
        self.remount()
        self.assertEqual(save() - {"deep/er/and/moved/" + name for name in os.listdir(moved)}, always)

        restored = self.bucket / "restored"
        restored.mkdir()
        for level in levels:
            self.restore(level, restored, "--listed-incremental=/dev/null")
        self.remount()
        self.assert_tree(inventory(self.source), restored)
        self.assert_sound_store()


class Find(BackupTest):
    def newer(self, test):
        answer = self.fs.run("find", self.source, test, self.bucket / "stamp", "-printf", "%P\\n")
        return set(answer.stdout.split("\n")) - {""}

    def test_newer_finds_what_was_changed_since_the_stamp(self):
        stamp = self.bucket / "stamp"
        for path in (self.source / "sizes/4096", self.source / "links"):
            os.utime(path)  # changed before the stamp, if not by much
        earlier = pathlib.Path(self.bucket / "earlier")
        earlier.touch()

        def stamped():
            stamp.touch()
            return stamp.stat().st_mtime_ns > earlier.stat().st_mtime_ns

        wait_until(stamped, "the clock of the kernel has moved on")
        probe = self.bucket / "probe"

        def moved():
            probe.touch()
            return probe.stat().st_mtime_ns > stamp.stat().st_mtime_ns

        wait_until(moved, "the clock of the kernel has moved on")
        self.change_contents()
        self.change_attributes()
        # 2100 is later than any stamp; a rename is a change of its file, though not of its content.
        changed = {"sizes/1", "deep/er/and/deeper", "deep/er/and/deeper/file7", "names", "names/one more", "links", ""}
        status = self.CHANGED_ATTRIBUTES | {"links/first", "links/second", "links/fourth", "deep/third"}
        status |= (changed - {"sizes/1"}) | {"deep/er/and/deeper/renamed"}
        for _ in range(2):
            self.assertEqual(self.newer("-newer"), changed - {""})
            self.assertEqual(self.newer("-cnewer"), status - {""})
            self.remount()
        self.assert_sound_store()


if __name__ == "__main__":
    main()
