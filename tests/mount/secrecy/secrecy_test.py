#!/usr/bin/env python3
"""What a stolen disk shows: no name and no content. Nor does the daemon's memory end in a core dump."""

import os
import pathlib

from mounted_store import MountTest, main

TREES = ("/usr/include/linux", "/usr/share/doc/base-files", "/etc/default")


def runs_of_16(content: bytes):
    """16-byte runs with at least 8 different byte values, one in each 512 bytes."""
    for start in range(0, len(content) - 16, 512):
        for at in range(start, min(start + 64, len(content) - 16)):
            run = content[at : at + 16]
            if len(set(run)) >= 8:
                yield run
                break


class Secrecy(MountTest):
    def test_no_name_and_no_content_is_on_the_disk(self):
        bucket = self.fs.mount().bucket("secrecy-bucket")
        needles = {b"secrecy-bucket"}
        for tree in filter(os.path.isdir, TREES):
            self.fs.run("cp", "-a", tree, bucket)
            for directory, _, names in os.walk(tree):
                needles.update(name.encode() for name in names if len(name) >= 8)
                for name in names:
                    path = pathlib.Path(directory, name)
                    if path.is_file() and not path.is_symlink():
                        needles.update(runs_of_16(path.read_bytes()))
        secret = "a-user-attribute-that-is-secret"
        marked = bucket / "file-with-attributes"
        marked.write_text("some text that nobody should find on the disk\n")
        os.setxattr(marked, "user.secret-attribute", secret.encode())
        os.symlink("target-of-a-symbolic-link", bucket / "a-symbolic-link")
        marked.rename(bucket / "file-with-a-new-name")
        needles.update(
            word.encode()
            for word in (secret, "user.secret-attribute", "file-with-attributes", "file-with-a-new-name", "nobody should find",
                         "target-of-a-symbolic-link", "a-symbolic-link")
        )
        self.assertGreater(len(needles), 1000)
        before = self.seen(needles)
        self.fs.unmount()
        self.assertEqual((before, self.seen(needles)), ([], []))
        # The search itself can find: the superblock is plain text.
        self.assertEqual(self.seen({b'"pailfs": "store"'}), [b'"pailfs": "store"'])

    def seen(self, needles):
        """Needles by their first 8 bytes at every position of every file of the store."""
        heads = {}
        for needle in needles:
            heads.setdefault(needle[:8], []).append(needle)
        found = []
        for path in self.fs.store.rglob("*"):
            if not path.is_file():
                continue
            content = path.read_bytes()
            for at in range(len(content) - 7):
                for needle in heads.get(content[at : at + 8], ()):
                    if content.startswith(needle, at):
                        found.append(needle)
        return found

    def test_the_daemon_leaves_no_core(self):
        self.fs.mount()
        limits = pathlib.Path("/proc/%d/limits" % self.fs.daemon.pid).read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"])


if __name__ == "__main__":
    main()
