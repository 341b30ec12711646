#!/usr/bin/env python3
"""PostgreSQL with its data on the mount: it checks its own pages, and its crashes show what fsync(2) is worth."""

import glob
import os
import pathlib
import signal
import subprocess

from mounted_store import NOBODY, MountTest, main, wait_until

PROGRAMS = pathlib.Path(max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]), default="/"))
CLIENTS = 4
SERVER_OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "checkpoint_timeout": "30s",
    "fsync": "on",
    "synchronous_commit": "on",
    "autovacuum_naptime": "1s",
}
# Every transaction of pgbench adds the same amount in all four places.
SUMS = "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), \
(select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history)"


def descendants(pid):
    """The processes below one, by /proc."""
    parents = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = pathlib.Path(path).read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.split("/")[2]))
    found, waiting = [], [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def has_ended(pid) -> bool:
    try:
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return True
    return fields[0] in ("Z", "X")  # whether init reaps it is not ours to wait for


class PostgreSQL(MountTest):
    options = "allow_other"

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.options).bucket()
        self.data = self.bucket / "data"
        self.home = self.fs.directory / "home"  # sockets and logs
        for directory in (self.data, self.home):
            directory.mkdir(mode=0o700)
            os.chown(directory, NOBODY, NOBODY)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", "PGUSER": "nobody",
                            "PGHOST": str(self.home), "PGDATABASE": "postgres"}
        self.who = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "env": self.environment, "cwd": self.home}
        self.server = None
        self.addCleanup(self.end_server)
        self.call("initdb", "-D", self.data, "--no-locale", "-E", "UTF8", "--data-checksums", "-A", "trust", "-U", "nobody")

    def call(self, program, *words, **keywords):
        return self.fs.run(PROGRAMS / program, *words, **{**self.who, **keywords})

    def sql(self, text):
        return self.call("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text).stdout.strip()

    def start(self):
        settings = dict(SERVER_OPTIONS, unix_socket_directories=str(self.home))
        with open(self.home / "server.log", "ab") as log:
            self.server = subprocess.Popen(
                [str(PROGRAMS / "postgres"), "-D", str(self.data), *("--%s=%s" % item for item in settings.items())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.who,
            )

        def ready():
            if self.server.poll() is not None:
                raise AssertionError("the server ended:\n%s" % (self.home / "server.log").read_text(errors="replace"))
            return self.call("pg_isready", "-q", check=False).returncode == 0

        wait_until(ready, "the server takes connections")

    def stop(self):
        self.server.send_signal(signal.SIGINT)  # its fast shutdown
        self.assertEqual(self.server.wait(120), 0, (self.home / "server.log").read_text(errors="replace"))
        self.server = None

    def end_server(self):
        """Kills the server as a crash does, and waits until nothing of it is left."""
        if self.server is None:
            return
        processes = descendants(self.server.pid)
        self.server.kill()
        self.server.wait()
        self.server = None
        for pid in processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: all(map(has_ended, processes)), "the server's processes have ended")

    def assert_consistent(self, at_least=0, exactly=None):
        sums = self.sql(SUMS).split("|")
        self.assertEqual(len(set(sums)), 1, sums)
        transactions = int(self.sql("select count(*) from pgbench_history"))
        self.assertGreaterEqual(transactions, at_least)
        if exactly is not None:
            self.assertEqual(transactions, exactly)
        self.call("pg_amcheck", "--install-missing", "--heapallindexed", "--database", "postgres")

    def assert_good_checksums(self):
        answer = self.call("pg_checksums", "--check", "-D", self.data)
        self.assertRegex(answer.stdout, r"Bad checksums: +0\n")

    def remount(self):
        self.fs.remount(self.options)

    def test_pgbench_vacuum_and_a_remount(self):
        self.start()
        self.call("pgbench", "-i", "-q", "-s", "1")
        self.call("pgbench", "-n", "-c", CLIENTS, "-j", "2", "-t", 100)
        self.assert_consistent(exactly=100 * CLIENTS)
        self.sql("vacuum full")
        self.sql("reindex table pgbench_accounts")
        dump = self.call("pg_dump", "-t", "pgbench_*").stdout
        self.stop()
        self.assert_good_checksums()
        self.remount()
        self.start()
        self.assert_consistent(exactly=100 * CLIENTS)
        self.assertEqual(self.without_keys(self.call("pg_dump", "-t", "pgbench_*").stdout), self.without_keys(dump))
        self.stop()
        self.assert_sound_store()

    @staticmethod
    def without_keys(dump):
        """Newer releases of pg_dump put a random key into every dump."""
        return [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]

    def crash_while_it_works(self, crash):
        """Runs pgbench, calls `crash` under way; returns how many transactions its clients were told to be committed."""
        log = self.home / "transactions"
        bench = subprocess.Popen(
            [str(PROGRAMS / "pgbench"), "-n", "-c", str(CLIENTS), "-t", "1000000", "-l", "--log-prefix=%s" % log],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.who,
        )
        try:
            def committed():
                assert bench.poll() is None, "pgbench has ended"
                return int(self.sql("select count(*) from pgbench_history")) >= 60

            wait_until(committed, "some transactions are committed")
            crash()
            # Without a server its clients give up, and it writes down what they had.
            bench.wait(120)
        finally:
            if bench.poll() is None:
                bench.kill()
                bench.wait()
        written = b"".join(path.read_bytes() for path in self.home.glob("transactions*"))
        self.assertGreater(written.count(b"\n"), 0)
        return written.count(b"\n")

    def test_the_server_is_killed(self):
        self.start()
        self.call("pgbench", "-i", "-q", "-s", "1")
        committed = self.crash_while_it_works(self.end_server)
        self.remount()
        self.start()
        self.assert_consistent(at_least=committed)
        self.stop()
        self.assert_good_checksums()
        self.assert_sound_store()

    def test_the_daemon_below_it_is_killed(self):
        self.start()
        self.call("pgbench", "-i", "-q", "-s", "1")

        def crash():
            self.fs.kill()
            self.end_server()

        committed = self.crash_while_it_works(crash)
        self.fs.mount(self.options)
        self.start()
        self.assert_consistent(at_least=committed)
        self.stop()
        self.assert_good_checksums()
        self.assert_sound_store()


if __name__ == "__main__":
    main()
