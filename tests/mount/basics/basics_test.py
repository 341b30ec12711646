#!/usr/bin/env python3
"""Buckets, trees and names on a mount, and the same after a remount."""

import errno
import os
import stat
import subprocess

from mounted_store import MountTest, main

TREE = "/usr/include/linux"


class Basics(MountTest):
    def test_a_tree_is_the_same_after_copying_and_after_a_remount(self):
        bucket = self.fs.mount().bucket()
        self.fs.run("cp", "-a", TREE, bucket)
        self.assert_same_tree(TREE, bucket / "linux")
        self.fs.remount()
        self.assert_same_tree(TREE, bucket / "linux")
        listed = self.fs.run("rsync", "-aHAXn", "--checksum", "--delete", "-i", TREE + "/", str(bucket / "linux") + "/")
        self.assertEqual(listed.stdout, "")

    def test_every_kind_of_file_keeps_its_attributes(self):
        bucket = self.fs.mount().bucket()
        source = self.fs.directory / "source"
        source.mkdir()
        (source / "plain").write_text("text")
        os.link(source / "plain", source / "second name")
        (source / "link").symlink_to("plain")
        os.mkfifo(source / "fifo")
        os.mknod(source / "device", 0o640 | stat.S_IFCHR, os.makedev(1, 3))
        (source / "script").write_text("#!/bin/sh\n")
        (source / "script").chmod(0o4751)
        os.chown(source / "plain", 12, 34)
        os.setxattr(source / "script", "user.note", b"a value")
        os.utime(source / "link", ns=(10**18 + 1, 10**18 + 2), follow_symlinks=False)
        self.fs.run("cp", "-a", str(source), bucket)
        self.fs.remount()
        listed = self.fs.run("rsync", "-aHAXnD", "--checksum", "-i", str(source) + "/", str(bucket / "source") + "/")
        self.assertEqual(listed.stdout, "")
        copy = bucket / "source"
        self.assertEqual(os.stat(copy / "plain").st_nlink, 2)
        self.assertEqual(os.stat(copy / "plain").st_ino, os.stat(copy / "second name").st_ino)
        self.assertEqual(os.getxattr(copy / "script", "user.note"), b"a value")
        self.assertEqual(os.lstat(copy / "link").st_mtime_ns, 10**18 + 2)

    def test_a_file_without_a_name_gets_one_or_goes(self):
        bucket = self.fs.mount().bucket()
        if self.fs.libfuse() < (3, 17):
            with self.assertRaisesRegex(OSError, "not supported"):
                os.open(bucket, os.O_TMPFILE | os.O_RDWR)
            return
        root = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, root)
        for exclusive in (0, os.O_EXCL):
            descriptor = os.open(bucket, os.O_TMPFILE | os.O_RDWR | exclusive, 0o640)
            os.write(descriptor, b"content")
            os.fsync(descriptor)
            self.assertEqual(os.fstat(descriptor).st_nlink, 0)
            # With a directory to begin from, os.link() follows the link in /proc.
            link = lambda: os.link("/proc/self/fd/%d" % descriptor, bucket / "name", src_dir_fd=root)
            if exclusive:
                self.assertRaises(FileNotFoundError, link)
            else:
                link()
            os.close(descriptor)
            self.assertEqual([path.name for path in bucket.iterdir()], [] if exclusive else ["name"])
            if not exclusive:
                self.assertEqual((bucket / "name").read_bytes(), b"content")
                (bucket / "name").unlink()
        self.fs.pail("check")

    def test_the_root_holds_buckets_only(self):
        bucket = self.fs.mount().bucket()
        with self.assertRaises(PermissionError):
            (self.fs.mountpoint / "file").write_text("")
        with self.assertRaises(PermissionError):
            os.rename(bucket, self.fs.mountpoint / "other-name")
        other = self.fs.bucket("other")
        (bucket / "file").write_text("x")
        for call in (os.rename, os.link):
            with self.assertRaises(OSError) as raised:
                call(bucket / "file", other / "file")
            self.assertEqual(raised.exception.errno, errno.EXDEV)

    def test_a_bad_bucket_name_is_invalid_and_the_log_says_why(self):
        self.fs.mount()
        with self.assertRaises(OSError) as raised:
            (self.fs.mountpoint / "No_Bucket").mkdir()
        self.assertEqual(raised.exception.errno, errno.EINVAL)
        self.assertIn("No_Bucket", self.fs.messages())

    def test_a_bucket_with_versions_is_not_empty(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("x")
        with self.assertRaises(OSError) as raised:
            bucket.rmdir()
        self.assertEqual(raised.exception.errno, errno.ENOTEMPTY)
        (bucket / "file").unlink()
        with self.assertRaises(OSError) as raised:
            bucket.rmdir()
        self.assertEqual(raised.exception.errno, errno.ENOTEMPTY)
        empty = self.fs.bucket("empty")
        empty.rmdir()
        self.assertFalse(empty.exists())

    def test_names_have_at_most_255_bytes(self):
        bucket = self.fs.mount().bucket()
        for name in ("n" * 255, "ä" * 127 + "x", "new\nline", "back\\slash", "\udcff\udcfe"):
            (bucket / name).write_text(name, errors="surrogateescape")
        with self.assertRaises(OSError) as raised:
            (bucket / ("n" * 256)).write_text("")
        self.assertEqual(raised.exception.errno, errno.ENAMETOOLONG)
        self.fs.remount()
        self.assertEqual(len(os.listdir(bucket)), 5)

    def test_paths_of_4096_bytes(self):
        bucket = self.fs.mount().bucket()
        descriptor = os.open(bucket, os.O_RDONLY)
        depth = 0
        while len(str(bucket)) + (depth + 1) * 201 < 4096:
            os.mkdir("d" * 200, dir_fd=descriptor)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
            depth += 1
        os.close(descriptor)
        left = 4095 - len(str(bucket)) - depth * 201
        path = str(bucket) + ("/" + "d" * 200) * depth + "/" + "f" * (left - 1)
        self.assertEqual(len(path), 4095)
        with open(path, "w", encoding="ascii") as file:
            file.write("deep")
        with self.assertRaises(OSError) as raised:
            open(path + "f", "w", encoding="ascii").close()
        self.assertEqual(raised.exception.errno, errno.ENAMETOOLONG)

    def test_large_directories_list_every_name_once(self):
        bucket = self.fs.mount().bucket()
        names = {"file-%05d" % number for number in range(3000)}
        for name in names:
            (bucket / name).touch()
        self.assertEqual(sorted(os.listdir(bucket)), sorted(names))
        self.assertEqual(len(self.fs.run("ls", "-la", bucket).stdout.splitlines()), 3000 + 3)
        # Removing while reading must not skip what stays.
        with os.scandir(bucket) as entries:
            seen = {entry.name for entry in entries if os.unlink(entry.path) is None}
        self.assertEqual(seen, names)
        self.assertEqual(os.listdir(bucket), [])

    def test_moving_a_directory_moves_what_lies_below(self):
        bucket = self.fs.mount().bucket()
        self.fs.run("cp", "-a", TREE, bucket / "here")
        (bucket / "there").mkdir()
        os.rename(bucket / "here", bucket / "there" / "now")
        self.assert_same_tree(TREE, bucket / "there" / "now")
        self.assertEqual(os.stat(bucket / "there/now/..").st_ino, os.stat(bucket / "there").st_ino)
        with self.assertRaises(OSError) as raised:
            os.rename(bucket / "there", bucket / "there" / "now" / "below")
        self.assertEqual(raised.exception.errno, errno.EINVAL)

    def test_df_and_mount_name_the_store(self):
        self.fs.mount()
        line = self.fs.run("findmnt", "-rn", "-o", "SOURCE,FSTYPE,OPTIONS", self.fs.mountpoint).stdout.split()
        self.assertEqual(line[:2], [str(self.fs.store), "fuse.pailfs"])
        self.assertTrue({"nosuid", "nodev"} <= set(line[2].split(",")))
        space = os.statvfs(self.fs.mountpoint)
        self.assertEqual((space.f_namemax, space.f_frsize), (255, 4096))
        self.assertGreater(space.f_bavail, 0)

    def test_the_daemon_leaks_no_descriptor_to_programs_and_holds_no_terminal(self):
        self.fs.mount()
        self.fs.bucket()
        pid = self.fs.daemon.pid
        for number in os.listdir("/proc/%d/fd" % pid):
            with open("/proc/%d/fdinfo/%s" % (pid, number), encoding="ascii") as info:
                flags = int(next(line for line in info if line.startswith("flags:")).split()[1], 8)
            if int(number) > 2:
                target = os.readlink("/proc/%d/fd/%s" % (pid, number))
                self.assertTrue(flags & os.O_CLOEXEC, "descriptor %s (%s) would be inherited" % (number, target))

    def test_concurrent_use_from_many_processes(self):
        bucket = self.fs.mount("allow_other").bucket()
        script = "for i in $(seq 150); do echo $1 $i > f$1-$i; cat f$1-$i > c$1-$i; mv c$1-$i m$1-$i; rm f$1-$i; done"
        workers = [subprocess.Popen(["sh", "-ec", script, "sh", str(n)], cwd=bucket) for n in range(8)]
        self.assertEqual([worker.wait() for worker in workers], [0] * 8)
        self.assertEqual(len(os.listdir(bucket)), 8 * 150)
        self.assertEqual((bucket / "m7-150").read_text(), "7 150\n")


if __name__ == "__main__":
    main()
