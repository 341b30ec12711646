#!/usr/bin/env python3
"""Old versions through ls and cp."""

import os
import time

from mounted_store import MountTest, main


class Versions(MountTest):
    def versions(self, bucket, path):
        return sorted(os.listdir(bucket / ".versions" / path), reverse=True)

    def test_every_close_after_a_write_makes_a_version(self):
        bucket = self.fs.mount().bucket()
        for text in ("one", "two", "three"):
            (bucket / "file").write_text(text)
        names = self.versions(bucket, "file")
        self.assertEqual(len(names), 3)
        texts = [(bucket / ".versions/file" / name).read_text() for name in names]
        self.assertEqual(texts, ["three", "two", "one"])

    def test_a_deleted_file_comes_back_by_cp(self):
        bucket = self.fs.mount().bucket()
        (bucket / "dir").mkdir()
        content = os.urandom(300_000)
        (bucket / "dir/file").write_bytes(content)
        (bucket / "dir/file").unlink()
        self.fs.remount()
        names = self.versions(bucket, "dir/file")
        self.assertEqual(len(names), 2)
        self.assertTrue(names[0].endswith(".deleted"))
        marker = os.stat(bucket / ".versions/dir/file" / names[0])
        self.assertEqual((marker.st_size, marker.st_mode & 0o7777), (0, 0))
        self.fs.run("cp", "-p", bucket / ".versions/dir/file" / names[1], bucket / "dir/file")
        self.assertEqual((bucket / "dir/file").read_bytes(), content)

    def test_the_view_is_never_listed_and_is_read_only(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("x")
        self.assertEqual(os.listdir(bucket), ["file"])
        self.assertNotIn(".versions", self.fs.run("ls", "-a", bucket).stdout)
        name = self.versions(bucket, "file")[0]
        for attempt in (
            lambda: (bucket / ".versions/file" / name).write_text("y"),
            lambda: (bucket / ".versions/new").write_text("y"),
            lambda: (bucket / ".versions/new").mkdir(),
            lambda: os.chmod(bucket / ".versions/file" / name, 0o600),
            lambda: os.rename(bucket / "file", bucket / ".versions/file2"),
        ):
            with self.assertRaises(OSError):
                attempt()
        self.assertEqual((bucket / "file").read_text(), "x")

    def test_a_rename_leaves_the_history_under_the_old_name(self):
        bucket = self.fs.mount().bucket()
        (bucket / "old").write_text("first")
        os.rename(bucket / "old", bucket / "new")
        (bucket / "new").write_text("second")
        old = [name for name in self.versions(bucket, "old") if not name.endswith(".deleted")]
        self.assertEqual([(bucket / ".versions/old" / name).read_text() for name in old], ["first"])

    def test_large_versions_differ_where_they_were_changed(self):
        bucket = self.fs.mount().bucket()
        first = bytearray(os.urandom(3_000_000))
        (bucket / "big").write_bytes(first)
        with open(bucket / "big", "r+b") as file:
            file.seek(1_234_567)
            file.write(b"changed")
        second = bytes(first[:1_234_567]) + b"changed" + bytes(first[1_234_574:])
        self.fs.remount()
        names = self.versions(bucket, "big")
        self.assertEqual((bucket / ".versions/big" / names[0]).read_bytes(), second)
        self.assertEqual((bucket / ".versions/big" / names[1]).read_bytes(), bytes(first))

    def test_a_listing_made_before_a_change_does_not_hide_the_change(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("1")
        self.assertEqual(len(self.versions(bucket, "file")), 1)
        time.sleep(0.01)
        (bucket / "file").write_text("22")
        names = self.versions(bucket, "file")
        self.assertEqual(len(names), 2)
        self.assertEqual(os.stat(bucket / ".versions/file" / names[0]).st_size, 2)

    def test_buckets_made_and_removed_by_pail_show_at_once(self):
        self.fs.mount()
        self.assertFalse((self.fs.mountpoint / "made").exists())
        self.fs.pail("bucket", "create", "made")
        (self.fs.mountpoint / "made/file").write_text("x")
        self.assertIn("made", os.listdir(self.fs.mountpoint))


if __name__ == "__main__":
    main()
