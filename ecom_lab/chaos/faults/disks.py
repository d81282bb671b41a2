"""Databases that cannot be written: no room on the disk, or a foreign writer who holds on."""

import resource
import sqlite3
from contextlib import closing

from ecom.process.databases import Files
from ecom.stores.reader import Reader
from ecom_lab.chaos.faults import databases
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.verdict import HarnessFailed

LONG = 5.0  # seconds: a hundred times as long as a service waits for a lock

# Where `full` cannot be played, and why.
NOT_ON = {"postgres": "a service has no disk of its own there"}
if not hasattr(resource, "prlimit"):
    NOT_ON["here"] = "only Linux can limit another process's files"


def full(bed: Testbed) -> str:
    """A service, with all its replicas, may not make any file longer: its writes fail as on a full
    disk, but for it alone.

    The kernel says EFBIG where a full disk says ENOSPC; SQLite gives up the transaction for both.
    """
    service = bed.random.choice(bed.services)
    pids = [bed.pid(service, replica) for replica in bed.replicas]
    before = resource.prlimit(pids[0], resource.RLIMIT_FSIZE)
    _limit(pids, (1, before[1]))
    try:
        bed.wait(0.1, 0.1)  # for what was being written
        written = _written(bed, service)
        bed.burst()
        bed.wait(0.5, 1.0)
        if _written(bed, service) != written:
            raise HarnessFailed(f"{service} could write to a disk that should have been full")
    finally:
        _limit(pids, before)
    return f"{service} had a full disk"


def _limit(pids: list[int], limits: tuple[int, int]) -> None:
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def _written(bed: Testbed, service: str) -> dict[str, int]:
    with Reader(bed.runner.folder) as read:
        return read[service].counters()


def busy(bed: Testbed) -> str:
    """Somebody else holds the write lock for longer than a service waits for it."""
    if not bed.has_files:
        return databases.hold(bed)
    service = bed.random.choice(bed.services)
    path = Files(bed.runner.folder).path(service)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        bed.burst()
        bed.wait(LONG, LONG + 1.0)
        foreign.execute("ROLLBACK")
    return f"{service} found its database locked"
