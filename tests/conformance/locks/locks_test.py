#!/usr/bin/env python3
"""Record locks and flock, between processes: conflicts, ranges, waiting, deadlock, and release at death."""

import errno
import fcntl
import os
import signal
import struct
import time

from file_systems import PRIVATE, Bodies, main, on_file_systems
from other_users import errno_of, in_child

READ, WRITE, FREE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
OFD_SET = 37  # F_OFD_SETLK of fcntl(2)


def lock(descriptor, kind, start=0, length=0, command=fcntl.F_SETLK):
    return fcntl.fcntl(descriptor, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0))


def holder_of(descriptor, kind, start=0, length=0):
    """(kind, start, length, pid) of a lock in the way, or None."""
    found = struct.unpack("hhqqi4x", lock(descriptor, kind, start, length, fcntl.F_GETLK))
    return None if found[0] == FREE else (found[0], found[2], found[3], found[4])


def wait_until_blocked(pid):
    """Until process `pid` waits for a lock, as the kernel's table of locks shows it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open("/proc/locks", encoding="ascii") as table:
            if any("->" in line and str(pid) in line.split() for line in table):
                return
        time.sleep(0.005)
    raise AssertionError("process %d does not wait" % pid)


class Other:
    """Another process, which holds `take(its descriptor)` until it is let go."""

    def __init__(self, path, take, wait=True):
        taken, tell = os.pipe()
        go, self.let = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(taken)
            os.close(self.let)
            number = errno_of(take, os.open(path, os.O_RDWR))
            os.write(tell, b"%d" % number)
            os.read(go, 1)
            os._exit(0)
        os.close(tell)
        os.close(go)
        self.taken = taken
        if wait:
            self.answer()

    def answer(self) -> int:
        """What its call answered, once it has."""
        return int(os.read(self.taken, 10))

    def end(self, number=None):
        if number:
            os.kill(self.pid, number)
        else:
            os.write(self.let, b"x")
        os.waitpid(self.pid, 0)
        os.close(self.let)
        os.close(self.taken)


class Locks(Bodies):
    def setUp(self):
        super().setUp()
        self.path = self.make("file", b"x" * 1000)
        self.descriptor = self.open()

    def open(self, flags=os.O_RDWR):
        descriptor = os.open(self.path, flags)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def tried(self, kind, start=0, length=0) -> int:
        """What another process gets that asks for the lock."""

        def ask():
            with open(self.path, "r+b") as file:
                return errno_of(lock, file, kind, start, length)

        return in_child(ask)

    def test_kinds_and_ranges_of_record_locks(self):
        lock(self.descriptor, READ, 100, 100)
        lock(self.descriptor, WRITE, 300, 100)
        for kind, start, length, expected in (
            (READ, 100, 100, 0),
            (WRITE, 100, 100, errno.EAGAIN),
            (WRITE, 0, 100, 0),
            (WRITE, 0, 101, errno.EAGAIN),
            (WRITE, 200, 100, 0),
            (READ, 399, 1, errno.EAGAIN),
            (READ, 400, 0, 0),
            (WRITE, 400, 0, 0),
            (READ, 0, 0, errno.EAGAIN),
        ):
            with self.subTest(kind=kind, start=start, length=length):
                self.assertEqual(self.tried(kind, start, length), expected)
        lock(self.descriptor, FREE, 120, 20)
        self.assertEqual([self.tried(WRITE, at, 20) for at in (100, 120, 140)], [errno.EAGAIN, 0, errno.EAGAIN])
        lock(self.descriptor, READ, 300, 100)
        self.assertEqual((self.tried(READ, 300, 100), self.tried(WRITE, 300, 100)), (0, errno.EAGAIN))
        lock(self.descriptor, FREE)
        self.assertEqual(self.tried(WRITE), 0)

    def test_who_holds_a_lock(self):
        self.assertIsNone(holder_of(self.descriptor, WRITE))
        other = Other(self.path, lambda descriptor: lock(descriptor, WRITE, 10, 5))
        self.assertEqual(holder_of(self.descriptor, READ), (WRITE, 10, 5, other.pid))
        self.assertIsNone(holder_of(self.descriptor, WRITE, 15, 100))
        other.end()
        self.assertIsNone(holder_of(self.descriptor, WRITE))

    def test_any_close_of_the_file_releases_record_locks(self):
        lock(self.descriptor, WRITE)
        self.assertEqual(self.tried(READ), errno.EAGAIN)
        os.close(os.open(self.path, os.O_RDONLY))
        self.assertEqual(self.tried(WRITE), 0)

    def test_children_inherit_no_record_locks(self):
        lock(self.descriptor, WRITE)
        self.assertEqual(in_child(lambda: errno_of(lock, self.descriptor, READ)), errno.EAGAIN)
        self.assertEqual(self.tried(READ), errno.EAGAIN)

    def test_death_releases_every_lock(self):
        for take in (
            lambda descriptor: lock(descriptor, WRITE),
            lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            other = Other(self.path, take)
            self.assert_errno(errno.EAGAIN, take, self.descriptor)
            other.end(signal.SIGKILL)
            take(self.descriptor)
            lock(self.descriptor, FREE)
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def test_waiting_for_a_record_lock(self):
        lock(self.descriptor, WRITE)
        other = Other(self.path, lambda d: lock(d, WRITE, command=fcntl.F_SETLKW), wait=False)
        wait_until_blocked(other.pid)
        lock(self.descriptor, FREE)
        self.assertEqual(other.answer(), 0)
        self.assertEqual(holder_of(self.descriptor, READ)[3], other.pid)
        other.end()

    def test_a_deadlock_is_refused(self):
        lock(self.descriptor, WRITE, 0, 1)

        def cross(descriptor):
            lock(descriptor, WRITE, 1, 1)
            os.write(ready_in, b"x")
            lock(descriptor, WRITE, 0, 1, fcntl.F_SETLKW)

        ready, ready_in = os.pipe()
        other = Other(self.path, cross, wait=False)
        os.read(ready, 1)
        wait_until_blocked(other.pid)
        self.assert_errno(errno.EDEADLK, lock, self.descriptor, WRITE, 1, 1, fcntl.F_SETLKW)
        lock(self.descriptor, FREE)
        self.assertEqual(other.answer(), 0)
        other.end()
        os.close(ready)
        os.close(ready_in)

    def test_a_signal_ends_waiting(self):
        lock(self.descriptor, WRITE)

        def wait(descriptor):
            def wake(*_):
                raise InterruptedError(errno.EINTR, "woken")

            signal.signal(signal.SIGUSR1, wake)
            lock(descriptor, WRITE, command=fcntl.F_SETLKW)

        other = Other(self.path, wait, wait=False)
        wait_until_blocked(other.pid)
        os.kill(other.pid, signal.SIGUSR1)
        self.assertEqual(other.answer(), errno.EINTR)
        other.end()

    def test_locks_need_a_descriptor_that_allows_as_much(self):
        self.assert_errno(errno.EBADF, lock, self.open(os.O_RDONLY), WRITE)
        self.assert_errno(errno.EBADF, lock, self.open(os.O_WRONLY), READ)
        self.assert_errno(errno.EINVAL, lock, self.descriptor, READ, -1, 1)
        fcntl.flock(self.open(os.O_RDONLY), fcntl.LOCK_EX)

    def test_locks_of_open_file_descriptions(self):
        second = self.open()
        lock(self.descriptor, WRITE, 0, 10, OFD_SET)
        self.assert_errno(errno.EAGAIN, lock, second, READ, 5, 1, OFD_SET)
        lock(second, WRITE, 10, 10, OFD_SET)
        self.assertEqual(in_child(lambda: errno_of(lock, self.descriptor, WRITE, 0, 10, OFD_SET)), 0)
        os.close(os.open(self.path, os.O_RDONLY))
        self.assertEqual(self.tried(READ, 0, 10), errno.EAGAIN)

    def test_flock(self):
        second = self.open()
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)
        fcntl.flock(second, fcntl.LOCK_SH)
        self.assert_errno(errno.EAGAIN, fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.assert_errno(errno.EAGAIN, fcntl.flock, self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        copy = os.dup(second)
        fcntl.flock(copy, fcntl.LOCK_SH)
        fcntl.flock(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(copy, fcntl.LOCK_UN)
        os.close(copy)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_children_share_a_flock(self):
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        second = self.open()
        self.assertEqual(in_child(lambda: errno_of(fcntl.flock, self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)), 0)
        self.assert_errno(errno.EAGAIN, fcntl.flock, second, fcntl.LOCK_SH | fcntl.LOCK_NB)
        in_child(lambda: fcntl.flock(self.descriptor, fcntl.LOCK_UN))
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_waiting_for_a_flock(self):
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        other = Other(self.path, lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX), wait=False)
        wait_until_blocked(other.pid)
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        self.assertEqual(other.answer(), 0)
        other.end()

    def test_both_kinds_do_not_see_each_other(self):
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        self.assertEqual(self.tried(WRITE), 0)
        lock(self.descriptor, WRITE)
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        self.assertEqual(self.tried(WRITE), errno.EAGAIN)

    def test_a_lock_survives_rename_and_unlink(self):
        lock(self.descriptor, WRITE)
        os.link(self.path, self.top / "second")
        os.rename(self.path, self.top / "moved")
        os.unlink(self.top / "moved")
        self.path = self.top / "second"
        self.assertEqual(self.tried(READ), errno.EAGAIN)


load_tests = on_file_systems(globals(), (Locks, PRIVATE))

if __name__ == "__main__":
    main()
