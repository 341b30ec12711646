#!/usr/bin/env python3
"""POSIX ACLs: what they allow to whom, how chmod and umask meet them, who inherits and who may set them."""

import errno
import itertools
import os
import pathlib
import random
import shutil
import socket
import stat
import subprocess
import tempfile

import access_lists
from access_lists import ACCESS, DEFAULT, GROUP, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ, get, of_mode, put, value
from file_systems import SHARED, Bodies, main, on_file_systems
from other_users import as_user, become, each_as_user, errno_of, in_child
from system_calls import exchange

OWNER, OWNING = 1001, 2001
ALICE, BOB = 1002, 1003
TEAM, CLUB = 2002, 2003
# Ids of a process: all that an ACL of OWNER and OWNING can tell apart.
PEOPLE = {
    "owner": {"uid": OWNER, "gid": 3001},
    "owner in every group": {"uid": OWNER, "gid": OWNING, "groups": (TEAM, CLUB)},
    "named user": {"uid": ALICE, "gid": 3002},
    "named user in named groups": {"uid": ALICE, "gid": TEAM, "groups": (OWNING, CLUB)},
    "other named user": {"uid": BOB, "gid": 3003, "groups": (TEAM,)},
    "owning group": {"uid": 1004, "gid": OWNING},
    "owning group, supplementary": {"uid": 1004, "gid": 3004, "groups": (7, OWNING)},
    "named group": {"uid": 1005, "gid": TEAM},
    "named group, supplementary": {"uid": 1005, "gid": 3005, "groups": (9, CLUB)},
    "both named groups": {"uid": 1006, "gid": TEAM, "groups": (CLUB,)},
    "owning and named group": {"uid": 1007, "gid": OWNING, "groups": (TEAM,)},
    "other": {"uid": 1008, "gid": 3008, "groups": (3009,)},
    "superuser": {"uid": 0, "gid": 3010},
}
FULL = [(USER_OBJ, 7), (USER, 7, ALICE), (GROUP_OBJ, 7), (GROUP, 7, TEAM), (MASK, 7), (OTHER, 7)]


def random_acl(chooser):
    """With a mask that leaves something: Linux looks at no ACL where the group bits of the mode are empty."""
    acl = [(USER_OBJ, chooser.randrange(8))]
    acl += [(USER, chooser.randrange(8), uid) for uid in chooser.sample((ALICE, BOB), chooser.randrange(3))]
    acl += [(GROUP_OBJ, chooser.randrange(8))]
    acl += [(GROUP, chooser.randrange(8), gid) for gid in chooser.sample((TEAM, CLUB), chooser.randrange(3))]
    if len(acl) > 2 or chooser.random() < 0.3:
        acl.append((MASK, chooser.randrange(1, 8)))
    return acl + [(OTHER, chooser.randrange(8))]


class Acls(Bodies):
    def mode(self, path) -> int:
        return stat.S_IMODE(os.lstat(path).st_mode)

    def owned(self, path, acl=None, uid=OWNER, gid=OWNING) -> pathlib.Path:
        os.chown(path, uid, gid)
        if acl:
            put(path, acl)
        return path

    def assert_acl(self, path, expected, kind=0):
        """The ACL and the mode that goes with it; one that a mode can express is no ACL."""
        self.assertEqual(oct(self.mode(path)), oct(access_lists.mode_of(expected) | kind))
        self.assertEqual(get(path), None if len(expected) == 3 else expected)

    def assert_user(self, expected, action, uid=OWNER, gid=OWNING, groups=()):
        self.assertEqual(os.strerror(as_user(action, uid, gid, groups)), os.strerror(expected))

    # ---- what an ACL allows

    def found_rights(self, paths, who):
        """path -> every access(2) that `who` is granted, as bits 1 << mask."""

        def ask():
            become(**who)
            return [sum(1 << mask for mask in range(1, 8) if os.access(path, mask)) for path in paths]

        return in_child(ask)

    def expected_rights(self, acl, who, directory):
        gids = {who["gid"], *who.get("groups", ())}
        rights = 0
        for mask in range(1, 8):
            granted = access_lists.allows(acl, OWNER, OWNING, who["uid"], gids, mask)
            if who["uid"] == 0:
                granted = directory or not mask & 1 or access_lists.mode_of(acl) & 0o111 != 0
            rights |= granted << mask
        return rights

    def test_rights_are_those_of_the_algorithm(self):
        chooser = random.Random(5)
        acls = [random_acl(chooser) for _ in range(60)]
        for kind in ("file", "directory"):
            paths = []
            for number, acl in enumerate(acls):
                path = self.top / ("%s-%d" % (kind, number))
                path.mkdir() if kind == "directory" else path.touch()
                paths.append(self.owned(path, acl))
            for name, who in PEOPLE.items():
                found = self.found_rights(paths, who)
                expected = [self.expected_rights(acl, who, kind == "directory") for acl in acls]
                for number, acl in enumerate(acls):
                    with self.subTest(kind=kind, who=name, acl=acl):
                        self.assertEqual(found[number], expected[number])

    def test_two_groups_do_not_add_up(self):
        file = self.make("file", b"content")
        self.owned(file, [(USER_OBJ, 6), (GROUP_OBJ, 4), (GROUP, 2, TEAM), (MASK, 6), (OTHER, 6)])
        calls = {
            "read": lambda: os.close(os.open(file, os.O_RDONLY)),
            "write": lambda: os.close(os.open(file, os.O_WRONLY)),
            "both": lambda: os.close(os.open(file, os.O_RDWR)),
            "read and truncate": lambda: os.close(os.open(file, os.O_RDONLY | os.O_TRUNC)),
            "truncate": lambda: os.truncate(file, 3),
        }
        denied = errno.EACCES
        expected = {"read": 0, "write": 0, "both": denied, "read and truncate": denied, "truncate": 0}
        self.assertEqual(each_as_user(calls, **PEOPLE["owning and named group"]), expected)
        self.assertEqual(each_as_user(calls, **PEOPLE["other"]), dict.fromkeys(calls, 0))

    def test_an_empty_mask(self):
        """Where others are allowed nothing either, as everywhere in practice."""
        file = self.owned(self.make("file"), [(USER_OBJ, 6), (USER, 7, ALICE), (GROUP_OBJ, 7), (MASK, 0), (OTHER, 0)])
        for name, who in PEOPLE.items():
            with self.subTest(name):
                wanted = name.startswith("owner") or name == "superuser"
                self.assertEqual(self.found_rights([file], who), [wanted * (1 << 2 | 1 << 4 | 1 << 6)])

    def test_calls_on_a_file_need_what_the_acl_gives(self):
        program = self.make("program", pathlib.Path("/bin/true").read_bytes())
        file = self.make("file", b"content")
        os.setxattr(file, "user.a", b"value")

        def execute():
            status = os.waitstatus_to_exitcode(os.spawnv(os.P_NOWAIT, program, ["program"]) and os.wait()[1])
            if status:
                raise PermissionError(errno.EACCES, "exec")

        for bits, (name, who) in itertools.product(
            range(8), [(name, PEOPLE[name]) for name in ("named user", "named group, supplementary", "other")]
        ):
            rest = 7 ^ bits
            acl = [(USER_OBJ, rest), (USER, rest, BOB), (GROUP_OBJ, rest), (GROUP, rest, TEAM), (MASK, 7), (OTHER, rest)]
            acl = {
                "named user": acl[:1] + [(USER, bits, ALICE)] + acl[1:],
                "named group, supplementary": acl[:4] + [(GROUP, bits, CLUB)] + acl[4:],
                "other": acl[:5] + [(OTHER, bits)],
            }[name]
            for path in (file, program):
                self.owned(path, acl)
            reads, writes, runs = (0 if bits & bit else errno.EACCES for bit in (4, 2, 1))
            expected = {
                "read": (reads, file.read_bytes),
                "write": (writes, lambda: os.close(os.open(file, os.O_WRONLY))),
                "both": (reads or writes, lambda: os.close(os.open(file, os.O_RDWR))),
                "truncate": (writes, lambda: os.truncate(file, 3)),
                "touch": (writes, lambda: os.utime(file)),
                "set times": (errno.EPERM, lambda: os.utime(file, (1, 2))),
                "getxattr": (reads, lambda: os.getxattr(file, "user.a")),
                "setxattr": (writes, lambda: os.setxattr(file, "user.a", b"other")),
                "get the acl": (0, lambda: os.getxattr(file, ACCESS)),
                "set the acl": (errno.EPERM, lambda: put(file, FULL)),
                "remove the acl": (errno.EPERM, lambda: os.removexattr(file, ACCESS)),
                "chmod": (errno.EPERM, lambda: os.chmod(file, 0o777)),
                "stat": (0, lambda: os.stat(file)),
                "execute": (runs, execute),
            }
            with self.subTest(who=name, bits=bits):
                found = each_as_user({call: action for call, (_, action) in expected.items()}, **who)
                self.assertEqual(found, {call: wanted for call, (wanted, _) in expected.items()})

    def test_calls_on_names_need_what_the_acl_gives(self):
        for bits, name in itertools.product(range(8), ("named user", "named group")):
            here = self.make_directory("%s-%d" % (name, bits))
            away = self.make_directory("%s-%d-away" % (name, bits), 0o777)
            for file in ("file", "removed", "moved"):
                (here / file).touch()
                (here / file).chmod(0o666)
            (away / "file").touch()
            (away / "file").chmod(0o666)
            (here / "below").mkdir()
            tag = (USER, bits, ALICE) if name == "named user" else (GROUP, bits, TEAM)
            acl = sorted([(USER_OBJ, 7 ^ bits), tag, (GROUP_OBJ, 7 ^ bits), (MASK, 7), (OTHER, 7 ^ bits)])
            self.owned(here, acl)
            search = 0 if bits & 1 else errno.EACCES
            change = 0 if bits & 3 == 3 else errno.EACCES
            calls = {
                "list": (0 if bits & 4 else errno.EACCES, lambda h=here: os.listdir(h)),
                "enter": (search, lambda h=here: os.chdir(h)),
                "stat": (search, lambda h=here: os.stat(h / "file")),
                "open": (search, lambda h=here: os.close(os.open(h / "file", os.O_RDWR))),
                "missing": (search or errno.ENOENT, lambda h=here: os.stat(h / "missing")),
                "below": (search, lambda h=here: os.listdir(h / "below")),
                "create": (change, lambda h=here: (h / "new").touch()),
                "mkdir": (change, lambda h=here: os.mkdir(h / "directory")),
                "mkfifo": (change, lambda h=here: os.mkfifo(h / "fifo")),
                "symlink": (change, lambda h=here: os.symlink("x", h / "link")),
                "link": (change, lambda h=here, a=away: os.link(a / "file", h / "linked")),
                "exchange": (change, lambda h=here, a=away: exchange(h / "file", a / "file")),
                "rename": (change, lambda h=here: os.rename(h / "moved", h / "renamed")),
                "unlink": (change, lambda h=here: os.unlink(h / "removed")),
                "rmdir": (change, lambda h=here: os.rmdir(h / "below")),
            }
            with self.subTest(who=name, bits=bits):
                found = each_as_user({call: action for call, (_, action) in calls.items()}, **PEOPLE[name])
                self.assertEqual(found, {call: expected for call, (expected, _) in calls.items()})

    def test_what_changes_counts_at_once_and_what_is_open_stays_open(self):
        closed = self.owned(self.make_directory("closed", 0o700))
        file = self.make("closed/file", b"content")
        directory = [(USER_OBJ, 7), (USER, 5, ALICE), (GROUP_OBJ, 0), (MASK, 5), (OTHER, 0)]
        for _ in range(3):
            put(closed, directory)
            self.assert_user(0, file.read_bytes, **PEOPLE["named user"])
            put(closed, access_lists.with_mode(directory, 0o700))
            self.assert_user(errno.EACCES, file.read_bytes, **PEOPLE["named user"])
            put(closed, directory)
            self.assert_user(0, file.read_bytes, **PEOPLE["named user"])
            os.removexattr(closed, ACCESS)
            self.assert_user(errno.EACCES, file.read_bytes, **PEOPLE["named user"])
            self.assert_user(errno.EACCES, lambda: os.stat(file), **PEOPLE["named user"])
        put(closed, directory)
        self.owned(file, [(USER_OBJ, 6), (USER, 6, ALICE), (GROUP_OBJ, 0), (MASK, 6), (OTHER, 0)])

        def use():
            with open(file, "r+b", buffering=0) as opened:
                os.setxattr(opened.fileno(), "user.opened", b"")
                put_as_superuser()
                os.pwrite(opened.fileno(), b"C", 0)
                assert os.pread(opened.fileno(), 10, 0) == b"Content"
                file.read_bytes()

        # Another process takes the right away, in the moment when this one says so.
        asked, ask = os.pipe()
        done, tell = os.pipe()

        def put_as_superuser():
            os.write(ask, b"x")
            os.read(done, 1)

        child = os.fork()
        if child == 0:
            os.close(ask)
            if os.read(asked, 1):
                put(file, of_mode(0o600))
            os._exit(os.write(tell, b"x") - 1)
        self.assert_user(errno.EACCES, use, **PEOPLE["named user"])
        os.close(ask)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assert_acl(file, of_mode(0o600))
        for descriptor in (asked, done, tell):
            os.close(descriptor)

    # ---- chmod and the mask

    def test_setting_an_acl_sets_the_mode(self):
        chooser = random.Random(6)
        for number in range(40):
            acl = random_acl(chooser)
            for path in (self.make("file-%d" % number, mode=0o6000), self.make_directory("dir-%d" % number, 0o7000)):
                kind = self.mode(path)
                put(path, acl)
                self.assert_acl(path, acl, kind)

    def test_chmod_sets_the_mask_and_leaves_the_owning_group(self):
        chooser = random.Random(7)
        path = self.make("file")
        for _ in range(40):
            acl, mode = random_acl(chooser), chooser.randrange(0o10000)
            put(path, acl)
            os.chmod(path, mode)
            self.assert_acl(path, access_lists.with_mode(acl, mode), mode & 0o7000)
        descriptor = os.open(path, os.O_RDWR)
        put(path, FULL)
        os.fchmod(descriptor, 0o640)
        os.close(descriptor)
        self.assert_acl(path, access_lists.with_mode(FULL, 0o640))
        self.assert_user(errno.EPERM, lambda: os.chmod(path, 0o777), **PEOPLE["named user"])

    def test_an_acl_that_a_mode_expresses_is_no_acl(self):
        for path in (self.make("file"), self.make_directory("directory")):
            put(path, FULL)
            put(path, of_mode(0o521))
            self.assert_acl(path, of_mode(0o521))
            put(path, [(USER_OBJ, 7), (GROUP_OBJ, 7), (MASK, 5), (OTHER, 0)])
            self.assert_acl(path, [(USER_OBJ, 7), (GROUP_OBJ, 7), (MASK, 5), (OTHER, 0)])

    def test_setting_an_acl_changes_ctime_and_not_mtime(self):
        path = self.make("file")
        before = os.stat(path)
        for action in (lambda: put(path, FULL), lambda: os.removexattr(path, ACCESS)):
            os.utime(path, ns=(10**18, 10**18))
            before = os.stat(path)
            while os.stat(path).st_ctime_ns == before.st_ctime_ns:
                action()
                put(path, FULL)
            self.assertEqual(os.stat(path).st_mtime_ns, 10**18)

    def test_who_is_in_no_group_of_the_file_loses_set_group_id(self):
        for path in (self.make("file"), self.make_directory("directory")):
            for acl in (FULL, of_mode(0o770)):
                for who, kept in (
                    ({"uid": OWNER, "gid": 3001}, False),
                    ({"uid": OWNER, "gid": OWNING}, True),
                    ({"uid": OWNER, "gid": 3001, "groups": (OWNING,)}, True),
                    ({"uid": 0, "gid": 3001}, True),
                ):
                    self.owned(path)
                    os.chmod(path, 0o6711)
                    with self.subTest(path=path.name, acl=len(acl), **who):
                        self.assert_user(0, lambda p=path, a=acl: put(p, a), **{"groups": (), **who})
                        self.assertEqual(oct(self.mode(path) & 0o7000), oct(0o6000 if kept else 0o4000))
                os.chmod(path, 0o6711)
                self.assert_user(0, lambda p=path: os.removexattr(p, ACCESS), gid=3001)
                self.assertEqual(oct(self.mode(path) & 0o7000), oct(0o6000), "removal")
        directory = self.top / "directory"
        os.chmod(directory, 0o2777)
        self.assert_user(0, lambda: put(directory, FULL, DEFAULT), gid=3001)
        self.assertEqual(oct(self.mode(directory)), oct(0o2777), "a default ACL")

    # ---- inheritance

    def make_all_kinds(self, directory, mode):
        """name -> the mode that it asked for, the umask not counted."""
        os.close(os.open(directory / "file", os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode))
        os.mkdir(directory / "directory", mode)
        os.mknod(directory / "node", stat.S_IFREG | mode)
        os.mknod(directory / "fifo", stat.S_IFIFO | mode)
        os.mknod(directory / "device", stat.S_IFCHR | mode, os.makedev(1, 3))
        os.symlink("file", directory / "link")
        kinds = dict.fromkeys(("file", "directory", "node", "fifo", "device"), mode)
        if not self.has_unnamed_files:
            return kinds
        descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR, mode)
        # A descriptor of a directory makes it linkat(2), which follows.
        os.link("/proc/self/fd/%d" % descriptor, directory / "unnamed", src_dir_fd=descriptor, follow_symlinks=True)
        os.close(descriptor)
        return {**kinds, "unnamed": mode}

    def test_a_default_acl_is_inherited_and_the_umask_does_not_count(self):
        chooser = random.Random(8)
        defaults = [of_mode(0o750), of_mode(0o007), FULL] + [random_acl(chooser) for _ in range(12)]
        for number, default in enumerate(defaults):
            mask, mode = chooser.randrange(0o1000), chooser.choice((0o777, 0o666, 0o640, 0o600, chooser.randrange(0o1000)))
            directory = self.make_directory("d-%d" % number)
            put(directory, default, DEFAULT)
            os.umask(mask)
            kinds = self.make_all_kinds(directory, mode)
            os.umask(0o022)
            for name, asked in kinds.items():
                with self.subTest(kind=name, default=default, mode=oct(mode), mask=oct(mask)):
                    self.assert_acl(directory / name, access_lists.inherited(default, asked))
                    expected = default if name == "directory" else None
                    self.assertEqual(get(directory / name, DEFAULT), expected)
            self.assertEqual(os.listxattr(directory / "link", follow_symlinks=False), [])
            self.assertEqual(get(directory), None, "no default ACL counts for its directory")
            (directory / "directory/below").mkdir()
            self.assert_acl(directory / "directory/below", access_lists.inherited(default, 0o777))
            self.assertEqual(get(directory / "directory/below", DEFAULT), default)

    def test_without_a_default_acl_the_umask_counts(self):
        chooser = random.Random(9)
        for number in range(12):
            directory = self.make_directory("d-%d" % number)
            if number % 2:
                put(directory, FULL)
            mask, mode = chooser.randrange(0o1000), chooser.choice((0o777, 0o666, chooser.randrange(0o1000)))
            os.umask(mask)
            kinds = self.make_all_kinds(directory, mode)
            os.umask(0o022)
            for name, asked in kinds.items():
                with self.subTest(kind=name, mode=oct(mode), mask=oct(mask)):
                    self.assert_acl(directory / name, of_mode(asked & ~mask))
                    self.assertEqual(get(directory / name, DEFAULT), None)

    def test_sockets_inherit_what_the_umask_leaves(self):
        directory = self.make_directory("d")
        put(directory, FULL, DEFAULT)
        os.umask(0o027)
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(directory)
            self.addCleanup(os.chdir, "/")
            server.bind("socket")
            os.chdir("/")
        self.assert_acl(directory / "socket", access_lists.inherited(FULL, 0o750))

    def test_what_comes_by_another_way_inherits_nothing(self):
        directory = self.make_directory("d")
        put(directory, FULL, DEFAULT)
        for name in ("linked", "renamed", "exchanged"):
            self.make(name, mode=0o604)
        self.make("d/other", mode=0o604)
        inherits = get(directory / "other")
        os.link(self.top / "linked", directory / "linked")
        os.rename(self.top / "renamed", directory / "renamed")
        exchange(self.top / "exchanged", directory / "other")
        for name in ("linked", "renamed", "other"):
            self.assert_acl(directory / name, of_mode(0o604))
        self.assertEqual(get(self.top / "exchanged"), inherits)
        put(directory, of_mode(0o700), DEFAULT)
        self.assertEqual(get(self.top / "exchanged"), inherits)
        (directory / "directory").mkdir()
        os.rename(directory / "directory", self.top / "directory")
        self.assertEqual(get(self.top / "directory", DEFAULT), of_mode(0o700))

    def test_a_set_group_id_directory_with_a_default_acl(self):
        shared = self.owned(self.make_directory("shared"), uid=0, gid=TEAM)
        os.chmod(shared, 0o2777)
        put(shared, FULL, DEFAULT)

        def make():
            os.umask(0o077)
            os.close(os.open(shared / "file", os.O_CREAT | os.O_WRONLY, 0o2775))
            os.mkdir(shared / "directory", 0o770)

        self.assert_user(0, make)
        self.assertEqual(os.stat(shared / "file").st_gid, TEAM)
        self.assert_acl(shared / "file", access_lists.inherited(FULL, 0o775))
        self.assert_acl(shared / "directory", access_lists.inherited(FULL, 0o770), stat.S_ISGID)
        self.assertEqual(get(shared / "directory", DEFAULT), FULL)

    # ---- setting and removing

    def test_an_acl_comes_back_as_it_was_set(self):
        directory, file = self.make_directory("directory"), self.make("file")
        many = [(USER_OBJ, 6), *((USER, number % 8, number * 7919 % 2**31) for number in range(80))]
        many += [(GROUP_OBJ, 4), *((GROUP, number % 8, 2**32 - 2 - number) for number in range(80))]
        many += [(MASK, 6), (OTHER, 0)]
        for acl in (FULL, many, [(USER_OBJ, 7), (USER, 1, BOB), (USER, 2, ALICE), (GROUP_OBJ, 0), (MASK, 7), (OTHER, 0)]):
            for path, which in ((file, ACCESS), (directory, ACCESS), (directory, DEFAULT)):
                put(path, acl, which)
                self.assertEqual(get(path, which), acl)
                self.assertEqual(os.getxattr(path, which), value(acl))
        with open(file, "rb") as opened:
            os.setxattr(opened.fileno(), ACCESS, value(FULL))
            self.assertEqual(os.getxattr(opened.fileno(), ACCESS), value(FULL))
        if self.on_store:
            self.fs.remount(self.options)
            self.assertEqual((get(file), get(directory), get(directory, DEFAULT)), (FULL, acl, acl))

    def test_removal(self):
        directory = self.make_directory("directory")
        for path in (directory, self.make("file")):
            put(path, FULL)
            os.chmod(path, 0o754)
            os.removexattr(path, ACCESS)
            self.assert_acl(path, of_mode(0o754))
            os.removexattr(path, ACCESS)
            self.assert_errno(errno.ENODATA, os.getxattr, path, ACCESS)
            put(path, FULL)
            os.setxattr(path, ACCESS, value([]))
            self.assert_acl(path, of_mode(0o777))
        for remove in (lambda: os.removexattr(directory, DEFAULT), lambda: os.setxattr(directory, DEFAULT, value([]))):
            put(directory, FULL, DEFAULT)
            put(directory, FULL)
            remove()
            self.assertEqual((get(directory, DEFAULT), get(directory)), (None, FULL))
            remove()
        self.assert_errno(errno.ENODATA, os.getxattr, directory, DEFAULT)
        self.assertEqual(os.listxattr(directory), [ACCESS])

    def test_invalid_acls(self):
        file, directory = self.make("file", mode=0o640), self.make_directory("directory")
        good = of_mode(0o777)
        mask = (MASK, 7)
        unsound = {
            "no header": b"\2\0",
            "half an entry": value(good)[:-4],
            "more than entries": value(good) + b"x",
            "no owner": value(good[1:]),
            "no group": value([good[0], good[2]]),
            "no others": value(good[:2]),
            "another order": value([good[1], good[0], good[2]]),
            "two owners": value([good[0], *good]),
            "two groups": value([*good[:2], *good[1:]]),
            "two others": value([*good, good[2]]),
            "two masks": value([*good[:2], mask, mask, good[2]]),
            "no mask": value([good[0], (USER, 7, ALICE), *good[1:]]),
            "no mask for a group": value([*good[:2], (GROUP, 7, TEAM), good[2]]),
            "a user after the group": value([*good[:2], (USER, 7, ALICE), mask, good[2]]),
            "the mask last": value([*good, mask]),
            "nobody": value([good[0], (USER, 7), good[1], mask, good[2]]),
            "no group's id": value([*good[:2], (GROUP, 7), mask, good[2]]),
            "a permission too many": value([(USER_OBJ, 8), *good[1:]]),
            "all permissions": value([(USER_OBJ, 0xFFFF), *good[1:]]),
            "an unknown tag": value([*good, (64, 7)]),
            "no tag": value([(0, 7), *good]),
        }
        for name, wrong in unsound.items():
            for path, which in ((file, ACCESS), (directory, ACCESS), (directory, DEFAULT)):
                with self.subTest(name, which=which):
                    self.assert_errno(errno.EINVAL, os.setxattr, path, which, wrong)
        for version in (0, 1, 3, 2**31):
            wrong = version.to_bytes(4, "little") + value(good)[4:]
            self.assert_errno(errno.EOPNOTSUPP, os.setxattr, file, ACCESS, wrong)
        twice = value([good[0], (USER, 7, ALICE), (USER, 0, ALICE), good[1], mask, good[2]])
        self.assertEqual(errno_of(os.setxattr, directory, DEFAULT, twice), errno.EINVAL if self.on_store else 0)
        self.assertEqual(self.mode(file), 0o640)
        self.assertEqual(os.listxattr(file), [])

    def test_kinds_that_have_none(self):
        link, file = self.top / "link", self.make("file")
        link.symlink_to("file")
        for which in (ACCESS, DEFAULT):
            self.assert_errno(errno.EOPNOTSUPP, os.setxattr, link, which, value(FULL), follow_symlinks=False)
            self.assert_errno(errno.EOPNOTSUPP, os.getxattr, link, which, follow_symlinks=False)
            self.assert_errno(errno.EOPNOTSUPP, os.removexattr, link, which, follow_symlinks=False)
        os.mkfifo(self.top / "fifo")
        for path in (file, self.top / "fifo"):
            self.assert_errno(errno.EACCES, os.setxattr, path, DEFAULT, value(FULL))
            self.assert_errno(errno.ENODATA, os.getxattr, path, DEFAULT)
            os.removexattr(path, DEFAULT)
            put(path, FULL)
            self.assert_acl(path, FULL)
        self.assert_errno(errno.ENODATA, os.getxattr, self.make_directory("directory"), DEFAULT)
        self.assert_errno(errno.ERANGE, self.short_read, file)

    def short_read(self, path):
        from system_calls import getxattr

        self.assertEqual(getxattr(path, ACCESS, 0), len(value(FULL)))
        getxattr(path, ACCESS, len(value(FULL)) - 1)

    def test_flags_of_setxattr_do_not_count(self):
        for path, which in ((self.make("file"), ACCESS), (self.make_directory("directory"), DEFAULT)):
            os.setxattr(path, which, value(FULL), os.XATTR_REPLACE)
            os.setxattr(path, which, value(FULL), os.XATTR_CREATE)
            self.assertEqual(get(path, which), FULL)

    def test_who_sets_and_reads_an_acl(self):
        directory = self.owned(self.make_directory("directory", 0o777))
        file = self.owned(self.make("file"), FULL)
        os.chmod(file, 0)
        for name, who in PEOPLE.items():
            expected = 0 if who["uid"] in (0, OWNER) else errno.EPERM
            with self.subTest(name):
                found = each_as_user(
                    {
                        "set": lambda: put(file, FULL),
                        "close": lambda: os.chmod(file, 0),
                        "set a default": lambda: put(directory, FULL, DEFAULT),
                        "remove a default": lambda: os.removexattr(directory, DEFAULT),
                        "read": lambda: os.getxattr(file, ACCESS),
                        "list": lambda: os.listxattr(file),
                    },
                    **who,
                )
                writes = dict.fromkeys(("set", "close", "set a default", "remove a default"), expected)
                self.assertEqual(found, {**writes, "read": 0, "list": 0})
        os.chmod(self.top, 0o700)
        self.assert_user(errno.EACCES, lambda: os.getxattr(file, ACCESS))
        os.chmod(self.top, 0o755)

    def test_a_new_owner_changes_no_entry(self):
        file = self.owned(self.make("file", b"x" * 5000), FULL)
        directory = self.owned(self.make_directory("directory"), FULL)
        put(directory, FULL, DEFAULT)
        os.chmod(file, 0o6751)
        for path in (file, directory):
            expected = get(path)
            os.chown(path, ALICE, TEAM)
            self.assertEqual(get(path), expected)
            self.assert_user(0, lambda p=path: os.chown(p, -1, CLUB), uid=ALICE, groups=(CLUB,))
            self.assertEqual(get(path), expected)
        self.assertEqual(oct(self.mode(file)), oct(0o751))
        self.assertEqual(get(directory, DEFAULT), FULL)
        # Nor does writing, also where it takes set-user-id away.
        put(file, FULL)
        os.chmod(file, 0o4777)
        self.assert_user(0, lambda: os.truncate(file, 10), uid=1008)
        self.assert_acl(file, FULL)
        # Who was named owns it now: the owner's entry counts for him.
        put(file, [(USER_OBJ, 0), (USER, 7, ALICE), (GROUP_OBJ, 0), (MASK, 7), (OTHER, 0)])
        self.assert_user(errno.EACCES, file.read_bytes, uid=ALICE)
        os.chown(file, BOB, -1)
        self.assert_user(0, file.read_bytes, uid=ALICE)

    # ---- programs

    def run_program(self, *command, **keywords) -> str:
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **keywords)
        self.assertEqual((result.returncode, result.stderr), (0, ""), command)
        return result.stdout

    def make_tree(self, tree):
        (tree / "below").mkdir(parents=True)
        for name in ("file", "plain", "below/file"):
            (tree / name).write_text(name)
        (tree / "link").symlink_to("file")
        self.run_program("setfacl", "-m", "u:%d:rw,g:%d:r" % (ALICE, TEAM), tree / "file")
        self.run_program("setfacl", "-m", "u:%d:rwx,d:u:%d:rwx,d:g:%d:-" % (ALICE, BOB, TEAM), tree / "below")
        (tree / "below" / "inherits").write_text("x")
        return tree

    def listing(self, tree) -> str:
        """In one order, whichever the directory has."""
        return "\n\n".join(sorted(self.run_program("getfacl", "-Rnp", ".", cwd=tree).split("\n\n")))

    def test_copies_and_archives_keep_acls(self):
        """Within the file system, and from and to a local one."""
        outside = pathlib.Path(tempfile.mkdtemp(prefix="pailfs-outside-"))
        self.addCleanup(shutil.rmtree, outside, ignore_errors=True)
        for source, target in ((self.top, self.top), (self.top, outside), (outside, self.top)):
            tree = self.make_tree(source / ("tree to " + target.name))
            place = target / ("copies of " + source.name)
            place.mkdir()
            (place / "unpacked").mkdir()
            expected = self.listing(tree)
            self.assertIn("default:user:%d:rwx" % BOB, expected)
            self.run_program("cp", "-a", tree, place / "copied")
            self.run_program("rsync", "-aA", str(tree) + "/", place / "synced")
            self.run_program("tar", "--acls", "-cf", place / "tree.tar", "-C", tree, ".")
            self.run_program("tar", "--acls", "-xpf", place / "tree.tar", "-C", place / "unpacked")
            for copy in ("copied", "synced", "unpacked"):
                with self.subTest(copy=copy, to=target.name):
                    self.assertEqual(self.listing(place / copy), expected)
            self.assertEqual(self.run_program("rsync", "-aAi", str(tree) + "/", place / "synced"), "")

    def test_setfacl_and_getfacl(self):
        directory = self.make_directory("directory", 0o750)
        file = self.make("directory/file", mode=0o640)
        acl = lambda path, *options: self.run_program("getfacl", "-cnpE", *options, path).split()
        self.run_program("setfacl", "-m", "u:%d:rwx" % ALICE, file)
        self.assertEqual(acl(file), ["user::rw-", "user:1002:rwx", "group::r--", "mask::rwx", "other::---"])
        self.assertEqual(self.mode(file), 0o670)
        self.assertTrue(self.run_program("ls", "-l", file).startswith("-rw-rwx---+"))
        self.run_program("setfacl", "-n", "-m", "m::r,g:%d:rw" % TEAM, file)
        self.assertEqual(
            acl(file), ["user::rw-", "user:1002:rwx", "group::r--", "group:2002:rw-", "mask::r--", "other::---"]
        )
        self.run_program("setfacl", "-x", "u:%d" % ALICE, file)
        self.assertEqual(acl(file), ["user::rw-", "group::r--", "group:2002:rw-", "mask::rw-", "other::---"])
        self.run_program("setfacl", "-b", file)
        self.assert_acl(file, of_mode(0o640))
        self.run_program("setfacl", "-d", "-m", "g:%d:rwx" % TEAM, directory)
        expected = ["user::rwx", "group::r-x", "group:2002:rwx", "mask::rwx", "other::---"]
        self.assertEqual(acl(directory, "-d"), expected)
        self.assert_acl(directory, of_mode(0o750))
        self.run_program("setfacl", "-k", directory)
        self.assertEqual(os.listxattr(directory), [])
        self.run_program("setfacl", "-R", "-m", "u:%d:rX" % BOB, directory)
        self.assertEqual((acl(directory)[1], acl(file)[1]), ("user:1003:r-x", "user:1003:r--"))
        backup = self.run_program("getfacl", "-Rp", directory)
        self.run_program("setfacl", "-R", "-b", directory)
        self.run_program("setfacl", "--restore=-", input=backup)
        self.assertEqual(self.run_program("getfacl", "-Rp", directory), backup)


load_tests = on_file_systems(globals(), (Acls, SHARED))

if __name__ == "__main__":
    main()
