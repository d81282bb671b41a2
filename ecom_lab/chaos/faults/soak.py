"""Everything at once, for a long time; and nothing may grow that should not."""

import time
from collections.abc import Iterator

import psutil

from ecom_lab.chaos.faults import brokers, databases, services
from ecom_lab.chaos.testbed import Testbed

STRIKES = (services.kill, services.kill, services.freeze, databases.busy, *brokers.LINES)
IN_FILES = () if "here" in databases.NOT_FULL_ON else (databases.full,)
ON_SERVER = (databases.kill, databases.freeze, databases.cut)
DESCRIPTORS = 300  # that a process may hold
MEMORY = 250 * 2**20  # bytes that a process may hold
FILES, MORE = 40, 20  # that a shop's folder may hold, and how many more a replica


def soak(bed: Testbed) -> Iterator[str]:
    """A random fault after the other for `seconds`, customers coming all the time."""
    begun, strikes = time.monotonic(), STRIKES + (ON_SERVER if bed.database else IN_FILES)
    while (passed := time.monotonic() - begun) < bed.seconds:
        due = int(bed.orders * passed / bed.seconds)
        bed.workload.release(due - len(bed.workload.attempted))
        bed.wait(0.02, 0.25)
        yield bed.random.choice(strikes)(bed)
        bed.problems += sorted({*_growth(bed)}.difference(bed.problems))


def _growth(bed: Testbed) -> Iterator[str]:
    for service in bed.services:
        if (held := psutil.Process(bed.pid(service)).num_fds()) > DESCRIPTORS:
            yield f"{service} holds {held} descriptors"
        if (held := bed.memory(service)) > MEMORY:
            yield f"{service} holds {held / 2**20:.0f} MiB"
    if (files := len(list(bed.runner.folder.iterdir()))) > FILES + MORE * len(bed.replicas):
        yield f"the shop's folder holds {files} files"
