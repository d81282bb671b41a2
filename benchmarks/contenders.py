"""The peers: the same saga in plain pika, FastStream, Celery, Dramatiq and Nameko.

They live in `benchmarks/peers/` of a checkout, each in a folder with its own requirements and,
once `benchmarks/peers/setup` has run, an environment of its own.
"""

import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.contender import Contender, Run
from ecom.bus import declare
from ecom_lab.shop import CONTRACT, SERVICES

CHECKOUT = Path(__file__).absolute().parents[1]
FOLDER = CHECKOUT / "benchmarks" / "peers"
NAMES = ("pika", "faststream", "celery", "dramatiq", "nameko")
EVENTS_EACH = 5  # events of an order that succeeds


def interpreter(name: str) -> Path:
    """The Python that a peer runs in; plain pika needs no other than ours."""
    if name == "pika":
        return Path(sys.executable)
    return CHECKOUT / ".ecom" / "peers" / name / "bin" / "python"


def peers() -> dict[str, Contender]:
    """Those that are set up, by name."""
    return {name: _peer(name) for name in NAMES
            if (FOLDER / name / "run.py").exists() and interpreter(name).exists()}  # fmt: skip


def missing() -> list[str]:
    """The names of those that are not."""
    return [name for name in NAMES if name not in peers()]


def _peer(name: str) -> Contender:
    return Contender(
        name=name,
        command=lambda service: [str(interpreter(name)), "run.py", service],
        prepare=lambda run: declare(CONTRACT, run.url, run.shop),
        place=_place,
        settled=_settled,
        environment={"PYTHONPATH": str(FOLDER)},
        cwd=FOLDER / name,
        processes=(*SERVICES, "place"),
    )


def _place(run: Run, n: int) -> float:
    begun = time.time()
    place = run.processes["place-1"].stdin
    place.write(f"{n}\n".encode())
    place.flush()
    return begun


def _settled(run: Run) -> int:
    """Orders whose customer was told and whose events are in the log."""
    told = _number(run.folder / "notification.db", "SELECT count(*) FROM told")
    logged = _number(run.folder / "audit.db", "SELECT count(*) FROM events")
    return min(told, logged // EVENTS_EACH)


def _number(path: Path, query: str) -> int:
    with suppress(sqlite3.OperationalError):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return db.execute(query).fetchone()[0]
        finally:
            db.close()
    return 0
