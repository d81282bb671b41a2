"""The floor on PostgreSQL: the statements of the five services and nothing else.

They are recorded once, while a shop carries out orders, and then executed as they were, with the
same values, in the same pipelines, on a connection a service: no broker, no decoding, no handlers,
and no rows made of what is found.
"""

import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.contender import Bench, Contender, Run
from benchmarks.contenders import CHECKOUT, shop_of
from ecom.harness.postgres import Cluster
from ecom.process.lifecycle import write_note
from ecom.runtime.tables import MACHINERY
from ecom.settings import Settings
from ecom.stores.postgres_reader import PostgresReader
from ecom.stores.postgres_schema import PostgresSchema
from ecom_lab.shop import SAGA, SERVICES

NAME = "the same statements"
RECORDING = Path(__file__).with_name("recording")  # the module that records them

Statement = tuple[float, Any, Any, bool]  # when, its text, its values, whether in a pipeline


@contextmanager
def recorded(bench: Bench, server: Cluster, warm_up: int, orders: int) -> Iterator[Contender]:
    """A contender whose first `warm_up` orders, and the `orders` after these, are what a shop did
    for as many."""
    with tempfile.TemporaryDirectory(prefix="ecom-bench-") as folder:
        path = f"{CHECKOUT}:{RECORDING}"
        told = {"PYTHONPATH": path, "BENCH_STATEMENTS": folder, "ECOM_BENCH_DATABASE": server.url}
        with Run(shop_of(CHECKOUT, "recorded", server.pid, **told), bench.url) as run:
            run.orders(warm_up)
            warm = time.time()
            run.orders(orders)
        yield Contender(
            name=NAME,
            command=lambda it: [sys.executable, "-m", __spec__.name, it, folder, str(warm)],
            place=_go_on,
            settle=lambda run: run.wait(lambda: _played(run), run.lines // len(SERVICES)),
            environment={"ECOM_DATABASE_URL": server.url},
            server=server.pid,
        )


def _go_on(run: Run, _: int) -> None:
    """Have each service play its next part."""
    for service in SERVICES:
        run.tell(f"{service}-1", "")


def _played(run: Run) -> int:
    """How many parts all services have played."""
    return min(len([*run.folder.glob(f"{it}.*.played")]) for it in SERVICES)


def _play(db: psycopg.Connection, part: list[Statement]) -> None:
    for piped, statements in groupby(part, itemgetter(3)):
        with db.pipeline() if piped else nullcontext():
            for _, text, values, _ in statements:
                db.execute(text, values)


def _main(service: str, folder: str, warm: str, settings: Settings) -> None:
    where = settings.database_url, f"{settings.shop}-{service}"
    with closing(PostgresSchema(*where)) as schema:
        schema.provision((*SAGA.services[service].rows, *MACHINERY), {})
    script = pickle.loads(Path(folder, f"{service}.statements").read_bytes())
    first = next(n for n, it in enumerate(script) if it[1].startswith("BEGIN"))
    parts: tuple[list[Statement], list[Statement]] = [], []
    for it in script[first:]:
        parts[it[0] > float(warm)].append(it)
    with closing(PostgresReader(*where)) as reader:
        db = reader.connected()
        write_note(settings.folder, service)
        for n, _ in enumerate(sys.stdin):  # to its end: who ends before it is a failure
            _play(db, parts[n])
            (settings.folder / f"{service}.{n}.played").touch()


if __name__ == "__main__":
    _main(*sys.argv[1:], Settings.from_environment())
