#!/usr/bin/env python3
"""Programs that are known to find what is wrong with file systems, and how many requests things cost."""

import os
import sqlite3
import subprocess

from mounted_store import MountTest, main

SOURCE = """
#include <vector>
#include <string>
#include <iostream>
int main() { std::vector<std::string> v{"built", "here"}; for (auto& s : v) std::cout << s << ' '; }
"""


class Programs(MountTest):
    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount("allow_other").bucket()

    def test_git(self):
        origin = self.bucket / "origin"
        environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b",
                           GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
        for command in (
            ["git", "init", "-q", origin],
            ["cp", "-a", "/usr/include/linux", origin],
            ["git", "-C", origin, "add", "."],
            ["git", "-C", origin, "commit", "-q", "-m", "first"],
            ["git", "-C", origin, "gc", "-q"],
            ["git", "clone", "-q", "--no-local", origin, self.bucket / "clone"],
        ):
            self.fs.run(*command, env=environment)
        self.fs.remount("allow_other")
        self.fs.run("git", "-C", self.bucket / "clone", "fsck", "--full", "--strict", env=environment)
        status = self.fs.run("git", "-C", self.bucket / "clone", "status", "--porcelain", env=environment)
        self.assertEqual(status.stdout, "")
        self.assert_same_tree(origin / "linux", self.bucket / "clone/linux")

    def test_sqlite(self):
        for mode in ("delete", "wal"):
            path = self.bucket / ("data-%s.db" % mode)
            database = sqlite3.connect(path)
            database.execute("pragma journal_mode=%s" % mode)
            database.execute("create table t (k integer primary key, v text)")
            for batch in range(20):
                with database:
                    database.executemany("insert into t (v) values (?)", (("x" * (batch + n),) for n in range(100)))
            with database:
                database.execute("delete from t where k % 3 = 0")
            database.execute("vacuum")
            database.close()
        self.fs.remount("allow_other")
        for mode in ("delete", "wal"):
            database = sqlite3.connect(self.bucket / ("data-%s.db" % mode))
            self.assertEqual(database.execute("pragma integrity_check").fetchall(), [("ok",)])
            self.assertEqual(database.execute("select count(*) from t").fetchone(), (1334,))
            database.close()

    def test_compiling_and_running(self):
        (self.bucket / "main.cc").write_text(SOURCE)
        self.fs.run("g++", "-O1", "-g", "-o", self.bucket / "program", self.bucket / "main.cc", cwd=self.bucket)
        self.assertEqual(self.fs.run(self.bucket / "program").stdout, "built here ")
        self.fs.remount("allow_other")
        self.assertEqual(self.fs.run(self.bucket / "program").stdout, "built here ")

    def test_tar_and_rsync(self):
        tree = "/usr/include/linux"
        self.fs.run("sh", "-c", 'tar -C /usr/include -cf - linux | tar -C "$1" -xf -', "sh", self.bucket)
        self.assert_same_tree(tree, self.bucket / "linux")
        self.fs.run("rsync", "-aHAX", tree + "/", str(self.bucket / "second") + "/")
        again = self.fs.run("rsync", "-aHAXni", "--checksum", tree + "/", str(self.bucket / "second") + "/")
        self.assertEqual(again.stdout, "")


class RoundTrips(MountTest):
    """Requests to the daemon are what an operation costs; more of them is a loss that nobody would notice."""

    def requests_of(self, action):
        before = self.fs.status()["daemon"]["requests"]
        action()
        after = self.fs.status()["daemon"]["requests"]
        counted = {name: count - before.get(name, 0) for name, count in after.items()}
        # RELEASE and FORGET are sent in the background, when the kernel likes.
        return {name: count for name, count in counted.items() if count and name not in ("RELEASE", "FORGET")}

    def test_without_allow_other_names_and_attributes_are_asked_for_once(self):
        bucket = self.fs.mount().bucket()
        (bucket / "dir").mkdir()
        path = bucket / "dir/file"
        path.write_text("content")
        path.read_text()
        os.stat(path)
        wanted = self.requests_of(lambda: [os.stat(path) for _ in range(10)])
        self.assertLessEqual(wanted.get("LOOKUP", 0), 1)  # the list of buckets is kept for a second
        self.assertEqual(wanted.get("GETATTR", 0), 0)
        wanted = self.requests_of(path.read_text)
        self.assertEqual({name: wanted.get(name, 0) for name in ("OPEN", "READ", "FLUSH")}, {"OPEN": 1, "READ": 0, "FLUSH": 1})

    def test_creating_writing_and_closing_a_file(self):
        bucket = self.fs.mount().bucket()
        (bucket / "warm").write_text("up")

        def create():
            descriptor = os.open(bucket / "file", os.O_CREAT | os.O_WRONLY, 0o644)
            os.write(descriptor, b"content")
            os.close(descriptor)

        wanted = self.requests_of(create)
        self.assertEqual(wanted.pop("CREATE"), 1)
        self.assertEqual(wanted.pop("WRITE"), 1)
        self.assertEqual(wanted.pop("FLUSH"), 1)
        self.assertLessEqual(sum(wanted.values()), 4, wanted)

    def test_walking_a_path_with_allow_other_is_a_lookup_per_name_that_is_not_open_to_all(self):
        bucket = self.fs.mount("allow_other").bucket()
        path = bucket / "a/b/c"
        path.mkdir(parents=True)
        kept = self.fs.status()["daemon"]["entry_caching"] == "open directories"
        os.stat(path)
        wanted = self.requests_of(lambda: os.stat(path))
        wanted.pop("LOOKUP" if kept else "", None)  # of the bucket: the list of buckets is good for a second
        self.assertEqual(wanted, {} if kept else {"LOOKUP": 4})
        for directory in (bucket, bucket / "a", bucket / "a/b"):
            directory.chmod(0o700)
        os.stat(path)
        wanted = self.requests_of(lambda: os.stat(path))
        self.assertGreaterEqual(wanted["LOOKUP"], 3)

    def test_large_sequential_writes_come_in_large_requests(self):
        bucket = self.fs.mount().bucket()
        content = os.urandom(16 << 20)
        wanted = self.requests_of(lambda: (bucket / "big").write_bytes(content))
        self.assertLessEqual(wanted["WRITE"], 48)
        self.fs.remount()
        wanted = self.requests_of(lambda: self.assertEqual((bucket / "big").read_bytes(), content))
        self.assertLessEqual(wanted["READ"], 200)


class Memory(MountTest):
    def test_the_daemon_stays_small_while_it_works(self):
        bucket = self.fs.mount().bucket()
        script = 'cd "$1"; for i in $(seq 3000); do echo $i > f$i; done; cat f* > /dev/null; rm f*'
        subprocess.run(["sh", "-c", script, "sh", bucket], check=True)
        (bucket / "big").write_bytes(os.urandom(64 << 20))
        (bucket / "big").read_bytes()
        with open("/proc/%d/status" % self.fs.daemon.pid, encoding="ascii") as status:
            anonymous = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
        self.assertLess(anonymous, 256 * 1024)


if __name__ == "__main__":
    main()
