#!/usr/bin/env python3
"""make, dd, and how editors and sed save a file: by order of times, offsets and flags, and renames."""

import os
import random
import stat
import subprocess
import threading

from mounted_store import MountTest, main, wait_until

MODULES = 16
MAKEFILE = """
SOURCE := ../source
OBJECTS := $(patsubst %,objects/part%.o,$(shell seq MODULES))
vpath %.c $(SOURCE)
vpath %.h $(SOURCE)
program: main.o libparts.a
	gcc -o $@ $^
libparts.a: $(OBJECTS)
	rm -f $@ && ar rc $@ $^
objects/%.o: %.c shared.h | objects
	gcc -O0 -MMD -I$(SOURCE) -c -o $@ $<
main.o: main.c
	gcc -O0 -I$(SOURCE) -c -o $@ $<
objects:
	mkdir $@
objects/part1.o: special.h
"""


class ToolTest(MountTest):
    options = "allow_other"

    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount(self.options).bucket()

    def remount(self):
        self.fs.remount(self.options)


class Make(ToolTest):
    def setUp(self):
        super().setUp()
        self.source, self.build = self.bucket / "source", self.bucket / "build"
        self.source.mkdir()
        self.build.mkdir()
        for number in range(1, MODULES + 1):
            text = '#include "shared.h"\nint part%d(void) { return SHARED * %d; }\n' % (number, number)
            (self.source / ("part%d.c" % number)).write_text(text)
        (self.source / "shared.h").write_text("#define SHARED 10\n")
        (self.source / "special.h").write_text("\n")
        calls = ["part%d()" % number for number in range(1, MODULES + 1)]
        declarations = "".join("int %s;\n" % call.replace("()", "(void)") for call in calls)
        main_text = '#include <stdio.h>\n%sint main(void) { printf("%%d\\n", %s); }\n' % (declarations, " + ".join(calls))
        (self.source / "main.c").write_text(main_text)
        (self.build / "Makefile").write_text(MAKEFILE.replace("MODULES", str(MODULES)))

    def make(self):
        """The objects that were compiled."""
        answer = self.fs.run("make", "-j4", "-C", self.build)
        # A clock that goes back, or a file from the future, is make's warning.
        self.assertEqual(answer.stderr, "")
        lines = [line.split() for line in answer.stdout.splitlines()]
        return sorted(line[-2] for line in lines if line[:1] == ["gcc"] and "-c" in line)

    def assert_up_to_date(self):
        self.assertEqual(self.fs.run("make", "-q", "-C", self.build, check=False).returncode, 0)

    def test_an_out_of_tree_build_makes_what_is_older_than_its_sources(self):
        parts = sorted("objects/part%d.o" % number for number in range(1, MODULES + 1))
        self.assertEqual(self.make(), sorted(parts + ["main.o"]))
        total = 10 * sum(range(MODULES + 1))
        self.assertEqual(self.fs.run(self.build / "program").stdout, "%d\n" % total)
        for _ in range(2):
            self.assert_up_to_date()
            self.remount()
        self.assert_up_to_date()
        (self.source / "special.h").touch()
        self.assertEqual(self.make(), ["objects/part1.o"])
        self.assert_up_to_date()
        (self.source / "shared.h").write_text("#define SHARED 20\n")
        self.remount()
        self.assertEqual(self.make(), parts)
        self.assertEqual(self.fs.run(self.build / "program").stdout, "%d\n" % (2 * total))
        (self.build / "objects/part3.o").unlink()
        self.assertEqual(self.make(), ["objects/part3.o"])
        self.assert_up_to_date()
        self.assert_sound_store()


class Dd(ToolTest):
    """Everything that dd writes is done to a bytearray as well."""

    BLOCK = 4096

    def setUp(self):
        super().setUp()
        self.input = self.fs.directory / "input"
        self.source = random.Random(7).randbytes(64 * self.BLOCK)
        self.input.write_bytes(self.source)

    def dd(self, *words, check=True, **keywords):
        return self.fs.run("dd", "status=none", *words, check=check, **keywords)

    def test_where_and_how_blocks_are_written(self):
        output, content = self.bucket / "output", bytearray()

        def write(options, skip, seek, count, truncates=True):
            words = ["if=%s" % self.input, "of=%s" % output, "bs=%d" % self.BLOCK]
            self.dd(*words, "skip=%d" % skip, "seek=%d" % seek, "count=%d" % count, *options)
            start, end = seek * self.BLOCK, (seek + count) * self.BLOCK
            if truncates:
                del content[start:]
            content.extend(bytes(max(0, end - len(content))))
            content[start:end] = self.source[skip * self.BLOCK : (skip + count) * self.BLOCK]
            self.assertEqual(output.read_bytes(), bytes(content), options)

        write([], 0, 0, 32)
        write(["conv=notrunc"], 40, 3, 5, truncates=False)
        write(["conv=notrunc", "oflag=direct"], 10, 6, 9, truncates=False)
        write(["conv=notrunc,fsync"], 1, 40, 2, truncates=False)
        self.remount()
        self.assertEqual(output.read_bytes(), bytes(content))
        write(["conv=notrunc,fdatasync", "oflag=sync"], 20, 30, 20, truncates=False)
        write(["conv=notrunc", "oflag=dsync,direct"], 5, 0, 7, truncates=False)
        write(["iflag=direct", "oflag=direct"], 0, 16, 8)
        write(["oflag=nofollow,noatime"], 9, 20, 1)
        write(["conv=nocreat"], 2, 100, 1)
        self.remount()
        self.assertEqual(output.read_bytes(), bytes(content))
        self.dd("if=%s" % output, "of=%s" % (self.bucket / "read"), "bs=%d" % self.BLOCK, "iflag=direct,fullblock")
        self.assertEqual((self.bucket / "read").read_bytes(), bytes(content))
        self.assert_sound_store()

    def test_flags_that_are_about_the_file(self):
        output = self.bucket / "output"
        answer = self.dd("if=%s" % self.input, "of=%s" % output, "conv=nocreat", check=False)
        self.assertIn("No such file", answer.stderr)
        self.dd("if=%s" % self.input, "of=%s" % output, "conv=excl", "bs=1000", "count=3")
        answer = self.dd("if=%s" % self.input, "of=%s" % output, "conv=excl", check=False)
        self.assertIn("File exists", answer.stderr)
        os.symlink("output", self.bucket / "link")
        answer = self.dd("if=%s" % self.input, "of=%s" % (self.bucket / "link"), "oflag=nofollow", check=False)
        self.assertNotEqual(answer.returncode, 0)
        self.dd("if=%s" % self.input, "of=%s" % output, "oflag=append", "conv=notrunc", "bs=777", "skip=2", "count=5")
        self.assertEqual(output.read_bytes(), self.source[:3000] + self.source[2 * 777 : 7 * 777])
        # Offsets in bytes, which are on no block's border.
        self.dd("if=%s" % self.input, "of=%s" % output, "conv=notrunc", "bs=4096", "iflag=skip_bytes,count_bytes",
                "oflag=seek_bytes", "skip=123", "count=5000", "seek=1357")
        expected = bytearray(self.source[:3000] + self.source[2 * 777 : 7 * 777])
        expected[1357:6357] = self.source[123:5123]
        self.assertEqual(output.read_bytes(), bytes(expected[: max(6357, 3000 + 5 * 777)]))
        self.assert_sound_store()

    def test_sparse_output_keeps_holes(self):
        holes = self.fs.directory / "holes"
        size = 64 << 20
        with open(holes, "wb") as file:
            file.write(self.source)
            file.seek(size // 2)
            file.write(self.source)
            file.truncate(size)
        output = self.bucket / "output"
        self.dd("if=%s" % holes, "of=%s" % output, "bs=64K", "conv=sparse,fsync")
        self.remount()
        self.fs.run("cmp", holes, output)
        self.assertLess(os.stat(output).st_blocks * 512, 4 * len(self.source))
        # conv=sparse over what is there already leaves it as it is where the input has zeros.
        self.dd("if=/dev/zero", "of=%s" % output, "bs=64K", "count=1", "conv=sparse,notrunc")
        self.fs.run("cmp", holes, output)
        self.dd("if=/dev/zero", "of=%s" % output, "bs=64K", "count=1", "conv=notrunc")
        with open(output, "rb") as file:
            self.assertEqual(file.read(65537), bytes(65536) + self.source[65536:65537])
        self.assert_sound_store()


class Editors(ToolTest):
    """However it is saved: name, content, mode, owner and ACL are as they should be, and nothing is left over."""

    def setUp(self):
        super().setUp()
        self.file = self.bucket / "file"
        self.other = self.bucket / "other name"
        self.file.write_text("one old line\n" * 1000)
        self.file.chmod(0o664)
        os.chown(self.file, 54321, 4242)
        self.fs.run("setfacl", "-m", "u:54322:r", self.file)
        os.link(self.file, self.other)

    def acl(self):
        return self.fs.run("getfacl", "-cnpE", self.file).stdout

    def assert_lines(self, path, line):
        lines = path.read_text().splitlines(keepends=True)
        self.assertEqual((len(lines), set(lines)), (1000, {line}), path)

    def assert_saved(self, save, replaces, keeps_acl=True):
        """`replaces`: whether there is a new file under the old name, so that the other name has the old one."""
        before, acl = os.stat(self.file), self.acl()
        save()
        for _ in range(2):
            self.assert_lines(self.file, "one new line\n")
            self.assert_lines(self.other, "one old line\n" if replaces else "one new line\n")
            after = os.stat(self.file)
            self.assertEqual(after.st_ino != before.st_ino, replaces)
            self.assertEqual(after.st_nlink, 1 if replaces else 2)
            self.assertEqual((after.st_uid, after.st_gid), (before.st_uid, before.st_gid))
            self.assertEqual(stat.S_IMODE(after.st_mode), stat.S_IMODE(before.st_mode))
            self.assertGreaterEqual(after.st_mtime_ns, before.st_mtime_ns)
            if keeps_acl:
                self.assertEqual(self.acl(), acl)
            self.assertEqual(sorted(os.listdir(self.bucket)), ["file", "other name"])
            self.remount()
        self.assert_sound_store()

    def vim(self, backupcopy):
        settings = "set nomodeline backupcopy=%s writebackup nobackup backupskip= fsync directory=." % backupcopy
        words = ("-e", "-s", "-u", "NONE", "-i", "NONE", "-c", settings, "-c", "%s/old/new/", "-c", "wq", self.file)
        self.fs.run("vim.tiny", *words, cwd=self.bucket, stdin=subprocess.DEVNULL)

    def test_vim_saves_by_renaming_the_old_file(self):
        self.assert_saved(lambda: self.vim("no"), replaces=True)

    def test_vim_saves_into_the_same_file(self):
        self.assert_saved(lambda: self.vim("yes"), replaces=False)

    def test_sed_in_place(self):
        self.assert_saved(lambda: self.fs.run("sed", "-i", "s/old/new/", self.file), replaces=True)

    def test_perl_in_place(self):
        # Perl gives the new file owner and mode, and knows no ACLs.
        self.fs.run("setfacl", "-b", self.file)
        self.assert_saved(lambda: self.fs.run("perl", "-pi", "-e", "s/old/new/", self.file), replaces=True)

    def test_the_old_file_becomes_a_backup_and_a_new_one_takes_its_place(self):
        """As Emacs does it: rename to file~, write a new file, fsync; the backup goes with the next save."""

        def save():
            acl = os.getxattr(self.file, "system.posix_acl_access")
            before = os.stat(self.file)
            backup = self.bucket / "file~"
            os.rename(self.file, backup)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, b"one new line\n" * 1000)
            os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            os.setxattr(descriptor, "system.posix_acl_access", acl)
            os.fsync(descriptor)
            os.close(descriptor)
            self.assert_lines(backup, "one old line\n")
            backup.unlink()

        self.assert_saved(save, replaces=True)

    def test_readers_see_the_old_content_or_the_new_one(self):
        """A temporary file, fsync and rename, again and again, while others read by name."""
        wanted = {(b"%04d\n" % number) * 2000 for number in range(60)}
        self.file.write_bytes((b"%04d\n" % 0) * 2000)
        ended, read, wrong = threading.Event(), [0, 0], []

        def look(reader):
            while not ended.is_set():
                try:
                    content = self.file.read_bytes()
                except OSError as error:
                    wrong.append(error)
                    return
                if content not in wanted:
                    wrong.append(content[:20])
                read[reader] += 1

        readers = [threading.Thread(target=look, args=(reader,)) for reader in range(2)]
        for reader in readers:
            reader.start()
        try:
            for number in range(60):
                temporary = self.bucket / (".file.%d" % number)
                with open(temporary, "wb") as file:
                    file.write((b"%04d\n" % number) * 2000)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, self.file)
            wait_until(lambda: wrong or min(read) > 0, "both readers have read")
        finally:
            ended.set()
            for reader in readers:
                reader.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.file.read_bytes(), (b"%04d\n" % 59) * 2000)
        # And each save is a version, as an open(O_TRUNC) in place would have made one.
        versions = [name for name in os.listdir(self.bucket / ".versions/file") if not name.endswith(".deleted")]
        self.assertGreaterEqual(len(versions), 60)
        self.assert_sound_store()


if __name__ == "__main__":
    main()
