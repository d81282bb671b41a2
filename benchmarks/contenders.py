"""Who is measured: the shop, of this checkout or of another, and its peers.

The peers are the same saga in plain pika, FastStream, Celery, Dramatiq and Nameko. They live in
`benchmarks/peers/`, each in a folder with its own requirements and, once `benchmarks/peers/setup`
has run, an environment of its own.
"""

import os
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.contender import Contender, Run
from benchmarks.shop import SETTLE_SECONDS
from ecom.bus import declare
from ecom_lab.shop import CONTRACT, SERVICES

CHECKOUT = Path(__file__).absolute().parents[1]
FOLDER = CHECKOUT / "benchmarks" / "peers"
NAMES = ("pika", "faststream", "celery", "dramatiq", "nameko")
_LASTING = ("notification", "told"), ("audit", "events")
_PATH = {"PYTHONPATH": str(FOLDER)}
EVENTS_EACH = 5  # events of an order that succeeds


def shop_of(checkout: Path, name: str, server: int = 0, **more: str) -> Contender:
    """The shop of a checkout, run by the Python of its own environment, if it has one; `server` is
    the process of its database server, `more` of that process's environment."""
    python = checkout / ".venv" / "bin" / "python"
    script = CHECKOUT / "benchmarks" / "shop.py"
    private = {} if "ECOM_AMQP_URL" in os.environ else {"ECOM_BENCH_PRIVATE": "yes"}
    return Contender(
        name=name,
        # -P: beside the script lies more than it may import.
        command=lambda _: [str(python if python.exists() else sys.executable), "-P", str(script)],
        prepare=lambda _: None,
        place=lambda run, n: run.tell("shop-1", f"place {n}"),
        settled=_settled,
        environment={"PYTHONPATH": str(checkout), **private, **more},
        cwd=checkout,
        processes=("shop",),
        patience=SETTLE_SECONDS + 60,
        server=server,
    )


def _settled(run: Run) -> int:
    """All or nothing: the shop itself waits until all is quiet."""
    if run.lines[-1] != "settle":
        run.tell("shop-1", "settle")
    return run.placed if done(run) else 0


def done(run: Run) -> bool:
    """Whether a shop has done all that it was told."""
    told = run.folder / "told"
    return told.exists() and told.read_text() == str(len(run.lines))


def tell(run: Run, line: str) -> None:
    """Have a shop do something, and wait until it has done so."""
    run.tell("shop-1", line)
    run.wait(lambda: done(run), 1, SETTLE_SECONDS)


ECOM = shop_of(CHECKOUT, "ecom")
COORDINATED = shop_of(CHECKOUT, "with a coordinator", ECOM_BENCH_SAGA="orchestration")


def interpreter(name: str) -> Path:
    """The Python that a peer runs in; plain pika needs no other than ours."""
    if name == "pika":
        return Path(sys.executable)
    return CHECKOUT / ".ecom" / "peers" / name / "bin" / "python"


def peers() -> dict[str, Contender]:
    """Those that are set up, by name."""
    return {name: _peer(name) for name in NAMES if interpreter(name).exists()}


def missing() -> list[str]:
    """The names of those that are not."""
    return [name for name in NAMES if name not in peers()]


def peer_on(url: str, server: int) -> Contender:
    """Plain pika with psycopg, on this database server."""
    on = {"server": server, "environment": {**_PATH, "ECOM_DATABASE_URL": url}}
    return replace(_peer("pika"), name="pika and psycopg", settled=partial(_told_on, url), **on)


def _peer(name: str) -> Contender:
    return Contender(
        name=name,
        command=lambda service: [str(interpreter(name)), "run.py", service],
        prepare=lambda run: declare(CONTRACT, run.url, run.shop),
        place=lambda run, n: run.tell("place-1", str(n)),
        settled=_told,
        environment=_PATH,
        cwd=FOLDER / name,
        processes=(*SERVICES, "place"),
    )


def _told(run: Run) -> int:
    """Orders whose customer was told and whose events are in the log."""
    told = run.number("notification", "SELECT count(*) FROM told")
    return min(told, run.number("audit", "SELECT count(*) FROM events") // EVENTS_EACH)


def _told_on(url: str, run: Run) -> int:
    """The same on a database server."""
    tables = (sql.Identifier(f"{run.shop}-{its}", table) for its, table in _LASTING)
    count = sql.SQL("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})").format(*tables)
    with suppress(psycopg.errors.UndefinedTable), psycopg.connect(url) as db:
        told, events = db.execute(count).fetchone()
        return min(told, events // EVENTS_EACH)
    return 0
