#!/usr/bin/env python3
"""Small rules about files: their length and names in src, leftovers, and paths of somebody's own machine."""

import argparse
import pathlib
import re
import sys

from source_text import CXX_SUFFIXES, cxx_files, project_files

LONGEST = 500  # lines; past it, a file has its reason in tests/lint/long-files.txt
_VAGUE_NAME = re.compile(r"(^|_)(util|utils|misc|manager|helper|helpers)(_|$)")
# Put together from pieces, so that this file does not match itself.
_LEFTOVER = re.compile(r"\b(%s)\b" % "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]))
# Nobody's: what examples and fixtures call a user.
_HOME = re.compile(r"(?<![\w.}/*])/(?:home|Users|root|work|workspace)/(?!(?:me|user|alice|bob)\b)[A-Za-z0-9_.-]")
_LEFT_BY_TOOLS = {".orig", ".rej", ".bak", ".swp"}
_TEXT_SUFFIXES = CXX_SUFFIXES | {"", ".md", ".txt", ".py", ".sh", ".cmake", ".json", ".in", ".service"}


def allowed_long_files(root: pathlib.Path):
    """path -> reason, out of tests/lint/long-files.txt: one `path: reason` a line, # for comments."""
    listing = root / "tests/lint/long-files.txt"
    allowed = {}
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                path, _, reason = line.partition(":")
                allowed[path.strip()] = reason.strip()
    return allowed


def length_violations(root: pathlib.Path):
    allowed = allowed_long_files(root)
    for path in cxx_files(root, "src"):
        name = path.relative_to(root).as_posix()
        lines = path.read_text().count("\n")
        reason = allowed.pop(name, None)
        if lines > LONGEST and reason is None:
            yield "%s: %d lines, more than %d: which second thing does it do?" % (name, lines, LONGEST)
        elif reason == "":
            yield "tests/lint/long-files.txt: %s has no reason" % name
        elif lines <= LONGEST and reason is not None:
            yield "tests/lint/long-files.txt: %s is short enough now" % name
    for name in allowed:
        yield "tests/lint/long-files.txt: there is no %s" % name


def name_violations(root: pathlib.Path):
    for path in cxx_files(root, "src"):
        if _VAGUE_NAME.search(path.stem):
            yield "%s: name the file after its family of operations" % path.relative_to(root).as_posix()


def text_violations(root: pathlib.Path):
    own_path = str(root.resolve()) + "/"
    for path in project_files(root):
        if path.suffix in _LEFT_BY_TOOLS:
            yield "%s: left behind by a tool" % path.relative_to(root).as_posix()
        if path.suffix not in _TEXT_SUFFIXES and not re.fullmatch(r"\.[1-8]", path.suffix):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(text.splitlines(), 1):
            if _LEFTOVER.search(line):
                yield "%s:%d: unfinished work is an issue, not a comment" % (name, number)
            if own_path in line or _HOME.search(line):
                yield "%s:%d: a path of somebody's own machine" % (name, number)


def violations(root: pathlib.Path):
    return [*length_violations(root), *name_violations(root), *text_violations(root)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    found = violations(parser.parse_args().root)
    print("\n".join(found) if found else "no file breaks the rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
