#!/usr/bin/env python3
"""Runs clang-tidy over every source of the tree, several sources in one translation unit.

Most of clang-tidy's time goes into what the standard library's headers declare, anew for each source: with a dozen
sources in a unit it is spent once for all of them. Sources that cannot be compiled together (two anonymous namespaces
with one name) are put into different units. A unit that passed is not looked at again until something that it includes,
or .clang-tidy, has changed.

Exit status 77 (ctest: skipped) where clang-tidy 19 is not installed; packaging/setup --tests installs it.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

SKIPPED = 77
TIDY = "clang-tidy-19"
COMPILER = "clang++-19"
SOURCES_PER_UNIT = 12
# In a unit these are about the unit, not about the sources in it.
CHECKS_OF_UNITS = "-bugprone-suspicious-include,-readability-duplicate-include"
HEADERS = "/(src|tests|include/pailfs)/"
# What tests need not care for: their own speed, sizes that are known to be small, one thread at their beginning and
# end, whether what they print arrives.
CHECKS_NOT_OF_TESTS = (
    ",-performance-*,-bugprone-implicit-widening-of-multiplication-result,-concurrency-mt-unsafe"
    ",-google-explicit-constructor,-cert-err33-c,-cert-err52-cpp"
)


def flags_of(entry):
    """The compiler's arguments of an entry of compile_commands.json, without what names the source and its output."""
    words = shlex.split(entry["command"]) if "command" in entry else list(entry["arguments"])
    while words and not words[0].endswith(("++", "cc")) and "clang" not in words[0]:
        words.pop(0)  # ccache before the compiler
    kept, skip = [], False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in ("-o", "-c", "-MF", "-MT"):
            skip = True
        elif not word.startswith(("-M", "-f", "-Werror")) or word.startswith("-fno-"):
            kept.append(word)
    return tuple(word for word in kept if not word.endswith(".cc"))


class Tree:
    def __init__(self, root: pathlib.Path, build: pathlib.Path):
        self.root = root.resolve()
        self.build = build.resolve()
        self.work = self.build / "tidy"
        self.passed = self.work / "passed"
        self.passed.mkdir(parents=True, exist_ok=True)

    def groups(self):
        """Sources by the flags that they are compiled with."""
        found = {}
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            source = pathlib.Path(entry["directory"], entry["file"]).resolve()
            inside = source.is_relative_to(self.root / "src") or source.is_relative_to(self.root / "tests")
            if inside and not source.is_relative_to(self.build):
                found.setdefault(flags_of(entry), {})[source] = True  # once, also where two targets have it
        return {flags: list(sources) for flags, sources in found.items()}

    def unit(self, sources):
        text = "".join('#include "%s"\n' % source for source in sources)
        path = self.work / ("unit_%s.cc" % hashlib.sha256(text.encode()).hexdigest()[:16])
        path.write_text(text)
        return path

    def conflicts(self, flags, sources):
        """The sources that the compiler complains of when they follow the others in one unit."""
        command = [COMPILER, *flags, "-w", "-fsyntax-only", "-fno-color-diagnostics", "-ferror-limit=0"]
        result = subprocess.run([*command, str(self.unit(sources))], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return []
        named = set(re.findall(r"^(/[^:\n]+):\d+:\d+: (?:fatal )?error:", result.stderr, re.MULTILINE))
        conflicting = [source for source in sources[1:] if str(source) in named]
        return conflicting or list(sources[1:])

    def units(self, flags, sources):
        """Lists of sources that compile together."""
        waiting = list(sources)
        while waiting:
            together, waiting = waiting[:SOURCES_PER_UNIT], waiting[SOURCES_PER_UNIT:]
            while len(together) > 1:
                apart = self.conflicts(flags, together)
                if not apart:
                    break
                together = [source for source in together if source not in apart]
                waiting += apart
            yield together

    def key(self, flags, unit):
        """Changes with whatever the unit includes, and with the checks."""
        command = [COMPILER, *flags, "-w", "-E", str(unit)]
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        return hashlib.sha256(text + (self.root / ".clang-tidy").read_bytes()).hexdigest()

    def check(self, flags, sources):
        """What clang-tidy says of these sources; nothing where they pass."""
        unit = self.unit(sources)
        marker = self.passed / self.key(flags, unit)
        if marker.exists():
            return ""
        of_tests = sources[0].is_relative_to(self.root / "tests")
        checks = CHECKS_OF_UNITS + (CHECKS_NOT_OF_TESTS if of_tests else "")
        command = [TIDY, "--quiet", "--checks=" + checks, "--config-file=%s" % (self.root / ".clang-tidy")]
        command += ["--header-filter=" + HEADERS, str(unit), "--", *flags, "-Wno-pragma-once-outside-header"]
        result = subprocess.run(command, cwd=self.work, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            marker.touch()
            return ""
        return result.stdout + result.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="where compile_commands.json is")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", help="sources whose path holds this expression")
    arguments = parser.parse_args()
    for program in (TIDY, COMPILER):
        if shutil.which(program) is None:
            print("%s is not installed: nothing was checked" % program)
            return SKIPPED
    tree = Tree(arguments.root, arguments.build)
    failed = checked = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        running = []
        for flags, sources in tree.groups().items():
            chosen = [source for source in sources if not arguments.only or re.search(arguments.only, str(source))]
            running.append(pool.submit(lambda f, s: [(f, unit) for unit in tree.units(f, s)], flags, chosen))
        checks = [(unit, pool.submit(tree.check, flags, unit)) for group in running for flags, unit in group.result()]
        for unit, result in checks:
            checked += len(unit)
            said = result.result()
            if said:
                failed += 1
                print(said, flush=True)
    print("%d sources checked in %d units, %d of them with findings" % (checked, len(checks), failed))
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
