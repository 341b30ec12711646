#!/usr/bin/env python3
"""Runs one of the programs that check sources over the tree: clang-format, shellcheck, man. (For clang-tidy: tidy.py.)

Exit status 77 (ctest: skipped) where the program is not installed; packaging/setup --tests installs all of them.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from source_text import cxx_files, project_files

SKIPPED = 77


def shell_scripts(root: pathlib.Path):
    for path in project_files(root):
        with path.open("rb") as file:
            first = file.readline(64)
        if first.startswith((b"#!/bin/bash", b"#!/bin/sh")):
            yield path


def commands(tool: str, root: pathlib.Path):
    """(program, its arguments) for each call of `tool`."""
    if tool == "clang-format":
        return "clang-format-19", ["--dry-run", "-Werror", *map(str, cxx_files(root, "src", "include", "tests"))]
    return "shellcheck", list(map(str, shell_scripts(root)))


def page_warnings(root: pathlib.Path):
    """What man says of the pages. It exits with 0 whatever it warns of."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    found = []
    for page in sorted((root / "man").glob("*.[1-8]")):
        result = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        found.extend(result.stderr.splitlines())
        if result.returncode != 0:
            found.append("%s: man exits with %d" % (page, result.returncode))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=["clang-format", "shellcheck", "man"])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.tool == "man":
        if shutil.which("man") is None:
            print("man is not installed: nothing was checked")
            return SKIPPED
        found = page_warnings(arguments.root)
        print("\n".join(found) if found else "man warns of nothing")
        return 1 if found else 0
    program, rest = commands(arguments.tool, arguments.root)
    if shutil.which(program) is None:
        print("%s is not installed: nothing was checked" % program)
        return SKIPPED
    return subprocess.run([program, *rest], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
