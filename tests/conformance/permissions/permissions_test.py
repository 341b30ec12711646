#!/usr/bin/env python3
"""Each call by the owner, the group, a supplementary group and others, with each of the needed bits missing."""

import errno
import os
import pathlib
import stat

from file_systems import SHARED, Bodies, main, on_file_systems
from other_users import as_user, each_as_user, in_child
from system_calls import UTIME_NOW, UTIME_OMIT, exchange, utimensat

OWNER, GROUP = 1001, 2001
# Who somebody is to a file of OWNER and GROUP: his ids, and the shift of the mode bits that count for him.
CLASSES = {
    "owner": ({"uid": OWNER, "gid": 3001}, 6),
    "owner in the group": ({"uid": OWNER, "gid": GROUP, "groups": (GROUP,)}, 6),
    "group": ({"uid": 1002, "gid": GROUP}, 3),
    "supplementary group": ({"uid": 1003, "gid": 3003, "groups": (7, GROUP, 9)}, 3),
    "other": ({"uid": 1004, "gid": 3004, "groups": (3005,)}, 0),
}


def mode_for(shift, bits) -> int:
    """For one class just these bits, for the two others just the rest."""
    mode = 0o111 * (7 ^ bits)
    return mode & ~(7 << shift) | bits << shift


def check_access(path, mode):
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, "access")


def open_as(path, flags):
    os.close(os.open(path, flags))


def execute(path):
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, ["program"])
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, "exec")


class Permissions(Bodies):
    def mode(self, path) -> int:
        return stat.S_IMODE(os.lstat(path).st_mode)

    def owned(self, path, uid=OWNER, gid=GROUP, mode=0o644) -> pathlib.Path:
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        return path

    def assert_user(self, expected, action, uid=OWNER, gid=GROUP, groups=()):
        self.assertEqual(os.strerror(as_user(action, uid, gid, groups)), os.strerror(expected))

    # ---- the bits of a file

    def test_calls_on_a_file_by_each_class_with_each_mode(self):
        program = self.make("program", pathlib.Path("/bin/true").read_bytes())
        file = self.make("file", b"content")
        os.setxattr(file, "user.a", b"value")
        for name, (ids, shift) in CLASSES.items():
            for bits in range(8):
                mode = mode_for(shift, bits)
                for path in (program, file):
                    self.owned(path, mode=mode)
                reads, writes, runs = (0 if bits & bit else errno.EACCES for bit in (4, 2, 1))
                both = reads or writes
                owns = shift == 6
                with self.subTest(who=name, mode=oct(mode)):
                    found = each_as_user(
                        {
                            "open to read": lambda: open_as(file, os.O_RDONLY),
                            "open to write": lambda: open_as(file, os.O_WRONLY),
                            "open for both": lambda: open_as(file, os.O_RDWR),
                            "open to create": lambda: open_as(file, os.O_WRONLY | os.O_CREAT),
                            "open to truncate": lambda: open_as(file, os.O_WRONLY | os.O_TRUNC),
                            "read and truncate": lambda: open_as(file, os.O_RDONLY | os.O_TRUNC),
                            "truncate": lambda: os.truncate(file, 3),
                            "stat": lambda: os.stat(file),
                            "access r": lambda: check_access(file, os.R_OK),
                            "access w": lambda: check_access(file, os.W_OK),
                            "access x": lambda: check_access(file, os.X_OK),
                            "access rw": lambda: check_access(file, os.R_OK | os.W_OK),
                            "access f": lambda: check_access(file, os.F_OK),
                            "touch": lambda: os.utime(file),
                            "set times": lambda: os.utime(file, (1, 2)),
                            "getxattr": lambda: os.getxattr(file, "user.a"),
                            "setxattr": lambda: os.setxattr(file, "user.a", b"other"),
                            "execute": lambda: execute(program),
                        },
                        **ids,
                    )
                    self.assertEqual(
                        found,
                        {
                            "open to read": reads,
                            "open to write": writes,
                            "open for both": both,
                            "open to create": writes,
                            "open to truncate": writes,
                            "read and truncate": both,
                            "truncate": writes,
                            "stat": 0,
                            "access r": reads,
                            "access w": writes,
                            "access x": runs,
                            "access rw": both,
                            "access f": 0,
                            "touch": 0 if owns else writes,
                            "set times": 0 if owns else errno.EPERM,
                            "getxattr": reads,
                            "setxattr": writes,
                            "execute": runs,
                        },
                    )

    # ---- the bits of a directory

    def fill(self, directory):
        for name in ("file", "removed", "moved", "other", "kept"):
            path = directory / name
            path.write_bytes(b"content")
            os.chown(path, OWNER, GROUP)
            path.chmod(0o666)
        for name in ("below", "empty"):
            (directory / name).mkdir()
            os.chown(directory / name, OWNER, GROUP)
            (directory / name).chmod(0o777)

    def test_calls_on_names_by_each_class_with_each_mode(self):
        for name, (ids, shift) in CLASSES.items():
            for bits in range(8):
                mode = mode_for(shift, bits)
                here = self.make_directory("%s-%d" % (name, bits))
                away = self.make_directory("%s-%d-away" % (name, bits))
                away.chmod(0o777)
                self.fill(here)
                self.fill(away)
                self.owned(here, mode=mode)
                self.owned(away, mode=0o777)
                search = 0 if bits & 1 else errno.EACCES
                change = 0 if bits & 3 == 3 else errno.EACCES
                lists = 0 if bits & 4 else errno.EACCES
                missing = search or errno.ENOENT
                calls = {
                    "list": (lists, lambda h=here: os.listdir(h)),
                    "enter": (search, lambda h=here: os.chdir(h)),
                    "stat": (search, lambda h=here: os.stat(h / "file")),
                    "stat of what is not there": (missing, lambda h=here: os.stat(h / "missing")),
                    "stat of itself": (0, lambda h=here: os.stat(h)),
                    "open": (search, lambda h=here: open_as(h / "file", os.O_RDWR)),
                    "truncate": (search, lambda h=here: os.truncate(h / "file", 1)),
                    "touch": (search, lambda h=here: os.utime(h / "file")),
                    "getxattr": (search or errno.ENODATA, lambda h=here: os.getxattr(h / "file", "user.a")),
                    "readlink": (search or errno.EINVAL, lambda h=here: os.readlink(h / "file")),
                    "below": (search, lambda h=here: os.listdir(h / "below")),
                    "access w": (
                        0 if bits & 2 else errno.EACCES, lambda h=here: check_access(h, os.W_OK)
                    ),
                    "create": (change, lambda h=here: open_as(h / "new", os.O_CREAT | os.O_WRONLY)),
                    "create what is there": (search, lambda h=here: open_as(h / "file", os.O_CREAT | os.O_WRONLY)),
                    "mkdir": (change, lambda h=here: os.mkdir(h / "new directory")),
                    "mkfifo": (change, lambda h=here: os.mkfifo(h / "new fifo")),
                    "symlink": (change, lambda h=here: os.symlink("x", h / "new link")),
                    "link into": (change, lambda h=here, a=away: os.link(a / "kept", h / "linked")),
                    "link from": (search, lambda h=here, a=away: os.link(h / "kept", a / "linked")),
                    "unlink": (change, lambda h=here: os.unlink(h / "removed")),
                    "rmdir": (change, lambda h=here: os.rmdir(h / "empty")),
                    "rename": (change, lambda h=here: os.rename(h / "moved", h / "renamed")),
                    "rename into": (change, lambda h=here, a=away: os.rename(a / "moved", h / "into")),
                    "rename over": (change, lambda h=here, a=away: os.rename(a / "file", h / "file")),
                    "exchange": (change, lambda h=here, a=away: exchange(h / "kept", a / "kept")),
                    "rename from": (change, lambda h=here, a=away: os.rename(h / "other", a / "from")),
                    "move a directory": (change, lambda h=here, a=away: os.rename(h / "below", a / "moved below")),
                }
                with self.subTest(who=name, mode=oct(mode)):
                    found = each_as_user({call: action for call, (_, action) in calls.items()}, **ids)
                    self.assertEqual(found, {call: expected for call, (expected, _) in calls.items()})

    def test_a_directory_that_changes_its_parent_must_be_writable(self):
        one = self.owned(self.make_directory("one"), mode=0o777)
        two = self.owned(self.make_directory("two"), mode=0o777)
        (one / "moved").mkdir(mode=0o755)
        self.assert_user(0, lambda: os.rename(one / "moved", one / "renamed"))
        self.assert_user(errno.EACCES, lambda: os.rename(one / "renamed", two / "moved"))
        (two / "file").touch()
        self.assert_user(errno.EACCES, lambda: exchange(one / "renamed", two / "file"))
        self.assert_user(errno.EACCES, lambda: exchange(two / "file", one / "renamed"))
        (one / "renamed").chmod(0o777)
        self.assert_user(0, lambda: os.rename(one / "renamed", two / "moved"))

    def test_a_sticky_directory(self):
        for directory_of, file_of, allowed in (
            (0, 0, False),
            (0, 1004, False),
            (0, OWNER, True),
            (OWNER, 0, True),
            (OWNER, 1004, True),
            (1004, 0, False),
        ):
            with self.subTest(directory=directory_of, file=file_of):
                here = self.make_directory("d-%d-%d" % (directory_of, file_of))
                names = ("removed", "moved", "target", "exchanged")
                for name in names:
                    (here / name).touch()
                    os.chown(here / name, file_of, 0)
                    (here / name).chmod(0o666)
                (here / "directory").mkdir()
                os.chown(here / "directory", file_of, 0)
                for name in ("own", "own2"):
                    (here / name).touch()
                    os.chown(here / name, OWNER, GROUP)
                self.owned(here, directory_of, 0, 0o1777)
                expected = 0 if allowed else errno.EPERM
                found = each_as_user(
                    {
                        "exchange": lambda h=here: exchange(h / "exchanged", h / "own"),
                        "over": lambda h=here: os.rename(h / "own2", h / "target"),
                        "rename": lambda h=here: os.rename(h / "moved", h / "renamed"),
                        "unlink": lambda h=here: os.unlink(h / "removed"),
                        "rmdir": lambda h=here: os.rmdir(h / "directory"),
                    },
                    uid=OWNER,
                    gid=GROUP,
                )
                self.assertEqual(found, dict.fromkeys(("exchange", "over", "rename", "unlink", "rmdir"), expected))
                self.assert_user(0, lambda h=here: (h / "new").touch())
                here.chmod(0o1755)
                if directory_of != OWNER:
                    self.assert_user(errno.EACCES, lambda h=here: os.unlink(h / "own"))

    def test_the_superuser_needs_no_bits(self):
        directory = self.owned(self.make_directory("directory"), mode=0o777)
        file = self.owned(self.make("directory/file", b"content"), mode=0)
        directory.chmod(0o1000)
        self.assertEqual(file.read_bytes(), b"content")
        file.write_bytes(b"new content")
        self.assertEqual(os.listdir(directory), ["file"])
        self.assertTrue(os.access(file, os.R_OK | os.W_OK))
        self.assertFalse(os.access(file, os.X_OK))
        self.assert_errno(errno.EACCES, execute, file)
        file.chmod(0o010)
        self.assertTrue(os.access(file, os.X_OK))
        self.assertTrue(os.access(directory, os.X_OK))
        os.rename(file, directory / "renamed")
        os.unlink(directory / "renamed")

    # ---- owners, modes and times

    def test_who_changes_owners(self):
        file = self.make("file")
        ids = {"uid": OWNER, "gid": GROUP, "groups": (4001,)}
        for uid, gid, expected in (
            (-1, -1, 0),
            (OWNER, -1, 0),
            (-1, GROUP, 0),
            (-1, 4001, 0),
            (OWNER, 4001, 0),
            (-1, 4002, errno.EPERM),
            (0, -1, errno.EPERM),
            (1004, GROUP, errno.EPERM),
            (0, 0, errno.EPERM),
        ):
            for link in (False, True):
                self.owned(file)
                (self.top / "link").unlink(missing_ok=True)
                (self.top / "link").symlink_to("file")
                os.lchown(self.top / "link", OWNER, GROUP)
                target = self.top / "link" if link else file
                with self.subTest(uid=uid, gid=gid, link=link):
                    self.assert_user(expected, lambda t=target, u=uid, g=gid: os.lchown(t, u, g), **ids)
                    found = os.lstat(target)
                    wanted = (OWNER, GROUP if gid == -1 or expected else gid)
                    self.assertEqual((found.st_uid, found.st_gid), wanted)
        self.owned(file, uid=0, gid=GROUP, mode=0o666)
        for uid, gid, expected in ((-1, GROUP, errno.EPERM), (0, -1, errno.EPERM), (-1, 4001, errno.EPERM)):
            self.assert_user(expected, lambda u=uid, g=gid: os.chown(file, u, g), **ids)

    def test_who_changes_modes(self):
        file = self.owned(self.make("file"), mode=0o666)
        for name, (ids, shift) in CLASSES.items():
            with self.subTest(name):
                expected = 0 if shift == 6 else errno.EPERM
                self.assert_user(expected, lambda: os.chmod(file, 0o666), **{"gid": 1, "groups": (), **ids})
        self.assert_user(0, lambda: os.chmod(file, 0o7755))
        self.assertEqual(self.mode(file), 0o7755)
        self.owned(file, gid=4001)
        self.assert_user(0, lambda: os.chmod(file, 0o6755))
        self.assertEqual(self.mode(file), 0o4755, "not in its group: no set-group-id")
        self.assert_user(0, lambda: os.chmod(file, 0o6755), groups=(4001,))
        self.assertEqual(self.mode(file), 0o6755)

    def test_who_sets_times(self):
        file = self.make("file")
        others = {"uid": 1004, "gid": 1004}
        for mode, who, expected in (
            (0o600, others, (errno.EACCES, errno.EPERM, errno.EPERM, 0)),
            (0o606, others, (0, errno.EPERM, errno.EPERM, 0)),
            (0o000, {}, (0, 0, 0, 0)),
        ):
            self.owned(file, mode=mode)
            calls = (
                lambda: utimensat(file, UTIME_NOW, UTIME_NOW),
                lambda: utimensat(file, (1, 2), (3, 4)),
                lambda: utimensat(file, UTIME_NOW, UTIME_OMIT),
                lambda: utimensat(file, UTIME_OMIT, UTIME_OMIT),
            )
            for call, wanted in zip(calls, expected):
                with self.subTest(mode=oct(mode), call=calls.index(call)):
                    self.assert_user(wanted, call, **who)

    # ---- set-id bits

    def test_what_takes_set_id_bits_away(self):
        file = self.make("file", b"content" * 1000)

        def write():
            with open(file, "r+b", buffering=0) as handle:
                handle.write(b"x")

        def chown():
            os.chown(file, -1, GROUP)

        source = os.open(self.make("source", b"content" * 1000), os.O_RDONLY)
        self.addCleanup(os.close, source)

        def copy():
            with open(file, "r+b") as handle:
                os.copy_file_range(source, handle.fileno(), 100, 0)

        acts = {
            "write": write,
            "copy": copy,
            "truncate": lambda: os.truncate(file, 10),
            "open and truncate": lambda: open_as(file, os.O_WRONLY | os.O_TRUNC),
        }
        for name, act in acts.items():
            for mode, left in ((0o6777, 0o777), (0o4777, 0o777), (0o2777, 0o777), (0o4666, 0o666), (0o1777, 0o1777)):
                for who in ({"uid": 1004, "gid": 1004}, {"uid": OWNER, "gid": GROUP}):
                    file.write_bytes(b"content" * 1000)
                    self.owned(file, mode=mode)
                    with self.subTest(act=name, mode=oct(mode), **who):
                        self.assert_user(0, act, **who)
                        self.assertEqual(oct(self.mode(file)), oct(left))
            self.owned(file, mode=0o6777)
            act()
            self.assertEqual(self.mode(file), 0o6777, "%s by the superuser" % name)
        for mode, left in ((0o6777, 0o777), (0o6755, 0o755), (0o4711, 0o711)):
            self.owned(file, mode=mode)
            self.assert_user(0, chown)
            self.assertEqual(oct(self.mode(file)), oct(left))
            self.owned(file, mode=mode)
            os.chown(file, 5, 6)
            self.assertEqual(oct(self.mode(file)), oct(left))
        directory = self.owned(self.make_directory("directory"), mode=0o6755)
        os.chown(directory, 5, 6)
        self.assertEqual(self.mode(directory), 0o6755)

    def test_a_set_group_id_directory_gives_its_group(self):
        shared = self.owned(self.make_directory("shared"), uid=0, gid=4001, mode=0o2777)

        def make():
            os.umask(0)
            open_as_new = os.open(shared / "file", os.O_CREAT | os.O_WRONLY, 0o2775)
            os.close(open_as_new)
            os.mkdir(shared / "directory", 0o775)
            os.mkfifo(shared / "fifo", 0o664)
            os.symlink("x", shared / "link")

        self.assert_user(0, make)
        for name, mode in (("file", 0o775), ("directory", 0o2775), ("fifo", 0o664), ("link", 0o777)):
            found = os.lstat(shared / name)
            self.assertEqual((found.st_uid, found.st_gid), (OWNER, 4001), name)
            self.assertEqual(oct(stat.S_IMODE(found.st_mode)), oct(mode), name)
        plain = self.owned(self.make_directory("plain"), uid=0, gid=4001, mode=0o777)
        self.assert_user(0, lambda: (plain / "file").touch())
        self.assertEqual(os.stat(plain / "file").st_gid, GROUP)

    def test_a_set_user_id_program_runs_as_its_owner(self):
        program = self.make("id", pathlib.Path("/usr/bin/id").read_bytes())
        self.owned(program, mode=0o4755)

        def run():
            os.setresgid(1004, 1004, 1004)
            os.setresuid(1004, 1004, 1004)
            with os.popen("%s -u" % program) as output:
                return output.read().strip()

        self.assertEqual(in_child(run), str(OWNER))

    # ---- what is open, and who asks

    def test_rights_are_those_of_the_opening(self):
        file = self.owned(self.make("file", b"content"), mode=0o600)
        directory = self.owned(self.make_directory("directory"), mode=0o700)
        (directory / "entry").touch()

        def use():
            writer = os.open(file, os.O_RDWR)
            listing = os.open(directory, os.O_RDONLY)
            os.chmod(file, 0)
            os.chmod(directory, 0)
            os.pwrite(writer, b"C", 0)
            os.ftruncate(writer, 4)
            os.fsync(writer)
            assert os.pread(writer, 10, 0) == b"Cont"
            assert os.listdir(listing) == ["entry"]
            for call in (
                lambda: os.open("/proc/self/fd/%d" % writer, os.O_RDWR),
                lambda: os.stat("entry", dir_fd=listing),
                lambda: os.open("entry", os.O_RDONLY, dir_fd=listing),
                lambda: os.fchdir(listing),
            ):
                try:
                    call()
                except PermissionError:
                    continue
                raise AssertionError("let in")

        self.assert_user(0, use)

    def test_a_right_that_is_taken_is_gone_at_once(self):
        directory = self.owned(self.make_directory("directory"), mode=0o755)
        file = self.owned(self.make("directory/file", b"content"), mode=0o644)
        who = {"uid": 1004, "gid": 1004}
        for _ in range(3):
            self.assert_user(0, file.read_bytes, **who)
            file.chmod(0o640)
            self.assert_user(errno.EACCES, file.read_bytes, **who)
            file.chmod(0o644)
            self.assert_user(0, file.read_bytes, **who)
            directory.chmod(0o754)
            self.assert_user(errno.EACCES, file.read_bytes, **who)
            self.assert_user(errno.EACCES, lambda: os.stat(file), **who)
            directory.chmod(0o755)

    def test_access_asks_for_the_real_user(self):
        file = self.owned(self.make("file"), uid=0, gid=0, mode=0o600)

        def ask():
            os.setgroups([])
            os.setresgid(1004, 0, 0)
            os.setresuid(1004, 0, 0)
            real = os.access(file, os.R_OK)
            open_as(file, os.O_RDWR)
            return real

        self.assertEqual(in_child(ask), False)

    def test_links_to_files_of_others(self):
        if pathlib.Path("/proc/sys/fs/protected_hardlinks").read_text().strip() != "1":
            self.skipTest("the kernel is told to allow them")
        here = self.owned(self.make_directory("here"), mode=0o777)
        for uid, mode, expected in (
            (OWNER, 0o000, 0),
            (0, 0o666, 0),
            (0, 0o644, errno.EPERM),
            (0, 0o622, errno.EPERM),
            (0, 0o4777, errno.EPERM),
        ):
            file = self.owned(self.make("file-%d-%o" % (uid, mode)), uid=uid, gid=0, mode=mode)
            with self.subTest(uid=uid, mode=oct(mode)):
                self.assert_user(expected, lambda f=file: os.link(f, here / f.name))

    def test_devices_are_made_by_the_superuser_alone(self):
        here = self.owned(self.make_directory("here"), mode=0o777)
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            self.assert_user(errno.EPERM, lambda k=kind: os.mknod(here / "device", k | 0o666, os.makedev(1, 3)))
        os.mknod(here / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod(here / "null", 0o666)
        with open(here / "null", "r+b", buffering=0) as device:
            self.assertEqual(device.write(b"gone"), 4)
            self.assertEqual(device.read(1), b"")


load_tests = on_file_systems(globals(), (Permissions, SHARED))

if __name__ == "__main__":
    main()
