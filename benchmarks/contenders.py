"""Who is measured: the shop, of this checkout or of another, and its peers.

The peers are the same saga in plain pika, FastStream, Celery, Dramatiq, Nameko and DBOS. They live
in `benchmarks/peers/`, each in a folder with its own requirements and, once
`benchmarks/peers/setup` has run, an environment of its own.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.contender import Contender, Run
from benchmarks.shop import SETTLE_SECONDS
from ecom_lab.shop import SERVICES

CHECKOUT = Path(__file__).absolute().parents[1]
FOLDER = CHECKOUT / "benchmarks" / "peers"
NAMES = ("pika", "faststream", "celery", "dramatiq", "nameko")
EVENTS_EACH = 5  # events of an order that succeeds


def shop_of(checkout: Path, name: str, server: int = 0, **more: str) -> Contender:
    """The shop of a checkout, run by the Python of its own environment, if it has one; `server` is
    the process of its database server, `more` of that process's environment."""
    python = checkout / ".venv" / "bin" / "python"
    script = CHECKOUT / "benchmarks" / "shop.py"
    return Contender(
        name=name,
        # -P: beside the script lies more than it may import.
        command=lambda _: [str(python if python.exists() else sys.executable), "-P", str(script)],
        place=lambda run, n: run.tell("shop-1", f"place {n}"),
        settle=lambda run: tell(run, "settle"),
        environment={"PYTHONPATH": str(checkout), **more},
        cwd=checkout,
        processes=("shop",),
        server=server,
    )


def tell(run: Run, line: str) -> None:
    """Have a shop do something, and wait until it has done all that it was told."""
    run.tell("shop-1", line)
    told = run.folder / "told"
    run.wait(lambda: told.exists() and told.read_text() == str(run.lines), 1, SETTLE_SECONDS + 60)


ECOM = shop_of(CHECKOUT, "ecom")
COORDINATED = shop_of(CHECKOUT, "with a coordinator", ECOM_BENCH_SAGA="orchestration")


def interpreter(name: str) -> Path:
    """The Python that a peer runs in; plain pika needs no other than ours."""
    if name == "pika":
        return Path(sys.executable)
    return CHECKOUT / ".ecom" / "peers" / name / "bin" / "python"


def peers() -> dict[str, Contender]:
    """Those that are set up, by name."""
    return {name: _peer(name, name, _told) for name in NAMES if interpreter(name).exists()}


def missing() -> list[str]:
    """The names of those that are not."""
    return [name for name in (*NAMES, "dbos") if not interpreter(name).exists()]


def peers_on(url: str, server: int) -> list[Contender]:
    """Plain pika with psycopg and, if it is set up, DBOS, both on this database server."""
    on = {"told": partial(_told_on, url), "server": server, "ECOM_DATABASE_URL": url}
    dbos = replace(_peer("dbos", "DBOS", **on), declares=False, processes=("worker", "place"))
    found = [_peer("pika", "pika and psycopg", **on), dbos]
    return found if interpreter("dbos").exists() else found[:1]


def _peer(
    folder: str, name: str, told: Callable[[Run], int], server: int = 0, **more: str
) -> Contender:
    return Contender(
        name=name,
        command=lambda service: [str(interpreter(folder)), "run.py", service],
        place=lambda run, n: run.tell("place-1", str(n)),
        settle=lambda run: run.wait(lambda: told(run), run.placed),
        declares=True,
        environment={"PYTHONPATH": str(FOLDER), **more},
        cwd=FOLDER / folder,
        processes=(*SERVICES, "place"),
        server=server,
    )


def _told(run: Run) -> int:
    """Orders whose customer was told and whose events are in the log."""
    told = run.number("notification", "SELECT count(*) FROM told")
    return min(told, run.number("audit", "SELECT count(*) FROM events") // EVENTS_EACH)


def _told_on(url: str, run: Run) -> int:
    """The same on a database server."""
    places = ("notification", "told"), ("audit", "events")
    tables = (sql.Identifier(f"{run.shop}-{its}", table) for its, table in places)
    count = sql.SQL("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})").format(*tables)
    with suppress(psycopg.errors.UndefinedTable), psycopg.connect(url) as db:
        told, events = db.execute(count).fetchone()
        return min(told, events // EVENTS_EACH)
    return 0
