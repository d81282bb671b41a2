"""Outages that last: what is away × for how long × in which order it comes back.

Whoever paid in time is never cancelled for the hold's sake: in time is a payment that was in
inventory's queue before the hold ran out, whatever was away then. Who paid later is refunded, once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import permutations
from typing import Any

import msgspec

from ecom.contract.contract import Event
from ecom.errors import ServiceDied
from ecom.events import HOLD_EXPIRED, InventoryProcessed, PaymentProcessed
from ecom.runtime.tables import Inbox, Outbox
from ecom.sagas.orchestration import CommitStock
from ecom.services.order import Order
from ecom.stores.reader import Reader
from ecom_lab.chaos.faults import databases
from ecom_lab.chaos.faults.brokers import restart
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.verdict import HarnessFailed

# What goes away, in order; what comes back, in order; for how many holds the last of them is away.
Cell = tuple[tuple[str, ...], tuple[str, ...], float]

SERVICES = ("inventory", "payment", "notification")
LENGTHS = (1.5, 0.5)  # of a hold
REST_SECONDS = 120.0  # twice the longest cap of a retry
# These first, where there is no time for all: payments wait in inventory's queue past the hold;
# captures are made past it; the broker is away for longer, and inventory started without it; and so
# is inventory's database.
FIRST: tuple[Cell, ...] = (
    (("payment", "inventory"), ("payment", "inventory"), 1.5),
    (("payment", "notification"), ("notification", "payment"), 1.5),
    (("inventory", "broker"), ("inventory", "broker"), 1.5),
    (("payment", "database"), ("payment", "database"), 1.5),
)


def cells(services: Sequence[str], first: tuple[Cell, ...] = ()) -> tuple[Cell, ...]:
    """All cells of these services, their broker and their database."""
    away = (*services, "broker", "database")
    every = (*((what,) for what in away), *permutations(away, 2))
    found = ((gone, back, n) for n in LENGTHS for gone in every for back in permutations(gone))
    return (*first, *(cell for cell in found if cell not in first))


CELLS = cells(SERVICES, FIRST)


def outages(bed: Testbed) -> Iterator[str]:
    """The cells of the matrix, one a round; then all must come to rest, and who paid in time be
    served."""
    for gone, back, length in _chosen(bed):
        returns = {}
        for what in gone:
            bed.burst(len(gone) + len(back))
            bed.wait(0.3, 0.5)
            returns[what] = _take_away(bed, what)
        seconds = length * bed.hold_seconds
        with ThreadPoolExecutor() as aside:  # a service is ready only once the broker is back, too
            returned = []
            for n, what in enumerate(back, 1):
                bed.wait(*((seconds, seconds) if n == len(back) else (0.3, 0.5)))
                returned.append(aside.submit(returns[what]))
                bed.burst(len(gone) + len(back))
            for each in returned:
                each.result()
        yield f"{' and '.join(gone)} away for {length:g} holds, back as {' and '.join(back)}"
    bed.workload.finish(REST_SECONDS)
    bed.runner.settle(REST_SECONDS)
    if bed.is_shop:
        _judge(bed)


def _chosen(bed: Testbed) -> Sequence[Cell]:
    if bed.is_shop:
        return CELLS[: bed.rounds]
    every = cells(bed.services)
    return bed.random.sample(every, min(bed.rounds, len(every)))


def _take_away(bed: Testbed, what: str) -> Callable[[], object]:
    """A service, the broker or the database goes away; what brings it back."""
    if what == "broker":
        bed.broker.kill()
        return partial(restart, bed.broker)
    if what != "database":
        bed.kill(what)
        return partial(_start, bed, what)
    if bed.database:
        databases.away(bed.database)
        return bed.database.start
    service = "inventory" if bed.is_shop else bed.random.choice(bed.services)
    return databases.write_lock(bed, service).close


def _start(bed: Testbed, service: str) -> None:
    """Start it, as a supervisor does: one that finds no server ends, and is started again."""
    deadline = time.monotonic() + REST_SECONDS
    for replica in bed.replicas:
        while not bed.processes.is_alive((service, replica)):
            try:
                bed.runner.start(service, replica)
            except ServiceDied:
                if not bed.database or time.monotonic() > deadline:
                    raise


def _judge(bed: Testbed) -> None:
    """Of what tells inventory of a payment, as far as the broker had confirmed it before the hold
    ran out."""
    paid = CommitStock if "coordinator" in bed.services else PaymentProcessed
    with Reader(bed.runner.folder) as read:
        held = {
            event.order_id: event.held_until.timestamp()
            for event, _ in _published(read, InventoryProcessed)
        }
        in_time = {
            row.id: event.order_id
            for event, row in _published(read, paid)
            if row.done_at and row.done_at < held[event.order_id]
        }
        orders = {order.order_id: order for order in read["order"].rows(Order)}
        handled = {row.id: row.at for row in read["inventory"].rows(Inbox)}
    for order_id in in_time.values():
        if orders[order_id].reason == HOLD_EXPIRED:
            bed.problems.append(f"order {order_id} was paid in time, and expired")
    late = [id_ for id_, it in in_time.items() if handled[id_] > held[it]]
    if not late:
        raise HarnessFailed("no payment in time was handled past the hold; try more --orders")


def _published(read: Reader, kind: type[Event]) -> Iterator[tuple[Any, Outbox]]:
    for row in read[kind.producer].rows(Outbox, type=kind.key):
        yield msgspec.json.decode(row.body, type=kind), row
