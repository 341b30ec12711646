#!/usr/bin/env python3
"""Stores that earlier builds made, of every format there was: this build must read each, and go on with it.

A store is packed as FORMAT.tar.xz, with its key and what it must show. `old_stores_test.py --make NAME` packs one of
today's format; do that before the format changes, and never change one that is there.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tarfile
import tempfile

from mounted_store import MountedStore, MountTest, main
from rich_trees import differences, inventory

HERE = pathlib.Path(__file__).parent
LEFT_OUT = ("reserve", "lock", "lock.mdb")


def fill(fs):
    """A bucket with a little of everything, and its history."""
    top = fs.mount("allow_other,dev,suid").bucket("golden")
    (top / "directory/below").mkdir(parents=True)
    (top / "text").write_text("first\n")
    for turn in range(3):
        (top / "text").write_text("version %d\n" % turn)
    (top / "large").write_bytes(bytes(n * n % 251 for n in range(60_000)))
    fs.run("cp", top / "large", top / "directory/shares its content")
    with open(top / "sparse", "wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"in the middle")
    os.link(top / "text", top / "directory/second name")
    os.symlink("../text", top / "directory/symbolic")
    os.mkfifo(top / "fifo")
    os.mknod(top / "device", 0o60660, os.makedev(7, 3))
    os.setxattr(top / "text", "user.note", b"kept \0 too")
    fs.run("setfacl", "-m", "u:54321:rw,g:4242:r", top / "large")
    fs.run("setfacl", "-d", "-m", "u:54321:rwx", top / "directory/below")
    os.chown(top / "large", 1234, 2345)
    os.chmod(top / "directory", 0o2750)
    (top / "deleted").write_text("gone, and still there")
    (top / "deleted").unlink()
    (top / "renamed").write_text("was called otherwise")
    os.rename(top / "renamed", top / "directory/below/new name")
    os.utime(top / "text", ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321))
    fs.pail("versioning", "suspend", "golden")
    (top / "null").write_text("without an id")


def shown(top):
    """What a bucket shows, with all its versions."""
    versions = {}
    for directory, below, names in os.walk(top / ".versions"):
        below[:] = [name for name in below if not re.match(r"@\d{4}-", name)]  # moments, each with all there was
        for name in names:
            path = pathlib.Path(directory) / name
            content = "" if name.endswith(".deleted") or not path.is_file() else path.read_bytes().hex()[:4000]
            versions[str(path.relative_to(top))] = [os.lstat(path).st_size, content]
    return json.loads(json.dumps({"tree": inventory(top), "versions": versions}, default=bytes.hex))


def make(name):
    fs = MountedStore()
    try:
        fill(fs)
        expected = shown(fs.mountpoint / "golden")
        fs.unmount()
        with tarfile.open(HERE / (name + ".tar.xz"), "w:xz") as archive:
            archive.add(fs.store, "store", filter=lambda entry: None if entry.name.split("/")[-1] in LEFT_OUT else entry)
            archive.add(fs.key, "key")
            listed = fs.directory / "expected.json"
            listed.write_text(json.dumps(expected, indent=1))
            archive.add(listed, "expected.json")
    finally:
        fs.close()


class OldStores(MountTest):
    def unpack(self, archive):
        with tarfile.open(archive) as packed:
            packed.extractall(self.where, filter="fully_trusted") if hasattr(
                tarfile, "fully_trusted_filter"
            ) else packed.extractall(self.where)
        self.fs.store, self.fs.key = self.where / "store", self.where / "key"
        return json.loads((self.where / "expected.json").read_text())

    def setUp(self):
        super().setUp()
        self.where = pathlib.Path(tempfile.mkdtemp(dir=self.fs.directory))

    def assert_shows(self, expected):
        found = shown(self.fs.mountpoint / "golden")
        self.assertEqual(list(differences(expected["tree"], found["tree"])), [])
        self.assertEqual(expected["versions"], found["versions"])

    def test_every_one_is_read_and_taken_further(self):
        archives = sorted(HERE.glob("*.tar.xz"))
        self.assertGreaterEqual(len(archives), 1)
        for archive in archives:
            with self.subTest(archive.name):
                expected = self.unpack(archive)
                self.fs.pail("check", "--deep", "--key-file", self.fs.key)
                self.fs.mount("allow_other,dev,suid")
                self.assert_shows(expected)
                bucket = self.fs.mountpoint / "golden"
                (bucket / "added").write_text("by a later build")
                self.fs.remount("allow_other,dev,suid")
                self.assertEqual((bucket / "added").read_text(), "by a later build")
                (bucket / "added").unlink()
                self.fs.unmount()
                self.fs.pail("check", "--deep", "--key-file", self.fs.key)
                shutil.rmtree(self.where / "store")

    def test_every_index_can_be_built_anew(self):
        for archive in sorted(HERE.glob("*.tar.xz")):
            with self.subTest(archive.name):
                expected = self.unpack(archive)
                for path in (self.fs.store / "index").iterdir():
                    path.unlink()
                self.fs.mount("allow_other,dev,suid")
                self.assert_shows(expected)
                self.fs.unmount()
                shutil.rmtree(self.where / "store")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2])
    else:
        main()
