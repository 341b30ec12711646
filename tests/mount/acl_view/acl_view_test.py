#!/usr/bin/env python3
"""ACLs in S3's words beside chmod(1), setfacl(1) and getfacl(1) on a mount, and Object Ownership: what one view changes the
other shows, and what a change takes away is gone with the next system call."""

import errno
import grp
import json
import os
import pwd
import stat

from mounted_store import PAIL, PAILFS, MountTest, main
from other_users import as_user, each_as_user

ALLOWED, DENIED = 0, errno.EACCES
# Accounts that every Debian has, one who owns files, and a uid without a name.
DAEMON, GAMES = (pwd.getpwnam(name).pw_uid for name in ("daemon", "games"))
OWNER, ANONYMOUS = 54321, 54322
AUTHENTICATED, LOG_DELIVERY = 4294967290, 4294967289


def read(path):
    with open(path, "rb") as file:
        return file.read()


class AclViewTest(MountTest):
    options = "allow_other,suid"

    def setUp(self):
        super().setUp()
        self.fs.mount(self.options)
        self.bucket = self.fs.bucket()
        self.bucket.chmod(0o755)

    def pail(self, *words, **keywords):
        return self.fs.run(PAIL, *words, cwd=self.fs.mountpoint, **keywords)

    def grants(self, path):
        """{who: permissions} as pail says, users and groups by number."""
        acl = json.loads(self.pail("acl", "get", path, "--json").stdout)

        def who(grantee):
            if grantee["type"] == "user":
                return str(grantee["uid"])
            return "group %d" % grantee["gid"] if grantee["type"] == "group" else grantee["type"]

        return {who(one["grantee"]): " ".join(one["permissions"]) for one in acl["grants"]}

    def fill(self, path, mode=0o600, owner=OWNER):
        path.write_text("content")
        os.chown(path, owner, owner)
        path.chmod(mode)
        return path

    def facl(self, path):
        return ",".join(self.fs.run("getfacl", "-cnpE", path).stdout.split())

    def mode(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def assert_user(self, action, expected, uid):
        self.assertEqual(as_user(action, uid=uid, gid=uid), expected)


class Views(AclViewTest):
    def test_what_chmod_and_setfacl_change_is_seen_in_grants(self):
        file = self.fill(self.bucket / "file", 0o644)
        acl = json.loads(self.pail("acl", "get", file, "--json").stdout)
        self.assertEqual(acl["owner"], {"type": "user", "uid": OWNER})
        self.assertEqual(
            self.grants(file), {"54321": "FULL_CONTROL", "group 54321": "READ", "AllUsers": "READ"}
        )
        file.chmod(0o400)
        self.assertEqual(self.grants(file), {"54321": "READ WRITE_ACP"})
        file.chmod(0o600)
        self.fs.run("setfacl", "-m", "u:%d:rw,g:%d:r" % (DAEMON, AUTHENTICATED), file)
        self.assertEqual(
            self.grants(file), {"54321": "FULL_CONTROL", str(DAEMON): "READ WRITE", "AuthenticatedUsers": "READ"}
        )
        file.chmod(0o640)  # the mask
        self.assertEqual(self.grants(file)[str(DAEMON)], "READ")
        shown = self.pail("acl", "get", file).stdout
        self.assertRegex(shown, r"(?m)^daemon +READ$")
        self.assertRegex(shown, r"(?m)^uid 54321 +FULL_CONTROL$")

    def test_what_is_granted_is_seen_in_the_mode_and_the_acl(self):
        file = self.fill(self.bucket / "file")
        directory = self.bucket / "directory"
        directory.mkdir(mode=0o700)
        self.pail("acl", "put", file, "public-read")
        self.assertEqual(self.mode(file), 0o644)
        self.pail("acl", "put", directory, "public-read-write")
        self.assertEqual(self.mode(directory), 0o777)
        self.pail("acl", "put", file, "--grant", "daemon=READ,WRITE", "--grant", "group:games=READ", "--grant", "AuthenticatedUsers=READ")
        self.assertEqual(
            self.facl(file),
            "user::rw-,user:%d:rw-,group::---,group:%d:r--,group:%d:r--,mask::rw-,other::---"
            % (DAEMON, grp.getgrnam("games").gr_gid, AUTHENTICATED),
        )
        self.assertEqual(self.mode(file), 0o660)
        self.assert_user(lambda: os.truncate(file, 3), ALLOWED, DAEMON)
        self.pail("acl", "put", file, "private")
        self.assertEqual(self.facl(file), "user::rw-,group::---,other::---")
        self.pail("acl", "put", "bucket", "log-delivery-write")
        self.assertEqual(self.facl(self.bucket).split(",")[2], "group:%d:-wx" % LOG_DELIVERY)

    def test_the_groups_of_s3_go_through_the_kernel(self):
        file = self.fill(self.bucket / "file")
        self.fs.run("setfacl", "-m", "g:%d:r,g:%d:w" % (AUTHENTICATED, LOG_DELIVERY), file)
        self.assertIn("group:%d:r--" % AUTHENTICATED, self.facl(file))
        self.assertIn("group:%d:-w-" % LOG_DELIVERY, self.facl(file))
        for uid, expected in ((DAEMON, ALLOWED), (GAMES, ALLOWED), (ANONYMOUS, DENIED)):
            self.assert_user(lambda: read(file), expected, uid)
            self.assert_user(lambda: os.truncate(file, 1), DENIED, uid)
        self.fs.run("cp", "-a", file, self.bucket / "copy")
        self.assertEqual(self.facl(self.bucket / "copy"), self.facl(file))

    def test_write_acp_is_for_chmod_and_for_pail(self):
        file = self.fill(self.bucket / "file")
        self.assert_user(lambda: os.chmod(file, 0o640), errno.EPERM, DAEMON)
        self.pail("acl", "put", file, "--grant", "daemon=WRITE_ACP")
        self.assert_user(lambda: os.chmod(file, 0o640), ALLOWED, DAEMON)
        self.assert_user(lambda: read(file), DENIED, DAEMON)
        self.assert_user(lambda: os.chown(file, DAEMON, DAEMON), errno.EPERM, DAEMON)
        self.assert_user(lambda: os.chmod(file, 0o640), errno.EPERM, GAMES)
        # The kernel lets nobody but owners and root set the attribute.
        attribute = os.getxattr(file, "system.posix_acl_access")
        self.assert_user(lambda: os.setxattr(file, "system.posix_acl_access", attribute), errno.EPERM, DAEMON)
        # Kept by chmod, kept over a remount, and never in the attribute.
        self.assertEqual(self.grants(file)[str(DAEMON)], "WRITE_ACP")
        self.assertIn("user:%d:---" % DAEMON, self.facl(file))
        self.fs.remount(self.options)
        self.assert_user(lambda: os.chmod(file, 0o600), ALLOWED, DAEMON)
        self.fs.run("setfacl", "-m", "u:%d:r" % GAMES, file)
        self.assert_user(lambda: os.chmod(file, 0o640), errno.EPERM, DAEMON)
        self.assertEqual(self.grants(file)[str(GAMES)], "READ")

    def test_a_change_holds_from_the_next_call_on(self):
        directory = self.bucket / "directory"
        directory.mkdir()
        file = self.fill(directory / "file", 0o755)

        def use():
            os.listdir(directory)
            os.stat(file)
            return read(file)

        for _ in range(20):
            self.pail("acl", "put", directory, "public-read")
            self.pail("acl", "put", file, "public-read")
            for _ in range(2):  # whatever the kernel keeps
                use()
                self.assert_user(use, ALLOWED, DAEMON)
            self.pail("acl", "put", file, "private")
            self.assertEqual(self.mode(file), 0o700)
            self.assert_user(lambda: read(file), DENIED, DAEMON)
            self.pail("acl", "put", directory, "private")
            self.assertEqual(
                each_as_user({"stat": lambda: os.stat(file), "list": lambda: os.listdir(directory)}, uid=DAEMON, gid=DAEMON),
                {"stat": DENIED, "list": DENIED},
            )

    def test_who_may_not_is_told(self):
        file = self.fill(self.bucket / "file", 0o644)

        def put():
            result = self.pail("acl", "put", file, "private", check=False)
            if result.returncode != 0:
                raise PermissionError(errno.EPERM, result.stderr)

        self.assert_user(put, errno.EPERM, DAEMON)
        self.assertEqual(self.mode(file), 0o644)
        self.assert_user(put, ALLOWED, OWNER)
        for words, message in (
            (("private", "--grant", "daemon=READ"), "excludes"),
            ((), "canned"),
            (("--grant", "daemon"), "WHO=PERMISSION"),
            (("--grant", "daemon=EXECUTE"), "known: READ"),
            (("--grant", "daemon=READ_ACP"), "READ_ACP alone"),
            (("--grant", "no-such-user=READ"), "no user"),
            (("--grant", "group:no-such-group=READ"), "no group"),
            (("--grant", "arn:aws:iam::000000000000:user/daemon=READ"), "this store's account"),
            (("public",), "known: private"),
            (("log-delivery-write",), "buckets"),
        ):
            result = self.pail("acl", "put", file, *words, check=False)
            self.assertNotEqual(result.returncode, 0, words)
            self.assertIn(message, result.stderr)
        self.assertEqual(self.mode(file), 0o600)

    def test_who_is_named_by_arn_and_uri(self):
        file = self.fill(self.bucket / "file")
        account = json.loads(self.pail("policy", "list", "--json").stdout)["account"]
        arn = "arn:aws:iam::%s:user/daemon" % account
        self.pail(
            "acl", "put", file, "--grant", arn + "=READ",
            "--grant", "http://acs.amazonaws.com/groups/global/AuthenticatedUsers=READ",
            "--grant", "arn:aws:iam::%s:root=FULL_CONTROL" % account, "--grant", "user:%d=READ" % ANONYMOUS,
        )  # fmt: skip
        acl = json.loads(self.pail("acl", "get", file, "--json").stdout)
        named = {one["grantee"].get("uid"): one for one in acl["grants"]}
        self.assertEqual(named[DAEMON]["grantee"], {"type": "user", "uid": DAEMON, "name": "daemon", "arn": arn})
        self.assertEqual(named[0]["permissions"], ["FULL_CONTROL"])
        self.assertNotIn("arn", named[ANONYMOUS]["grantee"])
        self.assertIn("AuthenticatedUsers", self.grants(file))

    def test_a_closed_store_answers_too(self):
        self.fill(self.bucket / "file")
        self.fs.unmount()
        key = ("--key-file", self.fs.key)
        self.fs.pail("acl", "put", "bucket/file", "public-read", *key)
        self.assertIn("AllUsers", self.fs.pail("acl", "get", "bucket/file", *key).stdout)
        self.fs.pail("ownership", "bucket", "BucketOwnerPreferred", *key)
        self.fs.mount(self.options)
        self.assertEqual(self.mode(self.bucket / "file"), 0o644)
        self.assertIn("BucketOwnerPreferred", self.pail("bucket", "show", "bucket").stdout)
        self.assert_sound_store()


class Ownership(AclViewTest):
    def own(self, value):
        self.pail("ownership", "bucket", value)

    def test_without_acls_modes_are_metadata(self):
        directory = self.bucket / "directory"
        directory.mkdir()
        file = self.fill(directory / "file", 0o666)
        program = self.fill(directory / "program", 0o755)
        program.write_text("#!/bin/sh\nexit 0\n")

        def use():
            os.listdir(directory)
            os.stat(file)
            return read(file)

        for _ in range(10):
            self.own("ObjectWriter")
            for uid in (DAEMON, OWNER):
                self.assert_user(use, ALLOWED, uid)
            use()
            self.own("BucketOwnerEnforced")
            for uid in (DAEMON, OWNER):
                self.assertEqual(
                    each_as_user(
                        {"open": lambda: read(file), "stat": lambda: os.stat(file), "list": lambda: os.listdir(directory)},
                        uid=uid,
                        gid=uid,
                    ),
                    dict.fromkeys(("open", "stat", "list"), DENIED),
                )
            use()
            self.assert_user(lambda: os.stat(file), DENIED, DAEMON)
        self.assertEqual(self.grants(file), {"0": "FULL_CONTROL"})
        self.assertIn("ACLs decide nothing", self.pail("acl", "get", file).stdout)
        refused = self.pail("acl", "put", file, "public-read", check=False)
        self.assertIn("AccessControlListNotSupported", refused.stderr)
        # What runs is what has an x bit; root copies faithfully.
        self.fs.run(program)
        program.chmod(0o644)
        with self.assertRaises(PermissionError):
            self.fs.run(program)
        self.fs.run("setfacl", "-m", "u:%d:rw" % DAEMON, file)
        self.fs.run("cp", "-a", directory, self.bucket / "copy")
        self.assertEqual(self.facl(self.bucket / "copy/file"), self.facl(file))
        self.assertEqual(os.stat(self.bucket / "copy/file").st_uid, OWNER)
        self.assert_user(lambda: read(file), DENIED, DAEMON)
        # A policy is what lets others in, and decides what they do.
        allow = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"],
                    "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
                }
            ],
        }
        self.pail("policy", "put", "bucket", "-", input=json.dumps(allow))
        self.assert_user(use, ALLOWED, DAEMON)
        new = directory / "new"
        self.assert_user(lambda: new.write_text("x"), ALLOWED, DAEMON)
        self.assert_user(lambda: os.chmod(new, 0o600), ALLOWED, DAEMON)
        self.assert_user(lambda: os.unlink(new), DENIED, DAEMON)
        self.pail("policy", "delete", "bucket")
        self.assert_user(lambda: os.stat(new), DENIED, DAEMON)
        self.own("ObjectWriter")
        self.assert_user(lambda: os.stat(new), ALLOWED, GAMES)
        self.assert_sound_store()

    def test_what_the_bucket_owner_is_given_becomes_his(self):
        self.bucket.chmod(0o777)
        file = self.fill(self.bucket / "file")
        os.stat(file)
        self.own("BucketOwnerPreferred")

        def give():
            self.pail("acl", "put", file, "bucket-owner-full-control")

        self.assert_user(give, ALLOWED, OWNER)
        self.assertEqual(os.stat(file).st_uid, 0)
        self.assert_user(lambda: read(file), DENIED, OWNER)

    def test_only_the_account_sets_it(self):
        def own():
            result = self.pail("ownership", "bucket", "BucketOwnerEnforced", check=False)
            if result.returncode != 0:
                raise PermissionError(errno.EPERM, result.stderr)

        self.assert_user(own, errno.EPERM, DAEMON)
        self.assertIn("ObjectWriter", self.pail("ownership", "bucket").stdout)
        self.assertNotEqual(self.pail("ownership", "bucket", "Nobody", check=False).returncode, 0)


class BucketOwner(AclViewTest):
    """The owner of the store's directory, where that is not root."""

    def setUp(self):
        super().setUp()
        self.fs.unmount()
        self.fs.run("chown", "-R", "%d:%d" % (DAEMON, DAEMON), self.fs.store)
        self.fs.mount(self.options)

    def try_mount(self):
        """Whether it can be mounted; it is unmounted again."""
        words = (self.fs.store, self.fs.mountpoint, "-o", self.fs.options(self.options))
        tried = self.fs.run(PAILFS, *words, check=False)
        if tried.returncode == 0:
            self.fs.run("umount", self.fs.mountpoint)
        return tried.returncode == 0

    def test_is_all_that_root_is_to_what_is_in_the_store(self):
        """Root's daemon has his rights: a link in the place of a file leads to nothing that is not his."""
        self.fs.unmount()
        elsewhere = self.fs.directory / "elsewhere"
        elsewhere.write_text("kept" * 5000)
        elsewhere.chmod(0o600)
        for name, mounts in (("reserve", True), ("lock", False), ("index/lock.mdb", False), ("index/data.mdb", False)):
            file = self.fs.store / name
            file.rename(self.fs.directory / "aside")
            file.symlink_to(elsewhere)
            self.assertEqual(self.try_mount(), mounts, name)
            self.assertEqual(elsewhere.read_text(), "kept" * 5000)
            self.assertEqual((elsewhere.stat().st_uid, elsewhere.stat().st_mode & 0o777), (0, 0o600))
            file.unlink()
            (self.fs.directory / "aside").rename(file)
        self.assertTrue(self.try_mount())

    def test_backs_up_with_his_own_rights(self):
        self.fill(self.bucket / "file", 0o644)
        him = {"user": DAEMON, "group": DAEMON, "extra_groups": []}
        private = self.fs.directory / "private"
        private.mkdir(0o700)
        refused = self.fs.run(PAIL, "backup", private / "backup", "--store", self.fs.store, check=False, **him)
        self.assertIn("Permission denied", refused.stderr)
        self.assertEqual(os.listdir(private), [])
        his = self.fs.directory / "his"
        his.mkdir()
        os.chown(his, DAEMON, DAEMON)
        self.fs.run(PAIL, "backup", his / "backup", "--store", self.fs.store, **him)
        self.assertEqual({path.stat().st_uid for path in (his / "backup").rglob("*")}, {DAEMON})
        self.fs.run(PAIL, "backup", private / "backup", "--store", self.fs.store)
        self.assertEqual({path.stat().st_uid for path in (private / "backup").rglob("*")}, {0})
        self.assertEqual({path.stat().st_uid for path in self.fs.store.rglob("*")}, {DAEMON})
        refused = self.fs.run(PAIL, "restore", private / "backup", his, check=False)
        self.assertIn("run this as that user", refused.stderr)

    def test_uses_the_store_himself_after_root_has_mounted_it(self):
        self.fs.unmount()
        (self.fs.store / "index/data.mdb").unlink()
        self.fs.mount(self.options)
        self.fill(self.bucket / "file", 0o644)
        self.fs.unmount()
        others = [path for path in self.fs.store.rglob("*") if path.stat().st_uid != DAEMON or path.stat().st_gid != DAEMON]
        self.assertEqual(others, [])
        key = self.fs.directory / "his-key"
        key.write_bytes(self.fs.key.read_bytes())
        key.chmod(0o600)
        os.chown(key, DAEMON, DAEMON)
        him = {"user": DAEMON, "group": DAEMON, "extra_groups": []}
        self.fs.run(PAIL, "check", "--store", self.fs.store, "--key-file", key, **him)
        # A link in place of the lock leads nobody's writing elsewhere.
        elsewhere = self.fs.directory / "elsewhere"
        elsewhere.write_text("kept")
        (self.fs.store / "lock").unlink()
        (self.fs.store / "lock").symlink_to(elsewhere)
        refused = self.fs.run(PAIL, "check", "--store", self.fs.store, "--key-file", key, check=False, **him)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(elsewhere.read_text(), "kept")
        (self.fs.store / "lock").unlink()

    def test_removes_and_closes_what_others_made(self):
        self.bucket.chmod(0o1777)
        directory = self.bucket / "directory"
        directory.mkdir()
        file, other = (self.fill(directory / name, 0o644) for name in ("file", "other"))
        os.chown(directory, OWNER, OWNER)
        directory.chmod(0o1700)
        self.assert_user(lambda: os.listdir(directory), DENIED, GAMES)
        results = each_as_user(
            {
                "list": lambda: os.listdir(directory),
                "close": lambda: os.chmod(other, 0o600),
                "read": lambda: read(other),
                "make": lambda: (directory / "new").touch(),
                "replace": lambda: os.rename(file, other),
                "give away": lambda: os.chown(other, DAEMON, DAEMON),
                "remove": lambda: os.unlink(file),
                "grant": lambda: self.pail("acl", "put", other, "bucket-owner-read"),
                "read then": lambda: read(other),
                "remove all": lambda: (os.unlink(other), os.rmdir(directory)),
            },
            uid=DAEMON,
            gid=DAEMON,
        )
        expected = dict.fromkeys(results, ALLOWED)
        expected.update({"read": DENIED, "make": DENIED, "replace": DENIED, "give away": errno.EPERM})
        self.assertEqual(results, expected)

    def test_what_he_closed_himself_is_closed(self):
        directory = self.bucket / "directory"
        directory.mkdir()
        (directory / "file").touch()
        os.chown(directory, DAEMON, DAEMON)
        directory.chmod(0o500)
        self.assert_user(lambda: os.unlink(directory / "file"), DENIED, DAEMON)
        self.assert_user(lambda: os.chmod(directory, 0o700), ALLOWED, DAEMON)
        self.assert_user(lambda: os.unlink(directory / "file"), ALLOWED, DAEMON)

    def test_is_let_where_acls_decide_nothing(self):
        file = self.fill(self.bucket / "file", 0o600)
        self.assert_user(lambda: read(file), DENIED, DAEMON)
        self.pail("ownership", "bucket", "BucketOwnerEnforced")
        self.assert_user(lambda: read(file), ALLOWED, DAEMON)
        self.assert_user(lambda: read(file), DENIED, OWNER)


class WithoutWriteback(AclViewTest):
    options = "allow_other,writeback=off"

    test_a_change_holds_from_the_next_call_on = Views.test_a_change_holds_from_the_next_call_on


class WithoutAllowOther(AclViewTest):
    options = ""

    def test_the_new_mode_is_seen_at_once(self):
        file = self.fill(self.bucket / "file")
        for canned, mode in (("public-read", 0o644), ("private", 0o600)) * 10:
            os.stat(file)
            self.pail("acl", "put", file, canned)
            self.assertEqual(self.mode(file), mode)


if __name__ == "__main__":
    main()
