"""What a daemon takes at a moment, and how that moved over many."""

import csv
import dataclasses
import os
import pathlib


@dataclasses.dataclass
class Sample:
    time: float  # seconds since the beginning
    memory: int  # KiB of anonymous memory
    descriptors: int  # that are neither of segments nor sockets of clients
    segment_descriptors: int
    handles: int
    inodes: int  # that the kernel knows
    sequence: int  # transactions so far
    log_bytes: int
    dead_bytes: int
    index_bytes: int
    copy_bytes: int
    memtable_bytes: int

    def handles_beyond_writers(self, writers) -> bool:
        """Each writer has at most one file or directory open; closes of the ones before may be under way."""
        return self.handles > 16 * writers


def descriptors(pid):
    """(others, of segments). A client of the control socket may come and go at any time."""
    others = segments = 0
    directory = "/proc/%d/fd" % pid
    for name in os.listdir(directory):
        try:
            target = os.readlink("%s/%s" % (directory, name))
        except FileNotFoundError:
            continue
        if ".seg" in target:
            segments += 1
        elif not target.startswith("socket:"):
            others += 1
    return others, segments


def anonymous_memory(pid) -> int:
    for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    raise AssertionError("the kernel tells no RssAnon")


def take_sample(fs, time) -> Sample:
    status = fs.status()
    store, in_use = status["store"], status["in_use"]
    others, segments = descriptors(fs.daemon.pid)
    return Sample(
        time=time,
        memory=anonymous_memory(fs.daemon.pid),
        descriptors=others,
        segment_descriptors=segments,
        handles=in_use["handles"],
        inodes=in_use["inodes"],
        sequence=store["sequence"],
        log_bytes=store["log_bytes"],
        dead_bytes=store["dead_bytes"],
        index_bytes=store["index_bytes"],
        copy_bytes=store["index_copy_bytes"],
        memtable_bytes=store["memtable_bytes"],
    )


def write_samples(samples, path):
    if not path:
        return
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Sample)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(sample) for sample in samples)


def growth(samples, field):
    """(share of the mean by which a straight line through the samples rises over their time, twice its standard error).

    The samples are averaged in twelve stretches of time first: neighbours say nearly the same, and what goes up and down
    with every checkpoint is no growth.
    """
    stretches = 12
    first, last = samples[0].time, samples[-1].time
    length = (last - first) / stretches or 1
    groups = [[] for _ in range(stretches)]
    for sample in samples:
        groups[min(int((sample.time - first) / length), stretches - 1)].append(getattr(sample, field))
    points = [(number, sum(group) / len(group)) for number, group in enumerate(groups) if group]
    if len(points) < 3:
        raise AssertionError("too few samples for a line: %d" % len(samples))
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    residual = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points) / (count - 2)
    error = (residual / spread) ** 0.5
    span = points[-1][0] - points[0][0]
    return slope * span / mean_y, 2 * error * span / mean_y
