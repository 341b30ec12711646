#!/usr/bin/env python3
"""Fails on any arrow between modules, and any use of a library, that the tables of src/README.md don't allow.

Checked are the includes of src/<module>/*, the DEPS of src/<module>/CMakeLists.txt, and uses of errno and its values.
"""

import argparse
import errno
import fnmatch
import pathlib
import re
import sys

from source_text import code_only, cxx_files

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
_DEPS = re.compile(r"\bDEPS\b((?:\s+(?!LIBS\b)[a-z0-9_]+)*)")
_ERRNO = re.compile(r"\b(errno|%s)\b" % "|".join(sorted(errno.errorcode.values())))


class TableError(Exception):
    """The tables cannot be read, so nothing can be said about the tree."""


def table_after(text: str, marker: str, columns: int):
    """The rows of the markdown table that follows `<!-- marker -->`, without its header."""
    _, found, rest = text.partition("<!-- %s -->" % marker)
    if not found:
        raise TableError("src/README.md has no marker <!-- %s -->" % marker)
    rows = []
    for line in rest.lstrip().splitlines():
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != columns:
            raise TableError("src/README.md: this row has not %d cells: %s" % (columns, line))
        rows.append(cells)
    if len(rows) < 3:
        raise TableError("src/README.md: the table '%s' is empty" % marker)
    return rows[2:]


def words(cell: str):
    return [] if cell in ("-", "any") else [word.strip() for word in cell.split(",")]


class Rules:
    """The two tables: `arrows` maps a module to what it may include; `libraries` is (patterns, places, name)."""

    def __init__(self, readme: str):
        self.arrows = {row[0]: set(words(row[1])) for row in table_after(readme, "arrows", 3)}
        self.libraries = [
            (words(row[1]), words(row[2]), row[0]) for row in table_after(readme, "libraries", 4) if row[2] != "any"
        ]
        for module, below in self.arrows.items():
            unknown = below - self.arrows.keys()
            if unknown:
                raise TableError("src/README.md: %s may include unknown modules: %s" % (module, sorted(unknown)))
        self._refuse_cycles()

    def _refuse_cycles(self):
        left = dict(self.arrows)
        while left:
            free = [module for module, below in left.items() if not below & left.keys()]
            if not free:
                raise TableError("src/README.md: arrows form a cycle among %s" % sorted(left))
            for module in free:
                del left[module]

    def places_of_header(self, header: str):
        """(where it may be included, library) for a header that a row of the libraries table names."""
        for patterns, places, name in self.libraries:
            if any(fnmatch.fnmatchcase(header, pattern) for pattern in patterns):
                return places, name
        return None

    def places_of_errno(self):
        return next((places for _, places, name in self.libraries if name == "errno"), None)


def is_at(path: str, places) -> bool:
    """Whether `path` ("module/file.cc") is one of `places`: modules, or patterns of files."""
    return any(fnmatch.fnmatchcase(path, place) or path.startswith(place + "/") for place in places)


def include_violations(rules: Rules, path: str, text: str):
    """`path` is relative to src. Yields (line, message)."""
    module = path.split("/", 1)[0]
    # Blanking literals would blank the included names too, so the directive is found in the text, and dropped where a
    # comment swallowed it.
    code = code_only(text)
    for match in _INCLUDE.finditer(text):
        if "#" not in code[match.start() : match.end()]:
            continue
        line = text.count("\n", 0, match.start()) + 1
        quote, header = match.groups()
        library = rules.places_of_header(header)
        if library is not None:
            places, name = library
            if not is_at(path, places):
                yield line, "<%s>: %s is only for %s" % (header, name, ", ".join(places))
            continue
        if quote == "<":
            continue
        target = header.split("/", 1)[0] if "/" in header else None
        if target not in rules.arrows:
            yield line, '"%s": a project header is included as "module/name.h"' % header
        elif target != module and target not in rules.arrows[module]:
            yield line, "%s may not include %s (\"%s\")" % (module, target, header)


def errno_violations(rules: Rules, path: str, text: str):
    places = rules.places_of_errno()
    if places is None or is_at(path, places):
        return
    code = code_only(text)
    for match in _ERRNO.finditer(code):
        yield code.count("\n", 0, match.start()) + 1, "%s is only for %s" % (match.group(), ", ".join(places))


def link_violations(rules: Rules, module: str, text: str):
    code = re.sub(r"#[^\n]*", "", text)
    for match in _DEPS.finditer(code):
        for dependency in match.group(1).split():
            if dependency not in rules.arrows[module]:
                line = code.count("\n", 0, match.start()) + 1
                yield line, "%s may not link %s" % (module, dependency)


def violations(root: pathlib.Path):
    """Every violation in the tree below `root`, as "path:line: what"."""
    source = root / "src"
    rules = Rules((source / "README.md").read_text())
    found = []

    def report(path, problems):
        found.extend("src/%s:%d: %s" % (path, line, what) for line, what in problems)

    for directory in sorted(entry for entry in source.iterdir() if entry.is_dir()):
        if directory.name not in rules.arrows:
            found.append("src/%s: no row in the arrow table of src/README.md" % directory.name)
    for file in cxx_files(root, "src"):
        path = file.relative_to(source).as_posix()
        if "/" not in path or path.split("/", 1)[0] not in rules.arrows:
            continue
        text = file.read_text()
        report(path, include_violations(rules, path, text))
        report(path, errno_violations(rules, path, text))
    for module in rules.arrows:
        lists = source / module / "CMakeLists.txt"
        if lists.exists():
            report("%s/CMakeLists.txt" % module, link_violations(rules, module, lists.read_text()))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    try:
        found = violations(parser.parse_args().root)
    except TableError as error:
        found = [str(error)]
    print("\n".join(found) if found else "every include is in the tables of src/README.md")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
