#!/usr/bin/env python3
"""Fails when a patch of tests/planted no longer applies to the tree, names no test, or names one that does not exist.

So that every bug that the tests must catch can be planted at any time: tests/planted/run does that.
"""

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys

from test_list import LIST, read_list
from test_names import cases_of

# No guessing where a change belongs: what moved too far has to be looked at.
PATCH = ("patch", "-p1", "--fuzz=0", "--silent", "--no-backup-if-mismatch", "--reject-file=-")
FEWEST = 15  # of them, lest they get lost


@dataclasses.dataclass
class Bug:
    name: str
    file: pathlib.Path
    text: str  # what is wrong
    caught_by: "list[tuple[str, str]]"  # test of ctest's list, and which of its cases
    changes: "list[str]"  # files, from the tree's root


def read_bug(file: pathlib.Path) -> Bug:
    text, _, _ = file.read_text(encoding="utf-8").partition("\n--- ")
    words = [line for line in text.splitlines() if line and not line.startswith("Caught-by:")]
    return Bug(
        name=file.stem,
        file=file,
        text=" ".join(words),
        caught_by=[(m[1], m[2]) for m in re.finditer(r"^Caught-by: (\S+) (\S.*)$", text, re.MULTILINE)],
        changes=re.findall(r"^\+\+\+ b/(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE),
    )


def read_bugs(directory: pathlib.Path):
    return [read_bug(file) for file in sorted(directory.glob("*.patch"))]


def problems(root: pathlib.Path, tests):
    for bug in read_bugs(root / "tests/planted"):
        name = bug.file.relative_to(root)
        if not bug.text:
            yield "%s does not say what is wrong with it" % name
        if not bug.caught_by:
            yield "%s has no line 'Caught-by: TEST FILTER'" % name
        for test, chosen in bug.caught_by:
            if test not in tests:
                yield "%s: there is no test %s" % (name, test)
            for case in chosen.split():
                if case not in cases_of(root, test):
                    yield "%s: %s has no case %s" % (name, test, case)
        for changed in bug.changes:
            if not changed.startswith("src/"):
                yield "%s changes %s: bugs belong into src" % (name, changed)
        tried = subprocess.run(
            [*PATCH, "--dry-run", "-d", str(root), "-i", str(bug.file)], capture_output=True, text=True, check=False
        )
        if tried.returncode != 0 or not bug.changes:
            said = (tried.stdout + tried.stderr).strip() or "it changes nothing"
            yield "%s does not apply any more: %s" % (name, said.replace("\n", "; "))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    found = list(problems(root, read_list(LIST)))
    bugs = len(read_bugs(root / "tests/planted"))
    if bugs < FEWEST:
        found.append("tests/planted has %d bugs, of %d at least" % (bugs, FEWEST))
    print("\n".join(found) if found else "all %d bugs can be planted" % bugs)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
