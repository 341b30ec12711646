#!/usr/bin/env python3
"""Runs a program of tests/model again and again, each time with another seed, for as many seconds as SOAK_SECONDS says.

The first seed is the time, unless PAILFS_MODEL_SEED gives it; of a run that fails it is printed, to repeat that.
"""

import os
import subprocess
import sys
import time

from figures import print_figures, read_figures

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SEEDS_PER_RUN = 5  # at most, from the one given on


def main():
    program = sys.argv[1]
    begun = time.monotonic()
    seed = int(os.environ.get("PAILFS_MODEL_SEED", int(time.time()) % 1_000_000_000))
    totals = {}
    failed = 0
    while time.monotonic() < begun + SECONDS and not failed:
        result = subprocess.run(
            [program, "--gtest_brief=1"],
            env={**os.environ, "PAILFS_MODEL_SEED": str(seed)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode != 0:
            failed = 1
            print("with PAILFS_MODEL_SEED=%d:\n%s" % (seed, result.stdout[-5000:]))
        for figures in read_figures(result.stdout):
            total = totals.setdefault((figures.pop("row"), figures.pop("what")), {})
            for name, value in figures.items():
                total[name] = total.get(name, 0) + value
        seed += SEEDS_PER_RUN
    for (row, what), total in totals.items():
        print_figures(row, what, **total, violations=failed)
    return failed


if __name__ == "__main__":
    sys.exit(main())
