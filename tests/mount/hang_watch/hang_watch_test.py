#!/usr/bin/env python3
"""Programs that are killed in the middle of requests leave nothing behind: no request that waits for ever, no process that
cannot end, no open file, no inode that the daemon still counts as known to the kernel.

--kills N: so many of them (100).
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from figures import print_figures
from mounted_store import PATIENCE, MountTest, main, wait_until

ARGUMENTS = argparse.Namespace(kills=100)
CLIENTS = 4
SHARED = 30  # files that all of them use


def use(bucket, seed):
    """Works on the mount until it is killed."""
    source = random.Random(seed)
    own = bucket / ("own%d" % (seed % CLIENTS))
    os.makedirs(own, exist_ok=True)
    block = source.randbytes(1 << 20)
    actions = (write_and_sync, read, rename, list_directories, truncate, append, versions)
    while True:
        try:
            source.choice(actions)(bucket, own, source, block)
        except (FileNotFoundError, FileExistsError, IsADirectoryError):
            pass  # the others rename and remove


def write_and_sync(_bucket, own, source, block):
    with open(own / ("w%d" % source.randrange(5)), "wb", buffering=0) as file:
        file.write(block[: source.randrange(1, len(block))])
        os.fsync(file.fileno())


def read(bucket, _own, source, _block):
    with open(bucket / ("shared%d" % source.randrange(SHARED)), "rb", buffering=0) as file:
        while file.read(1 << 16):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rename(bucket, own, source, _block):
    name = own / ("r%d" % source.randrange(5))
    name.write_bytes(b"x" * source.randrange(5000))
    os.rename(name, bucket / ("renamed%d" % source.randrange(10)))


def list_directories(bucket, own, _source, _block):
    for directory in (bucket, own):
        with os.scandir(directory) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)


def truncate(bucket, _own, source, _block):
    path = bucket / ("renamed%d" % source.randrange(10))
    os.truncate(path, source.randrange(10_000))
    os.unlink(path)


def append(bucket, _own, source, block):
    with open(bucket / ("shared%d" % source.randrange(SHARED)), "r+b") as file:
        file.seek(source.randrange(100_000))
        file.write(block[: source.randrange(50_000)])


def versions(bucket, _own, source, _block):
    os.listdir(bucket / ".versions" / ("shared%d" % source.randrange(SHARED)))


def state_of(pid, thread=None) -> str:
    """R, S, D, Z …, or nothing where there is no such process."""
    path = "/proc/%d/stat" % pid if thread is None else "/proc/%d/task/%s/stat" % (pid, thread)
    try:
        return pathlib.Path(path).read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


class HangWatch(MountTest):
    def setUp(self):
        super().setUp()
        self.clients = {}
        self.addCleanup(self.end_clients)
        self.bucket = self.fs.mount().bucket()
        for number in range(SHARED):
            (self.bucket / ("shared%d" % number)).write_bytes(os.urandom(150_000))
        for client in range(CLIENTS):
            (self.bucket / ("own%d" % client)).mkdir()
        self.connections = self.fs.directory / "connections"
        self.connections.mkdir()
        self.fs.run("mount", "-t", "fusectl", "none", self.connections)
        # Clean-ups run last first: the directory goes at the end.
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.connections)], capture_output=True, check=False)
        self.connection = self.connections / str(os.minor(os.stat(self.bucket).st_dev))

    def end_clients(self):
        for pid in self.clients:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def waiting(self) -> int:
        return int((self.connection / "waiting").read_text())

    def start(self, seed):
        pid = os.fork()
        if pid == 0:
            try:
                use(self.bucket, seed)
            except BaseException as error:  # pylint: disable=broad-except
                print("a client failed: %r" % error, file=sys.stderr, flush=True)
            os._exit(1)
        self.clients[pid] = seed

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done == pid:
                break
            if time.monotonic() > deadline:
                self.fail("a killed process is still there, in state %s" % state_of(pid))
            time.sleep(0.001)
        del self.clients[pid]
        self.assertEqual(os.WTERMSIG(status), signal.SIGKILL, "the client ended by itself with status %d" % status)

    def tables(self):
        """What the daemon keeps for the kernel, once that has let go of all it need not hold."""
        # A remount drops every entry of the mount that nobody uses, and with them what FORGET is sent for.
        self.fs.run("mount", "-i", "-o", "remount,rw", self.fs.mountpoint)
        in_use = self.fs.status()["in_use"]
        return in_use["handles"], in_use["inodes"]

    def watch_threads(self):
        """No thread of the daemon sleeps a sleep that nothing ends."""
        pid = self.fs.daemon.pid
        for thread in os.listdir("/proc/%d/task" % pid):
            wait_until(lambda t=thread: state_of(pid, t) != "D", "thread %s of the daemon can be woken" % thread)

    def test_killed_programs_leave_nothing_behind(self):
        source = random.Random(7)
        wait_until(lambda: self.waiting() == 0, "the mount is at rest")
        baseline = self.tables()
        self.assertEqual(baseline[0], 0)
        in_requests = 0
        for seed in range(CLIENTS):
            self.start(seed)
        for number in range(ARGUMENTS.kills):
            time.sleep(source.random() * 0.04)
            in_requests += self.waiting() > 0
            victim = source.choice(sorted(self.clients))
            seed = self.clients[victim]
            self.kill(victim)
            self.start(seed + CLIENTS)
            if number % 50 == 49:
                self.watch_threads()
        for pid in list(self.clients):
            self.kill(pid)
        self.assertGreater(in_requests, ARGUMENTS.kills // 10)
        wait_until(lambda: self.waiting() == 0, "no request waits any more")
        self.watch_threads()
        with open(self.bucket / "shared0", "rb"):  # whatever others on this machine have the kernel forget
            self.assertGreater(self.fs.status()["in_use"]["inodes"], baseline[1], "the kernel holds what is open")
        now = []

        def back():
            now[:] = [self.tables()]
            return now[0] == baseline

        try:
            wait_until(back, "the daemon's tables are as they were")
        except AssertionError as error:
            raise AssertionError("%s: %s, and not %s" % (error, now, baseline)) from None
        self.assert_usable()
        self.fs.run("umount", self.connections)
        self.assert_sound_store()
        print_figures(
            "G3", "programs killed in the middle of requests", kills=ARGUMENTS.kills, while_requests_waited=in_requests, violations=0
        )

    def assert_usable(self):
        (self.bucket / "afterwards").write_bytes(b"still here")
        self.assertEqual((self.bucket / "afterwards").read_bytes(), b"still here")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    ARGUMENTS, sys.argv[1:] = parser.parse_known_args()
    main()
