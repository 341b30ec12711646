#!/usr/bin/env python3
"""Object Lock and MFA delete through every door: root tries whatever there is, and the system's clock is set."""

import base64
import errno
import hashlib
import hmac
import json
import mmap
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from mounted_store import NOBODY, PAIL, MountTest, main

# Answers for the system's clock with what the file says, in seconds, added to it.
SHIM = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec* at) {
  long rc = syscall(SYS_clock_gettime, id, at);
  if (rc != 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return (int)rc;
  FILE* file = fopen(getenv("SET_CLOCK_BY"), "r");
  long long offset = 0;
  if (file != NULL) {
    if (fscanf(file, "%lld", &offset) != 1) offset = 0;
    fclose(file);
  }
  at->tv_sec += offset;
  return 0;
}
"""


class LockTest(MountTest):
    def setUp(self):
        super().setUp()
        self.fs.mount("allow_other")

    def vault(self) -> pathlib.Path:
        self.pail("bucket", "create", "vault", "--object-lock")
        return self.fs.mountpoint / "vault"

    def pail(self, *words, **keywords):
        return self.fs.run(PAIL, *words, cwd=self.fs.mountpoint, **keywords)

    def refused(self, *words, because, status=3, run=None):
        result = (run or self.pail)(*words, check=False)
        self.assertEqual(result.returncode, status, "%s: %s%s" % (words, result.stdout, result.stderr))
        self.assertRegex(result.stderr, because)

    def versions(self, bucket: pathlib.Path, name: str):
        """Places of the versions of a file, newest first, without markers."""
        place = bucket / ".versions" / name
        return [place / one for one in sorted(os.listdir(place), reverse=True) if not one.endswith(".deleted")]

    def assert_not_removed(self, version: pathlib.Path):
        # By a process of its own: one that has listed versions, as this one, removes none at all.
        result = self.fs.run("rm", "-f", version, check=False)
        self.assertIn("Permission denied", result.stderr)
        self.assertTrue(version.exists())

    def assert_denied(self, what, call, allowed=(errno.EACCES, errno.EROFS)):
        with self.assertRaises(OSError, msg=what) as caught:
            call()
        self.assertIn(caught.exception.errno, allowed, what)


class ObjectLock(LockTest):
    def try_every_door(self, bucket: pathlib.Path, version: pathlib.Path):
        def write_into(flags):
            os.close(os.open(version, flags))

        doors = {
            "open for writing": lambda: write_into(os.O_WRONLY),
            "open to truncate": lambda: write_into(os.O_RDWR | os.O_TRUNC),
            "truncate": lambda: os.truncate(version, 0),
            "chmod": lambda: os.chmod(version, 0o600),
            "chown": lambda: os.chown(version, 1, 1),
            "utime": lambda: os.utime(version, (0, 0)),
            "setxattr": lambda: os.setxattr(version, "user.a", b"b"),
            "rename": lambda: os.rename(version, version.with_name("x")),
        }
        for what, call in doors.items():
            self.assert_denied(what, call)
        self.assert_not_removed(version)
        path, name = version.parent, version.name
        file = bucket / path.name
        until = "AccessDenied: .*compliance mode until"
        self.refused("versions", "purge", file, "--version", name, "--yes", because=until)
        self.refused("versions", "purge", file, "--version", name, "--yes", "--bypass-governance", because=until)
        self.refused("bucket", "delete", "vault", "--purge", "--yes", because=until)
        self.refused("bucket", "delete", "vault", "--purge", "--yes", "--bypass-governance", because=until)
        self.refused("versioning", "suspend", "vault", because="InvalidBucketState")
        shorter = ("lock", "retain", file, "--version", name, "--mode", "compliance", "--days", "1")
        self.refused(*shorter, because=until)
        self.refused(*shorter, "--bypass-governance", because=until)
        other = ("lock", "retain", file, "--version", name, "--mode", "governance", "--days", "900")
        self.refused(*other, "--bypass-governance", because=until)
        self.refused("lock", "retain", file, "--version", name, "--none", "--bypass-governance", because=until)
        self.assert_denied("rmdir", lambda: os.rmdir(bucket), (errno.ENOTEMPTY,))

    def test_no_door_leads_past_compliance_for_root(self):
        bucket = self.vault()
        self.pail("lock", "default", "vault", "--mode", "compliance", "--days", "30")
        (bucket / "file").write_text("first")
        (bucket / "file").write_text("second")
        first = self.versions(bucket, "file")[1]
        self.try_every_door(bucket, first)
        pruned = self.pail("versions", "prune", "vault", "--yes")
        self.assertIn("1 version stays, as it is locked", pruned.stdout)
        self.assertIn("0 older versions", pruned.stdout)
        # Deleting is allowed, and leaves markers; nothing that was written is gone.
        self.fs.run("rm", "-rf", bucket, check=False)
        self.assertEqual(os.listdir(bucket), [])
        self.pail("versions", "prune", "vault", "--yes")
        self.try_every_door(bucket, first)
        self.assertEqual([version.read_text() for version in self.versions(bucket, "file")], ["second", "first"])
        # Nor after a crash, or without a daemon.
        os.sync()
        self.pail("lock", "status", "vault")
        self.fs.kill()
        away = ("--key-file", self.fs.key)
        self.refused("bucket", "delete", "vault", "--purge", "--yes", *away, because="compliance", run=self.fs.pail)
        purge = ("versions", "purge", "vault/file", "--version", first.name, "--yes", *away)
        self.refused(*purge, because="compliance", run=self.fs.pail)
        self.fs.mount()
        self.assertEqual([version.read_text() for version in self.versions(bucket, "file")], ["second", "first"])
        self.assert_sound_store()

    def test_writes_after_a_close_leave_what_was_sealed(self):
        bucket = self.vault()
        self.pail("lock", "default", "vault", "--mode", "compliance", "--days", "30")
        content = b"a" * 100_000
        descriptor = os.open(bucket / "file", os.O_RDWR | os.O_CREAT)
        os.write(descriptor, content)
        mapped = mmap.mmap(descriptor, len(content))
        other = os.dup(descriptor)
        os.close(descriptor)  # seals; the mapping and the other descriptor go on
        sealed = self.versions(bucket, "file")[-1]
        self.assertEqual(sealed.read_bytes(), content)
        mapped[:5] = b"later"
        mapped.flush()
        os.pwrite(other, b"even later", 50_000)
        self.fs.run("fallocate", "--punch-hole", "--offset", 4096, "--length", 8192, bucket / "file")
        os.ftruncate(other, 10)
        mapped.close()
        os.close(other)
        self.assertEqual(sealed.read_bytes(), content)
        self.fs.remount()
        self.assertEqual(sealed.read_bytes(), content)
        self.assertGreater(len(self.versions(bucket, "file")), 1)
        self.assert_sound_store()

    def test_setting_the_systems_clock_ends_no_retention(self):
        if os.environ.get("PAILFS_SANITIZED") == "1" or shutil.which("cc") is None:
            self.skipTest("a library before the sanitizer's is not possible")
        source, library = self.fs.directory / "clock.c", self.fs.directory / "clock.so"
        source.write_text(SHIM)
        self.fs.run("cc", "-shared", "-fPIC", "-o", library, source)
        offset = self.fs.directory / "offset"
        offset.write_text("0")
        self.fs.unmount()
        os.environ["LD_PRELOAD"], os.environ["SET_CLOCK_BY"] = str(library), str(offset)
        self.addCleanup(os.environ.pop, "SET_CLOCK_BY")
        try:
            self.fs.mount()
        finally:
            del os.environ["LD_PRELOAD"]
        bucket = self.vault()
        self.pail("lock", "default", "vault", "--mode", "compliance", "--days", "30")
        (bucket / "file").write_text("kept")
        (bucket / "file").unlink()
        version = self.versions(bucket, "file")[0]
        before = json.loads(self.pail("lock", "status", "vault", "--json").stdout)["retention_time"]
        offset.write_text(str(400 * 86400))
        # The daemon does believe it: what is made now is made then.
        (bucket / "new").write_text("x")
        self.assertNotEqual(self.versions(bucket, "new")[0].name[:4], version.name[:4])
        self.try_every_door(bucket, version)
        after = json.loads(self.pail("lock", "status", "vault", "--json").stdout)["retention_time"]
        self.assertEqual(before[:4], after[:4])
        self.fs.unmount()
        self.assertIn("the system's clock went from", self.fs.messages())
        self.fs.mount()  # and back again
        self.try_every_door(bucket, version)
        self.assertEqual(version.read_text(), "kept")

    def test_governance_holds_and_what_shows_of_them(self):
        bucket = self.vault()
        file = bucket / "file"
        for text in ("one", "two", "three"):
            file.write_text(text)
        newest, middle, oldest = self.versions(bucket, "file")
        self.pail("lock", "retain", file, "--version", middle.name, "--mode", "governance", "--days", "7")
        said = self.pail("lock", "hold", file, "--version", oldest.name).stdout
        self.assertIn("legal hold", said)
        listed = self.pail("versions", "list", file).stdout.splitlines()
        self.assertNotIn("governance", listed[0])
        self.assertIn("governance until", listed[1])
        self.assertIn("legal hold", listed[2])
        documents = json.loads(self.pail("versions", "list", file, "--json").stdout)["versions"]
        self.assertNotIn("lock", documents[0])
        self.assertEqual(documents[1]["lock"]["mode"], "governance")
        self.assertEqual(documents[2]["lock"], {"locked": True, "legal_hold": True})
        for version in (middle, oldest):
            self.assert_not_removed(version)
        dry = json.loads(self.pail("versions", "prune", "vault", "--dry-run", "--json").stdout)
        self.assertEqual((dry["versions"], dry["locked"]), (0, 2))
        purge = ("versions", "purge", file, "--yes", "--version")
        self.refused(*purge, middle.name, because="governance mode until .*--bypass-governance")
        self.pail(*purge, middle.name, "--bypass-governance")
        self.refused(*purge, oldest.name, "--bypass-governance", because="legal hold")
        self.pail("lock", "release", file, "--version", oldest.name)
        self.pail(*purge, oldest.name)
        self.assertEqual(self.versions(bucket, "file"), [newest])
        shown = self.pail("bucket", "show", "vault").stdout
        self.assertRegex(shown, "lock +on; new versions get no retention")
        self.pail("lock", "default", "vault", "--mode", "governance", "--years", "2")
        self.assertRegex(self.pail("bucket", "show", "vault").stdout, "lock +on; new versions: governance for 2 years")
        shown = json.loads(self.pail("bucket", "show", "vault", "--json").stdout)
        self.assertEqual((shown["object_lock"], shown["default_retention"]), (True, {"mode": "governance", "years": 2}))

    def test_dates_that_are_none_are_refused_with_those_there_are(self):
        bucket = self.vault()
        (bucket / "file").write_text("content")
        for until in ("3000", "30d", "3000-01-01", "tomorrow"):
            retain = ("lock", "retain", "vault/file", "--mode", "governance", "--until", until)
            because = r"--until '%s' is no time: write a date in UTC \(2026-11-23\), or RFC 3339 .*--days or --years" % until
            self.refused(*retain, because=because, status=2)

    def test_mistakes_are_told_by_s3s_names(self):
        bucket = self.vault()
        (bucket / "file").write_text("x")
        plain = self.fs.bucket("plain")
        (plain / "file").write_text("x")
        retain = ("lock", "retain", "--mode", "governance")
        self.refused(*retain, "--days", "1", plain / "file", because="InvalidRequest: .*no Object Lock")
        self.refused("lock", "default", "plain", "--mode", "governance", "--days", "1", because="InvalidRequest")
        self.refused(*retain, "--until", "2001-01-01", bucket / "file", because="InvalidArgument: .*not in the future")
        self.refused(*retain, "--days", "0", bucket / "file", because="InvalidRetentionPeriod")
        self.refused(*retain, bucket / "file", because="MalformedXML", status=2)
        self.refused(*retain, "--days", "1", "--years", "1", bucket / "file", because="MalformedXML", status=2)
        self.refused("lock", "default", "vault", "--mode", "governance", "--days", "99999", because="InvalidRetention")
        self.refused("bucket", "create", "x-y-z", "--object-lock", "--versioning", "off", because="InvalidBucketState")
        (bucket / "file").unlink()
        self.refused(*retain, "--days", "1", bucket / "file", because="MethodNotAllowed: .*delete marker")
        self.assertIn("--bypass-governance", self.pail("lock", "retain", "--help").stdout)
        nobody = self.fs.run(
            *(PAIL, "lock", "enable", "plain"),
            cwd=self.fs.mountpoint,
            check=False,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
        self.assertEqual(nobody.returncode, 3)
        self.assertIn("owner of the store", nobody.stderr)
        self.pail("lock", "enable", "plain")
        self.pail(*retain, "--until", "2100-01-01", plain / "file")
        self.assertIn("governance until 2100-01-01", self.pail("lock", "status", plain / "file").stdout)


class Device:
    """An authenticator: RFC 6238 over what the secret says."""

    def __init__(self, secret: str):
        self.key = base64.b32decode(secret)
        self.used = 0

    def code(self) -> str:
        """One that was not given before; waits for the next where it must."""
        step = max(self.used + 1, int(time.time()) // 30)
        while step > int(time.time()) // 30 + 1:
            time.sleep(0.5)
        self.used = step
        tag = hmac.new(self.key, struct.pack(">Q", step), hashlib.sha1).digest()
        at = tag[-1] & 15
        return "%06d" % ((struct.unpack(">I", tag[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000)


class MfaDelete(LockTest):
    def enroll(self, wrong=False):
        """Answers with the device and how the command ended."""
        command = [PAIL, "mfa", "enroll", "--store", str(self.fs.mountpoint), "--label", "a store"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as pail:
            said = b""
            while not said.endswith(b"Code of the device: "):
                more = pail.stderr.read1(1000)
                self.assertTrue(more, said)
                said += more
            uri = re.search(rb"otpauth://totp/pailfs:a%20store\?secret=([A-Z2-7]+)&\S*period=30", said)
            self.assertIsNotNone(uri, said)
            device = Device(uri.group(1).decode())
            code = device.code()
            if wrong:
                code = code[:-1] + str((int(code[-1]) + 5) % 10)
            out, err = pail.communicate(code.encode() + b"\n", timeout=120)
            return device, pail.returncode, (out + err).decode()

    def test_a_bucket_with_mfa_delete_demands_codes(self):
        self.assertIn("No device", self.pail("mfa", "status").stdout)
        _, status, said = self.enroll(wrong=True)
        self.assertEqual(status, 3, said)
        self.assertIn("No device", self.pail("mfa", "status").stdout)
        device, status, said = self.enroll()
        self.assertEqual(status, 0, said)
        bucket = self.fs.bucket()
        file = bucket / "file"
        for text in ("one", "two", "three"):
            file.write_text(text)
        self.pail("mfa", "enable", "bucket", "--code", "-", input=device.code() + "\n")
        self.assertIn("demanded by bucket", self.pail("mfa", "status").stdout)
        newest, middle, oldest = self.versions(bucket, "file")
        self.assert_not_removed(oldest)
        self.assertIn("'pail versions purge' does it", self.fs.messages())
        demand = "AccessDenied: MFA delete is on in the bucket bucket"
        purge = ("versions", "purge", file, "--yes", "--version", oldest.name)
        self.refused(*purge, because=demand)
        self.refused("versions", "prune", "bucket", "--yes", because=demand)
        self.refused("versions", "prune", "--yes", because=demand)
        self.refused("bucket", "delete", "bucket", "--purge", "--yes", because=demand)
        self.refused("versioning", "suspend", "bucket", because=demand)
        self.refused("versioning", "keep", "bucket", "--days", "1", because="InvalidBucketState")
        self.refused("mfa", "remove", "--code", "123456", because="bucket bucket has MFA delete")
        code = device.code()
        self.pail(*purge, "--mfa", code)
        self.assertFalse(oldest.exists())
        again = ("versions", "purge", file, "--yes", "--version", middle.name, "--mfa", code)
        self.refused(*again, because="used already")
        file.unlink()  # takes none
        self.fs.remount("allow_other")
        self.refused(*again, because="used already")
        self.pail("mfa", "disable", "bucket", "--code", device.code())
        self.fs.run("rm", middle)
        self.assertFalse(middle.exists())
        self.pail("mfa", "remove", "--code", device.code())
        self.assertIn("No device", self.pail("mfa", "status").stdout)
        self.assertNotIn(device.key.hex(), self.fs.messages())
        self.assert_sound_store()


if __name__ == "__main__":
    main()
