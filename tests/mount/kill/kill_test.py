#!/usr/bin/env python3
"""kill -9 of the daemon under eight writers, some of the time again while it recovers: everything that was promised is
there, nothing is there that was never written, names are those of one moment, versions are whole.

PAILFS_KILLS=N in the environment sets how often, SOAK_SECONDS=N for how long instead; figures are printed at the end.
"""

import os
import pickle
import random
import subprocess
import time

from figures import print_figures
from mounted_store import PAILFS, MountTest, main
from writer import Verifier, Writer

KILLS = int(os.environ.get("PAILFS_KILLS", "20"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
WRITERS = 8
ROUNDS_OF_A_BUCKET = 8


class Kill(MountTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(int(os.environ.get("PAILFS_SEED", "1")))
        self.figures = {"kills": 0, "in_recovery": 0, "operations": 0, "syncs_promised": 0, "files_verified": 0}

    def test_what_was_promised_survives_every_kill(self):
        rounds = 0
        end = time.monotonic() + SECONDS
        while time.monotonic() < end if SECONDS else self.figures["kills"] < KILLS:
            self.one_round(rounds)
            rounds += 1
        self.fs.mount()
        self.assert_sound_store()
        print_figures("B1", "kill -9 under eight writers", **self.figures, violations=0)
        self.assertGreaterEqual(self.figures["in_recovery"] * 10, self.figures["kills"])
        self.assertGreater(self.figures["syncs_promised"], self.figures["kills"])

    def one_round(self, number):
        bucket = self.fs.mount().bucket("bucket%d" % (number // ROUNDS_OF_A_BUCKET))
        if number % ROUNDS_OF_A_BUCKET == 0 and number > 0:
            # The store stays small, and is killed while it gives room back.
            before = "bucket%d" % (number // ROUNDS_OF_A_BUCKET - 1)
            self.fs.pail("bucket", "delete", before, "--purge", "--yes")
        top = bucket / ("round%d" % number)
        top.mkdir()
        for writer in range(WRITERS):
            (top / ("w%d" % writer)).mkdir()
        descriptor = os.open(top, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        pipes = [self.start_writer(top / ("w%d" % writer), number * WRITERS + writer) for writer in range(WRITERS)]
        time.sleep(self.random.uniform(0.02, 0.4))
        self.fs.kill()
        self.figures["kills"] += 1
        writers = [self.result_of(*pipe) for pipe in pipes]
        while self.random.random() < 0.3:
            self.kill_in_recovery()
        self.fs.mount()
        for writer in writers:
            Verifier(writer).verify()
            self.figures["operations"] += writer.operations
            self.figures["syncs_promised"] += writer.syncs
            self.figures["files_verified"] += len(writer.names)
        if number % 5 == 0:
            self.fs.pail("check")
        self.fs.unmount()

    def start_writer(self, top, seed):
        """A process of its own, from which the writer comes back when the mount has died."""
        reader, sender = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            status = 1
            try:
                writer = Writer(str(top), "f%d" % seed, seed)
                writer.run()
                writer.random = None
                with os.fdopen(sender, "wb") as pipe:
                    pickle.dump(writer, pipe)
                status = 0
            finally:
                os._exit(status)
        os.close(sender)
        return child, reader

    def result_of(self, child, reader):
        with os.fdopen(reader, "rb") as pipe:
            pickled = pipe.read()
        self.assertEqual(os.waitpid(child, 0)[1], 0, "a writer failed")
        return pickle.loads(pickled)

    def kill_in_recovery(self):
        """Some milliseconds after its start; where it serves by then, that counts for nothing."""
        with open(self.fs.log, "ab") as log:
            daemon = subprocess.Popen(
                [PAILFS, str(self.fs.store), str(self.fs.mountpoint), "-f", "-o", self.fs.options("")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        time.sleep(self.random.uniform(0, 0.06))
        daemon.kill()
        daemon.wait()
        if self.fs.is_mounted():
            self.fs.run("umount", "-l", self.fs.mountpoint)
        else:
            self.figures["in_recovery"] += 1
            self.figures["kills"] += 1


if __name__ == "__main__":
    main()
