"""Orders whose ends are known: in the random worlds in which the simulator compares sagas, played
for real while services are killed; and of fifty buyers of one unit, one gets it."""

from collections.abc import Iterator
from random import Random

from ecom.sandbox.cards import GOOD_CARD
from ecom.services.inventory import Stock
from ecom.services.order import Order
from ecom.stores.reader import Reader
from ecom_lab.chaos.faults import services
from ecom_lab.chaos.testbed import Testbed, salvo
from ecom_lab.chaos.workload import Customer
from ecom_lab.simulator.shop.outcomes import allowed, drawn, rows_of

GIVEN_UP_SECONDS = 180.0  # by then a capture that always fails has been given up
BUYERS = 50


def customers(worlds: int, seed: int) -> list[Customer]:
    """Those of so many worlds. Of those who may cancel, half do."""
    chance, found = Random(seed), []
    for world in range(worlds):
        for address, (_, card, may_cancel) in rows_of(*drawn(Random(world))).items():
            cancels = may_cancel and chance.random() < 0.5
            found.append(Customer(f"w{world}-{address}", card, ((f"SKU-{world}", 1),), cancels))
    return found


def stock(worlds: int) -> dict[str, int]:
    """Each world has a product of its own."""
    return {f"SKU-{world}": drawn(Random(world))[1] for world in range(worlds)}


def away(bed: Testbed) -> str:
    """A service is away, perhaps for longer than a hold lasts."""
    service = bed.random.choice(bed.services)
    bed.kill(service)
    bed.wait(0.0, 2 * bed.hold_seconds)
    bed.start(service)
    return f"{service} away"


def compare(bed: Testbed) -> Iterator[str]:
    """Customers of all worlds order while services are killed, or away: each order ends as the
    table of outcomes says."""
    yield from salvo(services.kill, away)(bed)
    bed.workload.finish(60)
    bed.runner.settle(GIVEN_UP_SECONDS)
    with Reader(bed.runner.folder) as read:
        orders = read["order"].rows(Order)
    for order in orders:
        world, _, address = order.customer.partition("-")
        row, end = rows_of(*drawn(Random(int(world[1:]))))[address], order.reason or order.state
        if end not in allowed(*row):
            bed.problems.append(f"order {order.order_id} of {row} ended as {end}")


def buyers(orders: int, seed: int) -> list[Customer]:
    """Fifty customers a product; all can pay, and none has second thoughts."""
    return [
        Customer(f"s{seed}-c{n}@example.com", GOOD_CARD, ((f"LAST-{n // BUYERS}", 1),))
        for n in range(orders)
    ]


def last_units(orders: int) -> dict[str, int]:
    """One unit of each product."""
    return {f"LAST-{n}": 1 for n in range(orders // BUYERS)}


def race(inventories: int, bed: Testbed) -> Iterator[str]:
    """Fifty buyers a round, and so many inventory processes on one queue and one database."""
    for number in range(2, inventories + 1):
        bed.runner.start("inventory", replica=str(number))
    for _ in range(bed.rounds):
        bed.workload.release(BUYERS)
        yield f"races of {BUYERS} for one unit, {inventories} inventories"
    bed.workload.finish(bed.rounds + 60)
    bed.runner.settle(60 + bed.rounds)
    with Reader(bed.runner.folder) as read:
        sold = read["inventory"].values(Stock, "sku", "committed")
    bed.problems += [f"{sku} has {winners} winners" for sku, winners in sold if winners != 1]
