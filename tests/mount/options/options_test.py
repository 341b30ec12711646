#!/usr/bin/env python3
"""Options of the mount, the mount helper, and what the status says."""

import errno
import json
import os
import pathlib
import pty
import shutil
import subprocess
import termios

from mounted_store import NOBODY, PAIL, PAILFS, MountTest, main, mounts, wait_until

HELPER = pathlib.Path(__file__).resolve().parents[3] / "packaging/mount.fuse.pailfs"


class Options(MountTest):
    def background_pid(self):
        return self.fs.status()["daemon"]["pid"]

    def end_background(self, pid):
        self.fs.run("umount", self.fs.mountpoint)
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the daemon has ended")

    def test_one_bucket_as_the_root(self):
        bucket = self.fs.mount().bucket()
        (bucket / "dir").mkdir()
        (bucket / "dir/file").write_text("content")
        self.fs.unmount()
        self.fs.mount("bucket=bucket")
        root = self.fs.mountpoint
        self.assertEqual(os.listdir(root), ["dir"])
        self.assertEqual((root / "dir/file").read_text(), "content")
        (root / "new").write_text("made at the root")
        os.rename(root / "new", root / "dir/new")
        os.rename(root / "dir/new", root / "back")
        self.assertEqual(os.stat(root / "dir/..").st_ino, os.stat(root).st_ino)
        self.assertEqual(os.stat(root).st_ino, 1)
        self.assertIn("1 ..", self.fs.run("ls", "-ai", root / "dir").stdout.replace("  ", " "))
        self.assertEqual(len(os.listdir(root / ".versions/back")), 1)
        os.chmod(root, 0o750)
        os.setxattr(root, "user.a", b"1")
        (root / "directory").mkdir()
        (root / "directory").rmdir()
        self.fs.unmount()
        self.fs.mount()
        self.assertEqual((bucket / "back").read_text(), "made at the root")
        self.assertEqual(os.stat(bucket).st_mode & 0o777, 0o750)

    def test_read_only(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("content")
        self.fs.unmount()
        self.fs.mount("ro")
        self.assertEqual((bucket / "file").read_text(), "content")
        for attempt in (lambda: (bucket / "file").write_text("y"), lambda: (bucket / "new").mkdir()):
            with self.assertRaises(OSError) as raised:
                attempt()
            self.assertEqual(raised.exception.errno, errno.EROFS)

    def test_a_passphrase_is_asked_for_on_the_terminal_wherever_the_log_goes(self):
        words = self.fs.directory / "words"
        words.write_text("correct horse battery staple\n")
        words.chmod(0o600)
        self.fs.run(PAIL, "key", "add", "--store", self.fs.store, "--key-file", self.fs.key, "--new-passphrase-file", words)
        for log in ("log=%s" % self.fs.log, "log=syslog"):
            child, terminal = pty.fork()
            if child == 0:
                os.execv(PAILFS, [PAILFS, str(self.fs.store), str(self.fs.mountpoint), "-o", log])
            seen = b""
            while b"Passphrase" not in seen:
                seen += os.read(terminal, 1024)
            # What is typed before the echo is off is thrown away.
            wait_until(lambda t=terminal: not termios.tcgetattr(t)[3] & termios.ECHO, "the echo is off")
            os.write(terminal, words.read_bytes())
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, log)
            os.close(terminal)
            self.end_background(self.background_pid())

    def test_a_read_only_mount_of_a_fresh_store(self):
        self.fs.mount("ro")
        self.assertEqual(os.listdir(self.fs.mountpoint), [])

    def test_without_writeback(self):
        bucket = self.fs.mount("writeback=off").bucket()
        with open(bucket / "file", "wb", buffering=0) as file:
            for number in range(100):
                file.write(b"%d\n" % number)
            self.assertEqual(os.stat(bucket / "file").st_size, 290)
        with open(bucket / "file", "ab", buffering=0) as file:
            file.write(b"appended")
        self.assertTrue((bucket / "file").read_bytes().endswith(b"99\nappended"))
        shutil.copytree("/usr/include/linux", bucket / "linux")
        self.assert_same_tree("/usr/include/linux", bucket / "linux")

    def test_noexec_and_the_like_reach_the_kernel(self):
        self.fs.mount("noexec,noatime,dev,suid")
        flags = self.fs.run("findmnt", "-rn", "-o", "OPTIONS", self.fs.mountpoint).stdout.strip().split(",")
        self.assertTrue({"noexec", "noatime"} <= set(flags))
        self.assertFalse({"nodev", "nosuid"} & set(flags))

    def test_the_starter_returns_when_the_mount_answers(self):
        result = self.fs.run(PAILFS, self.fs.store, self.fs.mountpoint, "-o", self.fs.options("log=%s" % self.fs.log))
        self.assertEqual(result.stderr, "")
        self.assertTrue(self.fs.is_mounted())
        pid = self.background_pid()
        self.assertEqual(os.readlink("/proc/%d/cwd" % pid), "/")
        self.assertEqual(os.getsid(pid), pid)
        for number in (0, 1):
            self.assertEqual(os.readlink("/proc/%d/fd/%d" % (pid, number)), "/dev/null")
        self.end_background(pid)

    def test_closed_standard_descriptors_do_no_harm(self):
        command = 'exec "$0" "$@" <&- >&- 2>&-'
        self.fs.run("sh", "-c", command, PAILFS, self.fs.store, self.fs.mountpoint, "-o", self.fs.options(""))
        self.fs.bucket()
        self.end_background(self.background_pid())

    def test_mount_and_fstab_through_the_helper(self):
        # mount(8) looks for helpers in /sbin only: a private mount name space holds one there for this test.
        prefix = self.fs.directory / "prefix"
        (prefix / "bin").mkdir(parents=True)
        (prefix / "sbin").mkdir()
        (prefix / "bin/pailfs").symlink_to(PAILFS)
        shutil.copy(HELPER, prefix / "sbin/mount.fuse.pailfs")
        fstab = self.fs.directory / "fstab"
        options = self.fs.options("allow_other,noauto,nofail,_netdev,x-systemd.automount,noatime")
        fstab.write_text("%s %s fuse.pailfs %s 0 0\n" % (self.fs.store, self.fs.mountpoint, options))
        script = """
            set -e
            mkdir work
            mount -t tmpfs tmpfs work && mkdir work/u work/w
            mount -t overlay -o lowerdir=/usr/sbin,upperdir=work/u,workdir=work/w overlay /usr/sbin
            ln -sf "$1/sbin/mount.fuse.pailfs" /usr/sbin/mount.fuse.pailfs
            mount -T fstab "$2"
            mkdir "$2/bucket"; echo content > "$2/bucket/file"
            findmnt -rn -o SOURCE,FSTYPE,OPTIONS "$2"
            mount -T fstab -o remount,ro "$2"
            if echo x > "$2/bucket/file"; then exit 9; fi
            "$3" status --store "$4" --json
            umount "$2"
        """
        result = self.fs.run(
            "unshare", "-m", "sh", "-c", script, "sh", prefix, self.fs.mountpoint, PAIL, self.fs.store, cwd=self.fs.directory
        )
        lines = result.stdout.splitlines()
        self.assertTrue(lines[0].startswith("%s fuse.pailfs rw,nosuid,nodev,noatime" % self.fs.store), lines[0])
        pid = json.loads("\n".join(lines[1:]))["daemon"]["pid"]
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the daemon has ended")
        bucket = self.fs.mount().bucket()
        self.assertEqual((bucket / "file").read_text(), "content\n")

    def test_helper_flags_of_mount(self):
        helper = self.fs.directory / "mount.fuse.pailfs"
        helper.symlink_to(PAILFS)
        words = [helper, self.fs.store, self.fs.mountpoint, "-n", "-v", "-s", "-t", "fuse.pailfs"]
        self.fs.run(*words, "-f", "-o", self.fs.options("defaults"))
        self.assertFalse(self.fs.is_mounted(), "-f of mount(8): all but the mount")
        self.fs.run(*words, "-r", "-o", self.fs.options("defaults"))
        pid = self.background_pid()
        with self.assertRaises(OSError):
            (self.fs.mountpoint / "bucket").mkdir()
        self.end_background(pid)

    def test_the_status_names_transport_and_requests(self):
        self.fs.mount()
        self.fs.bucket()
        daemon = self.fs.status()["daemon"]
        self.assertEqual(daemon["mountpoint"], str(self.fs.mountpoint))
        self.assertEqual(daemon["pid"], self.fs.daemon.pid)
        self.assertGreaterEqual(daemon["requests"]["MKDIR"], 1)
        self.assertTrue(daemon["transport"].startswith("/dev/fuse: ") or daemon["io_uring"], daemon)

    def test_paths_with_commas_spaces_and_backslashes(self):
        strange = self.fs.directory / "a, b\\c"
        strange.mkdir()
        mountpoint = strange / "mount"
        mountpoint.mkdir()
        key = strange / "key"
        shutil.copy(self.fs.key, key)
        escaped = str(key).replace("\\", "\\\\").replace(",", "\\,")
        self.fs.store = self.fs.store.rename(strange / "store")
        self.fs.run(PAILFS, self.fs.store, mountpoint, "-o", "key_file=" + escaped)
        pid = self.background_pid()
        sources = [source for where, kind, source in mounts() if where == str(mountpoint)]
        self.assertEqual(sources, [str(self.fs.store)])
        self.fs.run("umount", mountpoint)
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the daemon has ended")

    def test_a_passphrase_file(self):
        store = self.fs.directory / "second"
        phrase = self.fs.directory / "phrase"
        phrase.write_text("correct horse battery staple\n")
        phrase.chmod(0o600)
        self.fs.run(PAIL, "init", store, "--passphrase-file", phrase)
        self.fs.run(PAILFS, store, self.fs.mountpoint, "-o", "passphrase_file=%s" % phrase)
        self.addCleanup(subprocess.run, ["umount", "-lq", str(self.fs.mountpoint)], check=False)
        status = json.loads(self.fs.run(PAIL, "status", "--json", "--store", store).stdout)
        self.end_background(status["daemon"]["pid"])

    def test_a_user_other_than_root_mounts_his_own_store(self):
        # /dev/fuse is open to all on most machines; in a private name space one is here as well.
        home = self.fs.directory / "home"
        (home / "mount").mkdir(parents=True)
        (home / "key").write_bytes(os.urandom(32))
        (home / "key").chmod(0o600)
        for path in (home, home / "mount", home / "key"):
            os.chown(path, NOBODY, NOBODY)
        script = """
            set -e
            mkdir device
            mount -t tmpfs tmpfs device
            mknod device/fuse c 10 229
            chmod 666 device/fuse
            mount --bind device/fuse /dev/fuse
            cd home
            exec setpriv --reuid 65534 --regid 65534 --clear-groups env -u XDG_RUNTIME_DIR HOME=. sh -c '
                set -e
                "$1" init store --key-file key
                "$0" store mount -o key_file=key,log=log
                mkdir mount/bucket
                echo content > mount/bucket/file
                "$1" status mount --json
                fusermount3 -u mount
            ' "$1" "$2"
        """
        result = self.fs.run("unshare", "-m", "sh", "-c", script, "sh", PAILFS, PAIL, cwd=self.fs.directory)
        pid = json.loads(result.stdout[result.stdout.index("{") :])["daemon"]["pid"]
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the daemon has ended")
        self.assertIn("unmounted and closed", (home / "log").read_text())

    def test_no_secret_shows_in_arguments_environment_or_log(self):
        self.fs.mount("log_level=debug")
        self.fs.bucket()
        pid = self.fs.daemon.pid
        secret = self.fs.key.read_bytes()
        for path in ("cmdline", "environ"):
            self.assertNotIn(secret, pathlib.Path("/proc/%d/%s" % (pid, path)).read_bytes())
        self.assertNotIn(secret.hex(), self.fs.messages())
        with open("/proc/%d/status" % pid, encoding="ascii") as status:
            self.assertIn("Umask:\t0000", status.read())
        with open("/proc/%d/limits" % pid, encoding="ascii") as limits:
            core = next(line for line in limits if line.startswith("Max core file size"))
            self.assertEqual(core.split()[4], "0")


if __name__ == "__main__":
    main()
