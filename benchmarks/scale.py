"""What more of everything does: orders, past orders, a backlog, processes of one service."""

import sqlite3
import time
from contextlib import closing
from statistics import median
from typing import Any

from benchmarks.contender import Bench, Run
from benchmarks.contenders import ECOM, EVENTS_EACH, tell
from benchmarks.throughput import SPEED, WARM_UP, speed

# Times the number of orders; that number itself between the others, which are compared with it.
SIZES = (1, 0.1, 1, 5, 1, 20, 1)
BACKLOG = 20  # messages, times the number of orders
PAST = 100  # past orders, times the number of orders
REPLICAS = (1, 2, 4)
TURNS = 3  # with and without a past
STEPS = len(SIZES) + 1 + TURNS + len(REPLICAS)

# What a past order leaves for good: the inbox, outbox and effects of old ones are forgotten.
LASTING = {
    "order": ("orders", 1),
    "inventory": ("reservations", 1),
    "payment": ("payments", 1),
    "notification": ("told", 1),
    "audit": ("events", EVENTS_EACH),
}


def scale(bench: Bench) -> dict[str, Any]:
    """All of it."""
    return {
        "sizes": _by_size(bench),
        "backlog": _backlog(bench),
        "past": _with_a_past(bench),
        "replicas": _by_replicas(bench),
    }


def _by_size(bench: Bench) -> list[dict[str, Any]]:
    """Orders, orders per second, and the peak memory (MiB) of the largest process, by size."""
    speeds: dict[int, list[float]] = {}
    peaks: dict[int, float | None] = {}
    for factor in SIZES:
        n = max(1, int(bench.orders * factor))
        with Run(ECOM, bench.url) as run:
            speeds.setdefault(n, []).append(round(speed(run, n)[SPEED], 1))
            peaks[n] = run.peak_mib()
        bench.step()
    return [
        {"orders": n, "orders_per_second": median(speeds[n]), "peak_mib": peaks[n]}
        for n in sorted(speeds)
    ]


def _backlog(bench: Bench) -> dict[str, Any]:
    """Messages that piled up while audit was down, and how many a second it then handled."""
    n = max(1, bench.orders * BACKLOG // EVENTS_EACH)
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
        bench.step()
        peak = run.peak_mib()
    return {"messages": n * EVENTS_EACH, "messages_per_second": round(rate, 1), "peak_mib": peak}


def _with_a_past(bench: Bench) -> dict[str, Any]:
    """Orders per second with empty databases, and with many past orders in them; in turns."""
    past, turns = bench.orders * PAST, []
    with Run(ECOM, bench.url) as young, Run(ECOM, bench.url) as old:
        for run in (young, old):
            run.orders(WARM_UP)
        _age(old, past)
        for _ in range(TURNS):
            turns.append([bench.orders / run.orders(bench.orders) for run in (young, old)])
            bench.step()
    return {
        "past_orders": past,
        "without": round(median(without for without, _ in turns), 1),
        "with": round(median(with_ for _, with_ in turns), 1),
        "ratio": round(median(with_ / without for without, with_ in turns), 3),
    }


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


def _by_replicas(bench: Bench) -> list[dict[str, Any]]:
    """Orders per second with several processes of the inventory service."""
    points = []
    for number in REPLICAS:
        with Run(ECOM, bench.url) as run:
            for replica in range(2, number + 1):
                tell(run, f"start inventory {replica}")
            rate = round(speed(run, bench.orders)[SPEED], 1)
        points.append({"processes": number, "orders_per_second": rate})
        bench.step()
    return points
