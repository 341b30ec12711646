#!/usr/bin/env python3
"""Getting back what was lost: moments through ordinary programs, a program that encrypts everything, and the recipes of
pailfs-versions(7) as they are printed."""

import datetime
import errno
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import time

from mounted_store import NOBODY, PAIL, MountTest, main, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = 10_000 if os.environ.get("PAILFS_SOAK") else 1_000


def now():
    """A moment that nothing else happens at: stamps come from a clock that ticks every few milliseconds."""
    time.sleep(0.05)
    moment = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
    time.sleep(0.05)
    return moment


def facts(top: pathlib.Path):
    """What can be seen of every name below a directory."""
    found = {}
    inodes = {}
    for directory, subdirectories, files in os.walk(top):
        for name in ["."] + subdirectories + files:
            path = pathlib.Path(directory, name)
            status = os.lstat(path)
            size = None if path.is_dir() and not path.is_symlink() else status.st_size
            fact = [status.st_mode, status.st_uid, status.st_gid, size, status.st_mtime_ns, status.st_nlink]
            if path.is_symlink():
                fact.append(os.readlink(path))
            elif path.is_file():
                fact.append(path.read_bytes())
                fact.append(inodes.setdefault(status.st_ino, len(inodes)) if status.st_nlink > 1 else None)
            if not path.is_symlink():
                fact.append({name: os.getxattr(path, name) for name in sorted(os.listxattr(path))})
            found[str(path.relative_to(top))] = fact
    return found


def as_nobody(*command):
    return subprocess.run(
        ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )


# What malware does that runs as the files' owner: reads, overwrites, renames, deletes, and goes for the versions.
ENCRYPTOR = """
import os, sys
top = sys.argv[1]
for directory, _, files in os.walk(top):
    for number, name in enumerate(sorted(files)):
        path = os.path.join(directory, name)
        content = open(path, "rb").read()
        locked = bytes(byte ^ 0x5A for byte in content)
        if number % 2:
            with open(path, "r+b") as file:
                file.write(locked)
            os.rename(path, path + ".locked")
        else:
            with open(path + ".locked", "wb") as file:
                file.write(locked)
            os.unlink(path)
removed = 0
for directory, _, _ in os.walk(top):
    versions = os.path.join(directory, ".versions")
    for name in os.listdir(versions):
        if name.startswith("@"):
            continue
        for version in os.listdir(os.path.join(versions, name)):
            try:
                os.unlink(os.path.join(versions, name, version))
                removed += 1
            except OSError:
                pass
sys.exit(3 if removed else 0)
"""


class Recovery(MountTest):
    def make_tree(self, bucket):
        album = bucket / "album"
        (album / "deep/er").mkdir(parents=True)
        (album / "a.jpg").write_bytes(os.urandom(200_000))
        (album / "b.jpg").write_bytes(b"small")
        os.link(album / "a.jpg", album / "deep/link")
        os.symlink("../a.jpg", album / "deep/symlink")
        os.mkfifo(album / "pipe", 0o640)
        os.setxattr(album / "b.jpg", "user.note", b"first")
        os.chmod(album / "deep", 0o2750)
        os.chown(album / "b.jpg", 1234, 4321)
        os.utime(album / "a.jpg", ns=(10**18, 10**18 + 7))
        return album

    def change_tree(self, album):
        (album / "a.jpg").write_bytes(b"overwritten")
        os.setxattr(album / "b.jpg", "user.note", b"second")
        os.chmod(album / "deep", 0o700)
        os.rename(album / "deep", album / "moved")
        (album / "pipe").unlink()
        (album / "new").write_text("new")
        os.rename(album / "new", album / "b.jpg")

    def test_a_moment_is_what_was_then(self):
        bucket = self.fs.mount().bucket()
        album = self.make_tree(bucket)
        before, moment = facts(bucket), now()
        self.change_tree(album)
        shown = bucket / ".versions" / ("@" + moment)
        self.assertEqual(facts(shown), before)
        # By any directory's own .versions, and by one that is called otherwise now.
        self.assertEqual(facts(album / ".versions" / ("@" + moment)), facts(shown / "album"))
        self.assertEqual(facts(album / "moved/.versions" / ("@" + moment)), facts(shown / "album/deep"))
        self.fs.remount()
        self.assertEqual(facts(shown), before)
        with self.assertRaises(OSError):
            (shown / "album/new").write_text("x")
        self.assert_sound_store()

    def test_programs_restore_from_a_moment(self):
        bucket = self.fs.mount().bucket()
        album = self.make_tree(bucket)
        before, moment = facts(album), now()
        self.fs.run("rm", "-rf", album)
        self.assertEqual(os.listdir(bucket), [])
        shown = bucket / ".versions" / ("@" + moment)
        self.fs.run("cp", "-a", shown / "album", bucket)
        back = facts(album)
        for name in before:
            self.assertEqual(back[name], before[name], name)
        self.fs.run("rsync", "-aHAX", "%s/" % shown, self.fs.directory / "copy")
        # On every file system it leaves directories the times of the links that it made in them, and what is no file the
        # time of its making where that was in the same second.
        copied = facts(self.fs.directory / "copy/album")
        for tree in (copied, before):
            for fact in tree.values():
                if not stat.S_ISREG(fact[0]):
                    fact[4] = None
        self.assertEqual(sorted(copied), sorted(before))
        for name, fact in before.items():
            self.assertEqual(copied[name], fact, name)

    def test_one_command_brings_back_what_an_encryptor_took(self):
        self.fs.mount("allow_other")
        bucket = self.fs.bucket()
        os.chown(bucket, NOBODY, NOBODY)
        for number in range(FILES):
            directory = bucket / ("d%d" % (number % 50))
            if number < 50:
                directory.mkdir()
            (directory / ("f%d" % number)).write_bytes(b"%d " % number * (number % 400))
        self.fs.run("chown", "-R", "%d:%d" % (NOBODY, NOBODY), bucket)
        before, moment = facts(bucket), now()
        script = self.fs.directory / "encryptor.py"
        script.write_text(ENCRYPTOR)
        attack = as_nobody("/usr/bin/python3", script, bucket)
        self.assertEqual(attack.returncode, 0, "versions were removed, or: " + attack.stderr)
        self.assertNotEqual(set(facts(bucket)), set(before))
        log_before = self.fs.status()["store"]["log_bytes"]
        # Run by the user whose files they are.
        result = as_nobody(PAIL, "rewind", "%s/" % bucket, "--to", moment, "--yes", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["denied"], 0)
        # Once is enough: content is what it shows, not which version shows it.
        result = as_nobody(PAIL, "rewind", "%s/" % bucket, "--to", moment, "--yes", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        again = json.loads(result.stdout)
        self.assertEqual([again[what] for what in ("added", "removed", "content", "denied")], [0, 0, 0, 0])
        back = facts(bucket)
        self.assertEqual(set(back), set(before))
        for name, fact in before.items():
            self.assertEqual(back[name], fact, name)
        # No data moved: less was written than the files hold.
        held = sum(len(fact[6]) for fact in before.values() if isinstance(fact[6], bytes))
        self.assertLess(self.fs.status()["store"]["log_bytes"] - log_before, held // 2 + 16 * 2**20)
        # And a listing of .versions offers the moment before it.
        self.assertTrue([name for name in os.listdir(bucket / ".versions") if name.startswith("@")])
        self.assert_sound_store()

    def test_what_one_may_not_see_is_not_seen_at_any_moment(self):
        self.fs.mount("allow_other")
        bucket = self.fs.bucket()
        (bucket / "d").mkdir()
        (bucket / "d/f").write_text("secret")
        (bucket / "g").write_text("was secret")
        os.chmod(bucket / "g", 0o600)
        open_then = now()
        shown = bucket / ".versions" / ("@" + open_then)
        self.assertEqual(as_nobody("cat", shown / "d/f").stdout, "secret")
        self.assertNotEqual(as_nobody("cat", shown / "g").returncode, 0)
        os.chmod(bucket / "d", 0o700)
        os.chmod(bucket / "g", 0o644)
        self.assertNotEqual(as_nobody("cat", shown / "d/f").returncode, 0)
        self.assertNotEqual(as_nobody("ls", shown / "d").returncode, 0)
        self.assertNotEqual(as_nobody("cat", shown / "g").returncode, 0, "it was closed then")
        diff = as_nobody(PAIL, "versions", "diff", "%s/" % bucket, "--from", open_then)
        self.assertNotIn("d/f", diff.stdout)

    def test_a_diff_has_both_moments(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("one")
        then = now()
        (bucket / "file").write_text("two")
        words = (PAIL, "versions", "diff", "%s/" % bucket, "--from", then, "--json")
        told = json.loads(self.fs.run(*words, "--to", then).stdout)
        self.assertEqual((told["from"] == told["to"], told["content"]), (True, 0))
        told = json.loads(self.fs.run(*words).stdout)
        self.assertLess(told["from"], told["to"])
        self.assertEqual(told["content"], 1)
        rewound = self.fs.run(PAIL, "rewind", "%s/" % bucket, "--to", then, "--dry-run", "--json")
        self.assertNotIn("from", json.loads(rewound.stdout))

    def test_versions_go_one_by_one_and_not_by_rm_r(self):
        bucket = self.fs.mount().bucket()
        for text in ("one", "two", "three"):
            (bucket / "file").write_text(text)
        versions = sorted((bucket / ".versions/file").iterdir())
        for target in (bucket / ".versions", bucket / ".versions/file"):
            result = self.fs.run("rm", "-rf", target, check=False)
            self.assertNotEqual(result.returncode, 0)
        self.assertEqual(sorted((bucket / ".versions/file").iterdir()), versions)
        self.fs.run("rm", versions[0])
        self.assertEqual(sorted((bucket / ".versions/file").iterdir()), versions[1:])
        self.assertIn("refused", self.fs.messages())

    def test_a_file_that_is_called_versions_is_refused_and_loses_nothing(self):
        bucket = self.fs.mount().bucket()
        source = self.fs.directory / "source"
        (source / ".versions").mkdir(parents=True)
        (source / ".versions/f").write_text("mine")
        (source / "other").write_text("other")
        result = self.fs.run("rsync", "-a", "%s/" % source, bucket, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(".versions", result.stderr)
        self.assertEqual((bucket / "other").read_text(), "other")
        self.assertEqual((source / ".versions/f").read_text(), "mine")

    def test_a_job_has_one_moment_and_the_next_job_another(self):
        bucket = self.fs.mount().bucket()
        file = bucket / "file"
        file.write_text("one")
        time.sleep(2.5)
        job = subprocess.Popen(
            ["sh", "-c", 'while read -r line; do cat "$0"; echo; done', bucket / ".versions/@2s ago/file"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with job:

            def look():
                job.stdin.write("look\n")
                job.stdin.flush()
                return job.stdout.readline().strip()

            self.assertEqual(look(), "one")
            file.write_text("two")
            time.sleep(2.5)
            self.assertEqual(look(), "one")
            other = subprocess.run(
                ["cat", bucket / ".versions/@2s ago/file"],
                capture_output=True,
                text=True,
                check=True,
                start_new_session=True,
            )
            self.assertEqual(other.stdout, "two")
            self.assertEqual(look(), "one")
            job.stdin.close()
            self.assertEqual(job.wait(), 0)

    def test_what_was_replaced_while_suspended_is_of_no_moment(self):
        bucket = self.fs.mount().bucket()
        for name in ("file", "kept"):
            (bucket / name).write_text("enabled")
        enabled = now()
        self.fs.pail("versioning", "suspend", "bucket")
        for name in ("file", "new"):
            (bucket / name).write_text("null")
        replaced = now()
        for name in ("file", "new"):
            (bucket / name).write_text("null again")
        (bucket / "kept").unlink()
        suspended = now()
        self.fs.pail("versioning", "enable", "bucket")
        (bucket / "file").write_text("enabled again")

        def content(moment):
            top = bucket / (".versions/@%s" % moment)
            return {name: (top / name).read_text() for name in os.listdir(top)}

        self.assertEqual(content(enabled), {"file": "enabled", "kept": "enabled"})
        self.assertEqual(content(replaced), {"kept": "enabled"})
        self.assertEqual(content(suspended), {"file": "null again", "new": "null again"})
        said = json.loads(self.fs.pail("rewind", "bucket", "--to", replaced, "--yes", "--json").stdout)
        self.assertEqual((said["unknown"], said["added"]), (2, 1))
        self.assertEqual((bucket / "file").read_text(), "enabled again")
        self.assertEqual((bucket / "kept").read_text(), "enabled")
        self.assert_sound_store()

    def test_bad_times_and_versions_are_told(self):
        bucket = self.fs.mount().bucket()
        (bucket / "file").write_text("x")
        for target, words in (
            (["rewind", "%s/" % bucket, "--to", "2199-01-01"], "in the future"),
            (["rewind", "%s/" % bucket, "--to", "2001-01-01"], "begins at"),
            (["rewind", "%s/" % bucket, "--to", "soon"], "soon"),
            (["versions", "restore", bucket / "file", "--version", "nonsense"], "no version nonsense"),
            (["versions", "undelete", bucket / "file"], "nothing to undelete"),
            (["versions", "undelete", bucket / "never"], "never"),
        ):
            result = self.fs.run(PAIL, *target, "--yes" if target[0] == "rewind" else "--json", check=False)
            self.assertNotEqual(result.returncode, 0, target)
            self.assertIn(words, result.stderr)
        for name, wanted in (("@2199-01-01", errno.EINVAL), ("@2001-01-01", errno.ENOENT), ("@soon", errno.EINVAL)):
            with self.assertRaises(OSError) as caught:
                os.stat(bucket / ".versions" / name)
            self.assertEqual(caught.exception.errno, wanted, name)

    def test_a_keep_rule_lets_versions_go(self):
        bucket = self.fs.mount().bucket()
        for number in range(6):
            (bucket / "file").write_text("%d" % number)
        self.fs.run(PAIL, "versioning", "bucket", "keep", "--count", "2", "--store", self.fs.mountpoint)
        shown = json.loads(self.fs.pail("bucket", "show", "bucket", "--json").stdout)
        self.assertEqual(shown["keep"], {"count": 2})

        refused = self.fs.pail("versioning", "keep", "bucket", "--days", "0", check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("InvalidArgument: --days", refused.stderr)

        def gone():
            return len(os.listdir(bucket / ".versions/file")) == 3

        wait_until(gone, "the keep rule was applied")
        texts = sorted((bucket / ".versions/file" / name).read_text() for name in os.listdir(bucket / ".versions/file"))
        self.assertEqual(texts, ["3", "4", "5"])

    # --- pailfs-versions(7)

    def recipe(self, title, moment):
        """The commands of a recipe, as printed; only where the store is, and when it happened, is put in."""
        page = (ROOT / "man/pailfs-versions.7").read_text()
        section = re.search(r"^\.Ss %s\n(.*?)^\.(Ss|Sh) " % re.escape(title), page, re.M | re.S)
        self.assertIsNotNone(section, title)
        block = re.search(r"^\.Bd [^\n]*\n(.*?)^\.Ed", section.group(1), re.M | re.S)
        commands = block.group(1).replace("\\-", "-").strip().splitlines()
        self.assertTrue(commands)
        output = ""
        for command in commands:
            for printed, real in (
                ("/mnt/pail", str(self.fs.mountpoint)),
                ("/tmp/photos-as-they-were", str(self.fs.directory / "as-they-were")),
                ("2h ago", moment),
                ("5m ago", moment),
            ):
                command = command.replace(printed, real)
            result = subprocess.run(
                ["bash", "-c", command],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PATH": "%s:%s" % (pathlib.Path(PAIL).parent, os.environ["PATH"])},
            )
            self.assertEqual(result.returncode, 0, "%s\n%s%s" % (command, result.stdout, result.stderr))
            output += result.stdout
        return output

    def test_the_recipes_work_as_they_are_printed(self):
        bucket = self.fs.mount().bucket("photos")
        album = self.make_tree(bucket)
        before, moment = facts(bucket), now()
        self.assertIn("album", self.recipe("Look at how it was", moment))

        content = (album / "a.jpg").read_bytes()
        (album / "a.jpg").write_bytes(b"oh no")
        self.recipe("A file was overwritten", moment)
        self.assertEqual((album / "a.jpg").read_bytes(), content)

        (album / "b.jpg").unlink()
        self.recipe("A file was deleted", moment)
        self.assertEqual((album / "b.jpg").read_bytes(), b"small")

        shutil.rmtree(album)
        self.recipe("A directory was deleted with all that was in it", moment)
        self.assertEqual(sorted(facts(bucket)), sorted(before))

        self.change_tree(album)
        changed, later = facts(bucket), now()
        self.assertIn("album/b.jpg", self.recipe("Everything was encrypted, renamed or deleted by malware", moment))
        back = facts(bucket)
        for name, fact in before.items():
            self.assertEqual(back[name], fact, name)

        self.recipe("A recovery was a mistake", later)
        self.assertEqual(facts(bucket), changed)

        (self.fs.directory / "as-they-were").mkdir()
        self.recipe("Copy what was to somewhere else", moment)
        self.assertEqual(facts(self.fs.directory / "as-they-were"), before)
        self.assertIn("photos", self.recipe("See what old versions take, and let some go", moment))
        self.assert_sound_store()


if __name__ == "__main__":
    main()
