"""How long one order takes on an idle system: ours, and plain pika's, in turns.

From the moment at which the order service writes the order down to the moment at which somebody
else, looking into its database, finds it CONFIRMED. HTTP is not in it, as plain pika has none.
"""

import sqlite3
import time
from contextlib import closing
from typing import Any

from benchmarks.contender import Bench, BenchFailed, Run
from benchmarks.contenders import ECOM, PIKA
from benchmarks.stats import percentiles

ROUNDS = 4  # turns that each takes
IDLE_SECONDS = 0.02  # between two orders
LOOK_SECONDS = 0.0002
PATIENCE = 30.0

_CONFIRMED = "SELECT count(*), max(placed_at) FROM orders WHERE state = 'CONFIRMED'"


def latency(bench: Bench) -> dict[str, Any]:
    """By name: p50, p95, p99 in milliseconds of `samples` orders; `ratio_p50`, `ratio_p99`."""
    seen: dict[str, list[float]] = {"ecom": [], "pika": []}
    with Run(ECOM, bench.url) as ecom, Run(PIKA, bench.url) as pika:
        for run in (ecom, pika):
            run.orders(20)
        for _ in range(ROUNDS):
            for run in (ecom, pika):
                seen[run.contender.name] += [one(run) for _ in range(bench.samples // ROUNDS)]
    ours, theirs = (percentiles(each) for each in seen.values())
    ratios = {f"ratio_{p}": round(ours[p] / theirs[p], 2) for p in ("p50", "p99")}
    return {"ecom": ours, "pika": theirs, **ratios}


def one(run: Run) -> float:
    """Milliseconds of one order."""
    time.sleep(IDLE_SECONDS)
    run.place(1)
    deadline = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(f"file:{run.folder}/order.db?mode=ro", uri=True)) as db:
        while time.monotonic() < deadline:
            confirmed, placed_at = db.execute(_CONFIRMED).fetchone()
            if confirmed >= run.placed:
                taken = time.time() - placed_at
                run.settle()
                return taken * 1000
            time.sleep(LOOK_SECONDS)
    raise BenchFailed(f"{run.contender.name}: an order took more than {PATIENCE:g} s")
