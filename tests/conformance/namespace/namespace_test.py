#!/usr/bin/env python3
"""Names: making, linking, moving and removing them, and every way in which that is refused."""

import contextlib
import errno
import os
import pathlib
import socket
import stat

from file_systems import EVERY, Bodies, main, on_file_systems
from other_users import errno_of, in_child
from system_calls import RENAME_EXCHANGE, RENAME_NOREPLACE, exchange, rename_no_replace, renameat2

LONG, TOO_LONG = "n" * 255, "n" * 256


def calls_on(path, other):
    """Every call that takes a path, with `path` as the one that matters."""
    path, other = str(path), str(other)
    return {
        "stat": lambda: os.stat(path),
        "lstat": lambda: os.lstat(path),
        "open": lambda: os.close(os.open(path, os.O_RDONLY)),
        "create": lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)),
        "mkdir": lambda: os.mkdir(path),
        "mkfifo": lambda: os.mkfifo(path),
        "symlink": lambda: os.symlink("target", path),
        "link from": lambda: os.link(path, other + ".linked"),
        "link to": lambda: os.link(other, path),
        "unlink": lambda: os.unlink(path),
        "rmdir": lambda: os.rmdir(path),
        "rename from": lambda: os.rename(path, other + ".renamed"),
        "rename to": lambda: os.rename(other, path),
        "exchange": lambda: exchange(path, other),
        "readlink": lambda: os.readlink(path),
        "chmod": lambda: os.chmod(path, 0o644),
        "chown": lambda: os.chown(path, 0, 0),
        "lchown": lambda: os.lchown(path, 0, 0),
        "truncate": lambda: os.truncate(path, 0),
        "utime": lambda: os.utime(path),
        "access": lambda: os.access(path, os.F_OK) or os.stat(path),
        "list": lambda: os.listdir(path),
        "getxattr": lambda: os.getxattr(path, "user.a"),
        "setxattr": lambda: os.setxattr(path, "user.a", b""),
        "statvfs": lambda: os.statvfs(path),
        "chdir": lambda: os.chdir(path),
    }


class Namespace(Bodies):
    def links(self, name) -> int:
        return os.lstat(self.top / name).st_nlink

    def assert_all(self, expected, path):
        other = self.make("other")
        for name, call in calls_on(path, other).items():
            with self.subTest(call=name, path=str(path)[-40:]):
                self.assert_errno(expected, call)
        other.unlink()

    # ---- making

    def test_every_type_is_made_with_its_attributes(self):
        os.umask(0)
        for name, kind, device in (
            ("plain", stat.S_IFREG, 0),
            ("fifo", stat.S_IFIFO, 0),
            ("socket", stat.S_IFSOCK, 0),
            ("character", stat.S_IFCHR, os.makedev(1, 3)),
            ("block", stat.S_IFBLK, os.makedev(259, 1_000_000)),
        ):
            os.mknod(self.top / name, kind | 0o2641, device)
            made = os.lstat(self.top / name)
            self.assertEqual((made.st_mode, made.st_nlink, made.st_size), (kind | 0o2641, 1, 0), name)
            self.assertEqual(made.st_rdev, device, name)
        os.mkdir(self.top / "directory", 0o751)
        made = os.lstat(self.top / "directory")
        self.assertEqual((made.st_mode, made.st_nlink), (stat.S_IFDIR | 0o751, 2))
        os.symlink("some target", self.top / "link")
        made = os.lstat(self.top / "link")
        self.assertEqual((made.st_mode, made.st_nlink, made.st_size), (stat.S_IFLNK | 0o777, 1, 11))
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(self.top)
            server.bind("bound")
            self.assertTrue(stat.S_ISSOCK(os.lstat("bound").st_mode))
            with socket.socket(socket.AF_UNIX) as second:
                self.assert_errno(errno.EADDRINUSE, second.bind, "bound")
            os.chdir("/")

    def test_the_umask_takes_bits_away(self):
        os.umask(0o137)
        os.close(os.open(self.top / "file", os.O_CREAT, 0o777))
        os.mkdir(self.top / "directory", 0o777)
        os.mkfifo(self.top / "fifo", 0o777)
        for name in ("file", "directory", "fifo"):
            self.assertEqual(stat.S_IMODE(os.lstat(self.top / name).st_mode), 0o640, name)

    def test_what_is_there_is_not_made_again(self):
        self.make("plain", b"kept")
        self.make_directory("directory")
        os.mkfifo(self.top / "fifo")
        os.symlink("nowhere", self.top / "dangling")
        os.symlink("directory", self.top / "link")
        self.make("other")
        for name in ("plain", "directory", "fifo", "dangling", "link"):
            path = self.top / name
            for call in (
                lambda path=path: os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY),
                lambda path=path: os.mkdir(path),
                lambda path=path: os.mknod(path, stat.S_IFREG | 0o600),
                lambda path=path: os.mkfifo(path),
                lambda path=path: os.symlink("x", path),
                lambda path=path: os.link(self.top / "other", path),
                lambda path=path: rename_no_replace(self.top / "other", path),
            ):
                self.assert_errno(errno.EEXIST, call)
        self.assertEqual((self.top / "plain").read_bytes(), b"kept")
        for call in (os.mkdir, os.mkfifo):
            self.assert_errno(errno.EEXIST, call, str(self.top / "directory") + "/.")
            self.assert_errno(errno.EEXIST, call, str(self.top / "directory") + "/..")

    def test_creating_through_a_dangling_link_makes_its_target(self):
        os.symlink("target", self.top / "link")
        os.close(os.open(self.top / "link", os.O_CREAT | os.O_WRONLY, 0o600))
        self.assertTrue(stat.S_ISREG(os.lstat(self.top / "target").st_mode))
        self.assertTrue(stat.S_ISLNK(os.lstat(self.top / "link").st_mode))

    def test_open_flags_that_ask_for_a_type(self):
        self.make("plain")
        self.make_directory("directory")
        os.symlink("plain", self.top / "link")
        os.mkfifo(self.top / "fifo")
        os.mknod(self.top / "socket", stat.S_IFSOCK | 0o600)
        for name, flags, expected in (
            ("plain", os.O_DIRECTORY, errno.ENOTDIR),
            ("directory", os.O_DIRECTORY, 0),
            ("directory", os.O_WRONLY, errno.EISDIR),
            ("directory", os.O_RDWR, errno.EISDIR),
            ("directory", os.O_RDONLY | os.O_CREAT, errno.EISDIR),
            ("directory", os.O_RDONLY | os.O_TRUNC, errno.EISDIR),
            ("link", os.O_NOFOLLOW, errno.ELOOP),
            ("link", os.O_RDONLY, 0),
            ("link", os.O_PATH | os.O_NOFOLLOW, 0),
            ("link/", os.O_RDONLY, errno.ENOTDIR),
            ("plain/", os.O_RDONLY, errno.ENOTDIR),
            ("new/", os.O_WRONLY | os.O_CREAT, errno.EISDIR),
            ("new", os.O_RDWR, errno.ENOENT),
            ("fifo", os.O_WRONLY | os.O_NONBLOCK, errno.ENXIO),
            ("fifo", os.O_RDONLY | os.O_NONBLOCK, 0),
            ("socket", os.O_RDWR, errno.ENXIO),
        ):
            with self.subTest(name=name, flags=oct(flags)):
                self.assert_errno(expected, lambda: os.close(os.open(str(self.top) + "/" + name, flags)))

    def test_a_new_file_can_be_written_whatever_its_mode(self):
        descriptor = os.open(self.top / "file", os.O_CREAT | os.O_RDWR, 0)
        os.write(descriptor, b"written")
        self.assertEqual(os.pread(descriptor, 10, 0), b"written")
        os.close(descriptor)
        self.assertEqual(stat.S_IMODE(os.stat(self.top / "file").st_mode), 0)

    # ---- names

    def test_names_of_255_bytes_everywhere_and_not_of_256(self):
        self.make("other")
        os.link(self.top / "other", self.top / LONG)
        os.rename(self.top / LONG, self.top / ("m" * 255))
        os.unlink(self.top / ("m" * 255))
        for make, remove in (
            (os.mkdir, os.rmdir),
            (os.mkfifo, os.unlink),
            (lambda path: os.symlink(LONG, path), os.unlink),
            (lambda path: path.write_bytes(b"x"), os.unlink),
        ):
            make(self.top / LONG)
            self.assertIn(LONG, os.listdir(self.top))
            os.stat(self.top / LONG, follow_symlinks=False)
            remove(self.top / LONG)
        self.assert_all(errno.ENAMETOOLONG, self.top / TOO_LONG)
        self.assert_all(errno.ENAMETOOLONG, self.top / TOO_LONG / "below")

    def test_any_byte_but_slash_and_nul_in_a_name(self):
        names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
        names += [b"...", b".hidden", b"..two", b"a ", b" a", b"\xff" * 255, bytes(range(1, 47)), b"-rf", b"a\\b"]
        directory = os.fsencode(self.top)
        for name in names:
            os.close(os.open(directory + b"/" + name, os.O_CREAT | os.O_EXCL))
        self.assertEqual(sorted(os.listdir(directory)), sorted(names))
        for name in names:
            os.rename(directory + b"/" + name, directory + b"/x" + name[:254])
        self.assertEqual(sorted(os.listdir(directory)), sorted(b"x" + name[:254] for name in names))
        for name in names:
            os.unlink(directory + b"/x" + name[:254])
        self.assertEqual(os.listdir(directory), [])

    def test_names_differ_in_case_and_in_normal_form(self):
        names = ["a", "A", "\u00e9", "e\u0301", "\u212b", "\u00c5", "stra\u00dfe", "strasse"]
        for name in names:
            self.make(name, name.encode())
        self.assertEqual(sorted(os.listdir(self.top)), sorted(names))
        for name in names:
            self.assertEqual((self.top / name).read_bytes(), name.encode())

    def test_paths_through_what_is_no_directory(self):
        self.make("plain")
        os.mkfifo(self.top / "fifo")
        os.symlink("plain", self.top / "link")
        for name in ("plain", "fifo", "link"):
            self.assert_all(errno.ENOTDIR, self.top / name / "below")

    def test_paths_through_what_is_not_there(self):
        os.symlink("nowhere", self.top / "dangling")
        self.assert_all(errno.ENOENT, self.top / "missing" / "below")
        self.assert_all(errno.ENOENT, self.top / "dangling" / "below")
        self.assert_errno(errno.ENOENT, os.open, "", os.O_RDONLY)

    def test_links_that_lead_to_each_other(self):
        os.symlink("two", self.top / "one")
        os.symlink("one", self.top / "two")
        os.symlink("self", self.top / "self")
        self.assert_all(errno.ELOOP, self.top / "one" / "below")
        for name in ("one", "self"):
            for call in (os.stat, os.listdir, os.chdir, lambda path: os.open(path, os.O_CREAT | os.O_WRONLY)):
                self.assert_errno(errno.ELOOP, call, self.top / name)
            os.lstat(self.top / name)

    def test_forty_links_are_followed_and_no_more(self):
        self.make("0", b"end")
        for number in range(1, 42):
            os.symlink(str(number - 1), self.top / str(number))
        self.assertEqual((self.top / "40").read_bytes(), b"end")
        self.assert_errno(errno.ELOOP, os.stat, self.top / "41")

    def test_targets_of_links(self):
        directory = os.fsencode(self.top)
        for name, target in ((b"a", b"x" * 4095), (b"b", bytes(range(1, 256))), (b"c", b"/"), (b"d", b"a//b/../")):
            os.symlink(target, directory + b"/" + name)
            self.assertEqual(os.readlink(directory + b"/" + name), target)
            self.assertEqual(os.lstat(directory + b"/" + name).st_size, len(target))
        self.assert_errno(errno.ENAMETOOLONG, os.symlink, "x" * 4096, self.top / "long")
        self.assert_errno(errno.ENOENT, os.symlink, "", self.top / "empty")
        self.assert_errno(errno.EINVAL, os.readlink, self.make("plain"))
        self.assert_errno(errno.EINVAL, os.readlink, self.top)

    # ---- links

    def test_hard_links_are_one_file(self):
        self.make("first", b"content", 0o640)
        os.link(self.top / "first", self.top / "second")
        self.assertEqual(os.stat(self.top / "first"), os.stat(self.top / "second"))
        self.assertEqual(self.links("first"), 2)
        with open(self.top / "second", "ab") as file:
            file.write(b" and more")
        os.chown(self.top / "second", 12, 34)
        (self.top / "second").chmod(0o4600)
        os.setxattr(self.top / "second", "user.a", b"value")
        found = os.stat(self.top / "first")
        self.assertEqual((stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size), (0o4600, 12, 34, 16))
        self.assertEqual((self.top / "first").read_bytes(), b"content and more")
        self.assertEqual(os.getxattr(self.top / "first", "user.a"), b"value")
        for name, left in (("first", 1), ("second", None)):
            os.unlink(self.top / name)
            if left:
                self.assertEqual(self.links("second"), left)
        self.assertEqual(os.listdir(self.top), [])

    def test_links_of_every_type_but_directories(self):
        os.mkfifo(self.top / "fifo")
        os.mknod(self.top / "socket", stat.S_IFSOCK | 0o600)
        os.mknod(self.top / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.symlink("nowhere", self.top / "dangling")
        for name in ("fifo", "socket", "device", "dangling"):
            os.link(self.top / name, self.top / (name + "2"), follow_symlinks=False)
            self.assertEqual(os.lstat(self.top / name), os.lstat(self.top / (name + "2")))
            self.assertEqual(self.links(name), 2)
        self.make_directory("directory")
        self.assert_errno(errno.EPERM, os.link, self.top / "directory", self.top / "second")
        self.assert_errno(errno.ENOENT, os.link, self.top / "missing", self.top / "second")
        self.assert_errno(errno.ENOENT, os.link, self.top / "fifo", self.top / "missing" / "second")

    def test_many_links(self):
        self.make("file")
        for number in range(1000):
            os.link(self.top / "file", self.top / ("link-%d" % number))
        self.assertEqual(self.links("file"), 1001)
        for number in range(0, 1000, 2):
            os.unlink(self.top / ("link-%d" % number))
        self.assertEqual(self.links("link-1"), 501)

    def test_directories_count_their_directories(self):
        def counts():
            return [self.links(name) for name in ("", "one", "two")]

        self.make_directory("one")
        self.make_directory("two")
        self.assertEqual(counts(), [4, 2, 2])
        self.make_directory("one/a")
        self.make("one/plain")
        self.assertEqual(counts(), [4, 3, 2])
        os.rename(self.top / "one/a", self.top / "two/a")
        self.assertEqual(counts(), [4, 2, 3])
        self.make_directory("one/b")
        os.rename(self.top / "one/b", self.top / "two/a")
        self.assertEqual(counts(), [4, 2, 3])
        exchange(self.top / "one/plain", self.top / "two/a")
        self.assertEqual(counts(), [4, 3, 2])
        self.make_directory("two/c")
        exchange(self.top / "one/plain", self.top / "two/c")
        self.assertEqual(counts(), [4, 3, 3])
        os.rmdir(self.top / "two/c")
        self.assertEqual(counts(), [4, 3, 2])

    # ---- removing

    def test_removing_what_is_of_the_other_type(self):
        self.make("plain")
        self.make_directory("directory")
        os.symlink("directory", self.top / "link")
        self.assert_errno(errno.EISDIR, os.unlink, self.top / "directory")
        self.assert_errno(errno.ENOTDIR, os.rmdir, self.top / "plain")
        self.assert_errno(errno.ENOTDIR, os.rmdir, self.top / "link")
        self.assert_errno(errno.ENOTDIR, os.unlink, str(self.top / "plain") + "/")
        self.assert_errno(errno.ENOTDIR, os.unlink, str(self.top / "link") + "/")
        self.assert_errno(errno.ENOENT, os.unlink, self.top / "missing")
        self.assert_errno(errno.ENOENT, os.rmdir, self.top / "missing")
        os.unlink(self.top / "link")
        self.assertTrue((self.top / "directory").is_dir())
        os.rmdir(str(self.top / "directory") + "/")

    def test_dot_and_dotdot_stay(self):
        below = str(self.make_directory("below"))
        self.make("plain")
        self.assert_errno(errno.EINVAL, os.rmdir, below + "/.")
        self.assert_errno(errno.ENOTEMPTY, os.rmdir, below + "/..")
        for dots in ("/.", "/.."):
            self.assert_errno(errno.EISDIR, os.unlink, below + dots)
            self.assert_errno(errno.EBUSY, os.rename, below + dots, self.top / "new")
            self.assert_errno(errno.EBUSY, os.rename, self.top / "plain", below + dots)
        self.assertEqual(os.stat(below + "/.").st_ino, os.stat(below).st_ino)
        self.assertEqual(os.stat(below + "/..").st_ino, os.stat(self.top).st_ino)

    def test_only_empty_directories_are_removed(self):
        for fill in (
            lambda path: path.write_bytes(b""),
            lambda path: path.mkdir(),
            lambda path: path.symlink_to("nowhere"),
            os.mkfifo,
        ):
            directory = self.make_directory("directory")
            fill(directory / "entry")
            self.assert_errno(errno.ENOTEMPTY, os.rmdir, directory)
            self.make_directory("other")
            self.assert_errno(errno.ENOTEMPTY, os.rename, self.top / "other", directory)
            os.rmdir(self.top / "other")
            if stat.S_ISDIR(os.lstat(directory / "entry").st_mode):
                os.rmdir(directory / "entry")
            else:
                os.unlink(directory / "entry")
            os.rmdir(directory)

    def test_a_removed_directory_that_is_still_used(self):
        directory = self.make_directory("directory")
        descriptor = os.open(directory, os.O_RDONLY)

        def use():
            os.chdir(directory)
            os.rmdir(directory)
            for call in (
                lambda: os.mkdir("new"),
                lambda: os.close(os.open("new", os.O_CREAT)),
                lambda: os.symlink("x", "new"),
                lambda: os.mkfifo("new"),
                lambda: os.listdir(descriptor),
                os.getcwd,
                lambda: os.rename(self.make("plain"), "new"),
                lambda: os.mkdir("new", dir_fd=descriptor),
            ):
                yield errno_of(call)
            yield os.fstat(descriptor).st_nlink

        self.assertEqual(in_child(lambda: list(use())), [errno.ENOENT] * 4 + [0] + [errno.ENOENT] * 3 + [0])
        self.make_directory("directory")
        self.assertEqual(os.fstat(descriptor).st_nlink, 0)
        os.close(descriptor)

    def test_an_unlinked_file_is_used_until_it_is_closed(self):
        path = self.make("file", b"before", 0o600)
        with open(path, "r+b", buffering=0) as file:
            os.unlink(path)
            self.assert_errno(errno.ENOENT, os.stat, path)
            self.assertEqual(os.fstat(file.fileno()).st_nlink, 0)
            os.pwrite(file.fileno(), b"after", 10)
            os.ftruncate(file.fileno(), 13)
            os.fchmod(file.fileno(), 0o640)
            os.fchown(file.fileno(), 12, 34)
            os.utime(file.fileno(), (5, 6))
            os.setxattr(file.fileno(), "user.a", b"b")
            self.assertEqual(os.getxattr(file.fileno(), "user.a"), b"b")
            os.fsync(file.fileno())
            found = os.fstat(file.fileno())
            self.assertEqual((found.st_size, found.st_mode, found.st_uid), (13, stat.S_IFREG | 0o640, 12))
            with open("/proc/self/fd/%d" % file.fileno(), "rb") as again:
                self.assertEqual(again.read(), b"before" + bytes(4) + b"aft")
            self.make("file", b"another")
            self.assertEqual(os.pread(file.fileno(), 6, 0), b"before")

    # ---- renaming

    def test_rename_of_each_type_onto_each_type(self):
        def plain(path):
            path.write_bytes(b"content")

        def link(path):
            path.symlink_to("nowhere")

        def full(path):
            path.mkdir()
            (path / "entry").touch()

        kinds = {"plain": plain, "fifo": os.mkfifo, "link": link, "empty": os.mkdir, "full": full}
        is_directory = {"empty", "full"}
        for old, make_old in kinds.items():
            for new, make_new in kinds.items():
                for flags in (0, RENAME_NOREPLACE, RENAME_EXCHANGE):
                    here = self.make_directory("%s-%s-%d" % (old, new, flags))
                    make_old(here / "old")
                    make_new(here / "new")
                    inodes = [os.lstat(here / name).st_ino for name in ("old", "new")]
                    expected = 0
                    if flags == RENAME_NOREPLACE:
                        expected = errno.EEXIST
                    elif flags == 0:
                        if old in is_directory and new not in is_directory:
                            expected = errno.ENOTDIR
                        elif old not in is_directory and new in is_directory:
                            expected = errno.EISDIR
                        elif new == "full":
                            expected = errno.ENOTEMPTY
                    with self.subTest(old=old, new=new, flags=flags):
                        self.assert_errno(expected, renameat2, here / "old", here / "new", flags)
                        if expected == 0 and flags == 0:
                            self.assertEqual(os.lstat(here / "new").st_ino, inodes[0])
                            self.assertEqual(os.listdir(here), ["new"])
                        else:
                            now = [os.lstat(here / name).st_ino for name in ("old", "new")]
                            self.assertEqual(now, inodes[::-1] if flags == RENAME_EXCHANGE else inodes)

    def test_rename_to_a_new_name(self):
        for flags, expected in ((0, 0), (RENAME_NOREPLACE, 0), (RENAME_EXCHANGE, errno.ENOENT)):
            self.make("file", b"content")
            self.assert_errno(expected, renameat2, self.top / "file", self.top / "new", flags)
            self.assertEqual(os.listdir(self.top), ["new" if expected == 0 else "file"])
            os.rename(self.top / os.listdir(self.top)[0], self.top / "file")
        for flags in (0, RENAME_NOREPLACE, RENAME_EXCHANGE):
            self.assert_errno(errno.ENOENT, renameat2, self.top / "missing", self.top / "file", flags)
            self.assert_errno(errno.ENOENT, renameat2, self.top / "file", self.top / "missing" / "new", flags)
        both = RENAME_EXCHANGE | RENAME_NOREPLACE
        self.assert_errno(errno.EINVAL, renameat2, self.top / "file", self.top / "new", both)
        self.assert_errno(errno.EINVAL, renameat2, self.top / "file", self.top / "new", 1 << 20)

    def test_rename_between_two_names_of_one_file_does_nothing(self):
        self.make("one", b"content")
        os.link(self.top / "one", self.top / "two")
        os.rename(self.top / "one", self.top / "two")
        os.rename(self.top / "one", self.top / "one")
        exchange(self.top / "one", self.top / "two")
        self.assertEqual(sorted(os.listdir(self.top)), ["one", "two"])
        self.assertEqual(self.links("one"), 2)
        self.assert_errno(errno.EEXIST, rename_no_replace, self.top / "one", self.top / "two")
        self.assert_errno(errno.EEXIST, rename_no_replace, self.top / "one", self.top / "one")

    def test_no_directory_moves_into_itself(self):
        top, deep = self.make_directory("a"), self.top / "a" / "b" / "c"
        deep.mkdir(parents=True)
        for target in (top / "new", top / "b" / "new", deep / "new"):
            self.assert_errno(errno.EINVAL, os.rename, top, target)
        self.assert_errno(errno.EINVAL, exchange, top, deep)
        self.assert_errno(errno.EINVAL, exchange, deep, top)
        self.assert_errno(errno.ENOTEMPTY, os.rename, deep, top)
        os.rename(top, top)
        os.rename(deep, self.top / "c")
        os.rename(top, self.top / "c" / "a")
        self.assertTrue((self.top / "c" / "a" / "b").is_dir())

    def test_a_moved_directory_has_its_new_parent(self):
        one, two = self.make_directory("one"), self.make_directory("two")
        moved = self.make_directory("one/moved")
        (moved / "file").write_bytes(b"content")
        descriptor = os.open(moved, os.O_RDONLY)
        os.rename(moved, two / "here")
        self.assertEqual(os.stat("..", dir_fd=descriptor).st_ino, os.stat(two).st_ino)
        self.assertEqual(os.stat(two / "here" / "..").st_ino, os.stat(two).st_ino)
        other = self.make_directory("one/other")
        exchange(other, two / "here")
        self.assertEqual(os.stat("..", dir_fd=descriptor).st_ino, os.stat(one).st_ino)
        self.assertEqual(os.stat(two / "here" / "..").st_ino, os.stat(two).st_ino)
        self.assertEqual((other / "file").read_bytes(), b"content")
        os.close(descriptor)

    def test_the_working_directory_moves_along(self):
        below = self.make_directory("below")

        def move():
            os.chdir(below)
            os.rename(below, self.top / "moved")
            pathlib.Path("file").write_bytes(b"content")
            return os.getcwd()

        self.assertEqual(in_child(move), os.path.realpath(self.top / "moved"))
        self.assertEqual((self.top / "moved" / "file").read_bytes(), b"content")

    def test_rename_over_what_is_open(self):
        self.make("old", b"old content")
        self.make("new", b"new content")
        with open(self.top / "old", "r+b", buffering=0) as old, open(self.top / "new", "r+b", buffering=0) as new:
            new.write(b"N")
            old.write(b"O")
            os.rename(self.top / "old", self.top / "new")
            self.assertEqual((os.fstat(new.fileno()).st_nlink, os.fstat(old.fileno()).st_nlink), (0, 1))
            new.write(b"EW")
            old.write(b"LD")
            self.assertEqual(os.pread(new.fileno(), 20, 0), b"NEW content")
            self.assertEqual((self.top / "new").read_bytes(), b"OLD content")
            self.assertEqual(os.stat(self.top / "new").st_ino, os.fstat(old.fileno()).st_ino)
        self.assertEqual((self.top / "new").read_bytes(), b"OLD content")

    def test_rename_over_an_open_directory(self):
        self.make_directory("old")
        self.make_directory("new")
        descriptor = os.open(self.top / "new", os.O_RDONLY)
        os.rename(self.top / "old", self.top / "new")
        self.assertEqual(os.fstat(descriptor).st_nlink, 0)
        self.assert_errno(errno.ENOENT, os.mkdir, "below", dir_fd=descriptor)
        os.close(descriptor)
        self.assertEqual(self.links(""), 3)

    def test_renaming_a_link_moves_the_link(self):
        self.make("target", b"content")
        os.symlink("target", self.top / "link")
        os.rename(self.top / "link", self.top / "moved")
        self.assertEqual(os.readlink(self.top / "moved"), "target")
        self.make("file", b"other")
        os.rename(self.top / "file", self.top / "moved")
        self.assertEqual((self.top / "target").read_bytes(), b"content")
        self.assertEqual((self.top / "moved").read_bytes(), b"other")

    def test_a_trailing_slash_asks_for_a_directory(self):
        self.make("plain")
        self.make_directory("directory")
        slash = str(self.top) + "/%s/"
        self.assert_errno(errno.ENOTDIR, os.rename, slash % "plain", self.top / "new")
        self.assert_errno(errno.ENOTDIR, os.rename, self.top / "plain", slash % "new")
        os.rename(slash % "directory", slash % "new")
        os.mkdir(slash % "made")
        self.assertEqual(sorted(os.listdir(self.top)), ["made", "new", "plain"])

    def test_one_of_many_makes_the_name(self):
        def race(make):
            children = []
            for number in range(8):
                child = os.fork()
                if child == 0:
                    os._exit(errno_of(make, number))
                children.append(child)
            return sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)

        for number in range(8):
            self.make("source-%d" % number)
        for number, make in enumerate(
            (
                lambda path, _: os.close(os.open(path, os.O_CREAT | os.O_EXCL)),
                lambda path, _: os.mkdir(path),
                lambda path, _: os.symlink("x", path),
                lambda path, n: os.link(self.top / ("source-%d" % n), path),
                lambda path, n: rename_no_replace(self.top / ("source-%d" % n), path),
            )
        ):
            path = self.top / ("raced-%d" % number)
            self.assertEqual(race(lambda n, path=path, make=make: make(path, n)), [0] + [errno.EEXIST] * 7)
        with contextlib.suppress(FileNotFoundError):
            self.make_directory("directory")
            self.assertEqual(race(lambda _: os.rmdir(self.top / "directory")), [0] + [errno.ENOENT] * 7)

    def test_a_deep_tree(self):
        descriptor = os.open(self.top, os.O_RDONLY)
        depth = 300
        for level in range(depth):
            os.mkdir("d%d" % level, dir_fd=descriptor)
            below = os.open("d%d" % level, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        up = os.open("/".join([".."] * depth), os.O_RDONLY, dir_fd=descriptor)
        self.assertEqual(os.fstat(up).st_ino, os.stat(self.top).st_ino)
        os.close(up)
        os.close(descriptor)


load_tests = on_file_systems(globals(), (Namespace, EVERY))

if __name__ == "__main__":
    main()
