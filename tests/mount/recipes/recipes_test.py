#!/usr/bin/env python3
"""The recipes of pailfs-policy(7), run as they are printed, and whether they do what they say."""

import datetime
import errno
import json
import os
import pathlib
import re
import subprocess

from mounted_store import PAIL, MountTest, main
from other_users import as_user, become, errno_of, in_child

ROOT = pathlib.Path(__file__).resolve().parents[3]
USERS = {"alice": 20001, "bob": 20002, "carol": 20003, "backup": 20004, "apprentice": 20005, "contractor": 20006}


def read(path):
    return pathlib.Path(path).read_bytes()


def write(path):
    pathlib.Path(path).write_bytes(b"written")


class Recipes(MountTest):
    def setUp(self):
        super().setUp()
        self.fs.mount("allow_other")
        self.account = json.loads(self.pail("policy", "list", "--json").stdout)["account"]
        for name, uid in USERS.items():
            self.pail("user", "create", name)
            self.pail("user", "map", name, "--uid", str(uid))

    def pail(self, *words, **keywords):
        return self.fs.run(PAIL, *words, cwd=self.fs.mountpoint, **keywords)

    def make(self, bucket, *files, mode=0o700):
        """A bucket with these files, all of it root's and with these permissions."""
        top = self.fs.bucket(bucket)
        for name in files:
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        for path in (top, *top.rglob("*")):
            path.chmod(mode if path.is_dir() else mode & 0o666)
        return top

    def section(self, title):
        page = (ROOT / "man/pailfs-policy.7").read_text()
        section = re.search(r"^\.Ss %s\n(.*?)^\.(Ss|Sh) " % re.escape(title), page, re.M | re.S)
        self.assertIsNotNone(section, title)
        return re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed", section.group(1).replace("\\-", "-"), re.M | re.S)

    def run_printed(self, commands, uid=0):
        printed = commands.replace("111122223333", self.account).replace("/mnt/pail", str(self.fs.mountpoint))
        environment = {**os.environ, "PATH": "%s:%s" % (pathlib.Path(PAIL).parent, os.environ["PATH"])}
        result = subprocess.run(
            ["bash", "-e", "-c", printed],
            cwd=self.fs.mountpoint,
            env=environment,
            user=uid,
            group=uid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 0, "%s\n%s%s" % (printed, result.stdout, result.stderr))

    def follow(self, title):
        self.run_printed(self.section(title)[0])

    def outcome(self, name, action, *arguments):
        return as_user(lambda: action(*arguments), USERS[name], USERS[name])

    def listed(self, name, directory):
        def act():
            become(USERS[name], USERS[name])
            return sorted(os.listdir(directory))

        return in_child(act)

    def assert_allowed(self, name, action, *arguments):
        self.assertEqual(self.outcome(name, action, *arguments), 0, (name, action.__name__, arguments))

    def assert_denied(self, name, action, *arguments, error=errno.EACCES):
        self.assertEqual(self.outcome(name, action, *arguments), error, (name, action.__name__, arguments))

    def test_a_backup_user_that_may_only_add(self):
        top = self.make("backups", "old")
        self.assert_denied("backup", os.listdir, top)
        self.follow("A backup user that may only add")
        self.assert_allowed("backup", os.listdir, top)
        self.assert_allowed("backup", write, top / "new")
        self.assert_allowed("backup", read, top / "old")
        self.assert_allowed("backup", write, top / "old")
        self.assertEqual(read(top / "old"), b"written")
        self.assert_denied("backup", os.unlink, top / "old")
        self.assert_denied("backup", os.rename, top / "new", top / "newer")
        versions = top / ".versions/old"
        self.assertEqual(len(os.listdir(versions)), 2)
        for version in os.listdir(versions):
            self.assert_denied("backup", os.unlink, versions / version)
        self.assert_denied("alice", os.listdir, top)

    def test_a_read_only_share_for_a_group(self):
        top = self.make("media", "films/one")
        self.follow("A read-only share for a group")
        for name in ("alice", "bob"):
            self.assert_allowed(name, os.listdir, top / "films")
            self.assert_allowed(name, read, top / "films/one")
            self.assert_denied(name, write, top / "films/one")
            self.assert_denied(name, write, top / "films/two")
        self.assert_denied("carol", read, top / "films/one")
        self.pail("group", "remove", "readers", "bob")
        self.assert_denied("bob", read, top / "films/one")
        self.assert_allowed("alice", read, top / "films/one")

    def test_a_directory_of_ones_own_for_everybody(self):
        top = self.make("homes", "alice/a", "bob/b", mode=0o755)
        self.follow("A directory of one's own for everybody")
        self.assert_allowed("alice", os.listdir, top / "alice")
        self.assert_allowed("alice", write, top / "alice/new")
        self.assert_allowed("alice", os.unlink, top / "alice/a")
        self.assert_denied("alice", read, top / "bob/b", error=errno.ENOENT)
        self.assert_denied("alice", os.stat, top / "bob", error=errno.ENOENT)
        self.assertEqual(self.listed("alice", top), ["alice"])
        self.assertEqual(sorted(os.listdir(top)), ["alice", "bob"])
        self.assert_denied("alice", os.listdir, top / ".versions")
        self.assert_denied("alice", os.listdir, top / ".versions/bob")
        self.assert_denied("alice", read, next((top / ".versions/bob/b").iterdir()))
        self.assert_allowed("alice", os.listdir, top / "alice/.versions/new")
        for name, path, expected in (("alice", "homes/bob/b", 1), ("alice", "homes/alice/new", 0), (None, "homes/bob/b", 1)):
            uid = USERS[name] if name else 20099
            listed = self.pail("versions", "list", path, check=False, user=uid, group=uid, extra_groups=[])
            self.assertEqual(listed.returncode != 0, bool(expected), (name, path, listed.stdout, listed.stderr))

    def test_nobody_but_one_program_writes(self):
        top = self.make("restic", "kept", mode=0o777)
        self.follow("Nobody but one program writes")
        for name in ("alice", "bob"):
            self.assert_denied(name, write, top / "kept")
            self.assert_denied(name, write, top / "new")
            self.assert_allowed(name, read, top / "kept")
        self.assertEqual(errno_of(os.unlink, top / "kept"), errno.EACCES)
        source = self.fs.directory / "source"
        source.write_text("by rsync")
        for uid in (0, USERS["alice"]):
            self.run_printed("/usr/bin/rsync --inplace %s %s/by-%d" % (source, top, uid), uid)
            self.assertEqual((top / ("by-%d" % uid)).read_text(), "by rsync")

    def test_nothing_outside_working_hours(self):
        self.make("desk", "paper", mode=0o755)
        self.follow("Nothing outside working hours")
        now = datetime.datetime.now(datetime.timezone.utc)
        # Time zones in which it is, now, 12 o'clock and 20 o'clock.
        for hour in (12, 20):
            self.fs.unmount()
            east = (hour - now.hour + 11) % 24 - 11
            there = now + datetime.timedelta(hours=east)
            before = os.environ.get("TZ")
            os.environ["TZ"] = "TEST%+d" % -east
            try:
                self.fs.mount("allow_other")
            finally:
                os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
            works = hour == 12 and there.isoweekday() <= 5
            expected = 0 if works else errno.EACCES
            paper = self.fs.mountpoint / "desk/paper"
            self.assertIn(self.outcome("apprentice", read, paper), (expected, 0 if works else errno.ENOENT))
            self.assert_allowed("alice", read, paper)

    def test_what_nobody_deletes(self):
        top = self.make("books", "2025/march", "2026/march", mode=0o777)
        self.follow("What nobody deletes")
        self.assert_denied("alice", os.unlink, top / "2025/march")
        self.assertEqual(errno_of(os.unlink, top / "2025/march"), errno.EACCES)
        self.assertEqual(errno_of(os.rename, top / "2025/march", top / "2026/april"), errno.EACCES)
        self.assertIn(errno_of(os.rename, top / "2025", top / "old"), (errno.EACCES, errno.EXDEV))
        self.assertEqual(errno_of(os.unlink, top / "2026/march"), 0)
        self.pail("policy", "delete", "books")
        self.assertEqual(errno_of(os.unlink, top / "2025/march"), 0)

    def test_hidden_from_all_but_a_few(self):
        top = self.make("files", "board/minutes", "public/menu", mode=0o755)
        self.follow("Hidden from all but a few")
        for name in ("alice", "bob"):
            self.assert_allowed(name, read, top / "board/minutes")
            self.assertEqual(self.listed(name, top), ["board", "public"])
        self.assert_denied("carol", read, top / "board/minutes", error=errno.ENOENT)
        self.assert_denied("carol", os.stat, top / "board", error=errno.ENOENT)
        self.assertEqual(self.listed("carol", top), ["public"])
        self.assert_allowed("carol", read, top / "public/menu")

    def test_a_box_to_drop_things_in(self):
        top = self.make("inbox", "from-root")
        self.follow("A box to drop things in")
        self.assert_allowed("alice", write, top / "from-alice")
        self.assertEqual(read(top / "from-alice"), b"written")
        for name in ("alice", "bob"):
            self.assert_denied(name, read, top / "from-root")
            self.assert_denied(name, read, top / "from-alice")
            self.assert_denied(name, os.listdir, top)
            self.assert_denied(name, os.listdir, top / ".versions")
            self.assert_denied(name, os.unlink, top / "from-alice")
        self.assertEqual(sorted(os.listdir(top)), ["from-alice", "from-root"])

    def test_a_contractor_within_bounds(self):
        top = self.make("work", "project/plan", "payroll/all")
        self.follow("A contractor within bounds")
        self.assert_allowed("contractor", read, top / "project/plan")
        self.assert_allowed("contractor", write, top / "project/new")
        self.assertNotEqual(self.outcome("contractor", read, top / "payroll/all"), 0)
        self.assertNotEqual(self.outcome("contractor", write, top / "payroll/new"), 0)

    def test_old_versions_go_by_a_role_alone(self):
        top = self.make("photos", "blurred.jpg", mode=0o755)
        write(top / "blurred.jpg")
        versions = top / ".versions/blurred.jpg"
        os.unlink(top / "blurred.jpg")
        before = os.listdir(versions)
        self.follow("Old versions go by a role alone")
        for version in before:
            self.assertEqual(as_user(lambda: os.unlink(versions / version), 0, 0), errno.EACCES)
            self.assert_denied("alice", os.unlink, versions / version)
        self.run_printed(self.section("Old versions go by a role alone")[1], USERS["alice"])
        self.assertEqual(errno_of(os.listdir, versions), errno.ENOENT)


if __name__ == "__main__":
    main()
