"""Who is measured: the shop, of this checkout or of another, and its peers.

The peers are the same saga in plain pika, FastStream, Celery, Dramatiq, Nameko and DBOS. They live
in `benchmarks/peers/`, each in a folder with its own requirements and, once
`benchmarks/peers/setup` has run, an environment of its own.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg

from benchmarks.contender import Contender, Run
from benchmarks.shop import SETTLE_SECONDS
from ecom.harness.postgres import Cluster
from ecom_lab.shop import SERVICES

CHECKOUT = Path(__file__).absolute().parents[1]
FOLDER = CHECKOUT / "benchmarks" / "peers"
NAMES = ("pika", "faststream", "celery", "dramatiq", "nameko")
EVENTS_EACH = 5  # events of an order that succeeds
PEER_SIZE = 0.1  # peers carry out a tenth of the orders: they are slow, and steady


def shop_of(checkout: Path, name: str, **more: str) -> Contender:
    """The shop of a checkout, run by the Python of its own environment, if it has one; `more` is of
    its environment."""
    python = checkout / ".venv" / "bin" / "python"
    script = CHECKOUT / "benchmarks" / "shop.py"
    return Contender(
        name=name,
        # -P: beside the script lies more than it may import.
        command=lambda _: [str(python if python.exists() else sys.executable), "-P", str(script)],
        place=lambda run, n: run.tell("shop", f"place {n}"),
        settle=lambda run: tell(run, "settle"),
        environment={"PYTHONPATH": str(checkout), **more},
        cwd=checkout,
        processes=("shop",),
    )


def watched(watch: str, folder: str) -> Contender:
    """The shop, each of whose processes leaves in `folder` what it saw of itself; by the function
    `watch`, "module:function" (see `benchmarks/inside/sitecustomize.py`)."""
    path = f"{CHECKOUT}:{CHECKOUT / 'benchmarks' / 'inside'}"
    return shop_of(CHECKOUT, "watched", PYTHONPATH=path, BENCH_WATCH=watch, BENCH_FOLDER=folder)


def tell(run: Run, line: str) -> None:
    """Have a shop do something, and wait until it has done all that it was told."""
    run.tell("shop", line)
    run.wait(lambda: run.done("shop"), run.lines, SETTLE_SECONDS + 60)


ECOM = shop_of(CHECKOUT, "ecom")
COORDINATED = shop_of(CHECKOUT, "with a coordinator", ECOM_BENCH_SAGA="orchestration")


def interpreter(name: str) -> Path:
    """The Python that a peer runs in; plain pika needs no other than ours."""
    if name == "pika":
        return Path(sys.executable)
    return CHECKOUT / ".ecom" / "peers" / name / "bin" / "python"


def missing() -> list[str]:
    """The names of the peers that are not set up."""
    return [name for name in (*NAMES, "dbos") if not interpreter(name).exists()]


def _peer(name: str) -> Contender:
    command = str(interpreter(name)), str(FOLDER / name / "run.py")
    return Contender(
        name=name,
        command=lambda service: [*command, service],
        place=lambda run, n: run.tell("place", str(n)),
        settle=lambda run: run.wait(lambda: _told(run), run.placed),
        declares=True,
        environment={"PYTHONPATH": str(FOLDER)},
        processes=(*SERVICES, "place"),
        size=PEER_SIZE,
    )


PIKA = _peer("pika")


def peers() -> list[Contender]:
    """Those that are set up."""
    return [_peer(name) for name in NAMES if name not in missing()]


def peers_on(server: Cluster) -> list[Contender]:
    """Plain pika with psycopg and, if it is set up, DBOS, both on this database server."""
    pika = replace(PIKA, name="pika and psycopg", server=server)
    work = {"declares": False, "processes": ("worker", "place")}
    dbos = replace(_peer("dbos"), name="DBOS", server=server, **work)
    return [pika] if "dbos" in missing() else [pika, dbos]


def _told(run: Run) -> int:
    """Orders whose customer was told and whose events are in the log."""
    told = events = 0
    if server := run.contender.server:
        both = f'-csearch_path="{run.shop}-notification","{run.shop}-audit"'
        absent = psycopg.errors.UndefinedTable
        with suppress(absent), psycopg.connect(server.url, options=both) as db:
            query = "SELECT (SELECT count(*) FROM told), (SELECT count(*) FROM events)"
            told, events = db.execute(query).fetchone()
    else:
        told = run.number("notification", "SELECT count(*) FROM told")
        events = run.number("audit", "SELECT count(*) FROM events")
    return min(told, events // EVENTS_EACH)
