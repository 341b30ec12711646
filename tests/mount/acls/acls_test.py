#!/usr/bin/env python3
"""POSIX ACLs as setfacl(1) sets them, getfacl(1) shows them and other users meet them."""

import errno
import os
import stat
import struct

from mounted_store import NOBODY, MountTest, main
from other_users import as_user

ALICE, BOB, TEAM = 54321, 54322, 4242
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


def value(*entries):
    """The attribute's value: (tag, permissions) or (tag, permissions, id)."""
    packed = (struct.pack("<HHI", *(entry if len(entry) == 3 else (*entry, 0xFFFFFFFF))) for entry in entries)
    return struct.pack("<I", 2) + b"".join(packed)


def check_access(path, mode):
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, "access")


def with_umask(mask, action):
    def act():
        os.umask(mask)
        action()

    return act


class AclTest(MountTest):
    options = "allow_other,suid"

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.options).bucket()
        self.bucket.chmod(0o755)

    def setfacl(self, *words):
        self.fs.run("setfacl", *words)

    def acl_of(self, path, *options):
        """The lines of getfacl -n without comments, comma-separated as setfacl takes them."""
        lines = self.fs.run("getfacl", "-cnpE", *options, path).stdout.split()
        return ",".join(lines)

    def mode(self, path):
        return stat.S_IMODE(os.lstat(path).st_mode)

    def assert_rights(self, path, uid, expected, groups=(), gid=NOBODY):
        for mask, letter in ((os.R_OK, "r"), (os.W_OK, "w"), (os.X_OK, "x")):
            self.assertEqual(
                as_user(lambda mask=mask: check_access(path, mask), uid=uid, gid=gid, groups=groups),
                0 if letter in expected else errno.EACCES,
                "%s for %d" % (letter, uid),
            )


class Acls(AclTest):
    def test_named_users_and_groups_get_what_the_mask_leaves(self):
        file = self.bucket / "file"
        file.write_text("content")
        file.chmod(0o600)
        self.setfacl("-m", "u:%d:rw,g:%d:r" % (ALICE, TEAM), file)
        self.assertEqual(self.acl_of(file), "user::rw-,user:54321:rw-,group::---,group:4242:r--,mask::rw-,other::---")
        self.assertTrue(self.fs.run("ls", "-l", file).stdout.startswith("-rw-rw----+"))
        self.assert_rights(file, ALICE, "rw")
        self.assert_rights(file, BOB, "")
        self.assert_rights(file, BOB, "r", groups=[TEAM])
        self.assert_rights(file, BOB, "r", gid=TEAM)
        self.assertEqual(as_user(file.read_text, uid=ALICE), 0)
        self.assertEqual(as_user(lambda: os.truncate(file, 3), uid=ALICE), 0)
        self.assertEqual(as_user(lambda: os.truncate(file, 2), uid=BOB, groups=[TEAM]), errno.EACCES)
        self.setfacl("-m", "m::r", file)
        self.assert_rights(file, ALICE, "r")
        self.setfacl("-n", "-m", "u:%d:0" % BOB, file)
        self.assert_rights(file, BOB, "", groups=[TEAM])
        self.fs.remount(self.options)
        self.assert_rights(file, BOB, "", groups=[TEAM])
        self.assert_rights(file, ALICE, "r")
        self.setfacl("-b", file)
        self.assertNotIn(ACCESS, os.listxattr(file))
        self.assert_rights(file, ALICE, "")

    def test_a_right_is_lost_at_once(self):
        closed = self.bucket / "closed"
        closed.mkdir(mode=0o700)
        (closed / "file").write_text("secret")
        for _ in range(3):
            self.setfacl("-m", "u:%d:rx" % ALICE, closed)
            self.assertEqual(as_user((closed / "file").read_text, uid=ALICE), 0)
            self.assertEqual(as_user(lambda: os.listdir(closed), uid=ALICE), 0)
            self.setfacl("-x", "u:%d" % ALICE, closed)
            self.assertEqual(as_user((closed / "file").read_text, uid=ALICE), errno.EACCES)
            self.assertEqual(as_user(lambda: os.listdir(closed), uid=ALICE), errno.EACCES)

    def test_a_directory_open_to_all_is_closed_to_one(self):
        shared = self.bucket / "shared"
        shared.mkdir()
        (shared / "file").write_text("content")
        for person in "u:%d" % ALICE, "g:%d" % TEAM:
            for _ in range(3):
                self.assertEqual(as_user((shared / "file").read_text, uid=ALICE, groups=[TEAM]), 0)
                self.setfacl("-m", person + ":-", shared)
                self.assertEqual(as_user((shared / "file").read_text, uid=ALICE, groups=[TEAM]), errno.EACCES)
                self.assertEqual(as_user((shared / "file").read_text, uid=BOB), 0)
                self.setfacl("-b", shared)

    def test_programs_run_for_who_is_named(self):
        program = self.bucket / "program"
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o600)

        def execute():
            if os.spawnv(os.P_WAIT, str(program), [str(program)]) != 0:
                raise PermissionError(errno.EACCES, "exec")

        self.assertEqual(as_user(execute, uid=ALICE), errno.EACCES)
        self.setfacl("-m", "u:%d:rx" % ALICE, program)
        self.assertEqual(as_user(execute, uid=ALICE), 0)
        self.assertEqual(as_user(execute, uid=BOB), errno.EACCES)

    def test_stat_shows_the_new_mode_at_once(self):
        (self.bucket / "file").write_text("content")
        (self.bucket / "dir").mkdir()
        for name in "file", "dir":
            path = self.bucket / name
            path.chmod(0o700)
            for _ in range(20):
                self.assertEqual(self.mode(path), 0o700)
                self.setfacl("-m", "u:%d:rx" % ALICE, path)
                self.assertEqual(self.mode(path), 0o750)
                os.setxattr(path, ACCESS, value((USER_OBJ, 6), (GROUP_OBJ, 2), (OTHER, 1)))
                self.assertEqual(self.mode(path), 0o621)
                path.chmod(0o700)
        # Also while the file is being written, whose times the kernel keeps.
        with open(self.bucket / "file", "r+b", buffering=0) as file:
            file.write(b"new")
            self.setfacl("-m", "u:%d:rw" % ALICE, self.bucket / "file")
            self.assertEqual(stat.S_IMODE(os.fstat(file.fileno()).st_mode), 0o760)
            file.write(b"newer")
            os.fsync(file.fileno())
        self.assertEqual((self.bucket / "file").read_text(), "newnewer")

    def test_chmod_changes_the_mask(self):
        file = self.bucket / "file"
        file.touch(mode=0o600)
        self.setfacl("-m", "u:%d:rw,g::r" % ALICE, file)
        file.chmod(0o745)
        self.assertEqual(self.acl_of(file), "user::rwx,user:54321:rw-,group::r--,mask::r--,other::r-x")
        self.assert_rights(file, ALICE, "r")
        os.removexattr(file, ACCESS)
        self.assertEqual(self.acl_of(file), "user::rwx,group::r--,other::r-x")
        os.removexattr(file, ACCESS)

    def test_new_files_inherit_and_the_umask_counts_where_nothing_is_inherited(self):
        plain, shared = self.bucket / "plain", self.bucket / "shared"
        for directory in plain, shared:
            directory.mkdir()
            directory.chmod(0o777)
        self.setfacl("-d", "-m", "u::rwx,u:%d:rwx,g::rx,o::-" % ALICE, shared)

        def make(directory):
            (directory / "file").write_text("content")
            os.close(os.open(directory / "narrow", os.O_CREAT | os.O_WRONLY, 0o640))
            os.mknod(directory / "pipe", stat.S_IFIFO | 0o666)
            (directory / "dir").mkdir()
            (directory / "link").symlink_to("file")

        for directory in plain, shared:
            self.assertEqual(as_user(with_umask(0o077, lambda where=directory: make(where)), uid=BOB), 0)
        names = ("file", "narrow", "pipe", "dir", "link")
        self.assertEqual([self.mode(plain / name) for name in names], [0o600, 0o600, 0o600, 0o700, 0o777])
        self.assertEqual([self.mode(shared / name) for name in names], [0o660, 0o640, 0o660, 0o770, 0o777])
        acl = "user::rw-,user:54321:rwx,group::r-x,mask::rw-,other::---"
        self.assertEqual([self.acl_of(shared / name) for name in ("file", "pipe")], [acl, acl])
        self.assertEqual(self.acl_of(shared / "dir", "-d"), self.acl_of(shared, "-d"))
        self.assertEqual(self.acl_of(shared / "dir", "-a"), acl.replace("user::rw-", "user::rwx").replace("rw-", "rwx"))
        self.assertEqual(os.listxattr(plain / "file"), [])
        self.assert_rights(shared / "file", ALICE, "rw")
        self.setfacl("-k", shared)
        self.assertEqual(as_user(with_umask(0o027, (shared / "later").touch), uid=BOB), 0)
        self.assertEqual(self.mode(shared / "later"), 0o640)

    def test_a_bucket_takes_the_umask(self):
        mask = os.umask(0o027)
        try:
            (self.fs.mountpoint / "another").mkdir()
        finally:
            os.umask(mask)
        self.assertEqual(self.mode(self.fs.mountpoint / "another"), 0o750)

    def test_set_group_id_goes_where_the_owner_is_not_in_the_group(self):
        file = self.bucket / "file"
        file.touch()
        os.chown(file, ALICE, TEAM)
        for groups, kept in ((), 0), ((TEAM,), stat.S_ISGID):
            file.chmod(0o2770)
            acl = value((USER_OBJ, 7), (USER, 7, BOB), (GROUP_OBJ, 7), (MASK, 7), (OTHER, 0))
            self.assertEqual(as_user(lambda acl=acl: os.setxattr(file, ACCESS, acl), uid=ALICE, groups=groups), 0)
            self.assertEqual(self.mode(file), 0o770 | kept)

    def test_errors_are_those_of_other_file_systems(self):
        file, directory, link = (self.bucket / name for name in ("file", "dir", "link"))
        file.touch()
        directory.mkdir()
        link.symlink_to("file")
        good = ((USER_OBJ, 7), (GROUP_OBJ, 7), (OTHER, 7))
        unsound = (
            value(*good) + b"x",
            value((USER_OBJ, 7), (OTHER, 7)),
            value((GROUP_OBJ, 7), (USER_OBJ, 7), (OTHER, 7)),
            value((USER_OBJ, 7), (USER, 7, 1), (GROUP_OBJ, 7), (OTHER, 7)),
            value((USER_OBJ, 7), (USER, 7, 1), (USER, 6, 1), (GROUP_OBJ, 7), (MASK, 7), (OTHER, 7)),
            value((USER_OBJ, 8), (GROUP_OBJ, 7), (OTHER, 7)),
            value((USER_OBJ, 7), (GROUP_OBJ, 7), (64, 7)),
        )
        for wrong in unsound:
            self.assert_fails(errno.EINVAL, lambda wrong=wrong: os.setxattr(file, ACCESS, wrong))
            self.assert_fails(errno.EINVAL, lambda wrong=wrong: os.setxattr(directory, DEFAULT, wrong))
        self.assert_fails(errno.EOPNOTSUPP, lambda: os.setxattr(file, ACCESS, b"\1\0\0\0" + value(*good)[4:]))
        self.assert_fails(errno.EACCES, lambda: os.setxattr(file, DEFAULT, value(*good)))
        for call in (
            lambda: os.setxattr(link, ACCESS, value(*good), follow_symlinks=False),
            lambda: os.getxattr(link, ACCESS, follow_symlinks=False),
        ):
            self.assert_fails(errno.EOPNOTSUPP, call)
        self.assert_fails(errno.ENODATA, lambda: os.getxattr(file, ACCESS))
        self.assert_fails(errno.ENODATA, lambda: os.getxattr(directory, DEFAULT))
        os.removexattr(directory, DEFAULT)
        self.assertEqual(as_user(lambda: os.setxattr(file, ACCESS, value(*good)), uid=ALICE), errno.EPERM)
        self.assertEqual(as_user(lambda: os.removexattr(file, ACCESS), uid=ALICE), errno.EPERM)
        self.assertEqual(self.mode(file), 0o644)

    def assert_fails(self, number, action):
        with self.assertRaises(OSError) as raised:
            action()
        self.assertEqual(raised.exception.errno, number)

    def test_many_may_be_named(self):
        file = self.bucket / "file"
        file.touch(mode=0o600)
        people = range(10000, 10500)
        self.setfacl("-m", ",".join("u:%d:r" % person for person in people), file)
        self.assert_rights(file, 10499, "r")
        self.assert_rights(file, 10500, "")
        self.assertEqual(self.acl_of(file).count("user:1"), len(people))

    def make_tree(self):
        tree = self.bucket / "tree"
        (tree / "below").mkdir(parents=True)
        (tree / "file").write_text("content")
        (tree / "below" / "file").write_text("more")
        (tree / "plain").write_text("plain")
        (tree / "link").symlink_to("file")
        self.setfacl("-m", "u:%d:rw,g:%d:r" % (ALICE, TEAM), tree / "file")
        self.setfacl("-m", "u:%d:rwx,d:u:%d:rwx,d:g:%d:-" % (ALICE, BOB, TEAM), tree / "below")
        (tree / "below" / "inherits").write_text("x")
        return tree

    def listing(self, tree):
        return self.fs.run("getfacl", "-Rnp", ".", cwd=tree).stdout

    def test_copies_and_archives_keep_them(self):
        tree = self.make_tree()
        expected = self.listing(tree)
        self.assertIn("default:user:54322:rwx", expected)
        archive = self.bucket / "tree.tar"
        self.fs.run("cp", "-a", tree, self.bucket / "copied")
        self.fs.run("rsync", "-aA", str(tree) + "/", self.bucket / "synced")
        self.fs.run("tar", "--acls", "-cf", archive, "-C", tree, ".")
        (self.bucket / "unpacked").mkdir()
        self.fs.run("tar", "--acls", "-xpf", archive, "-C", self.bucket / "unpacked")
        for copy in "copied", "synced", "unpacked":
            with self.subTest(copy=copy):
                self.assertEqual(self.listing(self.bucket / copy), expected)
        # What rsync finds to be alike it does not send again.
        again = self.fs.run("rsync", "-aAi", str(tree) + "/", self.bucket / "synced")
        self.assertEqual(again.stdout, "")
        backup = self.fs.run("getfacl", "-R", ".", cwd=tree).stdout
        self.setfacl("-R", "-b", tree)
        self.assertNotEqual(self.listing(tree), expected)
        self.fs.run("setfacl", "--restore=-", cwd=tree, input=backup)
        self.assertEqual(self.listing(tree), expected)
        self.fs.pail("check")

    def test_versions_are_for_whom_the_file_was_for(self):
        file = self.bucket / "file"
        file.write_text("first")
        file.chmod(0o600)
        self.setfacl("-m", "u:%d:rw" % ALICE, file)
        file.write_text("second")
        versions = sorted((self.bucket / ".versions" / "file").iterdir())
        self.assertEqual([version.read_text() for version in versions], ["first", "second"])
        for version in versions:
            self.assertEqual(as_user(version.read_text, uid=ALICE), 0)
            self.assertEqual(as_user(version.read_text, uid=BOB), errno.EACCES)
            self.assertIn("user:54321:rw-", self.acl_of(version))
        self.setfacl("-m", "u:%d:-" % ALICE, self.bucket)
        self.assertEqual(as_user(versions[0].read_text, uid=ALICE), errno.EACCES)


class WithoutWriteback(AclTest):
    options = "allow_other,writeback=off"

    test_stat_shows_the_new_mode_at_once = Acls.test_stat_shows_the_new_mode_at_once


class WithCachedEntries(AclTest):
    """Without allow_other the kernel keeps entries, and attributes with them."""

    options = ""

    test_stat_shows_the_new_mode_at_once = Acls.test_stat_shows_the_new_mode_at_once


class WithDefaultPermissions(AclTest):
    options = "allow_other,default_permissions"

    def test_an_acl_takes_away_and_the_kernel_lets_it_give_nothing(self):
        for name, mode, entry, uid, expected in (
            ("given", 0o600, "u:%d:r" % ALICE, ALICE, errno.EACCES),
            ("taken", 0o644, "u:%d:-" % ALICE, ALICE, errno.EACCES),
            ("left", 0o644, "u:%d:-" % ALICE, BOB, 0),
        ):
            file = self.bucket / name
            file.write_text("content")
            file.chmod(mode)
            self.setfacl("-m", entry, file)
            self.assertEqual(as_user(file.read_text, uid=uid), expected, name)


if __name__ == "__main__":
    main()
