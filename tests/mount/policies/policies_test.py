#!/usr/bin/env python3
"""Bucket policies on a mount: what they allow beyond the mode bits, and what they deny within them, for the users that the
system's login names are, from the next system call on."""

import datetime
import errno
import json
import os
import pwd
import shutil
import stat
import subprocess
import threading
import time

from file_calls import read, write
from mounted_store import NOBODY, PAIL, main, wait_until
from other_users import as_user, become, each_as_user, errno_of, in_child
from policy_bucket import ALLOWED, DENIED, USERS, PolicyTest


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


class Operations(PolicyTest):
    """Each operation with the action that it is, allowed against the mode bits and denied against them."""

    def cases(self):
        top = self.bucket / "dir"
        if top.exists():
            shutil.rmtree(top)
        top.mkdir()
        for name in ("file", "gone", "moved", "cut", "mode", "times", "noted", "shown"):
            self.fill(top / name)
        os.setxattr(top / "shown", "user.note", b"x")
        (top / "gone-dir").mkdir()
        (top / "link").symlink_to("file")
        self.fill(top / "file", "newer")
        versions = self.bucket / ".versions/dir/file"
        old = [versions / name for name in os.listdir(versions) if os.stat(versions / name).st_size == len("content")][0]
        return {
            "read": ("GetObject", "dir/file", lambda: read(top / "file")),
            "write": ("PutObject", "dir/file", lambda: write(top / "file")),
            "truncate": ("PutObject", "dir/cut", lambda: os.truncate(top / "cut", 1)),
            "create": ("PutObject", "dir/new", lambda: create(top / "new")),
            "mkdir": ("PutObject", "dir/new-dir", lambda: os.mkdir(top / "new-dir")),
            "symlink": ("PutObject", "dir/new-link", lambda: os.symlink("x", top / "new-link")),
            "mknod": ("PutObject", "dir/fifo", lambda: os.mkfifo(top / "fifo")),
            "unlink": ("DeleteObject", "dir/gone", lambda: os.unlink(top / "gone")),
            "rmdir": ("DeleteObject", "dir/gone-dir", lambda: os.rmdir(top / "gone-dir")),
            "chmod": ("PutObjectAcl", "dir/mode", lambda: os.chmod(top / "mode", 0o640)),
            "utime": ("PutObjectAcl", "dir/times", lambda: os.utime(top / "times", (1, 1))),
            "setxattr": ("PutObject", "dir/noted", lambda: os.setxattr(top / "noted", "user.note", b"y")),
            "getxattr": ("GetObject", "dir/shown", lambda: os.getxattr(top / "shown", "user.note")),
            "version": ("GetObjectVersion", "dir/file", lambda: read(old)),
        }

    def test_an_allow_lets_do_what_the_mode_does_not(self):
        for name, (action, key, _) in self.cases().items():
            act = self.cases()[name][2]
            with self.subTest(name):
                self.bucket.joinpath("dir").chmod(0o755)
                self.put()
                self.assert_user(act, errno.EPERM if name in ("chmod", "utime") else DENIED)
                self.put(self.allow(action, key, who="daemon"))
                self.assertNotEqual(as_user(act), ALLOWED)
                self.put(self.allow(action, "dir/other"), self.allow("GetBucketPolicy", ""))
                self.assertNotEqual(as_user(act), ALLOWED)
                self.put(self.allow(action, key, who="nobody"), self.deny(action, key, who="daemon"))
                self.assert_user(act, ALLOWED)

    def test_a_policy_and_the_mode_give_one_half_each(self):
        file = self.fill(self.bucket / "file", mode=0o604)

        def read_write():
            os.close(os.open(file, os.O_RDWR))

        def may():
            if not os.access(file, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, "access(2) says no")

        for mode, action in ((0o604, "PutObject"), (0o602, "GetObject")):
            file.chmod(mode)
            self.put()
            self.assertEqual(each_as_user({"both": read_write, "may": may}), {"both": DENIED, "may": DENIED})
            self.put(self.allow(action, "file", who="nobody"))
            self.assertEqual(each_as_user({"both": read_write, "may": may}), {"both": ALLOWED, "may": ALLOWED})
            self.put(self.allow(action, "file", who="nobody"), self.deny("GetObject", "file", who="nobody"))
            self.assertEqual(each_as_user({"both": read_write, "may": may}), {"both": DENIED, "may": DENIED})

    def test_a_listing_asks_for_a_thousand_keys(self):
        (self.bucket / "directory").mkdir(0o755)
        for limit, expected in ((999, DENIED), (1000, ALLOWED)):
            many = {"NumericGreaterThan": {"s3:max-keys": limit}}
            self.put(self.deny("ListBucket", "", who="nobody", condition=many))
            self.assert_user(lambda: os.listdir(self.bucket), expected)

    def test_a_deny_keeps_from_what_the_mode_allows(self):
        for name in self.cases():
            action, key, act = self.cases()[name]
            with self.subTest(name):
                top = self.bucket / "dir"
                for path in [top, *top.iterdir()]:
                    if not path.is_symlink():
                        os.chown(path, NOBODY, NOBODY)
                self.put(self.deny(action, key, who="daemon"))
                if name == "version":
                    self.put(self.deny(action, key, who="nobody"), self.allow(action, key, who="nobody"))
                    self.assert_user(act, DENIED)
                    continue
                self.put(self.deny(action, key, who="nobody"), self.allow("*", "*", who="nobody"))
                self.assert_user(act, DENIED)
                self.put(self.deny(action, key, who="daemon"))
                self.assert_user(act, ALLOWED)

    def test_listing(self):
        directory = self.bucket / "closed"
        directory.mkdir(0o700)
        self.fill(directory / "file")
        self.assert_user(lambda: os.listdir(directory), DENIED)
        inside = {"StringLike": {"s3:prefix": ["closed/*"]}}
        self.put(self.allow("ListBucket", "", condition=inside))
        self.assert_user(lambda: os.listdir(directory), ALLOWED)
        self.assert_user(lambda: os.stat(directory / "file"), ALLOWED)
        self.assert_user(lambda: read(directory / "file"), DENIED)
        directory.chmod(0o755)
        self.put(self.deny("ListBucket", "", who="nobody", condition=inside))
        self.assert_user(lambda: os.listdir(directory), DENIED)
        self.assert_user(lambda: os.listdir(directory), ALLOWED, user="daemon")
        self.assert_user(lambda: os.stat(directory / "file"), errno.ENOENT)
        self.put(self.deny("ListBucketVersions", "", who="nobody"))
        self.assert_user(lambda: os.listdir(self.bucket / ".versions"), DENIED)
        self.assert_user(lambda: os.listdir(self.bucket / ".versions"), ALLOWED, user="daemon")

    def test_a_listing_shows_what_may_be_read(self):
        directory = self.bucket / "box"
        directory.mkdir(0o700)
        for name in ("read", "written", "deleted"):
            self.fill(directory / name, mode=0o644)
        may = [self.allow(action, "box/" + name) for action, name in (("PutObject", "written"), ("DeleteObject", "deleted"))]
        self.put(*may)
        self.assert_user(lambda: os.listdir(directory), DENIED)
        for name in ("written", "deleted"):
            self.assert_user(lambda n=name: os.stat(directory / n), ALLOWED)
        self.put(*may, self.allow("GetObject", "box/read"))

        def listed():
            become(NOBODY, NOBODY)
            return os.listdir(directory)

        self.assertEqual(in_child(listed), ["read"])
        self.put(*may, self.allow("GetObject", "box/read"), self.deny("ListBucket", "", who="nobody"))
        self.assertEqual(in_child(listed), ["read"])
        self.put(*may, self.deny("ListBucket", "", who="nobody"))
        self.assert_user(lambda: os.listdir(directory), DENIED)

    def test_an_open_directory_is_listed_until_a_policy_denies_it(self):
        directory = self.bucket / "closed"
        directory.mkdir(0o700)
        self.fill(directory / "file")
        opened = os.open(directory, os.O_RDONLY)
        self.addCleanup(os.close, opened)

        def listed():
            become(NOBODY, NOBODY)
            try:
                return os.listdir(opened)
            except OSError as error:
                return error.errno

        self.assertEqual(in_child(listed), ["file"])
        self.put(self.allow("GetObject", "another", who="daemon"))
        self.assertEqual(in_child(listed), ["file"])
        self.put(self.deny("ListBucket", "", who="nobody"))
        self.assertIn(in_child(listed), (DENIED, errno.ENOENT))

    def test_pail_goes_by_policies_as_the_mount_does(self):
        file = self.fill(self.bucket / "file")
        file.write_text("newer")
        older = sorted(os.listdir(self.bucket / ".versions/file"))[0]
        commands = {
            "DeleteObjectVersion": ("versions", "purge", "bucket/file", "--version", older, "--yes"),
            "PutLifecycleConfiguration": ("versioning", "keep", "bucket", "--days", "30"),
            "PutBucketVersioning": ("versioning", "suspend", "bucket"),
        }
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        for command in commands.values():
            refused = self.pail(*command, check=False, **as_nobody)
            self.assertEqual(refused.returncode, 3, refused)
            self.assertIn("for whom a policy allows it; you are uid %d" % NOBODY, refused.stderr)
        self.put(self.allow(" ".join(commands), "", "*", who="nobody"))
        for command in commands.values():
            self.pail(*command, **as_nobody)
        self.assertEqual(len(os.listdir(self.bucket / ".versions/file")), 1)

    def test_old_versions_go_by_whom_a_policy_allows(self):
        file = self.fill(self.bucket / "file")
        file.write_text("newer")
        versions = self.bucket / ".versions/file"
        old = [name for name in os.listdir(versions) if os.stat(versions / name).st_size == len("content")][0]
        self.assert_user(lambda: os.unlink(versions / old), DENIED)
        self.put(self.allow("DeleteObjectVersion", "file", who="nobody"))
        self.assert_user(lambda: os.unlink(versions / old), DENIED, user="daemon")
        self.assert_user(lambda: os.unlink(versions / old), ALLOWED)
        self.assertEqual(len(os.listdir(versions)), 1)

    def test_set_id_bits_and_owners_are_no_rights_of_s3(self):
        file = self.fill(self.bucket / "file", mode=0o755)
        self.put(self.allow("*", "*", who="nobody"))
        self.assert_user(lambda: os.chmod(file, 0o4755), errno.EPERM)
        self.assert_user(lambda: os.chown(file, NOBODY, NOBODY), errno.EPERM)
        self.assert_user(lambda: os.chmod(file, 0o777), ALLOWED)
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o777)
        file.chmod(0o4755)
        self.assert_user(lambda: os.chmod(file, 0), errno.EPERM)
        self.assert_user(lambda: os.chmod(file, 0o777), errno.EPERM)
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o4755)


class RequestKeys(PolicyTest):
    """Conditions on what one request alone has: the id of a version, the ACL or the lock that is asked for."""

    def two_versions(self, bucket):
        """The names of the older and the newer one, in .versions, and the ids in them."""
        file = self.fill(bucket / "file", mode=0o644)
        file.write_text("newer")
        names = sorted(os.listdir(bucket / ".versions/file"))
        self.assertEqual(len(names), 2)
        return names, [name.split("Z-")[1] for name in names]

    def test_one_version_alone_is_allowed_or_denied_by_its_id(self):
        names, ids = self.two_versions(self.bucket)
        os.chown(self.bucket / "file", NOBODY, NOBODY)
        versions = self.bucket / ".versions/file"
        moment = self.bucket / ".versions" / ("@" + names[0].split("-")[0]) / "file"
        self.assertEqual(moment.read_text(), "content")
        only = {"StringEquals": {"s3:VersionId": ids[0]}}
        older, newer = (lambda n=name: read(versions / n) for name in names)
        self.put(self.deny("GetObjectVersion", "file", who="nobody", condition=only))
        self.assert_user(older, DENIED)
        self.assert_user(lambda: self.assertFalse(os.access(versions / names[0], os.R_OK)), ALLOWED)
        self.assert_user(lambda: read(moment), DENIED)
        self.assert_user(newer, ALLOWED)
        self.assert_user(lambda: read(self.bucket / "file"), ALLOWED)
        os.chown(self.bucket / "file", 0, 0)
        (self.bucket / "file").chmod(0o600)
        self.put(self.allow("GetObjectVersion", "file", who="nobody", condition=only))
        self.assert_user(older, ALLOWED)
        self.assert_user(newer, DENIED)

    def test_one_version_alone_is_kept_from_removal(self):
        names, ids = self.two_versions(self.bucket)
        self.fill(self.bucket / "file", "the last")
        versions = self.bucket / ".versions/file"
        self.put(self.deny("DeleteObjectVersion", "*", condition={"StringEquals": {"s3:VersionId": ids[0]}}))
        # By a process of its own: one that lists .versions and removes there is refused in any case.
        removed = self.fs.run("rm", versions / names[0], check=False)
        self.assertIn("Permission denied", removed.stderr)
        for words in (
            ("versions", "purge", "bucket/file", "--version", ids[0], "--yes"),
            ("versions", "prune", "bucket", "--keep", "1", "--yes"),
            ("versions", "prune", "bucket", "--keep", "1", "--dry-run"),
            ("bucket", "delete", "bucket", "--purge", "--yes"),
        ):
            refused = self.pail(*words, check=False)
            self.assertNotEqual(refused.returncode, 0, words)
        self.assertTrue((versions / names[0]).exists())
        self.fs.run("rm", versions / names[1])
        self.assertFalse((versions / names[1]).exists())

    def test_a_denial_holds_by_every_name_through_every_door(self):
        for name in ("free", "kept"):
            (self.bucket / name).mkdir()
            (self.bucket / name).chmod(0o777)
        file = self.fill(self.bucket / "kept/file", mode=0o666)
        file.write_text("newer")
        os.link(file, self.bucket / "free/file")
        file.write_text("the last")
        names = sorted(os.listdir(self.bucket / ".versions/free/file"))
        self.put(self.deny("DeleteObjectVersion", "kept/*"))
        self.assertIn("denied", self.fs.run("rm", self.bucket / ".versions/free/file" / names[0], check=False).stderr)
        version = names[0].split("Z-")[1]
        for words in (
            ("versions", "purge", "bucket/free/file", "--version", version, "--yes"),
            ("versions", "prune", "bucket/free", "--keep", "0", "--yes"),
            ("versions", "prune", "bucket/free", "--keep", "0", "--dry-run"),
        ):
            self.assertNotEqual(self.pail(*words, check=False).returncode, 0, words)
        self.assertEqual(sorted(os.listdir(self.bucket / ".versions/free/file")), names)

    def test_a_denial_by_id_is_not_left_by_a_new_name(self):
        top = self.bucket / "docs"
        top.mkdir()
        self.fill(top / "file", mode=0o644)
        (top / "file").write_text("newer")
        for path in (self.bucket, top, top / "file"):
            os.chown(path, NOBODY, NOBODY)
        version = sorted(os.listdir(self.bucket / ".versions/docs/file"))[0].split("Z-")[1]
        by_id = {"StringEquals": {"s3:VersionId": version}}
        self.put(self.deny("GetObjectVersion", "docs/*", who="nobody", condition=by_id))
        self.assert_user(lambda: os.rename(top, self.bucket / "papers"), errno.EXDEV)
        self.assertNotEqual(as_user(lambda: os.link(top / "file", self.bucket / "link")), ALLOWED)
        self.assert_user(lambda: os.rename(top / "file", top / "renamed"), ALLOWED)

    def test_attributes_of_a_version_go_by_its_rights(self):
        file = self.fill(self.bucket / "file", mode=0o644)
        os.setxattr(file, "user.token", b"old")
        file.write_text("newer")
        names = sorted(os.listdir(self.bucket / ".versions/file"))
        old = self.bucket / ".versions/file" / names[0]
        then = self.bucket / ".versions" / ("@" + names[1].split("-")[0]) / "file"
        self.assert_user(lambda: os.getxattr(old, "user.token"), ALLOWED)
        self.assert_user(lambda: os.getxattr(then, "user.token"), ALLOWED)
        by_id = {"StringEquals": {"s3:VersionId": names[0].split("Z-")[1]}}
        self.put(self.deny("GetObjectVersion", "file", who="nobody", condition=by_id))
        self.assert_user(lambda: os.getxattr(old, "user.token"), DENIED)
        self.assert_user(lambda: os.getxattr(file, "user.token"), ALLOWED)
        self.put()
        file.chmod(0o600)
        self.assert_user(lambda: os.getxattr(then, "user.token"), DENIED)

    def test_a_bucket_goes_only_where_everything_in_it_may(self):
        self.fill(self.bucket / "file")
        self.put(self.deny("DeleteObject", "file"))
        self.assertNotEqual(self.pail("bucket", "delete", "bucket", "--purge", "--yes", check=False).returncode, 0)
        self.assertEqual((self.bucket / "file").read_text(), "content")

    def test_a_rewind_changes_no_more_than_its_caller_may(self):
        file = self.fill(self.bucket / "file", mode=0o644)
        for path in (self.bucket, file):
            os.chown(path, NOBODY, NOBODY)
        os.setxattr(file, "trusted.always", b"there")
        time.sleep(0.05)
        before = self.fs.run("date", "-u", "+%Y-%m-%dT%H:%M:%S.%NZ").stdout.strip()
        time.sleep(0.05)
        os.setxattr(file, "trusted.audit", b"yes")
        os.setxattr(file, "user.note", b"new")
        file.chmod(0o600)

        def rewind():
            done = subprocess.run([PAIL, "rewind", "./file", "--to", before, "--yes"], cwd=self.bucket)
            if done.returncode != 0:
                raise PermissionError(errno.EACCES, "refused")

        self.put(self.deny("PutObject", "file", who="nobody"))
        self.assert_user(rewind, DENIED)
        self.assertEqual(os.getxattr(file, "user.note"), b"new")
        self.put()
        self.assert_user(rewind, ALLOWED)
        self.assertEqual(sorted(os.listxattr(file)), ["trusted.always", "trusted.audit"])
        # Also where nothing but what was there then is left to be hidden.
        os.removexattr(file, "trusted.audit")
        time.sleep(0.05)
        before = self.fs.run("date", "-u", "+%Y-%m-%dT%H:%M:%S.%NZ").stdout.strip()
        time.sleep(0.05)
        file.chmod(0o600)
        self.assert_user(rewind, ALLOWED)
        self.assertEqual(os.getxattr(file, "trusted.always"), b"there")
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o644)

    def test_canned_acls(self):
        self.fill(self.bucket / "file")
        self.put(self.deny("PutObjectAcl", "*", condition={"StringLike": {"s3:x-amz-acl": "public-*"}}))
        denied = self.pail("acl", "put", "bucket/file", "public-read", check=False)
        self.assertEqual(denied.returncode, 3, denied.stderr)
        self.assertEqual(stat.S_IMODE((self.bucket / "file").stat().st_mode), 0o600)
        self.pail("acl", "put", "bucket/file", "authenticated-read")
        self.pail("acl", "put", "bucket/file", "private")

    def test_locks(self):
        self.pail("bucket", "create", "vault", "--object-lock")
        vault = self.fs.mountpoint / "vault"
        _, ids = self.two_versions(vault)
        too_long = {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "30"}}
        statements = [
            {"Condition": too_long, "Action": "s3:PutObjectRetention"},
            {"Condition": {"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}}, "Action": "s3:PutObjectRetention"},
            {
                "Condition": {"StringEquals": {"s3:object-lock-legal-hold": "OFF"}},
                "Action": "s3:PutObjectLegalHold",
            },
            {"Condition": {"StringEquals": {"s3:VersionId": ids[0]}}, "Action": "s3:PutObjectLegalHold"},
        ]
        for statement in statements:
            statement.update({"Effect": "Deny", "Principal": "*", "Resource": "arn:aws:s3:::vault/*"})
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.pail("policy", "put", "vault", "-", input=document)

        def lock(*words):
            return self.pail("lock", *words, check=False).returncode

        retain = ("retain", "vault/file", "--version", ids[1], "--mode")
        self.assertEqual(lock(*retain, "compliance", "--days", "2"), 3)
        self.assertEqual(lock(*retain, "governance", "--days", "31"), 3)
        self.assertEqual(lock(*retain, "governance", "--days", "30"), 0)
        self.assertEqual(lock("hold", "vault/file", "--version", ids[0]), 3)
        self.assertEqual(lock("hold", "vault/file", "--version", ids[1]), 0)
        self.assertEqual(lock("release", "vault/file", "--version", ids[1]), 3)
        # No other name lets do what this one does not.
        (vault / "file").write_text("the last")
        held = sorted(os.listdir(vault / ".versions/file"))[-1].split("Z-")[1]
        self.assertEqual(lock("hold", "vault/file", "--version", held), 0)
        statements[2]["Resource"] = "arn:aws:s3:::vault/file"
        document = json.dumps({"Version": "2012-10-17", "Statement": statements[2:3]})
        self.pail("policy", "put", "vault", "-", input=document)
        self.assertNotEqual(errno_of(os.link, vault / "file", vault / "other"), 0)
        self.assertNotEqual(errno_of(os.rename, vault / "file", vault / "other"), 0)
        self.assertEqual(lock("release", "vault/file", "--version", held), 3)


class Keys(PolicyTest):
    """Policies are about keys, which are paths; FUSE is about inodes."""

    def test_a_prefix_of_ones_own(self):
        home = self.bucket / "home"
        home.mkdir(0o700)
        for name in USERS:
            (home / name).mkdir(0o700)
            self.fill(home / name / "file", name)
        self.put(self.allow("GetObject PutObject DeleteObject", "home/${aws:username}/*"))
        for name, uid in USERS.items():
            own, other = home / name, home / ("bin" if name != "bin" else "games")
            results = each_as_user(
                {
                    "list": lambda h=home, n=name: self.assertEqual(os.listdir(h), [n]),
                    "read": lambda o=own: self.assertEqual(read(o / "file"), o.name.encode()),
                    "create": lambda o=own: create(o / "new"),
                    "mkdir": lambda o=own: os.mkdir(o / "directory"),
                    "rename": lambda o=own: os.rename(o / "directory", o / "renamed"),
                    "remove": lambda o=own: os.unlink(o / "new"),
                    "other": lambda o=other: read(o / "file"),
                    "other's": lambda o=other: create(o / "new"),
                    "home itself": lambda o=own: os.rmdir(o),
                },
                uid=uid,
                gid=uid,
            )
            expected = dict.fromkeys(results, ALLOWED)
            expected.update({"other": DENIED, "other's": DENIED, "home itself": DENIED})
            self.assertEqual(results, expected, name)

    def test_what_is_denied_altogether_is_not_there(self):
        secret = self.bucket / "secret"
        secret.mkdir()
        self.fill(secret / "file", mode=0o644)
        self.fill(self.bucket / "shown", mode=0o644)
        self.bucket.chmod(0o777)
        hidden = {"StringLike": {"s3:prefix": ["secret", "secret/*"]}}
        self.put(
            self.deny("*", "secret", "secret/*", who="nobody"),
            self.deny("ListBucket", "", who="nobody", condition=hidden),
        )
        results = each_as_user(
            {
                "stat": lambda: os.stat(secret / "file"),
                "missing": lambda: os.stat(secret / "missing"),
                "open": lambda: read(secret / "file"),
                "list": lambda: os.listdir(secret),
                "create": lambda: create(secret / "new"),
                "over": lambda: create(secret / "file"),
                "unlink": lambda: os.unlink(secret / "file"),
                "version": lambda: os.listdir(self.bucket / ".versions/secret/file"),
                "shown": lambda: read(self.bucket / "shown"),
            }
        )
        self.assertEqual(
            results,
            {
                "stat": errno.ENOENT,
                "missing": errno.ENOENT,
                "open": errno.ENOENT,
                "list": DENIED,
                "create": DENIED,
                "over": DENIED,
                "unlink": errno.ENOENT,
                "version": ALLOWED,
                "shown": ALLOWED,
            },
        )
        self.assert_user(lambda: read(secret / "file"), ALLOWED, user="daemon")
        # With the whole bucket's listing denied, too, the name itself is not to be seen.
        self.put(self.deny("*", "", "secret", "secret/*", who="nobody"), self.allow("GetObject", "shown"))
        self.assert_user(lambda: os.stat(secret), errno.ENOENT)
        self.assert_user(lambda: self.assertEqual(os.listdir(self.bucket), ["shown"]), ALLOWED)
        self.assert_user(lambda: read(self.bucket / "shown"), ALLOWED)
        self.put(self.deny("*", "", "secret", "secret/*", who="nobody"))
        self.assert_user(lambda: os.listdir(self.bucket), DENIED)

    def test_a_denial_of_one_name_holds_for_all_of_a_file(self):
        for name in ("open", "closed"):
            (self.bucket / name).mkdir(0o777)
        file = self.fill(self.bucket / "open/file", mode=0o666)
        os.link(file, self.bucket / "closed/other")
        self.put(self.deny("GetObject", "closed/*", who="nobody"))
        self.assert_user(lambda: read(file), DENIED)
        os.rename(self.bucket / "closed", self.bucket / "elsewhere")
        self.assert_user(lambda: read(file), ALLOWED)
        os.rename(self.bucket / "elsewhere", self.bucket / "closed")
        self.assert_user(lambda: read(file), DENIED)
        os.unlink(self.bucket / "closed/other")
        self.assert_user(lambda: read(file), ALLOWED)
        # What one name allows is allowed.
        file.chmod(0o600)
        os.link(file, self.bucket / "closed/other")
        self.put(self.allow("GetObject", "closed/*", who="nobody"))
        self.assert_user(lambda: read(file), ALLOWED)

    def test_a_new_name_gives_no_rights(self):
        for name in ("from", "to"):
            (self.bucket / name).mkdir()
            (self.bucket / name).chmod(0o777)
        secret = self.fill(self.bucket / "from/file", mode=0o600)
        self.put(
            self.allow("PutObject DeleteObject", "from/*", "to/*", who="nobody"),
            self.allow("GetObject", "to/*", who="nobody"),
        )
        self.assert_user(lambda: os.rename(secret, self.bucket / "to/file"), errno.EXDEV)
        self.assertNotEqual(as_user(lambda: os.link(secret, self.bucket / "to/file")), ALLOWED)
        secret.chmod(0o666)
        self.put(
            self.deny("GetObject", "from/*", who="nobody"),
            self.allow("PutObject DeleteObject", "from/*", "to/*", who="nobody"),
        )
        self.assert_user(lambda: read(secret), DENIED)
        self.assert_user(lambda: os.rename(secret, self.bucket / "to/file"), errno.EXDEV)
        self.assertNotEqual(as_user(lambda: os.link(secret, self.bucket / "to/file")), ALLOWED)
        (self.bucket / "from/directory").mkdir()
        os.rename(secret, self.bucket / "from/directory/file")
        self.assertNotEqual(
            as_user(lambda: os.rename(self.bucket / "from/directory", self.bucket / "to/directory")), ALLOWED
        )

    def test_a_directory_of_mixed_rights_is_copied_to_be_moved(self):
        top = self.bucket / "top"
        top.mkdir()
        (top / "a").mkdir()
        self.fill(top / "a/file", mode=0o644)
        for path in (top, top / "a"):
            os.chown(path, NOBODY, NOBODY)
        os.chown(top / "a/file", NOBODY, NOBODY)
        self.put(self.deny("DeleteObject", "top/a/kept", who="nobody"))
        self.assert_user(lambda: os.rename(top / "a", top / "b"), errno.EXDEV)
        self.assertEqual(as_user(lambda: subprocess.run(["mv", top / "a", top / "b"], check=True)), 0)
        self.assertEqual((top / "b/file").read_text(), "content")
        self.assertFalse((top / "a").exists())
        self.put(self.deny("DeleteObject", "other/*", who="nobody"))
        self.assert_user(lambda: os.rename(top / "b", top / "c"), ALLOWED)

    def test_what_is_allowed_elsewhere_shows_nothing_that_is_denied(self):
        private = self.bucket / "private"
        private.mkdir(0o755)
        self.fill(private / "file", mode=0o644)
        inside = {"StringLike": {"s3:prefix": ["private/*"]}}
        self.put(
            self.allow("GetObject", "*"),
            self.deny("*", "private/*", who="nobody"),
            self.deny("ListBucket", "", who="nobody", condition=inside),
        )
        self.assert_user(lambda: os.listdir(private), DENIED)
        self.assert_user(lambda: os.stat(private / "file"), errno.ENOENT)
        # An allowance that does not hold now opens nothing.
        private.chmod(0o700)
        never = {"StringEquals": {"pail:executable": "/nowhere"}}
        self.put(self.allow("GetObject", "*", condition=never))
        self.assert_user(lambda: os.listdir(private), DENIED)
        self.assert_user(lambda: os.stat(private / "file"), DENIED)

    def test_a_file_that_lost_its_name_stays_denied(self):
        (self.bucket / "private").mkdir(0o755)
        for replace in (False, True):
            file = self.fill(self.bucket / "private/file", mode=0o666)
            self.put(self.deny("*", "private/*", who="nobody"))

            def later(path=file, replaced=replace):
                held = os.open(path, os.O_PATH)
                try:
                    with open("%s/ready" % self.fs.directory, "w"):
                        pass
                    while path.exists() and not (replaced and path.stat().st_size == 3):
                        pass
                    read("/proc/self/fd/%d" % held)
                finally:
                    os.close(held)

            self.fs.directory.chmod(0o777)
            ready = self.fs.directory / "ready"
            child = os.fork()
            if child == 0:
                become(USERS["nobody"], USERS["nobody"])
                os._exit(errno_of(later))
            wait_until(ready.exists, "the child holds the file")
            if replace:
                os.rename(self.fill(self.bucket / "other", "new", 0o666), file)
            else:
                file.unlink()
            _, status = os.waitpid(child, 0)
            ready.unlink()
            self.assertEqual(os.waitstatus_to_exitcode(status), DENIED)

    def test_old_versions_stay_where_removing_them_is_denied(self):
        keep = self.bucket / "keep"
        keep.mkdir()
        file = self.fill(keep / "file")
        file.write_text("newer")
        versions = self.bucket / ".versions/keep/file"
        old = [name for name in os.listdir(versions) if os.stat(versions / name).st_size == len("content")][0]
        self.put(self.deny("DeleteObjectVersion", "keep/*"))
        with self.assertRaises(PermissionError):
            os.unlink(versions / old)
        for words in (
            ("versions", "purge", str(file), "--version", old, "--yes"),
            ("versions", "prune", str(file), "--yes"),
            ("versions", "prune", str(file), "--dry-run"),
            ("versions", "prune", str(self.bucket), "--yes"),
            ("bucket", "delete", "bucket", "--purge", "--yes"),
        ):
            with self.subTest(words):
                result = self.pail(*words, check=False)
                self.assertNotEqual(result.returncode, 0, result.stdout)
                self.assertRegex(result.stderr, "policy|denied")
        self.assertEqual(read(versions / old), b"content")

    def test_a_directory_whose_listing_is_denied_is_not_renamed_into_sight(self):
        private = self.bucket / "private"
        private.mkdir()
        private.chmod(0o777)
        self.bucket.chmod(0o777)
        self.fill(private / "file", mode=0o644)
        inside = {"StringLike": {"s3:prefix": ["private/*"]}}
        self.put(self.deny("ListBucket", "", who="nobody", condition=inside))
        self.assert_user(lambda: os.listdir(private), DENIED)
        self.assert_user(lambda: os.rename(private, self.bucket / "public"), errno.EXDEV)

    def test_a_directory_is_not_renamed_to_where_its_listing_is_allowed(self):
        top = self.bucket / "d"
        top.mkdir()
        top.chmod(0o777)
        (top / "secret").mkdir(0o700)
        self.fill(top / "secret/file", mode=0o644)
        (top / "open-old").mkdir(0o700)
        inside = {"StringLike": {"s3:prefix": "d/open*"}}
        self.put(self.allow("ListBucket", "", who="nobody", condition=inside))
        self.assert_user(lambda: os.rename(top / "secret", top / "open"), errno.EXDEV)
        self.assert_user(lambda: os.rename(top / "open-old", top / "open-new"), ALLOWED)

    def test_a_directory_in_which_not_all_may_be_listed_is_not_renamed(self):
        top = self.bucket / "d"
        top.mkdir()
        top.chmod(0o777)
        (top / "secret").mkdir(0o700)
        self.fill(top / "secret/file", mode=0o644)
        os.chown(top, NOBODY, NOBODY)
        self.bucket.chmod(0o777)
        for condition in ({"StringNotEquals": {"s3:prefix": "d/secret/"}}, {"StringLike": {"s3:prefix": ["d/", "d/??/"]}}):
            self.put(self.allow("ListBucket", "", who="nobody", condition=condition))
            self.assert_user(lambda: os.listdir(top / "secret"), DENIED)
            self.assert_user(lambda: os.rename(top, self.bucket / "other"), errno.EXDEV)

    def test_an_open_directory_is_listed_as_it_was_opened_when_the_policy_goes(self):
        top = self.bucket / "d"
        top.mkdir(0o700)
        for name in ("shown", "hidden"):
            self.fill(top / name)
        self.put(self.allow("GetObject", "d/shown", who="nobody"))

        def listed(waits):
            become(NOBODY, NOBODY)
            descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
            if waits:
                wait_until(lambda: os.access(top / "shown", os.R_OK) is False, "it goes")
            return os.listdir(descriptor)

        self.assertEqual(in_child(lambda: listed(False)), ["shown"])
        timer = threading.Timer(0.5, lambda: self.fs.pail("policy", "delete", "bucket"))
        timer.start()
        self.assertNotIn("hidden", in_child(lambda: listed(True)))
        timer.join()

    def test_a_place_at_a_moment_goes_by_policies_that_came_later(self):
        secret = self.bucket / "secret"
        secret.mkdir(0o755)
        self.fill(secret / "x", "old", mode=0o644)
        time.sleep(0.05)
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("@%Y-%m-%dT%H:%M:%S.%fZ")
        time.sleep(0.05)
        (secret / "x").unlink()
        place = secret / ".versions" / moment
        held = os.open(place, os.O_PATH)
        self.addCleanup(os.close, held)
        self.assert_user(lambda: read(place / "x"), ALLOWED)
        self.put(self.deny("GetObject GetObjectVersion", "secret/*", who="nobody"))
        self.assert_user(lambda: read(place / "x"), DENIED)

    def test_a_moment_goes_by_the_path_of_then(self):
        secret = self.bucket / "secret"
        secret.mkdir(0o755)
        self.fill(secret / "x", "old", mode=0o644)
        closed = {"StringLike": {"s3:prefix": ["secret", "secret/*"]}}
        self.put(
            self.deny("*", "secret", "secret/*", who="nobody"),
            self.deny("ListBucket ListBucketVersions", "", who="nobody", condition=closed),
        )
        time.sleep(0.05)
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("@%Y-%m-%dT%H:%M:%S.%fZ")
        time.sleep(0.05)
        secret.rename(self.bucket / "open")
        now = self.bucket / "open"
        self.fill(now / "x", "public", mode=0o644)
        self.assert_user(lambda: read(now / "x"), ALLOWED)
        self.assert_user(lambda: os.listdir(now), ALLOWED)
        for then in (self.bucket / ".versions" / moment / "secret", now / ".versions" / moment):
            self.assertEqual((then / "x").read_text(), "old")
            self.assertIn(as_user(lambda t=then: read(t / "x")), (DENIED, errno.ENOENT))
            self.assert_user(lambda t=then: os.listdir(t), DENIED)
        for command in (("versions", "diff", "bucket", "--from"), ("rewind", "bucket", "--dry-run", "--to")):
            told = self.pail(*command, moment[1:], user=NOBODY, group=NOBODY, extra_groups=[], check=False)
            self.assertNotIn("secret/x", told.stdout)

    def test_a_version_is_one_of_all_names(self):
        for name in ("public", "private"):
            (self.bucket / name).mkdir(0o755)
        file = self.fill(self.bucket / "public/file", mode=0o644)
        os.link(file, self.bucket / "private/file")
        versions = self.bucket / ".versions/public/file"
        version = versions / os.listdir(versions)[0]
        self.assert_user(lambda: read(version), ALLOWED)
        self.put(self.deny("*", "private/*", who="nobody"))
        self.assert_user(lambda: read(file), DENIED)
        self.assert_user(lambda: read(version), DENIED)

    def test_paths_follow_renames_of_any_parent(self):
        deep = self.bucket / "one/two/three"
        deep.mkdir(parents=True)
        self.fill(deep / "file", mode=0o600)
        self.put(self.allow("GetObject", "moved/two/three/file", who="nobody"))
        self.assertNotEqual(as_user(lambda: read(deep / "file")), ALLOWED)
        os.rename(self.bucket / "one", self.bucket / "moved")
        self.assert_user(lambda: read(self.bucket / "moved/two/three/file"), ALLOWED)
        os.rename(self.bucket / "moved", self.bucket / "one")
        self.assertNotEqual(as_user(lambda: read(deep / "file")), ALLOWED)

    def test_moments_and_versions_are_under_the_policy(self):
        (self.bucket / "secret").mkdir()
        file = self.fill(self.bucket / "secret/file", mode=0o644)
        moment = os.listdir(self.bucket / ".versions/secret/file")[0].split("-")[0]
        then = self.bucket / ".versions" / ("@" + moment) / "secret/file"
        file.write_text("newer")
        self.assertEqual(read(then), b"content")
        self.assert_user(lambda: read(then), ALLOWED)
        self.put(self.deny("GetObjectVersion", "secret/*", who="nobody"))
        self.assert_user(lambda: read(then), DENIED)
        os.rename(file, self.bucket / "elsewhere")
        self.assert_user(lambda: read(then), DENIED)
        os.unlink(self.bucket / "elsewhere")
        self.assert_user(lambda: read(then), DENIED)
        self.assert_user(lambda: read(then), ALLOWED, user="daemon")


class Callers(PolicyTest):
    def test_root_is_bound_by_a_denial_but_can_take_it_back(self):
        file = self.fill(self.bucket / "file")
        self.put(self.deny("*", "", "*"))
        with self.assertRaises(FileNotFoundError):
            read(file)
        self.put(self.deny("GetObject", "*"))
        with self.assertRaises(PermissionError):
            read(file)
        self.assertIn("Deny", self.pail("policy", "get", "bucket").stdout)
        self.assertIn(b"Deny", os.getxattr(self.bucket, "user.s3.policy"))
        self.put()
        self.assertEqual(read(file), b"content")

    def test_only_the_account_changes_policies_until_one_allows_it(self):
        document = json.dumps({"Version": "2012-10-17", "Statement": [self.allow("GetObject", "*")]}).encode()
        act = lambda: os.setxattr(self.bucket, "user.s3.policy", document)
        self.assert_user(act, DENIED)
        self.assert_user(lambda: os.getxattr(self.bucket, "user.s3.policy"), DENIED)
        self.put(self.allow("PutBucketPolicy GetBucketPolicy", "", who="nobody"))
        self.assert_user(lambda: os.getxattr(self.bucket, "user.s3.policy"), ALLOWED)
        self.assert_user(act, DENIED, user="daemon")
        self.assert_user(act, ALLOWED)
        self.assertEqual(os.getxattr(self.bucket, "user.s3.policy"), document)

    def test_one_program_alone(self):
        self.bucket.chmod(0o777)
        copy = shutil.which("dd")
        only = {"StringNotEquals": {"pail:executable": os.path.realpath(copy)}}
        self.put(self.deny("PutObject", "*", condition=only))
        self.assert_user(lambda: create(self.bucket / "file"), DENIED)
        self.assertEqual(
            as_user(lambda: subprocess.run([copy, "if=/dev/zero", "of=%s/file" % self.bucket, "count=1"], check=True)), 0
        )

        # Where anybody mounts any program over that one, no program is it.
        def in_a_namespace_of_its_own(*command):
            become(NOBODY, NOBODY)
            return subprocess.run(["unshare", "--user", "--mount", *command], capture_output=True, check=False).returncode

        if in_child(lambda: in_a_namespace_of_its_own("true")) != 0:
            self.skipTest("no user namespaces for users here")
        writes = (copy, "if=/dev/zero", "of=%s/other" % self.bucket, "count=1")
        self.assertNotEqual(in_child(lambda: in_a_namespace_of_its_own(*writes)), 0)
        self.assertFalse((self.bucket / "other").exists())

    def test_a_change_holds_from_the_next_call_on(self):
        directory = self.bucket / "directory"
        directory.mkdir(0o755)
        file = self.fill(directory / "file", mode=0o644)
        below = {"StringLike": {"s3:prefix": ["directory/*"]}}
        closed = (
            self.deny("*", "directory/*", who="nobody"),
            self.deny("ListBucket", "", who="nobody", condition=below),
        )
        says_nothing = self.deny("*", "elsewhere/*", who="nobody")
        for round in range(20):
            # Without a policy nothing is decided that could be kept; under one that says nothing of them, it is.
            self.put(*([says_nothing] if round % 2 else []))
            for _ in range(2):  # whatever the kernel keeps, as root and as the user
                os.listdir(directory)
                os.stat(file)
                read(file)
                self.assert_user(lambda: (os.listdir(directory), os.stat(file), read(file)), ALLOWED)
            self.put(*closed)
            self.assertEqual(
                each_as_user(
                    {
                        "open": lambda: read(file),
                        "stat": lambda: os.stat(file),
                        "list": lambda: os.listdir(directory),
                    }
                ),
                {"open": errno.ENOENT, "stat": errno.ENOENT, "list": DENIED},
            )
            os.stat(file)
            read(file)
            self.assert_user(lambda: os.stat(file), errno.ENOENT)

    def test_users_without_a_login_name_are_anonymous(self):
        file = self.fill(self.bucket / "file")
        uid = 61234
        with self.assertRaises(KeyError):
            pwd.getpwuid(uid)
        anonymous = {"StringEquals": {"aws:PrincipalType": "Anonymous"}}
        self.put(self.allow("GetObject", "*", condition=anonymous))
        self.assertEqual(as_user(lambda: read(file), uid=uid, gid=uid), ALLOWED)
        self.assert_user(lambda: read(file), DENIED)


class Documents(PolicyTest):
    def test_a_policy_lasts_and_goes_with_its_bucket(self):
        self.put(self.allow("GetObject", "*", who="nobody"))
        file = self.fill(self.bucket / "file")
        before = os.getxattr(self.bucket, "user.s3.policy")
        self.fs.remount("allow_other")
        self.assertEqual(os.getxattr(self.bucket, "user.s3.policy"), before)
        self.assert_user(lambda: read(file), ALLOWED)
        self.assertNotIn("user.s3.policy", os.listxattr(self.bucket))
        self.pail("bucket", "delete", "bucket", "--purge", "--yes")
        self.bucket.mkdir()
        with self.assertRaises(OSError) as missing:
            os.getxattr(self.bucket, "user.s3.policy")
        self.assertEqual(missing.exception.errno, errno.ENODATA)
        self.assert_sound_store()

    def test_what_is_no_policy_is_refused_and_changes_nothing(self):
        self.put(self.allow("GetObject", "*", who="nobody"))
        before = os.getxattr(self.bucket, "user.s3.policy")
        for document, because in (
            ("{", "line 1"),
            ('{"Version": "2012-10-17",\n "Statement": [{"Effect": "Permit"}]}', "line 2, column 27.*Allow"),
            (json.dumps({"Statement": [self.allow("GetObjct", "*")]}), "did you mean"),
            (json.dumps({"Statement": [{**self.allow("GetObject", "*"), "Resource": "arn:aws:s3:::other/*"}]}), "bucket"),
            (
                json.dumps({"Statement": [self.allow("GetObject", "*", condition={"Bool": {"aws:ViaAWSService": "true"}})]}),
                "aws:viaawsservice",
            ),
        ):
            with self.subTest(document):
                result = self.pail("policy", "put", "bucket", "-", input=document, check=False)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stderr, "MalformedPolicy.*" + because)
                with self.assertRaises(OSError) as refused:
                    os.setxattr(self.bucket, "user.s3.policy", document.encode())
                self.assertEqual(refused.exception.errno, errno.EINVAL)
                self.assertEqual(os.getxattr(self.bucket, "user.s3.policy"), before)
        os.removexattr(self.bucket, "user.s3.policy")
        self.assertEqual(json.loads(self.pail("policy", "list", "--json").stdout)["policies"], [])

    def test_what_is_doubtful_about_a_policy_is_told_when_it_is_put(self):
        document = {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Deny",
                "Principal": {"AWS": "arn:aws:iam::%s:user/no-such-login" % self.account},
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::bucket/*",
            },
        }
        put = self.pail("policy", "put", "bucket", "-", input=json.dumps(document))
        self.assertIn("in force", put.stdout)
        self.assertIn("no user of this machine has the login name no-such-login", put.stderr)
        self.assertIn("what is below .versions can still be read", put.stderr)

    def test_editing_takes_a_terminal(self):
        result = self.pail("policy", "edit", "bucket", check=False, stdin=subprocess.DEVNULL)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("terminal", result.stderr)


if __name__ == "__main__":
    main()
