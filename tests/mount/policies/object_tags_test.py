#!/usr/bin/env python3
"""Tags of objects on a mount: attributes user.s3.tag.KEY, and policies that go by them, of objects and of requests."""

import errno
import os
import shutil
import time

from file_calls import read, write
from mounted_store import main
from other_users import as_user, each_as_user
from policy_bucket import ALLOWED, DENIED, USERS, PolicyTest


def tag(path, key, value):
    os.setxattr(path, "user.s3.tag." + key, value.encode())


def untag(path, key):
    os.removexattr(path, "user.s3.tag." + key)


def tags(path):
    names = [name for name in os.listxattr(path) if name.startswith("user.s3.tag.")]
    return {name.removeprefix("user.s3.tag."): os.getxattr(path, name).decode() for name in names}


def has(key, value, operator="StringEquals"):
    return {operator: {"s3:ExistingObjectTag/" + key: value}}


class Attributes(PolicyTest):
    def test_tags_are_listed_and_stay_with_copies_versions_and_moments(self):
        file = self.fill(self.bucket / "file", "one")
        tag(file, "project", "alpha")
        tag(file, "Größe", "")
        file.write_text("two")
        tag(file, "project", "beta")
        self.assertEqual(tags(file), {"project": "beta", "Größe": ""})
        self.fs.run("cp", "-a", file, self.bucket / "copy")
        self.assertEqual(tags(self.bucket / "copy"), tags(file))
        versions = self.bucket / ".versions/file"
        old, new = sorted(os.listdir(versions))
        self.assertEqual(tags(versions / new)["project"], "beta")
        # A version has what it had when the next one began.
        self.assertEqual(tags(versions / old), {"project": "alpha", "Größe": ""})
        then = self.bucket / ".versions" / ("@" + new.split("-")[0]) / "file"
        self.assertEqual(tags(then), {"project": "alpha", "Größe": ""})
        self.fs.run("cp", "-a", then, self.bucket / "copy-of-then")
        self.assertEqual(tags(self.bucket / "copy-of-then"), tags(then))
        untag(file, "project")
        self.assertEqual(tags(file), {"Größe": ""})
        self.pail("versions", "restore", file, "--version", old)
        self.assertEqual(tags(file)["project"], "alpha")
        self.fs.remount("allow_other")
        self.assertEqual(tags(file)["project"], "alpha")

    def test_what_is_no_tag_is_refused(self):
        file = self.fill(self.bucket / "file")

        def refused(path, key, value, because):
            with self.assertRaises(OSError) as caught:
                tag(path, key, value)
            self.assertEqual(caught.exception.errno, because, key)

        refused(file, "aws:key", "x", errno.EINVAL)
        refused(file, "AWS:key", "x", errno.EINVAL)
        refused(file, "what?", "x", errno.EINVAL)
        refused(file, "key", "new\nline", errno.EINVAL)
        refused(file, "k" * 129, "x", errno.EINVAL)
        refused(file, "key", "v" * 257, errno.EINVAL)
        for number in range(10):
            tag(file, "key-%d" % number, "v" * 256)
        refused(file, "one more", "x", errno.EINVAL)
        tag(file, "key-3", "changed")
        refused(file, "KEY-3", "x", errno.EINVAL)  # condition keys ignore case
        self.assertEqual(len(tags(file)), 10)
        # Who may not set any is told that.
        self.assert_user(lambda: tag(file, "what?", "x"), DENIED)
        self.assert_user(lambda: tag(file, "one more", "x"), DENIED)
        self.assertIn("InvalidTag: what?=x is no tag", self.fs.messages())
        # A bucket's own tags are another thing in S3, and there are none.
        refused(self.bucket, "key", "x", errno.EPERM)
        (self.bucket / "link").symlink_to("file")
        with self.assertRaises(OSError) as caught:
            os.setxattr(self.bucket / "link", "user.s3.tag.key", b"x", follow_symlinks=False)
        self.assertEqual(caught.exception.errno, errno.EPERM)

    def test_each_call_is_an_action_of_its_own(self):
        file = self.fill(self.bucket / "file", mode=0o666)
        tag(file, "key", "value")
        calls = {
            "GetObjectTagging": lambda: os.getxattr(file, "user.s3.tag.key"),
            "PutObjectTagging": lambda: tag(file, "other", "value"),
            "DeleteObjectTagging": lambda: untag(file, "other"),
        }
        self.assertEqual(each_as_user(calls), dict.fromkeys(calls, ALLOWED))
        for denied in calls:
            tag(file, "other", "value")
            self.put(self.deny(denied, "file", who="nobody"))
            answers = each_as_user(calls)
            self.assertEqual({name for name, answer in answers.items() if answer != ALLOWED}, {denied})
        file.chmod(0o600)
        self.put(self.allow("*Tagging", "*", who="nobody"))
        tag(file, "other", "value")
        self.assertEqual(each_as_user(calls), dict.fromkeys(calls, ALLOWED))
        self.assert_user(lambda: read(file), DENIED)
        version = self.bucket / ".versions/file" / os.listdir(self.bucket / ".versions/file")[0]
        shown = {"version": lambda: os.getxattr(version, "user.s3.tag.key")}
        self.put(self.allow("ListBucketVersions", ""), self.allow("GetObjectVersionTagging", "*", who="nobody"))
        self.assertEqual(each_as_user(shown), {"version": ALLOWED})
        self.put(self.allow("ListBucketVersions", ""), self.allow("GetObjectTagging GetObjectVersion", "*", who="nobody"))
        self.assertEqual(each_as_user(shown), {"version": DENIED})


class Existing(PolicyTest):
    """s3:ExistingObjectTag."""

    def test_what_is_denied_by_a_tag_is_from_the_next_call_on(self):
        file = self.fill(self.bucket / "file", mode=0o666)
        self.bucket.chmod(0o777)
        self.put(self.deny("GetObject PutObject DeleteObject", "*", who="nobody", condition=has("class", "secret")))
        calls = {
            "read": lambda: read(file),
            "write": lambda: write(file),
            "rename": lambda: os.rename(file, self.bucket / "moved"),
            "unlink": lambda: os.unlink(file),
            "replace": lambda: os.rename(self.bucket / "mine", file),
        }
        mine = self.bucket / "mine"
        mine.write_text("mine")
        os.chown(mine, USERS["nobody"], USERS["nobody"])
        for _ in range(3):
            tag(file, "class", "secret")
            self.assertEqual(each_as_user(calls), dict.fromkeys(calls, DENIED))
            tag(file, "class", "open")
            self.assert_user(lambda: (read(file), write(file)), ALLOWED)
        self.assert_user(lambda: os.unlink(file), ALLOWED)

    def test_what_is_allowed_by_a_tag_is_found_by_its_name(self):
        directory = self.bucket / "directory"
        directory.mkdir(0o700)
        shown, hidden = self.fill(directory / "shown"), self.fill(directory / "hidden")
        tag(shown, "for", "nobody")
        tag(hidden, "for", "daemon")
        self.put(
            self.deny("ListBucket", "", who="nobody", condition={"StringLike": {"s3:prefix": "directory/*"}}),
            self.allow("GetObject", "*", condition=has("for", "${aws:username}")),
        )
        calls = {"shown": lambda: read(shown), "hidden": lambda: read(hidden), "nothing": lambda: read(directory / "no")}
        self.assertEqual(each_as_user(calls), {"shown": ALLOWED, "hidden": errno.ENOENT, "nothing": errno.ENOENT})
        tag(hidden, "for", "nobody")
        self.assertEqual(each_as_user(calls)["hidden"], ALLOWED)

    def test_a_variable_in_a_resource_goes_by_the_objects_tag(self):
        file = self.fill(self.bucket / "anna-file")
        self.put(self.allow("GetObject", "${s3:ExistingObjectTag/owner}-file", who="nobody"))
        self.assert_user(lambda: read(file), DENIED)
        tag(file, "owner", "anna")
        self.assert_user(lambda: read(file), ALLOWED)
        tag(file, "owner", "bert")
        self.assert_user(lambda: read(file), DENIED)

    def test_versions_and_moments_go_by_the_tags_that_they_had(self):
        self.bucket.chmod(0o755)
        file = self.fill(self.bucket / "file", "first", mode=0o644)
        tag(file, "class", "secret")
        file.write_text("second")
        places = self.bucket / ".versions/file"
        old, new = sorted(os.listdir(places))
        then = self.bucket / ".versions" / ("@" + new.split("-")[0]) / "file"
        self.assertEqual(then.read_text(), "second")
        tag(file, "class", "open")
        self.put(
            self.allow("ListBucketVersions", "", who="nobody"),
            self.deny("GetObjectVersion", "*", who="nobody", condition=has("class", "secret")),
        )
        calls = {
            "old": lambda: read(places / old),
            "new": lambda: read(places / new),
            "then": lambda: read(then),
            "now": lambda: read(file),
        }
        expected = {"old": DENIED, "new": ALLOWED, "then": DENIED, "now": ALLOWED}
        self.assertEqual(each_as_user(calls), expected)

    def test_a_directory_whose_files_are_told_apart_is_not_renamed_at_once(self):
        directory = self.bucket / "directory"
        directory.mkdir()
        self.bucket.chmod(0o777)
        os.chown(directory, USERS["nobody"], USERS["nobody"])
        self.put(self.deny("DeleteObject", "*", who="nobody", condition=has("keep", "yes")))
        self.assert_user(lambda: os.rename(directory, self.bucket / "moved"), errno.EXDEV)
        self.put(self.deny("DeleteObject", "elsewhere/*", who="nobody", condition=has("keep", "yes")))
        self.assert_user(lambda: os.rename(directory, self.bucket / "moved"), ALLOWED)


class Doors(PolicyTest):
    """No other call gets past what a tag denies, or to what it does not allow."""

    def setUp(self):
        super().setUp()
        self.bucket.chmod(0o777)
        self.directory = self.bucket / "mine"
        self.directory.mkdir()
        self.directory.chmod(0o777)

    def assert_pail(self, status, *words):
        user = {"user": USERS["nobody"], "group": USERS["nobody"], "extra_groups": []}
        result = self.pail(*words, check=False, **user)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)

    def test_going_back_reads_nothing_that_is_closed_since(self):
        for change in (lambda path: path.write_text("root's"), os.unlink, lambda path: os.rename(path, str(path) + "-moved")):
            with self.subTest(change):
                file = self.directory / "file"
                self.assert_user(lambda: file.write_text("content"), ALLOWED)
                before = sorted(os.listdir(self.bucket / ".versions/mine/file"))[-1].split("-")[0]
                self.put(
                    self.allow("ListBucketVersions", ""),
                    self.deny("GetObject* PutObjectTagging DeleteObjectTagging", "*", who="nobody", condition=has("class", "secret")),
                )
                tag(file, "class", "secret")
                self.assert_user(lambda: read(file), DENIED)
                change(file)
                self.assert_pail(3, "rewind", file, "--to", before, "--yes")
                self.put()
                shutil.rmtree(self.directory)
                self.directory.mkdir()
                self.directory.chmod(0o777)

    def test_a_rename_gives_no_right_to_tags(self):
        file = self.fill(self.bucket / "file", mode=0o644)
        self.put(self.allow("PutObjectTagging DeleteObjectTagging", "mine/*", who="nobody"))
        self.assert_user(lambda: tag(file, "a", "b"), DENIED)
        self.assert_user(lambda: os.rename(file, self.directory / "file"), errno.EXDEV)
        asked = {"StringEquals": {"s3:RequestObjectTag/a": "b"}}
        self.put(self.allow("PutObjectTagging", "mine/*", who="nobody", condition=asked))
        self.assert_user(lambda: os.rename(file, self.directory / "file"), errno.EXDEV)
        self.put(self.deny("GetObjectVersionTagging", "file", who="nobody"))
        self.assert_user(lambda: os.rename(file, self.directory / "file"), errno.EXDEV)
        self.put()
        self.assert_user(lambda: os.rename(file, self.directory / "file"), ALLOWED)

    def test_no_tag_gets_where_it_may_not_be_set(self):
        file = self.fill(self.bucket / "file", mode=0o666)
        tag(file, "approved", "yes")
        self.put(self.deny("PutObjectTagging", "mine/*", who="nobody"))
        self.assert_user(lambda: os.rename(file, self.directory / "file"), errno.EXDEV)
        self.assert_user(lambda: os.link(file, self.directory / "file"), DENIED)
        top = self.bucket / "top"
        top.mkdir()
        os.chown(top, USERS["nobody"], USERS["nobody"])
        self.assert_user(lambda: os.rename(top, self.directory / "top"), errno.EXDEV)
        # Who may set it nowhere gains nothing.
        self.put(self.deny("PutObjectTagging", "*", who="nobody"))
        self.assert_user(lambda: os.rename(file, self.directory / "file"), ALLOWED)
        self.assert_user(lambda: os.rename(top, self.directory / "top"), ALLOWED)

    def test_a_directorys_own_denial_does_not_end_by_a_new_name(self):
        top = self.bucket / "top"
        top.mkdir()
        os.chown(top, USERS["nobody"], USERS["nobody"])
        tag(top, "class", "secret")
        asked = {"StringEquals": {"s3:RequestObjectTag/class": "open"}}
        for denied in (
            self.deny("DeleteObjectTagging", "top", who="nobody", condition=has("class", "secret")),
            self.deny("PutObjectTagging", "top", who="nobody", condition=asked),
            self.deny("PutObjectTagging", "${s3:ExistingObjectTag/class}", who="nobody", condition=asked),
        ):
            self.put(denied)
            self.assert_user(lambda: os.rename(top, self.bucket / "secret"), errno.EXDEV)
        untag(top, "class")
        self.put(self.deny("DeleteObjectTagging", "top", who="nobody", condition=has("class", "secret")))
        self.assert_user(lambda: os.rename(top, self.bucket / "other"), ALLOWED)

    def test_what_removes_many_versions_spares_what_is_tagged(self):
        file = self.fill(self.directory / "file", "first")
        file.write_text("second")
        tag(file, "keep", "yes")
        os.link(file, self.directory / "other")
        for key in ("mine/file", "mine/other", "mine/*"):
            self.put(self.deny("DeleteObjectVersion", key, condition=has("keep", "yes")))
            for where in (file, self.directory):
                pruned = self.pail("versions", "prune", where, "--keep", "0", "--yes", check=False)
                self.assertEqual(pruned.returncode, 3, (key, where, pruned.stdout))

    def test_to_restore_over_an_object_goes_by_its_tags(self):
        file = self.directory / "file"
        self.assert_user(lambda: file.write_text("one"), ALLOWED)
        tag(file, "class", "open")
        self.assert_user(lambda: file.write_text("two"), ALLOWED)
        tag(file, "class", "locked")
        old = sorted(os.listdir(self.bucket / ".versions/mine/file"))[0]
        self.put(
            self.allow("ListBucketVersions", ""),
            self.deny("PutObjectTagging", "*", who="nobody", condition=has("class", "locked")),
        )
        self.assert_pail(3, "versions", "restore", file, "--version", old)
        tag(file, "class", "free")
        self.put(self.allow("ListBucketVersions", ""), self.deny("GetObjectVersionTagging", "*", who="nobody"))
        self.assert_pail(3, "versions", "restore", file, "--version", old)
        self.put(self.allow("ListBucketVersions", ""))
        self.assert_pail(0, "versions", "restore", file, "--version", old)

    def test_a_long_history_of_attributes_costs_no_lookup(self):
        file = self.fill(self.directory / "file", mode=0o644)
        self.put(self.deny("GetObject", "*", who="daemon", condition=has("class", "secret")))

        def looks():
            begun = time.monotonic()
            for _ in range(200):
                os.stat(file)
            return time.monotonic() - begun

        self.assert_user(lambda: os.stat(file), ALLOWED)
        before = min(looks() for _ in range(3))
        for number in range(2000):
            os.setxattr(file, "user.note", b"%d" % number * 1000)
        after = min(looks() for _ in range(3))
        self.assertLess(after, 5 * before, "of 200 lookups")


class Requested(PolicyTest):
    """s3:RequestObjectTag and s3:RequestObjectTagKeys: the tags that the object would have."""

    def test_only_some_values_and_keys_may_be_set(self):
        file = self.fill(self.bucket / "file", mode=0o666)
        self.put(
            self.deny(
                "PutObjectTagging",
                "*",
                who="nobody",
                condition={"StringNotEqualsIfExists": {"s3:RequestObjectTag/stage": ["draft", "review"]}},
            ),
            self.deny(
                "PutObjectTagging",
                "*",
                who="nobody",
                condition={"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": ["stage", "topic"]}},
            ),
        )
        calls = {
            "a value": lambda: tag(file, "stage", "draft"),
            "another": lambda: tag(file, "stage", "final"),
            "a key": lambda: tag(file, "topic", "x"),
            "another key": lambda: tag(file, "owner", "x"),
        }
        expected = {"a value": ALLOWED, "another": DENIED, "a key": ALLOWED, "another key": DENIED}
        self.assertEqual(each_as_user(calls), expected)
        # It is the whole set that counts, as PutObjectTagging sends it.
        tag(file, "stage", "final")
        self.assertEqual(as_user(calls["a key"]), DENIED)

    def test_no_other_door_sets_what_may_not_be_set(self):
        self.bucket.chmod(0o777)
        mine = self.bucket / "mine"
        self.assert_user(lambda: mine.write_text("one"), ALLOWED)
        tag(mine, "class", "open")
        self.assert_user(lambda: mine.write_text("two"), ALLOWED)
        untag(mine, "class")
        old = sorted(os.listdir(self.bucket / ".versions/mine"))[0]
        asked = {"StringEquals": {"s3:RequestObjectTag/class": "open"}}
        self.put(self.allow("ListBucketVersions", ""), self.deny("PutObjectTagging", "*", who="nobody", condition=asked))
        restore = ("versions", "restore", mine, "--version", old)
        user = {"user": USERS["nobody"], "group": USERS["nobody"], "extra_groups": []}
        result = self.pail(*restore, check=False, **user)
        self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
        self.assertEqual(mine.read_text(), "two")
        # By another name, which the policy does not speak of.
        self.put(
            self.allow("ListBucketVersions", ""), self.deny("PutObjectTagging", "mine", who="nobody", condition=asked)
        )
        self.assertNotEqual(as_user(lambda: os.rename(mine, self.bucket / "other")), ALLOWED)
        self.assertNotEqual(as_user(lambda: os.link(mine, self.bucket / "other")), ALLOWED)
        self.put()
        self.pail(*restore, **user)
        self.assertEqual(tags(mine), {"class": "open"})


if __name__ == "__main__":
    main()
