"""The floor on PostgreSQL: the statements of the five services and nothing else.

They are recorded once, while a shop carries out orders, and then executed as they were, with the
same values, in the same pipelines, on a connection a service: no broker, no decoding, no handlers,
and no rows made of what is found.
"""

import os
import pickle
import sys
import tempfile
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.contender import Bench, Contender, Run
from benchmarks.contenders import watched
from ecom.harness.postgres import Cluster
from ecom.process.lifecycle import write_note
from ecom.runtime.tables import MACHINERY
from ecom.settings import Settings, write_private
from ecom.stores.postgres_reader import PostgresReader, _Connection
from ecom.stores.postgres_schema import PostgresSchema
from ecom_lab.shop import SAGA, SERVICES

Statement = tuple[float, Any, Any, bool]  # when, its text, its values, whether in a pipeline


@contextmanager
def recorded(bench: Bench, server: Cluster, warm_up: int, orders: int) -> Iterator[Contender]:
    """A contender whose first `warm_up` orders, and the `orders` after these, are what a shop did
    for as many."""
    with tempfile.TemporaryDirectory(prefix="ecom-bench-") as folder:
        shop = replace(watched(f"{__spec__.name}:record", folder), server=server)
        with Run(shop, bench.url) as run:
            run.orders(warm_up)
            warm = time.time()
            run.orders(orders)
        yield Contender(
            name="the same statements",
            command=lambda it: [sys.executable, "-m", __spec__.name, it, folder, str(warm)],
            place=_go_on,
            settle=lambda run: run.wait(lambda: sum(map(run.done, SERVICES)), run.lines),
            server=server,
        )


def record() -> Callable[[], list[Statement]]:
    """Write down what this process executes; what returns it, once it is asked."""
    execute, executed = _Connection.execute, defaultdict[int, list[Statement]](list)

    def executing(self: _Connection, statement: Any, values: Any = None, **more: Any) -> Any:
        piped = self.pgconn.pipeline_status != 0
        executed[id(self)].append((time.time(), statement, values, piped))
        return execute(self, statement, values, **more)

    _Connection.execute = executing
    return lambda: max(executed.values(), key=len, default=[])  # its store's; others only read


def _go_on(run: Run, _: int) -> None:
    """Have each service play its next part."""
    for service in SERVICES:
        run.tell(service, "")


def _play(db: psycopg.Connection, part: list[Statement]) -> None:
    for piped, statements in groupby(part, itemgetter(3)):
        with db.pipeline() if piped else nullcontext():
            for _, text, values, _ in statements:
                db.execute(text, values)


def _main(service: str, folder: str, warm: str, settings: Settings) -> None:
    where = os.environ["ECOM_BENCH_DATABASE"], f"{settings.shop}-{service}"
    with closing(PostgresSchema(*where)) as schema:
        schema.provision((*SAGA.services[service].rows, *MACHINERY), {})
    script: list[Statement] = pickle.loads(Path(folder, service).read_bytes())
    first = next(n for n, it in enumerate(script) if it[1].startswith("BEGIN"))
    second = bisect(script, float(warm), key=itemgetter(0))
    parts = script[first:second], script[second:]
    with closing(PostgresReader(*where)) as reader:
        db = reader.connected()
        write_note(settings.folder, service)
        for n, _ in enumerate(sys.stdin):  # to its end: who ends before it is a failure
            _play(db, parts[n])
            write_private(settings.folder / f"{service}.done", str(n + 1))


if __name__ == "__main__":
    _main(*sys.argv[1:], Settings.from_environment())
