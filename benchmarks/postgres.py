"""The shop on PostgreSQL, the server's CPU included: beside itself on SQLite, and beside a peer.

All that is on PostgreSQL is on one server, in schemas of its own. Who shares a row waits for its
commits, so two processes of inventory, and four of every service, are measured as well.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.contender import Contender
from benchmarks.contenders import CHECKOUT, ECOM, peer_on, shop_of
from benchmarks.stats import ratio
from benchmarks.throughput import PEER_SHARE, told, turns
from ecom.harness.postgres import Cluster
from ecom_lab.shop import SERVICES

NAME = "on PostgreSQL"
TWO = ("start inventory 2",)
FOUR = tuple(f"start {service} {n}" for service in SERVICES for n in (2, 3, 4))
MOST = 5  # contenders


def postgres(url: str, orders: int, runs: int, step: Callable[[], None]) -> dict[str, Any]:
    """`contenders` by name; by name of another one, `speed_ratios` and `cost_ratios`: what the
    shop on PostgreSQL does in a second, or an order costs there, as a share of the other's."""
    with Cluster() as server:
        playing = _contenders(server, orders)
        speeds, costs = turns(playing, url, runs, step)
    return {
        "contenders": told(speeds, costs),
        "speed_ratios": {name: ratio(speeds[NAME], theirs) for name, theirs in speeds.items()},
        "cost_ratios": {name: ratio(costs[NAME], theirs) for name, theirs in costs.items()},
    }


def _contenders(server: Cluster, orders: int) -> list[tuple[Contender, int, tuple[str, ...]]]:
    def shop(name: str) -> Contender:
        return shop_of(CHECKOUT, name, server.pid, ECOM_BENCH_DATABASE=server.url)

    few = max(1, orders // PEER_SHARE)
    return [
        (ECOM, orders, ()),
        (shop(NAME), orders, ()),
        (shop("two of inventory"), orders, TWO),
        (shop("four of each"), orders, FOUR),
        (peer_on(server.url, server.pid), few, ()),
    ]
