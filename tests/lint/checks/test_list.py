#!/usr/bin/env python3
"""Fails when ctest's tests are not exactly those of tests/lint/expected-tests.txt, or one of them holds no test.

So no test program can drop out of the build, or become empty, unnoticed. After adding a test: --write.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys

LIST = pathlib.Path(__file__).resolve().parent.parent / "expected-tests.txt"
HEADER = "# Every test that ctest knows. Checked by tests/lint/checks/test_list.py, written by its --write.\n"


def read_list(path: pathlib.Path):
    return {line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")}


@dataclasses.dataclass
class Test:
    command: "list[str]"  # empty where the program is not built
    environment: "dict[str, str]"


def tests_of(build: pathlib.Path):
    """name -> Test, of every test of a build tree."""
    result = subprocess.run(
        ["ctest", "--test-dir", str(build), "--show-only=json-v1"], check=True, capture_output=True, text=True
    )
    tests = {}
    for test in json.loads(result.stdout)["tests"]:
        settings = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        environment = dict(entry.split("=", 1) for entry in settings.get("ENVIRONMENT", []))
        tests[test["name"]] = Test(test.get("command", []), environment)
    return tests


def difference(expected, known):
    for name in sorted(expected - known):
        yield "%s is expected, and ctest does not know it" % name
    for name in sorted(known - expected):
        yield "%s is not in tests/lint/expected-tests.txt (add it with test_list.py --write)" % name


def holds_no_test(command) -> bool:
    """Whether `command` is a GoogleTest program without a single test: such a program passes."""
    program = pathlib.Path(command[0])
    if not program.is_file() or b"gtest_list_tests" not in program.read_bytes():
        return False
    listing = subprocess.run([str(program), "--gtest_list_tests"], capture_output=True, text=True, check=False)
    return listing.returncode != 0 or not any(line.startswith("  ") for line in listing.stdout.splitlines())


def problems(build: pathlib.Path, expected):
    tests = tests_of(build)
    yield from difference(expected, set(tests))
    for name, test in sorted(tests.items()):
        if not test.command:
            yield "%s is not built" % name
        elif holds_no_test(test.command):
            yield "%s holds no test" % name


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--write", action="store_true", help="take what ctest knows now as the list")
    arguments = parser.parse_args()
    if arguments.write:
        LIST.write_text(HEADER + "".join("%s\n" % name for name in sorted(tests_of(arguments.build))))
        return 0
    found = list(problems(arguments.build, read_list(LIST)))
    print("\n".join(found) if found else "ctest knows exactly the expected tests, and none is empty")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
