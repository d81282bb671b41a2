"""Services' rows out of reach: no room on the disk, or others who hold on to them; the PostgreSQL
that has them all killed, frozen, its connections cut.

Services wait, and that alone: they keep their sessions at the broker, and answer over HTTP.
"""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import httpx
import psutil
import psycopg

from ecom.broker.management import client
from ecom.harness.postgres import Cluster
from ecom.harness.processes import read_note
from ecom.process.databases import Files
from ecom.stores.reader import Reader, schema_of
from ecom_lab.chaos.faults.services import connections
from ecom_lab.chaos.testbed import Testbed, frozen
from ecom_lab.chaos.verdict import HarnessFailed

# Seconds: longer than anybody waits for an answer, and than a silent peer is borne at the broker;
# and a hundred times as long as a service waits for the lock of a file.
LONG, LONG_FOR_FILES = 7.0, 5.0
ANSWER_SECONDS = 5.0

# Where `full` cannot be played, and why.
NOT_FULL_ON = {"postgres": "a service has no disk of its own there"}
if not hasattr(resource, "prlimit"):
    NOT_FULL_ON["here"] = "only Linux can limit another process's files"


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
        bed.endure(0.5, 1.0)
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
    """Somebody else holds a service's lock, or locks all its rows, for longer than it waits."""
    service = bed.random.choice(bed.services)
    if bed.database:
        with _rows_locked(bed, service):
            bed.endure(LONG, LONG + 1.0)
        return f"all rows of {service} locked"
    with closing(write_lock(bed, service)):
        bed.endure(LONG_FOR_FILES, LONG_FOR_FILES + 1.0)
    return f"{service} found its database locked"


def write_lock(bed: Testbed, service: str) -> sqlite3.Connection:
    """A foreign connection that has the lock of a service's file, until it is closed."""
    path = Files(bed.runner.folder).path(service)
    foreign = sqlite3.connect(path, 10, isolation_level=None, check_same_thread=False)
    foreign.execute("BEGIN IMMEDIATE")
    return foreign


@contextmanager
def _rows_locked(bed: Testbed, service: str) -> Iterator[None]:
    with Reader(bed.runner.folder) as read:
        tables = read[service].tables()
    with psycopg.connect(bed.database.url) as foreign:
        foreign.execute("SET deadlock_timeout = '1min'")  # so that others find it, and give way
        for table in tables:
            name = psycopg.sql.Identifier(schema_of(bed.runner.name, service), table)
            foreign.execute(psycopg.sql.SQL("SELECT 1 FROM {} FOR UPDATE").format(name))
        yield


def kill(bed: Testbed) -> str:
    """SIGKILL of the server with all its processes, as in a power cut; started again a while
    later, to recover."""
    with _looked_after(bed):
        away(bed.database)
        bed.endure(LONG, LONG + 1.0)
    bed.database.start()
    return "database killed"


def away(server: Cluster) -> None:
    """Kill it; its `start` starts it again."""
    (server.folder / "kept").touch()  # or whoever starts it would take its end for ours
    with frozen(server.pid) as processes:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(processes)
    (server.folder / "data" / "postmaster.pid").unlink()  # it says that one is ready


def freeze(bed: Testbed) -> str:
    """SIGSTOP of the server, then SIGCONT: commits are made whose answers nobody waits for."""
    bed.burst()
    with frozen(bed.database.pid), _looked_after(bed):
        bed.endure(LONG, LONG + 1.0)
    return "database frozen"


def cut(bed: Testbed) -> str:
    """Every connection is ended by an administrator, whatever is under way on it."""
    bed.burst()
    with psycopg.connect(bed.database.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    return "connections to the database cut"


@contextmanager
def _looked_after(bed: Testbed) -> Iterator[None]:
    """Without a database: do services answer, and have they stayed at a broker that is well?"""
    sessions = {service: connections(bed, service) for service in bed.services}
    yield
    for service in bed.services:
        url = read_note(bed.runner.folder, (service, "1"))["metrics"]
        try:
            with client(timeout=ANSWER_SECONDS) as http:
                http.get(url)
        except httpx.TransportError as error:
            bed.problems.append(f"{service} did not answer without a database: {error}")
    now = {service: connections(bed, service) for service in bed.services}
    if now != sessions and bed.broker is None:  # else a bad line may have ended them just now
        bed.problems.append(f"sessions at the broker were {sessions}, and without a database {now}")
