#!/usr/bin/env python3
"""Eight writers with versions and reclaiming for as long as SOAK_SECONDS says (a minute by default), with up to
LONG_LIFE_FILES files (a million): the daemon's memory and descriptors and the index stay as they are once the number of
files does, and what is deleted gives its room back.

The first half of the time is for warming up: for a third the files become more, up to as many as they will be, and then
what depends on their number settles. Whether memory is flat is asserted of a life of most of an hour or longer.
LONG_LIFE_SAMPLES names a file that gets every sample, as CSV.
"""

import multiprocessing
import os
import pathlib
import queue
import subprocess
import time

from figures import print_figures
from mounted_store import MountTest, main, wait_until
from samples import Sample, growth, take_sample, write_samples
from writer import work

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
FILES = int(os.environ.get("LONG_LIFE_FILES", "1000000"))
WRITERS = 8
MIB = 1 << 20
PATIENCE = 3600  # seconds for what comes after the life itself
MEMORY_GROWTH = 0.01  # share, over the measured time
LONG_ENOUGH = 3000  # seconds: in a shorter life the daemon's own caches are still filling
MEMORY_AT_MOST = 512 << 10  # KiB
INDEX_FACTOR = 1.5
SEGMENT = 64 * MIB
FREE_PAGES = 32 * MIB  # that an index may have beyond its factor's share: those of the checkpoints under way


def drop_caches():
    """The kernel's entries and inodes that nobody uses, of every file system: they come back when asked for."""
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("2\n")


class LongLife(MountTest):
    def setUp(self):
        super().setUp()
        self.bucket = self.fs.mount().bucket()
        context = multiprocessing.get_context("fork")
        self.stay, self.stop, self.remove = context.Event(), context.Event(), context.Event()
        self.results = context.Queue()
        arguments = (self.stay, self.stop, self.remove, self.results)
        self.writers = [
            context.Process(target=work, args=(str(self.bucket), number, FILES // WRITERS, *arguments), daemon=True)
            for number in range(WRITERS)
        ]
        self.addCleanup(self.end_writers)

    def end_writers(self):
        for writer in self.writers:
            if writer.pid is not None:
                writer.kill()
                writer.join()

    def one_result(self, seconds):
        number, problem, counts = self.results.get(timeout=seconds)
        self.assertIsNone(problem, "writer %d" % number)
        return counts

    def everybodys_results(self):
        totals = {}
        for _ in self.writers:
            for name, count in self.one_result(PATIENCE).items():
                totals[name] = totals.get(name, 0) + count
        return totals

    def prune(self, *which):
        self.fs.pail("versions", "prune", "bucket", *which, "--yes", timeout=PATIENCE)

    def live(self):
        """Samples of the whole life. Now and then old versions are pruned, as a timer would, and the kernel drops what it
        need not know: otherwise the daemon keeps what the kernel keeps, which with this machine's memory is everything."""
        begun = time.monotonic()
        pause = max(0.5, SECONDS / 400)
        prunes = iter(begun + SECONDS * part / 20 for part in range(1, 21))
        next_prune = next(prunes)
        samples = []
        while (now := time.monotonic()) < begun + SECONDS:
            if now > begun + SECONDS / 3:
                self.stay.set()
            try:
                self.one_result(pause)
                self.fail("a writer ended early")
            except queue.Empty:
                pass
            samples.append(take_sample(self.fs, now - begun))
            if now >= next_prune:
                self.prune("--older-than", "%ds" % max(1, SECONDS // 20))
                drop_caches()
                next_prune = next(prunes, begun + 2 * SECONDS)
        return samples

    def index_sizes(self):
        """Of the index's file, and of a copy that holds nothing but what is in it. The store is not mounted."""
        index, compacted = self.fs.store / "index", self.fs.directory / "compacted"
        compacted.mkdir()
        self.fs.run("mdb_copy", "-c", index, compacted, timeout=PATIENCE)
        sizes = (index / "data.mdb").stat().st_size, (compacted / "data.mdb").stat().st_size
        (compacted / "data.mdb").unlink()
        compacted.rmdir()
        return sizes

    def check_deep(self):
        self.fs.pail("check", "--deep", "--key-file", self.fs.key, timeout=PATIENCE)

    def log_bytes(self) -> int:
        return self.fs.status()["store"]["log_bytes"]

    def let_go(self):
        """After the kernel has dropped what it can: the root, the bucket, and nothing open."""
        drop_caches()
        in_use = self.fs.status()["in_use"]
        return in_use["handles"] == 0 and in_use["inodes"] <= 2

    def test_nothing_grows_that_need_not_and_room_comes_back(self):
        empty = self.log_bytes()
        for writer in self.writers:
            writer.start()
        samples = self.live()
        self.stop.set()
        did = self.everybodys_results()
        full = self.log_bytes()
        wait_until(self.let_go, "the kernel has let go of every inode")
        write_samples(samples, os.environ.get("LONG_LIFE_SAMPLES"))
        steady = [sample for sample in samples if sample.time > SECONDS / 2]
        self.fs.unmount()
        self.check_deep()
        index, compacted = self.index_sizes()
        self.report(did, steady, index, compacted, full)
        self.assert_room_comes_back(empty, full)
        # Last, so that all the figures are there when one of them is not as it must be.
        bound = max(INDEX_FACTOR * compacted, compacted + FREE_PAGES)
        self.assertLessEqual(index, bound, "the index against its compacted size")
        self.assert_steady(steady)

    def assert_room_comes_back(self, empty, full):
        """With everything deleted, the log is as small as it was when there was nothing yet."""
        self.fs.mount()
        self.remove.set()
        self.everybodys_results()
        self.prune("--keep", "0")
        bound = empty + 0.01 * full + SEGMENT / 16
        begun = time.monotonic()
        while self.log_bytes() > bound and time.monotonic() < begun + max(120, SECONDS / 4):
            time.sleep(1)
        self.fs.run("rmdir", self.bucket)
        left = self.log_bytes()
        print_figures(
            "M", "everything deleted", log_mib_before=full // MIB, log_kib_left=left // 1024, log_kib_allowed=int(bound) // 1024
        )
        self.assertLessEqual(left, bound, "bytes of the log, with everything deleted")
        self.fs.unmount()
        self.check_deep()

    def report(self, did, steady, index, compacted, full):
        last = steady[-1]
        operations = sum(count for name, count in did.items() if name != "files")
        print_figures("M", "long life, 8 writers", seconds=int(SECONDS), operations=operations, **did)
        print_figures(
            "M",
            "what it took",
            memory_kib_first=steady[0].memory,
            memory_kib_last=last.memory,
            memory_kib_at_most=max(sample.memory for sample in steady),
            memory_growth_per_mille=round(1000 * growth(steady, "memory")[0], 1),
            descriptors=last.descriptors,
            index_mib=index // MIB,
            compacted_mib=compacted // MIB,
            log_mib=full // MIB,
            samples=len(steady),
        )

    def assert_steady(self, steady: "list[Sample]"):
        self.assertLess(max(sample.memory for sample in steady), MEMORY_AT_MOST)
        grown, uncertainty = growth(steady, "memory")
        if SECONDS >= LONG_ENOUGH:
            self.assertLessEqual(grown - uncertainty, MEMORY_GROWTH, "share by which memory grew (± %.4f)" % uncertainty)
        counts = {sample.descriptors for sample in steady}
        self.assertEqual(len(counts), 1, "descriptors that are not of segments or clients: %s" % sorted(counts))
        # Of segments: a bounded number is kept open for reading.
        self.assertLessEqual(max(sample.segment_descriptors for sample in steady), 160)
        self.assertEqual({sample.handles_beyond_writers(WRITERS) for sample in steady}, {False}, "open handles")


if __name__ == "__main__":
    if subprocess.run(["mdb_copy", "-V"], capture_output=True, check=False).returncode != 0:
        raise SystemExit("mdb_copy is missing: Debian's package lmdb-utils has it")
    main()
