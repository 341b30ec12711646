"""The cases that a test of ctest's list has, as the sources name them: Suite.Case of GoogleTest, Class.method of unittest."""

import functools
import pathlib
import re

_GOOGLE = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+),\s*(\w+)\)", re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)")
_METHOD = re.compile(r"^    def (test_\w+)\(")


def _python_cases(text: str):
    current = None
    for line in text.splitlines():
        if found := _CLASS.match(line):
            current = found[1]
        elif (found := _METHOD.match(line)) and current:
            yield "%s.%s" % (current, found[1])


@functools.lru_cache(maxsize=None)
def cases_of(root: pathlib.Path, test: str):
    """The cases of test KIND_NAME: in tests/KIND/NAME, where mount_tools shares its directory with mount_programs."""
    kind, _, name = test.partition("_")
    directory = root / "tests" / kind / name
    files = sorted(directory.glob("*")) if directory.is_dir() else sorted((root / "tests" / kind).glob("*/%s_test.py" % name))
    found = set()
    for file in files:
        if file.suffix == ".cc":
            found |= {"%s.%s" % case for case in _GOOGLE.findall(file.read_text(encoding="utf-8"))}
        elif file.suffix == ".py":
            found |= set(_python_cases(file.read_text(encoding="utf-8")))
    return frozenset(found)
