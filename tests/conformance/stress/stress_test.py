#!/usr/bin/env python3
"""Random operations on a file against a copy in memory, and on names by 16 processes at once.

By hand, longer: stress_test.py --operations 1000000 --seed 7 [unittest's arguments]
"""

import argparse
import os
import sys

from content_exercise import Exercise
from figures import print_figures
from file_systems import EVERY, Bodies, main, on_file_systems
from names_exercise import check_tree, run_together

SETTINGS = argparse.Namespace(operations=int(os.environ.get("STRESS_OPERATIONS", "20000")), seed=1)


class Stress(Bodies):
    def test_random_operations_on_a_file_match_a_copy_in_memory(self):
        exercise = Exercise(self.top / "file", SETTINGS.seed)
        exercise.run(SETTINGS.operations)
        if self.on_store:
            self.fs.remount(self.options)
            self.assertTrue((self.top / "file").read_bytes() == exercise.model)
            print_figures("H3", "one file against a copy in memory", operations=SETTINGS.operations)

    def test_names_agree_after_sixteen_processes_changed_them(self):
        tree = self.make_directory("tree")
        run_together(tree, 16, SETTINGS.operations // 16, SETTINGS.seed)
        check_tree(tree)
        self.assertEqual(os.listdir(self.top), ["tree"])
        if self.on_store:
            self.fs.remount(self.options)
            check_tree(tree)
            print_figures("H4", "names by 16 processes", operations=SETTINGS.operations)


load_tests = on_file_systems(globals(), (Stress, EVERY))

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--operations", type=int, default=SETTINGS.operations)
    parser.add_argument("--seed", type=int, default=SETTINGS.seed)
    _, rest = parser.parse_known_args(namespace=SETTINGS)
    sys.argv[1:] = rest
    main()
