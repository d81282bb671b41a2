"""Orders per second, from the first placed to the last quiet: ours, the floor's, the peers'; and
on PostgreSQL, whose CPU is included.

Everybody in turns, as many rounds as there are runs. A ratio is the median of each round's own, so
that what slows the machine down for a while slows both sides of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.contender import WARM_UP, Bench, Contender, Run
from benchmarks.contenders import COORDINATED, ECOM, peers, peers_on, tell
from benchmarks.floor import BARE, FLOOR
from benchmarks.statements import recorded
from benchmarks.stats import ratio, summary
from ecom.harness.postgres import Cluster
from ecom_lab.shop import SERVICES

FLOOR_SIZE = 0.25  # the floor on PostgreSQL is a quarter of the orders: its statements are recorded
ON_SERVER = "on PostgreSQL"
FOUR = tuple(f"start {service} {n}" for service in SERVICES for n in (2, 3, 4))
SPEED, COST = "orders per second", "CPU of an order, ms"


def speed(run: Run, orders: int) -> dict[str, float]:
    """`SPEED`, and `COST` (broker included, if it is ours)."""
    run.orders(min(WARM_UP, orders))
    before = run.cpu()
    seconds = run.orders(orders)
    return {SPEED: orders / seconds, COST: (run.cpu() - before) * 1000 / orders}


def turns(
    bench: Bench, players: Iterable[Contender], measure: Callable[[Run, int], dict[str, float]]
) -> dict[str, dict[str, list[float]]]:
    """What was measured → by name of each contender, its values, one a turn."""
    seen: dict[str, dict[str, list[float]]] = {}
    for contender in players:
        with Run(contender, bench.url) as run:
            for line in contender.begins:
                tell(run, line)
            found = measure(run, bench.share(contender.size))
        for what, value in found.items():
            seen.setdefault(what, {}).setdefault(contender.name, []).append(value)
    return seen


def _told(seen: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """A summary of each contender."""
    return {
        name: summary(values) | {"cpu_ms_per_order": round(median(seen[COST][name]), 2)}
        for name, values in seen[SPEED].items()
    }


def _ratios(by_name: dict[str, list[float]], name: str) -> dict[str, float]:
    """What this one does, as a share of what each does."""
    return {other: ratio(by_name[name], theirs) for other, theirs in by_name.items()}


def throughput(bench: Bench) -> dict[str, Any]:
    """`contenders` by name, `orders_per_second`, `floor_ratio`, `bare_ratio`, `peer_ratios`."""
    players = [ECOM, COORDINATED, FLOOR, BARE, *peers()]
    seen = turns(bench, players * bench.runs, speed)
    ratios = _ratios(seen[SPEED], "ecom")
    return {
        "orders_per_second": round(median(seen[SPEED]["ecom"]), 1),
        "floor_ratio": ratios.pop("floor"),
        "bare_ratio": ratios.pop("bare"),
        "peer_ratios": {name: ratio for name, ratio in ratios.items() if name != "ecom"},
        "contenders": _told(seen),
    }


def postgres(bench: Bench) -> dict[str, Any]:
    """`contenders` by name; by name of another one, `speed_ratios` and `cost_ratios`: what the
    shop on PostgreSQL does in a second, or an order costs there, as a share of the other's.

    All that is on PostgreSQL is on one server, in schemas of its own. Who shares a row waits for
    its commits, so two processes of inventory, and four of every service, are measured as well.
    """
    quarter = bench.share(FLOOR_SIZE)
    with Cluster() as server, recorded(bench, server, min(WARM_UP, quarter), quarter) as floor:
        shop = replace(ECOM, name=ON_SERVER, server=server)
        players = [
            ECOM,
            shop,
            replace(shop, name="two of inventory", begins=("start inventory 2",)),
            replace(shop, name="four of each", begins=FOUR),
            replace(floor, size=FLOOR_SIZE),
            *peers_on(server),
        ]
        seen = turns(bench, players * bench.runs, speed)
    return {
        "contenders": _told(seen),
        "speed_ratios": _ratios(seen[SPEED], ON_SERVER),
        "cost_ratios": _ratios(seen[COST], ON_SERVER),
    }
