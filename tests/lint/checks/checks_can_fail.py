#!/usr/bin/env python3
"""Shows that each check of this directory fails on a tree that breaks its rule, and passes on one that does not."""

import contextlib
import io
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import architecture
import planted_bugs
import promises
import run_tool
import source_rules
import test_list
from source_text import code_only

README = """
<!-- arrows -->

| module | may include | for |
|---|---|---|
| base | - | x |
| io | base | x |
| index | io, base | x |

<!-- libraries -->

| what | headers | only in | why |
|---|---|---|---|
| LMDB | lmdb.h | index | x |
| fmt | fmt/* | any | x |
| errno | cerrno, errno.h | base/error.cc, io | x |
"""


class TreeTest(unittest.TestCase):
    """Each test lays out a tree of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)
        self.write("src/README.md", README)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def arrows(self, name, text):
        self.write(name, text)
        return architecture.violations(self.root)


class ArchitectureTest(TreeTest):
    def test_passes_on_arrows_that_point_down(self):
        text = '#include <fmt/format.h>\n#include <string>\n#include "io/env.h"\n#include "index/own.h"\n'
        self.assertEqual(self.arrows("src/index/a.cc", text), [])

    def test_fails_on_an_arrow_that_points_up(self):
        self.assertEqual(
            self.arrows("src/base/a.h", '\n#include "io/env.h"\n'),
            ['src/base/a.h:2: base may not include io ("io/env.h")'],
        )

    def test_fails_on_a_library_outside_its_module(self):
        for include in ("#include <lmdb.h>", '#  include "lmdb.h"'):
            self.assertEqual(self.arrows("src/io/a.cc", include), ["src/io/a.cc:1: <lmdb.h>: LMDB is only for index"])

    def test_fails_on_errno_and_its_values_outside_their_places(self):
        text = "#include <cerrno>\n// EIO in a comment\nint f() { return EIO; }\n"
        self.assertEqual(len(self.arrows("src/index/a.cc", text)), 2)
        self.write("src/index/a.cc", "")
        self.assertEqual(self.arrows("src/io/a.cc", text), [])
        self.assertEqual(self.arrows("src/base/error.cc", text), [])

    def test_fails_on_an_include_that_names_no_module(self):
        for header in ("env.h", "../io/env.h", "elsewhere/env.h"):
            self.assertEqual(len(self.arrows("src/index/a.cc", '#include "%s"\n' % header)), 1, header)

    def test_ignores_includes_in_comments(self):
        text = '// #include "io/env.h"\n/*\n#include "io/env.h"\n*/\n'
        self.assertEqual(self.arrows("src/base/a.h", text), [])

    def test_fails_on_a_link_list_that_points_up(self):
        text = "pailfs_module(io DEPS base index LIBS fmt::fmt)\n"
        self.assertEqual(
            self.arrows("src/io/CMakeLists.txt", text), ["src/io/CMakeLists.txt:1: io may not link index"]
        )

    def test_fails_on_a_module_without_a_row(self):
        self.assertEqual(len(self.arrows("src/drawer/a.cc", "")), 1)

    def test_fails_on_tables_that_say_nothing(self):
        for readme in ("", README.replace("arrows -->", "-->"), README.replace("| io | base | x |", "| io | x |")):
            self.write("src/README.md", readme)
            with self.assertRaises(architecture.TableError):
                architecture.violations(self.root)

    def test_fails_on_a_cycle_in_the_table(self):
        self.write("src/README.md", README.replace("| base | - | x |", "| base | index | x |"))
        with self.assertRaises(architecture.TableError):
            architecture.violations(self.root)


class SourceRulesTest(TreeTest):
    def rules(self):
        return source_rules.violations(self.root)

    def test_fails_on_a_long_file_without_a_reason(self):
        self.write("src/io/long.cc", "\n" * (source_rules.LONGEST + 1))
        self.assertEqual(len(self.rules()), 1)
        self.write("tests/lint/long-files.txt", "# why\nsrc/io/long.cc: one table\n")
        self.assertEqual(self.rules(), [])
        self.write("tests/lint/long-files.txt", "src/io/long.cc:\n")
        self.assertEqual(len(self.rules()), 1)

    def test_fails_on_a_reason_that_outlived_its_file(self):
        self.write("src/io/short.cc", "\n")
        self.write("tests/lint/long-files.txt", "src/io/short.cc: a\nsrc/io/gone.cc: b\n")
        self.assertEqual(len(self.rules()), 2)

    def test_fails_on_a_vague_name(self):
        self.write("src/io/file_utils.cc", "")
        self.assertEqual(len(self.rules()), 1)

    def test_fails_on_what_tools_leave_behind(self):
        for name in ("src/io/a.cc.orig", "man/a.1.rej"):
            self.write(name, "")
        self.assertEqual(len(self.rules()), 2)

    def test_fails_on_unfinished_work(self):
        self.write("src/io/a.cc", "// TO" + "DO: later\n")
        self.assertEqual(len(self.rules()), 1)

    def test_fails_on_a_path_of_somebodys_machine(self):
        for text in ("/ho" + "me/jo/x", str(self.root.resolve()) + "/src"):
            self.write("a.md", "see %s\n" % text)
            self.assertEqual(len(self.rules()), 1, text)
        self.write("a.md", "see src/home/jo.h and /usr/share\n")
        self.assertEqual(self.rules(), [])


class ToolsTest(TreeTest):
    def test_fails_on_a_file_that_is_not_formatted(self):
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("src/io/a.cc", "int  f( ){return 1;}\n")
        program, arguments = run_tool.commands("clang-format", self.root)
        try:
            result = subprocess.run([program, *arguments], cwd=self.root, capture_output=True, check=False)
        except FileNotFoundError:
            self.skipTest("%s is not installed" % program)
        self.assertNotEqual(result.returncode, 0)

    def test_fails_on_a_page_that_man_warns_of(self):
        if shutil.which("man") is None:
            self.skipTest("man is not installed")
        self.write("man/x.1", ".TH X 1\n.SH NAME\nx \\- y\n")
        self.assertEqual(run_tool.page_warnings(self.root), [])
        self.write("man/x.1", ".TH X 1\n.SH NAME\n.NOSUCHMACRO\n")
        self.assertNotEqual(run_tool.page_warnings(self.root), [])

    def test_finds_every_shell_script(self):
        self.write("packaging/run", "#!/bin/bash\n")
        self.write("packaging/mount.x", "#!/bin/sh\n")
        self.write("packaging/page", "text\n")
        found = [path.name for path in run_tool.shell_scripts(self.root)]
        self.assertEqual(found, ["mount.x", "run"])


class TestListTest(TreeTest):
    def test_fails_on_a_test_that_vanished_or_is_unknown(self):
        self.assertEqual(len(list(test_list.difference({"a", "b"}, {"b", "c"}))), 2)
        self.assertEqual(list(test_list.difference({"a"}, {"a"})), [])

    def test_fails_on_a_program_without_tests(self):
        program = self.root / "empty"
        program.write_text("#!/bin/sh\n# gtest_list_tests\necho Suite.\n")
        program.chmod(0o755)
        self.assertTrue(test_list.holds_no_test([str(program)]))
        program.write_text("#!/bin/sh\n# gtest_list_tests\necho Suite.\necho '  Name'\n")
        self.assertFalse(test_list.holds_no_test([str(program)]))

    def test_reads_the_checked_in_list(self):
        self.assertIn("lint_checks_can_fail", test_list.read_list(test_list.LIST))


CASES = {
    "tests/unit/io/a_test.cc": "TEST_F(Env, Reads) {}\n",
    "tests/mount/crash/crash_test.py": "class Crash(MountTest):\n    def test_kill(self):\n",
}
TESTS = {"unit_io", "mount_crash"}


class PlantedBugsTest(TreeTest):
    PATCH = "It is wrong.\nCaught-by: unit_io Env.Reads\n\n--- a/src/io/a.cc\n+++ b/src/io/a.cc\n@@ -1,2 +1,1 @@\n kept\n-dropped\n"

    def problems(self, patch):
        for name, text in {**CASES, "src/io/a.cc": "more\nkept\ndropped\n", "tests/planted/bug.patch": patch}.items():
            self.write(name, text)
        return list(planted_bugs.problems(self.root, TESTS))

    def test_passes_where_a_patch_applies_and_its_test_exists(self):
        self.assertEqual(self.problems(self.PATCH), [])
        self.assertEqual((self.root / "src/io/a.cc").read_text(), "more\nkept\ndropped\n")

    def test_fails_on_a_patch_that_applies_no_more(self):
        self.assertEqual(len(self.problems(self.PATCH.replace("-dropped", "-gone"))), 1)
        self.assertEqual(len(self.problems(self.PATCH.partition("--- a")[0])), 1)

    def test_fails_on_a_patch_whose_test_is_missing(self):
        for wrong in ("unit_ip Env.Reads", "unit_io Env.Writes", "mount_crash Crash.Reads"):
            self.assertNotEqual(self.problems(self.PATCH.replace("unit_io Env.Reads", wrong)), [], wrong)
        self.assertEqual(len(self.problems(self.PATCH.replace("Caught-by: unit_io Env.Reads\n", ""))), 1)
        self.assertEqual(self.problems(self.PATCH.replace("unit_io Env.Reads", "mount_crash Crash.test_kill")), [])

    def test_fails_on_a_patch_that_changes_a_test(self):
        self.assertEqual(len(self.problems(self.PATCH.replace("src/io/a.cc", "tests/unit/io/a_test.cc"))), 2)


class PromisesTest(TreeTest):
    PAGE = ".Sh PROMISES\nTested:\n.Bl -bullet\n.It\nWhat\n.Xr fsync 2 ,\nkept is there.\nAnd more.\n.It\nIt opens.\n.El\n.Sh NEXT\n"
    TABLE = "# x\nWhat fsync(2), kept is there.\n  unit_io Env.Reads\n\nAnd more.\n  unit_io Env.Reads\nIt opens.\n  mount_crash Crash.test_kill\n"

    def problems(self, page=PAGE, table=TABLE):
        for name, text in {**CASES, promises.PAGE: page, promises.TABLE: table}.items():
            self.write(name, text)
        return list(promises.problems(self.root, TESTS))

    def test_passes_where_every_sentence_is_shown(self):
        self.assertEqual(self.problems(), [])

    def test_fails_on_a_sentence_that_no_test_shows(self):
        self.assertEqual(len(self.problems(page=self.PAGE.replace("It opens.\n", "It opens.\nAlways.\n"))), 1)
        self.assertEqual(len(self.problems(page=self.PAGE.replace("It opens.", "It always opens."))), 2)
        self.assertEqual(len(self.problems(table=self.TABLE.replace("  mount_crash Crash.test_kill\n", ""))), 1)

    def test_fails_on_a_test_that_does_not_exist(self):
        for wrong in ("mount_crash Crash.test_gone", "mount_cash Crash.test_kill"):
            self.assertEqual(len(self.problems(table=self.TABLE.replace("mount_crash Crash.test_kill", wrong))), 1, wrong)

    def test_fails_on_a_page_without_the_list(self):
        with self.assertRaises(promises.PageError):
            self.problems(page=".Sh PROMISES\nNone.\n.Sh NEXT\n")


class CodeOnlyTest(unittest.TestCase):
    def test_blanks_comments_and_literals_and_keeps_lines(self):
        text = "a /* b\nc */ d \"e // f\" g 'h' i // j\nk R\"(l\n\")\" m 1'000'000 n\n"
        code = code_only(text)
        self.assertEqual(code.split(), ["a", "d", "g", "i", "k", "m", "1'000'000", "n"])
        self.assertEqual(code.count("\n"), text.count("\n"))


class MainTest(TreeTest):
    def test_exit_status_says_whether_something_was_found(self):
        for module in (architecture, source_rules):
            for text, status in (("", 0), ("/ho" + 'me/jo/x\n#include "index/x.h"\n', 1)):
                self.write("src/io/a.cc", text)
                with contextlib.redirect_stdout(io.StringIO()), unittest.mock.patch.object(
                    sys, "argv", ["check", "--root", str(self.root)]
                ):
                    self.assertEqual(module.main(), status, module.__name__)


if __name__ == "__main__":
    unittest.main()
