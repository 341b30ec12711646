#!/usr/bin/env python3
"""What mount.fuse.pailfs makes of the calls of mount(8), with stand-ins for the daemon and for mount."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HELPER = None  # the script, set by main


class MountHelperTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.directory = pathlib.Path(holder.name)
        for name in ("bin/pailfs", "bin/mount"):
            stand_in = self.directory / name
            stand_in.parent.mkdir(exist_ok=True)
            stand_in.write_text('#!/bin/sh\nprintf "%%s\\n" %s "$@"\nexit 5\n' % stand_in.name)
            stand_in.chmod(0o755)
        (self.directory / "sbin").mkdir()
        installed = self.directory / "sbin/mount.fuse.pailfs"
        shutil.copy(HELPER, installed)
        # As in /sbin, the only place where mount(8) looks.
        self.script = self.directory / "mount.fuse.pailfs"
        self.script.symlink_to(installed)

    def call(self, *arguments):
        environment = {**os.environ, "PATH": "%s/bin:/usr/bin:/bin" % self.directory}
        return subprocess.run(
            ["/bin/sh", self.script, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    def daemon_options(self, options):
        result = self.call("/store", "/mnt", "-o", options)
        self.assertEqual(result.returncode, 5, "the daemon's exit status is the helper's")
        lines = result.stdout.splitlines()
        self.assertEqual(lines[:3], ["pailfs", "/store", "/mnt"])
        return lines[3:]

    def test_hands_options_to_the_daemon(self):
        self.assertEqual(self.daemon_options("rw,key_file=/k,allow_other"), ["-o", "rw,key_file=/k,allow_other"])

    def test_drops_what_only_mount_and_systemd_read(self):
        options = "noauto,nofail,_netdev,x-systemd.automount,user=jo,defaults,ro,nosuid"
        self.assertEqual(self.daemon_options(options), ["-o", "ro,nosuid"])
        self.assertEqual(self.daemon_options("defaults"), [])

    def test_keeps_escaped_commas_and_patterns_in_values(self):
        self.assertEqual(self.daemon_options(r"key_file=/a\,b,bucket=*"), ["-o", r"key_file=/a\,b,bucket=*"])

    def test_a_fake_mount_starts_no_daemon(self):
        result = self.call("/store", "/mnt", "-f", "-o", "key_file=/k")
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_flags_of_mount_do_not_reach_the_daemon(self):
        result = self.call("/store", "/mnt", "-s", "-n", "-v", "-o", "ro", "-t", "fuse.pailfs")
        self.assertEqual(result.stdout.split(), ["pailfs", "/store", "/mnt", "-o", "ro"])

    def test_a_remount_is_left_to_the_kernel(self):
        result = self.call("/store", "/mnt", "-o", "remount,ro,key_file=/k,allow_other,noatime")
        expected = "mount -i -t fuse.pailfs --options-mode ignore -o remount,ro,noatime /store /mnt"
        self.assertEqual(result.stdout.split(), expected.split())

    def test_too_few_arguments_are_an_error(self):
        self.assertEqual(self.call("/store").returncode, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helper", type=pathlib.Path, required=True)
    HELPER = parser.parse_args().helper
    unittest.main(argv=sys.argv[:1])
