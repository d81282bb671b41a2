"""Databases that cannot be written: no room on the disk, or a foreign writer who holds on."""

import resource
import sqlite3
from contextlib import closing

from ecom.process.driver import database
from ecom.stores.reader import rows
from ecom.stores.sqlite import BUSY_SECONDS
from ecom_lab.chaos.fault import Fault, Size, salvo
from ecom_lab.chaos.testbed import Stage
from ecom_lab.chaos.verdict import HarnessFailed
from ecom_lab.shop import SERVICES


def full(stage: Stage) -> str:
    """A service may not make any file longer: its writes fail as on a full disk, but for it alone.

    The kernel says EFBIG where a full disk says ENOSPC; SQLite gives up the transaction for both.
    """
    service = stage.random.choice(SERVICES)
    pid = stage.pid(service)
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        stage.wait(0.1, 0.1)  # for what was being written
        written = _written(stage, service)
        stage.burst()
        stage.wait(0.5, 1.0)
        if _written(stage, service) != written:
            raise HarnessFailed(f"{service} could write to a disk that should have been full")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    return f"{service} had a full disk"


def _written(stage: Stage, service: str) -> list[tuple]:
    return rows(stage.shop.folder, service, "SELECT name, value FROM counters")


def busy(stage: Stage) -> str:
    """Somebody else holds the write lock for longer than a service waits for it."""
    service = stage.random.choice(SERVICES)
    path = database(stage.shop.folder, service)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        stage.burst()
        stage.wait(BUSY_SECONDS + 0.2, BUSY_SECONDS + 1.0)
        foreign.execute("ROLLBACK")
    return f"{service} found its database locked"


FAULTS = (
    Fault(
        "full-disks", "no room for a service's database",
        salvo(full), small=Size(100, 3), full=Size(2_000, 20), bites=False,
    ),
    Fault(
        "locked-databases", "SQLITE_BUSY from a foreign writer",
        salvo(busy), small=Size(100, 1), full=Size(2_000, 20), bites=False,
    ),
)  # fmt: skip
