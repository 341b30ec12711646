#!/usr/bin/env python3
"""Block Public Access on a mount: each switch with real users, somebody without a login among them, in warm caches and from
the next system call on; what programs that copy make of it; and what `pail public` and `pail policy lint` say."""

import errno
import json
import os
import pwd
import stat
import subprocess
import tarfile

from file_calls import read
from mounted_store import PAIL, main
from other_users import as_user
from policy_bucket import BucketTest

ALLOWED, DENIED = 0, errno.EACCES
DAEMON, GAMES = (pwd.getpwnam(name).pw_uid for name in ("daemon", "games"))
ANONYMOUS = 3999999999
ACLS, IGNORE, POLICY, RESTRICT = (
    "--block-public-acls",
    "--ignore-public-acls",
    "--block-public-policy",
    "--restrict-public-buckets",
)


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class PublicAccessTest(BucketTest):
    def block(self, *switches, where="bucket"):
        verb = "put" if switches else "delete"
        self.pail("public-access-block", verb, where, *switches)

    def fill(self, path, file_mode=0o644, owner=0):
        path.write_text("content")
        path.chmod(file_mode)
        os.chown(path, owner, owner)
        return path

    def put_policy(self, *statements, check=True):
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        return self.pail("policy", "put", "bucket", "-", input=document, check=check)

    def everybody(self, actions, effect="Allow", who="*", **more):
        return {
            "Effect": effect,
            "Principal": who,
            "Action": ["s3:" + action for action in actions.split()],
            "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
            **more,
        }

    def assert_each(self, action, **expected):
        """What an action is for these users, by the name of each."""
        users = {"root": 0, "daemon": DAEMON, "games": GAMES, "anonymous": ANONYMOUS}
        for name, answer in expected.items():
            self.assertEqual(as_user(action, uid=users[name], gid=users[name]), answer, name)


class IgnorePublicAcls(PublicAccessTest):
    def test_others_have_nothing_and_everybody_else_what_is_theirs(self):
        directory = self.bucket / "directory"
        directory.mkdir(0o755)
        os.chown(directory, DAEMON, GAMES)
        file = self.fill(directory / "file", 0o644, DAEMON)
        os.chown(self.bucket, DAEMON, GAMES)
        before = {"root": ALLOWED, "daemon": ALLOWED, "games": ALLOWED, "anonymous": ALLOWED}
        actions = {
            "read": lambda: read(file),
            "list": lambda: os.listdir(directory),
            "stat": lambda: os.stat(file),
        }
        for _ in range(2):  # the second time from the kernel's caches
            for action in actions.values():
                self.assert_each(action, **before)
        for where in ("bucket", "--whole-store"):
            with self.subTest(where):
                self.block(IGNORE, where=where)
                for name, action in actions.items():
                    # The file's group is daemon's own.
                    games = DENIED if name == "read" else ALLOWED
                    self.assert_each(action, root=ALLOWED, daemon=ALLOWED, games=games, anonymous=DENIED)
                self.assert_each(lambda: os.listdir(self.fs.mountpoint), games=ALLOWED, anonymous=ALLOWED)
                self.block(where=where)
                for action in actions.values():
                    self.assert_each(action, **before)

    def test_it_holds_from_the_next_system_call_on_though_names_are_known(self):
        directory = self.bucket / "a"
        directory.mkdir(0o755)
        (directory / "b").mkdir(0o755)
        file = self.fill(directory / "b/file")
        for _ in range(3):
            self.assert_each(lambda: read(file), games=ALLOWED, anonymous=ALLOWED)
            self.block(IGNORE)
            self.assert_each(lambda: read(file), games=DENIED, anonymous=DENIED)
            read(file)  # root's names are not for others
            self.assert_each(lambda: os.stat(file), games=DENIED, anonymous=DENIED)
            self.block()

    def test_acls_too(self):
        file = self.fill(self.bucket / "file", 0o604)
        self.fs.run("setfacl", "-m", "u:%d:rwx" % GAMES, self.bucket)
        self.fs.run("setfacl", "-m", "u:%d:r" % GAMES, file)
        self.assert_each(lambda: read(file), games=ALLOWED, daemon=ALLOWED)
        self.block(IGNORE)
        self.assert_each(lambda: read(file), games=ALLOWED, daemon=DENIED, anonymous=DENIED)

    def test_a_policy_still_allows(self):
        file = self.fill(self.bucket / "file", 0o644)
        self.block(IGNORE)
        self.assert_each(lambda: read(file), games=DENIED)
        self.put_policy(self.everybody("GetObject ListBucket"))
        self.assert_each(lambda: read(file), games=ALLOWED, anonymous=ALLOWED)


class BlockPublicAcls(PublicAccessTest):
    def test_what_would_add_something_is_refused(self):
        shown, hidden = self.fill(self.bucket / "shown", 0o644), self.fill(self.bucket / "hidden", 0o640)
        self.block(ACLS)
        for path, wanted in ((hidden, 0o644), (hidden, 0o641), (shown, 0o666)):
            with self.assertRaises(PermissionError) as refused:
                path.chmod(wanted)
            self.assertEqual(refused.exception.errno, errno.EACCES)
        explained = self.pail("explain", "root", "chmod", "bucket/hidden", "--mode", "644", check=False)
        self.assertEqual(explained.returncode, 1)
        self.assertIn("BlockPublicAcls", explained.stdout)
        self.pail("explain", "root", "chmod", "bucket/hidden", "--mode", "660")
        shown.chmod(0o754)
        shown.chmod(0o640)
        with self.assertRaises(PermissionError):
            shown.chmod(0o644)
        self.assertNotEqual(self.fs.run("setfacl", "-m", "o::r", hidden, check=False).returncode, 0)
        self.fs.run("setfacl", "-m", "u:%d:r" % GAMES, hidden)
        self.assertNotEqual(self.fs.run("setfacl", "-d", "-m", "o::r", self.bucket, check=False).returncode, 0)
        self.fs.run("setfacl", "-d", "-m", "o::-,u:%d:rwx" % GAMES, self.bucket)
        for words in (
            ("public-read",),
            ("authenticated-read",),
            ("--grant", "AllUsers=READ"),
            ("--grant", "AllUsers=WRITE_ACP"),
            ("--grant", "AuthenticatedUsers=WRITE_ACP"),
        ):
            refused = self.pail("acl", "put", "bucket/hidden", *words, check=False)
            self.assertEqual(refused.returncode, 3, words)
            self.assertIn("BlockPublicAcls", refused.stderr)
        self.pail("acl", "put", "bucket/hidden", "--grant", "games=READ")
        self.block()
        hidden.chmod(0o644)

    def test_what_is_made_is_not_public(self):
        self.block(ACLS, where="--whole-store")
        os.umask(0)
        self.addCleanup(os.umask, 0o022)
        os.close(os.open(self.bucket / "file", os.O_CREAT | os.O_WRONLY, 0o666))
        (self.bucket / "directory").mkdir(0o1777)
        os.mkfifo(self.bucket / "fifo", 0o666)
        self.assertEqual(mode(self.bucket / "file"), 0o660)
        self.assertEqual(mode(self.bucket / "directory"), 0o1770)
        self.assertEqual(mode(self.bucket / "fifo"), 0o660)
        (self.fs.mountpoint / "another").mkdir(0o777)
        self.assertEqual(mode(self.fs.mountpoint / "another"), 0o770)
        self.assertEqual(mode(self.bucket), 0o755)

    def test_programs_that_copy(self):
        source = self.fs.directory / "source"
        source.mkdir()
        (source / "file").write_text("content")
        (source / "file").chmod(0o644)
        source.chmod(0o755)
        self.block(ACLS)
        self.fs.run("cp", "-r", source, self.bucket / "plain")
        self.assertEqual(mode(self.bucket / "plain/file"), 0o640)
        # To preserve a mode that is public is to make it public.
        preserving = self.fs.run("cp", "-rp", source, self.bucket / "preserved", check=False)
        self.assertEqual(preserving.returncode, 1)
        self.assertIn("Permission denied", preserving.stderr)
        self.assertEqual((self.bucket / "preserved/file").read_text(), "content")
        self.assertEqual(mode(self.bucket / "preserved/file") & 0o007, 0)
        (source / "file").chmod(0o640)
        source.chmod(0o750)
        self.fs.run("cp", "-rp", source, self.bucket / "narrow")
        self.assertEqual(mode(self.bucket / "narrow/file"), 0o640)
        archive = self.fs.directory / "archive.tar"
        (source / "file").chmod(0o644)
        with tarfile.open(archive, "w") as tar:
            tar.add(source, "source")
        archive.chmod(0o644)
        self.fs.directory.chmod(0o755)
        place = self.bucket / "place"
        place.mkdir(0o755)
        os.chown(place, DAEMON, DAEMON)
        unpack = ["tar", "--no-same-owner", "--no-same-permissions", "-xf", str(archive), "-C", str(place)]
        self.bucket.chmod(0o755)
        self.assertEqual(as_user(lambda: subprocess.run(unpack, check=True), uid=DAEMON, gid=DAEMON), 0)
        self.assertEqual((place / "source/file").read_text(), "content")
        self.assertEqual(mode(place / "source/file"), 0o640)

    def test_what_is_there_stays_and_is_moved_and_restored_as_it_is(self):
        file = self.fill(self.bucket / "file", 0o644)
        self.block(ACLS)
        file.rename(self.bucket / "moved")
        self.assertEqual(mode(self.bucket / "moved"), 0o644)
        (self.bucket / "moved").unlink()
        self.pail("versions", "undelete", str(self.bucket / "moved"))
        self.assertEqual(mode(self.bucket / "moved"), 0o644)


class PublicPolicies(PublicAccessTest):
    def test_none_can_be_put(self):
        self.block(POLICY)
        refused = self.put_policy(self.everybody("GetObject", Sid="Readers"), check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertRegex(refused.stderr, r'AccessDenied: statement 1 \("Readers"\) makes the policy public')
        document = json.dumps({"Version": "2012-10-17", "Statement": [self.everybody("GetObject")]})
        with self.assertRaises(PermissionError):
            os.setxattr(self.bucket, "user.s3.policy", document.encode())
        self.put_policy(self.everybody("GetObject", Condition={"NumericEquals": {"pail:uid": str(GAMES)}}))
        self.block()
        self.put_policy(self.everybody("GetObject"))
        self.block(POLICY)
        self.pail("policy", "get", "bucket")

    def test_what_one_allows_counts_for_users_of_the_account(self):
        file = self.fill(self.bucket / "file", 0o600)
        self.put_policy(self.everybody("GetObject ListBucket"))
        self.assert_each(lambda: read(file), games=ALLOWED, anonymous=ALLOWED)
        self.block(RESTRICT)
        self.assert_each(lambda: read(file), root=ALLOWED, games=ALLOWED, anonymous=DENIED)
        self.assert_each(lambda: os.listdir(self.bucket), anonymous=ALLOWED)  # by the mode
        self.bucket.chmod(0o750)
        self.assert_each(lambda: os.listdir(self.bucket), games=ALLOWED, anonymous=DENIED)
        self.put_policy(
            self.everybody("GetObject ListBucket", Condition={"NumericEquals": {"pail:uid": str(ANONYMOUS)}})
        )
        self.assert_each(lambda: read(file), games=DENIED, anonymous=ALLOWED)
        self.put_policy(self.everybody("GetObject"), self.everybody("GetObject", "Deny"))
        file.chmod(0o644)
        self.assert_each(lambda: read(file), games=DENIED, anonymous=DENIED)


class Commands(PublicAccessTest):
    def json_of(self, *words, status=0):
        result = self.pail(*words, "--json", check=False)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def assert_denied(self, command):
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr), (3, "pail: access denied\n"))

    def test_the_switches(self):
        self.assertFalse(any(self.json_of("public-access-block", "get", "bucket")["in_force"].values()))
        self.block(IGNORE, POLICY)
        self.block(RESTRICT, where="--whole-store")
        self.fs.remount("allow_other,suid,dev")
        shown = self.json_of("public-access-block", "get", "bucket")
        on = {"BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
        self.assertEqual(shown["own"], on)
        self.assertEqual(shown["in_force"], on | {"RestrictPublicBuckets": True})
        self.pail("public-access-block", "put", "bucket", "--all")
        self.assertTrue(all(self.json_of("public-access-block", "get", "bucket")["own"].values()))
        self.assertIn("Blocked in the whole store: RestrictPublicBuckets", self.pail("public").stdout)
        for words in (("get",), ("put", "bucket"), ("get", "bucket", "--whole-store"), ("delete",)):
            self.assertEqual(self.pail("public-access-block", *words, check=False).returncode, 2, words)
        for words in (("put", "bucket", "--all"), ("get", "--whole-store"), ("delete", "bucket")):
            command = [PAIL, "public-access-block", *words, "--store", str(self.fs.mountpoint)]
            self.assert_each(lambda c=command: self.assert_denied(c), daemon=ALLOWED)

    def test_what_is_public(self):
        self.fill(self.bucket / "shown", 0o644)
        self.fill(self.bucket / "hidden", 0o640)
        self.put_policy(self.everybody("GetObject", Sid="Readers"))
        (report,) = self.json_of("public", "bucket")["buckets"]
        self.assertEqual(report["policy"], {"exists": True, "public": True, "statement": 'statement 1 ("Readers")'})
        self.assertEqual((report["objects"], report["public_objects"]), (2, 1))
        self.assertEqual((report["directories"], report["public_directories"]), (1, 1))
        self.assertEqual([place["path"] for place in report["places"]], ["", "shown"])
        text = self.pail("public").stdout
        self.assertIn('policy: public, by statement 1 ("Readers")', text)
        self.assertIn("1 of 2 objects and 1 of 1 directory", text)
        self.assertIn("0644 r-- shown", text)
        self.block(IGNORE, RESTRICT)
        text = self.pail("public", "bucket").stdout
        self.assertIn("which do not count (IgnorePublicAcls)", text)
        self.assertIn("users of the account only (RestrictPublicBuckets)", text)

    def test_lint(self):
        self.fill(self.bucket / "closed", 0o600)
        self.fill(self.bucket / "open", 0o644)
        lint = self.json_of("policy", "lint", "--bucket", "bucket")
        self.assertEqual(lint["buckets"][0]["findings"], [])
        account = json.loads(self.pail("policy", "list", "--json").stdout)["account"]
        user = "arn:aws:iam::%s:user/" % account
        self.put_policy(
            self.everybody("GetObject", who={"AWS": [user + "games", user + "no-such-login"]}),
            self.everybody("GetObject*", "Deny", who={"AWS": user + "daemon"}),
        )
        lint = self.json_of("policy", "lint", "--all-buckets", status=1)
        (report,) = lint["buckets"]
        self.assertEqual((report["files"], report["all_files"]), (2, True))
        found = {one["message"]: one.get("paths") for one in report["findings"]}
        self.assertEqual(
            found,
            {
                "no user of this machine has the login name no-such-login": None,
                "allows user games to read what modes and ACLs do not": ["closed"],
                "denies user daemon to read what modes allow to all others": ["open"],
            },
        )
        text = self.pail("policy", "lint", "--bucket", "bucket", check=False).stdout
        self.assertIn("allows user games to read what modes and ACLs do not: 1 file\n  closed\n", text)
        self.assertIn("in 2 files", text)
        self.assertEqual(self.pail("policy", "lint", check=False).returncode, 2)
        document = self.fs.directory / "policy.json"
        document.write_text(json.dumps({"Statement": [self.everybody("GetObject*", "Deny")]}))
        self.pail("policy", "lint", str(document), "--bucket", "bucket")
        elsewhere = self.pail("policy", "lint", str(document), "--bucket", "other", check=False)
        self.assertIn('no resource is of the bucket "other"', elsewhere.stdout)


if __name__ == "__main__":
    main()
