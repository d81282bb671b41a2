"""Orders per second, from the first placed to the last quiet: ours, the floor's, the peers'; and
on PostgreSQL, whose CPU is included.

Everybody in turns, as many rounds as there are runs. A ratio is the median of each round's own, so
that what slows the machine down for a while slows both sides of it.
"""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from benchmarks.contender import Bench, Contender, Run
from benchmarks.contenders import CHECKOUT, COORDINATED, ECOM, peers, peers_on, shop_of, tell
from benchmarks.floor import BARE, FLOOR
from benchmarks.statements import recorded
from benchmarks.stats import ratio, summary
from ecom.harness.postgres import Cluster
from ecom_lab.shop import SERVICES

WARM_UP = 50  # orders before the clock starts
PEER_SHARE = 10  # peers carry out a tenth of the orders: they are slow, and steady
FLOOR_SHARE = 4  # and the floor on PostgreSQL a quarter: its statements are recorded
ON_SERVER = "on PostgreSQL"
TWO = ("start inventory 2",)
FOUR = tuple(f"start {service} {n}" for service in SERVICES for n in (2, 3, 4))
SPEED, COST = "orders per second", "CPU of an order, ms"

# Who is measured, by how many orders, and what a shop is told before them.
Player = tuple[Contender, int, tuple[str, ...]]


def speed(run: Run, orders: int) -> dict[str, float]:
    """`SPEED`, and `COST` (broker included, if it is ours)."""
    run.orders(min(WARM_UP, orders))
    before = run.cpu()
    seconds = run.orders(orders)
    return {SPEED: orders / seconds, COST: (run.cpu() - before) * 1000 / orders}


def turns(
    bench: Bench, rounds: Iterable[list[Player]], measure: Callable[[Run, int], dict[str, float]]
) -> dict[str, dict[str, list[float]]]:
    """What was measured → by name of each contender, its values in all rounds."""
    seen: dict[str, dict[str, list[float]]] = {}
    for players in rounds:
        for contender, orders, lines in players:
            with Run(contender, bench.url) as run:
                for line in lines:
                    tell(run, line)
                found = measure(run, orders)
            for what, value in found.items():
                seen.setdefault(what, {}).setdefault(contender.name, []).append(value)
    return seen


def _told(seen: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """A summary of each contender."""
    cost = {name: {"cpu_ms_per_order": round(median(it), 2)} for name, it in seen[COST].items()}
    return {name: summary(values) | cost[name] for name, values in seen[SPEED].items()}


def _ratios(by_name: dict[str, list[float]], name: str) -> dict[str, float]:
    """What this one does, as a share of what each does."""
    return {other: ratio(by_name[name], theirs) for other, theirs in by_name.items()}


def throughput(bench: Bench) -> dict[str, Any]:
    """`contenders` by name, `orders_per_second`, `floor_ratio`, `bare_ratio`, `peer_ratios`."""
    players = [(each, bench.orders, ()) for each in (ECOM, COORDINATED, FLOOR, BARE)]
    few = max(1, bench.orders // PEER_SHARE)
    players += ((peer, few, ()) for peer in peers().values())
    seen = turns(bench, [players] * bench.runs, speed)
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
    quarter = max(1, bench.orders // FLOOR_SHARE)
    with Cluster() as server, recorded(bench, server, min(WARM_UP, quarter), quarter) as floor:

        def shop(name: str) -> Contender:
            return shop_of(CHECKOUT, name, server.pid, ECOM_BENCH_DATABASE=server.url)

        on_server: list[Player] = [
            (ECOM, bench.orders, ()),
            (shop(ON_SERVER), bench.orders, ()),
            (shop("two of inventory"), bench.orders, TWO),
            (shop("four of each"), bench.orders, FOUR),
            (floor, quarter, ()),
        ]
        few = max(1, bench.orders // PEER_SHARE)
        on_server += ((peer, few, ()) for peer in peers_on(server.url, server.pid))
        seen = turns(bench, [on_server] * bench.runs, speed)
    return {
        "contenders": _told(seen),
        "speed_ratios": _ratios(seen[SPEED], ON_SERVER),
        "cost_ratios": _ratios(seen[COST], ON_SERVER),
    }
