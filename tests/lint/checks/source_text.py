"""The tree as the checks see it: which files are the project's, and C++ text without comments and literals."""

import pathlib
import re

CXX_SUFFIXES = {".cc", ".h"}
_IGNORED = re.compile(r"build(-.*)?|\..*|__pycache__|compile_commands\.json")
_DOT_ENTRIES = {".ci", ".clang-format", ".clang-tidy", ".gitignore"}

_TOKEN = re.compile(
    r"//[^\n]*"
    r"|/\*.*?\*/"
    r'|R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def project_files(root: pathlib.Path):
    """Every file of the project below `root`, sorted; build trees and hidden directories are not."""
    found = []
    for entry in sorted(root.iterdir()):
        if entry.name not in _DOT_ENTRIES and _IGNORED.fullmatch(entry.name):
            continue
        if entry.is_symlink():
            continue
        if entry.is_dir():
            found.extend(project_files(entry))
        else:
            found.append(entry)
    return found


def cxx_files(root: pathlib.Path, *directories: str):
    """The C++ files below the named directories of `root`."""
    return [
        path
        for directory in directories
        if (root / directory).is_dir()
        for path in project_files(root / directory)
        if path.suffix in CXX_SUFFIXES
    ]


def code_only(text: str) -> str:
    """`text` with comments and string and character literals blanked; lines keep their numbers."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())

    return _TOKEN.sub(blank, text)
