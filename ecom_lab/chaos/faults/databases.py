"""The PostgreSQL that has all rows: killed, frozen, its connections cut, its rows locked by others.

Services wait, and that alone: they keep their sessions at the broker, and answer over HTTP.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import psutil
import psycopg

from ecom.broker.management import client
from ecom.harness.postgres import Cluster
from ecom.harness.processes import log_file, read_note
from ecom.stores.reader import Reader, schema_of
from ecom_lab.chaos.faults.services import CONNECTED
from ecom_lab.chaos.testbed import Testbed

# Seconds: longer than anybody waits for an answer, and than a silent peer is borne at the broker.
LONG = 7.0
ANSWER_SECONDS = 5.0


def kill(bed: Testbed) -> str:
    """SIGKILL of the server with all its processes, as in a power cut; started again a while
    later, to recover."""
    sessions = _sessions(bed)
    away(bed.database)
    bed.burst()
    bed.wait(LONG, LONG + 1.0)
    _look_after(bed, sessions)
    bed.database.start()
    return "database killed"


def away(server: Cluster) -> None:
    """Kill it; its `start` starts it again."""
    (server.folder / "kept").touch()  # or whoever starts it would take its end for ours
    with _frozen(server) as processes:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(processes)
    (server.folder / "data" / "postmaster.pid").unlink()  # it says that one is ready


def freeze(bed: Testbed) -> str:
    """SIGSTOP of the server, then SIGCONT: commits are made whose answers nobody waits for."""
    sessions = _sessions(bed)
    bed.burst()
    with _frozen(bed.database):
        bed.burst()
        bed.wait(LONG, LONG + 1.0)
        _look_after(bed, sessions)
    return "database frozen"


def cut(bed: Testbed) -> str:
    """Every connection is ended by an administrator, whatever is under way on it."""
    bed.burst()
    with psycopg.connect(bed.database.url) as connection:
        connection.execute(_CUT)
    return "connections to the database cut"


_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


def hold(bed: Testbed) -> str:
    """A foreign transaction locks all rows of a service, for longer than that waits for a lock."""
    service = bed.random.choice(bed.services)
    with Reader(bed.runner.folder) as read:
        tables = read[service].tables()
    with psycopg.connect(bed.database.url) as foreign:
        foreign.execute("SET deadlock_timeout = '1min'")  # so that others find it, and give way
        for table in tables:
            name = psycopg.sql.Identifier(schema_of(bed.runner.name, service), table)
            foreign.execute(psycopg.sql.SQL("SELECT 1 FROM {} FOR UPDATE").format(name))
        bed.burst()
        bed.wait(LONG, LONG + 1.0)
    return f"all rows of {service} locked"


@contextmanager
def _frozen(server: Cluster) -> Iterator[list[psutil.Process]]:
    """All its processes, meanwhile stopped: first the one that starts others."""
    postmaster = psutil.Process(server.pid)
    postmaster.suspend()
    processes = [*postmaster.children(recursive=True), postmaster]
    try:
        for each in processes:
            with suppress(psutil.NoSuchProcess):  # a connection has just ended
                each.suspend()
        yield processes
    finally:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.resume()


def _sessions(bed: Testbed) -> dict[str, int]:
    """How often each service has connected to the broker."""
    logs = {service: log_file(bed.runner.folder, (service, "1")) for service in bed.services}
    return {service: log.read_text().count(CONNECTED) for service, log in logs.items()}


def _look_after(bed: Testbed, sessions: dict[str, int]) -> None:
    """While the database is away: do services answer, and have they stayed at the broker?"""
    for service in bed.services:
        url = read_note(bed.runner.folder, (service, "1"))["metrics"]
        try:
            with client(timeout=ANSWER_SECONDS) as http:
                http.get(url)
        except httpx.TransportError as error:
            bed.problems.append(f"{service} did not answer without a database: {error}")
    if (now := _sessions(bed)) != sessions:
        bed.problems.append(f"sessions at the broker were {sessions}, and without a database {now}")
