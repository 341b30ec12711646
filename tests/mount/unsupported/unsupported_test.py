#!/usr/bin/env python3
"""What pailfs-semantics(7) says is not supported: each clause of that list, as it is printed there, with its errno."""

import ctypes
import errno
import fcntl
import os
import pathlib
import re

from mounted_store import MountTest, main
from other_users import errno_of

PAGE = pathlib.Path(__file__).parents[3] / "man/pailfs-semantics.7"
LIBC = ctypes.CDLL(None, use_errno=True)
COLLAPSE_RANGE, INSERT_RANGE, UNSHARE_RANGE = 0x08, 0x20, 0x40
RENAME_WHITEOUT = 4
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
FS_IOC_GETFLAGS = 0x80086601
ACL = "system.posix_acl_access"


def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def clauses():
    """(errno, clause) of the list in the page's section NOT SUPPORTED, in plain text."""
    section = PAGE.read_text(encoding="utf-8").split(".Sh NOT SUPPORTED\n")[1].split(".El\n")[0]
    for item in section.split(".It Er ")[1:]:
        name, text = item.split("\n", 1)
        text = re.sub(r"^\.Xr (\S+) (\d)( :)?$", lambda m: "%s(%s)%s" % (m[1], m[2], ":" if m[3] else ""), text, flags=re.M)
        for clause in " ".join(text.split()).rstrip(".").split("; "):
            yield getattr(errno, name), clause


class Unsupported(MountTest):
    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount("allow_other").bucket()
        self.file = self.bucket / "file"
        self.file.write_bytes(b"x" * 100_000)
        self.link = self.bucket / "link"
        self.link.symlink_to("file")
        self.writer = os.open(self.file, os.O_RDWR)
        self.addCleanup(os.close, self.writer)

    def fallocate(self):
        found = {
            errno_of(call, LIBC.fallocate, self.writer, mode, ctypes.c_int64(0), ctypes.c_int64(4096))
            for mode in (COLLAPSE_RANGE, INSERT_RANGE, UNSHARE_RANGE)
        }
        return found

    def system_attributes(self):
        return {errno_of(os.setxattr, self.file, "system.nonsense", b"x"), errno_of(os.getxattr, self.file, "system.other")}

    def links_modes(self):
        path = os.fsencode(self.link)
        return {
            errno_of(call, LIBC.fchmodat, AT_FDCWD, path, 0o600, AT_SYMLINK_NOFOLLOW),
            errno_of(os.setxattr, self.link, ACL, b"\2\0\0\0", follow_symlinks=False),
        }

    def unnamed(self):
        version = self.fs.libfuse()
        found = errno_of(lambda: os.close(os.open(self.bucket, os.O_TMPFILE | os.O_WRONLY, 0o600)))
        if version < (3, 17):
            return {found}
        self.assertEqual(found, 0)
        return {errno.EOPNOTSUPP}

    def whiteout(self):
        old, new = os.fsencode(self.file), os.fsencode(self.bucket / "new")
        return {errno_of(call, LIBC.renameat2, AT_FDCWD, old, AT_FDCWD, new, RENAME_WHITEOUT)}

    def seek(self):
        return {errno_of(os.lseek, self.writer, 0, whence) for whence in (os.SEEK_DATA, os.SEEK_HOLE)}

    def ioctl(self):
        return {errno_of(fcntl.ioctl, self.writer, FS_IOC_GETFLAGS, bytearray(8))}

    def across_buckets(self):
        other = self.fs.bucket("other") / "file"
        return {errno_of(os.rename, self.file, other), errno_of(os.link, self.file, other)}

    def test_each_clause_of_the_list(self):
        acts = {
            "fallocate(2) modes other than 0, KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE: the kernel passes no others on": self.fallocate,
            "attributes of the namespace system. other than POSIX ACLs: there are none": self.system_attributes,
            "the mode and the ACL of a symbolic link: nothing reads them, on ext4 as here": self.links_modes,
            "O_TMPFILE with a libfuse before 3.17: it does not pass that on": self.unnamed,
            "renameat2(2) with RENAME_WHITEOUT: only overlayfs makes use of it": self.whiteout,
            "lseek(2) with SEEK_DATA or SEEK_HOLE while the file is open for writing, with write-back cache: "
            "the kernel does not say what it holds": self.seek,
            "ioctl(2) of any kind, so that there is no chattr(1): flags of ext4 are none of POSIX": self.ioctl,
            "Links and renames between buckets: each bucket has keys of its own": self.across_buckets,
        }
        listed = list(clauses())
        self.assertEqual(sorted(acts), sorted(clause for _, clause in listed))
        for wanted, clause in listed:
            with self.subTest(clause):
                self.assertEqual({errno.errorcode.get(found, found) for found in acts[clause]()}, {errno.errorcode[wanted]})


if __name__ == "__main__":
    main()
