#!/usr/bin/env python3
"""Fails when a sentence of the list in the section PROMISES of pailfs-semantics(7) is shown by no test.

tests/lint/promises.txt has the sentences as they are printed, each followed by the tests that show it. All sentences must
be in it, nothing else, and every test that it names must exist: in ctest's list, and in the sources.
"""

import argparse
import pathlib
import re
import sys

from test_list import LIST, read_list
from test_names import cases_of

PAGE, TABLE = "man/pailfs-semantics.7", "tests/lint/promises.txt"
_REFERENCE = re.compile(r"^\.Xr (\S+) (\d)(?: (\S+))?$", re.MULTILINE)


class PageError(Exception):
    pass


def sentences(page: str):
    """Those of the list in the section PROMISES, in plain text."""
    section = re.search(r"^\.Sh PROMISES\n(.*?)^\.Sh ", page, re.MULTILINE | re.DOTALL)
    listed = section and re.search(r"^\.Bl .*?\n(.*?)^\.El$", section[1], re.MULTILINE | re.DOTALL)
    if not listed:
        raise PageError("%s has no section PROMISES with a list" % PAGE)
    found = []
    for item in re.split(r"^\.It\n", listed[1], flags=re.MULTILINE)[1:]:
        text = _REFERENCE.sub(lambda m: "%s(%s)%s" % (m[1], m[2], m[3] or ""), item)
        if re.search(r"^\.", text, re.MULTILINE):
            raise PageError("%s: only .Xr is understood in this list: %s" % (PAGE, text.strip()))
        found += re.split(r"(?<=\.) (?=[A-Z])", " ".join(text.split()))
    return found


def table(text: str):
    """sentence -> [(test, case)]"""
    found = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("  "):
            test, _, case = line.strip().partition(" ")
            found[sentence].append((test, case))
        else:
            sentence = line.strip()
            found[sentence] = []
    return found


def problems(root: pathlib.Path, tests):
    promised = sentences((root / PAGE).read_text(encoding="utf-8"))
    shown = table((root / TABLE).read_text(encoding="utf-8"))
    for sentence in promised:
        if not shown.get(sentence):
            yield "%s promises, and no test of %s shows: %s" % (PAGE, TABLE, sentence)
    for sentence, cases in shown.items():
        if sentence not in promised:
            yield "%s has what %s does not promise: %s" % (TABLE, PAGE, sentence)
        for test, case in cases:
            if test not in tests:
                yield "%s: there is no test %s" % (TABLE, test)
            elif case not in cases_of(root, test):
                yield "%s: %s has no case %s" % (TABLE, test, case)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    try:
        found = list(problems(arguments.root.resolve(), read_list(LIST)))
    except PageError as error:
        found = [str(error)]
    print("\n".join(found) if found else "every promise is shown by tests")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
