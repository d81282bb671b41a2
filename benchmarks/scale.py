"""What more of everything does: orders, past orders, a backlog, processes of one service."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.contender import WARM_UP, Bench, Contender, Run
from benchmarks.contenders import ECOM, EVENTS_EACH, tell
from benchmarks.throughput import SPEED, speed, turns

# Times the number of orders; that number itself between the others, which are compared with it.
SIZES = (0.1, 1, 5, 1, 20, 1)
BACKLOG = 20  # messages, times the number of orders
PAST = 100  # past orders, times the number of orders
REPLICAS = (1, 2, 4)
TURNS = 3  # with and without a past
PEAK = "largest process, MiB"

# What a past order leaves for good: the inbox, outbox and effects of old ones are forgotten.
LASTING = {
    "order": ("orders", 1),
    "inventory": ("reservations", 1),
    "payment": ("payments", 1),
    "notification": ("told", 1),
    "audit": ("events", EVENTS_EACH),
}
Row = dict[str, Any]  # `what`, how many `per_second`, the `peak_mib` of a process if it was taken


def scale(bench: Bench) -> dict[str, list[Row]]:
    """Rows of `sizes`, which have their `orders`, and of all `others`."""
    sizes = [replace(ECOM, name=f"{bench.share(it):,} orders", size=it) for it in SIZES]
    replicas = [f"start inventory {n}" for n in range(2, max(REPLICAS) + 1)]
    several = [
        replace(ECOM, name=f"{n} processes of inventory", begins=tuple(replicas[: n - 1]))
        for n in REPLICAS
    ]
    rows = _played(bench, sizes)
    others = [_backlog(bench), *_with_a_past(bench), *_played(bench, several)]
    known = zip(dict.fromkeys(map(bench.share, SIZES)), rows, strict=True)
    return {"sizes": [{"orders": n, **row} for n, row in known], "others": others}


def _played(bench: Bench, players: list[Contender]) -> list[Row]:
    """A row for each name, of the median of those who have it."""
    seen = turns(bench, players, lambda run, n: speed(run, n) | {PEAK: run.peak_mib()})
    return [_row(name, median(it), seen[PEAK][name][-1]) for name, it in seen[SPEED].items()]


def _row(what: str, per_second: float, peak_mib: float | None = None) -> Row:
    return {"what": what, "per_second": round(per_second, 1), "peak_mib": peak_mib}


def _backlog(bench: Bench) -> Row:
    """Messages that piled up while audit was down, and how many a second it then handled."""
    n = bench.share(BACKLOG / EVENTS_EACH)
    confirmed = "SELECT count(*) FROM orders WHERE state = 'CONFIRMED'"
    with Run(ECOM, bench.url) as run:
        run.orders(1)
        tell(run, "kill audit")
        run.place(n)
        run.wait(lambda: run.number("order", confirmed), n + 1, 600.0)
        tell(run, "start audit")
        begun = time.monotonic()
        run.settle()
        rate = n * EVENTS_EACH / (time.monotonic() - begun)
        return _row(f"backlog of {n * EVENTS_EACH:,} messages", rate, run.peak_mib())


def _with_a_past(bench: Bench) -> list[Row]:
    """Orders per second with empty databases, and with many past orders in them; in turns."""
    past = bench.orders * PAST
    with Run(ECOM, bench.url) as young, Run(ECOM, bench.url) as old:
        for run in (young, old):
            run.orders(WARM_UP)
        _age(old, past)
        rounds = [[it.orders(bench.orders) for it in (young, old)] for _ in range(TURNS)]
    without, with_ = (bench.orders / median(seconds) for seconds in zip(*rounds, strict=True))
    return [_row("no past orders", without), _row(f"{past:,} past orders", with_)]


def _age(run: Run, orders: int) -> None:
    """Multiply the one order there is, under ids of their own."""
    for service, (table, each) in LASTING.items():
        with closing(sqlite3.connect(run.folder / f"{service}.db", timeout=60)) as db:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rest = ", ".join(columns[1:])
            db.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                f"INSERT INTO {table} SELECT lower(hex(randomblob(16))), {rest} "
                f"FROM n, (SELECT * FROM {table} LIMIT 1) WHERE i <= ?",
                (orders * each, orders * each),
            )
            db.commit()
