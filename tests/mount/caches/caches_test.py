#!/usr/bin/env python3
"""What one user's access has put into the kernel's caches lets no other one past the gate, and where everybody is equal
the kernel asks once."""

import ctypes
import datetime
import errno
import multiprocessing
import os
import stat
import time

from mounted_store import NOBODY, PAIL, MountTest, main


def read_file(path, directory=None):
    with open(os.open(path, os.O_RDONLY, dir_fd=directory), "rb") as file:
        return file.read()


def write_file(path, directory=None):
    os.close(os.open(path, os.O_WRONLY, dir_fd=directory))


def list_directory(path, directory=None):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return sorted(os.listdir(descriptor))
    finally:
        os.close(descriptor)


def look_up(path, directory=None):
    return stat.S_IFMT(os.stat(path, dir_fd=directory, follow_symlinks=False).st_mode)


def look_up_missing(path, directory=None):
    return look_up(path + "-missing", directory)


def read_link(path, directory=None):
    return os.readlink(path, dir_fd=directory)


def open_directory(path):
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


class User:
    """A process with other ids, which lives as long as the test and keeps what it has opened."""

    def __init__(self, uid=NOBODY, gid=NOBODY, groups=()):
        self.ours, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=self.work, args=(theirs, uid, gid, groups), daemon=True
        )
        self.process.start()
        theirs.close()

    def work(self, calls, uid, gid, groups):
        self.ours.close()
        os.setgroups(list(groups))
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        while True:
            try:
                action, arguments = calls.recv()
            except EOFError:
                return
            try:
                calls.send((0, action(*arguments)))
            except OSError as error:
                calls.send((error.errno, None))

    def call(self, action, *arguments):
        """(errno or 0, result)"""
        self.ours.send((action, tuple(a if isinstance(a, int) else str(a) for a in arguments)))
        return self.ours.recv()

    def close(self):
        self.ours.close()
        self.process.join()


ACTIONS = {
    "file": (look_up, read_file, write_file),
    "link": (look_up, read_link),
    "below": (look_up, list_directory),
}


class Caches(MountTest):
    options = "allow_other"

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.options).bucket()
        self.bucket.chmod(0o755)
        self.directory = self.bucket / "directory"
        self.directory.mkdir(0o755)
        self.fill(self.directory)
        self.other = User()
        self.addCleanup(self.other.close)

    def fill(self, directory):
        (directory / "file").write_text("content")
        (directory / "file").chmod(0o666)
        (directory / "below").mkdir()
        (directory / "below").chmod(0o755)
        (directory / "below" / "deep").write_text("deep content")
        (directory / "link").symlink_to("file")

    def warm(self, directory):
        """As root, everything that the kernel could keep, twice."""
        for _ in range(2):
            for name, actions in ACTIONS.items():
                for action in actions:
                    action(str(directory / name))
            read_file(str(directory / "below" / "deep"))
            list_directory(str(directory))
            with self.assertRaises(FileNotFoundError):
                look_up_missing(str(directory / "file"))

    def assert_other(self, expected, directory, relative_to=None):
        """What each action by the other user ends with."""
        base = "" if relative_to is not None else str(directory) + "/"
        more = () if relative_to is None else (relative_to,)
        for name, actions in ACTIONS.items():
            for action in actions:
                with self.subTest(name=name, action=action.__name__, directory=directory, relative=more):
                    self.assertEqual(self.other.call(action, base + name, *more)[0], expected)
        with self.subTest("a missing name", relative=more):
            missing = self.other.call(look_up_missing, base + "file", *more)[0]
            self.assertEqual(missing, expected or errno.ENOENT)

    def test_what_root_has_warmed_stays_closed_to_others(self):
        self.directory.chmod(0o700)
        self.warm(self.directory)
        self.assert_other(errno.EACCES, self.directory)
        self.assertEqual(self.other.call(list_directory, self.directory)[0], errno.EACCES)

    def test_a_directory_that_is_closed_is_closed_from_the_next_call_on(self):
        for close in (
            lambda: self.directory.chmod(0o700),
            lambda: self.directory.chmod(0o754),
            lambda: self.bucket.chmod(0o750),
        ):
            self.directory.chmod(0o755)
            self.bucket.chmod(0o755)
            for _ in range(20):
                self.directory.chmod(0o755)
                self.bucket.chmod(0o755)
                self.warm(self.directory)
                self.assert_other(0, self.directory)
                close()
                self.assertEqual(self.other.call(read_file, self.directory / "file")[0], errno.EACCES)
            self.assert_other(errno.EACCES, self.directory)

    def test_a_descriptor_of_a_directory_opens_nothing_in_it_once_it_is_closed(self):
        _, descriptor = self.other.call(open_directory, self.directory)
        self.warm(self.directory)
        self.assert_other(0, self.directory, descriptor)
        self.directory.chmod(0o700)
        self.assert_other(errno.EACCES, self.directory, descriptor)

    def test_a_directory_below_a_closed_one_stays_reachable_by_descriptor(self):
        _, descriptor = self.other.call(open_directory, self.directory)
        self.bucket.chmod(0o700)
        self.warm(self.directory)
        self.assert_other(0, self.directory, descriptor)
        self.assert_other(errno.EACCES, self.directory)

    def test_rights_of_a_file_hold_under_each_of_its_names(self):
        secret, name = self.directory / "file", self.bucket / "another-name"
        os.link(secret, name)
        for revoke, restore in (
            (lambda: secret.chmod(0o600), lambda: secret.chmod(0o644)),
            (lambda: (secret.chmod(0o604), os.chown(secret, 0, NOBODY)), lambda: os.chown(secret, 0, 0)),
            (lambda: (secret.chmod(0o064), os.chown(secret, NOBODY, 0)), lambda: os.chown(secret, 0, 0)),
        ):
            restore()
            secret.chmod(0o644)
            for path in (secret, name):
                read_file(str(path))
                self.assertEqual(self.other.call(read_file, path), (0, b"content"))
            revoke()
            for path in (secret, name):
                self.assertEqual(self.other.call(read_file, path)[0], errno.EACCES)
        # A name in a closed directory does not close the others.
        os.chown(secret, 0, 0)
        secret.chmod(0o644)
        self.directory.chmod(0o700)
        self.assertEqual(self.other.call(read_file, name), (0, b"content"))
        self.assertEqual(self.other.call(read_file, secret)[0], errno.EACCES)

    def test_groups_decide_anew_for_each_caller(self):
        member = User(groups=(4242,))
        self.addCleanup(member.close)
        os.chown(self.directory, 0, 4242)
        self.directory.chmod(0o750)
        self.warm(self.directory)
        self.assertEqual(member.call(read_file, self.directory / "file"), (0, b"content"))
        self.assertEqual(self.other.call(read_file, self.directory / "file")[0], errno.EACCES)
        os.chown(self.directory, 0, 0)
        self.assertEqual(member.call(read_file, self.directory / "file")[0], errno.EACCES)

    def test_what_is_moved_into_a_closed_directory_is_closed(self):
        closed = self.bucket / "closed"
        closed.mkdir(0o700)
        self.warm(self.directory)
        self.assert_other(0, self.directory)
        self.directory.rename(closed / "directory")
        self.warm(closed / "directory")
        self.assert_other(errno.EACCES, closed / "directory")
        open_one = self.bucket / "open"
        open_one.mkdir()
        self.fill(open_one)
        self.warm(open_one)
        self.assert_other(0, open_one)
        exchange(open_one, closed / "directory")
        self.assert_other(0, open_one)
        self.assert_other(errno.EACCES, closed / "directory")

    def test_what_was_made_by_the_caller_is_asked_for_again(self):
        closed = self.bucket / "closed"
        closed.mkdir(0o711)
        os.chown(closed, NOBODY, NOBODY)
        self.assertEqual(self.other.call(make_file, closed / "own")[0], 0)
        closed.chmod(0o700)
        os.chown(closed, 0, 0)
        self.assertEqual(self.other.call(read_file, closed / "own")[0], errno.EACCES)


    def then(self):
        """The bucket as it is now, for later."""
        time.sleep(0.02)
        moment = datetime.datetime.now(datetime.timezone.utc).isoformat()
        time.sleep(0.02)
        return self.bucket / ".versions" / ("@" + moment)

    def test_a_moment_is_closed_with_the_directory(self):
        then = self.then() / "directory"
        versions = self.bucket / ".versions/directory/file"
        version = versions / os.listdir(versions)[0]
        (self.directory / "file").write_text("later content")
        for _ in range(20):
            self.directory.chmod(0o755)
            for _ in range(2):
                self.assertEqual(read_file(str(then / "file")), b"content")
                self.assertEqual(read_file(str(version)), b"content")
                look_up(str(then / "below"))
            for path in (then / "file", version, then / "below/deep"):
                self.assertEqual(self.other.call(look_up, path), (0, stat.S_IFREG))
            self.assertEqual(self.other.call(read_file, then / "file"), (0, b"content"))
            self.assertEqual(self.other.call(read_file, version), (0, b"content"))
            self.directory.chmod(0o700)
            for path in (then / "file", version, then / "below/deep"):
                self.assertEqual(self.other.call(look_up, path)[0], errno.EACCES)
                self.assertEqual(self.other.call(read_file, path)[0], errno.EACCES)
            self.assertEqual(self.other.call(read_link, then / "link")[0], errno.EACCES)

    def test_a_moment_at_which_a_directory_was_closed_stays_closed(self):
        self.directory.chmod(0o700)
        then = self.then() / "directory"
        self.directory.chmod(0o755)
        for _ in range(2):
            self.assertEqual(read_file(str(then / "file")), b"content")
            look_up(str(then / "below"))
        for name in ("file", "below/deep"):
            self.assertEqual(self.other.call(look_up, then / name)[0], errno.EACCES)
            self.assertEqual(self.other.call(read_file, then / name)[0], errno.EACCES)
        self.assert_other(0, self.directory)

    def test_what_bore_the_path_once_is_no_way_past_what_bears_it_now(self):
        project = self.bucket / "project"
        (project / "docs").mkdir(parents=True)
        self.assertEqual(self.other.call(list_directory, self.bucket / ".versions/project/docs")[0], 0)
        project.rename(self.bucket / "old")
        (project / "docs").mkdir(parents=True)
        (project / "docs" / "secret").write_text("secret")
        (project / "docs" / "secret").chmod(0o644)
        project.chmod(0o700)
        secret = self.bucket / ".versions/project/docs/secret"
        version = secret / os.listdir(secret)[0]
        self.assertEqual(read_file(str(version)), b"secret")
        _, listed = self.other.call(list_directory, self.bucket / ".versions/project/docs")
        self.assertNotIn("secret", listed or [])
        self.assertNotEqual(self.other.call(look_up, secret)[0], 0)
        self.assertNotEqual(self.other.call(read_file, version)[0], 0)

    def test_a_directory_that_a_rewind_closes_is_closed(self):
        self.directory.chmod(0o700)
        then = self.then().name[1:]
        self.directory.chmod(0o755)
        self.warm(self.directory)
        self.assert_other(0, self.directory)
        self.fs.run(PAIL, "rewind", "%s/" % self.directory, "--to", then, "--yes")
        self.assert_other(errno.EACCES, self.directory)


class CachesWithoutWriteback(Caches):
    options = "allow_other,writeback=off"


def exchange(one, two):
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(-100, os.fsencode(one), -100, os.fsencode(two), 2) != 0:  # AT_FDCWD, RENAME_EXCHANGE
        raise OSError(ctypes.get_errno(), "renameat2")


def make_file(path):
    with open(path, "wb") as file:
        file.write(b"mine")


class Requests(MountTest):
    options = ""

    def asked(self, action, count, names):
        """How many of these requests reached the daemon while the action ran so often, once it had run."""
        action()
        before = self.fs.status()["daemon"]["requests"]
        for _ in range(count):
            action()
        after = self.fs.status()["daemon"]["requests"]
        return sum(after.get(name, 0) - before.get(name, 0) for name in names)

    def browse(self):
        for i in range(10):
            os.stat(self.directory / str(i))
            self.assertFalse(os.path.exists(self.directory / ("missing%d" % i)))
        os.readlink(self.directory / "link")
        os.listdir(self.directory)

    def read(self):
        for i in range(10):
            read_file(str(self.directory / str(i)))

    def prepare(self, options, mode):
        bucket = self.fs.mount(options).bucket()
        bucket.chmod(0o755)
        self.directory = bucket / "directory"
        self.directory.mkdir()
        self.directory.chmod(mode)
        for i in range(10):
            (self.directory / str(i)).write_text("x")
        (self.directory / "link").symlink_to("0")

    NAMES = ("LOOKUP", "GETATTR", "READLINK", "READDIR", "READDIRPLUS")

    def assert_asked_once(self):
        # But for the list of buckets, which is good for a second.
        self.assertLess(self.asked(self.browse, 50, self.NAMES), 50)
        # The kernel asks for the number of blocks anew after each close, and to open a file is a question of rights.
        self.assertLess(self.asked(self.read, 50, ("LOOKUP", "READ")), 50)

    def test_the_kernel_asks_once_where_the_mount_is_one_users(self):
        self.prepare("", 0o700)
        self.assert_asked_once()

    def test_the_kernel_asks_once_where_a_directory_is_open_to_all(self):
        self.prepare("allow_other", 0o755)
        if self.fs.status()["daemon"]["entry_caching"] == "none":
            self.assertGreaterEqual(self.asked(self.browse, 50, ("LOOKUP",)), 50 * 21)
        else:
            self.assert_asked_once()

    def browse_then(self):
        for i in range(10):
            self.assertEqual(os.stat(self.then / str(i)).st_size, 1)
        os.listdir(self.then)
        os.stat(self.version)
        os.readlink(self.then / "link")

    def prepare_then(self, options, mode):
        self.prepare(options, mode)
        time.sleep(0.02)
        moment = datetime.datetime.now(datetime.timezone.utc).isoformat()
        time.sleep(0.02)
        self.then = self.directory / ".versions" / ("@" + moment)
        (self.directory / "0").write_text("another")
        versions = self.directory / ".versions/0"
        self.version = next(versions / name for name in os.listdir(versions) if os.stat(versions / name).st_size == 1)

    def test_the_kernel_asks_once_for_what_was(self):
        self.prepare_then(self.options, 0o755)
        if self.fs.status()["daemon"]["entry_caching"] == "none":
            return
        self.assertLess(self.asked(self.browse_then, 50, ("LOOKUP", "READLINK")), 50)
        # But for .versions itself, which goes as the directory does now, nothing is asked for again.
        self.assertLess(self.asked(self.browse_then, 50, ("GETATTR",)), 50 * 4)

    def test_versions_that_were_removed_are_gone_from_the_cache(self):
        self.prepare_then(self.options, 0o755)
        self.browse_then()
        path = str(self.directory / "0")
        self.fs.run(PAIL, "versions", "purge", path, "--version", self.version.name, "--yes")
        if self.fs.libfuse() < (3, 18):
            time.sleep(1.1)  # such a libfuse cannot make the kernel forget them sooner
        with self.assertRaises(FileNotFoundError):
            os.stat(self.version)
        with self.assertRaises(FileNotFoundError):
            os.stat(self.then / "0")
        self.assertEqual(os.stat(self.then / "1").st_size, 1)

    def test_a_version_that_grows_is_asked_for_again(self):
        self.prepare(self.options, 0o755)
        with open(self.directory / "growing", "wb", buffering=0) as file:
            for size in range(1, 4):
                file.write(b"x")
                # Closed by one of two: what there is becomes a version, which goes on growing.
                os.close(os.dup(file.fileno()))
                versions = self.directory / ".versions/growing"
                names = os.listdir(versions)
                self.assertEqual([os.stat(versions / name).st_size for name in names], [size])

    def test_the_kernel_asks_every_time_where_it_is_not(self):
        self.prepare("allow_other", 0o700)
        self.assertGreaterEqual(self.asked(self.browse, 10, ("LOOKUP",)), 10 * 21)
        self.assertEqual(self.asked(self.read, 10, ("READ",)), 0)


class RequestsOfAll(Requests):
    options = "allow_other"


if __name__ == "__main__":
    main()
