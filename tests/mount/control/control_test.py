#!/usr/bin/env python3
"""pail through a running daemon: who may ask what, paths on the mount, keys, and the socket's life."""

import json
import os
import pathlib
import shutil
import signal
import socket
import threading

from mounted_store import NOBODY, PAIL, MountTest, main


class Control(MountTest):
    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount("allow_other").bucket()

    def here(self, *words, cwd=None, **keywords):
        """pail without --store, in a directory on the mount."""
        return self.fs.run(PAIL, *words, cwd=cwd or self.bucket, **keywords)

    def as_nobody(self, *words):
        return self.fs.run(
            PAIL, *words, "--store", self.fs.mountpoint, check=False, user=NOBODY, group=NOBODY, extra_groups=[]
        )

    def socket_path(self):
        return pathlib.Path("/run/pailfs/%s.sock" % self.fs.status()["store"]["uuid"])

    def ask(self, line: bytes) -> dict:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket_path()))
            connection.sendall(line)
            return json.loads(connection.makefile().readline())

    def test_status_is_for_everybody_though_the_store_is_out_of_reach(self):
        self.assertEqual(os.stat(self.fs.store).st_mode & 0o777, 0o700)
        status = self.as_nobody("status", "--json")
        self.assertEqual(status.returncode, 0, status.stderr)
        daemon = json.loads(status.stdout)["daemon"]
        self.assertEqual(daemon["mountpoint"], str(self.fs.mountpoint))
        self.assertEqual(daemon["pid"], self.fs.daemon.pid)
        self.assertNotIn("key_file", daemon["options"])
        self.assertGreater(daemon["requests"]["MKDIR"], 0)

    def test_what_is_the_accounts_is_refused_to_others(self):
        (self.bucket / "file").write_text("content")
        for words in (
            ("key", "list"),
            ("key", "remove", "1"),
            ("check",),
            ("versions", "prune", "--keep", "1"),
            ("versioning", "suspend", "bucket"),
            ("bucket", "delete", "bucket", "--purge", "--yes"),
        ):
            refused = self.as_nobody(*words)
            self.assertEqual(refused.returncode, 3, words)
            self.assertIn("owner of the store", refused.stderr)
        self.assertEqual(self.as_nobody("bucket", "create", "mine").returncode, 3)
        os.chmod(self.fs.mountpoint, 0o777)
        self.assertEqual(self.as_nobody("bucket", "create", "mine").returncode, 0)
        self.assertEqual(os.stat(self.fs.mountpoint / "mine").st_uid, NOBODY)

    def test_versions_are_found_by_paths_as_typed(self):
        below = self.bucket / "dir"
        below.mkdir()
        for content in ("one", "two"):
            (below / "file").write_text(content)
        (below / "file").unlink()
        expected = json.loads(self.here("versions", "list", "bucket/dir/file", "--json", "--store", ".").stdout)
        self.assertEqual([v["marker"] for v in expected["versions"]], [True, False, False])
        for path, cwd in (("dir/file", self.bucket), ("file", below), ("../dir/./file", below), (below / "file", "/")):
            self.assertEqual(json.loads(self.here("versions", "list", path, "--json", cwd=cwd).stdout), expected)
        names = [v["name"] for v in expected["versions"]]
        self.assertEqual(sorted(names), sorted(os.listdir(self.bucket / ".versions/dir/file")))
        self.here("versions", "prune", "./dir", "--keep", "1")
        self.assertEqual(len(os.listdir(self.bucket / ".versions/dir/file")), 2)

    def test_a_word_that_is_no_bucket_is_said_to_be_taken_for_one(self):
        (self.bucket / "file").write_text("content")
        for words in (("acl", "get"), ("lock", "status"), ("rewind", "--to", "0s"), ("versions", "prune", "--keep", "1")):
            refused = self.here(*words, "file", check=False)
            self.assertEqual(refused.returncode, 3, words)
            self.assertIn("a word without a slash is a bucket: for the file here write ./file", refused.stderr)
            self.here(*words, "./file")

    def test_paths_on_a_mount_of_one_bucket(self):
        (self.bucket / "file").write_text("content")
        self.fs.remount("bucket=bucket")
        listed = json.loads(self.here("versions", "list", "file", "--json", cwd=self.fs.mountpoint).stdout)
        self.assertEqual((listed["bucket"], len(listed["versions"])), ("bucket", 1))

    def test_names_that_are_no_utf8(self):
        name = os.fsencode(self.bucket) + b"/\xff\xfe"
        with open(name, "w") as file:
            file.write("content")
        listed = json.loads(self.here("versions", "list", name.decode(errors="surrogateescape"), "--json").stdout)
        self.assertEqual(listed["path"], {"base64": "//4="})
        self.assertEqual(len(listed["versions"]), 1)

    def test_buckets_come_and_go_for_the_mount(self):
        self.assertFalse((self.fs.mountpoint / "new").exists())
        self.here("bucket", "create", "new", "--versioning", "off")
        (self.fs.mountpoint / "new/file").write_text("content")
        self.assertEqual(self.here("bucket", "delete", "new", check=False).returncode, 3)
        self.assertEqual(self.here("bucket", "delete", "new", "--purge", check=False).returncode, 2)
        self.here("bucket", "delete", "new", "--purge", "--yes")
        self.assertEqual(os.listdir(self.fs.mountpoint), ["bucket"])

    def test_a_passphrase_added_through_the_daemon_opens_the_store(self):
        first, second = self.fs.directory / "first", self.fs.directory / "second"
        first.write_text("correct horse\n")
        second.write_text("battery staple\n")
        self.here("key", "add", "--new-passphrase-file", first)
        self.here("key", "change", "--new-passphrase-file", second)
        self.fs.unmount()
        opened = self.fs.pail("key", "list", "--passphrase-file", second)
        self.assertIn("passphrase", opened.stdout)
        self.assertEqual(self.fs.pail("key", "list", "--passphrase-file", first, check=False).returncode, 3)

    def test_the_socket_goes_with_the_daemon_and_a_stale_one_is_replaced(self):
        path = self.socket_path()
        self.assertEqual(path.stat().st_mode & 0o777, 0o666)
        self.fs.unmount()
        self.assertFalse(path.exists())
        self.fs.mount()
        self.fs.kill()
        self.assertTrue(path.exists())
        self.assertIsNone(self.fs.status()["daemon"])
        self.fs.mount()
        self.assertEqual(self.fs.status()["daemon"]["pid"], self.fs.daemon.pid)

    def test_dead_sockets_of_the_store_go_when_a_daemon_starts(self):
        def bound(copy, old=True, listens=False):
            path = own.with_name("%s-%d.sock" % (own.stem, copy))
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
                self.addCleanup(path.unlink, missing_ok=True)
                if old:
                    os.utime(path, (0, 0))
                if listens:
                    made.listen()
                    self.addCleanup(os.close, made.detach())
            return path

        own = self.socket_path()
        self.fs.unmount()
        dead, young, living = bound(1), bound(2, old=False), bound(3, listens=True)
        self.fs.mount()
        self.assertEqual([path.exists() for path in (dead, young, living)], [False, True, True])
        self.assertTrue(own.exists())

    def test_a_mount_whose_daemon_was_killed_is_said_to_be_dead(self):
        (self.bucket / "file").write_text("content")
        self.fs.daemon.kill()
        self.fs.wait_for_daemon()
        gone = "the daemon of the mount %s is gone, killed or crashed: 'umount %s'" % (self.fs.mountpoint, self.fs.mountpoint)
        for words in ((self.fs.mountpoint,), (self.bucket,), (self.fs.store,), ("--store", self.bucket)):
            self.assertIn(gone, self.here("status", *words, cwd="/").stdout)
        status = json.loads(self.here("status", self.bucket, "--json", cwd="/").stdout)
        self.assertEqual((status["daemon"], status["dead_mounts"]), (None, [str(self.fs.mountpoint)]))
        refused = self.here("versions", "list", self.bucket / "file", "--key-file", self.fs.key, check=False, cwd="/")
        self.assertEqual(refused.returncode, 3)
        self.assertIn(gone, refused.stderr)
        listing = ("bucket", "list", "--store", self.fs.mountpoint)
        self.assertIn(gone, self.here(*listing, check=False, cwd="/").stderr)
        self.here(*listing, "--key-file", self.fs.key, cwd="/")
        self.fs.run("umount", "-l", self.fs.mountpoint)
        self.assertNotIn("is gone", self.here("status", self.fs.store, cwd="/").stdout)

    def test_a_daemon_that_is_stopped_is_said_to_be(self):
        (self.bucket / "file").write_text("content")
        self.fs.signal(signal.SIGSTOP)
        try:
            for words in (("status", self.fs.store), ("bucket", "list", "--store", self.fs.store),
                          ("status", self.fs.mountpoint), ("versions", "list", self.bucket / "file"),
                          ("versions", "list", self.bucket / "not/looked/up/../before")):
                refused = self.fs.run(PAIL, *words, cwd=self.fs.store, check=False)
                self.assertNotEqual(refused.returncode, 0, words)
                self.assertIn("'kill -CONT %d' has it go on" % self.fs.daemon.pid, refused.stderr)
        finally:
            self.fs.signal(signal.SIGCONT)
        self.here("versions", "list", self.bucket / "file")

    def test_a_store_whose_files_are_out_of_reach_is_known_by_who_serves_it(self):
        superblock, moved = self.fs.store / "pailfs.store", self.fs.directory / "moved"
        for source, target in ((superblock, moved), (self.fs.store, moved)):
            source.rename(target)
            try:
                for where in (self.fs.mountpoint, self.fs.store):
                    told = json.loads(self.fs.run(PAIL, "status", where, "--json").stdout)
                    self.assertEqual(told["daemon"]["pid"], self.fs.daemon.pid)
            finally:
                target.rename(source)
        superblock.rename(moved)
        self.fs.unmount()
        refused = self.fs.run(PAIL, "status", self.fs.store, check=False)
        self.assertNotEqual(refused.returncode, 0)
        moved.rename(superblock)
        self.fs.mount()

    def test_a_copy_of_the_store_is_not_taken_for_the_one_that_is_served(self):
        self.fs.unmount()
        copy = self.fs.directory / "copy"
        shutil.copytree(self.fs.store, copy)
        self.fs.mount()
        self.here("bucket", "create", "new")
        listed = self.fs.run(PAIL, "bucket", "list", "--json", "--store", copy, "--key-file", self.fs.key)
        self.assertEqual([b["name"] for b in json.loads(listed.stdout)["buckets"]], ["bucket"])

    def test_malformed_requests_are_answered_and_harm_nobody(self):
        for line in (b"\n", b"nonsense\n", b"[]\n", b'{"op":1}\n', b'{"op":"check","args":{"deep":1}}\n', b"\xff\0\n"):
            self.assertIn("error", self.ask(line))
        self.assertIn("ok", self.ask(b'{"op":"status"}\n'))

    def test_ending_under_control_requests(self):
        """A shutdown does not wait for a check."""
        for number in range(64):
            (self.bucket / ("file%d" % number)).write_bytes(os.urandom(1 << 20))
        checks = [threading.Thread(target=self.fs.pail, args=("check", "--deep"), kwargs={"check": False}) for _ in "ab"]
        for check in checks:
            check.start()
        self.fs.unmount()
        for check in checks:
            check.join()
        self.assertIn("No damage", self.fs.pail("check", "--deep", "--key-file", self.fs.key).stdout)


if __name__ == "__main__":
    main()
