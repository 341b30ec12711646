#!/usr/bin/env python3
"""Users, groups, roles and services on a mount: what their policies allow beyond the mode bits, and deny within them, from
the next system call on."""

import errno
import grp
import json
import os
import pathlib
import pwd
import signal
import subprocess
import unittest

from file_calls import read, write
from mounted_store import PAIL, main, mounts, wait_until
from other_users import as_user, become, errno_of, in_child
from policy_bucket import BucketTest

ALLOWED, DENIED = 0, errno.EACCES
# Four accounts and four groups that every Debian has; the test's users are in none of them but as it says.
USERS = {name: pwd.getpwnam(name).pw_uid for name in ("nobody", "daemon", "bin", "games")}
GROUPS = {name: grp.getgrnam(name).gr_gid for name in ("mail", "news", "backup", "audio")}
ALONE = 61000  # a gid that nobody has


class IdentityTest(BucketTest):
    OPTIONS = "allow_other"

    def setUp(self):
        super().setUp()
        self.file = self.fill("file")
        self.account = json.loads(self.pail("user", "list", "--json").stdout)["account"]
        self.assertRegex(self.account, r"^\d{12}$")

    def fails(self, because, *words, **keywords):
        result = self.pail(*words, check=False, **keywords)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        self.assertRegex(result.stderr, because)

    def fill(self, key, text="content", mode=0o600):
        path = self.bucket / key
        for parent in reversed(path.relative_to(self.bucket).parents[:-1]):
            (self.bucket / parent).mkdir(exist_ok=True)
            (self.bucket / parent).chmod(0o755)
        path.write_text(text)
        path.chmod(mode)
        return path

    def statement(self, effect, actions, keys, **more):
        return {
            "Effect": effect,
            "Action": [action if ":" in action else "s3:" + action for action in actions.split()],
            "Resource": ["arn:aws:s3:::bucket" + ("/" + key if key else "") for key in keys],
            **more,
        }

    def allow(self, actions, *keys, **more):
        return self.statement("Allow", actions, keys, **more)

    def deny(self, actions, *keys, **more):
        return self.statement("Deny", actions, keys, **more)

    def document(self, *statements):
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    def put(self, kind, name, policy, *statements):
        return self.pail(kind, "put-policy", name, policy, "-", input=self.document(*statements)).stdout

    def assert_user(self, expected, action=None, user="nobody", groups=()):
        uid = user if isinstance(user, int) else USERS[user]
        action = action or (lambda: read(self.file))
        self.assertEqual(as_user(action, uid=uid, gid=ALONE, groups=groups), expected)


class Users(IdentityTest):
    def test_policies_of_a_users_own(self):
        self.assert_user(DENIED)
        said = self.put("user", "nobody", "reader", self.allow("GetObject", "file"))
        self.assertIn("Made a record for the system's user nobody", said)
        self.assert_user(ALLOWED)
        self.assert_user(DENIED, user="daemon")
        said = self.put("user", "nobody", "closed", self.deny("GetObject", "*"))
        self.assertNotIn("record", said)
        self.assert_user(DENIED)
        self.file.chmod(0o644)
        self.assert_user(DENIED)  # within the mode bits, too
        self.assert_user(ALLOWED, user="daemon")
        self.pail("user", "delete-policy", "nobody", "closed")
        self.file.chmod(0o600)
        self.assert_user(ALLOWED)
        self.assertIn("GetObject", self.pail("user", "show", "nobody", "--policy", "reader").stdout)
        self.assertIn("reader", self.pail("user", "list").stdout)
        self.pail("user", "delete", "nobody")
        self.assert_user(DENIED)
        self.fails("nothing to delete", "user", "delete", "nobody")

    def test_those_that_the_system_has_are_shown(self):
        shown = self.pail("user", "show", "daemon").stdout
        self.assertEqual(shown.splitlines()[0], "arn:aws:iam::%s:user/daemon" % self.account)
        self.assertIn("It is the system's user of that name: the store has no record of it.", shown)
        shown = json.loads(self.pail("user", "show", "daemon", "--json").stdout)
        self.assertEqual((shown["system"], shown["uids"]), (True, [USERS["daemon"]]))
        shown = json.loads(self.pail("group", "show", "mail", "--json").stdout)
        self.assertEqual((shown["system"], shown["gids"]), (True, [GROUPS["mail"]]))
        self.assertEqual(json.loads(self.pail("user", "list", "--json").stdout)["identities"], [])
        self.fails("no policy p of its own", "user", "show", "daemon", "--policy", "p")
        self.fails("no user missing", "user", "show", "missing")
        self.fails("account's root", "user", "show", "root")
        # Whoever has been given the uid is who asks with it.
        self.pail("user", "create", "other")
        self.pail("user", "map", "other", "--uid", str(USERS["daemon"]))
        self.fails("no user daemon", "user", "show", "daemon")
        self.put("user", "nobody", "reader", self.allow("GetObject", "file"))
        self.assertNotIn("system", json.loads(self.pail("user", "show", "nobody", "--json").stdout))

    def test_managed_policies_and_their_versions(self):
        read_it, nothing = self.document(self.allow("GetObject", "file")), self.document(self.deny("GetObject", "*"))
        self.pail("managed-policy", "create", "Read", "-", input=read_it)
        self.assert_user(DENIED)
        self.pail("user", "attach", "nobody", "Read")
        self.assert_user(ALLOWED)
        self.pail("managed-policy", "update", "Read", "-", "--keep-default", input=nothing)
        self.assert_user(ALLOWED)
        self.pail("managed-policy", "default", "Read", "v2")
        self.assert_user(DENIED)
        self.fails("DeleteConflict", "managed-policy", "delete-version", "Read", "v2")
        self.pail("managed-policy", "default", "Read", "v1")
        self.assert_user(ALLOWED)
        self.pail("managed-policy", "update", "Read", "-", input=nothing)
        self.assert_user(DENIED)
        self.assertEqual(self.pail("managed-policy", "show", "Read", "--version", "v1").stdout.strip(), read_it)
        self.assertEqual(self.pail("managed-policy", "show", "Read").stdout.strip(), nothing)
        self.assertRegex(self.pail("managed-policy", "list").stdout, "Read .*v3 is in force; also v1, v2")
        self.pail("managed-policy", "update", "Read", "-", input=nothing)
        self.pail("managed-policy", "update", "Read", "-", input=nothing)
        self.fails("5 versions", "managed-policy", "update", "Read", "-", input=nothing)
        self.pail("managed-policy", "delete-version", "Read", "v2")
        self.fails("no version v2", "managed-policy", "show", "Read", "--version", "v2")
        # No number is given twice.
        self.pail("managed-policy", "default", "Read", "v1")
        for number in (5, 4):
            self.pail("managed-policy", "delete-version", "Read", "v%d" % number)
        self.fs.remount("allow_other")
        self.pail("managed-policy", "update", "Read", "-", input=nothing)
        self.assertRegex(self.pail("managed-policy", "list").stdout, "Read .*v6 is in force; also v1, v3")
        self.fails("DeleteConflict.*user nobody", "managed-policy", "delete", "Read")
        self.pail("user", "detach", "nobody", "Read")
        self.file.chmod(0o644)
        self.assert_user(ALLOWED)
        self.pail("managed-policy", "delete", "Read")

    def test_uids_that_were_mapped(self):
        uid = 61234
        with self.assertRaises(KeyError):
            pwd.getpwuid(uid)
        self.pail("user", "create", "ghost")
        self.put("user", "ghost", "reader", self.allow("GetObject", "file"))
        self.assert_user(DENIED, user=uid)
        self.pail("user", "map", "ghost", "--uid", "%d,61235" % uid)
        for one in (uid, 61235):
            self.assert_user(ALLOWED, user=one)
        self.pail("user", "create", "other")
        self.fails("is user ghost already", "user", "map", "other", "--uid", str(uid))
        self.pail("user", "map", "ghost", "--uid", str(uid), "--remove")
        self.assert_user(DENIED, user=uid)
        self.assert_user(ALLOWED, user=61235)
        # A login name is nobody's where the user has other uids.
        self.put("user", "nobody", "reader", self.allow("GetObject", "file"))
        self.assert_user(ALLOWED)
        self.pail("user", "map", "nobody", "--uid", "61236")
        self.assert_user(DENIED)
        self.assert_user(ALLOWED, user=61236)

    def test_a_boundary_limits_what_policies_allow_and_not_what_acls_do(self):
        self.pail("managed-policy", "create", "ReadOnly", "-", input=self.document(self.allow("GetObject", "*")))
        self.put("user", "nobody", "both", self.allow("GetObject PutObject", "file"))
        self.assert_user(ALLOWED, lambda: write(self.file))
        self.pail("user", "boundary", "nobody", "ReadOnly")
        self.assert_user(DENIED, lambda: write(self.file))
        self.assert_user(ALLOWED)
        self.file.chmod(0o666)
        self.assert_user(ALLOWED, lambda: write(self.file))
        self.file.chmod(0o600)
        self.fails("DeleteConflict", "managed-policy", "delete", "ReadOnly")
        self.pail("user", "boundary", "nobody", "--none")
        self.assert_user(ALLOWED, lambda: write(self.file))
        denies = self.document(self.allow("*", "*"), self.deny("GetObject", "*"))
        self.pail("managed-policy", "update", "ReadOnly", "-", input=denies)
        self.pail("user", "boundary", "nobody", "ReadOnly")
        self.assert_user(DENIED)

    def test_a_denial_wins_over_whatever_allows(self):
        document = json.loads(self.document(self.allow("GetObject", "file")))
        document["Statement"][0]["Principal"] = {"AWS": "arn:aws:iam::%s:user/nobody" % self.account}
        self.pail("policy", "put", "bucket", "-", input=json.dumps(document))
        self.assert_user(ALLOWED)
        self.put("group", "mail", "closed", self.deny("GetObject", "file"))
        self.assert_user(ALLOWED)
        self.assert_user(DENIED, groups=[GROUPS["mail"]])
        self.put("user", "nobody", "reader", self.allow("*", "*"))
        self.assert_user(DENIED, groups=[GROUPS["mail"]])
        document["Statement"][0]["Effect"] = "Deny"
        self.pail("policy", "put", "bucket", "-", input=json.dumps(document))
        self.assert_user(DENIED)

    def test_names_and_tags_in_policies(self):
        for key in ("home/nobody/file", "home/daemon/file", "team/red/file", "team/blue/file"):
            self.fill(key)
        self.put(
            "group",
            "mail",
            "own",
            self.allow("GetObject", "home/${aws:username}/*", "team/${aws:PrincipalTag/team}/*"),
        )
        mine, red, blue = (self.bucket / key for key in ("home/nobody/file", "team/red/file", "team/blue/file"))
        member = {"groups": [GROUPS["mail"]]}
        self.assert_user(ALLOWED, lambda: read(mine), **member)
        self.assert_user(DENIED, lambda: read(mine), user="daemon", **member)
        self.assert_user(DENIED, lambda: read(red), **member)
        self.assertIn("Made a record", self.pail("user", "tag", "nobody", "team=red").stdout)
        self.assert_user(ALLOWED, lambda: read(red), **member)
        self.assert_user(DENIED, lambda: read(blue), **member)
        self.pail("user", "tag", "nobody", "team=blue", "place=here")
        self.assert_user(ALLOWED, lambda: read(blue), **member)
        self.pail("user", "untag", "nobody", "team")
        self.assert_user(DENIED, lambda: read(blue), **member)
        self.assertEqual(json.loads(self.pail("user", "show", "nobody", "--json").stdout)["tags"], {"place": "here"})

    def test_the_list_of_buckets(self):
        top = self.fs.mountpoint
        self.assert_user(DENIED, lambda: os.mkdir(top / "theirs"))
        make = {**self.allow("CreateBucket", ""), "Resource": ["arn:aws:s3:::theirs"]}
        self.put("user", "nobody", "buckets", make)
        self.assert_user(DENIED, lambda: os.mkdir(top / "other"))
        self.assert_user(DENIED, lambda: os.mkdir(top / "theirs"), user="daemon")
        self.assert_user(ALLOWED, lambda: os.mkdir(top / "theirs"))
        self.assertEqual((top / "theirs").stat().st_uid, USERS["nobody"])
        self.assert_user(ALLOWED, lambda: os.listdir(top))
        unseen = {**self.deny("ListAllMyBuckets", ""), "Resource": "*"}
        seen = {**self.allow("ListAllMyBuckets", ""), "Resource": "*"}
        top.chmod(0o711)
        self.assert_user(DENIED, lambda: os.listdir(top))
        self.put("user", "nobody", "seen", seen)
        self.assert_user(ALLOWED, lambda: self.assertEqual(sorted(os.listdir(top)), ["bucket", "theirs"]))
        self.assert_user(DENIED, lambda: os.listdir(top), user="daemon")
        top.chmod(0o755)
        self.put("user", "nobody", "unseen", unseen)
        self.assert_user(DENIED, lambda: os.listdir(top))
        self.assert_user(ALLOWED, lambda: os.listdir(top), user="daemon")
        self.assert_user(ALLOWED, lambda: os.listdir(top / "theirs"))

    def test_what_is_refused_changes_nothing(self):
        because = {
            "no user nobody-here": ("user", "put-policy", "nobody-here", "p", "-"),
            "no policy": ("user", "delete-policy", "nobody", "missing"),
            "no managed policy": ("user", "attach", "nobody", "Missing"),
            "account's root": ("user", "put-policy", "root", "p", "-"),
            "KEY=VALUE": ("user", "tag", "nobody", "team"),
            "--none": ("user", "boundary", "nobody"),
        }
        document = self.document(self.allow("GetObject", "*"))
        self.put("user", "nobody", "reader", self.allow("GetObject", "file"))
        before = self.pail("user", "list", "--json").stdout
        for words, command in because.items():
            with self.subTest(command):
                self.fails(words, *command, input=document)
        for broken, words in (
            ("{", "line 1"),
            (self.document({**self.allow("GetObject", "*"), "Principal": "*"}), "Principal"),
            (self.document(self.allow("GetObjct", "*")), "did you mean"),
        ):
            self.fails("MalformedPolicy.*" + words, "user", "put-policy", "nobody", "p", "-", input=broken)
        self.fails("EntityAlreadyExists", "user", "create", "nobody")
        self.fails("user nobody nobody:|name", "user", "create", "no body")
        self.assertEqual(self.pail("user", "list", "--json").stdout, before)

    def test_what_is_not_there_need_not_be_created_to_be_deleted(self):
        for kind in ("user", "group", "role", "service", "managed-policy"):
            said = self.pail(kind, "delete", "missing", check=False)
            words = kind.replace("-", " ")
            self.assertEqual((said.returncode, said.stderr), (3, "pail: NoSuchEntity: there is no %s missing\n" % words))
        for words in (("user", "delete-policy", "missing", "p"), ("role", "detach", "missing", "p")):
            self.assertNotIn("create", self.pail(*words, check=False).stderr)
        self.fails("no record of the system's user daemon: there is nothing to delete", "user", "delete", "daemon")
        self.fails("no role missing: create it first .'pail role create'", "role", "max-session", "missing", "1h")
        gone = self.pail("bucket", "delete", "missing", "--purge", check=False)
        self.assertEqual((gone.returncode, gone.stderr), (3, "pail: NoSuchBucket: there is no bucket 'missing'\n"))

    def test_only_the_account_manages_and_sees(self):
        self.put("user", "nobody", "all", {**self.allow("*", "*"), "Action": "*", "Resource": "*"})
        theirs = {"user": USERS["nobody"], "group": ALONE, "extra_groups": []}
        for words in (("user", "list"), ("user", "show", "nobody"), ("user", "create", "me"), ("role", "list")):
            self.fails("account's: run it as root", *words, **theirs)
        who = json.loads(self.pail("whoami", "--json", **theirs).stdout)
        self.assertEqual(who["principal"], "arn:aws:iam::%s:user/nobody" % self.account)
        self.assertEqual(who["policies"], ["policy all of user nobody"])
        self.assertRegex(self.pail("whoami").stdout, r"^arn:aws:iam::\d{12}:root \(Account\)")


class Groups(IdentityTest):
    def test_those_that_the_system_has(self):
        said = self.put("group", "mail", "reader", self.allow("GetObject", "file"))
        self.assertIn("Made a record for the system's group mail", said)
        self.assert_user(DENIED)
        self.assert_user(DENIED, groups=[GROUPS["news"]])
        self.assert_user(ALLOWED, groups=[GROUPS["news"], GROUPS["mail"]])
        self.assertEqual(as_user(lambda: read(self.file), uid=USERS["bin"], gid=GROUPS["mail"]), ALLOWED)
        self.pail("group", "delete", "mail")
        self.assert_user(DENIED, groups=[GROUPS["mail"]])

    def test_gids_that_were_mapped(self):
        self.pail("group", "create", "staffers")
        self.put("group", "staffers", "reader", self.allow("GetObject", "file"))
        self.assert_user(DENIED, groups=[4321])
        self.pail("group", "map", "staffers", "--gid", "4321")
        self.assert_user(ALLOWED, groups=[4321])
        self.assert_user(DENIED, groups=[4322])
        self.pail("group", "map", "staffers", "--gid", "4321", "--remove")
        self.assert_user(DENIED, groups=[4321])

    def test_members_that_were_added(self):
        self.pail("group", "create", "readers")
        self.pail("managed-policy", "create", "Read", "-", input=self.document(self.allow("GetObject", "file")))
        self.pail("group", "attach", "readers", "Read")
        self.assert_user(DENIED)
        said = self.pail("group", "add", "readers", "nobody", "daemon").stdout
        self.assertEqual(said.count("Made a record"), 2)
        self.assert_user(ALLOWED)
        self.assert_user(ALLOWED, user="daemon")
        self.assert_user(DENIED, user="bin")
        shown = json.loads(self.pail("group", "show", "readers", "--json").stdout)
        self.assertEqual(sorted(shown["members"]), ["daemon", "nobody"])
        self.fails("DeleteConflict", "group", "delete", "readers")
        self.pail("group", "remove", "readers", "nobody")
        self.assert_user(DENIED)
        self.assert_user(ALLOWED, user="daemon")
        self.fails("NoSuchEntity", "group", "remove", "readers", "nobody")
        self.fails("no group missing", "group", "add", "missing", "nobody")

    def test_several_members_come_and_go_together_or_not_at_all(self):
        def members():
            return json.loads(self.pail("group", "show", "readers", "--json").stdout).get("members", [])

        self.pail("group", "create", "readers")
        self.fails("no user missing.*nothing was changed", "group", "add", "readers", "daemon", "missing", "bin")
        self.assertEqual(members(), [])
        self.assertEqual(json.loads(self.pail("user", "list", "--json").stdout)["identities"], [])
        self.pail("group", "add", "readers", "daemon", "bin", "daemon")
        self.assertEqual(sorted(members()), ["bin", "daemon"])
        refused = "readers is not among the groups of user games; nothing was changed"
        self.fails(refused, "group", "remove", "readers", "daemon", "games")
        self.assertEqual(sorted(members()), ["bin", "daemon"])
        gone = json.loads(self.pail("group", "remove", "readers", "daemon", "bin", "--json").stdout)
        self.assertEqual([user["name"] for user in gone["users"]], ["daemon", "bin"])
        self.assertEqual(members(), [])


class Roles(IdentityTest):
    def setUp(self):
        super().setUp()
        self.fs.directory.chmod(0o777)

    def role(self, trusted, *statements, **more):
        trust = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole", **more}
        self.pail("role", "create", "keeper", "--trust", "-", input=self.document(trust))
        self.put("role", "keeper", "its", *(statements or [self.allow("GetObject", "file")]))

    def user(self, name):
        return "arn:aws:iam::%s:%s" % (self.account, name if name == "root" else "user/" + name)

    def keywords(self, user):
        return {"user": USERS[user], "group": ALONE, "extra_groups": []}

    def test_a_role_leads_to_those_alone_that_trust_it(self):
        self.role([self.user("nobody")])
        again = (PAIL, "assume", "keeper", "--", "true")
        self.assertEqual(self.assume("true").returncode, 0)
        other = self.assume(*again)
        self.assertEqual(other.returncode, 125)
        self.assertIn("no role keeper trusts you", other.stderr)
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        names = [self.user("nobody"), "arn:aws:iam::%s:role/keeper" % self.account]
        self.pail("role", "trust", "keeper", "-", input=self.document({**trust, "Principal": {"AWS": names}}))
        self.assertEqual(self.assume(*again).returncode, 0)

    def assume(self, *command, user="nobody", options=()):
        return self.pail("assume", "keeper", *options, "--", *command, check=False, **self.keywords(user))

    def test_a_command_runs_in_the_role_and_its_status_is_ours(self):
        self.role(self.user("nobody"))
        result = self.assume("cat", self.file)
        self.assertEqual((result.returncode, result.stdout), (0, "content"), result.stderr)
        self.assert_user(DENIED)
        for script, status in (("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM)):
            self.assertEqual(self.assume("sh", "-c", script).returncode, status)
        missing = self.assume("/no/such/program")
        self.assertEqual(missing.returncode, 127)
        self.assertIn("no such program", missing.stderr)
        self.assertEqual(self.assume("/etc/passwd").returncode, 126)
        said = self.assume(PAIL, "whoami", "--json", options=("--session", "nightly", "--duration", "15m"))
        who = json.loads(said.stdout)
        self.assertEqual(who["principal"], "arn:aws:sts::%s:assumed-role/keeper/nightly" % self.account)
        self.assertEqual(who["type"], "AssumedRole")
        self.assertTrue(0 < who["session_seconds_left"] <= 900)

    def test_who_may(self):
        self.role(self.user("nobody"))
        refused = self.assume("cat", self.file, user="daemon")
        self.assertEqual(refused.returncode, 125)
        self.assertIn("AccessDenied", refused.stderr)
        # His own policies do not make a role trust him.
        self.put("user", "daemon", "any", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        self.assertEqual(self.assume("cat", self.file, user="daemon").returncode, 125)
        self.pail("user", "delete-policy", "daemon", "any")
        trust = {"Effect": "Allow", "Principal": {"AWS": self.user("root")}, "Action": "sts:AssumeRole"}
        self.pail("role", "trust", "keeper", "-", input=self.document(trust))
        for user in ("nobody", "daemon"):
            self.assertEqual(self.assume("cat", self.file, user=user).returncode, 125)
        may = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": "arn:aws:iam::%s:role/keeper" % self.account,
        }
        self.put("user", "daemon", "assume", may)
        self.assertEqual(self.assume("cat", self.file, user="daemon").returncode, 0)
        self.assertEqual(self.assume("cat", self.file).returncode, 125)
        self.put("user", "daemon", "not", {**may, "Effect": "Deny"})
        self.assertEqual(self.assume("cat", self.file, user="daemon").returncode, 125)
        named = {**trust, "Condition": {"StringLike": {"sts:RoleSessionName": "nightly-*"}}, "Principal": {"AWS": "*"}}
        self.pail("role", "trust", "keeper", "-", input=self.document(named))
        self.assertEqual(self.assume("true").returncode, 125)
        self.assertEqual(self.assume("true", options=("--session", "nightly-1")).returncode, 0)

    def test_how_long(self):
        self.role(self.user("nobody"))
        for duration in ("14m", "61m", "2h"):
            refused = self.assume("true", options=("--duration", duration))
            self.assertEqual(refused.returncode, 125)
            self.assertIn("900 to 3600 seconds", refused.stderr)
        self.pail("role", "max-session", "keeper", "2h")
        self.assertEqual(self.assume("true", options=("--duration", "2h")).returncode, 0)
        self.fails("15 minutes to 12 hours", "role", "max-session", "keeper", "13h")

    def test_all_that_descend_from_it_and_nobody_else(self):
        self.role(self.user("nobody"))
        out, ready, done = (self.fs.directory / name for name in ("out", "ready", "done"))
        # The inner shell's parent ends at once: it is an orphan when it reads.
        script = """
            (sh -c 'while [ ! -e %(ready)s ]; do sleep 0.05; done
                    read -r _ _ _ parent _ < /proc/$$/stat
                    { echo $parent; cat %(file)s; } > %(out)s 2>&1; touch %(done)s' &)
            while [ ! -e %(done)s ]; do sleep 0.05; done
            cat %(file)s
        """ % {"ready": ready, "file": self.file, "out": out, "done": done}
        session = subprocess.Popen(
            [PAIL, "assume", "keeper", "--", "sh", "-c", script],
            cwd=self.fs.mountpoint,
            stdout=subprocess.PIPE,
            text=True,
            **self.keywords("nobody"),
        )
        children = pathlib.Path("/proc/%d/task/%d/children" % (session.pid, session.pid))
        wait_until(lambda: len(children.read_text().split()) == 2, "the orphan has come to the session's process")
        self.assert_user(DENIED)
        ready.touch()
        self.assertEqual(session.communicate(timeout=60)[0], "content")
        self.assertEqual(session.returncode, 0)
        self.assertEqual(out.read_text(), "%d\ncontent" % session.pid)

    def test_it_ends_with_the_command(self):
        self.role(self.user("nobody"))
        out, go, done = (self.fs.directory / name for name in ("out", "go", "done"))
        script = "(while [ ! -e %s ]; do sleep 0.05; done; cat %s > %s 2>&1; touch %s) > /dev/null 2>&1 &" % (
            go,
            self.file,
            out,
            done,
        )
        self.assertEqual(self.assume("sh", "-c", script).returncode, 0)
        go.touch()
        wait_until(done.exists, "what was left running has read")
        self.assertIn("Permission denied", out.read_text())

    def test_signals_are_passed_on(self):
        self.role(self.user("nobody"))
        for number in (signal.SIGTERM, signal.SIGHUP):
            started = self.fs.directory / ("started-%d" % number)
            session = subprocess.Popen(
                [PAIL, "assume", "keeper", "--", "sh", "-c", "touch %s; exec sleep 300" % started],
                cwd=self.fs.mountpoint,
                **self.keywords("nobody"),
            )
            wait_until(started.exists, "the command runs")
            session.send_signal(signal.SIGINT)  # is for the command, which the terminal sends it to
            session.send_signal(number)
            self.assertEqual(session.wait(60), 128 + number)

    def test_a_role_has_other_rights_and_not_more(self):
        other = self.fill("other")
        self.role(self.user("nobody"), self.allow("GetObject", "file"), self.deny("GetObject", "public"))
        self.put("user", "nobody", "own", self.allow("GetObject", "other"))
        public = self.fill("public", mode=0o644)
        self.assert_user(ALLOWED, lambda: read(other))
        self.assertNotEqual(self.assume("cat", other).returncode, 0)
        self.assert_user(ALLOWED, lambda: read(public))
        self.assertNotEqual(self.assume("cat", public).returncode, 0)
        # The ACL is that of the uid.
        own = self.fill("own")
        os.chown(own, USERS["nobody"], ALONE)
        self.assertEqual(self.assume("cat", own).returncode, 0)
        self.pail("role", "delete-policy", "keeper", "its")
        self.assertNotEqual(self.assume("cat", self.file).returncode, 0)
        self.assertEqual(self.assume("cat", public).returncode, 0)

    def test_a_change_binds_sessions_that_there_are(self):
        self.role(self.user("nobody"))
        go = self.fs.directory / "go"
        script = "while [ ! -e %s ]; do sleep 0.05; done; cat %s" % (go, self.file)
        session = subprocess.Popen(
            [PAIL, "assume", "keeper", "--", "sh", "-c", script],
            cwd=self.fs.mountpoint,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self.keywords("nobody"),
        )
        self.file.chmod(0o644)
        self.put("role", "keeper", "closed", self.deny("GetObject", "*"))
        self.assert_user(ALLOWED)
        go.touch()
        self.assertIn("Permission denied", session.communicate(timeout=60)[1])

    def test_whoami_in_a_session_whose_role_is_deleted(self):
        self.role(self.user("nobody"))
        go = self.fs.directory / "go"
        script = "while [ ! -e %s ]; do sleep 0.05; done; %s whoami; %s whoami --json" % (go, PAIL, PAIL)
        session = subprocess.Popen(
            [PAIL, "assume", "keeper", "--", "sh", "-c", "echo begun; " + script],
            cwd=self.fs.mountpoint,
            stdout=subprocess.PIPE,
            text=True,
            **self.keywords("nobody"),
        )
        self.assertEqual(session.stdout.readline(), "begun\n")
        self.pail("role", "delete", "keeper")
        go.touch()
        said, who = session.communicate(timeout=60)[0].split("{", 1)
        self.assertIn("session of the role keeper, which was deleted", said)
        who = json.loads("{" + who)
        self.assertEqual((who["principal"], who["deleted_role"]), ("", "keeper"))

    def test_it_takes_a_daemon(self):
        self.role(self.user("nobody"))
        self.fs.unmount()
        result = self.fs.run(PAIL, "assume", "keeper", "--store", self.fs.store, "--", "true", check=False)
        self.assertEqual(result.returncode, 125)
        self.assertIn("no daemon serves", result.stderr)


class Services(IdentityTest):
    def cgroup(self):
        """A new control group, of whatever hierarchy can be written."""
        roots = [where for where, kind, _ in mounts() if kind in ("cgroup2", "cgroup")]
        for root in roots:
            path = pathlib.Path(root) / ("pailfs-test-%d" % os.getpid())
            try:
                path.mkdir()
            except OSError:
                continue
            self.addCleanup(self.remove, path)
            return path
        raise unittest.SkipTest("no control group can be made here: %s" % ", ".join(roots))

    def remove(self, path):
        # A process that has just ended may be counted for a moment yet.
        wait_until(lambda: errno_of(os.rmdir, path) != errno.EBUSY, "the control group is empty")

    def test_what_runs_in_a_control_group(self):
        cgroup = self.cgroup()
        inner = cgroup / "inner"
        inner.mkdir()
        self.addCleanup(self.remove, inner)
        document = json.loads(self.document(self.allow("GetObject", "file")))
        document["Statement"][0]["Principal"] = {"Service": "worker.example"}
        self.pail("policy", "put", "bucket", "-", input=json.dumps(document))
        self.pail("service", "create", "worker.example", "--cgroup", str(cgroup))

        def inside(place):
            def act():
                (place / "cgroup.procs").write_text(str(os.getpid()))
                become(USERS["nobody"], ALONE)
                return errno_of(read, self.file)

            return in_child(act)

        self.assertEqual(inside(cgroup), ALLOWED)
        self.assertEqual(inside(inner), ALLOWED)
        self.assert_user(DENIED)
        self.pail("service", "map", "worker.example", "--cgroup", "/elsewhere/there")
        self.pail("service", "map", "worker.example", "--cgroup", str(cgroup), "--remove")
        self.assertEqual(inside(cgroup), DENIED)
        self.assertIn("elsewhere/there", self.pail("service", "show", "worker.example").stdout)
        self.pail("service", "map", "worker.example", "--cgroup", str(inner))
        self.assertEqual(inside(inner), ALLOWED)
        self.assertEqual(inside(cgroup), DENIED)
        self.pail("service", "delete", "worker.example")
        self.assertEqual(inside(inner), DENIED)

    def test_how_units_are_named(self):
        self.pail("service", "create", "backup.example", "--unit", "restic")
        self.assertIn("restic.service", self.pail("service", "show", "backup.example").stdout)
        self.fails("--unit or --cgroup", "service", "create", "other.example")
        self.fails("named like", "service", "create", "other", "--unit", "restic")
        self.fails("is no unit", "service", "create", "other.example", "--unit", "a/b")
        self.fails("runs nowhere", "service", "map", "backup.example", "--unit", "restic", "--remove")


class Changes(IdentityTest):
    def test_every_change_holds_from_the_next_call_on(self):
        directory = self.bucket / "directory"
        file = self.fill("directory/file", mode=0o644)
        self.pail("managed-policy", "create", "Open", "-", input=self.document(self.allow("GetObject", "*")))
        self.pail("managed-policy", "create", "Closed", "-", input=self.document(self.deny("*", "*", "")))
        self.pail("group", "create", "closed")
        self.pail("group", "attach", "closed", "Closed")
        deny = self.document(self.deny("GetObject", "directory/*"))

        def look():
            os.listdir(directory)
            os.stat(file)
            read(file)

        changes = (
            (("user", "put-policy", "nobody", "deny", "-"), deny, ("user", "delete-policy", "nobody", "deny")),
            (("user", "attach", "nobody", "Closed"), None, ("user", "detach", "nobody", "Closed")),
            (("group", "add", "closed", "nobody"), None, ("group", "remove", "closed", "nobody")),
            (("managed-policy", "update", "Open", "-"), deny, ("managed-policy", "default", "Open", "v1")),
        )
        self.pail("user", "attach", "nobody", "Open")
        for number in range(20):
            close, document, open_again = changes[number % len(changes)]
            for _ in range(2):  # whatever the kernel keeps, as root and as the user
                look()
                self.assert_user(ALLOWED, look)
            self.pail(*close, input=document)
            with self.subTest(number=number, change=close):
                self.assertIn(as_user(lambda: read(file), gid=ALONE), (DENIED, errno.ENOENT))
                look()
                self.assert_user(ALLOWED, look, user="daemon")
            self.pail(*open_again)
            if close[0] == "managed-policy":
                listed = json.loads(self.pail("managed-policy", "show", "Open", "--json").stdout)["versions"]
                self.pail("managed-policy", "delete-version", "Open", "v%d" % listed[-1]["version"])

    def asked(self, action, count):
        action()
        before = self.fs.status()["daemon"]["requests"]
        for _ in range(count):
            action()
        after = self.fs.status()["daemon"]["requests"]
        return after.get("LOOKUP", 0) - before.get("LOOKUP", 0)

    def test_buckets_that_no_policy_speaks_of_go_on_with_cached_names(self):
        if self.fs.status()["daemon"]["entry_caching"] == "none":
            self.skipTest("names are not cached: the libfuse is older than 3.18")
        other = self.fs.bucket("other")
        other.chmod(0o755)
        for bucket in (self.bucket, other):
            (bucket / "kept").write_text("kept")

        def look(bucket):
            return lambda: os.stat(bucket / "kept")

        for bucket in (self.bucket, other):
            look(bucket)()
            self.assertLess(self.asked(look(bucket), 50), 10)
        self.put("user", "nobody", "reader", self.allow("GetObject", "file"))
        self.assertGreaterEqual(self.asked(look(self.bucket), 50), 50)
        self.assertLess(self.asked(look(other), 50), 10)
        # Whatever stands in place of a bucket's name can be any of them.
        self.put("user", "nobody", "reader", {**self.allow("GetObject", ""), "Resource": "arn:aws:s3:::*"})
        self.assertGreaterEqual(self.asked(look(other), 50), 50)
        self.pail("user", "delete", "nobody")
        self.assertLess(self.asked(look(self.bucket), 50), 10)

    def test_what_survives(self):
        self.put("user", "nobody", "reader", self.allow("GetObject", "file"))
        self.pail("user", "tag", "nobody", "team=red")
        self.pail("group", "create", "crew")
        self.pail("group", "add", "crew", "daemon")
        self.put("group", "crew", "reader", self.allow("GetObject", "file"))
        before = [self.pail(kind, "list", "--json").stdout for kind in ("user", "group", "role", "managed-policy")]
        self.fs.remount("allow_other")
        self.assert_user(ALLOWED)
        self.pail("user", "put-policy", "bin", "reader", "-", input=self.document(self.allow("GetObject", "file")))
        self.pail("user", "delete", "bin")
        self.fs.kill()  # what a command said is done is durable
        self.fs.mount("allow_other")
        after = [self.pail(kind, "list", "--json").stdout for kind in ("user", "group", "role", "managed-policy")]
        self.assertEqual(after, before)
        for user, expected in (("nobody", ALLOWED), ("daemon", ALLOWED), ("bin", DENIED)):
            self.assert_user(expected, user=user)
        self.assert_sound_store()
        backup, restored = self.fs.directory / "backup", self.fs.directory / "restored"
        key = ("--key-file", self.fs.key)
        self.fs.pail("backup", backup, *key)
        self.fs.run(PAIL, "restore", backup, restored)
        self.assertEqual(self.fs.run(PAIL, "user", "list", "--json", "--store", restored, *key).stdout, before[0])

    def test_without_a_daemon(self):
        self.fs.unmount()
        key = ("--key-file", self.fs.key)
        document = self.document(self.allow("GetObject", "file"))
        self.fs.pail("user", "put-policy", "nobody", "reader", "-", *key, input=document)
        self.assertIn("reader", self.fs.pail("user", "show", "nobody", *key).stdout)
        self.fs.mount("allow_other")
        self.assert_user(ALLOWED)


if __name__ == "__main__":
    main()
