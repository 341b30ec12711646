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
        return subprocess.run([self.script, *arguments], env=environment, capture_output=True, text=True, check=False)

    def test_hands_everything_else_to_the_daemon_as_it_came(self):
        arguments = ["/sto re", "/mnt", "-s", "-n", "-o", r"rw,key_file=/a\,b,bucket=*,x-remount", "-t", "fuse.pailfs"]
        result = self.call(*arguments)
        self.assertEqual(result.returncode, 5, "the daemon's exit status is the helper's")
        self.assertEqual(result.stdout.splitlines(), ["pailfs", *arguments])

    def test_a_remount_is_left_to_the_kernel(self):
        result = self.call("/store", "/mnt", "-v", "-o", "ro,key_file=/k,remount,allow_other,noatime,suid")
        flags = "remount,nosuid,nodev,ro,noatime,suid"
        expected = "mount -i -t fuse.pailfs --options-mode ignore -o %s /store /mnt" % flags
        self.assertEqual(result.stdout.split(), expected.split())

    def test_a_missing_program_is_an_error(self):
        (self.directory / "bin/pailfs").unlink()
        result = self.call("/store", "/mnt")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("pailfs", result.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helper", type=pathlib.Path, required=True)
    HELPER = parser.parse_args().helper
    unittest.main(argv=sys.argv[:1])
