"""Orders per second, from the first placed to the last quiet: ours, the floor's, the peers'.

Everybody in turns, as many rounds as there are runs. A ratio is the median of each round's own, so
that what slows the machine down for a while slows both sides of it.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.contender import Contender, Run
from benchmarks.contenders import COORDINATED, ECOM, peers, tell
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


def turns(
    playing: list[tuple[Contender, int, tuple[str, ...]]],
    url: str,
    runs: int,
    step: Callable[[], None],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Speeds, and costs, of contenders by name; each is told some lines before its orders."""
    speeds: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for _ in range(runs):
        for contender, n, lines in playing:
            with Run(contender, url) as run:
                for line in lines:
                    tell(run, line)
                fast, cost = speed(run, n)
            speeds.setdefault(contender.name, []).append(fast)
            costs.setdefault(contender.name, []).append(cost)
            step()
    return speeds, costs


def told(speeds: dict[str, list[float]], costs: dict[str, list[float]]) -> dict[str, Any]:
    """A summary of each contender."""
    cost = {name: {"cpu_ms_per_order": round(median(costs[name]), 2)} for name in costs}
    return {name: summary(speeds[name]) | cost[name] for name in speeds}


def throughput(url: str, orders: int, runs: int, step: Callable[[], None]) -> dict[str, Any]:
    """`contenders` by name, `orders_per_second`, `floor_ratio`, `bare_ratio`, `peer_ratios`."""
    speeds, costs = turns([(*each, ()) for each in contenders(orders)], url, runs, step)
    ratios = {name: ratio(speeds["ecom"], theirs) for name, theirs in speeds.items()}
    return {
        "orders_per_second": round(median(speeds["ecom"]), 1),
        "floor_ratio": ratios.pop("floor"),
        "bare_ratio": ratios.pop("bare"),
        "peer_ratios": {name: ratio for name, ratio in ratios.items() if name != "ecom"},
        "contenders": told(speeds, costs),
    }
