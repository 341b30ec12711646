#!/usr/bin/env python3
"""Mode bits decide for every user of a mount with allow_other, and only for the mounting user without it."""

import errno
import multiprocessing
import os
import stat
import time

from mounted_store import NOBODY, MountTest, main
from other_users import as_user


def append(path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"x")


def check_access(path, mode):
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, "access")


class Permissions(MountTest):
    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount("allow_other,suid,dev").bucket()
        self.bucket.chmod(0o755)

    def assert_user(self, action, expected, **ids):
        self.assertEqual(as_user(action, **ids), expected)

    def test_reading_and_writing_by_owner_group_and_others(self):
        file = self.bucket / "file"
        file.write_text("content")
        for mode, uid, gid, reads, writes in (
            (0o600, 0, 0, False, False),
            (0o604, 0, 0, True, False),
            (0o606, 0, 0, True, True),
            (0o460, 0, NOBODY, True, True),
            (0o406, 0, NOBODY, False, False),
            (0o066, NOBODY, 0, False, False),
            (0o600, NOBODY, 0, True, True),
        ):
            os.chown(file, uid, gid)
            file.chmod(mode)
            with self.subTest(mode=oct(mode), uid=uid, gid=gid):
                self.assert_user(file.read_text, 0 if reads else errno.EACCES)
                self.assert_user(lambda: open(file, "ab").close(), 0 if writes else errno.EACCES)
                self.assert_user(lambda: os.truncate(file, 3), 0 if writes else errno.EACCES)
                self.assert_user(lambda: check_access(file, os.R_OK), 0 if reads else errno.EACCES)

    def test_supplementary_groups_count(self):
        file = self.bucket / "file"
        file.write_text("content")
        os.chown(file, 0, 4242)
        file.chmod(0o640)
        self.assert_user(file.read_text, errno.EACCES)
        self.assert_user(file.read_text, 0, groups=(4241, 4242))

    def test_a_directory_that_was_walked_by_root_stays_closed_to_others(self):
        closed = self.bucket / "closed"
        closed.mkdir(mode=0o700)
        (closed / "file").write_text("secret")
        (closed / "file").chmod(0o644)
        for _ in range(3):
            self.assertEqual((closed / "file").read_text(), "secret")  # the kernel knows the way now
            self.assert_user((closed / "file").read_text, errno.EACCES)
            self.assert_user(lambda: os.stat(closed / "file"), errno.EACCES)
            self.assert_user(lambda: os.listdir(closed), errno.EACCES)
        closed.chmod(0o711)
        self.assert_user((closed / "file").read_text, 0)
        self.assert_user(lambda: os.listdir(closed), errno.EACCES)
        closed.chmod(0o700)
        self.assert_user((closed / "file").read_text, errno.EACCES)

    def test_names_are_changed_with_write_and_search_only(self):
        (self.bucket / "file").write_text("x")
        self.assert_user(lambda: (self.bucket / "new").touch(), errno.EACCES)
        self.assert_user(lambda: (self.bucket / "new").mkdir(), errno.EACCES)
        self.assert_user(lambda: os.unlink(self.bucket / "file"), errno.EACCES)
        self.assert_user(lambda: os.rename(self.bucket / "file", self.bucket / "moved"), errno.EACCES)
        self.bucket.chmod(0o777)
        self.assert_user(lambda: (self.bucket / "new").touch(), 0)
        self.assertEqual(os.stat(self.bucket / "new").st_uid, NOBODY)
        self.assert_user(lambda: os.unlink(self.bucket / "file"), 0)

    def test_a_file_that_another_renamed_still_syncs(self):
        # The kernel sends the new change time in the name of who renamed; a refusal would be kept for the next fsync.
        self.bucket.chmod(0o777)
        file = self.bucket / "file"
        with open(file, "wb", buffering=0) as writer:
            writer.write(b"content")
            os.fsync(writer.fileno())
            self.assert_user(lambda: os.rename(file, self.bucket / "renamed"), 0)
            os.fsync(writer.fileno())
            before = os.fstat(writer.fileno())
        time.sleep(0.02)  # the kernel stamps by a clock that moves every few milliseconds
        self.assert_user(lambda: os.rename(self.bucket / "renamed", file), 0)
        with open(file, "rb+", buffering=0) as writer:
            os.fsync(writer.fileno())
            after = os.fstat(writer.fileno())
        self.assertEqual(after.st_mtime_ns, before.st_mtime_ns)
        self.assertGreater(after.st_ctime_ns, before.st_ctime_ns)

    def test_the_sticky_bit(self):
        (self.bucket / "roots").write_text("x")
        self.bucket.chmod(0o1777)
        self.assert_user(lambda: os.unlink(self.bucket / "roots"), errno.EPERM)
        self.assert_user(lambda: os.rename(self.bucket / "roots", self.bucket / "moved"), errno.EPERM)
        self.assert_user(lambda: (self.bucket / "own").touch(), 0)
        self.assert_user(lambda: os.rename(self.bucket / "own", self.bucket / "roots"), errno.EPERM)
        self.assert_user(lambda: os.unlink(self.bucket / "own"), 0)

    def test_owners_alone_change_modes_owners_and_times(self):
        file = self.bucket / "file"
        file.write_text("x")
        file.chmod(0o666)
        self.assert_user(lambda: os.chmod(file, 0o600), errno.EPERM)
        self.assert_user(lambda: os.chown(file, NOBODY, NOBODY), errno.EPERM)
        self.assert_user(lambda: os.utime(file, (1, 1)), errno.EPERM)
        self.assert_user(lambda: os.utime(file), 0)
        self.assert_user(lambda: os.setxattr(file, "user.a", b"1"), 0)
        file.chmod(0o644)
        self.assert_user(lambda: os.setxattr(file, "user.a", b"2"), errno.EACCES)
        self.assert_user(lambda: os.utime(file), errno.EACCES)
        os.chown(file, NOBODY, 0)
        self.assert_user(lambda: os.chmod(file, 0o640), 0)
        self.assert_user(lambda: os.chown(file, -1, 4242), errno.EPERM)
        self.assert_user(lambda: os.chown(file, -1, 4242), 0, groups=(4242,))
        self.assertEqual(os.stat(file).st_gid, 4242)

    def test_writing_by_others_strips_set_id_bits(self):
        for act in (append, lambda file: os.truncate(file, 0)):
            file = self.bucket / "suid"
            file.write_text("content")
            file.chmod(0o6777)
            self.assert_user(lambda file=file, act=act: act(file), 0)
            self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o777)
        file.chmod(0o6777)
        os.chown(file, 1, 1)
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o777)

    def test_programs_run_only_with_their_x_bit(self):
        program = self.bucket / "program"
        with open("/bin/true", "rb") as source:
            program.write_bytes(source.read())
        for mode, expected in ((0o700, errno.EACCES), (0o701, 0), (0o755, 0), (0o644, errno.EACCES)):
            program.chmod(mode)

            def execute():
                child = os.fork()
                if child == 0:
                    try:
                        os.execv(program, ["program"])
                    except OSError as error:
                        os._exit(error.errno)
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                if status:
                    raise OSError(status, "exec")

            self.assert_user(execute, expected)

    def test_new_files_take_the_group_of_a_setgid_directory(self):
        shared = self.bucket / "shared"
        shared.mkdir()
        os.chown(shared, 0, 4242)
        shared.chmod(0o2777)
        self.assert_user(lambda: (shared / "file").touch(), 0)
        self.assert_user(lambda: (shared / "below").mkdir(), 0)
        self.assertEqual(os.stat(shared / "file").st_gid, 4242)
        self.assertTrue(os.stat(shared / "below").st_mode & stat.S_ISGID)

    def test_the_umask_counts(self):
        self.bucket.chmod(0o777)

        def make():
            os.umask(0o027)
            (self.bucket / "file").touch()
            (self.bucket / "dir").mkdir()

        self.assert_user(make, 0)
        self.assertEqual(stat.S_IMODE(os.stat(self.bucket / "file").st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.bucket / "dir").st_mode), 0o750)

    def test_rights_of_an_open_file_stay(self):
        file = self.bucket / "file"
        file.write_text("content")
        file.chmod(0o666)

        def write_after_losing_the_right():
            with open(file, "r+b", buffering=0) as handle:
                handle.read(1)
                notify.set()
                changed.wait()
                handle.write(b"still")
                os.fsync(handle.fileno())

        notify, changed = multiprocessing.Event(), multiprocessing.Event()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                write_after_losing_the_right()
                os._exit(0)
            except OSError:
                os._exit(1)
        notify.wait()
        file.chmod(0o600)
        changed.set()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(file.read_text(), "cstillt")

    def test_making_a_bucket_is_the_accounts_alone(self):
        self.assert_user(lambda: (self.fs.mountpoint / "theirs").mkdir(), errno.EACCES)

    def test_hard_links_need_rights_on_the_file(self):
        self.bucket.chmod(0o777)
        (self.bucket / "file").write_text("x")
        (self.bucket / "file").chmod(0o644)
        self.assert_user(lambda: os.link(self.bucket / "file", self.bucket / "second"), errno.EPERM)


class DefaultPermissions(MountTest):
    def test_fifos_are_guarded_by_their_own_bits_only_where_the_kernel_checks_them(self):
        for options in ("allow_other", "allow_other,default_permissions"):
            bucket = self.fs.mount(options).bucket()
            bucket.chmod(0o755)
            fifo = bucket / "fifo"
            if not fifo.exists():
                os.mkfifo(fifo, 0o600)
            expected = errno.EACCES if "default" in options else 0
            self.assertEqual(as_user(lambda: os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)), expected)
            bucket.chmod(0o700)
            self.assertEqual(as_user(lambda: os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)), errno.EACCES)
            self.fs.unmount()


class WithoutAllowOther(MountTest):
    def test_only_the_mounting_user_gets_in(self):
        bucket = self.fs.mount().bucket()
        bucket.chmod(0o777)
        self.assertEqual(as_user(lambda: os.listdir(self.fs.mountpoint)), errno.EACCES)
        self.assertEqual(as_user(lambda: os.stat(bucket)), errno.EACCES)


if __name__ == "__main__":
    main()
