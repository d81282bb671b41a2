"""Orders per second, from the first accepted to the last quiet: ours, the floor's, the peers'.

Everybody in turns, as many rounds as there are runs. A ratio is the median of each round's own, so
that what slows the machine down for a while slows both sides of it.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.contender import Contender, Run
from benchmarks.contenders import peers
from benchmarks.floor import BARE, FLOOR
from benchmarks.ours import ECOM
from benchmarks.stats import summary

WARM_UP = 50  # orders before the clock starts
PEER_SHARE = 10  # peers carry out a tenth of the orders: they are slow, and steady


def one_run(contender: Contender, url: str, orders: int) -> tuple[float, float | None]:
    """Orders per second, and CPU milliseconds an order (broker included, if known)."""
    with Run(contender, url) as run:
        run.orders(min(WARM_UP, orders))
        before = run.cpu()
        seconds = run.orders(orders)
        after = run.cpu()
        spent = None if before is None or after is None else (after - before) * 1000 / orders
        return orders / seconds, spent


def contenders(orders: int) -> list[tuple[Contender, int]]:
    """Everybody, and how many orders they are given."""
    few = max(1, orders // PEER_SHARE)
    return [
        *((each, orders) for each in (ECOM, FLOOR, BARE)),
        *((peer, few) for peer in peers().values()),
    ]


def throughput(url: str, orders: int, runs: int, step: Callable[[], None]) -> dict[str, Any]:
    """`contenders` by name, `orders_per_second`, `floor_ratio`, `bare_ratio`, `peer_ratios`."""
    speeds: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for _ in range(runs):
        for contender, n in contenders(orders):
            speed, cost = one_run(contender, url, n)
            speeds.setdefault(contender.name, []).append(speed)
            costs.setdefault(contender.name, []).append(cost)
            step()
    ratios = {name: _ratio(speeds["ecom"], theirs) for name, theirs in speeds.items()}
    return {
        "orders_per_second": round(median(speeds["ecom"]), 1),
        "floor_ratio": ratios.pop("floor"),
        "bare_ratio": ratios.pop("bare"),
        "peer_ratios": {name: ratio for name, ratio in ratios.items() if name != "ecom"},
        "contenders": {name: summary(speeds[name]) | _cost(costs[name]) for name in speeds},
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return round(median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def _cost(spent: list[float | None]) -> dict[str, float | None]:
    return {"cpu_ms_per_order": None if None in spent else round(median(spent), 2)}
