#!/usr/bin/env python3
"""`pail explain` against the real system calls of real users, and the last denial of a process as an attribute."""

import errno
import json
import os
import pwd
import random
import shutil
import struct
import subprocess
import threading

from mounted_store import PAIL, main
from other_users import become, errno_of, in_child
from policy_bucket import BucketTest

USERS = {name: pwd.getpwnam(name).pw_uid for name in ("nobody", "daemon", "bin")}
GROUP = 4242  # of nobody in some cases
LAST_DENIAL = "user.s3.last-denial"
NOTE, TAG = "user.pail-explain", "user.s3.tag.pail-explain"
ERRORS = {0: None, errno.EACCES: "EACCES", errno.EPERM: "EPERM", errno.ENOENT: "ENOENT"}


def closed(descriptor):
    os.close(descriptor)


def missing_is_fine(call, path, name):
    try:
        call(path, name)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


def acl(owner, user, uid, group, mask, other):
    """The value of system.posix_acl_access (acl(5), <linux/posix_acl_xattr.h>)."""
    entries = [(1, owner, 0xFFFFFFFF), (2, user, uid), (4, group, 0xFFFFFFFF), (16, mask, 0xFFFFFFFF), (32, other, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


class ExplainTest(BucketTest):
    def setUp(self):
        super().setUp()
        self.account = json.loads(self.pail("policy", "list", "--json").stdout)["account"]

    def put(self, *statements):
        if statements:
            text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1)
            os.setxattr(self.bucket, "user.s3.policy", text.encode())
        elif errno_of(os.getxattr, self.bucket, "user.s3.policy") == 0:
            os.removexattr(self.bucket, "user.s3.policy")

    def statement(self, effect, actions, keys, who="*", **more):
        principal = "*" if who == "*" else {"AWS": "arn:aws:iam::%s:user/%s" % (self.account, who)}
        resources = ["arn:aws:s3:::bucket" + ("/" + key if key else "") for key in keys]
        actions = ["s3:" + action for action in actions]
        return {"Effect": effect, "Principal": principal, "Action": actions, "Resource": resources, **more}

    def tree(self):
        top = self.bucket / "dir"
        if top.exists():
            shutil.rmtree(top)
        top.mkdir()
        for text in ("#!/bin/true\n", "#!/bin/true\n\n"):
            (top / "file").write_text(text)
        (top / "sub").mkdir()
        (top / "link").symlink_to("file")
        top.chmod(0o755)
        (top / "sub").chmod(0o755)
        (top / "file").chmod(0o644)
        return top

    def calls(self):
        """Operation: the paths in the bucket that it takes, and the call itself."""
        top = self.bucket / "dir"
        file, sub, new = top / "file", top / "sub", top / "new"
        versions = top / ".versions/file"
        names = sorted(name for name in os.listdir(versions))
        older, newest = versions / names[-2], versions / names[-1]
        mode = file.stat().st_mode & 0o777
        return {
            "lookup": (["dir/link"], lambda: os.lstat(top / "link")),
            "stat": (["dir/link"], lambda: os.stat(top / "link")),
            "list": (["dir/sub"], lambda: os.listdir(sub)),
            "chdir": (["dir/sub"], lambda: os.chdir(sub)),
            "read": (["dir/link"], lambda: closed(os.open(top / "link", os.O_RDONLY))),
            "write": (["dir/file"], lambda: closed(os.open(file, os.O_WRONLY))),
            "truncate": (["dir/file"], lambda: os.truncate(file, 0)),
            "exec": (["dir/file"], lambda: subprocess.run([file], check=False)),
            "create": (["dir/new"], lambda: closed(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))),
            "mkdir": (["dir/new"], lambda: os.mkdir(new)),
            "symlink": (["dir/new"], lambda: os.symlink("x", new)),
            "unlink": (["dir/file"], lambda: os.unlink(file)),
            "rmdir": (["dir/sub"], lambda: os.rmdir(sub)),
            "rename": (["dir/file", "dir/sub/moved"], lambda: os.rename(file, sub / "moved")),
            "link": (["dir/file", "dir/sub/second"], lambda: os.link(file, sub / "second")),
            "chmod": (["dir/file"], lambda: os.chmod(file, mode)),
            "setfacl": (["dir/file"], lambda: os.setxattr(file, "system.posix_acl_access", acl(6, 4, 1, 4, 4, 4))),
            "chown": (["dir/file"], lambda: os.chown(file, 1 if file.stat().st_uid == 0 else 0, -1)),
            "chgrp": (["dir/file"], lambda: os.chown(file, -1, os.getgid())),
            "utime": (["dir/file"], lambda: os.utime(file, (1, 1))),
            "getxattr": (["dir/file"], lambda: missing_is_fine(os.getxattr, file, NOTE)),
            "setxattr": (["dir/file"], lambda: os.setxattr(file, NOTE, b"")),
            "tag-get": (["dir/file"], lambda: missing_is_fine(os.getxattr, file, TAG)),
            "tag-set": (["dir/file"], lambda: os.setxattr(file, TAG, b"")),
            "tag-remove": (["dir/file"], lambda: missing_is_fine(os.removexattr, file, TAG)),
            "versions-list": (["dir/file"], lambda: os.listdir(versions)),
            "version-read": (["dir/file"], lambda: closed(os.open(newest, os.O_RDONLY))),
            "version-remove": (["dir/file"], lambda: os.unlink(older)),
        }

    def explain(self, user, operation, *paths, groups=(), status=None):
        words = [word for gid in groups for word in ("--group", gid)]
        paths = [self.fs.mountpoint / "bucket" / path for path in paths]
        result = self.pail("explain", user, operation, *paths, *words, "--json", check=False)
        out = json.loads(result.stdout)
        self.assertNotIn("error", set(out) - {"error"} if "decision" in out else out, result.stderr)
        self.assertEqual(result.returncode, 0 if out["decision"] == "allowed" else 1)
        return out

    def compare(self, operation, uid, gid, groups, what):
        """Explains first, as that changes nothing, and calls then."""
        paths, call = self.calls()[operation]
        told = self.explain(uid, operation, *paths, groups=(gid, *groups))

        def act():
            become(uid, gid, groups)
            return errno_of(call)

        number = in_child(act)
        self.assertIn(number, ERRORS, (operation, what, told))
        self.assertEqual(told["error"], ERRORS[number], (operation, uid, gid, groups, what, told))
        expected = {None: "allowed", "ENOENT": told["decision"]}.get(told["error"], "denied")
        self.assertEqual(told["decision"], expected, (operation, what))
        return told


class Table(ExplainTest):
    """Each operation: allowed and denied by mode bits, by an ACL and by policies, as the real call is."""

    ACTIONS = {
        "lookup": "ListBucket",
        "stat": "ListBucket",
        "list": "ListBucket",
        "chdir": "ListBucket",
        "read": "GetObject",
        "exec": "GetObject",
        "getxattr": "GetObject",
        "tag-get": "GetObjectTagging",
        "tag-set": "PutObjectTagging",
        "tag-remove": "DeleteObjectTagging",
        "unlink": "DeleteObject",
        "rmdir": "DeleteObject",
        "rename": "DeleteObject",
        "chmod": "PutObjectAcl",
        "setfacl": "PutObjectAcl",
        "chown": "PutObjectAcl",
        "chgrp": "PutObjectAcl",
        "utime": "PutObjectAcl",
        "versions-list": "ListBucketVersions",
        "version-read": "GetObjectVersion",
        "version-remove": "DeleteObjectVersion",
    }

    def operations(self):
        self.tree()
        return list(self.calls())

    def check_all(self, prepare, uid, gid=None, groups=()):
        told = {}
        for operation in self.operations():
            with self.subTest(operation):
                self.put()
                prepare(self.tree(), operation)
                told[operation] = self.compare(operation, uid, gid if gid is not None else uid, groups, prepare.__name__)
        self.put()
        return told

    def test_by_mode_bits(self):
        def others(top, _):
            del top

        def owner(top, _):
            for path in (top, top / "file", top / "sub"):
                os.chown(path, USERS["nobody"], 0)
            (top / "file").chmod(0o700)

        def group(top, _):
            for path in (top, top / "file", top / "sub"):
                os.chown(path, 0, GROUP)
                path.chmod(0o770)

        def closed_directory(top, _):
            top.chmod(0o700)

        told = self.check_all(others, USERS["nobody"])
        self.assertEqual(told["read"]["decision"], "allowed")
        self.assertIn("others have r--, w is missing", told["write"]["because"])
        self.assertIn("mode 0644 of bucket/dir/file (owner root, group root)", told["write"]["because"])
        self.assertIn("only the owner of bucket/dir/file, root, may", told["chmod"]["because"])
        told = self.check_all(owner, USERS["nobody"])
        self.assertIn("the owner has rwx", told["write"]["because"])
        told = self.check_all(group, USERS["nobody"], groups=(GROUP,))
        self.assertIn("the group has rwx", told["create"]["because"])
        self.assertEqual(self.check_all(group, USERS["nobody"])["create"]["decision"], "denied")
        told = self.check_all(closed_directory, USERS["nobody"])
        for operation in told:
            self.assertEqual(told[operation]["decision"], "denied", operation)
        self.assertIn("mode 0700 of bucket/dir", told["read"]["because"])
        self.assertEqual(told["read"]["steps"][-1]["call"], "lookup")
        told = self.check_all(closed_directory, 0)
        self.assertIn("uid 0 passes", told["write"]["because"])
        self.assertIn("nobody has x", told["exec"]["because"])

    def test_by_an_acl(self):
        def named(top, _):
            for path in (top, top / "file", top / "sub"):
                os.setxattr(path, "system.posix_acl_access", acl(7, 7, USERS["nobody"], 0, 7, 0))

        told = self.check_all(named, USERS["nobody"])
        self.assertIn("and ACL of bucket/dir/file", told["write"]["because"])
        self.assertIn("user nobody has, within the mask, rwx", told["write"]["because"])
        self.assertEqual(self.check_all(named, USERS["bin"])["write"]["decision"], "denied")

    def test_sticky(self):
        top = self.tree()
        top.chmod(0o1777)
        told = self.compare("unlink", USERS["nobody"], USERS["nobody"], (), "sticky")
        self.assertIn("the directory bucket/dir is sticky", told["because"])
        # As far as the kernel goes FUSE has no sticky bits: it is the store's rule, and policies go before it.
        self.put(self.statement("Allow", ["DeleteObject"], ["*"], "nobody", Sid="Theirs"))
        told = self.compare("unlink", USERS["nobody"], USERS["nobody"], (), "sticky")
        self.assertEqual(told["decision"], "allowed")
        self.assertIn("(Theirs)", told["because"])

    def test_a_policy_allows(self):
        def allows(top, operation):
            for path in (top / "file", top / "sub"):
                path.chmod(0o700)
            action = self.ACTIONS.get(operation, "PutObject")
            self.put(
                self.statement("Allow", ["ListMultipartUploadParts"], ["*"]),
                self.statement("Allow", [action, "PutObject"], ["", "*"], "nobody", Sid="Theirs"),
            )

        told = self.check_all(allows, USERS["nobody"])
        for operation in ("read", "list", "write", "create", "unlink", "chmod", "version-read"):
            self.assertEqual(told[operation]["decision"], "allowed", operation)
            self.assertIn("statement 2 (Theirs) of the policy of bucket bucket, line ", told[operation]["because"])
        told = self.check_all(allows, USERS["bin"])
        self.assertIn("no policy speaks of it; mode 0700", told["read"]["because"])

    def test_a_policy_denies(self):
        def denies(top, operation):
            for path in (top, top / "file", top / "sub"):
                os.chown(path, USERS["nobody"], 0)
            action = self.ACTIONS.get(operation, "PutObject")
            self.put(
                self.statement("Allow", ["*"], ["", "*"], "nobody"),
                self.statement("Deny", [action], ["", "*"], "nobody", Sid="NoMore"),
            )

        told = self.check_all(denies, USERS["nobody"])
        for operation in ("read", "write", "create", "unlink", "chmod", "setxattr"):
            self.assertEqual(told[operation]["decision"], "denied", operation)
            self.assertIn("statement 2 (NoMore)", told[operation]["because"])
        asked = told["read"]["steps"][-1]["checks"][-1]
        self.assertEqual(asked["decided_by"], "policy")
        self.assertEqual(asked["policies"][-1]["resource"], "arn:aws:s3:::bucket/dir/file")
        self.assertEqual(asked["policies"][-1]["outcome"], "ExplicitDeny")

    def test_hidden_names_are_explained_to_root(self):
        self.tree()
        below = {"Condition": {"StringLike": {"s3:prefix": "dir/*"}}}
        self.put(
            self.statement("Deny", ["*"], ["dir/*"], "nobody"),
            self.statement("Deny", ["ListBucket"], [""], "nobody", Sid="Away", **below),
        )
        told = self.compare("read", USERS["nobody"], USERS["nobody"], (), "hidden")
        self.assertEqual((told["decision"], told["error"]), ("denied", "ENOENT"))
        self.assertIn("statement 2 (Away)", told["because"])
        self.assertIn("names are hidden", told["because"])
        told = self.compare("create", USERS["nobody"], USERS["nobody"], (), "hidden")
        self.assertEqual((told["decision"], told["error"]), ("denied", "EACCES"))
        self.assertIn("statement 2 (Away)", told["because"])

    def test_names_of_s3(self):
        self.tree()
        for action, operation in {
            "s3:GetObject": "read",
            "s3:PutObject": "write",
            "s3:DeleteObject": "unlink",
            "s3:PutObjectAcl": "chmod",
            "s3:GetObjectVersion": "version-read",
        }.items():
            self.assertEqual(self.explain("nobody", action, "dir/file")["steps"][-1]["call"], operation)
        self.assertEqual(self.explain("nobody", "s3:PutObject", "dir/none")["steps"][-1]["call"], "create")
        self.assertEqual(self.explain("nobody", "s3:DeleteObject", "dir/sub")["steps"][-1]["call"], "rmdir")
        self.assertEqual(self.explain("nobody", "s3:GetBucketPolicy", "")["decision"], "denied")


class Random(ExplainTest):
    CASES = 300

    def test_what_is_explained_is_what_happens(self):
        seed = int(os.environ.get("PAILFS_TEST_SEED", "20261128"))
        choose = random.Random(seed)
        decisions = {"allowed": 0, "denied": 0, "failed": 0}
        operations = None
        for number in range(self.CASES):
            self.put()
            top = self.tree()
            operations = operations or sorted(self.calls())
            operation = choose.choice(operations)
            for path in (top, top / "file", top / "sub"):
                os.chown(path, choose.choice([0, *USERS.values()]), choose.choice([0, GROUP, *USERS.values()]))
                path.chmod(choose.choice([0o777, 0o755, 0o711, 0o750, 0o770, 0o707, 0o700, 0o644, 0o666]))
                if choose.random() < 0.2:
                    bits = [choose.randrange(8) for _ in range(5)]
                    user = choose.choice(list(USERS.values()))
                    os.setxattr(path, "system.posix_acl_access", acl(bits[0], bits[1], user, *bits[2:]))
            statements = []
            for _ in range(choose.choice([0, 0, 1, 2, 3])):
                actions = choose.sample(["*", "GetObject*", "PutObject", "PutObjectAcl", "DeleteObject*", "ListBucket*"], 2)
                keys = choose.choice([["", "*"], ["dir/*"], ["dir/file"], ["dir/sub", "dir/sub/*"], [""], ["dir*"]])
                who = choose.choice(["*", *USERS])
                statements.append(self.statement(choose.choice(["Allow", "Allow", "Deny"]), actions, keys, who))
            name = choose.choice(list(USERS))
            uid = choose.choice([USERS[name]] * 9 + [0])
            gid = choose.choice([USERS[name], GROUP])
            groups = choose.choice([(), (GROUP,), tuple(USERS.values())])
            call = self.calls()  # before a policy shuts root out of .versions
            self.put(*[one for one in statements if one["Effect"] == "Allow" or one["Principal"] != "*"])
            self.calls = lambda call=call: call
            what = "case %d of seed %d: %s" % (number, seed, json.dumps(statements))
            decisions[self.compare(operation, uid, gid, groups, what)["decision"]] += 1
            del self.calls
        self.assertGreater(decisions["allowed"], self.CASES // 6, decisions)
        self.assertGreater(decisions["denied"], self.CASES // 6, decisions)


class Asking(ExplainTest):
    """Who may ask, and what of."""

    def ask_as(self, uid, *words, gid=None):
        def act():
            become(uid, uid if gid is None else gid)
            result = subprocess.run([PAIL, "explain", *map(str, words)], capture_output=True, text=True, check=False)
            return [result.returncode, result.stdout, result.stderr]

        return in_child(act)

    def test_users_ask_about_themselves_only(self):
        top = self.tree()
        self.put(self.statement("Deny", ["GetObject"], ["dir/file"], "nobody", Sid="Mine"))
        status, out, _ = self.ask_as(USERS["nobody"], "nobody", "read", top / "file", "--json")
        told = json.loads(out)
        self.assertEqual((status, told["decision"]), (1, "denied"))
        self.assertIn("statement 1 (Mine)", told["because"])
        self.assertFalse(any("checks" in step for step in told["steps"]), "what else was asked is not theirs to know")
        status, _, error = self.ask_as(USERS["nobody"], "bin", "read", top / "file")
        self.assertEqual(status, 3)
        self.assertIn("may ask about yourself alone: what others may do is for root, the owner of the store", error)
        status, _, error = self.ask_as(USERS["nobody"], "nobody", "read", top / "file", "--group", "0")
        self.assertEqual(status, 3)
        # With the groups that the process has, and not with those it gave up or that its number would be.
        group = 4711
        os.chown(top, 0, group)
        top.chmod(0o750)
        self.put()
        self.assertEqual(self.ask_as(USERS["nobody"], "nobody", "list", top, gid=group)[0], 0)
        self.assertEqual(self.ask_as(group, str(group), "lookup", top / "file", gid=1)[0], 1)
        self.assertEqual(self.ask_as(group, str(group), "lookup", top / "file", gid=group)[0], 0)
        top.chmod(0o755)

    def test_nothing_is_changed(self):
        top = self.tree()
        before = {path: (os.lstat(path), path.read_bytes() if path.is_file() else b"") for path in top.iterdir()}
        versions = os.listdir(self.bucket / ".versions/dir/file")
        status = self.fs.status()["store"]["sequence"]
        for operation, (paths, _) in self.calls().items():
            self.assertEqual(self.explain(0, operation, *paths)["decision"] != "failed", True, operation)
        self.assertEqual({path: (os.lstat(path), path.read_bytes() if path.is_file() else b"") for path in top.iterdir()}, before)
        self.assertEqual(os.listdir(self.bucket / ".versions/dir/file"), versions)
        self.assertEqual(self.fs.status()["store"]["sequence"], status)

    def test_on_a_closed_store(self):
        self.tree()
        self.put(self.statement("Deny", ["GetObject"], ["dir/file"], "nobody", Sid="Away"))
        self.fs.unmount()
        result = self.fs.pail("explain", "nobody", "read", "bucket/dir/file", "--key-file", self.fs.key, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("read of bucket/dir/file by nobody (uid 65534), arn:aws:iam::", result.stdout)
        self.assertIn(": denied (EACCES)", result.stdout)
        self.assertIn("because statement 1 (Away) of the policy of bucket bucket", result.stdout)
        result = self.fs.pail("explain", "nobody", "write", "bucket/dir/none", "--key-file", self.fs.key, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(": failed (ENOENT)", result.stdout)

    def test_what_makes_no_sense_is_refused(self):
        for words, message in (
            (("nobody", "fly", "bucket"), "'fly' is no operation"),
            (("no such user", "read", "bucket"), "neither a uid nor the login name"),
            (("nobody", "rename", "bucket/a"), "takes a second path"),
            (("nobody", "read", "bucket/a", "bucket/b"), "takes one path"),
            (("nobody", "mkdir", "/"), "not of its root"),
        ):
            result = self.pail("explain", *words, "--store", self.fs.store, check=False)
            self.assertEqual(result.returncode, 2, words)
            self.assertIn(message, result.stderr)


class LastDenial(ExplainTest):
    def setUp(self):
        super().setUp()
        self.top = self.tree()
        for name in ("a", "b"):
            (self.top / name).write_text(name)
            (self.top / name).chmod(0o600)

    def last(self):
        return os.getxattr(self.fs.mountpoint, LAST_DENIAL).decode()

    def denied(self, name):
        assert errno_of(lambda: closed(os.open(self.top / name, os.O_RDONLY))) == errno.EACCES

    def as_nobody(self, action, user="nobody"):
        def act():
            become(USERS[user], USERS[user])
            return action()

        return in_child(act)

    def test_of_the_process_itself(self):
        def act():
            self.denied("a")
            in_child(lambda: self.denied("b"))  # newer, and somebody else's
            return self.last()

        text = self.as_nobody(act)
        self.assertRegex(text, r"^\d{4}-\d\d-\d\dT\S+Z open of bucket/dir/a \(s3:GetObject\): EACCES\n")
        self.assertIn("mode 0600 of bucket/dir/a (owner root, group root): the group has --- and others have ---, r is wanted\n", text)

    def test_of_the_parent(self):
        def act():
            self.denied("a")
            in_child(lambda: self.denied("b"))
            return in_child(self.last)

        self.assertIn("open of bucket/dir/a ", self.as_nobody(act))

    def test_of_another_thread(self):
        def act():
            thread = threading.Thread(target=self.denied, args=("a",))
            thread.start()
            thread.join()
            in_child(lambda: self.denied("b"))
            return self.last()

        self.assertIn("open of bucket/dir/a ", self.as_nobody(act))

    def test_of_the_same_user_and_of_nobody_else(self):
        self.as_nobody(lambda: self.denied("a"))
        self.assertIn("open of bucket/dir/a ", self.as_nobody(self.last))
        self.assertEqual(self.as_nobody(lambda: errno_of(self.last), "bin"), errno.ENODATA)
        self.assertEqual(errno_of(self.last), errno.ENODATA, "root's own rules are everybody's")

    def test_it_tells_the_cause_of_then(self):
        self.put(self.statement("Deny", ["GetObject"], ["dir/a"], Sid="Then"))
        self.as_nobody(lambda: self.denied("a"))
        self.put()
        os.rename(self.top / "a", self.top / "renamed")
        text = self.as_nobody(self.last)
        self.assertIn("statement 1 (Then) of the policy of bucket bucket", text)
        self.assertIn("open of bucket/dir/a ", text)

    def test_other_operations(self):
        top = self.top
        top.chmod(0o1777)
        for action, code, words in (
            (lambda: os.mkdir(top / "sub/x"), errno.EACCES, "mkdir of bucket/dir/sub/x (s3:PutObject): EACCES"),
            (lambda: os.chmod(top / "a", 0o777), errno.EPERM, "setattr of bucket/dir/a (s3:PutObjectAcl): EPERM"),
            (lambda: os.rmdir(self.bucket), errno.EACCES, "rmdir of / (s3:DeleteBucket): EACCES"),
        ):
            self.assertEqual(self.as_nobody(lambda act=action: errno_of(act)), code)
            self.assertIn(words, self.as_nobody(self.last))

    def test_names_are_not_told_to_who_may_not_know_them(self):
        (self.bucket / "secret").mkdir(0o700)
        os.link(self.top / "a", self.bucket / "secret/name")
        self.as_nobody(lambda: self.denied("a"))
        text = self.as_nobody(self.last)
        self.assertRegex(text, r"open of bucket, inode \d+ ")
        self.assertNotIn("secret", text)
        # What is hidden was not denied: there seems to be nothing.
        self.put(self.statement("Deny", ["*"], ["", "*"], "bin"))
        self.assertEqual(self.as_nobody(lambda: errno_of(os.stat, self.top / "a"), "bin"), errno.ENOENT)
        self.assertEqual(self.as_nobody(lambda: errno_of(self.last), "bin"), errno.ENODATA)

    def test_the_attribute_is_not_listed_nor_set(self):
        self.as_nobody(lambda: self.denied("a"))
        self.assertNotIn(LAST_DENIAL, self.as_nobody(lambda: os.listxattr(self.fs.mountpoint)))
        self.assertIn("bucket/dir/a", self.as_nobody(lambda: os.getxattr(self.top, LAST_DENIAL).decode()))
        self.assertEqual(self.as_nobody(lambda: errno_of(os.getxattr, self.top / "file", LAST_DENIAL)), errno.ENODATA)
        self.assertEqual(errno_of(os.setxattr, self.top, LAST_DENIAL, b"x"), errno.EPERM)

    def test_after_a_remount_there_is_none(self):
        self.as_nobody(lambda: self.denied("a"))
        self.fs.remount("allow_other,suid,dev")
        self.assertEqual(self.as_nobody(lambda: errno_of(self.last)), errno.ENODATA)


if __name__ == "__main__":
    main()
