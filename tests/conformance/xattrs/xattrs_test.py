#!/usr/bin/env python3
"""Extended attributes: flags, sizes, namespaces, listing, and who may do what."""

import errno
import os

from file_systems import SHARED, Bodies, main, on_file_systems
from other_users import each_as_user
from system_calls import getxattr, listxattr, lsetxattr

OTHER = {"uid": 1004, "gid": 1004}


class Xattrs(Bodies):
    def setUp(self):
        super().setUp()
        self.file = self.make("file", b"content", 0o666)

    def test_flags(self):
        self.assert_errno(errno.ENODATA, os.setxattr, self.file, "user.a", b"1", os.XATTR_REPLACE)
        os.setxattr(self.file, "user.a", b"1", os.XATTR_CREATE)
        self.assert_errno(errno.EEXIST, os.setxattr, self.file, "user.a", b"2", os.XATTR_CREATE)
        self.assertEqual(os.getxattr(self.file, "user.a"), b"1")
        os.setxattr(self.file, "user.a", b"22", os.XATTR_REPLACE)
        os.setxattr(self.file, "user.a", b"333")
        self.assertEqual(os.getxattr(self.file, "user.a"), b"333")
        self.assert_errno(errno.EINVAL, os.setxattr, self.file, "user.a", b"2", 8)
        os.removexattr(self.file, "user.a")
        self.assert_errno(errno.ENODATA, os.removexattr, self.file, "user.a")
        self.assert_errno(errno.ENODATA, os.getxattr, self.file, "user.a")

    def test_values_of_any_bytes_and_lengths(self):
        sizes = [0, 1, 255, 256, 3000] + ([4095, 4096, 40_000, 65_535, 65_536] if self.on_store else [])
        for size in sizes:
            value = os.urandom(size)
            os.setxattr(self.file, "user.value", value)
            self.assertEqual(os.getxattr(self.file, "user.value"), value)
            self.assertEqual(getxattr(self.file, "user.value", 0), size)
            self.assertEqual(getxattr(self.file, "user.value", size + 1), size)
            if size > 1:
                self.assert_errno(errno.ERANGE, getxattr, self.file, "user.value", size - 1)
                self.assert_errno(errno.ERANGE, getxattr, self.file, "user.value", 1)
        self.assert_errno(errno.E2BIG, os.setxattr, self.file, "user.value", b"x" * 65_537)
        self.assertEqual(os.listxattr(self.file), ["user.value"])

    def test_names(self):
        longest = b"user." + b"n" * 250
        for name in (longest, b"user.\xff\xfe", b"user.with space", b"user.a.b", b"user.A"):
            lsetxattr(self.file, name, name)
            self.assertEqual(os.getxattr(self.file, name), name)
        os.setxattr(self.file, "user.a", b"lower")
        self.assertEqual(os.getxattr(self.file, "user.A"), b"user.A")
        self.assertEqual(len(os.listxattr(self.file)), 6)
        for name, expected in (
            (longest + b"n", errno.ERANGE),
            (b"", errno.ERANGE),
            (b"user.", errno.EINVAL),
            (b"user", errno.EOPNOTSUPP),
            (b"nonsense.a", errno.EOPNOTSUPP),
            (b"noprefix", errno.EOPNOTSUPP),
        ):
            with self.subTest(name=name[:20]):
                self.assert_errno(expected, lsetxattr, self.file, name, b"value")

    def test_listing(self):
        self.assertEqual((os.listxattr(self.file), listxattr(self.file, 0), listxattr(self.file, 100)), ([], 0, 0))
        names = ["user.%02d" % number for number in range(40)] + ["trusted.a", "security.a"]
        for name in names:
            os.setxattr(self.file, name, b"v")
        self.assertEqual(sorted(os.listxattr(self.file)), sorted(names))
        length = sum(len(name) + 1 for name in names)
        self.assertEqual((listxattr(self.file, 0), listxattr(self.file, length)), (length, length))
        self.assert_errno(errno.ERANGE, listxattr, self.file, length - 1)
        for name in names[::2]:
            os.removexattr(self.file, name)
        self.assertEqual(sorted(os.listxattr(self.file)), sorted(names[1::2]))

    def test_types_that_have_attributes(self):
        directory = self.make_directory("directory")
        os.setxattr(directory, "user.a", b"of a directory")
        self.assertEqual(os.getxattr(directory, "user.a"), b"of a directory")
        os.symlink("file", self.top / "link")
        os.mkfifo(self.top / "fifo")
        for name in ("link", "fifo"):
            self.assert_errno(errno.EPERM, os.setxattr, self.top / name, "user.a", b"", follow_symlinks=False)
            os.setxattr(self.top / name, "trusted.a", b"trusted", follow_symlinks=False)
            self.assertEqual(os.getxattr(self.top / name, "trusted.a", follow_symlinks=False), b"trusted")
        os.setxattr(self.top / "link", "user.b", b"of the file")
        self.assertEqual(os.getxattr(self.file, "user.b"), b"of the file")

    def test_attributes_stay_with_their_file(self):
        os.setxattr(self.file, "user.a", b"value")
        os.setxattr(self.file, "trusted.a", b"trusted")
        os.rename(self.file, self.top / "moved")
        os.link(self.top / "moved", self.file)
        os.chmod(self.file, 0o600)
        os.chown(self.file, 5, 6)
        os.truncate(self.file, 0)
        self.file.write_bytes(b"other")
        for name in ("file", "moved"):
            self.assertEqual(sorted(os.listxattr(self.top / name)), ["trusted.a", "user.a"])
        os.unlink(self.top / "moved")
        os.unlink(self.file)
        self.assertEqual(os.listxattr(self.make("file")), [])

    def test_who_sees_and_changes_which_namespace(self):
        for name in ("user.a", "trusted.a", "security.a"):
            os.setxattr(self.file, name, b"value")
        file = self.file

        def listed():
            assert sorted(os.listxattr(file)) == ["security.a", "user.a"], os.listxattr(file)

        self.assertEqual(
            each_as_user(
                {
                    "get user": lambda: os.getxattr(file, "user.a"),
                    "get trusted": lambda: os.getxattr(file, "trusted.a"),
                    "get security": lambda: os.getxattr(file, "security.a"),
                    "set user": lambda: os.setxattr(file, "user.a", b"other"),
                    "set trusted": lambda: os.setxattr(file, "trusted.a", b"other"),
                    "set security": lambda: os.setxattr(file, "security.a", b"other"),
                    "remove trusted": lambda: os.removexattr(file, "trusted.a"),
                    "remove security": lambda: os.removexattr(file, "security.a"),
                    "list": listed,
                    "remove user": lambda: os.removexattr(file, "user.a"),
                },
                **OTHER,
            ),
            {
                "get user": 0,
                "get trusted": errno.ENODATA,
                "get security": 0,
                "set user": 0,
                "set trusted": errno.EPERM,
                "set security": errno.EPERM,
                "remove trusted": errno.EPERM,
                "remove security": errno.EPERM,
                "list": 0,
                "remove user": 0,
            },
        )

    def test_in_a_sticky_directory_only_its_owner_changes_attributes(self):
        directory = self.make_directory("sticky", 0o1777)
        calls = {"directory": lambda: os.setxattr(directory, "user.a", b"x")}
        self.assertEqual(each_as_user(calls, **OTHER), {"directory": errno.EPERM})
        os.chown(directory, 1004, 0)
        self.assertEqual(each_as_user(calls, **OTHER), {"directory": 0})

    def test_capabilities_of_a_program_go_when_it_changes(self):
        capability = b"\x01\x00\x00\x02" + b"\x00\x04\x00\x00" + bytes(12)  # cap_net_bind_service

        def write():
            with open(self.file, "r+b", buffering=0) as file:
                file.write(b"x")

        for change in (write, lambda: os.truncate(self.file, 3), lambda: os.chown(self.file, 0, 0)):
            os.setxattr(self.file, "security.capability", capability)
            self.assertEqual(os.getxattr(self.file, "security.capability"), capability)
            change()
            self.assert_errno(errno.ENODATA, os.getxattr, self.file, "security.capability")


load_tests = on_file_systems(globals(), (Xattrs, SHARED))

if __name__ == "__main__":
    main()
