"""What more of everything does: orders, past orders, a backlog, processes of one service."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import Any

from benchmarks.contender import Run
from benchmarks.contenders import ECOM, EVENTS_EACH, tell
from benchmarks.throughput import WARM_UP, speed

# Times the number of orders; that number itself between the others, which are compared with it.
SIZES = (1, 0.1, 1, 5, 1, 20, 1)
BACKLOG = 20  # messages, times the number of orders
PAST = 100  # past orders, times the number of orders
REPLICAS = (1, 2, 4)
TURNS = 3  # with and without a past

# What a past order leaves for good: the inbox, outbox and effects of old ones are forgotten.
LASTING = {
    "order": {"orders": 1},
    "inventory": {"reservations": 1},
    "payment": {"payments": 1},
    "notification": {"told": 1},
    "audit": {"events": EVENTS_EACH},
}


def by_size(url: str, orders: int, step: Callable[[], None]) -> list[dict[str, Any]]:
    """Orders, orders per second, and the peak memory (MiB) of the largest process, by size."""
    speeds: dict[int, list[float]] = {}
    peaks: dict[int, float | None] = {}
    for factor in SIZES:
        n = max(1, int(orders * factor))
        with Run(ECOM, url) as run:
            speeds.setdefault(n, []).append(round(speed(run, n)[0], 1))
            peaks[n] = run.peak_mib()
        step()
    return [
        {"orders": n, "orders_per_second": median(speeds[n]), "peak_mib": peaks[n]}
        for n in sorted(speeds)
    ]


def backlog(url: str, orders: int, step: Callable[[], None]) -> dict[str, Any]:
    """Messages that piled up while audit was down, and how many a second it then handled."""
    n = max(1, orders * BACKLOG // EVENTS_EACH)
    confirmed = "SELECT count(*) FROM orders WHERE state = 'CONFIRMED'"
    with Run(ECOM, url) as run:
        run.orders(1)
        tell(run, "kill audit")
        run.place(n)
        run.wait(lambda: run.number("order", confirmed), n + 1, ECOM.patience)
        tell(run, "start audit")
        begun = time.monotonic()
        run.settle()
        rate = n * EVENTS_EACH / (time.monotonic() - begun)
        step()
        peak = run.peak_mib()
    return {"messages": n * EVENTS_EACH, "messages_per_second": round(rate, 1), "peak_mib": peak}


def with_a_past(url: str, orders: int, step: Callable[[], None]) -> dict[str, Any]:
    """Orders per second with empty databases, and with many past orders in them; in turns."""
    with Run(ECOM, url) as young, Run(ECOM, url) as old:
        for run in (young, old):
            run.orders(WARM_UP)
        _age(old, orders * PAST)
        turns = []
        for _ in range(TURNS):
            turns.append([orders / run.orders(orders) for run in (young, old)])
            step()
    return {
        "past_orders": orders * PAST,
        "without": round(median(without for without, _ in turns), 1),
        "with": round(median(with_ for _, with_ in turns), 1),
        "ratio": round(median(with_ / without for without, with_ in turns), 3),
    }


def _age(run: Run, orders: int) -> None:
    """Multiply the one order there is, under ids of their own."""
    for service, tables in LASTING.items():
        with closing(sqlite3.connect(run.folder / f"{service}.db", timeout=60)) as db:
            for table, each in tables.items():
                columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
                rest = ", ".join(columns[1:])
                db.execute(
                    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                    f"INSERT INTO {table} SELECT lower(hex(randomblob(16))), {rest} "
                    f"FROM n, (SELECT * FROM {table} LIMIT 1) WHERE i <= ?",
                    (orders * each, orders * each),
                )
            db.commit()


def by_replicas(url: str, orders: int, step: Callable[[], None]) -> list[dict[str, Any]]:
    """Orders per second with several processes of the inventory service."""
    points = []
    for number in REPLICAS:
        with Run(ECOM, url) as run:
            for replica in range(2, number + 1):
                tell(run, f"start inventory {replica}")
            rate = round(speed(run, orders)[0], 1)
        points.append({"processes": number, "orders_per_second": rate})
        step()
    return points


STEPS = len(SIZES) + 1 + TURNS + len(REPLICAS)


def scale(url: str, orders: int, step: Callable[[], None]) -> dict[str, Any]:
    """All of it."""
    return {
        "sizes": by_size(url, orders, step),
        "backlog": backlog(url, orders, step),
        "past": with_a_past(url, orders, step),
        "replicas": by_replicas(url, orders, step),
    }
