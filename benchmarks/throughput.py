"""Orders per second, from the first placed to the last quiet: ours, the floor's, the peers'.

Everybody in turns, as many rounds as there are runs. A ratio is the median of each round's own, so
that what slows the machine down for a while slows both sides of it.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.contender import Contender, Run
from benchmarks.contenders import COORDINATED, ECOM, peers
from benchmarks.floor import BARE, FLOOR
from benchmarks.stats import ratio, summary

WARM_UP = 50  # orders before the clock starts
PEER_SHARE = 10  # peers carry out a tenth of the orders: they are slow, and steady


def speed(run: Run, orders: int) -> tuple[float, float]:
    """Orders per second, and CPU milliseconds an order (broker included, if it is ours)."""
    run.orders(min(WARM_UP, orders))
    before = run.cpu()
    seconds = run.orders(orders)
    return orders / seconds, (run.cpu() - before) * 1000 / orders


def contenders(orders: int) -> list[tuple[Contender, int]]:
    """Everybody, and how many orders they are given."""
    few = max(1, orders // PEER_SHARE)
    ours = [(each, orders) for each in (ECOM, COORDINATED, FLOOR, BARE)]
    return [*ours, *((peer, few) for peer in peers().values())]


def throughput(url: str, orders: int, runs: int, step: Callable[[], None]) -> dict[str, Any]:
    """`contenders` by name, `orders_per_second`, `floor_ratio`, `bare_ratio`, `peer_ratios`."""
    speeds: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for _ in range(runs):
        for contender, n in contenders(orders):
            with Run(contender, url) as run:
                fast, cost = speed(run, n)
            speeds.setdefault(contender.name, []).append(fast)
            costs.setdefault(contender.name, []).append(cost)
            step()
    ratios = {name: ratio(speeds["ecom"], theirs) for name, theirs in speeds.items()}
    cost = {name: {"cpu_ms_per_order": round(median(costs[name]), 2)} for name in costs}
    return {
        "orders_per_second": round(median(speeds["ecom"]), 1),
        "floor_ratio": ratios.pop("floor"),
        "bare_ratio": ratios.pop("bare"),
        "peer_ratios": {name: ratio for name, ratio in ratios.items() if name != "ecom"},
        "contenders": {name: summary(speeds[name]) | cost[name] for name in speeds},
    }
